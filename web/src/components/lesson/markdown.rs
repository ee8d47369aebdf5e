//! A lesson's Markdown as HTML, with its tasks and hints set apart: the numbered list under the first `##`, and under
//! the second. The texts ship with the product or come from a teacher's file, so HTML inside them is shown as text.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// A numbered list and its heading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Steps {
    /// Text of the heading.
    pub(super) title: String,
    /// HTML of each step.
    pub(super) steps: Vec<String>,
}

/// A lesson in its pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// HTML before the tasks.
    pub(super) before: String,
    /// What to do.
    pub(super) tasks: Steps,
    /// What helps.
    pub(super) hints: Steps,
    /// HTML of all that follows the tasks and is no hint.
    pub(super) after: String,
}

/// Takes a lesson apart.
pub(super) fn parts(markdown: &str) -> Parts {
    let events: Vec<Event<'_>> = Parser::new_ext(markdown, Options::ENABLE_TABLES)
        .map(|event| match event {
            Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
            other => other,
        })
        .collect();
    let mut parts = Parts::default();
    let mut rest: Vec<Event<'_>> = Vec::new();
    let mut found = 0;
    let mut at = 0;
    while let Some(event) = events.get(at) {
        if found < 2
            && let Some((steps, next)) = steps(&events, at)
        {
            if found == 0 {
                parts.before = render(std::mem::take(&mut rest));
                parts.tasks = steps;
            } else {
                parts.hints = steps;
            }
            found += 1;
            at = next;
        } else {
            rest.push(event.clone());
            at += 1;
        }
    }
    let html = render(rest);
    if found == 0 {
        parts.before = html;
    } else {
        parts.after = html;
    }
    parts
}

/// A second-level heading with a numbered list right after it, at `start`; and where it ends.
fn steps(events: &[Event<'_>], start: usize) -> Option<(Steps, usize)> {
    if !matches!(events.get(start)?, Event::Start(Tag::Heading { level: HeadingLevel::H2, .. })) {
        return None;
    }
    let mut title = String::new();
    let mut at = start + 1;
    loop {
        match events.get(at)? {
            Event::End(TagEnd::Heading(_)) => break,
            Event::Text(text) | Event::Code(text) => title.push_str(text),
            _ => {}
        }
        at += 1;
    }
    at += 1;
    if !matches!(events.get(at)?, Event::Start(Tag::List(Some(_)))) {
        return None;
    }
    at += 1;
    let mut steps = Vec::new();
    let mut item: Vec<Event<'_>> = Vec::new();
    let mut depth = 0_usize;
    loop {
        match events.get(at)? {
            Event::End(TagEnd::List(_)) if depth == 0 => break,
            Event::Start(Tag::Item) if depth == 0 => depth = 1,
            Event::End(TagEnd::Item) if depth == 1 => {
                depth = 0;
                steps.push(render(std::mem::take(&mut item)));
            }
            // A loose list wraps each step in a paragraph.
            Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) if depth == 1 => {}
            other => {
                match other {
                    Event::Start(Tag::Item) => depth += 1,
                    Event::End(TagEnd::Item) => depth -= 1,
                    _ => {}
                }
                item.push(other.clone());
            }
        }
        at += 1;
    }
    Some((Steps { title, steps }, at + 1))
}

fn render(events: Vec<Event<'_>>) -> String {
    let mut out = String::new();
    html::push_html(&mut out, events.into_iter());
    out
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn tasks_and_hints_are_set_apart_from_the_text() {
        let parts = parts(
            "One **port**.\n\n## Do this\n\n1. Run `a.py`.\n2. Look.\n\n## Hints\n\n1. Four things.\n\nEnd.\n",
        );
        assert_eq!(parts.before, "<p>One <strong>port</strong>.</p>\n");
        assert_eq!(parts.tasks.title, "Do this");
        assert_eq!(parts.tasks.steps, ["Run <code>a.py</code>.", "Look."]);
        assert_eq!(parts.hints.title, "Hints");
        assert_eq!(parts.hints.steps, ["Four things."]);
        assert_eq!(parts.after, "<p>End.</p>\n");
    }

    #[test]
    fn a_lesson_without_tasks_is_all_text() {
        let parts = parts("- a\n\n1. b\n");
        assert!(parts.tasks.steps.is_empty());
        assert!(parts.before.contains("<li>b</li>"));
    }

    #[test]
    fn html_in_a_lesson_is_shown_not_run() {
        let parts = parts("<script>alert(1)</script>\n\nx <img src=y onerror=z>\n");
        assert!(!parts.before.contains("<script"));
        assert!(!parts.before.contains("<img"));
    }

    #[test]
    fn every_shipped_lesson_has_as_many_tasks_and_hints_in_both_languages() {
        for lab in socketlab_lab::library() {
            let (en, sv) = (super::parts(lab.en.body), super::parts(lab.sv.body));
            assert!(!en.tasks.steps.is_empty(), "{}", lab.name);
            assert_eq!(en.tasks.steps.len(), sv.tasks.steps.len(), "{}", lab.name);
            assert_eq!(en.hints.steps.len(), sv.hints.steps.len(), "{}", lab.name);
        }
    }
}
