//! Every sentence of the page exists in both languages, with the same parameters, and every key that an event, a view
//! or the page's code can ask for exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fluent_syntax::ast;

fn web() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../web")
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder can be read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Names of the parameters in a pattern.
fn parameters(pattern: &ast::Pattern<String>, found: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        let ast::PatternElement::Placeable { expression } = element else { continue };
        let selector = match expression {
            ast::Expression::Inline(inline) => inline,
            ast::Expression::Select { selector, variants } => {
                for variant in variants {
                    parameters(&variant.value, found);
                }
                selector
            }
        };
        if let ast::InlineExpression::VariableReference { id } = selector {
            found.insert(id.name.clone());
        }
    }
}

/// Keys of a language, and the parameters that each one names.
fn messages(lang: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for path in files(&web().join("locales").join(lang), "ftl") {
        let source = std::fs::read_to_string(&path).expect("a locale file can be read");
        let resource = fluent_syntax::parser::parse(source)
            .unwrap_or_else(|(_, errors)| panic!("{}: {errors:?}", path.display()));
        for entry in resource.body {
            let ast::Entry::Message(message) = entry else { continue };
            let mut names = BTreeSet::new();
            let value = message.value.unwrap_or_else(|| panic!("{} has no text", message.id.name));
            parameters(&value, &mut names);
            let twice = found.insert(message.id.name.clone(), names);
            assert!(twice.is_none(), "{} stands twice in {lang}", message.id.name);
        }
    }
    found
}

#[test]
fn both_languages_have_the_same_keys_with_the_same_parameters() {
    let (en, sv) = (messages("en"), messages("sv"));
    let missing: Vec<_> = en.keys().filter(|key| !sv.contains_key(*key)).collect();
    let extra: Vec<_> = sv.keys().filter(|key| !en.contains_key(*key)).collect();
    assert!(missing.is_empty() && extra.is_empty(), "only English: {missing:?}; only Swedish: {extra:?}");
    for (key, names) in &en {
        assert_eq!(names, &sv[key], "parameters of {key}");
    }
}

#[test]
fn whatever_an_event_or_a_view_names_has_a_sentence() {
    let known = messages("en");
    let views = socketlab_view::keys::event_keys()
        .iter()
        .chain(socketlab_view::wait::wait_keys())
        .chain(socketlab_view::notice::notice_keys())
        .chain(socketlab_view::evidence::evidence_keys())
        .chain(socketlab_view::filter_keys());
    for (key, given) in views {
        let named = known.get(*key).unwrap_or_else(|| panic!("no sentence for {key}"));
        for name in named {
            assert!(given.contains(&name.as_str()), "{key} names ${name}, which it does not get");
        }
    }
    let fields = socketlab_view::field_keys();
    let words = fields
        .iter()
        .chain(socketlab_view::note_keys())
        .chain(socketlab_view::value_keys())
        .chain(socketlab_lab::PROBLEM_KEYS)
        .map(|(key, _)| key);
    for key in words {
        assert!(known.contains_key(*key), "no text for {key}");
    }
}

#[test]
fn keys_that_the_page_asks_for_exist() {
    let known = messages("en");
    let mut missing = BTreeSet::new();
    for path in files(&web().join("src"), "rs") {
        let source = std::fs::read_to_string(&path).expect("a source file can be read");
        for call in ["texts.get(", "texts.with("] {
            for (at, _) in source.match_indices(call) {
                // A key that is computed comes from a view, whose keys the test above holds.
                let Some(rest) = source[at + call.len()..].trim_start().strip_prefix('"') else { continue };
                let key = rest.split('"').next().unwrap_or_default();
                if !known.contains_key(key) {
                    missing.insert(key.to_owned());
                }
            }
        }
    }
    assert!(missing.is_empty(), "no text for {missing:?}");
}
