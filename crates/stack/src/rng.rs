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
