//! Texts as TOML writes them, for files that the program proposes or flattens.
//!
//! Every letter can be seen: what comes from a log may hold control and direction-changing characters,
//! and the file is printed.

use crate::diagnostic::is_printable;

/// A TOML string: without escapes where that is possible.
pub(crate) fn string(text: &str) -> String {
    if text.chars().all(|c| is_printable(c) && c != '\'') {
        let quote = if text.contains(['"', '\\']) {
            '\''
        } else {
            '"'
        };
        return format!("{quote}{text}{quote}");
    }
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            _ if is_printable(letter) => out.push(letter),
            _ => out.push_str(&format!("\\U{:08x}", u32::from(letter))),
        }
    }
    out.push('"');
    out
}

/// A key of a TOML table: bare where that is possible.
pub(crate) fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(is_bare) {
        name.to_owned()
    } else {
        string(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_one_toml_string_and_key_of_visible_letters(text: String) {
            let written = format!("{} = {}\n", key(&text), string(&text));
            let table = toml::de::DeTable::parse(&written).unwrap();
            let (name, value) = table.get_ref().iter().next().unwrap();
            prop_assert_eq!(name.get_ref().as_ref(), text.as_str());
            prop_assert_eq!(value.get_ref().as_str(), Some(text.as_str()));
            prop_assert_eq!(table.get_ref().len(), 1);
            prop_assert!(written.chars().all(|c| c == '\n' || is_printable(c)));
        }
    }
}
