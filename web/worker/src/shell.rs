//! The browser's side of the worker: its messages, its clock, its WebSocket and the interpreters in `python.mjs`.
//!
//! A program's message comes as a call from within that program's suspended stack; what it leads to is done at once,
//! as long as the event loop has had its turn within `TURN`. Otherwise the rest waits for a new turn, so that a
//! command of the page is never late, whatever the programs do.

mod sockets;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use js_sys::{Array, BigInt, Uint8Array};
use socketlab_lan::Outgoing;
use socketlab_netsim::{FlowId, GatewayEvent, LanEvent};
use socketlab_protocol::{Command, PythonState, Update};
use socketlab_stack::Pid;
use socketlab_uplink::{Relay, RelayJob};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, MessageChannel, MessageEvent, WebSocket};

use sockets::{Ends, state_of};

use crate::kernel::{Job, Kernel, Start, Wait};
use crate::lan::{Lan, LanJob};

/// Longest time, of the wall clock, between two turns of the event loop.
const TURN: Duration = Duration::from_millis(8);

#[wasm_bindgen(module = "/python.mjs")]
extern "C" {
    /// Milliseconds of the wall clock.
    fn wall_now() -> f64;
    fn set_virtual_time(nanoseconds: f64);
    fn has_jspi() -> bool;
    #[wasm_bindgen(catch)]
    async fn load(base: &str, progress: &Closure<dyn FnMut(f64, f64)>) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = on_program)]
    fn on_program(
        message: &Closure<dyn FnMut(u32, Vec<u8>)>,
        ended: &Closure<dyn FnMut(u32, i32, Option<String>)>,
    );
    fn start(pid: u32, now: BigInt, seed: BigInt, file: &str, args: Array, names: Array, texts: Array);
    fn deliver(pid: u32, message: Uint8Array);
    fn interrupt(pid: u32);
    fn discard(pid: u32);
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(text: &str);
}

thread_local! {
    static SHELL: RefCell<Option<Shell>> = const { RefCell::new(None) };
}

/// How far Python has come, for the shell's own decisions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Python {
    NotLoaded,
    Loading,
    Ready,
    Impossible,
}

struct Shell {
    scope: DedicatedWorkerGlobalScope,
    kernel: Kernel,
    relay: Relay,
    /// The simulated connections of TCP flows, until the relay has said how their real sockets were at the end.
    ends: BTreeMap<FlowId, Ends>,
    socket: Option<WebSocket>,
    lan: Lan,
    /// The room's WebSocket, and its number: news of an earlier one are passed over.
    lan_socket: Option<WebSocket>,
    lan_number: u32,
    base: String,
    relay_url: String,
    /// The relay's class code.
    code: Option<String>,
    python: Python,
    /// Programs that wait for Python.
    waiting: Vec<Start>,
    /// When this turn of the event loop began.
    turn: Duration,
    /// Asks for a turn of the event loop.
    next_turn: MessageChannel,
    asked: bool,
    /// The timer that runs, and when it will fire.
    timer: Option<(i32, Duration)>,
    on_timer: Function,
}

/// A closure that lives as long as the worker.
type Function = js_sys::Function;

fn forever<T: ?Sized + wasm_bindgen::closure::WasmClosure>(closure: Closure<T>) -> Function {
    closure.into_js_value().unchecked_into()
}

/// The wall clock.
fn now() -> Duration {
    Duration::from_secs_f64(wall_now().max(0.0) / 1000.0)
}

/// Puts the worker to work: it answers the page from here on.
///
/// # Panics
/// Outside a dedicated worker.
pub fn begin() {
    let scope: DedicatedWorkerGlobalScope =
        js_sys::global().dyn_into().expect("this program is the page's lab worker");
    let next_turn = MessageChannel::new().expect("browsers have message channels");
    next_turn.port1().set_onmessage(Some(&forever(Closure::<dyn FnMut()>::new(|| with(Shell::on_turn)))));
    scope.set_onmessage(Some(&forever(Closure::<dyn FnMut(MessageEvent)>::new(|event: MessageEvent| {
        with(|shell| shell.on_command(&Uint8Array::new(&event.data()).to_vec()));
    }))));
    let message = Closure::new(|pid, bytes: Vec<u8>| with(|shell| shell.on_message(Pid(pid), &bytes)));
    let ended = Closure::new(|pid, status, report: Option<String>| {
        with(|shell| shell.on_ended(Pid(pid), status, report.as_deref()));
    });
    on_program(&message, &ended);
    message.forget();
    ended.forget();
    let mut shell = Shell {
        scope,
        kernel: Kernel::default(),
        relay: Relay::default(),
        ends: BTreeMap::new(),
        socket: None,
        lan: Lan::default(),
        lan_socket: None,
        lan_number: 0,
        base: String::new(),
        relay_url: String::new(),
        code: None,
        python: Python::NotLoaded,
        waiting: Vec::new(),
        turn: now(),
        next_turn,
        asked: false,
        timer: None,
        on_timer: forever(Closure::<dyn FnMut()>::new(|| {
            with(|shell| {
                shell.timer = None;
                shell.on_turn();
            });
        })),
    };
    shell.relay.watch_sockets();
    shell.post(&Update::Booted);
    SHELL.set(Some(shell));
}

fn with(work: impl FnOnce(&mut Shell)) {
    SHELL.with_borrow_mut(|shell| {
        if let Some(shell) = shell {
            work(shell);
        }
    });
}

impl Shell {
    // What comes in. All but a program's message begin a turn of the event loop.

    fn on_turn(&mut self) {
        self.turn = now();
        self.asked = false;
        if self.relay.poll_timeout().is_some_and(|at| at <= self.turn) {
            self.relay.handle_timeout(self.turn);
        }
        if self.lan.poll_timeout().is_some_and(|at| at <= self.turn) {
            self.lan.handle_timeout(self.turn);
        }
        self.drive();
    }

    fn on_command(&mut self, bytes: &[u8]) {
        self.turn = now();
        match Command::decode(bytes) {
            Ok(Command::Boot { base, relay }) => {
                self.base = base;
                // What stands behind # is the class code.
                let (url, fragment) = relay.split_once('#').unwrap_or((&relay, ""));
                self.relay_url = url.to_owned();
                self.set_code(fragment.strip_prefix("token=").map(str::to_owned));
                if !has_jspi() {
                    self.python = Python::Impossible;
                    self.post(&Update::Python(PythonState::NoJspi));
                }
            }
            Ok(Command::SetCode { code }) => self.set_code(Some(code)),
            Ok(Command::JoinLan(join)) => self.lan.join(self.turn, join),
            Ok(Command::LeaveLan) => self.lan.leave(),
            Ok(Command::LanDeed(deed)) => self.lan.command(self.turn, deed),
            Ok(command) => {
                if matches!(command, Command::RunAll { .. } | Command::RunProgram { .. })
                    && !self.load_python()
                {
                    return;
                }
                self.kernel.handle_command(self.turn, command);
            }
            Err(problem) => error(&format!("a message that is no command: {problem}")),
        }
        self.drive();
    }

    fn on_message(&mut self, pid: Pid, message: &[u8]) {
        self.kernel.handle_message(pid, message);
        // A message that leaves its program running needs nothing else to happen.
        if self.kernel.waits_for_program() {
            return;
        }
        if now().saturating_sub(self.turn) < TURN {
            self.drive();
        } else {
            self.ask_for_turn();
        }
    }

    fn on_ended(&mut self, pid: Pid, status: i32, report: Option<&str>) {
        if let Some(report) = report {
            error(report);
        }
        self.kernel.handle_ended(pid, status);
        self.ask_for_turn();
    }

    // What goes out.

    /// Does what is due, then sees to it that the rest will be done.
    fn drive(&mut self) {
        let wait = loop {
            let wait = self.kernel.pump(now());
            if self.lan.wants_report(now()) {
                let hosts = self.kernel.report();
                self.lan.report(now(), hosts);
            }
            let gateway = self.work_off();
            match wait {
                Wait::Again if now().saturating_sub(self.turn) < TURN => {}
                _ if gateway => {}
                wait => break wait,
            }
        };
        if wait == Wait::Again {
            self.ask_for_turn();
        }
        while let Some(update) = self.kernel.poll_update(now()) {
            self.post(&update);
        }
        let due = match wait {
            Wait::Until(at) => Some(at),
            Wait::Again | Wait::News => None,
        };
        let due = [due, self.kernel.poll_timeout(), self.relay.poll_timeout(), self.lan.poll_timeout()];
        let due = due.into_iter().flatten().min();
        self.set_timer(due);
    }

    /// Jobs of the kernel and of the relay. `true` if the world has heard from the relay.
    fn work_off(&mut self) -> bool {
        while let Some(job) = self.kernel.poll_job() {
            match job {
                Job::Start(start) if self.python == Python::Ready => start_program(&start),
                Job::Start(start) => self.waiting.push(start),
                Job::Message { pid, now, bytes } => {
                    set_virtual_time(now as f64);
                    deliver(pid.0, Uint8Array::from(bytes.as_slice()));
                }
                Job::Interrupt { pid } => interrupt(pid.0),
                Job::Kill { pid } => {
                    self.waiting.retain(|start| start.pid != pid);
                    discard(pid.0);
                }
                Job::Report(text) => error(&text),
                Job::Gateway(request) => self.ask_relay(request),
                Job::Lan(frame) => self.lan.send_frame(now(), frame),
                Job::HangUp => {
                    self.ends.clear();
                    self.relay.hang_up();
                }
            }
        }
        let mut told = self.work_off_lan();
        while let Some(job) = self.relay.poll_job() {
            match job {
                RelayJob::Connect => self.connect(),
                RelayJob::Send(message) => {
                    let socket = self.socket.as_ref();
                    // It fails only while the socket closes, which is told by an event of its own.
                    let _closing = socket.map(|socket| socket.send_with_u8_array(&message));
                }
                RelayJob::Tell(event) => {
                    let (begins, fails) = match event {
                        GatewayEvent::Accepted { flow, .. } => (Some(flow), None),
                        GatewayEvent::Failed { flow, .. } => (None, Some(flow)),
                        _ => (None, None),
                    };
                    self.kernel.handle_gateway(now(), event);
                    begins.into_iter().for_each(|flow| self.remember(flow));
                    fails.and_then(|flow| self.ends.remove(&flow));
                    told = true;
                }
                RelayJob::Show(link) => self.post(&Update::Relay(state_of(link))),
                RelayJob::Say(text) => self.post(&Update::RelaySays(text)),
                // The socket closes next, and the page shows that.
                RelayJob::Dismissed(_) => {}
                RelayJob::Socket { flow, info } => self.show_real(flow, &info),
            }
        }
        told
    }

    /// `true` if the world has heard something.
    fn work_off_lan(&mut self) -> bool {
        let mut told = false;
        while let Some(job) = self.lan.poll_job() {
            told = true;
            let event = match job {
                LanJob::Connect { room, code } => {
                    self.connect_lan(&room, code.as_deref());
                    continue;
                }
                LanJob::Close => {
                    self.lan_number += 1;
                    if let Some(socket) = self.lan_socket.take() {
                        let _closed_already = socket.close();
                    }
                    continue;
                }
                LanJob::Send(message) => {
                    let socket = self.lan_socket.as_ref();
                    // It fails only while the socket closes, which is told by an event of its own.
                    let _closing = socket.map(|socket| match message {
                        Outgoing::Text(text) => socket.send_with_str(&text),
                        Outgoing::Frame(frame) => socket.send_with_u8_array(&frame),
                    });
                    continue;
                }
                LanJob::Move(room) => {
                    self.kernel.set_room(now(), room);
                    continue;
                }
                LanJob::Show(view) => {
                    self.post(&Update::Lan(view));
                    continue;
                }
                LanJob::Say(notice) => {
                    self.post(&Update::LanSays(notice));
                    continue;
                }
                LanJob::Joined(joined) => LanEvent::Joined(joined),
                LanJob::Names(names) => LanEvent::Names(names),
                LanJob::Frame(frame) => LanEvent::Frame(frame),
                LanJob::Reset { host, local, remote } => match self.kernel.host(&host) {
                    Some(node) => LanEvent::Reset { node, local, remote },
                    None => continue,
                },
            };
            self.kernel.handle_lan(now(), event);
        }
        told
    }

    fn post(&self, update: &Update) {
        let bytes = Uint8Array::from(update.encode().as_slice());
        let transferred = Array::of1(&bytes.buffer());
        self.scope.post_message_with_transfer(&bytes, &transferred).expect("octets can be sent");
    }

    fn ask_for_turn(&mut self) {
        if !self.asked {
            self.asked = true;
            self.next_turn.port2().post_message(&JsValue::NULL).expect("nothing can be sent");
        }
    }

    fn set_timer(&mut self, due: Option<Duration>) {
        if self.timer.map(|(_, at)| at) == due {
            return;
        }
        if let Some((timer, _)) = self.timer.take() {
            self.scope.clear_timeout_with_handle(timer);
        }
        if let Some(at) = due {
            let ms = i32::try_from(at.saturating_sub(now()).as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
            let timer = self.scope.set_timeout_with_callback_and_timeout_and_arguments_0(&self.on_timer, ms);
            self.timer = Some((timer.expect("a timer can be set"), at));
        }
    }

    // Python.

    /// `false` if this browser cannot run it.
    fn load_python(&mut self) -> bool {
        match self.python {
            Python::Ready | Python::Loading => return true,
            Python::Impossible => {
                self.post(&Update::Python(PythonState::NoJspi));
                return false;
            }
            Python::NotLoaded => {}
        }
        self.python = Python::Loading;
        self.post(&Update::Python(PythonState::Loading { loaded: 0, total: 0 }));
        let base = self.base.clone();
        spawn_local(async move {
            let progress = Closure::new(|loaded: f64, total: f64| {
                let (loaded, total) = (loaded as u64, total as u64);
                with(|shell| shell.post(&Update::Python(PythonState::Loading { loaded, total })));
            });
            let result = load(&base, &progress).await;
            with(|shell| shell.on_loaded(result.err()));
        });
        true
    }

    fn on_loaded(&mut self, failure: Option<JsValue>) {
        self.turn = now();
        if let Some(failure) = failure {
            let text = failure
                .dyn_ref::<js_sys::Error>()
                .map_or_else(|| format!("{failure:?}"), |e| String::from(e.to_string()));
            // The next run tries again.
            self.python = Python::NotLoaded;
            self.waiting.clear();
            self.post(&Update::Python(PythonState::Failed(text)));
            self.kernel.handle_command(self.turn, Command::Reset);
        } else {
            self.python = Python::Ready;
            self.post(&Update::Python(PythonState::Ready));
            for start in std::mem::take(&mut self.waiting) {
                start_program(&start);
            }
        }
        self.drive();
    }
}

fn start_program(program: &Start) {
    let strings = |list: &mut dyn Iterator<Item = &String>| list.map(JsValue::from).collect::<Array>();
    let names = strings(&mut program.files.iter().map(|file| &file.name));
    let texts = strings(&mut program.files.iter().map(|file| &file.text));
    let args = strings(&mut program.args.iter());
    set_virtual_time(program.now as f64);
    start(program.pid.0, program.now.into(), program.seed.into(), &program.file, args, names, texts);
}
