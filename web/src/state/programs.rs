//! How far each program has come.

use socketlab_view::{Event, EventKind, ExitView};

/// The life of a program in this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// Not started.
    #[default]
    NotStarted,
    /// Started and not ended.
    Running,
    /// Ended by itself with status 0.
    Done,
    /// Ended with an error.
    Failed(i32),
    /// Stopped by the lab or the user.
    Stopped,
}

/// The programs of a run.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    lives: Vec<Life>,
}

impl Programs {
    /// The next event.
    pub fn push(&mut self, event: &Event) {
        match event.kind {
            EventKind::ProgramStarted { program, .. } => self.set(program, Life::Running),
            EventKind::ProgramExited { program, status } => self.set(
                program,
                match status {
                    ExitView::Exited(0) => Life::Done,
                    ExitView::Exited(status) => Life::Failed(status),
                    ExitView::Killed => Life::Stopped,
                },
            ),
            _ => {}
        }
    }

    fn set(&mut self, program: u32, life: Life) {
        let index = program as usize;
        if self.lives.len() <= index {
            self.lives.resize(index + 1, Life::NotStarted);
        }
        self.lives[index] = life;
    }

    /// The life of a program.
    pub fn life(&self, program: u32) -> Life {
        self.lives.get(program as usize).copied().unwrap_or_default()
    }
}
