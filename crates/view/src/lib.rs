//! From records and snapshots to what a person sees, as plain data: ladder, topology, tables, lists, text. No
//! browser, no references into the simulator.
//!
//! [`Event`] is a record made ready to travel from the lab worker to the page ([`Ingest`] makes it); the page keeps
//! them all and each view is a pure function of them. Views of a long trace are builders with `push(&Event)`.

mod event;
pub mod evidence;
pub mod flow;
#[cfg(test)]
#[path = "../../dissect/src/frames.rs"]
mod frames;
pub mod history;
mod ingest;
mod journey;
pub mod keys;
pub mod ladder;
mod links;
pub mod notice;
pub mod packets;
pub mod place;
#[cfg(test)]
mod scene;
mod sockets;
mod tables;
#[cfg(test)]
mod tests;
pub mod text;
pub mod time_map;
pub mod timeline;
pub mod topology;
pub mod wait;

pub use event::{
    CallView, ConsoleStream, Event, EventKind, ExitView, FailureView, FrameView, GatewayView, HostRow,
    LinkState, NodeChange, NodeKind, NodeTable, ProgramInfo, SocketRow, SocketsView, TcbView, TcpNumbers,
    TopologyLink, TopologyNode, TopologyView,
};
pub use ingest::Ingest;
pub use links::{link_params, link_states};
pub use notice::NoticeView;
pub use socketlab_dissect::{
    Context, Dissection, Expert, Field, Filter, FilterError, FilterProblem, Layer, LayerLetter, Note, Source,
    TcpSummary, dissect, dissect_with, field_keys, filter_fields, filter_keys, note_keys, value_keys,
};
