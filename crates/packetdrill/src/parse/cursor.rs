//! Reads a script's text character by character, and knows which line it is on.

use core::time::Duration;

use crate::Trouble;

/// A place in the text.
pub(super) struct Cursor<'a> {
    rest: &'a str,
    line: usize,
    /// The script is about IPv6: ICMP names mean ICMPv6's numbers.
    pub(super) v6: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { rest: text, line: 1, v6: false }
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn wrong(&self, what: impl Into<String>) -> Trouble {
        Trouble::wrong(self.line, what)
    }

    pub(super) fn lacking(&self, what: impl Into<String>) -> Trouble {
        Trouble::lacking(self.line, what)
    }

    /// What was expected here, and what stands here instead.
    pub(super) fn expected(&self, what: &str) -> Trouble {
        let found: String = self.rest.chars().take_while(|c| *c != '\n').take(20).collect();
        if found.is_empty() {
            self.wrong(format!("expected {what}"))
        } else {
            self.wrong(format!("expected {what}, found `{found}`"))
        }
    }

    fn advance(&mut self, octets: usize) {
        let (gone, rest) = self.rest.split_at(octets);
        self.line += gone.matches('\n').count();
        self.rest = rest;
    }

    /// Skips white space and comments.
    pub(super) fn skip_blank(&mut self) -> Result<(), Trouble> {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.advance(blank);
            if self.rest.starts_with("//") {
                self.advance(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                match self.rest.find("*/") {
                    Some(end) => self.advance(end + 2),
                    None => return Err(self.wrong("a comment does not end")),
                }
            } else {
                return Ok(());
            }
        }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn at(&self, text: &str) -> bool {
        self.rest.starts_with(text)
    }

    /// Takes `text` if it stands here, after blanks.
    pub(super) fn eat(&mut self, text: &str) -> Result<bool, Trouble> {
        self.skip_blank()?;
        let here = self.at(text);
        if here {
            self.advance(text.len());
        }
        Ok(here)
    }

    pub(super) fn must(&mut self, text: &str) -> Result<(), Trouble> {
        if self.eat(text)? { Ok(()) } else { Err(self.expected(&format!("`{text}`"))) }
    }

    /// Takes what comes before `end`, and `end`.
    pub(super) fn until(&mut self, end: &str, what: &str) -> Result<&'a str, Trouble> {
        let Some(len) = self.rest.find(end) else { return Err(self.wrong(format!("{what} does not end"))) };
        let found = &self.rest[..len];
        self.advance(len + end.len());
        Ok(found)
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let len = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let found = &self.rest[..len];
        self.advance(len);
        found
    }

    /// A word of letters, digits and underscores, after blanks; empty if there is none.
    pub(super) fn word(&mut self) -> Result<&'a str, Trouble> {
        self.skip_blank()?;
        Ok(self.take_while(|c| c.is_ascii_alphanumeric() || c == '_'))
    }

    /// The word that stands here, without taking it.
    pub(super) fn peek_word(&mut self) -> Result<&'a str, Trouble> {
        self.skip_blank()?;
        let len =
            self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        Ok(&self.rest[..len])
    }

    /// Everything up to a blank.
    pub(super) fn token(&mut self) -> Result<&'a str, Trouble> {
        self.skip_blank()?;
        Ok(self.take_while(|c| !c.is_whitespace()))
    }

    /// A whole number, decimal or after `0x`, perhaps negative.
    pub(super) fn integer(&mut self) -> Result<i64, Trouble> {
        self.skip_blank()?;
        let before = self.rest;
        let sign = if self.eat("-")? { -1 } else { 1 };
        let number = if self.at("0x") || self.at("0X") {
            self.advance(2);
            i64::from_str_radix(self.take_while(|c| c.is_ascii_hexdigit()), 16)
        } else {
            self.take_while(|c| c.is_ascii_digit()).parse()
        };
        match number {
            Ok(number) => Ok(sign * number),
            Err(_) => {
                self.rest = before;
                Err(self.expected("a whole number"))
            }
        }
    }

    /// A whole number that fits `T`.
    pub(super) fn number<T: TryFrom<i64>>(&mut self, what: &str) -> Result<T, Trouble> {
        let number = self.integer()?;
        T::try_from(number).map_err(|_| self.wrong(format!("{number} is out of range for {what}")))
    }

    /// A sequence number: 32 bits, also written as a negative one.
    pub(super) fn sequence(&mut self) -> Result<u32, Trouble> {
        let number = self.integer()?;
        u32::try_from(number.rem_euclid(1 << 32)).map_err(|_| self.wrong("not a sequence number"))
    }

    /// Seconds with decimals. A `...` after the number is left alone.
    pub(super) fn seconds(&mut self) -> Result<Duration, Trouble> {
        self.skip_blank()?;
        let whole = self.take_while(|c| c.is_ascii_digit());
        let decimals = if self.at(".") && !self.at("..") {
            self.advance(1);
            self.take_while(|c| c.is_ascii_digit())
        } else {
            ""
        };
        if whole.is_empty() && decimals.is_empty() {
            return Err(self.expected("a time in seconds"));
        }
        let seconds: u64 = if whole.is_empty() { Ok(0) } else { whole.parse() }
            .map_err(|_| self.wrong("a time is too long"))?;
        let nanos: u32 = format!("{decimals:0<9}")[..9].parse().map_err(|_| self.wrong("not a time"))?;
        Ok(Duration::new(seconds, nanos))
    }
}
