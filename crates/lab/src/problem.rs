//! What is wrong with a lab file, with its place and the fix.

use core::fmt;

/// One thing that is wrong with a lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line of `lab.toml`, from 1; 0 if it is about no line.
    pub line: u32,
    /// The field, such as `link[0].between`; empty if it is about none.
    pub field: String,
    /// Message key for the page, one of [`PROBLEM_KEYS`].
    pub key: &'static str,
    /// The message's parameters by name.
    pub args: Vec<(String, String)>,
    /// The same in English, with the fix, for the command line.
    pub text: String,
}

impl fmt::Display for Problem {
    /// `lab.toml:12: link[0].between: there is no host, switch or gateway "sever"; did you mean "server"?`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lab.toml:")?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if !self.field.is_empty() {
            write!(f, " {}:", self.field)?;
        }
        write!(f, " {}", self.text)
    }
}

/// Every message key, with its English text. `{name}` stands for a parameter; a translation uses the same ones.
pub const PROBLEM_KEYS: &[(&str, &str)] = &[
    ("lab-syntax", "this is not TOML: {message}"),
    ("lab-unknown-field", "there is no field \"{name}\" here; known are {known}"),
    ("lab-unknown-field-near", "there is no field \"{name}\" here; did you mean \"{nearest}\"?"),
    ("lab-missing-field", "the field \"{name}\" is missing; add {example}"),
    ("lab-wrong-type", "must be {expected}, not {found}"),
    ("lab-bad-version", "this product reads version 1, not {found}; write version = 1"),
    ("lab-bad-name", "\"{name}\" cannot be a name; use letters, digits and hyphens, such as \"server-1\""),
    ("lab-duplicate-name", "\"{name}\" is already the name of something in line {line}; choose another"),
    ("lab-missing-host", "there is no host \"{name}\"; add a [[host]] with that name"),
    ("lab-missing-host-near", "there is no host \"{name}\"; did you mean \"{nearest}\"?"),
    ("lab-missing-node", "there is no host, switch, router or gateway \"{name}\"; add one with that name"),
    (
        "lab-missing-node-near",
        "there is no host, switch, router or gateway \"{name}\"; did you mean \"{nearest}\"?",
    ),
    ("lab-bad-between", "a link joins two different nodes; write between = [\"client\", \"server\"]"),
    (
        "lab-switch-loop",
        "this link closes a loop of switches, in which frames would circle for ever; remove it",
    ),
    ("lab-bad-address", "\"{value}\" is not an address; write it as \"10.0.0.80/24\""),
    ("lab-duplicate-address", "{address} already belongs to \"{name}\"; choose another"),
    ("lab-network-full", "no address is left in {network}; give addresses in a larger network"),
    (
        "lab-bad-route",
        "\"{value}\" is no neighbour's address; write \"on-link\", or an address in {networks}",
    ),
    ("lab-bad-duration", "\"{value}\" is not a time; write it with its unit, such as \"5ms\" or \"2s\""),
    ("lab-bad-rate", "\"{value}\" is not a rate; write it with its unit, such as \"10mbit\""),
    ("lab-bad-chance", "{value} is not a probability; write a number from 0 to 1, such as 0.01"),
    ("lab-bad-number", "{value} is out of range; it must be from {low} to {high}"),
    ("lab-two-inputs", "a program has either stdin or typed; remove one"),
    ("lab-bad-choice", "\"{value}\" cannot stand here; write one of {known}"),
    ("lab-bad-ports", "\"{value}\" is no port; write a number, or a range such as \"8000-8100\""),
    ("lab-bad-endpoint", "\"{value}\" is no IPv4 address or host with a port; write it as \"server:80\""),
    ("lab-bad-network", "\"{value}\" is no network; write it as \"10.0.2.0/24\""),
    ("lab-bad-place", "\"{value}\" is no host, address or network; write \"client\" or \"10.0.2.0/24\""),
    (
        "lab-bad-range",
        "\"{value}\" is no range in a network of this host; write it as \"10.0.0.100-10.0.0.199\"",
    ),
    (
        "lab-nat-outside",
        "which link leads outside? Write outside = \"{example}\"; the neighbours are {names}",
    ),
    (
        "lab-no-dhcp",
        "nobody in the network of \"{name}\" gives out addresses; add a [[service]] with kind = \"dhcp\"",
    ),
    ("lab-one-lan", "a lab has one port to a shared LAN, and \"{name}\" is it; remove this one"),
    (
        "lab-bad-room",
        "\"{name}\" cannot be a room; use at most 48 letters (a to z), digits, hyphens and underscores",
    ),
    ("lab-lan-dhcp", "in a shared LAN the room gives out the addresses; use DHCP in another network"),
    (
        "lab-lan-full",
        "{hosts} hosts are in the shared LAN, and a member may have {most}; put some behind a router",
    ),
    ("lab-not-an-end", "\"{value}\" is at no end of this link; write \"{one}\" or \"{other}\""),
    ("lab-not-of-this-service", "a service of kind \"{kind}\" has no \"{name}\"; remove it"),
    ("lab-missing-file", "the program file \"{name}\" is not there; add it beside lab.toml"),
    ("lab-missing-file-near", "the program file \"{name}\" is not there; did you mean \"{nearest}\"?"),
];

/// A problem with the text of its key.
pub(crate) fn problem(
    line: u32,
    field: impl Into<String>,
    key: &'static str,
    args: &[(&str, &str)],
) -> Problem {
    let template = PROBLEM_KEYS.iter().find(|(k, _)| *k == key).map_or(key, |(_, text)| text);
    let text = args
        .iter()
        .fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value));
    let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Problem { line, field: field.into(), key, args, text }
}
