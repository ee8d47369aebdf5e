//! A flow's connection to the client: calls of the gateway to its own stack, and the octets that they move, in both
//! directions as far as the other side takes them.

use bytes::{Buf as _, Bytes};
use socketlab_stack::{Call, CallId, Errno, Failure, Outcome, Ret};

use super::{Flow, FlowCall, Kind, Tcp, gateway_pid};
use crate::gateway::{FlowId, GatewayRequest};
use crate::process::Caller;
use crate::record::{GatewayFact, NodeId};
use crate::world::World;

/// Octets read at once from a client.
const CHUNK: u64 = 16 * 1024;

/// recv(2): look, do not take.
const MSG_PEEK: i32 = 2;
const SHUT_WR: i32 = 1;
const SOL_SOCKET: i32 = 1;
const SO_LINGER: i32 = 13;
/// `struct linger { 1, 0 }`: close(2) sends a RST.
const LINGER_RESET: &[u8] = &[1, 0, 0, 0, 0, 0, 0, 0];

impl World {
    /// Breaks off the connection to the client with a RST.
    pub(super) fn reset_client(&mut self, node: NodeId, tcp: Tcp) {
        let Some(fd) = tcp.fd.or(tcp.connecting.map(|(fd, _)| fd)) else { return };
        let value = Bytes::from_static(LINGER_RESET);
        let _ = self.gateway_call(node, Call::SetSockOpt { fd, level: SOL_SOCKET, name: SO_LINGER, value });
        self.close_client(node, &tcp);
    }

    /// Closes the connection to the client, after the calls on it: as long as one is open, so is the socket.
    pub(crate) fn close_client(&mut self, node: NodeId, tcp: &Tcp) {
        let now = self.now;
        let connecting = tcp.connecting.and_then(|(_, call)| call);
        for call in [tcp.receiving, tcp.sending, connecting].into_iter().flatten() {
            self.calls.remove(&call);
            if let Some(gateway) = self.host_mut(node) {
                gateway.host.cancel(now, call);
            }
        }
        if let Some(fd) = tcp.fd.or(tcp.connecting.map(|(fd, _)| fd)) {
            let _ = self.gateway_call(node, Call::Close { fd });
        }
        self.drain(node, None, None);
    }

    /// A call of the gateway to its own stack, free of charge.
    pub(crate) fn gateway_call(&mut self, node: NodeId, call: Call) -> (CallId, Outcome) {
        let id = CallId(self.next_call);
        self.next_call += 1;
        let now = self.now;
        let outcome = match self.host_mut(node) {
            Some(gateway) => gateway.host.call(now, gateway_pid(node), id, call),
            None => Outcome::Done(Err(Errno::ENODEV.into())),
        };
        (id, outcome)
    }

    /// Moves what can be moved, in both directions of a TCP flow.
    pub(crate) fn pump(&mut self, flow: FlowId) {
        let Some(node) = self.flows.get(&flow).map(|f| f.node) else { return };
        while self.pump_once(node, flow) {}
        self.drain(node, None, None);
    }

    fn pump_once(&mut self, node: NodeId, flow: FlowId) -> bool {
        let Some(tcp) = self.tcp_flow(flow) else { return false };
        let Some(fd) = tcp.fd else { return false };
        if tcp.receiving.is_none() && !tcp.client_finished && !tcp.data_waits {
            let (which, len, flags) = match tcp.credit {
                0 => (FlowCall::Look, 1, MSG_PEEK),
                credit => (FlowCall::Receive, credit.min(CHUNK) as usize, 0),
            };
            return self.flow_call(node, flow, which, Call::Recv { fd, len, flags, timeout: None });
        }
        if tcp.sending.is_none()
            && let Some(data) = tcp.to_client.front().cloned()
        {
            let call = Call::Send { fd, data, flags: 0, timeout: None };
            return self.flow_call(node, flow, FlowCall::Send, call);
        }
        if tcp.to_client.is_empty() && tcp.real_finished && !tcp.shut {
            tcp.shut = true;
            if !tcp.closing {
                let _ = self.gateway_call(node, Call::Shutdown { fd, how: SHUT_WR });
                return true;
            }
        }
        if tcp.shut && (tcp.client_finished || tcp.closing) {
            let told = tcp.closing;
            self.gateway_fact(flow, GatewayFact::Closed);
            if let Some(Flow { kind: Kind::Tcp(tcp), .. }) = self.forget(flow) {
                self.close_client(node, &tcp);
            }
            if !told {
                self.ask(GatewayRequest::Close { flow, reset: false });
            }
        }
        false
    }

    /// Makes a call for a flow. Whether it was answered at once, so that there may be more to do.
    pub(crate) fn flow_call(&mut self, node: NodeId, flow: FlowId, which: FlowCall, call: Call) -> bool {
        match self.gateway_call(node, call) {
            (_, Outcome::Done(result)) => {
                self.flow_answer(node, flow, which, result);
                true
            }
            (id, Outcome::Blocked) => {
                self.calls.insert(id, Caller::Flow(flow, which));
                if let Some(tcp) = self.tcp_flow(flow) {
                    match which {
                        FlowCall::Send => tcp.sending = Some(id),
                        FlowCall::Connect => tcp.connecting = tcp.connecting.map(|(fd, _)| (fd, Some(id))),
                        FlowCall::Receive | FlowCall::Look => tcp.receiving = Some(id),
                    }
                }
                // The other direction may have something to do.
                which != FlowCall::Send
            }
        }
    }

    fn flow_answer(&mut self, node: NodeId, flow: FlowId, which: FlowCall, result: Result<Ret, Failure>) {
        if which == FlowCall::Connect {
            return self.visitor_connected(flow, result);
        }
        let Some(tcp) = self.tcp_flow(flow) else { return };
        match which {
            FlowCall::Send => tcp.sending = None,
            FlowCall::Connect => {}
            FlowCall::Receive | FlowCall::Look => tcp.receiving = None,
        }
        match (which, result) {
            (FlowCall::Receive | FlowCall::Look, Ok(Ret::Data(bytes, ..))) => {
                if bytes.is_empty() {
                    tcp.client_finished = true;
                    self.ask(GatewayRequest::Finish { flow });
                } else if which == FlowCall::Look {
                    tcp.data_waits = tcp.credit == 0;
                } else {
                    tcp.credit = tcp.credit.saturating_sub(bytes.len() as u64);
                    self.ask(GatewayRequest::Data { flow, bytes });
                }
            }
            (FlowCall::Send, Ok(Ret::Len(n))) => {
                if let Some(front) = tcp.to_client.front_mut() {
                    front.advance(n.min(front.len()));
                    if front.is_empty() {
                        tcp.to_client.pop_front();
                    }
                }
                self.ask(GatewayRequest::Consumed { flow, octets: n as u64 });
            }
            _ => {
                // The client broke it off.
                self.gateway_fact(flow, GatewayFact::Reset);
                if let Some(Flow { kind: Kind::Tcp(tcp), .. }) = self.forget(flow) {
                    self.close_client(node, &tcp);
                }
                self.ask(GatewayRequest::Close { flow, reset: true });
            }
        }
    }

    /// Answers of the gateways' stacks that came meanwhile.
    pub(crate) fn run_flows(&mut self) {
        while let Some((flow, which, result)) = self.flow_work.pop_front() {
            let Some(node) = self.flows.get(&flow).map(|f| f.node) else { continue };
            self.flow_answer(node, flow, which, result);
            self.pump(flow);
        }
    }
}
