//! A run as octets: all that came from outside, and how many events of the queue there were between. Whoever has the
//! same lab gets the same run from it, without any program: on another machine, in a page, in a test.
//!
//! It is a sequence of tuples in Python's `marshal` (as the programs' messages are): the name of what happened, then
//! its arguments.
//!
//! | tuple | what happened |
//! |---|---|
//! | `socketlab-run`, version | the beginning |
//! | `steps`, how many | events of the queue |
//! | `start` | [`World::start`] |
//! | `message`, pid, octets | [`World::handle_message`] |
//! | `exited`, pid, status | [`World::exited`] |
//! | `typed`, pid, text | [`World::stdin`] |
//! | `advance`, ns | [`World::advance_to`] |
//! | the names of [`GatewayEvent`], their fields | [`World::handle_gateway`] |
//! | `end`, hash | [`TraceHash`] of all records |

use bytes::Bytes;
use socketlab_stack::{Instant, Pid};

use super::Input;
use crate::abi::AbiError;
use crate::gateway::{FlowId, GatewayEvent, PortId};
use crate::marshal::{Reader, Value, write};
use crate::record::{GatewayFact, TraceHash};
use crate::world::{Turn, World};

const VERSION: i64 = 1;

/// The log of a run, while it is written.
#[derive(Clone, Debug)]
pub struct RunLog {
    octets: Vec<u8>,
    steps: i64,
}

impl Default for RunLog {
    fn default() -> Self {
        let mut log = RunLog { octets: Vec::new(), steps: 0 };
        log.put("socketlab-run", [Value::Int(VERSION)]);
        log
    }
}

impl RunLog {
    /// [`World::step`].
    pub fn step(&mut self) {
        self.steps += 1;
    }

    /// [`World::start`].
    pub fn start(&mut self) {
        self.put("start", []);
    }

    /// [`World::handle_message`].
    pub fn message(&mut self, pid: Pid, message: &[u8]) {
        self.put("message", [pid_value(pid), Value::Bytes(message.to_vec())]);
    }

    /// [`World::exited`].
    pub fn exited(&mut self, pid: Pid, status: i32) {
        self.put("exited", [pid_value(pid), Value::Int(status.into())]);
    }

    /// [`World::stdin`].
    pub fn typed(&mut self, pid: Pid, text: &str) {
        self.put("typed", [pid_value(pid), Value::Str(text.to_owned())]);
    }

    /// [`World::advance_to`].
    pub fn advance_to(&mut self, at: Instant) {
        self.put("advance", [Value::Int(i64::try_from(at.as_nanos()).unwrap_or(i64::MAX))]);
    }

    /// [`World::handle_gateway`].
    pub fn gateway(&mut self, event: &GatewayEvent) {
        let flow = |flow: &FlowId| Value::Int(flow.0.into());
        let port = |port: &PortId| Value::Int(port.0.into());
        let fact = |fact: &GatewayFact| Value::Str(format!("{fact:?}"));
        let octets = |octets: &u64| Value::Int(i64::try_from(*octets).unwrap_or(i64::MAX));
        match event {
            GatewayEvent::Opened { flow: f } => self.put("opened", [flow(f)]),
            GatewayEvent::Listening { port: p, address } => {
                self.put("listening", [port(p), Value::Str(address.to_string())]);
            }
            GatewayEvent::NotListening { port: p, fact: f } => self.put("not-listening", [port(p), fact(f)]),
            GatewayEvent::Accepted { port: p, flow: f, remote } => {
                self.put("accepted", [port(p), flow(f), Value::Str(remote.to_string())]);
            }
            GatewayEvent::Failed { flow: f, fact: why } => self.put("failed", [flow(f), fact(why)]),
            GatewayEvent::Echoed { flow: f } => self.put("echoed", [flow(f)]),
            GatewayEvent::Addresses { flow: f, addresses } => {
                let addresses = addresses.iter().map(|address| Value::Str(address.to_string())).collect();
                self.put("addresses", [flow(f), Value::List(addresses)]);
            }
            GatewayEvent::Data { flow: f, bytes } => {
                self.put("data", [flow(f), Value::Bytes(bytes.to_vec())])
            }
            GatewayEvent::Finished { flow: f } => self.put("finished", [flow(f)]),
            GatewayEvent::Closed { flow: f, reset } => self.put("closed", [flow(f), Value::Bool(*reset)]),
            GatewayEvent::Writable { flow: f, octets: n } => self.put("writable", [flow(f), octets(n)]),
        }
    }

    /// Octets that [`RunLog::take`] would give.
    #[expect(clippy::len_without_is_empty, reason = "a log is never of interest for being empty")]
    pub fn len(&self) -> usize {
        self.octets.len()
    }

    /// What has been written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.octets)
    }

    /// The rest, with the hash of all that was recorded.
    pub fn finish(mut self, records: &TraceHash) -> Vec<u8> {
        self.put("end", [Value::Int(records.value().cast_signed())]);
        self.octets
    }

    fn put<const N: usize>(&mut self, name: &str, arguments: [Value; N]) {
        if self.steps > 0 {
            let steps = core::mem::take(&mut self.steps);
            self.put("steps", [Value::Int(steps)]);
        }
        let items = core::iter::once(Value::Str(name.to_owned())).chain(arguments).collect();
        write(&mut self.octets, &Value::Tuple(items));
    }
}

fn pid_value(pid: Pid) -> Value {
    Value::Int(pid.0.into())
}

/// How a run went the second time.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// At its end.
    pub world: World,
    /// Of all records of this time.
    pub hash: u64,
    /// Of those of the first time.
    pub logged: u64,
}

/// Does again to `world`, which has just been built, what a log says.
///
/// # Errors
/// If it is no log, or a program in it says something that is no message now.
pub fn replay(mut world: World, log: &[u8]) -> Result<Replayed, AbiError> {
    let mut reader = Reader::new(log, 0);
    let mut hash = TraceHash::default();
    loop {
        let mut entry = Entry::read(&mut reader)?;
        match entry.name.clone().as_str() {
            "socketlab-run" => {
                if entry.int()? != VERSION {
                    return entry.error("a version that is known");
                }
            }
            "steps" => {
                for _ in 0..entry.int()? {
                    if world.next_at().is_none() || matches!(world.turn(), Turn::Process(_)) {
                        return entry.error("an event in the queue");
                    }
                    world.step();
                    forget(&mut world, &mut hash);
                }
            }
            "end" => {
                let logged = entry.int()?.cast_unsigned();
                return Ok(Replayed { world, hash: hash.value(), logged });
            }
            _ => {
                let input = entry.input()?;
                match &input {
                    Input::Message(pid, message) => world.handle_message(*pid, message)?,
                    input => input.apply(&mut world),
                }
                forget(&mut world, &mut hash);
            }
        }
    }
}

/// Nobody is there to hear what the world has to say.
fn forget(world: &mut World, hash: &mut TraceHash) {
    while world.poll_output().is_some() {}
    world.drain_records().iter().for_each(|record| hash.push(record));
}

/// One tuple of a log.
struct Entry {
    at: usize,
    name: String,
    rest: std::vec::IntoIter<Value>,
}

impl Entry {
    fn read(reader: &mut Reader<'_>) -> Result<Entry, AbiError> {
        let at = reader.at();
        let mut rest = match reader.value()? {
            Value::Tuple(items) => items.into_iter(),
            other => {
                return Err(AbiError { at, what: format!("expected a tuple, found {}", other.type_name()) });
            }
        };
        let mut entry = Entry { at, name: String::new(), rest: Vec::new().into_iter() };
        entry.name = match rest.next() {
            Some(Value::Str(name)) => name,
            _ => return entry.error("a name"),
        };
        entry.rest = rest;
        Ok(entry)
    }

    fn error<T>(&self, missed: &str) -> Result<T, AbiError> {
        Err(AbiError { at: self.at, what: format!("{:?} needs {missed}", self.name) })
    }

    fn int(&mut self) -> Result<i64, AbiError> {
        match self.rest.next() {
            Some(Value::Int(n)) => Ok(n),
            _ => self.error("an integer"),
        }
    }

    fn u32(&mut self) -> Result<u32, AbiError> {
        let n = self.int()?;
        u32::try_from(n).or_else(|_| self.error("a number of 32 bits"))
    }

    fn octets(&mut self) -> Result<Bytes, AbiError> {
        match self.rest.next() {
            Some(Value::Bytes(octets)) => Ok(octets.into()),
            _ => self.error("octets"),
        }
    }

    fn text(&mut self) -> Result<String, AbiError> {
        match self.rest.next() {
            Some(Value::Str(text)) => Ok(text),
            _ => self.error("a text"),
        }
    }

    fn bool(&mut self) -> Result<bool, AbiError> {
        match self.rest.next() {
            Some(Value::Bool(yes)) => Ok(yes),
            _ => self.error("True or False"),
        }
    }

    fn pid(&mut self) -> Result<Pid, AbiError> {
        Ok(Pid(self.u32()?))
    }

    fn flow(&mut self) -> Result<FlowId, AbiError> {
        Ok(FlowId(self.u32()?))
    }

    fn port(&mut self) -> Result<PortId, AbiError> {
        Ok(PortId(self.u32()?))
    }

    fn address(&mut self) -> Result<core::net::SocketAddr, AbiError> {
        let text = self.text()?;
        text.parse().or_else(|_| self.error("an address"))
    }

    fn addresses(&mut self) -> Result<Vec<core::net::IpAddr>, AbiError> {
        let Some(Value::List(items)) = self.rest.next() else { return self.error("a list") };
        let address = |item: Value| match item {
            Value::Str(text) => text.parse().or_else(|_| self.error("addresses")),
            _ => self.error("addresses"),
        };
        items.into_iter().map(address).collect()
    }

    fn fact(&mut self) -> Result<GatewayFact, AbiError> {
        let name = self.text()?;
        let found = GatewayFact::ALL.into_iter().find(|fact| format!("{fact:?}") == name);
        found.map_or_else(|| self.error("what the real side did"), Ok)
    }

    fn input(&mut self) -> Result<Input, AbiError> {
        Ok(match self.name.as_str() {
            "start" => Input::Start,
            "message" => Input::Message(self.pid()?, self.octets()?),
            "exited" => {
                let (pid, status) = (self.pid()?, self.int()?);
                Input::Exited(pid, i32::try_from(status).or_else(|_| self.error("a number of 32 bits"))?)
            }
            "typed" => Input::Typed(self.pid()?, self.text()?),
            "advance" => Input::AdvanceTo(Instant::from_nanos(self.int()?.cast_unsigned())),
            "opened" => Input::Gateway(GatewayEvent::Opened { flow: self.flow()? }),
            "listening" => {
                Input::Gateway(GatewayEvent::Listening { port: self.port()?, address: self.address()? })
            }
            "not-listening" => {
                Input::Gateway(GatewayEvent::NotListening { port: self.port()?, fact: self.fact()? })
            }
            "accepted" => {
                let (port, flow) = (self.port()?, self.flow()?);
                Input::Gateway(GatewayEvent::Accepted { port, flow, remote: self.address()? })
            }
            "failed" => Input::Gateway(GatewayEvent::Failed { flow: self.flow()?, fact: self.fact()? }),
            "echoed" => Input::Gateway(GatewayEvent::Echoed { flow: self.flow()? }),
            "addresses" => {
                let (flow, addresses) = (self.flow()?, self.addresses()?);
                Input::Gateway(GatewayEvent::Addresses { flow, addresses })
            }
            "data" => Input::Gateway(GatewayEvent::Data { flow: self.flow()?, bytes: self.octets()? }),
            "finished" => Input::Gateway(GatewayEvent::Finished { flow: self.flow()? }),
            "closed" => Input::Gateway(GatewayEvent::Closed { flow: self.flow()?, reset: self.bool()? }),
            "writable" => {
                let (flow, octets) = (self.flow()?, self.int()?);
                Input::Gateway(GatewayEvent::Writable { flow, octets: octets.cast_unsigned() })
            }
            _ => {
                let what = format!("{:?} is nothing that a log of this version has", self.name);
                return Err(AbiError { at: self.at, what });
            }
        })
    }
}
