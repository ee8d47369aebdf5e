//! The system calls of a script, and the one that may be blocked.

use core::time::Duration;

use socketlab_stack::{Call, Failure, Outcome as CallOutcome, Ret};

use super::{Pending, Run, seconds};
use crate::Trouble;
use crate::call::Wanted;
use crate::script::SystemCall;

impl Run<'_> {
    pub(super) fn call(
        &mut self,
        line: usize,
        call: &SystemCall,
        until: Option<Duration>,
    ) -> Result<(), Trouble> {
        if let Some(pending) = &self.pending {
            let until = pending.until + self.tolerance;
            if until > self.bench.now() {
                self.advance_while_pending(until)?;
            }
            self.must_be_idle()?;
        }
        let wanted = self.files.lower(line, call, &self.bench.snapshot())?;
        let Wanted::Host(host_call) = wanted else {
            return match wanted {
                Wanted::Answer(answer) => self.files.handle_own_answer(line, call, answer),
                Wanted::Refused(errno) => self.files.handle_refusal(line, call, errno),
                Wanted::Host(_) => Ok(()),
            };
        };
        match host_call {
            // The next packets are about the connection that begins now.
            Call::Listen { .. } => self.current = None,
            Call::Connect { .. } if self.current_is_over() => self.current = None,
            _ => {}
        }
        let (id, outcome) = self.bench.call(host_call.clone());
        let pending = Pending {
            line,
            id,
            call: call.clone(),
            sent: 0,
            rest: Some(host_call),
            until: until.unwrap_or(self.bench.now()),
        };
        match outcome {
            CallOutcome::Done(answer) => self.finish(pending, answer),
            CallOutcome::Blocked if until.is_some() => {
                self.pending = Some(pending);
                Ok(())
            }
            CallOutcome::Blocked => Err(Trouble::wrong(line, format!("{} blocks", call.name))),
        }
    }

    fn advance_while_pending(&mut self, limit: Duration) -> Result<(), Trouble> {
        while self.pending.is_some() && self.bench.step(limit) {
            self.settle()?;
        }
        Ok(())
    }

    pub(super) fn must_be_idle(&self) -> Result<(), Trouble> {
        match &self.pending {
            Some(p) => Err(Trouble::wrong(
                p.line,
                format!("{} still blocks at {}", p.call.name, seconds(self.bench.now())),
            )),
            None => Ok(()),
        }
    }

    /// A call has its answer. A blocking send goes on until all is taken, as Linux's does.
    pub(super) fn finish(
        &mut self,
        mut pending: Pending,
        answer: Result<Ret, Failure>,
    ) -> Result<(), Trouble> {
        let mut answer = answer;
        while let Some(Call::Send { fd, data, flags, timeout: None }) = &pending.rest {
            match answer {
                Ok(Ret::Len(taken)) if taken < data.len() => {
                    pending.sent += taken;
                    let rest =
                        Call::Send { fd: *fd, data: data.slice(taken..), flags: *flags, timeout: None };
                    let (id, outcome) = self.bench.call(rest.clone());
                    (pending.id, pending.rest) = (id, Some(rest));
                    match outcome {
                        CallOutcome::Done(next) => answer = next,
                        CallOutcome::Blocked if pending.call.blocks_until.is_some() => {
                            self.pending = Some(pending);
                            return Ok(());
                        }
                        CallOutcome::Blocked => {
                            return Err(Trouble::wrong(
                                pending.line,
                                format!("{} blocks", pending.call.name),
                            ));
                        }
                    }
                }
                Ok(Ret::Len(taken)) => {
                    answer = Ok(Ret::Len(pending.sent + taken));
                    break;
                }
                Err(_) if pending.sent > 0 => {
                    answer = Ok(Ret::Len(pending.sent));
                    break;
                }
                _ => break,
            }
        }
        let now = self.bench.now();
        if now + self.tolerance < pending.until || pending.until + self.tolerance < now {
            let (name, until) = (&pending.call.name, seconds(pending.until));
            return Err(Trouble::wrong(
                pending.line,
                format!("{name} returns at {}, not at {until}", seconds(now)),
            ));
        }
        self.files.handle_answer(pending.line, &pending.call, &answer, self.how)
    }
}
