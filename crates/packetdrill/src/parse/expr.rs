//! Arguments and results of system calls.

use crate::Trouble;
use crate::script::Expr;

use super::cursor::Cursor;

/// Expressions with commas between, up to and with `close`.
pub(super) fn list(cursor: &mut Cursor<'_>, close: &str) -> Result<Vec<Expr>, Trouble> {
    let mut found = Vec::new();
    if cursor.eat(close)? {
        return Ok(found);
    }
    loop {
        found.push(expr(cursor)?);
        if cursor.eat(close)? {
            return Ok(found);
        }
        cursor.must(",")?;
    }
}

/// One expression.
pub(super) fn expr(cursor: &mut Cursor<'_>) -> Result<Expr, Trouble> {
    let first = single(cursor)?;
    cursor.skip_blank()?;
    if !cursor.at("|") {
        return Ok(first);
    }
    let mut parts = vec![first];
    while cursor.eat("|")? {
        parts.push(single(cursor)?);
    }
    Ok(Expr::Or(parts))
}

fn single(cursor: &mut Cursor<'_>) -> Result<Expr, Trouble> {
    if cursor.eat("...")? {
        return Ok(Expr::Ellipsis);
    }
    if cursor.eat("[")? {
        return Ok(Expr::List(list(cursor, "]")?));
    }
    if cursor.eat("{")? {
        return Ok(Expr::Struct(list(cursor, "}")?));
    }
    if cursor.eat("\"")? {
        let text = cursor.until("\"", "a string")?.to_owned();
        cursor.eat("...")?;
        return Ok(Expr::Text(text));
    }
    let word = cursor.peek_word()?;
    if !word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return cursor.integer().map(Expr::Int);
    }
    cursor.word()?;
    let mut value = Expr::Word(word.to_owned());
    cursor.skip_blank()?;
    if cursor.at("(") {
        cursor.must("(")?;
        value = Expr::Apply(word.to_owned(), list(cursor, ")")?);
    }
    cursor.skip_blank()?;
    if cursor.at("=") && !cursor.at("==") {
        cursor.must("=")?;
        value = Expr::Field(word.to_owned(), Box::new(expr(cursor)?));
    }
    Ok(value)
}
