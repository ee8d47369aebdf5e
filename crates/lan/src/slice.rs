//! Who may give out which addresses, so that no two pages use the same: member `k` of a room has the slot `k`.
//!
//! ```text
//! IPv4  10.77.k.1 - 10.77.k.254   of 10.77.0.0/16
//! IPv6  fd77::k:1 - fd77::k:fffe  of fd77::/64
//! MAC   02:53:4c:00:k:1 - 02:53:4c:00:k:fe
//! ```
//!
//! 02 in a MAC address says "locally administered" (IEEE 802-2014 8.4); fd00::/8 is for private use (RFC 4193).

use core::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// Slots of a room: 1 to this.
pub const SLOTS: u8 = 254;

/// The first four octets of every MAC address that slots give out.
const MAC_PREFIX: [u8; 4] = [0x02, 0x53, 0x4c, 0x00];

/// A slot number that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no slot of a room: they go from 1 to {SLOTS}")]
pub struct SlotError(pub u8);

/// The addresses of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Slice(u8);

impl Slice {
    /// The slice of a slot.
    pub fn new(slot: u8) -> Result<Slice, SlotError> {
        if (1..=SLOTS).contains(&slot) { Ok(Slice(slot)) } else { Err(SlotError(slot)) }
    }

    /// All slices, lowest first.
    pub fn all() -> impl Iterator<Item = Slice> {
        (1..=SLOTS).map(Slice)
    }

    /// The slot's number.
    pub fn slot(self) -> u8 {
        self.0
    }

    /// IPv4 address of the member's host `n` (1 to 254), and the room's prefix length.
    pub fn ipv4(self, n: u8) -> (Ipv4Addr, u8) {
        (Ipv4Addr::new(10, 77, self.0, n), 16)
    }

    /// IPv6 address of the member's host `n`, and the room's prefix length.
    pub fn ipv6(self, n: u8) -> (Ipv6Addr, u8) {
        (Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, u16::from(self.0), u16::from(n)), 64)
    }

    /// MAC address of the member's host `n`.
    pub fn mac(self, n: u8) -> [u8; 6] {
        let [a, b, c, d] = MAC_PREFIX;
        [a, b, c, d, self.0, n]
    }

    /// Whose slice a MAC address is of; `None` for one that no slot gives out.
    pub fn of_mac(mac: [u8; 6]) -> Option<Slice> {
        let [a, b, c, d, slot, _] = mac;
        ([a, b, c, d] == MAC_PREFIX).then(|| Slice::new(slot).ok())?
    }
}

impl TryFrom<u8> for Slice {
    type Error = SlotError;
    fn try_from(slot: u8) -> Result<Slice, SlotError> {
        Slice::new(slot)
    }
}

impl From<Slice> for u8 {
    fn from(slice: Slice) -> u8 {
        slice.0
    }
}
