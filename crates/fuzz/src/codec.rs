//! Wisp messages of any octets: what is read is what is written, an error lies inside the message, and the readers of
//! what a message carries (INFO's extensions, datagrams of a port) survive it.

use bytes::Bytes;
use socketlab_wisp::ext::{ClientTerms, ServerTerms, split_datagram};
use socketlab_wisp::{Offer, Packet};

fn check(message: Bytes) {
    let packet = match Packet::parse(message.clone()) {
        Ok(packet) => packet,
        Err(error) => {
            assert!(error.offset() <= message.len(), "{error} in {} octets", message.len());
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let written = packet.emit();
    // An address that is left out may have been written in several ways.
    if !matches!(packet, Packet::Ext { .. }) {
        assert_eq!(written, message, "{packet:?} is written otherwise");
    }
    assert_eq!(Packet::parse(written), Ok(packet.clone()), "what is written is read again");
    match &packet {
        Packet::Info { major, extensions, .. } => {
            for bits in 0..64u8 {
                let bit = |n: u8| bits & (1 << n) != 0;
                let offer = Offer {
                    udp: bit(0),
                    password: bit(1).then_some(bit(5)),
                    key: bit(2).then(|| (bit(5), Bytes::from_static(b"challenge"))),
                    motd: bit(3).then(|| "welcome".to_owned()),
                    confirm: bit(4),
                    ours: bit(5).then(ServerTerms::default),
                };
                let hello = offer.read(*major, extensions);
                assert!(!hello.udp || offer.udp, "nothing is agreed that was not offered");
                assert!(hello.ours.is_none() || offer.ours.is_some());
                check_written(offer.emit());
            }
            for extension in extensions {
                if let Some(terms) = ServerTerms::parse(&extension.metadata) {
                    assert_eq!(ServerTerms::parse(&terms.emit().metadata), Some(terms));
                }
                if let Some(terms) = ClientTerms::parse(&extension.metadata) {
                    assert_eq!(ClientTerms::parse(&terms.emit().metadata), Some(terms));
                }
            }
        }
        Packet::Data { bytes, .. } => {
            if let Ok((_, datagram)) = split_datagram(bytes) {
                assert!(datagram.len() < bytes.len());
            }
        }
        _ => {}
    }
}

fn check_written(packet: Packet) {
    assert_eq!(Packet::parse(packet.emit()), Ok(packet));
}

/// See the head of this file.
pub(crate) fn wisp_codec(data: &[u8]) {
    check(Bytes::copy_from_slice(data));
}
