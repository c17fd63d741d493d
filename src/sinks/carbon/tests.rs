//! Deliveries to a carbon that fails in all known ways, one test for each.

#[path = "../../../tests/it/carbon.rs"]
mod carbon_mock;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use self::carbon_mock::{Carbon, Mode};
use super::*;
use crate::metrics::Decimal;

const SHORT: Duration = Duration::from_millis(300);
/// Never reached by a test that passes.
const LONG: Duration = Duration::from_secs(60);

fn target(address: &str, limit: Duration) -> Target {
    Target {
        address: address.to_owned(),
        protocol: Protocol::Tcp,
        connect_timeout: limit,
        write_timeout: limit,
        ack_timeout: limit,
    }
}

fn at(address: SocketAddr, limit: Duration) -> Target {
    target(&address.to_string(), limit)
}

/// `number` points of the value, in minute 60.
fn points(number: usize, value: u64) -> Payload {
    let points: Vec<Point> = (0..number)
        .map(|n| (format!("some.path.{n}"), Decimal::whole(value), 60))
        .collect();
    Payload(Encoder::default().encode(&points))
}

/// More than the sockets of both sides hold.
fn flood() -> Payload {
    points(1_000_000, 1)
}

async fn failure(carbon: &Carbon, payload: &Payload, limit: Duration) -> DeliveryError {
    let delivered = deliver(&at(carbon.address(), limit), payload).await;
    delivered.expect_err("this carbon has not read everything")
}

#[tokio::test]
async fn delivered_means_that_every_line_was_processed() {
    let carbon = Carbon::start(Mode::Sound);
    let payload = points(20_000, 7);
    let delivered = deliver(&at(carbon.address(), LONG), &payload)
        .await
        .unwrap();
    assert_eq!(carbon.points().len(), 20_000);
    assert!(carbon.refused().is_empty());
    assert!(delivered.acknowledged);
    assert_eq!(delivered.bytes, payload.bytes());
    assert_eq!(delivered.peer, carbon.address());
}

#[tokio::test]
async fn closed_port_is_a_failure() {
    let carbon = Carbon::start(Mode::Refuse);
    let error = failure(&carbon, &points(3, 1), LONG).await;
    assert_eq!(error.phase(), "connect");
    let address = carbon.address();
    let shown = error.to_string();
    let start = format!("`{address}` ({address}): connect: ");
    assert!(shown.starts_with(&start), "{shown}");
    assert_eq!(shown.lines().count(), 1);
}

#[tokio::test]
async fn carbon_that_returns_is_found() {
    let carbon = Carbon::start(Mode::Refuse);
    failure(&carbon, &points(3, 1), LONG).await;
    carbon.set(Mode::Sound);
    deliver(&at(carbon.address(), LONG), &points(3, 2))
        .await
        .unwrap();
    assert!(carbon.points().values().all(|value| *value == 2.0));
}

#[tokio::test]
async fn reset_on_accept_is_a_failure() {
    let carbon = Carbon::start(Mode::Reset);
    for payload in [points(3, 1), flood()] {
        failure(&carbon, &payload, LONG).await;
    }
    assert!(carbon.points().is_empty());
}

#[tokio::test]
async fn read_to_the_end_and_reset_is_a_failure() {
    let carbon = Carbon::start(Mode::Swallow);
    let error = failure(&carbon, &points(300, 1), LONG).await;
    assert_eq!(error.phase(), "acknowledge");
    assert!(carbon.points().is_empty());
}

#[tokio::test]
async fn end_in_mid_line_is_a_failure_and_no_half_line_counts() {
    for payload in [points(3, 123_456), flood()] {
        let carbon = Carbon::start(Mode::CutLine);
        let error = failure(&carbon, &payload, LONG).await;
        assert_eq!(error.phase(), "write");
        assert!(carbon.points().len() <= 2);
        assert!(carbon.refused().is_empty());
    }
}

#[tokio::test]
async fn close_after_a_part_is_a_failure() {
    for payload in [points(3, 1), points(2000, 1), flood()] {
        let carbon = Carbon::start(Mode::Part);
        failure(&carbon, &payload, LONG).await;
        assert!(carbon.points().len() <= 2);
    }
}

#[tokio::test]
async fn stalled_carbon_is_a_failure_of_the_phase_it_stalls() {
    let carbon = Carbon::start(Mode::Stall);
    let error = failure(&carbon, &points(3, 1), SHORT).await;
    assert_eq!(error.phase(), "acknowledge");
    assert!(matches!(error.cause, Cause::Timeout(_)));
    let error = failure(&carbon, &flood(), SHORT).await;
    assert_eq!(error.phase(), "write");
    assert!(matches!(error.cause, Cause::Timeout(_)));
}

#[tokio::test]
async fn bytes_of_a_failed_delivery_may_be_processed_after_newer_ones() {
    let carbon = Carbon::start(Mode::Stall);
    failure(&carbon, &points(3, 1), SHORT).await;
    carbon.set(Mode::Newer);
    deliver(&at(carbon.address(), LONG), &points(3, 2))
        .await
        .unwrap();
    assert!(carbon.points().values().all(|value| *value == 2.0));
    carbon.set(Mode::Sound);
    assert!(carbon.eventually(|carbon| carbon.history().len() == 6));
    assert!(carbon.points().values().all(|value| *value == 1.0));
    deliver(&at(carbon.address(), LONG), &points(3, 2))
        .await
        .unwrap();
    assert!(carbon.points().values().all(|value| *value == 2.0));
}

#[tokio::test]
async fn slow_carbon_has_the_time_it_was_given() {
    let carbon = Carbon::start(Mode::Slow);
    deliver(&at(carbon.address(), LONG), &points(300, 1))
        .await
        .unwrap();
    assert_eq!(carbon.points().len(), 300);
}

#[tokio::test]
async fn carbon_that_reads_all_and_never_closes_has_not_acknowledged() {
    let carbon = Carbon::start(Mode::Open);
    let error = failure(&carbon, &points(3, 1), SHORT).await;
    assert_eq!(error.phase(), "acknowledge");
    assert!(carbon.eventually(|carbon| carbon.points().len() == 3));
}

#[tokio::test]
async fn blackhole_is_a_failure_to_connect() {
    let carbon = Carbon::start(Mode::Blackhole);
    let error = failure(&carbon, &points(3, 1), SHORT).await;
    assert_eq!(error.phase(), "connect");
    assert!(matches!(error.cause, Cause::Timeout(_)));
    carbon.set(Mode::Sound);
    deliver(&at(carbon.address(), LONG), &points(3, 1))
        .await
        .unwrap();
}

#[tokio::test]
async fn endless_answer_is_a_failure() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let talker = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let error = deliver(&at(address, LONG), &points(3, 1))
        .await
        .unwrap_err();
    assert!(matches!(error.cause, Cause::Talkative(_)), "{error}");
    talker.join().unwrap();
}

#[tokio::test]
async fn close_by_one_who_does_not_read_is_seen_while_writing() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let idler = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream
    });
    let error = deliver(&at(address, LONG), &flood()).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Closed), "{error}");
    drop(idler.join().unwrap());
}

#[tokio::test]
async fn short_answer_before_the_end_does_no_harm() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let reader = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"hello\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    deliver(&at(address, LONG), &points(2, 1)).await.unwrap();
    let text = "some.path.0 1 60\nsome.path.1 1 60\n";
    assert_eq!(reader.join().unwrap(), text);
}

#[tokio::test]
async fn address_that_is_none_is_a_failure_to_resolve() {
    let error = deliver(&target("no port\u{1b}[2J", LONG), &points(1, 1)).await;
    let error = error.unwrap_err();
    assert_eq!(error.phase(), "resolve");
    assert!(!error.to_string().contains('\u{1b}'));
}

#[tokio::test]
async fn dropped_delivery_closes_its_socket() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let target = at(listener.local_addr().unwrap(), LONG);
    let delivery = tokio::spawn(async move { deliver(&target, &points(3, 1)).await });
    let accepted = tokio::task::spawn_blocking(move || listener.accept().unwrap().0);
    let mut stream = accepted.await.unwrap();
    delivery.abort();
    delivery.await.unwrap_err();
    let mut text = Vec::new();
    // A reset or an end: either way the reading comes to one.
    stream.set_read_timeout(Some(LONG)).unwrap();
    if let Err(error) = stream.read_to_end(&mut text) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn datagrams_count_as_delivered_when_they_are_sent() {
    let carbon = Carbon::start(Mode::Sound);
    let mut target = at(carbon.address(), LONG);
    target.protocol = Protocol::Udp;
    let list: Vec<Point> = (0..200)
        .map(|n| (format!("path.{n}"), Decimal::whole(n), 60))
        .collect();
    let encoder = Encoder {
        protocol: Protocol::Udp,
    };
    let payload = Payload(encoder.encode(&list));
    assert!(payload.0.len() > 1);
    let delivered = deliver(&target, &payload).await.unwrap();
    assert!(!delivered.acknowledged);
    assert!(carbon.eventually(|carbon| carbon.points().len() == 200));
}

/// The agent's side: jobs from one channel, results into a list.
struct Fake {
    jobs: mpsc::UnboundedReceiver<Job>,
    results: Arc<Mutex<Vec<(u64, &'static str)>>>,
    in_flight: Option<u64>,
}

impl Queue for Fake {
    async fn next(&mut self) -> Option<Job> {
        assert_eq!(self.in_flight, None, "two deliveries at once");
        let job = self.jobs.recv().await?;
        self.in_flight = Some(job.id);
        Some(job)
    }

    async fn done(&mut self, id: u64, result: Result<Delivered, DeliveryError>) {
        assert_eq!(self.in_flight.take(), Some(id));
        let how = result.map_or_else(|error| error.phase(), |_| "delivered");
        self.results.lock().unwrap().push((id, how));
    }
}

/// An output under way, and all ends of it that a test holds.
struct Running {
    jobs: mpsc::UnboundedSender<Job>,
    results: Arc<Mutex<Vec<(u64, &'static str)>>>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(carbon: &Carbon, retry: Duration) -> Running {
        let (jobs, from_agent) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let results = Arc::default();
        let fake = Fake {
            jobs: from_agent,
            results: Arc::clone(&results),
            in_flight: None,
        };
        let task = tokio::spawn(run(at(carbon.address(), LONG), retry, fake, stopped));
        Running {
            jobs,
            results,
            stop,
            task,
        }
    }

    fn give(&self, id: u64) {
        let (payload, points) = (points(3, id), 3);
        self.jobs
            .send(Job {
                id,
                payload,
                points,
            })
            .unwrap();
    }

    fn results(&self) -> Vec<(u64, &'static str)> {
        self.results.lock().unwrap().clone()
    }
}

/// Waits for something outside the runtime.
async fn eventually(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LONG, waiting).await.unwrap();
}

#[tokio::test]
async fn jobs_are_delivered_in_turn_until_the_agent_has_gone() {
    let carbon = Carbon::start(Mode::Sound);
    let running = Running::start(&carbon, SHORT);
    (1..=4).for_each(|id| running.give(id));
    let results = Arc::clone(&running.results);
    drop(running.jobs);
    running.task.await.unwrap();
    let expected: Vec<(u64, &str)> = (1..=4).map(|id| (id, "delivered")).collect();
    assert_eq!(*results.lock().unwrap(), expected);
    let values: Vec<f64> = carbon.history().iter().map(|point| point.2).collect();
    assert!(values.is_sorted());
}

#[tokio::test]
async fn failures_are_reported_and_deliveries_go_on_when_carbon_returns() {
    let carbon = Carbon::start(Mode::Refuse);
    let running = Running::start(&carbon, Duration::ZERO);
    (1..=3).for_each(|id| running.give(id));
    eventually(|| running.results().len() == 3).await;
    assert!(running.results().iter().all(|(_, how)| *how == "connect"));
    carbon.set(Mode::Sound);
    running.give(4);
    eventually(|| running.results().len() == 4).await;
    assert_eq!(running.results()[3], (4, "delivered"));
}

#[tokio::test]
async fn stop_gives_up_a_stalled_delivery() {
    let carbon = Carbon::start(Mode::Stall);
    let running = Running::start(&carbon, LONG);
    running.give(1);
    running.give(2);
    eventually(|| carbon.connections() == 1).await;
    running.stop.send(true).unwrap();
    tokio::time::timeout(LONG / 2, running.task)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(*running.results.lock().unwrap(), [(1, "stopped")]);
}

#[tokio::test]
async fn stop_does_not_wait_for_the_next_try() {
    let carbon = Carbon::start(Mode::Refuse);
    let running = Running::start(&carbon, LONG);
    running.give(1);
    running.give(2);
    eventually(|| running.results().len() == 1).await;
    running.stop.send(true).unwrap();
    tokio::time::timeout(LONG / 2, running.task)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(*running.results.lock().unwrap(), [(1, "connect")]);
}

#[tokio::test]
async fn idle_output_stops_when_told_or_when_nobody_can_tell() {
    let carbon = Carbon::start(Mode::Sound);
    let told = Running::start(&carbon, LONG);
    told.stop.send(true).unwrap();
    told.task.await.unwrap();
    let alone = Running::start(&carbon, LONG);
    drop(alone.stop);
    alone.task.await.unwrap();
}
