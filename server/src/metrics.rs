//! What the relay counts, in Prometheus' text format on the admin listener. One counter for each reason of a refusal.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use socketlab_policy::{Denial, Why};

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    reason: &'static str,
}

/// TCP or UDP, out or in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// What was asked, and whether there was an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    question: &'static str,
    answer: &'static str,
}

/// Every counter.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) connections: Counter,
    pub(crate) connections_open: Gauge,
    streams: Family<Kind, Counter>,
    pub(crate) streams_open: Gauge,
    pub(crate) ports_open: Gauge,
    pub(crate) octets_up: Counter<u64, AtomicU64>,
    pub(crate) octets_down: Counter<u64, AtomicU64>,
    refused: Family<Refusal, Counter>,
    questions: Family<Asked, Counter>,
    pub(crate) waits: Counter,
    pub(crate) reloads: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let mut registry = Registry::with_prefix("socketlab");
        let metrics = Metrics {
            registry: Registry::default(),
            connections: Counter::default(),
            connections_open: Gauge::default(),
            streams: Family::default(),
            streams_open: Gauge::default(),
            ports_open: Gauge::default(),
            octets_up: Counter::default(),
            octets_down: Counter::default(),
            refused: Family::default(),
            questions: Family::default(),
            waits: Counter::default(),
            reloads: Counter::default(),
        };
        registry.register("connections", "WebSockets let in", metrics.connections.clone());
        registry.register("connections_open", "WebSockets open now", metrics.connections_open.clone());
        registry.register("streams", "Streams opened, by kind", metrics.streams.clone());
        registry.register("streams_open", "Streams open now", metrics.streams_open.clone());
        registry.register("ports_open", "Real ports lent to programs now", metrics.ports_open.clone());
        registry.register("octets_up", "Octets from clients to targets", metrics.octets_up.clone());
        registry.register("octets_down", "Octets from targets to clients", metrics.octets_down.clone());
        registry.register("refused", "What was refused, by reason", metrics.refused.clone());
        registry.register("questions", "Questions of pages, by what and outcome", metrics.questions.clone());
        registry.register("rate_waits", "Times that a rate limit made a stream wait", metrics.waits.clone());
        registry.register("settings_reloads", "Settings read again", metrics.reloads.clone());
        Metrics { registry, ..metrics }
    }

    pub(crate) fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&Refusal { reason }).inc();
    }

    /// `question`: `name`, `socket` or `echo`.
    pub(crate) fn question(&self, question: &'static str, is_answered: bool) {
        let answer = if is_answered { "yes" } else { "no" };
        self.questions.get_or_create(&Asked { question, answer }).inc();
    }

    pub(crate) fn stream(&self, kind: &'static str) {
        self.streams.get_or_create(&Kind { kind }).inc();
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// A refusal of the policy, for the metrics.
pub(crate) fn denial_label(denial: &Denial) -> &'static str {
    match denial.why {
        Why::Host(_) => "policy_host",
        Why::PortZero => "policy_port_zero",
        Why::NotListed => "policy_not_listed",
        Why::LocalName => "policy_local_name",
        Why::Special(_) => "policy_special",
        Why::Never(_) => "policy_never",
        Why::LeadsTo(..) => "policy_leads_to",
        Why::OwnAddress(_) => "policy_own_address",
        Why::OwnListener => "policy_own_listener",
        Why::MisusedPort => "policy_misused_port",
    }
}
