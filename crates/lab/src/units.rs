//! Times, rates and probabilities as a teacher writes them: `"1.5ms"`, `"10mbit"`, `0.01`.

use core::time::Duration;

/// A time with its unit: `ns`, `us`, `ms`, `s`, `min`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let units = [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("min", 60_000_000_000), ("s", 1_000_000_000)];
    let (number, factor) = split_unit(text, &units)?;
    scaled(number, factor).map(Duration::from_nanos)
}

/// Bits per second: `"64kbit"`, `"10mbit"`, `"1gbit"`, as tc(8) writes them; `"10 Mbit/s"` too.
pub(crate) fn rate(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let text = lower.strip_suffix("/s").unwrap_or(&lower);
    let units = [("kbit", 1_000), ("mbit", 1_000_000), ("gbit", 1_000_000_000), ("bit", 1)];
    let (number, factor) = split_unit(text, &units)?;
    scaled(number, factor).filter(|rate| *rate > 0)
}

/// A probability as parts of a million: `"1%"`, `"0.5 %"`.
pub(crate) fn percent(text: &str) -> Option<u32> {
    let number = text.trim().strip_suffix('%')?;
    scaled(number.trim_end(), 10_000).and_then(|n| u32::try_from(n).ok()).filter(|n| *n <= 1_000_000)
}

/// A probability between 0 and 1 as parts of a million.
pub(crate) fn probability(number: &str) -> Option<u32> {
    let value: f64 = number.parse().ok()?;
    // Rounded here, at the door, so that the engine never sees a float.
    (0.0..=1.0).contains(&value).then(|| (value * 1e6).round() as u32)
}

fn split_unit<'a>(text: &'a str, units: &[(&str, u64)]) -> Option<(&'a str, u64)> {
    let text = text.trim();
    units.iter().find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number.trim_end(), *factor)))
}

/// A decimal number times `factor`, exactly; digits below one are cut.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let mut sum = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    let mut unit = factor;
    for digit in fraction.bytes() {
        unit /= 10;
        sum = sum.checked_add(u64::from(digit - b'0') * unit)?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact() {
        assert_eq!(duration("1.5ms"), Some(Duration::from_micros(1500)));
        assert_eq!(duration("5 ms"), Some(Duration::from_millis(5)));
        assert_eq!(duration("2min"), Some(Duration::from_secs(120)));
        assert_eq!(duration("0s"), Some(Duration::ZERO));
        for wrong in ["", "5", "ms", "-1ms", "1,5ms", "1.ms", "5 m", "99999999999999999999s"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rates_are_bits() {
        assert_eq!(rate("10mbit"), Some(10_000_000));
        assert_eq!(rate("2.5 Gbit/s"), Some(2_500_000_000));
        assert_eq!(rate("9600bit"), Some(9600));
        for wrong in ["", "10", "10mb", "0mbit", "fast"] {
            assert_eq!(rate(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn probabilities_are_parts_of_a_million() {
        assert_eq!(probability("0.01"), Some(10_000));
        assert_eq!(probability("1"), Some(1_000_000));
        assert_eq!(percent("0.5 %"), Some(5_000));
        assert_eq!(probability("1.01"), None);
        assert_eq!(probability("nan"), None);
        assert_eq!(percent("101%"), None);
    }
}
