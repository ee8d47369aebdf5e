//! Descriptors that travel in messages of AF_UNIX sockets (`SCM_RIGHTS`, unix(7)): the receiver gets new descriptors of
//! the same files. While they are on the way the message holds the files.
//!
//! In [`Control::data`] each descriptor is two numbers of 32 bits when it is sent, and three when it is received: the
//! descriptor; a word that the sender's process keeps with the file, which goes along; and another descriptor that the
//! receiver has for the same file already, or -1. A negative descriptor is a file that only the sender's process knows,
//! and comes out again there, or nowhere.
//!
//! A socket may be on the way in its own queue, or two in each other's: when no descriptor leads to them any more they
//! are closed, as by Linux's `unix_gc`.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::Body;
use super::control::{Control, MSG_CTRUNC};
use crate::call::{Fd, Pid, Ret};
use crate::errno::Errno;
use crate::event::SocketId;
use crate::host::Host;

const SOL_SOCKET: i32 = 1;
const SCM_RIGHTS: i32 = 1;
/// Linux `SCM_MAX_FD`.
const MOST: usize = 253;
/// `struct cmsghdr` on a machine of 64 bits, and the descriptors behind it.
const HEADER: usize = 16;
const ON_THE_WIRE: usize = 4;
/// A descriptor of a call, and of an answer, as above.
const SENT: usize = 8;
const RECEIVED: usize = 12;

/// A file on the way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Right {
    what: What,
    word: i32,
}

#[derive(Clone, Copy, Debug)]
enum What {
    File(SocketId),
    /// One that only this process knows, by this number.
    Foreign(Pid, i32),
}

impl Right {
    fn file(&self) -> Option<SocketId> {
        match self.what {
            What::File(file) => Some(file),
            What::Foreign(..) => None,
        }
    }
}

impl Host {
    /// Reads what sendmsg(2) was given (Linux `__scm_send`).
    pub(super) fn rights(&self, pid: Pid, control: &[Control]) -> Result<Vec<Right>, Errno> {
        let mut rights = Vec::new();
        for Control { kind, data, .. } in control.iter().filter(|control| control.level == SOL_SOCKET) {
            if *kind != SCM_RIGHTS {
                return Err(Errno::EINVAL);
            }
            for mut entry in data.chunks_exact(SENT) {
                let (number, word) = (entry.get_i32_le(), entry.get_i32_le());
                let what = match number {
                    ..0 => What::Foreign(pid, number),
                    _ => What::File(self.socket_of(pid, Fd(number)).ok_or(Errno::EBADF)?),
                };
                rights.push(Right { what, word });
            }
        }
        if rights.len() > MOST { Err(Errno::EINVAL) } else { Ok(rights) }
    }

    /// The rights go on their way to `receiver`, which holds them from now on. A file that only the sender knows can go
    /// to nobody but itself.
    pub(super) fn send_rights(
        &mut self,
        pid: Pid,
        receiver: SocketId,
        rights: &[Right],
    ) -> Result<(), Errno> {
        let mut foreign = rights.iter().filter(|right| matches!(right.what, What::Foreign(..)));
        let own = |files: &super::Files| files.iter().any(|(_, socket)| socket == receiver);
        if foreign.next().is_some() && !self.sockets.files.get(&pid).is_some_and(own) {
            return Err(Errno::EOPNOTSUPP);
        }
        for right in rights {
            if let What::File(file) = right.what
                && let Some(file) = self.sockets.get_mut(file)
            {
                file.refs += 1;
                self.sockets.in_flight += 1;
            }
        }
        Ok(())
    }

    /// Nobody will get them any more.
    pub(super) fn drop_rights(&mut self, rights: &[Right]) {
        for right in rights {
            if let What::File(file) = right.what {
                self.sockets.in_flight = self.sockets.in_flight.saturating_sub(1);
                self.unhold(self.clock, file);
            }
        }
    }

    /// Closes the sockets that are on the way and that nobody can ever receive. To be called when one has lost a holder.
    pub(super) fn collect_unreachable(&mut self) {
        // What each socket's queue leads to; a listener's are also those of the connections that wait at it.
        let mut leads_to = BTreeMap::<SocketId, Vec<SocketId>>::new();
        let mut on_the_way = BTreeMap::<SocketId, u32>::new();
        for (id, socket) in self.sockets.iter() {
            let Body::Unix(unix) = &socket.body else { continue };
            let files: Vec<SocketId> = unix.rights().filter_map(Right::file).collect();
            files.iter().for_each(|file| *on_the_way.entry(*file).or_default() += 1);
            leads_to.insert(id, unix.unaccepted().chain(files).collect());
        }
        let is_held = |id: &SocketId| {
            let ways = on_the_way.get(id).copied().unwrap_or(0);
            self.sockets.get(*id).is_some_and(|socket| socket.refs > ways)
        };
        let mut open: Vec<SocketId> = leads_to.keys().copied().filter(is_held).collect();
        let mut reached = BTreeSet::new();
        while let Some(id) = open.pop() {
            if reached.insert(id) {
                open.extend(leads_to.get(&id).into_iter().flatten());
            }
        }
        let lost = leads_to.into_keys().filter(|id| !reached.contains(id)).collect::<Vec<_>>();
        let rights: Vec<Right> =
            lost.into_iter().filter_map(|id| Some(self.unix_mut(id)?.take_rights())).flatten().collect();
        self.drop_rights(&rights);
    }

    /// The answer to a call that read `rights` with its octets (Linux `scm_detach_fds`). `room`: octets of buffer for
    /// ancillary data, if it was recvmsg(2). `peek`: the message stays, and its rights with it.
    pub(super) fn deliver_rights(
        &mut self,
        pid: Pid,
        (data, from, flags): (Bytes, Option<crate::addr::SockAddr>, i32),
        rights: &[Right],
        room: Option<usize>,
        peek: bool,
    ) -> Ret {
        if rights.is_empty() {
            return Ret::Data(data, from, flags);
        }
        let most = room.unwrap_or(0).saturating_sub(HEADER) / ON_THE_WIRE;
        let mut given = BytesMut::new();
        for right in rights.iter().take(most) {
            let (number, other) = match right.what {
                What::Foreign(owner, number) if owner == pid => (number, -1),
                What::Foreign(..) => break,
                What::File(file) => {
                    let files = self.sockets.files.get(&pid);
                    let other = files.and_then(|files| files.iter().find(|(_, socket)| *socket == file));
                    let other = other.map_or(-1, |(fd, _)| fd.0);
                    // EMFILE: those that there is room for.
                    let Some(fd) = self.open_fd(pid, file) else { break };
                    (fd.0, other)
                }
            };
            [number, right.word, other].into_iter().for_each(|n| given.put_i32_le(n));
        }
        if !peek {
            self.drop_rights(rights);
        }
        let short = if given.len() / RECEIVED < rights.len() { MSG_CTRUNC } else { 0 };
        let flags = flags | short;
        if room.is_none() {
            return Ret::Data(data, from, flags);
        }
        let control = Control { level: SOL_SOCKET, kind: SCM_RIGHTS, data: given.freeze() };
        let control = if control.data.is_empty() { Vec::new() } else { vec![control] };
        Ret::Message { data, from, flags, control }
    }
}
