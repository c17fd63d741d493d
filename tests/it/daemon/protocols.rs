//! The other ways to carbon: datagrams, pickles, tags, several outputs at once.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::agent::{DEADLINE, eventually};
use super::config::quoted;
use super::oracle;
use super::scene::{Scene, has};
use super::truth::PREFIX;
use crate::carbon::{Carbon, Mode};

/// Points by path and minute, as the oracle wants them.
type Points = BTreeMap<(String, i64), f64>;

/// Waits until these points are all there are.
#[track_caller]
fn arrived(scene: &mut Scene, points: impl Fn() -> Points) {
    scene.counted();
    let truth = scene.writer.truth.clone();
    eventually(DEADLINE, "every value arrives", || {
        oracle::verdict(&oracle::point_differences(&points(), &truth))
    });
}

#[test]
fn datagrams_carry_every_value() {
    let mut scene = Scene::new();
    let receiver = Carbon::start(Mode::Sound);
    scene.agent.config.graphite(&receiver.address().to_string());
    scene.agent.config.set("[output].protocol", quoted("udp"));
    scene.writer.lines(300);
    scene.agent.start_ready();
    arrived(&mut scene, || receiver.points());
    assert_eq!(receiver.refused(), Vec::<String>::new());
    scene.agent.term();
}

/// A receiver of pickles made of Python's own, as carbon is.
struct Receiver {
    child: Child,
    address: String,
    points: Arc<Mutex<Points>>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const RECEIVER: &str = r"
import pickle, socket, struct, sys
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
while True:
    peer, _ = listener.accept()
    text = b''
    while True:
        more = peer.recv(1 << 16)
        if not more:
            break
        text += more
    while text:
        (length,) = struct.unpack('!L', text[:4])
        for path, (minute, value) in pickle.loads(text[4:4 + length]):
            print(path, minute, value, flush=True)
        text = text[4 + length:]
    peer.close()
";

impl Receiver {
    fn start() -> Receiver {
        let mut child = Command::new("python3")
            .args(["-c", RECEIVER])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap();
        let points = Arc::new(Mutex::new(Points::new()));
        let taken = Arc::clone(&points);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let words: Vec<&str> = line.split(' ').collect();
                let [path, minute, value] = words.as_slice() else {
                    continue;
                };
                let at = ((*path).to_owned(), minute.parse().unwrap());
                taken.lock().unwrap().insert(at, value.parse().unwrap());
            }
        });
        Receiver {
            child,
            address: format!("127.0.0.1:{port}"),
            points,
        }
    }
}

#[test]
fn pickles_carry_every_value() {
    if !has("python3") {
        return;
    }
    let mut scene = Scene::new();
    let receiver = Receiver::start();
    scene.agent.config.graphite(&receiver.address);
    scene
        .agent
        .config
        .set("[output].protocol", quoted("pickle"));
    scene.writer.lines(300);
    scene.agent.start_ready();
    arrived(&mut scene, || receiver.points.lock().unwrap().clone());
    scene.agent.term();
}

#[test]
fn tags_name_series_by_their_labels() {
    let mut scene = Scene::new();
    scene.agent.config.set("[output].tags", "true".to_owned());
    scene.writer.lines(100);
    scene.agent.start_ready();
    scene.counted();
    let (truth, carbon) = (scene.writer.truth.clone(), &scene.carbon);
    let start = format!("{PREFIX}.cdn_failure_beacons;provider=");
    eventually(DEADLINE, "every beacon arrives under its tag", || {
        for (series, total) in &truth.series {
            let Some(provider) = series
                .strip_prefix("cdn_failure_beacons_total{provider=\"")
                .and_then(|rest| rest.strip_suffix("\"}"))
            else {
                continue;
            };
            let path = format!("{start}{provider}");
            let points = carbon.points();
            let sent = points.iter().filter(|((known, _), _)| *known == path);
            let sent: f64 = sent.map(|(_, value)| *value).sum();
            #[expect(clippy::cast_precision_loss, reason = "small counts")]
            if (sent - *total as f64).abs() > f64::EPSILON {
                return Err(format!("{path} has {sent}, not {total}"));
            }
        }
        Ok(())
    });
    scene.agent.term();
}

#[test]
fn an_output_that_fails_does_not_hold_up_another() {
    let mut scene = Scene::new();
    let dead = Carbon::start(Mode::Stall);
    scene.agent.config.extra = format!(
        "[[output]]\ntype = \"graphite\"\nname = \"dead\"\naddress = \"{}\"\nprefix = \"{PREFIX}\"\n\
         ack_timeout = \"30s\"\n",
        dead.address()
    );
    scene.writer.lines(200);
    scene.agent.start_ready();
    scene.counted();
    let (truth, carbon) = (scene.writer.truth.clone(), &scene.carbon);
    eventually(DEADLINE, "the sound carbon has every value", || {
        oracle::verdict(&oracle::point_differences(&carbon.points(), &truth))
    });
    scene.agent.term();
}
