//! The only way to the lab worker: [`Command`]s out, [`Update`]s in, as bytes.

use leptos::prelude::*;
use socketlab_protocol::{Command, Update};
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

/// The worker's loader, beside the page.
const LOADER: &str = "worker.js";

struct Inner {
    worker: Option<Worker>,
    /// Commands given before the worker's code ran; `None` once it runs.
    waiting: Option<Vec<Command>>,
}

/// A handle to the lab worker.
#[derive(Clone, Copy)]
pub struct Bridge(StoredValue<Inner, LocalStorage>);

impl Bridge {
    /// Starts the worker and hands every update to `handle`; `failed` gets the text when its code cannot run.
    pub fn start(handle: impl Fn(Update) + 'static, failed: impl Fn(String) + 'static) -> Self {
        let bridge = Bridge(StoredValue::new_local(Inner { worker: None, waiting: Some(Vec::new()) }));
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = match Worker::new_with_options(LOADER, &options) {
            Ok(worker) => worker,
            Err(error) => {
                failed(format!("{error:?}"));
                return bridge;
            }
        };
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
            let bytes = js_sys::Uint8Array::new(&message.data()).to_vec();
            let Ok(update) = Update::decode(&bytes) else { return };
            if update == Update::Booted {
                bridge.release();
            }
            handle(update);
        });
        let on_error =
            Closure::<dyn FnMut(ErrorEvent)>::new(move |error: ErrorEvent| failed(error.message()));
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        // The worker lives as long as the page.
        on_message.forget();
        on_error.forget();
        bridge.0.update_value(|inner| inner.worker = Some(worker));
        bridge
    }

    /// A bridge that leads nowhere, for tests of what is drawn.
    pub fn nowhere() -> Self {
        Bridge(StoredValue::new_local(Inner { worker: None, waiting: Some(Vec::new()) }))
    }

    /// Sends a command; those given before the worker's code runs are kept in order.
    pub fn send(self, command: Command) {
        self.0.update_value(|inner| match &mut inner.waiting {
            Some(waiting) => waiting.push(command),
            None => inner.post(&command),
        });
    }

    /// The commands that still wait for the worker's code.
    pub fn waiting(self) -> Vec<Command> {
        self.0.with_value(|inner| inner.waiting.clone().unwrap_or_default())
    }

    fn release(self) {
        self.0.update_value(|inner| {
            for command in inner.waiting.take().unwrap_or_default() {
                inner.post(&command);
            }
        });
    }
}

impl Inner {
    fn post(&self, command: &Command) {
        let bytes = js_sys::Uint8Array::from(command.encode().as_slice());
        if let Some(worker) = &self.worker {
            // Only data that cannot be cloned is refused, and octets can.
            let _never = worker.post_message(&bytes);
        }
    }
}
