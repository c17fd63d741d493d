//! Error logs of nginx and Apache, against the readings of another program and the servers' own words.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::oracles::logs;
use crate::program::{foreign, replay, run_with};

/// Folders of error logs, and the parser for them.
pub(crate) const ERROR_FOLDERS: [(&str, &str); 2] = [
    ("error_apache", "apache-error"),
    ("error_nginx", "nginx-error"),
];

/// `explain --json` of each line of a foreign log, and what another program made of it.
fn read(log: &str, parser: &str) -> Option<(Vec<Value>, Vec<Value>)> {
    let path = foreign(&format!("logs/{log}"))?;
    let lines = std::fs::read(&path).unwrap();
    let args = ["explain", "--json", "--parser", parser, "--timezone", "UTC"];
    let read = run_with(&args, &lines).json_lines();
    let expected = foreign(&format!("logs/{log}-expected.json"))?;
    let expected = serde_json::from_slice(&std::fs::read(expected).unwrap()).unwrap();
    Some((read, expected))
}

#[test]
fn nginx_errors_are_read_as_filebeat_reads_them() {
    let Some((read, expected)) = read("error_nginx/filebeat-2018-error.log", "nginx-error") else {
        return;
    };
    assert_eq!(read.len(), expected.len());
    for (read, expected) in read.iter().zip(expected) {
        let fields = &read["fields"];
        assert_eq!(fields["level"], expected["nginx.error.level"], "{read}");
        assert_eq!(fields["pid"], expected["nginx.error.pid"]);
        assert_eq!(fields["tid"], expected["nginx.error.tid"]);
        assert_eq!(fields["connection"], expected["nginx.error.connection_id"]);
        // Filebeat leaves the fields behind the message in it.
        let whole = expected["nginx.error.message"].as_str().unwrap();
        assert!(whole.starts_with(fields["message"].as_str().unwrap()));
        assert!(whole.contains(", client: 127.0.0.1, server: localhost, request: "));
        assert_eq!(fields["remote_addr"], "127.0.0.1");
        let time = expected["@timestamp"].as_str().unwrap();
        assert_eq!(read["time"], time.replace(".000Z", "Z"));
    }
}

#[test]
fn apache_errors_are_read_as_filebeat_reads_them() {
    let log = "error_apache/filebeat-2018-test.log";
    let Some((read, expected)) = read(log, "apache-error") else {
        return;
    };
    assert_eq!(read.len(), expected.len());
    for (read, expected) in read.iter().zip(expected) {
        for (ours, theirs) in [
            ("level", "level"),
            ("message", "message"),
            ("module", "module"),
            ("pid", "pid"),
            ("tid", "tid"),
            ("remote_addr", "client"),
        ] {
            let expected = expected.get(format!("apache2.error.{theirs}"));
            assert_eq!(read["fields"].get(ours), expected, "{ours} of {read}");
        }
        let time = expected["@timestamp"].as_str().unwrap();
        let second = time.split('.').next().unwrap();
        assert!(read["time"].as_str().unwrap().starts_with(second), "{read}");
    }
}

/// Levels and minutes of a log, as `explain` tells them line by line.
fn explained(log: &Path, parser: &str) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let args = ["explain", "--json", "--parser", parser, "--timezone", "UTC"];
    let (mut levels, mut minutes) = (BTreeMap::new(), BTreeMap::new());
    for line in run_with(&args, &std::fs::read(log).unwrap()).json_lines() {
        let level = line["fields"]["level"].as_str().unwrap();
        let minute = &line["time"].as_str().unwrap()[..16];
        *levels.entry(level.to_owned()).or_default() += 1;
        *minutes.entry(minute.to_owned()).or_default() += 1;
    }
    (levels, minutes)
}

/// The same as they are counted.
fn counted(document: &Value) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let (mut levels, mut minutes) = (BTreeMap::new(), BTreeMap::new());
    for series in document["series"].as_array().unwrap() {
        if series["metric"] != "origin_errors_logged_total" {
            continue;
        }
        let level = series["labels"]["level"].as_str().unwrap();
        *levels.entry(level.to_owned()).or_default() += series["total"].as_u64().unwrap();
        for (minute, n) in series["minutes"].as_object().unwrap() {
            *minutes.entry(minute[..16].to_owned()).or_default() += n.as_u64().unwrap();
        }
    }
    (levels, minutes)
}

#[test]
fn error_logs_agree_with_their_oracles() {
    for (folder, parser) in ERROR_FOLDERS {
        for (log, oracle) in logs(folder) {
            let oracle: Value = serde_json::from_slice(&std::fs::read(oracle).unwrap()).unwrap();
            let numbers =
                |key: &str| serde_json::from_value::<BTreeMap<String, u64>>(oracle[key].clone());
            let expected = (
                numbers("levels").unwrap(),
                numbers("per_minute_local_no_zone").unwrap(),
            );
            let document = replay(&[log.as_os_str(), "--timezone=UTC".as_ref()]);
            let input = &document["inputs"][0];
            assert_eq!(input["parser"], parser, "{input}");
            assert_eq!(input["parsed"], oracle["parsed"], "{input}");
            assert_eq!(input["unparsed"], oracle["unparsable"], "{input}");
            assert_eq!(counted(&document), expected, "{}", log.display());
            assert_eq!(explained(&log, parser), expected, "{}", log.display());
        }
    }
}

#[test]
fn what_a_client_asks_for_is_no_failure_of_an_upstream() {
    let line = r#"2026/11/22 10:30:00 [error] 7#7: *1 open() "/html/x, client: 192.0.2.66, no live upstreams" failed (2: No such file or directory), client: 203.0.113.9, server: shop.example, request: "GET /x HTTP/1.1", host: "shop.example""#;
    let args = ["explain", "--json", "--parser", "nginx-error"];
    let read = run_with(&args, format!("{line}\n").as_bytes()).json_lines();
    let read = read.first().unwrap();
    assert_eq!(read["fields"]["remote_addr"], "203.0.113.9");
    let counts = read["counts"].as_object().unwrap();
    assert_eq!(counts.len(), 1, "{read}");
    assert_eq!(counts["origin_errors_logged_total{level=\"error\"}"], 1);
}
