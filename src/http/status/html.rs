//! HTML in which nothing but our own constants is markup.
//!
//! Invariant: what is written as markup is a constant of the program; everything else goes through
//! [`Html::text`], which leaves no character of HTML, nothing invisible and nothing that turns the
//! direction of text. So no page can be steered by a log, whoever writes the page.

use std::fmt::Display;

use crate::diagnostic::Untrusted;

/// A page being written.
#[derive(Debug, Default)]
pub(super) struct Html {
    out: String,
}

impl Html {
    /// Markup of our own.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Html {
        self.out.push_str(markup);
        self
    }

    /// Anything else, fit for the inside of an element and for an attribute in double quotes.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Html {
        let text = Untrusted(text.to_string().as_bytes()).to_string();
        for letter in text.chars() {
            match letter {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' => self.out.push_str("&quot;"),
                '\'' => self.out.push_str("&#39;"),
                letter => self.out.push(letter),
            }
        }
        self
    }

    /// A moment as people read it, and as programs do.
    pub(super) fn time(&mut self, at: i64, shown: impl Display) -> &mut Html {
        self.raw("<time datetime=\"");
        self.text(super::words::rfc3339(at)).raw("\">");
        self.text(shown).raw("</time>")
    }

    /// What was written.
    pub(super) fn finish(self) -> String {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_stays_text() {
        let mut html = Html::default();
        html.raw("<td>").text("\"><img onerror='x'>&\u{202e}\u{0}");
        assert_eq!(
            html.finish(),
            "<td>&quot;&gt;&lt;img onerror=&#39;x&#39;&gt;&amp;\\u{202e}\\u{0}"
        );
    }

    proptest! {
        #[test]
        fn no_text_has_markup_in_it(text: String) {
            let mut html = Html::default();
            html.text(&text);
            let written = html.finish();
            prop_assert!(!written.contains(['<', '>', '"', '\'']));
            prop_assert!(!written.chars().any(char::is_control));
        }
    }
}
