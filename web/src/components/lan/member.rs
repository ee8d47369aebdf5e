//! One member of the room: its hosts, what is open on them and connected; for a teacher its traffic, and what may be
//! done to it.

use leptos::prelude::*;
use socketlab_protocol::{Command, LanDeed, LanHost, LanMember, LanStream};

use crate::state::Page;
use crate::texts::Texts;

/// A member's entry.
#[component]
pub fn Member(
    /// Whose.
    id: String,
    /// The page's person is a teacher.
    teacher: Memo<bool>,
) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let member =
        Memo::new(move |_| page.lan.with(|lan| lan.members.iter().find(|member| member.id == id).cloned()));
    let deed = move |deed: LanDeed| page.bridge.send(Command::LanDeed(deed));
    let heading = move |member: &LanMember| {
        let chips = [
            (member.me, "lan-you", "chip"),
            (member.teacher, "lan-teacher", "chip chip--live"),
            (member.muted, "lan-is-muted", "chip chip--past"),
        ];
        let chips = chips.into_iter().filter(|(on, ..)| *on);
        view! {
            <h3 class="lan__name">
                {member.name.clone()}
                {chips.map(|(_, key, class)| view! { <span class=class>{move || texts.get(key)}</span> }).collect_view()}
                {(!member.relay.is_empty()).then(|| view! { <small class="muted">{member.relay.clone()}</small> })}
            </h3>
        }
    };
    let traffic = move |member: &LanMember| {
        member.traffic.map(|traffic| {
            let args = [
                ("up", traffic.frames_up),
                ("up_octets", traffic.octets_up),
                ("down", traffic.frames_down),
                ("down_octets", traffic.octets_down),
                ("dropped", traffic.dropped),
            ]
            .map(|(name, value)| (name, value.to_string()));
            view! {
                <p class="lan__traffic">
                    {move || {
                        let args: Vec<(&str, &str)> = args.iter().map(|(name, value)| (*name, value.as_str())).collect();
                        texts.with("lan-traffic", &args)
                    }}
                </p>
            }
        })
    };
    let controls = move |member: &LanMember| {
        let (id, other, on) = (member.id.clone(), member.id.clone(), !member.muted);
        (teacher.get() && !member.me).then(|| {
            view! {
                <span class="lan__controls">
                    <button
                        type="button"
                        class="button button--small"
                        data-testid=format!("lan-mute-{}", member.name)
                        aria-pressed=member.muted.to_string()
                        on:click=move |_| deed(LanDeed::Mute { member: id.clone(), on })
                    >
                        {move || texts.get(if on { "lan-mute" } else { "lan-unmute" })}
                    </button>
                    <button
                        type="button"
                        class="button button--small"
                        data-testid=format!("lan-disconnect-{}", member.name)
                        on:click=move |_| deed(LanDeed::Disconnect { member: other.clone() })
                    >
                        {move || texts.get("lan-disconnect")}
                    </button>
                </span>
            }
        })
    };
    view! {
        <li class="lan__member">
            {move || {
                member
                    .get()
                    .map(|member| {
                        let may = teacher.get();
                        let hosts = member.hosts.clone().into_iter();
                        let (id, me) = (member.id.clone(), member.me);
                        view! {
                            <div class="lan__head">{heading(&member)} {controls(&member)}</div>
                            {traffic(&member)}
                            {hosts.map(|host| view! { <Host host=host member=id.clone() me=me may=may /> }).collect_view()}
                        }
                    })
            }}
        </li>
    }
}

/// A host of a member.
#[component]
fn Host(host: LanHost, member: String, me: bool, may: bool) -> impl IntoView {
    let texts = Texts::here();
    let LanHost { name, full_name, addresses, ports, streams } = host;
    let address = addresses.into_iter().next().unwrap_or_default();
    // What a program writes to reach it.
    let shown = if me { name.clone() } else { full_name };
    let none = ports.is_empty() && streams.is_empty();
    let ports = ports.into_iter().map(|port| {
        let text = if port.program.is_empty() {
            format!("{}/{}", port.port, port.proto)
        } else {
            format!("{}/{} {}", port.port, port.proto, port.program)
        };
        view! { <li class="lan__port code">{text}</li> }
    });
    let streams = streams.into_iter().map(|stream| {
        view! { <Stream stream=stream host=name.clone() member=member.clone() may=may /> }
    });
    view! {
        <div class="lan__host">
            <p class="lan__host-name">
                <b class="code">{shown}</b>
                " "
                <span class="code muted">{address}</span>
                {none.then(|| view! { <span class="muted">" "{move || texts.get("lan-nothing-open")}</span> })}
            </p>
            <ul class="lan__ports" aria-label=move || texts.get("lan-ports")>{ports.collect_view()}</ul>
            <ul class="lan__streams" aria-label=move || texts.get("lan-streams")>{streams.collect_view()}</ul>
        </div>
    }
}

/// A connection of a member's host.
#[component]
fn Stream(stream: LanStream, host: String, member: String, may: bool) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let LanStream { local, remote, state, sent, received } = stream;
    let text = format!("{local} → {remote} {state}");
    let (sent, received) = (sent.to_string(), received.to_string());
    let end = move |_| {
        let (member, host, local, remote) = (member.clone(), host.clone(), local.clone(), remote.clone());
        page.bridge.send(Command::LanDeed(LanDeed::Reset { member, host, local, remote }));
    };
    view! {
        <li class="lan__stream">
            <span class="code">{text}</span>
            <span class="muted">
                {move || texts.with("lan-stream-octets", &[("sent", &sent), ("received", &received)])}
            </span>
            {may.then(|| {
                view! {
                    <button type="button" class="button button--small" data-testid="lan-end-stream" on:click=end>
                        {move || texts.get("lan-end-stream")}
                    </button>
                }
            })}
        </li>
    }
}
