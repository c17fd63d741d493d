//! The table of what the talk's regex takes, row by row, against what the shipped formats with the
//! shipped rules make of the same request in the words of each server.

use serde_json::Value;

use crate::program::run_with;

/// A request for the pixel, and how it came.
#[derive(Clone, Copy)]
struct Beacon {
    client: &'static str,
    user: &'static str,
    request: &'static str,
    referrer: &'static str,
    agent: &'static str,
    /// What `X-Forwarded-For` held; a dash when there was none.
    forwarded: &'static str,
}

const PLAIN: Beacon = Beacon {
    client: "203.0.113.9",
    user: "-",
    request: "GET /status/images/beacon.gif?source=fastly HTTP/1.1",
    referrer: "http://www.example.com/",
    agent: "Mozilla/5.0",
    forwarded: "203.0.113.9",
};

const TIME: &str = "[31/Oct/2013:07:06:42 +0000]";

/// How each server escapes a quote.
fn escaped(parser: &str, value: &str) -> String {
    let quote = if parser.starts_with("nginx") {
        "\\x22"
    } else {
        "\\\""
    };
    value.replace('"', quote)
}

impl Beacon {
    /// The line that the server of a shipped format writes.
    fn line(self, parser: &str) -> String {
        let Beacon { client, user, .. } = self;
        let tail = format!(
            "\"{}\" \"{}\"",
            escaped(parser, self.referrer),
            escaped(parser, self.agent)
        );
        let request = escaped(parser, self.request);
        match parser {
            "nginx-combined" | "apache-combined" | "varnishncsa" => {
                format!("{client} - {user} {TIME} \"{request}\" 200 43 {tail}")
            }
            "nginx-cdn" => {
                format!("{client} - {user} {TIME} \"{request}\" 200 43 {tail} \"-\" 0.000")
            }
            "nginx-cdn-xff" => {
                let list = self.forwarded;
                format!("{list} - {user} {TIME} \"{request}\" 200 43 {tail} \"-\" 0.000")
            }
            "varnishncsa-cdn" => {
                format!("{client} - {user} {TIME} \"{request}\" 200 43 {tail} \"-\" synth 0.000085")
            }
            "apache-vhost-combined" => {
                format!("www.example.com:80 {client} - {user} {TIME} \"{request}\" 200 43 {tail}")
            }
            "apache-common" => format!("{client} - {user} {TIME} \"{request}\" 200 43"),
            _ => {
                let list = self.forwarded;
                format!("www.example.com {list} - {user} {TIME} \"{request}\" 200 43 {tail} 164")
            }
        }
    }

    fn counts(self, parser: &str) -> Value {
        let line = self.line(parser);
        let args = ["explain", "--json", "--parser", parser];
        let read = run_with(&args, format!("{line}\n").as_bytes()).json_lines();
        read.first().unwrap()["counts"].clone()
    }

    /// The source that the talk's regex counts, if it takes the line.
    fn for_the_talk(self) -> Option<String> {
        let counts = self.counts("etsy-beacon");
        let series = counts.as_object().unwrap().keys().next()?;
        let source = series.strip_prefix("etsy_failure_beacons_total{source=\"");
        source?.strip_suffix("\"}").map(str::to_owned)
    }

    /// Whether the talk takes the request is as said; each shipped format counts it once.
    #[track_caller]
    fn check(self, talk: Option<&str>) {
        assert_eq!(self.for_the_talk().as_deref(), talk);
        for parser in FORMATS {
            let counts = self.counts(parser);
            let series = "cdn_failure_beacons_total{provider=\"fastly\"}";
            assert_eq!(counts[series], 1, "{parser}: {}", self.line(parser));
        }
    }
}

const FORMATS: [&str; 8] = [
    "nginx-combined",
    "nginx-cdn",
    "nginx-cdn-xff",
    "apache-common",
    "apache-combined",
    "apache-vhost-combined",
    "varnishncsa",
    "varnishncsa-cdn",
];

fn with_request(request: &'static str) -> Beacon {
    Beacon { request, ..PLAIN }
}

#[test]
fn a_host_a_client_and_a_field_behind_the_agent() {
    PLAIN.check(Some("fastly"));
}

#[test]
fn beacon_source_and_a_list_of_proxies() {
    let beacon = Beacon {
        forwarded: "203.0.113.9, 198.51.100.7",
        ..with_request("GET /status/images/beacon.gif?beacon_source=fastly HTTP/1.1")
    };
    beacon.check(Some("fastly"));
}

#[test]
fn the_debug_parameter_is_part_of_the_source_for_the_talk_and_the_pop_for_the_rules() {
    let beacon = with_request(
        "GET /status/images/beacon.gif?source=fastly&server_identity=cache-ny57-NYC HTTP/1.1",
    );
    beacon.check(Some("fastly&server_identity=cache-ny57-NYC"));
    for parser in FORMATS {
        let counts = beacon.counts(parser);
        let series = "cdn_failure_beacons_by_pop_total{provider=\"fastly\",pop=\"NYC\"}";
        assert_eq!(counts[series], 1, "{parser}");
    }
}

#[test]
fn http_2_and_http_3() {
    with_request("GET /status/images/beacon.gif?source=fastly HTTP/2.0").check(None);
    with_request("GET /status/images/beacon.gif?source=fastly HTTP/3.0").check(None);
    // Without a digit behind the version's dot, as some servers write it.
    with_request("GET /status/images/beacon.gif?source=fastly HTTP/2").check(None);
}

#[test]
fn an_ipv6_client() {
    let beacon = Beacon {
        client: "2001:db8::9",
        forwarded: "2001:db8::9",
        ..PLAIN
    };
    beacon.check(None);
}

#[test]
fn an_authenticated_user() {
    let beacon = Beacon {
        user: "frank",
        ..PLAIN
    };
    beacon.check(None);
}

#[test]
fn an_escaped_quote_in_the_agent() {
    let beacon = Beacon {
        agent: "U\"A",
        ..PLAIN
    };
    beacon.check(None);
}

#[test]
fn an_empty_referrer_and_an_absent_one() {
    let referrer = |referrer| Beacon { referrer, ..PLAIN };
    referrer("").check(None);
    referrer("-").check(Some("fastly"));
}

#[test]
fn head_and_parameters_in_any_order() {
    with_request("HEAD /status/images/beacon.gif?source=fastly HTTP/1.1").check(None);
    with_request("GET /status/images/beacon.gif?t=17&source=fastly HTTP/1.1").check(None);
    with_request(
        "GET /status/images/beacon.gif?server_identity=cache-ny57-NYC&t=17&source=fastly HTTP/1.1",
    )
    .check(None);
}

#[test]
fn no_forwarded_address_an_unknown_one_and_ipv6_in_the_list() {
    for forwarded in [
        "-",
        "unknown",
        "203.0.113.9, unknown",
        "203.0.113.9, 2001:db8::1",
    ] {
        Beacon { forwarded, ..PLAIN }.check(None);
    }
}

#[test]
fn an_absolute_url() {
    with_request("GET http://www.example.com/status/images/beacon.gif?source=fastly HTTP/1.1")
        .check(None);
}

#[test]
fn plain_combined_is_lost_on_the_talk() {
    for parser in ["nginx-combined", "apache-combined"] {
        let line = format!("{}\n", PLAIN.line(parser));
        let args = ["explain", "--json", "--parser", "etsy-beacon"];
        let read = run_with(&args, line.as_bytes()).json_lines();
        assert_eq!(read.first().unwrap()["ok"], false, "{line}");
    }
}

#[test]
fn what_asks_for_the_pixel_and_is_no_beacon_is_a_near_miss_with_its_reason() {
    for (request, reason) in [
        (
            "GET /status/images/beacon.gif HTTP/1.1",
            r#"beacon_source!=\"\""#,
        ),
        (
            "GET /status/images/beacon.gif?source= HTTP/2.0",
            r#"beacon_source!=\"\""#,
        ),
        (
            "GET /status/images/beacon.gif?Source=fastly HTTP/1.1",
            r#"beacon_source!=\"\""#,
        ),
        (
            "POST /status/images/beacon.gif?source=fastly HTTP/1.1",
            r#"method=~\"GET|HEAD\""#,
        ),
        (
            "OPTIONS /status/images/beacon.gif?source=fastly HTTP/1.1",
            r#"method=~\"GET|HEAD\""#,
        ),
    ] {
        for parser in FORMATS {
            let counts = with_request(request).counts(parser);
            let series = format!("cdn_failure_beacon_near_misses_total{{reason=\"{reason}\"}}");
            assert_eq!(counts[series], 1, "{parser}: {request}");
            let beacons = counts.as_object().unwrap().len();
            assert_eq!(beacons, 1, "{parser}: {request}\n{counts}");
        }
    }
}
