//! The words of nginx' configuration files, as `ngx_conf_read_token` takes them, with the places where they stand.
//!
//! Invariant: any text ends; each statement's bytes are in the text. A block of Lua is passed over.

use std::ops::Range;

/// How a statement ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Simple,
    Block,
    Close,
}

/// A directive, the beginning of a block, or its end.
pub(super) struct Statement {
    /// Its name first.
    pub(super) words: Vec<Word>,
    /// From its first word to its last.
    pub(super) range: Range<usize>,
    /// Of its first word, from 1.
    pub(super) line: usize,
    /// What was behind it.
    pub(super) end: End,
}

/// A word with its quotes.
pub(super) struct Word {
    range: Range<usize>,
    is_quoted: bool,
}

impl Word {
    /// Without quotes and backslashes (ngx_conf_read_token).
    pub(super) fn value(&self, text: &str) -> String {
        let text = text.get(self.range.clone()).unwrap_or_default();
        let inside = if self.is_quoted {
            text.get(1..text.len().max(2) - 1).unwrap_or_default()
        } else {
            text
        };
        let mut value = String::new();
        let mut letters = inside.chars();
        while let Some(letter) = letters.next() {
            match (letter, letters.clone().next()) {
                ('\\', Some(next @ ('"' | '\'' | '\\'))) => {
                    value.push(next);
                    letters.next();
                }
                _ => value.push(letter),
            }
        }
        value
    }
}

/// Statements of one file.
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    line: usize,
}

impl Scanner<'_> {
    /// Begins with the first line.
    pub(super) fn new(text: &str) -> Scanner<'_> {
        Scanner {
            text,
            at: 0,
            line: 1,
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Goes on by so many bytes, counting lines.
    fn pass(&mut self, bytes: usize) {
        let passed = self.rest().get(..bytes).unwrap_or_default();
        self.line += memchr::memchr_iter(b'\n', passed.as_bytes()).count();
        self.at += bytes;
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            self.pass(rest.len() - rest.trim_start().len());
            if !self.rest().starts_with('#') {
                return;
            }
            self.pass(self.rest().find('\n').unwrap_or(self.rest().len()));
        }
    }

    /// The next statement; one that the file's end cuts is none.
    pub(super) fn next(&mut self) -> Option<Statement> {
        let mut words: Vec<Word> = Vec::new();
        self.skip_blanks();
        let line = self.line;
        loop {
            self.skip_blanks();
            let letter = self.rest().chars().next()?;
            let end = match letter {
                ';' => End::Simple,
                '{' => End::Block,
                '}' => End::Close,
                _ => {
                    words.push(self.word()?);
                    continue;
                }
            };
            self.pass(1);
            let start = words.first().map_or(self.at, |word| word.range.start);
            let stop = words.last().map_or(self.at, |word| word.range.end);
            if end == End::Block && self.is_lua(&words) {
                self.skip_lua();
                words.clear();
                continue;
            }
            return Some(Statement {
                words,
                range: start..stop,
                line,
                end,
            });
        }
    }

    fn word(&mut self) -> Option<Word> {
        let start = self.at;
        let quote = self
            .rest()
            .chars()
            .next()
            .filter(|letter| matches!(letter, '"' | '\''));
        let (mut escaped, mut before) = (false, ' ');
        let mut length = None;
        for (at, letter) in self
            .rest()
            .char_indices()
            .skip(usize::from(quote.is_some()))
        {
            let is_end = match quote {
                Some(quote) => letter == quote,
                None => letter.is_whitespace() || letter == ';' || letter == '{' && before != '$',
            };
            if is_end && !escaped {
                length = Some(at + usize::from(quote.is_some()));
                break;
            }
            escaped = letter == '\\' && !escaped;
            before = letter;
        }
        self.pass(length?);
        Some(Word {
            range: start..self.at,
            is_quoted: quote.is_some(),
        })
    }

    /// True for a block of Lua, whose text has other rules.
    fn is_lua(&self, words: &[Word]) -> bool {
        let name = words.first().map(|word| word.value(self.text));
        name.is_some_and(|name| name.ends_with("_by_lua_block"))
    }

    /// Goes to the end of a block of Lua, past its strings and comments.
    fn skip_lua(&mut self) {
        let (mut depth, mut quote, mut escaped) = (1_u32, None, false);
        let mut comment = false;
        let mut length = self.rest().len();
        for (at, letter) in self.rest().char_indices() {
            match (quote, letter) {
                _ if comment => comment = letter != '\n',
                _ if escaped => escaped = false,
                (Some(_), '\\') => escaped = true,
                (Some(open), _) if open == letter => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') => quote = Some(letter),
                (None, '-') => {
                    comment = self
                        .rest()
                        .get(at..)
                        .is_some_and(|rest| rest.starts_with("--"))
                }
                (None, '{') => depth += 1,
                (None, '}') => depth -= 1,
                (None, _) => {}
            }
            if depth == 0 {
                length = at + 1;
                break;
            }
        }
        self.pass(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(text: &str) -> Vec<(usize, String)> {
        let mut scanner = Scanner::new(text);
        let mut found = Vec::new();
        while let Some(statement) = scanner.next() {
            let words = statement.words.iter().map(|word| word.value(text));
            let words: Vec<String> = words.collect();
            let end = match statement.end {
                End::Simple => ";",
                End::Block => "{",
                End::Close => "}",
            };
            found.push((statement.line, words.join("|") + end));
        }
        found
    }

    #[test]
    fn statements_have_their_words_and_first_lines() {
        let text = "# a;\nserver{ # b {\n  log_format m '$a; \\'x\\''\n \"}\" ;\n listen ${p}x; }\n\nlast one";
        assert_eq!(
            statements(text),
            [
                (2, "server{".to_owned()),
                (3, "log_format|m|$a; 'x'|};".to_owned()),
                (5, "listen|${p}x;".to_owned()),
                (5, "}".to_owned()),
            ]
        );
    }

    #[test]
    fn a_block_of_lua_is_passed_over_and_an_open_quote_ends_the_file() {
        let text = "a 1; content_by_lua_block { local x = '}' -- }\n if y { } } b 2; c 'open; d 3;";
        let found: Vec<String> = statements(text)
            .into_iter()
            .map(|(_, words)| words)
            .collect();
        assert_eq!(found, ["a|1;", "b|2;"]);
    }
}
