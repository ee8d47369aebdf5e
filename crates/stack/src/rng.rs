//! Numbers that look random and repeat exactly: a keyed hash of what they are for. There is no generator with a
//! state, so that what one connection does never changes the numbers of another.

/// SplitMix64's finaliser: every input bit changes about half of the output bits.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Hash of `parts` under the key `seed`.
pub(crate) fn hash(seed: u64, parts: &[u64]) -> u64 {
    parts.iter().fold(mix(seed), |state, part| mix(state ^ *part))
}

/// An endpoint as parts of a hash.
pub(crate) fn endpoint(addr: core::net::SocketAddr) -> [u64; 3] {
    let ip = match addr.ip() {
        core::net::IpAddr::V4(ip) => u128::from(ip.to_bits()),
        core::net::IpAddr::V6(ip) => ip.to_bits(),
    };
    [(ip >> 64) as u64, ip as u64, u64::from(addr.port())]
}

/// A hasher for tables that are looked up and never walked. std's own is keyed against strangers who choose the keys,
/// and costs several times as much; here the worst that they could reach is a slow lab.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mixer(u64);

/// Odd, and of about as many ones as zeros: the fraction of the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl core::hash::Hasher for Mixer {
    fn write(&mut self, octets: &[u8]) {
        for part in octets.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(part) {
                *to = *from;
            }
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u64(n.into());
    }

    fn write_u16(&mut self, n: u16) {
        self.write_u64(n.into());
    }

    fn write_u32(&mut self, n: u32) {
        self.write_u64(n.into());
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(23) ^ n).wrapping_mul(GOLDEN);
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn finish(&self) -> u64 {
        // The table takes its places from the low bits and its tags from the high ones.
        (self.0 ^ (self.0 >> 32)).wrapping_mul(GOLDEN) ^ (self.0 >> 29)
    }
}
