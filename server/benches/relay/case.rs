//! What is measured, one function each.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use socketlab_wisp::{Packet, Reason, StreamId};

use crate::{
    client::{Reader, connect, data, frame, greeting, open},
    subject::{Carrier, Subject},
    target::{Service, Targets},
};

/// Octets of one write or one message: what most clients send.
const BLOCK: usize = 16 * 1024;

/// Octets of an echo.
const SMALL: usize = 64;

/// Before anything is measured.
const WARM_UP: Duration = Duration::from_millis(700);

/// Connections that are opened at the same time.
const OPENERS: u32 = 32;

/// How often a writer without credit looks whether it is over.
const LOOK: Duration = Duration::from_millis(50);

/// A case that waits for something that never comes fails after so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Threads that work until they are told to stop.
#[derive(Default)]
struct Work {
    stop: Arc<AtomicBool>,
    sockets: Vec<TcpStream>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Work {
    fn add(
        &mut self,
        socket: &TcpStream,
        work: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        self.sockets.push(socket.try_clone()?);
        self.threads.push(thread::spawn(work));
        Ok(())
    }

    /// An error if one of them failed before it was told to stop.
    fn end(self) -> Result<()> {
        let early = self.threads.iter().any(JoinHandle::is_finished);
        self.stop.store(true, Ordering::Relaxed);
        for socket in &self.sockets {
            // The far side may have been faster.
            drop(socket.shutdown(Shutdown::Both));
        }
        for thread in self.threads {
            let result = thread.join().map_err(|_| anyhow::anyhow!("a thread of the generator panicked"))?;
            if early {
                result.context("a connection broke while it was measured")?;
            }
        }
        Ok(())
    }
}

/// MB per second, and seconds of processor time per GB.
fn rate(subject: &Subject, counter: &AtomicU64, seconds: f64) -> [f64; 2] {
    sleep(WARM_UP);
    let (start, before, cpu) = (Instant::now(), counter.load(Ordering::Relaxed), subject.cpu());
    sleep(Duration::from_secs_f64(seconds));
    let octets = (counter.load(Ordering::Relaxed) - before) as f64;
    let cpu = subject.cpu() - cpu;
    [octets / 1e6 / start.elapsed().as_secs_f64(), cpu / (octets / 1e9)]
}

/// Bulk to the target.
pub(crate) fn up(subject: &Subject, targets: &Targets, streams: u32, seconds: f64) -> Result<[f64; 2]> {
    let mut work = Work::default();
    let front = subject.front(Service::Sink);
    match subject.carrier {
        Carrier::Wisp => {
            let (writer, mut reader) = open(front, subject.path(Service::Sink))?;
            let first = greeting(&mut reader)?;
            let credits = Arc::new((Mutex::new(vec![first; streams as usize]), Condvar::new()));
            let theirs = Arc::clone(&credits);
            work.add(&writer, move || {
                loop {
                    match reader.next()?.packet()? {
                        Packet::Continue { stream, credit } => {
                            let mut list = theirs.0.lock().unwrap_or_else(PoisonError::into_inner);
                            if let Some(mine) = list.get_mut(stream.0 as usize - 1) {
                                *mine = credit;
                            }
                            theirs.1.notify_one();
                        }
                        other => return Err(io::Error::other(format!("{other:?}"))),
                    }
                }
            })?;
            let (to, mut tcp) = (targets.address(Service::Sink), writer.try_clone()?);
            let stop = Arc::clone(&work.stop);
            work.add(&writer, move || {
                (1..=streams).try_for_each(|stream| tcp.write_all(&connect(stream, to)))?;
                send_within(&mut tcp, streams, &credits, &stop)
            })?;
        }
        _ => {
            for _ in 0..streams {
                let is_ws = subject.carrier == Carrier::WebSocket;
                let (mut tcp, reader) = dial(subject, Service::Sink)?;
                let block = if is_ws { frame(&[b'.'; BLOCK]) } else { vec![b'.'; BLOCK] };
                let socket = tcp.try_clone()?;
                work.add(&socket, move || {
                    let _reader = reader;
                    loop {
                        tcp.write_all(&block)?;
                    }
                })?;
            }
        }
    }
    let figures = rate(subject, &targets.sunk, seconds);
    work.end()?;
    Ok(figures)
}

/// Sends on all streams in turn, as far as their credit goes.
fn send_within(
    tcp: &mut TcpStream,
    streams: u32,
    credits: &(Mutex<Vec<u32>>, Condvar),
    stop: &AtomicBool,
) -> io::Result<()> {
    let frames: Vec<Vec<u8>> = (1..=streams).map(|stream| data(stream, BLOCK)).collect();
    loop {
        let take: Vec<u32> = {
            let mut list = credits.0.lock().unwrap_or_else(PoisonError::into_inner);
            while list.iter().all(|credit| *credit == 0) {
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                list = credits.1.wait_timeout(list, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            }
            list.iter_mut()
                .map(|credit| {
                    let some = (*credit).min(4);
                    *credit -= some;
                    some
                })
                .collect()
        };
        for (frame, some) in frames.iter().zip(take) {
            for _ in 0..some {
                tcp.write_all(frame)?;
            }
        }
    }
}

/// A connection of its own; for a WebSocket with the reader of its frames.
fn dial(subject: &Subject, service: Service) -> io::Result<(TcpStream, Option<Reader>)> {
    if subject.carrier == Carrier::WebSocket {
        let (tcp, reader) = open(subject.front(service), subject.path(service))?;
        return Ok((tcp, Some(reader)));
    }
    let tcp = TcpStream::connect(subject.front(service))?;
    tcp.set_nodelay(true)?;
    Ok((tcp, None))
}

/// Reads whatever comes: how many octets of the stream.
fn read_some(tcp: &mut TcpStream, reader: Option<&mut Reader>, buffer: &mut [u8]) -> io::Result<usize> {
    match reader {
        Some(reader) => reader.next().map(|message| message.octets),
        None => match tcp.read(buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            octets => Ok(octets),
        },
    }
}

/// Starts to read a connection of its own for ever.
fn drain(subject: &Subject, work: &mut Work, counter: &Arc<AtomicU64>) -> Result<()> {
    let (mut tcp, mut reader) = dial(subject, Service::Source)?;
    let (socket, counter) = (tcp.try_clone()?, Arc::clone(counter));
    work.add(&socket, move || {
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let octets = read_some(&mut tcp, reader.as_mut(), &mut buffer)?;
            counter.fetch_add(octets as u64, Ordering::Relaxed);
        }
    })?;
    Ok(())
}

/// Bulk from the target.
pub(crate) fn down(subject: &Subject, targets: &Targets, streams: u32, seconds: f64) -> Result<[f64; 2]> {
    let mut work = Work::default();
    let counter = Arc::<AtomicU64>::default();
    if subject.carrier == Carrier::Wisp {
        let (mut writer, mut reader) = open(subject.front(Service::Source), subject.path(Service::Source))?;
        greeting(&mut reader)?;
        for stream in 1..=streams {
            writer.write_all(&connect(stream, targets.address(Service::Source)))?;
        }
        let counted = Arc::clone(&counter);
        work.add(&writer, move || {
            loop {
                counted.fetch_add(reader.next()?.octets as u64, Ordering::Relaxed);
            }
        })?;
    } else {
        for _ in 0..streams {
            drain(subject, &mut work, &counter)?;
        }
    }
    let figures = rate(subject, &counter, seconds);
    work.end()?;
    Ok(figures)
}

/// How long 64 octets take to the target and back, alone or beside a download: median and 99th percentile in
/// microseconds, and the download's MB per second.
pub(crate) fn echo(subject: &Subject, targets: &Targets, beside: bool, seconds: f64) -> Result<[f64; 3]> {
    let mut work = Work::default();
    let counter = Arc::<AtomicU64>::default();
    let mut times = Vec::new();
    let long = Duration::from_secs_f64(seconds);
    let start;
    if subject.carrier == Carrier::Wisp {
        let (mut writer, mut reader) = open(subject.front(Service::Echo), subject.path(Service::Echo))?;
        reader.patience(PATIENCE)?;
        greeting(&mut reader)?;
        writer.write_all(&connect(1, targets.address(Service::Echo)))?;
        if beside {
            writer.write_all(&connect(2, targets.address(Service::Source)))?;
        }
        let small = data(1, SMALL);
        let mut sent = Instant::now();
        start = sent;
        writer.write_all(&small)?;
        while start.elapsed() < WARM_UP + long {
            let message = reader.next()?;
            match message.packet()? {
                Packet::Data { stream: StreamId(1), .. } => {
                    if start.elapsed() > WARM_UP {
                        times.push(sent.elapsed());
                    }
                    sent = Instant::now();
                    writer.write_all(&small)?;
                }
                Packet::Data { .. } => drop(counter.fetch_add(message.octets as u64, Ordering::Relaxed)),
                Packet::Continue { .. } => {}
                other => anyhow::bail!("{other:?}"),
            }
        }
    } else {
        if beside {
            drain(subject, &mut work, &counter)?;
        }
        let (mut tcp, mut reader) = dial(subject, Service::Echo)?;
        let small = if reader.is_some() { frame(&[b'.'; SMALL]) } else { vec![b'.'; SMALL] };
        let mut buffer = [0; SMALL];
        start = Instant::now();
        while start.elapsed() < WARM_UP + long {
            let sent = Instant::now();
            tcp.write_all(&small)?;
            let mut octets = 0;
            while octets < SMALL {
                octets += read_some(&mut tcp, reader.as_mut(), &mut buffer)?;
            }
            if start.elapsed() > WARM_UP {
                times.push(sent.elapsed());
            }
        }
    }
    let background = counter.load(Ordering::Relaxed) as f64 / 1e6 / start.elapsed().as_secs_f64();
    work.end()?;
    times.sort_unstable();
    let at = |part: f64| {
        times.get((times.len() as f64 * part) as usize).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
    };
    Ok([at(0.5), at(0.99), background])
}

/// Streams opened per second, until the target's first octet is there, and microseconds of processor time for each.
pub(crate) fn opens(subject: &Subject, targets: &Targets, seconds: f64) -> Result<[f64; 2]> {
    let opened = Arc::<AtomicU64>::default();
    let mut work = Work::default();
    if subject.carrier == Carrier::Wisp {
        let (mut writer, mut reader) = open(subject.front(Service::Hello), subject.path(Service::Hello))?;
        greeting(&mut reader)?;
        let to = targets.address(Service::Hello);
        let (socket, counter) = (writer.try_clone()?, Arc::clone(&opened));
        work.add(&socket, move || {
            let mut stream = OPENERS;
            (1..=OPENERS).try_for_each(|stream| writer.write_all(&connect(stream, to)))?;
            loop {
                match reader.next()?.packet()? {
                    Packet::Data { .. } => {
                        counter.fetch_add(1, Ordering::Relaxed);
                        stream += 1;
                        writer.write_all(&connect(stream, to))?;
                    }
                    Packet::Close { reason, .. } if reason != Reason::VOLUNTARY => {
                        return Err(io::Error::other(reason.to_string()));
                    }
                    _ => {}
                }
            }
        })?;
    } else {
        let probe = TcpStream::connect(targets.address(Service::Hold))?;
        for _ in 0..OPENERS {
            let (front, path) = (subject.front(Service::Hello), subject.path(Service::Hello).to_owned());
            let (carrier, counter, stop) = (subject.carrier, Arc::clone(&opened), Arc::clone(&work.stop));
            work.add(&probe, move || {
                while !stop.load(Ordering::Relaxed) {
                    if carrier == Carrier::WebSocket {
                        open(front, &path)?.1.next()?;
                    } else {
                        TcpStream::connect(front)?.read_exact(&mut [0])?;
                    }
                    counter.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })?;
        }
    }
    sleep(WARM_UP / 2);
    let (start, before, cpu) = (Instant::now(), opened.load(Ordering::Relaxed), subject.cpu());
    sleep(Duration::from_secs_f64(seconds));
    let count = (opened.load(Ordering::Relaxed) - before) as f64;
    let cpu = subject.cpu() - cpu;
    let per_s = count / start.elapsed().as_secs_f64();
    // What is on its way at the end may break.
    drop(work.end());
    Ok([per_s, cpu * 1e6 / count])
}

/// KiB of memory for each of so many streams that are open and silent.
pub(crate) fn idle(subject: &Subject, targets: &Targets, streams: u32) -> Result<[f64; 1]> {
    let mut held = Vec::new();
    // The first one's cost is the process's.
    let before;
    if subject.carrier == Carrier::Wisp {
        let (mut writer, mut reader) = open(subject.front(Service::Hold), subject.path(Service::Hold))?;
        reader.patience(PATIENCE)?;
        greeting(&mut reader)?;
        let to = targets.address(Service::Hold);
        before = subject.memory();
        let (mut asked, mut there) = (0, 0);
        while there < streams {
            while asked < streams && asked - there < OPENERS {
                asked += 1;
                writer.write_all(&connect(asked, to))?;
            }
            match reader.next()?.packet()? {
                Packet::Data { .. } => there += 1,
                Packet::Continue { .. } => {}
                other => anyhow::bail!("after {there} streams: {other:?}"),
            }
        }
        held.push((writer, Some(reader)));
    } else {
        held.push(dial(subject, Service::Hold)?);
        before = subject.memory();
        for _ in 0..streams {
            let (mut tcp, mut reader) = dial(subject, Service::Hold)?;
            read_some(&mut tcp, reader.as_mut(), &mut [0])?;
            if let Some(reader) = &mut reader {
                reader.forget();
            }
            held.push((tcp, reader));
        }
    }
    let octets = subject.memory().saturating_sub(before) as f64;
    targets.release();
    Ok([octets / 1024.0 / f64::from(streams)])
}

/// The four robustness cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// The client stops reading a download.
    NotRead,
    /// The target never reads, and the client does not care for its credit.
    Deaf,
    /// The stream is closed in the middle of a download; the target goes on.
    Closed,
    /// The connection is dropped in the middle of a download; the target goes on.
    Dropped,
}

pub(crate) const TRIALS: [(Trial, &str); 4] = [
    (Trial::NotRead, "client stops reading"),
    (Trial::Deaf, "target never reads, credit ignored"),
    (Trial::Closed, "stream closed in mid-download"),
    (Trial::Dropped, "connection dropped in mid-download"),
];

/// MB by which the subject grows.
pub(crate) fn growth(subject: &Subject, targets: &Targets, trial: Trial, seconds: f64) -> Result<[f64; 1]> {
    let before = subject.memory();
    let service = if trial == Trial::Deaf { Service::Deaf } else { Service::Source };
    let mut work = Work::default();
    let (mut tcp, mut reader) = match subject.carrier {
        Carrier::Wisp => {
            let (mut tcp, mut reader) = open(subject.front(service), subject.path(service))?;
            greeting(&mut reader)?;
            tcp.write_all(&connect(1, targets.address(service)))?;
            (tcp, Some(reader))
        }
        _ => dial(subject, service)?,
    };
    let mut held = None;
    if trial != Trial::Deaf {
        let (mut octets, mut buffer) = (0, vec![0; BLOCK]);
        while octets < 20_000_000 {
            octets += read_some(&mut tcp, reader.as_mut(), &mut buffer)?;
        }
    }
    match trial {
        Trial::NotRead => held = Some((tcp, reader)),
        Trial::Deaf => {
            let block = match subject.carrier {
                Carrier::Wisp => data(1, BLOCK),
                Carrier::WebSocket => frame(&[b'.'; BLOCK]),
                Carrier::Tcp => vec![b'.'; BLOCK],
            };
            let socket = tcp.try_clone()?;
            // Blocked, or cut off: both are right.
            work.add(&socket, move || {
                while tcp.write_all(&block).is_ok() {}
                Ok(())
            })?;
        }
        Trial::Closed => {
            let close = match subject.carrier {
                Carrier::Wisp => {
                    frame(&Packet::Close { stream: StreamId(1), reason: Reason::VOLUNTARY }.emit())
                }
                // A close frame without a reason, masked with zeros.
                Carrier::WebSocket => vec![0x88, 0x80, 0, 0, 0, 0],
                Carrier::Tcp => Vec::new(),
            };
            tcp.write_all(&close)?;
            held = Some((tcp, reader));
        }
        Trial::Dropped => drop((tcp, reader)),
    }
    let start = Instant::now();
    let mut most = 0;
    while start.elapsed().as_secs_f64() < seconds {
        most = most.max(subject.memory());
        sleep(Duration::from_millis(100));
    }
    drop(held);
    drop(work.end());
    targets.release();
    Ok([most.saturating_sub(before) as f64 / 1e6])
}
