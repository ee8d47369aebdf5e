//! What LAB on the command line means: a folder that holds a `lab.toml`, such a file, or the name of a shipped lab.
//! A folder wins over a shipped lab of the same name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use socketlab_lab::{Lab, ShippedLab};
use socketlab_netsim::World;
use tempfile::TempDir;

use super::Profile;

/// The most octets a lab's folder may hold: it is copied for each host. A choice, far above any lesson.
const MOST_OCTETS: u64 = 64 << 20;

/// A lab that is sound, and where its files are.
pub(crate) struct Source {
    lab: Lab,
    files: Files,
    /// The programs' texts, by name.
    texts: BTreeMap<String, String>,
}

enum Files {
    Folder(PathBuf),
    Shipped(&'static ShippedLab),
}

/// The folders programs run in, one for each host; they go when this is dropped.
pub(crate) struct Folders {
    root: TempDir,
}

/// Finds and reads the lab. The inner error is what is wrong with it, one sentence for each thing.
pub(crate) fn load(name: &str) -> Result<Result<Source, Vec<String>>> {
    let path = Path::new(name);
    let (toml, files) = if path.is_dir() {
        let file = path.join("lab.toml");
        (read(&file)?, Files::Folder(path.to_owned()))
    } else if path.is_file() {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        (read(path)?, Files::Folder(folder.to_owned()))
    } else if let Some(shipped) = socketlab_lab::library().iter().find(|lab| lab.name == name) {
        (shipped.toml.to_owned(), Files::Shipped(shipped))
    } else {
        let known: Vec<_> = socketlab_lab::library().iter().map(|lab| lab.name).collect();
        bail!("there is no folder, file or shipped lab `{name}`; the shipped labs are: {}", known.join(", "))
    };
    let lab = match Lab::parse(&toml) {
        Ok(lab) => lab,
        Err(problems) => return Ok(Err(problems.iter().map(ToString::to_string).collect())),
    };
    let mut texts = BTreeMap::new();
    match &files {
        Files::Folder(folder) => {
            for program in lab.programs() {
                if let Ok(bytes) = fs::read(folder.join(&program.file)) {
                    texts.insert(program.file.clone(), String::from_utf8_lossy(&bytes).into_owned());
                }
            }
        }
        Files::Shipped(shipped) => {
            texts.extend(shipped.files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
        }
    }
    let missing = lab.check_files(&texts);
    if !missing.is_empty() {
        return Ok(Err(missing.iter().map(ToString::to_string).collect()));
    }
    Ok(Ok(Source { lab, files, texts }))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

impl Source {
    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The programs' texts, by name.
    pub(crate) fn texts(&self) -> &BTreeMap<String, String> {
        &self.texts
    }

    /// A world of this lab at time zero.
    pub(crate) fn build(&self, seed: u64, profile: Profile) -> World {
        let profile = match profile {
            Profile::Linux => socketlab_stack::Profile::Linux,
            Profile::Rfc => socketlab_stack::Profile::Rfc,
        };
        self.lab.build_with(seed, profile)
    }

    /// Gives each host its own copy of the lab's files.
    pub(crate) fn unpack(&self) -> Result<Folders> {
        let root = tempfile::Builder::new().prefix("socketlab-").tempdir().context("no temporary folder")?;
        let mut hosts: Vec<&str> = self.lab.programs().iter().map(|program| program.host.as_str()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        for host in hosts {
            let folder = root.path().join(host);
            fs::create_dir_all(&folder)?;
            match &self.files {
                Files::Folder(from) => {
                    let mut budget = MOST_OCTETS;
                    copy(from, &folder, &mut budget)?;
                }
                Files::Shipped(shipped) => {
                    for (name, text) in shipped.files {
                        fs::write(folder.join(name), text)?;
                    }
                }
            }
        }
        Ok(Folders { root })
    }
}

impl Folders {
    /// The folder of a host's programs.
    pub(crate) fn of(&self, host: &str) -> PathBuf {
        self.root.path().join(host)
    }

    /// A file beside the hosts' folders.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(format!(".{name}"))
    }
}

/// Copies files and folders whose names do not begin with a dot. Links are left out: they may lead anywhere.
fn copy(from: &Path, to: &Path, budget: &mut u64) -> Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') || name == "__pycache__" {
            continue;
        }
        let kind = entry.file_type()?;
        let target = to.join(&name);
        if kind.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target, budget)?;
        } else if kind.is_file() {
            let octets = entry.metadata()?.len();
            let Some(left) = budget.checked_sub(octets) else {
                bail!(
                    "{} and its neighbours are too big: a lab's folder may hold {} MiB; put the lab into a folder of its own",
                    entry.path().display(),
                    MOST_OCTETS >> 20
                );
            };
            *budget = left;
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
