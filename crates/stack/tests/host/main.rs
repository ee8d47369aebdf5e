//! Hosts through their front door: calls and frames in, answers and frames out.

mod harness;
mod tcp;
mod udp;
