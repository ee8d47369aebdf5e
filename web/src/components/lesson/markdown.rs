//! A lesson's Markdown as HTML, with its task list (`- [ ] ...`) set apart. The texts ship with the product or come
//! from a teacher's file, so HTML inside them is shown as text.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};

/// A lesson in three pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// HTML before the tasks.
    pub(super) before: String,
    /// HTML of each task.
    pub(super) tasks: Vec<String>,
    /// HTML after the tasks.
    pub(super) after: String,
}

/// Takes a lesson apart.
pub(super) fn parts(markdown: &str) -> Parts {
    let options = Options::ENABLE_TASKLISTS | Options::ENABLE_TABLES;
    let events: Vec<Event<'_>> = Parser::new_ext(markdown, options)
        .map(|event| match event {
            Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
            other => other,
        })
        .collect();
    let mut parts = Parts::default();
    let mut rest: Vec<Event<'_>> = Vec::new();
    let mut at = 0;
    while at < events.len() {
        if let Some(end) = task_list_end(&events, at) {
            if parts.tasks.is_empty() {
                parts.before = render(std::mem::take(&mut rest));
            }
            parts.tasks.extend(tasks(&events[at + 1..end]));
            at = end + 1;
        } else {
            rest.push(events[at].clone());
            at += 1;
        }
    }
    if parts.tasks.is_empty() {
        parts.before = render(rest);
    } else {
        parts.after = render(rest);
    }
    parts
}

/// Where the list that begins at `start` ends, if it is a list with tasks.
fn task_list_end(events: &[Event<'_>], start: usize) -> Option<usize> {
    if !matches!(events.get(start)?, Event::Start(Tag::List(_))) {
        return None;
    }
    let mut depth = 0_usize;
    let mut has_task = false;
    for (offset, event) in events.get(start..)?.iter().enumerate() {
        match event {
            Event::Start(Tag::List(_)) => depth += 1,
            Event::TaskListMarker(_) => has_task = true,
            Event::End(TagEnd::List(_)) => {
                depth -= 1;
                if depth == 0 {
                    return has_task.then_some(start + offset);
                }
            }
            _ => {}
        }
    }
    None
}

fn tasks(events: &[Event<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    let mut item: Vec<Event<'_>> = Vec::new();
    let mut depth = 0_usize;
    for event in events {
        match event {
            Event::Start(Tag::Item) if depth == 0 => depth = 1,
            Event::End(TagEnd::Item) if depth == 1 => {
                depth = 0;
                found.push(render(std::mem::take(&mut item)));
            }
            Event::TaskListMarker(_) if depth == 1 => {}
            // A loose list wraps each task in a paragraph.
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
    }
    found
}

fn render(events: Vec<Event<'_>>) -> String {
    let mut out = String::new();
    html::push_html(&mut out, events.into_iter());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_set_apart_from_the_text() {
        let parts = parts("One **port**.\n\n- [ ] Run `server.py`.\n- [x] Look.\n\nA hint.\n");
        assert_eq!(parts.before, "<p>One <strong>port</strong>.</p>\n");
        assert_eq!(parts.tasks, ["Run <code>server.py</code>.", "Look."]);
        assert_eq!(parts.after, "<p>A hint.</p>\n");
    }

    #[test]
    fn a_lesson_without_tasks_is_all_text() {
        let parts = parts("- a\n- b\n");
        assert!(parts.tasks.is_empty());
        assert!(parts.before.contains("<li>a</li>"));
    }

    #[test]
    fn html_in_a_lesson_is_shown_not_run() {
        let parts = parts("<script>alert(1)</script>\n\nx <img src=y onerror=z>\n");
        assert!(!parts.before.contains("<script"));
        assert!(!parts.before.contains("<img"));
    }
}
