//! What the dissectors say for the line of a packet list while they walk through a frame.

use core::net::IpAddr;

use crate::header::preview;

/// Characters of payload shown in a label.
const PREVIEW: usize = 16;

/// The columns of one frame.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    /// `TCP`.
    pub(crate) protocol: String,
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) info: String,
    /// Short words for an arrow.
    pub(crate) label: String,
    pub(crate) ports: Option<(u16, u16)>,
    pub(crate) target: Option<IpAddr>,
    /// Layers so far.
    pub(crate) protocols: Vec<&'static str>,
    /// What stands in `info` so far stays: another message of the same segment follows.
    pub(crate) fence: usize,
}

impl Columns {
    /// The protocol and its text, in place of what the layer below said.
    pub(crate) fn set(&mut self, protocol: &str, info: impl Into<String>) {
        self.protocol.clear();
        self.protocol.push_str(protocol);
        self.info.truncate(self.fence);
        self.info.push_str(&info.into());
    }

    /// A text of its own for the arrow; else it is the info text.
    pub(crate) fn label(&mut self, label: impl Into<String>) {
        self.label = label.into();
    }

    /// Adds the beginning of the payload to the label, if it is text.
    pub(crate) fn quote(&mut self, payload: &[u8]) {
        if crate::data::is_text(payload) {
            self.label.push(' ');
            self.label.push_str(&preview(payload, PREVIEW));
        }
    }
}
