//! Rows 51 and 52: a geo database that is damaged, or changes under the running daemon.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;

use super::agent::{DEADLINE, eventually, pause};
use super::config::quoted;
use super::scene::Scene;
use crate::program::foreign;

const BY_COUNTRY: &str = "cdn_failure_beacons_by_country_total";

/// A scene whose daemon has a database of its own, made of these bytes.
fn scene(bytes: &[u8]) -> (Scene, PathBuf) {
    let mut scene = Scene::new();
    let database = scene.folder().join("geo.mmdb");
    fs::write(&database, bytes).unwrap();
    scene.agent.config.set("geoip.database", quoted(&database));
    (scene, database)
}

fn sound() -> Option<Vec<u8>> {
    let path = foreign("mmdb/test-data/GeoLite2-Country-Test.mmdb")?;
    Some(fs::read(path).unwrap())
}

#[test]
fn a_damaged_database_is_refused_or_loses_no_count() {
    let Some(sound) = sound() else {
        return;
    };
    let mut damaged: Vec<Vec<u8>> = [
        0,
        1,
        100,
        2000,
        sound.len() / 2,
        sound.len() - 200,
        sound.len() - 3,
    ]
    .map(|len| sound[..len].to_vec())
    .to_vec();
    for at in [
        0,
        40,
        500,
        3000,
        sound.len() / 2,
        sound.len() - 300,
        sound.len() - 30,
    ] {
        let mut bytes = sound.clone();
        let end = (at + 64).min(bytes.len());
        bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0xff);
        damaged.push(bytes);
    }
    damaged.push(vec![0; sound.len()]);
    for bytes in damaged {
        let (mut scene, _) = scene(&bytes);
        scene.writer.lines(30);
        scene.agent.start();
        let (agent, truth) = (&mut scene.agent, &scene.writer.truth);
        let refused = eventually(DEADLINE, "it starts or refuses", || {
            if let Some(status) = agent.ended() {
                assert!(status.code().is_some_and(|code| code > 0), "{status}");
                return Ok(true);
            }
            let scrape = agent.scrape().ok_or("no exposition")?;
            super::oracle::verdict(&super::oracle::differences(&scrape, truth)).map(|()| false)
        });
        if !refused {
            scene.ends_exact();
        }
    }
}

#[test]
fn a_database_may_be_renamed_cut_and_removed_under_the_agent() {
    let Some(sound) = sound() else {
        return;
    };
    let (mut scene, database) = scene(&sound);
    scene.writer.lines(30);
    scene.agent.start_ready();
    scene.counted();
    let steps: [&dyn Fn(); 4] = [
        &|| {
            let fresh = database.with_extension("new");
            fs::write(&fresh, &sound).unwrap();
            fs::rename(fresh, &database).unwrap();
        },
        &|| fs::write(&database, &sound[..1000]).unwrap(),
        &|| fs::remove_file(&database).unwrap(),
        &|| fs::write(&database, &sound).unwrap(),
    ];
    for step in steps {
        step();
        scene.agent.signal(Signal::HUP);
        scene.writer.lines(30);
        scene.counted();
        pause(50);
    }
    scene.ends_exact();
}

#[test]
fn countries_are_counted_by_the_daemon() {
    let Some(sound) = sound() else {
        return;
    };
    let (mut scene, _) = scene(&sound);
    let line = super::writer::Line::of(0, super::writer::base()).text(0);
    let british = line.replace("198.51.100.0", "81.2.69.142");
    fs::write(scene.log(), format!("{british}\n{line}\n")).unwrap();
    scene.agent.start_ready();
    scene.agent.scrapes("both countries are counted", |scrape| {
        let of = |country: &str| scrape.sum(BY_COUNTRY, &[&format!("country=\"{country}\"")]);
        of("GB") == 1.0 && of("unknown") == 1.0
    });
    scene.agent.term();
}

/// The database in use stays so, says that it is old, and stands in the way of nothing.
#[test]
fn a_database_that_became_bad_stays_in_use_and_blocks_no_reload() {
    let Some(sound) = sound() else {
        return;
    };
    let (mut scene, database) = scene(&sound);
    let ok = "beacontail_geo_database_ok{database=\"geo.mmdb\"}";
    let british = |scene: &Scene, n: u64| {
        let line = super::writer::Line::of(n, super::writer::base());
        let host = format!("198.51.100.{n}");
        let text = line.text(0).replace(&host, "81.2.69.142");
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(scene.log())
            .unwrap();
        std::io::Write::write_all(&mut file, format!("{text}\n").as_bytes()).unwrap();
    };
    british(&scene, 0);
    scene.agent.start_ready();
    scene
        .agent
        .scrapes("the database is sound", |s| s.value(ok) == Some(1.0));
    for (step, bad) in [Some(&sound[..1000]), None].into_iter().enumerate() {
        match bad {
            Some(bytes) => fs::write(&database, bytes).unwrap(),
            None => fs::remove_file(&database).unwrap(),
        }
        let limit = format!("{}", 500 + step);
        scene.agent.config.set("limits.series_per_metric", limit);
        scene.agent.write_config();
        let loads = scene.agent.stderr().matches("configuration loaded").count();
        scene.agent.signal(Signal::HUP);
        eventually(DEADLINE, "the configuration is taken", || {
            let stderr = scene.agent.stderr();
            let more = stderr.matches("configuration loaded").count() > loads;
            more.then_some(()).ok_or(stderr)
        });
        let told = "what was read from it before stays in use";
        assert!(scene.agent.stderr().contains(told));
        british(&scene, 0);
        let scrape = scene.agent.scrapes("it is still looked up", |scrape| {
            scrape.sum(BY_COUNTRY, &["country=\"GB\""]) >= (step + 2) as f64
        });
        assert_eq!(scrape.value(ok), Some(0.0));
        let reloaded = scrape.value("beacontail_config_reload_success");
        assert_eq!(reloaded, Some(1.0));
    }
    fs::write(&database, &sound).unwrap();
    scene.agent.signal(Signal::HUP);
    scene
        .agent
        .scrapes("it is sound again", |s| s.value(ok) == Some(1.0));
    scene.agent.term();
}

/// Ranges change under the agent: a list with a mistake, or an empty one, leaves the last good one in use.
#[test]
fn ranges_of_providers_are_read_again_when_they_change() {
    const CONFLICTS: &str = "cdn_identity_conflicts_total";
    let mut scene = Scene::new();
    let list = scene.folder().join("akamai.cidr");
    fs::write(&list, "23.32.0.0/11\n").unwrap();
    scene.agent.config.set("providers.akamai", quoted(&list));
    let line = |peer: &str| {
        let time = super::writer::Line::of(0, super::writer::base()).text(0);
        let (_, rest) = time.split_once('[').unwrap();
        let (time, _) = rest.split_once(']').unwrap();
        format!("{peer} - - [{time}] \"GET /shop HTTP/1.1\" 200 1 \"-\" \"-\" \"fastly\" 0.1\n")
    };
    let log = scene.log();
    let append = |peer: &str| {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        std::io::Write::write_all(&mut file, line(peer).as_bytes()).unwrap();
    };
    append("23.40.0.1");
    append("104.16.0.1");
    scene.agent.start_ready();
    let seen = "seen=\"akamai\"";
    scene.agent.scrapes("one conflict is counted", |s| {
        s.sum(CONFLICTS, &[seen]) == 1.0
    });
    for (text, reloaded, expected) in [
        ("23.32.0.0/11\n104.16.0.0/99\n", Some(0.0), 2.0),
        ("23.32.0.0/11\n104.16.0.0/13\n", Some(1.0), 4.0),
        // A timer that fetched nothing.
        ("", Some(0.0), 6.0),
    ] {
        fs::write(&list, text).unwrap();
        scene.agent.signal(Signal::HUP);
        scene.agent.scrapes("the list is read", |s| {
            s.value("beacontail_config_reload_success") == reloaded
        });
        append("23.40.0.1");
        append("104.16.0.1");
        scene
            .agent
            .scrapes("conflicts go on", |s| s.sum(CONFLICTS, &[seen]) == expected);
    }
    scene.agent.term();
}
