//! Takes the README's pictures (docs/pictures/) and one of each size and theme for the eye of whoever changed the page.
//!
//! `cargo xtask screenshots [FOLDER]`: without a folder, the README's pictures only.

use std::path::PathBuf;

use anyhow::{Context, Result};
use socketlab_tests::browser::Browser;
use socketlab_tests::product::Relay;

const SIZES: [(&str, u32, u32); 4] =
    [("laptop", 1280, 800), ("mockup", 1440, 900), ("desktop", 1920, 1080), ("phone", 390, 844)];

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let relay = Relay::start(&[]).await?;
    let result = match &folder {
        Some(folder) => all(&relay, folder).await,
        None => readme(&relay).await,
    };
    relay.stop().await?;
    result
}

/// The opening lab in the middle of its run, and paused there.
async fn in_the_middle(
    relay: &Relay,
    width: u32,
    height: u32,
    language: &str,
    theme: &str,
) -> Result<Browser> {
    let browser = Browser::start(width, height, language, &[]).await?;
    browser.color_scheme(theme).await?;
    browser.open(&format!("{}/?lab=sensors", relay.url)).await?;
    browser.click("run").await?;
    browser
        .wait_until(
            "data of a sensor is on its way",
            "return document.querySelector('[data-testid=ladder-table]')?.textContent.includes('PSH, ACK')",
        )
        .await?;
    browser.click("pause").await?;
    Ok(browser)
}

async fn readme(relay: &Relay) -> Result<()> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures");
    std::fs::create_dir_all(&folder)?;
    for theme in ["light", "dark"] {
        let browser = in_the_middle(relay, 1440, 900, "en", theme).await?;
        std::fs::write(folder.join(format!("page-{theme}.png")), browser.screenshot().await?)?;
        browser.close().await?;
    }
    Ok(())
}

async fn all(relay: &Relay, folder: &PathBuf) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, width, height) in SIZES {
        for theme in ["light", "dark"] {
            let language = if theme == "light" { "sv" } else { "en" };
            let browser = in_the_middle(relay, width, height, language, theme)
                .await
                .with_context(|| format!("{name}, {theme}"))?;
            std::fs::write(folder.join(format!("{name}-{theme}.png")), browser.screenshot().await?)?;
            browser.close().await?;
        }
    }
    Ok(())
}
