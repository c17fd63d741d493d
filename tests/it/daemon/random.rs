//! Randomness that can be repeated: `BEACONTAIL_SEED` runs one seed, a failing test prints its own.

/// xorshift64*: small, good enough for choosing what happens next.
pub(crate) struct Random {
    state: u64,
    seed: u64,
    test: &'static str,
}

impl Random {
    /// A generator for one run of a test. When the test fails, the seed is printed.
    pub(crate) fn new(test: &'static str, seed: u64) -> Random {
        let state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Random { state, seed, test }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `n` times.
    pub(crate) fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: BEACONTAIL_SEED={}", self.test, self.seed);
        }
    }
}

/// The seeds to run: `n` of them, or the one that `$BEACONTAIL_SEED` names.
pub(crate) fn seeds(n: u64) -> Vec<u64> {
    match std::env::var("BEACONTAIL_SEED") {
        Ok(seed) => vec![seed.parse().expect("BEACONTAIL_SEED is a number")],
        Err(_) => (1..=n).collect(),
    }
}

/// Whether the long suites were asked for: `BEACONTAIL_LONG=1`, as `tests/run --long` sets it.
pub(crate) fn long() -> bool {
    std::env::var_os("BEACONTAIL_LONG").is_some_and(|value| value == "1")
}

#[test]
fn the_same_seed_gives_the_same_numbers() {
    let numbers = |seed| {
        let mut random = Random::new("none", seed);
        (0..50).map(|_| random.below(1000)).collect::<Vec<_>>()
    };
    assert_eq!(numbers(7), numbers(7));
    assert_ne!(numbers(7), numbers(8));
}
