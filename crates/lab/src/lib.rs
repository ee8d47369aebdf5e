//! The file a teacher writes: topology, programs, lessons; and the labs that ship with the product.
//!
//! ```text
//! lab.toml ─file▸ tables with lines ─plan▸ WorldBuilder ─build(seed)▸ World
//! ```
//!
//! Files are not opened here: the shell brings their texts. The fields are described in `docs/labs.md` and, for
//! editors, in `docs/lab.schema.json`. Left out so far: lessons with checks.

mod file;
mod library;
mod nearest;
mod plan;
mod problem;
mod publish;
mod read;
mod units;
mod warn;

use std::collections::BTreeMap;

pub use library::{LessonText, ShippedLab, library};
pub use nearest::nearest;
pub use plan::RoomAddress;
pub use problem::{PROBLEM_KEYS, Problem};
use socketlab_netsim::{NodeKind, Program, Topology, World, WorldBuilder};
use socketlab_stack::Profile;
pub use warn::Warning;

/// A lab that was read and found sound.
#[derive(Clone, Debug)]
pub struct Lab {
    title: String,
    parts: WorldBuilder,
    /// Field and line of each program's file.
    files: Vec<(String, u32)>,
    /// Field and line of each host's, router's and gateway's name.
    nodes: BTreeMap<String, (String, u32)>,
    /// Whether it has a port to a shared LAN, and the room that the file names.
    lan: Option<Option<String>>,
    /// Whether the file has links of its own.
    linked: bool,
}

impl Lab {
    /// Reads the text of a `lab.toml`.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file.
    pub fn parse(toml: &str) -> Result<Lab, Vec<Problem>> {
        Lab::read(toml, None)
    }

    /// The same in a shared LAN that was joined: the hosts in the network that leads there have these addresses.
    ///
    /// # Errors
    /// As [`Lab::parse`].
    pub fn parse_in(toml: &str, room: &[RoomAddress]) -> Result<Lab, Vec<Problem>> {
        Lab::read(toml, Some(room))
    }

    fn read(toml: &str, room: Option<&[RoomAddress]>) -> Result<Lab, Vec<Problem>> {
        let (file, problems) = file::read(toml);
        let mut reader = read::Reader::new(toml);
        reader.problems = problems;
        let parts = plan::plan(&mut reader, &file, room);
        let mut problems = reader.problems;
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.line);
            return Err(problems);
        }
        let files = file.programs.iter().map(|p| (format!("{}.file", p.path), p.file.line)).collect();
        let place = |node: &file::HostEntry| (format!("{}.name", node.path), node.name.line);
        let nodes = file.nodes.iter().map(|node| (node.name.value.clone(), place(node))).collect();
        let lan = file.lans.into_iter().next().map(|lan| lan.room);
        Ok(Lab { title: file.title, parts, files, nodes, lan, linked: !file.links.is_empty() })
    }

    /// The lab's title; empty if it has none.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The port to a shared LAN: whether there is one, and which room the file names.
    pub fn lan(&self) -> Option<Option<&str>> {
        self.lan.as_ref().map(Option::as_deref)
    }

    /// The lab's text with a port to a shared LAN: at the first switch, hub or host where it may be. The same text
    /// if it has one.
    pub fn with_lan(&self, toml: &str) -> String {
        let topology = self.parts.topology();
        if self.lan.is_some() {
            return toml.to_owned();
        }
        let taken = |name: &str| topology.nodes.iter().any(|node| node.name.eq_ignore_ascii_case(name));
        let name = core::iter::once("room".to_owned()).chain((2..).map(|n: u32| format!("room-{n}")));
        let name = name.into_iter().find(|name| !taken(name)).unwrap_or_default();
        let text = format!("{toml}\n[[lan]]\nname = \"{name}\"\n");
        if !self.linked {
            // All share one switch, the port with them.
            return text;
        }
        let kinds = [NodeKind::Switch, NodeKind::Hub, NodeKind::Host];
        let nodes = kinds.iter().flat_map(|kind| topology.nodes.iter().filter(move |n| n.kind == *kind));
        let mut linked =
            nodes.map(|node| format!("{text}\n[[link]]\nbetween = [\"{}\", \"{name}\"]\n", node.name));
        // Not where DHCP gives out the addresses.
        linked.find(|text| Lab::parse(text).is_ok()).unwrap_or(text)
    }

    /// Its programs, in the file's order.
    pub fn programs(&self) -> &[Program] {
        self.parts.programs()
    }

    /// Program files that the lab names and `files` (name to text) lacks.
    pub fn check_files(&self, files: &BTreeMap<String, String>) -> Vec<Problem> {
        let missing = self.programs().iter().zip(&self.files).filter(|(p, _)| !files.contains_key(&p.file));
        missing
            .map(|(program, (field, line))| {
                let name = program.file.as_str();
                match nearest::nearest(name, files.keys().map(String::as_str)) {
                    Some(nearest) => {
                        let args = [("name", name), ("nearest", nearest)];
                        problem::problem(*line, field, "lab-missing-file-near", &args)
                    }
                    None => problem::problem(*line, field, "lab-missing-file", &[("name", name)]),
                }
            })
            .collect()
    }

    /// What is connected to what.
    pub fn topology(&self) -> Topology {
        self.parts.topology().clone()
    }

    /// A world of this lab at time zero. The same seed and the same messages give the same trace.
    pub fn build(&self, seed: u64) -> World {
        self.build_with(seed, Profile::Linux)
    }

    /// The same, with stacks that follow `profile` where the RFCs leave a choice.
    pub fn build_with(&self, seed: u64, profile: Profile) -> World {
        let mut parts = self.parts.clone();
        parts.seed(seed);
        parts.profile(profile);
        parts.build()
    }
}

#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod tests;
