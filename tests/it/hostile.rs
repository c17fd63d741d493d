//! Lines that attack the reader of the output: nothing of them reaches a terminal raw, no address is
//! shown whole, no count goes astray.

use crate::program::{Folder, Ran, minutes, replay, run, run_with};

/// Values that a client can put into its request, unescaped as a careless server would write them.
const VALUES: [&[u8]; 12] = [
    b"\x1b[2J\x1b[31mred",
    b"\x1b]0;title\x07",
    "\u{9b}31m C1".as_bytes(),
    "right \u{202e}left\u{202c} \u{2066}isolate\u{2069}".as_bytes(),
    "zero\u{200b}width \u{feff}mark".as_bytes(),
    b"bell \x07 back\x08space delete \x7f",
    b"carriage\rreturn",
    b"\xff\xfe\xc3 no utf-8 \xed\xa0\x80",
    b"=1+1",
    b"@SUM(A1:A9)",
    b"+cmd|' /C calc'!A0",
    b"\t=tab",
];

/// Nothing but printable text and line feeds, and no address whole.
#[track_caller]
fn is_harmless(ran: &Ran) {
    for text in [&ran.text(), &ran.err] {
        for letter in text.chars() {
            let bad = letter.is_control() && letter != '\n'
                || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' | '\u{feff}');
            assert!(!bad, "U+{:04X} in {text:?}", u32::from(letter));
        }
        assert!(!text.contains("203.0.113.77"), "{text}");
    }
}

/// A line of nginx-cdn with a value in each place that a client fills.
fn line(value: &[u8]) -> Vec<u8> {
    [
        b"203.0.113.77 - ",
        value,
        b" [31/Oct/2013:07:06:42 +0000] \"GET /status/images/beacon.gif?source=fastly&server_identity=",
        value,
        b" HTTP/1.1\" 200 43 \"",
        value,
        b"\" \"",
        value,
        b"\" \"",
        value,
        b"\" 0.000\n",
    ]
    .concat()
}

fn hostile_log() -> Vec<u8> {
    let mut log: Vec<u8> = VALUES.iter().flat_map(|value| line(value)).collect();
    for value in VALUES {
        log.extend_from_slice(b"203.0.113.77 no line ");
        log.extend_from_slice(value);
        log.push(b'\n');
    }
    log
}

#[test]
fn nothing_raw_reaches_the_table() {
    let folder = Folder::new();
    let path = folder.file("access.log", hostile_log());
    is_harmless(&run(&["replay", &path, "-p", "nginx-cdn"]).exits(0));
    is_harmless(&run(&["replay", &path]).exits(0));
}

#[test]
fn samples_of_unparsed_lines_are_masked_in_every_output() {
    let folder = Folder::new();
    let path = folder.file("access.log", hostile_log());
    let json = run(&["replay", &path, "-o", "json", "-p", "nginx-cdn"])
        .exits(0)
        .text();
    assert!(
        json.contains("line_start") && !json.contains("203.0.113.77"),
        "{json}"
    );
}

#[test]
fn control_characters_reach_neither_graphite_nor_csv() {
    let folder = Folder::new();
    let rules = "description = \"agents\"\n[[metric]]\nname = \"agents_total\"\nhelp = \"By agent.\"\nlabels = [\"http_user_agent\"]\n";
    folder.file("p/rules/agents.toml", rules);
    let path = folder.file("access.log", hostile_log());
    let parsers = format!("--parsers={}", folder.path("p"));
    for output in ["graphite", "csv"] {
        let ran = run(&[
            "replay",
            &path,
            "-p",
            "nginx-cdn",
            &parsers,
            "--rules=agents",
            "--prefix=x",
            "-o",
            output,
        ])
        .exits(0);
        let text = ran.text();
        assert!(
            !text.contains('\u{1b}') && !text.contains('\r') && !text.contains('\0'),
            "{output}: {text}"
        );
        for row in text.lines().filter(|_| output == "csv") {
            let cells = row.split(',').map(|cell| cell.trim_start_matches('"'));
            for cell in cells.take(3) {
                assert!(!cell.starts_with(['=', '+', '-', '@', '\t']), "{row}");
            }
        }
    }
}

#[test]
fn nothing_raw_reaches_explain() {
    for value in VALUES {
        let mut one = line(value);
        one.pop();
        is_harmless(&run_with(&["explain", "-"], &one));
        is_harmless(&run_with(&["explain", "-p", "nginx-cdn"], &one).exits(0));
        is_harmless(&run_with(&["explain", "-"], value).exits(1));
        is_harmless(&run_with(&["explain"], &[b"203.0.113.77 no line ", value].concat()).exits(1));
    }
}

#[test]
fn nothing_raw_reaches_grep_unless_asked_for() {
    let folder = Folder::new();
    let path = folder.file("access.log", hostile_log());
    let args = ["grep", "provider=\"fastly\"", &path, "-p", "nginx-cdn"];
    let shown = run(&args).exits(0);
    is_harmless(&shown);
    assert_eq!(shown.text().lines().count(), VALUES.len());
    let raw = run(&[&args[..], &["--raw"]].concat()).exits(0);
    let lines: Vec<u8> = VALUES.iter().flat_map(|value| line(value)).collect();
    assert_eq!(raw.out, lines);
}

#[test]
fn nothing_raw_of_a_file_name_reaches_the_output() {
    let folder = Folder::new();
    let name = "a\u{1b}[31m\n\u{202e}.log";
    let path = folder.file(name, line(b"x"));
    is_harmless(&run(&["replay", &path]).exits(0));
    let odd = folder.file(&format!("odd{name}"), "nothing that is read\n");
    is_harmless(&run(&["replay", &odd]).exits(1));
    is_harmless(&run(&["replay", &folder.path(&format!("missing{name}"))]).exits(1));
}

#[test]
fn a_user_who_is_a_time_does_not_move_the_line() {
    let line = line(b"x [01/Jan/2001:01:01:01 +0000] ");
    let line = String::from_utf8(line).unwrap();
    let log = line.replace(
        "server_identity=x [01/Jan/2001:01:01:01 +0000] ",
        "server_identity=cache-x1-NYC",
    );
    let folder = Folder::new();
    for parser in ["nginx-cdn", "nginx-combined", "apache-combined"] {
        let path = folder.file("access.log", &log);
        let document = replay(&[&path, "-p", parser]);
        let beacons = minutes(&document, "cdn_failure_beacons_total");
        let times: Vec<&String> = beacons.values().flat_map(|points| points.keys()).collect();
        assert_eq!(times, ["2013-10-31T07:06:00Z"], "{parser}");
    }
}

#[test]
fn forged_quotes_do_not_forge_a_status() {
    // As nginx and Apache write an agent of `" 503 9 "-" "x`.
    for (parser, agent) in [
        ("nginx-combined", r"\x22 503 9 \x22-\x22 \x22x"),
        ("apache-combined", r#"\" 503 9 \"-\" \"x"#),
    ] {
        let line = format!(
            "203.0.113.77 - - [31/Oct/2013:07:06:42 +0000] \"GET / HTTP/1.1\" 200 43 \"{agent}\" \"{agent}\""
        );
        let read = run_with(&["explain", "--json", "-p", parser], line.as_bytes())
            .exits(0)
            .json();
        assert_eq!(read["fields"]["status"], "200");
        assert_eq!(read["fields"]["http_user_agent"], "\" 503 9 \"-\" \"x");
        assert_eq!(read["fields"]["http_referer"], "\" 503 9 \"-\" \"x");
    }
}

#[test]
fn a_hole_of_zeros_before_a_line_costs_no_line() {
    let folder = Folder::new();
    let mut log = vec![0; 5000];
    log.extend(line(b"x"));
    log.extend([0; 300]);
    log.push(b'\n');
    log.extend(line(b"x"));
    let document = replay(&[folder.file("access.log", log)]);
    let input = &document["inputs"][0];
    assert_eq!(
        (&input["lines"], &input["parsed"]),
        (&3.into(), &2.into()),
        "{input}"
    );
    assert_eq!(input["rejected"]["nul_run"], 1);
}

#[test]
fn a_line_of_two_megabytes_is_rejected_and_the_next_one_read() {
    let folder = Folder::new();
    let mut log = line(b"x");
    log.extend(line(&vec![b'a'; 2 << 20]));
    log.extend(line(b"y"));
    let path = folder.file("access.log", log);
    for threads in ["--threads=1", "--threads=2"] {
        let document = replay(&[&path, threads]);
        let input = &document["inputs"][0];
        assert_eq!(input["rejected"]["too_long"], 1, "{input}");
        assert_eq!(input["parsed"], 2, "{input}");
    }
}

#[test]
fn bytes_that_are_no_utf_8_become_replacement_characters_in_labels() {
    let folder = Folder::new();
    let log = line(b"cache-x1-\xff\xfe");
    let document = replay(&[folder.file("access.log", log)]);
    let labels = minutes(&document, "cdn_failure_beacons_by_pop_total");
    assert!(labels.keys().next().unwrap().contains("unknown"));
}

#[test]
fn formulas_in_labels_are_no_formulas_in_csv() {
    let folder = Folder::new();
    let path = folder.file("access.log", line(b"=cmd|' /C calc'!A0"));
    let csv = run(&["replay", &path, "-o", "csv"]).exits(0).text();
    assert!(
        csv.lines()
            .all(|row| !row.contains(",=") && !row.contains(",\"=")),
        "{csv}"
    );
}

#[test]
fn lines_of_columns_that_ran_together_are_not_read_shifted() {
    let squid = "1286536308.779    180 192.168.0.224 TCP_MISS/1286536309.450  60917 2001:db8::7 TCP_TUNNEL/200 20670 CONNECT www.example.com:443 alice HIER_DIRECT/2001:db8::1 ";
    let elb = "2015-05-13T23:39:43.945958Z 2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 \"GET http://www.example.com:80/ HTTP/1.1\" \"curl/7.38.0\" - -";
    let realtime = "1731699951.183\t192.0.2.24\t1731699951.183\t192.0.2.24\t0.001\t200\t392\tGET\thttps\td1.cloudfront.net\t/index.html\t23";
    for (parser, line) in [
        ("squid", squid),
        ("aws-elb", elb),
        ("cloudfront-realtime", realtime),
    ] {
        run_with(&["explain", "-p", parser], line.as_bytes()).exits(1);
    }
}
