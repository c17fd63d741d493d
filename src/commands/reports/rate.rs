//! How much may come: a bucket for each network of clients, and one for all.
//!
//! A bucket holds the reports of one second and fills as time goes by. Who asks needs one report's
//! worth; what a body then held is charged, into debt if need be, so that a large body is paid for
//! by waiting. A network that is over its share costs the others nothing.
//!
//! Invariant: the table is bounded, whoever comes from wherever: networks whose bucket is full again
//! are forgotten, and while there are too many others, newcomers share one bucket.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Most networks remembered at a time.
const NETWORKS: usize = 4096;

/// Leading bits that are one network: what one household or company usually has.
const BITS_V4: u32 = 24;
const BITS_V6: u32 = 48;

/// All buckets.
#[derive(Debug)]
pub(super) struct Rates {
    /// Reports a second of one network.
    rate: f64,
    networks: HashMap<u128, Bucket>,
    /// Of networks that found no room in the table.
    others: Bucket,
    total_rate: f64,
    total: Bucket,
}

/// What is left, when it was last looked at.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    seen: Duration,
}

impl Bucket {
    /// Fills with what the time since the last look brought.
    fn filled(self, rate: f64, now: Duration) -> Bucket {
        let since = now.saturating_sub(self.seen).as_secs_f64();
        Bucket {
            left: (self.left + since * rate).min(rate),
            seen: now,
        }
    }

    /// Seconds until one report is there, at least 1; `None` when it is.
    fn wait(self, rate: f64) -> Option<u32> {
        let missing = 1.0 - self.left;
        // At most a body's reports are missing, and a rate is at least 1.
        let seconds = (missing / rate).ceil().clamp(1.0, 3600.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 1 to 3600"
        )]
        (missing > 0.0).then_some(seconds as u32)
    }
}

impl Rates {
    /// Full buckets for so many reports a second, of one network and of all.
    pub(super) fn new(rate: u32, total_rate: u32) -> Rates {
        let full = |rate: u32| Bucket {
            left: f64::from(rate),
            seen: Duration::ZERO,
        };
        Rates {
            rate: f64::from(rate),
            networks: HashMap::new(),
            others: full(rate),
            total_rate: f64::from(total_rate),
            total: full(total_rate),
        }
    }

    /// Whether a client may post; one report is charged.
    ///
    /// # Errors
    /// Seconds after which it may.
    pub(super) fn ask(&mut self, client: IpAddr, now: Duration) -> Result<(), u32> {
        let own = self.bucket(client, now);
        let total = self.total.filled(self.total_rate, now);
        let wait = own.wait(self.rate).or_else(|| total.wait(self.total_rate));
        match wait {
            Some(seconds) => Err(seconds),
            None => {
                self.charge(client, 1, now);
                Ok(())
            }
        }
    }

    /// Takes `reports` out of the client's bucket and that of all.
    pub(super) fn charge(&mut self, client: IpAddr, reports: u32, now: Duration) {
        let mut own = self.bucket(client, now);
        own.left -= f64::from(reports);
        self.total = self.total.filled(self.total_rate, now);
        self.total.left -= f64::from(reports);
        let network = network(client);
        if self.networks.len() >= NETWORKS && !self.networks.contains_key(&network) {
            let rate = self.rate;
            self.networks
                .retain(|_, bucket| bucket.filled(rate, now).left < rate);
        }
        if self.networks.len() < NETWORKS || self.networks.contains_key(&network) {
            self.networks.insert(network, own);
        } else {
            self.others = own;
        }
    }

    /// The client's bucket as it is now.
    fn bucket(&self, client: IpAddr, now: Duration) -> Bucket {
        let known = self.networks.get(&network(client)).copied();
        let new = match self.networks.len() < NETWORKS {
            true => Bucket {
                left: self.rate,
                seen: now,
            },
            false => self.others,
        };
        known.unwrap_or(new).filled(self.rate, now)
    }
}

/// The network of an address; IPv4 below a prefix that no IPv6 network has.
fn network(client: IpAddr) -> u128 {
    match client.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits() >> (32 - BITS_V4)),
        IpAddr::V6(address) => (address.to_bits() >> (128 - BITS_V6) << 1 | 1) << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_its_share_and_the_next_one_its_own() {
        let mut rates = Rates::new(2, 100);
        let (one, same, other) = (
            address("192.0.2.1"),
            address("192.0.2.200"),
            address("192.0.3.1"),
        );
        assert_eq!(rates.ask(one, at(0)), Ok(()));
        assert_eq!(rates.ask(same, at(0)), Ok(()));
        assert_eq!(rates.ask(one, at(0)), Err(1));
        assert_eq!(rates.ask(other, at(0)), Ok(()));
        assert_eq!(rates.ask(one, at(1)), Ok(()));
        assert_eq!(network(address("::ffff:192.0.2.9")), network(one));
        assert_ne!(
            network(address("2001:db8::1")),
            network(address("2001:db8:1::1"))
        );
        assert_eq!(
            network(address("2001:db8::1")),
            network(address("2001:db8:0:ffff::1"))
        );
    }

    #[test]
    fn a_large_body_is_paid_for_by_waiting() {
        let mut rates = Rates::new(50, 1000);
        let one = address("2001:db8::1");
        assert_eq!(rates.ask(one, at(0)), Ok(()));
        rates.charge(one, 99, at(0));
        assert_eq!(rates.ask(one, at(0)), Err(2));
        assert_eq!(rates.ask(one, at(1)), Err(1));
        assert_eq!(rates.ask(one, at(2)), Ok(()));
    }

    #[test]
    fn all_together_have_a_limit_and_who_is_over_it_is_not_charged() {
        let mut rates = Rates::new(50, 3);
        for n in 0..3 {
            assert_eq!(rates.ask(address(&format!("10.0.{n}.1")), at(0)), Ok(()));
        }
        for n in 3..100 {
            assert_eq!(rates.ask(address(&format!("10.0.{n}.1")), at(0)), Err(1));
        }
        assert_eq!(rates.networks.len(), 3);
        assert_eq!(rates.ask(address("10.0.99.1"), at(1)), Ok(()));
    }

    #[test]
    fn the_table_is_bounded_and_newcomers_share() {
        let mut rates = Rates::new(2, 1_000_000);
        for n in 0..20_000u32 {
            let client = IpAddr::V4((n << 8).into());
            rates.ask(client, at(0)).ok();
        }
        assert_eq!(rates.networks.len(), NETWORKS);
        assert_eq!(rates.ask(address("203.0.113.1"), at(0)), Err(1));
        assert_eq!(rates.ask(address("203.0.113.1"), at(9)), Ok(()));
        assert!(
            rates.networks.len() < 10,
            "those that are full again are forgotten"
        );
    }

    #[test]
    fn a_clock_that_stands_still_gives_nothing() {
        let mut rates = Rates::new(1, 10);
        let one = address("192.0.2.1");
        assert_eq!(rates.ask(one, at(5)), Ok(()));
        assert_eq!(rates.ask(one, at(5)), Err(1));
        assert_eq!(rates.ask(one, at(4)), Err(1));
    }
}
