//! TCP options (RFC 9293 3.2, RFC 7323, RFC 2018), read from and written to the header in Linux's order.

use smoltcp::wire::TcpOption;

use super::seq::Seq;

/// The most SACK blocks that fit beside a timestamp (RFC 2018 3); four without one.
pub(crate) const MAX_SACK_BLOCKS: usize = 4;

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
    /// Reads what is there; stops at the first option that is broken, as Linux does.
    pub(crate) fn parse(mut bytes: &[u8]) -> Options {
        let mut options = Options::default();
        while !bytes.is_empty() {
            // smoltcp reads three SACK blocks; the option may hold four.
            if let [5, len, rest @ ..] = bytes {
                let body = usize::from(*len).saturating_sub(2);
                let Some((blocks, rest)) = rest.split_at_checked(body) else { break };
                if body == 0 || body % 8 != 0 {
                    break;
                }
                options.sack = blocks.chunks_exact(8).take(MAX_SACK_BLOCKS).filter_map(sack_block).collect();
                bytes = rest;
                continue;
            }
            let Ok((rest, option)) = TcpOption::parse(bytes) else { break };
            match option {
                TcpOption::EndOfList => break,
                TcpOption::MaxSegmentSize(mss) => options.mss = Some(mss),
                // RFC 7323 2.3: a shift above 14 is used as 14.
                TcpOption::WindowScale(shift) => options.window_scale = Some(shift.min(14)),
                TcpOption::SackPermitted => options.sack_permitted = true,
                TcpOption::TimeStamp { tsval, tsecr } => options.timestamps = Some((tsval, tsecr)),
                TcpOption::NoOperation | TcpOption::SackRange(_) | TcpOption::Unknown { .. } => {}
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

fn sack_block(bytes: &[u8]) -> Option<(Seq, Seq)> {
    let (left, right) = bytes.split_first_chunk::<4>()?;
    let (right, _) = right.split_first_chunk::<4>()?;
    Some((Seq(u32::from_be_bytes(*left)), Seq(u32::from_be_bytes(*right))))
}
