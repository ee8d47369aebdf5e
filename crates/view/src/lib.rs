//! From records and snapshots to what a person sees, as plain data: ladder, topology, tables, lists, text. No
//! browser, no references into the simulator.
//!
//! [`Event`] is a record made ready to travel from the lab worker to the page; the page keeps them all and each view
//! is a pure function of them.

mod event;
pub use event::{
    CallView, ConsoleStream, Event, EventKind, ExitView, FailureView, FrameView, GatewayView, HostRow,
    LayerLetter, NodeKind, SocketRow, SocketsView, TopologyLink, TopologyNode, TopologyView,
};
