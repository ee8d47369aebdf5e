//! TCP options (RFC 9293 3.2, RFC 7323, RFC 2018), read from and written to the header in Linux's order.

use super::seq::Seq;

// Kinds (RFC 9293 3.2, RFC 7323, RFC 2018).
const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// The options of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) mss: Option<u16>,
    pub(crate) window_scale: Option<u8>,
    pub(crate) sack_permitted: bool,
    /// TSval and TSecr.
    pub(crate) timestamps: Option<(u32, u32)>,
    /// SACK blocks `[left, right)`, the newest first.
    pub(crate) sack: Vec<(Seq, Seq)>,
}

impl Options {
    /// Reads what is there, as Linux `tcp_parse_options` does: an option of a length that its kind does not have is
    /// passed over, and one that is cut off ends the reading.
    pub(crate) fn parse(mut bytes: &[u8]) -> Options {
        let mut options = Options::default();
        while let [kind, after @ ..] = bytes {
            match *kind {
                END => break,
                NOP => {
                    bytes = after;
                    continue;
                }
                _ => {}
            }
            let Some(len) = after.first().map(|len| usize::from(*len)).filter(|len| *len >= 2) else { break };
            let Some((option, rest)) = bytes.split_at_checked(len) else { break };
            match (*kind, option) {
                (MSS, [_, _, a, b]) => {
                    // An MSS of zero says nothing.
                    options.mss = Some(u16::from_be_bytes([*a, *b])).filter(|mss| *mss > 0).or(options.mss);
                }
                // RFC 7323 2.3: a shift above 14 is used as 14.
                (WINDOW_SCALE, [_, _, shift]) => options.window_scale = Some((*shift).min(14)),
                (SACK_PERMITTED, [_, _]) => options.sack_permitted = true,
                (SACK, [_, _, blocks @ ..]) if blocks.len() >= 8 && blocks.len().is_multiple_of(8) => {
                    options.sack =
                        blocks.chunks_exact(8).filter_map(pair).map(|(l, r)| (Seq(l), Seq(r))).collect();
                }
                (TIMESTAMPS, [_, _, values @ ..]) if values.len() == 8 => options.timestamps = pair(values),
                _ => {}
            }
            bytes = rest;
        }
        options
    }

    /// Octets these options take in the header, padded to words.
    pub(crate) fn len(&self) -> usize {
        let mut len = 0;
        if self.mss.is_some() {
            len += 4;
        }
        if self.sack_permitted || self.timestamps.is_some() {
            len += if self.timestamps.is_some() { 12 } else { 4 };
        }
        if self.window_scale.is_some() {
            len += 4;
        }
        if !self.sack.is_empty() {
            len += 4 + 8 * self.sack.len();
        }
        len
    }

    /// Writes them into `out`, which is [`Options::len`] octets long. NOPs stand in front, to align the words.
    pub(crate) fn emit(&self, out: &mut [u8]) {
        let mut bytes = Vec::with_capacity(40);
        if let Some(mss) = self.mss {
            bytes.extend_from_slice(&[2, 4]);
            bytes.extend_from_slice(&mss.to_be_bytes());
        }
        match self.timestamps {
            Some((tsval, tsecr)) => {
                // SACK-permitted takes the place of the two NOPs.
                bytes.extend_from_slice(if self.sack_permitted { &[4, 2] } else { &[1, 1] });
                bytes.extend_from_slice(&[8, 10]);
                bytes.extend_from_slice(&tsval.to_be_bytes());
                bytes.extend_from_slice(&tsecr.to_be_bytes());
            }
            None if self.sack_permitted => bytes.extend_from_slice(&[1, 1, 4, 2]),
            None => {}
        }
        if let Some(shift) = self.window_scale {
            bytes.extend_from_slice(&[1, 3, 3, shift]);
        }
        if !self.sack.is_empty() {
            bytes.extend_from_slice(&[1, 1, 5, (2 + 8 * self.sack.len()) as u8]);
            for (left, right) in &self.sack {
                bytes.extend_from_slice(&left.0.to_be_bytes());
                bytes.extend_from_slice(&right.0.to_be_bytes());
            }
        }
        out.copy_from_slice(&bytes);
    }
}

/// Two numbers of 32 bits.
fn pair(bytes: &[u8]) -> Option<(u32, u32)> {
    let (first, second) = bytes.split_first_chunk::<4>()?;
    let (second, _) = second.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*first), u32::from_be_bytes(*second)))
}
