//! What stands around a line: any line wrapped by syslog, a container's runtime or the journal counts
//! as the bare line does.

use serde_json::{Value, json};

use crate::program::{Folder, foreign, replay, replay_with, run_with, total};

const NGINX: &str = r#"203.0.113.9 - - [31/Oct/2013:07:06:42 +0000] "GET /status/images/beacon.gif?source=fastly&server_identity=cache-ny57-NYC HTTP/1.1" 200 43 "-" "U\x22A""#;
const CADDY: &str = r#"{"level":"info","ts":1383203202.5,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"203.0.113.9","remote_port":"41342","proto":"HTTP/2.0","method":"GET","host":"localhost","uri":"/status/images/beacon.gif?source=fastly&server_identity=cache-ny57-NYC","headers":{"User-Agent":["U\"A"]}},"bytes_read":0,"user_id":"","duration":0.25,"size":43,"status":200,"resp_headers":{}}"#;

/// A wrapper's name, and the lines that it makes of one.
type Wrapper = (&'static str, fn(&str) -> Vec<String>);

fn docker(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap().replace('&', "\\u0026");
    format!(r#"{{"log":{text},"stream":"stdout","time":"2013-10-31T07:06:43.000000001Z"}}"#)
}

fn cri(text: &str, tag: &str) -> String {
    format!("2013-10-31T07:06:43.000000001Z stdout {tag} {text}")
}

/// A line in three pieces.
fn cut(line: &str) -> [&str; 3] {
    let (head, rest) = line.split_at(40);
    let (middle, end) = rest.split_at(60);
    [head, middle, end]
}

fn docker_pieces(line: &str) -> Vec<String> {
    let [head, middle, end] = cut(line);
    vec![docker(head), docker(middle), docker(&format!("{end}\n"))]
}

fn cri_pieces(line: &str) -> Vec<String> {
    let [head, middle, end] = cut(line);
    vec![cri(head, "P"), cri(middle, "P"), cri(end, "F")]
}

fn journal_json(line: &str) -> Vec<String> {
    let entry = json!({"_PID": "7", "__REALTIME_TIMESTAMP": "1383203203000000", "MESSAGE": line});
    vec![entry.to_string()]
}

fn journal_bytes(line: &str) -> Vec<String> {
    let entry = json!({"_PID": "7", "__REALTIME_TIMESTAMP": "1383203203000000", "MESSAGE": line.as_bytes()});
    vec![entry.to_string()]
}

fn journal_export(line: &str) -> Vec<String> {
    let entry = format!(
        "__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1383203203000000\nPRIORITY=6\nMESSAGE={line}\n_PID=7\n"
    );
    entry.split('\n').map(str::to_owned).collect()
}

fn before(header: &str, line: &str) -> Vec<String> {
    vec![format!("{header}{line}")]
}

const WRAPPERS: [Wrapper; 14] = [
    ("rfc3164", |line| {
        before("<190>Oct 31 07:06:43 web1 nginx: ", line)
    }),
    ("syslogd's file", |line| {
        before("Oct 31 07:06:43 web1 nginx[7]: ", line)
    }),
    ("rfc5424", |line| {
        before(
            "<134>1 2013-10-31T07:06:43Z web1 nginx 7 - [a b=\"\\\"]\"] \u{feff}",
            line,
        )
    }),
    ("rsyslog's file", |line| {
        before("2013-10-31T07:06:43.1+00:00 web1 nginx[7]: ", line)
    }),
    ("fastly", |line| {
        before("<134>2013-10-31T07:06:43Z web1 nginx[7]: ", line)
    }),
    ("a program", |line| before("nginx[7]: ", line)),
    ("docker", |line| vec![docker(&format!("{line}\n"))]),
    ("docker in pieces", docker_pieces),
    ("cri", |line| vec![cri(line, "F")]),
    ("cri in pieces", cri_pieces),
    ("journal", journal_json),
    ("journal in bytes", journal_bytes),
    ("journal's export", journal_export),
    ("docker around syslog", |line| {
        vec![docker(&format!(
            "<190>Oct 31 07:06:43 web1 nginx: {line}\n"
        ))]
    }),
];

fn text(lines: &[String]) -> Vec<u8> {
    let lines: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
    lines.concat().into_bytes()
}

#[test]
fn a_wrapped_line_counts_as_the_bare_one() {
    for (parser, bare) in [("nginx-combined", NGINX), ("caddy", CADDY)] {
        let expected = replay_with(&["-"], &text(&[bare.to_owned()]));
        assert_eq!(total(&expected, "cdn_failure_beacons_total"), 1);
        for (name, wrapper) in WRAPPERS {
            let lines = wrapper(bare);
            for args in [
                vec!["-"],
                vec!["-", "--parser", parser],
                vec!["-", "--metric", "cdn_failure_beacons_total"],
            ] {
                let document = replay_with(&args, &text(&lines));
                let input = &document["inputs"][0];
                assert_eq!(input["parsed"], 1, "{parser} in {name}: {input}");
                assert_eq!(input["unparsed"], 0, "{parser} in {name}: {input}");
                assert_eq!(total(&document, "cdn_failure_beacons_total"), 1);
                if args.len() < 3 {
                    assert_eq!(document["series"], expected["series"], "{parser} in {name}");
                }
            }
        }
    }
}

/// `explain --json` of lines on standard input, the object of the last line that is a record.
fn explained(lines: &[String]) -> Value {
    let ran = run_with(&["explain", "--json", "-"], &text(lines)).exits(0);
    let mut objects = ran.json_lines();
    objects.retain(|object| object["ok"] == true);
    assert_eq!(objects.len(), 1, "{}", ran.text());
    objects.remove(0)
}

#[test]
fn a_wrapped_line_has_the_fields_of_the_bare_one() {
    for bare in [NGINX, CADDY] {
        let expected = explained(&[bare.to_owned()]);
        for (name, wrapper) in WRAPPERS {
            let mut lines = wrapper(bare);
            // An empty line is no record, which `explain` says of each.
            lines.retain(|line| !line.is_empty());
            let mut got = explained(&lines);
            let fields = got["fields"].as_object_mut().unwrap();
            let host = fields.remove("syslog_host");
            let program = fields.remove("syslog_program");
            assert_eq!(got, expected, "{name}");
            let headed = ["rfc", "sys", "rsyslog", "fastly", "docker around"];
            if headed.iter().any(|begin| name.starts_with(begin)) {
                assert_eq!(host, Some(json!("web1")), "{name}");
                assert_eq!(program, Some(json!("nginx")), "{name}");
            }
        }
    }
}

#[test]
fn pieces_and_lines_of_the_envelope_are_accounted_for() {
    let mut lines = cri_pieces(NGINX);
    lines.push(cri("torn", "P"));
    let document = replay_with(&["-", "--parser=nginx-combined"], &text(&lines));
    let input = &document["inputs"][0];
    assert_eq!(input["rejected"], json!({"piece": 3}));
    assert_eq!(input["parsed"], 1);
    let document = replay_with(&["-"], &text(&journal_export(NGINX)));
    let rejected = &document["inputs"][0]["rejected"];
    assert_eq!(*rejected, json!({"blank": 1, "directive": 4}));
}

#[test]
fn a_record_in_pieces_over_the_limit_is_too_long() {
    let mut lines = cri_pieces(&NGINX.replace("fastly", &"x".repeat(500)));
    lines.extend(cri_pieces(NGINX));
    let args = ["-", "--parser=nginx-combined", "--line-bytes=600"];
    let input = &replay_with(&args, &text(&lines))["inputs"][0];
    assert_eq!(input["rejected"], json!({"piece": 4, "too_long": 1}));
    assert_eq!(input["parsed"], 1);
}

#[test]
fn threads_do_not_cut_between_pieces() {
    let folder = Folder::new();
    let path = folder.path("0.log");
    let mut lines = Vec::new();
    for number in 0..36_000 {
        let line = NGINX.replace("U\\x22A", &number.to_string());
        lines.extend(if number % 2 == 0 {
            cri_pieces(&line)
        } else {
            docker_pieces(&line)
        });
    }
    std::fs::write(&path, text(&lines)).unwrap();
    assert!(
        std::fs::metadata(&path).unwrap().len() > 8 << 20,
        "large enough to be split"
    );
    let counted = |threads: &str| {
        let mut document = replay(&[path.as_str(), threads]);
        document["inputs"][0].take()
    };
    let one = counted("--threads=1");
    assert_eq!(one["parsed"], 36_000);
    assert_eq!(one, counted("--threads=2"));
}

#[test]
fn a_format_of_ones_own_may_read_the_header() {
    let folder = Folder::new();
    let format = r#"
description = "access lines whose time is the header's"
rules = ["origin"]
require = ["syslog_program"]
format.regex = '^(?<time>\S+) \S+ tomcat: (?<remote_addr>\S+) "(?<request>[^"]*)" (?<status>\d+)$'
"#;
    folder.file("parsers/tomcat.toml", format);
    let line = r#"2013-10-31T07:06:42Z web1 tomcat: 127.0.0.1 "GET /a HTTP/1.1" 200"#;
    let parsers = folder.path("parsers");
    let args = [
        "explain",
        "--json",
        "--parsers",
        &parsers,
        "--parser",
        "tomcat",
        line,
    ];
    let object = run_with(&args, b"").exits(0).json_lines().remove(0);
    assert_eq!(object["time"], "2013-10-31T07:06:42Z", "{object}");
    assert_eq!(object["fields"]["syslog_program"], "tomcat", "{object}");
}

#[test]
fn a_pattern_without_anchors_does_not_find_its_fields_in_a_header_of_the_wire() {
    let folder = Folder::new();
    let format = r#"
description = "three words somewhere"
rules = ["origin"]
format.regex = '(?<remote_addr>\S+) (?<time>\S+T\S+) (?<status>\d+)'
"#;
    folder.file("parsers/words.toml", format);
    let bare = "203.0.113.9 2013-10-31T07:06:42Z 200\n";
    let parsers = folder.path("parsers");
    let args = ["-", "--parsers", &parsers, "--parser", "words"];
    let expected = replay_with(&args, bare.as_bytes());
    assert_eq!(total(&expected, "cdn_origin_requests_total"), 1);
    for header in [
        "<134>",
        "<134>2013-10-31T07:00:00Z 204 web1 tomcat[7]: ",
        "<134>1 2013-10-31T07:00:00Z 204 tomcat 7 - - ",
    ] {
        let document = replay_with(&args, format!("{header}{bare}").as_bytes());
        assert_eq!(document["series"], expected["series"], "{header}");
    }
}

#[test]
fn access_lines_without_a_time_of_their_own_are_not_read() {
    let Some(path) = foreign("logs/syslog_wrapped/lnav-syslog_with_access_log.0.log") else {
        return;
    };
    let input = &replay(&[path.to_str().unwrap(), "--parser=apache-common"])["inputs"][0];
    assert_eq!(
        (&input["lines"], &input["unparsed"]),
        (&json!(5), &json!(5))
    );
}

#[test]
fn grep_finds_lines_in_envelopes() {
    let folder = Folder::new();
    for (name, wrapper) in WRAPPERS {
        let path = folder.path("a.log");
        std::fs::write(&path, text(&wrapper(NGINX))).unwrap();
        let ran = run_with(&["grep", "status=\"200\"", &path], b"").exits(0);
        let shown = ran.text();
        assert_eq!(shown.lines().count(), 1, "{name}: {shown}");
        assert!(shown.contains("beacon.gif"), "{name}: {shown}");
        assert!(!shown.contains("203.0.113.9"), "{name}: {shown}");
    }
}
