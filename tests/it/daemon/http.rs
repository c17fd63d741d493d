//! Rows 44 to 48: clients that are slow, many, rude or mistaken, and a port that is taken.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::agent::{DEADLINE, eventually};
use super::config::quoted;
use super::scene::Scene;
use super::scrape::{ask, get};

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Whether the other side has closed: EOF or RST, after whatever it had to say.
fn is_cut(mut stream: &TcpStream) -> bool {
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    ended.is_ok() || ended.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
}

#[test]
fn slow_clients_are_cut_and_others_are_served() {
    let mut scene = Scene::started();
    let address = scene.agent.address().unwrap();
    let slow: Vec<TcpStream> = (0..30).map(|_| connect(&address)).collect();
    for mut stream in &slow {
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            .unwrap();
    }
    assert!(scene.agent.scrape().is_some());
    for stream in &slow {
        assert!(
            is_cut(stream),
            "a slow client was kept longer than {DEADLINE:?}"
        );
    }
    scene.ends_exact();
}

#[test]
fn two_hundred_connections_leave_room_for_a_scrape() {
    let mut scene = Scene::started();
    let address = scene.agent.address().unwrap();
    let idle: Vec<_> = (0..200)
        .filter_map(|_| TcpStream::connect(&address).ok())
        .collect();
    let agent = &mut scene.agent;
    eventually(DEADLINE, "a scrape gets through", || {
        agent.scrape().map(drop).ok_or_else(String::new)
    });
    drop(idle);
    scene.ends_exact();
}

#[test]
fn malformed_requests_are_refused_and_leak_nothing() {
    let mut scene = Scene::started();
    let address = scene.agent.address().unwrap();
    let header = |n: usize| {
        format!(
            "GET /metrics HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
            "a".repeat(n)
        )
    };
    let many: String = (0..20_000).map(|n| format!("X-{n}: a\r\n")).collect();
    let requests: [Vec<u8>; 9] = [
        b"\r\n\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(50),
        header(2 << 20).into_bytes(),
        format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{many}\r\n").into_bytes(),
        b"GET /../../etc/passwd HTTP/1.0\r\n\r\n".to_vec(),
        b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.0\r\n\r\n".to_vec(),
        b"TRACE /metrics HTTP/1.0\r\nSecret: x\r\n\r\n".to_vec(),
        b"POST /metrics HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello".to_vec(),
    ];
    for request in requests {
        // A refusal may come as an answer or as a closed connection.
        if let Some(answer) = ask(&address, &request) {
            let refused = (400..500).contains(&answer.status);
            assert!(refused || [501, 505].contains(&answer.status), "{answer:?}");
            assert!(!answer.body.contains("root:") && !answer.body.contains("Secret"));
        }
        assert!(scene.agent.scrape().is_some());
    }
    scene.ends_exact();
}

#[test]
fn resets_and_clients_that_never_read_leave_no_descriptor() {
    let mut scene = Scene::started();
    let address = scene.agent.address().unwrap();
    scene.agent.scrape();
    let before = scene.agent.descriptors().len();
    for n in 0..200 {
        let mut stream = connect(&address);
        if n % 2 == 0 {
            // The daemon may have gone first, which is as good.
            drop(stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
        }
        set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    }
    let agent = &scene.agent;
    eventually(DEADLINE, "descriptors are closed", || {
        let open = agent.descriptors().len();
        (open <= before + 4)
            .then_some(())
            .ok_or_else(|| format!("{before} before, {open} now"))
    });
    scene.ends_exact();
}

#[test]
fn scrapes_during_writes_are_whole_and_only_grow() {
    let mut scene = Scene::started();
    for _ in 0..60 {
        scene.writer.lines(37);
        assert!(scene.agent.scrape().is_some());
    }
    scene.ends_exact();
}

#[test]
fn a_taken_port_is_told_with_the_table_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (key, table) in [("http.listen", "`[http]`"), ("status.listen", "`[status]`")] {
        let mut scene = Scene::new();
        scene.agent.config.set(key, quoted(&address));
        scene.writer.lines(10);
        scene.agent.start();
        let agent = &mut scene.agent;
        eventually(DEADLINE, "the port and the table are named", || {
            let stderr = agent.stderr();
            let told = stderr.contains(&address) && stderr.contains(table);
            told.then_some(()).ok_or(stderr)
        });
        if let Some(status) = agent.ended() {
            assert_eq!(status.code(), Some(2), "{status}");
        }
    }
}

#[test]
fn the_pages_are_few() {
    let mut scene = Scene::started();
    let address = scene.agent.address().unwrap();
    for (path, status) in [
        ("/metrics", 200),
        ("/-/healthy", 200),
        ("/-/ready", 200),
        ("/", 200),
        ("/nothing", 404),
        ("/metrics/", 404),
    ] {
        let answer = get(&address, path).unwrap();
        assert_eq!(answer.status, status, "{path}: {}", answer.head);
    }
    scene.ends_exact();
}

#[test]
fn openmetrics_is_given_to_who_asks_for_it() {
    let mut scene = Scene::started();
    let address = scene.agent.address().unwrap();
    let answer = ask(
        &address,
        b"GET /metrics HTTP/1.0\r\nAccept: application/openmetrics-text;version=1.0.0\r\n\r\n",
    )
    .unwrap();
    assert!(
        answer.head.contains("application/openmetrics-text"),
        "{}",
        answer.head
    );
    assert!(answer.body.ends_with("# EOF\n"));
    scene.ends_exact();
}

#[test]
fn prometheus_accepts_the_exposition() {
    if !super::scene::has("promtool") {
        return;
    }
    let mut scene = Scene::started();
    let body = scene.agent.get("/metrics").unwrap().body;
    let mut child = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(body.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.code() != Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    scene.ends_exact();
}
