//! The resolver inside a program: what getaddrinfo(3) and getnameinfo(3) do when /etc/resolv.conf names a server. It
//! asks over UDP by the program's own calls, as the C library does, so that the questions are seen on the network.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use bytes::Bytes;
use simple_dns::TYPE;
use socketlab_stack::{Call, Failure, Fd, Ret, SockAddr};

use super::Step;
use super::dns::{self, Said};
use crate::abi::Reply;
use crate::marshal::Value;

/// RFC 1035 4.2.1.
const DNS_PORT: u16 = 53;
/// resolv.conf(5): `timeout` and `attempts`.
const TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 2;
/// Longest reply over UDP (RFC 1035 2.3.4), and more than that for servers that do not care.
const LONGEST: usize = 1472;

const AF_INET: i32 = 2;
const AF_INET6: i32 = 10;
const SOCK_DGRAM: i32 = 2;

/// What a program wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Addresses of a name, of these families (0: any).
    Addresses { name: String, family: i32 },
    /// The name of an address.
    Name(IpAddr),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Doing {
    Begin,
    Open,
    Connect,
    Ask(usize),
    Hear,
    Close,
}

/// One lookup.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    question: Question,
    server: IpAddr,
    fd: Option<Fd>,
    /// What is asked, and what came back.
    asked: Vec<(u16, TYPE, Option<Said>)>,
    attempt: u32,
    doing: Doing,
    outcome: Option<Reply>,
}

impl Lookup {
    /// `id`: number of the first question.
    pub(crate) fn new(question: Question, server: IpAddr, id: u16) -> Lookup {
        let kinds: &[TYPE] = match &question {
            Question::Name(_) => &[TYPE::PTR],
            Question::Addresses { family: AF_INET, .. } => &[TYPE::A],
            Question::Addresses { family: AF_INET6, .. } => &[TYPE::AAAA],
            Question::Addresses { .. } => &[TYPE::A, TYPE::AAAA],
        };
        let asked = (0u16..).zip(kinds).map(|(i, kind)| (id.wrapping_add(i), *kind, None)).collect();
        Lookup { question, server, fd: None, asked, attempt: 0, doing: Doing::Begin, outcome: None }
    }

    /// Its socket, if it is open.
    pub(crate) fn fd(&self) -> Option<Fd> {
        self.fd
    }

    /// Goes on with the answer to its last call.
    pub(crate) fn resume(&mut self, answer: Option<Result<Ret, Failure>>) -> Step {
        match (self.doing.clone(), answer) {
            (Doing::Begin, _) => {
                self.doing = Doing::Open;
                let family = if self.server.is_ipv4() { AF_INET } else { AF_INET6 };
                Step::Call(Call::Socket { family, kind: SOCK_DGRAM, protocol: 0 })
            }
            (Doing::Open, Some(Ok(Ret::Fd(fd)))) => {
                self.fd = Some(fd);
                self.doing = Doing::Connect;
                let addr = SockAddr::Ip(SocketAddr::new(self.server, DNS_PORT));
                Step::Call(Call::Connect { fd, addr, timeout: None })
            }
            (Doing::Open, _) => Step::Answer(Reply::error("EAI_SYSTEM")),
            (Doing::Connect, Some(Ok(_))) => self.ask(0),
            (Doing::Ask(n), Some(Ok(_))) => self.ask(n + 1),
            (Doing::Hear, Some(Ok(Ret::Data(data, ..)))) => {
                self.heard(&data);
                self.hear()
            }
            // Silence, or ICMP says that nobody is there: once more, from the beginning.
            (Doing::Ask(_) | Doing::Hear, _) if self.attempt + 1 < ATTEMPTS => {
                self.attempt += 1;
                self.ask(0)
            }
            (Doing::Connect | Doing::Ask(_) | Doing::Hear, _) => self.close(Reply::error("EAI_AGAIN")),
            (Doing::Close, _) => {
                let reply = self.outcome.take();
                Step::Answer(reply.unwrap_or(Reply::error("EAI_AGAIN")))
            }
        }
    }

    /// Sends the questions that are still open, from the `n`th on.
    fn ask(&mut self, n: usize) -> Step {
        let Some(fd) = self.fd else { return Step::Answer(Reply::error("EAI_SYSTEM")) };
        let open = self.asked.iter().enumerate().skip(n).find(|(_, (.., said))| said.is_none());
        let Some((n, (id, kind, _))) = open else { return self.hear() };
        let name = match &self.question {
            Question::Addresses { name, .. } => name.clone(),
            Question::Name(address) => dns::reverse_name(*address),
        };
        let Some(data) = dns::query(*id, &name, *kind) else {
            return self.close(Reply::error("EAI_NONAME"));
        };
        self.doing = Doing::Ask(n);
        Step::Call(Call::Send { fd, data, flags: 0, timeout: None })
    }

    fn heard(&mut self, data: &Bytes) {
        for (id, _, said) in &mut self.asked {
            if let Some(reply) = dns::reply(*id, data) {
                *said = Some(reply);
            }
        }
    }

    fn hear(&mut self) -> Step {
        let Some(fd) = self.fd else { return Step::Answer(Reply::error("EAI_SYSTEM")) };
        if self.asked.iter().any(|(.., said)| said.is_none()) {
            self.doing = Doing::Hear;
            return Step::Call(Call::Recv { fd, len: LONGEST, flags: 0, timeout: Some(TIMEOUT) });
        }
        let mut addresses = Vec::new();
        let (mut names, mut failed) = (true, false);
        for (.., said) in &self.asked {
            match said {
                Some(Said::Name(name)) => return self.close(Reply::ok(Value::Str(name.clone()))),
                Some(Said::Addresses(found)) => {
                    names = false;
                    addresses.extend(found.iter().copied());
                }
                Some(Said::NoName) => {}
                Some(Said::Failed) | None => failed = true,
            }
        }
        let row = |a: &IpAddr| {
            let family = if a.is_ipv4() { AF_INET } else { AF_INET6 };
            Value::Tuple(vec![Value::Int(i64::from(family)), Value::Str(a.to_string())])
        };
        let reply = match (&self.question, addresses.is_empty()) {
            (Question::Addresses { .. }, false) => {
                Reply::ok(Value::List(addresses.iter().map(row).collect()))
            }
            _ if failed => Reply::error("EAI_AGAIN"),
            (Question::Addresses { .. }, true) if !names => Reply::error("EAI_NODATA"),
            _ => Reply::error("EAI_NONAME"),
        };
        self.close(reply)
    }

    fn close(&mut self, reply: Reply) -> Step {
        self.outcome = Some(reply);
        self.doing = Doing::Close;
        match self.fd.take() {
            Some(fd) => Step::Call(Call::Close { fd }),
            None => Step::Answer(self.outcome.take().unwrap_or(Reply::error("EAI_SYSTEM"))),
        }
    }
}
