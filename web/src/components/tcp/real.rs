//! A connection that a gateway carries on into the real world: the same figures of both, side by side, so that one sees
//! that they are two connections, each with its own round-trip time, windows and losses.

use leptos::prelude::*;
use socketlab_protocol::RealSocket;
use socketlab_view::{SocketRow, TcbView};

use crate::state::Page;
use crate::texts::{Lang, Texts, count, duration};

/// Names of Linux's numbers of TCP states (include/net/tcp_states.h), as ss(8) writes them.
const STATES: [&str; 12] = [
    "ESTAB",
    "SYN-SENT",
    "SYN-RECV",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "TIME-WAIT",
    "CLOSED",
    "CLOSE-WAIT",
    "LAST-ACK",
    "LISTEN",
    "CLOSING",
    "NEW-SYN-RECV",
];

/// A figure: its name, of the simulated connection, of the real one.
type Line = (&'static str, fn(&TcbView, Lang) -> String, fn(&RealSocket, Lang) -> String);

const LINES: [Line; 8] = [
    ("SRTT", |t, l| t.srtt.map_or_else(dash, |nanos| duration(l, nanos)), |r, l| micros(r.rtt_us, l)),
    ("RTTVAR", |t, l| t.rttvar.map_or_else(dash, |nanos| duration(l, nanos)), |r, l| micros(r.rttvar_us, l)),
    ("RTO", |t, l| duration(l, t.rto), |r, l| micros(r.rto_us, l)),
    ("cwnd", |t, l| count(l, t.cwnd.into()), |r, l| octets(r.cwnd, r, l)),
    (
        "ssthresh",
        |t, l| threshold(t.ssthresh.into(), l),
        |r, l| match r.ssthresh {
            // Linux begins with TCP_INFINITE_SSTHRESH (include/net/tcp.h).
            0x7fff_ffff.. => "∞".to_owned(),
            segments => octets(segments, r, l),
        },
    ),
    ("MSS", |t, l| count(l, t.snd_mss.into()), |r, l| count(l, r.snd_mss.into())),
    ("flight", |t, l| count(l, t.flight().into()), |r, l| octets(r.unacked, r, l)),
    ("retransmissions", |t, _| t.retransmissions.to_string(), |r, _| r.retransmitted.to_string()),
];

/// Both connections, if the marked socket is an end of one that a gateway carries on.
#[component]
pub fn RealEnd(
    /// The marked socket.
    row: Memo<Option<SocketRow>>,
    /// Its TCB.
    tcb: Memo<Option<TcbView>>,
) -> impl IntoView {
    let page = Page::here();
    let texts = Texts::here();
    let real = Memo::new(move |_| {
        row.with(|row| {
            let row = row.as_ref()?;
            page.real.with(|all| {
                let ends = |one: &&RealSocket| {
                    let (client, target) = (one.client.to_string(), one.target.to_string());
                    (row.local == client && row.peer == target) || (row.local == target && row.peer == client)
                };
                all.iter().find(ends).cloned()
            })
        })
    });
    let lang = move || texts.lang();
    let line = move |(name, simulated, of_real): Line| {
        let mine = move || tcb.with(|tcb| tcb.as_ref().map_or_else(dash, |tcb| simulated(tcb, lang())));
        let theirs = move || real.with(|real| real.as_ref().map_or_else(dash, |real| of_real(real, lang())));
        view! {
            <tr>
                <th scope="row" class="code">{name}</th>
                <td class="code">{mine}</td>
                <td class="code" data-testid=format!("real-{name}")>{theirs}</td>
            </tr>
        }
    };
    let ends = move |real: &RealSocket| format!("{} → {}", real.local, real.remote);
    let state = move |real: &RealSocket| {
        STATES
            .get(usize::from(real.state).wrapping_sub(1))
            .map_or_else(|| real.state.to_string(), ToString::to_string)
    };
    view! {
        <Show when=move || real.with(Option::is_some)>
            <table class="tcp__real" data-testid="real-socket">
                <caption>
                    <b>{move || texts.get("real-title")}</b>
                    <span>
                        {move || {
                            real.with(|real| {
                                let real = real.as_ref()?;
                                let at = texts.duration(real.at);
                                Some(texts.with("real-says", &[("label", &real.label), ("at", &at)]))
                            })
                        }}
                    </span>
                </caption>
                <thead>
                    <tr>
                        <td></td>
                        <th scope="col">{move || texts.get("real-simulated")}</th>
                        <th scope="col">{move || texts.get("real-real")}</th>
                    </tr>
                </thead>
                <tbody>
                    <tr>
                        <th scope="row">{move || texts.get("real-ends")}</th>
                        <td class="code">
                            {move || row.with(|row| row.as_ref().map(|row| format!("{} → {}", row.local, row.peer)))}
                        </td>
                        <td class="code" data-testid="real-ends">
                            {move || real.with(|real| real.as_ref().map(ends))}
                        </td>
                    </tr>
                    <tr>
                        <th scope="row">{move || texts.get("real-state")}</th>
                        <td class="code">{move || row.with(|row| row.as_ref().map(|row| row.state.clone()))}</td>
                        <td class="code" data-testid="real-state">
                            {move || real.with(|real| real.as_ref().map(state))}
                        </td>
                    </tr>
                    {LINES.into_iter().map(line).collect_view()}
                    <tr title=move || texts.get("real-octets-title")>
                        <th scope="row">{move || texts.get("real-octets")}</th>
                        <td class="code">
                            {move || {
                                tcb.with(|tcb| tcb.as_ref().map(|t| both(t.bytes_sent, t.bytes_received, lang())))
                            }}
                        </td>
                        <td class="code" data-testid="real-octets">
                            {move || {
                                real.with(|real| {
                                    real.as_ref().map(|r| both(r.octets_acked, r.octets_received, lang()))
                                })
                            }}
                        </td>
                    </tr>
                </tbody>
            </table>
        </Show>
    }
}

fn micros(micros: u32, lang: Lang) -> String {
    duration(lang, u64::from(micros) * 1_000)
}

/// Linux counts segments, the simulation octets: `10 × 1,448`.
fn octets(segments: u32, real: &RealSocket, lang: Lang) -> String {
    if segments == 0 {
        return "0".to_owned();
    }
    format!("{} × {}", count(lang, segments.into()), count(lang, real.snd_mss.into()))
}

/// RFC 5681 3.1 begins with a threshold that is as good as infinite.
fn threshold(octets: u64, lang: Lang) -> String {
    if octets >= 0x7fff_ffff { "∞".to_owned() } else { count(lang, octets) }
}

fn both(sent: u64, received: u64, lang: Lang) -> String {
    format!("{} / {}", count(lang, sent), count(lang, received))
}

fn dash() -> String {
    "–".to_owned()
}
