//! An expression as words, operators and texts, each with its place.

use super::{FilterError, FilterProblem};

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A field, a number, an address: letters, digits and `. _ - : /`.
    Word(String),
    /// In double quotes, escapes resolved. `raw`: with those of patterns.
    Text { value: Vec<u8>, raw: String },
    /// An operator or bracket, in its written form (`==`, `&&`, `{`).
    Sign(&'static str),
}

/// A token and its place in characters.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Placed {
    pub(super) fn text(&self) -> String {
        match &self.token {
            Token::Word(word) => word.clone(),
            Token::Text { raw, .. } => raw.clone(),
            Token::Sign(sign) => (*sign).to_string(),
        }
    }
}

/// Longest first.
const SIGNS: [&str; 30] = [
    "===", "!==", "==", "!=", "~=", ">=", "<=", "&&", "||", "^^", "..", ">", "<", "&", "!", "~", "(", ")",
    "{", "}", "[", "]", ",", "+", "*", "%", "=", ":", "/", "-",
];

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "._-:/".contains(c)
}

pub(super) fn tokens(expression: &str) -> Result<Vec<Placed>, FilterError> {
    let chars: Vec<char> = expression.chars().collect();
    let mut out: Vec<Placed> = Vec::new();
    let mut at = 0;
    let mut brackets = 0usize;
    while let Some(&c) = chars.get(at) {
        let start = at;
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let raw_text = (c == 'r' || c == 'R') && chars.get(at + 1) == Some(&'"');
        let token = if c == '"' || raw_text {
            if raw_text {
                at += 1;
            }
            text(&chars, &mut at, raw_text).ok_or(FilterError {
                start,
                end: chars.len(),
                problem: FilterProblem::OpenText,
            })?
        } else if brackets > 0 && (c.is_alphanumeric() || c == '-' || c == ':') {
            // Inside of [ ]: numbers, `:` and `-`.
            if c.is_alphanumeric() {
                while chars.get(at).is_some_and(|c| c.is_alphanumeric()) {
                    at += 1;
                }
                Token::Word(chars[start..at].iter().collect())
            } else {
                at += 1;
                Token::Sign(if c == ':' { ":" } else { "-" })
            }
        } else if is_word(c) && !(c == '.' && chars.get(at + 1) == Some(&'.')) {
            while chars.get(at).is_some_and(|c| is_word(*c)) {
                // A range of a set, not part of a number or name.
                if chars[at] == '.' && chars.get(at + 1) == Some(&'.') {
                    break;
                }
                at += 1;
            }
            Token::Word(chars[start..at].iter().collect())
        } else {
            let rest: String = chars[at..].iter().take(3).collect();
            let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) else {
                let problem = FilterProblem::Unexpected(c.to_string());
                return Err(FilterError { start, end: start + 1, problem });
            };
            at += sign.len();
            match *sign {
                "[" => brackets += 1,
                "]" => brackets = brackets.saturating_sub(1),
                _ => {}
            }
            Token::Sign(sign)
        };
        out.push(Placed { token, start, end: at });
    }
    Ok(out)
}

/// A text in quotes, from the opening one on.
fn text(chars: &[char], at: &mut usize, is_raw: bool) -> Option<Token> {
    let mut value = Vec::new();
    let mut raw = String::new();
    *at += 1;
    loop {
        let c = *chars.get(*at)?;
        *at += 1;
        let mut buffer = [0; 4];
        match c {
            '"' => return Some(Token::Text { value, raw }),
            '\\' => {
                let escaped = *chars.get(*at)?;
                *at += 1;
                // A pattern takes what is no escape of a text for its own.
                if is_raw || !matches!(escaped, '\\' | '"') {
                    raw.push('\\');
                }
                raw.push(escaped);
                if is_raw {
                    value.extend(b"\\");
                    value.extend(escaped.encode_utf8(&mut buffer).bytes());
                    continue;
                }
                match escaped {
                    'n' => value.push(b'\n'),
                    'r' => value.push(b'\r'),
                    't' => value.push(b'\t'),
                    '0' => value.push(0),
                    'x' => {
                        let digits: String = chars.get(*at..*at + 2)?.iter().collect();
                        value.push(u8::from_str_radix(&digits, 16).ok()?);
                        raw.push_str(&digits);
                        *at += 2;
                    }
                    other => value.extend(other.encode_utf8(&mut buffer).bytes()),
                }
            }
            other => {
                raw.push(other);
                value.extend(other.encode_utf8(&mut buffer).bytes());
            }
        }
    }
}
