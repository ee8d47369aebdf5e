//! What the whole-product tests share: the real relay as a child process, the real browser through chromedriver.
//!
//! Every wait is for a condition; the only clock is the limit after which a wait gives up and says what it saw.

pub mod browser;
pub mod namespace;
pub mod nginx;
pub mod product;

use std::time::Duration;

/// Longest that any wait may take. Generous: it only matters when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(120);
