//! The pieces of code between `%{` and `}%`: `assert`, assignments and `print`, over whole numbers, in Python's syntax.

use std::collections::BTreeMap;

use crate::Trouble;

/// Variables that one piece of code sets and a later one reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Code {
    variables: BTreeMap<String, i128>,
}

/// Why an expression has no value.
enum Problem {
    /// Not in this small language.
    Lacking(String),
    Wrong(String),
}

impl Code {
    /// Runs a piece of code. `known` gives the value of names such as `tcpi_snd_cwnd`.
    pub(crate) fn run(
        &mut self,
        line: usize,
        text: &str,
        known: impl Fn(&str) -> Option<i128>,
    ) -> Result<(), Trouble> {
        for (offset, statement) in statements(text) {
            let line = line + offset;
            self.statement(&statement, &known).map_err(|problem| match problem {
                Problem::Lacking(what) => Trouble::lacking(line, what),
                Problem::Wrong(what) => Trouble::wrong(line, what),
            })?;
        }
        Ok(())
    }

    fn statement(&mut self, text: &str, known: &impl Fn(&str) -> Option<i128>) -> Result<(), Problem> {
        if text.is_empty() || text.starts_with('#') || text.starts_with("print") {
            return Ok(());
        }
        let mut reader = Reader { rest: text, variables: &self.variables, known, used: Vec::new() };
        if reader.keyword("assert") {
            if reader.or()? != 0 {
                return Ok(());
            }
            reader.used.dedup();
            let values: Vec<_> =
                reader.used.iter().map(|(name, value)| format!("{name} is {value}")).collect();
            let condition = text[..text.len() - reader.rest.len()].trim();
            return Err(Problem::Wrong(format!("`{condition}` does not hold: {}", values.join(", "))));
        }
        let name = reader.name();
        let operator = ["+=", "-=", "*=", "="].into_iter().find(|o| reader.eat(o));
        let (Some(operator), false) = (operator, name.is_empty()) else {
            return Err(Problem::Lacking(format!("the statement `{text}`")));
        };
        let value = reader.or()?;
        if !reader.rest.trim().is_empty() {
            return Err(Problem::Lacking(format!("the expression `{text}`")));
        }
        let old = self.variables.get(name).copied();
        let value = match (operator, old) {
            ("=", _) => value,
            ("+=", Some(old)) => old + value,
            ("-=", Some(old)) => old - value,
            ("*=", Some(old)) => old * value,
            _ => return Err(Problem::Wrong(format!("{name} has no value"))),
        };
        self.variables.insert(name.to_owned(), value);
        Ok(())
    }
}

/// The statements of a text, each with how many lines it begins after the text.
fn statements(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut line, mut start, mut depth, mut quote) = (0, 0, 0i32, None);
    let mut current = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None) if chars.peek() == Some(&'\n') => {
                chars.next();
                line += 1;
                continue;
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(q)) if c == q => quote = None,
            ('(' | '[', None) => depth += 1,
            (')' | ']', None) => depth -= 1,
            (';' | '\n', None) if depth == 0 => {
                found.push((start, std::mem::take(&mut current)));
                line += usize::from(c == '\n');
                start = line;
                continue;
            }
            ('\n', _) => line += 1,
            _ => {}
        }
        current.push(c);
    }
    found.push((start, current));
    found.into_iter().map(|(at, s)| (at, s.trim().to_owned())).filter(|(_, s)| !s.is_empty()).collect()
}

struct Reader<'a, K> {
    rest: &'a str,
    variables: &'a BTreeMap<String, i128>,
    known: &'a K,
    /// Names read so far, with their values, to be shown when an assertion fails.
    used: Vec<(String, i128)>,
}

impl<'a, K: Fn(&str) -> Option<i128>> Reader<'a, K> {
    fn eat(&mut self, text: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// An operator that is not the beginning of a longer one.
    fn operator(&mut self, text: &str, not: &[&str]) -> bool {
        self.rest = self.rest.trim_start();
        !not.iter().any(|n| self.rest.starts_with(n)) && self.eat(text)
    }

    fn name(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let len =
            self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(len);
        self.rest = rest;
        name
    }

    fn keyword(&mut self, word: &str) -> bool {
        let before = self.rest;
        if self.name() == word {
            return true;
        }
        self.rest = before;
        false
    }

    fn or(&mut self) -> Result<i128, Problem> {
        let mut value = self.and()?;
        while self.keyword("or") {
            let right = self.and()?;
            value = if value != 0 { value } else { right };
        }
        Ok(value)
    }

    fn and(&mut self) -> Result<i128, Problem> {
        let mut value = self.not()?;
        while self.keyword("and") {
            let right = self.not()?;
            value = if value == 0 { value } else { right };
        }
        Ok(value)
    }

    fn not(&mut self) -> Result<i128, Problem> {
        if self.keyword("not") { Ok(i128::from(self.not()? == 0)) } else { self.comparison() }
    }

    /// `a <= b <= c` holds if each of its comparisons does.
    fn comparison(&mut self) -> Result<i128, Problem> {
        let mut left = self.binary(0)?;
        let (mut holds, mut any) = (true, false);
        loop {
            let compare: fn(&i128, &i128) -> bool = if self.eat("==") {
                i128::eq
            } else if self.eat("!=") {
                i128::ne
            } else if self.eat("<=") {
                i128::le
            } else if self.eat(">=") {
                i128::ge
            } else if self.operator("<", &["<<"]) {
                i128::lt
            } else if self.operator(">", &[">>"]) {
                i128::gt
            } else {
                return Ok(if any { i128::from(holds) } else { left });
            };
            let right = self.binary(0)?;
            holds &= compare(&left, &right);
            any = true;
            left = right;
        }
    }

    /// Binary operators from the loosest to the tightest: `|`, `^`, `&`, shifts, sums, products.
    fn binary(&mut self, level: usize) -> Result<i128, Problem> {
        let next = |s: &mut Self| if level == 5 { s.unary() } else { s.binary(level + 1) };
        let mut left = next(self)?;
        loop {
            let operator = match level {
                0 if self.eat("|") => '|',
                1 if self.eat("^") => '^',
                2 if self.eat("&") => '&',
                3 if self.eat("<<") => 'l',
                3 if self.eat(">>") => 'r',
                4 if self.eat("+") => '+',
                4 if self.eat("-") => '-',
                5 if self.eat("//") => '/',
                5 if self.operator("*", &["**"]) => '*',
                5 if self.eat("%") => '%',
                5 if self.eat("/") => return Err(Problem::Lacking("division with fractions".to_owned())),
                _ => return Ok(left),
            };
            let right = next(self)?;
            let value = match operator {
                '|' => Some(left | right),
                '^' => Some(left ^ right),
                '&' => Some(left & right),
                'l' => u32::try_from(right).ok().and_then(|by| left.checked_shl(by)),
                'r' => u32::try_from(right).ok().and_then(|by| left.checked_shr(by)),
                '+' => left.checked_add(right),
                '-' => left.checked_sub(right),
                '*' => left.checked_mul(right),
                '/' => left.checked_div_euclid(right),
                _ => left.checked_rem_euclid(right),
            };
            left = value.ok_or_else(|| Problem::Wrong("a number is out of range".to_owned()))?;
        }
    }

    fn unary(&mut self) -> Result<i128, Problem> {
        if self.eat("-") {
            return Ok(-self.unary()?);
        }
        if self.eat("~") {
            return Ok(!self.unary()?);
        }
        if self.eat("(") {
            let value = self.or()?;
            return if self.eat(")") {
                Ok(value)
            } else {
                Err(Problem::Wrong("a `)` is missing".to_owned()))
            };
        }
        let name = self.name();
        if name.is_empty() {
            return Err(Problem::Lacking(format!("the expression `{}`", self.rest)));
        }
        if let Some(hex) = name.strip_prefix("0x") {
            return i128::from_str_radix(hex, 16)
                .map_err(|_| Problem::Wrong(format!("`{name}` is no number")));
        }
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            if self.rest.starts_with('.') {
                return Err(Problem::Lacking("numbers with fractions".to_owned()));
            }
            return name.parse().map_err(|_| Problem::Wrong(format!("`{name}` is no number")));
        }
        match name {
            "True" => return Ok(1),
            "False" => return Ok(0),
            _ => {}
        }
        let value = self.variables.get(name).copied().or_else(|| (self.known)(name));
        let value = value.ok_or_else(|| Problem::Lacking(format!("the name {name}")))?;
        self.used.push((name.to_owned(), value));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::Code;
    use crate::Trouble;

    fn run(text: &str) -> Result<(), Trouble> {
        let known = |name: &str| match name {
            "tcpi_snd_cwnd" => Some(10),
            "tcpi_options" => Some(7),
            _ => None,
        };
        Code::default().run(5, text, known)
    }

    #[test]
    fn assertions_hold_or_say_what_does_not() {
        for holds in [
            "assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd",
            "assert 9 <= tcpi_snd_cwnd <= 11, 'cwnd=%d' % tcpi_snd_cwnd",
            "assert (tcpi_options & 2) != 0",
            "cwnd = 8; cwnd += 2; assert tcpi_snd_cwnd == cwnd, cwnd",
            "assert tcpi_snd_cwnd == 9 or not tcpi_snd_cwnd < 10 and 0x10 == 2 + 7 * 2",
            "\nassert tcpi_snd_cwnd == 10; \\\nassert 1 << 3 == 8 # done\n",
            "assert -7 // 2 == -4 and 7 % 4 == 3",
        ] {
            assert_eq!(run(holds), Ok(()), "{holds}");
        }
        let why = "`assert tcpi_snd_cwnd == 9` does not hold: tcpi_snd_cwnd is 10";
        assert_eq!(run("print(1)\nassert tcpi_snd_cwnd == 9, 'x'"), Err(Trouble::wrong(6, why)));
    }

    #[test]
    fn what_is_not_understood_never_holds() {
        for lacking in [
            "assert tcpi_unknown == 1",
            "import os",
            "assert 1.5 < 2",
            "assert 'a' == 'a'",
            "assert 4 / 2 == 2",
        ] {
            assert!(matches!(run(lacking), Err(Trouble::Lacking { .. })), "{lacking}");
        }
    }
}
