//! The shapes of what `replay` writes for machines.

use assert_cmd::Command;
use serde_json::{Value, json};

use crate::generated::log;
use crate::program::{Folder, left_out, replay, run};

const LOG: &str = r#"203.0.113.9 - - [31/Oct/2013:07:06:42 +0000] "GET /status/images/beacon.gif?source=fastly&server_identity=cache-ny57-NYC HTTP/1.1" 200 43 "-" "a" "-" 0.000
203.0.113.9 - - [31/Oct/2013:07:06:43 +0000] "GET /shop HTTP/1.1" 200 1000 "-" "a" "fastly" 0.020
203.0.113.9 - - [31/Oct/2013:07:07:59 +0000] "GET /shop HTTP/1.1" 503 12 "-" "a" "fastly" 1.5

203.0.113.9 - - [31/Oct/2013:07:99:59 +0000] "GET /shop HTTP/1.1" 200 12 "-" "a" "fastly" 0.1
not a line
"#;

fn small(folder: &Folder) -> String {
    folder.file("access.log", LOG)
}

/// The keys of an object, sorted.
fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[test]
fn json_has_the_promised_keys() {
    let folder = Folder::new();
    let path = small(&folder);
    let document = replay(&[&path]);
    assert_eq!(document["version"], 1);
    for key in ["version", "inputs", "from", "to", "series"] {
        assert!(keys(&document).contains(&key), "{key}");
    }
    let input = &document["inputs"][0];
    for key in [
        "path",
        "parser",
        "bytes",
        "lines",
        "parsed",
        "unparsed",
        "skipped",
        "rejected",
        "duplicate_of",
    ] {
        assert!(keys(input).contains(&key), "{key}");
    }
    assert_eq!(input["path"], path.as_str());
    assert_eq!(input["parser"], "nginx-cdn");
    assert_eq!(input["bytes"], LOG.len());
    assert_eq!(input["lines"], 6);
    assert_eq!(input["parsed"], 3);
    assert_eq!(input["unparsed"], 1);
    assert_eq!(input["rejected"], json!({"blank": 1, "bad_time": 1}));
    assert_eq!(input["duplicate_of"], Value::Null);
    assert_eq!(document["from"], "2013-10-31T07:06:00Z");
    assert_eq!(document["to"], "2013-10-31T07:08:00Z");
}

#[test]
fn a_counter_has_its_minutes_and_its_total() {
    let folder = Folder::new();
    let document = replay(&[small(&folder)]);
    let series = document["series"].as_array().unwrap();
    let find = |metric: &str, labels: Value| {
        series
            .iter()
            .find(|series| series["metric"] == metric && series["labels"] == labels)
            .unwrap()
    };
    let beacons = find(
        "cdn_failure_beacons_by_pop_total",
        json!({"provider": "fastly", "pop": "NYC"}),
    );
    assert_eq!(
        keys(beacons),
        ["labels", "metric", "minutes", "total", "type"]
    );
    assert_eq!(beacons["type"], "counter");
    assert_eq!(beacons["total"], 1);
    assert_eq!(beacons["minutes"], json!({"2013-10-31T07:06:00Z": 1}));
    let bytes = find(
        "cdn_origin_response_bytes_total",
        json!({"provider": "fastly"}),
    );
    assert_eq!(bytes["total"], 1012);
    let durations = find(
        "cdn_origin_request_duration_seconds",
        json!({"provider": "fastly"}),
    );
    assert_eq!(durations["type"], "histogram");
    let minute = &durations["minutes"]["2013-10-31T07:07:00Z"];
    assert_eq!(keys(minute), ["buckets", "count", "sum"]);
    assert_eq!(
        (&minute["sum"], &minute["count"]),
        (&json!("1.5"), &json!(1))
    );
    let buckets = &durations["total"]["buckets"];
    assert_eq!(
        (
            &buckets["0.01"],
            &buckets["0.025"],
            &buckets["2.5"],
            &buckets["+Inf"]
        ),
        (&json!(0), &json!(1), &json!(2), &json!(2))
    );
    assert_eq!(durations["total"]["sum"], "1.52");
}

#[test]
fn csv_has_a_row_for_each_value() {
    let folder = Folder::new();
    let csv = run(&["replay", &small(&folder), "-o", "csv"])
        .exits(0)
        .text();
    assert!(csv.starts_with("time,metric,labels,value\n"));
    for row in [
        r#"2013-10-31T07:06:00Z,cdn_failure_beacons_by_pop_total,"provider=""fastly"",pop=""NYC""",1"#,
        r#"2013-10-31T07:07:00Z,cdn_origin_requests_total,"provider=""fastly"",code=""503""",1"#,
        r#"2013-10-31T07:07:00Z,cdn_origin_request_duration_seconds_bucket,"provider=""fastly"",le=""+Inf""",1"#,
    ] {
        assert!(csv.lines().any(|line| line == row), "{row}\n{csv}");
    }
}

#[test]
fn graphite_lines_have_the_prefix_and_the_original_minutes() {
    let folder = Folder::new();
    let path = small(&folder);
    let graphite = run(&["replay", &path, "-o", "graphite", "--prefix=test.replay"])
        .exits(0)
        .text();
    for line in [
        "test.replay.beacons.fastly.count 1 1383203160",
        "test.replay.beacons.fastly.pop.NYC.count 1 1383203160",
        "test.replay.origin.fastly.requests.503.count 1 1383203220",
        "test.replay.origin.fastly.response_bytes 1000 1383203160",
    ] {
        assert!(
            graphite.lines().any(|found| found == line),
            "{line}\n{graphite}"
        );
    }
    for line in graphite.lines() {
        let [path, value, time] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        assert!(path.starts_with("test.replay."), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert_eq!(time.parse::<i64>().unwrap() % 60, 0, "{line}");
    }
}

#[test]
fn a_prefix_may_hold_the_name_of_the_host() {
    let folder = Folder::new();
    let path = small(&folder);
    let graphite = run(&["replay", &path, "-o", "graphite", "--prefix=a.{host}"])
        .exits(0)
        .text();
    assert!(
        !graphite.contains('{') && graphite.starts_with("a."),
        "{graphite}"
    );
}

#[test]
fn openmetrics_is_cumulative_and_ends_with_eof() {
    let folder = Folder::new();
    let text = run(&["replay", &small(&folder), "-o", "openmetrics"])
        .exits(0)
        .text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in [
        "# TYPE cdn_origin_response_bytes counter",
        r#"cdn_origin_response_bytes_total{provider="fastly"} 1012 1383203280"#,
        "# TYPE cdn_origin_request_duration_seconds histogram",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn promtool_accepts_openmetrics() {
    if Command::new("promtool").arg("--version").output().is_err() {
        left_out("promtool is not installed");
        return;
    }
    let folder = Folder::new();
    let path = folder.file("access.log", log(3000, 200, 1));
    let text = run(&["replay", &path, "-o", "openmetrics"]).exits(0);
    let input = folder.file("metrics.txt", &text.out);
    Command::new("promtool")
        .args([
            "tsdb",
            "create-blocks-from",
            "openmetrics",
            &input,
            &folder.path("blocks"),
        ])
        .assert()
        .success();
}

#[test]
fn nothing_counted_is_a_whole_document_in_every_output() {
    let folder = Folder::new();
    let path = folder.file("empty.log", "");
    for output in ["table", "json", "csv", "openmetrics", "graphite"] {
        run(&["replay", &path, "-o", output, "--prefix=x"]).exits(0);
    }
}
