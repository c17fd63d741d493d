//! Logs that real servers wrote for odd requests: every value decodes to what was sent.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::program::{foreign, own, replay, run_with};

/// Compares each line's fields with what was sent for it.
fn decodes(log: &str, sent: &str, parser: &str, only: &[&str]) {
    let lines = std::fs::read(own(log)).unwrap();
    let read = run_with(&["explain", "--json", "--parser", parser], &lines).json_lines();
    let sent = std::fs::read_to_string(own(sent)).unwrap();
    assert_eq!(read.len(), sent.lines().count());
    for (read, sent) in read.iter().zip(sent.lines()) {
        let sent: Value = serde_json::from_str(sent).unwrap();
        assert_eq!(read["ok"], true, "{read}\n{sent}");
        let wanted = |name: &str| only.is_empty() || only.contains(&name);
        let expected: BTreeMap<_, _> = sent["fields"].as_object().unwrap().iter().collect();
        for (name, value) in expected {
            // Where a user's name holds ` [`, only the word before the time is sure to be his.
            let user_like_a_time = name == "remote_user" && value.as_str().unwrap().contains(" [");
            if wanted(name) && !user_like_a_time {
                assert_eq!(
                    read["fields"].get(name),
                    Some(value),
                    "{name}\n{read}\n{sent}"
                );
            }
        }
        for name in sent["absent"].as_array().unwrap() {
            let found = read["fields"].get(name.as_str().unwrap());
            assert_eq!(found, None, "{name}\n{read}\n{sent}");
        }
        for (name, start) in sent["starts"].as_object().unwrap() {
            let value = read["fields"][name].as_str().unwrap();
            assert!(
                value.starts_with(start.as_str().unwrap()),
                "{name}\n{read}\n{sent}"
            );
        }
    }
}

#[test]
fn nginx_lines_decode_to_what_was_sent() {
    decodes(
        "captured-nginx.log",
        "captured-nginx.jsonl",
        "nginx-cdn",
        &[],
    );
}

#[test]
fn apache_combined_lines_decode_to_what_was_sent() {
    decodes(
        "captured-apache.log",
        "captured-apache.jsonl",
        "apache-combined",
        &[],
    );
}

#[test]
fn apache_common_lines_decode_to_what_was_sent() {
    let only = ["remote_addr", "status", "request"];
    decodes(
        "captured-apache-common.log",
        "captured-apache.jsonl",
        "apache-common",
        &only,
    );
}

#[test]
fn apache_vhost_combined_lines_decode_to_what_was_sent() {
    let (log, sent) = ("captured-apache-vhost.log", "captured-apache.jsonl");
    decodes(log, sent, "apache-vhost-combined", &[]);
}

#[test]
fn haproxy_lines_decode_to_what_was_sent() {
    let (log, sent) = ("captured-haproxy.log", "captured-haproxy.jsonl");
    decodes(log, sent, "haproxy-http", &[]);
}

#[test]
fn captured_logs_are_detected_and_read_whole() {
    // The user who begins like a time is the one line read leniently.
    for (log, parser, lenient) in [
        ("captured-nginx.log", "nginx-cdn", 1),
        ("captured-apache.log", "apache-combined", 0),
        ("captured-apache-common.log", "apache-common", 0),
        ("captured-apache-vhost.log", "apache-vhost-combined", 0),
        ("captured-haproxy.log", "haproxy-http", 0),
    ] {
        let document = replay(&[own(log)]);
        let input = &document["inputs"][0];
        assert_eq!(input["parser"], parser, "{input}");
        assert_eq!(input["parsed"], input["lines"], "{input}");
        assert_eq!(input["partial_lines"], lenient, "{input}");
    }
}

#[test]
fn nginx_proxy_manager_is_read_as_crowdsec_reads_it() {
    let log = "logs/nginx_combined/crowdsec-nginx-proxy-manager-logs.log";
    let (Some(lines), Some(expected)) = (foreign(log), foreign(&format!("{log}-expected.json")))
    else {
        return;
    };
    let lines = std::fs::read_to_string(lines).unwrap();
    let mut read = HashMap::new();
    for parser in ["nginx-proxy-manager", "nginx-proxy-manager-standard"] {
        let args = ["explain", "--json", "--parser", parser];
        let objects = run_with(&args, lines.as_bytes()).json_lines();
        let objects = lines.lines().zip(objects);
        read.extend(objects.filter(|(_, object)| object["ok"] == true));
    }
    let expected: Value = serde_json::from_slice(&std::fs::read(expected).unwrap()).unwrap();
    let stage = &expected["stages"]["s01-parse/crowdsecurity/nginx-proxy-manager-logs"];
    let mut compared = 0;
    for event in stage.as_array().unwrap() {
        let parsed = &event["parsed"];
        let message = parsed["message"].as_str().unwrap_or_default();
        // Its lines in nginx's combined and of the error log are for other parsers here.
        if event["success"] != true || !message.starts_with('[') {
            continue;
        }
        let fields = &read[message]["fields"];
        for (ours, theirs) in [
            ("status", "status"),
            ("request_method", "verb"),
            ("host", "target_fqdn"),
            ("request_uri", "request"),
            ("remote_addr", "remote_addr"),
            ("body_bytes_sent", "body_bytes_sent"),
            ("upstream_status", "upstream_status"),
            ("server", "target_server"),
        ] {
            let value = parsed
                .get(theirs)
                .filter(|value| *value != "-" && *value != "");
            assert_eq!(fields.get(ours), value, "{ours}: {message}");
        }
        compared += 1;
    }
    assert_eq!(compared, 11);
}
