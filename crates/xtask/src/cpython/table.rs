//! The table of tests that do not pass on the lab, with the reason.

use anyhow::{Result, bail};

const TABLE: &str = include_str!("table.txt");

/// `table.txt`, understood. Lines are few, so it is searched from its beginning.
pub(super) struct Table {
    rows: Vec<Row>,
}

struct Row {
    /// A test's name; a `*` at its end stands for anything.
    pattern: &'static str,
    reason: &'static str,
    hangs: bool,
}

impl Table {
    pub(super) fn read() -> Result<Table> {
        let mut rows = Vec::new();
        let mut reason = "";
        for (number, line) in (1..).zip(TABLE.lines()) {
            let line = line.trim();
            if let Some(text) = line.strip_prefix("## ") {
                reason = text;
            } else if line.is_empty() || line.starts_with('#') {
                continue;
            } else {
                let (hangs, pattern) = match line.split_once(' ') {
                    None => (false, line),
                    Some(("hangs", pattern)) if !pattern.contains(['*', ' ']) => (true, pattern),
                    Some(_) => bail!("table.txt:{number}: a line is `TEST`, `TEST-BEGIN*` or `hangs TEST`"),
                };
                if reason.is_empty() {
                    bail!("table.txt:{number}: no reason stands above it (`## REASON`)");
                }
                rows.push(Row { pattern, reason, hangs });
            }
        }
        Ok(Table { rows })
    }

    /// Why a test does not pass.
    pub(super) fn reason(&self, test: &str) -> Option<&'static str> {
        let row = self.rows.iter().find(|row| match row.pattern.strip_suffix('*') {
            Some(begin) => test.starts_with(begin),
            None => test == row.pattern,
        })?;
        Some(row.reason)
    }

    /// Tests that are not even begun, as lines.
    pub(super) fn left_out(&self) -> String {
        self.rows.iter().filter(|row| row.hangs).map(|row| format!("{}\n", row.pattern)).collect()
    }
}
