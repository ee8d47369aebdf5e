//! What cannot be understood is told with its place; what is near is suggested.

use super::{Filter, FilterProblem};

/// Column (from 1) and sentence.
fn problem(expression: &str) -> (usize, String) {
    let error = Filter::new(expression).expect_err(expression);
    assert!(error.start <= error.end && error.end <= expression.chars().count(), "{error:?}");
    let text = error.to_string();
    (error.start + 1, text.split_once(": ").expect("a column").1.to_string())
}

#[test]
fn a_name_that_is_nearly_right_is_suggested() {
    let cases = [
        ("tcp.scrport == 80", 1, "tcp.srcport"),
        ("ip.adr == 10.0.0.1", 1, "ip.addr"),
        ("tcp && htpp", 8, "http"),
        ("tcp.flags.sin == 1", 1, "tcp.flags.syn"),
        ("ip.addr == 10.0.0.1 && tcp.analysis.retransmision", 24, "tcp.analysis.retransmission"),
        ("TCP", 1, "tcp"),
    ];
    for (text, column, nearest) in cases {
        let error = Filter::new(text).expect_err(text);
        assert_eq!(error.start + 1, column, "{text}");
        let FilterProblem::UnknownField { nearest: found, .. } = error.problem else { panic!("{error:?}") };
        assert_eq!(found, Some(nearest), "{text}");
    }
    let error = Filter::new("quux.zzz").expect_err("no such field");
    assert!(matches!(error.problem, FilterProblem::UnknownField { nearest: None, .. }));
}

#[test]
fn problems_point_at_their_place() {
    let cases = [
        ("tcp.port ==", 12, "the expression ends too early"),
        ("tcp.port == http", 13, "\"http\" is no value that \"tcp.port\" can have"),
        ("ip.addr == 10.0.0.256", 12, "\"10.0.0.256\" is no value that \"ip.addr\" can have"),
        ("ip.addr == 10.0.0.1/33", 12, "\"10.0.0.1/33\" is no value that \"ip.addr\" can have"),
        ("http.host == example", 14, "texts stand in quotes: \"example\""),
        ("http.host == \"exa", 14, "the text has no closing quote"),
        ("(tcp", 5, "the expression ends too early"),
        ("tcp)", 4, "\")\" was not expected here"),
        ("tcp udp", 5, "\"udp\" was not expected here"),
        ("tcp.port in {}", 14, "\"}\" was not expected here"),
        ("tcp.port contains \"8\"", 1, "\"contains\" does not work with \"tcp.port\""),
        (
            "tcp.analysis.retransmission == 1",
            1,
            "\"tcp.analysis.retransmission\" has no value, it is only there or not",
        ),
        (
            "length(tcp.payload) > 3",
            1,
            "there is no function \"length\"; there are len, lower, upper, count and string",
        ),
        ("tcp.port == ip.addr", 13, "\"ip.addr\" is no value that \"tcp.port\" can have"),
        ("tcp ; udp", 5, "\";\" was not expected here"),
        ("", 0, ""),
    ];
    for (text, column, sentence) in cases.into_iter().filter(|c| c.1 > 0) {
        assert_eq!(problem(text), (column, sentence.to_string()), "{text}");
    }
    assert!(problem("http.host matches \"(\"").1.starts_with("the pattern is malformed"));
    assert_eq!(problem("åäö == 1").0, 1);
    assert_eq!(problem("tcp && åäö.x == 1").0, 8);
}

#[test]
fn an_empty_filter_fits_everything() {
    assert!(Filter::new("  ").expect("nothing").matches(b"", &crate::Context::default()));
}

#[test]
fn whatever_is_typed_is_survived() {
    let parts = [
        "tcp",
        "tcp.port",
        "==",
        "80",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        ":",
        "-",
        "&&",
        "||",
        "!",
        "not",
        "in",
        "..",
        "\"",
        "\"x\"",
        "contains",
        "matches",
        "&",
        "0x",
        "len(",
        "ip.addr",
        "10.0.0.1/24",
        "å",
        "~",
        "frame",
        "1",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap_or(0) % n
    };
    let frame = crate::frames::udp((1, 1), (2, 2), b"hej");
    for _ in 0..20_000 {
        let text: Vec<&str> = (0..next(9)).map(|_| parts[next(parts.len())]).collect();
        let text = text.join(if next(2) == 0 { " " } else { "" });
        match Filter::new(&text) {
            Ok(filter) => {
                filter.matches(&frame, &crate::Context::default());
            }
            Err(error) => {
                assert!(error.start <= error.end && error.end <= text.chars().count(), "{text}: {error:?}");
                assert!(!error.problem.key().0.is_empty());
            }
        }
    }
    assert!(Filter::new(&"(".repeat(100_000)).is_err());
    assert!(Filter::new(&"!".repeat(100_000)).is_err());
}
