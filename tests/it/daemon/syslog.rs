//! Logs that arrive over syslog: datagrams and streams. They have no file to be read again, so
//! what is promised is less: what was taken counts once.

use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;

use super::agent::{DEADLINE, eventually};
use super::config::quoted;
use super::scene::Scene;
use super::writer::{Line, base};

/// A scene whose log is a socket.
fn listening(url: &str) -> Scene {
    let mut scene = Scene::new();
    for key in ["[log].path", "[log].from"] {
        scene.agent.config.unset(key);
    }
    scene.agent.config.set("[log].listen", quoted(url));
    scene.agent.start_ready();
    scene
}

/// A port that nobody uses at the moment.
pub(super) fn free_port(udp: bool) -> u16 {
    let address = "127.0.0.1:0";
    let local = if udp {
        UdpSocket::bind(address).unwrap().local_addr()
    } else {
        TcpListener::bind(address).unwrap().local_addr()
    };
    local.unwrap().port()
}

/// Adds a line to the truth and gives its text with nginx's syslog header.
fn message(scene: &mut Scene, n: u64) -> String {
    let line = Line::of(n, base());
    scene.writer.truth.add(&line);
    format!("<190>Nov 22 07:00:00 web1 nginx: {}", line.text(0))
}

#[test]
fn datagrams_count_once() {
    let port = free_port(true);
    let mut scene = listening(&format!("udp://127.0.0.1:{port}"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 0..50 {
        let text = message(&mut scene, n);
        socket
            .send_to(text.as_bytes(), ("127.0.0.1", port))
            .unwrap();
    }
    scene.counted();
    scene.sent();
    scene.is_sound();
    scene.agent.term();
}

#[test]
fn streams_count_with_line_feeds_and_with_counted_octets() {
    let port = free_port(false);
    let mut scene = listening(&format!("tcp://127.0.0.1:{port}"));
    let mut feeds = eventually(DEADLINE, "the port is open", || {
        TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())
    });
    let mut octets = TcpStream::connect(("127.0.0.1", port)).unwrap();
    for n in 0..50 {
        let text = message(&mut scene, n);
        writeln!(feeds, "{text}").unwrap();
        let text = message(&mut scene, 100 + n);
        write!(octets, "{} {text}", text.len()).unwrap();
    }
    scene.counted();
    scene.sent();
    scene.is_sound();
    drop((feeds, octets));
    scene.agent.term();
}

#[test]
fn unix_datagrams_count_once() {
    let folder = crate::program::Folder::new();
    let path = folder.path("log.sock");
    let mut scene = listening(&format!("unix://{path}"));
    let socket = UnixDatagram::unbound().unwrap();
    for n in 0..50 {
        let text = message(&mut scene, n);
        socket.send_to(text.as_bytes(), &path).unwrap();
    }
    scene.counted();
    scene.is_sound();
    scene.agent.term();
}

#[test]
fn a_restart_takes_nothing_back() {
    let port = free_port(true);
    let mut scene = listening(&format!("udp://127.0.0.1:{port}"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for round in 0..3 {
        for n in 0..20 {
            let text = message(&mut scene, round * 20 + n);
            socket
                .send_to(text.as_bytes(), ("127.0.0.1", port))
                .unwrap();
        }
        scene.counted();
        scene.agent.kill();
        scene.agent.start_ready();
    }
    scene.counted();
    scene.sent();
    scene.is_sound();
    scene.agent.term();
}
