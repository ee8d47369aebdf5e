//! The two windows of a connection on the line of sequence numbers: what is acknowledged, in flight, still allowed; what
//! has come out of order, and what is missing before it.

use leptos::prelude::*;
use socketlab_view::TcbView;

use crate::texts::Texts;

/// A piece of the line: from, to (0..1), and the end of its class.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) what: &'static str,
}

/// The sender's line: the octets from SND.UNA to the end of the larger window.
pub(super) fn sending(t: &TcbView) -> Vec<Piece> {
    let allowed = t.snd_wnd.min(t.cwnd);
    let whole = t.snd_wnd.min(t.cwnd.saturating_mul(2)).max(t.flight()).max(allowed).max(1);
    let part = |octets: u32| f64::from(octets.min(whole)) / f64::from(whole);
    let mut pieces = vec![Piece { from: 0.0, to: part(t.flight()), what: "flight" }];
    for (from, to) in &t.sacked {
        let (from, to) = (from.wrapping_sub(t.snd_una), to.wrapping_sub(t.snd_una));
        if from < to && to <= t.flight() {
            pieces.push(Piece { from: part(from), to: part(to), what: "sacked" });
        }
    }
    if allowed > t.flight() {
        pieces.push(Piece { from: part(t.flight()), to: part(allowed), what: "allowed" });
    }
    pieces
}

/// The receiver's line: the octets from RCV.NXT to the end of the window.
pub(super) fn receiving(t: &TcbView) -> Vec<Piece> {
    // Held data far from the window's end would be too thin to see: what matters lies before it.
    let held = t.out_of_order.iter().map(|(_, to)| to.wrapping_sub(t.rcv_nxt));
    let whole = held.filter(|to| *to <= t.rcv_wnd).max().map_or(t.rcv_wnd, |end| end.saturating_mul(2));
    let whole = whole.min(t.rcv_wnd).max(1);
    let part = |octets: u32| f64::from(octets.min(whole)) / f64::from(whole);
    let mut pieces = vec![Piece { from: 0.0, to: part(t.rcv_wnd), what: "allowed" }];
    let mut missing = 0;
    for (from, to) in &t.out_of_order {
        let (from, to) = (from.wrapping_sub(t.rcv_nxt), to.wrapping_sub(t.rcv_nxt));
        if from < to && to <= t.rcv_wnd {
            pieces.push(Piece { from: part(missing), to: part(from), what: "hole" });
            pieces.push(Piece { from: part(from), to: part(to), what: "held" });
            missing = to;
        }
    }
    pieces
}

/// Both lines.
#[component]
pub fn Windows(
    /// The TCB at the time shown.
    tcb: Memo<Option<TcbView>>,
) -> impl IntoView {
    let texts = Texts::here();
    let line = move |key: &'static str,
                     pieces: fn(&TcbView) -> Vec<Piece>,
                     words: fn(&TcbView, Texts) -> String| {
        view! {
            <div class="tcp__bar">
                <span class="tcp__name" title=move || texts.get(&format!("{key}-title"))>{move || texts.get(key)}</span>
                <span class="tcp__trough" aria-hidden="true">
                    {move || {
                        let pieces = tcb.with(|tcb| tcb.as_ref().map(pieces).unwrap_or_default());
                        pieces
                            .into_iter()
                            .map(|piece| {
                                let place = format!(
                                    "left:{:.2}%;width:{:.2}%",
                                    piece.from * 100.0,
                                    (piece.to - piece.from) * 100.0,
                                );
                                view! { <span class=format!("tcp__piece tcp__piece--{}", piece.what) style=place></span> }
                            })
                            .collect_view()
                    }}
                </span>
                <span class="tcp__figure code">
                    {move || tcb.with(|tcb| tcb.as_ref().map(|tcb| words(tcb, texts)))}
                </span>
            </div>
        }
    };
    view! {
        <Show when=move || tcb.with(Option::is_some)>
            {line(
                "tcp-send-window",
                sending,
                |t, texts| {
                    let allowed = u64::from(t.snd_wnd.min(t.cwnd));
                    texts.with("tcp-in-flight", &[("flight", &texts.count(t.flight().into())), ("allowed", &texts.count(allowed))])
                },
            )}
            {line(
                "tcp-receive-window",
                receiving,
                |t, texts| {
                    let held: u32 = t.out_of_order.iter().map(|(from, to)| to.wrapping_sub(*from)).sum();
                    texts.with("tcp-held", &[("window", &texts.count(t.rcv_wnd.into())), ("held", &texts.count(held.into()))])
                },
            )}
        </Show>
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn words(pieces: &[Piece]) -> Vec<String> {
        pieces.iter().map(|p| format!("{} {:.2}-{:.2}", p.what, p.from, p.to)).collect()
    }

    #[test]
    fn what_is_in_flight_and_what_is_still_allowed() {
        let t = TcbView {
            snd_una: 1000,
            snd_nxt: 1400,
            cwnd: 1000,
            snd_wnd: 64_000,
            sacked: vec![(1200, 1400)],
            ..TcbView::default()
        };
        assert_eq!(words(&sending(&t)), ["flight 0.00-0.20", "sacked 0.10-0.20", "allowed 0.20-0.50"]);
    }

    #[test]
    fn holes_lie_before_what_came_out_of_order() {
        let t = TcbView {
            rcv_nxt: u32::MAX - 99,
            rcv_wnd: 10_000,
            out_of_order: vec![(0, 100), (200, 300)],
            ..TcbView::default()
        };
        let seen = words(&receiving(&t));
        assert_eq!(
            seen,
            ["allowed 0.00-1.00", "hole 0.00-0.12", "held 0.12-0.25", "hole 0.25-0.38", "held 0.38-0.50"]
        );
    }

    #[test]
    fn a_closed_window_is_no_division_by_zero() {
        assert!(sending(&TcbView::default()).iter().all(|p| p.to.is_finite()));
        assert!(receiving(&TcbView::default()).iter().all(|p| p.to.is_finite()));
    }
}
