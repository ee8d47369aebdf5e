//! Takes the README's pictures (docs/pictures/), and pictures of every shipped lab in each size and theme for the eye
//! of whoever changed the page.
//!
//! `cargo xtask screenshots [FOLDER] [WORD]...`: without a folder, the README's pictures only; with words, only
//! pictures whose name has one of them, such as `phone` or `sensors-udp`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use socketlab_tests::browser::Browser;
use socketlab_tests::product::Relay;

const SIZES: [(&str, u32, u32); 4] =
    [("laptop", 1280, 800), ("mockup", 1440, 900), ("desktop", 1920, 1080), ("phone", 390, 844)];

/// What a theme's pictures are written in: so both languages are seen.
const THEMES: [(&str, &str); 2] = [("light", "sv"), ("dark", "en")];

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().map(PathBuf::from);
    let words: Vec<String> = args.collect();
    let relay = Relay::start(&["--demo-services"]).await?;
    let result = match &folder {
        Some(folder) => all(&relay, folder, &words).await,
        None => readme(&relay).await,
    };
    relay.stop().await?;
    result
}

/// Runs the lab that is open until data is on its way, and pauses there.
async fn to_the_middle(browser: &Browser) -> Result<()> {
    browser.click("run").await?;
    browser
        .wait_until(
            "data is on its way",
            "const t = document.querySelector('[data-testid=ladder-table]')?.textContent ?? '';\
             return t.includes(String.fromCharCode(34))",
        )
        .await?;
    browser.click("pause").await
}

async fn readme(relay: &Relay) -> Result<()> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures");
    std::fs::create_dir_all(&folder)?;
    let browser = Browser::start(1440, 900, "en", &[]).await?;
    browser.open(&format!("{}/?lab=sensors", relay.url)).await?;
    to_the_middle(&browser).await?;
    for theme in ["light", "dark"] {
        picture(&browser, &folder.join(format!("page-{theme}.png")), theme).await?;
    }
    browser.close().await
}

async fn picture(browser: &Browser, file: &Path, theme: &str) -> Result<()> {
    browser.color_scheme(theme).await?;
    // Fonts are there, and the theme has been drawn.
    browser
        .client
        .execute_async(
            "const done = arguments[0]; document.fonts.ready.then(() => requestAnimationFrame(() => setTimeout(done)))",
            vec![],
        )
        .await?;
    std::fs::write(file, browser.screenshot().await?)?;
    Ok(())
}

async fn all(relay: &Relay, folder: &Path, words: &[String]) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for (size, width, height) in SIZES {
        for lab in socketlab_lab::library() {
            let name = format!("{size}-{}", lab.name);
            if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
                one(relay, folder, &name, lab.name, (width, height)).await.with_context(|| name.clone())?;
            }
        }
    }
    Ok(())
}

/// A lab in the middle of its run and at its end, with the first packet marked there, in both themes.
async fn one(relay: &Relay, folder: &Path, name: &str, lab: &str, size: (u32, u32)) -> Result<()> {
    let browser = Browser::start(size.0, size.1, "en", &[]).await?;
    browser.open(&format!("{}/?lab={lab}", relay.url)).await?;
    to_the_middle(&browser).await?;
    themes(&browser, folder, &format!("{name}-1-runs")).await?;
    if size.0 < 600 {
        for pane in ["traffic", "code", "console"] {
            show_pane(&browser, pane).await?;
            themes(&browser, folder, &format!("{name}-2-{pane}")).await?;
        }
        return browser.close().await;
    }
    browser.click("pause").await?;
    browser.click("speed-instant").await?;
    browser
        .wait_until(
            "the run has ended",
            "return document.querySelector('[data-testid=run-state]')?.dataset.state === 'finished'",
        )
        .await?;
    themes(&browser, folder, &format!("{name}-2-ended")).await?;
    browser.click("tab-packets").await?;
    browser
        .wait_until(
            "a packet was clicked",
            "const row = document.querySelectorAll('[data-testid=packet-list] tbody tr')[2];\
             row?.click(); return !!row",
        )
        .await?;
    themes(&browser, folder, &format!("{name}-3-packets")).await?;
    browser.click("tab-sockets").await?;
    themes(&browser, folder, &format!("{name}-4-sockets")).await?;
    browser.close().await
}

async fn themes(browser: &Browser, folder: &Path, name: &str) -> Result<()> {
    for (theme, language) in THEMES {
        let choose = format!("document.querySelector('[data-testid=lang-{language}]').click()");
        browser.client.execute(&choose, vec![]).await?;
        picture(browser, &folder.join(format!("{name}-{theme}.png")), theme).await?;
    }
    Ok(())
}

async fn show_pane(browser: &Browser, pane: &str) -> Result<()> {
    let script = format!("document.querySelector('[data-testid=pane-{pane}]').click()");
    browser.client.execute(&script, vec![]).await?;
    Ok(())
}
