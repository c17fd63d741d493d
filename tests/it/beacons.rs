//! Beacons: the labelled lines, the talk's regex as it is, and what the shipped formats make of the
//! same requests.

use serde_json::{Value, json};

use crate::program::{foreign, replay, run_with, test_parsers};

/// The labelled lines; empty when they are not there.
fn labelled() -> Vec<Value> {
    let Some(path) = foreign("beacons/beacons.expected.jsonl") else {
        return Vec::new();
    };
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 30);
    lines
}

/// `explain --json` of each line by a parser.
fn explained(parser: &str, lines: &[String]) -> Vec<Value> {
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let args = ["explain", "--json", "--parser", parser, &test_parsers()];
    run_with(&args, input.as_bytes()).json_lines()
}

fn lines_of(labels: &[Value]) -> Vec<String> {
    labels
        .iter()
        .map(|label| label["line"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_regex_of_the_talk_gives_its_labels() {
    let labels = labelled();
    for (label, read) in labels
        .iter()
        .zip(explained("etsy-beacon", &lines_of(&labels)))
    {
        let expected = &label["seed_regex"];
        assert_eq!(read["ok"], !expected.is_null(), "{label}");
        for name in ["remote_addr", "source", "referrer", "user_agent"] {
            // A dash means that the header was absent.
            let value = Some(&expected[name]).filter(|value| **value != "-");
            assert_eq!(
                read["fields"].get(name),
                value.filter(|value| !value.is_null()),
                "{label}"
            );
        }
    }
}

#[test]
fn the_wider_pattern_and_the_shipped_rules_give_the_extended_labels() {
    let labels = labelled();
    for (label, read) in labels
        .iter()
        .zip(explained("beacon-wide", &lines_of(&labels)))
    {
        let expected = &label["extended"];
        assert_eq!(read["ok"], !expected.is_null(), "{label}");
        if expected.is_null() {
            continue;
        }
        let fields = &read["fields"];
        assert_eq!(fields["source"], expected["source"], "{label}");
        assert_eq!(fields["remote_addr"], expected["remote_addr"], "{label}");
        assert_eq!(read["time"], expected["time_utc"], "{label}");
        let provider = provider(expected["source"].as_str().unwrap());
        let pop = pop(expected);
        let series =
            format!("cdn_failure_beacons_by_pop_total{{provider=\"{provider}\",pop=\"{pop}\"}}");
        assert_eq!(read["counts"][series], 1, "{label}");
    }
}

/// The label that the shipped rules give a source of the labelled lines.
fn provider(source: &str) -> &str {
    match source {
        "fastly" | "edgecast" => source,
        _ => "other",
    }
}

/// The metro code at the end of a label's cache node.
fn pop(extended: &Value) -> &str {
    let identity = extended["params"]["server_identity"].as_str();
    identity.map_or("unknown", |identity| &identity[identity.len() - 3..])
}

/// The country of each address that the labelled lines use, by MaxMind's test database.
fn country(address: &str) -> &'static str {
    match address {
        "81.2.69.142" | "81.2.69.160" => "GB",
        "216.160.83.56" => "US",
        "89.160.20.112" => "SE",
        "2001:218::1" => "JP",
        "192.0.2.17" => "unknown",
        other => panic!("no country known for {other}"),
    }
}

#[test]
fn beacons_are_counted_by_minute_pop_and_country() {
    let (Some(log), Some(geo)) = (
        foreign("beacons/beacons.log"),
        foreign("mmdb/test-data/GeoLite2-Country-Test.mmdb"),
    ) else {
        return;
    };
    let args = [
        log.to_str().unwrap().to_owned(),
        test_parsers(),
        "--parser=beacon-wide".to_owned(),
        format!("--geoip={}", geo.display()),
    ];
    let document = replay(&args);
    for label in labelled() {
        let expected = &label["extended"];
        if expected.is_null() {
            continue;
        }
        let minute = format!("{}:00Z", &expected["time_utc"].as_str().unwrap()[..16]);
        let provider = provider(expected["source"].as_str().unwrap());
        let pop = pop(expected);
        let country = country(expected["remote_addr"].as_str().unwrap());
        let by = [
            (
                "cdn_failure_beacons_by_pop_total",
                json!({"provider": provider, "pop": pop}),
            ),
            (
                "cdn_failure_beacons_by_country_total",
                json!({"provider": provider, "country": country}),
            ),
        ];
        for (metric, labels) in by {
            let series = document["series"].as_array().unwrap().iter();
            let found = series
                .filter(|series| series["metric"] == metric && series["labels"] == labels)
                .any(|series| series["minutes"][&minute].as_u64() > Some(0));
            assert!(found, "{metric} {labels} at {minute}: {label}");
        }
    }
}

/// Where the server's own format with the shipped rules counts and the extended pattern does not:
/// a line number and why counting is right.
const RIGHTLY_COUNTED: [(u64, &str); 3] = [
    (
        11,
        "no host before the address: the time and the request are there",
    ),
    (13, "cut inside the agent: the beacon was sent all the same"),
    (
        20,
        "source is not the first parameter: the order of parameters says nothing",
    ),
];

#[test]
fn the_format_and_the_shipped_rules_count_the_labelled_lines_and_three_more() {
    let labels = labelled();
    for (label, read) in labels
        .iter()
        .zip(explained("beacon-vhost", &lines_of(&labels)))
    {
        let counts = read["counts"].as_object().unwrap();
        let counted = counts
            .keys()
            .any(|series| series.starts_with("cdn_failure_beacons_total"));
        let better = RIGHTLY_COUNTED.iter().any(|(n, _)| label["n"] == *n);
        assert_eq!(
            counted,
            better || !label["extended"].is_null(),
            "{label}\n{read}"
        );
    }
}

/// The source that the talk's regex finds in a line.
fn etsy_source(line: &str) -> Option<String> {
    let read = explained("etsy-beacon", &[line.to_owned()]).remove(0);
    read["fields"]["source"].as_str().map(str::to_owned)
}

/// True when a shipped format with its own rules counts one beacon of fastly in the line.
fn counts(parser: &str, line: &str) -> bool {
    let read = explained(parser, &[line.to_owned()]).remove(0);
    read["counts"]["cdn_failure_beacons_total{provider=\"fastly\"}"] == 1
}

/// A line as the talk's servers wrote it.
fn talk(client: &str, request: &str, tail: &str) -> String {
    format!("www.example.com {client} - - [31/Oct/2013:07:06:42 +0000] \"{request}\" 200 43 {tail}")
}

/// The same request in nginx's and Apache's combined.
fn combined(client: &str, request: &str, tail: &str) -> String {
    format!("{client} - - [31/Oct/2013:07:06:42 +0000] \"{request}\" 200 43 {tail}")
}

const PLAIN: &str = "GET /status/images/beacon.gif?source=fastly HTTP/1.1";
const TAIL: &str = "\"http://www.example.com/\" \"Mozilla/5.0\" -";

#[test]
fn a_host_an_address_and_a_trailing_field_match_the_talk() {
    let line = talk("203.0.113.9", PLAIN, TAIL);
    assert_eq!(etsy_source(&line).as_deref(), Some("fastly"));
}

#[test]
fn forwarded_addresses_match_the_talk_and_the_first_is_taken() {
    let line = talk(
        ": 203.0.113.9, 198.51.100.7",
        "GET /status/images/beacon.gif?beacon_source=fastly HTTP/1.1",
        TAIL,
    );
    let read = explained("etsy-beacon", &[line]).remove(0);
    assert_eq!(read["fields"]["remote_addr"], "203.0.113.9");
    assert_eq!(read["fields"]["source"], "fastly");
}

#[test]
fn parameters_behind_the_source_are_part_of_it_for_the_talk_only() {
    let request =
        "GET /status/images/beacon.gif?source=fastly&server_identity=cache-ny57-NYC HTTP/1.1";
    let line = talk("203.0.113.9", request, TAIL);
    let whole = "fastly&server_identity=cache-ny57-NYC";
    assert_eq!(etsy_source(&line).as_deref(), Some(whole));
    assert!(counts(
        "nginx-combined",
        &combined("203.0.113.9", request, "\"-\" \"a\"")
    ));
}

#[test]
fn combined_without_host_and_trailing_field_is_lost_on_the_talk_only() {
    let line = combined("203.0.113.9", PLAIN, "\"-\" \"Mozilla/5.0\"");
    assert_eq!(etsy_source(&line), None);
    assert!(counts("nginx-combined", &line) && counts("apache-combined", &line));
}

#[test]
fn http_2_and_3_are_lost_on_the_talk_only() {
    for protocol in ["HTTP/2.0", "HTTP/3.0"] {
        let request = format!("GET /status/images/beacon.gif?source=fastly {protocol}");
        assert_eq!(etsy_source(&talk("203.0.113.9", &request, TAIL)), None);
        assert!(counts(
            "nginx-combined",
            &combined("203.0.113.9", &request, "\"-\" \"a\"")
        ));
    }
}

#[test]
fn ipv6_clients_are_lost_on_the_talk_only() {
    assert_eq!(etsy_source(&talk("2001:db8::9", PLAIN, TAIL)), None);
    assert!(counts(
        "nginx-combined",
        &combined("2001:db8::9", PLAIN, "\"-\" \"a\"")
    ));
    assert!(counts(
        "apache-combined",
        &combined("2001:db8::9", PLAIN, "\"-\" \"a\"")
    ));
}

#[test]
fn authenticated_users_are_lost_on_the_talk_only() {
    let line = talk("203.0.113.9", PLAIN, TAIL).replace("- - [", "- frank [");
    assert_eq!(etsy_source(&line), None);
    let line = combined("203.0.113.9", PLAIN, "\"-\" \"a\"").replace("- - [", "- frank [");
    assert!(counts("nginx-combined", &line) && counts("apache-combined", &line));
}

#[test]
fn quotes_in_the_agent_are_lost_on_the_talk_only() {
    let tail = r#""-" "U\"A" "#;
    assert_eq!(etsy_source(&talk("203.0.113.9", PLAIN, tail)), None);
    assert!(counts(
        "apache-combined",
        &combined("203.0.113.9", PLAIN, r#""-" "U\"A""#)
    ));
    assert!(counts(
        "nginx-combined",
        &combined("203.0.113.9", PLAIN, r#""-" "U\x22A""#)
    ));
}

#[test]
fn an_empty_referrer_is_lost_on_the_talk_only_and_a_dash_is_not() {
    assert_eq!(
        etsy_source(&talk("203.0.113.9", PLAIN, "\"\" \"a\" -")),
        None
    );
    assert!(etsy_source(&talk("203.0.113.9", PLAIN, "\"-\" \"a\" -")).is_some());
    assert!(counts(
        "nginx-combined",
        &combined("203.0.113.9", PLAIN, "\"\" \"a\"")
    ));
}

#[test]
fn head_and_other_parameters_before_the_source_are_lost_on_the_talk_only() {
    for request in [
        "HEAD /status/images/beacon.gif?source=fastly HTTP/1.1",
        "GET /status/images/beacon.gif?t=1&source=fastly HTTP/1.1",
    ] {
        assert_eq!(etsy_source(&talk("203.0.113.9", request, TAIL)), None);
        assert!(counts(
            "nginx-combined",
            &combined("203.0.113.9", request, "\"-\" \"a\"")
        ));
    }
}

#[test]
fn no_forwarded_address_or_an_odd_one_is_lost_on_the_talk_only() {
    for client in [
        "-",
        "unknown",
        "203.0.113.9, unknown",
        "203.0.113.9, 2001:db8::1",
    ] {
        let line = talk(client, PLAIN, TAIL);
        assert_eq!(etsy_source(&line), None, "{client}");
        assert!(counts("beacon-vhost", &line), "{client}");
    }
}

#[test]
fn absolute_request_targets_are_lost_on_the_talk_only() {
    let request = "GET http://www.example.com/status/images/beacon.gif?source=fastly HTTP/1.1";
    assert_eq!(etsy_source(&talk("203.0.113.9", request, TAIL)), None);
    assert!(counts(
        "apache-combined",
        &combined("203.0.113.9", request, "\"-\" \"a\"")
    ));
}

#[test]
fn what_is_no_beacon_is_none_for_the_shipped_rules() {
    for request in [
        "GET /status/images/beacon2.gif?source=fastly HTTP/1.1",
        "GET /status/images/beaconXgif?source=fastly HTTP/1.1",
        "GET /status/images/beacon.gif?Source=fastly HTTP/1.1",
        "GET /status/images/beacon.gif HTTP/1.1",
        "POST /status/images/beacon.gif?source=fastly HTTP/1.1",
    ] {
        assert!(
            !counts(
                "nginx-combined",
                &combined("203.0.113.9", request, "\"-\" \"a\"")
            ),
            "{request}"
        );
    }
    let referrer = "\"http://x.example/status/images/beacon.gif?source=fastly\" \"a\"";
    assert!(!counts(
        "nginx-combined",
        &combined("203.0.113.9", "GET / HTTP/1.1", referrer)
    ));
}
