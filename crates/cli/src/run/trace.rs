//! `--trace FILE`: all that happened, one JSON object a line. Described in `docs/trace.md`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value};
use socketlab_view::{CallView, Event};

/// The file, while it is written.
pub(crate) struct Trace {
    file: BufWriter<File>,
}

impl Trace {
    /// Makes the file.
    pub(crate) fn create(path: &Path) -> Result<Trace> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Trace { file: BufWriter::new(file) })
    }

    /// The next event.
    pub(crate) fn write(&mut self, event: &Event) -> Result<()> {
        serde_json::to_writer(&mut self.file, &line(event)?)?;
        self.file.write_all(b"\n")?;
        Ok(())
    }

    /// All of it is in the file.
    pub(crate) fn finish(mut self) -> Result<()> {
        Ok(self.file.flush()?)
    }
}

/// `{"seq": 7, "at_ns": 12400, "event": "frame-sent", ...its fields...}`.
fn line(event: &Event) -> Result<Value> {
    let mut line = Map::new();
    line.insert("seq".to_owned(), event.seq.into());
    line.insert("at_ns".to_owned(), event.at.into());
    let (name, fields) = match serde_json::to_value(&event.kind)? {
        Value::Object(kind) => kind.into_iter().next().unwrap_or_default(),
        Value::String(name) => (name, Value::Null),
        other => (String::new(), other),
    };
    line.insert("event".to_owned(), kebab(&name).into());
    if let Value::Object(fields) = fields {
        for (name, value) in fields {
            let value = match (name.as_str(), value) {
                ("bytes", Value::Array(octets)) => Value::String(hexadecimal(&octets)),
                ("program", number) if number == CallView::NO_PROGRAM => Value::Null,
                (_, value) => value,
            };
            line.insert(name, value);
        }
    }
    Ok(Value::Object(line))
}

/// `FrameSent` as `frame-sent`.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn hexadecimal(octets: &[Value]) -> String {
    octets.iter().filter_map(Value::as_u64).map(|octet| format!("{octet:02x}")).collect()
}
