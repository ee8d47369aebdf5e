//! The student's files of a lab: what the lab gave and what the student made of it, kept in the browser.

use socketlab_protocol::SourceFile;

use super::package::LAB_FILE;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudentFile {
    /// Its name in the lab.
    pub name: String,
    /// As the lab gave it.
    pub original: String,
    /// As it is now.
    pub text: String,
}

impl StudentFile {
    /// Did the student change it?
    pub fn changed(&self) -> bool {
        self.text != self.original
    }
}

/// Which key holds the student's text of a file.
pub fn store_key(lab: &str, file: &str) -> String {
    format!("{lab}/{file}")
}

/// The programs and their data as a command carries them: without the lab file.
pub fn sources(files: &[StudentFile]) -> Vec<SourceFile> {
    let sources = files.iter().filter(|file| file.name != LAB_FILE);
    sources.map(|file| SourceFile { name: file.name.clone(), text: file.text.clone() }).collect()
}
