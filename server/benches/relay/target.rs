//! What the subjects connect to: real TCP servers on loopback, one port for each kind. They count what arrives, so that
//! a figure is what came out at the far end and not what somebody has in a buffer.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// What a connection meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Reads and counts.
    Sink,
    /// Writes for ever.
    Source,
    /// Sends back.
    Echo,
    /// Writes one octet and holds the connection.
    Hold,
    /// Writes one octet and closes.
    Hello,
    /// Holds the connection and reads nothing.
    Deaf,
}

pub(crate) const SERVICES: [Service; 6] =
    [Service::Sink, Service::Source, Service::Echo, Service::Hold, Service::Hello, Service::Deaf];

/// All services.
#[derive(Clone)]
pub(crate) struct Targets {
    addresses: [SocketAddr; SERVICES.len()],
    /// Octets that the sink has read.
    pub(crate) sunk: Arc<AtomicU64>,
    held: Arc<Mutex<Vec<TcpStream>>>,
}

impl Targets {
    pub(crate) fn start() -> io::Result<Targets> {
        let (sunk, held) = (Arc::<AtomicU64>::default(), Arc::<Mutex<Vec<TcpStream>>>::default());
        let mut addresses = Vec::new();
        for service in SERVICES {
            let listener = listener()?;
            addresses.push(listener.local_addr()?);
            let (sunk, held) = (Arc::clone(&sunk), Arc::clone(&held));
            thread::spawn(move || serve(service, &listener, &sunk, &held));
        }
        let addresses = addresses.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(Targets { addresses, sunk, held })
    }

    pub(crate) fn address(&self, service: Service) -> SocketAddr {
        self.addresses[service as usize]
    }

    /// Lets go of what is held.
    pub(crate) fn release(&self) {
        if let Ok(mut held) = self.held.lock() {
            held.clear();
        }
    }
}

/// With a queue that a burst does not fill.
fn listener() -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

fn serve(service: Service, listener: &TcpListener, sunk: &Arc<AtomicU64>, held: &Mutex<Vec<TcpStream>>) {
    for tcp in listener.incoming() {
        // A connection that was reset before it was accepted, or no descriptor: the case shows it.
        let Ok(mut tcp) = tcp else { continue };
        drop(tcp.set_nodelay(true));
        let sunk = Arc::clone(sunk);
        match service {
            Service::Hello => drop(tcp.write_all(b"h")),
            Service::Hold | Service::Deaf => {
                if service == Service::Hold {
                    drop(tcp.write_all(b"h"));
                }
                if let Ok(mut held) = held.lock() {
                    held.push(tcp);
                }
            }
            Service::Sink => drop(thread::spawn(move || {
                let mut buffer = vec![0; 256 * 1024];
                while let Ok(octets @ 1..) = tcp.read(&mut buffer) {
                    sunk.fetch_add(octets as u64, Ordering::Relaxed);
                }
            })),
            Service::Source => drop(thread::spawn(move || {
                let block = vec![b'.'; 256 * 1024];
                while tcp.write_all(&block).is_ok() {}
            })),
            Service::Echo => drop(thread::spawn(move || {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(octets @ 1..) = tcp.read(&mut buffer) {
                    if tcp.write_all(&buffer[..octets]).is_err() {
                        break;
                    }
                }
            })),
        }
    }
}
