//! The past of a world: checkpoints, and a log of all that came from outside. A world is a pure state machine, so any
//! earlier instant is the nearest checkpoint before it and the log from there on.
//!
//! Programs cannot be cloned as a world can. To go on from an earlier instant, [`Rerun`] starts them anew and lets the
//! world answer them as it did; each must say what it said before. One whose code was changed says something else at
//! some point: there the old future ends and a new one begins.
//!
//! ```text
//! shell ─inputs▸ History { World, log, checkpoints } ─at(position)▸ World of then
//!                                                   └rerun(position)▸ Rerun ─finish▸ History that goes on from there
//! ```
//!
//! ```text
//! here    checkpoints, and the log in memory
//! input   what comes from outside
//! rerun   programs on their way to an earlier position
//! log     the same inputs as octets: a run that can be had again elsewhere
//! ```

mod input;
mod log;
mod rerun;

use bytes::Bytes;
use socketlab_stack::{Instant, Pid};

use crate::abi::AbiError;
use crate::command::{Command, CommandError};
use crate::gateway::GatewayEvent;
use crate::lan::LanEvent;
use crate::record::Record;
use crate::world::{Output, Turn, World};
use input::Input;

pub use log::{Replayed, RunLog, replay};
pub use rerun::Rerun;

/// A place in a history: how many moves (events of the queue, and inputs) were made before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// Moves between two checkpoints at first. A choice: some hundred moves take less than a millisecond.
const SPACING: u64 = 256;
/// Checkpoints kept; then every other one goes, and the distance doubles. A choice.
const MAX_CHECKPOINTS: usize = 64;

/// A world with its past. It has the world's own calls; whatever is done through them can be undone.
#[derive(Clone, Debug)]
pub struct History {
    world: World,
    moves: u64,
    /// What came from outside, by the number of the move that it was. All other moves are steps.
    log: Vec<(u64, Input)>,
    /// The world before the move of this number.
    checkpoints: Vec<(u64, World)>,
    spacing: u64,
}

impl History {
    /// The past of `world` begins here.
    pub fn new(world: World) -> History {
        let mut history =
            History { world, moves: 0, log: Vec::new(), checkpoints: Vec::new(), spacing: SPACING };
        history.checkpoint();
        history
    }

    /// The present.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Where the present is.
    pub fn position(&self) -> Position {
        Position(self.moves)
    }

    /// Octets of what came from outside: programs' messages, mostly.
    pub fn log_octets(&self) -> usize {
        let octets = |input: &Input| match input {
            Input::Message(_, bytes) => bytes.len(),
            Input::Typed(_, text) => text.len(),
            Input::Gateway(GatewayEvent::Data { bytes, .. }) | Input::Lan(LanEvent::Frame(bytes)) => {
                bytes.len()
            }
            _ => 0,
        };
        self.log.iter().map(|(_, input)| size_of::<(u64, Input)>() + octets(input)).sum()
    }

    fn checkpoint(&mut self) {
        let mut world = self.world.clone();
        world.forget_news();
        self.checkpoints.push((self.moves, world));
        if self.checkpoints.len() > MAX_CHECKPOINTS {
            self.spacing *= 2;
            let mut place = 0;
            self.checkpoints.retain(|_| {
                place += 1;
                place % 2 == 1
            });
        }
    }

    /// A move was made.
    fn moved(&mut self) {
        self.moves += 1;
        if self.checkpoints.last().is_none_or(|(at, _)| self.moves - at >= self.spacing) {
            self.checkpoint();
        }
    }

    fn input<T>(&mut self, input: Input, apply: impl FnOnce(&mut World) -> T) -> T {
        self.log.push((self.moves, input));
        let result = apply(&mut self.world);
        self.moved();
        result
    }

    /// See [`World::poll_output`].
    pub fn poll_output(&mut self) -> Option<Output> {
        self.world.poll_output()
    }

    /// See [`World::drain_records`].
    pub fn drain_records(&mut self) -> Vec<Record> {
        self.world.drain_records()
    }

    /// See [`World::step`].
    pub fn step(&mut self) {
        if !matches!(self.world.turn(), Turn::Process(_)) && self.world.next_at().is_some() {
            self.world.step();
            self.moved();
        }
    }

    /// See [`World::start`].
    pub fn start(&mut self) {
        self.input(Input::Start, World::start);
    }

    /// See [`World::start_program`].
    pub fn start_program(&mut self, program: usize) -> Pid {
        self.input(Input::StartProgram(program), |world| world.start_program(program))
    }

    /// See [`World::handle_message`].
    ///
    /// # Errors
    /// As there; nothing has happened then.
    pub fn handle_message(&mut self, pid: Pid, message: &[u8]) -> Result<(), AbiError> {
        self.world.handle_message(pid, message)?;
        self.log.push((self.moves, Input::Message(pid, Bytes::copy_from_slice(message))));
        self.moved();
        Ok(())
    }

    /// See [`World::exited`].
    pub fn exited(&mut self, pid: Pid, status: i32) {
        self.input(Input::Exited(pid, status), |world| world.exited(pid, status));
    }

    /// See [`World::kill`].
    pub fn kill(&mut self, pid: Pid) {
        self.input(Input::Kill(pid), |world| world.kill(pid));
    }

    /// See [`World::interrupt`].
    pub fn interrupt(&mut self, pid: Pid) {
        self.input(Input::Interrupt(pid), |world| world.interrupt(pid));
    }

    /// See [`World::stdin`].
    pub fn stdin(&mut self, pid: Pid, text: &str) {
        self.input(Input::Typed(pid, text.to_owned()), |world| world.stdin(pid, text));
    }

    /// See [`World::handle_gateway`].
    pub fn handle_gateway(&mut self, event: GatewayEvent) {
        self.input(Input::Gateway(event.clone()), |world| world.handle_gateway(event));
    }

    /// See [`World::handle_lan`].
    pub fn handle_lan(&mut self, event: LanEvent) {
        self.input(Input::Lan(event.clone()), |world| world.handle_lan(event));
    }

    /// See [`World::command`].
    ///
    /// # Errors
    /// As there; nothing has happened then.
    pub fn command(&mut self, command: Command) -> Result<(), CommandError> {
        self.world.command(command.clone())?;
        self.log.push((self.moves, Input::Command(command)));
        self.moved();
        Ok(())
    }

    /// See [`World::advance_to`].
    pub fn advance_to(&mut self, at: Instant) {
        let before = self.world.now();
        self.world.advance_to(at);
        if self.world.now() == before {
            return;
        }
        match self.log.last_mut() {
            // One after another are one; not over a checkpoint, which must not know what comes.
            Some((number, Input::AdvanceTo(last)))
                if *number + 1 == self.moves
                    && self.checkpoints.last().is_none_or(|(at, _)| *at < self.moves) =>
            {
                *last = at;
            }
            _ => {
                self.log.push((self.moves, Input::AdvanceTo(at)));
                self.moved();
            }
        }
    }

    /// What the move of this number was, if it came from outside.
    fn logged(&self, number: u64) -> Option<&Input> {
        let place = self.log.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        self.log.get(place).map(|(_, input)| input)
    }

    fn again(&self, world: &mut World, number: u64) {
        match self.logged(number) {
            Some(input) => input.apply(world),
            None => world.step(),
        }
        world.forget_news();
    }

    /// The world as it was at a position; the present, for one that is not reached yet.
    pub fn at(&self, position: Position) -> World {
        let goal = position.0.min(self.moves);
        let nearest = self.checkpoints.iter().rev().find(|(number, _)| *number <= goal);
        let (mut number, mut world) = match nearest {
            Some((number, world)) => (*number, world.clone()),
            None => return self.world.clone(),
        };
        while number < goal {
            self.again(&mut world, number);
            number += 1;
        }
        world
    }

    /// The last position at which the clock does not show more than `at`.
    pub fn position_at(&self, at: Instant) -> Position {
        let nearest = self.checkpoints.iter().rev().find(|(_, world)| world.now() <= at);
        let Some((number, world)) = nearest else { return Position(0) };
        let (mut number, mut world) = (*number, world.clone());
        while number < self.moves {
            let later = match self.logged(number) {
                Some(Input::AdvanceTo(to)) => *to > at,
                Some(_) => false,
                None => world.next_at().is_none_or(|next| next > at),
            };
            if later {
                break;
            }
            self.again(&mut world, number);
            number += 1;
        }
        Position(number)
    }

    /// One event of the queue before `position`, with what programs and others did since; the beginning if there is
    /// none.
    pub fn before(&self, position: Position) -> Position {
        let mut number = position.0.min(self.moves);
        while number > 0 {
            number -= 1;
            if self.logged(number).is_none() {
                break;
            }
        }
        Position(number)
    }

    /// One event of the queue after `position`, with what programs and others did right after it; at most the present.
    pub fn after(&self, position: Position) -> Position {
        let mut number = position.0;
        while number < self.moves && self.logged(number).is_some() {
            number += 1;
        }
        number = (number + 1).min(self.moves);
        while number < self.moves && self.logged(number).is_some() {
            number += 1;
        }
        Position(number)
    }

    /// To go on from `position`: starts the programs anew.
    pub fn rerun(&self, position: Position) -> Rerun {
        let world = self.checkpoints.first().map_or_else(|| self.world.clone(), |(_, world)| world.clone());
        Rerun { old: self.clone(), goal: position.0.min(self.moves), number: 0, world, diverged: None }
    }

    /// Makes an earlier position, whose world this is, the present.
    fn cut_off(&mut self, number: u64, world: World) {
        self.log.retain(|(at, _)| *at < number);
        self.checkpoints.retain(|(at, _)| *at <= number);
        self.moves = number;
        self.world = world;
        if self.checkpoints.is_empty() {
            self.checkpoint();
        }
    }
}
