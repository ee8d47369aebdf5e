//! What the world asks the relay beside connections: an echo, and the addresses of a name. And which addresses came from
//! which name: a relay lets us connect to an address that it has told us by the rule for its name, as long as the
//! WebSocket lasts on which it did. On a later one such an address is asked for by its name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use socketlab_netsim::{FlowId, GatewayEvent, GatewayFact};
use socketlab_wisp::{Answer, OpenError, Question};

use crate::{Relay, RelayJob, Socket};

/// Questions that are open at the relay at a time; a relay takes 32, and eight of them are left for real sockets.
const MOST_OPEN: usize = 24;
/// Addresses whose names are kept. A choice, as the relay's own: beyond it an address stands for itself.
const MOST_NAMES: usize = 4096;

/// A question, and its number once the relay has been asked.
#[derive(Debug)]
struct Asked {
    what: Question,
    number: Option<u32>,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// In the order of asking, as flows are numbered.
    open: BTreeMap<FlowId, Asked>,
    /// A name's address, and whether it was told on this WebSocket.
    names: BTreeMap<IpAddr, (String, bool)>,
}

impl Questions {
    pub(super) fn forget(&mut self, flow: FlowId) {
        self.open.remove(&flow);
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// The relay is gone: these will not be answered.
    pub(super) fn lost(&mut self) -> Vec<FlowId> {
        self.names.values_mut().for_each(|(_, told)| *told = false);
        std::mem::take(&mut self.open).into_keys().collect()
    }

    /// What the relay is to be asked to connect to.
    pub(super) fn name_for<'a>(&self, host: &'a str) -> Cow<'a, str> {
        name_for(&self.names, host)
    }

    fn told(&mut self, name: &str, addresses: &[IpAddr]) {
        for address in addresses {
            if self.names.len() < MOST_NAMES || self.names.contains_key(address) {
                self.names.insert(*address, (name.to_owned(), true));
            }
        }
    }
}

fn name_for<'a>(names: &BTreeMap<IpAddr, (String, bool)>, host: &'a str) -> Cow<'a, str> {
    let address: Option<IpAddr> = host.parse().ok();
    match address.and_then(|address| names.get(&address)) {
        Some((name, false)) => Cow::Owned(name.clone()),
        _ => Cow::Borrowed(host),
    }
}

impl Relay {
    /// The world wants to know something.
    pub(super) fn question(&mut self, flow: FlowId, what: Question) {
        if self.socket == Socket::Unused {
            self.connect();
        }
        if matches!(self.socket, Socket::Lost { .. } | Socket::TurnedAway) {
            return self.tell(GatewayEvent::Failed { flow, fact: GatewayFact::NoRelay });
        }
        self.questions.open.insert(flow, Asked { what, number: None });
        self.ask();
    }

    /// Asks what is not asked yet, if the relay can be asked.
    pub(super) fn ask(&mut self) {
        if !self.client.is_ready() {
            return;
        }
        let mut asked = self.questions.open.values().filter(|asked| asked.number.is_some()).count();
        let mut refused = Vec::new();
        let Questions { open, names } = &mut self.questions;
        for (flow, question) in open {
            if question.number.is_some() || asked >= MOST_OPEN {
                continue;
            }
            let what = match &question.what {
                Question::Ping { host } => Question::Ping { host: name_for(names, host).into_owned() },
                what => what.clone(),
            };
            match self.client.ask(what) {
                Ok(number) => {
                    question.number = Some(number);
                    asked += 1;
                }
                Err(error) => refused.push((*flow, error)),
            }
        }
        for (flow, error) in refused {
            let Some(Asked { what, .. }) = self.questions.open.remove(&flow) else { continue };
            let fact = match error {
                OpenError::Ended => GatewayFact::NoRelay,
                OpenError::NotOffered => GatewayFact::NotAllowed,
            };
            if let (Question::Ping { host }, OpenError::NotOffered) = (&what, error) {
                let text = format!("no ping to {host}: this relay cannot send any");
                self.jobs.push_back(RelayJob::Say(text));
            }
            self.tell(GatewayEvent::Failed { flow, fact });
        }
    }

    /// The relay has answered.
    pub(super) fn answered(&mut self, number: u32, answer: Answer) {
        let found = self.questions.open.iter().find(|(_, asked)| asked.number == Some(number));
        let Some(flow) = found.map(|(flow, _)| *flow) else { return };
        let Some(Asked { what, .. }) = self.questions.open.remove(&flow) else { return };
        match (what, answer) {
            (Question::Ping { .. }, Answer::Ping { .. }) => self.tell(GatewayEvent::Echoed { flow }),
            (Question::Lookup { host }, Answer::Lookup { addresses }) => {
                self.questions.told(&host, &addresses);
                self.tell(GatewayEvent::Addresses { flow, addresses });
            }
            (what, Answer::Failed { errno, text, .. }) => {
                let is_name = matches!(what, Question::Lookup { .. });
                let fact = fact(errno, is_name);
                // A name that may not be looked up is refused once more, with its port, when it is connected to.
                if !(is_name && matches!(fact, GatewayFact::NoSuchName | GatewayFact::NotAllowed)) {
                    self.jobs.push_back(RelayJob::Say(text));
                }
                self.tell(GatewayEvent::Failed { flow, fact });
            }
            // An answer to something else: the relay is confused.
            _ => self.tell(GatewayEvent::Failed { flow, fact: GatewayFact::Unreachable }),
        }
        self.ask();
    }
}

/// What Linux's number means, in the world's words.
const fn fact(errno: u16, is_name: bool) -> GatewayFact {
    match errno {
        1 | 13 => GatewayFact::NotAllowed,
        2 if is_name => GatewayFact::NoSuchName,
        11 => GatewayFact::Throttled,
        110 => GatewayFact::TimedOut,
        _ => GatewayFact::Unreachable,
    }
}
