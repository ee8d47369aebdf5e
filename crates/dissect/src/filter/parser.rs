//! Tokens → a checked expression: names resolved, values read, patterns compiled.

use regex_lite::Regex;

use super::lexer::{Placed, Token};
use super::literal::{self, Literal, Type};
use super::{FilterError, FilterProblem, lookup, nearest};
use crate::fields::{PROTOCOLS, all};

/// How values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
}

/// Something that has values in a frame.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    /// Index of a wanted name.
    Field(usize),
    /// Parts of each value's octets.
    Slice(Box<Operand>, Vec<Range>),
    Len(Box<Operand>),
    Count(Box<Operand>),
    Lower(Box<Operand>),
    Upper(Box<Operand>),
    /// The value as text.
    String(Box<Operand>),
    /// Only these bits.
    Bits(Box<Operand>, u64),
}

/// A part of some octets; negative numbers count from the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) start: i64,
    pub(super) end: RangeEnd,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum RangeEnd {
    Len(i64),
    /// The last one, included.
    At(i64),
    Open,
}

/// An expression.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    Or(Box<Expr>, Box<Expr>),
    Xor(Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    /// There is a value.
    Exists(Operand),
    /// There is a value other than zero.
    NonZero(Operand),
    /// `all`: every value must fit, and there must be one.
    Compare {
        left: Operand,
        op: Op,
        right: Literal,
        all: bool,
    },
    CompareFields {
        left: Operand,
        op: Op,
        right: Operand,
        all: bool,
    },
    In(Operand, Vec<(Literal, Literal)>),
    Contains(Operand, Vec<u8>),
    Matches(Operand, Regex),
}

/// A literal or an operand, before it is known what it is compared with.
enum Side {
    Operand(Operand, Type, String),
    Literal(Placed),
}

struct Parser<'a> {
    tokens: &'a [Placed],
    at: usize,
    /// Characters of the expression.
    length: usize,
    wanted: Vec<&'static str>,
    /// Brackets and negations inside one another.
    depth: usize,
}

type Parsed<T> = Result<T, FilterError>;

/// Brackets inside one another that are followed. A choice, far above what a person writes.
const DEEPEST: usize = 100;

pub(super) fn parse(tokens: &[Placed], length: usize) -> Parsed<(Expr, Vec<&'static str>)> {
    let mut parser = Parser { tokens, at: 0, length, wanted: Vec::new(), depth: 0 };
    let root = parser.or()?;
    match parser.peek() {
        None => Ok((root, parser.wanted)),
        Some(token) => Err(unexpected(token)),
    }
}

fn unexpected(token: &Placed) -> FilterError {
    error(token, FilterProblem::Unexpected(token.text()))
}

fn error(token: &Placed, problem: FilterProblem) -> FilterError {
    FilterError { start: token.start, end: token.end, problem }
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Placed> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Parsed<&'a Placed> {
        let token = self.peek().ok_or(FilterError {
            start: self.length,
            end: self.length,
            problem: FilterProblem::UnexpectedEnd,
        })?;
        self.at += 1;
        Ok(token)
    }

    /// Takes the next token if it is this sign, or one of these words.
    fn take(&mut self, signs: &[&str], words: &[&str]) -> bool {
        let found = match self.peek().map(|t| &t.token) {
            Some(Token::Sign(sign)) => signs.contains(sign),
            Some(Token::Word(word)) => words.contains(&word.as_str()),
            _ => false,
        };
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &'static str) -> Parsed<()> {
        let token = self.next()?;
        if token.token == Token::Sign(sign) { Ok(()) } else { Err(unexpected(token)) }
    }

    fn or(&mut self) -> Parsed<Expr> {
        let mut left = self.xor()?;
        while self.take(&["||"], &["or"]) {
            left = Expr::Or(Box::new(left), Box::new(self.xor()?));
        }
        Ok(left)
    }

    fn xor(&mut self) -> Parsed<Expr> {
        let mut left = self.and()?;
        while self.take(&["^^"], &["xor"]) {
            left = Expr::Xor(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed<Expr> {
        let mut left = self.not()?;
        while self.take(&["&&"], &["and"]) {
            left = Expr::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed<Expr> {
        let Some(token) = self.peek() else { return self.test() };
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(unexpected(token));
        }
        let found = if self.take(&["!"], &["not"]) {
            Expr::Not(Box::new(self.not()?))
        } else if self.take(&["("], &[]) {
            let inner = self.or()?;
            self.expect(")")?;
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(found)
    }

    /// A comparison, or a field that must be there.
    fn test(&mut self) -> Parsed<Expr> {
        let all = match self.peek().map(|t| &t.token) {
            Some(Token::Word(word)) if word == "all" || word == "any" => {
                self.at += 1;
                Some(word == "all")
            }
            _ => None,
        };
        let first = self.next()?;
        let left = self.side(first)?;
        let sign = self.peek();
        let written = sign.map(Placed::text).unwrap_or_default();
        let op = match written.as_str() {
            "==" | "=" | "eq" | "any_eq" | "===" | "all_eq" => Op::Eq,
            "!=" | "ne" | "all_ne" | "~=" | "any_ne" | "!==" => Op::Ne,
            ">" | "gt" => Op::Gt,
            "<" | "lt" => Op::Lt,
            ">=" | "ge" => Op::Ge,
            "<=" | "le" => Op::Le,
            _ => return self.relation(first, left, &written),
        };
        self.at += 1;
        let every = matches!(written.as_str(), "===" | "all_eq" | "!=" | "ne" | "all_ne");
        let all = all.unwrap_or(every);
        let second = self.next()?;
        let right = self.side(second)?;
        match (left, right) {
            (Side::Operand(left, kind, name), Side::Literal(token)) => {
                check_value(first, kind, &name)?;
                let right = self.literal(&token, kind, &name)?;
                Ok(Expr::Compare { left, op, right, all })
            }
            (Side::Literal(token), Side::Operand(right, kind, name)) => {
                check_value(second, kind, &name)?;
                let literal = self.literal(&token, kind, &name)?;
                let op = match op {
                    Op::Gt => Op::Lt,
                    Op::Lt => Op::Gt,
                    Op::Ge => Op::Le,
                    Op::Le => Op::Ge,
                    same => same,
                };
                Ok(Expr::Compare { left: right, op, right: literal, all })
            }
            (Side::Operand(left, a, name), Side::Operand(right, b, _)) => {
                if a != b && !(a.has_octets() && b.has_octets()) {
                    return Err(bad_value(second, &name));
                }
                if a == Type::None {
                    return Err(FilterError {
                        start: first.start,
                        end: second.end,
                        problem: FilterProblem::DifferentKinds,
                    });
                }
                Ok(Expr::CompareFields { left, op, right, all })
            }
            (Side::Literal(token), Side::Literal(_)) => Err(unknown(&token)),
        }
    }

    /// `contains`, `matches`, `in`, or nothing at all behind the left side.
    fn relation(&mut self, first: &Placed, left: Side, written: &str) -> Parsed<Expr> {
        let (left, kind, name) = match left {
            Side::Operand(left, kind, name) => (left, kind, name),
            Side::Literal(token) => return Err(unknown(&token)),
        };
        let octets = |expected: bool| match expected {
            true => Ok(()),
            false => Err(error(
                first,
                FilterProblem::BadOperator { operator: written.to_string(), field: name.clone() },
            )),
        };
        match written {
            "contains" => {
                self.at += 1;
                octets(kind.has_octets())?;
                let token = self.next()?;
                let wanted = match &token.token {
                    Token::Text { value, .. } => value.clone(),
                    Token::Word(word) if kind != Type::Text => {
                        literal::bytes(word).ok_or_else(|| bad_value(token, &name))?
                    }
                    Token::Word(word) => {
                        return Err(error(token, FilterProblem::MissingQuotes(word.clone())));
                    }
                    Token::Sign(_) => return Err(unexpected(token)),
                };
                Ok(Expr::Contains(left, wanted))
            }
            "matches" | "~" => {
                self.at += 1;
                octets(matches!(kind, Type::Text | Type::Bytes | Type::Protocol))?;
                let token = self.next()?;
                let Token::Text { raw, .. } = &token.token else { return Err(unexpected(token)) };
                // Octets are looked at one by one, each as the character of the same number; so is the pattern.
                let pattern: String = raw.bytes().map(char::from).collect();
                let pattern = Regex::new(&format!("(?i){pattern}"))
                    .map_err(|why| error(token, FilterProblem::BadPattern(why.to_string())))?;
                Ok(Expr::Matches(left, pattern))
            }
            "in" => {
                self.at += 1;
                check_value(first, kind, &name)?;
                Ok(Expr::In(left, self.set(kind, &name)?))
            }
            "not" if self.tokens.get(self.at + 1).is_some_and(|t| t.text() == "in") => {
                self.at += 2;
                check_value(first, kind, &name)?;
                Ok(Expr::Not(Box::new(Expr::In(left, self.set(kind, &name)?))))
            }
            _ if matches!(left, Operand::Bits(..)) => Ok(Expr::NonZero(left)),
            _ => Ok(Expr::Exists(left)),
        }
    }

    /// `{80, 443, 8000..8010}`; commas may be left out.
    fn set(&mut self, kind: Type, name: &str) -> Parsed<Vec<(Literal, Literal)>> {
        self.expect("{")?;
        let mut members = Vec::new();
        loop {
            if self.take(&["}"], &[]) {
                if members.is_empty() {
                    return Err(unexpected(&self.tokens[self.at - 1]));
                }
                return Ok(members);
            }
            let token = self.next()?;
            let low = self.literal(token, kind, name)?;
            let high = match self.take(&[".."], &[]) {
                true => {
                    let token = self.next()?;
                    self.literal(token, kind, name)?
                }
                false => low.clone(),
            };
            members.push((low, high));
            self.take(&[","], &[]);
        }
    }

    /// A field, a function or a value, with what is hung onto it.
    fn side(&mut self, token: &'a Placed) -> Parsed<Side> {
        let Token::Word(word) = &token.token else {
            return match token.token {
                Token::Text { .. } => Ok(Side::Literal(token.clone())),
                _ => Err(unexpected(token)),
            };
        };
        let (mut operand, mut kind, name) = if self.take(&["("], &[]) {
            let inner = self.next()?;
            let Side::Operand(inner, kind, name) = self.side(inner)? else { return Err(unknown(inner)) };
            self.expect(")")?;
            let (operand, kind) = function(token, word, inner, kind)?;
            (operand, kind, name)
        } else if let Some(name) = lookup(word) {
            let slot = self.wanted.iter().position(|w| *w == name).unwrap_or(self.wanted.len());
            if slot == self.wanted.len() {
                self.wanted.push(name);
            }
            (Operand::Field(slot), kind_of(name), name.to_string())
        } else {
            return Ok(Side::Literal(token.clone()));
        };
        while self.take(&["["], &[]) {
            if !kind.has_octets() {
                let operator = "[ ]".to_string();
                return Err(error(token, FilterProblem::BadOperator { operator, field: name }));
            }
            operand = Operand::Slice(Box::new(operand), self.ranges()?);
            kind = if kind == Type::Text { Type::Text } else { Type::Bytes };
        }
        if self.take(&["&"], &[]) {
            let mask = self.next()?;
            let Token::Word(word) = &mask.token else { return Err(unexpected(mask)) };
            let value = literal::number(word).and_then(|v| u64::try_from(v).ok());
            let value = value.filter(|_| kind == Type::Number).ok_or_else(|| bad_value(mask, &name))?;
            operand = Operand::Bits(Box::new(operand), value);
        }
        Ok(Side::Operand(operand, kind, name))
    }

    /// What stands between `[` and `]`.
    fn ranges(&mut self) -> Parsed<Vec<Range>> {
        let mut ranges = Vec::new();
        loop {
            let start = self.integer()?;
            let end = if self.take(&[":"], &[]) {
                match self.integer()? {
                    Some(len) => RangeEnd::Len(len),
                    None => RangeEnd::Open,
                }
            } else if start.is_some() && self.take(&["-"], &[]) {
                match self.integer()? {
                    Some(last) => RangeEnd::At(last),
                    None => return Err(unexpected(self.next()?)),
                }
            } else {
                RangeEnd::Len(1)
            };
            ranges.push(Range { start: start.unwrap_or(0), end });
            if self.take(&["]"], &[]) {
                return Ok(ranges);
            }
            self.expect(",")?;
        }
    }

    fn integer(&mut self) -> Parsed<Option<i64>> {
        let minus = matches!(self.peek().map(|t| &t.token), Some(Token::Sign("-")));
        let place = self.at + usize::from(minus);
        let Some(Placed { token: Token::Word(word), .. }) = self.tokens.get(place) else { return Ok(None) };
        let token = &self.tokens[place];
        let value = literal::number(word).and_then(|v| i64::try_from(v).ok());
        let value = value.ok_or_else(|| unexpected(token))?;
        self.at = place + 1;
        Ok(Some(if minus { -value } else { value }))
    }

    fn literal(&self, token: &Placed, kind: Type, name: &str) -> Parsed<Literal> {
        match &token.token {
            Token::Text { value, .. } => literal::text(value, kind).ok_or_else(|| bad_value(token, name)),
            Token::Word(word) => match literal::word(word, kind) {
                Some(literal) => Ok(literal),
                None if kind == Type::Text => Err(error(token, FilterProblem::MissingQuotes(word.clone()))),
                None => Err(bad_value(token, name)),
            },
            Token::Sign(_) => Err(unexpected(token)),
        }
    }
}

fn function(token: &Placed, name: &str, inner: Operand, kind: Type) -> Parsed<(Operand, Type)> {
    let bad = || {
        let operator = format!("{name}()");
        error(token, FilterProblem::BadOperator { operator, field: String::new() })
    };
    let inner = Box::new(inner);
    match name {
        "len" if kind.has_octets() => Ok((Operand::Len(inner), Type::Number)),
        "count" => Ok((Operand::Count(inner), Type::Number)),
        "lower" if kind == Type::Text => Ok((Operand::Lower(inner), Type::Text)),
        "upper" if kind == Type::Text => Ok((Operand::Upper(inner), Type::Text)),
        "string" if kind != Type::Protocol && kind != Type::None => Ok((Operand::String(inner), Type::Text)),
        "len" | "lower" | "upper" | "string" => Err(bad()),
        other => Err(error(token, FilterProblem::UnknownFunction(other.to_string()))),
    }
}

fn kind_of(name: &str) -> Type {
    if PROTOCOLS.iter().any(|(protocol, _)| *protocol == name) {
        return Type::Protocol;
    }
    all().find(|d| d.name == name).map_or(Type::None, |d| Type::of(d.kind))
}

fn check_value(token: &Placed, kind: Type, name: &str) -> Parsed<()> {
    match kind {
        Type::None => Err(error(token, FilterProblem::NoValue(name.to_string()))),
        _ => Ok(()),
    }
}

fn bad_value(token: &Placed, field: &str) -> FilterError {
    error(token, FilterProblem::BadValue { value: token.text(), field: field.to_string() })
}

fn unknown(token: &Placed) -> FilterError {
    let name = token.text();
    let nearest = nearest(&name);
    error(token, FilterProblem::UnknownField { name, nearest })
}
