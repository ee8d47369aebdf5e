//! The relay client at the real relay: the browser's own WebSocket, a real echo server behind it, a real refusal.
//! `cargo xtask test wasm` starts the relay and says where it is when this is compiled.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use js_sys::{Function, Promise, Uint8Array};
use socketlab_netsim::{FlowId, GatewayEvent, GatewayFact, GatewayRequest};
use socketlab_uplink::{Relay, RelayJob};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};

enum FromSocket {
    Open,
    Message(Bytes),
    Lost,
}

/// What the WebSocket said and nobody has taken yet, and whoever waits for more.
#[derive(Default)]
struct Inbox {
    said: VecDeque<FromSocket>,
    waiting: Option<Function>,
}

type Shared = Rc<RefCell<Inbox>>;

fn put(inbox: &Shared, said: FromSocket) {
    inbox.borrow_mut().said.push_back(said);
    if let Some(wake) = inbox.borrow_mut().waiting.take() {
        wake.call0(&JsValue::NULL).unwrap();
    }
}

async fn take(inbox: &Shared) -> FromSocket {
    loop {
        if let Some(said) = inbox.borrow_mut().said.pop_front() {
            return said;
        }
        let more = Promise::new(&mut |resolve, _| inbox.borrow_mut().waiting = Some(resolve));
        JsFuture::from(more).await.unwrap();
    }
}

fn connect(url: &str, inbox: &Shared) -> WebSocket {
    let socket = WebSocket::new_with_str(url, "wisp-v2").unwrap();
    socket.set_binary_type(BinaryType::Arraybuffer);
    let (opened, told, lost) = (inbox.clone(), inbox.clone(), inbox.clone());
    let open = Closure::<dyn FnMut()>::new(move || put(&opened, FromSocket::Open));
    let message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        put(&told, FromSocket::Message(Bytes::from(Uint8Array::new(&event.data()).to_vec())));
    });
    let close = Closure::<dyn FnMut(CloseEvent)>::new(move |_: CloseEvent| put(&lost, FromSocket::Lost));
    socket.set_onopen(Some(open.into_js_value().unchecked_ref()));
    socket.set_onmessage(Some(message.into_js_value().unchecked_ref()));
    socket.set_onclose(Some(close.into_js_value().unchecked_ref()));
    socket
}

#[wasm_bindgen_test]
#[expect(clippy::option_env_unwrap, reason = "lints compile this test without a relay; running it needs one")]
async fn real_servers_answer_and_the_policy_refuses() {
    let url =
        option_env!("SOCKETLAB_TEST_RELAY").expect("`cargo xtask test wasm` starts a relay for this test");
    let echo: u16 =
        option_env!("SOCKETLAB_TEST_ECHO").and_then(|port| port.parse().ok()).expect("its echo's port");
    let host = || "127.0.0.1".to_owned();
    let [tcp, udp, refused] = [FlowId(1), FlowId(2), FlowId(3)];

    let inbox = Shared::default();
    let now = Duration::ZERO;
    let mut relay = Relay::default();
    relay.handle_request(now, GatewayRequest::OpenTcp { flow: tcp, host: host(), port: echo });
    relay.handle_request(now, GatewayRequest::OpenUdp { flow: udp, host: host(), port: echo });
    relay.handle_request(now, GatewayRequest::OpenTcp { flow: refused, host: host(), port: 1 });

    let mut socket = None;
    let (mut heard, mut answer, mut failed) = (Vec::new(), None, None);
    while heard.len() < 5 || answer.is_none() || failed.is_none() {
        while let Some(job) = relay.poll_job() {
            match job {
                RelayJob::Connect => socket = Some(connect(url, &inbox)),
                RelayJob::Send(bytes) => socket.as_ref().unwrap().send_with_u8_array(&bytes).unwrap(),
                RelayJob::Show(_) | RelayJob::Say(_) | RelayJob::Dismissed(_) | RelayJob::Socket { .. } => {}
                RelayJob::Tell(GatewayEvent::Opened { flow }) => {
                    let bytes = if flow == tcp { &b"hej \xc3\xa5"[..] } else { &b"datagram"[..] };
                    let bytes = Bytes::from_static(bytes);
                    relay.handle_request(now, GatewayRequest::Data { flow, bytes });
                }
                RelayJob::Tell(GatewayEvent::Data { flow, bytes }) if flow == tcp => {
                    heard.extend_from_slice(&bytes)
                }
                RelayJob::Tell(GatewayEvent::Data { bytes, .. }) => answer = Some(bytes),
                RelayJob::Tell(GatewayEvent::Failed { flow, fact }) => failed = Some((flow, fact)),
                RelayJob::Tell(_) => {}
            }
        }
        if heard.len() >= 5 && answer.is_some() && failed.is_some() {
            break;
        }
        match take(&inbox).await {
            FromSocket::Open => relay.handle_open(),
            FromSocket::Message(bytes) => relay.handle_message(now, bytes),
            FromSocket::Lost => panic!("the relay hung up"),
        }
    }
    assert_eq!(heard, "hej å".as_bytes());
    assert_eq!(answer.as_deref(), Some(&b"datagram"[..]));
    assert_eq!(failed, Some((refused, GatewayFact::NotAllowed)));
    socket.unwrap().close().unwrap();
}
