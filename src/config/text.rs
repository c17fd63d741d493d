//! Text that the environment had a part in.
//!
//! Invariant: `Debug` shows what the user wrote, never what a variable held: a key of a hosted
//! Graphite in `prefix = "${KEY}.web"` stays out of journals. To use the text is to ask for it.
//! Paths, addresses and names of logs and outputs are not kept this way: they stand in messages
//! and labels, where secrets have no place.

use std::fmt::{self, Debug, Formatter};
use std::ops::Deref;

/// A string of the configuration with `{host}` and `${NAME}` replaced; dereferences to the result.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    value: String,
    /// As it was written, when a variable of the environment is in it.
    written: Option<String>,
}

impl Text {
    /// A text in which no variable is.
    pub fn plain(value: impl Into<String>) -> Text {
        Text {
            value: value.into(),
            written: None,
        }
    }

    /// A text with variables in it.
    pub(super) fn expanded(value: String, written: String) -> Text {
        Text {
            value,
            written: Some(written),
        }
    }

    /// The text and the way it was written, both changed in the same way.
    pub(super) fn map(&self, change: impl Fn(&str) -> String) -> Text {
        Text {
            value: change(&self.value),
            written: self.written.as_deref().map(change),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.value
    }

    /// What may be shown: the text, or the way it was written when a variable is in it.
    pub fn shown(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.value)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.value
    }
}

impl Debug for Text {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(self.shown(), out)
    }
}
