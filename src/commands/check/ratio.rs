//! Shares of small numbers, and how sure one can be of them.
//!
//! 3 of 4 is 75 %, and says little. Wilson's score interval gives the shares that such a sample is
//! compatible with at 95 %; an alarm is raised only when the whole interval is beyond the threshold.
//! (E. B. Wilson, 1927; the plain normal interval is empty at 0 % and 100 %, which is where
//! outages are.)

/// The normal quantile of 95 %, both sides.
const Z: f64 = 1.96;

/// A share in percent, between two bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share {
    pub(super) low: f64,
    pub(super) high: f64,
    /// Of how many it is a share.
    pub(super) sample: f64,
}

/// How much of `base` the `count` is. It may be more: beacons come also while no request arrives.
/// That is 100 %, of a sample that is as large as the count.
pub(super) fn share(count: f64, base: f64) -> Share {
    let sample = base.max(count);
    if sample <= 0.0 {
        return Share {
            low: 0.0,
            high: 100.0,
            sample: 0.0,
        };
    }
    let share = (count / sample).clamp(0.0, 1.0);
    let z2 = Z * Z;
    let scale = 1.0 + z2 / sample;
    let middle = (share + z2 / (2.0 * sample)) / scale;
    let half = Z / scale * (share * (1.0 - share) / sample + z2 / (4.0 * sample * sample)).sqrt();
    Share {
        low: 100.0 * (middle - half).clamp(0.0, 1.0),
        high: 100.0 * (middle + half).clamp(0.0, 1.0),
        sample,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::share;

    fn rounded(count: f64, base: f64) -> (i64, i64) {
        let share = share(count, base);
        #[expect(clippy::cast_possible_truncation, reason = "percent")]
        let tenths = |n: f64| (n * 10.0).round() as i64;
        (tenths(share.low), tenths(share.high))
    }

    #[test]
    fn shares_are_those_of_published_tables() {
        // Newcombe 1998, table I, Wilson without continuity correction.
        assert_eq!(rounded(81.0, 263.0), (255, 366));
        assert_eq!(rounded(15.0, 148.0), (62, 160));
        assert_eq!(rounded(0.0, 20.0), (0, 161));
        assert_eq!(rounded(1.0, 29.0), (6, 172));
    }

    #[test]
    fn beacons_without_any_request_are_all_of_them() {
        assert_eq!(rounded(200.0, 0.0), (981, 1000));
        assert_eq!(share(200.0, 100.0), share(200.0, 200.0));
        assert_eq!(share(0.0, 0.0).sample, 0.0);
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_share_and_grows_with_the_count(n in 1u32..5000, k in 0u32..5000) {
            let (n, k) = (f64::from(n), f64::from(k.min(n)));
            let share = super::share(k, n);
            let plain = 100.0 * k / n;
            prop_assert!(share.low <= plain + 1e-9 && plain <= share.high + 1e-9);
            prop_assert!(super::share(k + 1.0, n).low >= share.low);
        }
    }
}
