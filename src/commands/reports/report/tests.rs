//! Reports as browsers write them, and as nobody should.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn arrival() -> Arrival<'static> {
    Arrival {
        at_ms: 1_383_203_202_500,
        peer: IpAddr::from([203, 0, 113, 9]),
        forwarded_for: None,
        query: Some("x=1&source=fastly"),
    }
}

fn read_with(body: &Value, hosts: &[&str], keep_query: bool) -> Read {
    let given: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    let hosts = Hosts::new(&given, &mut Vec::new());
    let wanted = Wanted {
        hosts: &hosts,
        keep_query,
    };
    read(body.to_string().as_bytes(), arrival(), wanted).unwrap()
}

/// A report as Chromium sends it.
fn report(changed: &[(&str, Value)]) -> Value {
    let mut report = json!({
        "age": 1500,
        "body": {
            "elapsed_time": 18, "method": "GET", "phase": "connection", "protocol": "h2",
            "referrer": "https://news.example/?q=secret", "sampling_fraction": 1.0,
            "server_ip": "151.101.3.4", "status_code": 0, "type": "tcp.refused"
        },
        "type": "network-error",
        "url": "https://www.example.com/cart?token=secret#top",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64)"
    });
    for (path, value) in changed {
        let pointer = format!("/{}", path.replace('.', "/"));
        *report.pointer_mut(&pointer).unwrap() = value.clone();
    }
    report
}

fn line(report: Value) -> Value {
    let read = read_with(&json!([report]), &[], false);
    assert_eq!(read.lines.len(), 1, "{read:?}");
    serde_json::from_str(&read.lines[0]).unwrap()
}

#[test]
fn a_report_becomes_a_line_without_queries() {
    assert_eq!(
        read_with(&json!([report(&[])]), &[], false).lines[0],
        r#"{"time":"2013-10-31T07:06:41.000Z","received":"2013-10-31T07:06:42.500Z","remote_addr":"203.0.113.9","source":"fastly","host":"www.example.com","url":"/cart","type":"tcp.refused","phase":"connection","server_ip":"151.101.3.4","protocol":"h2","method":"GET","status_code":0,"elapsed_ms":18,"sampling_fraction":1,"referrer":"news.example","user_agent":"Mozilla/5.0 (X11; Linux x86_64)"}"#
    );
    let kept = read_with(&report(&[]), &[], true);
    assert!(kept.lines[0].contains(r#""url":"/cart?token=secret""#));
}

#[test]
fn other_kinds_are_ignored_by_name_and_foreign_hosts_counted() {
    let body = json!([
        report(&[]),
        report(&[("url", json!("https://evil.example/"))]),
        {"type": "csp-violation", "body": {}},
        {"type": "csp-violation"},
        {"type": "\u{1b}[2J", "url": "x"},
        {"type": 7}, 7, null,
        report(&[("body", json!("text"))]),
        report(&[("url", json!("about:blank"))]),
        report(&[("body.type", json!("<script>"))]),
        report(&[("age", json!(-1))]),
        report(&[("age", json!(1e12))]),
    ]);
    let read = read_with(&body, &["www.example.com"], false);
    assert_eq!((read.lines.len(), read.foreign, read.malformed), (1, 1, 5));
    let ignored: Vec<_> = read
        .ignored
        .iter()
        .map(|(kind, n)| (kind.as_str(), *n))
        .collect();
    assert_eq!(ignored, [("csp-violation", 2), ("other", 4)]);
    let many: Vec<_> = (0..100)
        .map(|n| json!({"type": format!("kind-{n}")}))
        .collect();
    assert_eq!(read_with(&json!(many), &[], false).ignored.len(), KINDS + 1);
}

#[test]
fn values_of_another_form_are_left_out() {
    let odd = line(report(&[
        ("body.phase", json!("<b>")),
        ("body.server_ip", json!("not an address")),
        ("body.protocol", json!(["h2"])),
        ("body.method", json!("GET /x HTTP/1.1")),
        ("body.status_code", json!(-1)),
        ("body.elapsed_time", json!(1e300)),
        ("body.sampling_fraction", json!(2)),
        ("body.referrer", json!("data:x")),
        ("user_agent", json!(null)),
    ]));
    let names: Vec<_> = odd.as_object().unwrap().keys().cloned().collect();
    let kept = [
        "host",
        "received",
        "remote_addr",
        "source",
        "time",
        "type",
        "url",
    ];
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(sorted, kept);
    let bracketed = line(report(&[("body.server_ip", json!("[2001:db8::1]"))]));
    assert_eq!(bracketed["server_ip"], "2001:db8::1");
}

#[test]
fn long_texts_are_cut_and_hostile_ones_escaped() {
    let hostile = "\u{1b}]0;x\u{7}\u{202e}\"\\\n<script>😀";
    let long = line(report(&[
        ("user_agent", json!(hostile.repeat(500))),
        (
            "url",
            json!(format!("https://www.example.com/{}", hostile.repeat(500))),
        ),
    ]));
    assert_eq!(long["user_agent"].as_str().unwrap().chars().count(), AGENT);
    assert_eq!(long["url"].as_str().unwrap().chars().count(), PATH);
    assert!(long["user_agent"].as_str().unwrap().starts_with(hostile));
}

#[test]
fn bodies_that_are_none_are_refused() {
    let hosts = Hosts::default();
    let wanted = Wanted {
        hosts: &hosts,
        keep_query: false,
    };
    let refused = |body: &[u8]| read(body, arrival(), wanted).unwrap_err();
    for body in ["", "[", "7", "\"x\"", "null", "[1,]", &"[".repeat(60_000)] {
        assert!(
            matches!(refused(body.as_bytes()), NotTaken::Wrong(_)),
            "{body:.20}"
        );
    }
    assert!(matches!(refused(b"\xff\xfe"), NotTaken::Wrong(_)));
    let many = json!(vec![7; 101]).to_string();
    assert!(matches!(refused(many.as_bytes()), NotTaken::TooMuch(_)));
}

/// Any JSON, often with the names that a report has.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,300}".prop_map(Value::from),
        Just(json!("network-error")),
        Just(json!("https://www.example.com/x")),
        Just(json!("tcp.refused")),
    ];
    let name = prop_oneof![
        Just("type"),
        Just("body"),
        Just("url"),
        Just("age"),
        Just("phase"),
        Just("user_agent"),
        Just("server_ip"),
        Just("status_code"),
        Just("elapsed_time"),
        Just("referrer"),
    ];
    leaf.prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..8).prop_map(|members| {
                members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_report_becomes_a_printable_line_or_none(
        changed in prop::collection::vec((0usize..12, any_json()), 0..6),
        bare in any_json(),
    ) {
        const PLACES: [&str; 12] = [
            "age", "body", "type", "url", "user_agent", "body.elapsed_time", "body.method",
            "body.phase", "body.referrer", "body.server_ip", "body.status_code", "body.type",
        ];
        let mut made = report(&[]);
        for (place, value) in changed {
            let pointer = format!("/{}", PLACES[place].replace('.', "/"));
            if let Some(there) = made.pointer_mut(&pointer) {
                *there = value;
            }
        }
        let read = read_with(&json!([made, bare]), &[], true);
        for line in &read.lines {
            prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
            prop_assert!(line.len() < LINE_BYTES);
            let value: Value = serde_json::from_str(line).unwrap();
            prop_assert!(value["host"].is_string() && value["time"].is_string());
        }
        let sorted = read.ignored.values().sum::<u32>() + read.foreign + read.malformed;
        prop_assert_eq!(read.lines.len() + sorted as usize, 2);
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let hosts = Hosts::default();
        let wanted = Wanted { hosts: &hosts, keep_query: false };
        drop(read(&body, arrival(), wanted));
    }
}
