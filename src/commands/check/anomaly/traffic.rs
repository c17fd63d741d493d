//! Ten days of traffic of a site behind five CDNs, with ten incidents: what anomalies are measured on.
//!
//! All of it is drawn from a seed: a day's curve with a low at night and a high in the evening, quieter weekends,
//! levels that differ between days and drift within one, scatter beyond Poisson's, a mailing that
//! brings a third more for half an hour; a few beacons at all times (broken clients), scanners that
//! fetch the pixel dozens of times in a minute or two, and slow ones that fetch it for an hour.

/// Days of it.
pub(super) const DAYS: usize = 10;
/// Minutes of it.
pub(super) const MINUTES: usize = DAYS * DAY;
/// Names, requests a minute at the height of a weekday, and usual beacons a minute.
pub(super) const PROVIDERS: [(&str, f64, f64); 5] = [
    ("fastly", 600.0, 0.3),
    ("akamai", 200.0, 0.15),
    ("cloudfront", 60.0, 0.1),
    ("cloudflare", 15.0, 0.05),
    ("keycdn", 0.4, 0.01),
];

const DAY: usize = 1440;
/// The first incident comes after so many days.
const QUIET: usize = 2;
/// Requests by hour of the day, in UTC, of a site in Europe.
const CURVE: [f64; 24] = [
    0.42, 0.30, 0.23, 0.20, 0.20, 0.24, 0.34, 0.48, 0.60, 0.67, 0.70, 0.74, 0.78, 0.76, 0.74, 0.75,
    0.78, 0.84, 0.92, 0.98, 1.0, 0.93, 0.77, 0.58,
];

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incident {
    pub(super) kind: &'static str,
    /// Indices of providers.
    pub(super) providers: (usize, usize),
    /// Minutes, the last one excluded.
    pub(super) minutes: (usize, usize),
}

/// Counts by provider and minute.
pub(super) struct Traffic {
    pub(super) requests: Vec<Vec<f64>>,
    /// Of the requests.
    pub(super) errors: Vec<Vec<f64>>,
    pub(super) beacons: Vec<Vec<f64>>,
    pub(super) incidents: Vec<Incident>,
}

/// What an incident is made of.
struct Shape {
    kind: &'static str,
    providers: (usize, usize),
    length: usize,
    /// Hour of the day, from and to.
    hours: (usize, usize),
    /// Beacons a minute, by the minute of the incident.
    beacons: fn(usize) -> f64,
    /// What is left of the requests.
    requests: f64,
    /// Share of errors.
    errors: f64,
}

const SHAPE: Shape = Shape {
    kind: "",
    providers: (0, 1),
    length: 0,
    hours: (0, 24),
    beacons: |_| 0.0,
    requests: 1.0,
    errors: 0.0,
};

/// One of each kind.
fn shapes() -> [Shape; 10] {
    [
        Shape {
            kind: "short burst",
            length: 5,
            beacons: |_| 20.0,
            ..SHAPE
        },
        Shape {
            kind: "slow ramp",
            providers: (1, 2),
            length: 100,
            beacons: |minute| 20.0 * (float(minute) / 60.0).min(1.0),
            ..SHAPE
        },
        Shape {
            kind: "provider with almost no traffic",
            providers: (4, 5),
            length: 25,
            beacons: |_| 2.5,
            ..SHAPE
        },
        Shape {
            kind: "at night",
            providers: (2, 3),
            length: 20,
            hours: (2, 5),
            beacons: |_| 3.0,
            ..SHAPE
        },
        Shape {
            kind: "long plateau",
            length: 300,
            beacons: |_| 5.0,
            ..SHAPE
        },
        Shape {
            kind: "requests fall to a third",
            providers: (1, 2),
            length: 40,
            hours: (6, 22),
            requests: 0.33,
            ..SHAPE
        },
        Shape {
            kind: "errors of the origin",
            providers: (2, 3),
            length: 30,
            hours: (6, 22),
            errors: 0.12,
            ..SHAPE
        },
        Shape {
            kind: "outage of a CDN",
            length: 25,
            beacons: |_| 60.0,
            requests: 0.02,
            ..SHAPE
        },
        Shape {
            kind: "on and off",
            providers: (3, 4),
            length: 40,
            beacons: |minute| if minute % 5 < 3 { 5.0 } else { 0.0 },
            ..SHAPE
        },
        Shape {
            kind: "all providers a little",
            providers: (0, 5),
            length: 30,
            beacons: |_| 3.5,
            ..SHAPE
        },
    ]
}

impl Traffic {
    /// That of a seed.
    pub(super) fn of(seed: u64) -> Traffic {
        let mut dice = Dice(seed);
        let incidents = place(&mut dice);
        let mut traffic = Traffic {
            requests: Vec::new(),
            errors: Vec::new(),
            beacons: Vec::new(),
            incidents: incidents.iter().map(|(incident, _)| *incident).collect(),
        };
        let mailings: Vec<usize> = (0..DAYS / 2).map(|_| dice.below(MINUTES)).collect();
        for (_, peak, _) in PROVIDERS {
            let usual = usual_requests(&mut dice, peak, &mailings);
            traffic.requests.push(usual);
        }
        for (_, _, rate) in PROVIDERS {
            let beacons = (0..MINUTES).map(|minute| dice.poisson(rate * curve(minute) * 1.4));
            traffic.beacons.push(beacons.collect());
        }
        traffic.scan(&mut dice);
        for (incident, shape) in &incidents {
            traffic.happen(&mut dice, incident, shape);
        }
        let mut errors: Vec<Vec<f64>> = traffic.requests.clone();
        for (provider, counts) in errors.iter_mut().enumerate() {
            for (minute, count) in counts.iter_mut().enumerate() {
                let mut share = 0.004;
                for (incident, shape) in &incidents {
                    if incident.holds(provider, minute) {
                        share += shape.errors;
                    }
                }
                *count = dice.poisson(*count * share).min(*count);
            }
        }
        traffic.errors = errors;
        traffic
    }

    /// Four scanners a day that fetch the pixel again and again for one or two minutes, and one that
    /// fetches it for an hour.
    fn scan(&mut self, dice: &mut Dice) {
        for _ in 0..DAYS * 4 {
            let (at, n) = (dice.below(MINUTES - 2), 5.0 + 50.0 * dice.uniform());
            let length = 1 + dice.below(2);
            let provider = dice.below(PROVIDERS.len());
            for count in self.beacons[provider].iter_mut().skip(at).take(length) {
                *count += dice.poisson(n / 1.5);
            }
        }
        for _ in 0..DAYS {
            let at = dice.below(MINUTES - 60);
            let provider = dice.below(PROVIDERS.len());
            for count in self.beacons[provider].iter_mut().skip(at).take(60) {
                *count += dice.poisson(0.3);
            }
        }
    }

    fn happen(&mut self, dice: &mut Dice, incident: &Incident, shape: &Shape) {
        // No two incidents of a kind are equally bad.
        let strength = 0.75 + 0.75 * dice.uniform();
        for provider in incident.providers.0..incident.providers.1 {
            for minute in incident.minutes.0..incident.minutes.1 {
                let rate = (shape.beacons)(minute - incident.minutes.0) * strength;
                self.beacons[provider][minute] += dice.poisson(rate);
                let requests = &mut self.requests[provider][minute];
                if shape.requests < 1.0 {
                    *requests = dice.poisson(*requests * shape.requests);
                }
            }
        }
    }
}

impl Incident {
    pub(super) fn holds(&self, provider: usize, minute: usize) -> bool {
        (self.providers.0..self.providers.1).contains(&provider)
            && (self.minutes.0..self.minutes.1).contains(&minute)
    }
}

/// Incidents in any order, at any time after the first days, at least two hours apart.
fn place(dice: &mut Dice) -> Vec<(Incident, Shape)> {
    let mut placed: Vec<(Incident, Shape)> = Vec::new();
    for shape in shapes() {
        let minutes = loop {
            let at = QUIET * DAY + dice.below((DAYS - QUIET) * DAY - shape.length - 60);
            let hour = at % DAY / 60;
            let free = placed.iter().all(|(other, _)| {
                at > other.minutes.1 + 120 || at + shape.length + 120 < other.minutes.0
            });
            if free && (shape.hours.0..shape.hours.1).contains(&hour) {
                break (at, at + shape.length);
            }
        };
        let incident = Incident {
            kind: shape.kind,
            providers: shape.providers,
            minutes,
        };
        placed.push((incident, shape));
    }
    placed
}

fn usual_requests(dice: &mut Dice, peak: f64, mailings: &[usize]) -> Vec<f64> {
    let mut counts = Vec::with_capacity(MINUTES);
    let (mut day, mut drift) = (1.0, 0.0);
    for minute in 0..MINUTES {
        if minute % DAY == 0 {
            day = (0.06 * dice.normal()).exp();
        }
        // Drifts within an hour or two, by 4 %.
        drift = 0.98 * drift + 0.008 * dice.normal();
        let scatter = 0.05 * dice.normal();
        let mailing = mailings.iter().any(|at| (*at..at + 30).contains(&minute));
        let more = if mailing { 1.33 } else { 1.0 };
        let mean = peak * curve(minute) * day * (drift + scatter).exp() * more;
        counts.push(dice.poisson(mean));
    }
    counts
}

/// The week's curve: between the hours' values straight lines, and less at the weekend.
fn curve(minute: usize) -> f64 {
    let (hour, part) = (minute / 60 % 24, float(minute % 60) / 60.0);
    let value = CURVE[hour] * (1.0 - part) + CURVE[(hour + 1) % 24] * part;
    value * weekday(minute)
}

/// 1; 0.7 on days 5 and 6. The change takes the morning, when people get up later, or earlier again.
fn weekday(minute: usize) -> f64 {
    let (day, morning) = (minute / DAY % 7, float(minute % DAY) / 480.0);
    match (day, minute < DAY) {
        (5, _) => 1.0 - 0.3 * morning.min(1.0),
        (6, _) => 0.7,
        (0, false) => 0.7 + 0.3 * morning.min(1.0),
        _ => 1.0,
    }
}

fn float(n: usize) -> f64 {
    f64::from(u32::try_from(n).expect("few"))
}

/// SplitMix64, and what is drawn with it.
pub(super) struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    fn uniform(&mut self) -> f64 {
        let high = u32::try_from(self.next() >> 32).expect("32 bits");
        f64::from(high) / 4_294_967_296.0
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).expect("small")).expect("small")
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Knuth's way for small means, rounded normal for large ones.
    fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 30.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let (limit, mut product, mut n) = ((-mean).exp(), self.uniform(), 0.0);
        while product > limit {
            product *= self.uniform();
            n += 1.0;
        }
        n
    }
}
