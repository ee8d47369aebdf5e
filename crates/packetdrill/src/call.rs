//! System calls: from a script's line to the host's [`Call`], and from its answer back to what the script expects.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;
use socketlab_stack::{Call, Failure, Fd, HostSnapshot, Ret, SockAddr};

use crate::connection::{Stream, octets};
use crate::constants::{
    MSG_DONTWAIT, MSG_OOB, MSG_PEEK, MSG_TRUNC, O_NONBLOCK, O_RDWR, constant, errno, value,
};
use crate::epoll::Epoll;
use crate::script::{Expr, SystemCall};
use crate::{Comparison, Trouble};

/// The port both ends use where a script writes `...`, as in the original.
pub(crate) const PORT: u16 = 8080;

/// `SIOCATMARK` (tcp(7)).
const SIOCATMARK: i64 = 0x8905;

/// The program's open descriptors, by the numbers the script gives them.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    open: BTreeMap<i64, File>,
    epolls: BTreeMap<i64, Epoll>,
    v6: bool,
    /// What `...` stands for in bind(2), and in connect(2).
    local: IpAddr,
    remote: IpAddr,
}

#[derive(Clone, Copy, Debug)]
struct File {
    fd: Fd,
    stream: bool,
    nonblocking: bool,
    /// Octets of the stream written and read so far.
    written: u64,
    read: u64,
    /// An urgent octet was read out of band: the stream goes on without it.
    urgent: bool,
}

/// What a line of the script asks for.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// A call to the host.
    Host(Call),
    /// A call that the interpreter answers itself, with this result.
    Answer(i64),
    /// As `Answer`, with an errno's symbol.
    Refused(&'static str),
}

/// A call's result: a number, or an errno's symbol.
type Answer = Result<i64, &'static str>;

impl Files {
    /// No descriptors yet. `ends`: the host's address and the far side's.
    pub(crate) fn new(v6: bool, (local, remote): (IpAddr, IpAddr)) -> Files {
        Files { open: BTreeMap::new(), epolls: BTreeMap::new(), v6, local, remote }
    }

    /// The host's call for a line of the script.
    pub(crate) fn lower(
        &mut self,
        line: usize,
        call: &SystemCall,
        host: &HostSnapshot,
    ) -> Result<Wanted, Trouble> {
        let args = Args { line, call };
        let wanted = match call.name.as_str() {
            "socket" => {
                let usual = if self.v6 { 10 } else { 2 };
                let family = if args.at(0)? == &Expr::Ellipsis { usual } else { args.int(0)? };
                if !matches!(family, 2 | 10) {
                    return Err(Trouble::lacking(line, "sockets other than AF_INET and AF_INET6"));
                }
                let kind = args.int::<i32>(1)? & !(0o4000 | 0o2000000);
                Call::Socket { family, kind, protocol: args.int(2)? }
            }
            "bind" => Call::Bind { fd: self.fd(&args)?, addr: args.address(1, self.local)? },
            "listen" => Call::Listen { fd: self.fd(&args)?, backlog: args.int(1)? },
            "accept" => Call::Accept { fd: self.fd(&args)?, timeout: self.timeout(&args, 0)? },
            "connect" => {
                let addr = args.address(1, self.remote)?;
                Call::Connect { fd: self.fd(&args)?, addr, timeout: self.timeout(&args, 0)? }
            }
            "read" | "recv" | "recvfrom" | "readv" | "recvmsg" => {
                let (len, flags) = args.lengths()?;
                Call::Recv { fd: self.fd(&args)?, len, flags, timeout: self.timeout(&args, flags)? }
            }
            "write" | "send" | "sendto" | "writev" | "sendmsg" => self.send(&args)?,
            "close" if self.epolls.contains_key(&args.int(0)?) => return Ok(Wanted::Answer(0)),
            "close" => Call::Close { fd: self.fd(&args)? },
            "shutdown" => Call::Shutdown { fd: self.fd(&args)?, how: args.int(1)? },
            "getsockopt" => {
                let (level, name) = (args.int(1)?, args.int(2)?);
                let len = if args.at(3)?.field("onoff").is_some() { 8 } else { 4 };
                Call::GetSockOpt { fd: self.fd(&args)?, level, name, len }
            }
            "setsockopt" => {
                let (level, name) = (args.int(1)?, args.int(2)?);
                Call::SetSockOpt { fd: self.fd(&args)?, level, name, value: args.option(3)? }
            }
            "poll" => self.poll(&args)?,
            "epoll_create" | "epoll_create1" => {
                let number = value(&call.result).filter(|number| *number >= 0);
                let number = number.ok_or_else(|| Trouble::lacking(line, "epoll_create without a result"))?;
                self.epolls.insert(number, Epoll::default());
                return Ok(Wanted::Answer(number));
            }
            "epoll_ctl" => return self.epoll_ctl(&args),
            "epoll_wait" => {
                let epoll = self.epolls.get_mut(&args.int(0)?);
                let epoll = epoll.ok_or_else(|| Trouble::wrong(line, "no such epoll descriptor"))?;
                let timeout: i64 = args.int(3)?;
                let timeout = u64::try_from(timeout).ok().map(Duration::from_millis);
                Call::Poll { fds: epoll.questions(&host.sockets), timeout }
            }
            "fcntl" => return self.fcntl(&args).map(Wanted::Answer),
            "ioctl" if args.int::<i64>(1)? == SIOCATMARK => {
                Call::Ioctl { fd: self.fd(&args)?, request: 0x8905 }
            }
            "ioctl" => return self.ioctl(&args, host).map(Wanted::Answer),
            name => return Err(Trouble::lacking(line, format!("the system call {name}"))),
        };
        Ok(Wanted::Host(wanted))
    }

    fn file(&self, args: &Args<'_>) -> Result<&File, Trouble> {
        let fd: i64 = args.int(0)?;
        self.open.get(&fd).ok_or_else(|| Trouble::wrong(args.line, format!("descriptor {fd} is not open")))
    }

    /// The host's descriptor. One that the script has closed is passed on as it is, for the host to refuse.
    fn fd(&self, args: &Args<'_>) -> Result<Fd, Trouble> {
        let fd: i32 = args.int(0)?;
        Ok(self.open.get(&i64::from(fd)).map_or(Fd(fd), |file| file.fd))
    }

    /// How long the call may block.
    fn timeout(&self, args: &Args<'_>, flags: i32) -> Result<Option<Duration>, Trouble> {
        let fd: i64 = args.int(0)?;
        let nonblocking =
            flags & MSG_DONTWAIT != 0 || self.open.get(&fd).is_some_and(|file| file.nonblocking);
        Ok(nonblocking.then_some(Duration::ZERO))
    }

    fn send(&self, args: &Args<'_>) -> Result<Call, Trouble> {
        let (len, flags) = args.lengths()?;
        let fd: i64 = args.int(0)?;
        let from = self.open.get(&fd).filter(|file| file.stream).map_or(0, |file| file.written);
        let data = Bytes::from(octets(Stream::Sent, from, len));
        let (fd, timeout) = (self.fd(args)?, self.timeout(args, flags)?);
        let unconnected = args.call.name == "sendto"
            && !matches!(args.at(4)?, Expr::Word(w) if w == "NULL")
            && args.int::<i64>(4).is_err();
        let stream = self.open.get(&args.int(0)?).is_some_and(|file| file.stream);
        if unconnected && !stream {
            return Ok(Call::SendTo { fd, data, flags, addr: args.address(4, self.remote)?, timeout });
        }
        Ok(Call::Send { fd, data, flags, timeout })
    }

    fn poll(&self, args: &Args<'_>) -> Result<Call, Trouble> {
        let Expr::List(items) = args.at(0)? else { return Err(args.strange(0)) };
        let mut fds = Vec::new();
        for item in items {
            let (Some(fd), Some(events)) =
                (item.field("fd").and_then(value), item.field("events").and_then(value))
            else {
                return Err(args.strange(0));
            };
            let events = u16::try_from(events).map_err(|_| args.strange(0))?;
            let fd = self.open.get(&fd).map(|file| file.fd).ok_or_else(|| args.strange(0))?;
            fds.push((fd, events));
        }
        let timeout: i64 = args.int(2)?;
        Ok(Call::Poll { fds, timeout: u64::try_from(timeout).ok().map(Duration::from_millis) })
    }

    fn epoll_ctl(&mut self, args: &Args<'_>) -> Result<Wanted, Trouble> {
        let fd: i64 = args.int(2)?;
        let host = self.open.get(&fd).map_or(Fd(-1), |file| file.fd);
        let operation = args.int(1)?;
        let events = match args.at(3) {
            Ok(expr) => expr.field("events").and_then(value).unwrap_or(0),
            Err(_) => 0,
        };
        let epoll = self.epolls.get_mut(&args.int(0)?);
        let epoll = epoll.ok_or_else(|| Trouble::wrong(args.line, "no such epoll descriptor"))?;
        Ok(match epoll.control(operation, fd, host, events) {
            Ok(()) => Wanted::Answer(0),
            Err(errno) => Wanted::Refused(errno),
        })
    }

    fn fcntl(&self, args: &Args<'_>) -> Result<i64, Trouble> {
        let file = self.file(args)?;
        match args.int::<i64>(1)? {
            3 if file.nonblocking => Ok(O_RDWR | O_NONBLOCK),
            3 => Ok(O_RDWR),
            4 => Ok(0),
            _ => Err(Trouble::lacking(args.line, "this fcntl command")),
        }
    }

    /// `SIOCINQ` and `SIOCOUTQ` (tcp(7)), from the same snapshot that ss(8) shows.
    fn ioctl(&self, args: &Args<'_>, host: &HostSnapshot) -> Result<i64, Trouble> {
        let file = self.file(args)?;
        let socket = host.sockets.iter().find(|s| s.owners.iter().any(|(_, fd)| *fd == file.fd));
        let socket = socket.ok_or_else(|| Trouble::wrong(args.line, "the host shows no such socket"))?;
        let found = match args.int::<i64>(1)? {
            0x541b => socket.recv_queue,
            0x5411 => socket.send_queue,
            _ => return Err(Trouble::lacking(args.line, "this ioctl request")),
        };
        let wanted: i64 = args.int(2)?;
        if usize::try_from(wanted) == Ok(found) {
            return Ok(0);
        }
        Err(Trouble::wrong(args.line, format!("ioctl gives {found}, not {wanted}")))
    }

    /// Compares the host's answer with the script, and remembers descriptors and how far streams got.
    pub(crate) fn handle_answer(
        &mut self,
        line: usize,
        call: &SystemCall,
        answer: &Result<Ret, Failure>,
        how: Comparison,
    ) -> Result<(), Trouble> {
        let args = Args { line, call };
        let number = match answer {
            Err(Failure::Errno(errno, _)) => Err(errno.name()),
            Err(Failure::TimedOut) => Err("EAGAIN"),
            Ok(ret) => Ok(self.number(&args, ret, how)?),
        };
        check(&args, number)
    }

    /// A call that the interpreter refused.
    pub(crate) fn handle_refusal(
        &self,
        line: usize,
        call: &SystemCall,
        errno: &'static str,
    ) -> Result<(), Trouble> {
        check(&Args { line, call }, Err(errno))
    }

    /// As for a call the interpreter answered itself.
    pub(crate) fn handle_own_answer(
        &mut self,
        line: usize,
        call: &SystemCall,
        answer: i64,
    ) -> Result<(), Trouble> {
        let args = Args { line, call };
        if let ("close", Ok(fd)) = (call.name.as_str(), args.int(0)) {
            let fd: i64 = fd;
            self.epolls.remove(&fd);
        }
        if call.name == "fcntl" && args.int::<i64>(1)? == 4 {
            let fd: i64 = args.int(0)?;
            let nonblocking = args.int::<i64>(2)? & O_NONBLOCK != 0;
            if let Some(file) = self.open.get_mut(&fd) {
                file.nonblocking = nonblocking;
            }
        }
        check(&args, Ok(answer))
    }

    /// What the C function would return.
    fn number(&mut self, args: &Args<'_>, ret: &Ret, how: Comparison) -> Result<i64, Trouble> {
        let wanted = value(&args.call.result);
        match ret {
            Ret::Fd(fd) | Ret::Accepted(fd, _) => {
                let number = wanted.filter(|w| *w >= 0).unwrap_or(i64::from(fd.0));
                let kind: i64 = if args.call.name == "socket" { args.int(1)? } else { 1 };
                let nonblocking = args.call.name == "socket" && kind & O_NONBLOCK != 0;
                let stream = kind & 0xf == 1;
                self.open.insert(
                    number,
                    File { fd: *fd, stream, nonblocking, written: 0, read: 0, urgent: false },
                );
                Ok(number)
            }
            Ret::Len(mark) if args.call.name == "ioctl" => {
                let wanted: usize = args.int(2)?;
                if wanted == *mark {
                    return Ok(0);
                }
                Err(Trouble::wrong(args.line, format!("ioctl gives {mark}, not {wanted}")))
            }
            Ret::Len(len) => {
                let fd: i64 = args.int(0)?;
                if let Some(file) = self.open.get_mut(&fd) {
                    file.written += *len as u64;
                }
                Ok(i64::try_from(*len).unwrap_or(i64::MAX))
            }
            Ret::Data(data, _, _) => self.data(args, data),
            Ret::Opt(bytes) => {
                if how == Comparison::Exact
                    || args.call.args.get(2) == Some(&Expr::Word("SO_ERROR".to_owned()))
                {
                    args.compare_option(bytes)?;
                }
                Ok(0)
            }
            Ret::Ready(ready) if args.call.name == "epoll_wait" => self.epoll_ready(args, ready),
            Ret::Ready(ready) => self.ready(args, ready),
            Ret::Unit if args.call.name == "close" => {
                let fd = args.int(0)?;
                self.open.remove(&fd);
                self.epolls.values_mut().for_each(|epoll| epoll.forget(fd));
                Ok(0)
            }
            _ => Ok(0),
        }
    }

    /// Octets read must be those that were sent.
    fn data(&mut self, args: &Args<'_>, data: &Bytes) -> Result<i64, Trouble> {
        let (_, flags) = args.lengths()?;
        let fd: i64 = args.int(0)?;
        let Some(file) = self.open.get_mut(&fd) else { return Ok(0) };
        if flags & MSG_OOB != 0 {
            file.urgent = true;
            return Ok(i64::try_from(data.len()).unwrap_or(i64::MAX));
        }
        let mut from = if file.stream { file.read } else { 0 };
        let expected = |from| octets(Stream::Received, from, data.len());
        if file.urgent && data.as_ref() != expected(from) {
            file.urgent = false;
            from += 1;
            file.read += 1;
        }
        if flags & MSG_TRUNC == 0 && data.as_ref() != expected(from) {
            return Err(Trouble::wrong(args.line, "the octets read are not those that were sent"));
        }
        if flags & MSG_PEEK == 0 {
            file.read += data.len() as u64;
        }
        Ok(i64::try_from(data.len()).unwrap_or(i64::MAX))
    }

    fn ready(&self, args: &Args<'_>, ready: &[(Fd, u16)]) -> Result<i64, Trouble> {
        let Expr::List(items) = args.at(0)? else { return Err(args.strange(0)) };
        for item in items {
            let (Some(fd), Some(wanted)) =
                (item.field("fd").and_then(value), item.field("revents").and_then(value))
            else {
                continue;
            };
            let host_fd = self.open.get(&fd).map(|file| file.fd);
            let found = ready.iter().find(|(f, _)| Some(*f) == host_fd).map_or(0, |(_, events)| *events);
            if i64::from(found) != wanted {
                return Err(Trouble::wrong(
                    args.line,
                    format!("poll gives revents {found:#x}, not {wanted:#x}, for {fd}"),
                ));
            }
        }
        Ok(i64::try_from(ready.len()).unwrap_or(i64::MAX))
    }
}

impl Files {
    fn epoll_ready(&mut self, args: &Args<'_>, ready: &[(Fd, u16)]) -> Result<i64, Trouble> {
        let (number, most): (i64, usize) = (args.int(0)?, args.int(2)?);
        let Some(epoll) = self.epolls.get_mut(&number) else { return Err(args.strange(0)) };
        let found = epoll.report(ready, most);
        let wanted = match args.at(1)? {
            Expr::List(items) => items.iter().collect(),
            one => vec![one],
        };
        for ((fd, events), wanted) in found.iter().zip(wanted) {
            let same_fd = wanted.field("fd").and_then(value).is_none_or(|wanted| wanted == *fd);
            let wanted = wanted.field("events").and_then(value).unwrap_or(*events);
            if !same_fd || wanted != *events {
                return Err(Trouble::wrong(
                    args.line,
                    format!("epoll_wait gives {events:#x} for {fd}, not {wanted:#x}"),
                ));
            }
        }
        Ok(i64::try_from(found.len()).unwrap_or(i64::MAX))
    }
}

fn check(args: &Args<'_>, answer: Answer) -> Result<(), Trouble> {
    let call = args.call;
    let wanted = value(&call.result);
    let right = match (answer, &call.errno) {
        (Ok(number), _) => call.result == Expr::Ellipsis || wanted == Some(number),
        (Err(name), Some(symbol)) => wanted == Some(-1) && errno(symbol) == name,
        (Err(_), None) => call.result == Expr::Ellipsis || wanted == Some(-1),
    };
    if right {
        return Ok(());
    }
    if wanted.is_none() && call.result != Expr::Ellipsis {
        return Err(Trouble::lacking(args.line, "a result that is not a number"));
    }
    let found = match answer {
        Ok(number) => number.to_string(),
        Err(name) => format!("-1 {name}"),
    };
    let wanted = match (wanted, &call.errno) {
        (Some(number), Some(symbol)) => format!("{number} {symbol}"),
        (Some(number), None) => number.to_string(),
        (None, _) => "...".to_owned(),
    };
    Err(Trouble::wrong(args.line, format!("{} returns {found}, not {wanted}", call.name)))
}

/// A line's arguments.
struct Args<'a> {
    line: usize,
    call: &'a SystemCall,
}

impl Args<'_> {
    fn at(&self, index: usize) -> Result<&Expr, Trouble> {
        let missing = || Trouble::wrong(self.line, format!("{} needs more arguments", self.call.name));
        self.call.args.get(index).ok_or_else(missing)
    }

    fn strange(&self, index: usize) -> Trouble {
        Trouble::lacking(self.line, format!("argument {} of {}", index + 1, self.call.name))
    }

    fn int<T: TryFrom<i64>>(&self, index: usize) -> Result<T, Trouble> {
        let expr = self.at(index)?;
        if let Expr::Word(name) = expr
            && constant(name).is_none()
        {
            return Err(Trouble::lacking(self.line, format!("the constant {name}")));
        }
        let number = value(expr).ok_or_else(|| self.strange(index))?;
        T::try_from(number).map_err(|_| Trouble::wrong(self.line, format!("{number} is out of range")))
    }

    /// Octets and flags of a call that reads or writes.
    fn lengths(&self) -> Result<(usize, i32), Trouble> {
        match self.call.name.as_str() {
            "read" | "write" => Ok((self.int(2)?, 0)),
            "readv" | "writev" => Ok((self.vectors(self.at(1)?)?, 0)),
            "recvmsg" | "sendmsg" => {
                let vectors = self.at(1)?.field("msg_iov").ok_or_else(|| self.strange(1))?;
                Ok((self.vectors(vectors)?, self.int(2)?))
            }
            _ => Ok((self.int(2)?, self.int(3)?)),
        }
    }

    /// The sum of `[{..., 100}, {..., 200}]`.
    fn vectors(&self, expr: &Expr) -> Result<usize, Trouble> {
        let Expr::List(items) = expr else { return Err(self.strange(1)) };
        items.iter().try_fold(0, |sum, item| match item {
            Expr::Struct(parts) => {
                let len = parts.get(1).and_then(value).and_then(|l| usize::try_from(l).ok());
                Ok(sum + len.ok_or_else(|| self.strange(1))?)
            }
            _ => Err(self.strange(1)),
        })
    }

    /// `...`, or `{sa_family = AF_INET, sin_port = htons(8080), sin_addr = inet_addr("192.0.2.1")}`.
    fn address(&self, index: usize, usual: IpAddr) -> Result<SockAddr, Trouble> {
        let expr = self.at(index)?;
        if expr == &Expr::Ellipsis {
            return Ok(SockAddr::Ip(SocketAddr::new(usual, PORT)));
        }
        let port = expr.field("sin_port").and_then(value).and_then(|p| u16::try_from(p).ok());
        let address = match expr.field("sin_addr") {
            Some(Expr::Apply(name, args)) if name == "inet_addr" => match args.as_slice() {
                [Expr::Text(text)] => text.parse().ok(),
                _ => None,
            },
            Some(Expr::Word(word)) if word == "INADDR_ANY" => Some(Ipv4Addr::UNSPECIFIED),
            _ => None,
        };
        let (Some(port), Some(address)) = (port, address) else { return Err(self.strange(index)) };
        Ok(SockAddr::Ip(SocketAddr::new(IpAddr::V4(address), port)))
    }

    /// An option's value as it lies in memory.
    fn option(&self, index: usize) -> Result<Bytes, Trouble> {
        let expr = self.at(index)?;
        let numbers = match expr {
            Expr::Text(text) => return Ok(Bytes::copy_from_slice(text.as_bytes())),
            Expr::List(items) => items.iter().map(value).collect::<Option<Vec<_>>>(),
            Expr::Struct(_) if expr.field("onoff").is_some() => {
                ["onoff", "linger"].iter().map(|f| expr.field(f).and_then(value)).collect()
            }
            _ => value(expr).map(|v| vec![v]),
        };
        let numbers = numbers.ok_or_else(|| self.strange(index))?;
        // Ints have 32 bits; a script may write a negative or an unsigned one.
        Ok(numbers.iter().flat_map(|n| n.to_le_bytes().into_iter().take(4)).collect())
    }

    fn compare_option(&self, found: &Bytes) -> Result<(), Trouble> {
        let expr = self.at(3)?;
        let anything =
            matches!(expr, Expr::Ellipsis) || matches!(expr, Expr::List(items) if items == &[Expr::Ellipsis]);
        if anything || self.option(3)? == found {
            return Ok(());
        }
        let ints: Vec<String> = found
            .chunks(4)
            .map(|c| c.iter().rev().fold(0u32, |n, b| n << 8 | u32::from(*b)).to_string())
            .collect();
        Err(Trouble::wrong(self.line, format!("the option's value is [{}]", ints.join(", "))))
    }
}
