//! Which parser reads a file when nobody names one: every captured log of other projects, formats that
//! share most of their names, and files that begin or go on badly.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::program::{Folder, foreign, replay, run, run_with};

/// Each log, and the parsers that are right for it: several where its lines are of several formats.
/// None stands for what is no log of requests, or of no server's own format.
const LOGS: [(&str, &[&str]); 44] = [
    ("apache_combined/elastic-apache_logs.log.gz", COMBINED),
    ("apache_combined/filebeat-2018-darwin-2.4.23.log", COMMON),
    ("apache_combined/filebeat-2018-test.log", MIXED),
    ("apache_combined/filebeat-2018-ubuntu-2.2.22.log", COMBINED),
    ("apache_combined/lnav-access_log.0.log", COMBINED),
    ("apache_combined/lnav-access_log.1.log", COMBINED),
    (
        "apache_combined/mozilla-analysis_pathsetfreq-access.log",
        COMBINED,
    ),
    ("apache_combined/mtail-apache-combined.log", COMBINED),
    ("apache_combined/webreadr-combined_log.clf.log", COMBINED),
    (
        "aws_cloudfront/opensearch-amazon_cloudfront-raw.log",
        &["cloudfront-standard"],
    ),
    (
        "aws_cloudfront/webreadr-log.aws.log",
        &["cloudfront-standard"],
    ),
    ("aws_elb_alb/opensearch-amazon_elb-raw.log", &["aws-alb"]),
    ("aws_s3/webreadr-s3.log", &["aws-s3"]),
    ("caddy_json/crowdsec-caddy-logs.log", &["caddy"]),
    (
        "cloudflare_json/lnav-cloudflare.json.log",
        &["cloudflare-http"],
    ),
    ("common/mtail-apache-common.log", COMMON),
    ("common/nasa-jul95-first4000.log.gz", COMMON),
    ("common/webreadr-log.clf.log", COMMON),
    (
        "envoy_json/crowdsec-envoy-http-bad-user-agent.log",
        &["envoy-json"],
    ),
    (
        "error_apache/filebeat-2018-darwin-2.4.23.log",
        &["apache-error"],
    ),
    ("error_apache/filebeat-2018-test.log", &["apache-error"]),
    (
        "error_apache/filebeat-2018-ubuntu-2.2.22.log",
        &["apache-error"],
    ),
    ("error_nginx/filebeat-2018-error.log", &["nginx-error"]),
    (
        "haproxy/crowdsec-haproxy-nextcloud-whitelist.log",
        &["haproxy-http"],
    ),
    ("haproxy/filebeat-2018-default.log", &[]),
    ("haproxy/filebeat-2018-haproxy.log", &["haproxy-http"]),
    ("haproxy/filebeat-2018-tcplog.log", &[]),
    ("iis_w3c/filebeat-2018-test.log", &["iis"]),
    ("iis_w3c/webreadr-iis.log", &["iis"]),
    (
        "litespeed/crowdsec-litespeed-http-sensitive-files.log",
        COMBINED,
    ),
    ("malformed/lnav-bad_access_log.0.log", COMBINED),
    (
        "nginx_combined/advertools-combined_no_errors.log.gz",
        COMBINED,
    ),
    ("nginx_combined/advertools-nginx_custom_date.log", &[]),
    (
        "nginx_combined/crowdsec-nginx-proxy-manager-logs.log",
        &["nginx-proxy-manager"],
    ),
    (
        "nginx_combined/crowdsec-nginx_http-logs.log",
        &["nginx-combined", "apache-combined", "apache-vhost-combined"],
    ),
    ("nginx_combined/filebeat-2018-access.log", COMBINED),
    (
        "nginx_combined/opensearch-nginx-raw.log.gz",
        COMBINED_AND_MORE,
    ),
    (
        "nginx_json/derived-advertools-combined_no_errors.json.log.gz",
        &["nginx-json"],
    ),
    ("nginx_json/matomo-nginx_json.log", &["nginx-json"]),
    ("squid/webreadr-log.squid.log", &["squid"]),
    ("syslog_wrapped/lnav-syslog_with_access_log.0.log", &[]),
    ("traefik/crowdsec-traefik_clf.log", &["traefik-clf"]),
    // A quote is missing in one of its two lines, behind what `combined` reads.
    (
        "traefik/filebeat-2018-test.log",
        &["traefik-clf", "nginx-combined"],
    ),
    (
        "vhost_combined/apachelogs-vhost_combined.log",
        &["apache-vhost-combined"],
    ),
];

/// nginx' and Apache's `combined` are one layout for a line without escapes.
const COMBINED: &[&str] = &["nginx-combined", "apache-combined"];
const COMMON: &[&str] = &["apache-common"];
const MIXED: &[&str] = &["apache-common", "apache-combined", "nginx-combined"];
/// One more quoted value than `combined` has.
const COMBINED_AND_MORE: &[&str] = &["nginx-combined", "nginx-main", "nginx-combined-xff"];

/// The parser that a replay of a file names.
fn parser_of(document: &Value) -> &str {
    document["inputs"][0]["parser"].as_str().unwrap_or_default()
}

fn shipped() -> Vec<String> {
    let list = run(&["parsers", "list"]).exits(0).text();
    let names = list.lines().filter_map(|line| line.strip_prefix("  "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

#[test]
fn every_captured_log_finds_its_parser() {
    let shipped = shipped();
    let mut wrong = Vec::new();
    for (log, right) in LOGS {
        let Some(path) = foreign(&format!("logs/{log}")) else {
            return;
        };
        if right.is_empty() {
            continue;
        }
        if !right
            .iter()
            .any(|name| shipped.iter().any(|known| known == name))
        {
            eprintln!("left out: {log}, no {} is shipped", right.join(", "));
            continue;
        }
        let ran = run(&[
            "replay".as_ref(),
            "--output=json".as_ref(),
            path.as_os_str(),
        ]);
        let found = match ran.code {
            0 => parser_of(&ran.json()).to_owned(),
            _ => format!("none\n{}", ran.err),
        };
        if !right.contains(&found.as_str()) {
            wrong.push(format!("{log}: {found}, not {}", right.join(", ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_captured_log_is_in_the_table() {
    let Some(folder) = foreign("logs") else {
        return;
    };
    let is_log = |name: &str| name.ends_with(".log") || name.ends_with(".log.gz");
    for server in fs::read_dir(&folder).unwrap() {
        let server = server.unwrap().path();
        for log in fs::read_dir(&server).unwrap() {
            let log = log.unwrap().path();
            let name = log.strip_prefix(&folder).unwrap().to_str().unwrap();
            let known = LOGS.iter().any(|(log, _)| *log == name);
            assert!(known || !is_log(name), "{name} has no row");
        }
    }
}

/// Statuses, methods and bytes as an independent reader of the same file found them.
#[test]
fn what_was_detected_gives_the_right_fields() {
    for (log, right) in LOGS {
        let Some(path) = foreign(&format!("logs/{log}")) else {
            return;
        };
        let oracle = fs::read(format!("{}.oracle.json", path.display()));
        let (Ok(oracle), false) = (oracle, log.ends_with(".gz") || right.is_empty()) else {
            continue;
        };
        let oracle: Value = serde_json::from_slice(&oracle).unwrap();
        let ran = run(&[
            "replay".as_ref(),
            "--output=json".as_ref(),
            path.as_os_str(),
        ]);
        if ran.code != 0 || oracle["unparsable"] != 0 || !oracle["status"].is_object() {
            continue;
        }
        let document = ran.json();
        let args = ["explain", "--json", "-p", parser_of(&document)];
        let read = run_with(&args, &fs::read(&path).unwrap()).json_lines();
        let mut statuses: BTreeMap<String, u64> = BTreeMap::new();
        for line in read.iter().filter(|line| line["ok"] == true) {
            let status = line["fields"]["status"].as_str().unwrap_or("-");
            *statuses.entry(status.to_owned()).or_default() += 1;
        }
        let statuses = serde_json::to_value(statuses).unwrap();
        assert_eq!(
            statuses,
            oracle["status"],
            "{log} as {}",
            parser_of(&document)
        );
    }
}

/// Two formats of one kind, of which one knows 11 members of the line and the other 2 of its 12.
#[test]
fn the_json_format_that_knows_most_of_the_line_wins() {
    let folder = Folder::new();
    let members = |own: &str| {
        (0..11)
            .map(|n| format!("f{n} = '{own}{n}'\n"))
            .collect::<String>()
    };
    let parser = |own: &str, detect: u32| {
        format!(
            "description = 'd'\nrules = []\ndetect = {detect}\n[format.json]\ntime = 'at'\n{}[time]\nformat = 'epoch'\n",
            members(own)
        )
    };
    // The order alone would take the one that knows least.
    folder.file("least.toml", parser("b", 1).replace("'b0'", "'a0'"));
    folder.file("most.toml", parser("a", 99));
    let line = (0..11)
        .map(|n| format!(",\"a{n}\":{n}"))
        .collect::<String>();
    let log = folder.file("x.log", format!("{{\"at\":1383203202{line}}}\n").repeat(3));
    let parsers = format!("--parsers={}", folder.path(""));
    assert_eq!(parser_of(&replay(&[&log, &parsers])), "most");
    let explained = run(&[
        "explain",
        "--json",
        &parsers,
        fs::read_to_string(&log).unwrap().lines().next().unwrap(),
    ]);
    assert_eq!(explained.exits(0).json_lines()[0]["parser"], "most");
    // A line that both know as well goes to the first.
    let log = folder.file("y.log", "{\"at\":1383203202,\"a0\":1}\n");
    assert_eq!(parser_of(&replay(&[&log, &parsers])), "least");
}

#[test]
fn the_w3c_format_that_knows_most_columns_wins() {
    let folder = Folder::new();
    folder.file(
        "windows.toml",
        "description = 'd'\nrules = []\ndetect = 99\n[format.w3c]\nescape = 'plus'\ncolumns = 'date time s-ip cs-method cs-uri-stem s-port c-ip sc-status sc-substatus sc-win32-status time-taken'\n",
    );
    let parsers = format!("--parsers={}", folder.path(""));
    let windows = folder.file("w.log", "#Fields: date time s-ip cs-method s-port c-ip sc-status sc-substatus\n2016-02-15 23:44:42 10.0.0.1 GET 443 198.51.100.7 200 0\n");
    assert_eq!(parser_of(&replay(&[&windows, &parsers])), "windows");
    let edge = folder.file("e.log", "#Fields: date time x-edge-location sc-bytes c-ip cs-method sc-status\n2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\t200\n");
    assert_eq!(
        parser_of(&replay(&[&edge, &parsers])),
        "cloudfront-standard"
    );
}

const LINE: &str =
    r#"203.0.113.9 - - [31/Oct/2013:07:06:42 +0000] "GET / HTTP/1.1" 200 5 "-" "curl""#;

#[test]
fn files_that_begin_badly_find_their_parser() {
    let folder = Folder::new();
    let rest = format!("{LINE}\n").repeat(20);
    let cut = &LINE[30..];
    for (name, start) in [
        ("mid-line", format!("{cut}\n")),
        (
            "garbage",
            "\u{1}\u{2} not a log\n\n== header ==\n".repeat(5),
        ),
        ("hole", "\0".repeat(5000)),
        ("empty lines", "\n\r\n  \n".to_owned()),
        ("mark", "\u{feff}".to_owned()),
        (
            "another format",
            "{\"level\":\"info\",\"msg\":\"start\"}\n".repeat(9),
        ),
    ] {
        let log = folder.file(&format!("{name}.log"), format!("{start}{rest}"));
        let document = replay(&[&log]);
        assert_eq!(parser_of(&document), "nginx-combined", "{name}");
        assert!(
            document["inputs"][0]["parsed"].as_u64().unwrap() >= 19,
            "{document}"
        );
    }
}

#[test]
fn a_line_torn_by_the_rotation_is_no_other_format() {
    let folder = Folder::new();
    let log = folder.file("torn.log", format!("{LINE}\n{}", &LINE[..60]));
    assert_eq!(parser_of(&replay(&[&log])), "nginx-combined");
}

#[test]
fn an_empty_file_has_no_parser_and_is_no_failure() {
    let folder = Folder::new();
    for (name, text) in [("empty", ""), ("blank", "\n \n\r\n")] {
        let log = folder.file(name, text);
        assert_eq!(
            replay(&[&log])["inputs"][0]["parser"],
            Value::Null,
            "{name}"
        );
    }
}

#[test]
fn without_a_fitting_parser_the_nearest_say_what_they_miss() {
    let folder = Folder::new();
    let log = folder.file(
        "app.json",
        "{\"ts\":1383203202,\"request\":{\"method\":\"GET\"}}\n",
    );
    let ran = run(&["replay", &log]).exits(1);
    let nearest: Vec<&str> = ran
        .err
        .lines()
        .filter(|line| line.starts_with("    "))
        .collect();
    assert_eq!(nearest.len(), 3, "{}", ran.err);
    assert!(
        ran.err.contains("caddy: no `status` at `status`"),
        "{}",
        ran.err
    );
}

#[test]
fn ingress_nginx_is_told_from_combined_and_bunny_by_its_bars() {
    let folder = Folder::new();
    let combined =
        r#"203.0.113.9 - - [21/Nov/2026:10:15:30 +0000] "GET / HTTP/1.1" 502 9 "-" "curl/8""#;
    let ingress = format!(
        "{combined} 82 0.004 [a-b-80] [] 10.1.0.12:80, 10.1.0.13:80 0, 9 0.002, 0.002 502, 502 5f4d"
    );
    let bunny =
        "MISS|503|1507167063421|0|390|2001:db8::9|-|https://shop.example/b|DE|curl/8|422b688b|US";
    for (line, parser) in [
        (combined, "nginx-combined"),
        (ingress.as_str(), "nginx-ingress"),
        (bunny, "bunny"),
    ] {
        let log = folder.file("access.log", line);
        assert_eq!(parser_of(&replay(&[&log])), parser);
    }
}
