//! JSON formats and the CDNs' own logs: the traps of each, through the program.

use serde_json::{Value, json};

use crate::program::{Folder, replay_with, run, run_with, total, total_of};

fn explained(parser: &str, line: &str) -> Value {
    let args = ["explain", "--json", "--raw", "--parser", parser];
    let ran = run_with(&args, line.as_bytes());
    ran.json_lines().remove(0)
}

#[track_caller]
fn field(parser: &str, line: &str, name: &str) -> Value {
    let line = explained(parser, line);
    assert_eq!(line["ok"], true, "{line}");
    line["fields"][name].clone()
}

/// Every JSON line of the shipped parsers' examples, with its parser.
fn examples() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/parsers");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_json = text.contains("[format.json]");
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("line = '"));
        for line in lines.filter(|_| is_json) {
            found.push((name.clone(), line.strip_suffix('\'').unwrap().to_owned()));
        }
    }
    assert!(found.len() > 14);
    found
}

#[test]
fn each_json_log_is_detected_as_its_own() {
    for (parser, line) in examples() {
        let document = replay_with(&["-"], format!("{line}\n").as_bytes());
        assert_eq!(document["inputs"][0]["parser"], parser.as_str(), "{line}");
        assert_eq!(document["inputs"][0]["parsed"], 1, "{line}");
    }
}

/// Whatever comes before, between and behind the members that are wanted.
#[test]
fn unknown_members_change_nothing() {
    for (parser, line) in examples() {
        let known = explained(&parser, &line)["counts"].clone();
        let more = line.replacen('{', r#"{"é":[{"status":9},"}"],"a.b":null,"#, 1);
        assert_eq!(explained(&parser, &more)["counts"], known, "{line}");
        let blanks = line.replacen(':', " : ", 1);
        assert_eq!(explained(&parser, &blanks)["counts"], known, "{line}");
    }
}

#[test]
fn a_json_line_cut_anywhere_is_not_read() {
    for (parser, line) in examples().into_iter().step_by(3) {
        let cuts = (1..line.len())
            .filter(|at| line.is_char_boundary(*at))
            .step_by(7);
        let cut: Vec<&str> = cuts.map(|at| &line[..at]).collect();
        let document = replay_with(&["-", "--parser", &parser], cut.join("\n").as_bytes());
        assert_eq!(document["inputs"][0]["parsed"], 0, "{parser}");
        let glued = explained(&parser, &format!("{line}{line}"));
        assert_eq!(glued["ok"], false, "{parser}");
    }
}

#[test]
fn escapes_are_decoded_before_a_rule_sees_a_query() {
    let line = r#"{"StartUTC":"2026-11-22T02:21:52Z","DownstreamStatus":200,"RequestMethod":"GET","RequestPath":"\/status\/images\/beacon.gif?server_identity=cache-ny57-NYC\u0026source=fast\u006cy"}"#;
    let counts = explained("traefik-json", line)["counts"].clone();
    assert_eq!(
        counts[r#"cdn_failure_beacons_by_pop_total{provider="fastly",pop="NYC"}"#],
        1
    );
    let document = replay_with(
        &["-", "--metric", "cdn_failure_beacons_total"],
        line.as_bytes(),
    );
    assert_eq!(total(&document, "cdn_failure_beacons_total"), 1);
}

#[test]
fn cloudflare_times_are_told_by_magnitude() {
    for time in [
        r#""2022-05-25T13:25:26Z""#,
        "1653485126",
        "1653485126000000000",
        r#""1653485126000000000""#,
    ] {
        let line = format!(r#"{{"EdgeStartTimestamp":{time},"EdgeResponseStatus":200}}"#);
        let line = explained("cloudflare-http", &line);
        assert_eq!(line["time"], "2022-05-25T13:25:26Z", "{time}");
    }
}

#[test]
fn a_repeated_member_counts_once_as_its_last() {
    let line =
        r#"{"EdgeStartTimestamp":1653485126,"EdgeResponseStatus":503,"EdgeResponseStatus":200}"#;
    assert_eq!(field("cloudflare-http", line, "status"), "200");
}

#[test]
fn booleans_are_their_words() {
    let line =
        r#"{"timestamp":"2023-11-07T21:15:59+0000","response_status":200,"fastly_is_edge":false}"#;
    assert_eq!(field("fastly-json", line, "is_edge"), "false");
}

#[test]
fn absent_and_empty_members_are_absent_fields() {
    let line = r#"{"time_local":"-","time":"17/May/2015:08:05:32 +0000","status":"","response":304,"request":"GET /a HTTP/1.1","request_method":null}"#;
    assert_eq!(field("nginx-json", line, "status"), "304");
    assert_eq!(field("nginx-json", line, "method"), "GET");
}

#[test]
fn a_request_line_and_its_parts_serve_the_same_rules() {
    let whole = r#"{"msec":1383203202.25,"status":200,"request":"GET /a?b=1 HTTP/1.1"}"#;
    let parts = r#"{"msec":1383203202.25,"status":200,"request_method":"GET","uri":"/a","args":"b=1","server_protocol":"HTTP/1.1"}"#;
    for name in ["method", "path", "query", "protocol"] {
        assert_eq!(
            field("nginx-json", whole, name),
            field("nginx-json", parts, name)
        );
    }
}

#[test]
fn caddys_status_zero_is_no_error() {
    let line = r#"{"ts":1693840791.75,"request":{"method":"GET","uri":"/"},"status":0,"size":0}"#;
    let counts = explained("caddy", line)["counts"].clone();
    assert_eq!(
        counts[r#"cdn_origin_requests_total{provider="direct",code="other"}"#],
        1
    );
}

/// With non-strict trusted proxies it is what the client claims.
#[test]
fn caddys_client_ip_is_not_believed() {
    let line = r#"{"ts":1693840791.75,"request":{"remote_ip":"198.51.100.7","client_ip":"1.1.1.1","method":"GET","uri":"/"},"status":200}"#;
    assert_eq!(field("caddy", line, "remote_addr"), "198.51.100.7");
    let line = explained("caddy", line).to_string();
    assert!(!line.contains("1.1.1.1"), "{line}");
}

#[test]
fn a_line_of_traefik_without_an_answer_is_counted_without_a_status() {
    let line = r#"203.0.113.9 - - [28/Sep/2022:13:38:04 +0000] "GET / HTTP/1.1" - - "-" "-" 45640 "-" "-" 0ms"#;
    let counts = explained("traefik-clf", line)["counts"].clone();
    assert_eq!(
        counts[r#"cdn_origin_requests_total{provider="direct",code="unknown"}"#],
        1
    );
}

/// Provider, cache word, and what it is counted as: `None` for a line between the CDN's own nodes.
const WORDS: [(&str, &str, &str); 32] = [
    ("fastly", "HIT", "hit"),
    ("fastly", "HIT-CLUSTER", "hit"),
    ("fastly", "HIT-STALE-CLUSTER", "hit"),
    ("fastly", "HIT-SYNTH", "generated"),
    ("fastly", "MISS-WAIT", "miss"),
    ("fastly", "MISS", "miss"),
    ("fastly", "PASS", "pass"),
    ("fastly", "PIPE", "pass"),
    ("fastly", "ERROR-LOSTHDR", "error"),
    ("cloudflare", "hit", "hit"),
    ("cloudflare", "stale", "hit"),
    ("cloudflare", "updating", "hit"),
    ("cloudflare", "revalidated", "hit"),
    ("cloudflare", "miss", "miss"),
    ("cloudflare", "expired", "miss"),
    ("cloudflare", "bypass", "pass"),
    ("cloudflare", "dynamic", "pass"),
    ("cloudflare", "unknown", "unknown"),
    ("cloudflare", "none", "unknown"),
    ("cloudflare", "surprise", "other"),
    ("akamai", "1", "hit"),
    ("akamai", "0", "miss"),
    ("cloudfront", "Hit", "hit"),
    ("cloudfront", "RefreshHit", "hit"),
    ("cloudfront", "OriginShieldHit", "hit"),
    ("cloudfront", "Miss", "miss"),
    ("cloudfront", "LimitExceeded", "error"),
    ("cloudfront", "CapacityExceeded", "error"),
    ("cloudfront", "Error", "error"),
    ("cloudfront", "Redirect", "redirect"),
    ("cloudfront", "LambdaGeneratedResponse", "generated"),
    ("cloudfront", "FunctionGeneratedResponse", "generated"),
];

fn edge_line(provider: &str, word: &str) -> (&'static str, Value) {
    match provider {
        "fastly" => (
            "fastly-json",
            json!({"timestamp": "2023-11-07T21:15:59Z", "response_status": 200, "response_state": word}),
        ),
        "cloudflare" => (
            "cloudflare-http",
            json!({"EdgeStartTimestamp": 1_653_485_126, "EdgeResponseStatus": 200, "CacheCacheStatus": word}),
        ),
        "akamai" => (
            "akamai-json",
            json!({"reqTimeSec": "1573840000.123", "statusCode": "200", "cacheStatus": word}),
        ),
        _ => (
            "cloudfront-json",
            json!({"date": "2024-11-15", "time": "19:45:51", "x-edge-location": "LAX1", "sc-status": "200", "x-edge-result-type": word}),
        ),
    }
}

#[test]
fn each_vendors_words_are_the_vendors_own_notion_of_a_hit() {
    for (provider, word, expected) in WORDS {
        let (parser, line) = edge_line(provider, word);
        let document = replay_with(&["-", "--parser", parser], line.to_string().as_bytes());
        let labels = json!({"provider": provider, "cache": expected, "code": "2xx"});
        assert_eq!(
            total_of(&document, "cdn_edge_requests_total", &labels),
            1,
            "{word}"
        );
        assert_eq!(total(&document, "cdn_edge_internal_requests_total"), 0);
    }
}

#[test]
fn lines_between_a_cdns_own_nodes_are_counted_apart_and_once() {
    for (provider, key, value, internal) in [
        ("cloudflare", "WorkerSubrequest", json!(true), true),
        ("cloudflare", "WorkerSubrequest", json!(false), false),
        ("cloudflare", "ParentRayID", json!("710e98d93d50357d"), true),
        ("cloudflare", "ParentRayID", json!("00"), false),
        ("cloudflare", "ParentRayID", json!(""), false),
        ("fastly", "fastly_is_edge", json!(false), true),
        ("fastly", "fastly_is_edge", json!(true), false),
        ("akamai", "isMidgress", json!("1"), true),
        ("akamai", "isMidgress", json!("0"), false),
    ] {
        let (parser, mut line) = edge_line(provider, "hit");
        line[key] = value;
        let document = replay_with(&["-", "--parser", parser], line.to_string().as_bytes());
        let counted = |metric| total(&document, metric);
        let expected = (u64::from(!internal), u64::from(internal));
        let found = (
            counted("cdn_edge_requests_total"),
            counted("cdn_edge_internal_requests_total"),
        );
        assert_eq!(found, expected, "{line}");
        assert_eq!(
            counted("cdn_edge_requests_by_pop_total"),
            expected.0,
            "{line}"
        );
    }
}

#[test]
fn the_pop_is_the_edges_whatever_way_it_is_written() {
    for (node, pop) in [
        ("cache-ny57-NYC", "NYC"),
        ("cache-lga21947-LGA", "LGA"),
        ("cache-nrt-rjtf7700046-NRT", "NRT"),
        ("cache-ny57-NYC, cache-lo82-LHR", "LHR"),
        ("cache-sjc3128", "SJC"),
        ("edge", "unknown"),
        ("", "unknown"),
    ] {
        let (parser, mut line) = edge_line("fastly", "HIT");
        line["fastly_server"] = json!(node);
        let document = replay_with(&["-", "--parser", parser], line.to_string().as_bytes());
        let labels = json!({"provider": "fastly", "pop": pop});
        assert_eq!(
            total_of(&document, "cdn_edge_requests_by_pop_total", &labels),
            1,
            "{node}"
        );
    }
}

#[test]
fn the_node_in_fastlys_syslog_prefix_names_the_pop() {
    let prefix = "<134>2016-07-04T22:37:26Z cache-sjc3128 LogTest[62959]: ";
    let text = r#"203.0.113.9 - - [04/Jul/2016:22:37:26 +0000] "GET / HTTP/1.1" 200 612"#;
    let (_, object) = edge_line("fastly", "HIT");
    for (parser, line) in [
        ("fastly", text.to_owned()),
        ("fastly-json", object.to_string()),
    ] {
        let document = replay_with(
            &["-", "--parser", parser],
            format!("{prefix}{line}").as_bytes(),
        );
        let labels = json!({"provider": "fastly", "pop": "SJC"});
        assert_eq!(
            total_of(&document, "cdn_edge_requests_by_pop_total", &labels),
            1
        );
    }
}

#[test]
fn a_time_in_two_members_needs_both() {
    let line = r#"{"date":"2024-11-15","x-edge-location":"SOF50-P2"}"#;
    assert_eq!(explained("cloudfront-json", line)["ok"], false);
    let line = r#"{"date":"2024-02-30","time":"19:45:51","x-edge-location":"SOF50-P2"}"#;
    let document = replay_with(&["-", "--parser", "cloudfront-json"], line.as_bytes());
    assert_eq!(document["inputs"][0]["rejected"]["bad_time"], 1);
}

#[test]
fn mistakes_in_a_json_format_are_pointed_at() {
    for (text, message) in [
        (
            "format.json = { t = 't' }\ntime = { date = 't' }",
            "`date` without `field`",
        ),
        (
            "format.json = { d = 'd', t = 't' }\ntime = { date = 'd', field = 't', format = 'any' }",
            "both `date` and `format`",
        ),
        (
            "format.json = { time = 'a' }\ntime = { date = 'dat', field = 'time' }",
            "unknown field `dat`",
        ),
        ("format.json = { time = [] }", "no path to this field"),
        (
            "format.json = { time = ['a', 'a..b'] }",
            "empty step in the path",
        ),
    ] {
        let folder = Folder::new();
        folder.file("wrong.toml", format!("description = 'x'\n{text}"));
        let ran = run(&["parsers", "test", "--parsers", &folder.path("")]);
        assert_ne!(ran.code, 0);
        assert!(ran.err.contains(message), "{}", ran.err);
    }
}

#[test]
fn network_errors_are_counted_by_phase() {
    let line = r#"{"ClientIPASN":"13335","ClientIPCountry":"US","LastKnownGoodColoCode":"SJC","Phase":"connection","Timestamp":"1627344067000000000","Type":"network-error"}"#;
    let document = replay_with(&["-"], line.as_bytes());
    assert_eq!(document["inputs"][0]["parser"], "cloudflare-nel");
    let labels = json!({"provider": "cloudflare", "phase": "connection"});
    assert_eq!(total_of(&document, "cdn_network_errors_total", &labels), 1);
}

#[test]
fn a_flattened_json_format_reads_the_same() {
    for parser in ["caddy", "nginx-json", "envoy-json", "cloudfront-json"] {
        let folder = Folder::new();
        let flat = run(&["parsers", "show", parser, "--flat"]).exits(0).text();
        folder.file("flat.toml", flat);
        let tested = run(&["parsers", "test", "--parsers", &folder.path(""), "flat"]).exits(0);
        assert!(tested.text().contains(" 0 mistakes"), "{}", tested.text());
        assert!(!tested.text().starts_with("0 examples"), "{parser}");
    }
}
