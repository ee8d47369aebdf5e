//! Every message key that an event or a view can carry, with the names of its parameters, so that the page's texts can
//! be tested against them. Wait and evidence keys: [`crate::wait::wait_keys`], [`crate::evidence::evidence_keys`];
//! labels of fields: [`crate::field_keys`], [`crate::note_keys`].

use socketlab_netsim::record::{GatewayFact, LossReason};
use socketlab_stack::{Cause, DropReason, TimerKind};

/// Why a frame was lost on a link.
pub fn loss_key(reason: LossReason) -> &'static str {
    match reason {
        LossReason::Random => "loss-random",
        LossReason::QueueFull => "loss-queue-full",
        LossReason::LinkCut => "loss-link-cut",
        LossReason::DroppedByHand => "loss-dropped-by-hand",
        LossReason::TooBig => "loss-too-big",
    }
}

/// Why a packet was dropped in a node.
pub fn drop_key(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Malformed => "drop-malformed",
        DropReason::BadChecksum => "drop-bad-checksum",
        DropReason::NotForThisHost => "drop-not-for-this-host",
        DropReason::UnknownProtocol => "drop-unknown-protocol",
        DropReason::NoListener => "drop-no-listener",
        DropReason::NoRoute => "drop-no-route",
        DropReason::TtlExpired => "drop-ttl-expired",
        DropReason::NeighbourUnknown => "drop-neighbour-unknown",
        DropReason::ReceiveBufferFull => "drop-receive-buffer-full",
        DropReason::SynQueueFull => "drop-syn-queue-full",
        DropReason::AcceptQueueFull => "drop-accept-queue-full",
        DropReason::ReassemblyTimedOut => "drop-reassembly-timed-out",
        DropReason::DuplicateAddress => "drop-duplicate-address",
        DropReason::TooBig => "drop-too-big",
        DropReason::NoMapping => "drop-no-mapping",
        DropReason::Firewall => "drop-firewall",
    }
}

/// Which timer.
pub fn timer_key(timer: TimerKind) -> &'static str {
    match timer {
        TimerKind::Retransmission => "timer-retransmission",
        TimerKind::Persist => "timer-persist",
        TimerKind::DelayedAck => "timer-delayed-ack",
        TimerKind::KeepAlive => "timer-keep-alive",
        TimerKind::TimeWait => "timer-time-wait",
        TimerKind::FinWait2 => "timer-fin-wait-2",
        TimerKind::LossProbe => "timer-loss-probe",
        TimerKind::Reordering => "timer-reordering",
    }
}

/// What the real side of a gateway did.
pub fn gateway_key(fact: &GatewayFact) -> &'static str {
    match fact {
        GatewayFact::Connecting => "gateway-connecting",
        GatewayFact::Connected => "gateway-connected",
        GatewayFact::Refused => "gateway-refused",
        GatewayFact::Unreachable => "gateway-unreachable",
        GatewayFact::TimedOut => "gateway-timed-out",
        GatewayFact::NotAllowed => "gateway-not-allowed",
        GatewayFact::Throttled => "gateway-throttled",
        GatewayFact::NoRelay => "gateway-no-relay",
        GatewayFact::Closed => "gateway-closed",
        GatewayFact::Reset => "gateway-reset",
        GatewayFact::Pinging => "gateway-pinging",
        GatewayFact::Echoed => "gateway-echoed",
        GatewayFact::LookingUp => "gateway-looking-up",
        GatewayFact::LookedUp => "gateway-looked-up",
        GatewayFact::NoSuchName => "gateway-no-such-name",
        GatewayFact::Published => "gateway-published",
        GatewayFact::Accepted => "gateway-accepted",
    }
}

/// Why a call failed, with the parameters of the message.
pub fn cause_key(cause: &Cause) -> (&'static str, Vec<(String, String)>) {
    let arg = |name: &str, value: &dyn ToString| (name.to_string(), value.to_string());
    match cause {
        Cause::Rule => ("cause-rule", vec![]),
        Cause::RefusedByPeer { peer } => ("cause-refused-by-peer", vec![arg("peer", peer)]),
        Cause::PortUnreachable { peer } => ("cause-port-unreachable", vec![arg("peer", peer)]),
        Cause::Icmp { kind, code, from } => {
            ("cause-icmp", vec![arg("kind", kind), arg("code", code), arg("from", from)])
        }
        Cause::NoNeighbour { next_hop } => ("cause-no-neighbour", vec![arg("next_hop", next_hop)]),
        Cause::NoRoute { to } => ("cause-no-route", vec![arg("to", to)]),
        Cause::ResetByPeer { peer } => ("cause-reset-by-peer", vec![arg("peer", peer)]),
        Cause::NoAnswer { peer, transmissions } => {
            ("cause-no-answer", vec![arg("peer", peer), arg("transmissions", transmissions)])
        }
        Cause::HeldBy { socket, time_wait: false } => ("cause-held-by", vec![arg("socket", &socket.0)]),
        Cause::HeldBy { socket, time_wait: true } => {
            ("cause-held-by-time-wait", vec![arg("socket", &socket.0)])
        }
        Cause::NotMyAddress { addr } => ("cause-not-my-address", vec![arg("addr", addr)]),
        Cause::ClosedByProgram => ("cause-closed-by-program", vec![]),
        Cause::PeerGone { peer } => ("cause-peer-gone", vec![arg("peer", peer)]),
    }
}

/// All keys that events carry, with their parameters.
pub fn event_keys() -> &'static [(&'static str, &'static [&'static str])] {
    &[
        ("loss-random", &[]),
        ("loss-queue-full", &[]),
        ("loss-link-cut", &[]),
        ("loss-dropped-by-hand", &[]),
        ("loss-too-big", &[]),
        ("drop-malformed", &[]),
        ("drop-bad-checksum", &[]),
        ("drop-not-for-this-host", &[]),
        ("drop-unknown-protocol", &[]),
        ("drop-no-listener", &[]),
        ("drop-no-route", &[]),
        ("drop-ttl-expired", &[]),
        ("drop-neighbour-unknown", &[]),
        ("drop-receive-buffer-full", &[]),
        ("drop-syn-queue-full", &[]),
        ("drop-accept-queue-full", &[]),
        ("drop-reassembly-timed-out", &[]),
        ("drop-duplicate-address", &[]),
        ("drop-too-big", &[]),
        ("drop-no-mapping", &[]),
        ("drop-firewall", &[]),
        ("timer-retransmission", &[]),
        ("timer-persist", &[]),
        ("timer-loss-probe", &[]),
        ("timer-reordering", &[]),
        ("timer-delayed-ack", &[]),
        ("timer-keep-alive", &[]),
        ("timer-time-wait", &[]),
        ("timer-fin-wait-2", &[]),
        ("gateway-connecting", &["target"]),
        ("gateway-connected", &["target"]),
        ("gateway-refused", &["target"]),
        ("gateway-unreachable", &["target"]),
        ("gateway-timed-out", &["target"]),
        ("gateway-not-allowed", &["target", "dialled"]),
        ("gateway-throttled", &["target"]),
        ("gateway-no-relay", &["target"]),
        ("gateway-closed", &["target"]),
        ("gateway-reset", &["target"]),
        ("gateway-published", &["target"]),
        ("gateway-accepted", &["target"]),
        ("cause-rule", &[]),
        ("cause-refused-by-peer", &["peer"]),
        ("cause-port-unreachable", &["peer"]),
        ("cause-icmp", &["kind", "code", "from"]),
        ("cause-no-neighbour", &["next_hop"]),
        ("cause-no-route", &["to"]),
        ("cause-reset-by-peer", &["peer"]),
        ("cause-no-answer", &["peer", "transmissions"]),
        ("cause-held-by", &["socket"]),
        ("cause-held-by-time-wait", &["socket"]),
        ("cause-not-my-address", &["addr"]),
        ("cause-closed-by-program", &[]),
        ("cause-peer-gone", &["peer"]),
        ("ladder-lost", &[]),
        ("ladder-in-flight", &[]),
        ("ladder-blocked", &[]),
    ]
}
