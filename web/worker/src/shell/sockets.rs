//! The worker's two WebSockets, to the relay and to a room of the shared LAN, and what the relay says of real
//! connections.

use std::net::SocketAddr;

use bytes::Bytes;
use js_sys::{Array, Uint8Array};
use socketlab_lan::close;
use socketlab_netsim::{FlowId, GatewayRequest};
use socketlab_protocol::{RealSocket, RelayState, TurnedAway, Update};
use socketlab_uplink::{self as uplink, Link, TcpInfo};
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};

use super::{Shell, forever, now, with};

/// A flow's simulated end in the lab, the other one, and what that is in the real world.
pub(super) type Ends = (SocketAddr, SocketAddr, String);

impl Shell {
    pub(super) fn connect(&mut self) {
        // Wisp version 2, in which the class code is said once the WebSocket is open: before that a browser does not
        // tell a page why it was turned away.
        let Ok(socket) = WebSocket::new_with_str(&self.relay_url, "wisp-v2") else {
            self.relay.handle_lost(now());
            return;
        };
        socket.set_binary_type(BinaryType::Arraybuffer);
        socket.set_onopen(Some(&Closure::once_into_js(|| with(Shell::on_relay_open)).unchecked_into()));
        let message = Closure::<dyn FnMut(MessageEvent)>::new(|event: MessageEvent| {
            let bytes = Bytes::from(Uint8Array::new(&event.data()).to_vec());
            with(|shell| shell.on_relay_message(bytes));
        });
        socket.set_onmessage(Some(&forever(message)));
        let close = Closure::once_into_js(|event: CloseEvent| {
            with(|shell| shell.on_relay_lost(event.code(), event.reason()));
        });
        socket.set_onclose(Some(&close.unchecked_into()));
        self.socket = Some(socket);
    }

    pub(super) fn set_code(&mut self, code: Option<String>) {
        self.code.clone_from(&code);
        self.relay.set_code(code);
    }

    pub(super) fn ask_relay(&mut self, request: GatewayRequest) {
        if let GatewayRequest::OpenTcp { flow, .. } = request {
            self.remember(flow);
        }
        self.relay.handle_request(now(), request);
    }

    pub(super) fn remember(&mut self, flow: FlowId) {
        if let Some(ends) = self.kernel.flow(flow) {
            self.ends.insert(flow, ends);
        }
    }

    pub(super) fn show_real(&mut self, flow: FlowId, info: &TcpInfo) {
        let over = self.kernel.flow(flow).is_none();
        let ends = if over { self.ends.remove(&flow) } else { self.ends.get(&flow).cloned() };
        let (Some((client, target, label)), Some(at)) = (ends, self.kernel.time()) else { return };
        self.post(&Update::Real(RealSocket {
            client,
            target,
            label,
            at,
            local: info.local,
            remote: info.remote,
            state: info.state,
            rtt_us: info.rtt_us,
            rttvar_us: info.rttvar_us,
            rto_us: info.rto_us,
            cwnd: info.cwnd,
            ssthresh: info.ssthresh,
            snd_mss: info.snd_mss,
            unacked: info.unacked,
            retransmitted: info.retransmitted,
            octets_acked: info.octets_acked,
            octets_received: info.octets_received,
        }));
    }

    fn on_relay_open(&mut self) {
        self.turn = now();
        self.relay.handle_open();
        self.drive();
    }

    fn on_relay_message(&mut self, bytes: Bytes) {
        self.turn = now();
        self.relay.handle_message(self.turn, bytes);
        self.drive();
    }

    fn on_relay_lost(&mut self, code: u16, reason: String) {
        self.turn = now();
        self.socket = None;
        // It has no room now; an end for good is said in Wisp's own words before.
        if code == close::TRY_LATER && !reason.is_empty() {
            self.post(&Update::RelaySays(reason));
        }
        self.relay.handle_lost(self.turn);
        self.drive();
    }

    pub(super) fn connect_lan(&mut self, room: &str, code: Option<&str>) {
        self.lan_number += 1;
        let number = self.lan_number;
        // The relay's own address ends in /wisp/.
        let base = self.relay_url.split_once("/wisp/").map_or(self.relay_url.as_str(), |(base, _)| base);
        let protocols = Array::of1(&"socketlab-lan".into());
        if let Some(code) = code.or(self.code.as_deref()) {
            protocols.push(&format!("socketlab-token.{code}").into());
        }
        let Ok(socket) = WebSocket::new_with_str_sequence(&format!("{base}/lan/{room}"), &protocols) else {
            self.lan.handle_lost(now(), 0, "");
            return;
        };
        socket.set_binary_type(BinaryType::Arraybuffer);
        let mine = move |work: &mut dyn FnMut(&mut Shell)| {
            with(|shell| {
                if shell.lan_number == number {
                    shell.turn = now();
                    work(shell);
                    shell.drive();
                }
            });
        };
        let open = Closure::once_into_js(move || mine(&mut |shell| shell.lan.handle_open(shell.turn)));
        socket.set_onopen(Some(&open.unchecked_into()));
        let message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let data = event.data();
            mine(&mut |shell| match data.as_string() {
                Some(text) => shell.lan.handle_text(shell.turn, &text),
                None => {
                    shell.lan.handle_frame(shell.turn, Bytes::from(Uint8Array::new(&data).to_vec()));
                }
            });
        });
        socket.set_onmessage(Some(&forever(message)));
        let close = Closure::once_into_js(move |event: CloseEvent| {
            mine(&mut |shell| {
                shell.lan_socket = None;
                shell.lan.handle_lost(shell.turn, event.code(), &event.reason());
            });
        });
        socket.set_onclose(Some(&close.unchecked_into()));
        self.lan_socket = Some(socket);
    }
}

pub(super) fn state_of(link: Link) -> RelayState {
    match link {
        Link::Connecting => RelayState::Connecting,
        Link::Open => RelayState::Open,
        Link::Lost { retry_ms } => RelayState::Lost { retry_ms },
        Link::TurnedAway(why) => RelayState::TurnedAway(match why {
            uplink::TurnedAway::CodeWanted => TurnedAway::CodeWanted,
            uplink::TurnedAway::WrongCode => TurnedAway::WrongCode,
            uplink::TurnedAway::Withdrawn => TurnedAway::Withdrawn,
        }),
    }
}
