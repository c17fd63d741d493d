//! Windows on their way to an output.

use super::*;

/// All metrics are ready for every minute.
fn all(_: usize) -> i64 {
    i64::MAX
}

fn alone<'s>(_: SeriesRef) -> &'s [SeriesRef] {
    &[]
}

const SETTLE: [i64; 2] = [60_000, 120_000];

fn claim(fixture: &mut Fixture, now_ms: i64) -> Option<Claim> {
    fixture
        .store()
        .claim(0, &all, &alone, 1000, now_ms)
        .unwrap()
}

/// Minute (after T) and first word of each point.
fn sent(claim: &Claim) -> Vec<(i64, u64)> {
    claim
        .points
        .iter()
        .map(|p| ((p.minute - T) / 60, p.cell[0]))
        .collect()
}

fn counted(points: &[(i64, u64)]) -> Fixture {
    let mut fixture = Fixture::new(vec![beacons()]);
    add(&mut fixture, points);
    fixture
}

fn add(fixture: &mut Fixture, points: &[(i64, u64)]) {
    let points: Vec<_> = points
        .iter()
        .map(|&(minute, n)| (0, vec!["x"], T + minute * 60, vec![n]))
        .collect();
    fixture.count(&points, MS);
}

/// Acknowledges without any repetition.
fn done(fixture: &mut Fixture, claim: &Claim) {
    fixture.store().acknowledge(0, claim.id, &[], MS).unwrap();
}

#[test]
fn what_is_acknowledged_is_not_sent_again() {
    let mut fixture = counted(&[(0, 2), (1, 3)]);
    let first = claim(&mut fixture, MS).unwrap();
    assert_eq!(sent(&first), [(0, 2), (1, 3)]);
    assert_eq!(claim(&mut fixture, MS), None);
    done(&mut fixture, &first);
    assert_eq!(claim(&mut fixture, MS), None);
    assert_eq!(fixture.store().queue(0).unwrap(), Queue::default());
}

#[test]
fn what_changes_under_way_is_sent_again() {
    let mut fixture = counted(&[(0, 2), (1, 3)]);
    let first = claim(&mut fixture, MS).unwrap();
    add(&mut fixture, &[(0, 1)]);
    done(&mut fixture, &first);
    let second = claim(&mut fixture, MS).unwrap();
    assert_eq!(sent(&second), [(0, 3)]);
    done(&mut fixture, &second);
    assert_eq!(claim(&mut fixture, MS), None);
}

#[test]
fn what_was_in_doubt_is_sent_again_at_each_step() {
    let mut fixture = counted(&[(0, 2)]);
    let first = claim(&mut fixture, MS).unwrap();
    fixture.store().release(0, first.id).unwrap();
    assert_eq!(fixture.store().queue(0).unwrap().suspect, 1);
    let mut now = MS + 10_000_000;
    for pause in [Some(SETTLE[0]), Some(SETTLE[1]), None] {
        let again = claim(&mut fixture, now).unwrap();
        assert_eq!(sent(&again), [(0, 2)]);
        fixture
            .store()
            .acknowledge(0, again.id, &SETTLE, now)
            .unwrap();
        assert_eq!(
            claim(&mut fixture, now + pause.unwrap_or(1 << 40) - 1),
            None
        );
        now += pause.unwrap_or_default();
    }
    assert_eq!(fixture.store().queue(0).unwrap(), Queue::default());
}

#[test]
fn a_correction_does_not_bring_a_repetition_forward() {
    let mut fixture = counted(&[(0, 2)]);
    let first = claim(&mut fixture, MS).unwrap();
    fixture.store().release(0, first.id).unwrap();
    let again = claim(&mut fixture, MS).unwrap();
    fixture
        .store()
        .acknowledge(0, again.id, &SETTLE, MS)
        .unwrap();
    add(&mut fixture, &[(0, 1)]);
    let corrected = claim(&mut fixture, MS + 1).unwrap();
    assert_eq!(sent(&corrected), [(0, 3)]);
    fixture
        .store()
        .acknowledge(0, corrected.id, &SETTLE, MS + 1)
        .unwrap();
    assert_eq!(claim(&mut fixture, MS + SETTLE[0] - 1), None);
    assert_eq!(
        sent(&claim(&mut fixture, MS + SETTLE[0]).unwrap()),
        [(0, 3)]
    );
}

#[test]
fn first_values_of_a_series_are_sent_again() {
    let mut fixture = counted(&[(0, 2)]);
    let first = claim(&mut fixture, MS).unwrap();
    fixture
        .store()
        .acknowledge(0, first.id, &SETTLE, MS)
        .unwrap();
    assert_eq!(fixture.store().queue(0).unwrap().suspect, 1);
    let old = MS + SETTLE[1];
    let second = claim(&mut fixture, old).unwrap();
    fixture
        .store()
        .acknowledge(0, second.id, &SETTLE, old)
        .unwrap();
    add(&mut fixture, &[(1, 1)]);
    let third = claim(&mut fixture, old).unwrap();
    assert_eq!(sent(&third), [(1, 1)]);
    fixture
        .store()
        .acknowledge(0, third.id, &SETTLE, old)
        .unwrap();
    assert_eq!(fixture.rows("SELECT minute FROM pending"), [T]);
}

#[test]
fn a_crash_puts_what_was_under_way_in_doubt() {
    let mut fixture = counted(&[(0, 2)]);
    let lost = claim(&mut fixture, MS).unwrap();
    fixture.restart();
    assert_eq!(fixture.store().queue(0).unwrap().suspect, 1);
    let again = claim(&mut fixture, MS).unwrap();
    assert_eq!(sent(&again), sent(&lost));
}

#[test]
fn an_answer_from_before_a_failure_says_nothing() {
    let mut fixture = counted(&[(0, 2)]);
    let lost = claim(&mut fixture, MS).unwrap();
    fixture.reopen();
    let again = claim(&mut fixture, MS).unwrap();
    assert_ne!(again.id, lost.id);
    done(&mut fixture, &lost);
    fixture.store().release(0, lost.id).unwrap();
    assert_eq!(fixture.rows("SELECT state FROM pending"), [1]);
}

#[test]
fn minutes_that_were_not_wholly_seen_are_never_sent() {
    let mut fixture = Fixture::with(vec![beacons()], false, options());
    let now = MS + 30_000;
    fixture.count(
        &[(0, vec!["x"], T, vec![1]), (0, vec!["x"], T + 60, vec![1])],
        now,
    );
    fixture
        .commit(&Batch {
            minutes: &[(0, T)],
            ..Batch::default()
        })
        .unwrap();
    assert_eq!(fixture.rows("SELECT minute FROM pending"), [T + 60]);
    // A metric that joins later counts only a part of the minute it joins in.
    let late = plan(metric("late_total", Kind::Count, &[Some(&["x"])]), 2);
    fixture.metrics.push(late);
    fixture.register(MS + 90_000);
    fixture.count(
        &[
            (1, vec!["x"], T + 60, vec![1]),
            (1, vec!["x"], T + 120, vec![1]),
        ],
        now,
    );
    assert_eq!(
        fixture.rows("SELECT minute FROM pending"),
        [T + 60, T + 120]
    );
}

#[test]
fn declared_series_are_0_in_a_minute_with_lines() {
    let declared = metric("n_total", Kind::Count, &[Some(&["a", "b"])]);
    let mut fixture = Fixture::new(vec![plan(declared, 1)]);
    fixture.count(&[(0, vec!["a"], T, vec![2])], MS);
    let minutes = Batch {
        minutes: &[(0, T), (0, T)],
        ..Batch::default()
    };
    fixture.commit(&minutes).unwrap();
    let first = claim(&mut fixture, MS).unwrap();
    assert_eq!(sent(&first), [(0, 2), (0, 0)]);
    done(&mut fixture, &first);
    fixture.commit(&minutes).unwrap();
    assert_eq!(claim(&mut fixture, MS), None);
}

#[test]
fn only_ready_minutes_are_claimed_and_the_limit_leaves_the_newer_ones() {
    let mut fixture = counted(&[(2, 1), (0, 1), (1, 1), (3, 1)]);
    let ready = |_| T + 180;
    let first = fixture
        .store()
        .claim(0, &ready, &alone, 2, MS)
        .unwrap()
        .unwrap();
    assert_eq!((sent(&first), first.more), (vec![(0, 1), (1, 1)], true));
    done(&mut fixture, &first);
    let second = fixture
        .store()
        .claim(0, &ready, &alone, 2, MS)
        .unwrap()
        .unwrap();
    assert_eq!((sent(&second), second.more), (vec![(2, 1)], false));
    done(&mut fixture, &second);
    assert_eq!(
        fixture.store().claim(0, &ready, &alone, 2, MS).unwrap(),
        None
    );
    let queue = fixture.store().queue(0).unwrap();
    assert_eq!(
        (queue.minutes, queue.windows, queue.oldest),
        (1, 1, Some(T + 180))
    );
}

#[test]
fn series_of_one_path_go_together() {
    let mut fixture = counted(&[(0, 1)]);
    let other = (0, vec!["y"], T, vec![5]);
    fixture.count(&[other], MS);
    let first = claim(&mut fixture, MS).unwrap();
    done(&mut fixture, &first);
    add(&mut fixture, &[(0, 1)]);
    let together = |_: SeriesRef| -> &[SeriesRef] { &[0, 1] };
    let second = fixture
        .store()
        .claim(0, &all, &together, 1, MS)
        .unwrap()
        .unwrap();
    assert_eq!(sent(&second), [(0, 2), (0, 5)]);
}

#[test]
fn a_changed_definition_loses_nothing_of_a_minute() {
    let mut fixture = counted(&[(0, 2), (1, 1)]);
    fixture.metrics = vec![plan(beacons().metric, 9)];
    fixture.register(MS);
    add(&mut fixture, &[(1, 4)]);
    assert_eq!(fixture.total(0, &["x"]), Some(vec![4]));
    assert_eq!(sent(&claim(&mut fixture, MS).unwrap()), [(0, 2), (1, 5)]);
}

#[test]
fn what_nobody_defines_waits_for_no_output_and_goes_on_when_it_is_back() {
    let mut fixture = counted(&[(0, 2), (1, 1)]);
    let metrics = std::mem::take(&mut fixture.metrics);
    fixture.register(MS);
    assert_eq!(fixture.store().queue(0).unwrap(), Queue::default());
    assert_eq!(claim(&mut fixture, MS), None);
    fixture.metrics = metrics;
    fixture.register(MS);
    assert_eq!(fixture.store().queue(0).unwrap().windows, 2);
    assert_eq!(sent(&claim(&mut fixture, MS).unwrap()), [(0, 2), (1, 1)]);
}

#[test]
fn other_labels_begin_with_the_next_whole_minute() {
    let mut fixture = Fixture::with(vec![beacons()], false, options());
    fixture.register(MS + 90_000);
    fixture.metrics = vec![plan(metric("beacons_total", Kind::Count, &[None, None]), 9)];
    fixture.register(MS + 150_000);
    let point = |minute: i64| (0, vec!["x", "y"], T + minute * 60, vec![1]);
    fixture.count(&[point(2), point(3)], MS);
    assert_eq!(fixture.rows("SELECT minute FROM pending"), [T + 180]);
}

#[test]
fn a_loss_at_the_output_is_mended_from_the_store() {
    let mut fixture = counted(&[(0, 1), (1, 2), (2, 3)]);
    let first = claim(&mut fixture, MS).unwrap();
    done(&mut fixture, &first);
    fixture.store().doubt_since(0, T + 60).unwrap();
    let second = claim(&mut fixture, MS).unwrap();
    assert_eq!(sent(&second), [(1, 2), (2, 3)]);
}

#[test]
fn an_output_that_returns_gets_everything_again() {
    let mut fixture = counted(&[(0, 1)]);
    let first = claim(&mut fixture, MS).unwrap();
    done(&mut fixture, &first);
    let metrics = fixture.metrics.clone();
    let logs = [LogPlan {
        name: "access".to_owned(),
        backfill: true,
    }];
    fixture.registry = fixture.store().register(&metrics, &logs, &[], MS).unwrap();
    add(&mut fixture, &[(0, 1)]);
    fixture.register(MS);
    assert_eq!(sent(&claim(&mut fixture, MS).unwrap()), [(0, 2)]);
}
