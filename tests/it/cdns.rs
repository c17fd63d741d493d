//! Each CDN's own log, counted by the shipped rules and by hand.
//!
//! The lines are spelled as the vendors write them; the tables beside them were added up on paper.
//! A row is the metric without `cdn_edge_`, its label values and its total; of a histogram, how many
//! and their sum.

use serde_json::Value;

use crate::program::{Folder, replay};

/// The rows of a document, sorted.
fn rows(document: &Value) -> Vec<String> {
    let series = document["series"].as_array().unwrap().iter();
    let mut rows: Vec<String> = series
        .map(|series| {
            let metric = series["metric"].as_str().unwrap();
            let labels = ["provider", "cache", "code", "pop"].into_iter();
            let labels = labels.filter_map(|label| series["labels"][label].as_str());
            let labels: Vec<&str> = labels.collect();
            let total = match &series["total"] {
                Value::Object(histogram) => format!(
                    "{} of {}",
                    histogram["count"],
                    histogram["sum"].as_str().unwrap()
                ),
                total => total.to_string(),
            };
            let metric = metric.strip_prefix("cdn_edge_").unwrap_or(metric);
            format!("{metric} {} {total}", labels.join(" "))
        })
        .collect();
    rows.sort();
    rows
}

/// A log whose parser is detected, or named; its lines are all read.
#[track_caller]
fn check(log: &str, named: Option<&str>, parser: &str, expected: &[&str]) {
    let folder = Folder::new();
    let path = folder.file("edge.log", log);
    let mut args = vec![path];
    args.extend(named.map(|name| format!("--parser={name}")));
    let document = replay(&args);
    let input = &document["inputs"][0];
    assert_eq!(input["parser"], parser, "{input}");
    assert_eq!(input["unparsed"], 0, "{input}");
    let mut expected: Vec<String> = expected.iter().map(|row| (*row).to_owned()).collect();
    expected.sort();
    assert_eq!(rows(&document), expected);
}

const CLOUDFRONT: &str = "\
#Version: 1.0
#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start sc-range-end
";

/// A line of CloudFront's standard log: what the counts depend on, the rest as it is documented.
fn cloudfront(
    location: &str,
    bytes: u32,
    status: &str,
    result: &str,
    taken: &str,
    first: &str,
) -> String {
    format!(
        "2019-12-04\t21:02:31\t{location}\t{bytes}\t192.0.2.100\tGET\td111111abcdef8.cloudfront.net\t/index.html\t{status}\t-\tMozilla/5.0%20(Windows)\t-\t-\t{result}\tSOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==\twww.example.com\thttps\t23\t{taken}\t-\tTLSv1.2\tECDHE-RSA-AES128-GCM-SHA256\t{result}\tHTTP/2.0\t-\t-\t11040\t{first}\t{result}\ttext/html\t78\t-\t-\n"
    )
}

#[test]
fn cloudfront_is_counted_as_by_hand() {
    let lines = [
        cloudfront("LAX1", 392, "200", "Hit", "0.001", "0.001"),
        cloudfront("LAX50-P2", 1000, "200", "RefreshHit", "0.020", "0.010"),
        cloudfront("LAX3-C1", 108, "304", "OriginShieldHit", "0.004", "0.004"),
        cloudfront("FRA2", 5000, "200", "Miss", "0.300", "0.250"),
        cloudfront("FRA56-P4", 183, "301", "Redirect", "0.000", "0.000"),
        cloudfront("SEA19-C1", 900, "502", "Error", "0.102", "0.102"),
        cloudfront("SEA19-C1", 507, "503", "LimitExceeded", "0.003", "0.003"),
        cloudfront("SEA19-C2", 0, "000", "Error", "10.5", "-"),
        cloudfront(
            "SOF50-P2",
            77,
            "200",
            "LambdaGeneratedResponse",
            "0.050",
            "0.050",
        ),
    ];
    let log = format!("{CLOUDFRONT}{}", lines.concat());
    check(
        &log,
        None,
        "cloudfront-standard",
        &[
            "requests_total cloudfront hit 2xx 2",
            "requests_total cloudfront hit 3xx 1",
            "requests_total cloudfront miss 2xx 1",
            "requests_total cloudfront redirect 3xx 1",
            "requests_total cloudfront error 502 1",
            "requests_total cloudfront error 503 1",
            "requests_total cloudfront error other 1",
            "requests_total cloudfront generated 2xx 1",
            "requests_by_pop_total cloudfront LAX 3",
            "requests_by_pop_total cloudfront FRA 2",
            "requests_by_pop_total cloudfront SEA 3",
            "requests_by_pop_total cloudfront SOF 1",
            "errors_by_pop_total cloudfront SEA 2",
            "response_bytes_total cloudfront hit 1500",
            "response_bytes_total cloudfront miss 5000",
            "response_bytes_total cloudfront redirect 183",
            "response_bytes_total cloudfront error 1407",
            "response_bytes_total cloudfront generated 77",
            "request_duration_seconds cloudfront 9 of 10.98",
            "time_to_first_byte_seconds cloudfront 8 of 0.42",
        ],
    );
}

/// A line of Fastly's JSON.
fn fastly(server: &str, state: &str, status: u32, bytes: u32, edge: bool) -> String {
    format!(
        "{{\"timestamp\":\"2023-11-07T21:15:59+0000\",\"client_ip\":\"203.0.113.10\",\"geo_country\":\"exampleland\",\"geo_city\":\"exampleville\",\"host\":\"example.com\",\"url\":\"/path\",\"request_method\":\"GET\",\"request_protocol\":\"HTTP/2\",\"request_referer\":\"\",\"request_user_agent\":\"Mozilla/5.0\",\"response_state\":\"{state}\",\"response_status\":{status},\"response_reason\":\"OK\",\"response_body_size\":{bytes},\"fastly_server\":\"{server}\",\"fastly_is_edge\":{edge}}}\n"
    )
}

#[test]
fn fastly_is_counted_as_by_hand() {
    let lines = [
        fastly("cache-lga21947-LGA", "HIT", 200, 1000, true),
        fastly("cache-lga21947-LGA", "HIT-CLUSTER", 200, 1000, true),
        fastly("cache-lga21950-LGA", "HIT-STALE-WAIT", 200, 1000, true),
        fastly("cache-sjc1000133-SJC", "MISS-CLUSTER", 404, 50, true),
        // The same request at its shield: not the client's.
        fastly("cache-sjc1000133-SJC", "MISS", 404, 50, false),
        fastly("cache-nrt-rjtf7700046-NRT", "PASS", 503, 444, true),
        fastly("cache-nrt-rjtf7700046-NRT", "ERROR", 503, 444, true),
        fastly("cache-ny57-NYC", "HIT-SYNTH", 301, 0, true),
        fastly("cache-ny57-NYC, cache-lo82-LHR", "PIPE", 200, 7, true),
        fastly("", "NONE", 200, 1, true),
    ];
    check(
        &lines.concat(),
        None,
        "fastly-json",
        &[
            "requests_total fastly hit 2xx 3",
            "requests_total fastly miss 4xx 1",
            "requests_total fastly pass 503 1",
            "requests_total fastly pass 2xx 1",
            "requests_total fastly error 503 1",
            "requests_total fastly generated 3xx 1",
            "requests_total fastly unknown 2xx 1",
            "requests_by_pop_total fastly LGA 3",
            "requests_by_pop_total fastly SJC 1",
            "requests_by_pop_total fastly NRT 2",
            "requests_by_pop_total fastly NYC 1",
            "requests_by_pop_total fastly LHR 1",
            "requests_by_pop_total fastly unknown 1",
            "errors_by_pop_total fastly NRT 2",
            "response_bytes_total fastly hit 3000",
            "response_bytes_total fastly miss 50",
            "response_bytes_total fastly pass 451",
            "response_bytes_total fastly error 444",
            "response_bytes_total fastly generated 0",
            "response_bytes_total fastly unknown 1",
            "internal_requests_total fastly 1",
        ],
    );
}

/// The node's name in the syslog prefix is in lower case and without its end.
#[test]
fn a_pop_of_fastly_is_one_label_whatever_names_it() {
    let text = |node: &str, status: u32| {
        format!(
            "<134>2023-11-07T21:15:59Z {node} LogTest[62959]: 203.0.113.9 - - [07/Nov/2023:21:15:59 +0000] \"GET /index.html HTTP/1.1\" {status} 10\n"
        )
    };
    let lines = [
        text("cache-sjc3128", 200),
        text("cache-sjc1000133", 502),
        text("cache-nrt-rjtf7700046", 200),
        text("cache-sjc1000133-SJC", 200),
    ];
    check(
        &lines.concat(),
        Some("fastly"),
        "fastly",
        &[
            "requests_total fastly unknown 2xx 3",
            "requests_total fastly unknown 502 1",
            "requests_by_pop_total fastly SJC 3",
            "requests_by_pop_total fastly NRT 1",
            "errors_by_pop_total fastly SJC 1",
            "response_bytes_total fastly unknown 40",
        ],
    );
}

/// A line of Logpush with what every job has, and more behind it.
fn cloudflare(cache: &str, status: u32, colo: &str, bytes: u32, more: &str) -> String {
    format!(
        "{{\"CacheCacheStatus\":\"{cache}\",\"ClientCountry\":\"sa\",\"ClientIP\":\"175.16.199.0\",\"ClientRequestHost\":\"xyz.example.com\",\"ClientRequestMethod\":\"GET\",\"ClientRequestURI\":\"/s?a=1\",\"EdgeColoCode\":\"{colo}\",\"EdgeStartTimestamp\":\"2022-05-25T13:25:26Z\",\"EdgeResponseBytes\":{bytes},\"EdgeResponseStatus\":{status},\"RayID\":\"710e98d9367f357d\"{more}}}\n"
    )
}

#[test]
fn cloudflare_is_counted_as_by_hand() {
    let own = ",\"ParentRayID\":\"00\",\"WorkerSubrequest\":false,\"EdgeTimeToFirstByteMs\":";
    let lines = [
        cloudflare("hit", 200, "RUH", 1000, &format!("{own}5")),
        cloudflare("revalidated", 304, "RUH", 200, &format!("{own}45")),
        cloudflare("stale", 200, "AMS", 300, &format!("{own}12")),
        cloudflare("updating", 200, "AMS", 300, &format!("{own}13")),
        cloudflare("stream_hit", 206, "AMS", 10, &format!("{own}25")),
        cloudflare("miss", 200, "AMS", 4000, &format!("{own}5333")),
        cloudflare("expired", 502, "AMS", 600, &format!("{own}900")),
        cloudflare("dynamic", 524, "AMS", 60, &format!("{own}100000")),
        cloudflare("bypass", 200, "SJC", 5, ""),
        cloudflare("ignored", 405, "SJC", 6, ""),
        cloudflare("none", 403, "SJC", 9, ""),
        // A Worker's own request, and one that a request with another ray made.
        cloudflare("miss", 500, "SJC", 70, ",\"WorkerSubrequest\":true"),
        cloudflare(
            "dynamic",
            200,
            "RUH",
            70,
            ",\"ParentRayID\":\"710e98d93d50357d\"",
        ),
    ];
    check(
        &lines.concat(),
        None,
        "cloudflare-http",
        &[
            "requests_total cloudflare hit 2xx 4",
            "requests_total cloudflare hit 3xx 1",
            "requests_total cloudflare miss 2xx 1",
            "requests_total cloudflare miss 502 1",
            "requests_total cloudflare pass 5xx 1",
            "requests_total cloudflare pass 2xx 1",
            "requests_total cloudflare pass 4xx 1",
            "requests_total cloudflare unknown 4xx 1",
            "requests_by_pop_total cloudflare RUH 2",
            "requests_by_pop_total cloudflare AMS 6",
            "requests_by_pop_total cloudflare SJC 3",
            "errors_by_pop_total cloudflare AMS 2",
            "response_bytes_total cloudflare hit 1810",
            "response_bytes_total cloudflare miss 4600",
            "response_bytes_total cloudflare pass 71",
            "response_bytes_total cloudflare unknown 9",
            "time_to_first_byte_seconds cloudflare 8 of 106.333",
            "internal_requests_total cloudflare 2",
        ],
    );
}

/// A line of DataStream 2: all values are texts, keys without one are left out.
fn akamai(cache: &str, status: &str, bytes: &str, wait: &str, more: &str) -> String {
    format!(
        "{{\"version\":\"1\",\"cp\":\"123456\",\"reqId\":\"1239f220\",\"cliIP\":\"203.0.113.7\",\"reqTimeSec\":\"1573840000.123\",\"reqMethod\":\"GET\",\"reqHost\":\"www.example.test\",\"reqPath\":\"/news/latest\",\"queryStr\":\"page=2\",\"statusCode\":\"{status}\",\"cacheStatus\":\"{cache}\",\"turnAroundTimeMSec\":\"{wait}\",\"transferTimeMSec\":\"12\",\"bytes\":\"5\",\"totalBytes\":\"{bytes}\",\"proto\":\"HTTPS\",\"edgeIP\":\"23.50.51.173\"{more}}}\n"
    )
}

const AKAMAI: &[&str] = &[
    "requests_total akamai hit 2xx 2",
    "requests_total akamai miss 2xx 1",
    "requests_total akamai miss 503 1",
    "requests_by_pop_total akamai unknown 4",
    "errors_by_pop_total akamai unknown 1",
    "response_bytes_total akamai hit 15521",
    "response_bytes_total akamai miss 4120",
    "time_to_first_byte_seconds akamai 4 of 1.25",
    "internal_requests_total akamai 1",
];

#[test]
fn akamai_is_counted_as_by_hand() {
    let lines = [
        akamai("1", "200", "15321", "45", ""),
        akamai("1", "206", "200", "5", ",\"isMidgress\":\"0\""),
        akamai("0", "200", "4000", "200", ""),
        akamai("0", "503", "120", "1000", ""),
        akamai("0", "503", "120", "990", ",\"isMidgress\":\"1\""),
    ];
    check(&lines.concat(), None, "akamai-json", AKAMAI);
}

/// The same requests as columns, of a stream that has isMidgress behind the documented ones.
#[test]
fn akamai_between_blanks_is_counted_as_in_json() {
    let line = |cache: u32, status: u32, bytes: u32, wait: u32, internal: u32| {
        format!(
            "1 12345 123456 1239f220 1573840000 5 128.147.28.68 {status} HTTPS test.hostname.net GET /path1/file.ext 443 5000 text/html Mozilla%2F5.0+%28Macintosh%29 0 TLSv1 484 484 232 {bytes} param=value //BC/%5Ba=23.33.41.20,c=g,k=0,l=1%5D en-US - - https%3A%2F%2Ftest.referrer.net%2F - 3600 3 - {wait} 12 50 1 23.50.51.173 IN Virginia HERNDON SG 8 {cache} - {internal}\n"
        )
    };
    let lines = [
        line(1, 200, 15321, 45, 0),
        line(1, 206, 200, 5, 0),
        line(0, 200, 4000, 200, 0),
        line(0, 503, 120, 1000, 0),
        line(0, 503, 120, 990, 1),
    ];
    let folder = Folder::new();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/parsers/akamai.toml");
    let text = std::fs::read_to_string(shipped).unwrap();
    let (head, _) = text.split_once("[[example]]").unwrap();
    let with_midgress = head.replace(" security_rules\"", " security_rules internal\"");
    assert_ne!(with_midgress, head);
    folder.file("ours.toml", with_midgress.replace("optional = 1\n", ""));
    let path = folder.file("edge.log", lines.concat());
    let document = replay(&[
        path,
        format!("--parsers={}", folder.path("")),
        "--parser=ours".to_owned(),
    ]);
    let mut expected = AKAMAI.to_vec();
    expected.sort_unstable();
    assert_eq!(rows(&document), expected);
}

#[test]
fn edgecast_is_counted_as_by_hand() {
    let line = |taken: u32, word: &str, bytes: u32| {
        format!(
            "1433257490 {taken} 203.0.113.9 43 192.0.2.1 80 {word} {bytes} GET http://www.example.com/a.gif?b=c - 300 412 \"-\" \"Mozilla/5.0 (X11; Linux)\" 61800 \"-\"\n"
        )
    };
    let lines = [
        line(27, "TCP_HIT/200", 1000),
        line(3, "TCP_PARTIAL_HIT/206", 100),
        line(4, "TCP_EXPIRED_HIT/304", 10),
        line(310, "TCP_MISS/503", 0),
        line(311, "TCP_EXPIRED_MISS/200", 500),
        line(45, "TCP_CLIENT_REFRESH_MISS/200", 600),
        line(100, "CONFIG_NOCACHE/200", 7),
        line(200, "UNCACHEABLE/404", 8),
        line(0, "NONE/400", 9),
        line(0, "NONE/000", 0),
    ];
    let log = format!(
        "#Fields: timestamp time-taken c-ip filesize s-ip s-port sc-status sc-bytes cs-method cs-uri-stem - rs-duration rs-bytes c-referrer c-user-agent customer-id x-ec_custom-1\n{}",
        lines.concat()
    );
    check(
        &log,
        None,
        "edgecast",
        &[
            "requests_total edgecast hit 2xx 2",
            "requests_total edgecast hit 3xx 1",
            "requests_total edgecast miss 503 1",
            "requests_total edgecast miss 2xx 2",
            "requests_total edgecast pass 2xx 1",
            "requests_total edgecast pass 4xx 1",
            "requests_total edgecast unknown 4xx 1",
            "requests_total edgecast unknown other 1",
            "requests_by_pop_total edgecast unknown 10",
            "errors_by_pop_total edgecast unknown 1",
            "response_bytes_total edgecast hit 1110",
            "response_bytes_total edgecast miss 1100",
            "response_bytes_total edgecast pass 15",
            "response_bytes_total edgecast unknown 9",
            "request_duration_seconds edgecast 10 of 1",
        ],
    );
}

/// The pixel's POP is what the page says, in whatever case.
#[test]
fn a_pop_of_a_beacon_is_one_label_in_any_case() {
    let line = |node: &str| {
        format!(
            "203.0.113.9 - - [31/Oct/2013:07:06:42 +0000] \"GET /status/images/beacon.gif?source=fastly&server_identity={node} HTTP/1.1\" 200 43 \"-\" \"a\"\n"
        )
    };
    let folder = Folder::new();
    let log = ["cache-ny57-NYC", "cache-ny57-nyc", "cache-ny58-Nyc"].map(line);
    let document = replay(&[folder.file("beacons.log", log.concat())]);
    let rows = rows(&document);
    let pops: Vec<&String> = rows.iter().filter(|row| row.contains("_by_pop_")).collect();
    assert_eq!(pops, ["cdn_failure_beacons_by_pop_total fastly NYC 3"]);
}

/// Anybody may ask for the pixel with any POP: the metric keeps those that are asked for most.
#[test]
fn made_up_pops_do_not_crowd_out_those_of_other_providers() {
    let line = |source: &str, pop: &str| {
        format!(
            "203.0.113.9 - - [31/Oct/2013:07:06:42 +0000] \"GET /status/images/beacon.gif?source={source}&server_identity=x-{pop} HTTP/1.1\" 200 43 \"-\" \"a\"\n"
        )
    };
    let letter = |n: usize| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"[n % 26]);
    let mut log = [line("akamai", "NRT"), line("cloudflare", "AMS")].concat();
    log = log.repeat(3);
    for n in 0..3000 {
        let pop = String::from_iter([letter(n / 676), letter(n / 26), letter(n), 'x']);
        log += &line("fastly", &pop);
    }
    let folder = Folder::new();
    let document = replay(&[folder.file("beacons.log", log)]);
    let rows = rows(&document);
    let pops: Vec<&String> = rows.iter().filter(|row| row.contains("_by_pop_")).collect();
    assert!(pops.len() <= 502, "{}", pops.len());
    let metric = "cdn_failure_beacons_by_pop_total";
    for kept in ["akamai NRT 3", "cloudflare AMS 3"] {
        assert!(pops.contains(&&format!("{metric} {kept}")), "{kept}");
    }
    let total = rows
        .iter()
        .find(|row| row.starts_with("cdn_failure_beacons_total fastly"));
    assert_eq!(total.unwrap(), "cdn_failure_beacons_total fastly 3000");
}
