//! Fields of frames, Ethernet and ARP.

use super::fields;

fields! {
    FRAME_NUMBER = "frame.number", Frame, "field-frame-number", "Frame Number";
    FRAME_LEN = "frame.len", Dec, "field-frame-len", "Frame Length";
    FRAME_CAP_LEN = "frame.cap_len", Dec, "field-frame-cap-len", "Capture Length";
    FRAME_TIME_RELATIVE = "frame.time_relative", Time, "field-frame-time-relative", "Time since reference or first frame";
    FRAME_TIME_DELTA = "frame.time_delta", Time, "field-frame-time-delta", "Time delta from previous captured frame";
    ETH_DST = "eth.dst", Mac, "field-eth-dst", "Destination";
    ETH_SRC = "eth.src", Mac, "field-eth-src", "Source";
    ETH_ADDR = "eth.addr", Mac, "field-eth-addr", "Address";
    ETH_DST_LG = "eth.dst.lg", Bool, "field-eth-dst-lg", "LG bit";
    ETH_DST_IG = "eth.dst.ig", Bool, "field-eth-dst-ig", "IG bit";
    ETH_SRC_LG = "eth.src.lg", Bool, "field-eth-src-lg", "LG bit";
    ETH_SRC_IG = "eth.src.ig", Bool, "field-eth-src-ig", "IG bit";
    ETH_LG = "eth.lg", Bool, "field-eth-lg", "LG bit";
    ETH_IG = "eth.ig", Bool, "field-eth-ig", "IG bit";
    ETH_TYPE = "eth.type", Hex4, "field-eth-type", "Type";
    ETH_LEN = "eth.len", Dec, "field-eth-len", "Length";
    ETH_PADDING = "eth.padding", Bytes, "field-eth-padding", "Padding";
    ETH_TRAILER = "eth.trailer", Bytes, "field-eth-trailer", "Trailer";
    ARP_HW_TYPE = "arp.hw.type", Dec, "field-arp-hw-type", "Hardware type";
    ARP_PROTO_TYPE = "arp.proto.type", Hex4, "field-arp-proto-type", "Protocol type";
    ARP_HW_SIZE = "arp.hw.size", Dec, "field-arp-hw-size", "Hardware size";
    ARP_PROTO_SIZE = "arp.proto.size", Dec, "field-arp-proto-size", "Protocol size";
    ARP_OPCODE = "arp.opcode", Dec, "field-arp-opcode", "Opcode";
    ARP_GRATUITOUS = "arp.isgratuitous", Bool, "field-arp-isgratuitous", "Is gratuitous";
    ARP_PROBE = "arp.isprobe", Bool, "field-arp-isprobe", "Is probe";
    ARP_ANNOUNCEMENT = "arp.isannouncement", Bool, "field-arp-isannouncement", "Is announcement";
    ARP_SRC_HW = "arp.src.hw_mac", Mac, "field-arp-src-hw-mac", "Sender MAC address";
    ARP_SRC_PROTO = "arp.src.proto_ipv4", Ipv4, "field-arp-src-proto-ipv4", "Sender IP address";
    ARP_DST_HW = "arp.dst.hw_mac", Mac, "field-arp-dst-hw-mac", "Target MAC address";
    ARP_DST_PROTO = "arp.dst.proto_ipv4", Ipv4, "field-arp-dst-proto-ipv4", "Target IP address";
    ARP_DUPLICATE = "arp.duplicate-address-detected", None, "field-arp-duplicate-address-detected", "Duplicate IP address detected";
    ARP_DUPLICATE_FRAME = "arp.duplicate-address-frame", Frame, "field-arp-duplicate-address-frame", "Frame showing earlier use of IP address";
}
