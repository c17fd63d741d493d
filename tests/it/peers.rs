//! What other parsers say their logs hold, field by field.
//!
//! Elastic's filebeat, crowdsec, matomo, vector, angle-grinder, mtail and the nginxlog exporter ship logs
//! with what they read from them. One reader turns each project's file into lines and values under
//! our names; a field of theirs that [`ours`] does not know fails, so nothing is passed over in
//! silence.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::program::{foreign, run_with};

/// A line and what a peer reads in it.
struct Peer {
    line: String,
    fields: Vec<(String, String)>,
}

/// What a peer's field is called here.
enum Ours {
    /// One of these fields.
    Field(&'static [&'static str]),
    /// The path with its query.
    Target,
    /// The protocol, of which the peer keeps only the number.
    Version,
    /// The moment, whatever its zone.
    Time,
    /// Milliseconds; ours are seconds.
    Milliseconds(&'static str),
    /// What the peer adds, derives or keeps twice.
    Derived,
}

fn ours(key: &str) -> Option<Ours> {
    use Ours::{Derived, Field, Milliseconds, Target, Time, Version};
    Some(match key {
        "remote_addr" | "remote_ip" | "client_ip" | "ip" | "client.ip" | "client" => {
            Field(&["remote_addr"])
        }
        "client_port" | "client.port" => Field(&["remote_port"]),
        "status" | "response_code" | "http_status_code" | "http.response.status_code" => {
            Field(&["status"])
        }
        "body_bytes_sent" | "body_sent.bytes" | "bytes_read" | "size" | "contentlength"
        | "length" => Field(&["body_bytes_sent", "bytes_sent"]),
        "body_received.bytes" => Field(&["request_length"]),
        "http_referer" | "referrer" => Field(&["http_referer"]),
        "http_user_agent" | "user_agent" | "user_agent.original" | "agent" => {
            Field(&["http_user_agent"])
        }
        "verb" | "http_verb" | "method" => Field(&["method"]),
        "request" | "http_request" | "url" | "path" => Target,
        "query_string" => Field(&["query"]),
        "http_version" | "protocol" => Version,
        "http.request.raw_request_line" => Field(&["request"]),
        "remote_user" | "user_name" | "user" | "name" => Field(&["remote_user"]),
        "time_local" => Field(&["time_local"]),
        "scheme" => Field(&["scheme"]),
        "target_fqdn" | "hostname" | "host" => Field(&["host", "server_name", "server"]),
        "upstream_status" => Field(&["upstream_status"]),
        "upstream_cache_status" => Field(&["upstream_cache_status"]),
        "@timestamp" | "timestamp" | "date" | "accept_date" | "time" => Time,
        "request_duration_in_ms"
        | "request_time_ms"
        | "time_duration"
        | "http.request.time_active_ms" => Milliseconds("request_time"),
        "level" | "loglevel" | "severity" => Field(&["level"]),
        "pid" => Field(&["pid"]),
        "tid" | "thread" => Field(&["tid"]),
        "module" => Field(&["module"]),
        "connection_id" | "cid" => Field(&["connection"]),
        "error.message" => Field(&["message"]),
        "identity" => Field(&["remote_ident"]),
        "termination_state" => Field(&["termination_state"]),
        "frontend_name" => Field(&["frontend_name"]),
        "backend_name" => Field(&["backend_name"]),
        "traefik_server_url" => Field(&["upstream_addr"]),
        _ if key.contains("geoip") || key.starts_with("user_agent.") => Derived,
        _ => return PEERS_OWN.contains(&key).then_some(Derived),
    })
}

/// Fields that no rule of ours asks for: what a peer adds about the file, splits once more, or numbers of
/// a server's own connections.
const PEERS_OWN: [&str; 59] = [
    "actconn",
    "backend_queue",
    "beconn",
    "captured_request_cookie",
    "captured_response_cookie",
    "connection_wait_time_ms",
    "connections.active",
    "connections.backend",
    "connections.frontend",
    "connections.retries",
    "connections.server",
    "cookie",
    "event.dataset",
    "event.module",
    "feconn",
    "generation_time_milli",
    "gzip_ratio",
    "haproxy_hour",
    "haproxy_milliseconds",
    "haproxy_minute",
    "haproxy_month",
    "haproxy_monthday",
    "haproxy_second",
    "haproxy_time",
    "haproxy_year",
    "http.request.captured_cookie",
    "http.request.captured_headers",
    "http.request.time_wait_ms",
    "http.request.time_wait_without_data_ms",
    "http.response.captured_cookie",
    "http.response.captured_headers",
    "idsite",
    "input.type",
    "log.offset",
    "message",
    "number_of_requests_received_since_traefik_started",
    "port",
    "process_name",
    "program",
    "retries",
    "server_ip",
    "server_name",
    "server_queue",
    "site_name",
    "srv_queue",
    "srvconn",
    "sub_status",
    "target_server",
    "time_backend_connect",
    "time_backend_response",
    "time_queue",
    "time_request",
    "total_waiting_time_ms",
    "traefik_router_intermediate",
    "traefik_router_leaf",
    "traefik_router_name",
    "traefik_router_name_root",
    "username",
    "win32_status",
];

/// Values that differ on purpose: file, their field, and why.
const DIFFERENT: [(&str, &str, &str); 7] = [
    (
        "logs/nginx_combined/crowdsec-nginx_http-logs.log",
        "http_user_agent",
        "the line that lost its user is read in part, by the first of several formats alike",
    ),
    (
        "logs/nginx_combined/crowdsec-nginx_http-logs.log",
        "remote_addr",
        "two lines of the nine begin with a host: a format of its own, which one would name",
    ),
    (
        "logs/nginx_combined/crowdsec-nginx_http-logs.log",
        "remote_user",
        "two lines of the nine begin with a host: a format of its own, which one would name",
    ),
    (
        "logs/nginx_combined/crowdsec-nginx_http-logs.log",
        "target_fqdn",
        "two lines of the nine begin with a host: a format of its own, which one would name",
    ),
    (
        "logs/iis_w3c/filebeat-2018-test.log",
        "user_agent.original",
        "IIS writes `+` for a blank; ours is what the client sent",
    ),
    (
        "logs/caddy_json/crowdsec-caddy-logs.log",
        "remote_ip",
        "the peer takes the client that Caddy was told of; ours is the walk's to find",
    ),
    (
        "logs/haproxy/filebeat-2018-haproxy.log",
        "pid",
        "stands in the syslog header, of which host and program are kept",
    ),
];

/// The text of a value, `-` for none.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn peer(line: &str, fields: &Map<String, Value>, prefix: &str) -> Peer {
    let name = |key: &String| key.strip_prefix(prefix).unwrap_or(key).to_owned();
    Peer {
        line: line.to_owned(),
        fields: fields
            .iter()
            .map(|(key, value)| (name(key), text(value)))
            .collect(),
    }
}

fn read(path: &str) -> Option<String> {
    foreign(path).map(|path| std::fs::read_to_string(path).unwrap())
}

fn json(path: &str) -> Option<Value> {
    read(path).map(|text| serde_json::from_str(&text).unwrap())
}

/// filebeat: a list of events, each with the offset of its line, all lines of the log explained together.
fn filebeat(log: &str, prefix: &str) {
    let Some((text, events)) = read(log).zip(json(&format!("{log}-expected.json"))) else {
        return;
    };
    let lines: Vec<&str> = text.lines().collect();
    let read = explained(&lines);
    let event = |event: &Value| {
        let offset = usize::try_from(event["log.offset"].as_u64().unwrap()).unwrap();
        let number = text[..offset].matches('\n').count();
        let peer = peer(lines[number], event.as_object().unwrap(), prefix);
        (peer, read[number].clone())
    };
    compared(log, events.as_array().unwrap().iter().map(event).collect());
}

/// crowdsec: for each stage the events in order, with the line, or what it says, as `message`.
fn crowdsec(log: &str) -> Vec<Peer> {
    let Some((lines, document)) = read(log).zip(json(&format!("{log}-expected.json"))) else {
        return Vec::new();
    };
    let stages = document["stages"].as_object().unwrap();
    let stage = stages.iter().find(|(name, _)| name.starts_with("s01-"));
    let events = stage.unwrap().1.as_array().unwrap();
    let read = events.iter().filter(|event| event["success"] == true);
    let event = |event: &Value| {
        let parsed = event["parsed"].as_object().unwrap();
        let message = parsed["message"].as_str().unwrap();
        let line = lines.lines().find(|line| line.contains(message));
        peer(line.unwrap_or(message), parsed, "")
    };
    read.map(event).collect()
}

/// matomo: records by line number.
fn matomo(log: &str) -> Vec<Peer> {
    let Some((lines, document)) = read(log).zip(json(&format!("{log}-matomo-expected.json")))
    else {
        return Vec::new();
    };
    let lines: Vec<&str> = lines.lines().collect();
    let record = |record: &Value| {
        let number = usize::try_from(record["line"].as_u64().unwrap()).unwrap();
        let mut groups = record["groups"].as_object().unwrap().clone();
        // Its date holds the wall clock of the zone that stands beside it.
        groups.remove("timezone");
        peer(lines[number - 1], &groups, "")
    };
    document["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(record)
        .collect()
}

/// vector: examples of its functions, the line inside the call.
fn vrl(path: &str) -> Vec<Peer> {
    let Some(document) = json(path) else {
        return Vec::new();
    };
    let example = |example: &Value| {
        let source = example["source"].as_str().unwrap();
        let (_, line) = source.split_once("s'").unwrap();
        let (line, rest) = line.split_once("',").or(line.split_once("')")).unwrap();
        let mut fields = example["return"].as_object().unwrap().clone();
        fields.remove("message");
        let host = fields.remove("host");
        fields.extend(host.map(|host| ("ip".to_owned(), host)));
        fields.remove("port");
        // One has a time format of its own, one is an error log with a time that Apache never writes there.
        let is_servers = !rest.contains("%+") && !line.starts_with('[');
        is_servers.then(|| peer(line, &fields, ""))
    };
    document["examples"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(example)
        .collect()
}

/// angle-grinder: one line, `[key=value]` pairs.
fn angle_grinder(path: &str) -> Vec<Peer> {
    let Some(file) = read(path) else {
        return Vec::new();
    };
    let block = |name: &str| {
        let (_, after) = file.split_once(&format!("{name} = \"\"\"")).unwrap();
        after.split_once("\"\"\"").unwrap().0.trim().to_owned()
    };
    let (line, output) = (block("input"), block("output"));
    let pairs = output.split(']').filter_map(|pair| {
        let (key, value) = pair.trim().strip_prefix('[')?.split_once('=')?;
        (key != "timestamp").then(|| (key.to_owned(), value.to_owned()))
    });
    vec![Peer {
        fields: pairs.collect(),
        line,
    }]
}

/// Our fields of lines, by the parser that reads each one best.
fn explained(lines: &[&str]) -> Vec<Value> {
    let ran = run_with(&["explain", "--json", "-"], lines.join("\n").as_bytes());
    let read = ran.json_lines();
    assert_eq!(read.len(), lines.len());
    read
}

/// Whether a peer's value is ours.
fn is_ours(object: &Value, key: &str, theirs: &str) -> Result<(), String> {
    let Some(ours) = ours(key) else {
        return Err("a field without a name of ours".to_owned());
    };
    let field = |name: &str| object["fields"][name].as_str().unwrap_or("-").to_owned();
    let found = match ours {
        Ours::Derived => return Ok(()),
        Ours::Field(names) => names
            .iter()
            .map(|name| field(name))
            .find(|value| value != "-")
            .unwrap_or("-".to_owned()),
        Ours::Target => match (field("path"), field("query")) {
            (path, query) if query == "-" || query.is_empty() || !theirs.contains('?') => path,
            (path, query) => format!("{path}?{query}"),
        },
        Ours::Version => {
            let protocol = field("protocol");
            match theirs.starts_with("HTTP") {
                true => protocol,
                false => protocol
                    .strip_prefix("HTTP/")
                    .unwrap_or(&protocol)
                    .to_owned(),
            }
        }
        Ours::Time => return same_time(text(&object["time"]), theirs),
        Ours::Milliseconds(name) => {
            let seconds: f64 = field(name).parse().map_err(|_| "no duration".to_owned())?;
            format!("{:.0}", seconds * 1000.0)
        }
    };
    // Bytes that a server writes as a dash are 0 to some.
    match found == theirs || (found == "-" && (theirs == "0" || theirs.is_empty())) {
        true => Ok(()),
        false => Err(found),
    }
}

/// Equal moments, however they are written: RFC 3339 with any zone, whole seconds compared.
fn same_time(ours: String, theirs: &str) -> Result<(), String> {
    let seconds = |text: &str| {
        text.parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_second)
    };
    match (seconds(&ours), seconds(theirs)) {
        (Ok(a), Ok(b)) if a == b => Ok(()),
        // Spellings without a zone: HAProxy's, and that of nginx's error log.
        (Ok(_), Err(_)) if theirs.contains(&ours[11..19]) => Ok(()),
        _ => Err(ours),
    }
}

/// Compares lines that mean the same without those before them.
fn agrees(file: &str, peers: Vec<Peer>) {
    let lines: Vec<&str> = peers.iter().map(|peer| peer.line.as_str()).collect();
    let read = explained(&lines);
    compared(file, peers.into_iter().zip(read).collect());
}

fn compared(file: &str, peers: Vec<(Peer, Value)>) {
    let excused = |key: &str| {
        let mut all = DIFFERENT.iter();
        all.any(|(of, field, _)| *of == file && *field == key)
    };
    let (mut wrong, mut used) = (Vec::new(), 0);
    for (peer, object) in &peers {
        for (key, theirs) in &peer.fields {
            match is_ours(object, key, theirs) {
                Ok(()) => {}
                Err(_) if excused(key) => used += 1,
                Err(ours) => wrong.push(format!(
                    "{key}: theirs {theirs:?}, ours {ours:?}, {} of {}",
                    object["parser"], peer.line
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "{file}\n{}", wrong.join("\n"));
    let excuses = DIFFERENT.iter().filter(|(of, ..)| *of == file).count();
    assert!(
        peers.is_empty() || used >= excuses,
        "{file}: an excuse that nothing needs"
    );
}

#[test]
fn filebeat_reads_the_same() {
    for (log, prefix) in [
        (
            "logs/apache_combined/filebeat-2018-test.log",
            "apache2.access.",
        ),
        ("logs/error_apache/filebeat-2018-test.log", "apache2.error."),
        ("logs/error_nginx/filebeat-2018-error.log", "nginx.error."),
        ("logs/haproxy/filebeat-2018-haproxy.log", "haproxy."),
        ("logs/iis_w3c/filebeat-2018-test.log", "iis.access."),
        ("logs/traefik/filebeat-2018-test.log", "traefik.access."),
    ] {
        filebeat(log, prefix);
    }
}

#[test]
fn crowdsec_reads_the_same() {
    for log in [
        "logs/caddy_json/crowdsec-caddy-logs.log",
        "logs/haproxy/crowdsec-haproxy-nextcloud-whitelist.log",
        "logs/nginx_combined/crowdsec-nginx-proxy-manager-logs.log",
        "logs/nginx_combined/crowdsec-nginx_http-logs.log",
        "logs/traefik/crowdsec-traefik_clf.log",
    ] {
        agrees(log, crowdsec(log));
    }
}

#[test]
fn matomo_reads_the_same() {
    let log = "logs/nginx_json/matomo-nginx_json.log";
    agrees(log, matomo(log));
}

#[test]
fn documented_examples_of_other_parsers_read_the_same() {
    for path in [
        "peer_specs/vrl-parse_apache_log.json",
        "peer_specs/vrl-parse_common_log.json",
    ] {
        agrees(path, vrl(path));
    }
    let path = "peer_specs/angle-grinder-alias-apache.toml";
    agrees(path, angle_grinder(path));
}

/// Lines by method, protocol and status, and their bytes.
fn counted(lines: &[&str]) -> BTreeMap<[String; 3], (u64, u64)> {
    let mut all = BTreeMap::new();
    for object in explained(lines) {
        let field = |name: &str| object["fields"][name].as_str().unwrap_or("-").to_owned();
        let key = [field("method"), field("protocol"), field("status")];
        let (count, bytes): &mut (u64, u64) = all.entry(key).or_default();
        *count += 1;
        *bytes += field("body_bytes_sent").parse::<u64>().unwrap_or(0);
    }
    all
}

/// `name {a=b,c=d} value time`: the label values and the value.
fn golden(line: &str, name: &str) -> Option<([String; 3], u64)> {
    let (labels, value) = line
        .strip_prefix(&format!("counter {name} {{"))?
        .split_once("} ")?;
    let labels: Vec<String> = labels
        .split(',')
        .map(|pair| pair.split_once('=').unwrap().1.to_owned())
        .collect();
    let value = value.split(' ').next()?.parse().ok()?;
    Some((labels.try_into().unwrap(), value))
}

#[test]
fn mtail_counts_the_same() {
    for log in [
        "logs/common/mtail-apache-common",
        "logs/apache_combined/mtail-apache-combined",
    ] {
        let Some((lines, golden_file)) =
            read(&format!("{log}.log")).zip(read(&format!("{log}.golden")))
        else {
            return;
        };
        let lines: Vec<&str> = lines.lines().collect();
        let counted = counted(&lines);
        let requests = golden_file
            .lines()
            .filter_map(|line| golden(line, "apache_http_requests_total"));
        let requests: BTreeMap<_, _> = requests.collect();
        let ours: BTreeMap<_, _> = counted
            .iter()
            .map(|(key, (n, _))| (key.clone(), *n))
            .collect();
        assert_eq!(ours, requests, "{log}");
        let bytes = golden_file
            .lines()
            .filter_map(|line| golden(line, "apache_http_bytes_total"));
        for (key, bytes) in bytes {
            assert_eq!(counted[&key].1, bytes, "{log}: {key:?}");
        }
    }
}

#[test]
fn nginxlog_exporter_counts_the_same() {
    let Some(feature) = read("peer_specs/prometheus-nginxlog-exporter-counting.feature") else {
        return;
    };
    let mut expectations = 0;
    for scenario in feature.split("Scenario:").skip(1) {
        let block = scenario.split("\"\"\"").nth(1).unwrap();
        let lines: Vec<&str> = block
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let counted = counted(&lines);
        for line in scenario
            .lines()
            .filter(|line| line.contains("should report value"))
        {
            let value = line
                .split("value ")
                .nth(1)
                .unwrap()
                .split(' ')
                .next()
                .unwrap();
            let label = |name: &str| {
                let after = line.split(&format!("{name}=\"")).nth(1).unwrap();
                after.split('"').next().unwrap()
            };
            let found: u64 = counted
                .iter()
                .filter(|([method, _, status], _)| {
                    method == label("method") && status == label("status")
                })
                .map(|(_, (n, _))| n)
                .sum();
            assert_eq!(found.to_string(), value, "{line}");
            expectations += 1;
        }
    }
    assert_eq!(expectations, 6);
}
