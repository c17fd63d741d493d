//! Grok names in regular expressions: `%{IP:remote_addr}` stands for a pattern from a library.
//!
//! Invariant: what comes out is a pattern of the regex crate, in linear time: the library has no
//! look-around and no back-references, where Logstash's has. It is not Logstash's text but our own
//! under its names, and whole-line names give the fields that rules know.
//!
//! It does not compile the pattern. A type behind a second colon (`:int`) is read and has no
//! effect: values are numbers where they are used as numbers.

use std::ops::Range;

use crate::definition::At;
use crate::diagnostic::{Diagnostic, quoted_list, similar};

const TYPES: [&str; 3] = ["int", "float", "string"];

/// Names and their patterns, which may hold names.
const LIBRARY: [(&str, &str); 77] = [
    ("WORD", r"\b\w+\b"),
    ("NOTSPACE", r"\S+"),
    ("SPACE", r"\s*"),
    ("DATA", r".*?"),
    ("GREEDYDATA", r".*"),
    ("INT", r"[+-]?[0-9]+"),
    ("BASE10NUM", r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"),
    ("NUMBER", r"%{BASE10NUM}"),
    ("BASE16NUM", r"[+-]?(?:0x)?[0-9A-Fa-f]+"),
    ("POSINT", r"\b[1-9][0-9]*\b"),
    ("NONNEGINT", r"\b[0-9]+\b"),
    ("BOOL", r"true|false"),
    ("DOUBLEQUOTED", r#""(?:[^"\\]|\\.)*""#),
    (
        "QUOTEDSTRING",
        r#"%{DOUBLEQUOTED}|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`"#,
    ),
    ("QS", r"%{QUOTEDSTRING}"),
    (
        "UUID",
        r"[A-Fa-f0-9]{8}-(?:[A-Fa-f0-9]{4}-){3}[A-Fa-f0-9]{12}",
    ),
    ("MAC", r"(?:[A-Fa-f0-9]{2}[:-]){5}[A-Fa-f0-9]{2}"),
    (
        "IPV4",
        r"\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b",
    ),
    (
        "IPV6",
        r"(?:(?:[0-9A-Fa-f]{1,4}:){6,7}|(?:(?:[0-9A-Fa-f]{1,4}:)+|:):(?:[0-9A-Fa-f]{1,4}:)*)(?:%{IPV4}|[0-9A-Fa-f]{1,4})?(?:%[0-9A-Za-z]+)?",
    ),
    ("IP", r"%{IPV6}|%{IPV4}"),
    (
        "HOSTNAME",
        r"\b[0-9A-Za-z][0-9A-Za-z_-]{0,62}(?:\.[0-9A-Za-z][0-9A-Za-z_-]{0,62})*\.?",
    ),
    ("HOST", r"%{HOSTNAME}"),
    ("IPORHOST", r"%{IP}|%{HOSTNAME}"),
    ("HOSTPORT", r"%{IPORHOST}:%{POSINT}"),
    ("USERNAME", r"[a-zA-Z0-9._-]+"),
    ("USER", r"%{USERNAME}"),
    (
        "EMAILLOCALPART",
        r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+)*",
    ),
    ("EMAILADDRESS", r"%{EMAILLOCALPART}@%{HOSTNAME}"),
    ("HTTPDUSER", r"%{EMAILADDRESS}|%{USER}"),
    ("UNIXPATH", r"(?:/[\w%!$@:.,+~-]*)+"),
    ("WINPATH", r"(?:[A-Za-z]+:|\\)(?:\\[^\\?*\s]*)+"),
    ("PATH", r"%{UNIXPATH}|%{WINPATH}"),
    ("URIPROTO", r"[A-Za-z][A-Za-z0-9+.-]*"),
    ("URIHOST", r"%{IPORHOST}(?::[0-9]+)?"),
    ("URIPATH", r"(?:/[A-Za-z0-9$.+!*'(){},~:;=@#%&_-]*)+"),
    ("URIQUERY", r"[A-Za-z0-9$.+!*'|(){},~@#%&/=:;_?\[\]<>^`-]*"),
    ("URIPARAM", r"\?%{URIQUERY}"),
    ("URIPATHPARAM", r"%{URIPATH}(?:%{URIPARAM})?"),
    (
        "URI",
        r"%{URIPROTO}://(?:%{USER}(?::[^@\s]*)?@)?(?:%{URIHOST})?(?:%{URIPATHPARAM})?",
    ),
    (
        "MONTH",
        r"\b(?:[Jj]an(?:uary)?|[Ff]eb(?:ruary)?|[Mm]ar(?:ch)?|[Aa]pr(?:il)?|[Mm]ay|[Jj]une?|[Jj]uly?|[Aa]ug(?:ust)?|[Ss]ep(?:t(?:ember)?)?|[Oo]ct(?:ober)?|[Nn]ov(?:ember)?|[Dd]ec(?:ember)?)\b",
    ),
    ("MONTHNUM", r"0[1-9]|1[0-2]|[1-9]"),
    ("MONTHNUM2", r"0[1-9]|1[0-2]"),
    ("MONTHDAY", r"0[1-9]|[12][0-9]|3[01]|[1-9]"),
    (
        "DAY",
        r"Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?",
    ),
    ("YEAR", r"[0-9]{4}|[0-9]{2}"),
    ("HOUR", r"2[0123]|[01]?[0-9]"),
    ("MINUTE", r"[0-5][0-9]"),
    ("SECOND", r"(?:[0-5]?[0-9]|60)(?:[:.,][0-9]+)?"),
    ("TIME", r"%{HOUR}:%{MINUTE}(?::%{SECOND})?"),
    ("DATE_US", r"%{MONTHNUM}[/-]%{MONTHDAY}[/-]%{YEAR}"),
    ("DATE_EU", r"%{MONTHDAY}[./-]%{MONTHNUM}[./-]%{YEAR}"),
    ("DATE", r"%{DATE_US}|%{DATE_EU}"),
    ("TZ", r"[A-Z]{3,4}"),
    ("ISO8601_TIMEZONE", r"Z|[+-]%{HOUR}:?%{MINUTE}"),
    ("ISO8601_SECOND", r"%{SECOND}"),
    (
        "TIMESTAMP_ISO8601",
        r"[0-9]{4}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?(?:%{ISO8601_TIMEZONE})?",
    ),
    ("DATESTAMP", r"(?:%{DATE})[- ]%{TIME}"),
    (
        "DATESTAMP_RFC822",
        r"(?:%{DAY}) %{MONTH} %{MONTHDAY} %{YEAR} %{TIME} %{TZ}",
    ),
    ("HTTPDATE", r"%{MONTHDAY}/%{MONTH}/[0-9]{4}:%{TIME} %{INT}"),
    (
        "HTTPDERROR_DATE",
        r"(?:%{DAY}) %{MONTH} %{MONTHDAY} %{TIME} [0-9]{4}",
    ),
    ("SYSLOGTIMESTAMP", r"%{MONTH} +%{MONTHDAY} %{TIME}"),
    ("PROG", r"[!-Z\\^-~]+"),
    ("SYSLOGPROG", r"%{PROG:program}(?:\[%{POSINT:pid}\])?"),
    ("SYSLOGHOST", r"%{IPORHOST}"),
    ("SYSLOGFACILITY", r"<%{NONNEGINT}\.%{NONNEGINT}>"),
    (
        "SYSLOGBASE",
        r"%{SYSLOGTIMESTAMP:syslog_timestamp} (?:%{SYSLOGFACILITY} )?%{SYSLOGHOST:syslog_host} %{SYSLOGPROG}:",
    ),
    (
        "LOGLEVEL",
        r"(?i:alert|trace|debug|notice|info(?:rmation)?|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal|severe|emerg(?:ency)?)",
    ),
    (
        "COMMONAPACHELOG",
        r#"%{IPORHOST:remote_addr} %{NOTSPACE} (?<remote_user>.*?) \[%{HTTPDATE:time_local}\] "(?<request>(?:[^"\\]|\\.)*)" (?<status>[0-9]{3}|-) (?<body_bytes_sent>[0-9]+|-)"#,
    ),
    (
        "COMBINEDAPACHELOG",
        r#"%{COMMONAPACHELOG} "(?<http_referer>(?:[^"\\]|\\.)*)" "(?<http_user_agent>(?:[^"\\]|\\.)*)""#,
    ),
    ("HTTPD_COMMONLOG", r"%{COMMONAPACHELOG}"),
    ("HTTPD_COMBINEDLOG", r"%{COMBINEDAPACHELOG}"),
    (
        "HTTPD_ERRORLOG",
        r"\[%{HTTPDERROR_DATE:time}\] \[(?:%{WORD}:)?%{LOGLEVEL:level}\] (?:\[pid %{POSINT:pid}(?::tid %{NUMBER})?\] )?(?:\[client %{IPORHOST:remote_addr}(?::%{POSINT:remote_port})?\] )?%{GREEDYDATA:message}",
    ),
    (
        "HAPROXYDATE",
        r"%{MONTHDAY}/%{MONTH}/[0-9]{4}:%{HOUR}:%{MINUTE}:%{SECOND}",
    ),
    (
        "HAPROXYTIMES",
        r"-?[0-9]+/-?[0-9]+/-?[0-9]+/-?[0-9]+/\+?(?<request_time>-?[0-9]+)",
    ),
    (
        "HAPROXYHTTPBASE",
        r#"%{IP:remote_addr}:%{INT:remote_port} \[%{HAPROXYDATE:time}\] %{NOTSPACE:frontend_name} (?<backend_name>[^\s/]+)/%{NOTSPACE:upstream_name} %{HAPROXYTIMES} (?<status>-?[0-9]+) \+?(?<bytes_sent>[0-9]+) %{NOTSPACE} %{NOTSPACE} (?<termination_state>\S{2,4}) [0-9]+/[0-9]+/[0-9]+/[0-9]+/\+?[0-9]+ [0-9]+/[0-9]+ (?:\{[^}]*\} )*"(?<request>[^"]*)"?"#,
    ),
    (
        "HAPROXYHTTP",
        r"(?:(?:%{SYSLOGTIMESTAMP}|%{TIMESTAMP_ISO8601}) %{IPORHOST} )?%{SYSLOGPROG}: %{HAPROXYHTTPBASE}",
    ),
    ("NGINXACCESS", r"%{COMBINEDAPACHELOG}"),
];

/// The pattern with every `%{NAME}` and `%{NAME:field}` in place of what it stands for.
///
/// # Errors
/// A name that the library does not have, or a field that no group can be called, at its place.
pub(super) fn expand(pattern: &At<String>) -> Result<String, Diagnostic> {
    let mut out = String::new();
    let mut from = 0;
    while let Some(name) = next_name(&pattern.value, from) {
        out.push_str(
            pattern
                .value
                .get(from..name.whole.start)
                .unwrap_or_default(),
        );
        let part = |range: &Range<usize>| pattern.value.get(range.clone()).unwrap_or_default();
        let known = library(part(&name.name)).ok_or_else(|| unknown(pattern, &name.name))?;
        let field = name.field.as_ref().map(part);
        if let (Some(text), Some(range)) = (field, &name.field)
            && !is_group(text)
        {
            let error = pattern.place.inside(range.clone()).error(
                format!("no field can be called `{text}`"),
                "letters, digits and `_`",
            );
            return Err(error.help("use nginx's names, such as `%{IP:remote_addr}`"));
        }
        if let Some(range) = name.kind.filter(|range| !TYPES.contains(&part(range))) {
            let message = format!("unknown type `{}`", part(&range));
            let error = pattern.place.inside(range).error(message, "");
            return Err(error.help(format!("one of {}, or none", quoted_list(TYPES))));
        }
        group(&mut out, field, &expanded(known));
        from = name.whole.end;
    }
    out.push_str(pattern.value.get(from..).unwrap_or_default());
    Ok(out)
}

/// A name in a pattern, as byte ranges.
struct Name {
    whole: Range<usize>,
    name: Range<usize>,
    field: Option<Range<usize>>,
    kind: Option<Range<usize>>,
}

/// The first `%{NAME…}` at or behind `from`. `%{3}` is a repeated `%`.
fn next_name(pattern: &str, mut from: usize) -> Option<Name> {
    loop {
        let start = from + pattern.get(from..)?.find("%{")?;
        from = start + 2;
        let inside = pattern.get(from..)?;
        if !inside.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            continue;
        }
        let Some(length) = inside.find('}') else {
            continue;
        };
        let mut at = from;
        let mut parts = inside.get(..length)?.splitn(3, ':').map(|part| {
            let range = at..at + part.len();
            at = range.end + 1;
            range
        });
        return Some(Name {
            whole: start..from + length + 1,
            name: parts.next()?,
            field: parts.next(),
            kind: parts.next(),
        });
    }
}

fn library(name: &str) -> Option<&'static str> {
    let mut library = LIBRARY.iter();
    library.find_map(|(known, pattern)| (*known == name).then_some(*pattern))
}

/// A pattern of the library without names.
fn expanded(pattern: &str) -> String {
    let mut out = String::new();
    let mut from = 0;
    while let Some(name) = next_name(pattern, from) {
        out.push_str(pattern.get(from..name.whole.start).unwrap_or_default());
        let known = library(pattern.get(name.name).unwrap_or_default()).unwrap_or_default();
        let field = name.field.and_then(|range| pattern.get(range));
        group(&mut out, field, &expanded(known));
        from = name.whole.end;
    }
    out.push_str(pattern.get(from..).unwrap_or_default());
    out
}

fn group(out: &mut String, field: Option<&str>, pattern: &str) {
    match field {
        Some(field) => out.extend(["(?<", field, ">", pattern, ")"]),
        None => out.extend(["(?:", pattern, ")"]),
    }
}

fn is_group(field: &str) -> bool {
    field.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && field
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
}

fn unknown(pattern: &At<String>, range: &Range<usize>) -> Diagnostic {
    let name = pattern.value.get(range.clone()).unwrap_or_default();
    let message = format!("unknown grok name `{name}`");
    let error = pattern
        .place
        .inside(range.clone())
        .error(message, "not in the library");
    let names = || LIBRARY.iter().map(|(known, _)| *known);
    match similar(&name.to_ascii_uppercase(), names()) {
        Some(near) => error.help(format!("a name that is similar: `%{{{near}}}`")),
        None => error.help("write the regular expression itself: `(?<field>…)`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Place, SourceText, render};
    use crate::record::compile_pattern;
    use proptest::prelude::*;

    fn at(pattern: &str) -> At<String> {
        let source = SourceText::new("x.toml", pattern);
        let place = Place::new(&source, 0..pattern.len());
        let whole = crate::diagnostic::Piece {
            source,
            decoded: 0..pattern.len(),
            written: 0..pattern.len(),
        };
        At {
            value: pattern.to_owned(),
            place: place.with_pieces(vec![whole]),
        }
    }

    /// The groups of a line that are present, as `name=value`.
    #[track_caller]
    fn groups(pattern: &str, line: &str) -> Vec<String> {
        let regex = compile_pattern(&expand(&at(pattern)).unwrap(), 8).unwrap();
        let found = regex.captures(line.as_bytes()).expect("the line matches");
        let names = regex.capture_names().flatten();
        let shown = names.filter_map(|name| {
            let value = found.name(name)?;
            Some(format!(
                "{name}={}",
                String::from_utf8_lossy(value.as_bytes())
            ))
        });
        shown.collect()
    }

    #[track_caller]
    fn whole(name: &str, good: &[&str], bad: &[&str]) {
        let pattern = expand(&at(&format!("^%{{{name}}}$"))).unwrap();
        let regex = compile_pattern(&pattern, 8).unwrap();
        for text in good {
            assert!(regex.is_match(text.as_bytes()), "{name}: {text}");
        }
        for text in bad {
            assert!(!regex.is_match(text.as_bytes()), "{name}: {text}");
        }
    }

    #[test]
    fn every_name_of_the_library_compiles_and_is_there_once() {
        let mut names: Vec<&str> = LIBRARY.iter().map(|(name, _)| *name).collect();
        for (name, pattern) in LIBRARY {
            let text = expanded(pattern);
            assert!(!text.contains("(?:)"), "{name} names what is not there");
            compile_pattern(&text, 8).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), LIBRARY.len());
    }

    #[test]
    fn names_take_what_they_say() {
        whole(
            "IPV4",
            &["0.0.0.0", "192.0.2.255"],
            &["256.1.1.1", "1.2.3", "1.2.3.4.5"],
        );
        whole(
            "IPV6",
            &[
                "::",
                "::1",
                "2001:db8::1",
                "1:2:3:4:5:6:7:8",
                "::ffff:192.0.2.1",
                "fe80::1%eth0",
            ],
            &["1:2", "12345::", "a.b"],
        );
        whole(
            "IPORHOST",
            &["192.0.2.1", "2001:db8::1", "www.example.com"],
            &["-", "a b"],
        );
        whole("NUMBER", &["1", "-1.5", ".5"], &["", "1.", "a"]);
        whole("NONNEGINT", &["0", "17"], &["-1", ""]);
        whole("QS", &[r#""""#, r#""a \" b""#, "'x'"], &["\"a", "a"]);
        whole(
            "UUID",
            &["cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2"],
            &["cc21d9b0"],
        );
        whole(
            "URI",
            &["http://www.example.com:80/a?b=c", "s3://b/k"],
            &["/a"],
        );
        whole("URIPATHPARAM", &["/", "/a/b?c=d&e", "/a?"], &["a"]);
        whole(
            "HTTPDATE",
            &["10/Oct/2000:13:55:36 -0700"],
            &["10/10/2000:13:55:36 -0700"],
        );
        whole(
            "TIMESTAMP_ISO8601",
            &[
                "2013-10-31T07:06:42Z",
                "2013-10-31 07:06:42,123",
                "2013-10-31T07:06:42.5+01:00",
            ],
            &["2013-10-31", "31.10.2013 07:06"],
        );
        whole(
            "SYSLOGTIMESTAMP",
            &["Feb  6 12:14:14", "Oct 31 07:06:42"],
            &["6 Feb 12:14:14"],
        );
        whole(
            "HTTPDERROR_DATE",
            &["Mon Dec 26 16:15:55.103522 2016"],
            &["26/Dec/2016"],
        );
        whole("LOGLEVEL", &["WARN", "info", "Error"], &["warm"]);
        whole("PATH", &["/usr/local", r"C:\a\b"], &["a"]);
        whole("MONTHNUM", &["1", "09", "12"], &["0", "13"]);
        whole("HOSTPORT", &["a.b:80", "192.0.2.1:443"], &["a.b"]);
    }

    #[test]
    fn fields_are_groups_and_types_have_no_effect() {
        assert_eq!(
            groups(
                "^%{IP:remote_addr} %{WORD:request_method} %{NUMBER:status:int} %{NOTSPACE}",
                "192.0.2.1 GET 200 x"
            ),
            ["remote_addr=192.0.2.1", "request_method=GET", "status=200"]
        );
        assert_eq!(expand(&at("a%{3}b%{")).unwrap(), "a%{3}b%{");
    }

    #[test]
    fn apache_lines_give_the_fields_that_rules_know() {
        let line = r#"127.0.0.1 - frank b [10/Oct/2000:13:55:36 -0700] "GET /a\"b HTTP/1.0" 200 2326 "http://e/" "M \"x\"""#;
        assert_eq!(
            groups("^%{COMBINEDAPACHELOG}$", line),
            [
                "remote_addr=127.0.0.1",
                "remote_user=frank b",
                "time_local=10/Oct/2000:13:55:36 -0700",
                r#"request=GET /a\"b HTTP/1.0"#,
                "status=200",
                "body_bytes_sent=2326",
                "http_referer=http://e/",
                r#"http_user_agent=M \"x\""#,
            ]
        );
    }

    #[test]
    fn haproxy_lines_are_read() {
        let line = r#"Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1""#;
        let found = groups("^%{HAPROXYHTTP}$", line);
        for field in [
            "remote_addr=10.0.1.2",
            "time=06/Feb/2009:12:14:14.655",
            "frontend_name=http-in",
            "upstream_name=srv1",
            "request_time=109",
            "status=200",
            "bytes_sent=2750",
            "request=GET /index.html HTTP/1.1",
        ] {
            assert!(
                found.iter().any(|known| known == field),
                "{field}: {found:?}"
            );
        }
        let line = r#"haproxy[18113]: 127.0.0.1:34549 [15/Oct/2003:15:19:06.103] px-http px-http/<NOSRV> -1/-1/-1/-1/+50001 408 +2750 - - cR-- 2/2/2/0/+2 0/0 """#;
        assert!(groups("^%{HAPROXYHTTP}$", line).contains(&"request_time=50001".to_owned()));
    }

    #[test]
    fn mistakes_are_shown_at_the_name() {
        let picture = render(
            &[expand(&at("^%{IPORHSOT:remote_addr} x")).unwrap_err()],
            false,
        );
        let expected = "\
error: unknown grok name `IPORHSOT`
 --> x.toml:1:4
  |
1 | ^%{IPORHSOT:remote_addr} x
  |    ^^^^^^^^ not in the library
  |
  = help: a name that is similar: `%{IPORHOST}`
";
        assert_eq!(picture, expected, "\n{picture}");
        let message = |pattern: &str| expand(&at(pattern)).unwrap_err().message;
        assert_eq!(
            message("%{IP:[client][ip]}"),
            "no field can be called `[client][ip]`"
        );
        assert_eq!(message("%{NUMBER:status:long}"), "unknown type `long`");
        assert_eq!(message("%{IP:}"), "no field can be called ``");
        assert_eq!(message("%{ip:a}"), "unknown grok name `ip`");
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in "(%\\{|[A-Z:}a-z\\\\é]|IP|INT|:int){0,20}") {
            expand(&at(&pattern)).ok();
        }
    }
}
