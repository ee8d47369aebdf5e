//! What the page consists of: a folder per component with its view and its styles.

pub mod banner;
pub mod console;
pub mod disk;
pub mod editor;
pub mod header;
pub mod help;
pub mod icon;
pub mod inspector;
pub mod ladder;
pub mod lan;
pub mod lesson;
pub mod net;
pub mod packets;
pub mod rows;
pub mod segment;
pub mod size;
pub mod sockets;
pub mod stream;
pub mod tables;
pub mod tcp;
pub mod timeline;
pub mod traffic;

/// The class that gives an element its connection's colour.
pub fn colour_class(conversation: Option<u32>) -> &'static str {
    const CLASSES: [&str; 8] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];
    conversation.map_or("c-none", |number| CLASSES[number as usize % CLASSES.len()])
}
