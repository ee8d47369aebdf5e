//! The descriptor table of one process, and whose it is.

use crate::call::Fd;
use crate::event::SocketId;

/// Linux's default `RLIMIT_NOFILE`.
const LIMIT: usize = 1024;
/// Standard input, output and error are open.
const FIRST: usize = 3;

/// Descriptors of one process.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// `RLIMIT_NOFILE`: descriptors are below it.
    limit: usize,
    /// Descriptor `FIRST + i`.
    slots: Vec<Option<SocketId>>,
    /// Real, effective and saved user.
    users: [u32; 3],
    /// Standard input can be read without waiting.
    pub(crate) input: bool,
    /// The epoll objects that watch its standard streams.
    pub(crate) watchers: Vec<(SocketId, Fd)>,
}

impl Default for Files {
    fn default() -> Self {
        Files { limit: LIMIT, slots: Vec::new(), users: [0; 3], input: false, watchers: Vec::new() }
    }
}

impl Files {
    /// Whether the process may do what is for the superuser.
    pub(crate) fn is_superuser(&self) -> bool {
        self.users[1] == 0
    }

    /// setresuid(2). False: `EPERM`. Who is not the superuser may only become whom the process already is.
    pub(crate) fn set_users(&mut self, wanted: [Option<u32>; 3]) -> bool {
        let may = self.is_superuser() || wanted.iter().flatten().all(|user| self.users.contains(user));
        if may {
            for (user, wanted) in self.users.iter_mut().zip(wanted) {
                *user = wanted.unwrap_or(*user);
            }
        }
        may
    }

    /// Sets `RLIMIT_NOFILE`, if asked to; gives the one before. Descriptors that are open stay so.
    pub(crate) fn limit(&mut self, new: Option<usize>) -> usize {
        let new = new.unwrap_or(self.limit).min(LIMIT);
        core::mem::replace(&mut self.limit, new)
    }

    pub(crate) fn get(&self, fd: Fd) -> Option<SocketId> {
        let index = usize::try_from(fd.0).ok()?.checked_sub(FIRST)?;
        *self.slots.get(index)?
    }

    /// Whether so many more descriptors can be made.
    pub(crate) fn has_room(&self, count: usize) -> bool {
        let most = self.limit.saturating_sub(FIRST);
        let free = self.slots.iter().take(most).filter(|slot| slot.is_none()).count();
        free + most.saturating_sub(self.slots.len()) >= count
    }

    /// The lowest free descriptor (POSIX). None: `EMFILE`.
    pub(crate) fn open(&mut self, socket: SocketId) -> Option<Fd> {
        let index = match self.slots.iter().position(Option::is_none) {
            Some(index) if FIRST + index < self.limit => index,
            None if FIRST + self.slots.len() < self.limit => {
                self.slots.push(None);
                self.slots.len() - 1
            }
            _ => return None,
        };
        *self.slots.get_mut(index)? = Some(socket);
        i32::try_from(FIRST + index).ok().map(Fd)
    }

    pub(crate) fn close(&mut self, fd: Fd) -> Option<SocketId> {
        let index = usize::try_from(fd.0).ok()?.checked_sub(FIRST)?;
        self.slots.get_mut(index)?.take()
    }

    /// Open descriptors, the lowest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Fd, SocketId)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| Some((Fd(i32::try_from(FIRST + index).ok()?), (*slot)?)))
    }
}
