//! What comes from outside of a world, and nothing else: with it, and the lab, every run can be had again.

use bytes::Bytes;
use socketlab_stack::{Instant, Pid};

use crate::command::Command;
use crate::gateway::GatewayEvent;
use crate::lan::LanEvent;
use crate::world::World;

/// Something that came from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Start,
    StartProgram(usize),
    Message(Pid, Bytes),
    Exited(Pid, i32),
    Kill(Pid),
    Interrupt(Pid),
    Typed(Pid, String),
    Gateway(GatewayEvent),
    Lan(LanEvent),
    Command(Command),
    AdvanceTo(Instant),
}

impl Input {
    /// Does it again. Inputs are logged only if they were understood, so there is nothing to report.
    pub(super) fn apply(&self, world: &mut World) {
        match self {
            Input::Start => world.start(),
            Input::StartProgram(program) => _ = world.start_program(*program),
            Input::Message(pid, bytes) => _ = world.handle_message(*pid, bytes),
            Input::Exited(pid, status) => world.exited(*pid, *status),
            Input::Kill(pid) => world.kill(*pid),
            Input::Interrupt(pid) => world.interrupt(*pid),
            Input::Typed(pid, text) => world.stdin(*pid, text),
            Input::Gateway(event) => world.handle_gateway(event.clone()),
            Input::Lan(event) => world.handle_lan(event.clone()),
            Input::Command(command) => _ = world.command(command.clone()),
            Input::AdvanceTo(at) => world.advance_to(*at),
        }
    }
}
