//! What must hold after each step, and what at the end.

use std::collections::{BTreeMap, BTreeSet};

use super::Outcome;
use super::scene::{Plan, prepared_for};
use super::truth::{DECLARED, Place};
use super::world::World;
use crate::commands::run::agent::lock;

impl World {
    /// Totals as others see them: metric, labels, value.
    fn totals(&mut self) -> Vec<(String, Vec<String>, i128)> {
        let registry = self.agent().registry();
        let registry = lock(&registry);
        let series = registry.series.iter().map(|series| {
            let metric = &registry.metrics[series.metric].metric;
            let value = metric.kind.amount(&series.cell).0 / 1_000_000_000;
            (metric.name.clone(), series.labels.clone(), value)
        });
        series.collect()
    }

    pub(super) fn check(&mut self) {
        let totals = self.totals();
        let sum = |name: &str, result: Option<&str>| -> i128 {
            let counted = totals.iter().filter(|(metric, labels, _)| {
                metric == name && result.is_none_or(|result| labels[1] == result)
            });
            counted.map(|(_, _, value)| value).sum()
        };
        let parsed = sum("beacontail_lines_total", Some("parsed"));
        let hidden = self.second_lines();
        let names = sum("names_total", None);
        assert_eq!(names, parsed + hidden, "lines in the metrics, lines parsed");
        let most = self.truth.values(|_| true);
        let mut truth: BTreeMap<String, u64> = BTreeMap::new();
        for ((path, _), n) in &most {
            *truth.entry(path.clone()).or_default() += n;
        }
        for (metric, labels, value) in &totals {
            if metric == "beacontail_incomplete" {
                continue;
            }
            let changed = self.plan.changed && metric == "kinds_total";
            let key = (metric.clone(), changed, labels.clone());
            let before = self.shown.insert(key, *value);
            assert!(before <= Some(*value), "{metric} {labels:?} went back");
            let path = match metric.as_str() {
                "kinds_total" => format!("kinds.{}", labels[0]),
                "names_total" => format!("names.{}", labels[0]),
                "amount_total" => format!("amount.{}", labels[0]),
                "sizes" => "sizes.count".to_owned(),
                _ => continue,
            };
            let most = truth.get(&path).copied().unwrap_or_default();
            assert!(*value <= i128::from(most), "{path}: {value} of {most}");
        }
    }

    /// Parsed lines of the second log while it is not followed, and not shown.
    fn second_lines(&mut self) -> i128 {
        let totals = self.totals();
        let key = |labels: &[String]| labels == ["two", "parsed"];
        let shown = totals.iter().any(|(_, labels, _)| key(labels));
        let kept = self.shown.iter();
        let mut kept = kept
            .filter(|((metric, _, labels), _)| metric == "beacontail_lines_total" && key(labels));
        match shown {
            true => 0,
            false => kept.next().map_or(0, |(_, value)| *value),
        }
    }

    /// Everything comes to rest: carbon answers, clocks go on, files stay as they are.
    fn drain(&mut self) {
        self.carbon.read_late(u64::MAX);
        self.deliver(Outcome::Acknowledged);
        let plan = Plan {
            second: true,
            ..self.plan
        };
        for _ in 0..4 {
            self.round();
            self.round();
            if self.agent().change(prepared_for(plan)).is_ok() {
                self.plan = plan;
            }
        }
        assert!(self.plan.second, "the store is well");
        for turn in 0..20 {
            if turn == 6 {
                // Beyond all minutes and repetitions, whatever the clock did before.
                self.step(self.until_latest());
            }
            self.step(61_000);
            self.round();
            self.check();
            loop {
                self.claim();
                if !self.has_flight() {
                    break;
                }
                self.deliver(Outcome::Acknowledged);
            }
        }
    }

    pub(super) fn finish(&mut self) {
        self.drain();
        let queue = self.agent().store.queue(0).unwrap();
        assert_eq!((queue.windows, queue.suspect), (0, 0), "{queue:?}");
        self.lines();
        self.close();
        let stored = self.stored();
        self.carbon_is(&stored);
        self.stored_is_true(&stored);
    }

    /// Lines by their results.
    fn lines(&mut self) {
        let totals = self.totals();
        for (log, name) in ["one", "two"].iter().enumerate() {
            let results = totals.iter().filter(|(metric, labels, _)| {
                metric == "beacontail_lines_total" && labels[0] == *name
            });
            let lines: i128 = results.map(|(_, _, value)| value).sum();
            let (least, most) = self.truth.count(log);
            let range = i128::from(least)..=i128::from(most);
            assert!(
                range.contains(&lines),
                "{lines} lines of {name} in {range:?}"
            );
        }
    }

    /// Windows and minutes of the store as paths, all definitions together.
    fn stored(&self) -> BTreeMap<Place, u64> {
        let path = self.state().join("store.db");
        let store = rusqlite::Connection::open(path).unwrap();
        let mut values = BTreeMap::new();
        let minutes = rows(
            &store,
            "SELECT DISTINCT minute, '', '', 0, 0.0 FROM log_minute",
        );
        for (minute, ..) in minutes {
            for path in DECLARED {
                values.insert((path.to_owned(), minute), 0);
            }
        }
        let windows = rows(
            &store,
            "SELECT w.minute, m.name, s.labels, w.n, coalesce(w.sum, 0.0) FROM window w \
             JOIN series s ON s.id = w.series JOIN metric m ON m.id = s.metric",
        );
        for (minute, metric, labels, n, sum) in windows {
            let label = labels.split('"').nth(3).unwrap_or_default();
            let added = match metric.as_str() {
                "kinds_total" => vec![(format!("kinds.{label}"), n)],
                "names_total" => vec![(format!("names.{label}"), n)],
                "amount_total" => vec![(format!("amount.{label}"), sum)],
                "sizes" => vec![
                    ("sizes.count".to_owned(), n),
                    ("sizes.sum_us".to_owned(), sum * 1_000_000),
                ],
                _ => continue,
            };
            for (path, n) in added {
                *values.entry((path, minute)).or_default() += n;
            }
        }
        values
    }

    /// Minutes of a log that were published, with the flag that says whether they are incomplete.
    pub(super) fn flags(&self, log: &str) -> Vec<(i64, i64)> {
        let store = rusqlite::Connection::open(self.state().join("store.db")).unwrap();
        let sql = "SELECT w.minute, w.sum FROM window w JOIN series s ON s.id = w.series \
             JOIN metric m ON m.id = s.metric \
             WHERE m.name = 'beacontail_incomplete' AND s.labels LIKE '%' || ?1 || '%'";
        let mut statement = store.prepare(sql).unwrap();
        let rows = statement.query_map([log], |row| {
            let on: f64 = row.get(1)?;
            Ok((row.get(0)?, i64::from(on > 0.5)))
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn carbon_is(&self, stored: &BTreeMap<Place, u64>) {
        let unsure: BTreeSet<i64> = self
            .truth
            .lines
            .iter()
            .filter(|line| self.forgot && !self.truth.is_sure(line))
            .map(|line| line.minute())
            .collect();
        let ours = |(path, minute): &Place| {
            !path.starts_with("beacontail.") && !path.contains(".le_") && !unsure.contains(minute)
        };
        let of = |values: &BTreeMap<Place, u64>| -> BTreeMap<Place, u64> {
            let values = values.iter().filter(|(place, _)| ours(place));
            values.map(|(place, n)| (place.clone(), *n)).collect()
        };
        let (carbon, stored) = (of(&self.carbon.values), of(stored));
        assert_eq!(differences(&carbon, &stored), [], "carbon, store");
        let sums = |ending: &str| -> u64 {
            let lines =
                self.carbon.values.iter().filter(|((path, _), _)| {
                    path.starts_with("beacontail.") && path.ends_with(ending)
                });
            lines.map(|(_, n)| n).sum()
        };
        let (least, most) = [0, 1]
            .map(|log| self.truth.count(log))
            .into_iter()
            .fold((0, 0), |(least, most), one| (least + one.0, most + one.1));
        let lines = sums(".lines");
        assert!((least..=most).contains(&lines), "{lines} lines at carbon");
    }

    fn stored_is_true(&self, stored: &BTreeMap<Place, u64>) {
        let least = self.truth.values(|line| self.truth.is_sure(line));
        let most = self.truth.values(|_| true);
        let places: BTreeSet<&Place> = most.keys().chain(stored.keys()).collect();
        for place in places
            .into_iter()
            .filter(|(path, _)| !path.contains(".le_"))
        {
            let value = stored.get(place).copied();
            let (least, most) = (least.get(place).copied(), most.get(place).copied());
            assert!(
                least <= value && value <= most,
                "{place:?} is {value:?}, not {least:?} to {most:?}"
            );
        }
        if self.truth.unsure.is_empty() {
            // With the buckets, which the store keeps in a form of its own.
            let carbon = self.carbon.values.iter();
            let carbon = carbon.filter(|((path, _), _)| !path.starts_with("beacontail."));
            let carbon = carbon.map(|(place, n)| (place.clone(), *n)).collect();
            assert_eq!(differences(&carbon, &most), [], "carbon, truth");
        }
    }
}

/// Where two sides differ: place, one, other.
fn differences(
    one: &BTreeMap<Place, u64>,
    other: &BTreeMap<Place, u64>,
) -> Vec<(Place, Option<u64>, Option<u64>)> {
    let places: BTreeSet<&Place> = one.keys().chain(other.keys()).collect();
    let both = places.into_iter().map(|place| {
        (
            place.clone(),
            one.get(place).copied(),
            other.get(place).copied(),
        )
    });
    both.filter(|(_, one, other)| one != other).collect()
}

type Row = (i64, String, String, u64, u64);

fn rows(store: &rusqlite::Connection, sql: &str) -> Vec<Row> {
    let mut statement = store.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let (n, sum): (i64, f64) = (row.get(3)?, row.get(4)?);
        let sum = format!("{sum:.0}").parse().unwrap();
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, n.unsigned_abs(), sum))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}
