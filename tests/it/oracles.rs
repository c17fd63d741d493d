//! Real logs of other projects against what independent parsers counted in them.
//!
//! Parsed lines, status, bytes and every minute must be equal: counted with the parser named, with the
//! parser detected, and line by line as `explain` tells them. Where the oracle is stricter than a
//! person, [`exception`] says so. Error logs are in `error_logs.rs`; a log with an oracle that is in
//! neither fails a test.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error_logs::ERROR_FOLDERS;
use crate::program::{foreign, replay, run_with, test_parsers};

/// What is counted in a log, in the oracle's shape.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    parsed: u64,
    unparsed: u64,
    status: BTreeMap<String, u64>,
    bytes: u64,
    /// n, classes and bytes of each minute.
    minutes: BTreeMap<String, BTreeMap<String, u64>>,
}

/// Folder, the parser for its logs, and the parsers that may be detected in it.
const FOLDERS: [(&str, &str, &[&str]); 17] = [
    (
        "nginx_combined",
        "nginx-combined",
        &["nginx-combined", "apache-combined"],
    ),
    (
        "apache_combined",
        "apache-combined",
        &["apache-combined", "nginx-combined"],
    ),
    ("common", "apache-common", &["apache-common"]),
    (
        "vhost_combined",
        "apache-vhost-combined",
        &["apache-vhost-combined"],
    ),
    ("caddy_json", "caddy", &["caddy"]),
    ("cloudflare_json", "cloudflare-http", &["cloudflare-http"]),
    ("envoy_json", "envoy-json", &["envoy-json"]),
    ("nginx_json", "nginx-json", &["nginx-json"]),
    // Of two lines one lost a quote behind the agent: the parser that takes both is chosen.
    ("traefik", "traefik-clf", &["traefik-clf", "nginx-combined"]),
    (
        "aws_cloudfront",
        "cloudfront-standard",
        &["cloudfront-standard"],
    ),
    ("aws_elb_alb", "aws-alb", &["aws-alb"]),
    ("aws_s3", "aws-s3", &["aws-s3"]),
    ("haproxy", "haproxy-http", &["haproxy-http"]),
    (
        "litespeed",
        "litespeed",
        &["litespeed", "apache-combined", "nginx-combined"],
    ),
    ("squid", "squid", &["squid"]),
    ("iis_w3c", "iis", &["iis"]),
    (
        "malformed",
        "apache-combined",
        &["apache-combined", "nginx-combined"],
    ),
];

/// Logs that are not what their folder says.
///
/// Two folders have a log of this name: half of the lines of Apache's are common, half combined.
const OTHER_PARSERS: [(&str, &str); 3] = [
    // Common without referer and agent, as the oracle's `log_format` says.
    (
        "apache_combined/filebeat-2018-darwin-2.4.23.log",
        "apache-common",
    ),
    ("apache_combined/filebeat-2018-test.log", "apache-common"),
    // The log's pipeline writes times out in words: a format of these tests, by name only.
    (NAMED_ONLY, "nginx-custom-date"),
];

const NAMED_ONLY: &str = "nginx_combined/advertools-nginx_custom_date.log";

/// A request without an answer has `-` for its status in Traefik's log: the label of an absent field.
fn absent_status(oracle: &mut Counts) {
    if let Some(n) = oracle.status.remove("-") {
        oracle.status.insert("unknown".to_owned(), n);
    }
    for minute in oracle.minutes.values_mut() {
        if let Some(n) = minute.remove("-xx") {
            minute.insert("uxx".to_owned(), n);
        }
    }
}

/// Makes an oracle of its own second opinion for the one log where the opinions differ and ours is
/// the second: parsed lines, status, bytes, and the minute that all its lines are in.
fn exception(file: &str, oracle: &mut Counts, cross_checks: &Value) {
    // The request of line 2 lost its closing quote, its status and size are there. The strict
    // parser refuses it, scan-B and goaccess read it: a person would.
    if file != "lnav-bad_access_log.0.log" {
        return;
    }
    let lenient = &cross_checks["scan-B (independent byte scanner)"];
    let before = (oracle.parsed, oracle.bytes);
    oracle.parsed = lenient["parsed"].as_u64().unwrap();
    oracle.unparsed = lenient["unparsable"].as_u64().unwrap();
    oracle.status = numbers(&lenient["status"]);
    oracle.bytes = lenient["bytes_sum"].as_u64().unwrap();
    let minute = oracle.minutes.get_mut("2009-07-20T22:59Z").unwrap();
    *minute.get_mut("n").unwrap() += oracle.parsed - before.0;
    *minute.get_mut("bytes").unwrap() += oracle.bytes - before.1;
    minute.insert("4xx".to_owned(), 1);
}

fn numbers(object: &Value) -> BTreeMap<String, u64> {
    let pairs = object.as_object().unwrap().iter();
    pairs
        .map(|(key, n)| (key.clone(), n.as_u64().unwrap()))
        .collect()
}

fn oracle(log: &Path, oracle: &Path) -> Counts {
    let oracle: Value = serde_json::from_slice(&std::fs::read(oracle).unwrap()).unwrap();
    let minutes = oracle["per_minute_utc"].as_object().unwrap().iter();
    let mut counts = Counts {
        parsed: oracle["parsed"].as_u64().unwrap(),
        unparsed: oracle["unparsable"].as_u64().unwrap(),
        status: numbers(&oracle["status"]),
        bytes: oracle["bytes_sum"].as_u64().unwrap(),
        minutes: minutes
            .map(|(minute, counts)| (minute.clone(), numbers(counts)))
            .collect(),
    };
    let file = log.file_name().unwrap().to_str().unwrap();
    exception(file, &mut counts, &oracle["cross_checks"]);
    absent_status(&mut counts);
    counts
}

/// What `explain` says of each line, added up in the same shape.
fn explained(log: &Path, parser: &str) -> Counts {
    let mut counts = Counts::default();
    let text = lines_of(log);
    let parsers = test_parsers();
    let args = ["explain", "--json", "--parser", parser, &parsers];
    let lines = run_with(&args, &text).json_lines();
    for line in lines {
        if line["error"] == "it is a directive" {
            continue;
        }
        if line["ok"] != true {
            counts.unparsed += 1;
            continue;
        }
        counts.parsed += 1;
        let field = |name: &str| line["fields"][name].as_str();
        let status = field("status").unwrap_or("unknown");
        let bytes = field("body_bytes_sent").or(field("bytes_sent"));
        let bytes: u64 = bytes.map_or(0, |bytes| bytes.parse().unwrap());
        *counts.status.entry(status.to_owned()).or_default() += 1;
        counts.bytes += bytes;
        let time = line["time"].as_str().unwrap();
        let minute = counts
            .minutes
            .entry(format!("{}Z", &time[..16]))
            .or_default();
        let class = format!("{}xx", &status[..1]);
        for (key, n) in [("n", 1), ("bytes", bytes), (class.as_str(), 1)] {
            *minute.entry(key.to_owned()).or_default() += n;
        }
    }
    counts
}

/// A log's lines without the blank ones, which `replay` counts apart.
fn lines_of(log: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    let file = std::fs::File::open(log).unwrap();
    if log.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::GzDecoder::new(file)
            .read_to_end(&mut text)
            .unwrap();
    } else {
        std::io::BufReader::new(file)
            .read_to_end(&mut text)
            .unwrap();
    }
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.trim_ascii().is_empty())
        .flatten()
        .copied()
        .collect()
}

/// What was counted, from the output.
fn counted(document: &Value) -> Counts {
    let input = &document["inputs"][0];
    let mut counts = Counts {
        parsed: input["parsed"].as_u64().unwrap(),
        unparsed: input["unparsed"].as_u64().unwrap(),
        ..Counts::default()
    };
    for series in document["series"].as_array().unwrap() {
        let requests = series["metric"] == "requests_total";
        let status = series["labels"]["status"].as_str().unwrap_or_default();
        if requests {
            *counts.status.entry(status.to_owned()).or_default() +=
                series["total"].as_u64().unwrap();
        } else {
            counts.bytes += series["total"].as_u64().unwrap();
        }
        for (time, n) in series["minutes"].as_object().unwrap() {
            let minute = counts
                .minutes
                .entry(format!("{}Z", &time[..16]))
                .or_default();
            let n = n.as_u64().unwrap();
            *minute.entry("bytes".to_owned()).or_default() += if requests { 0 } else { n };
            if requests {
                *minute.entry("n".to_owned()).or_default() += n;
                *minute.entry(format!("{}xx", &status[..1])).or_default() += n;
            }
        }
    }
    counts
}

/// Every log of a folder that has an oracle, and the oracle.
pub(crate) fn logs(folder: &str) -> Vec<(PathBuf, PathBuf)> {
    let Some(folder) = foreign(&format!("logs/{folder}")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let oracle = entry.unwrap().path();
        let name = oracle.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(log) = name.strip_suffix(".oracle.json") else {
            continue;
        };
        let plain = folder.join(log);
        let log = if plain.exists() {
            plain
        } else {
            folder.join(format!("{log}.gz"))
        };
        found.push((log, oracle));
    }
    found.sort();
    assert!(!found.is_empty(), "no oracle in {}", folder.display());
    found
}

fn replayed(log: &Path, parser: Option<&str>) -> Value {
    let mut args = vec![
        log.to_str().unwrap().to_owned(),
        test_parsers(),
        "--rules=oracle".to_owned(),
    ];
    args.extend(parser.map(|name| format!("--parser={name}")));
    replay(&args)
}

/// Compares all logs of a folder with the oracles: parsers named, explained, and detected where there
/// are lines to go by.
fn agrees(folder: &str) {
    let (_, parser, family) = FOLDERS.iter().find(|(name, ..)| *name == folder).unwrap();
    for (log, oracle_file) in logs(folder) {
        let file = log.file_name().unwrap().to_str().unwrap().to_owned();
        let other = OTHER_PARSERS.iter().find(|(name, _)| log.ends_with(name));
        let parser = other.map_or(*parser, |(_, parser)| parser);
        let expected = oracle(&log, &oracle_file);
        assert_eq!(
            counted(&replayed(&log, Some(parser))),
            expected,
            "{file} as {parser}"
        );
        assert_eq!(explained(&log, parser), expected, "{file}, explained");
        if expected.parsed == 0 || log.ends_with(NAMED_ONLY) {
            continue;
        }
        let detected = replayed(&log, None);
        let chosen = detected["inputs"][0]["parser"].as_str().unwrap();
        assert!(
            family.contains(&chosen) || other.is_some_and(|(_, parser)| *parser == chosen),
            "{file}: {chosen}"
        );
        assert_eq!(counted(&detected), expected, "{file}, detected as {chosen}");
        if file.ends_with(".log") {
            rejected_lines_are_those_of_the_oracle(&detected, &oracle_file);
        }
    }
}

/// Blank lines and directives are told apart from lines that could not be read.
fn rejected_lines_are_those_of_the_oracle(document: &Value, oracle: &Path) {
    let oracle: Value = serde_json::from_slice(&std::fs::read(oracle).unwrap()).unwrap();
    let rejected = &document["inputs"][0]["rejected"];
    let blank = rejected["blank"].as_u64().unwrap_or_default();
    assert_eq!(json!(blank), oracle["blank_lines"]);
    assert_eq!(document["inputs"][0]["lines"], oracle["lines"]);
}

#[test]
fn nginx_combined_logs_agree() {
    agrees("nginx_combined");
}

#[test]
fn apache_combined_logs_agree() {
    agrees("apache_combined");
}

#[test]
fn common_logs_agree() {
    agrees("common");
}

#[test]
fn vhost_combined_logs_agree() {
    agrees("vhost_combined");
}

#[test]
fn caddy_logs_agree() {
    agrees("caddy_json");
}

#[test]
fn cloudflare_logs_agree() {
    agrees("cloudflare_json");
}

#[test]
fn nginx_json_logs_agree() {
    agrees("nginx_json");
}

#[test]
fn traefik_logs_agree() {
    agrees("traefik");
}

/// Its lines stand in the envelope of a container runtime.
#[test]
fn envoy_logs_agree() {
    agrees("envoy_json");
}

#[test]
fn cloudfront_logs_agree() {
    agrees("aws_cloudfront");
}

#[test]
fn aws_load_balancer_logs_agree() {
    agrees("aws_elb_alb");
}

#[test]
fn s3_logs_agree() {
    agrees("aws_s3");
}

#[test]
fn squid_logs_agree() {
    agrees("squid");
}

#[test]
fn iis_logs_agree() {
    agrees("iis_w3c");
}

#[test]
fn malformed_logs_agree_with_the_lenient_reading() {
    agrees("malformed");
}

#[test]
fn haproxy_logs_agree() {
    agrees("haproxy");
}

#[test]
fn litespeed_logs_agree() {
    agrees("litespeed");
}

#[test]
fn every_log_with_an_oracle_is_compared() {
    let Some(folder) = foreign("logs") else {
        return;
    };
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let compared = FOLDERS.iter().any(|(folder, ..)| *folder == name)
            || ERROR_FOLDERS.iter().any(|(folder, _)| *folder == name);
        let mut files = std::fs::read_dir(&path).unwrap();
        let oracle = files.any(|file| {
            let file = file.unwrap().file_name();
            file.to_str().unwrap().ends_with(".oracle.json")
        });
        assert!(compared || !oracle, "the logs of {name} are in no test");
    }
}
