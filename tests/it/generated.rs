//! Logs made on the spot: the same bytes for the same numbers.

use std::fmt::Write as _;

use jiff::Timestamp;

/// 2013-10-31T00:00:00Z.
pub(crate) const START: i64 = 1_383_177_600;

/// A simple generator of numbers (Knuth's MMIX constants, upper half).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn of<'c>(&mut self, choices: &[&'c str]) -> &'c str {
        let number = self.below(choices.len() as u64);
        choices[usize::try_from(number).unwrap()]
    }
}

/// A time as access logs have it.
pub(crate) fn clf(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap();
    time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

/// A log of the shipped layout nginx-cdn with `lines` lines over `minutes` minutes from [`START`],
/// roughly in order: traffic, one beacon in ten lines, some junk.
pub(crate) fn log(lines: u64, minutes: u64, seed: u64) -> String {
    let mut dice = Dice::new(seed);
    let mut text = String::new();
    for line in 0..lines {
        let base = line * minutes * 60 / lines;
        let second = (base + dice.below(90)).min(minutes * 60 - 1);
        let time = clf(START + i64::try_from(second).unwrap());
        write_line(&mut text, &mut dice, &time);
    }
    text
}

fn write_line(text: &mut String, dice: &mut Dice, time: &str) {
    let client = format!("203.0.113.{}", dice.below(255));
    match dice.below(100) {
        0 => text.push_str("not a line of any log\n"),
        1 => text.push('\n'),
        2..12 => {
            let provider = dice.of(&[
                "fastly",
                "akamai",
                "edgecast",
                "cloudfront",
                "Fastly",
                "new",
            ]);
            let pop = dice.of(&["NYC", "LHR", "NRT", "HKG"]);
            writeln!(text, r#"{client} - - [{time}] "GET /status/images/beacon.gif?source={provider}&server_identity=cache-x{}-{pop} HTTP/1.1" 200 43 "http://www.example.com/" "Mozilla/5.0" "-" 0.000"#, dice.below(99)).unwrap();
        }
        _ => {
            let provider = dice.of(&["fastly", "akamai", "edgecast", "cloudfront", "-"]);
            let status = dice.of(&["200", "200", "200", "304", "404", "503"]);
            let path = dice.of(&["/", "/shop", "/cart?id=7", "/healthz"]);
            let (bytes, seconds, ms) = (dice.below(50_000), dice.below(3), dice.below(1000));
            writeln!(text, r#"{client} - - [{time}] "GET {path} HTTP/1.1" {status} {bytes} "-" "Mozilla/5.0 \x22x\x22" "{provider}" {seconds}.{ms:03}"#).unwrap();
        }
    }
}
