//! Questions of our extension: a name's addresses, a socket's TCP_INFO, an ICMP echo. Each under the same policy as
//! connections, and each answered, if only by the reason why not.

use std::{borrow::Cow, sync::Arc};

use socketlab_wisp::{Answer, Ext, Packet, Question, StreamId};

use super::Connection;
use crate::{
    dial::{self, DialError},
    echo::{self, EchoError},
    tcp_info,
};

/// A question, for the metrics.
const fn kind_name(kind: u8) -> &'static str {
    match kind {
        1 => "name",
        2 => "socket",
        _ => "echo",
    }
}

/// errno(3): the transport endpoint is not connected.
const ENOTCONN: u16 = 107;

/// Why there is no answer.
struct Failure {
    errno: u16,
    text: Cow<'static, str>,
}

const NOT_IN: Failure = Failure { errno: 1, text: Cow::Borrowed("not let in yet") };

impl From<DialError> for Failure {
    fn from(error: DialError) -> Failure {
        Failure { errno: error.errno(), text: error.to_string().into() }
    }
}

impl From<EchoError> for Failure {
    fn from(error: EchoError) -> Failure {
        Failure { errno: error.errno(), text: error.to_string().into() }
    }
}

impl Connection {
    pub(super) fn ask(self: &Arc<Self>, question: StreamId, what: Question) {
        let connection = Arc::clone(self);
        self.shared.tasks.spawn(async move {
            let kind = what.kind();
            let answer = tokio::select! {
                answer = connection.answer(what) => answer,
                () = connection.lost.cancelled() => return,
                () = connection.shared.stop.cancelled() => return,
            };
            connection.shared.metrics.question(kind_name(kind), answer.is_ok());
            let answer = answer.unwrap_or_else(|Failure { errno, text }| {
                // A page asks for its sockets again and again; that one has just been closed is no news.
                if errno == ENOTCONN {
                    tracing::debug!(peer = %connection.peer, question = kind, text = &*text, "asked in vain");
                } else {
                    tracing::info!(peer = %connection.peer, question = kind, errno, text = &*text, "asked in vain");
                }
                Answer::Failed { question: kind, errno: errno.max(1), text: text.into_owned() }
            });
            connection.lock().book.answered();
            connection.send(&Packet::Ext { stream: question, body: Ext::Answer(answer) }).await;
        });
    }

    pub(super) async fn too_many(&self, question: StreamId, what: &Question) {
        self.shared.metrics.refuse("questions");
        let text = "a page may have 32 questions open at a time, and has".to_owned();
        let answer = Answer::Failed { question: what.kind(), errno: 11, text };
        self.send(&Packet::Ext { stream: question, body: Ext::Answer(answer) }).await;
    }

    async fn answer(&self, what: Question) -> Result<Answer, Failure> {
        match what {
            Question::Lookup { host } => {
                let rights = self.rights().ok_or(NOT_IN)?;
                let addresses = dial::look_up(self.names(), &rights.profile.policy, &host).await?;
                tracing::info!(peer = %self.peer, host, ?addresses, "looked up");
                Ok(Answer::Lookup { addresses })
            }
            Question::Socket { stream } => {
                let socket = self.lock().handles.get(&stream).and_then(|handle| handle.inbox.socket());
                let Some(socket) = socket else {
                    return Err(Failure {
                        errno: ENOTCONN,
                        text: format!("stream {stream} has no connected socket").into(),
                    });
                };
                let info = tcp_info::of(&socket);
                let info = info.map_err(|error| Failure {
                    errno: dial::errno(&error),
                    text: error.to_string().into(),
                })?;
                Ok(Answer::Socket(Box::new(info)))
            }
            Question::Ping { host } => {
                let rights = self.rights().ok_or(NOT_IN)?;
                // It costs what a stream costs, so that a relay is no means to flood others.
                let _permit = self.meters.open(rights.limits).map_err(|over| {
                    self.shared.metrics.refuse(over.label());
                    Failure { errno: 11, text: over.to_string().into() }
                })?;
                let policy = &rights.profile.policy;
                let (from, rtt) = echo::ping(self.names(), policy, &host).await?;
                tracing::info!(peer = %self.peer, ?host, %from, ?rtt, "pinged");
                Ok(Answer::Ping { from, rtt_us: u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX) })
            }
        }
    }
}
