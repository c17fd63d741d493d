//! Templates: texts in which `@NAME@` stands for a value.
//!
//! Invariant: what comes out holds no `@NAME@` of a template; a name without a value is our own mistake.
//! Values are put in as they are: whoever gives them knows what the text around them takes.

/// The template with each `@NAME@` replaced. Values are not looked at again.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, name, after)) = next(rest) {
        let value = values.iter().find(|(known, _)| *known == name);
        let (_, value) = value.expect("every name in our templates has a value");
        out.push_str(before);
        out.push_str(value);
        rest = after;
    }
    out + rest
}

/// The text before the next name, the name, and what is behind it.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find('@')?;
        let behind = text.get(open + 1..)?;
        let length = behind
            .find(|letter: char| !(letter.is_ascii_uppercase() || letter == '_'))
            .unwrap_or(behind.len());
        let (name, after) = behind.split_at(length);
        match after.strip_prefix('@') {
            Some(after) if !name.is_empty() => return Some((text.get(..open)?, name, after)),
            _ => from = open + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_values_and_other_signs_stay() {
        let values = [("A", "@B@"), ("LONG_NAME", "x")];
        assert_eq!(
            fill("@A@@LONG_NAME@ a@b.example @@ @", &values),
            "@B@x a@b.example @@ @"
        );
    }

    #[test]
    #[should_panic(expected = "every name")]
    fn a_name_without_a_value_is_our_own_mistake() {
        fill("@NONE@", &[]);
    }
}
