//! `beacontail reports`: what browsers and everybody else post to it, and the agent that counts what it
//! wrote, while it rotates and is killed.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::agent::{Agent, DEADLINE, eventually, program};
use super::config::{Config, quoted};
use super::random::Random;
use super::scrape::{Answer, ask, get};
use super::store_faults::mount;
use crate::program::Folder;

/// A collector with its log.
struct Collector {
    folder: PathBuf,
    log: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
    starts: usize,
}

impl Collector {
    fn new(folder: &Path, arguments: &[&str]) -> Collector {
        Collector {
            folder: folder.to_owned(),
            log: folder.join("nel.log"),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            child: None,
            starts: 0,
        }
    }

    fn started(folder: &Path, arguments: &[&str]) -> Collector {
        let mut collector = Collector::new(folder, arguments);
        collector.start();
        collector
    }

    fn start(&mut self) {
        self.starts += 1;
        let stderr = File::create(self.stderr_path()).unwrap();
        let mut command = Command::new(program());
        command
            .args(["reports", "--listen", "127.0.0.1:0", "--log"])
            .arg(&self.log)
            .args(&self.arguments)
            .env_remove("RUST_BACKTRACE")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr);
        self.child = Some(command.spawn().unwrap());
    }

    fn stderr_path(&self) -> PathBuf {
        self.folder.join(format!("collector.{}", self.starts))
    }

    fn stderr(&self) -> String {
        String::from_utf8(fs::read(self.stderr_path()).unwrap()).unwrap()
    }

    #[track_caller]
    fn says(&self, what: &str) {
        eventually(DEADLINE, what, || {
            let said = self.stderr();
            said.contains(what).then_some(()).ok_or(said)
        });
    }

    #[track_caller]
    fn address(&self) -> String {
        eventually(DEADLINE, "it listens", || {
            let said = self.stderr();
            let rest = said.split_once("listening on ").map(|(_, rest)| rest);
            let line = rest.and_then(|rest| rest.split_once('\n'));
            line.map(|(address, _)| address.to_owned()).ok_or(said)
        })
    }

    /// Posts a body; `None` when there is no answer.
    fn try_post(&self, body: &[u8], headers: &str) -> Option<Answer> {
        let head = format!(
            "POST /?source=fastly HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        ask(&self.address(), &[head.as_bytes(), body].concat())
    }

    #[track_caller]
    fn post(&self, body: &Value) -> Answer {
        let body = body.to_string();
        let answer = self.try_post(
            body.as_bytes(),
            "Content-Type: application/reports+json\r\n",
        );
        answer.expect("it answers")
    }

    /// Lines of the log and of those that it was before.
    fn lines(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        for entry in fs::read_dir(&self.folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.starts_with("nel.log") {
                let text = fs::read_to_string(path).unwrap();
                assert!(
                    text.is_empty() || text.ends_with('\n'),
                    "{name}: a torn line"
                );
                lines.extend(
                    text.lines()
                        .map(|line| serde_json::from_str::<Value>(line).unwrap()),
                );
            }
        }
        lines
    }

    fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    #[track_caller]
    fn ends(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let stderr = self.stderr_path();
        eventually(DEADLINE, "the collector ends", || {
            let said = || fs::read_to_string(&stderr).unwrap_or_default();
            child.try_wait().unwrap().ok_or_else(said)
        })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A report as a browser sends it.
fn report(host: &str, error: &str) -> Value {
    json!({
        "age": 0, "type": "network-error", "url": format!("https://{host}/cart?token=secret"),
        "user_agent": "Mozilla/5.0",
        "body": {
            "elapsed_time": 3, "method": "GET", "phase": "connection", "protocol": "http/1.1",
            "referrer": "", "sampling_fraction": 1.0, "server_ip": "192.0.2.1", "status_code": 0,
            "type": error,
        },
    })
}

fn folder() -> (Folder, PathBuf) {
    let folder = Folder::new();
    let path = folder.0.path().canonicalize().unwrap();
    (folder, path)
}

#[test]
fn reports_become_lines_and_other_types_are_named_once() {
    let (_kept, path) = folder();
    let mut collector = Collector::started(&path, &["--allow-origin-host", "www.example.com"]);
    let body = json!([
        report("www.example.com", "tcp.refused"),
        report("www.example.com", "ok"),
        report("evil.example", "tcp.refused"),
        {"type": "csp-violation", "url": "https://www.example.com/", "body": {}},
    ]);
    for _ in 0..2 {
        let answer = collector.post(&body);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            answer.body,
            "2 taken, 1 of another type, 1 about other hosts, 0 malformed\n"
        );
        assert!(answer.head.contains("access-control-allow-origin: *"));
    }
    let one = report("www.example.com", "dns.failed").to_string();
    for media in [
        "application/json",
        "application/report",
        "Application/JSON; charset=utf-8",
    ] {
        let headers = format!("Content-Type: {media}\r\nX-Forwarded-For: 203.0.113.7\r\n");
        assert_eq!(
            collector.try_post(one.as_bytes(), &headers).unwrap().status,
            200
        );
    }
    let lines = collector.lines();
    assert_eq!(lines.len(), 7);
    assert_eq!(lines[0]["type"], "tcp.refused");
    assert_eq!(lines[0]["url"], "/cart");
    assert_eq!(lines[0]["source"], "fastly");
    assert_eq!(lines[6]["http_x_forwarded_for"], "203.0.113.7");
    assert_eq!(lines[6]["remote_addr"], "127.0.0.1");
    collector.signal(Signal::TERM);
    assert_eq!(collector.ends().code(), Some(0));
    let said = collector.stderr();
    assert_eq!(said.matches("csp-violation").count(), 2, "{said}");
    assert!(
        said.contains("csp-violation are ignored: 2 in all"),
        "{said}"
    );
    assert!(!said.contains("evil.example"), "{said}");
}

#[test]
fn browsers_may_ask_first_and_people_are_told_what_it_is() {
    let (_kept, path) = folder();
    let collector = Collector::started(&path, &["--allow-origin-host", "*.example.com"]);
    let address = collector.address();
    let preflight = |origin: &str| {
        let request = format!(
            "OPTIONS /x HTTP/1.0\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\
             Access-Control-Request-Headers: content-type\r\n\r\n"
        );
        ask(&address, request.as_bytes()).unwrap()
    };
    let answer = preflight("https://www.example.com:8443");
    assert_eq!(answer.status, 204);
    for header in [
        "access-control-allow-origin: *",
        "access-control-allow-methods: POST",
        "access-control-allow-headers: content-type",
    ] {
        assert!(answer.head.contains(header), "{}", answer.head);
    }
    for foreign in [
        "https://evil.example",
        "null",
        "https://example.com.evil.example",
    ] {
        assert_eq!(preflight(foreign).status, 403, "{foreign}");
    }
    let about = get(&address, "/").unwrap();
    assert!(
        about.status == 200 && about.body.contains("*.example.com"),
        "{about:?}"
    );
    assert_eq!(get(&address, "/-/healthy").unwrap().status, 200);
    for path in [
        "/metrics",
        "/nel.log",
        "/../../etc/passwd",
        "/api/v1/series",
    ] {
        assert_eq!(get(&address, path).unwrap().status, 404, "{path}");
    }
}

#[test]
fn what_is_no_report_is_refused_with_a_reason() {
    let (_kept, path) = folder();
    let collector = Collector::started(
        &path,
        &["--max-body", "4KiB", "--allow-origin-host", "a.example"],
    );
    let address = collector.address();
    let json = "Content-Type: application/reports+json\r\n";
    let body = report("a.example", "tcp.refused").to_string();
    let status = |body: &[u8], headers: &str| collector.try_post(body, headers).unwrap().status;
    assert_eq!(status(body.as_bytes(), ""), 415);
    assert_eq!(status(body.as_bytes(), "Content-Type: text/plain\r\n"), 415);
    assert_eq!(
        status(
            body.as_bytes(),
            &format!("{json}Content-Encoding: gzip\r\n")
        ),
        415
    );
    assert_eq!(
        status(
            body.as_bytes(),
            &format!("{json}Origin: https://evil.example\r\n")
        ),
        403
    );
    assert_eq!(status(&b"x".repeat(5000), json), 413);
    assert_eq!(
        status(json!(vec![0; 101]).to_string().as_bytes(), json),
        413
    );
    assert_eq!(status(b"{", json), 400);
    assert_eq!(status(&b"[".repeat(4000), json), 400);
    assert_eq!(status(b"", json), 400);
    // A body in chunks has no length in its head.
    let mut chunked =
        format!("POST / HTTP/1.1\r\nHost: x\r\n{json}Transfer-Encoding: chunked\r\n\r\n");
    for _ in 0..6 {
        chunked += &format!("400\r\n{}\r\n", "x".repeat(1024));
    }
    assert_eq!(ask(&address, chunked.as_bytes()).unwrap().status, 413);
    for method in ["PUT", "DELETE", "TRACE", "PATCH"] {
        let answer = ask(&address, format!("{method} / HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
        assert!(
            answer.status == 405 && answer.head.contains("allow: POST, "),
            "{answer:?}"
        );
    }
    assert_eq!(collector.lines().len(), 0);
    assert_eq!(
        collector.post(&report("a.example", "tcp.refused")).status,
        200
    );
    assert_eq!(collector.lines().len(), 1);
}

#[test]
fn who_sends_too_much_waits_and_others_do_not() {
    let (_kept, path) = folder();
    let collector = Collector::started(&path, &["--max-rate", "3"]);
    let body = json!(vec![report("a.example", "tcp.refused"); 100]).to_string();
    let post = |client: &str| {
        let headers = format!(
            "Content-Type: application/reports+json\r\nX-Forwarded-For: 9.9.9.9, {client}\r\n"
        );
        collector.try_post(body.as_bytes(), &headers).unwrap()
    };
    assert_eq!(post("203.0.113.7").status, 200);
    let refused = post("203.0.113.8");
    assert_eq!(refused.status, 429, "the same network: {refused:?}");
    let wait = refused
        .head
        .lines()
        .find_map(|line| line.strip_prefix("retry-after: "));
    assert!(
        wait.unwrap().parse::<u32>().unwrap() > 20,
        "{}",
        refused.head
    );
    assert_eq!(post("198.51.100.1").status, 200);
    collector.says("over --max-rate");
    assert_eq!(collector.stderr().matches("--max-rate").count(), 1);
    assert_eq!(collector.lines().len(), 200);
}

#[test]
fn bodies_that_trickle_keep_nobody_out_and_are_cut() {
    let (_kept, path) = folder();
    let collector = Collector::started(&path, &[]);
    let address = collector.address();
    let slow: Vec<TcpStream> = (0..200)
        .filter_map(|_| {
            let mut stream = TcpStream::connect(&address).ok()?;
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                        Content-Length: 9000\r\n\r\n{\"a\"";
            stream.write_all(head.as_bytes()).ok()?;
            Some(stream)
        })
        .collect();
    assert!(slow.len() > 64, "{}", slow.len());
    eventually(DEADLINE, "a report gets through", || {
        let body = report("a.example", "tcp.refused").to_string();
        let answer = collector.try_post(body.as_bytes(), "Content-Type: application/json\r\n");
        let answer = answer.filter(|answer| answer.status == 200);
        answer.map(drop).ok_or_else(|| "no answer".to_owned())
    });
    for mut stream in slow {
        let ended = stream.read_to_end(&mut Vec::new());
        let cut = ended.as_ref().is_ok()
            || ended
                .as_ref()
                .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
        assert!(
            cut,
            "a slow body was waited for longer than {DEADLINE:?}: {ended:?}"
        );
    }
    assert_eq!(collector.lines().len(), 1);
}

#[test]
fn two_thousand_odd_bodies_leave_whole_lines_and_a_collector() {
    let (_kept, path) = folder();
    let arguments = ["--max-rate", "1000000", "--max-total-rate", "1000000"];
    let mut collector = Collector::started(&path, &arguments);
    let sound = json!([
        report("a.example", "tcp.refused"),
        report("b.example", "http.error")
    ]);
    let sound = sound.to_string().into_bytes();
    let mut random = Random::new("bodies", 7);
    let mut taken = 0;
    for _ in 0..2000 {
        let mut body = sound.clone();
        for _ in 0..random.below(4) {
            let length = u64::try_from(body.len()).unwrap();
            let at = usize::try_from(random.below(length)).unwrap();
            let byte = u8::try_from(random.below(256)).unwrap();
            match random.below(3) {
                0 => body[at] = byte,
                1 => drop(body.remove(at)),
                _ => body.insert(at, byte),
            }
        }
        if random.once_in(20) {
            let length = u64::try_from(body.len()).unwrap();
            body.truncate(usize::try_from(random.below(length)).unwrap());
        }
        let answer = collector
            .try_post(&body, "Content-Type: application/json\r\n")
            .unwrap();
        assert!([200, 400].contains(&answer.status), "{answer:?}");
        if answer.status == 200 {
            let count = answer.body.split(' ').next().unwrap();
            taken += count.parse::<usize>().unwrap();
        }
    }
    let lines = collector.lines();
    assert_eq!(lines.len(), taken);
    assert!(taken > 500, "{taken}");
    let text = fs::read(&collector.log).unwrap();
    assert!(
        text.iter()
            .all(|byte| *byte == b'\n' || (b' '..=b'~').contains(byte))
    );
    collector.signal(Signal::INT);
    assert_eq!(collector.ends().code(), Some(0), "{}", collector.stderr());
}

/// An agent that follows the collector's log.
fn agent(path: &Path, collector: &Collector) -> Agent {
    let mut config = Config::new(path, &collector.log);
    config.set("[log].parser", quoted("nel-report"));
    config.set("[log].name", quoted("nel"));
    config.set("agent.allowed_lateness", quoted("60s"));
    let mut agent = Agent::new(path, config);
    agent.start_ready();
    agent
}

#[test]
fn an_agent_counts_each_report_over_rotations_and_kills() {
    let (_kept, path) = folder();
    let logs = path.join("log");
    fs::create_dir(&logs).unwrap();
    let arguments = [
        "--max-bytes",
        "64KiB",
        "--keep",
        "100",
        "--max-rate",
        "1000000",
        "--max-total-rate",
        "1000000",
    ];
    let mut collector = Collector::started(&logs, &arguments);
    drop(collector.address());
    let mut agent = agent(&path, &collector);
    let mut acknowledged = 0;
    let mut random = Random::new("kills", 11);
    for round in 0..6 {
        for _ in 0..20 {
            let count = 1 + random.below(30);
            let errors = (0..count).map(|n| ["tcp.refused", "dns.failed"][usize::from(n % 2 == 0)]);
            let body: Vec<_> = errors.map(|error| report("a.example", error)).collect();
            assert_eq!(collector.post(&json!(body)).status, 200);
            acknowledged += usize::try_from(count).unwrap();
        }
        // A kill while a body is on its way: it is in the log as a whole or not at all.
        if round % 2 == 0 {
            let body = json!(vec![report("a.example", "tcp.reset"); 90]).to_string();
            let address = collector.address();
            let mut stream = TcpStream::connect(address).unwrap();
            let head = format!(
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(body.as_bytes()).unwrap();
            collector.kill();
            collector.start();
        }
    }
    let lines = collector.lines();
    let torn = lines
        .iter()
        .filter(|line| line["type"] == "tcp.reset")
        .count();
    assert_eq!(lines.len() - torn, acknowledged);
    assert_eq!(torn % 90, 0, "{torn} lines of whole bodies");
    assert!(
        fs::read_dir(&logs).unwrap().count() > 9,
        "it was rotated often"
    );
    let all = lines.len().to_string().parse::<f64>().unwrap();
    let scrape = agent.scrapes("every report is counted", |scrape| {
        scrape.sum("cdn_network_reports_total", &[]) >= all
    });
    for (name, having, count) in [
        ("cdn_network_reports_total", "result=\"error\"", all),
        ("cdn_network_errors_by_type_total", "", all),
        ("beacontail_lines_total", "result=\"parsed\"", all),
        ("beacontail_gaps_total", "", 0.0),
    ] {
        let found = scrape.sum(name, &[having]);
        assert!((found - count).abs() < 0.5, "{name}: {found} of {count}");
    }
    agent.term();
}

#[test]
fn on_a_full_disk_reports_are_refused_and_taken_again_afterwards() {
    let (_kept, path) = folder();
    let Some(_mounted) = mount(&["-t", "tmpfs", "-o", "size=1m,mode=0755", "tmpfs"], &path) else {
        return;
    };
    let collector = Collector::started(
        &path,
        &["--max-rate", "1000000", "--max-total-rate", "1000000"],
    );
    let body = json!(vec![report("a.example", "tcp.refused"); 50]);
    assert_eq!(collector.post(&body).status, 200);
    let ballast = path.join("ballast");
    let mut full = File::create(&ballast).unwrap();
    for size in [4096, 1] {
        while full.write_all(&vec![1; size]).is_ok() {}
    }
    drop(full);
    let mut taken = 50;
    // What is left of the last block may hold a few more.
    let refused = (0..10).find_map(|_| {
        let answer = collector.post(&body);
        if answer.status == 200 {
            taken += 50;
        }
        (answer.status != 200).then_some(answer)
    });
    let refused = refused.expect("the disk is full");
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("retry-after: 60"), "{}", refused.head);
    assert_eq!(collector.post(&body).status, 503);
    fs::remove_file(&ballast).unwrap();
    assert_eq!(collector.post(&body).status, 200);
    assert_eq!(collector.lines().len(), taken + 50);
    let said = collector.stderr();
    assert_eq!(said.matches("cannot be written").count(), 1, "{said}");
    assert_eq!(said.matches("can be written again").count(), 1, "{said}");
}

#[test]
fn a_hang_up_opens_the_log_again() {
    let (_kept, path) = folder();
    let collector = Collector::started(&path, &[]);
    collector.post(&report("a.example", "tcp.refused"));
    fs::rename(&collector.log, path.join("nel.log.1")).unwrap();
    collector.signal(Signal::HUP);
    collector.says("opened again");
    collector.post(&report("a.example", "tcp.refused"));
    assert_eq!(
        fs::read_to_string(&collector.log).unwrap().lines().count(),
        1
    );
    assert_eq!(collector.lines().len(), 2);
}

#[test]
fn what_cannot_work_is_refused_at_the_start() {
    let (_kept, path) = folder();
    let first = Collector::started(&path, &[]);
    let address = first.address();
    let refused = |log: &Path, arguments: &[&str]| {
        let mut second = Collector::new(&path, arguments);
        second.log = log.to_owned();
        second.starts = 10;
        second.start();
        let code = second.ends().code();
        (code.unwrap(), second.stderr())
    };
    let other = path.join("other.log");
    let (code, said) = refused(&first.log, &[]);
    assert!(
        code == 3 && said.contains("another collector writes it"),
        "{said}"
    );
    let (code, said) = refused(&other, &["--listen", &address]);
    assert!(code == 2 && said.contains(&address), "{said}");
    let (code, said) = refused(&path.join("no/such/nel.log"), &[]);
    assert!(code == 2 && said.contains("folder must be there"), "{said}");
    let (code, said) = refused(&path, &[]);
    assert!(code == 2 && said.contains("it is no file"), "{said}");
    let wrong = [
        "--max-body",
        "64",
        "--max-bytes",
        "much",
        "--allow-origin-host",
        "https://x",
        "--trusted-proxies",
        "y",
    ];
    let (code, said) = refused(&other, &wrong);
    assert_eq!(code, 2);
    for flag in [
        "--max-body",
        "--max-bytes",
        "--allow-origin-host",
        "--trusted-proxies",
    ] {
        assert!(said.contains(flag), "{flag}: {said}");
    }
}
