//! The daemon as a service: what the service manager is told, by sd_notify(3) over a socket of the
//! test's own, and the configuration that the package installs.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use super::agent::{DEADLINE, eventually, program};
use super::config::quoted;
use super::scene::Scene;

/// The manager's end of the socket, and what came in so far.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    /// Listens, and gives the daemon its address.
    fn of(scene: &mut Scene) -> Manager {
        let path = scene.folder().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let path = path.to_str().unwrap().to_owned();
        let environment = &mut scene.agent.environment;
        environment.push(("NOTIFY_SOCKET".into(), path));
        environment.push(("WATCHDOG_USEC".into(), "300000".into()));
        Manager {
            socket,
            heard: Vec::new(),
        }
    }

    fn listen(&mut self) -> &[String] {
        let mut bytes = [0; 4096];
        match self.socket.recv(&mut bytes) {
            Ok(length) => {
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                self.heard.extend(text.lines().map(str::to_owned));
            }
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                "{error}"
            ),
        }
        &self.heard
    }

    fn hears(&mut self, what: &str, times: usize) {
        eventually(DEADLINE, what, || {
            let heard = self.listen();
            let count = heard.iter().filter(|word| word.starts_with(what)).count();
            (count >= times).then_some(()).ok_or(format!("{heard:?}"))
        });
    }
}

#[test]
fn a_start_a_reload_and_a_stop_are_told() {
    let mut scene = Scene::new();
    let mut manager = Manager::of(&mut scene);
    scene.agent.start();
    manager.hears("READY=1", 1);
    scene.agent.signal(Signal::HUP);
    manager.hears("RELOADING=1", 1);
    manager.hears("READY=1", 2);
    scene.agent.signal(Signal::TERM);
    manager.hears("STOPPING=1", 1);
    assert_eq!(scene.agent.ends(DEADLINE).code(), Some(0));
}

#[test]
fn the_watchdog_is_fed_however_seldom_the_logs_are_looked_at() {
    let mut scene = Scene::new();
    scene.agent.config.set("agent.poll", quoted("1h"));
    scene.agent.config.set("agent.flush", quoted("1h"));
    let mut manager = Manager::of(&mut scene);
    scene.agent.start();
    manager.hears("WATCHDOG=1", 4);
    scene.agent.term();
}

#[test]
fn the_configuration_of_the_package_has_no_mistake() {
    let output = std::process::Command::new(program())
        .args(["check-config", "--offline", "-c"])
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/contrib/debian/beacontail.toml"
        ))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
