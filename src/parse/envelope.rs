//! What stands around a line: the headers that syslog, a container's runtime or the journal put in
//! front of it.
//!
//! Two kinds. A *header* ([`prefix`]) leaves the line as it is, so that spans go on pointing into the
//! whole: syslog by RFC 3164, with its priority or as a daemon writes it to a file, also with the
//! ISO time of rsyslog and of Fastly; syslog by RFC 5424; a program alone (`haproxy[18113]: `); CRI's
//! `TIME stdout F `; the journal's `MESSAGE=`. The others, which cut a line into pieces or escape
//! it, need memory: [`pieces`].
//!
//! Invariant: a header is cut as far as it is understood, and nothing is cut of a line without one.
//! Behind a priority, senders may leave out time, host and program (HAProxy's `format short` and
//! `format timed`); without a priority a time alone is no header, since many logs begin with one. The
//! time of a header is not read: the line inside has its own.

mod pieces;

pub use pieces::{Envelopes, Opened, are_pieces, without_open_record};

use crate::record::Span;

/// Fields that every format has when there is a header: the host that sent the line, and its program.
pub const FIELDS: [&str; 2] = ["syslog_host", "syslog_program"];

/// The longest program name, and the longest process id.
const PROGRAM_LEN: usize = 128;

/// The longest host name.
const HOST_LEN: usize = 255;

/// Headers that are taken off a line at most: a relay's, a container's and the program's own.
const DEEPEST: usize = 3;

/// A header, or several of them, in front of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    /// The sender's name.
    pub(super) host: Span,
    /// The program's name, without its process id.
    pub(super) program: Span,
    /// Where the line inside begins.
    pub(super) message: usize,
}

impl Prefix {
    fn bare(message: usize) -> Prefix {
        Prefix {
            host: Span::ABSENT,
            program: Span::ABSENT,
            message,
        }
    }
}

/// The headers of a line; `None` when it has none. What an inner one says of host and program wins.
#[inline]
pub(super) fn prefix(line: &[u8]) -> Option<Prefix> {
    if may_have_header(line) {
        headers(line)
    } else {
        None
    }
}

/// What the first bytes tell; most lines of most logs end here.
#[inline]
fn may_have_header(line: &[u8]) -> bool {
    match line {
        [b'0'..=b'9', _, _, _, b'-', ..] | [b'<', ..] | [b'M', b'E', ..] => true,
        [b'A'..=b'Z', _, _, b' ', ..] => true,
        // Before the blank behind a program stands its process id.
        [b'a'..=b'z', ..] => {
            memchr::memchr2(b'[', b' ', line).is_some_and(|at| line.get(at) == Some(&b'['))
        }
        _ => false,
    }
}

fn headers(line: &[u8]) -> Option<Prefix> {
    let either = |inner: Span, outer: Span| if inner.is_absent() { outer } else { inner };
    let mut found = header(line, 0)?;
    for _ in 1..DEEPEST {
        let Some(inner) = header(line, found.message) else {
            break;
        };
        found = Prefix {
            host: either(inner.host, found.host),
            program: either(inner.program, found.program),
            message: inner.message,
        };
    }
    Some(found)
}

/// True for a line as it came over the wire, with a priority: nobody wrote it so to a file.
pub(super) fn has_priority(line: &[u8]) -> bool {
    line.first() == Some(&b'<')
}

/// Where a line begins that came behind a header with a priority: a relay may send lines of
/// containers or of the journal on as they are.
fn behind_priority(line: &[u8]) -> usize {
    if !has_priority(line) {
        return 0;
    }
    header(line, 0).map_or(0, |header| header.message)
}

/// A record without its headers.
pub fn without_headers(record: &[u8]) -> &[u8] {
    let inside = prefix(record).and_then(|prefix| record.get(prefix.message..));
    inside.unwrap_or(record)
}

/// True for a header with nothing behind it.
pub fn is_header_alone(line: &[u8]) -> bool {
    let inside = without_headers(line);
    inside.len() < line.len() && inside.trim_ascii().is_empty()
}

/// The header that begins at `from`.
fn header(line: &[u8], from: usize) -> Option<Prefix> {
    let cursor = Cursor { line, at: from };
    match cursor.rest() {
        [b'<', ..] => cursor.prioritized(),
        [b'0'..=b'9', _, _, _, b'-', ..] => match cri(line, from) {
            Some(cri) => Some(Prefix::bare(cri.message)),
            None => cursor.traditional().filter(has_program),
        },
        [b'M', b'E', b'S', b'S', b'A', b'G', b'E', b'=', ..] => Some(Prefix::bare(from + 8)),
        [b'A'..=b'Z', _, _, b' ', ..] => cursor.traditional().filter(has_program),
        [b'a'..=b'z', ..] => cursor.program_alone(),
        _ => None,
    }
}

fn has_program(prefix: &Prefix) -> bool {
    !prefix.program.is_absent()
}

/// What the container runtime interface says of a line: `TIME stdout|stderr TAGS LINE`.
struct Cri {
    is_error: bool,
    /// More of the line follows (`P`).
    is_partial: bool,
    message: usize,
}

/// Reads CRI's header. Of the tags, which colons separate, the first is `P` or `F`.
fn cri(line: &[u8], from: usize) -> Option<Cri> {
    let mut cursor = Cursor { line, at: from };
    cursor.iso_time()?;
    let is_error = match cursor.word()?.of(line)? {
        b"stdout" => false,
        b"stderr" => true,
        _ => return None,
    };
    // A line that is empty may lack the blank behind its tags.
    let tags = match cursor.word() {
        Some(tags) => tags.of(line)?,
        None => std::mem::replace(
            &mut cursor,
            Cursor {
                line,
                at: line.len(),
            },
        )
        .rest(),
    };
    let is_partial = match tags {
        [b'P'] | [b'P', b':', ..] => true,
        [b'F'] | [b'F', b':', ..] => false,
        _ => return None,
    };
    Some(Cri {
        is_error,
        is_partial,
        message: cursor.at,
    })
}

/// A place in a line. Each method reads one part from there on and moves behind it, or gives nothing.
#[derive(Clone, Copy)]
struct Cursor<'l> {
    line: &'l [u8],
    at: usize,
}

impl<'l> Cursor<'l> {
    fn rest(&self) -> &'l [u8] {
        self.line.get(self.at..).unwrap_or_default()
    }

    fn eat(&mut self, text: &[u8]) -> Option<()> {
        self.rest().starts_with(text).then(|| self.at += text.len())
    }

    /// The bytes to the next blank, which is passed too.
    fn word(&mut self) -> Option<Span> {
        let length = memchr::memchr(b' ', self.rest())?;
        let word = Span::new(self.at, self.at + length);
        self.at += length + 1;
        Some(word)
    }

    /// What follows `<0>` to `<191>`, as far as it is understood.
    fn prioritized(mut self) -> Option<Prefix> {
        self.eat(b"<")?;
        let digits = self
            .rest()
            .iter()
            .take(4)
            .take_while(|b| b.is_ascii_digit());
        let number = self.rest().get(..digits.count())?;
        let priority: u16 = str::from_utf8(number).ok()?.parse().ok()?;
        if number.len() > 3 || priority > 191 {
            return None;
        }
        self.at += number.len();
        self.eat(b">")?;
        let known = self.structured().or_else(|| self.traditional());
        Some(known.unwrap_or(Prefix::bare(self.at)))
    }

    /// RFC 5424, section 6: `1 TIMESTAMP HOST APP PROCID MSGID SD MSG`.
    fn structured(mut self) -> Option<Prefix> {
        self.eat(b"1 ")?;
        self.eat(b"- ").or_else(|| self.iso_time())?;
        let mut words = [Span::ABSENT; 4];
        for (word, longest) in words.iter_mut().zip([HOST_LEN, 48, 128, 32]) {
            *word = self.word()?;
            let text = word.of(self.line)?;
            if text.len() > longest || !text.iter().all(u8::is_ascii_graphic) {
                return None;
            }
        }
        self.elements()?;
        if !self.rest().is_empty() {
            self.eat(b" ")?;
        }
        // The mark says that the message is UTF-8.
        self.eat("\u{feff}".as_bytes());
        let [host, program, ..] = words;
        Some(Prefix {
            host,
            program,
            message: self.at,
        })
    }

    /// The structured data: `-`, or elements such as `[id name="value"]`, where `"`, `\` and `]` of
    /// a value follow a backslash.
    fn elements(&mut self) -> Option<()> {
        if self.eat(b"-").is_some() {
            return Some(());
        }
        self.element()?;
        while self.rest().first() == Some(&b'[') {
            self.element()?;
        }
        Some(())
    }

    fn element(&mut self) -> Option<()> {
        self.eat(b"[")?;
        let (mut quoted, mut escaped) = (false, false);
        let end = self.rest().iter().position(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b']' => return !quoted,
                _ => {}
            }
            false
        })?;
        self.at += end + 1;
        Some(())
    }

    /// RFC 3164: time, host, `program[pid]: `, where nginx (`nohostname`) and HAProxy leave out the
    /// host. Behind a time, a word that ends with a colon is taken for the program, and a word in
    /// front of it for the host. Without a program the line begins behind the time.
    fn traditional(mut self) -> Option<Prefix> {
        self.short_time().or_else(|| self.iso_time())?;
        let behind_time = Prefix::bare(self.at);
        let mut behind_host = self;
        if let Some(program) = self.program() {
            return Some(Prefix {
                program,
                message: self.at,
                ..behind_time
            });
        }
        let host = behind_host
            .word()
            .filter(|host| is_host(host.of(self.line)));
        let full = host.and_then(|host| {
            Some(Prefix {
                host,
                program: behind_host.program()?,
                message: behind_host.at,
            })
        });
        Some(full.unwrap_or(behind_time))
    }

    /// `haproxy[18113]: ` with nothing before it: only a process id makes it a header.
    fn program_alone(mut self) -> Option<Prefix> {
        let program = self.program()?;
        let pid = self.line.get(program.end()..self.at)?;
        let pid = pid.strip_prefix(b"[")?.strip_suffix(b"]: ")?;
        let is_pid = !pid.is_empty() && pid.iter().all(u8::is_ascii_digit);
        is_pid.then_some(Prefix {
            program,
            ..Prefix::bare(self.at)
        })
    }

    /// `Nov 22 07:00:00 `, with a blank in front of a single digit.
    fn short_time(&mut self) -> Option<()> {
        const MONTHS: [&[u8]; 12] = [
            b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
            b"Dec",
        ];
        let (month, rest) = self.rest().split_at_checked(3)?;
        let time = rest.get(..13)?;
        (MONTHS.contains(&month) && fits(time, b" _0 00:00:00 ")).then(|| self.at += 16)
    }

    /// `2016-07-04T22:37:26Z `, with any fraction and zone of RFC 3339.
    fn iso_time(&mut self) -> Option<()> {
        let mut behind = *self;
        let (begin, zone) = behind.word()?.of(self.line)?.split_at_checked(19)?;
        let is_zone = zone.iter().all(|byte| b"0123456789.:+-Zz".contains(byte));
        (is_zone && fits(begin, b"0000-00-00T00:00:00")).then(|| *self = behind)
    }

    /// `nginx: ` or `haproxy[123]: `, or the same at the end of the line.
    fn program(&mut self) -> Option<Span> {
        let mut behind = *self;
        let letters = self.rest().iter().take(PROGRAM_LEN);
        let length = letters.take_while(|byte| is_program(**byte)).count();
        let program = Span::new(self.at, self.at + length);
        behind.at += length;
        if behind.eat(b"[").is_some() {
            let mut nearby = behind.rest().iter().take(PROGRAM_LEN);
            behind.at += nearby.position(|byte| matches!(byte, b']' | b' '))?;
            behind.eat(b"]")?;
        }
        behind.eat(b":")?;
        if !behind.rest().is_empty() {
            behind.eat(b" ")?;
        }
        (length > 0).then(|| {
            *self = behind;
            program
        })
    }
}

/// Each byte is like the pattern's, where `0` stands for a digit and `_` for a digit or blank.
fn fits(text: &[u8], pattern: &[u8]) -> bool {
    text.len() == pattern.len()
        && text.iter().zip(pattern).all(|(byte, like)| match like {
            b'0' => byte.is_ascii_digit(),
            b'_' => byte.is_ascii_digit() || *byte == b' ',
            other => byte == other,
        })
}

fn is_program(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./@".contains(&byte)
}

fn is_host(word: Option<&[u8]>) -> bool {
    word.is_some_and(|word| {
        (1..=HOST_LEN).contains(&word.len())
            && word
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.:%".contains(byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = r#"203.0.113.9 - - [22/Nov/2026:07:00:00 +0000] "GET /a: b HTTP/1.1" 200 5"#;

    /// Host, program and the line inside.
    fn parts(line: &str) -> (&str, &str, &str) {
        let Some(prefix) = prefix(line.as_bytes()) else {
            return ("", "", line);
        };
        let text =
            |span: Span| str::from_utf8(span.of(line.as_bytes()).unwrap_or_default()).unwrap();
        (
            text(prefix.host),
            text(prefix.program),
            &line[prefix.message..],
        )
    }

    fn inside(line: &str) -> &str {
        parts(line).2
    }

    #[test]
    fn real_headers_are_cut_and_give_host_and_program() {
        for (header, host, program) in [
            ("<190>Nov 22 07:00:00 myhost nginx: ", "myhost", "nginx"),
            ("<190>Nov 22 07:00:00 nginx: ", "", "nginx"),
            (
                "<190>Nov  2 07:00:00 web-1.example.com nginx_cdn: ",
                "web-1.example.com",
                "nginx_cdn",
            ),
            ("<134>Nov 22 07:00:00 haproxy[123]: ", "", "haproxy"),
            (
                "Feb  6 12:14:14 localhost haproxy[14389]: ",
                "localhost",
                "haproxy",
            ),
            ("haproxy[18113]: ", "", "haproxy"),
            (
                "<134>2016-07-04T22:37:26Z cache-sjc3128 LogTest[62959]: ",
                "cache-sjc3128",
                "LogTest",
            ),
            (
                "2024-01-01T00:00:00.000+00:00 web1 nginx[7]: ",
                "web1",
                "nginx",
            ),
            (
                "<13>2026-11-22T07:00:00.123456+01:00 2001:db8::1 logger: ",
                "2001:db8::1",
                "logger",
            ),
            (
                "<13>Nov 22 07:00:00 host foo@bar/x.service[1]: ",
                "host",
                "foo@bar/x.service",
            ),
            (
                "<134>1 2026-11-22T07:00:00.123456+00:00 host haproxy 123 - - ",
                "host",
                "haproxy",
            ),
            ("<134>1 - - - - - - ", "-", "-"),
            ("<134>1 - - - - - - \u{feff}", "-", "-"),
            (
                r#"<165>1 2003-10-11T22:14:15.003Z h app - ID47 [x@1 a="\]\"\\" b=" ] "][y] "#,
                "h",
                "app",
            ),
            ("<6>", "", ""),
            ("<6>2026-11-22T07:00:00.123Z ", "", ""),
            ("2024-01-01T00:00:00.000000000Z stdout F ", "", ""),
            ("2024-01-01T00:00:00.000000000+01:00 stderr F:x ", "", ""),
            ("MESSAGE=", "", ""),
            (
                "2024-01-01T00:00:00Z stdout F <134>Nov 22 07:00:00 lb haproxy[123]: ",
                "lb",
                "haproxy",
            ),
            ("<6>1 - relay - - - - haproxy[123]: ", "relay", "haproxy"),
        ] {
            let line = format!("{header}{LINE}");
            assert_eq!(parts(&line), (host, program, LINE), "{header}");
        }
    }

    #[test]
    fn a_line_without_header_passes_as_it_is() {
        for line in [
            LINE,
            "",
            "<",
            "<>x",
            "<192>Nov 22 07:00:00 h t: x",
            "<1234>x",
            "<+1>x",
            "Nov 22 07:00:00 a b c",
            "2026-11-22T07:00:00Z 203.0.113.9 GET /",
            "2026-11-22T07:00:00Z stdout G x",
            "2026-11-22T07:00:00Z stdin F x",
            "www.example.com:80 203.0.113.9 - -",
            "www.example.com: 203.0.113.9 - -",
            "haproxy[1a]: x",
            "Message=x",
            "2001:db8::1 - - [",
        ] {
            assert_eq!(prefix(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_header_that_breaks_off_is_cut_as_far_as_it_is_understood() {
        for (line, rest) in [
            ("<13>Nov 22 07:00:00 nginx:", ""),
            ("<13>Nov 22 07:00:00 ", ""),
            ("<13>Nov 22 07:00:00", "Nov 22 07:00:00"),
            ("<13>Now 22 07:00:00 h t: x", "Now 22 07:00:00 h t: x"),
            ("<13>Nov 22 07:00:00 h tag[1 x]: y", "h tag[1 x]: y"),
            ("<13>1 - h a p m [x", "1 - h a p m [x"),
            ("<13>1 - h a p m -x", "1 - h a p m -x"),
            ("<13>1 - h a p m -", ""),
            ("<13>12 apples", "12 apples"),
            ("2026-11-22T07:00:00Z stdout F", ""),
        ] {
            assert_eq!(inside(line), rest, "{line}");
        }
    }

    #[test]
    fn a_line_without_host_and_program_loses_nothing() {
        for line in [
            r#"{"a": "b", "c": 1}"#,
            "127.0.0.1:40236 [22/Nov/2026:02:23:56.504] fe be/s1 x: y",
            LINE,
        ] {
            assert_eq!(inside(&format!("<6>2026-11-22T07:00:00Z {line}")), line);
            assert_eq!(inside(&format!("<6>Nov 22 07:00:00 {line}")), line);
        }
    }

    #[test]
    fn headers_are_taken_off_three_deep_and_no_deeper() {
        assert_eq!(inside("<6><7><8><9>x"), "<9>x");
        assert_eq!(
            parts(
                "<13>1 2026-11-22T07:00:00Z node kubelet - - - 2026-11-22T07:00:00Z stdout F <134>Nov 22 07:00:00 haproxy[8]: x"
            ),
            ("node", "haproxy", "x")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_end_of_themselves(line in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(prefix) = prefix(&line) {
                prop_assert!((1..=line.len()).contains(&prefix.message));
            }
        }

        #[test]
        fn anything_behind_a_header_shape_gives_its_end(
            line in r#"(<[0-9]{0,4}>)?(1 )?(Nov [ 0-9]2 07:00:00 |2026-11-22T07:00:00Z |- )?(stdout [PF:]{1,3} )?([a-z\[\]"\\: =-]|\n){0,60}"#
        ) {
            prop_assert!(line.ends_with(inside(&line)));
        }

        #[test]
        fn any_line_behind_a_full_header_is_kept(
            line in "[^\r\n\0\u{feff}<a-zA-Z0-9][^\r\n\0]{0,40}[^\r\n\0]",
            host in "[a-zA-Z0-9.-]{1,20}",
            program in "[a-z_]{1,20}",
            pid in "(\\[[0-9]{1,5}\\])?",
            day in "[123][0-9]",
        ) {
            let full = (host.as_str(), program.as_str(), line.as_str());
            for priority in ["<190>", ""] {
                for time in [format!("Nov {day} 07:00:00"), format!("2026-11-{day}T07:00:00.1+01:00")] {
                    let behind_host = format!("{priority}{time} {host} {program}{pid}: {line}");
                    prop_assert_eq!(parts(&behind_host), full);
                    let no_host = format!("{priority}{time} {program}{pid}: {line}");
                    prop_assert_eq!(parts(&no_host), ("", full.1, full.2));
                }
            }
            let structured = format!("<190>1 2026-11-{day}T07:00:00Z {host} {program} - - - {line}");
            prop_assert_eq!(parts(&structured), full);
        }
    }
}
