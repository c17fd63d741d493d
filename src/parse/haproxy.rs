//! HAProxy's `log-format` text as pieces (HAProxy configuration manual, section 8.2).

use super::layout::{FormatError, ServerFormat};

/// Understands the text. Errors carry the byte range inside it.
pub(super) fn format(text: &str) -> Result<ServerFormat, FormatError> {
    Err((0..text.len(), "not supported by this version".to_owned()))
}
