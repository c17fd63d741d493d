//! The text behind `varnishncsa -F` as pieces (varnishncsa(1), "Format").

use super::layout::{FormatError, ServerFormat};

/// Understands the text. Errors carry the byte range inside it.
pub(super) fn format(text: &str) -> Result<ServerFormat, FormatError> {
    Err((0..text.len(), "not supported by this version".to_owned()))
}
