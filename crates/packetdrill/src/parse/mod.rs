//! Text to [`Script`]. Errors name the line and what was expected there.

mod cursor;
mod expr;
mod packet;
#[cfg(test)]
mod tests;

use crate::Trouble;
use crate::script::{Action, Event, Script, SystemCall, When};

use cursor::Cursor;

/// Names that `#ifdef` finds defined.
const DEFINED: &[&str] = &["STANDARD", "Linux"];

/// Reads a script.
pub(crate) fn parse(text: &str) -> Result<Script, Trouble> {
    let text = preprocess(text)?;
    let mut cursor = Cursor::new(&text);
    let mut script = Script::default();
    cursor.skip_blank()?;
    while cursor.at("--") {
        cursor.must("--")?;
        let line = cursor.line();
        let option = cursor.token()?;
        let (key, value) = match option.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (option, None),
        };
        script.options.push((line, key.to_owned(), value));
        cursor.skip_blank()?;
    }
    cursor.v6 = script.v6();
    while cursor.peek().is_some() {
        script.events.push(event(&mut cursor)?);
        cursor.skip_blank()?;
    }
    Ok(script)
}

/// Blanks out what `#ifdef` and its kin exclude, so that lines keep their numbers.
fn preprocess(text: &str) -> Result<String, Trouble> {
    let mut kept = String::with_capacity(text.len());
    let mut branches: Vec<bool> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("#ifdef"), Some(name)) => branches.push(DEFINED.contains(&name)),
            (Some("#ifndef"), Some(name)) => branches.push(!DEFINED.contains(&name)),
            (Some("#else"), _) => match branches.last_mut() {
                Some(taken) => *taken = !*taken,
                None => return Err(Trouble::wrong(number + 1, "#else without #ifdef")),
            },
            (Some("#endif"), _) if branches.pop().is_none() => {
                return Err(Trouble::wrong(number + 1, "#endif without #ifdef"));
            }
            (Some("#endif"), _) => {}
            _ if branches.iter().all(|taken| *taken) => kept.push_str(line),
            _ => {}
        }
        kept.push('\n');
    }
    Ok(kept)
}

fn event(cursor: &mut Cursor<'_>) -> Result<Event, Trouble> {
    let line = cursor.line();
    // A command or a piece of code before the first event, or after the last, needs no time.
    let when = if cursor.at("`") || cursor.at("%{") {
        When::After(core::time::Duration::ZERO)
    } else {
        when(cursor)?
    };
    let blocks_until = if cursor.eat("...")? {
        cursor.eat("+")?;
        Some(cursor.seconds()?)
    } else {
        None
    };
    cursor.skip_blank()?;
    let action = match cursor.peek() {
        Some('<') => {
            cursor.must("<")?;
            Action::Inbound(packet::packet(cursor)?)
        }
        Some('>') => {
            cursor.must(">")?;
            Action::Outbound(packet::packet(cursor)?)
        }
        Some('`') => {
            cursor.must("`")?;
            Action::Shell(cursor.until("`", "a command")?.to_owned())
        }
        Some('%') if cursor.at("%{") => {
            cursor.must("%{")?;
            Action::Code(cursor.until("}%", "a piece of code")?.to_owned())
        }
        Some(c) if c.is_ascii_alphabetic() => Action::Call(system_call(cursor, blocks_until)?),
        _ => return Err(cursor.expected("a packet, a system call, a command or code")),
    };
    if blocks_until.is_some() && !matches!(action, Action::Call(_)) {
        return Err(Trouble::wrong(line, "only a system call can have an end time"));
    }
    Ok(Event { line, when, action })
}

fn when(cursor: &mut Cursor<'_>) -> Result<When, Trouble> {
    if cursor.eat("*")? {
        return Ok(When::Any);
    }
    let relative = cursor.eat("+")?;
    let from = cursor.seconds()?;
    if !cursor.at("~") {
        return Ok(if relative { When::After(from) } else { When::At(from) });
    }
    cursor.must("~")?;
    cursor.eat("+")?;
    let to = cursor.seconds()?;
    if to < from {
        return Err(cursor.wrong("the range of time ends before it begins"));
    }
    Ok(if relative { When::AfterBetween(from, to) } else { When::Between(from, to) })
}

fn system_call(
    cursor: &mut Cursor<'_>,
    blocks_until: Option<core::time::Duration>,
) -> Result<SystemCall, Trouble> {
    let name = cursor.word()?.to_owned();
    cursor.must("(")?;
    let args = expr::list(cursor, ")")?;
    cursor.must("=")?;
    let result = expr::expr(cursor)?;
    // After the result: an errno's symbol and notes in parentheses, both up to the next event's time.
    let word = cursor.peek_word()?;
    let errno = if word.starts_with(|c: char| c.is_ascii_alphabetic()) {
        Some(cursor.word()?.to_owned())
    } else {
        None
    };
    while cursor.eat("(")? {
        cursor.until(")", "a note")?;
    }
    Ok(SystemCall { name, args, blocks_until, result, errno })
}
