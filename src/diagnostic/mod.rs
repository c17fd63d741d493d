//! What is wrong with a user's file or argument, and where: shown like a compiler's errors.
//!
//! Invariant: whatever a message, a label or a source text holds, the rendered picture has no
//! control or direction-changing character in it but line feeds (and colours when asked for).
//! Nothing here decides what is wrong, and nothing here prints.

mod escape;
mod place;
mod render;
mod similar;

pub(crate) use escape::is_printable;
pub use escape::{Shortened, Untrusted};
pub use place::{Piece, Place, SourceText};
pub use render::render;
pub use similar::similar;

/// One mistake of the user's, as data. Lower case, no full stop, backticks around what was typed.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// What is wrong, without the place.
    pub message: String,
    /// Where it is wrong; `None` when there is no text to point at.
    pub place: Option<Place>,
    /// A few words at the caret; may be empty.
    pub label: String,
    /// Other places that belong to the mistake, each with a sentence.
    pub notes: Vec<(Place, String)>,
    /// What to do; a text that can be pasted where possible.
    pub help: Option<String>,
    /// True when it is allowed but probably not meant: `warning:` instead of `error:`.
    pub is_warning: bool,
}

impl Diagnostic {
    /// A mistake without a place, such as a folder that cannot be read.
    pub fn new(message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            message: message.into(),
            place: None,
            label: String::new(),
            notes: Vec::new(),
            help: None,
            is_warning: false,
        }
    }

    /// The same as something allowed but probably not meant.
    pub fn warning(mut self) -> Diagnostic {
        self.is_warning = true;
        self
    }

    /// The same mistake, pointed at; replaces an earlier place.
    pub fn at(mut self, place: &Place, label: impl Into<String>) -> Diagnostic {
        self.place = Some(place.clone());
        self.label = label.into();
        self
    }

    /// Adds the repair; replaces an earlier one.
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }

    /// Adds another place that belongs to the mistake.
    pub fn note(mut self, place: &Place, text: impl Into<String>) -> Diagnostic {
        self.notes.push((place.clone(), text.into()));
        self
    }

    /// Help from a list of what exists: the most similar name, or else all of them.
    pub fn help_from<'a>(
        self,
        typed: &str,
        what: &str,
        exist: impl IntoIterator<Item = &'a str>,
    ) -> Diagnostic {
        let mut exist: Vec<&str> = exist.into_iter().collect();
        exist.sort_unstable();
        if let Some(name) = similar(typed, exist.iter().copied()) {
            return self.help(format!("a {what} with a similar name exists: `{name}`"));
        }
        if exist.is_empty() {
            return self;
        }
        self.help(format!("there is: {}", quoted_list(exist)))
    }
}

/// Names in backticks, with commas between.
pub fn quoted_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_the_similar_one_or_else_all() {
        let near = Diagnostic::new("x").help_from("hlep", "key", ["help", "name"]);
        assert_eq!(
            near.help.unwrap(),
            "a key with a similar name exists: `help`"
        );
        let far = Diagnostic::new("x").help_from("zzzzzz", "key", ["name", "help"]);
        assert_eq!(far.help.unwrap(), "there is: `help`, `name`");
        assert_eq!(Diagnostic::new("x").help_from("a", "key", []).help, None);
    }
}
