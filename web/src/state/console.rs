//! What programs wrote, as lines with the time of their first character.

use socketlab_view::{ConsoleStream, Event, EventKind};

/// A line, or the beginning of one that is not ended yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleLine {
    /// Stable key: position among all lines.
    pub index: usize,
    /// When it began, in nanoseconds.
    pub at: u64,
    /// Index of the program.
    pub program: u32,
    /// Input, output or errors.
    pub stream: ConsoleStream,
    /// Its text, without the line feed.
    pub text: String,
    /// No line feed yet.
    pub open: bool,
}

/// The lines of all programs, in the order in which they began.
#[derive(Clone, Debug, Default)]
pub struct Consoles {
    lines: Vec<ConsoleLine>,
}

impl Consoles {
    /// The next event.
    pub fn push(&mut self, event: &Event) {
        let EventKind::Console { program, stream, text } = &event.kind else { return };
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, ended, after) = match rest.find('\n') {
                Some(end) => (&rest[..end], true, &rest[end + 1..]),
                None => (rest, false, ""),
            };
            self.add(event.at, *program, *stream, line, ended);
            rest = after;
        }
    }

    fn add(&mut self, at: u64, program: u32, stream: ConsoleStream, text: &str, ended: bool) {
        let last = self.lines.iter_mut().rev().find(|line| line.program == program);
        // What is typed goes on after the prompt that asked for it.
        match last {
            Some(line)
                if line.open
                    && (line.stream == stream
                        || (line.stream == ConsoleStream::Stdout && stream == ConsoleStream::Stdin)) =>
            {
                line.text.push_str(text);
                line.open = !ended;
            }
            _ => self.lines.push(ConsoleLine {
                index: self.lines.len(),
                at,
                program,
                stream,
                text: text.to_owned(),
                open: !ended,
            }),
        }
    }

    /// All lines.
    pub fn lines(&self) -> &[ConsoleLine] {
        &self.lines
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn lines(said: &[(u32, ConsoleStream, &str)]) -> Vec<(u32, String)> {
        let mut consoles = Consoles::default();
        for (seq, (program, stream, text)) in said.iter().enumerate() {
            let kind = EventKind::Console { program: *program, stream: *stream, text: (*text).to_owned() };
            consoles.push(&Event { seq: seq as u64, at: 0, kind });
        }
        consoles.lines().iter().map(|line| (line.program, line.text.clone())).collect()
    }

    #[test]
    fn pieces_of_a_line_are_put_together() {
        use ConsoleStream::Stdout;
        assert_eq!(
            lines(&[
                (0, Stdout, "Lyss"),
                (1, Stdout, "hej\n"),
                (0, Stdout, "nar\nport"),
                (0, Stdout, " 80\n")
            ]),
            [(0, "Lyssnar".to_owned()), (1, "hej".to_owned()), (0, "port 80".to_owned())]
        );
    }

    #[test]
    fn typed_text_follows_the_prompt() {
        use ConsoleStream::{Stdin, Stdout};
        assert_eq!(
            lines(&[(0, Stdout, "Namn? "), (0, Stdin, "Åsa\n"), (0, Stdout, "Hej\n")]),
            [(0, "Namn? Åsa".to_owned()), (0, "Hej".to_owned())]
        );
    }

    #[test]
    fn errors_begin_their_own_line() {
        use ConsoleStream::{Stderr, Stdout};
        assert_eq!(
            lines(&[(0, Stdout, "a"), (0, Stderr, "Traceback\n")]),
            [(0, "a".to_owned()), (0, "Traceback".to_owned())]
        );
    }
}
