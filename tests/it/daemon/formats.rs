//! The daemon on logs of every kind of layout: files that name their own columns, containers' logs,
//! syslog from load balancers, several formats at once. What counts is what `replay` makes of the same
//! bytes.

use std::fs;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;

use super::agent::{DEADLINE, eventually, pause};
use super::config::quoted;
use super::rotate::{compress, rename_and_create, with_ending};
use super::scene::Scene;
use super::syslog::free_port;
use super::writer::base;
use crate::program::replay_with;

const PIXEL: &str = "/status/images/beacon.gif";

fn append(path: &Path, text: &str) {
    let mut options = fs::OpenOptions::new();
    let mut file = options.append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A daemon on one log whose lines the test writes, and all that was written.
struct Followed {
    scene: Scene,
    parser: &'static str,
    folder: String,
    text: String,
}

impl Followed {
    /// With the parsers of this list, of which one may be that of `own`.
    fn new(parser: &'static str, own: &str) -> Followed {
        let mut scene = Scene::new();
        let folder = scene.folder().join("parsers");
        fs::create_dir(&folder).unwrap();
        if !own.is_empty() {
            fs::write(folder.join("own.toml"), own).unwrap();
        }
        let names: Vec<String> = parser.split(',').map(quoted).collect();
        let names = format!("[{}]", names.join(", "));
        scene.agent.config.set("[log].parser", names);
        // Before any section.
        scene.agent.config.parsers(&folder);
        Followed {
            scene,
            parser,
            folder: folder.to_str().unwrap().to_owned(),
            text: String::new(),
        }
    }

    /// The same, reading a socket.
    fn listening(parser: &'static str, own: &str, url: &str) -> Followed {
        let mut followed = Followed::new(parser, own);
        let config = &mut followed.scene.agent.config;
        for key in ["[log].path", "[log].from"] {
            config.unset(key);
        }
        config.set("[log].listen", quoted(url));
        followed.scene.agent.start_ready();
        followed
    }

    fn write(&mut self, text: &str) {
        append(&self.scene.log(), text);
        self.text.push_str(text);
    }

    fn restart(&mut self) {
        self.scene.agent.kill();
        self.scene.agent.start_ready();
    }

    /// Waits until all of it is counted as `replay` counts it; series that there are.
    #[track_caller]
    fn agrees(&mut self) -> usize {
        let log = Log {
            name: "access",
            args: vec!["--parser", self.parser, "--parsers", &self.folder],
            text: &self.text,
        };
        agrees(&mut self.scene, &[log])
    }

    #[track_caller]
    fn ends(mut self, series: usize) {
        assert!(self.agrees() >= series, "too little was counted");
        self.scene.agent.term();
        let stderr = self.scene.agent.stderr_of_all();
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}

/// What one log holds, and how `replay` is to read it.
struct Log<'t> {
    name: &'t str,
    args: Vec<&'t str>,
    text: &'t str,
}

/// Waits until the daemon has counted what `replay` counts of the same bytes: every line by its result,
/// every counter. Names of metrics that both have are returned.
#[track_caller]
fn agrees(scene: &mut Scene, logs: &[Log<'_>]) -> usize {
    let documents: Vec<Value> = logs
        .iter()
        .map(|log| replay_with(&[&["-"], log.args.as_slice()].concat(), log.text.as_bytes()))
        .collect();
    let agent = &mut scene.agent;
    eventually(DEADLINE, "the daemon counts as replay does", || {
        agent.is_alive();
        let scrape = agent.scrape().ok_or("no exposition")?;
        let mut wrong = Vec::new();
        let mut differs = |what: &str, daemon: f64, replay: f64| {
            if (daemon - replay).abs() > 0.0 {
                wrong.push(format!("{what}: {daemon}, replay {replay}"));
            }
        };
        let mut expected = std::collections::BTreeMap::<String, f64>::new();
        for (log, document) in logs.iter().zip(&documents) {
            let input = &document["inputs"][0];
            let rejected = input["rejected"].as_object().unwrap().values();
            let rejected: f64 = rejected.map(|n| n.as_f64().unwrap()).sum();
            for (result, lines) in [
                ("parsed", input["parsed"].as_f64().unwrap()),
                ("unparsed", input["unparsed"].as_f64().unwrap()),
                ("rejected", rejected),
            ] {
                let having = [
                    format!("log=\"{}\"", log.name),
                    format!("result=\"{result}\""),
                ];
                let having = having.each_ref().map(String::as_str);
                let counted = scrape.sum("beacontail_lines_total", &having);
                differs(&format!("{} {result}", log.name), counted, lines);
            }
            for series in document["series"].as_array().unwrap() {
                if series["type"] == "counter" {
                    *expected.entry(series_name(series)).or_default() +=
                        series["total"].as_f64().unwrap();
                }
            }
        }
        for (name, total) in &expected {
            differs(name, scrape.value(name).unwrap_or_default(), *total);
            let metric = super::scrape::name_of(name);
            let of_metric = |(known, _): &(&String, &f64)| super::scrape::name_of(known) == metric;
            let all: f64 = expected.iter().filter(of_metric).map(|(_, n)| n).sum();
            differs(metric, scrape.sum(metric, &[]), all);
        }
        match wrong.is_empty() {
            true => Ok(expected.len()),
            false => Err(wrong.join("; ")),
        }
    })
}

/// A series as the exposition writes it.
fn series_name(series: &Value) -> String {
    let labels = series["labels"].as_object().unwrap();
    let mut labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    labels.sort();
    let metric = series["metric"].as_str().unwrap();
    match labels.is_empty() {
        true => metric.to_owned(),
        false => format!("{metric}{{{}}}", labels.join(",")),
    }
}

/// A time of the n-th line, in some form.
fn at(n: i64, form: &str) -> String {
    let time = Timestamp::from_second(base() + n).unwrap();
    time.strftime(form).to_string()
}

fn iis_header(more: &str) -> String {
    format!(
        "#Software: Microsoft Internet Information Services 10.0\r\n#Fields: date time cs-method \
         cs-uri-stem cs-uri-query {more}\r\n"
    )
}

fn iis(n: i64, rest: &str) -> String {
    let time = at(n, "%Y-%m-%d %H:%M:%S");
    format!("{time} GET {PIXEL} source=fastly {rest}\r\n")
}

#[test]
fn a_w3c_file_is_followed_over_restarts_and_changing_columns() {
    let mut log = Followed::new("iis", "");
    log.write(&iis_header("sc-status time-taken"));
    log.write(&iis(1, "200 31"));
    log.scene.agent.start_ready();
    log.agrees();
    log.restart();
    log.write(&iis(2, "200 32"));
    log.agrees();
    // The columns change places; a kill lies right behind the line that says so.
    log.write(&iis_header("time-taken X-CDN-Provider sc-status"));
    log.agrees();
    log.restart();
    log.write(&iis(3, "200 fastly 503"));
    log.agrees();
    // A directive that is torn when the daemon is killed.
    let header = iis_header("X-CDN-Provider sc-status");
    let (begun, rest) = header.split_at(header.len() - 9);
    log.write(begun);
    pause(60);
    log.restart();
    log.write(rest);
    log.write(&iis(4, "akamai 200"));
    log.agrees();
    // The next file begins without columns: what the last one said does not hold there.
    rename_and_create(&log.scene.log());
    log.write(&iis_header("sc-status"));
    log.write(&iis(5, "404"));
    log.restart();
    log.write(&iis(6, "200"));
    log.ends(3);
}

#[test]
fn a_csv_file_with_a_header_is_followed_over_restarts() {
    let own = r#"
description = "an export that names its columns"
rules = ["beacon", "origin"]
require = ["status"]
[format.csv]
header = true
fields = { time = "When", request_uri = "URL", status = "Answer", http_x_cdn_provider = "CDN" }
"#;
    let mut log = Followed::new("own", own);
    let line = |n: i64, rest: &str| format!("{},{rest}\n", at(n, "%Y-%m-%dT%H:%M:%SZ"));
    log.write("When,URL,Answer,CDN\n");
    log.scene.agent.start_ready();
    log.agrees();
    log.restart();
    log.write(&line(1, "/cart,503,fastly"));
    log.write(&line(2, &format!("{PIXEL}?source=fastly,200,")));
    log.agrees();
    log.restart();
    log.write(&line(3, "\"/a\"\"b\",404,akamai"));
    log.agrees();
    rename_and_create(&log.scene.log());
    log.write("When,Answer,CDN,URL\n");
    log.write(&line(4, "503,edgecast,/cart"));
    log.agrees();
    log.restart();
    log.write(&line(5, "200,edgecast,/cart"));
    // A file may hold several headers, each for the records behind it.
    log.write("CDN,URL,When,Answer\n");
    log.write(&format!("fastly,/x,{},502\n", at(6, "%Y-%m-%dT%H:%M:%SZ")));
    log.agrees();
    log.restart();
    log.write(&format!("fastly,/y,{},504\n", at(7, "%Y-%m-%dT%H:%M:%SZ")));
    log.ends(8);
}

fn nginx(n: i64, path: &str, status: u16) -> String {
    let time = at(n, "%d/%b/%Y:%H:%M:%S +0000");
    format!("203.0.113.9 - - [{time}] \"GET {path} HTTP/1.1\" {status} 43 \"-\" \"curl/8\"")
}

fn cri(n: i64, tag: &str, text: &str) -> String {
    format!(
        "{} stdout {tag} {text}\n",
        at(n, "%Y-%m-%dT%H:%M:%S.000000001Z")
    )
}

/// kubelet renames the file to its name and the time, lets the runtime open a new one, and packs the one
/// before.
#[test]
fn a_containers_log_is_followed_as_kubelet_rotates_it() {
    let mut log = Followed::new("nginx-combined", "");
    let current = log.scene.logs().join("0.log");
    log.scene.agent.config.set("[log].path", quoted(&current));
    let mut previous: Option<std::path::PathBuf> = None;
    for round in 0..4 {
        for n in 0..20 {
            let line = nginx(
                100 * round + n,
                &format!("{PIXEL}?source=fastly&n={n}"),
                200,
            );
            let (head, end) = line.split_at(40);
            let cut = [cri(n, "P", head), cri(n, "F", end)].concat();
            let text = if n % 3 == 0 { cut } else { cri(n, "F", &line) };
            append(&current, &text);
            log.text.push_str(&text);
        }
        if round == 0 {
            log.scene.agent.start_ready();
        }
        if round == 2 {
            log.agrees();
            log.scene.agent.kill();
        }
        let stamp = at(round, ".20261122-%H%M%S");
        let rotated = with_ending(&current, &stamp);
        fs::rename(&current, &rotated).unwrap();
        fs::File::create_new(&current).unwrap();
        if let Some(packed) = previous.replace(rotated) {
            compress(&packed);
        }
        if round == 2 {
            log.scene.agent.start_ready();
        }
        log.agrees();
    }
    log.ends(1);
}

/// What a container says of its columns stands in the runtime's envelope.
#[test]
fn columns_named_in_an_envelope_hold_over_restarts() {
    let mut log = Followed::new("iis", "");
    let docker = |text: &str| {
        let text = serde_json::to_string(text).unwrap();
        format!("{{\"log\":{text},\"stream\":\"stdout\",\"time\":\"2026-11-22T07:00:00Z\"}}\n")
    };
    let header = iis_header("sc-status");
    let (software, fields) = header.split_once('\n').unwrap();
    log.write(&cri(0, "F", software));
    log.write(&cri(0, "F", fields.trim_end()));
    log.scene.agent.start_ready();
    log.agrees();
    log.restart();
    log.write(&cri(1, "F", iis(1, "200").trim_end()));
    log.agrees();
    rename_and_create(&log.scene.log());
    log.write(&docker(&format!("{software}\n")));
    log.write(&docker(fields));
    log.agrees();
    log.restart();
    log.write(&docker(&iis(2, "503")));
    log.ends(3);
}

fn haproxy(n: i64, path: &str, status: u16) -> String {
    let time = at(n, "%d/%b/%Y:%H:%M:%S.250");
    format!(
        "203.0.113.9:40236 [{time}] fe be/s1 0/0/0/0/0 {status} 228 - - ---- 1/1/0/0/0 0/0 \"GET {path} \
         HTTP/1.1\""
    )
}

/// The records of two programs on one socket, as a relay sends them.
fn mixed(n: i64) -> [String; 2] {
    let header = format!("<134>{} lb1 ", at(n, "%b %e %H:%M:%S"));
    let path = format!("{PIXEL}?source=fastly&n={n}");
    [
        format!("{header}haproxy[14389]: {}", haproxy(n, &path, 200)),
        format!("{header}nginx: {}", nginx(n, &path, 200)),
    ]
}

#[test]
fn load_balancers_and_servers_share_one_port_for_datagrams() {
    let port = free_port(true);
    let url = format!("udp://127.0.0.1:{port}");
    let mut log = Followed::listening("haproxy-http,nginx-combined", "", &url);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 0..40 {
        for message in mixed(n) {
            socket
                .send_to(message.as_bytes(), ("127.0.0.1", port))
                .unwrap();
            log.text.push_str(&format!("{message}\n"));
        }
    }
    log.ends(1);
}

#[test]
fn load_balancers_and_servers_share_one_port_for_streams() {
    let port = free_port(false);
    let url = format!("tcp://127.0.0.1:{port}");
    let mut log = Followed::listening("haproxy-http,nginx-combined", "", &url);
    let connect = || TcpStream::connect(("127.0.0.1", port));
    let mut feeds = eventually(DEADLINE, "the port is open", || {
        connect().map_err(|error| error.to_string())
    });
    let mut octets = connect().unwrap();
    for n in 0..40 {
        let [balancer, server] = mixed(n);
        writeln!(feeds, "{balancer}").unwrap();
        writeln!(octets, "{} {server}", server.len() + 1).unwrap();
        log.text.push_str(&format!("{balancer}\n{server}\n"));
    }
    log.ends(1);
}

/// Fastly's node is the POP, and stands nowhere but in the header.
#[test]
fn the_sender_in_a_header_is_a_field_also_over_the_network() {
    let own = r#"
description = "Fastly over syslog, by node"
extends = "fastly"
rules = ["nodes"]
"#;
    let port = free_port(true);
    let mut log = Followed::new("own", own);
    let rules = r#"
[[metric]]
name = "requests_total"
help = "requests by node"
labels = { node = "syslog_host" }
"#;
    fs::create_dir(format!("{}/rules", log.folder)).unwrap();
    fs::write(format!("{}/rules/nodes.toml", log.folder), rules).unwrap();
    for key in ["[log].path", "[log].from"] {
        log.scene.agent.config.unset(key);
    }
    let url = format!("udp://127.0.0.1:{port}");
    log.scene.agent.config.set("[log].listen", quoted(url));
    log.scene.agent.start_ready();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 0..20 {
        let time = at(n, "%Y-%m-%dT%H:%M:%SZ");
        let record = at(
            n,
            "203.0.113.9 - - [%d/%b/%Y:%H:%M:%S +0000] \"GET / HTTP/1.1\" 200 612",
        );
        let node = ["cache-sjc3128", "cache-fra19120"][usize::try_from(n % 2).unwrap()];
        let message = format!("<134>{time} {node} LogTest[62959]: {record}");
        socket
            .send_to(message.as_bytes(), ("127.0.0.1", port))
            .unwrap();
        log.text.push_str(&format!("{message}\n"));
    }
    log.ends(2);
}

#[test]
fn logs_of_different_formats_count_into_the_same_series() {
    let mut log = Followed::new("nginx-combined", "");
    let other = log.scene.logs().join("haproxy.log");
    log.scene.agent.config.extra = format!(
        "[[log]]\nname = \"lb\"\npath = {}\nparser = \"haproxy-http\"\nfrom = \"start\"\n",
        quoted(&other)
    );
    let mut second = String::new();
    log.scene.agent.start_ready();
    for n in 0..30 {
        let path = format!("{PIXEL}?source=fastly");
        log.write(&format!("{}\n", nginx(n, &path, 200)));
        let line = format!("{}\n", haproxy(n, &path, 200));
        append(&other, &line);
        second.push_str(&line);
        if n == 15 {
            log.restart();
        }
    }
    let logs = [
        Log {
            name: "access",
            args: vec!["--parser", "nginx-combined"],
            text: &log.text,
        },
        Log {
            name: "lb",
            args: vec!["--parser", "haproxy-http"],
            text: &second,
        },
    ];
    assert!(agrees(&mut log.scene, &logs) > 0);
    log.scene.agent.term();
}
