//! A port as a small sign whose shape tells the socket's state.

use leptos::prelude::*;
use socketlab_view::topology::BadgeShape;

/// The sign around the origin, about 14 pixels wide. Its colour is the connection's (`--c`).
pub fn shape(shape: BadgeShape) -> AnyView {
    match shape {
        BadgeShape::Bound => view! { <circle class="badge badge--bound" r="5" /> }.into_any(),
        BadgeShape::Listening => view! { <circle class="badge badge--listening" r="6" /> }.into_any(),
        BadgeShape::Connecting => view! { <circle class="badge badge--connecting" r="5.5" /> }.into_any(),
        BadgeShape::Open => view! { <circle class="badge badge--open" r="6" /> }.into_any(),
        BadgeShape::Closing => view! {
            <circle class="badge badge--closing" r="5.5" />
            <path class="badge badge--half" d="M0 -5.5a5.5 5.5 0 0 0 0 11z" />
        }
        .into_any(),
        BadgeShape::TimeWait => view! {
            <circle class="badge badge--closing" r="5.5" />
            <path class="badge badge--hands" d="M0 -3.4V0l2.4 1.6" />
        }
        .into_any(),
    }
}

/// The same by a word, for the legend.
pub fn shape_named(name: &str) -> AnyView {
    shape(match name {
        "listen" => BadgeShape::Listening,
        "connecting" => BadgeShape::Connecting,
        "closing" => BadgeShape::Closing,
        "time-wait" => BadgeShape::TimeWait,
        _ => BadgeShape::Open,
    })
}
