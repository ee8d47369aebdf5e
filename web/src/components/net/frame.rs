//! A frame on a link: the letter of its layer, and what that layer says, in two short lines.

use leptos::prelude::*;
use socketlab_view::topology::Flight;

use super::layout::FRAME;
use super::{Emphasis, has_payload};
use crate::components::colour_class;
use crate::components::ladder::shorten;
use crate::state::trace::mac;
use crate::state::{Lens, Page};
use crate::texts::Texts;

const LETTER: f64 = 24.0;
/// Width of a character of the two lines, in CSS pixels.
const CHAR: f64 = 6.5;

/// What the frame says in this lens: the letter's class, the letter and two lines; none: it has nothing of this layer.
fn words(page: Page, flight: &Flight, lens: Lens) -> Option<(&'static str, &'static str, String, String)> {
    let (first, second) = match lens {
        Lens::Application => {
            if !has_payload(flight) {
                return None;
            }
            (flight.detail.clone(), flight.ports.map(|(from, to)| format!("{from} → {to}"))?)
        }
        Lens::Transport => {
            let (from, to) = flight.ports?;
            (format!("{from} → {to}"), flight.detail.clone())
        }
        Lens::Network => {
            let (source, destination) = page.trace.with_untracked(|trace| {
                let frame = trace.frame(flight.event)?;
                Some((frame.source.clone(), frame.destination.clone()))
            })?;
            if flight.protocol == "ARP" {
                return None;
            }
            (source, format!("→ {destination}"))
        }
        Lens::Link => page.trace.with_untracked(|trace| {
            let bytes = &trace.frame(flight.event)?.bytes;
            let destination = mac(bytes.get(0..6)?);
            let shown =
                if destination == "ff:ff:ff:ff:ff:ff" { "broadcast".to_owned() } else { tail(&destination) };
            Some((tail(&mac(bytes.get(6..12)?)), format!("→ {shown}")))
        })?,
    };
    let (class, letter) = match lens {
        Lens::Application => ("a", "A"),
        Lens::Transport => ("t", "T"),
        Lens::Network => ("n", "N"),
        Lens::Link => ("l", "L"),
    };
    Some((class, letter, shorten(&first, 17), shorten(&second, 17)))
}

/// The last half of a MAC address, which tells hosts of a lab apart.
fn tail(address: &str) -> String {
    format!("…{}", address.get(8..).unwrap_or(address))
}

/// A frame as it is drawn.
pub(super) struct Drawn {
    packet: u64,
    class: String,
    what: What,
    /// Its middle.
    pub(super) at: (f64, f64),
    /// Its width.
    pub(super) width: f64,
}

impl Drawn {
    /// Draws it as a dot: there is no room for words.
    pub(super) fn shrink(&mut self) {
        if let What::Words(..) = self.what {
            self.what = What::Speck;
        }
    }
}

enum What {
    /// Lost, for this reason.
    Lost(String),
    /// It has nothing of the layer that is looked at.
    Speck,
    /// Class of the letter, the letter, two lines.
    Words(&'static str, &'static str, String, String),
}

/// Decides how a frame is drawn; where, the caller does.
pub(super) fn prepare(page: Page, texts: Texts, flight: &Flight, lens: Lens, emphasis: Emphasis) -> Drawn {
    let mut class = format!("net__frame {}", colour_class(flight.conversation));
    if emphasis.marked == Some(flight.packet) {
        class.push_str(" net__frame--on");
    }
    if flight.held {
        class.push_str(" net__frame--held");
    }
    if emphasis.followed.is_some() && emphasis.followed != flight.conversation {
        class.push_str(" net__frame--dim");
    }
    let (what, width) = match (&flight.lost, words(page, flight, lens)) {
        (Some(reason), _) => (What::Lost(texts.get(reason)), 14.0),
        (None, None) => (What::Speck, 0.0),
        (None, Some((class, letter, first, second))) => {
            let chars = first.chars().count().max(second.chars().count()) as f64;
            (What::Words(class, letter, first, second), LETTER + chars * CHAR + 14.0)
        }
    };
    Drawn { packet: flight.packet, class, what, at: (0.0, 0.0), width }
}

/// Draws it.
pub(super) fn draw(frame: Drawn, size: (f64, f64)) -> AnyView {
    let Drawn { packet, class, what, at, width } = frame;
    let packet = packet.to_string();
    match what {
        What::Lost(reason) => view! {
            <g class=class transform=format!("translate({:.1} {:.1})", at.0, at.1) data-packet=packet>
                <path class="net__lost" d="M-7 -7l14 14m0 -14l-14 14" />
                <text class="net__lost-word" x="12" y="4">
                    {reason}
                </text>
            </g>
        }
        .into_any(),
        What::Speck => view! {
            <g class=class transform=format!("translate({:.1} {:.1})", at.0, at.1) data-packet=packet>
                <circle class="net__speck" r="4.5" />
            </g>
        }
        .into_any(),
        What::Words(layer, letter, first, second) => {
            let middle = LETTER + (width - LETTER) / 2.0;
            let x = (at.0 - width / 2.0).clamp(2.0, (size.0 - width - 2.0).max(2.0));
            let y = (at.1 - FRAME / 2.0).clamp(2.0, (size.1 - FRAME - 2.0).max(2.0));
            view! {
                <g class=class transform=format!("translate({x:.1} {y:.1})") data-packet=packet>
                    <rect class="net__frame-box" width=width height=FRAME rx="7" />
                    <path
                        class=format!("net__letter net__letter--{layer}")
                        d=format!("M7 0H{LETTER}V{FRAME}H7a7 7 0 0 1 -7 -7V7a7 7 0 0 1 7 -7z")
                    />
                    <text
                        class=format!("net__letter-word net__letter-word--{layer}")
                        x=LETTER / 2.0
                        y="22"
                        text-anchor="middle"
                    >
                        {letter}
                    </text>
                    <text class="code net__frame-word" x=middle y="14.5" text-anchor="middle">
                        {first}
                    </text>
                    <text class="code net__frame-word" x=middle y="27.5" text-anchor="middle">
                        {second}
                    </text>
                </g>
            }
            .into_any()
        }
    }
}
