//! Keys of the labels that a person reads, with the English text; the page's locales hold them in each language.

/// What a field is called: in filters, in the page's texts, in English.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Def {
    /// Wireshark's filter name.
    pub(crate) name: &'static str,
    /// Key in the page's texts.
    pub(crate) key: &'static str,
    /// Wireshark's label.
    pub(crate) label: &'static str,
}

macro_rules! fields {
    ($($id:ident = $name:literal, $key:literal, $label:literal;)*) => {
        $(pub(crate) const $id: Def = Def { name: $name, key: $key, label: $label };)*

        /// Keys of all field labels with their English text (Wireshark's).
        pub fn field_keys() -> &'static [(&'static str, &'static str)] {
            &[$(($key, $label),)*]
        }
    };
}

fields! {
    ETH_DST = "eth.dst", "field-eth-dst", "Destination";
    ETH_SRC = "eth.src", "field-eth-src", "Source";
    ETH_TYPE = "eth.type", "field-eth-type", "Type";
    ETH_PADDING = "eth.padding", "field-eth-padding", "Padding";
    ARP_HW_TYPE = "arp.hw.type", "field-arp-hw-type", "Hardware type";
    ARP_PROTO_TYPE = "arp.proto.type", "field-arp-proto-type", "Protocol type";
    ARP_HW_SIZE = "arp.hw.size", "field-arp-hw-size", "Hardware size";
    ARP_PROTO_SIZE = "arp.proto.size", "field-arp-proto-size", "Protocol size";
    ARP_OPCODE = "arp.opcode", "field-arp-opcode", "Opcode";
    ARP_SRC_HW = "arp.src.hw_mac", "field-arp-src-hw", "Sender MAC address";
    ARP_SRC_PROTO = "arp.src.proto_ipv4", "field-arp-src-proto", "Sender IP address";
    ARP_DST_HW = "arp.dst.hw_mac", "field-arp-dst-hw", "Target MAC address";
    ARP_DST_PROTO = "arp.dst.proto_ipv4", "field-arp-dst-proto", "Target IP address";
    IP_VERSION = "ip.version", "field-ip-version", "Version";
    IP_HDR_LEN = "ip.hdr_len", "field-ip-hdr-len", "Header Length";
    IP_DSFIELD = "ip.dsfield", "field-ip-dsfield", "Differentiated Services Field";
    IP_DSCP = "ip.dsfield.dscp", "field-ip-dscp", "Differentiated Services Codepoint";
    IP_ECN = "ip.dsfield.ecn", "field-ip-ecn", "Explicit Congestion Notification";
    IP_LEN = "ip.len", "field-ip-len", "Total Length";
    IP_ID = "ip.id", "field-ip-id", "Identification";
    IP_FLAGS = "ip.flags", "field-ip-flags", "Flags";
    IP_FLAGS_RB = "ip.flags.rb", "field-ip-flags-rb", "Reserved bit";
    IP_FLAGS_DF = "ip.flags.df", "field-ip-flags-df", "Don't fragment";
    IP_FLAGS_MF = "ip.flags.mf", "field-ip-flags-mf", "More fragments";
    IP_FRAG_OFFSET = "ip.frag_offset", "field-ip-frag-offset", "Fragment Offset";
    IP_TTL = "ip.ttl", "field-ip-ttl", "Time to Live";
    IP_PROTO = "ip.proto", "field-ip-proto", "Protocol";
    IP_CHECKSUM = "ip.checksum", "field-ip-checksum", "Header Checksum";
    IP_CHECKSUM_STATUS = "ip.checksum.status", "field-ip-checksum-status", "Header checksum status";
    IP_SRC = "ip.src", "field-ip-src", "Source Address";
    IP_DST = "ip.dst", "field-ip-dst", "Destination Address";
    IP_OPTIONS = "", "field-ip-options", "Options";
    IP_OPT = "ip.opt.type", "field-ip-opt", "IP Option";
    IPV6_VERSION = "ipv6.version", "field-ipv6-version", "Version";
    IPV6_TCLASS = "ipv6.tclass", "field-ipv6-tclass", "Traffic Class";
    IPV6_FLOW = "ipv6.flow", "field-ipv6-flow", "Flow Label";
    IPV6_PLEN = "ipv6.plen", "field-ipv6-plen", "Payload Length";
    IPV6_NXT = "ipv6.nxt", "field-ipv6-nxt", "Next Header";
    IPV6_HLIM = "ipv6.hlim", "field-ipv6-hlim", "Hop Limit";
    IPV6_SRC = "ipv6.src", "field-ipv6-src", "Source Address";
    IPV6_DST = "ipv6.dst", "field-ipv6-dst", "Destination Address";
    ICMP_TYPE = "icmp.type", "field-icmp-type", "Type";
    ICMP_CODE = "icmp.code", "field-icmp-code", "Code";
    ICMP_CHECKSUM = "icmp.checksum", "field-icmp-checksum", "Checksum";
    ICMP_CHECKSUM_STATUS = "icmp.checksum.status", "field-icmp-checksum-status", "Checksum Status";
    ICMP_IDENT = "icmp.ident", "field-icmp-ident", "Identifier (BE)";
    ICMP_SEQ = "icmp.seq", "field-icmp-seq", "Sequence Number (BE)";
    ICMP_UNUSED = "icmp.unused", "field-icmp-unused", "Unused";
    ICMP_MTU = "icmp.mtu", "field-icmp-mtu", "MTU of next hop";
    ICMP_GATEWAY = "icmp.redir_gw", "field-icmp-gateway", "Gateway Address";
    ICMPV6_TYPE = "icmpv6.type", "field-icmpv6-type", "Type";
    ICMPV6_CODE = "icmpv6.code", "field-icmpv6-code", "Code";
    ICMPV6_CHECKSUM = "icmpv6.checksum", "field-icmpv6-checksum", "Checksum";
    ICMPV6_CHECKSUM_STATUS = "icmpv6.checksum.status", "field-icmpv6-checksum-status", "Checksum Status";
    ICMPV6_ECHO_IDENT = "icmpv6.echo.identifier", "field-icmpv6-echo-ident", "Identifier";
    ICMPV6_ECHO_SEQ = "icmpv6.echo.sequence_number", "field-icmpv6-echo-seq", "Sequence";
    ICMPV6_RESERVED = "icmpv6.reserved", "field-icmpv6-reserved", "Reserved";
    ICMPV6_MTU = "icmpv6.mtu", "field-icmpv6-mtu", "MTU";
    ICMPV6_TARGET = "icmpv6.nd.ns.target_address", "field-icmpv6-target", "Target Address";
    ICMPV6_OPT = "icmpv6.opt.type", "field-icmpv6-opt", "ICMPv6 Option";
    ICMPV6_OPT_LINKADDR = "icmpv6.opt.linkaddr", "field-icmpv6-opt-linkaddr", "Link-layer address";
    UDP_SRCPORT = "udp.srcport", "field-udp-srcport", "Source Port";
    UDP_DSTPORT = "udp.dstport", "field-udp-dstport", "Destination Port";
    UDP_LENGTH = "udp.length", "field-udp-length", "Length";
    UDP_CHECKSUM = "udp.checksum", "field-udp-checksum", "Checksum";
    UDP_CHECKSUM_STATUS = "udp.checksum.status", "field-udp-checksum-status", "Checksum Status";
    TCP_SRCPORT = "tcp.srcport", "field-tcp-srcport", "Source Port";
    TCP_DSTPORT = "tcp.dstport", "field-tcp-dstport", "Destination Port";
    TCP_LEN = "tcp.len", "field-tcp-len", "TCP Segment Len";
    TCP_SEQ = "tcp.seq", "field-tcp-seq", "Sequence Number";
    TCP_SEQ_RAW = "tcp.seq_raw", "field-tcp-seq-raw", "Sequence Number (raw)";
    TCP_NXTSEQ = "tcp.nxtseq", "field-tcp-nxtseq", "Next Sequence Number";
    TCP_ACK = "tcp.ack", "field-tcp-ack", "Acknowledgment Number";
    TCP_ACK_RAW = "tcp.ack_raw", "field-tcp-ack-raw", "Acknowledgment number (raw)";
    TCP_HDR_LEN = "tcp.hdr_len", "field-tcp-hdr-len", "Header Length";
    TCP_FLAGS = "tcp.flags", "field-tcp-flags", "Flags";
    TCP_FLAGS_RES = "tcp.flags.res", "field-tcp-flags-res", "Reserved";
    TCP_FLAGS_AE = "tcp.flags.ae", "field-tcp-flags-ae", "Accurate ECN";
    TCP_FLAGS_CWR = "tcp.flags.cwr", "field-tcp-flags-cwr", "Congestion Window Reduced";
    TCP_FLAGS_ECE = "tcp.flags.ece", "field-tcp-flags-ece", "ECN-Echo";
    TCP_FLAGS_URG = "tcp.flags.urg", "field-tcp-flags-urg", "Urgent";
    TCP_FLAGS_ACK = "tcp.flags.ack", "field-tcp-flags-ack", "Acknowledgment";
    TCP_FLAGS_PUSH = "tcp.flags.push", "field-tcp-flags-push", "Push";
    TCP_FLAGS_RESET = "tcp.flags.reset", "field-tcp-flags-reset", "Reset";
    TCP_FLAGS_SYN = "tcp.flags.syn", "field-tcp-flags-syn", "Syn";
    TCP_FLAGS_FIN = "tcp.flags.fin", "field-tcp-flags-fin", "Fin";
    TCP_WINDOW = "tcp.window_size_value", "field-tcp-window", "Window";
    TCP_WINDOW_SIZE = "tcp.window_size", "field-tcp-window-size", "Calculated window size";
    TCP_CHECKSUM = "tcp.checksum", "field-tcp-checksum", "Checksum";
    TCP_CHECKSUM_STATUS = "tcp.checksum.status", "field-tcp-checksum-status", "Checksum Status";
    TCP_URGENT = "tcp.urgent_pointer", "field-tcp-urgent", "Urgent Pointer";
    TCP_OPTIONS = "tcp.options", "field-tcp-options", "TCP Options";
    TCP_OPT_EOL = "tcp.options.eol", "field-tcp-opt-eol", "End of Option List (EOL)";
    TCP_OPT_NOP = "tcp.options.nop", "field-tcp-opt-nop", "No-Operation (NOP)";
    TCP_OPT_MSS = "tcp.options.mss_val", "field-tcp-opt-mss", "Maximum segment size";
    TCP_OPT_WS = "tcp.options.wscale.shift", "field-tcp-opt-ws", "Window scale";
    TCP_OPT_SACK_PERM = "tcp.options.sack_perm", "field-tcp-opt-sack-perm", "SACK permitted";
    TCP_OPT_SACK = "tcp.options.sack", "field-tcp-opt-sack", "SACK";
    TCP_OPT_SACK_LE = "tcp.options.sack_le", "field-tcp-opt-sack-le", "TCP SACK Left Edge";
    TCP_OPT_SACK_RE = "tcp.options.sack_re", "field-tcp-opt-sack-re", "TCP SACK Right Edge";
    TCP_OPT_TS = "tcp.options.timestamp", "field-tcp-opt-ts", "Timestamps";
    TCP_OPT_TSVAL = "tcp.options.timestamp.tsval", "field-tcp-opt-tsval", "Timestamp value";
    TCP_OPT_TSECR = "tcp.options.timestamp.tsecr", "field-tcp-opt-tsecr", "Timestamp echo reply";
    TCP_OPT_OTHER = "tcp.options.unknown", "field-tcp-opt-other", "Unknown option";
    OPT_KIND = "tcp.option_kind", "field-opt-kind", "Kind";
    OPT_LEN = "tcp.option_len", "field-opt-len", "Length";
    DATA_DATA = "data.data", "field-data-data", "Data";
    DATA_TEXT = "data.text", "field-data-text", "Text";
    DATA_LEN = "data.len", "field-data-len", "Length";
}

/// Keys of all notes with their English text.
pub fn note_keys() -> &'static [(&'static str, &'static str)] {
    &[
        (NOTE_TRUNCATED, "The frame ends before this header does"),
        (NOTE_BAD_LENGTH, "A length field contradicts the number of octets there are"),
        (NOTE_BAD_CHECKSUM, "The checksum does not match the octets"),
        (NOTE_BAD_OPTION, "An option is malformed"),
        (NOTE_BAD_VERSION, "The version number is not the one the layer below announced"),
        (NOTE_FRAGMENT, "A fragment: the rest of the packet travels in other frames"),
        (NOTE_UNKNOWN, "A protocol that is not taken apart here"),
    ]
}

pub(crate) const NOTE_TRUNCATED: &str = "note-truncated";
pub(crate) const NOTE_BAD_LENGTH: &str = "note-bad-length";
pub(crate) const NOTE_BAD_CHECKSUM: &str = "note-bad-checksum";
pub(crate) const NOTE_BAD_OPTION: &str = "note-bad-option";
pub(crate) const NOTE_BAD_VERSION: &str = "note-bad-version";
pub(crate) const NOTE_FRAGMENT: &str = "note-fragment";
pub(crate) const NOTE_UNKNOWN: &str = "note-unknown-protocol";

/// Keys of all values that are words, with their English text. See [`crate::Field::value_key`].
pub fn value_keys() -> &'static [(&'static str, &'static str)] {
    &[
        (VALUE_SET.0, VALUE_SET.1),
        (VALUE_NOT_SET.0, VALUE_NOT_SET.1),
        (VALUE_GOOD.0, VALUE_GOOD.1),
        (VALUE_BAD.0, VALUE_BAD.1),
        (VALUE_UNVERIFIED.0, VALUE_UNVERIFIED.1),
        (VALUE_NONE.0, VALUE_NONE.1),
    ]
}

pub(crate) const VALUE_SET: (&str, &str) = ("value-set", "Set");
pub(crate) const VALUE_NOT_SET: (&str, &str) = ("value-not-set", "Not set");
pub(crate) const VALUE_GOOD: (&str, &str) = ("value-good", "Good");
pub(crate) const VALUE_BAD: (&str, &str) = ("value-bad", "Bad");
pub(crate) const VALUE_UNVERIFIED: (&str, &str) = ("value-unverified", "Unverified");
pub(crate) const VALUE_NONE: (&str, &str) = ("value-none", "None");
