//! Laws of `replay`: what must not change the counts, and what must change them in a known way.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::Value;

use crate::generated::{START, log};
use crate::program::{Folder, minutes, replay, replay_with, run_in, total};

/// Everything that was counted, without what names files and places.
fn counts(document: &Value) -> (Value, Value, Value, Vec<[Value; 5]>) {
    let inputs = document["inputs"].as_array().unwrap().iter();
    let lines = inputs
        .map(|input| {
            ["lines", "parsed", "unparsed", "skipped", "rejected"].map(|key| input[key].clone())
        })
        .collect();
    (
        document["series"].clone(),
        document["from"].clone(),
        document["to"].clone(),
        lines,
    )
}

fn gz(text: &[u8]) -> Vec<u8> {
    let mut archive = GzEncoder::new(Vec::new(), Compression::fast());
    archive.write_all(text).unwrap();
    archive.finish().unwrap()
}

#[test]
fn threads_do_not_change_the_counts() {
    let folder = Folder::new();
    // Above 8 MiB a plain file is split into ranges.
    let text = log(70_000, 90, 1);
    assert!(text.len() > 8 << 20);
    let path = folder.file("access.log", &text);
    let one = counts(&replay(&[&path, "--threads=1"]));
    for threads in ["--threads=2", "--threads=7"] {
        assert!(counts(&replay(&[&path, threads])) == one, "{threads}");
    }
}

#[test]
fn archives_count_as_their_text() {
    let folder = Folder::new();
    let text = log(6000, 60, 2).into_bytes();
    let plain = counts(&replay(&[folder.file("plain.log", &text)]));
    let (head, tail) = text.split_at(text.len() / 3);
    let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bz.write_all(&text).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&text).unwrap();
    let zst = |text: &[u8]| zstd::encode_all(text, 1).unwrap();
    let archives = [
        ("a.gz", gz(&text)),
        ("a.zst", zst(&text)),
        ("a.bz2", bz.finish().unwrap()),
        ("a.xz", xz.finish().unwrap()),
        ("members.gz", [gz(head), gz(b""), gz(tail)].concat()),
        ("frames.zst", [zst(head), zst(tail)].concat()),
        ("told-by-magic.log", gz(&text)),
    ];
    for (name, archive) in archives {
        let path = folder.file(name, archive);
        for threads in ["--threads=1", "--threads=2"] {
            assert!(
                counts(&replay(&[path.as_str(), threads])) == plain,
                "{name} {threads}"
            );
        }
    }
}

#[test]
fn spilled_counts_are_the_counts() {
    let folder = Folder::new();
    let path = folder.file("year.log", log(150_000, 525_600, 3));
    let metric = "--metric=cdn_origin_requests_total";
    let whole = counts(&replay(&[&path, metric, "--memory=1024"]));
    assert!(counts(&replay(&[&path, metric, "--memory=1"])) == whole);
    assert!(counts(&replay(&[&path, metric, "--memory=1", "--threads=7"])) == whole);
}

#[test]
fn counts_that_cannot_be_spilled_are_an_error_and_no_result() {
    let folder = Folder::new();
    let path = folder.file("year.log", log(50_000, 525_600, 3));
    let nowhere = Path::new("/nowhere");
    let ran = run_in(nowhere, &["replay", &path, "--memory=1", "-o", "json"], b"").exits(1);
    assert_eq!(ran.text(), "");
    assert!(ran.err.contains("temporary"), "{}", ran.err);
    run_in(nowhere, &["replay", &path, "--memory=1024"], b"").exits(0);
}

#[test]
fn the_order_of_files_does_not_change_the_counts() {
    let folder = Folder::new();
    let paths = [4, 5, 6].map(|seed| folder.file(&format!("{seed}.log"), log(1000, 30, seed)));
    let [a, b, c] = &paths;
    let series = |order: [&String; 3]| counts(&replay(&order)).0;
    assert_eq!(series([a, b, c]), series([c, a, b]));
    let as_folder = replay(&[folder.0.path()]);
    assert_eq!(as_folder["series"], series([a, b, c]));
}

#[test]
fn standard_input_counts_as_a_file() {
    let folder = Folder::new();
    let text = log(3000, 30, 7);
    let file = counts(&replay(&[folder.file("a.log", &text)]));
    assert_eq!(counts(&replay_with(&["-"], text.as_bytes())), file);
    assert_eq!(counts(&replay_with(&["-"], &gz(text.as_bytes()))), file);
}

#[test]
fn carriage_returns_and_a_missing_last_line_end_do_not_change_the_counts() {
    let folder = Folder::new();
    let text = log(2000, 30, 8);
    let lf = counts(&replay(&[folder.file("lf.log", &text)]));
    let crlf = folder.file("crlf.log", text.replace('\n', "\r\n"));
    assert_eq!(counts(&replay(&[crlf])), lf);
    let open = folder.file("open.log", text.trim_end_matches('\n'));
    assert_eq!(counts(&replay(&[open])).0, lf.0);
}

/// The lines with a time in a range.
fn within(text: &str, since: i64, until: i64) -> String {
    let inside = |line: &&str| {
        let time = line
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'));
        time.and_then(|(time, _)| Timestamp::strptime("%d/%b/%Y:%H:%M:%S %z", time).ok())
            .is_some_and(|time| (since..until).contains(&time.as_second()))
    };
    text.lines()
        .filter(inside)
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn since_and_until_choose_the_lines_between() {
    let folder = Folder::new();
    let text = log(4000, 40, 9);
    let (since, until) = (START + 605, START + 1803);
    let chosen = folder.file("chosen.log", within(&text, since, until));
    let all = folder.file("all.log", &text);
    let expected = counts(&replay(&[&chosen]));
    let utc = replay(&[
        &all,
        "--since=2013-10-31T00:10:05Z",
        "--until=2013-10-31T00:30:03Z",
    ]);
    assert_eq!(counts(&utc).0, expected.0);
    let rejected = utc["inputs"][0]["rejected"]["out_of_range"]
        .as_u64()
        .unwrap();
    assert_eq!(utc["inputs"][0]["parsed"], expected.3[0][1]);
    assert!(rejected > 0);
    let local = replay(&[
        &all,
        "--since=2013-10-31T01:10:05",
        "--until=2013-10-31T01:30:03",
        "--timezone=Europe/Berlin",
    ]);
    assert_eq!(counts(&local).0, expected.0);
}

#[test]
fn hours_are_the_sums_of_their_minutes() {
    let folder = Folder::new();
    let path = folder.file("a.log", log(4000, 300, 10));
    let by_minute = replay(&[&path]);
    let by_hour = replay(&[&path, "--step=1h"]);
    for metric in [
        "cdn_origin_requests_total",
        "cdn_origin_response_bytes_total",
        "cdn_failure_beacons_by_pop_total",
    ] {
        let mut sums: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
        for (labels, points) in minutes(&by_minute, metric) {
            let hours = sums.entry(labels).or_default();
            for (time, n) in points {
                let hour = hours
                    .entry(format!("{}:00:00Z", &time[..13]))
                    .or_insert(0.into());
                *hour = (hour.as_u64().unwrap() + n.as_u64().unwrap()).into();
            }
        }
        assert!(!sums.is_empty());
        assert_eq!(minutes(&by_hour, metric), sums);
        assert_eq!(total(&by_hour, metric), total(&by_minute, metric));
    }
    assert_eq!(by_hour["step"], 3600);
}

#[test]
fn by_adds_up_the_other_labels() {
    let folder = Folder::new();
    let path = folder.file("a.log", log(4000, 30, 11));
    let whole = replay(&[&path]);
    let by_provider = replay(&[&path, "--by=provider"]);
    for metric in [
        "cdn_origin_requests_total",
        "cdn_failure_beacons_by_pop_total",
    ] {
        let mut sums: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
        for (labels, points) in minutes(&whole, metric) {
            let labels: Value = serde_json::from_str(&labels).unwrap();
            let key = serde_json::json!({"provider": labels["provider"]}).to_string();
            let known = sums.entry(key).or_default();
            for (time, n) in points {
                let sum = known.entry(time).or_insert(0.into());
                *sum = (sum.as_u64().unwrap() + n.as_u64().unwrap()).into();
            }
        }
        assert!(sums.len() > 3);
        assert_eq!(minutes(&by_provider, metric), sums);
    }
}

#[test]
fn a_metric_alone_is_what_it_is_among_all() {
    let folder = Folder::new();
    let path = folder.file("a.log", log(5000, 30, 12));
    let whole = replay(&[&path]);
    for metric in [
        "cdn_failure_beacons_by_pop_total",
        "cdn_origin_requests_total",
    ] {
        let alone = replay(&[&path, &format!("--metric={metric}")]);
        assert_eq!(minutes(&alone, metric), minutes(&whole, metric));
        assert_eq!(alone["inputs"][0]["lines"], whole["inputs"][0]["lines"]);
    }
    let beacons = replay(&[&path, "--metric=cdn_failure_beacons_total"]);
    assert!(beacons["inputs"][0]["skipped"].as_u64() > Some(3000));
    assert_eq!(whole["inputs"][0]["skipped"], 0);
}
