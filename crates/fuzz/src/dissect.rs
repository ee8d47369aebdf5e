//! Captures of any octets. An input is a row of frames, each behind its length (two octets, little-endian); what stands
//! behind the last one is a display filter's expression.

use socketlab_dissect::{Analysis, Context, Field, Filter, dissect as tree, dissect_with, tcpdump};

/// Frames of one input at most.
const MOST: usize = 16;

fn check(frame: &[u8], context: &Context) {
    let dissection = dissect_with(frame, context);
    for layer in &dissection.layers {
        let octets = dissection.source(layer, frame);
        assert!(
            layer.start <= layer.end && layer.end <= layer.until && layer.until <= octets.len(),
            "{layer:?}"
        );
        check_fields(&layer.fields, octets);
    }
    for offset in 0..frame.len() + 2 {
        if let Some((layer, path)) = dissection.field_at(offset) {
            let mut fields = &dissection.layers[layer].fields;
            for index in path {
                fields = &fields[index].children;
            }
        }
    }
    for verbose in [false, true] {
        for absolute in [false, true] {
            let line = tcpdump::line(frame, context, tcpdump::Options { verbose, absolute });
            assert!(!line.is_empty(), "tcpdump prints something of every frame");
        }
    }
}

fn check_fields(fields: &[Field], octets: &[u8]) {
    for field in fields {
        assert!(
            field.start <= field.end && field.end <= octets.len(),
            "{field:?} in {} octets",
            octets.len()
        );
        let _ = field.bare(octets);
        check_fields(&field.children, octets);
    }
}

/// The octets of an input as frames and what is left.
pub(crate) fn split(mut data: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut frames = Vec::new();
    while let ([a, b, rest @ ..], true) = (data, frames.len() < MOST) {
        let len = usize::from(u16::from_le_bytes([*a, *b]));
        let Some((frame, rest)) = rest.split_at_checked(len) else { break };
        frames.push(frame);
        data = rest;
    }
    (frames, data)
}

/// See the head of this file.
pub(crate) fn dissect(data: &[u8]) {
    let (frames, rest) = split(data);
    let expression = String::from_utf8_lossy(rest);
    let filter = Filter::new(&expression);
    if let Err(error) = &filter {
        assert!(error.start <= error.end && error.end <= expression.len(), "{error:?} in {expression:?}");
        let _ = error.problem.key();
    }
    let mut analysis = Analysis::new();
    for (n, frame) in frames.into_iter().enumerate() {
        let summary = analysis.push(n as u64 * 1_000_000, frame);
        check(frame, &summary.context);
        check(frame, &Context::default());
        assert_eq!(tree(frame), dissect_with(frame, &Context::default()));
        if let Ok(filter) = &filter {
            filter.matches(frame, &summary.context);
        }
    }
}
