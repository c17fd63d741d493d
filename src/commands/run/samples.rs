//! Lines that did not count, a few of each kind, so that a person sees what the numbers lack.
//!
//! Kept in memory only, newest first, of committed batches only; neither the store nor `/metrics` has
//! any of it. Invariants: addresses are masked, and so are the values of parameters that look like
//! secrets; what is unprintable is escaped; one sample is at most [`SHOWN_BYTES`] long, and there are
//! at most [`NEWEST`] of near misses and as many of other lines. A log that is nothing but garbage
//! costs no more than [`AT_A_TIME`] copies of each kind a [`PAUSE`].

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use regex::bytes::{Captures, Regex};

use crate::diagnostic::Untrusted;
use crate::geo::mask_addresses;
use crate::http::{Sample, SamplesAnswer};
use crate::pipeline::Rejection;
use crate::record::LINE_BYTES;

/// Lines of a kind that a log may put aside at a time.
pub(super) const AT_A_TIME: usize = 2;
/// How long until it may again.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// Samples that are kept of near misses, and of lines that were not understood or not believed.
const NEWEST: usize = 20;
/// Most bytes of a sample as it is shown.
const SHOWN_BYTES: usize = 2 << 10;

/// A line that did not count, as it was.
#[derive(Debug)]
pub(super) struct Aside {
    kind: &'static str,
    reason: String,
    line: Vec<u8>,
}

impl Aside {
    /// Nearly a beacon: this matcher failed.
    pub(super) fn near_miss(failed: String, line: Vec<u8>) -> Aside {
        Aside {
            kind: "near_miss",
            reason: failed,
            line,
        }
    }

    /// No format read it.
    pub(super) fn unparsed(reason: String, line: Vec<u8>) -> Aside {
        Aside {
            kind: "unparsed",
            reason,
            line,
        }
    }

    /// It was read and not believed.
    pub(super) fn rejected(why: Rejection, line: Vec<u8>) -> Aside {
        let reason = match why {
            Rejection::Future => "its time is ahead of the clock",
            Rejection::TooLate => "its time is older than max_lateness",
            Rejection::BadTime => "its time does not exist",
            why => why.name(),
        };
        Aside {
            kind: "rejected",
            reason: reason.to_owned(),
            line,
        }
    }
}

/// The newest samples, shared with the pages.
#[derive(Clone, Debug, Default)]
pub(in crate::commands) struct Samples(Arc<Mutex<Newest>>);

#[derive(Debug, Default)]
struct Newest {
    near_misses: VecDeque<Sample>,
    others: VecDeque<Sample>,
}

impl Samples {
    /// Adds lines that were put aside, with the names of their logs, oldest first.
    pub(super) fn publish(&self, aside: Vec<(String, Aside)>, now_ms: i64) {
        let shown = aside.into_iter().map(|(log, aside)| Sample {
            at: now_ms.div_euclid(1000),
            log,
            kind: aside.kind.to_owned(),
            reason: Untrusted(aside.reason.as_bytes()).to_string(),
            line: shown(&aside.line),
        });
        let shown: Vec<Sample> = shown.collect();
        if shown.is_empty() {
            return;
        }
        let mut newest = self.locked();
        for sample in shown {
            let list = match sample.kind.as_str() {
                "near_miss" => &mut newest.near_misses,
                _ => &mut newest.others,
            };
            list.truncate(NEWEST - 1);
            list.push_front(sample);
        }
    }

    /// All there are, newest first.
    pub(super) fn answer(&self) -> SamplesAnswer {
        let newest = self.locked();
        SamplesAnswer {
            near_misses: newest.near_misses.iter().cloned().collect(),
            others: newest.others.iter().cloned().collect(),
        }
    }

    fn locked(&self) -> MutexGuard<'_, Newest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What may be shown of a line.
fn shown(line: &[u8]) -> String {
    let cut = line.len() >= LINE_BYTES;
    // An address that was cut in the middle would not be known as one.
    let torn = line.iter().rev().take_while(|byte| is_of_address(**byte));
    let whole = line.len() - if cut { torn.count() } else { 0 };
    let line = line.get(..whole).unwrap_or(line);
    let mut masked = Vec::with_capacity(line.len());
    mask_addresses(&without_secrets(line), &mut masked);
    let mut text = Untrusted(&masked).to_string();
    if cut || text.len() > SHOWN_BYTES {
        let room = SHOWN_BYTES - '…'.len_utf8();
        text.truncate(text.floor_char_boundary(room));
        text.push('…');
    }
    text
}

fn is_of_address(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

/// `name=value` in a query, a form or a cookie, and `"name": "value"`, where the name has a word of
/// secrets in it; `Bearer …` and `Basic …`; the password of `scheme://user:password@host`; what
/// begins like a JSON web token. Better too much than too little: `monkey=1` is masked too.
static SECRETS: LazyLock<Regex> = LazyLock::new(|| {
    let name = r"(?:token|key|pass|pwd|secret|sess|sid|auth|sig|cred|jwt|otp|ticket)";
    let parts = [
        format!(
            r#"(?P<query>[\w.%\[\]-]*{name}[\w.%\[\]-]*?(?:=|%3d))(?:\\?"[^"]+|(?:[^&;\s"%]|%[^2&;\s"]|%2[^6&;\s"])+)"#
        ),
        format!(r#"(?P<quoted>[\w.-]*{name}[\w.-]*\\?"\s*:\s*\\?")[^"]*"#),
        format!(r#"(?P<plain>[\w-]*{name}[\w-]*:\s*)(?:(?:bearer|basic|digest)\s+)?[^\s,;"]+"#),
        r"(?P<scheme>\b(?:bearer|basic)(?:\s+|\+|%20))[\w.~+/=-]{6,}".to_owned(),
        r"(?P<user>://[^/\s:@]+:)[^/\s@]+".to_owned(),
        r"(?P<jwt>\beyj)[\w-]{8,}[\w.-]*".to_owned(),
    ];
    let pattern = format!("(?i-u:{})", parts.join("|"));
    Regex::new(&pattern).expect("the pattern is a constant of ours")
});

/// The line with `…` in place of every value that looks like a secret.
fn without_secrets(line: &[u8]) -> Vec<u8> {
    let replace = |found: &Captures<'_>| {
        let names = ["query", "quoted", "plain", "scheme", "user", "jwt"];
        let kept = names.iter().find_map(|name| found.name(name));
        let mut text = kept
            .map(|kept| kept.as_bytes().to_vec())
            .unwrap_or_default();
        text.extend_from_slice("…".as_bytes());
        text
    };
    SECRETS.replace_all(line, replace).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(line: &str) -> String {
        shown(line.as_bytes())
    }

    #[test]
    fn addresses_and_secrets_are_masked() {
        for (line, expected) in [
            ("203.0.113.77 - - x", "203.0.113.x - - x"),
            (
                "GET /a?id=7&token=s3cr3t&b=2 HTTP/1.1",
                "GET /a?id=7&token=…&b=2 HTTP/1.1",
            ),
            ("/a?access_token=s3cr3t", "/a?access_token=…"),
            (
                "/a?X-Amz-Signature=s3cr3t%2Fx&b=1",
                "/a?X-Amz-Signature=…&b=1",
            ),
            (
                "/a?u=%2Fb%3Fapi_key%3Ds3cr3t%26c%3D1",
                "/a?u=%2Fb%3Fapi_key%3D…%26c%3D1",
            ),
            ("PHPSESSID=s3cr3t; theme=dark", "PHPSESSID=…; theme=dark"),
            (r#"sess="s3cr3t x"; a=1"#, r#"sess=…"; a=1"#),
            (r#"sess=\"s3cr3t x\"; a=1"#, r#"sess=…"; a=1"#),
            (
                r#"{"password": "s3cr3t, and", "a": 1}"#,
                r#"{"password": "…", "a": 1}"#,
            ),
            ("Authorization: Bearer s3cr3t.x", "Authorization: …"),
            ("h=Basic%20czNjcjN0Cg==", "h=Basic%20…"),
            (
                "https://anna:s3cr3t@h.example/a",
                "https://anna:…@h.example/a",
            ),
            ("x eyJhbGciOiJI.s3cr3t.s3cr3t y", "x eyJ… y"),
            (
                "GET /status/images/beacon.gif?source=fastly",
                "GET /status/images/beacon.gif?source=fastly",
            ),
        ] {
            assert_eq!(text(line), expected);
        }
    }

    #[test]
    fn what_is_unprintable_is_escaped_and_long_lines_end() {
        assert_eq!(text("a\u{202e}\u{1b}[2J\t<b>"), r"a\u{202e}\u{1b}[2J\t<b>");
        let long = format!("{}2001:db8:1:2:3:4:5:6", "x ".repeat(LINE_BYTES / 2 - 8));
        let cut = long.as_bytes().get(..LINE_BYTES).unwrap();
        let shown = shown(cut);
        assert!(shown.ends_with('…') && !shown.contains("2001"), "{shown}");
        assert!(text(&"\u{202e}".repeat(600)).len() <= SHOWN_BYTES);
    }

    #[test]
    fn the_newest_of_each_kind_are_kept() {
        let samples = Samples::default();
        for number in 0..50u8 {
            let aside = vec![
                (
                    "a".to_owned(),
                    Aside::near_miss("m".to_owned(), vec![b'a' + number % 26]),
                ),
                (
                    "a".to_owned(),
                    Aside::rejected(Rejection::Future, b"x".to_vec()),
                ),
            ];
            samples.publish(aside, 1000 * i64::from(number));
        }
        let answer = samples.answer();
        assert_eq!(
            (answer.near_misses.len(), answer.others.len()),
            (NEWEST, NEWEST)
        );
        assert_eq!(answer.near_misses[0].at, 49);
        assert_eq!(answer.others[19].at, 30);
        assert_eq!(answer.others[0].reason, "its time is ahead of the clock");
    }

    proptest! {
        #[test]
        fn any_line_becomes_short_and_printable(line in prop::collection::vec(any::<u8>(), 0..LINE_BYTES)) {
            let shown = shown(&line);
            prop_assert!(shown.len() <= SHOWN_BYTES);
            prop_assert!(!shown.chars().any(char::is_control));
        }
    }
}
