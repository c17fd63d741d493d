//! The status page of a running daemon: where it is, who may ask for it, and what it says.

use std::io::Write;

use super::agent::{Agent, DEADLINE, eventually};
use super::config::quoted;
use super::scene::Scene;
use super::scrape::{Answer, ask, get};

/// A daemon whose page listens at a port of the system's choice.
fn with_page() -> Scene {
    let mut scene = Scene::new();
    scene
        .agent
        .config
        .set("status.listen", quoted("127.0.0.1:0"));
    scene.writer.lines(10);
    scene.agent.start_ready();
    scene.counted();
    scene
}

/// Where the page is.
fn page(agent: &Agent) -> String {
    let stderr = agent.stderr();
    let (_, rest) = stderr.split_once("the status page is at http://").unwrap();
    let end = rest.find(|letter: char| !(letter.is_ascii_digit() || ".:".contains(letter)));
    rest[..end.unwrap()].to_owned()
}

fn named(address: &str, path: &str, host: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    ask(address, request.as_bytes()).unwrap()
}

#[test]
fn the_page_has_its_own_address_and_no_metrics() {
    let mut scene = with_page();
    let (address, http) = (page(&scene.agent), scene.agent.address().unwrap());
    assert_ne!(address, http);
    for (path, status) in [
        ("/", 200),
        ("/-/healthy", 200),
        ("/-/ready", 200),
        ("/api/v1/samples", 200),
        ("/assets/status.js", 200),
        ("/assets/uplot.txt", 200),
        ("/assets/nothing", 404),
        ("/assets/../Cargo.toml", 404),
        ("/metrics", 404),
    ] {
        let answer = get(&address, path).unwrap();
        assert_eq!(answer.status, status, "{path}: {}", answer.head);
        for header in [
            "content-security-policy: default-src 'none'",
            "referrer-policy: no-referrer",
        ] {
            assert!(answer.head.contains(header), "{path}: {}", answer.head);
        }
    }
    assert_eq!(get(&http, "/api/v1/samples").unwrap().status, 404);
    let index = get(&http, "/").unwrap().body;
    assert!(index.contains(&format!("http://{address}/")), "{index}");
    scene.ends_exact();
}

#[test]
fn one_address_can_serve_both() {
    let mut scene = Scene::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap().to_string();
    drop(port);
    scene.agent.config.set("http.listen", quoted(&address));
    scene.agent.config.set("status.listen", quoted(&address));
    scene.writer.lines(10);
    scene.agent.start_ready();
    assert!(
        get(&address, "/")
            .unwrap()
            .body
            .starts_with("<!doctype html>")
    );
    assert_eq!(get(&address, "/metrics").unwrap().status, 200);
    scene.ends_exact();
}

#[test]
fn foreign_names_are_refused_and_named_ones_are_not() {
    let mut scene = Scene::new();
    scene
        .agent
        .config
        .set("status.listen", quoted("127.0.0.1:0"));
    scene
        .agent
        .config
        .set("status.hosts", quoted("ops.example.com"));
    scene.writer.lines(10);
    scene.agent.start_ready();
    let address = page(&scene.agent);
    for (host, status) in [
        ("evil.example", 403),
        ("ops.example.com", 200),
        ("localhost:1", 200),
        (address.as_str(), 200),
    ] {
        assert_eq!(
            named(&address, "/api/v1/samples", host).status,
            status,
            "{host}"
        );
    }
    scene.ends_exact();
}

#[test]
fn foreign_names_get_metrics_and_health_and_no_answers_of_the_api() {
    let mut scene = with_page();
    let http = scene.agent.address().unwrap();
    for (path, status) in [
        ("/metrics", 200),
        ("/-/healthy", 200),
        ("/-/ready", 200),
        ("/", 200),
        ("/api/v1/status", 403),
        ("/api/v1/series?metric=cdn_failure_beacons_total", 403),
        ("/api/none", 403),
    ] {
        let answer = named(&http, path, "evil.example");
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert_ne!(named(&http, path, "localhost:9577").status, 403, "{path}");
    }
    let refusal = named(&http, "/api/v1/status", "evil.example").body;
    assert!(
        refusal.starts_with("{\"error\":") && refusal.contains("`hosts` of `[status]`"),
        "{refusal}"
    );
    let address = page(&scene.agent);
    for (path, status) in [("/-/ready", 200), ("/", 403), ("/assets/status.js", 403)] {
        assert_eq!(
            named(&address, path, "evil.example").status,
            status,
            "{path}"
        );
    }
    scene.ends_exact();
}

#[test]
fn files_of_the_page_are_kept_until_they_change() {
    let scene = with_page();
    let address = page(&scene.agent);
    let text = get(&address, "/").unwrap().body;
    let (_, rest) = text.split_once("src=\"/assets/status.js").unwrap();
    let (version, _) = rest.split_once('"').unwrap();
    let kept = get(&address, &format!("/assets/status.js{version}")).unwrap();
    assert!(
        kept.head.contains("max-age=31536000, immutable"),
        "{}",
        kept.head
    );
    assert!(!kept.head.contains("no-store"), "{}", kept.head);
    let old = get(&address, "/assets/status.js?v=0").unwrap();
    assert!(old.head.contains("no-cache"), "{}", old.head);
    let (_, tag) = kept.head.split_once("etag: ").unwrap();
    let tag = tag.split("\r\n").next().unwrap();
    let again = format!(
        "GET /assets/status.js{version} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(ask(&address, again.as_bytes()).unwrap().status, 304);
    scene.ends_exact();
}

#[test]
fn lines_that_did_not_count_are_shown_masked_and_go_with_the_process() {
    let folder = crate::program::Folder::new();
    let path = folder.0.path().canonicalize().unwrap();
    let log = path.join("access.log");
    let time = jiff::Timestamp::now().strftime("%d/%b/%Y:%H:%M:%S +0000");
    let line = |address: &str, request: &str| {
        format!("{address} - - [{time}] \"{request} HTTP/1.1\" 200 5 \"-\" \"curl\"\n")
    };
    let mut text = line("203.0.113.77", "GET /status/images/beacon.gif?token=s3cret");
    text += &line(
        "203.0.113.77",
        "POST /status/images/beacon.gif?source=fastly",
    );
    text += "<script>alert(1)</script> is no line of 203.0.113.77\u{1b}[2J\n";
    text += "203.0.113.77 - - [01/Jan/2001:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"\n";
    std::fs::File::create(&log)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let mut config = super::config::Config::new(&path, &log);
    config.set("[log].parser", quoted("nginx-combined"));
    config.set("status.listen", quoted("127.0.0.1:0"));
    let mut agent = Agent::new(&path, config);
    agent.start_ready();
    let address = page(&agent);
    let samples = eventually(DEADLINE, "four samples", || {
        let answer = get(&address, "/api/v1/samples").ok_or("no answer")?.body;
        let found: serde_json::Value = serde_json::from_str(&answer).map_err(|e| e.to_string())?;
        let count = |list: &str| found[list].as_array().map_or(0, Vec::len);
        (count("near_misses") == 2 && count("others") == 2)
            .then_some(found)
            .ok_or(answer)
    });
    let all = samples.to_string();
    assert!(!all.contains("113.77") && !all.contains("s3cret"), "{all}");
    assert_eq!(samples["near_misses"][0]["reason"], "method=~\"GET|HEAD\"");
    assert_eq!(
        samples["others"][0]["reason"],
        "its time is older than max_lateness"
    );
    let shown = "<script>alert(1)</script> is no line of 203.0.113.x\\u{1b}[2J";
    assert_eq!(samples["others"][1]["line"], shown);
    let text = get(&address, "/").unwrap().body;
    assert!(!text.contains("<script>alert"), "{text}");
    assert!(
        text.contains("&lt;script&gt;alert(1)&lt;/script&gt; is no line"),
        "{text}"
    );
    let metrics = agent.get("/metrics").unwrap().body;
    assert!(!metrics.contains("is no line"));
    agent.term();
    let store = std::fs::read(agent.store()).unwrap();
    let inside = |part: &[u8]| store.windows(part.len()).any(|bytes| bytes == part);
    assert!(!inside(b"is no line") && !inside(b"s3cret"));
}
