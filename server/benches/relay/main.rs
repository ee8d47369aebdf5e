//! `cargo xtask bench relay`: the relay under load, beside a direct connection and `socat` (a plain TCP proxy) in the
//! same run, and other relays by `--peer`. It prints a table; nothing is held by it.
//!
//! ```text
//! cargo xtask bench relay [--seconds N] [--passes N] [--peer wisp-js|websockify|websocat]... [CASE]...
//! cases: up down echo opens idle growth
//! ```
//!
//! The generator, its targets and the subject share one machine. Figures of several passes: the best one, since other
//! work on the machine only makes them worse. The ratio behind a figure is to socat's.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

mod case;
mod client;
mod subject;
mod target;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{
    case::TRIALS,
    subject::{Carrier, NAMES, Subject},
    target::Targets,
};

const CASES: [&str; 6] = ["up", "down", "echo", "opens", "idle", "growth"];

/// Which of two figures is the better one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    More,
    Less,
}

struct Row {
    label: String,
    better: Better,
    cells: Vec<Option<f64>>,
}

struct Table {
    subjects: Vec<&'static str>,
    rows: Vec<Row>,
}

impl Table {
    /// Takes in a figure; of several the best stays.
    fn put(&mut self, label: &str, better: Better, subject: &str, figure: f64) {
        let Some(at) = self.subjects.iter().position(|name| *name == subject) else { return };
        if !self.rows.iter().any(|row| row.label == label) {
            let cells = vec![None; self.subjects.len()];
            self.rows.push(Row { label: label.to_owned(), better, cells });
        }
        let Some(row) = self.rows.iter_mut().find(|row| row.label == label) else { return };
        let old = row.cells[at];
        row.cells[at] = Some(match (old, row.better) {
            (None, _) => figure,
            (Some(old), Better::More) => old.max(figure),
            (Some(old), Better::Less) => old.min(figure),
        });
    }

    fn print(&self) {
        print!("{:<40}", "");
        for subject in &self.subjects {
            print!("{subject:>20}");
        }
        println!();
        let socat = self.subjects.iter().position(|name| *name == "socat");
        for Row { label, cells, .. } in &self.rows {
            print!("{label:<40}");
            let base = socat.and_then(|at| cells[at]);
            for (at, cell) in cells.iter().enumerate() {
                let text = match (cell, base) {
                    (None, _) => "-".to_owned(),
                    (Some(figure), Some(base)) if socat != Some(at) && base > 0.0 => {
                        format!("{} (x{:.2})", shown(*figure), figure / base)
                    }
                    (Some(figure), _) => shown(*figure),
                };
                print!("{text:>20}");
            }
            println!();
        }
    }
}

/// Three digits that count.
fn shown(figure: f64) -> String {
    match figure {
        f if f >= 100.0 => format!("{f:.0}"),
        f if f >= 10.0 => format!("{f:.1}"),
        f => format!("{f:.2}"),
    }
}

struct Wish {
    seconds: f64,
    passes: u32,
    subjects: Vec<&'static str>,
    cases: Vec<String>,
}

fn wish(mut arguments: impl Iterator<Item = String>) -> Result<Wish> {
    let mut wish = Wish {
        seconds: 2.0,
        passes: 2,
        subjects: vec!["direct", "socat", "relay", "relay-wsproxy"],
        cases: Vec::new(),
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} wants a value"));
        match argument.as_str() {
            // What cargo says to every benchmark.
            "--bench" => {}
            "--seconds" => wish.seconds = value()?.parse()?,
            "--passes" => wish.passes = value()?.parse()?,
            "--peer" => {
                let name = value()?;
                let known = NAMES.into_iter().find(|known| *known == name);
                wish.subjects.push(known.with_context(|| format!("no such peer: {name}"))?);
            }
            case if CASES.contains(&case) => wish.cases.push(argument),
            other => bail!("`{other}` is no case; cases: {}", CASES.join(", ")),
        }
    }
    Ok(wish)
}

fn main() -> Result<()> {
    let wish = wish(std::env::args().skip(1))?;
    // Ten thousand streams have twenty thousand ends.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let targets = Targets::start()?;
    let mut table = Table { subjects: wish.subjects.clone(), rows: Vec::new() };
    for pass in 1..=wish.passes {
        for name in &wish.subjects {
            println!("pass {pass}: {name}");
            measure(&wish, name, &targets, &mut table)?;
        }
    }
    println!();
    table.print();
    Ok(())
}

fn measure(wish: &Wish, name: &'static str, targets: &Targets, table: &mut Table) -> Result<()> {
    let wanted = |case: &str| wish.cases.is_empty() || wish.cases.iter().any(|c| c == case);
    let said = |what: &str, error: anyhow::Error| println!("  {name}: {what}: {error:#}");
    let subject = Subject::start(name, targets)?;
    for streams in [1, 16] {
        for (way, is_up) in [("up", true), ("down", false)] {
            if !wanted(way) {
                continue;
            }
            let run = if is_up { case::up } else { case::down };
            match run(&subject, targets, streams, wish.seconds) {
                Ok([rate, cpu]) => {
                    table.put(&format!("{way}, {streams} streams: MB/s"), Better::More, name, rate);
                    if name != "direct" {
                        table.put(&format!("{way}, {streams} streams: CPU s/GB"), Better::Less, name, cpu);
                    }
                }
                Err(error) => said(way, error),
            }
        }
    }
    for (beside, label) in [(false, "alone"), (true, "beside a download")] {
        if !wanted("echo") {
            continue;
        }
        match case::echo(&subject, targets, beside, wish.seconds) {
            Ok([median, p99, background]) => {
                table.put(&format!("echo {label}: p50 us"), Better::Less, name, median);
                table.put(&format!("echo {label}: p99 us"), Better::Less, name, p99);
                if beside {
                    table.put("the download beside it: MB/s", Better::More, name, background);
                }
            }
            Err(error) => said("echo", error),
        }
    }
    if wanted("opens") {
        match case::opens(&subject, targets, wish.seconds) {
            Ok([per_s, cpu]) => {
                table.put("streams opened per second", Better::More, name, per_s);
                if name != "direct" {
                    table.put("CPU us per opened stream", Better::Less, name, cpu);
                }
            }
            Err(error) => said("opens", error),
        }
    }
    drop(subject);
    if name == "direct" {
        return Ok(());
    }
    for streams in [1_000, 10_000] {
        let subject = Subject::start(name, targets)?;
        if !wanted("idle") || (streams > 1_000 && subject.carrier != Carrier::Wisp) {
            continue;
        }
        match case::idle(&subject, targets, streams) {
            Ok([kib]) => table.put(&format!("{streams} idle streams: KiB each"), Better::Less, name, kib),
            Err(error) => said("idle", error),
        }
    }
    for (trial, label) in TRIALS {
        if !wanted("growth") || (trial == case::Trial::Closed && name == "socat") {
            continue;
        }
        let subject = Subject::start(name, targets)?;
        match case::growth(&subject, targets, trial, 2.0 * wish.seconds) {
            Ok([mb]) => table.put(&format!("growth, {label}: MB"), Better::Less, name, mb),
            Err(error) => said("growth", error),
        }
    }
    Ok(())
}
