//! Clients of every kind on real sockets, most of them rude.
//!
//! Nothing here asserts how long something takes: limits are short or long, and what is waited for
//! is the end of a connection or an answer.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use flate2::read::GzDecoder;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{
    Exposition, Limits, NotReady, Overview, Pages, Parameters, Refusal, SamplesAnswer, Server,
    ServerError, WebConfig,
};
use crate::store::{AgentStatus, SeriesAnswer};

/// Longer than anything takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(500);

/// Pages with a fixed text, which may have to wait for a gate to open.
pub(super) struct Fixed {
    text: String,
    ready: bool,
    gate: Mutex<Gate>,
    changed: Condvar,
}

#[derive(Default)]
struct Gate {
    closed: bool,
    waiting: usize,
}

impl Fixed {
    pub(super) fn new(text: &str) -> Fixed {
        Fixed {
            text: text.to_owned(),
            ready: true,
            gate: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn close(&self) {
        self.gate.lock().unwrap().closed = true;
    }

    fn open(&self) {
        self.gate.lock().unwrap().closed = false;
        self.changed.notify_all();
    }

    pub(super) fn waiting(&self) -> usize {
        self.gate.lock().unwrap().waiting
    }
}

impl Pages for Fixed {
    fn metrics(&self, format: Exposition) -> Result<String, NotReady> {
        let mut gate = self.gate.lock().unwrap();
        gate.waiting += 1;
        drop(self.changed.wait_while(gate, |gate| gate.closed).unwrap());
        self.ready()?;
        Ok(format!("{format:?} {}", self.text))
    }

    fn ready(&self) -> Result<(), NotReady> {
        let reason = "reading what was written before the start".to_owned();
        if self.ready {
            Ok(())
        } else {
            Err(NotReady(reason))
        }
    }

    fn healthy(&self) -> Result<(), String> {
        Ok(())
    }

    fn series(&self, asked: &Parameters) -> Result<SeriesAnswer, Refusal> {
        Err(Refusal::Unknown(format!("asked: {asked:?}")))
    }

    fn status(&self) -> Result<AgentStatus, Refusal> {
        Err(Refusal::Unavailable("the store is away".to_owned()))
    }

    fn overview(&self) -> Overview {
        super::status::made::overview()
    }

    fn samples(&self) -> SamplesAnswer {
        super::status::made::overview().samples
    }
}

pub(super) struct Running {
    pub(super) address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), ServerError>>,
}

impl Running {
    pub(super) fn new(pages: &Arc<Fixed>, limits: Limits, web: Option<WebConfig>) -> Running {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(&[any]).unwrap().with_limits(limits);
        let address = server.addresses()[0];
        let (stop, stopped) = watch::channel(false);
        let pages: Arc<dyn Pages> = Arc::<Fixed>::clone(pages);
        let task = tokio::spawn(server.serve(pages, web, stopped));
        Running {
            address,
            stop,
            task,
        }
    }

    fn plain(limits: Limits) -> Running {
        Running::new(&Arc::new(Fixed::new("x_total 1\n")), limits, None)
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes on a new connection and reads until it ends.
    async fn send(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may hang up before it has read all.
        stream.write_all(bytes).await.ok();
        until_end(&mut stream).await
    }

    /// The answer to a request on a connection of its own.
    pub(super) async fn ask(&self, line: &str, headers: &str) -> String {
        let head =
            format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
        self.send(head.as_bytes()).await
    }

    async fn is_served(&self) {
        let answer = self.ask("GET /metrics", "").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    /// Connections of the server that are open, from the kernel's table.
    pub(super) fn open_connections(&self) -> usize {
        const LISTENING: &str = "0A";
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let port = format!(":{:04X}", self.address.port());
        let rows = table
            .lines()
            .skip(1)
            .map(|row| row.split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row[1].ends_with(&port) && row[3] != LISTENING && row[9] != "0")
            .count()
    }

    async fn stopped(self) {
        self.stop.send(true).unwrap();
        timeout(PATIENCE, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

/// All that comes until the other side ends the connection, by whatever means.
pub(super) async fn until_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    read.expect("the connection ends").ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One request on a connection that stays, and its answer with a body of known length.
pub(super) async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    headers: &str,
) -> String {
    let request = format!("GET /-/ready HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !(answer.ends_with(b"ready\n") || answer.ends_with(b"needed\n")) {
        let mut byte = [0];
        let read = timeout(PATIENCE, stream.read(&mut byte))
            .await
            .expect("an answer comes");
        assert_eq!(read.unwrap(), 1, "{}", String::from_utf8_lossy(&answer));
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

pub(super) async fn eventually(mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, wait).await.expect("it happens");
}

#[tokio::test]
async fn metrics_come_in_the_format_and_encoding_that_is_asked_for() {
    let server = Running::plain(Limits::default());
    let text = server.ask("GET /metrics", "").await;
    assert!(text.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(
        text.contains("x-content-type-options: nosniff\r\n")
            && text.contains("cache-control: no-store\r\n")
    );
    assert!(text.ends_with("\r\n\r\nText x_total 1\n"));
    let accept = "accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n";
    let open = server.ask("GET /metrics?x=y", accept).await;
    assert!(
        open.contains(
            "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
        )
    );
    assert!(open.ends_with("\r\n\r\nOpenMetrics x_total 1\n"));

    let mut stream = server.connect().await;
    let request = b"GET /metrics HTTP/1.0\r\naccept-encoding: gzip\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let body = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    assert!(String::from_utf8_lossy(&bytes[..body]).contains("content-encoding: gzip\r\n"));
    let mut plain = String::new();
    GzDecoder::new(&bytes[body..])
        .read_to_string(&mut plain)
        .unwrap();
    assert_eq!(plain, "Text x_total 1\n");
}

#[tokio::test]
async fn answers_of_the_api_are_json_also_when_they_are_refusals() {
    let server = Running::plain(Limits::default());
    for (path, status, body) in [
        (
            "/api/v1/series?metric=a%22&by=x",
            "404 Not Found",
            r#"{"error":"asked: [(\"metric\", \"a\\\"\"), (\"by\", \"x\")]"}"#,
        ),
        (
            "/api/v1/status",
            "503 Service Unavailable",
            r#"{"error":"the store is away"}"#,
        ),
        (
            "/api/v1/status?x",
            "400 Bad Request",
            r#"{"error":"no parameter `x`; there is none"}"#,
        ),
        (
            "/api/v2/status",
            "404 Not Found",
            r#"{"error":"no such page; there are /api/v1/series and /api/v1/status"}"#,
        ),
    ] {
        let answer = server.ask(&format!("GET {path}"), "").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{answer}"
        );
        assert!(answer.contains("content-type: application/json\r\n"));
        assert!(answer.ends_with(body), "{answer}");
    }
}

#[tokio::test]
async fn only_the_pages_are_there() {
    let server = Running::plain(Limits::default());
    for (path, status, body) in [
        (
            "/",
            "200 OK",
            "beacontail: see /metrics, /-/healthy, /-/ready, /api/v1/status and /api/v1/series\n",
        ),
        ("/-/healthy", "200 OK", "healthy\n"),
        ("/-/ready", "200 OK", "ready\n"),
        ("http://elsewhere/-/ready", "200 OK", "ready\n"),
        ("/metrics/", "404 Not Found", "no such page\n"),
        ("//metrics", "404 Not Found", "no such page\n"),
        ("/../../etc/passwd", "404 Not Found", "no such page\n"),
        (
            "/%2e%2e/%2e%2e/etc/passwd",
            "404 Not Found",
            "no such page\n",
        ),
        (
            "/metrics/../../../etc/passwd",
            "404 Not Found",
            "no such page\n",
        ),
        ("/%00", "404 Not Found", "no such page\n"),
        ("/debug/pprof", "404 Not Found", "no such page\n"),
    ] {
        let answer = server.ask(&format!("GET {path}"), "").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{path}: {answer}"
        );
        assert!(
            answer.ends_with(body) && answer.contains("nosniff"),
            "{path}: {answer}"
        );
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Running::plain(Limits::default());
    let answer = server.ask("HEAD /metrics", "").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
    assert!(answer.contains("content-length: 15\r\n"), "{answer}");
}

#[tokio::test]
async fn other_methods_and_bodies_are_refused_and_end_the_connection() {
    let server = Running::plain(Limits::default());
    for method in ["POST", "PUT", "TRACE", "OPTIONS", "DELETE", "PRI", "ÄX"] {
        let answer = server
            .send(format!("{method} /metrics HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
            .await;
        let refused = answer.contains("405 Method Not Allowed\r\n")
            && answer.contains("allow: GET, HEAD\r\n");
        assert!(
            refused || (!method.is_ascii() && answer.contains("400 Bad Request")),
            "{method}: {answer}"
        );
    }
    let connect = server
        .send(b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    assert!(connect.contains("405 Method Not Allowed"), "{connect}");
    for (headers, status) in [
        ("content-length: 5\r\n\r\nhello", "413 Payload Too Large"),
        (
            "content-length: 99999999999\r\nexpect: 100-continue\r\n\r\n",
            "413 Payload Too Large",
        ),
        (
            "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "400 Bad Request",
        ),
        (
            "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "400 Bad Request",
        ),
        ("content-length: -1\r\n\r\n", "400 Bad Request"),
        (
            "content-length: 1\r\ncontent-length: 2\r\n\r\nx",
            "400 Bad Request",
        ),
    ] {
        let answer = server
            .send(format!("GET /metrics HTTP/1.1\r\nhost: x\r\n{headers}").as_bytes())
            .await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{headers}: {answer}"
        );
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    let empty = server.ask("GET /-/ready", "content-length: 0\r\n").await;
    assert!(empty.starts_with("HTTP/1.1 200 "), "{empty}");
}

#[tokio::test]
async fn before_it_is_ready_it_says_why() {
    let mut pages = Fixed::new("");
    pages.ready = false;
    let server = Running::new(&Arc::new(pages), Limits::default(), None);
    for path in ["/metrics", "/-/ready"] {
        let answer = server.ask(&format!("GET {path}"), "").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(
            answer.ends_with("\r\n\r\nreading what was written before the start\n"),
            "{answer}"
        );
    }
    assert!(
        server
            .ask("GET /-/healthy", "")
            .await
            .starts_with("HTTP/1.1 200 ")
    );
}

#[tokio::test]
async fn requests_in_one_go_are_answered_in_order() {
    let server = Running::plain(Limits::default());
    let three = "GET /-/ready HTTP/1.1\r\nhost: x\r\n\r\nHEAD /metrics HTTP/1.1\r\nhost: x\r\n\r\n\
                 GET /none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answers = server.send(three.as_bytes()).await;
    let statuses: Vec<_> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| &answer[..3])
        .collect();
    assert_eq!(statuses, ["200", "200", "404"]);
}

#[tokio::test]
async fn a_client_may_close_its_half() {
    let server = Running::plain(Limits::default());
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /-/ready HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    assert!(until_end(&mut stream).await.ends_with("ready\n"));
}

#[tokio::test]
async fn large_heads_are_refused() {
    let server = Running::plain(Limits::default());
    let long = format!("x: {}\r\n", "y".repeat(2 << 20));
    let many = (0..20_000).fold(String::new(), |head, n| head + &format!("x{n}: y\r\n"));
    for headers in [long, many] {
        let answer = server.ask("GET /metrics", &headers).await;
        // The answer may be lost: the connection is reset while much is unread.
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
            "{answer}"
        );
    }
    let path = server
        .ask(&format!("GET /{}", "a".repeat(100_000)), "")
        .await;
    assert!(path.is_empty() || path.starts_with("HTTP/1.1 4"), "{path}");
    server.is_served().await;
}

#[tokio::test]
async fn what_is_no_http_ends_the_connection() {
    let server = Running::plain(Limits::default());
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for bytes in [
        &hello[..],
        b"\0\0\0\0\n\n",
        b"GET\n\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\xff\xff\n",
    ] {
        let answer = server.send(bytes).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    server.is_served().await;
}

#[tokio::test]
async fn slow_heads_are_cut_while_others_are_served_and_kept() {
    let limits = Limits {
        head: SHORT,
        idle: PATIENCE,
        ..Limits::default()
    };
    let server = Running::plain(limits);
    let mut kept = server.connect().await;
    exchange(&mut kept, "").await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /metrics HT").await.unwrap();
    let mut silent = server.connect().await;
    let mut again = server.connect().await;
    exchange(&mut again, "").await;
    again.write_all(b"GET /metr").await.unwrap();
    server.is_served().await;
    for cut in [&mut slow, &mut silent, &mut again] {
        assert_eq!(until_end(cut).await, "");
    }
    // The head's time is over for long; a connection between two requests has its own.
    exchange(&mut kept, "").await;
}

#[tokio::test]
async fn trickling_does_not_buy_time() {
    let limits = Limits {
        head: SHORT,
        ..Limits::default()
    };
    let server = Running::plain(limits);
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    // A byte whenever there is time for one, and never a line feed.
    eventually(async || stream.write_all(b"x").await.is_err() || server.open_connections() == 0)
        .await;
}

#[tokio::test]
async fn idle_connections_end() {
    let limits = Limits {
        idle: SHORT,
        ..Limits::default()
    };
    let server = Running::plain(limits);
    let mut stream = server.connect().await;
    exchange(&mut stream, "").await;
    assert_eq!(until_end(&mut stream).await, "");
}

#[tokio::test]
async fn of_200_connections_the_oldest_idle_ones_go() {
    let server = Running::plain(Limits::default());
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(server.connect().await);
    }
    server.is_served().await;
    eventually(async || server.open_connections() <= 64).await;
    for client in &mut clients[..130] {
        assert_eq!(until_end(client).await, "");
    }
    let newest = clients.last_mut().unwrap();
    exchange(newest, "").await;
}

#[tokio::test]
async fn when_all_are_being_answered_a_new_one_is_refused() {
    let pages = Arc::new(Fixed::new("x"));
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let server = Running::new(&pages, limits, None);
    pages.close();
    let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    one.write_all(request).await.unwrap();
    two.write_all(request).await.unwrap();
    eventually(async || pages.waiting() == 2).await;
    assert_eq!(server.ask("GET /-/ready", "").await, "");
    pages.open();
    for served in [&mut one, &mut two] {
        assert!(until_end(served).await.ends_with("Text x"));
    }
    server.is_served().await;
}

#[tokio::test]
async fn who_never_reads_loses_the_connection() {
    let pages = Arc::new(Fixed::new(&"x".repeat(32 << 20)));
    let limits = Limits {
        write: SHORT,
        connections: 1,
        ..Limits::default()
    };
    let server = Running::new(&pages, limits, None);
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    eventually(async || server.open_connections() == 1).await;
    // The only seat is taken until the server loses its patience.
    eventually(async || server.ask("GET /-/ready", "").await.ends_with("ready\n")).await;
    drop(stream);
    eventually(async || server.open_connections() == 0).await;
}

#[tokio::test]
async fn texts_that_are_not_read_do_not_pile_up() {
    let pages = Arc::new(Fixed::new(&"x".repeat(32 << 20)));
    let limits = Limits {
        pages: 1,
        ..Limits::default()
    };
    let server = Running::new(&pages, limits, None);
    let mut first = server.connect().await;
    first
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    first.read_u8().await.unwrap();
    let second = tokio::spawn({
        let mut stream = server.connect().await;
        async move {
            stream
                .write_all(b"GET /metrics HTTP/1.0\r\n\r\n")
                .await
                .unwrap();
            until_end(&mut stream).await
        }
    });
    exchange(&mut server.connect().await, "").await;
    assert_eq!(pages.waiting(), 1, "the second text is not made");
    drop(first);
    assert!(second.await.unwrap().ends_with("xxx"));
    server.is_served().await;
}

#[tokio::test]
async fn what_is_made_for_who_has_left_counts_until_it_is_made() {
    let pages = Arc::new(Fixed::new("x"));
    let limits = Limits {
        pages: 1,
        answer: SHORT,
        ..Limits::default()
    };
    let server = Running::new(&pages, limits, None);
    pages.close();
    for _ in 0..2 {
        assert_eq!(
            server.ask("GET /metrics", "").await,
            "",
            "it takes too long"
        );
    }
    let begun = pages.waiting();
    pages.open();
    assert_eq!(begun, 1, "the second text is not begun");
    eventually(async || server.ask("GET /metrics", "").await.contains(" 200 ")).await;
}

#[tokio::test]
async fn who_reads_slowly_loses_the_connection_in_the_end() {
    let pages = Arc::new(Fixed::new(&"x".repeat(32 << 20)));
    let limits = Limits {
        answer: Duration::from_millis(500),
        ..Limits::default()
    };
    let server = Running::new(&pages, limits, None);
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let trickle = async {
        while stream.read_u8().await.is_ok() && server.open_connections() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, trickle)
        .await
        .expect("the connection ends");
    assert_eq!(server.open_connections(), 0);
}

#[tokio::test]
async fn resets_leave_nothing_behind() {
    let server = Running::plain(Limits::default());
    for n in 0..300 {
        let mut stream = server.connect().await;
        stream.set_zero_linger().unwrap();
        if n % 3 > 0 {
            stream
                .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
                .await
                .unwrap();
        }
        if n % 3 > 1 {
            stream.read_u8().await.ok();
        }
    }
    server.is_served().await;
    eventually(async || server.open_connections() == 0).await;
}

#[tokio::test]
async fn a_stop_ends_every_connection() {
    let limits = Limits {
        stop: SHORT,
        ..Limits::default()
    };
    let pages = Arc::new(Fixed::new("x"));
    let server = Running::new(&pages, limits, None);
    let mut idle = server.connect().await;
    exchange(&mut idle, "").await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /").await.unwrap();
    let address = server.address;
    server.stopped().await;
    assert_eq!(until_end(&mut idle).await, "");
    assert_eq!(until_end(&mut slow).await, "");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_answer_in_the_making_survives_the_stop() {
    let pages = Arc::new(Fixed::new("x"));
    let limits = Limits {
        stop: PATIENCE,
        ..Limits::default()
    };
    let server = Running::new(&pages, limits, None);
    pages.close();
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    eventually(async || pages.waiting() == 1).await;
    server.stop.send(true).unwrap();
    pages.open();
    assert!(until_end(&mut stream).await.ends_with("Text x"));
    timeout(PATIENCE, server.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[test]
fn a_port_that_is_taken_is_an_error_with_its_address() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let first = Server::bind(&[any]).unwrap();
    let taken = first.addresses()[0];
    let error = Server::bind(&[any, taken]).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on `{taken}`"));
}

/// In a process of its own: the limit is the process'.
#[tokio::test]
#[ignore = "takes its process' descriptors away; `running_out_of_descriptors_is_survived` runs it"]
async fn starved() {
    let limits = Limits {
        head: PATIENCE,
        ..Limits::default()
    };
    let server = Running::plain(limits);
    server.is_served().await;
    let few = rustix::process::Rlimit {
        current: Some(48),
        maximum: Some(48),
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).unwrap();
    let mut clients = Vec::new();
    while let Ok(client) = TcpStream::connect(server.address).await {
        clients.push(client);
    }
    // Somebody who is idle has to go, so that the others can be accepted.
    assert_eq!(until_end(&mut clients[0]).await, "");
    drop(clients);
    eventually(async || TcpStream::connect(server.address).await.is_ok()).await;
    server.is_served().await;
}

#[test]
#[expect(clippy::disallowed_methods, reason = "runs this very program")]
fn running_out_of_descriptors_is_survived() {
    let this = std::env::current_exe().unwrap();
    let mut command = std::process::Command::new(this);
    let output = command
        .args(["--exact", "http::tests::starved", "--ignored"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}
