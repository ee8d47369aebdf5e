//! Reads the tables of a lab file field by field and collects what is wrong on the way. What cannot be understood is
//! left out, so that all problems are found in one go.

use core::ops::Range;

use toml::de::{DeArray, DeTable, DeValue};

use crate::nearest::nearest;
use crate::problem::{Problem, problem};

/// A value with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) line: u32,
    pub(crate) value: T,
}

/// The file and what was wrong with it so far.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    pub(crate) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Reader { text, problems: Vec::new() }
    }

    /// Line of an offset into the file, from 1.
    pub(crate) fn line(&self, span: &Range<usize>) -> u32 {
        let before = self.text.as_bytes().iter().take(span.start);
        before.filter(|octet| **octet == b'\n').count() as u32 + 1
    }

    pub(crate) fn complain(&mut self, line: u32, field: &str, key: &'static str, args: &[(&str, &str)]) {
        self.problems.push(problem(line, field, key, args));
    }

    /// A name that is not there; the key's `-near` form if there is a near one.
    pub(crate) fn complain_missing<'n>(
        &mut self,
        line: u32,
        field: &str,
        keys: (&'static str, &'static str),
        name: &str,
        candidates: impl IntoIterator<Item = &'n str>,
    ) {
        match nearest(name, candidates) {
            Some(nearest) => self.complain(line, field, keys.1, &[("name", name), ("nearest", nearest)]),
            None => self.complain(line, field, keys.0, &[("name", name)]),
        }
    }

    /// `expected` is an example in TOML, which reads the same in every language.
    fn wrong_type(&mut self, line: u32, field: &str, expected: &str, found: &DeValue<'_>) {
        self.complain(line, field, "lab-wrong-type", &[("expected", expected), ("found", found.type_str())]);
    }
}

/// One table of the file: `host[2]`, or the whole file.
#[derive(Debug)]
pub(crate) struct Section<'t, 'i> {
    table: &'t DeTable<'i>,
    /// Its path: empty for the file itself.
    pub(crate) path: String,
    /// Line of its header.
    pub(crate) line: u32,
}

impl<'t, 'i> Section<'t, 'i> {
    /// The file itself.
    pub(crate) const fn root(table: &'t DeTable<'i>) -> Self {
        Section { table, path: String::new(), line: 1 }
    }

    /// `host[2].address`.
    pub(crate) fn field(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Whether there is such a field, right or wrong.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Complains about every field that is not among `known`.
    pub(crate) fn only(&self, reader: &mut Reader<'_>, known: &[&str]) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let (line, field) = (reader.line(&key.span()), self.field(name));
            match nearest(name, known.iter().copied()) {
                Some(nearest) => {
                    reader.complain(
                        line,
                        &field,
                        "lab-unknown-field-near",
                        &[("name", name), ("nearest", nearest)],
                    );
                }
                None => {
                    let known = known.join(", ");
                    reader.complain(line, &field, "lab-unknown-field", &[("name", name), ("known", &known)]);
                }
            }
        }
    }

    fn get(&self, reader: &Reader<'_>, name: &str) -> Option<(u32, &'t DeValue<'i>)> {
        let value = self.table.get(name)?;
        Some((reader.line(&value.span()), value.get_ref()))
    }

    /// The tables of `[[name]]`.
    pub(crate) fn sections(&self, reader: &mut Reader<'_>, name: &str) -> Vec<Section<'t, 'i>> {
        let Some((line, value)) = self.get(reader, name) else { return Vec::new() };
        let Some(array) = value.as_array() else {
            reader.wrong_type(line, &self.field(name), &format!("[[{name}]]"), value);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (i, item) in array.iter().enumerate() {
            let path = format!("{}[{i}]", self.field(name));
            let line = reader.line(&item.span());
            match item.get_ref().as_table() {
                Some(table) => sections.push(Section { table, path, line }),
                None => reader.wrong_type(line, &path, "[[...]]", item.get_ref()),
            }
        }
        sections
    }

    /// A text.
    pub(crate) fn text(&self, reader: &mut Reader<'_>, name: &str) -> Option<At<String>> {
        let (line, value) = self.get(reader, name)?;
        match value.as_str() {
            Some(text) => Some(At { line, value: text.to_owned() }),
            None => {
                reader.wrong_type(line, &self.field(name), r#""...""#, value);
                None
            }
        }
    }

    /// A text that must be there.
    pub(crate) fn required(&self, reader: &mut Reader<'_>, name: &str, example: &str) -> Option<At<String>> {
        if !self.table.contains_key(name) {
            reader.complain(
                self.line,
                &self.field(name),
                "lab-missing-field",
                &[("name", name), ("example", example)],
            );
        }
        self.text(reader, name)
    }

    /// A text or a list of texts.
    pub(crate) fn texts(&self, reader: &mut Reader<'_>, name: &str) -> Vec<At<String>> {
        let Some((line, value)) = self.get(reader, name) else { return Vec::new() };
        match (value.as_str(), value.as_array()) {
            (Some(text), _) => vec![At { line, value: text.to_owned() }],
            (None, Some(items)) => self.list(reader, name, items),
            (None, None) => {
                reader.wrong_type(line, &self.field(name), r#""..." or ["...", "..."]"#, value);
                Vec::new()
            }
        }
    }

    fn list(&self, reader: &mut Reader<'_>, name: &str, items: &DeArray<'_>) -> Vec<At<String>> {
        let mut texts = Vec::new();
        for item in items.iter() {
            let line = reader.line(&item.span());
            match item.get_ref().as_str() {
                Some(text) => texts.push(At { line, value: text.to_owned() }),
                None => reader.wrong_type(line, &self.field(name), r#"["...", "..."]"#, item.get_ref()),
            }
        }
        texts
    }

    /// Pairs of texts: `[["1s", "hej\n"], ["2s", ""]]`.
    pub(crate) fn pairs(&self, reader: &mut Reader<'_>, name: &str) -> Option<Vec<(At<String>, String)>> {
        let (line, value) = self.get(reader, name)?;
        let field = self.field(name);
        let expected = r#"[["1s", "hej\n"]]"#;
        let Some(items) = value.as_array() else {
            reader.wrong_type(line, &field, expected, value);
            return None;
        };
        let mut pairs = Vec::new();
        for item in items.iter() {
            let line = reader.line(&item.span());
            let texts = item.get_ref().as_array().map(|pair| self.list(reader, name, pair));
            match texts.as_deref() {
                Some([at, text]) => pairs.push((at.clone(), text.value.clone())),
                _ => reader.wrong_type(line, &field, expected, item.get_ref()),
            }
        }
        Some(pairs)
    }

    /// True or false; false if it is not there.
    pub(crate) fn flag(&self, reader: &mut Reader<'_>, name: &str) -> bool {
        let Some((line, value)) = self.get(reader, name) else { return false };
        value.as_bool().unwrap_or_else(|| {
            reader.wrong_type(line, &self.field(name), "true / false", value);
            false
        })
    }

    /// True or false, or a text; as text.
    pub(crate) fn flag_or_text(
        &self,
        reader: &mut Reader<'_>,
        name: &str,
        expected: &str,
    ) -> Option<At<String>> {
        let (line, value) = self.get(reader, name)?;
        match (value.as_bool(), value.as_str()) {
            (Some(flag), _) => Some(At { line, value: flag.to_string() }),
            (None, Some(text)) => Some(At { line, value: text.to_owned() }),
            (None, None) => {
                reader.wrong_type(line, &self.field(name), expected, value);
                None
            }
        }
    }

    /// Line of a field, if it is there.
    pub(crate) fn line_of(&self, reader: &Reader<'_>, name: &str) -> Option<u32> {
        self.get(reader, name).map(|(line, _)| line)
    }

    /// One of these words; what it stands for.
    pub(crate) fn choice<T: Copy>(
        &self,
        reader: &mut Reader<'_>,
        name: &str,
        known: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(reader, name)?;
        let found = known.iter().find(|(word, _)| *word == text.value).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let words: Vec<String> = known.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let args = [("value", text.value.as_str()), ("known", &words.join(", "))];
            reader.complain(text.line, &self.field(name), "lab-bad-choice", &args);
        }
        found
    }

    /// A port, or a range of ports: `80`, `"8000-8100"`.
    pub(crate) fn ports(&self, reader: &mut Reader<'_>, name: &str) -> Option<(u16, u16)> {
        let (line, value) = self.get(reader, name)?;
        let shown = match (value.as_integer(), value.as_str()) {
            (Some(integer), _) => integer.to_string(),
            (None, Some(text)) => text.to_owned(),
            (None, None) => value.type_str().to_owned(),
        };
        let (first, last) = shown.split_once('-').unwrap_or((&shown, &shown));
        let port = |text: &str| text.trim().parse::<u16>().ok();
        let range = port(first).zip(port(last)).filter(|(first, last)| first <= last);
        if range.is_none() {
            reader.complain(line, &self.field(name), "lab-bad-ports", &[("value", &shown)]);
        }
        range
    }

    /// A number that must be there.
    pub(crate) fn required_number(
        &self,
        reader: &mut Reader<'_>,
        name: &str,
        example: &str,
        low: i64,
        high: i64,
    ) -> Option<i64> {
        if !self.table.contains_key(name) {
            let args = [("name", name), ("example", example)];
            reader.complain(self.line, &self.field(name), "lab-missing-field", &args);
        }
        self.number(reader, name, low, high).map(|number| number.value)
    }

    /// A table of texts: `{ "www.example.se" = "10.0.0.80" }`.
    pub(crate) fn table(
        &self,
        reader: &mut Reader<'_>,
        name: &str,
        expected: &str,
    ) -> Vec<(String, At<String>)> {
        let Some((line, value)) = self.get(reader, name) else { return Vec::new() };
        let field = self.field(name);
        let Some(table) = value.as_table() else {
            reader.wrong_type(line, &field, expected, value);
            return Vec::new();
        };
        let mut rows = Vec::new();
        for (key, value) in table.iter() {
            let line = reader.line(&value.span());
            let key: &str = key.get_ref();
            match value.get_ref().as_str() {
                Some(text) => rows.push((key.to_owned(), At { line, value: text.to_owned() })),
                None => reader.wrong_type(line, &format!("{field}.{key}"), r#""...""#, value.get_ref()),
            }
        }
        rows
    }

    /// A whole number from `low` to `high`.
    pub(crate) fn number(&self, reader: &mut Reader<'_>, name: &str, low: i64, high: i64) -> Option<At<i64>> {
        let (line, value) = self.get(reader, name)?;
        let field = self.field(name);
        let Some(integer) = value.as_integer() else {
            reader.wrong_type(line, &field, "123", value);
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        match number.filter(|n| (low..=high).contains(n)) {
            Some(value) => Some(At { line, value }),
            None => {
                let (low, high) = (low.to_string(), high.to_string());
                let value = integer.to_string();
                reader.complain(
                    line,
                    &field,
                    "lab-bad-number",
                    &[("value", &value), ("low", &low), ("high", &high)],
                );
                None
            }
        }
    }

    /// A text that `parse` understands; `key` is the problem if it does not.
    pub(crate) fn parsed<T>(
        &self,
        reader: &mut Reader<'_>,
        name: &str,
        key: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(reader, name)?;
        let parsed = parse(&text.value);
        if parsed.is_none() {
            reader.complain(text.line, &self.field(name), key, &[("value", &text.value)]);
        }
        parsed
    }

    /// A probability, in parts of a million: a number from 0 to 1, or `"1%"`.
    pub(crate) fn chance(&self, reader: &mut Reader<'_>, name: &str) -> Option<u32> {
        let (line, value) = self.get(reader, name)?;
        let (shown, chance) = match value {
            DeValue::Float(float) => (float.to_string(), crate::units::probability(float.as_str())),
            DeValue::Integer(integer) => (integer.to_string(), crate::units::probability(integer.as_str())),
            DeValue::String(text) => (format!("\"{text}\""), crate::units::percent(text)),
            _ => (value.type_str().to_owned(), None),
        };
        if chance.is_none() {
            reader.complain(line, &self.field(name), "lab-bad-chance", &[("value", &shown)]);
        }
        chance
    }
}
