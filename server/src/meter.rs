//! What a connection, an address and the whole server may use: streams at a time, new streams per second, octets per
//! second. Every limit is a count or a bucket that time refills; who finds it empty is refused or waits, and is told.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::settings::Scope;

/// Refills by the second, and holds one second's worth.
#[derive(Debug)]
struct Bucket {
    level: f64,
    at: Instant,
}

impl Bucket {
    fn new() -> Bucket {
        Bucket { level: f64::INFINITY, at: Instant::now() }
    }

    fn refill(&mut self, per_s: f64) {
        let now = Instant::now();
        let gained = now.duration_since(self.at).as_secs_f64() * per_s;
        (self.level, self.at) = ((self.level + gained).min(per_s), now);
    }

    /// One, if it is there.
    fn try_take(&mut self, per_s: u32) -> bool {
        self.refill(f64::from(per_s));
        if self.level < 1.0 {
            return false;
        }
        self.level -= 1.0;
        true
    }

    /// So many, even if they are not there: then how long to wait until they would be.
    fn take(&mut self, octets: usize, per_s: u64) -> Duration {
        let per_s = per_s as f64;
        self.refill(per_s);
        self.level -= octets as f64;
        Duration::from_secs_f64((-self.level / per_s).max(0.0))
    }
}

/// The use of one connection, address or server.
#[derive(Debug)]
pub(crate) struct Meter {
    streams: AtomicUsize,
    connections: AtomicUsize,
    opens: Mutex<Bucket>,
    octets: Mutex<Bucket>,
}

impl Default for Meter {
    fn default() -> Meter {
        Meter {
            streams: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            opens: Mutex::new(Bucket::new()),
            octets: Mutex::new(Bucket::new()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which limit bites. `Display` is a sentence for the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Over {
    #[error("{0} may have {1} streams open at a time, and has")]
    Streams(&'static str, usize),
    #[error("{0} may open {1} streams per second, and has; try again in a second")]
    Opens(&'static str, u32),
}

impl Over {
    /// For the metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Over::Streams(..) => "streams",
            Over::Opens(..) => "opens_per_second",
        }
    }
}

/// Holds one stream in the counts of a connection, its address and the server.
#[derive(Debug)]
pub(crate) struct StreamPermit(Meters);

impl Drop for StreamPermit {
    fn drop(&mut self) {
        for meter in self.0.all() {
            meter.streams.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The three meters of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    pub(crate) connection: Arc<Meter>,
    pub(crate) address: Arc<Meter>,
    pub(crate) server: Arc<Meter>,
}

/// Who a limit is for, in sentences.
const WHO: [&str; 3] = ["one page", "one address", "this relay"];

impl Meters {
    fn all(&self) -> [&Arc<Meter>; 3] {
        [&self.connection, &self.address, &self.server]
    }

    /// One more stream, if all three limits allow it.
    pub(crate) fn open(&self, limits: [Scope; 3]) -> Result<StreamPermit, Over> {
        for ((meter, scope), who) in self.all().into_iter().zip(limits).zip(WHO) {
            if let Some(most) = scope.streams.filter(|most| meter.streams.load(Ordering::Relaxed) >= *most) {
                return Err(Over::Streams(who, most));
            }
        }
        for ((meter, scope), who) in self.all().into_iter().zip(limits).zip(WHO) {
            if let Some(per_s) = scope.opens_per_s.filter(|per_s| !lock(&meter.opens).try_take(*per_s)) {
                return Err(Over::Opens(who, per_s));
            }
        }
        for meter in self.all() {
            meter.streams.fetch_add(1, Ordering::Relaxed);
        }
        Ok(StreamPermit(self.clone()))
    }

    /// Counts octets that were moved. How long to wait before the next, and whose limit that is.
    pub(crate) fn moved(&self, octets: usize, limits: [Scope; 3]) -> Option<(Duration, &'static str, u64)> {
        let waits = self.all().into_iter().zip(limits).zip(WHO).filter_map(|((meter, scope), who)| {
            let per_s = scope.octets_per_s?;
            let wait = lock(&meter.octets).take(octets, per_s);
            (!wait.is_zero()).then_some((wait, who, per_s))
        });
        waits.max_by_key(|(wait, ..)| *wait)
    }
}

/// What each address uses, and how often it named a wrong code.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    meters: Mutex<HashMap<IpAddr, Arc<Meter>>>,
    wrong: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

/// Wrong codes that an address may name in [`WRONG_WINDOW`]. Choices: a class that mistypes behind one address gets
/// through, and a million guesses take two months.
const MOST_WRONG: u32 = 20;
const WRONG_WINDOW: Duration = Duration::from_secs(100);
/// Addresses that are remembered for wrong codes.
const MOST_REMEMBERED: usize = 10_000;

/// One WebSocket in the counts of its address and the server.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    address: Arc<Meter>,
    server: Arc<Meter>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.address.connections.fetch_sub(1, Ordering::Relaxed);
        self.server.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ConnectionPermit {
    /// The meters of the connection that this lets in.
    pub(crate) fn meters(&self) -> Meters {
        Meters {
            connection: Arc::default(),
            address: Arc::clone(&self.address),
            server: Arc::clone(&self.server),
        }
    }
}

impl Addresses {
    /// Lets one more WebSocket in; the error says which number is reached, and whether it is the address's.
    pub(crate) fn connect(
        &self,
        peer: IpAddr,
        server: &Arc<Meter>,
        most: usize,
        most_per_address: usize,
    ) -> Result<ConnectionPermit, (usize, bool)> {
        let mut meters = lock(&self.meters);
        if !meters.contains_key(&network(peer)) {
            // Nobody uses these any more.
            meters.retain(|_, meter| Arc::strong_count(meter) > 1);
        }
        let address = Arc::clone(meters.entry(network(peer)).or_default());
        if server.connections.load(Ordering::Relaxed) >= most {
            return Err((most, false));
        }
        if address.connections.load(Ordering::Relaxed) >= most_per_address {
            return Err((most_per_address, true));
        }
        server.connections.fetch_add(1, Ordering::Relaxed);
        address.connections.fetch_add(1, Ordering::Relaxed);
        Ok(ConnectionPermit { address, server: Arc::clone(server) })
    }

    /// May this address name a code at all?
    pub(crate) fn may_try(&self, peer: IpAddr) -> bool {
        let wrong = lock(&self.wrong);
        wrong
            .get(&network(peer))
            .is_none_or(|(count, since)| *count < MOST_WRONG || since.elapsed() >= WRONG_WINDOW)
    }

    /// It named a wrong one.
    pub(crate) fn was_wrong(&self, peer: IpAddr) {
        let mut wrong = lock(&self.wrong);
        if wrong.len() >= MOST_REMEMBERED {
            wrong.retain(|_, (_, since)| since.elapsed() < WRONG_WINDOW);
        }
        let entry = wrong.entry(network(peer)).or_insert_with(|| (0, Instant::now()));
        if entry.1.elapsed() >= WRONG_WINDOW {
            *entry = (0, Instant::now());
        }
        entry.0 += 1;
    }
}

/// One customer has a whole /64 of IPv6 (RFC 6177), so that is one address here.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => {
            let bits = v6.to_bits() & !u128::from(u64::MAX);
            IpAddr::from(std::net::Ipv6Addr::from_bits(bits))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meters() -> Meters {
        Meters { connection: Arc::default(), address: Arc::default(), server: Arc::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn each_of_three_scopes_can_be_the_one_that_bites() {
        for (at, who) in WHO.into_iter().enumerate() {
            let meters = meters();
            let mut limits = [Scope::default(); 3];
            limits[at].streams = Some(2);
            let held = [meters.open(limits).unwrap(), meters.open(limits).unwrap()];
            assert_eq!(meters.open(limits).unwrap_err(), Over::Streams(who, 2));
            drop(held);
            assert!(meters.open(limits).is_ok());

            let mut limits = [Scope::default(); 3];
            limits[at].opens_per_s = Some(3);
            for _ in 0..3 {
                meters.open(limits).unwrap();
            }
            assert_eq!(meters.open(limits).unwrap_err(), Over::Opens(who, 3));
            tokio::time::advance(Duration::from_millis(340)).await;
            assert!(meters.open(limits).is_ok());
            assert!(meters.open(limits).is_err());

            let mut limits = [Scope::default(); 3];
            limits[at].octets_per_s = Some(1000);
            assert_eq!(meters.moved(1000, limits), None);
            let (wait, whose, per_s) = meters.moved(500, limits).unwrap();
            assert_eq!((wait.as_millis(), whose, per_s), (500, who, 1000));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_codes_are_counted_by_address_and_forgiven() {
        let addresses = Addresses::default();
        let [one, other]: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
        for _ in 0..MOST_WRONG {
            assert!(addresses.may_try(one));
            addresses.was_wrong(one);
        }
        assert!(!addresses.may_try(one));
        assert!(addresses.may_try(other));
        tokio::time::advance(WRONG_WINDOW).await;
        assert!(addresses.may_try(one));
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::2:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
