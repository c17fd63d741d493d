//! Text of unknown origin made fit for a terminal, a journal or a monitoring page.
//!
//! Invariant: the output has no control character, no character that changes the direction of
//! text and none that is invisible, so that what is seen is what was there. Backslashes are left
//! alone: the output is for reading, not for decoding.

use std::fmt::{self, Display, Formatter, Write};

/// Bytes of a log, to be displayed: invalid UTF-8 as `\xHH`, the unprintable as `\n` or `\u{1b}`.
#[derive(Clone, Copy, Debug)]
pub struct Untrusted<'a>(pub &'a [u8]);

impl<'a> Untrusted<'a> {
    /// The same, cut after at most `limit` bytes of input, followed by `… (n bytes more)`.
    pub fn shortened(self, limit: usize) -> Shortened<'a> {
        Shortened {
            bytes: self.0,
            limit,
        }
    }
}

impl Display for Untrusted<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            chunk
                .valid()
                .chars()
                .try_for_each(|letter| write_letter(out, letter))?;
            chunk
                .invalid()
                .iter()
                .try_for_each(|byte| write!(out, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

/// See [`Untrusted::shortened`].
#[derive(Clone, Copy, Debug)]
pub struct Shortened<'a> {
    bytes: &'a [u8],
    limit: usize,
}

impl Display for Shortened<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let cut = character_start(self.bytes, self.limit);
        let (shown, rest) = self
            .bytes
            .split_at_checked(cut)
            .unwrap_or((self.bytes, &[]));
        write!(out, "{}", Untrusted(shown))?;
        match rest.len() {
            0 => Ok(()),
            more => write!(out, "… ({more} bytes more)"),
        }
    }
}

/// The last position at or before `at` that is not inside a UTF-8 character.
fn character_start(bytes: &[u8], at: usize) -> usize {
    let is_continuation = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    // A character has at most three continuation bytes; more of them are not a character.
    (0..=3)
        .filter_map(|back| at.checked_sub(back))
        .find(|&start| !is_continuation(start))
        .unwrap_or(at)
        .min(bytes.len())
}

/// The text with everything unprintable escaped, line feeds and tabs too.
pub(super) fn escaped(text: &str) -> String {
    Untrusted(text.as_bytes()).to_string()
}

fn write_letter(out: &mut Formatter<'_>, letter: char) -> fmt::Result {
    match letter {
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        _ if !is_printable(letter) => write!(out, "\\u{{{:x}}}", u32::from(letter)),
        _ => out.write_char(letter),
    }
}

/// False for control characters, and for those that are invisible, reorder text or belong to nobody.
pub(crate) fn is_printable(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{e000}'..='\u{f8ff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_unprintable_is_escaped() {
        let shown = Untrusted(b"a\x1b[2J\xff\n\xc2\x9b\x7f \xe2\x80\xae\xc3\xa9").to_string();
        assert_eq!(shown, "a\\u{1b}[2J\\xff\\n\\u{9b}\\u{7f} \\u{202e}é");
    }

    #[test]
    fn shortened_text_ends_at_a_character_and_counts_the_rest() {
        assert_eq!(
            Untrusted("aéz".as_bytes()).shortened(2).to_string(),
            "a… (3 bytes more)"
        );
        assert_eq!(Untrusted("aéz".as_bytes()).shortened(4).to_string(), "aéz");
        let cut = Untrusted(b"\x80\x80\x80\x80").shortened(3).to_string();
        assert_eq!(cut, r"\x80\x80\x80… (1 bytes more)");
        assert_eq!(
            Untrusted(b"abc").shortened(0).to_string(),
            "… (3 bytes more)"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_become_printable(bytes: Vec<u8>, limit in 0usize..40) {
            let whole = Untrusted(&bytes).to_string();
            let cut = Untrusted(&bytes).shortened(limit).to_string();
            prop_assert!(!whole.chars().any(|c| !is_printable(c)));
            prop_assert!(!cut.chars().any(|c| !is_printable(c)));
        }
    }
}
