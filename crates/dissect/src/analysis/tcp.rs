//! What Wireshark's TCP analysis finds in one conversation. The rules, and their order, are those that its manual lists
//! under "TCP Analysis"; numbers of the conversation are kept per direction.

use super::Expert;
use super::messages::{self, Assembly, Dialogue};
use crate::context::{Message, Reply, TcpContext, TcpSummary};

const FIN: u16 = TcpSummary::FIN;
const SYN: u16 = TcpSummary::SYN;
const RST: u16 = TcpSummary::RST;
const PSH: u16 = TcpSummary::PSH;
const ACK: u16 = TcpSummary::ACK;

/// Most segments that are remembered until they are acknowledged (Wireshark's number).
const UNACKED: usize = 10_000;

/// A segment after more than this time, when no round-trip time is known, is no longer out of order but sent again
/// (Wireshark's 3 ms).
const OUT_OF_ORDER_NANOS: u64 = 3_000_000;

/// A retransmission this soon after the last duplicate ACK is a fast one (Wireshark's 20 ms).
const FAST_NANOS: u64 = 20_000_000;

/// A segment as it comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) at: u64,
    pub(crate) frame: u64,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u16,
    /// Unscaled.
    pub(crate) window: u16,
    pub(crate) len: u32,
    /// Shift of the window scale option.
    pub(crate) scale: Option<u8>,
    /// Octets that its SACK option reports.
    pub(crate) sacked: u32,
}

/// A segment that was not acknowledged yet.
#[derive(Clone, Copy, Debug)]
struct Sent {
    frame: u64,
    at: u64,
    seq: u32,
    next: u32,
}

/// Window scaling of a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Scale {
    /// No SYN was seen.
    #[default]
    Unknown,
    /// A SYN without the option was seen, in either direction.
    Off,
    Shift(u8),
}

/// One direction. Sequence numbers are absolute.
#[derive(Clone, Debug, Default)]
struct Flow {
    base: Option<u32>,
    next: Option<u32>,
    next_at: u64,
    next_frame: Option<u64>,
    /// End of what was seen without a hole.
    max_to_be_acked: Option<u32>,
    last_ack: Option<u32>,
    last_ack_at: u64,
    window: Option<u16>,
    scale: Scale,
    dup_acks: u32,
    last_non_dup: u64,
    last: Flags,
    /// Oldest first.
    unacked: Vec<Sent>,
    /// No segment was missed since the other side last acknowledged: octets in flight can be counted.
    flight_unknown: bool,
    /// Octets since the last PSH, and whether the segment before had it.
    pushed: (u32, bool),
    /// Octets beyond a hole that this side reports to have.
    sacked: u32,
    assembly: Assembly,
}

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    keep_alive: bool,
    zero_window_probe: bool,
}

/// One conversation.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    flows: [Flow; 2],
    syn_at: Option<u64>,
    first_rtt: Option<u64>,
    completeness: u8,
    dialogue: Dialogue,
}

fn after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

fn at_or_after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) >= 0
}

impl Stream {
    /// Whether this segment opens a new connection between the same two ends: a SYN with another initial number.
    pub(super) fn reopened_by(&self, forward: bool, s: &Segment) -> bool {
        let flow = &self.flows[usize::from(!forward)];
        s.flags & (SYN | ACK) == SYN && flow.base.is_some_and(|base| base != s.seq)
    }

    /// The next segment: what the conversation says about it goes into `out`.
    pub(super) fn push(
        &mut self,
        forward: bool,
        s: &Segment,
        payload: &[u8],
        ports: (u16, u16),
        out: &mut TcpContext,
    ) {
        let [a, b] = &mut self.flows;
        let (fwd, rev) = if forward { (a, b) } else { (b, a) };
        let special = s.flags & (SYN | FIN | RST) != 0;
        out.completeness = self.completeness;
        // Nobody knows what was before a conversation that the capture finds going on.
        let first = fwd.base.is_none() && rev.base.is_none();
        if !first || s.flags & SYN != 0 {
            self.completeness |= seen(s);
        }
        if fwd.base.is_none() {
            fwd.base = Some(if s.flags & SYN != 0 { s.seq } else { s.seq.wrapping_sub(1) });
        }
        if rev.base.is_none() && s.flags & ACK != 0 {
            rev.base = Some(s.ack.wrapping_sub(1));
        }
        if s.flags & ACK != 0 {
            rev.flight_unknown = false;
        }
        let was_known = self.first_rtt.is_some();
        handshake(fwd, rev, s, &mut self.syn_at, &mut self.first_rtt);

        let mut found = Found::default();
        let probe = s.len == 1 && fwd.next == Some(s.seq) && rev.window == Some(0);
        found.zero_window_probe = probe;
        if !probe {
            look_forward(fwd, rev, s, special, &mut found);
        }
        if fwd.last_ack != Some(s.ack) {
            fwd.last_non_dup = s.frame;
            fwd.dup_acks = 0;
        }
        if s.flags & ACK != 0
            && let Some(max) = rev.max_to_be_acked
            && after(s.ack, max)
        {
            // The one octet of a probe counts as seen once it is acknowledged.
            let probed = rev.last.zero_window_probe && Some(s.ack.wrapping_sub(1)) == rev.next;
            if probed {
                rev.next = Some(s.ack);
                rev.max_to_be_acked = Some(s.ack);
            } else {
                found.acked_unseen = true;
                rev.max_to_be_acked = rev.next;
            }
        }
        if (s.len > 0 || s.flags & (SYN | FIN) != 0) && !found.keep_alive {
            found.repeat = repeat(fwd, rev, s, self.first_rtt);
            if found.repeat == Some(Expert::Retransmission) {
                let newest = fwd.next_frame.map(|frame| (frame, fwd.next_at));
                let first = fwd.unacked.first().map(|sent| (sent.frame, sent.at)).or(newest);
                out.repeats = first.map(|(frame, at)| Reply { frame, after: s.at.saturating_sub(at) });
            }
        }
        remember(fwd, s, &found);
        out.acks = acknowledge(rev, s);
        flight(fwd, rev, s, out);

        let shift = match (fwd.scale, s.flags & SYN != 0) {
            (Scale::Shift(shift), false) => shift,
            _ => 0,
        };
        out.scale = match (s.flags & SYN != 0, fwd.scale) {
            (true, _) => None,
            (_, Scale::Unknown) => Some(-1),
            (_, Scale::Off) => Some(-2),
            (_, Scale::Shift(shift)) => Some(1 << shift),
        };
        out.first_rtt = self.first_rtt.filter(|_| was_known || s.flags & ACK != 0);
        out.numbers = TcpSummary {
            flags: s.flags,
            seq: s.seq.wrapping_sub(fwd.base.unwrap_or(0)),
            ack: if s.flags & ACK == 0 { 0 } else { s.ack.wrapping_sub(rev.base.unwrap_or(0)) },
            window: u32::from(s.window) << shift,
            len: s.len,
        };
        // Wireshark takes none of these apart.
        let known = [Expert::Retransmission, Expert::SpuriousRetransmission, Expert::OutOfOrder];
        out.opaque = found.repeat.is_some_and(|r| known.contains(&r));
        if found.keep_alive {
            // The octet of a keep-alive is no part of any message.
            out.messages.extend((s.len > 0).then(|| Message { end: s.len, ..Message::default() }));
        } else if !out.opaque {
            out.messages = messages::push(&mut fwd.assembly, &mut self.dialogue, s, payload, ports);
        }
        out.expert = found.list();
    }
}

/// Which part of a whole conversation a segment is.
fn seen(s: &Segment) -> u8 {
    let mut seen = match s.flags & (SYN | ACK) {
        SYN => 1,
        ACK => 4,
        0 => 0,
        _ => 2,
    };
    if s.len > 0 {
        seen |= 8;
    }
    if s.flags & FIN != 0 {
        seen |= 16;
    }
    if s.flags & RST != 0 {
        seen |= 32;
    }
    seen
}

/// Window scaling and the first round-trip time.
fn handshake(
    fwd: &mut Flow,
    rev: &mut Flow,
    s: &Segment,
    syn_at: &mut Option<u64>,
    first_rtt: &mut Option<u64>,
) {
    if s.flags & SYN != 0 {
        fwd.scale = match s.scale {
            Some(shift) => Scale::Shift(shift),
            None => Scale::Off,
        };
        // RFC 7323 2.2: scaling works only if both sides offer it.
        if s.flags & ACK != 0 && (s.scale.is_none() || rev.scale == Scale::Off) {
            fwd.scale = Scale::Off;
            rev.scale = Scale::Off;
        }
        if s.flags & ACK == 0 {
            *syn_at = Some(s.at);
        }
    } else if first_rtt.is_none() && s.flags & ACK != 0 {
        *first_rtt = syn_at.map(|syn| s.at.saturating_sub(syn));
    }
}

/// Takes what a segment acknowledges off the other side's list; answers the segment that it acknowledges exactly.
fn acknowledge(rev: &mut Flow, s: &Segment) -> Option<Reply> {
    let mut exact = None;
    let ack = s.ack;
    rev.unacked.retain_mut(|sent| {
        if ack == sent.next {
            exact.get_or_insert(Reply { frame: sent.frame, after: s.at.saturating_sub(sent.at) });
            return false;
        }
        if after(ack, sent.seq) && after(sent.next, ack) {
            sent.seq = ack;
        }
        after(sent.next, ack)
    });
    exact
}

/// How much is on its way with this segment.
fn flight(fwd: &mut Flow, rev: &Flow, s: &Segment, out: &mut TcpContext) {
    let Some(last) = fwd.unacked.last().filter(|_| s.len > 0 && !fwd.flight_unknown) else { return };
    let base = fwd.base.unwrap_or(0);
    let (mut low, mut high) = (last.seq.wrapping_sub(base), last.next.wrapping_sub(base));
    for sent in &fwd.unacked {
        low = low.min(sent.seq.wrapping_sub(base));
        high = high.max(sent.next.wrapping_sub(base));
    }
    let mut octets = high.wrapping_sub(low).wrapping_sub(rev.sacked);
    if octets > 0 && octets < 2_000_000_000 {
        // SYN and FIN take a number, but no room.
        octets -= u32::from(s.flags & (SYN | FIN) != 0);
        out.in_flight = Some(octets);
    }
    let push = s.flags & PSH != 0;
    let (count, before) = fwd.pushed;
    let since = if before { s.len } else { count.wrapping_add(s.len) };
    fwd.pushed = (since, push);
    out.since_push = Some(since);
}

#[derive(Clone, Copy, Debug, Default)]
struct Found {
    repeat: Option<Expert>,
    lost: bool,
    acked_unseen: bool,
    window_update: bool,
    window_full: bool,
    keep_alive: bool,
    keep_alive_ack: bool,
    dup_ack: Option<(u64, u32)>,
    zero_window_probe: bool,
    zero_window: bool,
    zero_window_probe_ack: bool,
}

impl Found {
    /// In the order of Wireshark's Info column: what it finds last stands first.
    fn list(&self) -> Vec<Expert> {
        let all = [
            (self.zero_window_probe_ack, Expert::ZeroWindowProbeAck),
            (self.zero_window, Expert::ZeroWindow),
            (self.zero_window_probe, Expert::ZeroWindowProbe),
            (self.dup_ack.is_some(), {
                let (frame, count) = self.dup_ack.unwrap_or_default();
                Expert::DupAck(frame, count)
            }),
            (self.keep_alive_ack, Expert::KeepAliveAck),
            (self.keep_alive, Expert::KeepAlive),
            (self.window_full, Expert::WindowFull),
            (self.window_update, Expert::WindowUpdate),
            (self.acked_unseen, Expert::AckedUnseenSegment),
            (self.lost, Expert::PreviousSegmentNotCaptured),
        ];
        let mut list: Vec<_> = all.into_iter().filter(|(found, _)| *found).map(|(_, e)| e).collect();
        list.extend(self.repeat);
        list
    }
}

/// What the sending direction's own history says.
fn look_forward(fwd: &mut Flow, rev: &mut Flow, s: &Segment, special: bool, found: &mut Found) {
    found.zero_window = s.window == 0 && !special;
    found.lost = s.flags & RST == 0 && fwd.next.is_some_and(|next| after(s.seq, next));
    fwd.flight_unknown |= found.lost;
    found.keep_alive = s.len <= 1 && !special && fwd.next.is_some_and(|next| s.seq == next.wrapping_sub(1));

    let same_place = s.len == 0 && !special && fwd.next == Some(s.seq) && fwd.last_ack == Some(s.ack);
    found.window_update = same_place && s.window != 0 && fwd.window.is_some_and(|w| w != s.window);

    if s.len > 0
        && !special
        && rev.scale != Scale::Unknown
        && let (Some(acked), Some(window)) = (rev.last_ack, rev.window)
    {
        let shift = if let Scale::Shift(shift) = rev.scale { shift } else { 0 };
        let edge = acked.wrapping_add(u32::from(window) << shift);
        found.window_full = s.seq.wrapping_add(s.len) == edge;
    }
    let same_window = fwd.window == Some(s.window);
    if same_place && same_window && s.window != 0 && rev.last.keep_alive {
        found.keep_alive_ack = true;
        return;
    }
    let next_octet = fwd.last_ack.is_some_and(|ack| s.ack == ack || s.ack == ack.wrapping_add(1));
    if s.len == 0
        && s.window == 0
        && same_window
        && !special
        && fwd.next == Some(s.seq)
        && next_octet
        && rev.last.zero_window_probe
    {
        found.zero_window_probe_ack = true;
        // The peer may have taken the octet of the probe.
        if fwd.last_ack.is_some_and(|ack| s.ack == ack.wrapping_add(1)) {
            rev.next = Some(s.ack);
            rev.max_to_be_acked = Some(s.ack);
        }
        return;
    }
    if same_place && same_window && s.window != 0 {
        fwd.dup_acks += 1;
        found.dup_ack = Some((fwd.last_non_dup, fwd.dup_acks));
    }
}

/// Whether the segment repeats old octets, and how.
fn repeat(fwd: &Flow, rev: &Flow, s: &Segment, first_rtt: Option<u64>) -> Option<Expert> {
    let next = fwd.next?;
    let mut not_advanced = after(next, s.seq);
    // More than the octet of a window probe is new data.
    if s.len > 1 && s.seq == next.wrapping_sub(1) {
        not_advanced = false;
    }
    let end = s.seq.wrapping_add(s.len);
    if s.len > 0 && rev.last_ack.is_some_and(|ack| ack != 0 && at_or_after(ack, end)) {
        return Some(Expert::SpuriousRetransmission);
    }
    if !not_advanced {
        return None;
    }
    if rev.dup_acks >= 2 && rev.last_ack == Some(s.seq) && s.at.saturating_sub(rev.last_ack_at) < FAST_NANOS {
        return Some(Expert::FastRetransmission);
    }
    let phantom = u32::from(s.flags & (SYN | FIN) != 0);
    if s.at.saturating_sub(fwd.next_at) < first_rtt.unwrap_or(OUT_OF_ORDER_NANOS)
        && next != end.wrapping_add(phantom)
    {
        return Some(Expert::OutOfOrder);
    }
    Some(Expert::Retransmission)
}

/// Takes the segment into the history of its direction.
fn remember(fwd: &mut Flow, s: &Segment, found: &Found) {
    let mut end = s.seq.wrapping_add(s.len);
    if s.flags & (SYN | FIN) != 0 {
        end = end.wrapping_add(1);
    }
    if (s.len > 0 || s.flags & (SYN | FIN) != 0) && fwd.unacked.len() < UNACKED {
        fwd.unacked.push(Sent { frame: s.frame, at: s.at, seq: s.seq, next: end });
    }
    fwd.sacked = s.sacked;
    if !found.zero_window_probe {
        if fwd.next.is_none_or(|next| after(end, next)) {
            fwd.next = Some(end);
            fwd.next_at = s.at;
            fwd.next_frame = Some(s.frame);
        }
        if fwd.max_to_be_acked.is_none_or(|max| max == s.seq) {
            fwd.max_to_be_acked = fwd.next;
        }
    }
    fwd.window = Some(s.window);
    fwd.last_ack = Some(s.ack);
    fwd.last_ack_at = s.at;
    fwd.last = Flags { keep_alive: found.keep_alive, zero_window_probe: found.zero_window_probe };
}
