//! Row 5, and what a reload changes: SIGHUP reads the configuration again.

use rustix::process::Signal;

use super::agent::{DEADLINE, eventually};
use super::config::quoted;
use super::scene::Scene;
use super::writer::Writer;

#[test]
fn two_hundred_hangups_change_nothing() {
    let mut scene = Scene::started();
    for n in 0..200 {
        scene.agent.signal(Signal::HUP);
        if n % 10 == 0 {
            scene.writer.lines(11);
        }
    }
    scene.ends_exact();
}

#[test]
fn a_reload_adds_a_log_and_drops_it_again() {
    let mut scene = Scene::started();
    let other = scene.logs().join("other.txt");
    scene.agent.config.extra = format!(
        "[[log]]\nname = \"other\"\npath = {}\nparser = \"nginx-cdn\"\nfrom = \"start\"\n",
        quoted(&other)
    );
    let mut writer = Writer::from(&other, 5000);
    writer.lines(30);
    scene.agent.write_config();
    scene.agent.signal(Signal::HUP);
    scene.agent.scrapes("the new log is counted", |scrape| {
        scrape.sum("beacontail_lines_total", &["log=\"other\""]) >= 30.0
    });
    scene.agent.config.extra.clear();
    scene.agent.write_config();
    scene.agent.signal(Signal::HUP);
    scene.agent.scrapes("the log has left", |scrape| {
        scrape.sum("beacontail_followed_files", &["log=\"other\""]) <= 0.0
    });
    scene.writer.lines(20);
    scene.agent.scrapes("the first log goes on", |scrape| {
        scrape.sum("beacontail_lines_total", &["log=\"access\""]) >= 30.0
    });
    let mut truth = scene.writer.truth.clone();
    truth.merge(&writer.truth);
    super::oracle::points_are_sound(&scene.carbon.history(), &truth);
    scene.agent.term();
}

#[test]
fn a_bad_configuration_is_told_and_the_old_one_goes_on() {
    let mut scene = Scene::started();
    std::fs::write(scene.agent.config_path(), "[[log]\nname = 1\n").unwrap();
    scene.agent.signal(Signal::HUP);
    scene.agent.scrapes("the reload has failed", |scrape| {
        scrape.value("beacontail_config_reload_success") == Some(0.0)
    });
    scene.writer.lines(20);
    scene.counted();
    scene.agent.write_config();
    scene.agent.signal(Signal::HUP);
    scene.agent.scrapes("the reload has succeeded", |scrape| {
        scrape.value("beacontail_config_reload_success") == Some(1.0)
    });
    scene.ends_exact();
}

#[test]
fn settings_that_wait_for_a_start_are_named() {
    let mut scene = Scene::started();
    scene.agent.config.set("agent.rotate_wait", quoted("3s"));
    scene.agent.config.set("http.listen", quoted("127.0.0.1:1"));
    scene.agent.write_config();
    scene.agent.signal(Signal::HUP);
    eventually(DEADLINE, "both settings are named", || {
        let said = scene.agent.stderr();
        let waits = |name: &str| said.contains(&format!("`{name}` has changed and is used from"));
        let others = waits("store.path") || waits("limits.line_bytes");
        (waits("agent.rotate_wait") && waits("http.listen") && !others)
            .then_some(())
            .ok_or(said)
    });
    scene.ends_exact();
}

#[test]
fn a_reload_moves_to_another_carbon() {
    use crate::carbon::{Carbon, Mode};
    let mut scene = Scene::started();
    scene.sent();
    let next = Carbon::start(Mode::Sound);
    let address = quoted(next.address().to_string());
    scene.agent.config.set("[output].address", address);
    scene.agent.write_config();
    scene.agent.signal(Signal::HUP);
    scene.writer.lines(30);
    scene.counted();
    eventually(DEADLINE, "the next carbon is fed", || {
        (!next.history().is_empty())
            .then_some(())
            .ok_or_else(String::new)
    });
    super::oracle::points_are_sound(&next.history(), &scene.writer.truth);
    scene.is_sound();
    scene.agent.term();
}

#[test]
fn a_configuration_with_a_mistake_is_refused_at_the_start() {
    let mut scene = Scene::new();
    scene.agent.config.set("agent.flsh", quoted("1s"));
    scene.agent.start();
    assert_eq!(scene.agent.ends(DEADLINE).code(), Some(2));
    let stderr = scene.agent.stderr();
    assert!(
        stderr.contains("flsh") && stderr.contains("flush"),
        "{stderr}"
    );
}

#[test]
fn what_only_a_start_can_change_is_said() {
    let mut scene = Scene::started();
    let listen = quoted("127.0.0.2:0");
    scene.agent.config.set("http.listen", listen);
    let store = quoted(scene.folder().join("state/other.db"));
    scene.agent.config.set("store.path", store);
    scene.agent.write_config();
    scene.agent.signal(Signal::HUP);
    eventually(DEADLINE, "it is said", || {
        let stderr = scene.agent.stderr();
        let said = ["`http.listen`", "`store.path`"]
            .iter()
            .all(|key| stderr.contains(key));
        said.then_some(()).ok_or(stderr)
    });
    assert!(!scene.agent.stderr().contains("`http.web_config`"));
    scene.ends_exact();
}

#[test]
fn a_metric_that_cannot_stand_beside_the_agents_own_is_refused() {
    let mut scene = Scene::new();
    let folder = scene.folder().join("parsers");
    std::fs::create_dir_all(folder.join("rules")).unwrap();
    for name in [
        "beacontail_lines_total",
        "beacontail_store_commit_seconds_total",
    ] {
        let rule = format!("[[metric]]\nname = \"{name}\"\nhelp = \"x\"\nmatch = 'path!=\"\"'\n");
        std::fs::write(folder.join("rules/own.toml"), rule).unwrap();
        scene.agent.config.extra = String::new();
        scene
            .agent
            .config
            .set("[log].rules", "[\"own\"]".to_owned());
        let text = scene.agent.config.text();
        let text = format!("parsers = [{}]\n{text}", quoted(&folder));
        std::fs::write(scene.agent.config_path(), text).unwrap();
        let config = scene.agent.config_path();
        let ran =
            crate::program::run(&["check-config", "--offline", "-c", config.to_str().unwrap()])
                .exits(2);
        assert!(ran.err.contains(name), "{}", ran.err);
        assert!(ran.err.contains("own.toml:2:9"), "{}", ran.err);
    }
}
