//! Rows 33 and 36: something else stands where the log should be, or it may not be read.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use super::agent::pause;
use super::scene::{Scene, has, is_root};

/// Puts something in the log's place before the start and while the daemon runs; it stays alive,
/// answers, and counts the log once that is there.
fn in_place_of_the_log(plant: impl Fn(&Path), remove: impl Fn(&Path)) {
    let mut scene = Scene::new();
    let log = scene.log();
    plant(&log);
    scene.agent.start();
    pause(300);
    scene.agent.is_alive();
    remove(&log);
    scene.writer.lines(20);
    scene.agent.ready();
    scene.counted();

    fs::rename(&log, scene.logs().join("access.log.1")).unwrap();
    plant(&log);
    pause(300);
    scene.agent.is_alive();
    assert!(scene.agent.get("/-/healthy").is_some());
    scene.writer.lines(3);
    remove(&log);
    scene.writer.reopen();
    scene.writer.lines(20);
    scene.ends_exact();
}

fn remove_file(path: &Path) {
    fs::remove_file(path).unwrap();
}

#[test]
fn a_fifo_in_place_of_the_log_blocks_nothing() {
    let mkfifo =
        |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    in_place_of_the_log(mkfifo, remove_file);
}

#[test]
fn a_folder_in_place_of_the_log_is_waited_out() {
    in_place_of_the_log(
        |path| fs::create_dir(path).unwrap(),
        |path| fs::remove_dir(path).unwrap(),
    );
}

#[test]
fn a_socket_in_place_of_the_log_is_waited_out() {
    in_place_of_the_log(|path| drop(UnixListener::bind(path).unwrap()), remove_file);
}

#[test]
fn a_link_to_a_device_is_not_read() {
    in_place_of_the_log(|path| symlink("/dev/zero", path).unwrap(), remove_file);
}

#[test]
fn a_dangling_link_is_waited_out() {
    in_place_of_the_log(
        |path| symlink("/nowhere/at/all", path).unwrap(),
        remove_file,
    );
}

#[test]
fn a_link_to_itself_is_waited_out() {
    in_place_of_the_log(|path| symlink(path, path).unwrap(), remove_file);
}

#[test]
fn a_log_that_may_not_be_read_for_a_while_is_counted_once() {
    if !(is_root() && has("setpriv")) {
        return;
    }
    let mut scene = Scene::new();
    scene.writer.lines(10);
    let (folder, state) = (scene.folder(), scene.agent.state());
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(scene.agent.config_path(), "").unwrap();
    for path in [&folder, &state, &scene.logs(), &scene.log()] {
        chown(path, Some(65534), Some(65534)).unwrap();
    }
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    scene.agent.through = nobody.map(str::to_owned).to_vec();
    // The program must be where nobody may start it.
    let program = folder.join("beacontail");
    fs::copy(super::agent::program(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    scene.agent.program = program.to_str().unwrap().to_owned();
    scene.agent.start_ready();
    scene.counted();
    let logs = scene.logs();
    for path in [scene.log(), logs] {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        scene.writer.lines(10);
        pause(250);
        scene.agent.is_alive();
        scene.agent.kill();
        scene.agent.start();
        pause(250);
        scene.agent.is_alive();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        scene.agent.ready();
        scene.counted();
    }
    scene.ends_exact();
}

#[test]
fn a_log_that_is_not_there_yet_is_read_from_its_start() {
    let mut scene = Scene::new();
    scene.agent.config.unset("[log].from");
    scene.agent.start();
    pause(300);
    scene.agent.ready();
    scene.writer.lines(20);
    scene.ends_exact();
}
