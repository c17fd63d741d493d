//! `check` as Nagios runs it: one line first, the exit code, and never OK for what is not known. Stores
//! are made by `once`; Prometheus and Graphite are servers that say what a test puts into their mouths.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use crate::program::{Folder, Ran, run};

mod unknown;

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn minute(ago: i64) -> i64 {
    now().div_euclid(60) * 60 - 60 * ago
}

/// A log and the store that `once` makes of it.
struct Counted {
    folder: Folder,
    log: String,
    /// More of its configuration.
    more: String,
}

impl Counted {
    fn new() -> Counted {
        let folder = Folder::new();
        fs::create_dir(folder.0.path().join("state")).unwrap();
        let (log, more) = (String::new(), String::new());
        Counted { folder, log, more }
    }

    fn path(&self, name: &str) -> String {
        self.folder.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// A request in the minute so long ago.
    fn line(&mut self, ago: i64, target: &str, code: u16, provider: &str) {
        let time = Timestamp::from_second(minute(ago) + 30).unwrap();
        let time = time.strftime("%d/%b/%Y:%H:%M:%S +0000");
        writeln!(
            self.log,
            "192.0.2.7 - - [{time}] \"GET {target} HTTP/1.1\" {code} 43 \"-\" \"-\" \"{provider}\" 0.1"
        )
        .unwrap();
    }

    fn beacons(&mut self, ago: i64, n: usize, source: &str, node: &str) {
        for _ in 0..n {
            let target =
                format!("/status/images/beacon.gif?source={source}&server_identity={node}");
            self.line(ago, &target, 200, "-");
        }
    }

    fn requests(&mut self, ago: i64, n: usize, code: u16, provider: &str) {
        for _ in 0..n {
            self.line(ago, "/", code, provider);
        }
    }

    /// Quiet minutes: one request of nobody in each of the newest.
    fn quiet(&mut self) {
        for ago in (0..90).rev() {
            self.requests(ago, 1, 200, "-");
        }
    }

    fn count(&self) {
        self.once(&["--backfill"]);
    }

    fn once(&self, more: &[&str]) {
        let mut lines: Vec<&str> = self.log.lines().collect();
        lines.sort_by_key(|line| line.split(['[', ']']).nth(1).map(str::to_owned));
        fs::write(self.path("access.log"), lines.join("\n") + "\n").unwrap();
        let config = format!(
            "[[log]]\nname = \"access\"\npath = {:?}\nparser = \"nginx-cdn\"\nfrom = \"start\"\n[store]\npath = {:?}\n{}",
            self.path("access.log"),
            self.path("state/store.db"),
            self.more,
        );
        fs::write(self.path("beacontail.toml"), config).unwrap();
        let config = self.path("beacontail.toml");
        let mut all = vec!["once", "--close", "-c", &config];
        all.extend(more);
        run(&all).exits(0);
    }

    /// `check` with these arguments and the store.
    fn check(&self, args: &str) -> Ran {
        let store = self.path("state/store.db");
        let mut all = vec!["check", "--store", &store];
        all.extend(args.split_whitespace());
        run(&all)
    }
}

const BEACONS: &str = "--metric cdn_failure_beacons_total --by provider";

/// Fails unless the answer is of this state, has these parts, and is fit for Nagios.
#[track_caller]
fn says(ran: Ran, state: &str, parts: &[&str]) -> String {
    let code = ["OK", "WARNING", "CRITICAL", "UNKNOWN"];
    let code = code.iter().position(|word| *word == state).unwrap();
    let text = ran.exits(i32::try_from(code).unwrap()).text();
    let first = text.lines().next().unwrap();
    assert!(
        first.starts_with(&format!("BEACONTAIL {state} - ")),
        "{text}"
    );
    assert!(text.len() < 4096 && text.ends_with('\n'), "{text}");
    assert!(
        !text.contains(['\x1b', '\u{202e}', '`', '<', '$']),
        "{text}"
    );
    assert_eq!(
        first.matches('|').count(),
        text.matches('|').count(),
        "{text}"
    );
    assert!(first.matches('|').count() <= 1, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part}\n{text}");
    }
    text
}

#[test]
fn an_incident_is_critical_and_says_all_that_somebody_needs() {
    let mut log = Counted::new();
    log.quiet();
    for ago in 10..80 {
        log.requests(ago, 10, 200, "fastly");
    }
    for ago in 1..7 {
        log.requests(ago, 10, 200, "fastly");
        log.beacons(ago, 9, "fastly", "cache-ny57-NYC");
        log.beacons(ago, 3, "fastly", "cache-lhr1-LHR");
    }
    log.beacons(2, 2, "akamai", "x");
    log.count();
    let ran = log.check(&format!("{BEACONS} -w 10 -c 50"));
    let text = says(
        ran,
        "CRITICAL",
        &[
            "fastly: ",
            " failure beacons in 5 min (limit 50), since ",
            "akamai 2",
            "POP: NYC ",
            "(75 %)",
            "LHR",
            "countries: unknown",
            "Origin: it answered ",
            "it does not see it",
            "Lines: beacontail grep 'cdn_failure_beacons_total{provider=\"fastly\"}' --since 20",
            "access.log",
            "Ticket: fastly (POP NYC, LHR",
            " 5xx",
            "Data: ",
            "no agent is running",
            "'fastly'=",
        ],
    );
    // What is to be pasted shows the lines.
    let grep = text
        .lines()
        .find_map(|line| line.strip_prefix("Lines: beacontail "))
        .unwrap();
    let words: Vec<String> = grep
        .split(' ')
        .map(|word| word.trim_matches('\'').to_owned())
        .collect();
    let found = run(&words).exits(0);
    assert_eq!(found.text().lines().count(), 72, "{grep}\n{}", found.text());
}

#[test]
fn thresholds_of_a_value_stand_before_the_common_one() {
    let mut log = Counted::new();
    log.quiet();
    log.beacons(2, 20, "fastly", "x");
    log.beacons(2, 4, "akamai", "x");
    log.count();
    says(
        log.check(&format!("{BEACONS} -c 50")),
        "OK",
        &["fastly 20", "akamai 4"],
    );
    says(
        log.check(&format!("{BEACONS} -c 50 -w akamai=3")),
        "WARNING",
        &["akamai: 4"],
    );
    says(
        log.check(&format!("{BEACONS} -c fastly=~:10 -c 50")),
        "CRITICAL",
        &["fastly: 20"],
    );
    says(
        log.check(&format!("{BEACONS} -c 50 -c cloudflare=1:")),
        "CRITICAL",
        &["cloudflare: 0", "at least 1 expected"],
    );
    says(
        log.check("--metric cdn_failure_beacons_total -c 20"),
        "CRITICAL",
        &["24 failure beacons"],
    );
    says(
        log.check("--metric cdn_failure_beacons_total{provider=\"akamai\"} -c 20"),
        "OK",
        &["4 failure beacons"],
    );
    says(
        log.check(&format!("{BEACONS} -c 0.05 --rate")),
        "CRITICAL",
        &["a second"],
    );
    says(
        log.check(&format!("{BEACONS} -c 10 --min-minutes 2")),
        "OK",
        &["Not judged: fastly: only 1 min"],
    );
}

#[test]
fn zero_no_data_and_incomplete_are_three_things() {
    let mut zero = Counted::new();
    zero.quiet();
    zero.count();
    says(
        zero.check(&format!("{BEACONS} -c 5")),
        "OK",
        &["no failure beacons in 5 min", "'fastly'=0;"],
    );
    // The site fell silent: the data goes on without a line.
    let mut silent = Counted::new();
    for ago in 20..40 {
        silent.requests(ago, 1, 200, "-");
    }
    silent.count();
    let text = says(
        silent.check(&format!("{BEACONS} -c 5")),
        "UNKNOWN",
        &["'fastly'=U"],
    );
    assert!(text.contains("no data") || text.contains("stale"), "{text}");
    // A store that began just now has not wholly seen the minutes before.
    let mut young = Counted::new();
    young.quiet();
    young.once(&[]);
    says(
        young.check(&format!("{BEACONS} -c 5")),
        "UNKNOWN",
        &["incomplete: ", "wholly seen"],
    );
    let mut missed = Counted::new();
    missed.quiet();
    for _ in 0..30 {
        missed.line(2, "/status/images/beacon.gif?source=", 200, "-");
    }
    missed.count();
    says(
        missed.check(&format!("{BEACONS} -c 5")),
        "UNKNOWN",
        &["near misses"],
    );
    // What is too much already is not less for being incomplete.
    missed.beacons(2, 20, "fastly", "x");
    let again = Counted {
        folder: Folder::new(),
        log: missed.log.clone(),
        more: String::new(),
    };
    fs::create_dir(again.folder.0.path().join("state")).unwrap();
    again.count();
    says(
        again.check(&format!("{BEACONS} -c 5")),
        "CRITICAL",
        &["fastly: at least 20"],
    );
}

#[test]
fn a_ratio_is_judged_by_what_it_is_at_least() {
    let mut log = Counted::new();
    log.quiet();
    log.requests(2, 200, 200, "fastly");
    log.beacons(2, 40, "fastly", "x");
    log.requests(3, 10, 200, "akamai");
    log.beacons(3, 9, "akamai", "x");
    log.count();
    let ratio = "--ratio cdn_failure_beacons_total/cdn_origin_requests_total --by provider";
    says(
        log.check(&format!("{ratio} -w 5 -c 12")),
        "CRITICAL",
        &[
            "fastly: at least 1",
            " %, ",
            "40 failure beacons for 200 origin requests",
            "Not judged: akamai: only 10 events",
        ],
    );
    says(log.check(&format!("{ratio} -w 19 -c 90")), "OK", &[]);
}

#[test]
fn hostile_values_stay_values() {
    let mut log = Counted::new();
    log.quiet();
    let long = "A".repeat(4096);
    for node in [
        "cache-%7C%60id%60",
        "%1b[31m-%E2%80%AENYC",
        "x%27%22;rm%20-rf-ABC",
        long.as_str(),
    ] {
        log.beacons(2, 20, "fastly", node);
    }
    log.requests(2, 30, 200, "fa|st`ly\u{202e}<b>");
    log.count();
    says(
        log.check(&format!("{BEACONS} -c 5")),
        "CRITICAL",
        &["fastly: 80"],
    );
    says(
        log.check("--metric cdn_failure_beacons_by_pop_total --by provider,pop -c 5"),
        "CRITICAL",
        &["fastly,"],
    );
    says(
        log.check("--metric cdn_origin_requests_total --by provider,code -c 5"),
        "CRITICAL",
        &["other,2xx: 30"],
    );
}

#[test]
fn what_does_not_exist_is_unknown_and_says_what_there_is() {
    let mut log = Counted::new();
    log.quiet();
    log.count();
    says(
        log.check("--metric cdn_failure_beacon_total -c 1"),
        "UNKNOWN",
        &["'cdn_failure_beacons_total'"],
    );
    says(
        log.check("--metric cdn_failure_beacons_total --by pop -c 1"),
        "UNKNOWN",
        &["no label", "provider"],
    );
    says(
        run(&[
            "check",
            "--store",
            "/nonexistent/store.db",
            "--metric",
            "a",
            "-c",
            "1",
        ]),
        "UNKNOWN",
        &["/nonexistent/store.db"],
    );
    let not_a_store = log.path("access.log");
    says(
        run(&["check", "--store", &not_a_store, "--metric", "a", "-c", "1"]),
        "UNKNOWN",
        &["access.log"],
    );
}

#[test]
fn every_way_to_call_it_wrongly_is_unknown_in_one_line() {
    for (args, part) in [
        ("", "nothing to look at"),
        ("--metric", "value is required"),
        ("--metric a -c 1 --nonsense", "--nonsense"),
        ("--metric a -c 1 --min-sample x", "invalid value"),
        ("--metric a -c 20:10", "above its end"),
        ("--metric a", "nothing would ever be"),
        (
            "--metric a -c 1 --store x --prometheus http://y",
            "cannot be used with",
        ),
        ("--metric a -c 1 --graphite http://y", "--target"),
        (
            "--metric a -c 1 --agent localhost:9577",
            "no address of a server",
        ),
        (
            "--metric a -c 1 --agent http://u:p@localhost",
            "without user and password",
        ),
        (
            "--metric a -c 1 --auth-file /nonexistent",
            "cannot read /nonexistent",
        ),
        (
            "--metric a -c 1 --agent https://localhost:1 --cacert /dev/null",
            "no certificate in it",
        ),
        (
            "--metric a -c 1 --agent http://127.0.0.1:1",
            "is the agent running?",
        ),
        (
            "--metric a -c 1 --agent http://nonexistent.invalid:1",
            "not found",
        ),
    ] {
        let mut all = vec!["check"];
        all.extend(args.split_whitespace());
        let text = says(run(&all), "UNKNOWN", &[part]);
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    for word in ["--help", "--version"] {
        let ran = run(&["check", word]);
        assert_eq!(
            ran.code,
            if word == "--help" { 3 } else { ran.code },
            "{word}"
        );
    }
}

/// A server that answers each path with a text.
fn server(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), Arc::clone(&answer));
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default();
                let (status, body) = answer(&decoded(path));
                let head = match status {
                    302 => format!("HTTP/1.1 302 Found\r\nLocation: {body}\r\n"),
                    _ => format!("HTTP/1.1 {status} So\r\n"),
                };
                let length = body.len();
                let text =
                    format!("{head}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}");
                drop(stream.write_all(text.as_bytes()));
            });
        }
    });
    address
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn servers_that_misbehave_are_unknown() {
    let asked = |url: &str| {
        run(&[
            "check",
            "--metric",
            "a",
            "-c",
            "1",
            "--timeout",
            "2s",
            "--agent",
            url,
        ])
    };
    let html = server(|_| (200, "<html>".to_owned()));
    says(asked(&html), "UNKNOWN", &["is --agent its address?"]);
    let no = server(|_| (503, "{\"error\":\"not yet: | <b>\"}".to_owned()));
    says(asked(&no), "UNKNOWN", &["answered 503", "not yet"]);
    let away = server(|_| (302, "http://192.0.2.1/".to_owned()));
    says(asked(&away), "UNKNOWN", &["another server"]);
    let round = server(|_| (302, "/again".to_owned()));
    says(asked(&round), "UNKNOWN", &["circle"]);
    let endless = server(|_| (200, " ".repeat(33 << 20)));
    says(asked(&endless), "UNKNOWN", &["longer than 32 MiB"]);
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", hangs.local_addr().unwrap());
    let text = says(asked(&address), "UNKNOWN", &[]);
    assert!(text.contains("within 2 s"), "{text}");
}

/// A Prometheus of one counter of fastly on two hosts, growing by so much a minute for the last ten.
#[derive(Clone)]
struct Site {
    growth: f64,
    up: BTreeMap<&'static str, bool>,
    catching_up: bool,
    empty: bool,
    /// The second host's counter is there since so many minutes only.
    began: i64,
    /// Another target of the job is down, longer than anybody remembers.
    dead: bool,
    /// A part of each answer could not be read.
    partial: bool,
}

impl Site {
    fn new(growth: f64) -> Site {
        Site {
            growth,
            up: BTreeMap::from([("web1", true), ("web2", true)]),
            catching_up: false,
            empty: false,
            began: 1000,
            dead: false,
            partial: false,
        }
    }

    fn serve(self) -> String {
        server(move |path| (200, self.answer(path)))
    }

    fn answer(&self, path: &str) -> String {
        let (_, query) = path.split_once('?').unwrap();
        let parameters: BTreeMap<&str, &str> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .collect();
        // Matchers hold `=` and no `&`.
        let asked = parameters["query"];
        let number = |name: &str| parameters.get(name).and_then(|n| n.parse::<i64>().ok());
        let mut results = Vec::new();
        if self.dead && asked.starts_with("up{") {
            let dead = "{\"job\":\"beacontail\",\"instance\":\"web3:9577\"}";
            results.push(format!("{{\"metric\":{dead},\"value\":[0,\"0\"]}}"));
        }
        for (host, up) in &self.up {
            let labels = |more: &str| {
                format!("{{\"job\":\"beacontail\",\"instance\":\"{host}:9577\"{more}}}")
            };
            let series: Vec<(String, &str)> = match asked {
                _ if self.empty => Vec::new(),
                q if q.starts_with("last_over_time(up") => vec![(labels(""), "up")],
                q if q.starts_with("cdn_failure_beacons_total") => {
                    vec![
                        (labels(",\"provider\":\"fastly\""), "beacons"),
                        (labels(",\"provider\":\"akamai\""), "zero"),
                    ]
                }
                q if q.starts_with("beacontail_lines_total") => {
                    vec![(labels(",\"result\":\"parsed\""), "lines")]
                }
                q if q.starts_with("timestamp(beacontail_catching_up") => {
                    vec![(labels(""), "time")]
                }
                q if q.starts_with("beacontail_catching_up") => vec![(labels(""), "catching")],
                q if q.starts_with("min by (job, instance) (timestamp(") => {
                    vec![(labels(""), "time")]
                }
                _ => Vec::new(),
            };
            for (labels, kind) in series {
                let value = |at: i64| self.value(kind, host, at);
                match (number("start"), number("end"), number("step")) {
                    (Some(start), Some(end), Some(step)) => {
                        let steps = (start..=end).step_by(usize::try_from(step).unwrap());
                        let values: Vec<String> = steps
                            .filter(|at| *up || kind == "up" || *at < minute(3))
                            .filter(|at| {
                                kind != "beacons" || *host == "web1" || *at >= minute(self.began)
                            })
                            .map(|at| format!("[{at},\"{}\"]", value(at.min(now()))))
                            .collect();
                        results.push(format!(
                            "{{\"metric\":{labels},\"values\":[{}]}}",
                            values.join(",")
                        ));
                    }
                    _ if *up || kind == "up" => {
                        results.push(format!(
                            "{{\"metric\":{labels},\"value\":[{},\"{}\"]}}",
                            now(),
                            value(now())
                        ));
                    }
                    _ => {}
                }
            }
        }
        let warnings = match self.partial {
            true => ",\"warnings\":[\"a peer; is gone\"]",
            false => "",
        };
        format!(
            "{{\"status\":\"success\"{warnings},\"data\":{{\"resultType\":\"x\",\"result\":[{}]}}}}",
            results.join(",")
        )
    }

    #[expect(clippy::cast_precision_loss, reason = "small")]
    fn value(&self, kind: &str, host: &str, at: i64) -> f64 {
        match kind {
            "up" => f64::from(u8::from(self.up[host])),
            "beacons" => {
                let minutes = (at - minute(10)).clamp(0, 600).div_euclid(60) as f64;
                5000.0 + self.growth * minutes
            }
            "lines" => (at / 60 * 100 - 2_900_000_000 / 60 * 100) as f64,
            "time" => at as f64,
            "catching" => f64::from(u8::from(self.catching_up && at > minute(3))),
            _ => 0.0,
        }
    }

    fn check(self, args: &str) -> Ran {
        let url = self.serve();
        let mut all = vec!["check", "--prometheus", &url];
        all.extend(args.split_whitespace());
        run(&all)
    }
}

#[test]
fn prometheus_counts_are_differences_over_all_hosts() {
    says(
        Site::new(7.0).check(&format!("{BEACONS} -c 60")),
        "CRITICAL",
        &["fastly: 70 failure beacons in 5 min", "'akamai'=0;"],
    );
    says(
        Site::new(7.0).check(&format!("{BEACONS} -c 70")),
        "OK",
        &["70 failure beacons"],
    );
    says(
        Site::new(0.0).check(&format!("{BEACONS} -c 0")),
        "OK",
        &["no failure beacons"],
    );
}

#[test]
fn prometheus_without_a_host_is_unknown_and_never_ok() {
    let mut down = Site::new(0.0);
    down.up.insert("web2", false);
    says(
        down.check(&format!("{BEACONS} -c 0")),
        "UNKNOWN",
        &["web2:9577 is not scraped since"],
    );
    let mut down = Site::new(9.0);
    down.up.insert("web2", false);
    says(
        down.check(&format!("{BEACONS} -c 10")),
        "CRITICAL",
        &["fastly: at least"],
    );
    let mut behind = Site::new(0.0);
    behind.catching_up = true;
    says(
        behind.check(&format!("{BEACONS} -c 0")),
        "UNKNOWN",
        &["catching up"],
    );
    let mut empty = Site::new(0.0);
    empty.empty = true;
    says(
        empty.check(&format!("{BEACONS} -c 0")),
        "UNKNOWN",
        &["no data, which is not 0"],
    );
}

#[test]
fn a_series_that_begins_in_prometheus_counts_from_zero_once() {
    let mut began = Site::new(0.0);
    began.began = 3;
    // 5000 at once on a host that was there before: it counted them then.
    says(
        began.check(&format!("{BEACONS} -c 10")),
        "CRITICAL",
        &["fastly: 5,000"],
    );
}

/// Name of a target, and its values by time.
type Target<'t> = (&'t str, &'t [(i64, Option<f64>)]);

/// A Graphite with points of so many minutes ago.
fn graphite(series: &[Target<'_>], step: i64) -> String {
    let series: Vec<String> = series
        .iter()
        .map(|(name, points)| {
            let points: Vec<String> = points
                .iter()
                .map(|(ago, value)| {
                    let value = value.map_or("null".to_owned(), |value| value.to_string());
                    format!("[{value},{}]", now().div_euclid(60) * 60 - ago * step)
                })
                .collect();
            format!(
                "{{\"target\":{name:?},\"tags\":{{}},\"datapoints\":[{}]}}",
                points.join(",")
            )
        })
        .collect();
    let body = format!("[{}]", series.join(","));
    server(move |_| (200, body.clone()))
}

fn ask_graphite(url: &str, args: &str) -> Ran {
    let mut all = vec![
        "check",
        "--graphite",
        url,
        "--target",
        "web.*",
        "--metric",
        "cdn_failure_beacons_total",
    ];
    all.extend(args.split_whitespace());
    run(&all)
}

fn points(value: Option<f64>, range: std::ops::Range<i64>) -> Vec<(i64, Option<f64>)> {
    range.rev().map(|ago| (ago, value)).collect()
}

#[test]
fn graphite_has_the_same_states() {
    let (busy, calm) = (points(Some(20.0), 1..60), points(Some(0.0), 1..60));
    let url = graphite(&[("fastly", &busy), ("akamai", &calm)], 60);
    says(
        ask_graphite(&url, "-c 99"),
        "CRITICAL",
        &[
            "fastly: 100 failure beacons",
            "'akamai'=0;",
            "5 of 5 minutes have points",
        ],
    );
    says(ask_graphite(&url, "-c 100"), "OK", &["100 failure beacons"]);
    says(
        ask_graphite(&url, "-c 1000 -w akamai=1:"),
        "WARNING",
        &["akamai: 0"],
    );
}

#[test]
fn what_graphite_does_not_know_is_not_zero() {
    let none = points(None, 1..60);
    let url = graphite(&[("fastly", &none)], 60);
    says(ask_graphite(&url, "-c 5"), "UNKNOWN", &["no data"]);
    let url = graphite(&[], 60);
    says(
        ask_graphite(&url, "-c 5"),
        "UNKNOWN",
        &["no series", "which is not 0"],
    );
    let old = points(Some(0.0), 30..60);
    let url = graphite(&[("fastly", &old)], 60);
    says(ask_graphite(&url, "-c 5"), "UNKNOWN", &["stale"]);
    let (part, whole) = (points(Some(0.0), 3..60), points(Some(0.0), 1..60));
    let url = graphite(&[("fastly", &part), ("akamai", &whole)], 60);
    says(
        ask_graphite(&url, "-c 5"),
        "UNKNOWN",
        &["fastly", "transformNull"],
    );
    let coarse = points(Some(0.0), 1..20);
    let url = graphite(&[("fastly", &coarse)], 300);
    says(
        ask_graphite(&url, "-c 5"),
        "UNKNOWN",
        &["not each minute", "storage-schemas.conf"],
    );
    let calm = points(Some(0.0), 1..60);
    let url = graphite(&[("fastly", &calm)], 60);
    says(ask_graphite(&url, "-c 5 --incomplete-target x"), "OK", &[]);
    let flagged = points(Some(1.0), 1..60);
    let url = graphite(&[("fastly", &flagged)], 60);
    says(
        ask_graphite(&url, "-c 50 --incomplete-target x"),
        "UNKNOWN",
        &["incomplete"],
    );
}

#[test]
fn secrets_of_files_are_sent_and_those_that_all_can_read_are_told() {
    let folder = Folder::new();
    let file: PathBuf = folder.0.path().join("auth");
    fs::write(&file, "nagios:word\n").unwrap();
    let calm = points(Some(0.0), 1..60);
    let url = graphite(&[("fastly", &calm)], 60);
    let ran = ask_graphite(&url, &format!("-c 5 --auth-file {}", file.display()));
    says(ran, "OK", &["everybody on this host can read"]);
    fs::write(&file, "nagios").unwrap();
    let ran = ask_graphite(&url, &format!("-c 5 --auth-file {}", file.display()));
    says(ran, "UNKNOWN", &["user:password"]);
}
