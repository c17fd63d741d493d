//! Any line, wrapped by a writer of its own, comes out as it was.

use proptest::prelude::*;

use super::*;

/// What became of each line.
#[derive(Debug, PartialEq)]
enum Seen {
    Record(String),
    Joined(String),
    Piece,
    Own,
    TooLong,
}

fn open(envelopes: &mut Envelopes, line: &[u8]) -> Seen {
    let text = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    match envelopes.open(line) {
        Opened::Record {
            text: bytes,
            is_joined: false,
        } => Seen::Record(text(bytes)),
        Opened::Record { text: bytes, .. } => Seen::Joined(text(bytes)),
        Opened::Piece => Seen::Piece,
        Opened::Own => Seen::Own,
        Opened::TooLong => Seen::TooLong,
    }
}

fn all(lines: &[&str]) -> Vec<Seen> {
    let mut envelopes = Envelopes::new(1 << 20);
    let lines = lines.iter();
    lines
        .map(|line| open(&mut envelopes, line.as_bytes()))
        .collect()
}

fn docker(text: &str, stream: &str) -> String {
    let time = "2026-11-22T07:00:00.000000001Z";
    let text = serde_json::to_string(text).unwrap();
    format!(r#"{{"log":{text},"stream":"{stream}","time":"{time}"}}"#)
}

fn cri(text: &str, stream: &str, tag: &str) -> String {
    format!("2026-11-22T07:00:00.000000001Z {stream} {tag} {text}")
}

fn journal(text: &[u8], as_bytes: bool) -> String {
    let value = if as_bytes {
        serde_json::to_string(text).unwrap()
    } else {
        serde_json::to_string(&String::from_utf8_lossy(text)).unwrap()
    };
    format!(
        r#"{{"_PID":"1","__REALTIME_TIMESTAMP":"1","X":"\"MESSAGE\":","MESSAGE":{value},"_Z":"2"}}"#
    )
}

use Seen::{Joined, Own, Piece, Record, TooLong};

#[test]
fn an_ordinary_line_is_a_record_as_it_stands() {
    for line in [
        "203.0.113.9 - - [",
        r#"{"level":"info","log":"x"}"#,
        r#"{"log":"x","level":"info"}"#,
        r#"{"log":"x","stream":"stdfoo"}"#,
        r#"{"log":"torn\n","stream":"stdout","ti"#,
        r#"{"ClientIP":"1","MESSAGE":"x"}"#,
        "STATUS=200 more",
        "Message=x",
        "",
    ] {
        assert_eq!(all(&[line]), [Record(line.to_owned())]);
    }
}

#[test]
fn pieces_of_docker_become_one_record() {
    assert_eq!(
        all(&[
            &docker("a\n", "stdout"),
            &docker("b \"", "stdout"),
            &docker("error\n", "stderr"),
            &docker("\\n", "stdout"),
            &docker("c\r\n", "stdout"),
            r#"{"log":"d\n","stream":"stderr","attrs":{"tag":"t"},"time":"2026-11-22T07:00:00Z"}"#,
        ]),
        [
            Record("a".into()),
            Piece,
            Record("error".into()),
            Piece,
            Joined("b \"\\nc".into()),
            Record("d".into()),
        ]
    );
}

#[test]
fn pieces_of_cri_become_one_record() {
    let whole = cri("whole", "stderr", "F");
    assert_eq!(
        all(&[
            &cri("a", "stdout", "P"),
            &whole,
            &cri("b", "stdout", "P"),
            &cri("c", "stdout", "F"),
        ]),
        [Piece, Record(whole.clone()), Piece, Joined("abc".into())]
    );
}

#[test]
fn what_a_relay_sends_on_is_opened_behind_its_header() {
    let header = "<13>Nov 22 07:00:00 node1 shipper[7]: ";
    let behind = |line: &str| format!("{header}{line}");
    assert_eq!(
        all(&[
            &behind(&docker("a\n", "stdout")),
            &behind(&docker("b", "stdout")),
            &behind(&docker("c\n", "stdout")),
            &behind(&cri("d", "stderr", "P")),
            &behind(&cri("e", "stderr", "F")),
            &behind(&journal(b"f", false)),
            &behind("g"),
            "<13>",
        ]),
        [
            Record(behind("a")),
            Piece,
            Joined(behind("bc")),
            Piece,
            Joined(behind("de")),
            Record(behind("f")),
            Record(behind("g")),
            Record("<13>".into()),
        ]
    );
}

#[test]
fn a_line_that_is_no_piece_ends_what_was_begun() {
    assert_eq!(
        all(&[&cri("a", "stdout", "P"), "x", &docker("b\n", "stdout"),]),
        [Piece, Record("x".into()), Record("b".into())]
    );
}

#[test]
fn a_record_over_the_limit_is_passed_over() {
    let mut envelopes = Envelopes::new(100);
    let seen: Vec<Seen> = ["P", "P", "P", "F"]
        .iter()
        .map(|tag| open(&mut envelopes, cri("0123456789", "stdout", tag).as_bytes()))
        .collect();
    assert_eq!(seen, [Piece, Piece, Piece, TooLong]);
    assert_eq!(open(&mut envelopes, b"x"), Record("x".into()));
}

#[test]
fn the_journals_objects_hold_a_line_as_text_or_as_bytes() {
    assert_eq!(
        all(&[
            &journal(b"a \"b\"", false),
            &journal(b"c", true),
            r#"{ "__CURSOR" : "x", "__REALTIME_TIMESTAMP" : "1", "MESSAGE" : [ 100, 10, 101 ] }"#,
            r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":null}"#,
            r#"{"__REALTIME_TIMESTAMP":"1"}"#,
            r#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":[256]}"#,
        ]),
        [
            Record("a \"b\"".into()),
            Record("c".into()),
            Record("d\ne".into()),
            Own,
            Own,
            Own,
        ]
    );
}

#[test]
fn the_journals_export_has_one_line_for_each_field() {
    assert_eq!(
        all(&[
            "__CURSOR=s=1",
            "PRIORITY=6",
            "_PID=7",
            "MESSAGE=x y",
            "OWN_FIELD=z"
        ]),
        [
            Own,
            Own,
            Own,
            Record("MESSAGE=x y".into()),
            Record("OWN_FIELD=z".into())
        ]
    );
}

#[test]
fn a_sample_tells_whether_its_file_is_read_as_one() {
    assert!(are_pieces(docker("a\n", "stdout").as_bytes()));
    assert!(are_pieces(
        format!("x\n{}\n", cri("a", "stdout", "F")).as_bytes()
    ));
    assert!(are_pieces(b"MESSAGE=x"));
    assert!(!are_pieces(
        b"Feb  6 12:14:14 localhost haproxy[14389]: x\n\n203.0.113.9 -\n"
    ));
}

#[derive(Clone, Debug)]
enum Written {
    Cri(bool, bool),
    Docker(bool, bool),
    Other(&'static str),
}

fn written() -> impl Strategy<Value = Written> {
    prop_oneof![
        3 => (any::<bool>(), any::<bool>()).prop_map(|(error, last)| Written::Cri(error, last)),
        3 => (any::<bool>(), any::<bool>()).prop_map(|(error, last)| Written::Docker(error, last)),
        1 => prop::sample::select(vec!["x", "", "  ", "\0\0", "_PID=1"]).prop_map(Written::Other),
    ]
}

impl Written {
    fn text(&self) -> String {
        let stream = |error: &bool| if *error { "stderr" } else { "stdout" };
        match self {
            Written::Cri(error, last) => cri("t", stream(error), if *last { "F" } else { "P" }),
            Written::Docker(error, last) => docker(if *last { "t\n" } else { "t" }, stream(error)),
            Written::Other(text) => (*text).to_owned(),
        }
    }
}

/// The lines that are not rejected before their envelope is asked, opened in turn.
fn opened(envelopes: &mut Envelopes, text: &str) -> Vec<Seen> {
    let lines = text.lines().map(|line| line.trim_start_matches('\0'));
    lines
        .filter(|line| !line.trim_ascii().is_empty())
        .map(|line| open(envelopes, line.as_bytes()))
        .collect()
}

proptest! {
    #[test]
    fn any_line_in_pieces_comes_out_as_it_was(
        pieces in prop::collection::vec("[^\n\r]{0,12}", 1..5),
        error in any::<bool>(),
        other in "[^\n\r]{1,12}",
    ) {
        let whole = pieces.concat();
        let (stream, beside) = if error { ("stderr", "stdout") } else { ("stdout", "stderr") };
        for runtime in 0..2 {
            let mut envelopes = Envelopes::new(1 << 20);
            for (number, piece) in pieces.iter().enumerate() {
                let last = number + 1 == pieces.len();
                let line = match (runtime, last) {
                    (0, true) => docker(&format!("{piece}\n"), stream),
                    (0, false) => docker(piece, stream),
                    (_, true) => cri(piece, stream, "F"),
                    (_, false) => cri(piece, stream, "P"),
                };
                let seen = open(&mut envelopes, line.as_bytes());
                if !last {
                    prop_assert_eq!(seen, Piece);
                    let line = docker(&format!("{other}\n"), beside);
                    prop_assert_eq!(open(&mut envelopes, line.as_bytes()), Record(other.clone()));
                } else if number > 0 {
                    prop_assert_eq!(seen, Joined(whole.clone()));
                } else {
                    prop_assert_eq!(seen, Record(if runtime == 0 { whole.clone() } else { line }));
                }
            }
        }
    }

    #[test]
    fn any_message_of_the_journal_comes_out_as_it_was(text in prop::collection::vec(any::<u8>(), 1..40)) {
        let mut envelopes = Envelopes::new(1 << 20);
        let line = journal(&text, true);
        let bare = text.strip_suffix(b"\r").unwrap_or(&text);
        let opened = envelopes.open(line.as_bytes());
        prop_assert_eq!(opened, Opened::Record { text: bare, is_joined: false });
        let line = journal(&text, false);
        let shown = String::from_utf8_lossy(bare).into_owned();
        prop_assert_eq!(open(&mut envelopes, line.as_bytes()), Record(shown));
    }

    #[test]
    fn any_bytes_are_something(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5)) {
        let mut envelopes = Envelopes::new(64);
        for line in &lines {
            envelopes.open(line);
        }
        let text = lines.join(&b'\n');
        are_pieces(&text);
        prop_assert!(without_open_record(&text) <= text.len());
    }

    #[test]
    fn what_may_be_left_for_good_leaves_nothing_begun(lines in prop::collection::vec(written(), 0..12)) {
        let text: String = lines.iter().map(|line| line.text() + "\n").collect();
        let left = without_open_record(text.as_bytes());
        let mut envelopes = Envelopes::new(1 << 20);
        let mut whole = opened(&mut envelopes, &text[..left]);
        prop_assert!(!envelopes.concern(b"x"), "nothing is begun");
        // Nothing longer would do.
        let mut rest = Envelopes::new(1 << 20);
        for line in text[left..].lines() {
            opened(&mut rest, line);
            prop_assert!(rest.concern(b"x") || line.trim_matches(['\0', ' ']).is_empty());
        }
        // Reading on from there gives what reading in one go gives.
        whole.extend(opened(&mut Envelopes::new(1 << 20), &text[left..]));
        prop_assert_eq!(whole, opened(&mut Envelopes::new(1 << 20), &text));
    }
}
