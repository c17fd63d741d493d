//! The way from a line's object to a value, as parser files write it.
//!
//! Invariant: a text has one meaning as a path, independent of any line; whether digits are an index
//! or a key is the only thing the line decides.
//!
//! It reads no JSON: `JsonLayout` does, also for a template's list of what a line has.

use std::fmt::{self, Display, Formatter};

#[cfg(test)]
use super::{JsonLayout, all_keys};
#[cfg(test)]
use crate::record::Span;

/// One step from a value into a value it holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::parse) enum Step {
    /// The member of this name.
    Key(Box<[u8]>),
    /// The member whose name, in lower case and with `_` for `-`, is this one.
    HeaderKey(Box<[u8]>),
    /// The element at this position of an array, from 0, or the member of an object whose name is
    /// this number.
    Index(usize),
}

impl Step {
    /// True when this step takes the member of an object called `key`.
    pub(super) fn is_key(&self, key: &[u8]) -> bool {
        match self {
            Step::Key(own) => **own == *key,
            Step::HeaderKey(_) => self.is_header(&header_name(key)),
            Step::Index(index) => index_key(*index) == key,
        }
    }

    pub(super) fn is_header(&self, name: &[u8]) -> bool {
        matches!(self, Step::HeaderKey(own) if header_name(own) == name)
    }
}

/// The way from a line's object to one value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::parse) struct JsonPath(pub Vec<Step>);

impl JsonPath {
    /// A path such as `request.headers.X-Cdn-Provider.0`. A backslash takes the character after it
    /// literally: `a\.b` is one key, and `\0` a key that never is an index.
    ///
    /// # Errors
    /// A sentence when a step is empty, a backslash ends the text, or a `*` stands in it.
    pub(in crate::parse) fn parse(text: &str) -> Result<JsonPath, String> {
        let steps = split_steps(text)?;
        let steps = steps.into_iter().map(|step| match step.star {
            Some(_) => Err(format!("`*` has no place in the path `{text}`")),
            None => Ok(step.into_step()),
        });
        Ok(JsonPath(steps.collect::<Result<_, _>>()?))
    }
}

impl Display for JsonPath {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            if number > 0 {
                out.write_str(".")?;
            }
            match step {
                Step::Index(index) => write!(out, "{index}")?,
                Step::Key(key) | Step::HeaderKey(key) => {
                    out.write_str(&String::from_utf8_lossy(key))?;
                }
            }
        }
        Ok(())
    }
}

/// A path for each of a family of fields: `request.headers.*.0`, or `request_*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::parse) struct JsonTemplate {
    before: Vec<Step>,
    prefix: Vec<u8>,
    suffix: Vec<u8>,
    after: Vec<Step>,
}

impl JsonTemplate {
    /// A path with exactly one `*`, alone in a step or among other characters of its step.
    ///
    /// # Errors
    /// As [`JsonPath::parse`], and when there is no `*` or more than one.
    pub(in crate::parse) fn parse(text: &str) -> Result<JsonTemplate, String> {
        let mut steps = split_steps(text)?.into_iter();
        let mut before = Vec::new();
        let (mut prefix, suffix) = loop {
            let step = steps
                .next()
                .ok_or_else(|| format!("no `*` in the path `{text}`"))?;
            match step.star {
                Some(at) => {
                    let mut prefix = step.text;
                    let suffix = prefix.split_off(at.min(prefix.len()));
                    break (prefix, suffix);
                }
                None => before.push(step.into_step()),
            }
        };
        prefix.make_ascii_lowercase();
        let after = steps.map(|step| match step.star {
            Some(_) => Err(format!("more than one `*` in the path `{text}`")),
            None => Ok(step.into_step()),
        });
        let after = after.collect::<Result<_, _>>()?;
        Ok(JsonTemplate {
            before,
            prefix: header_name(&prefix),
            suffix: header_name(&suffix),
            after,
        })
    }

    /// The path of the family's member `name`: `x_cdn_provider` finds `X-Cdn-Provider`.
    pub(in crate::parse) fn instantiate(&self, name: &str) -> JsonPath {
        let name = header_name(name.as_bytes());
        let key = [&self.prefix, &name, &self.suffix].map(Vec::as_slice);
        let mut steps = self.before.clone();
        steps.push(Step::HeaderKey(key.concat().into()));
        steps.extend(self.after.iter().cloned());
        JsonPath(steps)
    }

    /// All members of the family that a line has: their names as [`JsonTemplate::instantiate`] takes
    /// them, in the order of the line, each once, and their values as [`JsonLayout::read`] gives
    /// them. For people: its cost grows with the square of the line. Nothing from a line that is no
    /// JSON object.
    #[cfg(test)]
    pub(in crate::parse) fn expand(&self, line: &[u8]) -> Vec<(String, Span)> {
        let mut found: Vec<(String, Span)> = Vec::new();
        if JsonLayout::compile(&[]).read(line, &mut []).is_err() {
            return found;
        }
        for key in all_keys(line) {
            let Some(name) = self.name_in(&header_name(&key)) else {
                continue;
            };
            let mut value = [Span::ABSENT];
            let layout = JsonLayout::compile(&[self.instantiate(&name)]);
            let read = layout.read(line, &mut value);
            let [value] = value;
            let new = found.iter().all(|(known, _)| *known != name);
            if read.is_ok() && !value.is_absent() && new {
                found.push((name, value));
            }
        }
        found
    }

    /// The member that a key names, wherever in a line it stands.
    pub(in crate::parse) fn name_in(&self, key: &[u8]) -> Option<String> {
        let name = key
            .strip_prefix(&*self.prefix)?
            .strip_suffix(&*self.suffix)?;
        String::from_utf8(name.to_vec()).ok()
    }
}

/// A step as it was written, with its escapes resolved.
struct WrittenStep {
    text: Vec<u8>,
    /// Where in `text` a `*` stood.
    star: Option<usize>,
    escaped: bool,
}

impl WrittenStep {
    fn into_step(self) -> Step {
        let number = std::str::from_utf8(&self.text)
            .ok()
            .and_then(|text| text.parse().ok());
        match number {
            // `007` and `+7` are keys: an index is written in one way only.
            Some(index) if !self.escaped && index_key(index) == self.text => Step::Index(index),
            _ => Step::Key(self.text.into()),
        }
    }
}

fn split_steps(text: &str) -> Result<Vec<WrittenStep>, String> {
    let mut steps = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let (step, after) = split_step(text)?;
        if step.text.is_empty() && step.star.is_none() {
            return Err(format!(
                "empty step in the path before `{}`",
                after.unwrap_or_default()
            ));
        }
        steps.push(step);
        rest = after;
    }
    Ok(steps)
}

fn split_step(path: &str) -> Result<(WrittenStep, Option<&str>), String> {
    let mut step = WrittenStep {
        text: Vec::new(),
        star: None,
        escaped: false,
    };
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        let literal = match character {
            '.' => return Ok((step, Some(characters.as_str()))),
            '*' if step.star.is_some() => return Err("more than one `*` in a step".to_owned()),
            '*' => {
                step.star = Some(step.text.len());
                continue;
            }
            '\\' => {
                step.escaped = true;
                characters
                    .next()
                    .ok_or("nothing after the last backslash of the path")?
            }
            other => other,
        };
        step.text
            .extend_from_slice(literal.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok((step, None))
}

pub(super) fn index_key(index: usize) -> Vec<u8> {
    index.to_string().into_bytes()
}

/// A header's name as fields are called: `X-Cdn-Provider` becomes `x_cdn_provider`.
pub(in crate::parse) fn header_name(key: &[u8]) -> Vec<u8> {
    key.iter().copied().map(header_byte).collect()
}

pub(super) fn header_byte(byte: u8) -> u8 {
    match byte {
        b'-' => b'_',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CADDY: &[u8] = br#"{"request":{"proto":"HTTP/1.1","headers":{"User-Agent":["curl/7.24.0"],"Accept":["*/*"],"X-Cdn-Provider":["edgecast"],"X-Forwarded-For":["203.0.113.9, 198.51.100.7"]}},"bytes_read":0}"#;

    #[test]
    fn template_makes_paths_and_lists_what_a_line_has() {
        let template = JsonTemplate::parse("request.headers.*.0").unwrap();
        let path = template.instantiate("x_cdn_provider");
        let steps = [&b"request"[..], b"headers"].map(|key| Step::Key(key.into()));
        let header = [Step::HeaderKey((*b"x_cdn_provider").into()), Step::Index(0)];
        assert_eq!(path.0, [steps, header].concat());
        let names: Vec<String> = template
            .expand(CADDY)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(
            names,
            ["user_agent", "accept", "x_cdn_provider", "x_forwarded_for"]
        );
        assert!(template.expand(b"{").is_empty());
    }

    #[test]
    fn star_may_be_a_part_of_a_key() {
        let line = br#"{"request_X-Cdn-Provider":"edgecast","request_x":null,"b":"c"}"#;
        let template = JsonTemplate::parse("request_*").unwrap();
        assert_eq!(
            template.expand(line),
            [("x_cdn_provider".to_owned(), Span::new(27, 35))]
        );
    }

    #[test]
    fn wrong_paths_are_refused() {
        for path in ["", "a..b", ".a", "a.", "a\\", "a.*"] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
        for path in ["a", "*.*", "**", "*."] {
            assert!(JsonTemplate::parse(path).is_err(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_panics(text in "[a0.*\\\\é]{0,12}") {
            if let Ok(path) = JsonPath::parse(&text) {
                prop_assert!(!path.0.is_empty());
            }
            if let Ok(template) = JsonTemplate::parse(&text) {
                let found = template.expand(br#"{"a":{"0":1}}"#);
                prop_assert!(found.len() <= 2);
            }
        }
    }
}
