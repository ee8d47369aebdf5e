//! Every sentence of the page, in English and Swedish (Fluent), and numbers as each language writes them.

use std::borrow::Cow;

use fluent_bundle::{FluentArgs, FluentBundle, FluentResource, FluentValue};
use leptos::prelude::*;
use unic_langid::LanguageIdentifier;

/// A language of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lang {
    /// English.
    En,
    /// Swedish.
    Sv,
}

/// The files of a language folder, by component.
macro_rules! locale {
    ($lang:literal) => {
        &[
            include_str!(concat!("../locales/", $lang, "/banner.ftl")),
            include_str!(concat!("../locales/", $lang, "/causes.ftl")),
            include_str!(concat!("../locales/", $lang, "/console.ftl")),
            include_str!(concat!("../locales/", $lang, "/disk.ftl")),
            include_str!(concat!("../locales/", $lang, "/editor.ftl")),
            include_str!(concat!("../locales/", $lang, "/fields.ftl")),
            include_str!(concat!("../locales/", $lang, "/filter.ftl")),
            include_str!(concat!("../locales/", $lang, "/header.ftl")),
            include_str!(concat!("../locales/", $lang, "/help.ftl")),
            include_str!(concat!("../locales/", $lang, "/inspector.ftl")),
            include_str!(concat!("../locales/", $lang, "/ladder.ftl")),
            include_str!(concat!("../locales/", $lang, "/lan.ftl")),
            include_str!(concat!("../locales/", $lang, "/lesson.ftl")),
            include_str!(concat!("../locales/", $lang, "/net.ftl")),
            include_str!(concat!("../locales/", $lang, "/packets.ftl")),
            include_str!(concat!("../locales/", $lang, "/notices.ftl")),
            include_str!(concat!("../locales/", $lang, "/problems.ftl")),
            include_str!(concat!("../locales/", $lang, "/sockets.ftl")),
            include_str!(concat!("../locales/", $lang, "/stream.ftl")),
            include_str!(concat!("../locales/", $lang, "/tables.ftl")),
            include_str!(concat!("../locales/", $lang, "/tcp.ftl")),
            include_str!(concat!("../locales/", $lang, "/timeline.ftl")),
        ]
    };
}

const EN: &[&str] = locale!("en");
const SV: &[&str] = locale!("sv");

impl Lang {
    /// The code in `lang` attributes and file names: `en`, `sv`.
    pub const fn code(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Sv => "sv",
        }
    }

    /// The language of a code such as `sv`, `sv-SE`; English for all that is not Swedish.
    pub fn from_code(code: &str) -> Self {
        if code == "sv" || code.starts_with("sv-") { Lang::Sv } else { Lang::En }
    }

    /// The Fluent sources of this language.
    pub const fn sources(self) -> &'static [&'static str] {
        match self {
            Lang::En => EN,
            Lang::Sv => SV,
        }
    }
}

thread_local! {
    static BUNDLES: [FluentBundle<FluentResource>; 2] = [bundle(Lang::En), bundle(Lang::Sv)];
}

fn bundle(lang: Lang) -> FluentBundle<FluentResource> {
    let id: LanguageIdentifier = lang.code().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new(vec![id]);
    // Bidi marks around parameters are of no use in two left-to-right languages and break copied text.
    bundle.set_use_isolating(false);
    for source in lang.sources() {
        // A broken line is left out of the resource; the locale tests fail for it.
        let resource =
            FluentResource::try_new((*source).to_owned()).unwrap_or_else(|(resource, _errors)| resource);
        let _duplicate = bundle.add_resource(resource);
    }
    bundle
}

/// The text of `key` with its parameters; the key itself if there is none.
pub fn text(lang: Lang, key: &str, args: &[(&str, &str)]) -> String {
    try_text(lang, key, args).unwrap_or_else(|| key.to_owned())
}

/// The text of `key`, if the language has it. A parameter that is a whole number chooses plural forms.
pub fn try_text(lang: Lang, key: &str, args: &[(&str, &str)]) -> Option<String> {
    let mut values = FluentArgs::with_capacity(args.len());
    for (name, value) in args {
        // Views write milliseconds with a point; Swedish has a comma.
        if *name == "ms" && lang == Lang::Sv {
            values.set(*name, FluentValue::String(Cow::Owned(value.replace('.', ","))));
            continue;
        }
        let number = value.len() < 10 && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = if number { value.parse::<u32>().ok() } else { None };
        match parsed {
            Some(number) => values.set(*name, FluentValue::from(number)),
            None => values.set(*name, FluentValue::String(Cow::Owned((*value).to_owned()))),
        }
    }
    BUNDLES.with(|bundles| {
        let bundle = &bundles[lang as usize];
        let pattern = bundle.get_message(key)?.value()?;
        let mut errors = Vec::new();
        Some(bundle.format_pattern(pattern, Some(&values), &mut errors).into_owned())
    })
}

/// A time of the virtual clock in milliseconds with `decimals` digits: `12.400`, in Swedish `12,400`; thousands are
/// set apart by a narrow space.
pub fn milliseconds(lang: Lang, nanoseconds: u64, decimals: u32) -> String {
    let unit = 1_000_000 / 10_u64.pow(decimals.min(6));
    let scaled = (nanoseconds + unit / 2) / unit;
    let whole = scaled / 10_u64.pow(decimals.min(6));
    let rest = scaled % 10_u64.pow(decimals.min(6));
    let mut out = grouped(&whole.to_string());
    if decimals > 0 {
        out.push(if lang == Lang::Sv { ',' } else { '.' });
        out.push_str(&format!("{rest:0width$}", width = decimals.min(6) as usize));
    }
    out
}

/// A number of things, thousands set apart by a narrow space: `65 535`.
pub fn count(_lang: Lang, number: u64) -> String {
    grouped(&number.to_string())
}

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + 8);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A length of time with a unit that suits it: `850 µs`, `12.4 ms`, `6 s`.
pub fn duration(lang: Lang, nanoseconds: u64) -> String {
    let (value, unit) = match nanoseconds {
        0..1_000_000 => (nanoseconds as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (nanoseconds as f64 / 1e6, "ms"),
        _ => (nanoseconds as f64 / 1e9, "s"),
    };
    let mut number = if value >= 100.0 || (value - value.round()).abs() < 0.05 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    };
    if lang == Lang::Sv {
        number = number.replace('.', ",");
    }
    format!("{number}\u{a0}{unit}")
}

/// The page's language as a signal, with look-ups that follow it. Copied into every component.
#[derive(Clone, Copy)]
pub struct Texts(pub RwSignal<Lang>);

impl Texts {
    /// From the component's context.
    pub fn here() -> Self {
        expect_context()
    }

    /// The language now, tracked.
    pub fn lang(self) -> Lang {
        self.0.get()
    }

    /// The text of a key, tracked.
    pub fn get(self, key: &str) -> String {
        text(self.0.get(), key, &[])
    }

    /// The text of a key with parameters, tracked.
    pub fn with(self, key: &str, args: &[(&str, &str)]) -> String {
        text(self.0.get(), key, args)
    }

    /// The same with owned parameters, as events carry them.
    pub fn with_owned(self, key: &str, args: &[(String, String)]) -> String {
        let borrowed: Vec<(&str, &str)> =
            args.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        text(self.0.get(), key, &borrowed)
    }

    /// A time in milliseconds, tracked.
    pub fn milliseconds(self, nanoseconds: u64, decimals: u32) -> String {
        milliseconds(self.0.get(), nanoseconds, decimals)
    }

    /// A number of things, tracked.
    pub fn count(self, number: u64) -> String {
        count(self.0.get(), number)
    }

    /// A length of time, tracked.
    pub fn duration(self, nanoseconds: u64) -> String {
        duration(self.0.get(), nanoseconds)
    }
}
