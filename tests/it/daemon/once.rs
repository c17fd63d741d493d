//! `beacontail once`, as cron runs it: what is new since the last time, then an end.

use super::rotate::{Way, rotate};
use super::scene::Scene;
use super::truth::PREFIX;
use crate::program::{Ran, run};

/// One run over the scene's configuration.
fn once(scene: &Scene, args: &[&str]) -> Ran {
    scene.agent.write_config();
    let config = scene.agent.config_path();
    let mut all = vec![
        "once",
        "-c",
        config.to_str().unwrap(),
        "--wait",
        "10",
        "--backfill",
    ];
    all.extend(args);
    run(&all)
}

#[test]
fn each_run_counts_what_is_new_and_the_last_closes() {
    let mut scene = Scene::new();
    for _ in 0..4 {
        scene.writer.lines(60);
        rotate(&mut scene.writer, Way::Create, 0);
        scene.writer.lines(20);
        once(&scene, &[]).exits(0);
    }
    once(&scene, &["--close"]).exits(0);
    let history = scene.carbon.history();
    super::oracle::points_are_sound(&history, &scene.writer.truth);
    // A first run shows no minute that it may have seen in part, nor siblings of before.
    assert!(
        history
            .iter()
            .any(|(path, ..)| path.starts_with(&format!("{PREFIX}.beacons.")))
    );
}

#[test]
fn a_textfile_is_what_a_daemon_would_show() {
    let mut scene = Scene::new();
    scene.writer.lines(100);
    let file = scene.folder().join("beacontail.prom");
    let name = file.to_str().unwrap().to_owned();
    once(&scene, &["--textfile", &name]).exits(0);
    let text = std::fs::read_to_string(&file).unwrap();
    let scrape = super::scrape::Scrape::parse(&text).unwrap();
    let wrong = super::oracle::differences(&scrape, &scene.writer.truth);
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_carbon_that_is_down_makes_the_run_incomplete_and_the_next_one_delivers() {
    let mut scene = Scene::new();
    scene
        .agent
        .config
        .set("[log].from", super::config::quoted("start"));
    scene.writer.lines(300);
    scene.carbon.set(crate::carbon::Mode::Refuse);
    let config = scene.agent.config_path();
    scene.agent.write_config();
    let config = config.to_str().unwrap();
    run(&["once", "-c", config, "--close", "--backfill"]).exits(1);
    scene.carbon.set(crate::carbon::Mode::Sound);
    once(&scene, &["--close"]).exits(0);
    super::oracle::points_are_sound(&scene.carbon.history(), &scene.writer.truth);
    assert!(!scene.carbon.history().is_empty());
}

#[test]
fn a_daemon_goes_on_where_once_ended() {
    let mut scene = Scene::new();
    scene.writer.lines(100);
    once(&scene, &[]).exits(0);
    scene.writer.lines(50);
    scene.agent.start_ready();
    scene.counted();
    scene.agent.term();
}

#[test]
fn a_socket_has_no_end_that_once_could_come_to() {
    let mut scene = Scene::new();
    for key in ["[log].path", "[log].from"] {
        scene.agent.config.unset(key);
    }
    let socket = super::config::quoted("udp://127.0.0.1:0");
    scene.agent.config.set("[log].listen", socket);
    let ran = once(&scene, &[]).exits(2);
    assert!(ran.err.contains("beacontail run"), "{}", ran.err);
}

/// What one run has counted, a later one publishes, with what is to be said about it.
#[test]
fn minutes_left_open_by_one_run_are_closed_by_the_next() {
    let mut scene = Scene::new();
    let lateness = super::config::quoted("2h");
    scene.agent.config.set("agent.allowed_lateness", lateness);
    scene.writer.lines(10);
    scene.writer.raw(b"what is this\n", 1);
    once(&scene, &[]).exits(0);
    assert_eq!(scene.carbon.history(), []);
    once(&scene, &["--close"]).exits(0);
    let wrong = super::oracle::point_differences(&scene.carbon.points(), &scene.writer.truth);
    assert_eq!(wrong, Vec::<String>::new());
    let path = format!("{PREFIX}.beacontail.access.incomplete");
    let history = scene.carbon.history();
    let flagged = history
        .iter()
        .any(|(p, _, value)| *p == path && *value > 0.5);
    assert!(flagged, "{history:?}");
}

/// No process lives long enough to tidy from time to time, so each run does.
#[test]
fn minutes_expire_though_no_daemon_runs() {
    let mut scene = Scene::new();
    scene.writer.lines(10);
    once(&scene, &[]).exits(0);
    let windows = |scene: &Scene| -> i64 {
        let store = rusqlite::Connection::open(scene.agent.store()).unwrap();
        store
            .query_row("SELECT count(*) FROM window", [], |row| row.get(0))
            .unwrap()
    };
    assert!(windows(&scene) > 0);
    for key in ["store.retention", "agent.max_lateness"] {
        scene.agent.config.set(key, super::config::quoted("2m"));
    }
    once(&scene, &[]).exits(0);
    assert_eq!(windows(&scene), 0);
}

/// A stream that ends is a run that ends: nothing is left for another one that may never be.
#[test]
fn a_run_over_standard_input_delivers_everything_before_it_ends() {
    let mut scene = Scene::new();
    let input = super::config::quoted("-");
    scene.agent.config.set("[log].path", input);
    scene.agent.config.unset("[log].from");
    scene.agent.write_config();
    scene.writer.lines(500);
    let lines = std::fs::read(scene.log()).unwrap();
    let config = scene.agent.config_path();
    let args = ["run", "-c", config.to_str().unwrap(), "--backfill"];
    crate::program::run_with(&args, &lines).exits(0);
    let wrong = super::oracle::point_differences(&scene.carbon.points(), &scene.writer.truth);
    assert_eq!(wrong, Vec::<String>::new());
    super::oracle::points_are_sound(&scene.carbon.history(), &scene.writer.truth);
}
