//! Programs started anew, which are answered as they were the first time.

use bytes::Bytes;
use socketlab_stack::Pid;

use super::{History, Input};
use crate::abi::AbiError;
use crate::gateway::{FlowId, GatewayEvent};
use crate::world::{Output, World};

/// Programs on their way to an earlier position. The shell drives it as it drives a world, without any pace:
///
/// ```text
/// loop {
///     let turn = rerun.turn();
///     for each output of rerun.poll_output()  { start a program, hand it a reply, kill it }
///     match turn {
///         Some(pid) => wait for that program's next message: rerun.handle_message, or rerun.exited
///         None      => break rerun.finish()
///     }
/// }
/// ```
///
/// Records and requests of a gateway do not come again: they are known, and the real world cannot be turned back.
#[derive(Clone, Debug)]
pub struct Rerun {
    pub(super) old: History,
    pub(super) goal: u64,
    pub(super) number: u64,
    pub(super) world: World,
    /// What a process did that it did not do the first time, and the flows that were open before.
    pub(super) diverged: Option<(Input, Vec<FlowId>)>,
}

impl Rerun {
    /// Next thing for the shell to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.world.poll_output()
    }

    /// The process that has to speak next, once it has got its outputs; none: the end is reached.
    pub fn turn(&mut self) -> Option<Pid> {
        while self.diverged.is_none() && self.number < self.goal {
            match self.old.logged(self.number) {
                Some(Input::Message(pid, _) | Input::Exited(pid, _)) => return Some(*pid),
                Some(input) => input.apply(&mut self.world),
                None => self.world.step(),
            }
            self.passed();
        }
        None
    }

    /// A move was the same as the first time.
    fn passed(&mut self) {
        self.world.forget_known_news();
        self.number += 1;
    }

    /// A message of the process whose turn it is.
    ///
    /// # Errors
    /// If it says something new, and that is no message.
    pub fn handle_message(&mut self, pid: Pid, message: &[u8]) -> Result<(), AbiError> {
        let same = matches!(
            self.old.logged(self.number),
            Some(Input::Message(p, bytes)) if *p == pid && bytes == message
        );
        let flows = self.world.open_flows();
        self.world.handle_message(pid, message)?;
        let input = Input::Message(pid, Bytes::copy_from_slice(message));
        self.heard(same, input, flows);
        Ok(())
    }

    /// The process ended by itself; see [`World::exited`].
    pub fn exited(&mut self, pid: Pid, status: i32) {
        let input = Input::Exited(pid, status);
        let same = self.old.logged(self.number) == Some(&input);
        let flows = self.world.open_flows();
        self.world.exited(pid, status);
        self.heard(same, input, flows);
    }

    fn heard(&mut self, same: bool, input: Input, flows: Vec<FlowId>) {
        if same {
            self.passed();
        } else {
            self.diverged = Some((input, flows));
        }
    }

    /// Whether some program did something else than the first time.
    pub fn has_diverged(&self) -> bool {
        self.diverged.is_some()
    }

    /// The history that goes on from here: from the position that was asked for, or from where a program did something
    /// new. Connections to the real world that were open then are reset.
    pub fn finish(self) -> History {
        let Rerun { old: mut history, number, world, diverged, .. } = self;
        let mut flows = world.open_flows();
        history.cut_off(number, world);
        if let Some((input, before)) = diverged {
            flows = before;
            history.log.push((number, input));
            history.moved();
        }
        for flow in flows {
            history.handle_gateway(GatewayEvent::Closed { flow, reset: true });
        }
        history
    }
}
