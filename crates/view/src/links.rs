//! Links as the page shows and changes them.

use core::time::Duration;

use socketlab_netsim::{Chance, FrameId, LinkId, LinkParams, LinkSnapshot};

use crate::event::LinkState;

/// All links, by number. `held`: frames that somebody holds, and the link of each.
pub fn link_states(links: &[LinkSnapshot], held: &[(FrameId, LinkId)]) -> Vec<LinkState> {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let state = |(index, link): (u32, &LinkSnapshot)| LinkState {
        delay: nanos(link.params.delay),
        jitter: nanos(link.params.jitter),
        rate: link.params.rate_bits_per_s.unwrap_or(0),
        queue: number(link.params.queue),
        loss: link.params.loss.in_a_million(),
        duplicate: link.params.duplicate.in_a_million(),
        reorder: link.params.reorder.in_a_million(),
        corrupt: link.params.corrupt.in_a_million(),
        mtu: number(link.params.mtu),
        cut: link.cut,
        held: held.iter().filter(|(_, on)| on.0 == index).map(|(frame, _)| frame.0).collect(),
    };
    (0u32..).zip(links).map(state).collect()
}

/// What the simulator takes for such a link.
pub fn link_params(link: &LinkState) -> LinkParams {
    LinkParams {
        delay: Duration::from_nanos(link.delay),
        jitter: Duration::from_nanos(link.jitter),
        rate_bits_per_s: (link.rate > 0).then_some(link.rate),
        queue: link.queue as usize,
        loss: Chance::per_million(link.loss),
        duplicate: Chance::per_million(link.duplicate),
        reorder: Chance::per_million(link.reorder),
        corrupt: Chance::per_million(link.corrupt),
        mtu: link.mtu as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_a_link_is_the_same() {
        let params = LinkParams {
            delay: Duration::from_millis(5),
            jitter: Duration::from_micros(3),
            rate_bits_per_s: Some(10_000_000),
            queue: 7,
            loss: Chance::per_million(10_000),
            duplicate: Chance::per_million(1),
            reorder: Chance::per_million(2),
            corrupt: Chance::per_million(3),
            mtu: 1280,
        };
        let links = [LinkSnapshot { params, cut: true, queued: (0, 0) }; 2];
        let states = link_states(&links, &[(FrameId(9), LinkId(1))]);
        assert_eq!(states.iter().map(|s| s.held.len()).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(link_params(&states[0]), params);
        assert!(states[0].cut);
    }
}
