//! The lab worker: the page's second wasm binary. It owns the world and all Python interpreters, off the page's
//! thread.
//!
//! ```text
//! page ─Command▸ shell ▸ kernel ▸ World          World ▸ kernel ─Update▸ page
//!                  │ ▴                     Python ▸ python.mjs ▸ shell ▸ kernel
//!                  ▾ │
//!            python.mjs, uplink
//! ```
//!
//! `kernel`, `lan`, `relay` and `pace` know no browser; `shell` has its clock, its messages and its WebSocket.

pub mod kernel;
pub mod lan;
pub mod pace;
pub mod shell;

#[cfg(test)]
mod relay;

#[cfg(test)]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);
