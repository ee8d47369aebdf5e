//! What a client hears of the relay, and why it opens no stream.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::{
    ext::Answer,
    packet::{Reason, StreamId},
};

/// What the relay did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// The relay's greeting came: streams may flow.
    Ready {
        /// Packets each TCP stream may send before it must wait.
        credit: u32,
    },
    /// The stream is connected to its target (UDP: at once).
    Opened {
        /// Which.
        stream: StreamId,
    },
    /// So many more octets may be given to [`crate::Client::send`].
    Writable {
        /// Which.
        stream: StreamId,
        /// Octets that left the stream's buffer since the last such event.
        octets: usize,
    },
    /// Octets, or one datagram, from the target.
    Data {
        /// Which.
        stream: StreamId,
        /// What came.
        bytes: Bytes,
    },
    /// The stream is over in both directions, and forgotten. Never reported for a stream that was closed from here.
    Closed {
        /// Which.
        stream: StreamId,
        /// Why. [`Reason::VOLUNTARY`] is the target's end of file.
        reason: Reason,
        /// It had been [`ClientEvent::Opened`]: `false` says that the target was never reached.
        opened: bool,
    },
    /// The relay's welcome message.
    Motd {
        /// For a person to read; as the relay wrote it.
        text: String,
    },
    /// Our extension: the addresses of the stream's real socket; follows [`ClientEvent::Opened`].
    Addresses {
        /// Which.
        stream: StreamId,
        /// The relay's end.
        local: SocketAddr,
        /// The target's.
        remote: SocketAddr,
    },
    /// Our extension: the port that was asked for is open.
    Listening {
        /// Which.
        stream: StreamId,
        /// Where on the relay.
        local: SocketAddr,
    },
    /// Our extension: somebody connected to a port. The new stream is open.
    Accepted {
        /// The port.
        listener: StreamId,
        /// The new stream.
        stream: StreamId,
        /// Who connected.
        remote: SocketAddr,
        /// The relay's end.
        local: SocketAddr,
    },
    /// Our extension: a datagram came to a UDP port.
    Datagram {
        /// The port.
        stream: StreamId,
        /// Who sent it.
        from: SocketAddr,
        /// What came.
        bytes: Bytes,
    },
    /// Our extension: the target sends no more. The other direction stays open.
    Finished {
        /// Which.
        stream: StreamId,
    },
    /// Our extension: what went wrong with a stream (its [`ClientEvent::Closed`] follows), or, for stream 0 and for
    /// streams that go on, which limit bites.
    Trouble {
        /// Which.
        stream: StreamId,
        /// Linux's number.
        errno: u16,
        /// For a person.
        text: String,
    },
    /// Our extension: the answer to [`crate::Client::ask`].
    Answered {
        /// The question's number.
        question: u32,
        /// What the relay says.
        answer: Answer,
    },
    /// The relay ended the whole connection; each stream was reported as closed.
    Ended {
        /// Why.
        reason: Reason,
    },
}

impl ClientEvent {
    /// Which stream it is about; none: the whole connection.
    pub(crate) fn stream(&self) -> Option<StreamId> {
        match *self {
            ClientEvent::Opened { stream }
            | ClientEvent::Writable { stream, .. }
            | ClientEvent::Data { stream, .. }
            | ClientEvent::Addresses { stream, .. }
            | ClientEvent::Listening { stream, .. }
            | ClientEvent::Accepted { stream, .. }
            | ClientEvent::Datagram { stream, .. }
            | ClientEvent::Finished { stream }
            | ClientEvent::Trouble { stream, .. }
            | ClientEvent::Closed { stream, .. } => Some(stream),
            ClientEvent::Ready { .. }
            | ClientEvent::Motd { .. }
            | ClientEvent::Answered { .. }
            | ClientEvent::Ended { .. } => None,
        }
    }
}

/// Why a stream cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The WebSocket is gone or the relay has ended the connection: make a new [`crate::Client`].
    #[error("the connection to the relay has ended")]
    Ended,
    /// This relay has no UDP, or (for ports and questions) not our extension.
    #[error("this relay does not offer it")]
    NotOffered,
}
