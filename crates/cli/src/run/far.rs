//! The far side of a lab's gateway: this machine's own sockets, or a relay's.

use core::time::Duration;

use anyhow::Result;
use socketlab_netsim::{GatewayEvent, GatewayRequest};

use super::RunOptions;
use super::gateway::RealWorld;
use super::relay::RelayWorld;

/// How long the last octets may take at the end of a run.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// What the far side has to say.
pub(crate) enum News {
    /// For the world.
    Event(GatewayEvent),
    /// For the person: why a connection was not opened, or where a port is.
    Refusal(String),
}

/// See the module's text.
pub(crate) enum FarSide {
    /// Without `--relay`.
    Machine(Box<RealWorld>),
    /// With it.
    Relay(Box<RelayWorld>),
}

impl FarSide {
    /// As the flags say. Nothing is opened yet.
    pub(crate) fn new(options: &RunOptions) -> Result<FarSide> {
        Ok(match &options.relay {
            Some(address) => FarSide::Relay(Box::new(RelayWorld::new(address.clone())?)),
            None => FarSide::Machine(Box::new(RealWorld::new(&options.allow, options.publish)?)),
        })
    }

    /// The next news, if there is any within `wait`.
    pub(crate) fn listen(&mut self, wait: Duration) -> Option<News> {
        match self {
            FarSide::Machine(machine) => machine.listen(wait),
            FarSide::Relay(relay) => relay.listen(wait),
        }
    }

    /// What the world asks.
    pub(crate) fn handle(&mut self, request: GatewayRequest) {
        match self {
            FarSide::Machine(machine) => machine.handle(request),
            FarSide::Relay(relay) => relay.handle(request),
        }
    }

    /// Lets octets that the world has already given away go out.
    pub(crate) fn finish(self) {
        match self {
            FarSide::Machine(machine) => machine.finish(),
            FarSide::Relay(relay) => relay.finish(),
        }
    }
}
