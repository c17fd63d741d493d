//! Log formats pasted from a server's configuration: nginx's `log_format` directive (nginx
//! manual, ngx_http_log_module), Apache's `LogFormat` (mod_log_config), and the command line of
//! `varnishncsa`.
//!
//! Invariant: every byte of the result leads back to the byte of the file where it was pasted. A
//! text that is not a directive stays as it is, but for Apache's `\"`. The variables in the text
//! are not looked at.

use std::ops::Range;

use super::written::Rewritten;
use super::{At, NginxEscape};
use crate::diagnostic::Diagnostic;

/// The words of `escape=`.
pub(super) const NGINX_ESCAPES: [(&str, NginxEscape); 3] = [
    ("default", NginxEscape::Default),
    ("json", NginxEscape::Json),
    ("none", NginxEscape::None),
];

/// The text of an nginx layout and, from a pasted directive, its `escape=`.
pub(super) fn nginx(text: At<String>) -> Result<(At<String>, Option<At<NginxEscape>>), Diagnostic> {
    if !is_directive(&text.value, "log_format") {
        return Ok((text, None));
    }
    let words = Words::of_directive(&text)?;
    let mut pieces = words.iter().skip(2).peekable();
    let escape = pieces.next_if(|word| word.escape_name(&text).is_some());
    let escape = escape.map(|word| word.escape(&text)).transpose()?;
    if pieces.peek().is_none() {
        let place = text.place.inside(0..text.value.len());
        return Err(place
            .error("`log_format` without a text", "")
            .help("log_format NAME '$remote_addr …';"));
    }
    let mut whole = Rewritten::default();
    pieces.for_each(|word| word.unescape_into(&mut whole, &text));
    Ok((whole.finish(&text.place), escape))
}

/// The text of an Apache layout.
pub(super) fn apache(text: At<String>) -> Result<At<String>, Diagnostic> {
    if !is_directive(&text.value, "LogFormat") {
        let all = 0..text.value.len();
        return Ok(without_backslashes(&text, all, &['"']));
    }
    let start = text
        .value
        .find("LogFormat")
        .map_or(0, |at| at + "LogFormat".len());
    let mut words = Words {
        text: &text,
        at: start,
        is_nginx: false,
    };
    let Some(layout) = words.next()? else {
        let place = text.place.inside(0..text.value.len());
        return Err(place.error("`LogFormat` without a text", ""));
    };
    words.next()?;
    if let Some(third) = words.next()? {
        let place = text.place.inside(third.range);
        return Err(place.error("text after the end of `LogFormat`", "one directive only"));
    }
    let escaped: &[char] = layout.quote.as_ref().map_or(&[], |quote| match quote {
        '"' => &['"', '\\'],
        _ => &['\'', '\\'],
    });
    Ok(without_backslashes(&text, layout.range, escaped))
}

/// The text of a varnishncsa layout: the one behind `-F` of a pasted command line, or the text
/// itself, which may be the contents of a format file.
pub(super) fn varnishncsa(text: At<String>) -> Result<At<String>, Diagnostic> {
    let command = text.value.split_whitespace().next().unwrap_or_default();
    if command.rsplit('/').next() != Some("varnishncsa") {
        let mut whole = Rewritten::default();
        whole.copy(&text, 0..text.value.trim_end_matches(['\r', '\n']).len());
        return Ok(whole.finish(&text.place));
    }
    let mut words = Words {
        text: &text,
        at: 0,
        is_nginx: false,
    };
    while let Some(word) = words.next()? {
        match text.value.get(word.range.clone()) {
            Some("-F") => {
                let layout = words.next()?.ok_or_else(|| {
                    let place = text.place.inside(word.range);
                    place.error("`-F` without a text", "")
                })?;
                let escaped: &[char] = match layout.quote {
                    Some('"') => &['"', '\\', '$', '`'],
                    _ => &[],
                };
                return Ok(without_backslashes(&text, layout.range, escaped));
            }
            Some("-f") => {
                let place = text.place.inside(word.range);
                return Err(place
                    .error("the format stands in another file", "")
                    .help("paste the contents of that file in place of the command line"));
            }
            _ => {}
        }
    }
    let mut whole = Rewritten::default();
    whole.replace(&text, 0..text.value.len(), "%{Varnish:default_format}x");
    Ok(whole.finish(&text.place))
}

/// Envoy's text when none is given (Envoy documentation, "Access logging", "Default format string").
const ENVOY_DEFAULT: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% \
    %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
    %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
    \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"";

/// The text of an Envoy layout: `default` stands for Envoy's own, the backslashes of a YAML string
/// and the line break at its end are none of it.
pub(super) fn envoy(text: At<String>) -> Result<At<String>, Diagnostic> {
    let all = 0..text.value.len();
    if text.value.trim() == "default" {
        let mut whole = Rewritten::default();
        whole.replace(&text, all, ENVOY_DEFAULT);
        return Ok(whole.finish(&text.place));
    }
    let end = text.value.trim_end().len();
    let kept = text.value.get(..end).unwrap_or_default();
    let end = kept.strip_suffix("\\n").map_or(end, str::len);
    let start = text.value.len() - text.value.trim_start().len();
    Ok(without_backslashes(&text, start..end.max(start), &['"']))
}

fn is_directive(text: &str, name: &str) -> bool {
    let rest = text.trim_start().strip_prefix(name);
    rest.is_some_and(|rest| rest.starts_with(char::is_whitespace))
}

/// Drops the backslash before each of the `escaped` characters.
fn without_backslashes(text: &At<String>, range: Range<usize>, escaped: &[char]) -> At<String> {
    let mut whole = Rewritten::default();
    let mut from = range.start;
    while let Some((at, letter)) = next_escape(&text.value, from..range.end) {
        let end = at + 1 + letter.len_utf8();
        whole.copy(text, from..at);
        if escaped.contains(&letter) {
            whole.replace(text, at..end, letter.encode_utf8(&mut [0; 4]));
            from = end;
        } else {
            // Only the backslash is done with: the next character may be one too.
            whole.copy(text, at..at + 1);
            from = at + 1;
        }
    }
    whole.copy(text, from..range.end);
    whole.finish(&text.place)
}

/// The next backslash in `range` and the character after it.
fn next_escape(text: &str, range: Range<usize>) -> Option<(usize, char)> {
    let part = text.get(range.clone())?;
    let at = part.find('\\')?;
    Some((range.start + at, part.get(at + 1..)?.chars().next()?))
}

/// A word of a configuration file.
struct Word {
    /// Its bytes in the text, without quotes.
    range: Range<usize>,
    quote: Option<char>,
}

impl Word {
    fn escape_name<'t>(&self, text: &'t At<String>) -> Option<&'t str> {
        let word = text.value.get(self.range.clone())?;
        if self.quote.is_none() {
            word.strip_prefix("escape=")
        } else {
            None
        }
    }

    fn escape(&self, text: &At<String>) -> Result<At<NginxEscape>, Diagnostic> {
        let name = self.escape_name(text).unwrap_or_default();
        let place = text
            .place
            .inside(self.range.end - name.len()..self.range.end);
        match NGINX_ESCAPES.iter().find(|(word, _)| *word == name) {
            Some((_, value)) => Ok(At {
                value: *value,
                place,
            }),
            None => Err(place
                .error(format!("unknown escape `{name}`"), "")
                .help("one of `default`, `json`, `none`")),
        }
    }

    /// nginx's own unescaping of a word (ngx_conf_read_token).
    fn unescape_into(&self, whole: &mut Rewritten, text: &At<String>) {
        let mut from = self.range.start;
        while let Some((at, letter)) = next_escape(&text.value, from..self.range.end) {
            let end = at + 1 + letter.len_utf8();
            whole.copy(text, from..at);
            match letter {
                '"' => whole.replace(text, at..end, "\""),
                '\'' => whole.replace(text, at..end, "'"),
                '\\' => whole.replace(text, at..end, "\\"),
                't' => whole.replace(text, at..end, "\t"),
                'r' => whole.replace(text, at..end, "\r"),
                'n' => whole.replace(text, at..end, "\n"),
                _ => whole.copy(text, at..end),
            }
            from = end;
        }
        whole.copy(text, from..self.range.end);
    }
}

/// Words of a directive; for nginx up to a semicolon, with comments.
struct Words<'t> {
    text: &'t At<String>,
    at: usize,
    is_nginx: bool,
}

impl Words<'_> {
    /// All words of an nginx directive, its name first.
    fn of_directive(text: &At<String>) -> Result<Vec<Word>, Diagnostic> {
        let mut words = Words {
            text,
            at: 0,
            is_nginx: true,
        };
        let mut found = Vec::new();
        while let Some(word) = words.next()? {
            found.push(word);
        }
        words.at += usize::from(words.rest().starts_with(';'));
        if let Some(word) = words.next()? {
            let place = text.place.inside(word.range);
            return Err(place.error("text after the end of `log_format`", "one directive only"));
        }
        Ok(found)
    }

    fn rest(&self) -> &str {
        self.text.value.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        loop {
            let blanks = self.rest().len() - self.rest().trim_start().len();
            self.at += blanks;
            if !(self.is_nginx && self.rest().starts_with('#')) {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn next(&mut self) -> Result<Option<Word>, Diagnostic> {
        self.skip_blanks();
        let quote = self
            .rest()
            .chars()
            .next()
            .filter(|letter| matches!(letter, '"' | '\''));
        let start = self.at + usize::from(quote.is_some());
        let Some(length) = self.word_length(quote) else {
            let place = self.text.place.inside(self.at..self.at + 1);
            return Err(place.error("this quote is not closed", ""));
        };
        let range = start..start + length;
        self.at = range.end + usize::from(quote.is_some());
        Ok((quote.is_some() || length > 0).then_some(Word { range, quote }))
    }

    /// Bytes of the word that begins here, without quotes; `None` for an unclosed quote.
    fn word_length(&self, quote: Option<char>) -> Option<usize> {
        let word = self.rest().get(usize::from(quote.is_some())..)?;
        let mut is_escaped = false;
        for (at, letter) in word.char_indices() {
            let is_end = match quote {
                Some(quote) => letter == quote,
                None => letter.is_whitespace() || self.is_nginx && letter == ';',
            };
            if is_end && !is_escaped {
                return Some(at);
            }
            is_escaped = letter == '\\' && !is_escaped;
        }
        if quote.is_none() {
            Some(word.len())
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Place;
    use proptest::prelude::*;

    fn at(text: &str) -> At<String> {
        At {
            value: text.to_owned(),
            place: Place::argument("", text),
        }
    }

    fn written(text: &At<String>, part: &str) -> String {
        let start = text.value.find(part).unwrap();
        let place = text.place.inside(start..start + part.len());
        place.source().text.get(place.span()).unwrap().to_owned()
    }

    #[test]
    fn pasted_log_format_loses_name_quotes_and_escape() {
        let pasted = "\n  log_format  main escape=json '$remote_addr \\'x\\' ' # client\r\n \"[$time_local] \"\r\n$status;\n";
        let (text, escape) = nginx(at(pasted)).unwrap();
        assert_eq!(text.value, "$remote_addr 'x' [$time_local] $status");
        assert_eq!(escape.unwrap().value, NginxEscape::Json);
        assert_eq!(written(&text, "$status"), "$status");
        assert_eq!(written(&text, "'x"), "\\'x");
        assert_eq!(written(&text, " [$time"), " ' # client\r\n \"[$time");
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        for text in ["$remote_addr \\x22 'q'", "log_formats", "", "LogFormat"] {
            assert_eq!(nginx(at(text)).unwrap().0.value, text);
            assert_eq!(apache(at(text)).unwrap().value, text);
        }
    }

    #[test]
    fn pasted_log_format_of_apache_loses_name_and_backslashes() {
        let text = apache(at(r#"LogFormat "%h \"%r\" a\\b %t" combined"#)).unwrap();
        assert_eq!(text.value, r#"%h "%r" a\b %t"#);
        assert_eq!(written(&text, "%t"), "%t");
        assert_eq!(
            apache(at(r#"%h \"%r\" \\x \"#)).unwrap().value,
            r#"%h "%r" \\x \"#
        );
        assert_eq!(
            apache(at(r#"LogFormat '%h "%r"' x"#)).unwrap().value,
            r#"%h "%r""#
        );
        assert_eq!(apache(at("LogFormat %h\n")).unwrap().value, "%h");
    }

    #[test]
    fn pasted_varnishncsa_is_what_stands_behind_its_option() {
        let of = |text: &str| varnishncsa(at(text)).map(|text| text.value);
        for (text, layout) in [
            ("%h \\\"%r\\\" a\\\\\n", r#"%h \"%r\" a\\"#),
            (
                r#"/usr/bin/varnishncsa -a -F '%h "%r" \t' -D"#,
                r#"%h "%r" \t"#,
            ),
            (r#"varnishncsa -F "%h \"%r\"" -w x"#, r#"%h "%r""#),
            ("varnishncsa -a", "%{Varnish:default_format}x"),
        ] {
            assert_eq!(of(text).unwrap(), layout, "{text}");
        }
        let text = varnishncsa(at("varnishncsa -F '%h %s'")).unwrap();
        assert_eq!(written(&text, "%s"), "%s");
        assert_eq!(
            of("varnishncsa -F").unwrap_err().message,
            "`-F` without a text"
        );
        let file = of("varnishncsa -f x").unwrap_err().message;
        assert_eq!(file, "the format stands in another file");
    }

    #[test]
    fn pasted_yaml_of_envoy_loses_backslashes_and_its_last_line_break() {
        let text = |text: &str| envoy(at(text)).unwrap().value;
        let pasted = r#"[%START_TIME%] \"%REQ(:METHOD)%\" %PROTOCOL%\n"#;
        assert_eq!(
            text(pasted),
            r#"[%START_TIME%] "%REQ(:METHOD)%" %PROTOCOL%"#
        );
        assert_eq!(text(" %PROTOCOL%\r\n"), "%PROTOCOL%");
        assert!(text("default").ends_with("\"%UPSTREAM_HOST%\""));
        assert_eq!(text("\\n"), "");
    }

    #[test]
    fn broken_directives_are_mistakes() {
        let message = |text: &str| nginx(at(text)).unwrap_err().message;
        assert_eq!(message("log_format main 'abc"), "this quote is not closed");
        assert_eq!(message("log_format main;"), "`log_format` without a text");
        assert_eq!(
            message("log_format main escape=jsn '';"),
            "unknown escape `jsn`"
        );
        assert_eq!(
            message("log_format a ''; log_format b '';"),
            "text after the end of `log_format`"
        );
        let message = |text: &str| apache(at(text)).unwrap_err().message;
        assert_eq!(message("LogFormat \"%h"), "this quote is not closed");
        assert_eq!(
            message("LogFormat a b c"),
            "text after the end of `LogFormat`"
        );
        assert_eq!(message("LogFormat \n"), "`LogFormat` without a text");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(log_format |LogFormat |-F )?[a\\\\'\"; #\né$=]{0,40}") {
            if let Ok((text, _)) = nginx(at(&text)) {
                text.place.inside(0..text.value.len());
            }
            let command = format!("varnishncsa {text}");
            let read = [apache(at(&text)), envoy(at(&text)), varnishncsa(at(&command))];
            for text in read.into_iter().flatten() {
                text.place.inside(0..text.value.len());
            }
        }
    }
}
