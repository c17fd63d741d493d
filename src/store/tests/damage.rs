//! Files that are not what they were.

use std::fs;

use proptest::prelude::*;

use super::*;

#[test]
fn a_second_store_on_the_path_is_refused_with_the_first_ones_process() {
    let fixture = Fixture::new(vec![]);
    match Store::open(fixture.path(), options()) {
        Err(StoreError::Held { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_old_copy_of_the_folder_is_consistent() {
    let mut fixture = Fixture::new(vec![beacons()]);
    fixture.count(&[(0, vec!["x"], T, vec![1])], MS);
    let copies: Vec<_> = fs::read_dir(fixture.path().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    fixture.count(&[(0, vec!["x"], T, vec![1])], MS);
    fixture.store = None;
    for entry in fs::read_dir(fixture.path().parent().unwrap()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (path, bytes) in copies {
        fs::write(path, bytes).unwrap();
    }
    fixture.restart();
    assert_eq!(fixture.total(0, &["x"]), Some(vec![1]));
    assert_eq!(fixture.rows("SELECT n FROM window"), [1]);
}

#[test]
fn a_newer_schema_a_foreign_file_and_an_empty_one_are_left_alone() {
    let mut fixture = Fixture::new(vec![]);
    fixture.store = None;
    let connection = rusqlite::Connection::open(fixture.path()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let newer = Store::open(fixture.path(), options());
    assert!(matches!(newer, Err(StoreError::Newer { found: 99, .. })));
    connection.pragma_update(None, "application_id", 5).unwrap();
    drop(connection);
    let foreign = Store::open(fixture.path(), options());
    assert!(matches!(foreign, Err(StoreError::Foreign { .. })));
    fs::write(fixture.path(), "").unwrap();
    let empty = Store::open(fixture.path(), options()).unwrap_err();
    assert!(matches!(empty, StoreError::Damaged { .. }));
    assert!(empty.help().unwrap().contains("store.db-wal"));
    assert_eq!(fs::metadata(fixture.path()).unwrap().len(), 0);
}

#[test]
fn an_unfinished_store_is_made_anew() {
    let mut fixture = Fixture::new(vec![]);
    fixture.store = None;
    fs::rename(fixture.path(), fixture.path().with_extension("db.new")).unwrap();
    fixture.restart();
}

#[test]
fn a_full_disk_stops_and_leaves_what_was_committed() {
    let mut fixture = Fixture::new(vec![beacons()]);
    fixture.count(&[(0, vec!["x"], T, vec![1])], MS);
    let pages = fixture.rows("PRAGMA page_count")[0];
    let connection = fixture.store().connection.as_ref().unwrap();
    connection
        .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
        .unwrap();
    let names: Vec<String> = (0..2000).map(|n| format!("node{n}")).collect();
    let points: Vec<_> = names
        .iter()
        .map(|n| (0, vec![n.as_str()], T, vec![1]))
        .collect();
    let runs = [fixture.run(&points)];
    let batch = Batch {
        runs: &runs,
        now_ms: MS,
        ..Batch::default()
    };
    let full = fixture.commit(&batch).unwrap_err();
    assert!(matches!(full, StoreError::Sqlite { .. }) && !full.is_final());
    assert!(matches!(fixture.commit(&batch), Err(StoreError::Stale)));
    fixture.reopen();
    assert_eq!(fixture.registry.series.len(), 1);
    fixture.commit(&batch).unwrap();
    assert_eq!(fixture.rows("SELECT sum(n) FROM window"), [2001]);
}

/// What happens to the file.
#[derive(Clone, Debug)]
enum Damage {
    Cut(usize),
    Zero(usize, usize),
    Flip(usize, u8),
    Garbage(usize, Vec<u8>),
}

fn damages() -> impl Strategy<Value = Damage> {
    let at = 0usize..200_000;
    prop_oneof![
        at.clone().prop_map(Damage::Cut),
        (at.clone(), 1usize..9000).prop_map(|(at, n)| Damage::Zero(at, n)),
        (at.clone(), 1u8..).prop_map(|(at, with)| Damage::Flip(at, with)),
        (at, prop::collection::vec(any::<u8>(), 1..5000))
            .prop_map(|(at, bytes)| Damage::Garbage(at, bytes)),
    ]
}

fn apply(damage: &Damage, bytes: &mut Vec<u8>) {
    let length = bytes.len().max(1);
    match damage {
        Damage::Cut(at) => bytes.truncate(at % length),
        Damage::Zero(at, n) => bytes
            .iter_mut()
            .skip(at % length)
            .take(*n)
            .for_each(|b| *b = 0),
        Damage::Flip(at, with) => bytes
            .iter_mut()
            .skip(at % length)
            .take(1)
            .for_each(|b| *b ^= with),
        Damage::Garbage(at, with) => {
            let places = bytes.iter_mut().skip(at % length);
            places.zip(with).for_each(|(place, byte)| *place = *byte);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn damage_is_refused_or_survived_and_never_panics(damage in damages(), wal in any::<bool>()) {
        let mut fixture = Fixture::new(vec![beacons(), plan(metric("s", Kind::Sum, &[None]), 2)]);
        for minute in 0..20 {
            fixture.count(&[
                (0, vec!["x"], T + minute * 60, vec![1]),
                (1, vec!["y"], T + minute * 60, vec![1, 2, 0]),
            ], MS);
        }
        let file = if wal { "store.db-wal" } else { "store.db" };
        let file = fixture.path().with_file_name(file);
        let mut bytes = fs::read(&file).unwrap();
        if !wal {
            fixture.store = None;
            bytes = fs::read(&file).unwrap();
        }
        apply(&damage, &mut bytes);
        if wal {
            let main = fs::read(fixture.path()).unwrap();
            fixture.store = None;
            fs::write(fixture.path(), main).unwrap();
        }
        fs::write(&file, bytes).unwrap();
        if let Ok(mut store) = Store::open(fixture.path(), options()) {
            let log = [LogPlan { name: "access".to_owned(), backfill: true }];
            let registered = store.register(&fixture.metrics, &log, &[], MS);
            if registered.is_ok() {
                let runs = [fixture.run(&[(0, vec!["x"], T, vec![1]), (1, vec!["y"], T, vec![1, 1, 1])])];
                let batch = Batch { runs: &runs, now_ms: MS, ..Batch::default() };
                drop(store.commit(&batch));
                drop(store.reopen());
                drop(store.register(&fixture.metrics, &log, &[], MS));
                drop(store.tidy(MS * 2));
            }
        }
    }
}
