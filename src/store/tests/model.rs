//! The store against a few maps, through failures before and after a commit.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SETTLE: [i64; 2] = [1000, 2000];

#[derive(Clone, Debug)]
enum Action {
    /// Series, minute, n: twice the same lines when the store fails in between.
    Count(Vec<(u8, i64, u64)>),
    Fail(bool),
    Restart,
    Claim,
    /// The values of the claim arrive, and the answer too.
    Acknowledge,
    /// They arrive (or not), the answer does not.
    Release(bool),
    Wait(i64),
    Redefine,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let points = prop::collection::vec((0u8..4, 0i64..4, 1u64..10), 0..6);
    let action = prop_oneof![
        6 => points.prop_map(Action::Count),
        2 => any::<bool>().prop_map(Action::Fail),
        1 => Just(Action::Restart),
        4 => Just(Action::Claim),
        4 => Just(Action::Acknowledge),
        2 => any::<bool>().prop_map(Action::Release),
        2 => (0i64..3000).prop_map(Action::Wait),
        1 => Just(Action::Redefine),
    ];
    prop::collection::vec(action, 1..60)
}

/// An output that keeps the last write, and the store that feeds it.
struct World {
    fixture: Fixture,
    /// All lines counted, by series and minute.
    truth: BTreeMap<(String, i64), u64>,
    /// Lines counted under the present definition.
    totals: BTreeMap<String, u64>,
    /// Lines since the last offset that is certain.
    offset: u64,
    output: BTreeMap<(String, i64), u64>,
    flight: Option<Claim>,
    now_ms: i64,
    digest: u8,
}

impl World {
    fn new() -> World {
        World {
            fixture: Fixture::new(vec![beacons()]),
            truth: BTreeMap::new(),
            totals: BTreeMap::new(),
            offset: 0,
            output: BTreeMap::new(),
            flight: None,
            now_ms: MS,
            digest: 1,
        }
    }

    fn name(series: u8) -> String {
        format!("s{series}")
    }

    /// Reads until the lines are in, as an agent would: after an error it asks the store how far it is.
    fn count(&mut self, points: &[(u8, i64, u64)]) {
        let names: Vec<String> = points.iter().map(|p| World::name(p.0)).collect();
        let cells: Vec<_> = points
            .iter()
            .zip(&names)
            .map(|((_, minute, n), name)| (0, vec![name.as_str()], T + minute * 60, vec![*n]))
            .collect();
        let runs = [self.fixture.run(&cells)];
        let wanted = self.offset + 1;
        while self.offset < wanted {
            let files = [FileRow {
                gone: false,
                log: 0,
                path: b"/log".to_vec(),
                generations: vec![generation(wanted)],
            }];
            let batch = Batch {
                runs: &runs,
                files: &files,
                now_ms: self.now_ms,
                ..Batch::default()
            };
            match self.fixture.commit(&batch) {
                Ok(_) => self.offset = wanted,
                Err(_) => self.recover(),
            }
        }
        for (series, minute, n) in points {
            let name = World::name(*series);
            *self
                .truth
                .entry((name.clone(), T + minute * 60))
                .or_default() += n;
            *self.totals.entry(name).or_default() += n;
        }
        self.check();
    }

    fn recover(&mut self) {
        self.flight = None;
        self.fixture.reopen();
        self.find_offset();
    }

    fn find_offset(&mut self) {
        let files = self.fixture.store().files(0).unwrap();
        self.offset = files.first().map_or(0, |file| file.generations[0].offset);
    }

    fn claim(&mut self) {
        let now_ms = self.now_ms;
        let store = self.fixture.store();
        match store.claim(0, &|_| i64::MAX, &|_| &[], 3, now_ms) {
            Ok(Some(claim)) => self.flight = Some(claim),
            Ok(None) => {}
            Err(_) => self.recover(),
        }
    }

    fn arrive(&mut self, claim: &Claim) {
        for point in &claim.points {
            let name = self.fixture.registry.series[point.series].labels[0].clone();
            let truth = self.truth[&(name.clone(), point.minute)];
            assert!(point.cell[0] <= truth, "never more than the truth");
            self.output.insert((name, point.minute), point.cell[0]);
        }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Count(points) => self.count(points),
            Action::Fail(after) => {
                let how = if *after { Fault::After } else { Fault::Before };
                self.fixture.store().fail_next_commit(how);
            }
            Action::Restart => {
                self.flight = None;
                self.fixture.restart();
                self.find_offset();
                self.check();
            }
            Action::Claim => self.claim(),
            Action::Acknowledge => {
                if let Some(claim) = self.flight.take() {
                    self.arrive(&claim);
                    let now_ms = self.now_ms;
                    if self
                        .fixture
                        .store()
                        .acknowledge(0, claim.id, &SETTLE, now_ms)
                        .is_err()
                    {
                        self.recover();
                    }
                }
            }
            Action::Release(arrives) => {
                if let Some(claim) = self.flight.take() {
                    if *arrives {
                        self.arrive(&claim);
                    }
                    if self.fixture.store().release(0, claim.id).is_err() {
                        self.recover();
                    }
                }
            }
            Action::Wait(ms) => self.now_ms += ms,
            Action::Redefine => {
                self.fixture.store().fault = None;
                self.flight = None;
                self.digest += 1;
                self.fixture.metrics = vec![plan(beacons().metric, self.digest)];
                self.fixture.register(MS);
                self.totals.clear();
            }
        }
    }

    /// Totals shown are the truth; windows add up to the truth.
    fn check(&self) {
        for (name, n) in &self.totals {
            assert_eq!(self.fixture.total(0, &[name]), Some(vec![*n]));
        }
        let truth: u64 = self.truth.values().sum();
        let windows = self.fixture.rows("SELECT coalesce(sum(n), 0) FROM window")[0];
        assert_eq!(windows.unsigned_abs(), truth);
        let series = self.fixture.rows("SELECT coalesce(sum(n), 0) FROM series")[0];
        assert_eq!(series.unsigned_abs(), truth);
    }

    /// The output answers from now on: it ends with the truth and nothing waits.
    fn settle(&mut self) {
        self.fixture.store().fault = None;
        self.act(&Action::Acknowledge);
        for _ in 0..200 {
            self.now_ms += 1000;
            self.claim();
            self.act(&Action::Acknowledge);
        }
        assert_eq!(self.output, self.truth);
        assert_eq!(self.fixture.store().queue(0).unwrap(), Queue::default());
    }
}

fn generation(offset: u64) -> GenerationRow {
    GenerationRow {
        id: 1,
        dev: 1,
        ino: 1,
        btime_ns: 0,
        head_len: 0,
        head: Vec::new(),
        tail_len: 0,
        tail: Vec::new(),
        offset,
        skipping: 0,
        state: GenerationState::Live,
        size: offset,
        trail: vec![1; 24],
        note: Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_fails_counts_are_exact_and_outputs_converge(actions in actions()) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
        }
        world.fixture.store().fault = None;
        world.count(&[(0, 0, 1)]);
        world.settle();
    }
}
