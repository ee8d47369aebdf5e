//! Writes each target's seeds and regressions into `FOLDER/TARGET/`, for a fuzzer to begin with: `fuzz-seeds FOLDER`.

use std::path::{Path, PathBuf};
use std::{fs, io};

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| io::Error::other("where to? fuzz-seeds FOLDER"))?;
    for target in socketlab_fuzz::TARGETS {
        let into = folder.join(target.name);
        fs::create_dir_all(&into)?;
        for (n, seed) in (target.seeds)().iter().enumerate() {
            fs::write(into.join(format!("seed-{n}")), seed)?;
        }
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(target.name);
        for entry in kept.read_dir().into_iter().flatten() {
            let entry = entry?;
            fs::copy(entry.path(), into.join(entry.file_name()))?;
        }
    }
    Ok(())
}
