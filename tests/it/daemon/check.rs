//! `check` beside a living, a hung, a dead and a killed agent, asked over HTTP and by its file, as root and
//! as somebody who may only read.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::agent::{eventually, program};
use super::config::quoted;
use super::scene::Scene;
use crate::program::{Ran, run};

/// The newest closed minutes of a scene are made of its lines within this time.
const DEADLINE: Duration = Duration::from_secs(30);

fn ask(args: &[&str], more: &[&str]) -> Ran {
    let mut all = vec![
        "check",
        "--metric",
        "cdn_failure_beacons_total",
        "--by",
        "provider",
    ];
    all.extend(args);
    all.extend(more);
    run(&all)
}

fn first(ran: &Ran) -> String {
    ran.text().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn an_agent_is_asked_and_when_it_hangs_or_is_gone_nothing_is_known() {
    let mut scene = Scene::started();
    let url = format!("http://{}", scene.agent.address().unwrap());
    let of_agent = |more: &[&str]| ask(&["--agent", &url], more);
    // Lines of the scene are of past minutes or of none of the window: whatever it says, it says it.
    eventually(DEADLINE, "the agent answers", || {
        let ran = of_agent(&["-c", "1000000", "--max-lag", "1d", "--no-data", "ok"]);
        match ran.text().contains("Data: ") {
            true => Ok(()),
            false => Err(ran.text()),
        }
    });
    let unknown = ask(
        &["--agent", &url],
        &["-c", "1", "--metric", "nothing_total"],
    );
    assert_eq!(unknown.code, 3, "{}", unknown.text());
    scene.agent.signal(Signal::STOP);
    let hung = of_agent(&["-c", "1", "--timeout", "2s"]);
    assert_eq!(hung.code, 3, "{}", hung.text());
    assert!(first(&hung).contains("within 2 s"), "{}", hung.text());
    scene.agent.signal(Signal::CONT);
    scene.agent.kill();
    let gone = of_agent(&["-c", "1"]);
    assert_eq!(gone.code, 3, "{}", gone.text());
    assert!(
        first(&gone).contains("is the agent running?"),
        "{}",
        gone.text()
    );
}

/// `check` of a store by somebody without rights, in the group that may read.
fn as_reader(store: &str) -> Option<(i32, String)> {
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args([
            &program(),
            "check",
            "--store",
            store,
            "--by",
            "provider",
            "-c",
            "1000000",
        ])
        .args([
            "--metric",
            "cdn_failure_beacons_total",
            "--max-lag",
            "1d",
            "--no-data",
            "ok",
        ])
        .env("TMPDIR", "/tmp")
        .output()
        .ok()?;
    Some((
        output.status.code()?,
        String::from_utf8(output.stdout).ok()?,
    ))
}

#[test]
fn a_store_is_read_by_others_while_its_agent_lives_and_when_it_is_dead() {
    if !rustix::process::geteuid().is_root() {
        super::scene::not_run_here("only root can become somebody else");
        return;
    }
    let mut scene = Scene::started();
    let store = scene.agent.store().to_str().unwrap().to_owned();
    let open = Command::new("sh")
        .args([
            "-c",
            "d=$1; chgrp -R 65534 \"$d\"; chmod -R g+rX \"$d\"; chmod o+x \"$d/..\"",
            "-",
        ])
        .arg(scene.agent.state())
        .status()
        .unwrap();
    assert!(open.success());
    let living = as_reader(&store).expect("setpriv is there");
    assert!(
        living.1.contains("Data: ") && !living.1.contains("no agent is running"),
        "{living:?}"
    );
    scene.agent.kill();
    let killed = as_reader(&store).unwrap();
    assert!(killed.1.contains("no agent is running"), "{killed:?}");
    scene.agent.start_ready();
    scene.agent.term();
    let stopped = as_reader(&store).unwrap();
    assert!(stopped.1.contains("no agent is running"), "{stopped:?}");
    // And old data is nothing to say OK of.
    let stale = ask(&["--store", &store], &["-c", "1000000", "--max-lag", "1m"]);
    assert!(
        stale.code == 3 || stale.text().contains("BEACONTAIL OK"),
        "{}",
        stale.text()
    );
}

#[test]
fn a_certificate_of_another_authority_is_not_believed() {
    let mut scene = Scene::new();
    let certificates = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates");
    let web = scene.folder().join("web.yml");
    let text = format!(
        "tls_server_config:\n  cert_file: {certificates}/server.pem\n  key_file: {certificates}/server.key\n"
    );
    std::fs::write(&web, text).unwrap();
    scene.agent.config.set("http.web_config", quoted(&web));
    scene.agent.start();
    let address = eventually(DEADLINE, "it listens", || {
        scene.agent.address().ok_or("not yet".to_owned())
    });
    let url = format!("https://{address}");
    let with = |certificate: &str| {
        let file = format!("{certificates}/{certificate}.pem");
        let ran = ask(&["--agent", &url], &["-c", "1", "--cacert", &file]);
        assert_eq!(ran.code, 3, "{}", ran.text());
        first(&ran)
    };
    let believed = with("authority");
    assert!(believed.contains("'fastly'=U"), "{believed}");
    for refused in [
        with("stranger"),
        first(&ask(&["--agent", &url], &["-c", "1"])),
    ] {
        assert!(refused.contains("certificate"), "{refused}");
    }
    let plain = ask(&["--agent", &format!("http://{address}")], &["-c", "1"]);
    assert_eq!(plain.code, 3, "{}", plain.text());
}
