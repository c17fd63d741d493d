//! What becomes of a line, which lines are behind a series, and what parsers there are.

use std::collections::BTreeMap;

use serde_json::json;

use crate::program::{Folder, foreign, own, replay, run, run_with, total};

const BEACON: &str = r#"203.0.113.77 - - [31/Oct/2013:07:06:42 +0000] "GET /status/images/beacon.gif?source=fastly&server_identity=cache-iad38-IAD HTTP/1.1" 200 43 "-" "U\x22A" "-" 0.000"#;

#[test]
fn explain_shows_fields_client_rules_and_counts() {
    let text = run(&["explain", BEACON]).exits(0).text();
    for part in [
        "nginx-cdn: read\n",
        "time  2013-10-31T07:06:42Z",
        "path             /status/images/beacon.gif",
        "http_user_agent  U\"A",
        "client, from the right",
        "203.0.113.x  client",
        "origin (cdn_origin_requests_total",
        "fails on `/status/images/beacon.gif`",
        r#"cdn_failure_beacons_by_pop_total{provider="fastly",pop="IAD"} 1"#,
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(text.starts_with("nginx-cdn: read\n"), "{text}");
    assert!(!text.contains("203.0.113.77"), "{text}");
    let raw = run(&["explain", "--raw", BEACON]).exits(0).text();
    assert!(raw.contains("203.0.113.77"), "{raw}");
}

#[test]
fn explain_json_is_an_object_a_line() {
    let input = format!("{BEACON}\nnot a line\n");
    let read = run_with(&["explain", "--json", "-p", "nginx-cdn"], input.as_bytes())
        .exits(1)
        .json_lines();
    let [beacon, other] = &read[..] else {
        panic!("{read:?}");
    };
    for object in &read {
        for key in [
            "parser", "ok", "error", "time", "fields", "counts", "rules", "client", "geo",
        ] {
            assert!(object.get(key).is_some(), "{key}: {object}");
        }
    }
    let group = |metric: &str| {
        let groups = beacon["rules"].as_array().unwrap();
        let fed = |group: &&serde_json::Value| group["metrics"][0] == metric;
        groups.iter().find(fed).unwrap().clone()
    };
    let counted = group("cdn_failure_beacons_total");
    assert_eq!(
        (&counted["rules"], &counted["verdict"], &counted["failed"]),
        (&json!("beacon"), &json!("counts"), &json!(null))
    );
    let origin = group("cdn_origin_requests_total");
    assert_eq!(
        (&origin["verdict"], &origin["failed"], &origin["value"]),
        (
            &json!("no"),
            &json!("path!=\"$beacon_path\""),
            &json!("/status/images/beacon.gif")
        )
    );
    assert_eq!(
        beacon["client"],
        json!({"answer": "203.0.113.77", "steps": [{"hop": "203.0.113.77", "verdict": "client"}], "told_by": null, "in_range_of": null})
    );
    assert_eq!(
        (&beacon["parser"], &beacon["ok"], &beacon["error"]),
        (&json!("nginx-cdn"), &json!(true), &json!(null))
    );
    assert_eq!(beacon["time"], "2013-10-31T07:06:42Z");
    assert_eq!(beacon["fields"]["http_user_agent"], "U\"A");
    assert_eq!(
        beacon["counts"][r#"cdn_failure_beacons_total{provider="fastly"}"#],
        1
    );
    assert_eq!(
        (&other["ok"], &other["counts"]),
        (&json!(false), &json!({}))
    );
    assert!(
        other["error"].as_str().unwrap().contains("at byte"),
        "{other}"
    );
}

#[test]
fn a_near_miss_names_the_matcher_that_failed() {
    let line = BEACON.replace("source=fastly&", "");
    let text = run(&["explain", &line]).exits(0).text();
    assert!(
        text.contains("a near miss: beacon_source!=\"\" fails"),
        "{text}"
    );
    assert!(
        text.contains("cdn_failure_beacon_near_misses_total"),
        "{text}"
    );
}

#[test]
fn a_line_that_no_parser_reads_shows_how_far_each_got() {
    let ran = run(&["explain", "203.0.113.77 - - [31/Oct/2013 07:06:42] nothing"]).exits(1);
    let text = ran.text();
    for part in [
        "nginx-combined: not read, at byte",
        "expected a time such as",
        "not from its first byte on: ",
        ", caddy",
        "    203.0.113.x - - [31/Oct/2013 07:06:42] nothing\n                     ^^^^^^^^^^^\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn the_client_is_found_from_the_right_through_trusted_proxies() {
    let Some(geo) = foreign("mmdb/test-data/GeoLite2-City-Test.mmdb") else {
        return;
    };
    let geo = format!("--geoip={}", geo.display());
    let line = format!(
        "81.2.69.142, 89.160.20.112, 10.0.0.1{}",
        BEACON.strip_prefix("203.0.113.77").unwrap()
    );
    let country = |trusted: &[&str]| {
        let mut args = vec!["explain", "-p", "nginx-cdn-xff", &line, &geo];
        args.extend(trusted);
        run(&args).exits(0).text()
    };
    let all = country(&["--trusted-proxies=private,89.160.20.0/24"]);
    assert!(
        all.contains("client 81.2.69.x: country GB, continent EU, city London"),
        "{all}"
    );
    assert!(
        all.contains(r#"cdn_failure_beacons_by_country_total{provider="fastly",country="GB"} 1"#),
        "{all}"
    );
    let private = country(&["--trusted-proxies=private"]);
    assert!(
        private.contains("client 89.160.20.x: country SE"),
        "{private}"
    );
    // Whoever sends X-Forwarded-For must not choose the answer: without trust the last one counts.
    let none = country(&[]);
    assert!(none.contains("country private"), "{none}");
    let everyone = country(&["--trusted-proxies=0.0.0.0/0"]);
    assert!(
        everyone.contains("client 81.2.69.x: country GB"),
        "{everyone}"
    );
}

#[test]
fn a_client_in_the_ranges_of_a_provider_is_warned_of() {
    let folder = Folder::new();
    let file = folder.file("edges.txt", "203.0.113.0/24\n");
    let ranges = format!("--provider-ranges=fastly={file}");
    let text = run(&["explain", "-p", "nginx-cdn", BEACON, &ranges])
        .exits(0)
        .text();
    assert!(
        text.contains("warning: this is an address of fastly's"),
        "{text}"
    );
    let json = run(&["explain", "--json", "-p", "nginx-cdn", BEACON, &ranges]).exits(0);
    let read = json.json_lines();
    assert_eq!(read[0]["client"]["in_range_of"], "fastly", "{}", read[0]);
}

#[test]
fn trusted_proxies_may_be_files() {
    let folder = Folder::new();
    let file = folder.file("cdn.txt", "# ranges\n203.0.113.0/24\n2001:db8::/32\n");
    let line = format!("198.51.100.9, {BEACON}");
    let trusted = format!("--trusted-proxies={file}");
    let text = run(&["explain", "-p", "nginx-cdn-xff", &line, &trusted])
        .exits(0)
        .text();
    assert!(text.contains("client 198.51.100.x"), "{text}");
}

#[test]
fn a_long_line_is_shown_around_the_fault() {
    let start = "x".repeat(500);
    let line = format!("203.0.113.9 - {start} [nonsense] {start}");
    let text = run(&["explain", "-p", "nginx-combined", &line])
        .exits(1)
        .text();
    let [said, shown, marks] = text.lines().collect::<Vec<_>>()[..] else {
        panic!("{text}");
    };
    assert!(
        said.starts_with("nginx-combined: not read, at byte "),
        "{said}"
    );
    assert!(
        shown.chars().count() < 160 && shown.contains('…'),
        "{shown}"
    );
    let column = |text: &str, what| text.chars().position(|c| c == what);
    let marked = column(marks, '^').unwrap();
    assert!(shown.chars().nth(marked) == Some('n'), "{text}");
    assert_eq!(marks.matches('^').count(), "nonsense".len(), "{text}");
}

#[test]
fn a_required_field_that_is_missing_is_named() {
    let text = run(&["explain", "-p", "caddy", "{\"ts\":1383203202}"])
        .exits(1)
        .text();
    assert_eq!(text, "caddy: not read, no `status` at `status`\n");
}

#[test]
fn of_several_parsers_the_first_that_reads_a_line_explains_it() {
    let line = r#"203.0.113.9 - - [31/Oct/2013:07:06:42 +0000] "GET /cart HTTP/1.1" 200 43"#;
    let parser = |list: &str, line: &str| {
        let args = ["explain", "--json", "--parser", list, line];
        run(&args).exits(0).json_lines().remove(0)["parser"].clone()
    };
    let combined = format!(r#"{line} "-" "curl/8""#);
    // Both read it, and `apache-combined` all of it.
    assert_eq!(
        parser("apache-common,apache-combined", &combined),
        "apache-common"
    );
    assert_eq!(
        parser("apache-combined,apache-common", &combined),
        "apache-combined"
    );
    assert_eq!(
        parser("haproxy-http,nginx-combined", &combined),
        "nginx-combined"
    );
    run(&["explain", "--parser", "haproxy-http,nginx-error", line]).exits(1);
}

#[test]
fn columns_and_headers_are_learnt_as_they_come() {
    let log = "#Fields: date time cs-method sc-status x-own\n2013-10-31 07:06:42 GET 200 one\n\
        #Fields: date time x-other cs-method sc-status\n2013-10-31 07:06:43 two GET 404\n";
    let read = run_with(&["explain", "--json", "-p", "iis"], log.as_bytes())
        .exits(0)
        .json_lines();
    assert_eq!(read.len(), 4, "{read:?}");
    assert_eq!(read[0]["error"], "it is a directive");
    assert_eq!(read[1]["fields"]["x_own"], "one", "{}", read[1]);
    assert_eq!(read[3]["fields"]["x_other"], "two", "{}", read[3]);
    let header = |name: &str| {
        format!(
            "{{\"ts\":1383203202,\"status\":200,\"request\":{{\"method\":\"GET\",\"uri\":\"/\",\"headers\":{{\"{name}\":[\"v\"]}}}}}}\n"
        )
    };
    let lines = ["A", "B", "A"].map(header).concat();
    let read = run_with(&["explain", "--json", "-p", "caddy"], lines.as_bytes());
    let read = read.exits(0).json_lines();
    let has = |line: usize, name: &str| read[line]["fields"][name] == "v";
    assert!(
        has(0, "http_a") && has(1, "http_b") && has(2, "http_a"),
        "{read:?}"
    );
    assert!(!has(1, "http_a") && !has(2, "http_b"), "{read:?}");
}

/// What is explained line by line is what a replay counts in all.
#[test]
fn explained_series_add_up_to_a_replay() {
    for (log, parser) in [
        ("origin-incident.log.gz", "nginx-cdn"),
        ("captured-apache.log", "apache-combined"),
    ] {
        let path = own(log);
        let document = replay(&[path.to_str().unwrap(), "-p", parser]);
        let mut text = Vec::new();
        let bytes = std::fs::read(&path).unwrap();
        match log.ends_with(".gz") {
            true => {
                let mut gz = flate2::read::MultiGzDecoder::new(&bytes[..]);
                std::io::Read::read_to_end(&mut gz, &mut text)
                    .map(drop)
                    .unwrap();
            }
            false => text = bytes,
        }
        let read = run_with(&["explain", "--json", "-p", parser], &text).json_lines();
        let mut totals: BTreeMap<String, u64> = BTreeMap::new();
        for line in &read {
            for (series, amount) in line["counts"].as_object().unwrap() {
                if series.contains("_total") && !series.contains("bytes") {
                    *totals.entry(series.clone()).or_default() += amount.as_u64().unwrap();
                }
            }
        }
        for series in document["series"].as_array().unwrap() {
            let metric = series["metric"].as_str().unwrap();
            if !metric.contains("_total") || metric.contains("bytes") {
                continue;
            }
            let labels = series["labels"].as_object().unwrap();
            let found = totals.iter().filter(|(name, _)| {
                name.split('{').next() == Some(metric)
                    && labels
                        .iter()
                        .all(|(label, value)| name.contains(&format!("{label}={value}")))
            });
            let found: u64 = found.map(|(_, n)| n).sum();
            assert_eq!(series["total"], found, "{log} {series}");
        }
        assert!(!totals.is_empty());
    }
}

/// Lines that `grep` finds in the shipped incident.
fn found(matchers: &str) -> usize {
    let path = own("origin-incident.log.gz");
    let ran = run(&["grep", matchers, path.to_str().unwrap()]).exits(0);
    ran.text().lines().count()
}

#[test]
fn grep_finds_as_many_lines_as_a_series_counts() {
    let document = replay(&[own("origin-incident.log.gz")]);
    let count = |metric: &str, labels| {
        usize::try_from(crate::program::total_of(&document, metric, &labels)).unwrap()
    };
    let hkg = count(
        "cdn_failure_beacons_by_pop_total",
        json!({"provider": "fastly", "pop": "HKG"}),
    );
    assert!(hkg > 100);
    assert_eq!(found(r#"provider="fastly",pop="HKG""#), hkg);
    assert_eq!(
        found(r#"cdn_failure_beacons_by_pop_total{provider="fastly",pop="HKG"}"#),
        hkg
    );
    let failed = count(
        "cdn_origin_requests_total",
        json!({"provider": "fastly", "code": "503"}),
    );
    assert!(failed > 10);
    assert_eq!(
        found(r#"cdn_origin_requests_total{provider="fastly",code="503"}"#),
        failed
    );
}

#[test]
fn grep_takes_fields_alone() {
    let document = replay(&[own("origin-incident.log.gz")]);
    let requests = total(&document, "cdn_origin_requests_total");
    let with_a_provider = found(r#"path!="/status/images/beacon.gif",path!="/healthz""#);
    assert_eq!(u64::try_from(with_a_provider).unwrap(), requests);
    assert!(found(r#"status=~"5..""#) > 10);
    assert_eq!(found(r#"status="999""#), 0);
}

#[test]
fn grep_keeps_to_times_and_a_maximum() {
    let path = own("origin-incident.log.gz");
    let path = path.to_str().unwrap();
    let args = ["grep", r#"provider="fastly",pop="HKG""#, path];
    let none = run(&[&args[..], &["--until=2013-10-31T07:06:00Z"]].concat()).exits(0);
    assert_eq!(none.text(), "");
    let minute = run(&[
        &args[..],
        &[
            "--since=2013-10-31T07:10:00Z",
            "--until=2013-10-31T07:11:00Z",
        ],
    ]
    .concat())
    .exits(0)
    .text();
    assert!(
        minute.lines().count() > 10 && minute.lines().all(|line| line.contains(":07:10:")),
        "{minute}"
    );
    let few = run(&[&args[..], &["--max=3"]].concat()).exits(0);
    assert_eq!(few.text().lines().count(), 3);
}

#[test]
fn grep_reads_standard_input() {
    let ran = run_with(
        &["grep", r#"pop="IAD""#, "-"],
        format!("{BEACON}\n").as_bytes(),
    )
    .exits(0);
    assert!(
        ran.text().starts_with("203.0.113.x - - ["),
        "{}",
        ran.text()
    );
}

#[test]
fn parsers_are_listed_in_the_order_of_detection() {
    let text = run(&["parsers", "list"]).exits(0).text();
    let at = |name: &str| {
        text.find(&format!("\n  {name} "))
            .unwrap_or_else(|| panic!("{name}: {text}"))
    };
    assert!(
        at("nginx-cdn") < at("nginx-combined")
            && at("apache-vhost-combined") < at("apache-combined")
    );
    for name in [
        "apache-common",
        "caddy",
        "cloudfront-standard",
        "etsy-beacon",
        "beacon",
        "origin",
        "origin-geo",
        "edge",
    ] {
        at(name);
    }
}

#[test]
fn a_parser_is_shown_as_written_and_with_all_it_inherits() {
    let written = run(&["parsers", "show", "nginx-cdn"]).exits(0).text();
    assert!(
        written.contains("extends = \"nginx-combined\"") && written.contains("append ="),
        "{written}"
    );
    let flat = run(&["parsers", "show", "--flat", "nginx-cdn"])
        .exits(0)
        .text();
    assert!(!flat.contains("extends"), "{flat}");
    assert!(
        flat.contains(r#"$remote_addr - $remote_user [$time_local]"#)
            && flat.contains("$http_x_cdn_provider"),
        "{flat}"
    );
    let folder = Folder::new();
    let copy = folder.file("copy.toml", &flat);
    run(&["parsers", "test", &copy]).exits(0);
    let rules = run(&["parsers", "show", "beacon"]).exits(0).text();
    assert!(rules.contains("cdn_failure_beacons_total"), "{rules}");
    run(&["parsers", "show", "nginx-cnd"]).exits(2);
}

#[test]
fn shipped_parsers_pass_their_examples() {
    let text = run(&["parsers", "test"]).exits(0).text();
    assert!(text.ends_with("examples, 0 mistakes\n"), "{text}");
}

#[test]
fn a_wrong_example_is_a_failure_with_its_place() {
    let folder = Folder::new();
    let flat = run(&["parsers", "show", "--flat", "apache-common"])
        .exits(0)
        .text();
    let path = folder.file("wrong.toml", flat.replace("frank\"", "fred\""));
    let ran = run(&["parsers", "test", &path]).exits(1);
    assert!(
        ran.err.contains("wrong.toml:") && ran.err.contains('^'),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("frank"), "{}", ran.err);
}
