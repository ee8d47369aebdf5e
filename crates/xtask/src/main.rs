//! `cargo xtask`: the newcomer's commands. Sets up what is missing, builds the page, serves it, runs every test.
//!
//! Kept free of dependencies (but `anyhow`), since a fresh machine builds it first.

#![expect(clippy::print_stdout, reason = "a command-line tool talks on standard output")]

mod cpython;
mod fuzz;
mod page;
mod shell;
mod test;
mod tools;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask COMMAND

  serve [OPTIONS]  set up what is missing, build the page, start the relay at http://127.0.0.1:8080
                   (OPTIONS go to `socketlab serve`; without any: --demo-services)
  test [PART]...   set up what is missing, run every test; parts: lint, native, cpython, wasm, e2e
  cpython [MODULE]...  run CPython's own tests (test_socket, test_selectors, ...) on a simulated host [--python PATH]
  check            formatting, lints, licences, direction of dependencies (the `lint` part of test)
  setup            only set up what serve and test need
  build [--dev]    only build the page into dist/; --dev: compiled fast instead of small
  dist             build the one binary with the page inside: target/release/socketlab
  screenshots [--built] [FOLDER]
                   take the pictures of the README with headless Chromium, or of every lab in every size and theme
                   into FOLDER; --built: of the page as it was built last
  measure [--built]
                   print sizes and times: wasm, load to interactive, Run to first output
  bench [CASE]...  the stack beside smoltcp's, the same work in the same run: memory, bulk, hosts, sockets, clone
  bench engine     the world with programs, recorded or not, beside smoltcp's time; 200 hosts with 400 Pythons
  bench relay [--seconds N] [--passes N] [--peer wisp-js|websockify|websocat]... [CASE]...
                   the relay beside a direct connection and socat; cases: up, down, echo, opens, idle, growth
  fuzz [TARGET]... [--seconds N]
                   throw octets at what reads them, with libFuzzer, each target so long (60); see crates/fuzz
  bless            rewrite expected outputs; read the diff afterwards
";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((c, rest)) => (c.as_str(), rest),
        None => ("help", &[][..]),
    };
    match command {
        "serve" => page::serve(rest),
        "test" => test::run_parts(rest),
        "cpython" => cpython::run_suites(rest).map(drop),
        "check" => test::run_parts(&["lint".to_owned()]),
        "setup" => {
            tools::for_page()?;
            tools::for_tests()?;
            tools::for_lints()
        }
        "build" if rest.iter().any(|arg| arg == "--dev") => page::build_dev(),
        "build" => page::build(),
        "dist" => page::dist(),
        "screenshots" => page::probe("screenshots", rest),
        "measure" => page::probe("measure", rest),
        "bench" => test::bench(rest),
        "fuzz" => fuzz::run_targets(rest),
        "bless" => test::bless(),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("`{other}` is not a command of xtask.\n\n{HELP}"),
    }
}
