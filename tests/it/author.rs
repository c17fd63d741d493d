//! What a parser's author does: a proposal for a log, its test, what it misses, what it costs, what it
//! changes.

use std::path::{Path, PathBuf};

use crate::program::{Folder, foreign, own, replay, run};

/// All logs below a folder.
fn logs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(logs(&path));
        } else if name.ends_with(".log") || name.ends_with(".log.gz") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// N of ``` `NAME` reads N of M lines```.
fn promised(message: &str) -> u64 {
    let (_, rest) = message.split_once(" reads ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// Proposes a file for a log; its path and what was said, or `None` with the plain reason.
#[track_caller]
fn proposed(folder: &Folder, log: &str) -> Option<(String, String)> {
    let file = folder.path("proposed.toml");
    drop(std::fs::remove_file(&file));
    let ran = run(&["parsers", "new", log, "-o", &file]);
    if Path::new(&file).exists() {
        let said = ran.exits(0).err;
        return Some((file, said));
    }
    let plain = [
        "no new parser is needed",
        "no layout found",
        "no time in most",
        "no lines yet",
    ];
    assert!(
        plain.iter().any(|reason| ran.err.contains(reason)),
        "{log}: {}",
        ran.err
    );
    None
}

#[test]
fn every_real_log_gets_a_file_that_keeps_its_promise_or_a_plain_no() {
    let Some(fixtures) = foreign("logs") else {
        return;
    };
    let folder = Folder::new();
    let mut files = 0;
    for log in logs(&fixtures) {
        let log = log.to_str().unwrap();
        let Some((file, said)) = proposed(&folder, log) else {
            continue;
        };
        files += 1;
        run(&["parsers", "test", &file]).exits(0);
        let document = replay(&["--parser", &file, log]);
        let parsed = document["inputs"][0]["parsed"].as_u64().unwrap();
        assert!(parsed >= promised(&said), "{log}: {parsed} parsed; {said}");
    }
    assert!(files >= 5, "{files}");
}

#[test]
fn hostile_lines_give_valid_printable_files() {
    let line = |agent: &str| {
        format!(
            "81.2.69.142 - jane [31/Oct/2013:07:06:42 +0000] \"GET /x?sid=7 HTTP/1.1\" 200 43 {agent} end"
        )
    };
    let agents = [
        "'''\\n[[example]]\\nline = 'x' \"\"\"",
        "\u{1b}[2J\u{7f}\u{202e}",
        "\"a''' ''' b\"",
        "]]\" detect = 1 # $remote_addr ${x",
        "\t\u{0}\u{1}",
    ];
    let folder = Folder::new();
    for agent in agents {
        let log = folder.file("hostile.log", format!("{0}\n{0}\n", line(agent)));
        let ran = run(&["parsers", "new", &log]);
        let text = ran.text();
        assert!(
            !text.chars().any(|c| c.is_control() && c != '\n'),
            "{text:?}"
        );
        assert!(
            !ran.err.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{text}{}",
            ran.err
        );
        assert!(
            !text.contains("81.2.69.142") && !text.contains("jane"),
            "{text}"
        );
        if ran.code == 0 && !text.is_empty() {
            let file = folder.file("p.toml", &text);
            run(&["parsers", "test", &file]).exits(0);
            assert_eq!(text.matches("[[example]]\n").count(), 1, "{text}");
        }
    }
}

const ODD: &str = "shop.example 81.2.69.142 [2013-10-31T07:06:42+00:00] \"GET /cart?id=7&token=abc HTTP/2.0\" 502 612 \"fastly\" 1.204
shop.example 2a00:1450::5 [2013-10-31T07:06:43+00:00] \"GET / HTTP/1.1\" 200 9120 \"-\" 0.017
shop.example 81.2.69.142 [2013-10-31T07:06:44+00:00] \"POST /pay HTTP/1.1\" 200 10 \"akamai\" 0.5
";

#[test]
fn a_proposal_names_what_values_show_and_hides_who_was_there() {
    let folder = Folder::new();
    let log = folder.file("odd.log", ODD);
    let text = run(&["parsers", "new", &log]).exits(0).text();
    for part in [
        "${host} ${remote_addr} [",
        "\"${request}\" ${status} ${body_bytes_sent} \"${http_x_cdn_provider}\" ${request_time}",
        "token=hidden",
        "203.0.113.1",
        "2001:db8::",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    for part in ["81.2.69.142", "2a00:1450", "abc"] {
        assert!(!text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn more_text_behind_a_known_format_is_appended() {
    let folder = Folder::new();
    let lines = "203.0.113.9 - - [31/Oct/2013:07:06:42 +0000] \"GET / HTTP/1.1\" 200 43 \"-\" \"curl/8\" \"fastly\" 0.004 TLSv1.3 HIT\n".repeat(3);
    let log = folder.file("tls.log", lines);
    let text = run(&["parsers", "new", &log]).exits(0).text();
    assert!(text.contains("extends = \"nginx-cdn\""), "{text}");
    assert!(
        text.contains(" ${ssl_protocol} ${upstream_cache_status}"),
        "{text}"
    );
    let known = run(&[
        "parsers",
        "new",
        own("origin-incident.log.gz").to_str().unwrap(),
    ])
    .exits(0);
    assert_eq!(known.text(), "");
    assert!(
        known.err.contains("no new parser is needed"),
        "{}",
        known.err
    );
}

#[test]
fn json_keys_get_their_names() {
    let folder = Folder::new();
    let line = "{\"at\":\"2013-10-31T07:06:42Z\",\"clientIp\":\"81.2.69.142\",\"req\":{\"method\":\"GET\",\"url\":\"/a\",\"headers\":{\"Authorization\":\"Bearer abcdefgh\"}},\"statusCode\":200,\"took_ms\":12,\"zone.x\":\"q\"}\n";
    let log = folder.file("j.log", line.repeat(2));
    let text = run(&["parsers", "new", &log]).exits(0).text();
    for part in [
        "request_method = \"req.method\"",
        "request_uri = \"req.url\"",
        "status = \"statusCode\"",
        "remote_addr = \"clientIp\"",
        "request_time = \"took_ms\"",
        "request_time = \"ms\"",
        "\"http_*\" = \"req.headers.*\"",
        "require = [\"status\"]",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(
        !text.contains("abcdefgh") && !text.contains("81.2.69.142"),
        "{text}"
    );
}

#[test]
fn an_existing_file_is_not_overwritten() {
    let folder = Folder::new();
    let (log, file) = (
        folder.file("odd.log", ODD),
        folder.file("there.toml", "mine"),
    );
    let ran = run(&["parsers", "new", &log, "-o", &file]).exits(1);
    assert!(ran.err.contains("not overwritten"), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "mine");
}

#[test]
fn the_configuration_says_what_the_log_is() {
    let folder = Folder::new();
    let log = folder.file("odd.log", ODD);
    let conf = folder.file(
        "nginx.conf",
        "http { log_format other '$remote_addr $msec $status';\n log_format shop '$host $remote_addr [$time_iso8601] \"$request\" '\n '$status $bytes_sent \"$http_x_cdn\" $request_time'; }",
    );
    let text = run(&["parsers", "new", &log, "--nginx-conf", &conf])
        .exits(0)
        .text();
    assert!(
        text.contains("log_format shop") && text.contains("http_x_cdn = \"fastly\""),
        "{text}"
    );
}

#[test]
fn a_failing_example_shows_what_was_expected_and_what_is() {
    let folder = Folder::new();
    let format = "description = 'd'\nformat.nginx = '$remote_addr $msec \"$request\" $status'\n";
    let example = "[[example]]\nline = '203.0.113.9 1383203202 \"GET /a HTTP/1.1\" 200'\nfields = { status = '20', path = '/a', query = 'x' }\n";
    let file = folder.file("wrong.toml", format!("{format}{example}"));
    let ran = run(&["parsers", "test", &file]).exits(1);
    for part in [
        "- status = \"20\"\n",
        "+ status = \"200\"\n",
        "- query = \"x\"\n",
        "+ query = (absent)\n",
    ] {
        assert!(ran.err.contains(part), "{part}\n{}", ran.err);
    }
    assert!(!ran.err.contains("- path"), "{}", ran.err);
    let cut = folder.file(
        "cut.toml",
        format!("{format}{}", example.replace("\" 200'", " 200'")),
    );
    let ran = run(&["parsers", "test", &cut]).exits(1);
    assert!(
        ran.err.contains("the line is not read") && ran.err.contains("from here on"),
        "{}",
        ran.err
    );
    let rules = "[[metric]]\nname = 'a_total'\nhelp = 'h'\nlabels = ['code']\n[[example]]\nfields = { status = '200' }\ncounts = { 'a_total{code=\"3xx\"}' = 1 }\n";
    folder.file("rules/count.toml", rules);
    let parsers = format!("--parsers={}", folder.0.path().join("").display());
    std::fs::remove_file(&file).unwrap();
    std::fs::remove_file(&cut).unwrap();
    let ran = run(&["parsers", "test", &parsers, "count"]).exits(1);
    assert!(
        ran.err.contains("- a_total{code=\"3xx\"} = 1\n"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("+ a_total{code=\"2xx\"} = 1\n"),
        "{}",
        ran.err
    );
}

/// What the regular expression of the talk was measured not to take, each a row of the table of its faults.
const ETSY: [&str; 13] = [
    "a line with an HTTP/2 request is not read",
    "a line with an IPv6 client is not read",
    "a line with a user's name in place of `-` is not read",
    "a line with a quote inside the agent is not read",
    "a line with an empty referrer is not read",
    "a line with a HEAD request is not read",
    "a line with another parameter first is not read",
    "a line with an absolute URL is not read",
    "a line with `unknown` among the forwarded addresses is not read",
    "a line with no forwarded addresses is not read",
    "a line with nothing behind the agent is not read",
    "a line with no host in front, as in `combined` is not read",
    "the pattern is not one-pass: a second, slower search finds the groups of each line",
];

fn findings(message: &str) -> Vec<&str> {
    message
        .lines()
        .filter_map(|line| line.strip_prefix("warning: "))
        .collect()
}

#[test]
fn the_talks_pattern_has_the_faults_that_were_measured() {
    let ran = run(&["parsers", "lint", "etsy-beacon"]).exits(1);
    let expected: Vec<String> = ETSY
        .iter()
        .map(|what| format!("`etsy-beacon`: {what}"))
        .collect();
    assert_eq!(findings(&ran.err), expected);
    assert_eq!(ran.text(), "1 format, 0 rule sets, 13 findings\n");
}

/// Findings about shipped files that are as they should be.
const EXPECTED: [&str; 4] = [
    // The metro code of a node's name: as many as a CDN has places, and the metric's own limit holds.
    "label `pop` of `cdn_failure_beacons_by_pop_total`",
    // Messages are free text, which no pattern takes in one pass.
    "`apache-error`: the pattern is not one-pass",
    "`nginx-error`: the pattern is not one-pass",
    // What the talk counted.
    "label `source` of `etsy_failure_beacons_total`",
];

#[test]
fn shipped_files_have_no_findings_but_those_expected() {
    let ran = run(&["parsers", "lint"]).exits(1);
    let known = |finding: &&str| {
        finding.starts_with("`etsy-beacon`")
            || EXPECTED.iter().any(|known| finding.starts_with(known))
    };
    let unknown: Vec<&str> = findings(&ran.err)
        .into_iter()
        .filter(|finding| !known(finding))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    run(&["parsers", "lint", "nginx-combined", "origin"]).exits(0);
    run(&["parsers", "lint", "nginx-combinde"]).exits(2);
}

#[test]
fn labels_that_clients_fill_are_found() {
    let folder = Folder::new();
    let metric = |name: &str, label: &str, more: &str| {
        format!("[[metric]]\nname = '{name}_total'\nhelp = 'h'\nlabels = ['{label}']\n{more}\n")
    };
    let rules = format!(
        "[fields]\nclient = {{ client_addr = ['remote_addr'] }}\nbrand = {{ from = 'http_x_brand', values = ['a'], other = 'o' }}\n{}{}{}{}{}",
        metric("ua", "http_user_agent", ""),
        metric(
            "limited",
            "http_user_agent",
            "label_limits = { http_user_agent = 5 }"
        ),
        metric("brand", "brand", ""),
        metric("client", "client", ""),
        metric("path", "path", ""),
    );
    folder.file("rules/mine.toml", rules);
    let parsers = format!("--parsers={}", folder.0.path().display());
    let ran = run(&["parsers", "lint", &parsers]).exits(1);
    assert_eq!(
        findings(&ran.err),
        [
            "rule set `mine` has no example",
            "label `http_user_agent` of `ua_total` is what a client sends, without `values` or a limit",
            "label `client` of `client_total` is an address",
            "label `path` of `path_total` is a path as it was asked for",
        ]
    );
}

#[test]
fn cost_says_what_was_read_and_no_more() {
    let log = own("origin-incident.log.gz");
    let log = log.to_str().unwrap();
    let text = run(&["parsers", "cost", "auto", log, "--lines", "5000"])
        .exits(0)
        .text();
    for part in [
        "nginx-cdn reads ",
        "; the log goes on",
        "cdn_failure_beacons_by_pop_total (provider ",
        "in all",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let whole = run(&["parsers", "cost", "beacon", log]).exits(0).text();
    assert!(
        !whole.contains("goes on") && !whole.contains("cdn_origin"),
        "{whole}"
    );
    run(&["parsers", "cost", "no-such", log]).exits(2);
}

#[test]
fn series_beyond_a_limit_are_told() {
    let folder = Folder::new();
    folder.file(
        "rules/few.toml",
        "[[metric]]\nname = 'few_total'\nhelp = 'h'\nlabels = ['path']\nlabel_limits = { path = 2 }\n",
    );
    let log = own("origin-incident.log.gz");
    let parsers = format!("--parsers={}", folder.0.path().display());
    let text = run(&["parsers", "cost", "few", log.to_str().unwrap(), &parsers])
        .exits(0)
        .text();
    let row = text
        .lines()
        .find(|line| line.contains("few_total"))
        .unwrap();
    let numbers: Vec<u64> = row
        .split_whitespace()
        .take(4)
        .map(|n| n.parse().unwrap())
        .collect();
    let [series, declared, beyond, paths] = numbers[..] else {
        panic!("{row}")
    };
    assert_eq!((declared, beyond, paths), (0, series - 2, 3), "{row}");
}

#[test]
fn diff_tells_moved_lost_and_unread() {
    let folder = Folder::new();
    let rules = |name: &str, label: &str| {
        format!("[[metric]]\nname = '{name}_total'\nhelp = 'h'\nlabels = ['{label}']\n")
    };
    folder.file("rules/old.toml", rules("hits", "status"));
    folder.file("rules/new.toml", rules("requests", "code"));
    let line = |status: u32| {
        format!(
            "203.0.113.9 - - [31/Oct/2013:07:06:42 +0000] \"GET / HTTP/1.1\" {status} 43 \"-\" \"-\"\n"
        )
    };
    let log = folder.file("a.log", [line(200), line(200), line(404)].concat());
    let parsers = format!("--parsers={}", folder.0.path().display());
    let text = run(&["parsers", "diff", "old", "new", &log, &parsers])
        .exits(1)
        .text();
    for part in [
        "- metric hits_total",
        "+ metric requests_total",
        "> hits_total{status=\"200\"} is requests_total{code=\"2xx\"} 2",
        "> hits_total{status=\"404\"} is requests_total{code=\"4xx\"} 1",
        "3 lines, 3 read by both",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let same = run(&["parsers", "diff", "auto", "nginx-combined", &log])
        .exits(0)
        .text();
    assert!(same.ends_with("no difference\n"), "{same}");
    let caddy = run(&["parsers", "diff", "nginx-combined", "caddy", &log])
        .exits(1)
        .text();
    assert!(
        caddy.contains("3 lines only the old side reads\n  - 203.0.113.x"),
        "{caddy}"
    );
}

/// What is proposed for these lines: the file's text, which passes its own examples.
#[track_caller]
fn proposal_for(lines: &str) -> String {
    let folder = Folder::new();
    let log = folder.file("odd.log", lines);
    let (file, _) = proposed(&folder, &log).expect("a proposal");
    run(&["parsers", "test", &file]).exits(0);
    std::fs::read_to_string(file).unwrap()
}

#[track_caller]
fn proposes(lines: &str, parts: &[&str]) {
    let text = proposal_for(lines);
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn keys_in_camel_case_are_known() {
    proposes(
        r#"{"time":"2026-11-21T10:15:30.12Z","properties":{"httpMethod":"GET","httpVersion":"2.0.0.0","requestUri":"https://shop.example:443/a?sig=S3CR3T","responseBytes":"2048","clientIp":"192.0.2.9","timeTaken":"0.023","requestProtocol":"HTTPS","httpStatusCode":"503","errorInfo":"NoError"}}"#,
        &[
            r#"request_method = "properties.httpMethod""#,
            r#"request_uri = "properties.requestUri""#,
            r#"status = "properties.httpStatusCode""#,
            r#"body_bytes_sent = "properties.responseBytes""#,
            r#"request_time = "properties.timeTaken""#,
            r#"scheme = "properties.requestProtocol""#,
            r#"properties_error_info = "properties.errorInfo""#,
            r#""httpVersion":"2.0.0.0""#,
            "sig=hidden",
        ],
    );
}

#[test]
fn a_gateways_service_is_not_taken_for_the_request() {
    let line = r#"{"latencies":{"request":515,"kong":58,"proxy":457},"service":{"host":"httpbin.org","protocol":"http"},"request":{"querystring":{"who":"x"},"uri":"/cart","headers":{"host":"shop.example"},"method":"GET"},"client_ip":"192.0.2.9","response":{"status":502,"size":0},"started_at":1614232668342}"#;
    let text = proposal_for(line);
    for part in [
        r#"request_time = "latencies.request""#,
        r#"request_time = "ms""#,
        r#"upstream_response_time = "latencies.proxy""#,
        r#"service_host = "service.host""#,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        !text.contains("server_protocol") && !text.contains("querystring_who"),
        "{text}"
    );
}

#[test]
fn pairs_become_logfmt_and_a_time_before_them_is_searched() {
    proposes(
        "I, [2026-11-21T10:15:30.1 #47]  INFO -- : [6f1c] method=GET path=/a status=200 format=html duration=58.3\nI, [2026-11-21T10:15:31.1 #47]  INFO -- : [6f1d] method=GET path=/b status=503 error=\"x y\" format=html duration=58.3\n",
        &[
            "[format.logfmt]",
            r#"request_time = "duration""#,
            r#"format = "rfc3339""#,
            "search = ",
        ],
    );
}

#[test]
fn a_unit_in_a_column_of_its_own_is_the_numbers_unit() {
    proposes(
        "2026-11-21T10:15:30.1Z GET /cart?id=7 200 1024 12.345 ms\n2026-11-21T10:15:31.1Z POST /b 503 7 204 ms\n",
        &["${request_time} ms", r#"request_time = "ms""#],
    );
}

#[test]
fn columns_behind_apaches_common_get_plain_names() {
    proposes(
        r#"192.0.2.9 - - [21/Nov/2026:10:15:30 +0100] "GET /a HTTP/1.1" 200 1234 0.087 exec-1"#,
        &["${body_bytes_sent} ${request_time} ${field1}"],
    );
}

#[test]
fn a_format_that_reads_only_with_fields_missing_is_no_answer() {
    proposes(
        r#"[21/Nov/2026:10:15:30 +0000] "GET /a.js HTTP/1.1" 200 1024 "-" "Mozilla/5.0" 192.0.2.9 defr HIT zone.example"#,
        &["${remote_addr}", "${upstream_cache_status} ${host}"],
    );
}

#[test]
fn times_with_a_comma_are_found_and_lines_without_time_are_said_to_be() {
    proposes(
        "2026-11-21 10:15:30,123|INFO|192.0.2.9|GET|/c?sid=AB12CD|HTTP/1.1|200|51|a.b@c.example|Mozilla/5.0 (X11)\n",
        &[
            "%H:%M:%S,%f",
            "${http_user_agent}",
            "sid=hidden|HTTP/1.1|200",
        ],
    );
    let folder = Folder::new();
    let log = folder.file("dev.log", "GET /cart 200 12.345 ms - 1024\n");
    let ran = run(&["parsers", "new", &log]).exits(1);
    assert!(ran.err.contains("no time in most"), "{}", ran.err);
}

#[test]
fn the_line_that_is_not_read_is_shown_without_its_secrets() {
    let good = "2026-11-21T10:15:30Z GET /cart 200 1024\n";
    let folder = Folder::new();
    let log = folder.file(
        "odd.log",
        format!("login?token=S3CR3T from 192.0.2.9\n{good}{good}"),
    );
    let ran = run(&["parsers", "new", &log]).exits(0);
    assert!(
        ran.err.contains("does not read: login?token=hidden"),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("192.0.2.9"), "{}", ran.err);
}

/// What a proposal for this log says, when it passes its own examples.
#[track_caller]
fn sound_proposal(folder: &Folder, log: &str) -> String {
    let path = folder.file("odd.log", log);
    let ran = run(&["parsers", "new", &path]).exits(0);
    let text = ran.text();
    let file = folder.file("proposed.toml", &text);
    run(&["parsers", "test", &file]).exits(0);
    let document = replay(&["--parser", &file, &path]);
    let parsed = document["inputs"][0]["parsed"].as_u64().unwrap();
    assert!(parsed >= promised(&ran.err), "{document}\n{text}");
    text
}

#[test]
fn a_proposal_is_for_the_record_inside_an_envelope() {
    let folder = Folder::new();
    let records: Vec<&str> = ODD.lines().collect();
    let wrappers: [fn(&str) -> String; 4] = [
        |line| format!("<134>Oct 31 07:06:43 lb7 edge[77]: {line}\n"),
        |line| format!("2013-10-31T07:06:43.1Z stdout F {line}\n"),
        |line| {
            let text = serde_json::to_string(&format!("{line}\n")).unwrap();
            format!("{{\"log\":{text},\"stream\":\"stdout\",\"time\":\"2013-10-31T07:06:43Z\"}}\n")
        },
        |line| {
            let (head, end) = line.split_at(30);
            format!("2013-10-31T07:06:43Z stdout P {head}\n2013-10-31T07:06:43Z stdout F {end}\n")
        },
    ];
    let bare = sound_proposal(&folder, ODD);
    for wrap in wrappers {
        let log: String = records.iter().map(|line| wrap(line)).collect();
        assert_eq!(sound_proposal(&folder, &log), bare, "{log}");
    }
}

#[test]
fn a_header_whose_time_is_the_only_one_stays_in_the_proposal() {
    let folder = Folder::new();
    let line = |n: u32| {
        format!(
            "2013-10-31T07:06:{n:02}+00:00 web1 tomcat[7]: 81.2.69.142 \"GET /cart HTTP/1.1\" 200 43\n"
        )
    };
    let log: String = (10..20).map(line).collect();
    let text = sound_proposal(&folder, &log);
    assert!(text.contains("${time_iso8601}"), "{text}");
}

#[test]
fn pairs_in_any_order_become_logfmt() {
    let folder = Folder::new();
    let log = "ts=2013-10-31T07:06:42Z level=info method=GET path=\"/cart?id=7&token=abc\" fwd=81.2.69.142 status=503 bytes=612 duration_ms=12\n\
        level=info ts=2013-10-31T07:06:43Z status=200 method=GET path=/ bytes=43 fwd=81.2.69.142 duration_ms=3 msg=\"a \\\"b\\\"\"\n\
        level=warn msg=slow ts=2013-10-31T07:06:44Z fwd=81.2.69.142 path=/x method=PUT status=201 duration_ms=900 bytes=1 cookie=\"theme=dark; id=s3cr3t\"\n";
    let text = sound_proposal(&folder, log);
    for part in [
        "[format.logfmt]",
        "status = \"status\"",
        "request_uri = \"path\"",
        "request_time = \"duration_ms\"",
        "request_time = \"ms\"",
        "token=hidden",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(
        !text.contains("81.2.69.142") && !text.contains("s3cr3t"),
        "{text}"
    );
}

#[test]
fn columns_that_are_quoted_at_times_become_csv() {
    let folder = Folder::new();
    let rows = "2013-10-31T07:06:42Z,81.2.69.142,GET,\"/a,b\",503,612,fastly\n\
        2013-10-31T07:06:43Z,81.2.69.142,GET,/,200,43,\"Fastly, Inc.\"\n\
        2013-10-31T07:06:44Z,81.2.69.9,POST,/pay,200,10,akamai\n";
    let text = sound_proposal(&folder, rows);
    assert!(text.contains("[format.csv]\ncolumns = "), "{text}");
    assert!(text.contains("Fastly, Inc."), "{text}");
    let header = format!("Time,Client IP,Verb,URL,Status,Bytes,Session Cookie\n{rows}");
    let text = sound_proposal(
        &folder,
        &header.replace(',', ";").replace("Fastly;", "Fastly,"),
    );
    for part in [
        "separator = \";\"",
        "header = true",
        "request_uri = \"URL\"",
        "remote_addr = \"Client IP\"",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("akamai"), "{text}");
    let tabs = rows
        .replace('"', "")
        .replace("a,b", "a")
        .replace("Fastly, Inc.", "x")
        .replace(',', "\t");
    sound_proposal(&folder, &tabs);
}

#[test]
fn rules_that_the_other_format_cannot_feed_are_said_to_be_that() {
    let folder = Folder::new();
    folder.file(
        "pod.toml",
        "description = \"x\"\nrules = [\"pods\"]\nformat.csv = \"time status pod\"\n",
    );
    folder.file(
        "rules/pods.toml",
        "description = \"x\"\n[[metric]]\nname = \"pods_total\"\nhelp = \"x\"\nlabels = [\"pod\"]\n",
    );
    let log = folder.file("pod.log", "2026-11-21T10:15:30Z,503,a\n");
    let parsers = format!("--parsers={}", folder.0.path().display());
    let args = ["parsers", "diff", "pod", "nginx-combined", &log, &parsers];
    let ran = run(&[&args[..], &["--rules-new=pods"]].concat()).exits(2);
    for part in [
        "the new side, `nginx-combined`, does not have what its rules ask for: `pod`",
        "`--rules-new NAME`",
        "rules/pods.toml:5:12",
    ] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
}

#[test]
fn a_list_of_parsers_shows_no_control_characters() {
    let folder = Folder::new();
    folder.file(
        "a\u{1b}[31m.toml",
        "description = \"na\\u001b]0;ive\"\nrules = [\"origin\"]\nformat.csv = \"time status\"\n",
    );
    let parsers = format!("--parsers={}", folder.0.path().display());
    let ran = run(&["parsers", "list", &parsers]).exits(0);
    assert!(
        ran.text().contains("ive") && !ran.text().contains('\u{1b}'),
        "{}",
        ran.text()
    );
}

#[test]
fn bars_with_blanks_around_them_part_columns() {
    let folder = Folder::new();
    let line = |n: u32| {
        format!("2024-01-01 10:00:{n:02} | 81.2.69.142 | GET /cart?token=s3cr3t | 200 | {n}ms\n")
    };
    let log: String = (10..30).map(line).collect();
    let text = sound_proposal(&folder, &log);
    assert!(
        text.contains("| ${remote_addr} | ${request} | ${status} | ${request_time}ms"),
        "{text}"
    );
    assert!(!text.contains("s3cr3t"), "{text}");
}
