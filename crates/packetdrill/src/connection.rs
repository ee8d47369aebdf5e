//! One connection as a script sees it: its sequence numbers count from the initial ones (a SYN with sequence number 0
//! means "whatever the initial one is"), its timestamps from the first.

/// Added to the sequence number of the script's first SYN: the far side's numbers wrap after 4096 octets.
const FAR_ISN: u32 = 0xffff_f000;

/// The script's view of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) local_port: u16,
    pub(crate) remote_port: u16,
    local: Numbering,
    remote: Numbering,
    /// Sequence number of the last SYN the script sent in.
    last_syn: u32,
    /// Each timestamp the host sent: as the script calls it, and as it was.
    timestamps: Vec<(u32, u32)>,
}

/// How one direction's sequence numbers correspond.
#[derive(Clone, Copy, Debug, Default)]
struct Numbering {
    /// Initial sequence number in the script and on the wire, once known.
    isn: Option<(u32, u32)>,
}

impl Numbering {
    /// To be added to the script's number. As in the original, the script's SYN may bear any number, but all later
    /// ones count from it as if it were 0.
    fn offset(self, syn: bool) -> u32 {
        match self.isn {
            Some((script, live)) if syn => live.wrapping_sub(script),
            Some((_, live)) => live,
            None => 0,
        }
    }
}

impl Connection {
    pub(crate) fn new(local_port: u16, remote_port: u16) -> Connection {
        Connection {
            local_port,
            remote_port,
            local: Numbering::default(),
            remote: Numbering::default(),
            last_syn: 0,
            timestamps: Vec::new(),
        }
    }

    /// The script sends a SYN with this number.
    pub(crate) fn handle_remote_syn(&mut self, seq: u32) {
        self.last_syn = seq;
        if self.remote.isn.is_none() {
            self.remote.isn = Some((seq, seq.wrapping_add(FAR_ISN)));
        }
    }

    /// The host sent a SYN where the script expects one numbered `script`. A number not seen before begins the
    /// connection, or begins it anew on the same ports.
    pub(crate) fn handle_local_syn(&mut self, script: u32, live: u32, answers: bool) {
        if self.local.isn.is_some_and(|(_, known)| known == live) {
            return;
        }
        if self.local.isn.is_some() {
            self.timestamps.clear();
        }
        self.local.isn = Some((script, live));
        if answers {
            self.remote.isn = Some((self.last_syn, self.last_syn.wrapping_add(FAR_ISN)));
        }
    }

    pub(crate) fn live_from_script_local(&self, seq: u32, syn: bool) -> u32 {
        seq.wrapping_add(self.local.offset(syn))
    }

    pub(crate) fn live_from_script_remote(&self, seq: u32, syn: bool) -> u32 {
        seq.wrapping_add(self.remote.offset(syn))
    }

    pub(crate) fn script_from_live_local(&self, seq: u32, syn: bool) -> u32 {
        seq.wrapping_sub(self.local.offset(syn))
    }

    pub(crate) fn script_from_live_remote(&self, seq: u32, syn: bool) -> u32 {
        seq.wrapping_sub(self.remote.offset(syn))
    }

    /// The host's timestamp as the script would call it, if only time had passed since the first.
    pub(crate) fn script_from_live_timestamp(&self, live: u32) -> Option<u32> {
        let (script, first) = self.timestamps.first()?;
        Some(script.wrapping_add(live.wrapping_sub(*first)))
    }

    /// What the script calls a timestamp the host sent.
    pub(crate) fn handle_local_timestamp(&mut self, script: u32, live: u32) {
        self.timestamps.push((script, live));
    }

    /// The timestamp the script means: the last it called so, else counted from the first.
    pub(crate) fn live_from_script_timestamp(&self, script: u32) -> u32 {
        if let Some((_, live)) = self.timestamps.iter().rev().find(|(s, _)| *s == script) {
            return *live;
        }
        match self.timestamps.first() {
            Some((first, live)) => live.wrapping_add(script.wrapping_sub(*first)),
            None => script,
        }
    }
}

/// The octet at `index` of a stream; the two directions and the datagrams differ.
pub(crate) fn octet(stream: Stream, index: u64) -> u8 {
    let [a, b, c, ..] = index.to_le_bytes();
    let salt = match stream {
        Stream::Sent => 0x5a,
        Stream::Received => 0xa5,
    };
    a.wrapping_mul(31) ^ b.wrapping_mul(17) ^ c ^ salt
}

/// Which way octets flow, as seen from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Sent,
    Received,
}

/// `len` octets of a stream from `index` on.
pub(crate) fn octets(stream: Stream, index: u64, len: usize) -> Vec<u8> {
    (index..).take(len).map(|i| octet(stream, i)).collect()
}
