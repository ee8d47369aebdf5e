//! A lab's text, whatever it is: every problem names a line of it and a known message with all its parameters; what
//! has no problem can be built, and the world runs.

use socketlab_lab::{Lab, PROBLEM_KEYS};

/// Longer texts are not more interesting, and a lab of thousands of hosts is slow by right.
const LONGEST: usize = 4096;

/// See the head of this file.
pub(crate) fn lab_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data.get(..LONGEST).unwrap_or(data));
    match Lab::parse(&text) {
        Err(problems) => {
            assert!(!problems.is_empty(), "it failed, and nothing is wrong");
            // One more than there are line ends: a problem may be at the very end.
            let lines = text.bytes().filter(|octet| *octet == b'\n').count() as u32 + 1;
            for problem in problems {
                assert!((1..=lines).contains(&problem.line), "line {} of {lines}: {problem}", problem.line);
                let (_, text) = PROBLEM_KEYS.iter().find(|(key, _)| *key == problem.key).unwrap();
                for (name, _) in &problem.args {
                    assert!(text.contains(&format!("{{{name}}}")), "{} has no place for {name}", problem.key);
                }
            }
        }
        Ok(lab) => {
            let topology = lab.topology();
            let _ = lab.title();
            lab.check_files(&Default::default());
            let mut world = lab.build(1);
            for _ in 0..200 {
                while world.poll_output().is_some() {}
                match world.turn() {
                    socketlab_netsim::Turn::Event(_) => world.step(),
                    _ => break,
                };
            }
            drop(topology);
        }
    }
}
