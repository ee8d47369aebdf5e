//! Our stack speaks with the real kernel's: both on one cable (a TAP device in a network namespace), in real time. What
//! one side sends must reach the other to the octet, whichever of the two began, whatever the line does to frames, and
//! both must tell the same of their connection.
//!
//! The kernel's programs are pieces of Python (see `interop/peer.py`); ours are the calls themselves.

mod datagrams;
mod endings;
mod transfer;
mod waiting;
mod wire;
