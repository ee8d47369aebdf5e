//! Many hosts, one clock: the world, its event queue, links, switches, routers, gateways and the trace of all that
//! happened. Sans-IO: a shell (the lab worker in a page, or the command line) moves bytes between programs and this
//! crate and decides how fast virtual time passes.
//!
//! ```text
//! program ─message▸ World ─Output▸ program          World ─Record▸ view
//! ```
//!
//! The shell's loop:
//!
//! ```text
//! loop {
//!     for each output of world.poll_output()  { start a program, hand it a reply, ask the gateway's far side }
//!     match world.turn() {
//!         Turn::Process(pid) => wait for that program's next message, world.handle_message(pid, bytes)
//!         Turn::Event(at)    => wait until the shell's own pace lets `at` come, world.step()
//!         Turn::Idle         => nothing can happen by itself: ask world.rest() why
//!     }
//! }
//! ```

pub mod abi;
mod builder;
mod command;
mod errand;
mod flow;
mod gateway;
mod history;
mod lan;
mod link;
mod marshal;
mod names;
mod node;
mod parts;
mod pcapng;
mod prng;
mod process;
mod publish;
mod python;
mod queue;
pub mod record;
mod service;
mod snapshot;
mod switch;
mod topology;
mod world;

pub use abi::AbiError;
pub use builder::{End, GatewayName, Program, PublishedPort, Stdin, WorldBuilder};
pub use command::{Change, Command, CommandError, Deed};
pub use gateway::{FlowId, GatewayEvent, GatewayRequest, PortId};
pub use history::{History, Position, Replayed, Rerun, RunLog, replay};
pub use lan::LanEvent;
pub use link::{Chance, LinkParams};
pub use pcapng::{Capture, pcapng};
pub use record::{
    Detail, ExitStatus, FrameId, GatewayFact, LinkId, LossReason, NodeId, PacketId, Record, RecordKind,
    Stream, TraceHash, trace_hash,
};
pub use service::{DhcpPool, Service, ServiceKind};
pub use snapshot::{LinkSnapshot, WorldSnapshot};
pub use switch::SwitchEntry;
pub use topology::{NodeKind, Topology, TopologyLink, TopologyNode};
pub use world::{Output, Rest, Turn, World};
