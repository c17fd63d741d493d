//! The client of a request: which hop of `X-Forwarded-For` is the first not written by us.
//!
//! Each proxy appends the address it saw, so the list is trustworthy from the right only, and
//! only as far as the proxies are known. The walk therefore begins at the peer, skips the hops
//! in the trusted set and stops at the first other one. A hop that is not an address ends the
//! walk without a client: guessing past it would let a visitor choose a country.
//!
//! Nothing here reads files: lists of networks arrive as text.

use memchr::memrchr;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use super::address::{parse_address, parse_plain};

/// What the word `private` stands for: addresses that are never a visitor from the internet.
const PRIVATE: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "100.64.0.0/10",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// Longest piece of a wrong entry that an error repeats, in characters.
const QUOTED: usize = 80;

/// A set of addresses: merged ranges, asked by binary search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    /// First and last address of each range, ascending, with a gap between neighbours.
    v4: Vec<(u32, u32)>,
    /// As `v4`. Never holds an IPv4-mapped network.
    v6: Vec<(u128, u128)>,
}

/// An entry that is not a network. The text is escaped and shortened for people.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{text}` is not an address, a network such as `192.0.2.0/24` or `2001:db8::/32`, nor `private`"
)]
pub struct AddressEntryError {
    /// What stood there.
    pub text: String,
}

/// A wrong entry of a list of networks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {entry}")]
pub struct AddressListError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    #[source]
    pub entry: AddressEntryError,
}

impl AddressSet {
    /// The set of the given entries: networks, addresses, `private`.
    ///
    /// # Errors
    /// Every entry that is none of these.
    pub fn parse<'a>(
        entries: impl IntoIterator<Item = &'a str>,
    ) -> Result<AddressSet, Vec<AddressEntryError>> {
        let mut set = AddressSet::default();
        let errors: Vec<_> = entries
            .into_iter()
            .filter_map(|entry| set.push(entry.trim()).err())
            .collect();
        set.merge();
        if errors.is_empty() {
            Ok(set)
        } else {
            Err(errors)
        }
    }

    /// Adds the entries of a list: one or several a line, separated by commas or spaces, `#`
    /// begins a comment.
    ///
    /// # Errors
    /// Every wrong entry with its line. The right ones are in the set even so; a caller who
    /// wants all or nothing drops it.
    pub fn add_list(&mut self, text: &str) -> Result<(), Vec<AddressListError>> {
        let mut errors = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            let (entries, _comment) = line.split_once('#').unwrap_or((line, ""));
            let separated = entries.split(|c: char| c == ',' || c.is_whitespace());
            for text in separated.filter(|text| !text.is_empty()) {
                if let Err(entry) = self.push(text) {
                    errors.push(AddressListError {
                        line: index + 1,
                        entry,
                    });
                }
            }
        }
        self.merge();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }

    /// Adds all addresses of another set.
    pub fn extend(&mut self, other: &AddressSet) {
        self.v4.extend_from_slice(&other.v4);
        self.v6.extend_from_slice(&other.v6);
        self.merge();
    }

    /// Whether the address is in the set; IPv4-mapped IPv6 is IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => covers(&self.v4, address.to_bits()),
            IpAddr::V6(address) => covers(&self.v6, address.to_bits()),
        }
    }

    /// True when no address is in the set: no proxies are configured.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Adds one entry without keeping the order; `merge` must follow.
    fn push(&mut self, entry: &str) -> Result<(), AddressEntryError> {
        if entry == "private" {
            PRIVATE.iter().try_for_each(|network| self.push(network))
        } else {
            self.push_network(entry).ok_or_else(|| AddressEntryError {
                text: quoted(entry),
            })
        }
    }

    fn push_network(&mut self, entry: &str) -> Option<()> {
        let (address, prefix) = match entry.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix_length(prefix)?)),
            None => (entry, None),
        };
        match (parse_plain(address.as_bytes())?, prefix) {
            (IpAddr::V4(address), prefix) => self.push_v4(address, prefix.unwrap_or(32)),
            (IpAddr::V6(address), prefix) => {
                match (address.to_ipv4_mapped(), prefix.unwrap_or(128)) {
                    (Some(inner), prefix @ 96..) => self.push_v4(inner, prefix - 96),
                    (_, prefix) => self.push_v6(address, prefix),
                }
            }
        }
    }

    fn push_v4(&mut self, address: Ipv4Addr, prefix: u32) -> Option<()> {
        let host_bits = u32::MAX.checked_shr(prefix).unwrap_or(0);
        let first = address.to_bits() & !host_bits;
        (prefix <= 32).then(|| self.v4.push((first, first | host_bits)))
    }

    fn push_v6(&mut self, address: Ipv6Addr, prefix: u32) -> Option<()> {
        let host_bits = u128::MAX.checked_shr(prefix).unwrap_or(0);
        let first = address.to_bits() & !host_bits;
        (prefix <= 128).then(|| self.v6.push((first, first | host_bits)))
    }

    fn merge(&mut self) {
        merge_ranges(&mut self.v4, |last| last.checked_add(1));
        merge_ranges(&mut self.v6, |last| last.checked_add(1));
    }
}

fn covers<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|&(first, _)| first <= address);
    let range = after.checked_sub(1).and_then(|index| ranges.get(index));
    range.is_some_and(|&(_, last)| address <= last)
}

/// Sorts the ranges and joins those that touch or overlap.
fn merge_ranges<T: Ord + Copy>(ranges: &mut Vec<(T, T)>, next: impl Fn(T) -> Option<T>) {
    ranges.sort_unstable();
    ranges.dedup_by(|range, kept| {
        let touches = next(kept.1).is_none_or(|next| range.0 <= next);
        if touches {
            kept.1 = kept.1.max(range.1);
        }
        touches
    });
}

/// Digits only: `+8` and ` 8` are typing errors.
fn prefix_length(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

fn quoted(text: &str) -> String {
    text.chars()
        .take(QUOTED)
        .flat_map(char::escape_debug)
        .collect()
}

/// The client's address: the walk over `sources` from the right.
///
/// The sources are in the order in which a request passed them, the peer last: the value of
/// `X-Forwarded-For`, then `remote_addr`. Each is a comma-separated list or one address; absent,
/// blank and `-`, which servers write for a missing header, are skipped. Hops in `trusted` are
/// passed over; when all are, the left-most is the client. With an empty `trusted` nobody has
/// said which hops are ours, and the right-most of the first present source is taken. `None` when
/// there is no hop, or when the walk meets one that is not an address.
pub fn client(sources: &[Option<&[u8]>], trusted: &AddressSet) -> Option<IpAddr> {
    if trusted.is_empty() {
        return parse_address(nearest_of_first_source(sources)?);
    }
    let mut left_most = None;
    for source in sources.iter().rev().flatten() {
        let mut rest = listed(source);
        while !rest.is_empty() {
            let comma = memrchr(b',', rest);
            let hop = rest.get(comma.map_or(0, |comma| comma + 1)..)?.trim_ascii();
            rest = rest.get(..comma.unwrap_or(0))?;
            if hop.is_empty() {
                continue;
            }
            let address = parse_address(hop)?;
            if !trusted.contains(address) {
                return Some(address);
            }
            left_most = Some(address);
        }
    }
    left_most
}

/// How the walk judged one hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// One of ours: the walk goes on to the left.
    Trusted,
    /// The walk ends here: this is the client.
    Client,
    /// The walk ends here without a client.
    NotAnAddress,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Verdict::Trusted => "trusted",
            Verdict::Client => "client",
            Verdict::NotAnAddress => "not an address",
        })
    }
}

/// One hop of a walk as it stood in the log, unescaped and unmasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// The hop's own bytes, trimmed.
    pub text: &'a [u8],
    /// What became of it.
    pub verdict: Verdict,
}

/// The walk of [`client`] step by step, from the right, up to the hop where it ends.
pub fn walk_steps<'a>(sources: &[Option<&'a [u8]>], trusted: &AddressSet) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    if trusted.is_empty() {
        steps.extend(nearest_of_first_source(sources).map(|text| judge(text, trusted)));
        return steps;
    }
    for hop in hops_from_right(sources) {
        let step = judge(hop, trusted);
        steps.push(step);
        if step.verdict != Verdict::Trusted {
            return steps;
        }
    }
    if let Some(left_most) = steps.last_mut() {
        left_most.verdict = Verdict::Client;
    }
    steps
}

fn judge<'a>(text: &'a [u8], trusted: &AddressSet) -> Step<'a> {
    let verdict = match parse_address(text) {
        None => Verdict::NotAnAddress,
        Some(address) if trusted.contains(address) => Verdict::Trusted,
        Some(_) => Verdict::Client,
    };
    Step { text, verdict }
}

/// A source as a list: a lone dash is a header that was not sent.
fn listed(source: &[u8]) -> &[u8] {
    match source.trim_ascii() {
        b"-" => b"",
        list => list,
    }
}

/// The hops of one source from left to right. Blank ones count for nothing (RFC 9110, 5.6.1).
fn hops(source: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    listed(source)
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|hop| !hop.is_empty())
}

fn hops_from_right<'a>(sources: &[Option<&'a [u8]>]) -> impl Iterator<Item = &'a [u8]> {
    sources
        .iter()
        .rev()
        .flatten()
        .flat_map(|source| hops(source).rev())
}

fn nearest_of_first_source<'a>(sources: &[Option<&'a [u8]>]) -> Option<&'a [u8]> {
    sources
        .iter()
        .flatten()
        .find_map(|source| hops(source).next_back())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(entries: &[&str]) -> AddressSet {
        AddressSet::parse(entries.iter().copied()).unwrap()
    }

    fn has(set: &AddressSet, address: &str) -> bool {
        set.contains(address.parse().unwrap())
    }

    #[track_caller]
    fn check_client(sources: &[&str], trusted: &[&str], expected: Option<&str>) {
        let sources: Vec<_> = sources.iter().map(|text| Some(text.as_bytes())).collect();
        let found = client(&sources, &set(trusted)).map(|address| address.to_string());
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn networks_hold_their_first_and_last_address() {
        let set = set(&["192.0.2.128/25", "2001:db8::/33", "198.51.100.7"]);
        for inside in [
            "192.0.2.128",
            "192.0.2.255",
            "2001:db8::",
            "2001:db8:7fff::1",
            "198.51.100.7",
        ] {
            assert!(has(&set, inside), "{inside}");
        }
        for outside in [
            "192.0.2.127",
            "192.0.3.0",
            "2001:db8:8000::",
            "198.51.100.8",
            "::c000:280",
        ] {
            assert!(!has(&set, outside), "{outside}");
        }
    }

    #[test]
    fn neighbours_and_overlaps_become_one_range() {
        let merged = set(&["10.0.0.0/9", "10.128.0.0/9", "10.1.2.3", "::/1", "8000::/1"]);
        assert_eq!((merged.v4.len(), merged.v6.len()), (1, 1));
    }

    #[test]
    fn prefix_zero_holds_everything_of_its_family() {
        let all = set(&["0.0.0.0/0"]);
        assert!(has(&all, "0.0.0.0") && has(&all, "255.255.255.255") && !has(&all, "::1"));
        assert!(has(&set(&["::/0"]), "ffff::1"));
    }

    #[test]
    fn mapped_networks_are_ipv4_networks() {
        assert_eq!(set(&["::ffff:10.0.0.0/104"]), set(&["10.0.0.0/8"]));
        assert_eq!(set(&["::ffff:192.0.2.1"]), set(&["192.0.2.1"]));
        assert!(has(&set(&["10.0.0.0/8"]), "::ffff:10.1.1.1"));
    }

    #[test]
    fn private_is_every_range_without_visitors() {
        let private = set(&["private"]);
        for inside in [
            "10.0.0.1",
            "172.20.0.1",
            "192.168.0.1",
            "127.0.0.1",
            "169.254.0.1",
            "100.100.0.1",
            "::1",
            "fd12::1",
            "fe80::1",
        ] {
            assert!(has(&private, inside), "{inside}");
        }
        assert!(!has(&private, "8.8.8.8") && !has(&private, "2001:db8::1"));
    }

    #[test]
    fn wrong_entries_are_all_named() {
        let wrong = [
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "1.2.3.4:80",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "proxy\u{1b}[1m",
            "",
        ];
        let errors = AddressSet::parse(wrong).unwrap_err();
        assert_eq!(errors.len(), wrong.len());
        assert!(
            errors
                .iter()
                .all(|error| !error.to_string().contains('\u{1b}'))
        );
    }

    #[test]
    fn lists_have_comments_and_errors_have_lines() {
        let mut set = AddressSet::default();
        let text =
            "\u{feff}# ours\n10.0.0.0/8, 192.0.2.1 # two\r\n\nprivat\n2001:db8::/32,nonsense/3\n";
        let errors = set.add_list(text).unwrap_err();
        assert_eq!(
            errors.iter().map(|error| error.line).collect::<Vec<_>>(),
            [4, 5]
        );
        assert!(errors[0].to_string().starts_with("line 4: `privat` is not"));
        assert!(has(&set, "10.9.9.9") && has(&set, "192.0.2.1") && has(&set, "2001:db8::5"));
    }

    #[test]
    fn the_first_untrusted_hop_from_the_right_is_the_client() {
        check_client(
            &["9.9.9.9, 81.2.69.142, 10.0.0.2", "10.0.0.1"],
            &["10.0.0.0/8"],
            Some("81.2.69.142"),
        );
        check_client(
            &["81.2.69.142:55, [2001:db8::7]:80", "10.0.0.1"],
            &["private", "2001:db8::/32"],
            Some("81.2.69.142"),
        );
        check_client(
            &["81.2.69.142", "198.51.100.1"],
            &["private"],
            Some("198.51.100.1"),
        );
    }

    #[test]
    fn all_trusted_gives_the_left_most() {
        check_client(
            &["10.0.0.3, 10.0.0.2", "::ffff:10.0.0.1"],
            &["private"],
            Some("10.0.0.3"),
        );
        check_client(
            &["81.2.69.142, 8.8.8.8"],
            &["0.0.0.0/0"],
            Some("81.2.69.142"),
        );
    }

    #[test]
    fn without_proxies_the_right_most_of_the_first_source_counts() {
        check_client(&["81.2.69.142, 8.8.8.8", "10.0.0.1"], &[], Some("8.8.8.8"));
        check_client(&["-", "10.0.0.1"], &[], Some("10.0.0.1"));
        check_client(&["81.2.69.142, unknown", "10.0.0.1"], &[], None);
        let remote = Some(b"192.0.2.1".as_slice());
        assert!(client(&[None, remote], &AddressSet::default()).is_some());
    }

    #[test]
    fn a_hop_that_is_no_address_ends_the_walk() {
        check_client(
            &["81.2.69.142, unknown, 10.0.0.2", "10.0.0.1"],
            &["private"],
            None,
        );
        check_client(
            &["unknown, 81.2.69.142", "10.0.0.1"],
            &["private"],
            Some("81.2.69.142"),
        );
        check_client(&["81.2.69.142, -", "10.0.0.1"], &["private"], None);
    }

    #[test]
    fn blank_hops_and_missing_headers_count_for_nothing() {
        check_client(
            &["81.2.69.142,, ", "10.0.0.1"],
            &["private"],
            Some("81.2.69.142"),
        );
        check_client(&["-", "10.0.0.1"], &["private"], Some("10.0.0.1"));
        check_client(&["", ""], &["private"], None);
        check_client(&[], &[], None);
    }

    #[test]
    fn steps_tell_why() {
        let trusted = set(&["private"]);
        let steps = walk_steps(
            &[Some(b"8.8.8.8, x, 10.0.0.2".as_slice()), Some(b"10.0.0.1")],
            &trusted,
        );
        let told: Vec<_> = steps
            .iter()
            .map(|step| (step.text, step.verdict.to_string()))
            .collect();
        assert_eq!(
            told,
            [
                (b"10.0.0.1".as_slice(), "trusted".to_owned()),
                (b"10.0.0.2", "trusted".to_owned()),
                (b"x", "not an address".to_owned()),
            ]
        );
    }

    fn hop() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("10.0.0.1".to_owned()),
            Just("10.0.0.2:80".to_owned()),
            Just("81.2.69.142".to_owned()),
            Just("[2001:db8::1]:4".to_owned()),
            Just("-".to_owned()),
            Just("unknown".to_owned()),
            Just(String::new()),
        ]
    }

    proptest! {
        #[test]
        fn steps_and_client_agree(lists in prop::collection::vec(prop::collection::vec(hop(), 0..5), 0..3), proxies: bool) {
            let trusted = if proxies { set(&["private"]) } else { AddressSet::default() };
            let texts: Vec<String> = lists.iter().map(|list| list.join(", ")).collect();
            let sources: Vec<_> = texts.iter().map(|text| Some(text.as_bytes())).collect();
            let last = walk_steps(&sources, &trusted).last().copied();
            let told = last.filter(|step| step.verdict == Verdict::Client);
            prop_assert_eq!(client(&sources, &trusted), told.and_then(|step| parse_address(step.text)));
        }

        #[test]
        fn sets_agree_with_asking_each_network(networks in prop::collection::vec((any::<u32>(), 0u32..=32), 0..20), probes in prop::collection::vec(any::<u32>(), 20)) {
            let entries: Vec<String> = networks.iter().map(|(bits, prefix)| format!("{}/{prefix}", Ipv4Addr::from_bits(*bits))).collect();
            let set = AddressSet::parse(entries.iter().map(String::as_str)).unwrap();
            let inside = |address: u32| networks.iter().any(|&(bits, prefix)| {
                (u64::from(address) >> (32 - prefix)) == (u64::from(bits) >> (32 - prefix))
            });
            let edges = networks.iter().flat_map(|&(bits, _)| [bits, bits ^ 1, bits.wrapping_add(1)]);
            for address in probes.into_iter().chain(edges) {
                prop_assert_eq!(set.contains(IpAddr::V4(Ipv4Addr::from_bits(address))), inside(address));
            }
        }

        #[test]
        fn any_bytes_are_walked_without_panic(a: Vec<u8>, b: Vec<u8>, list: String) {
            let trusted = set(&["private"]);
            let _client = client(&[Some(&a), None, Some(&b)], &trusted);
            let _errors = AddressSet::default().add_list(&list);
        }
    }
}
