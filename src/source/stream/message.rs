//! The syslog header in front of a message, and where the message begins.
//!
//! Invariant: what is given back is a piece of the input. A header is cut as far as it is
//! understood: when only the priority is, the rest passes as it is, since senders may leave out
//! time, host and tag (HAProxy's `format short` and `format timed`). Nothing is read out of a
//! header: the line inside has its own time.

/// The longest tag, with its process id. RFC 3164 allows 32 letters, real programs write more.
const TAG_LEN: usize = 128;

/// The longest host name.
const HOST_LEN: usize = 255;

/// The line inside a syslog message, without header (RFC 3164 or RFC 5424) and without trailing
/// NUL, LF and CR. A message without a priority in front has no header. Behind a time, a word that
/// ends with a colon is taken for the tag, and a word in front of it for the host.
pub fn message(frame: &[u8]) -> &[u8] {
    let text = trimmed(frame);
    let Some(rest) = after_priority(text) else {
        return text;
    };
    after_structured(rest)
        .or_else(|| after_traditional(rest))
        .unwrap_or(rest)
}

fn trimmed(mut text: &[u8]) -> &[u8] {
    while let Some((b'\n' | b'\r' | 0, before)) = text.split_last() {
        text = before;
    }
    text
}

/// What follows `<0>` to `<191>`.
fn after_priority(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_prefix(b"<")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = rest.split_at_checked(digits)?;
    let priority: u16 = str::from_utf8(number).ok()?.parse().ok()?;
    if digits > 3 || priority > 191 {
        return None;
    }
    rest.strip_prefix(b">")
}

/// RFC 5424, section 6: `1 TIMESTAMP HOST APP PROCID MSGID SD MSG`.
fn after_structured(rest: &[u8]) -> Option<&[u8]> {
    let mut rest = rest.strip_prefix(b"1 ")?;
    rest = match rest.strip_prefix(b"- ") {
        Some(rest) => rest,
        None => after_iso_time(rest)?,
    };
    for longest in [255, 48, 128, 32] {
        let (word, after) = word(rest)?;
        if word.len() > longest || !word.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        rest = after;
    }
    let rest = after_elements(rest)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let rest = rest.strip_prefix(b" ")?;
    Some(rest.strip_prefix(b"\xef\xbb\xbf").unwrap_or(rest))
}

/// What follows the structured data: `-`, or elements such as `[id name="value"]`, where `"`, `\`
/// and `]` of a value follow a backslash.
fn after_elements(rest: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = rest.strip_prefix(b"-") {
        return Some(rest);
    }
    let mut rest = after_element(rest)?;
    while rest.first() == Some(&b'[') {
        rest = after_element(rest)?;
    }
    Some(rest)
}

fn after_element(rest: &[u8]) -> Option<&[u8]> {
    let inside = rest.strip_prefix(b"[")?;
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in inside.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => return inside.get(at + 1..),
            _ => {}
        }
    }
    None
}

/// RFC 3164: time, host, `tag[pid]: `, where nginx (`nohostname`) and HAProxy leave out the host.
fn after_traditional(rest: &[u8]) -> Option<&[u8]> {
    let rest = after_short_time(rest).or_else(|| after_iso_time(rest))?;
    if let Some(line) = after_tag(rest) {
        return Some(line);
    }
    let behind_host = word(rest)
        .filter(|(host, _)| is_host(host))
        .and_then(|(_, behind)| after_tag(behind));
    Some(behind_host.unwrap_or(rest))
}

/// `Nov 22 07:00:00 `, with a space in front of a single digit.
fn after_short_time(rest: &[u8]) -> Option<&[u8]> {
    const MONTHS: [&[u8]; 12] = [
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
        b"Dec",
    ];
    let (month, rest) = rest.split_at_checked(3)?;
    let (time, rest) = rest.split_at_checked(13)?;
    (MONTHS.contains(&month) && fits(time, b" _0 00:00:00 ")).then_some(rest)
}

/// `2016-07-04T22:37:26Z `, with any fraction and zone of RFC 3339.
fn after_iso_time(rest: &[u8]) -> Option<&[u8]> {
    let (time, behind) = word(rest)?;
    let (begin, zone) = time.split_at_checked(19)?;
    let is_zone = zone.iter().all(|byte| b"0123456789.:+-Zz".contains(byte));
    (is_zone && fits(begin, b"0000-00-00T00:00:00")).then_some(behind)
}

/// Each byte is like the pattern's, where `0` stands for a digit and `_` for a digit or space.
fn fits(text: &[u8], pattern: &[u8]) -> bool {
    text.len() == pattern.len()
        && text.iter().zip(pattern).all(|(byte, like)| match like {
            b'0' => byte.is_ascii_digit(),
            b'_' => byte.is_ascii_digit() || *byte == b' ',
            other => byte == other,
        })
}

/// What is behind `nginx: ` or `haproxy[123]: `, or a tag that nothing follows.
fn after_tag(rest: &[u8]) -> Option<&[u8]> {
    let letters = rest.iter().take(TAG_LEN).take_while(|byte| is_tag(**byte));
    let (tag, mut rest) = rest.split_at_checked(letters.count())?;
    if tag.is_empty() {
        return None;
    }
    if let Some(inside) = rest.strip_prefix(b"[") {
        let mut nearby = inside.iter().take(TAG_LEN);
        let end = nearby.position(|byte| matches!(byte, b']' | b' '))?;
        rest = inside.get(end..)?.strip_prefix(b"]")?;
    }
    let rest = rest.strip_prefix(b":")?;
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix(b" ")
}

fn is_tag(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./@".contains(&byte)
}

fn is_host(word: &[u8]) -> bool {
    (1..=HOST_LEN).contains(&word.len())
        && word
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.:%".contains(byte))
}

/// The bytes to the next space, and those behind it.
fn word(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = rest.iter().position(|byte| *byte == b' ')?;
    Some((rest.get(..end)?, rest.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = r#"203.0.113.9 - - [22/Nov/2026:07:00:00 +0000] "GET /a: b HTTP/1.1" 200 5"#;

    fn text(frame: &str) -> &str {
        str::from_utf8(message(frame.as_bytes())).unwrap()
    }

    #[test]
    fn real_headers_are_cut() {
        for header in [
            "<190>Nov 22 07:00:00 myhost nginx: ",
            "<190>Nov 22 07:00:00 nginx: ",
            "<190>Nov  2 07:00:00 web-1.example.com nginx_cdn: ",
            "<134>Nov 22 07:00:00 haproxy[123]: ",
            "<134>Nov 22 07:00:00 localhost haproxy[14389]: ",
            "<134>2016-07-04T22:37:26Z cache-sjc3128 LogTest[62959]: ",
            "<13>2026-11-22T07:00:00.123456+01:00 2001:db8::1 logger: ",
            "<13>Nov 22 07:00:00 host foo@bar/x.service[1]: ",
            "<134>1 2026-11-22T07:00:00.123456+00:00 host haproxy 123 - - ",
            "<134>1 - - - - - - ",
            "<134>1 - - - - - - \u{feff}",
            r#"<165>1 2003-10-11T22:14:15.003Z h app - ID47 [x@1 a="\]\"\\" b=" ] "][y] "#,
            "<6>",
            "<6>2026-11-22T07:00:00.123Z ",
        ] {
            assert_eq!(text(&format!("{header}{LINE}\n")), LINE, "{header}");
        }
    }

    #[test]
    fn a_message_without_header_passes_as_it_is() {
        for line in [
            LINE,
            "",
            "<",
            "<>x",
            "<192>Nov 22 07:00:00 h t: x",
            "<1234>x",
            "<+1>x",
            "Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317",
        ] {
            assert_eq!(text(line), line);
        }
    }

    #[test]
    fn a_header_that_breaks_off_is_cut_as_far_as_it_is_understood() {
        for (frame, line) in [
            ("<13>Nov 22 07:00:00 nginx:", ""),
            ("<13>Nov 22 07:00:00 ", ""),
            ("<13>Nov 22 07:00:00", "Nov 22 07:00:00"),
            ("<13>Now 22 07:00:00 h t: x", "Now 22 07:00:00 h t: x"),
            ("<13>Nov 22 07:00:00 h tag[1 x]: y", "h tag[1 x]: y"),
            ("<13>1 - h a p m [x", "1 - h a p m [x"),
            ("<13>1 - h a p m -x", "1 - h a p m -x"),
            ("<13>1 - h a p m -", ""),
            ("<13>12 apples", "12 apples"),
        ] {
            assert_eq!(text(frame), line, "{frame}");
        }
    }

    #[test]
    fn a_line_without_host_and_tag_loses_nothing() {
        for line in [
            r#"{"a": "b", "c": 1}"#,
            "127.0.0.1:40236 [22/Nov/2026:02:23:56.504] fe be/s1 x: y",
            LINE,
        ] {
            assert_eq!(text(&format!("<6>2026-11-22T07:00:00Z {line}")), line);
            assert_eq!(text(&format!("<6>Nov 22 07:00:00 {line}")), line);
        }
    }

    #[test]
    fn line_ends_and_nul_are_trimmed_from_the_end_only() {
        assert_eq!(text("<6>a\n\0b\r\n\0"), "a\n\0b");
        assert_eq!(text("a \n"), "a ");
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_piece_of_themselves(frame in prop::collection::vec(any::<u8>(), 0..80)) {
            let line = message(&frame);
            prop_assert!(line.is_empty() || frame.windows(line.len()).any(|piece| piece == line));
        }

        #[test]
        fn anything_behind_a_header_shape_gives_its_end(
            frame in r#"<[0-9]{0,4}>(1 )?(Nov [ 0-9]2 07:00:00 |2026-11-22T07:00:00Z |- )?([a-z\[\]"\\: =-]|\n){0,60}"#
        ) {
            let line = message(frame.as_bytes());
            prop_assert!(trimmed(frame.as_bytes()).ends_with(line));
        }

        #[test]
        fn any_line_behind_a_full_header_is_kept(
            line in "[^\r\n\0\u{feff}][^\r\n\0]{0,40}[^\r\n\0]",
            host in "[a-zA-Z0-9.-]{1,20} ",
            tag in "[a-z_]{1,20}(\\[[0-9]{1,5}\\])?",
            day in "[ 123][0-9]",
        ) {
            let traditional = format!("<190>Nov {day} 07:00:00 {host}{tag}: {line}");
            prop_assert_eq!(text(&traditional), &line);
            let no_host = format!("<190>Nov {day} 07:00:00 {tag}: {line}");
            prop_assert_eq!(text(&no_host), &line);
            let structured = format!("<190>1 2026-11-{day}T07:00:00Z {host}{tag} - - - {line}");
            if !day.starts_with(' ') {
                prop_assert_eq!(text(&structured), &line);
            }
        }
    }
}
