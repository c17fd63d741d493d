//! What a client would rather have: RFC 9110, sections 12.5.1 and 12.5.3, as far as scrapers use
//! them.
//!
//! A header that cannot be understood is no reason to refuse: the text format is for everybody.

use super::Exposition;

/// Thousandths, as `q=0.75` has at most three decimals.
type Quality = u16;

/// The format for a value of `Accept`: OpenMetrics for who asks for it by name, in version 1.0.0 or
/// without a version, and does not like plain text better.
pub fn exposition(accept: &str) -> Exposition {
    let (mut open, mut plain, mut any) = (0, None, 0);
    for range in ranges(accept) {
        match range.name.to_ascii_lowercase().as_str() {
            "application/openmetrics-text" if matches!(range.version, None | Some("1.0.0")) => {
                open = open.max(range.quality);
            }
            "text/plain" => plain = plain.max(Some(range.quality)),
            "text/*" | "*/*" => any = any.max(range.quality),
            _ => {}
        }
    }
    if open > 0 && open >= plain.unwrap_or(any) {
        Exposition::OpenMetrics
    } else {
        Exposition::Text
    }
}

/// True when a value of `Accept-Encoding` asks for gzip and does not like plain bytes better.
pub fn gzip(accept_encoding: &str) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, 0);
    for range in ranges(accept_encoding) {
        match range.name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = gzip.max(Some(range.quality)),
            "*" => any = any.max(Some(range.quality)),
            "identity" => identity = identity.max(range.quality),
            _ => {}
        }
    }
    let quality = gzip.or(any).unwrap_or(0);
    quality > 0 && quality >= identity
}

/// One element of a list of preferences.
struct Range<'h> {
    name: &'h str,
    version: Option<&'h str>,
    quality: Quality,
}

fn ranges(header: &str) -> impl Iterator<Item = Range<'_>> {
    header.split(',').filter_map(|element| {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let (mut version, mut quality) = (None, 1000);
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "q" => quality = thousandths(value),
                "version" => version = Some(value),
                _ => {}
            }
        }
        Some(Range {
            name,
            version,
            quality,
        })
    })
}

/// `0.75` → 750. What is no quality counts as 0: not wanted.
fn thousandths(text: &str) -> Quality {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{fraction:0<3}");
    match (whole, digits.parse::<Quality>()) {
        ("1", Ok(0)) => 1000,
        ("0", Ok(thousandths)) if digits.len() == 3 => thousandths,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrapers_get_what_they_ask_for() {
        use Exposition::{OpenMetrics, Text};
        for (accept, expected) in [
            ("", Text),
            ("*/*", Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Text),
            ("text/plain", Text),
            ("application/openmetrics-text", OpenMetrics),
            // Prometheus 2.42.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics,
            ),
            // Prometheus 3.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text; version=1.0.0; q=0.2, text/plain; q=0.3",
                Text,
            ),
            ("application/openmetrics-text;version=2.0.0", Text),
            ("application/openmetrics-text;version=1.0.0;q=0", Text),
            ("application/openmetrics-text;q=0.5, */*", Text),
            (
                "Application/OpenMetrics-Text; Version=\"1.0.0\"",
                OpenMetrics,
            ),
            (";;;,,q=,=", Text),
        ] {
            assert_eq!(exposition(accept), expected, "{accept}");
        }
    }

    #[test]
    fn gzip_is_for_those_who_ask() {
        for (header, expected) in [
            ("", false),
            ("identity", false),
            ("gzip", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("*", true),
            ("gzip;q=0.5, identity", false),
            ("br, GZIP", true),
            ("gzip;q=0.0001", false),
            ("gzip;q=7", false),
        ] {
            assert_eq!(gzip(header), expected, "{header}");
        }
    }
}
