//! The machine's Python, and the shim (`python/`) that puts a program on a simulated host.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// The oldest CPython the shim runs on: (major, minor).
const OLDEST: (u32, u32) = (3, 10);

/// Prints its own executable's path and version.
const ASK: &str = "import sys; print(sys.executable); print('%d %d' % sys.version_info[:2])";

macro_rules! shim {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../../python/socketlab/", $name)))),*]
    };
}

/// The shim's files, for a Python outside the page.
const SHIM: &[(&str, &str)] = shim!(
    "__init__.py" "clock.py" "descriptors.py" "errors.py" "like_c.py" "linux.py" "loops.py" "names.py" "native.py"
    "poll.py" "processes.py" "run.py" "sched.py" "signals.py" "sock.py" "stdio.py" "thread.py" "users.py"
);

/// A Python to run programs in.
pub(crate) struct Python {
    executable: PathBuf,
    /// Holds the shim; goes when this is dropped.
    shim: TempDir,
}

/// Finds the Python and unpacks the shim for it.
pub(crate) fn find(wanted: &Path) -> Result<Python> {
    let wanted_text = wanted.display();
    let answer = Command::new(wanted)
        .args(["-c", ASK])
        .stdin(Stdio::null())
        .output()
        .with_context(|| {
            format!("cannot start `{wanted_text}`: install Python 3.10 or later (Debian: apt-get install python3), or name one with --python PATH")
        })?;
    let text = String::from_utf8_lossy(&answer.stdout);
    let mut lines = text.lines();
    let executable = lines.next().unwrap_or_default();
    let version: Vec<u32> =
        lines.next().unwrap_or_default().split(' ').filter_map(|n| n.parse().ok()).collect();
    let [major, minor] = version[..] else {
        bail!(
            "`{wanted_text}` does not answer as Python does; name a Python 3.10 or later with --python PATH. It said: {}",
            String::from_utf8_lossy(&answer.stderr).trim()
        );
    };
    if (major, minor) < OLDEST {
        bail!(
            "`{wanted_text}` is Python {major}.{minor}; programs need 3.10 or later: install one, or name it with --python PATH"
        );
    }
    let shim =
        tempfile::Builder::new().prefix("socketlab-python-").tempdir().context("no temporary folder")?;
    let package = shim.path().join("socketlab");
    std::fs::create_dir(&package)?;
    for (name, text) in SHIM {
        std::fs::write(package.join(name), text)?;
    }
    Ok(Python { executable: PathBuf::from(executable), shim })
}

impl Python {
    /// The command that runs the shim's native transport; its own arguments are still to be added.
    ///
    /// Isolated from the user's settings and packages: no site, no environment but what the loader needs, fixed hash
    /// seed and time zone. Each program has a copy of its lab's files, so nothing is compiled to disk.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .args(["-s", "-S", "-B", "-X", "utf8"])
            .arg(self.shim.path().join("socketlab/native.py"))
            .env_clear()
            .env("PYTHONHASHSEED", "0")
            .env("TZ", "UTC")
            .env("LANG", "C.UTF-8");
        for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files that only the page uses, or that are only read.
    const ELSEWHERE: [&str; 2] = ["page.py", "transport.py"];

    #[test]
    fn no_file_of_the_shim_is_forgotten() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/socketlab");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .expect("the shim is in the repository")
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".py") && !ELSEWHERE.contains(&name.as_str()))
            .collect();
        there.sort();
        let packed: Vec<_> = SHIM.iter().map(|(name, _)| *name).collect();
        assert_eq!(there, packed);
    }
}
