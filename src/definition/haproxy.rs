//! HAProxy's log configuration as it is pasted: lines of `haproxy.cfg` become the text of one
//! `log-format` (HAProxy configuration manual, sections 2.2 and 8.2).
//!
//! `option httplog` and the like stand for HAProxy's own texts. The names of captured headers are
//! put into the text, as `%{X-CDN-Provider|User-Agent}hr`: a `log-format` alone does not tell them.
//!
//! Invariant: every byte of the result leads back to the line that it was made of.

use std::ops::Range;

use super::At;
use super::written::Rewritten;
use crate::diagnostic::Diagnostic;

/// HAProxy's own texts (`log.c`, `default_http_log_format` and its neighbours), by the names of
/// their options. That of `clf` ends in two lists that nothing tells apart; here they are one.
const OWN: [(&str, &str); 4] = [
    (
        "httplog",
        "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc \
         %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r",
    ),
    (
        "httpslog",
        "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc \
         %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r \
         %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] \
         %[ssl_fc_sni]/%sslv/%sslc",
    ),
    (
        "tcplog",
        "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq",
    ),
    (
        "clf",
        "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc \
         %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl",
    ),
];

/// First words of the lines that are understood.
const KEYWORDS: [&str; 5] = ["log-format", "option", "capture", "http-request", "declare"];

/// The text of a HAProxy layout.
pub(super) fn layout(text: At<String>) -> Result<At<String>, Diagnostic> {
    let trimmed = text.value.trim();
    if let Some((_, own)) = OWN.iter().find(|(name, _)| *name == trimmed) {
        return Ok(replaced(&text, own));
    }
    if !is_configuration(&text.value) {
        return Ok(text);
    }
    let mut pasted = Pasted::default();
    for line in lines(&text)? {
        pasted.line(&text, &line)?;
    }
    let Some(layout) = pasted.layout else {
        let place = text.place.inside(0..text.value.len());
        return Err(place
            .error("no line tells the log's format", "")
            .help("`option httplog`, or `log-format \"…\"`"));
    };
    Ok(with_captures(layout, &pasted.request, &pasted.response))
}

/// True for a text that begins with a line of configuration.
pub(super) fn is_configuration(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    let word = first.and_then(|line| line.split_whitespace().next());
    word.is_some_and(|word| KEYWORDS.contains(&word))
        && first.is_some_and(|line| line.contains(char::is_whitespace))
}

fn replaced(text: &At<String>, with: &str) -> At<String> {
    let mut whole = Rewritten::default();
    whole.replace(text, 0..text.value.len(), with);
    whole.finish(&text.place)
}

/// What the lines said so far.
#[derive(Default)]
struct Pasted {
    layout: Option<At<String>>,
    request: Vec<String>,
    response: Vec<String>,
}

impl Pasted {
    fn line(&mut self, text: &At<String>, words: &[At<String>]) -> Result<(), Diagnostic> {
        let values: Vec<&str> = words.iter().map(|word| word.value.as_str()).collect();
        match values.as_slice() {
            ["log-format", _] => self.layout = words.get(1).cloned(),
            ["log-format", ..] => {
                let place = words.last().map_or(&text.place, |word| &word.place);
                return Err(place
                    .error("`log-format` takes one text", "text after its end")
                    .help("put the whole text into quotes"));
            }
            ["option", "httplog", "clf"] => self.own(words, "clf"),
            ["option", name @ ("httplog" | "httpslog" | "tcplog"), ..] => self.own(words, name),
            ["capture", "request", "header", name, ..] => self.request.push((*name).to_owned()),
            ["capture", "response", "header", name, ..] => self.response.push((*name).to_owned()),
            ["http-request", "capture", rest @ ..] => self.request.push(expression(rest)),
            ["declare", "capture", "request", ..] => self.request.push("declared".to_owned()),
            ["declare", "capture", "response", ..] => self.response.push("declared".to_owned()),
            ["capture", "cookie", ..] => {}
            ["capture", ..] => {
                let place = words.last().map_or(&text.place, |word| &word.place);
                return Err(place
                    .error("a `capture` that HAProxy does not know", "")
                    .help("capture request header X-CDN-Provider len 32"));
            }
            // A frontend has lines that say nothing about its log.
            _ => {}
        }
        Ok(())
    }

    fn own(&mut self, words: &[At<String>], name: &str) {
        let own = OWN.iter().find(|(known, _)| *known == name);
        if let (Some((_, own)), Some(word)) = (own, words.get(1)) {
            self.layout = Some(replaced(word, own));
        }
    }
}

/// The expression of `http-request capture EXPRESSION len N`, its converters aside.
fn expression(words: &[&str]) -> String {
    let first = words.first().copied().unwrap_or_default();
    first
        .split_once("),")
        .map_or_else(|| first.to_owned(), |(fetch, _)| format!("{fetch})"))
}

/// The text with the captured headers named, and without the list of which there is none. Where
/// no capture was pasted nothing is known, and both stay.
fn with_captures(layout: At<String>, request: &[String], response: &[String]) -> At<String> {
    if request.is_empty() && response.is_empty() {
        return layout;
    }
    let mut whole = Rewritten::default();
    let mut from = 0;
    for (at, _) in layout.value.match_indices('%') {
        let rest = layout.value.get(at..).unwrap_or_default();
        let names = match rest.get(..3) {
            Some("%hr") => request,
            Some("%hs") => response,
            _ => continue,
        };
        if at < from || rest.starts_with("%hrl") || rest.starts_with("%hsl") {
            continue;
        }
        whole.copy(&layout, from..at);
        if names.is_empty() {
            // Nothing is written, and the blanks around it are one.
            whole.replace(&layout, at..at + 3, "");
        } else {
            let alias = rest.get(1..3).unwrap_or_default();
            whole.replace(
                &layout,
                at..at + 3,
                &format!("%{{{}}}{alias}", names.join("|")),
            );
        }
        from = at + 3;
    }
    whole.copy(&layout, from..layout.value.len());
    let place = layout.place.clone();
    whole.finish(&place)
}

/// The words of each line; a line break in quotes belongs to its word.
fn lines(text: &At<String>) -> Result<Vec<Vec<At<String>>>, Diagnostic> {
    let mut lines = Vec::new();
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(letter) = text.value.get(at..).and_then(|rest| rest.chars().next()) {
        match letter {
            '\n' => {
                lines.push(std::mem::take(&mut words));
                at += 1;
            }
            '#' => at += length_until(&text.value, at, |letter| letter == '\n'),
            _ if letter.is_whitespace() => at += letter.len_utf8(),
            _ => {
                let (word, end) = word(text, at)?;
                words.push(word);
                at = end;
            }
        }
    }
    lines.push(words);
    Ok(lines)
}

fn length_until(text: &str, at: usize, ends: impl Fn(char) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.find(ends).unwrap_or(rest.len())
}

/// The word that begins at `start`, and where it ends (section 2.2, "Quoting and escaping").
fn word(text: &At<String>, start: usize) -> Result<(At<String>, usize), Diagnostic> {
    let mut whole = Rewritten::default();
    let (mut at, mut from) = (start, start);
    let mut quote: Option<(char, usize)> = None;
    while let Some(letter) = text.value.get(at..).and_then(|rest| rest.chars().next()) {
        let end = at + letter.len_utf8();
        let is_strong = matches!(quote, Some(('\'', _)));
        match letter {
            '"' | '\'' if quote.is_none_or(|(open, _)| open == letter) => {
                whole.copy(text, from..at);
                quote = if quote.is_none() {
                    Some((letter, at))
                } else {
                    None
                };
                from = end;
            }
            '\\' if !is_strong => {
                let Some(range) = escaped(&text.value, end, quote.is_some()) else {
                    at = end;
                    continue;
                };
                whole.copy(text, from..at);
                let next = text.value.get(range.clone()).unwrap_or_default();
                let meant = match next {
                    "n" => "\n",
                    "r" => "\r",
                    "t" => "\t",
                    other => other,
                };
                whole.replace(text, at..range.end, meant);
                (at, from) = (range.end, range.end);
                continue;
            }
            _ if quote.is_none() && letter.is_whitespace() => break,
            _ => {}
        }
        at = end;
    }
    if let Some((_, open)) = quote {
        let place = text.place.inside(open..open + 1);
        return Err(place.error("this quote is not closed", ""));
    }
    whole.copy(text, from..at);
    Ok((whole.finish(&text.place.inside(start..at)), at))
}

/// The character after a backslash that is meant literally or as a control character.
fn escaped(text: &str, at: usize, in_quotes: bool) -> Option<Range<usize>> {
    let letter = text.get(at..)?.chars().next()?;
    let is_escape = match in_quotes {
        true => matches!(letter, '"' | '\\' | '$'),
        false => matches!(letter, ' ' | '#' | '\\' | '"' | '\'' | 'n' | 'r' | 't'),
    };
    is_escape.then(|| at..at + letter.len_utf8())
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

    fn pasted(text: &str) -> String {
        layout(at(text)).unwrap().value
    }

    #[test]
    fn a_pasted_log_format_loses_its_quotes() {
        let text = "  # ours\n  log-format \"%ci \\\"%[src]\\\" a\\\\b %{+Q}r\" # client\n";
        assert_eq!(pasted(text), "%ci \"%[src]\" a\\b %{+Q}r");
        assert_eq!(
            pasted("log-format %ci\\ [%t]\\ '%{+Q}r'"),
            "%ci [%t] %{+Q}r"
        );
        assert_eq!(pasted("log-format '%ci \\ \"%r\"'"), "%ci \\ \"%r\"");
        let found = layout(at("log-format \"%ci \\\"%r\\\"\"")).unwrap();
        let place = found.place.inside(5..7);
        assert_eq!(place.source().text.get(place.span()), Some("%r"));
    }

    #[test]
    fn options_stand_for_haproxys_own_texts() {
        assert!(pasted("httplog").ends_with("%bq %hr %hs %{+Q}r"));
        assert_eq!(pasted("option httplog\n"), pasted(" httplog "));
        assert!(pasted("option  httplog  clf").starts_with("%{+Q}o %{-Q}ci - - [%trg] %r"));
        assert!(pasted("tcplog").ends_with("%sq/%bq"));
        assert_eq!(pasted("%ci httplog"), "%ci httplog");
    }

    #[test]
    fn captured_headers_are_named_in_the_text() {
        let text = pasted(
            "option httplog\ncapture request header X-CDN-Provider len 32\nbind :80\n\
             http-request capture req.hdr(User-Agent),lower len 99\ndeclare capture request len 9\n",
        );
        assert!(
            text.contains("%bq %{X-CDN-Provider|req.hdr(User-Agent)|declared}hr  %{+Q}r"),
            "{text}"
        );
        let text = pasted("capture response header Age len 9\nlog-format '%t %hr %hs %hrl'");
        assert_eq!(text, "%t  %{Age}hs %hrl");
    }

    #[test]
    fn lines_without_a_format_are_mistakes() {
        let message = |text: &str| layout(at(text)).unwrap_err().message;
        assert_eq!(
            message("option dontlognull"),
            "no line tells the log's format"
        );
        assert_eq!(message("log-format \"%ci"), "this quote is not closed");
        assert_eq!(
            message("log-format %ci [%t]"),
            "`log-format` takes one text"
        );
        assert_eq!(
            message("option httplog\ncapture requst header X len 1"),
            "a `capture` that HAProxy does not know"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            text in "(log-format |option httplog\n|capture request header |)[a\\\\'\" #\né%hrs]{0,30}",
        ) {
            if let Ok(text) = layout(at(&text)) {
                text.place.inside(0..text.value.len());
            }
        }
    }
}
