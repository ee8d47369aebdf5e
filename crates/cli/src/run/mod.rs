//! `socketlab run`: a lab's programs in this machine's Python, on the simulated network, in virtual time.
//!
//! ```text
//! source   what LAB means: a folder, a lab.toml or a shipped lab
//! python   the machine's Python, and the shim it needs
//! process  one program as a child process, its messages over a socket
//! drive    the loop between the processes and the world
//! deadlock what waits for what
//! far      the far side of a lab's gateway:
//! gateway  ... this machine's own sockets
//! relay    ... or a relay's
//! console  what programs print, as it comes
//! live     the network as text, as it comes
//! trace    all that happened, into a file
//! recorded the world, and the log of what comes to it
//! pcap     the frames, into a file for Wireshark
//! typed    standard input, for the program that asks
//! terminal width, colours, progress
//! report   how it ended, as JSON or as sentences
//! ```

mod console;
mod deadlock;
mod drive;
mod far;
mod gateway;
mod live;
mod pcap;
mod process;
mod python;
mod recorded;
mod relay;
mod report;
pub(crate) mod source;
mod terminal;
mod trace;
mod typed;

use core::time::Duration;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::complain;

/// The flags of `socketlab run`.
#[derive(Args, Debug)]
pub(crate) struct RunOptions {
    /// A folder with a lab.toml, a lab.toml, or the name of a shipped lab (see `socketlab labs`)
    pub(crate) lab: String,

    /// Print one JSON object at the end, instead of what the programs print as it comes
    #[arg(long)]
    pub(crate) json: bool,

    /// What to show of the network beside what the programs print
    #[arg(long, value_enum, conflicts_with = "json")]
    pub(crate) view: Option<live::View>,

    /// Colours in the view: on a terminal, always or never
    #[arg(long, value_enum, default_value_t = clap::ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: clap::ColorChoice,

    /// Write all that happens to FILE, one JSON object a line (docs/trace.md)
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// Write all frames to FILE as they come, for Wireshark or tshark (pcapng)
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,

    /// Write what the programs say to the engine to FILE, and a hash of all that happens: the run can be had again
    /// from it without Python
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,

    /// Decides initial sequence numbers, ephemeral ports, the links' faults and Python's `random`
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,

    /// Stop after this much virtual time
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = crate::duration::parse)]
    pub(crate) until: Duration,

    /// How the hosts' network stacks behave where Linux and the RFCs differ
    #[arg(long, value_enum, default_value_t = Profile::Linux)]
    pub(crate) profile: Profile,

    /// The Python to run the programs in (3.10 or later)
    #[arg(long, value_name = "PATH", default_value = "python3")]
    pub(crate) python: PathBuf,

    /// What programs may reach through the lab's gateway: HOST[:PORT|:LOW-HIGH][/tcp|/udp]. Again for each rule;
    /// nothing is allowed without
    #[arg(long, value_name = "RULE")]
    pub(crate) allow: Vec<socketlab_policy::Rule>,

    /// Open the lab's published ports on this address of the machine, so that real clients reach its programs:
    /// 127.0.0.1, or an address that other machines reach
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) publish: Option<std::net::IpAddr>,

    /// Reach the real world through the relay of a `socketlab serve`, under its rules, instead of this machine's own
    /// sockets: ws://HOST:PORT/, with #token=CODE behind it where a class code is wanted
    #[arg(long, value_name = "URL", conflicts_with_all = ["allow", "publish"])]
    pub(crate) relay: Option<relay::RelayAddress>,

    /// Stop a program that computes this long, in real time, without any system call
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = crate::duration::parse)]
    pub(crate) cpu_limit: Duration,
}

/// See [`RunOptions::profile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// As Linux 6 does
    Linux,
    /// As the RFCs say
    Rfc,
}

/// Runs the lab. The exit code says whether all programs ended well.
pub(crate) fn run(options: &RunOptions) -> Result<ExitCode> {
    let source = match source::load(&options.lab)? {
        Ok(source) => source,
        Err(problems) => {
            for problem in problems {
                complain(&problem);
            }
            return Ok(ExitCode::from(2));
        }
    };
    let python = python::find(&options.python)?;
    let mut world = source.build(options.seed, options.profile);
    let folders = source.unpack()?;
    let quiet = options.json || options.view == Some(live::View::Quiet);
    let mut console = console::Console::new(&world, quiet, options.view.is_none() || quiet);
    let end = drive::drive(&mut world, &python, &folders, &mut console, options)?;
    let report = report::Report::new(&world, &console, &end, options.seed);
    if options.json {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &report)?;
        out.write_all(b"\n")?;
    } else if !end.interrupted {
        for sentence in report.sentences() {
            complain(&sentence);
        }
    }
    Ok(match end.interrupted {
        // What a shell reports for a program that Ctrl-C ended.
        true => ExitCode::from(130),
        false => ExitCode::from(u8::from(!report.all_well(&world))),
    })
}
