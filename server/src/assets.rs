//! The page: embedded in a release build, read from `dist/` in a debug build.

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{
            ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
            ETAG, IF_NONE_MATCH, VARY,
        },
    },
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use rust_embed::{EmbeddedFile, RustEmbed};
use sha2::{Digest, Sha256};

#[derive(RustEmbed)]
#[folder = "../dist/"]
#[allow_missing = true]
struct Page;

/// One file of the page.
struct File {
    data: Cow<'static, [u8]>,
    hash: [u8; 32],
}

fn find(path: &str) -> Option<File> {
    let EmbeddedFile { data, metadata } = Page::get(path)?;
    Some(File { data, hash: metadata.sha256_hash() })
}

const NOT_BUILT: &str = "The page is not built yet. `cargo xtask serve` builds it.\n";

pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")], "only GET and HEAD\n")
            .into_response();
    }
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let Some(plain) = find(path) else {
        return match path {
            "index.html" => (StatusCode::SERVICE_UNAVAILABLE, NOT_BUILT).into_response(),
            _ => (StatusCode::NOT_FOUND, format!("there is no /{path} here\n")).into_response(),
        };
    };
    let packed = if accepts_gzip(&headers) { find(&format!("{path}.gz")) } else { None };
    let mut response = answer(&method, &headers, path, &plain, packed);
    let policy = content_policy(if path == "index.html" { &plain.data } else { &[] });
    if let Ok(value) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, value);
    }
    response
}

fn answer(method: &Method, headers: &HeaderMap, path: &str, plain: &File, packed: Option<File>) -> Response {
    let file = packed.as_ref().unwrap_or(plain);
    // The packed form is another representation, so it has another tag.
    let hash = &file.hash[..12];
    let tag = format!("\"{}\"", hash.iter().map(|octet| format!("{octet:02x}")).collect::<String>());
    let cache = if is_hashed(path) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let common = [(CACHE_CONTROL, cache), (ETAG, tag.as_str()), (VARY, "accept-encoding")];
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|list| {
        list.split(',').any(|t| t.trim().trim_start_matches("W/") == tag || t.trim() == "*")
    }) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let body = if *method == Method::HEAD { Body::empty() } else { Body::from(file.data.to_vec()) };
    let mut response = (common, [(CONTENT_TYPE, media_type(path))], body).into_response();
    if packed.is_some() {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|list| list.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        gzip && !parts
            .any(|part| matches!(part.replace(' ', "").as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// Trunk's names carry a hash of the content: `page-0123456789abcdef_bg.wasm`.
fn is_hashed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('-').skip(1).any(|part| {
        let hex = part.bytes().take_while(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')).count();
        hex >= 8 && part[hex..].starts_with(['.', '_'])
    })
}

/// By the name's ending. Without the right type a browser runs no module and streams no wasm.
fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or(path) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "wasm" => "application/wasm",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "ttf" => "font/ttf",
        "zip" | "whl" => "application/zip",
        "gz" => "application/gzip",
        "tar" => "application/x-tar",
        "txt" | "py" | "pyi" | "toml" | "ftl" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// What the page may load and run: only what this server gives, and the scripts written in `index` itself.
fn content_policy(index: &[u8]) -> String {
    let hashes: String = inline_scripts(&String::from_utf8_lossy(index))
        .map(|script| format!(" 'sha256-{}'", BASE64.encode(Sha256::digest(script.as_bytes()))))
        .collect();
    format!(
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'{hashes}; style-src 'self' 'unsafe-inline'; \
         connect-src 'self' ws: wss:; worker-src 'self'; img-src 'self' data:; font-src 'self'; object-src 'none'; \
         frame-ancestors 'none'; base-uri 'self'; form-action 'none'"
    )
}

/// The text of each `<script>` without `src`, exactly as a browser hashes it.
fn inline_scripts(html: &str) -> impl Iterator<Item = &str> {
    let mut rest = html;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find("<script")?;
            let (attributes, body) = rest[start + "<script".len()..].split_once('>')?;
            let (script, after) = body.split_once("</script")?;
            rest = after;
            let has_source = attributes.split_ascii_whitespace().any(|a| a == "src" || a.starts_with("src="));
            if !has_source {
                return Some(script);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    #[test]
    fn inline_scripts_are_hashed_and_others_are_not() {
        let html = "<script type=\"module\">\nlet a = 1 < 2;\n</script><script src=\"x.js\"></script ><p><script>b</script>";
        assert_eq!(inline_scripts(html).collect::<Vec<_>>(), ["\nlet a = 1 < 2;\n", "b"]);
        // printf 'b' | openssl dgst -sha256 -binary | base64
        let policy = content_policy(b"<script>b</script>");
        assert!(policy.contains("'sha256-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0='"), "{policy}");
        assert_eq!(inline_scripts("<script>unfinished").count(), 0);
    }

    fn file(text: &'static str) -> File {
        File { data: text.as_bytes().into(), hash: Sha256::digest(text).into() }
    }

    /// Status, the header asked for, and the length of the body.
    async fn answered(
        headers: &[(HeaderName, &str)],
        packed: bool,
        name: HeaderName,
    ) -> (u16, String, usize) {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let packed = packed.then(|| file("zip"));
        let response = answer(&Method::GET, &headers, "x-0123456789abcdef.js", &file("let x = 1;"), packed);
        let value = response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        (status, value, body.len())
    }

    #[tokio::test]
    async fn a_file_is_packed_for_those_who_take_it_and_not_sent_twice() {
        assert_eq!(answered(&[], false, CONTENT_ENCODING).await, (200, String::new(), 10));
        assert_eq!(answered(&[], true, CONTENT_ENCODING).await, (200, "gzip".into(), 3));
        assert_eq!(answered(&[], true, CONTENT_TYPE).await.1, "text/javascript; charset=utf-8");
        assert_eq!(answered(&[], true, CACHE_CONTROL).await.1, "public, max-age=31536000, immutable");
        let (_, tag, _) = answered(&[], false, ETAG).await;
        assert_eq!(answered(&[(IF_NONE_MATCH, &tag)], false, CACHE_CONTROL).await.0, 304);
        assert_eq!(
            answered(&[(IF_NONE_MATCH, &format!("\"a\", W/{tag}"))], false, ETAG).await,
            (304, tag.clone(), 0)
        );
        assert_eq!(answered(&[(IF_NONE_MATCH, &tag)], true, VARY).await, (200, "accept-encoding".into(), 3));
    }

    #[test]
    fn names_with_a_hash_are_kept_for_ever() {
        for name in
            ["web-0123456789abcdef_bg.wasm", "a/style-deadbeef01.css", "socketlab-web-0123456789abcdef.js"]
        {
            assert!(is_hashed(name), "{name}");
        }
        for name in ["index.html", "pyodide-lock.json", "socketlab-web.js", "a-deadbeef/x.js", "x-beef.css"] {
            assert!(!is_hashed(name), "{name}");
        }
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let takes = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
            accepts_gzip(&headers)
        };
        assert!(takes("gzip, deflate, br"));
        assert!(takes("br;q=1.0, gzip;q=0.5"));
        assert!(!takes("br"));
        assert!(!takes("gzip;q=0, br"));
        assert!(!takes("gzip; q=0"));
    }

    #[test]
    fn modules_and_wasm_have_the_types_that_browsers_insist_on() {
        assert_eq!(media_type("pyodide/pyodide.mjs"), "text/javascript; charset=utf-8");
        assert_eq!(media_type("x_bg.wasm"), "application/wasm");
        assert_eq!(media_type("noending"), "application/octet-stream");
    }
}
