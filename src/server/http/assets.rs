//! The built site, from inside the binary: script, WebAssembly, stylesheet, icons.
//!
//! Addresses carry a fingerprint of the whole build, so they can be cached for ever; an upgrade
//! changes every address. Files come compressed from the build (brotli 11), so nothing is
//! compressed while serving.

use crate::domain::error::Error;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Where the files of this build are served.
pub fn base() -> String {
    format!("/assets/{BUILD}")
}

/// One file, in the smallest form the browser takes.
pub async fn serve(Path((build, path)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let found = FILES.binary_search_by(|(name, ..)| (*name).cmp(path.as_str()));
    let Some((_, kind, raw, br, gz)) = found.ok().and_then(|at| FILES.get(at)) else {
        return Error::NotFound.into_response();
    };
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let accepts = |name: &str| {
        accepted.is_some_and(|all| {
            all.split(',').any(|one| {
                let (coding, weight) = one.split_once(';').unwrap_or((one, "q=1"));
                coding.trim() == name && !matches!(weight.trim(), "q=0" | "q=0.0")
            })
        })
    };
    let (bytes, encoding) = match (br, gz) {
        (Some(br), _) if accepts("br") => (*br, Some("br")),
        (_, Some(gz)) if accepts("gzip") => (*gz, Some("gzip")),
        _ => (*raw, None),
    };
    let mut response = bytes.into_response();
    let sent = response.headers_mut();
    sent.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    sent.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        sent.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    // A page of an older build may still ask for its files; it gets today's, but must not keep
    // them under yesterday's name.
    let caching = if build == BUILD { "public, max-age=31536000, immutable" } else { "no-store" };
    sent.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}
