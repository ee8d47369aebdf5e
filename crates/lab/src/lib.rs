//! The file a teacher writes: topology, programs, lessons; and the labs that ship with the product.

mod library;
mod problem;

use std::collections::BTreeMap;

pub use library::{LessonText, ShippedLab, library};
pub use problem::Problem;
use socketlab_netsim::{Program, Topology, World, WorldBuilder};

/// A lab that was read and found sound.
#[derive(Clone, Debug)]
pub struct Lab {
    title: String,
    programs: Vec<Program>,
}

impl Lab {
    /// Reads the text of a `lab.toml`.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file.
    pub fn parse(_toml: &str) -> Result<Lab, Vec<Problem>> {
        Ok(Lab { title: String::new(), programs: Vec::new() })
    }

    /// The lab's title; empty if it has none.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Its programs, in the file's order.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// Program files that the lab names and `files` (name to text) lacks.
    pub fn check_files(&self, _files: &BTreeMap<String, String>) -> Vec<Problem> {
        Vec::new()
    }

    /// What is connected to what.
    pub fn topology(&self) -> Topology {
        Topology::default()
    }

    /// A world of this lab at time zero. The same seed and the same messages give the same trace.
    pub fn build(&self, seed: u64) -> World {
        WorldBuilder::new(seed).build()
    }
}
