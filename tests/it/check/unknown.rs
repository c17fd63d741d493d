//! What looks like zero and is not: logs that nobody reads, hosts and targets that are gone, values that were
//! folded into others, a past that is told.

use jiff::Timestamp;

use super::{BEACONS, Counted, Site, ask_graphite, graphite, points, says, server};
use crate::program::run;

const OTHER: &str = "[[log]]\nname = \"other\"\npath = \"PATH/other.log\"\nparser = \"nginx-cdn\"\nfrom = \"start\"\n";

/// Quiet minutes, and another log with this text, or without a file.
fn beside(text: Option<&str>) -> Counted {
    let mut log = Counted::new();
    log.quiet();
    log.more = OTHER.replace("PATH", &log.path(""));
    if let Some(text) = text {
        std::fs::write(log.path("other.log"), text).unwrap();
    }
    log.count();
    log
}

#[test]
fn a_log_that_nobody_reads_or_understands_is_missing_though_others_are_read() {
    says(
        beside(None).check(&format!("{BEACONS} -c 5")),
        "UNKNOWN",
        &["log 'other' has no file, nor a line in 60 min"],
    );
    says(
        beside(Some(&"no line of any format\n".repeat(9))).check(&format!("{BEACONS} -c 5")),
        "UNKNOWN",
        &["none of the 9 lines of log 'other' in 60 min was understood"],
    );
    // Empty is not missing: nothing was asked there.
    says(
        beside(Some("")).check(&format!("{BEACONS} -c 5")),
        "OK",
        &["no failure beacons"],
    );
    says(
        beside(None).check(&format!("{BEACONS} -c 5 --no-data ok")),
        "OK",
        &["no failure beacons"],
    );
}

#[test]
fn a_log_of_unparsed_lines_is_incomplete_above_the_limit() {
    let mut log = Counted::new();
    for ago in 2..7 {
        log.requests(ago, 30, 200, "-");
    }
    let time = Timestamp::from_second(super::minute(2) + 40).unwrap();
    let line = format!("hello [{}]\n", time.strftime("%d/%b/%Y:%H:%M:%S +0000"));
    log.log.push_str(&line.repeat(10));
    log.count();
    says(
        log.check(&format!("{BEACONS} -c 5")),
        "UNKNOWN",
        &[
            "incomplete: 10 of ",
            " lines were not understood, ",
            " % (limit 5 %)",
            " % unparsed",
        ],
    );
}

#[test]
fn what_counts_nothing_or_cannot_be_told_apart_is_refused() {
    let mut log = Counted::new();
    log.quiet();
    log.more = "[limits]\nseries_per_metric = 5\n".to_owned();
    for node in 'A'..='Z' {
        log.beacons(2, 1, "fastly", &format!("cache-x-AA{node}"));
    }
    log.count();
    says(
        log.check("--metric beacontail_incomplete -c 5"),
        "UNKNOWN",
        &["is a gauge"],
    );
    let pops = "--metric cdn_failure_beacons_by_pop_total";
    says(
        log.check(&format!("{pops} --by provider,pop -c fastly=10")),
        "UNKNOWN",
        &["'VALUE,VALUE=RANGE'"],
    );
    says(
        log.check(&format!("{pops}{{provider=\"akamai\"}} --by pop -c 10:")),
        "UNKNOWN",
        &["nobody can say which is missing"],
    );
    says(
        log.check(&format!("{pops} --by pop -c NYC=10")),
        "UNKNOWN",
        &["'NYC' may have been counted as '_other'"],
    );
    says(
        log.check(&format!("{pops}{{pop=\"NYC\"}} -c 10")),
        "UNKNOWN",
        &["what was counted as pop '_other' may be what is asked for"],
    );
    // Lines have their own values, and none of them is this one.
    says(
        log.check(&format!("{pops} --by pop -c 10")),
        "CRITICAL",
        &[
            "_other: ",
            "Lines (of other values, too): beacontail grep 'cdn_failure_beacons_by_pop_total{}'",
        ],
    );
    says(
        log.check(&format!("{BEACONS} -c 500 -c fastyl=10")),
        "OK",
        &["Note: fastyl is named by a threshold, is not declared"],
    );
}

#[test]
fn an_event_is_told_as_it_was_recorded_and_only_if_it_came_before() {
    let mut log = Counted::new();
    log.quiet();
    log.beacons(4, 20, "fastly", "x");
    log.count();
    let store = log.path("state/store.db");
    for (text, at) in [
        ("deploy 1; <b>`id`", "-20m"),
        ("long ago", "-3h"),
        ("after", "-1m"),
    ] {
        run(&["mark", "--store", &store, text, &format!("--at={at}")]).exits(0);
    }
    let text = says(
        log.check(&format!("{BEACONS} -c 5")),
        "CRITICAL",
        &[
            "Newest event: deploy 1, \\x3cb\\x3e\\x60id\\x60, 1",
            " min before (",
        ],
    );
    assert!(!text.contains("after"), "{text}");
    assert!(text.matches(';').count().is_multiple_of(4), "{text}");
}

#[test]
fn a_host_that_is_down_longer_than_its_metric_is_remembered_is_missing() {
    let mut dead = Site::new(0.0);
    dead.dead = true;
    says(
        dead.check(&format!("{BEACONS} -c 5")),
        "UNKNOWN",
        &["web3:9577 is down for more than 1h"],
    );
    let mut partial = Site::new(0.0);
    partial.partial = true;
    says(
        partial.check(&format!("{BEACONS} -c 5")),
        "UNKNOWN",
        &["Prometheus could not read all of it: a peer\\x3b is gone"],
    );
    says(
        Site::new(0.0).check("--metric beacontail_watermark_lag_seconds -c 5"),
        "UNKNOWN",
        &["is no counter by its name"],
    );
}

#[test]
fn of_hosts_whose_series_have_one_name_each_has_to_deliver() {
    let (here, gone) = (points(Some(0.0), 1..60), points(Some(0.0), 3..60));
    let url = graphite(&[("fastly", &here), ("fastly", &gone)], 60);
    says(
        ask_graphite(&url, "-c 5"),
        "UNKNOWN",
        &["'fastly', one of 2 of that name, has no point in 2 of 5 minutes"],
    );
    let url = graphite(&[("fastly", &here), ("fastly", &here)], 60);
    says(ask_graphite(&url, "-c 5"), "OK", &["no failure beacons"]);
}

#[test]
fn each_target_of_graphite_has_to_exist() {
    let at = |ago: i64| super::minute(ago);
    let points: Vec<String> = (1..60)
        .rev()
        .map(|ago| format!("[0,{}]", at(ago)))
        .collect();
    let body = format!(
        "[{{\"target\":\"a\",\"datapoints\":[{}]}}]",
        points.join(",")
    );
    let url = server(move |path| match path.contains("target=slip") {
        true => (200, "[]".to_owned()),
        false => (200, body.clone()),
    });
    says(ask_graphite(&url, "-c 5"), "OK", &[]);
    says(
        ask_graphite(&url, "-c 5 --target slip"),
        "UNKNOWN",
        &["no series for 'slip'"],
    );
}

#[test]
fn a_week_of_minutes_tells_what_is_usual() {
    let mut log = Counted::new();
    for ago in 0..8 * 1440 {
        log.requests(ago, 2, 200, "fastly");
        if ago % 3 == 0 {
            log.beacons(ago, 1, "fastly", "x");
        }
    }
    log.count();
    let anomaly = format!("{BEACONS} --anomaly");
    says(log.check(&anomaly), "OK", &["'fastly'=", " failure beacon"]);
    let requests = "--metric cdn_origin_requests_total --by provider --anomaly";
    says(log.check(requests), "OK", &["10 origin requests in 5 min"]);
    let mut incident = Counted::new();
    incident.log = log.log.clone();
    incident.beacons(2, 30, "fastly", "x");
    incident.count();
    says(
        incident.check(&anomaly),
        "CRITICAL",
        &["fastly: 3", " usual, ", " deviations (limit 10)"],
    );
    let mut young = Counted::new();
    for ago in 0..20 {
        young.requests(ago, 2, 200, "fastly");
    }
    young.once(&[]);
    says(young.check(&anomaly), "UNKNOWN", &["incomplete: "]);
}
