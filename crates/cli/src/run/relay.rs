//! The far side of a lab's gateway at a relay (`--relay`): a WebSocket of our own under the page's own client. A task
//! carries the messages; all else happens when the loop of the run listens.

use core::str::FromStr;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use socketlab_netsim::{GatewayEvent, GatewayRequest};
use socketlab_uplink::{Link, Reason, Relay, RelayJob};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, Uri};
use tokio_tungstenite::tungstenite::protocol::Message;

use super::far::{GRACE, News};
use crate::complain;

/// How long a relay may take to open the WebSocket. A choice.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Most of a relay's own words about a refusal that are repeated. A choice: a sentence, not a page of HTML.
const MOST_WORDS: usize = 400;

/// Where a relay is, and the class code that lets us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RelayAddress {
    url: String,
    code: Option<String>,
}

impl FromStr for RelayAddress {
    type Err = String;

    /// `ws://HOST:PORT/`, with the code as `#token=CODE` or `?token=CODE`. The link that the relay prints for its page
    /// will do, too. A relay of another make has its own path.
    fn from_str(text: &str) -> Result<RelayAddress, String> {
        let wrong = |why: &str| format!("{why}; a relay is named like ws://127.0.0.1:8080/#token=CODE");
        let (text, code) = match text.split_once(['#', '?']) {
            Some((address, rest)) => match rest.strip_prefix("token=") {
                Some(code) if !code.is_empty() => (address, Some(code.to_owned())),
                _ => return Err(wrong("what stands behind # or ? is not token=CODE")),
            },
            None => (text, None),
        };
        let uri: Uri = text.parse().map_err(|error| wrong(&format!("{error}")))?;
        let scheme = match uri.scheme_str() {
            Some("ws" | "http") => "ws",
            Some("wss" | "https") => "wss",
            _ => return Err(wrong("the address does not begin with ws:// or wss://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("there is no host"))?;
        let path = match uri.path() {
            "" | "/" => "/wisp/",
            path => path,
        };
        Ok(RelayAddress { url: format!("{scheme}://{authority}{path}"), code })
    }
}

/// From the task that has the WebSocket.
enum Heard {
    Open,
    Message(Bytes),
    /// It is over; if it never was open, why.
    Lost(Option<String>),
}

/// All flows of a run.
pub(crate) struct RelayWorld {
    runtime: Runtime,
    address: RelayAddress,
    relay: Relay,
    start: Instant,
    outbox: Option<UnboundedSender<Bytes>>,
    task: Option<JoinHandle<()>>,
    tell: Sender<Heard>,
    heard: Receiver<Heard>,
    news: VecDeque<News>,
    /// The last trouble that was told: each try to come back may meet the same.
    last_trouble: String,
}

impl RelayWorld {
    /// Not connected: the first flow does that.
    pub(crate) fn new(address: RelayAddress) -> Result<RelayWorld> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).enable_all().build().context("no runtime")?;
        let (tell, heard) = channel();
        Ok(RelayWorld {
            runtime,
            address,
            relay: Relay::default(),
            start: Instant::now(),
            outbox: None,
            task: None,
            tell,
            heard,
            news: VecDeque::new(),
            last_trouble: String::new(),
        })
    }

    /// What the world asks.
    pub(crate) fn handle(&mut self, request: GatewayRequest) {
        self.relay.handle_request(self.start.elapsed(), request);
        self.work_off();
    }

    /// The next news, if there is any within `wait`.
    pub(crate) fn listen(&mut self, wait: Duration) -> Option<News> {
        let until = Instant::now() + wait;
        loop {
            if let Some(news) = self.news.pop_front() {
                return Some(news);
            }
            let left = until.saturating_duration_since(Instant::now());
            self.wait(left);
            if self.news.is_empty() && left.is_zero() {
                return None;
            }
        }
    }

    /// Lets octets that the world has already given away go out.
    pub(crate) fn finish(mut self) {
        let until = Instant::now() + GRACE;
        self.relay.finish();
        self.work_off();
        while !self.relay.is_quiet() && Instant::now() < until {
            self.wait(until.saturating_duration_since(Instant::now()));
        }
        for news in self.news.drain(..) {
            if let News::Refusal(sentence) = news {
                complain(&sentence);
            }
        }
        // The task sends what it has, says good-bye and ends.
        self.outbox = None;
        if let Some(task) = self.task.take() {
            let left = until.saturating_duration_since(Instant::now());
            // A relay that does not answer is left alone.
            drop(self.runtime.block_on(async { tokio::time::timeout(left, task).await }));
        }
    }

    /// Waits for one message or deadline, at most so long.
    fn wait(&mut self, most: Duration) {
        let now = self.start.elapsed();
        let due = self.relay.poll_timeout().map_or(most, |at| at.saturating_sub(now).min(most));
        let heard = self.heard.recv_timeout(due).ok();
        let now = self.start.elapsed();
        match heard {
            Some(Heard::Open) => self.relay.handle_open(),
            Some(Heard::Message(message)) => self.relay.handle_message(now, message),
            Some(Heard::Lost(why)) => {
                self.outbox = None;
                let why = why.unwrap_or_else(|| format!("the relay {} has hung up", self.address.url));
                self.trouble(why);
                self.relay.handle_lost(now);
            }
            None => {}
        }
        if self.relay.poll_timeout().is_some_and(|at| at <= now) {
            self.relay.handle_timeout(now);
        }
        self.work_off();
    }

    fn work_off(&mut self) {
        while let Some(job) = self.relay.poll_job() {
            match job {
                RelayJob::Connect => self.connect(),
                RelayJob::Send(message) => {
                    if let Some(outbox) = &self.outbox {
                        // A task that is over has told us so.
                        drop(outbox.send(message));
                    }
                }
                RelayJob::Tell(event) => {
                    if let GatewayEvent::Listening { address, .. } = &event {
                        let sentence =
                            format!("real clients reach the lab at {address}, on the relay's machine");
                        self.news.push_back(News::Refusal(sentence));
                    }
                    self.news.push_back(News::Event(event));
                }
                RelayJob::Dismissed(Reason::CREDENTIALS_REQUIRED | Reason::BAD_PASSWORD) => {
                    self.trouble(wants_code(&self.address.url));
                }
                RelayJob::Dismissed(reason) => {
                    self.trouble(format!("the relay {} ends the connection: {reason}", self.address.url));
                }
                RelayJob::Say(text) => self.trouble(format!("the relay says: {text}")),
                RelayJob::Show(Link::Open) => self.last_trouble.clear(),
                // Nobody looks at them here; why we were turned away has been said.
                RelayJob::Show(Link::Connecting | Link::Lost { .. } | Link::TurnedAway(_))
                | RelayJob::Socket { .. } => {}
            }
        }
    }

    fn trouble(&mut self, sentence: String) {
        if sentence != self.last_trouble {
            self.last_trouble.clone_from(&sentence);
            self.news.push_back(News::Refusal(sentence));
        }
    }

    fn connect(&mut self) {
        let (outbox, messages) = unbounded_channel();
        self.outbox = Some(outbox);
        self.task = Some(self.runtime.spawn(carry(self.address.clone(), messages, self.tell.clone())));
    }
}

/// Opens the WebSocket and carries messages both ways, until either side ends.
async fn carry(address: RelayAddress, mut messages: UnboundedReceiver<Bytes>, tell: Sender<Heard>) {
    // At the end of the run nobody listens any more: then nothing has to be told.
    let say = |heard| drop(tell.send(heard));
    let mut request = match address.url.as_str().into_client_request() {
        Ok(request) => request,
        Err(error) => return say(Heard::Lost(Some(format!("--relay {}: {error}", address.url)))),
    };
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("wisp-v2"));
    if let Some(code) = &address.code {
        match HeaderValue::try_from(format!("Bearer {code}")) {
            Ok(bearer) => _ = request.headers_mut().insert(AUTHORIZATION, bearer),
            Err(_) => {
                return say(Heard::Lost(Some(
                    "the class code in --relay has letters that no code has".into(),
                )));
            }
        }
    }
    let opening = connect_async_with_config(request, None, true);
    let mut socket = match tokio::time::timeout(OPEN_TIMEOUT, opening).await {
        Ok(Ok((socket, _))) => socket,
        Ok(Err(error)) => return say(Heard::Lost(Some(why_not(&address, error)))),
        Err(_) => {
            let seconds = OPEN_TIMEOUT.as_secs();
            let url = &address.url;
            return say(Heard::Lost(Some(format!(
                "the relay {url} did not answer within {seconds} s; is the address right, and no firewall between?"
            ))));
        }
    };
    say(Heard::Open);
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Some(message) => {
                    // What else waits goes in the same write.
                    let mut sent = socket.feed(Message::Binary(message)).await;
                    while sent.is_ok() && let Ok(more) = messages.try_recv() {
                        sent = socket.feed(Message::Binary(more)).await;
                    }
                    if sent.is_err() || socket.flush().await.is_err() {
                        return say(Heard::Lost(None));
                    }
                }
                None => {
                    // Whether the relay answers is all the same now.
                    drop(socket.close(None).await);
                    while let Some(Ok(_)) = socket.next().await {}
                    return;
                }
            },
            message = socket.next() => match message {
                Some(Ok(Message::Binary(message))) => say(Heard::Message(message)),
                // Pings are answered by the library; a relay has no text to send.
                Some(Ok(Message::Close(_))) | Some(Err(_)) | None => return say(Heard::Lost(None)),
                Some(Ok(_)) => {}
            },
        }
    }
}

/// Why there is no WebSocket, and what to do.
fn why_not(address: &RelayAddress, error: Error) -> String {
    let url = &address.url;
    match error {
        Error::Http(response) => {
            let status = response.status();
            let body = response.into_body().unwrap_or_default();
            let said = String::from_utf8_lossy(&body);
            let words: String = said.trim().chars().take(MOST_WORDS).collect();
            match status {
                StatusCode::UNAUTHORIZED if address.code.is_none() => wants_code(url),
                StatusCode::UNAUTHORIZED => {
                    format!("the relay {url} does not know this class code: ask whoever runs it")
                }
                StatusCode::NOT_FOUND => format!("there is no relay at {url} (HTTP 404): is the path right?"),
                _ if words.is_empty() => format!("the relay {url} refuses: HTTP {status}"),
                _ => format!("the relay {url} refuses: {words}"),
            }
        }
        Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => format!(
            "the relay {url} has a certificate that this machine does not trust ({error}): one that it made itself \
             is not enough here; ask for a certificate with a name, or add the relay's to this machine's"
        ),
        Error::Io(error) => format!(
            "cannot reach the relay {url}: {error}; start one with `socketlab serve`, or leave --relay out and use \
             this machine's own sockets (--allow)"
        ),
        error => format!("no WebSocket with {url}: {error}"),
    }
}

fn wants_code(url: &str) -> String {
    format!(
        "the relay {url} wants a class code: add #token=CODE to the address in --relay (in quotes), or give the link \
         that `socketlab serve` prints"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_may_be_named_as_its_page_is() {
        let parsed = |text: &str| text.parse::<RelayAddress>().map(|a| (a.url, a.code.unwrap_or_default()));
        let is = |url: &str, code: &str| Ok((url.to_owned(), code.to_owned()));
        assert_eq!(parsed("ws://127.0.0.1:8080"), is("ws://127.0.0.1:8080/wisp/", ""));
        assert_eq!(
            parsed("http://127.0.0.1:8080/#token=abcde-fgh"),
            is("ws://127.0.0.1:8080/wisp/", "abcde-fgh")
        );
        assert_eq!(parsed("https://lab.example/?token=x"), is("wss://lab.example/wisp/", "x"));
        assert_eq!(parsed("wss://[::1]:9/other/"), is("wss://[::1]:9/other/", ""));
        for wrong in ["127.0.0.1:8080", "ftp://a/", "ws://", "ws://a/#code", "ws://a/?token="] {
            let said = parsed(wrong).expect_err(wrong);
            assert!(said.contains("ws://127.0.0.1:8080/#token=CODE"), "{wrong}: {said}");
        }
    }
}
