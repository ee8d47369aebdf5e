use std::sync::Arc;

use super::*;
use crate::host::Profile;
use crate::sysctl::Sysctl;
use crate::tcp::params::Settings;

fn params(algorithm: CongestionControl) -> Params {
    let sysctl = Sysctl { tcp_congestion_control: algorithm, ..Sysctl::of(Profile::Linux) };
    Params {
        profile: Profile::Linux,
        sysctl: Arc::new(sysctl),
        iss: Seq(0),
        timestamp_offset: 0,
        mss: 1460,
        path_mtu: 1500,
        headers: 40,
        settings: Arc::new(Settings::default()),
    }
}

fn limited(congestion: &mut Congestion) {
    congestion.validate(
        Instant::ZERO,
        true,
        congestion.cwnd,
        (Seq(0), Seq(1)),
        (Duration::from_secs(1), true),
    );
}

#[test]
fn slow_start_doubles_and_avoidance_adds_one_a_round() {
    let mut congestion = Congestion::new(&params(CongestionControl::Reno), 1460, Instant::ZERO);
    limited(&mut congestion);
    congestion.on_ack(Instant::ZERO, 10);
    assert_eq!(congestion.cwnd, 20);
    congestion.ssthresh = 20;
    for _ in 0..20 {
        congestion.on_ack(Instant::ZERO, 1);
    }
    assert_eq!(congestion.cwnd, 21);
}

#[test]
fn reno_halves_and_cubic_keeps_seven_tenths() {
    for (algorithm, left) in [(CongestionControl::Reno, 50), (CongestionControl::Cubic, 70)] {
        let mut congestion = Congestion::new(&params(algorithm), 1460, Instant::ZERO);
        congestion.cwnd = 100;
        congestion.reduce(None);
        assert_eq!(congestion.ssthresh, left, "{algorithm:?}");
    }
}

#[test]
fn a_window_that_is_not_used_does_not_grow() {
    let mut congestion = Congestion::new(&params(CongestionControl::Reno), 1460, Instant::ZERO);
    congestion.validate(Instant::ZERO, false, 2, (Seq(0), Seq(1)), (Duration::from_secs(1), true));
    congestion.on_ack(Instant::ZERO, 2);
    assert_eq!(congestion.cwnd, 10);
}

#[test]
fn silence_halves_the_window_for_each_rto() {
    let mut congestion = Congestion::new(&params(CongestionControl::Reno), 1460, Instant::ZERO);
    congestion.cwnd = 80;
    congestion.after_idle(Instant::ZERO, Duration::from_millis(2_500), Duration::from_secs(1));
    assert_eq!((congestion.cwnd, congestion.ssthresh), (20, INFINITE));
    congestion.after_idle(Instant::ZERO, Duration::from_secs(100), Duration::from_secs(1));
    assert_eq!(congestion.cwnd, 10);
}
