//! The `socketlab` binary.
//!
//! ```text
//! socketlab run LAB      a lab's programs in this machine's Python, in virtual time        run
//! socketlab check LAB    what is wrong or odd in a lab, without running it               check
//! socketlab labs         the labs that ship with it                                        labs
//! socketlab new DIR      a lab to begin with                                               labs
//! socketlab lab schema   the lab file's JSON schema, for editors                          labs
//! socketlab packetdrill  TCP scripts against our stack                                    packetdrill
//! socketlab serve        the page and the relay                                            socketlab-server
//! ```
//!
//! Exit status: 0 all well, 1 a program failed or never ended, 2 the lab or the command line is wrong.

mod check;
mod duration;
mod labs;
mod packetdrill;
mod run;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// A network lab for real Python socket programs
#[derive(Parser)]
#[command(name = "socketlab", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a lab's programs on simulated hosts, in virtual time
    Run(Box<run::RunOptions>),
    /// Look labs through without running them
    Check(check::CheckOptions),
    /// List the labs that ship with socketlab
    Labs,
    /// Write a lab to begin with
    New(labs::NewOptions),
    /// About the lab file
    #[command(subcommand)]
    Lab(labs::LabCommand),
    /// Run TCP scripts in packetdrill's language against our stack
    Packetdrill(packetdrill::PacketdrillOptions),
    /// Serve the page, and carry its connections to real servers
    Serve(Box<socketlab_server::ServeOptions>),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Check(options) => check::check(&options),
        Command::Labs => labs::list(),
        Command::Lab(command) => labs::tell(command),
        Command::New(options) => labs::create(&options),
        Command::Packetdrill(options) => packetdrill::packetdrill(&options),
        Command::Serve(options) => serve(*options),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

fn serve(options: socketlab_server::ServeOptions) -> Result<ExitCode> {
    tokio::runtime::Runtime::new()?.block_on(socketlab_server::serve(options))?;
    Ok(ExitCode::SUCCESS)
}

/// A message of our own, beside what programs print.
fn complain(text: &str) {
    // Nobody is left to tell when standard error is gone.
    drop(writeln!(std::io::stderr(), "socketlab: {text}"));
}
