//! Rows 7, 25 to 29 and 56: the store is full, read-only, damaged, old, elsewhere, or held by
//! another.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use super::agent::{Agent, DEADLINE, eventually, pause};
use super::config::{Config, quoted};
use super::random::Random;
use super::scene::{Scene, has, is_root, not_run_here};
use crate::program::Folder;

/// Copies all files of a folder.
fn copy(from: &Path, to: &Path) {
    drop(fs::remove_dir_all(to));
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o750)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_second_agent_is_refused_and_a_killed_one_leaves_no_lock() {
    let mut scene = Scene::started();
    let mut second = Agent::beside(&scene.folder().join("second"), scene.agent.config.clone());
    second.start();
    let status = second.ends(DEADLINE);
    assert_eq!(status.code(), Some(3), "{}", second.stderr());
    scene.agent.kill();
    scene.writer.lines(10);
    scene.agent.start_ready();
    scene.ends_exact();
}

/// Somebody tidies up, or moves the folder, while the agent runs.
#[test]
fn a_store_that_is_taken_away_is_told_and_nothing_is_lost_when_it_is_back() {
    let mut scene = Scene::started();
    scene.writer.lines(30);
    scene.counted();
    let (state, aside) = (scene.agent.state(), scene.folder().join("aside"));
    fs::rename(&state, &aside).unwrap();
    scene.writer.lines(20);
    scene.agent.scrapes("the store is gone", |s| {
        s.value("beacontail_store_ok") == Some(0.0)
    });
    assert_eq!(scene.agent.get("/-/healthy").unwrap().status, 503);
    let said = scene.agent.stderr();
    assert!(said.contains("removed, moved away or replaced"), "{said}");
    fs::rename(&aside, &state).unwrap();
    scene.ends_exact();
}

#[test]
fn a_store_restored_from_an_old_copy_is_exact() {
    let mut scene = Scene::started();
    scene.writer.lines(30);
    scene.counted();
    scene.agent.kill();
    let kept = scene.folder().join("kept");
    copy(&scene.agent.state(), &kept);
    scene.agent.start_ready();
    scene.writer.lines(200);
    super::rotate::rotate(&mut scene.writer, super::rotate::Way::Create, 0);
    scene.writer.lines(50);
    scene.counted();
    scene.agent.kill();
    copy(&kept, &scene.agent.state());
    // What was scraped after the copy was made is taken back on purpose.
    scene.agent.seen.clear();
    scene.agent.start_ready();
    scene.ends_exact();
}

/// The process dies with the machine: the log of writes loses its end, anywhere.
#[test]
fn a_store_whose_newest_writes_are_lost_is_exact() {
    let mut scene = Scene::started();
    let mut random = Random::new("lost writes", 11);
    for _ in 0..8 {
        scene.writer.lines(40);
        scene.counted();
        scene.agent.kill();
        scene.agent.seen.clear();
        let wal = scene.agent.state().join("store.db-wal");
        if let Ok(file) = fs::OpenOptions::new().write(true).open(&wal) {
            let len = file.metadata().unwrap().len();
            file.set_len(len - random.below(len.min(9000) + 1)).unwrap();
        }
        scene.agent.start_ready();
    }
    scene.ends_exact();
}

/// Damages the store in each way; the daemon refuses or is exact, and no signal ends it.
#[test]
fn a_damaged_store_is_refused_or_mended_and_counts_nothing_twice() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 5] = [
        ("cut", |bytes| bytes.truncate(bytes.len() / 2)),
        ("zeroed head", |bytes| bytes[..1024].fill(0)),
        ("flipped", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle..middle + 64]
                .iter_mut()
                .for_each(|byte| *byte ^= 0xff);
        }),
        ("garbage", |bytes| bytes.fill(0xa5)),
        ("header only", |bytes| bytes.truncate(100)),
    ];
    for (name, damage) in damages {
        let mut scene = Scene::started();
        scene.writer.lines(100);
        scene.counted();
        scene.agent.term();
        let store = scene.agent.store();
        let mut bytes = fs::read(&store).unwrap();
        damage(&mut bytes);
        fs::write(&store, bytes).unwrap();
        scene.agent.seen.clear();
        scene.agent.start();
        eventually(DEADLINE, name, || {
            if let Some(status) = scene.agent.ended() {
                assert!(
                    status.code().is_some_and(|code| code > 0),
                    "{name}: {status}"
                );
                return Ok(());
            }
            let scrape = scene.agent.scrape().ok_or("no exposition")?;
            super::oracle::verdict(&super::oracle::differences(&scrape, &scene.writer.truth))
        });
        assert!(!scene.agent.stderr().is_empty(), "{name}: nothing was said");
        scene.is_sound();
    }
}

#[test]
fn a_planted_symbolic_link_in_place_of_the_state_folder_is_refused() {
    let mut scene = Scene::new();
    let state = scene.agent.state();
    let elsewhere = scene.folder().join("elsewhere");
    fs::rename(&state, &elsewhere).unwrap();
    symlink(&elsewhere, &state).unwrap();
    scene.writer.lines(10);
    scene.agent.start();
    let status = scene.agent.ends(DEADLINE);
    assert!(status.code().is_some_and(|code| code > 0), "{status}");
    assert!(fs::read_dir(&elsewhere).unwrap().next().is_none());
}

#[test]
fn a_state_folder_that_everybody_may_write_is_refused() {
    let mut scene = Scene::new();
    fs::set_permissions(scene.agent.state(), fs::Permissions::from_mode(0o777)).unwrap();
    scene.writer.lines(10);
    scene.agent.start();
    let status = scene.agent.ends(DEADLINE);
    assert!(status.code().is_some_and(|code| code > 0), "{status}");
}

/// A file system of its own under the state folder, unmounted at the end.
pub(super) struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// Mounts at `at`, or says that it is not possible here.
pub(super) fn mount(args: &[&str], at: &Path) -> Option<Mounted> {
    if !(is_root() && has("mount")) {
        return None;
    }
    let output = Command::new("mount").args(args).arg(at).output().unwrap();
    if !output.status.success() {
        not_run_here(String::from_utf8_lossy(&output.stderr).trim());
        return None;
    }
    Some(Mounted(at.to_owned()))
}

/// Fills the file system, lets lines pass, makes room again: alive meanwhile, exact after.
fn fill_and_free(place: &Path) {
    let mut scene = Scene::new();
    let state = place.join("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o750)).unwrap();
    let store = quoted(state.join("store.db"));
    scene.agent.config.set("store.path", store);
    scene.writer.lines(10);
    scene.agent.start_ready();
    scene.counted();
    let ballast = place.join("ballast");
    let mut full = fs::File::create(&ballast).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while std::io::Write::write_all(&mut full, &vec![1; size]).is_ok() {}
    }
    drop(full);
    for _ in 0..20 {
        scene.writer.lines(200);
        pause(20);
    }
    // A store that took everything in spite of it found room in its own pages: as good.
    pause(500);
    scene.agent.is_alive();
    assert_eq!(
        scene.agent.get("/metrics").map(|answer| answer.status),
        Some(200)
    );
    fs::remove_file(&ballast).unwrap();
    scene.ends_exact();
}

#[test]
fn a_full_disk_stops_reading_and_nothing_is_lost() {
    let folder = Folder::new();
    let args = ["-t", "tmpfs", "-o", "size=16m,mode=0755", "tmpfs"];
    if let Some(mounted) = mount(&args, folder.0.path()) {
        fill_and_free(&mounted.0);
    }
}

#[test]
fn a_full_ext4_stops_reading_and_nothing_is_lost() {
    if !has("mkfs.ext4") {
        return;
    }
    let (images, folder) = (Folder::new(), Folder::new());
    let image = images.path("image");
    fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
    let made = Command::new("mkfs.ext4")
        .args(["-q", &image])
        .status()
        .unwrap();
    assert!(made.success());
    if let Some(mounted) = mount(&["-o", "loop", &image], folder.0.path()) {
        fill_and_free(&mounted.0);
    }
}

/// Row 26. A file system cannot be made read-only under a writer, so the daemon starts on one.
#[test]
fn a_read_only_store_is_refused_loudly_or_waited_for() {
    let mut scene = Scene::started();
    scene.agent.term();
    let state = scene.agent.state();
    let from = state.to_str().unwrap().to_owned();
    let Some(mounted) = mount(&["--bind", "-o", "ro", &from], &state) else {
        return;
    };
    scene.writer.lines(20);
    scene.agent.start();
    pause(500);
    assert!(!scene.agent.stderr().is_empty(), "nothing was said");
    if let Some(status) = scene.agent.ended() {
        assert!(status.code().is_some_and(|code| code > 0), "{status}");
    }
    scene.agent.kill();
    drop(mounted);
    scene.agent.start_ready();
    scene.ends_exact();
}

#[test]
fn a_store_of_a_newer_schema_is_refused_with_its_own_code() {
    let mut scene = Scene::started();
    scene.agent.term();
    let store = rusqlite::Connection::open(scene.agent.store()).unwrap();
    store
        .pragma_update(None, "user_version", 1_000_000)
        .unwrap();
    drop(store);
    scene.agent.start();
    let status = scene.agent.ends(DEADLINE);
    assert_eq!(status.code(), Some(4), "{}", scene.agent.stderr());
}

#[test]
fn two_agents_with_stores_of_their_own_agree() {
    let mut scene = Scene::started();
    let folder = scene.folder().join("second");
    fs::create_dir(&folder).unwrap();
    let config = Config::new(&folder, &scene.log());
    let mut second = Agent::beside(&folder, config);
    second.config.set("[log].from", quoted("start"));
    second.start_ready();
    scene.writer.lines(50);
    let truth = scene.writer.truth.clone();
    second.scrapes("the second agent has counted all", |scrape| {
        super::oracle::differences(scrape, &truth).is_empty()
    });
    second.term();
    scene.ends_exact();
}

#[test]
fn an_eio_of_the_device_is_survived() {
    not_run_here("device-mapper is needed to make a device fail");
}

#[test]
fn a_store_that_heals_while_nothing_is_written_is_said_to_be_well() {
    let mut scene = Scene::started();
    // All is counted, so only the output's marks meet the lock.
    scene.carbon.set(crate::carbon::Mode::Refuse);
    scene.writer.lines(3);
    scene.counted();
    let store = rusqlite::Connection::open(scene.agent.store()).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    scene.agent.scrapes("the store fails", |s| {
        s.value("beacontail_store_ok") == Some(0.0)
    });
    let healthy = |scene: &mut Scene| scene.agent.get("/-/healthy").unwrap().status;
    assert_eq!(healthy(&mut scene), 503);
    store.execute_batch("ROLLBACK").unwrap();
    scene.agent.scrapes("the store is well", |s| {
        s.value("beacontail_store_ok") == Some(1.0)
    });
    assert_eq!(healthy(&mut scene), 200);
    scene.carbon.set(crate::carbon::Mode::Sound);
    scene.ends_exact();
}
