//! A release build holds the page: build again when it changes. A debug build reads it from disk, from a folder that
//! has to be there when this is compiled, if only empty: the path is resolved then.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Err(error) = std::fs::create_dir_all("../dist") {
        println!("cargo::warning=cannot make the folder dist/ for the page: {error}");
    }
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rerun-if-changed=../dist");
    }
}
