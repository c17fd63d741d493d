//! `beacontail mark` beside a running agent, without one, and in front of servers that fail.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::Value;

use super::agent::{Agent, DEADLINE, eventually, program};
use super::components::{Component, have, port};
use super::config::quoted;
use super::scene::Scene;
use super::scrape::get;

fn mark(agent: &Agent, arguments: &[&str]) -> Output {
    Command::new(program())
        .arg("mark")
        .args(arguments)
        .arg("-c")
        .arg(agent.config_path())
        .output()
        .unwrap()
}

#[track_caller]
fn marked(agent: &Agent, arguments: &[&str]) -> String {
    let output = mark(agent, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

fn texts(scene: &mut Scene) -> Vec<String> {
    let answer = scene.agent.get("/api/v1/status").expect("an answer");
    let status: Value = serde_json::from_str(&answer.body).unwrap();
    let marks = status["marks"].as_array().unwrap().iter();
    marks
        .map(|mark| mark["text"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn marks_stand_in_the_store_whether_or_not_an_agent_runs() {
    let mut scene = Scene::started();
    let said = marked(&scene.agent, &["deploy \"1\"", "--tag", "deploy"]);
    assert!(said.ends_with("deploy \"1\" (in the store)\n"), "{said}");
    scene.agent.term();
    marked(&scene.agent, &["deploy 2", "--at=-10m"]);
    scene.agent.start_ready();
    assert_eq!(texts(&mut scene), ["deploy \"1\"", "deploy 2"]);
    let scrape = scene.agent.scrape().unwrap();
    let newest = scrape.value("beacontail_mark_timestamp_seconds{text=\"deploy \\\"1\\\"\"}");
    let now = jiff::Timestamp::now().as_second() as f64;
    assert!(
        newest.is_some_and(|at| (now - at).abs() < 600.0),
        "{newest:?}"
    );
    scene.ends_exact();
}

#[test]
fn marks_beside_a_busy_agent_cost_no_line() {
    let mut scene = Scene::started();
    for n in 0..10 {
        scene.writer.lines(300);
        marked(&scene.agent, &[&format!("deploy {n}")]);
    }
    assert_eq!(texts(&mut scene).len(), 10);
    scene.ends_exact();
}

#[test]
fn what_is_no_mark_is_refused_and_not_kept() {
    let mut scene = Scene::started();
    for (arguments, code) in [
        (&["a\u{1b}[2J"][..], 2),
        (&[""], 2),
        (&["x", "--tag", "a b"], 2),
        (&["x", "--at", "soon"], 2),
        (&["x", "--at", "2099-01-01T00:00:00Z"], 2),
    ] {
        let output = mark(&scene.agent, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(!output.stderr.contains(&0x1b));
    }
    assert_eq!(texts(&mut scene), [""; 0]);
    let nowhere = Command::new(program())
        .args(["mark", "x", "--store", "/nowhere/store.db"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&nowhere.stderr);
    assert!(
        said.contains("/nowhere/store.db: cannot write the store"),
        "{said}"
    );
    let file = scene.agent.config_path();
    let wrong = Command::new(program())
        .args(["mark", "x", "--store", file.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(said.contains("this is no store"), "{said}");
    assert!(!said.contains("aside"), "{said}");
    scene.ends_exact();
}

#[test]
fn a_server_that_is_away_loses_no_mark() {
    let mut scene = Scene::started();
    let nobody = format!("http://127.0.0.1:{}", port());
    scene.agent.config.set("marks.graphite", quoted(nobody));
    scene.agent.write_config();
    let output = mark(&scene.agent, &["deploy 1"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("is in the store and not in Graphite"),
        "{said}"
    );
    assert_eq!(texts(&mut scene), ["deploy 1"]);
    scene.ends_exact();
}

#[test]
fn grafana_gets_an_annotation_with_the_token() {
    let mut scene = Scene::started();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let (mut request, mut piece) = (Vec::new(), [0; 4096]);
        while !request.ends_with(b"}") {
            let n = stream.read(&mut piece).unwrap();
            assert!(n > 0, "the request broke off");
            request.extend_from_slice(&piece[..n]);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            .unwrap();
        String::from_utf8(request).unwrap()
    });
    let token = scene.folder().join("token");
    fs::write(&token, "glsa_x\n").unwrap();
    let config = &mut scene.agent.config;
    config.set("marks.grafana", quoted(format!("http://{address}/below")));
    config.set("marks.grafana_token_file", quoted(token));
    scene.agent.write_config();
    let said = marked(&scene.agent, &["deploy 1", "--at", "2013-10-31T07:06:00Z"]);
    assert!(said.contains("(in the store, Grafana)"), "{said}");
    let request = served.join().unwrap();
    assert!(
        request.starts_with("POST /below/api/annotations HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request
            .to_lowercase()
            .contains("authorization: bearer glsa_x\r\n")
    );
    assert!(request.contains("1383203160000"));
    scene.ends_exact();
}

#[test]
fn a_real_graphite_shows_the_event() {
    if !have(&["carbon-cache", "curl", "/usr/share/graphite-web"]) {
        return;
    }
    let mut scene = Scene::started();
    let graphite = Component::new("graphite.sh");
    let ports = [port(), port(), port(), port()].map(|port| port.to_string());
    graphite.start(&ports.each_ref().map(String::as_str));
    let address = format!("127.0.0.1:{}", ports[3]);
    scene
        .agent
        .config
        .set("marks.graphite", quoted(format!("http://{address}")));
    scene.agent.write_config();
    let said = marked(
        &scene.agent,
        &["deploy 1234", "--tag", "deploy", "--tag", "shop"],
    );
    assert!(said.contains("(in the store, Graphite)"), "{said}");
    eventually(DEADLINE, "graphite-web shows the event", || {
        let answer = get(&address, "/events/get_data?tags=deploy%20beacontail");
        let answer = answer.ok_or("no answer")?;
        let events: Value = serde_json::from_str(&answer.body).map_err(|e| e.to_string())?;
        match (events[0]["what"].as_str(), &events[0]["tags"]) {
            (Some("deploy 1234"), tags) if tags.as_array().is_some_and(|t| t.len() == 3) => Ok(()),
            _ => Err(format!("{events}")),
        }
    });
    let target = "/render?format=json&from=-10min&target=events('deploy')";
    eventually(DEADLINE, "graphite-web draws the event", || {
        let answer = get(&address, target).ok_or("no answer")?;
        let drawn: Value = serde_json::from_str(&answer.body).map_err(|e| e.to_string())?;
        let points = drawn[0]["datapoints"].as_array().ok_or("no series")?.iter();
        let sum: f64 = points.filter_map(|point| point[0].as_f64()).sum();
        ((sum - 1.0).abs() < 1e-9)
            .then_some(())
            .ok_or(format!("{drawn}"))
    });
    scene.ends_exact();
}
