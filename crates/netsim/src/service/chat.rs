//! A chat room over TCP, as the first one that students write: lines of text that end with a newline. The first line
//! is one's name; every other line goes to all the others as `name: text`.

use std::collections::BTreeMap;

use bytes::Bytes;
use socketlab_stack::Fd;

use super::reactor::Out;

/// Longest line. A choice; who sends a longer one is put out, so that nobody fills the room's memory.
const MAX_LINE: usize = 4096;

#[derive(Clone, Debug, Default)]
struct Guest {
    name: Option<String>,
    /// A line that is not complete.
    begun: Vec<u8>,
}

/// The room.
#[derive(Clone, Debug, Default)]
pub(super) struct Chat {
    guests: BTreeMap<Fd, Guest>,
}

impl Chat {
    pub(super) fn opened(&mut self, connection: Fd) -> Vec<Out> {
        self.guests.insert(connection, Guest::default());
        vec![Out::Send(connection, Bytes::from_static(b"Your name?\n"))]
    }

    pub(super) fn data(&mut self, connection: Fd, data: &Bytes) -> Vec<Out> {
        let mut out = Vec::new();
        for octet in data.iter() {
            let Some(guest) = self.guests.get_mut(&connection) else { break };
            if *octet != b'\n' {
                guest.begun.push(*octet);
                if guest.begun.len() > MAX_LINE {
                    out.extend(self.ended(connection));
                    out.push(Out::Close(connection));
                }
                continue;
            }
            let line = core::mem::take(&mut guest.begun);
            let text = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            match &guest.name {
                None => {
                    guest.name = Some(text.clone());
                    out.extend(self.tell_others(connection, &format!("* {text} is here\n")));
                }
                Some(name) => {
                    let line = format!("{name}: {text}\n");
                    out.extend(self.tell_others(connection, &line));
                }
            }
        }
        out
    }

    pub(super) fn ended(&mut self, connection: Fd) -> Vec<Out> {
        match self.guests.remove(&connection).and_then(|guest| guest.name) {
            Some(name) => self.tell_others(connection, &format!("* {name} has left\n")),
            None => Vec::new(),
        }
    }

    fn tell_others(&self, connection: Fd, line: &str) -> Vec<Out> {
        let others = self.guests.iter().filter(|(fd, guest)| **fd != connection && guest.name.is_some());
        others.map(|(fd, _)| Out::Send(*fd, Bytes::copy_from_slice(line.as_bytes()))).collect()
    }
}
