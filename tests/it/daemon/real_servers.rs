//! A real nginx and a real Apache write with the format strings of the shipped parsers, and the
//! daemon counts what was sent to them: nothing unparsed, each request once, as the client saw it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use super::agent::{Agent, DEADLINE, eventually};
use super::components::{Component, have, port};
use super::config::{Config, quoted};
use super::oracle;
use super::scrape::Scrape;
use super::truth::Truth;
use crate::program::Folder;

const BEACON: &str = "/status/images/beacon.gif";
const PROVIDERS: [&str; 5] = ["akamai", "cloudflare", "cloudfront", "edgecast", "fastly"];

/// What one log must count, filled in by what clients sent and what they were answered.
#[derive(Clone, Default)]
struct Sent {
    requests: u64,
    /// Labels of `cdn_failure_beacons_total` to number.
    beacons: BTreeMap<String, u64>,
    /// Labels of `cdn_origin_requests_total` to number.
    origin: BTreeMap<String, u64>,
}

/// What a request should count as, its status aside.
enum Kind {
    Beacon(&'static str),
    /// The pixel without a source or with another method.
    NearMiss,
    /// Forwarded by this provider, as the log has it.
    Origin(&'static str),
    /// The server may not know what was asked for; it is counted as a request without a provider.
    Broken,
}

impl Sent {
    /// Accounts for a request that was answered with this status. `forwarded`: the log has the
    /// provider.
    fn add(&mut self, kind: &Kind, status: u16, forwarded: bool) {
        self.requests += 1;
        let code = match status {
            500..600 => status.to_string(),
            status => format!("{}xx", status / 100),
        };
        let (to, labels) = match kind {
            Kind::NearMiss => return,
            Kind::Beacon(provider) => (&mut self.beacons, format!("provider=\"{provider}\"")),
            Kind::Origin(provider) if forwarded => {
                let labels = format!("code=\"{code}\",provider=\"{provider}\"");
                (&mut self.origin, labels)
            }
            Kind::Origin(_) | Kind::Broken => {
                let labels = format!("code=\"{code}\",provider=\"direct\"");
                (&mut self.origin, labels)
            }
        };
        *to.entry(labels).or_default() += 1;
    }

    /// What the exposition has otherwise, of the logs of these names together.
    fn differences(&self, scrape: &Scrape, logs: &[&str]) -> Vec<String> {
        let mut wrong = Vec::new();
        for log in logs {
            for (result, truth) in [
                ("parsed", self.requests),
                ("unparsed", 0),
                ("skipped", 0),
                ("rejected", 0),
            ] {
                let having = [format!("log=\"{log}\""), format!("result=\"{result}\"")];
                let having = having.each_ref().map(String::as_str);
                let value = scrape.sum("beacontail_lines_total", &having);
                differs(&mut wrong, &format!("{log} {result}"), value, truth);
            }
        }
        let times = u64::try_from(logs.len()).unwrap();
        for (name, truth) in [
            ("cdn_failure_beacons_total", &self.beacons),
            ("cdn_origin_requests_total", &self.origin),
        ] {
            for (labels, n) in truth {
                let series = format!("{name}{{{labels}}}");
                let value = scrape.value(&series).unwrap_or_default();
                differs(&mut wrong, &series, value, n * times);
            }
            let all: u64 = truth.values().sum();
            differs(&mut wrong, name, scrape.sum(name, &[]), all * times);
        }
        wrong
    }
}

fn differs(wrong: &mut Vec<String>, what: &str, value: f64, truth: u64) {
    let truth: f64 = truth.to_string().parse().unwrap();
    if (value - truth).abs() > 0.0 {
        wrong.push(format!("{what} {value}, truth {truth}"));
    }
}

/// A request: its first line, its headers, what it counts as.
struct Request {
    line: Vec<u8>,
    headers: Vec<Vec<u8>>,
    kind: Kind,
    ipv6: bool,
}

impl Request {
    fn new(line: impl Into<Vec<u8>>, kind: Kind) -> Request {
        let headers = match kind {
            Kind::Origin(provider) if provider != "direct" => {
                vec![format!("X-CDN-Provider: {provider}").into_bytes()]
            }
            _ => Vec::new(),
        };
        Request {
            line: line.into(),
            headers,
            kind,
            ipv6: false,
        }
    }

    fn header(mut self, header: impl Into<Vec<u8>>) -> Request {
        self.headers.push(header.into());
        self
    }

    /// Sends it and gives the status of the answer.
    fn send(&self, port: u16) -> u16 {
        let host = if self.ipv6 { "::1" } else { "127.0.0.1" };
        let mut stream = TcpStream::connect((host, port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut bytes = self.line.clone();
        for header in [
            b"Host: www.example.com".to_vec(),
            b"Connection: close".to_vec(),
        ]
        .iter()
        .chain(&self.headers)
        {
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(header);
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        // A server may refuse the first line and close before it has read the rest.
        drop(stream.write_all(&bytes));
        drop(stream.shutdown(Shutdown::Write));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let first = String::from_utf8_lossy(&answer);
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        // A client from before HTTP/1 gets no status, and garbage counts as a bad request.
        status.and_then(|status| status.parse().ok()).unwrap_or(400)
    }
}

/// The requests that every server gets. None of them is too long for its log.
fn requests() -> Vec<Request> {
    let get = |path: &str, kind| Request::new(format!("GET {path} HTTP/1.1"), kind);
    let beacon =
        |provider: &str| format!("{BEACON}?source={provider}&server_identity=cache-x1-NYC");
    let mut all = vec![
        get("/", Kind::Origin("fastly")).header("User-Agent: Mozilla/5.0 (X11; Linux x86_64)"),
        get("/", Kind::Origin("akamai")).header("User-Agent:"),
        get("/", Kind::Origin("direct"))
            .header("User-Agent: -")
            .header("Referer: -"),
        get("/", Kind::Origin("edgecast")).header("Referer:"),
        get("/nothing-here", Kind::Origin("cloudfront")),
        Request::new("HEAD / HTTP/1.1", Kind::Origin("cloudflare")),
        Request::new("GET / HTTP/1.0", Kind::Origin("fastly")),
        get("/?q=%22a\"b", Kind::Origin("fastly")).header("User-Agent: U\"A\\x \"quoted\""),
        get("/", Kind::Origin("direct")).header("User-Agent: \\"),
        get("/", Kind::Origin("direct")).header("User-Agent: ends in \\\""),
        get("/", Kind::Origin("direct"))
            .header("User-Agent: \" 200 43 \"http://forged.example/\" \"x\" \"fastly\" 0.001"),
        get("/grüße?q=世界", Kind::Origin("direct"))
            .header("User-Agent: Grüße, 世界 🌍")
            .header("Referer: http://www.example.com/é"),
        get("/", Kind::Origin("direct"))
            .header(b"User-Agent: latin-1 \xe9\xff, half \xe4\xb8".to_vec()),
        get("/", Kind::Origin("direct")).header("User-Agent: tab\there, =1+1"),
        get(BEACON, Kind::NearMiss).header("User-Agent: no source"),
        Request::new(
            format!("POST {BEACON}?source=fastly HTTP/1.1"),
            Kind::NearMiss,
        )
        .header("Content-Length: 0"),
        get(
            &format!("{BEACON}?source=Akamai_503"),
            Kind::Beacon("other"),
        ),
        Request::new(
            format!("HEAD {} HTTP/1.1", beacon("AKAMAI")),
            Kind::Beacon("akamai"),
        ),
        get(
            &format!("http://www.example.com{}", beacon("fastly")),
            Kind::Beacon("fastly"),
        ),
        Request::new(
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03".to_vec(),
            Kind::Broken,
        ),
        Request::new("SSH-2.0-OpenSSH_9.2", Kind::Broken),
    ];
    // Longest request lines that servers take by default, and a query of that size.
    let path = format!("/{}", "p".repeat(8 * 1024 - 40));
    all.push(get(&path, Kind::Origin("fastly")).header("User-Agent: a long path"));
    let padding = "k=v&".repeat(2000);
    let long = format!("{BEACON}?{padding}source=edgecast");
    all.push(get(&long, Kind::Beacon("edgecast")));
    for (n, provider) in PROVIDERS.into_iter().enumerate() {
        for _ in 0..=n {
            all.push(get(&beacon(provider), Kind::Beacon(provider)).header("User-Agent: b"));
        }
    }
    for kind in [Kind::Beacon("cloudfront"), Kind::Origin("direct")] {
        let path = if matches!(kind, Kind::Beacon(_)) {
            beacon("cloudfront")
        } else {
            "/".to_owned()
        };
        let mut request = get(&path, kind);
        request.ipv6 = true;
        all.push(request);
    }
    all
}

/// Sends all requests; the account grows. A number in the first one tells the rounds of one second
/// apart: a log that begins as its rotated file begins is taken for a copy of it until it differs.
fn send_all(port: u16, sent: &mut Sent, forwarded: bool) {
    let first = format!("GET /?after={} HTTP/1.1", sent.requests);
    let first = Request::new(first, Kind::Origin("direct"));
    for request in std::iter::once(first).chain(requests()) {
        let status = request.send(port);
        sent.add(&request.kind, status, forwarded);
    }
}

/// Sends a beacon and a page by HTTP/2 without TLS.
fn send_http2(port: u16, sent: &mut Sent) {
    for (path, kind) in [
        (format!("{BEACON}?source=fastly"), Kind::Beacon("fastly")),
        ("/".to_owned(), Kind::Origin("direct")),
    ] {
        let output = Command::new("curl")
            .args(["-sS", "--http2-prior-knowledge", "-o", "/dev/null", "-w"])
            .arg("%{http_version} %{http_code}")
            .arg(format!("http://127.0.0.1:{port}{path}"))
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "2 200",
            "{output:?}"
        );
        sent.add(&kind, 200, true);
    }
}

/// A daemon that follows a server's log, without outputs.
fn agent(folder: &Folder, log: &Path) -> Agent {
    let path = folder.0.path().canonicalize().unwrap();
    let mut config = Config::new(&path, log);
    // The server takes its time to open its log anew.
    config.set("agent.rotate_wait", quoted("5s"));
    Agent::new(&path, config)
}

/// Waits until these logs have counted what was sent, and nothing else.
#[track_caller]
fn counted(agent: &mut Agent, sent: &Sent, logs: &[&str]) {
    eventually(DEADLINE, "every request is counted", || {
        agent.is_alive();
        let scrape = agent.scrape().ok_or("no exposition")?;
        oracle::verdict(&sent.differences(&scrape, logs))
    });
}

/// No counter went down, and the daemon stops.
#[track_caller]
fn ends(mut agent: Agent) {
    for seen in &mut agent.seen {
        // The oracle knows the series of another writer.
        seen.scrape
            .samples
            .retain(|series, _| !series.starts_with("cdn_"));
    }
    oracle::scrapes_are_sound(&agent.seen, &Truth::default());
    let stderr = agent.stderr_of_all();
    assert!(!stderr.contains("panicked"), "{stderr}");
    agent.term();
}

#[test]
fn a_real_nginx_is_counted_request_by_request() {
    if !have(&["nginx", "curl"]) {
        return;
    }
    let nginx = Component::new("nginx.sh");
    let (plain, http2) = (port(), port());
    nginx.start(&[&plain.to_string(), &format!("http2={http2}")]);
    let log = nginx.folder().join("access.log");
    let folder = Folder::new();
    let mut agent = agent(&folder, &log);
    let mut sent = Sent::default();
    send_all(plain, &mut sent, true);
    agent.start_ready();
    send_http2(http2, &mut sent);
    counted(&mut agent, &sent, &["access"]);
    // A request line longer than nginx reads is refused, and logged without its end.
    let long = format!("GET /{} HTTP/1.1", "p".repeat(10_000));
    let status = Request::new(long, Kind::Broken).send(plain);
    assert_eq!(status, 414);
    sent.add(&Kind::Broken, status, true);
    counted(&mut agent, &sent, &["access"]);
    // As logrotate has it: renamed, written on, opened anew.
    fs::rename(&log, log.with_extension("log.1")).unwrap();
    send_all(plain, &mut sent, true);
    nginx.signal("nginx", Signal::USR1);
    eventually(DEADLINE, "nginx opens its log anew", || {
        log.exists().then_some(()).ok_or_else(String::new)
    });
    send_all(plain, &mut sent, true);
    counted(&mut agent, &sent, &["access"]);
    agent.kill();
    send_all(plain, &mut sent, true);
    agent.start_ready();
    counted(&mut agent, &sent, &["access"]);
    ends(agent);
}

#[test]
fn a_real_nginx_over_syslog_is_counted_request_by_request() {
    if !have(&["nginx"]) {
        return;
    }
    let folder = Folder::new();
    let socket = folder.path("log.sock");
    let (udp, plain) = (port(), port());
    let mut agent = agent(&folder, Path::new("/unused"));
    for key in ["[log].path", "[log].from"] {
        agent.config.unset(key);
    }
    let udp = format!("127.0.0.1:{udp}");
    agent
        .config
        .set("[log].listen", quoted(format!("udp://{udp}")));
    agent.config.extra =
        format!("[[log]]\nname = \"unix\"\nparser = \"nginx-cdn\"\nlisten = \"unix://{socket}\"\n");
    agent.start_ready();
    let nginx = Component::new("nginx.sh");
    let unix = format!("syslog=unix:{socket},nohostname");
    nginx.start(&[&plain.to_string(), &format!("syslog={udp},tag=shop"), &unix]);
    let mut sent = Sent::default();
    send_all(plain, &mut sent, true);
    counted(&mut agent, &sent, &["access", "unix"]);
    send_all(plain, &mut sent, true);
    counted(&mut agent, &sent, &["access", "unix"]);
    ends(agent);
}

#[test]
fn a_real_apache_is_counted_request_by_request_in_each_of_its_formats() {
    if !have(&["apache2", "curl"]) {
        return;
    }
    let apache = Component::new("apache.sh");
    let plain = port();
    apache.start(&[&plain.to_string(), "http2"]);
    let folder = Folder::new();
    let mut agent = agent(&folder, &apache.folder().join("combined.log"));
    agent.config.set("[log].parser", quoted("apache-combined"));
    for (name, parser) in [
        ("common", "apache-common"),
        ("vhost_combined", "apache-vhost-combined"),
    ] {
        let log = apache.folder().join(format!("{name}.log"));
        agent.config.extra.push_str(&format!(
            "[[log]]\nname = \"{name}\"\nparser = \"{parser}\"\nfrom = \"start\"\npath = {}\n",
            quoted(log)
        ));
    }
    let logs = ["access", "common", "vhost_combined"];
    let mut sent = Sent::default();
    send_all(plain, &mut sent, false);
    agent.start_ready();
    send_http2(plain, &mut sent);
    counted(&mut agent, &sent, &logs);
    agent.kill();
    send_all(plain, &mut sent, false);
    agent.start_ready();
    send_all(plain, &mut sent, false);
    counted(&mut agent, &sent, &logs);
    ends(agent);
}
