//! The flags of `socketlab serve` that concern shared LANs.

use clap::Args;
use socketlab_lan::{Limits, MAX_FRAME};

/// What shared LANs may do. `Default` is what `socketlab serve` does without flags.
#[derive(Args, Clone, Debug)]
pub struct LanOptions {
    /// How many rooms there may be at a time; 0 switches shared LANs off
    #[arg(long, value_name = "NUMBER", default_value_t = 64)]
    pub lan_rooms: usize,

    /// How many members a room may have
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=254))]
    pub lan_members: u32,

    /// Frames per second that one member may send
    #[arg(long, value_name = "NUMBER", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub lan_frames: u32,

    /// Octets of frames per second that one member may send
    #[arg(long, value_name = "NUMBER", default_value_t = 2_000_000, value_parser = clap::value_parser!(u32).range(1518..=1_000_000_000))]
    pub lan_octets: u32,

    /// A word that makes a member a teacher, who sees all traffic and may mute and disconnect
    #[arg(long, value_name = "WORD", env = "SOCKETLAB_TEACHER_WORD", hide_env_values = true)]
    pub teacher_word: Option<String>,

    /// A NATS server over which several relays share their rooms: nats://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub bus: Option<String>,

    /// What this relay is called in the roster of rooms that several relays share
    #[arg(long, value_name = "NAME", default_value = "")]
    pub relay_name: String,
}

impl Default for LanOptions {
    fn default() -> LanOptions {
        LanOptions {
            lan_rooms: 64,
            lan_members: 64,
            lan_frames: 2000,
            lan_octets: 2_000_000,
            teacher_word: None,
            bus: None,
            relay_name: String::new(),
        }
    }
}

impl LanOptions {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            // A constant of four digits.
            frame_octets: MAX_FRAME as u32,
            frames_per_second: self.lan_frames,
            octets_per_second: self.lan_octets,
            members: self.lan_members,
        }
    }
}
