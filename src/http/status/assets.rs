//! The page's script, style and chart library, out of the program itself.
//!
//! Each is asked for with a digest of its bytes in the address, so that it can be kept for ever and
//! is asked for anew once it has changed.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{self, HeaderMap};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// Hexadecimal digits that tell versions apart.
const DIGITS: usize = 16;
/// A year, as RFC 8246 has it for what never changes. Not for caches that others share.
const FOR_EVER: &str = "private, max-age=31536000, immutable";

/// A file of the page.
#[derive(Debug)]
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    digest: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let script = "text/javascript; charset=utf-8";
    let style = "text/css; charset=utf-8";
    vec![
        made("status.js", script, include_bytes!("assets/status.js")),
        made("status.css", style, include_bytes!("assets/status.css")),
        made(
            "uplot.js",
            script,
            include_bytes!("assets/uPlot.iife.min.js"),
        ),
        made("uplot.css", style, include_bytes!("assets/uPlot.min.css")),
        made(
            "uplot.txt",
            "text/plain; charset=utf-8",
            include_bytes!("assets/uPlot.LICENSE"),
        ),
    ]
});

fn made(name: &'static str, kind: &'static str, bytes: &'static [u8]) -> Asset {
    let mut digest = String::new();
    for byte in Sha256::digest(bytes) {
        write!(digest, "{byte:02x}").expect("writing to a string cannot fail");
    }
    digest.truncate(DIGITS);
    Asset {
        name,
        kind,
        bytes,
        digest,
    }
}

/// The address of a file, with its version.
pub(super) fn address(name: &str) -> String {
    let known = ASSETS.iter().find(|asset| asset.name == name);
    let version = known.map_or("", |asset| asset.digest.as_str());
    format!("/assets/{name}?v={version}")
}

/// The answer to a request for a file; `None` when there is no such file.
pub(in crate::http) fn asset(name: &str, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    let tag = format!("\"{}\"", asset.digest);
    let asked = uri.query().and_then(|query| query.strip_prefix("v="));
    let cache = match asked {
        Some(version) if version == asset.digest => FOR_EVER,
        _ => "no-cache",
    };
    let known = headers.get(header::IF_NONE_MATCH);
    let fresh = known.and_then(|tags| tags.to_str().ok());
    let fresh = fresh.is_some_and(|tags| tags.split(',').any(|one| one.trim() == tag));
    let about = [
        (header::CONTENT_TYPE, asset.kind.to_owned()),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::ETAG, tag),
    ];
    if fresh {
        return Some((StatusCode::NOT_MODIFIED, about).into_response());
    }
    Some((about, Body::from(asset.bytes)).into_response())
}
