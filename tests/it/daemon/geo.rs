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
