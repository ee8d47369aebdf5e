//! The generator's side of a WebSocket and of Wisp: just enough, and as cheap as can be, since it shares the machine
//! with what it measures. Outgoing frames are masked once and sent many times; of incoming ones only the first octets
//! are looked at.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

use bytes::Bytes;
use socketlab_wisp::{Packet, StreamId, StreamKind};

/// Any but zero, so that the far side has to unmask.
const MASK: [u8; 4] = [0x5a, 0x17, 0xc3, 0x88];

/// Octets of a message that are kept.
const KEPT: usize = 16;

/// A binary message as a client sends it (RFC 6455 5.2).
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = vec![0x82];
    match message.len() {
        octets @ 0..126 => out.push(0x80 | octets as u8),
        octets @ 126..65_536 => {
            out.push(0x80 | 126);
            out.extend((octets as u16).to_be_bytes());
        }
        octets => {
            out.push(0x80 | 127);
            out.extend((octets as u64).to_be_bytes());
        }
    }
    out.extend(MASK);
    out.extend(message.iter().zip(MASK.iter().cycle()).map(|(octet, mask)| octet ^ mask));
    out
}

/// The beginning of a message, and how long all of it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    head: [u8; KEPT],
    pub(crate) octets: usize,
}

impl Message {
    /// The Wisp packet, if its first octets tell all of it; DATA comes without its octets.
    pub(crate) fn packet(&self) -> io::Result<Packet> {
        let bytes = Bytes::copy_from_slice(&self.head[..self.octets.min(KEPT)]);
        Packet::parse(bytes).map_err(io::Error::other)
    }
}

/// Reads messages.
pub(crate) struct Reader {
    tcp: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// Opens a WebSocket: the way to write (frames, as [`frame`] makes them), and to read.
pub(crate) fn open(to: SocketAddr, path: &str) -> io::Result<(TcpStream, Reader)> {
    let mut tcp = TcpStream::connect(to)?;
    tcp.set_nodelay(true)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {to}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    tcp.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        tcp.read_exact(&mut octet)?;
        head.extend(octet);
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        return Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()));
    }
    let reader = Reader { tcp: tcp.try_clone()?, buffer: vec![0; 256 * 1024], start: 0, end: 0 };
    Ok((tcp, reader))
}

impl Reader {
    /// What takes longer is an error.
    pub(crate) fn patience(&self, longest: std::time::Duration) -> io::Result<()> {
        self.tcp.set_read_timeout(Some(longest))
    }

    /// Gives its memory back: nothing more is expected.
    pub(crate) fn forget(&mut self) {
        (self.buffer, self.start, self.end) = (Vec::new(), 0, 0);
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start.., 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let octets = self.tcp.read(&mut self.buffer[self.end..])?;
        if octets == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.end += octets;
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        loop {
            if let Some(octets) = self.buffer[self.start..self.end].first_chunk::<N>().copied() {
                self.start += N;
                return Ok(octets);
            }
            self.fill()?;
        }
    }

    /// The next data message; its frames are put together.
    pub(crate) fn next(&mut self) -> io::Result<Message> {
        let mut message = Message { head: [0; KEPT], octets: 0 };
        loop {
            let [first, second] = self.take()?;
            let mut left = match second & 0x7f {
                126 => usize::from(u16::from_be_bytes(self.take()?)),
                127 => u64::from_be_bytes(self.take()?) as usize,
                octets => usize::from(octets),
            };
            let is_data = first & 0x0f < 8;
            if first & 0x0f == 8 {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            while left > 0 {
                if self.start == self.end {
                    self.fill()?;
                }
                let here = left.min(self.end - self.start);
                if is_data && message.octets < KEPT {
                    let kept = here.min(KEPT - message.octets);
                    message.head[message.octets..message.octets + kept]
                        .copy_from_slice(&self.buffer[self.start..self.start + kept]);
                }
                if is_data {
                    message.octets += here;
                }
                self.start += here;
                left -= here;
            }
            if is_data && first & 0x80 != 0 {
                return Ok(message);
            }
        }
    }
}

/// CONNECT, framed.
pub(crate) fn connect(stream: u32, to: SocketAddr) -> Vec<u8> {
    let (kind, port, host) = (StreamKind::Tcp, to.port(), to.ip().to_string());
    frame(&Packet::Connect { stream: StreamId(stream), kind, port, host }.emit())
}

/// DATA of so many octets, framed.
pub(crate) fn data(stream: u32, octets: usize) -> Vec<u8> {
    let bytes = Bytes::from(vec![b'.'; octets]);
    frame(&Packet::Data { stream: StreamId(stream), bytes }.emit())
}

/// Reads the greeting: the credit of every stream.
pub(crate) fn greeting(reader: &mut Reader) -> io::Result<u32> {
    match reader.next()?.packet()? {
        Packet::Continue { stream: StreamId::CONNECTION, credit } => Ok(credit),
        other => Err(io::Error::other(format!("no greeting but {other:?}"))),
    }
}
