//! Who a provider is by its addresses: the ranges that CDNs publish, and what follows from them.
//!
//! Invariant: only an address that can be a provider's has an answer. Private and other special
//! ranges have none whatever a list says, except those for documentation, which examples use. A
//! provider without ranges is not known: nothing can contradict it.
//!
//! Nothing here reads files: the text of a list arrives, as networks or as a provider's JSON.

use std::net::IpAddr;

use serde_json::Value;
use thiserror::Error;

use super::address::{parse_address, special};
use super::proxies::{AddressEntryError, AddressListError, AddressSet};

/// Whose word about a client is taken: that of our proxies about the hop before them, that of a
/// provider's edge about its client.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Our proxies.
    pub proxies: AddressSet,
    /// Ranges of providers.
    pub providers: Providers,
}

/// The ranges of each provider.
#[derive(Clone, Debug, Default)]
pub struct Providers {
    /// In the order in which they were given first; no set is empty.
    known: Vec<(String, AddressSet)>,
}

/// What is wrong with a list of a provider's ranges.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RangesError {
    /// A wrong entry of a list.
    #[error(transparent)]
    Line(#[from] AddressListError),
    /// A wrong entry of a JSON list.
    #[error(transparent)]
    Entry(#[from] AddressEntryError),
    /// It begins as JSON does, and is none.
    #[error("it begins with a brace and is no JSON: {0}")]
    Json(String),
    /// It names no network.
    #[error("there is no network in it")]
    Empty,
}

impl Providers {
    /// Adds ranges to those of a provider.
    pub fn add(&mut self, name: &str, ranges: &AddressSet) {
        if ranges.is_empty() {
            return;
        }
        match self.known.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.extend(ranges),
            None => self.known.push((name.to_owned(), ranges.clone())),
        }
    }

    /// Adds a list of networks, or the JSON that Fastly, Cloudflare and AWS publish, of which only
    /// CloudFront's networks are taken.
    ///
    /// # Errors
    /// Every mistake in it; nothing is added then.
    pub fn add_text(&mut self, name: &str, text: &str) -> Result<(), Vec<RangesError>> {
        let json = text.trim_start_matches('\u{feff}').trim_start();
        let ranges = if json.starts_with(['{', '[']) {
            networks_of_json(json)?
        } else {
            let mut set = AddressSet::default();
            set.add_list(text).map_err(all)?;
            set
        };
        if ranges.is_empty() {
            return Err(vec![RangesError::Empty]);
        }
        self.add(name, &ranges);
        Ok(())
    }

    /// True when no ranges are known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The ranges of a provider.
    pub fn ranges(&self, name: &[u8]) -> Option<&AddressSet> {
        let found = self
            .known
            .iter()
            .find(|(known, _)| known.as_bytes() == name);
        found.map(|(_, ranges)| ranges)
    }

    /// The provider in whose ranges an address lies; where ranges overlap, the one given first.
    pub fn of(&self, address: IpAddr) -> Option<&str> {
        if !may_be_a_provider(address) {
            return None;
        }
        let found = self.known.iter().find(|(_, set)| set.contains(address));
        found.map(|(name, _)| name.as_str())
    }

    /// The addresses of all providers.
    pub fn all(&self) -> AddressSet {
        let mut all = AddressSet::default();
        self.known.iter().for_each(|(_, set)| all.extend(set));
        all
    }
}

impl Trust {
    /// The provider whose address this is; `none` for a public one that is neither a known
    /// provider's nor one of our proxies.
    pub fn provider_of<'n>(&'n self, address: IpAddr, none: Option<&'n str>) -> Option<&'n str> {
        self.providers.of(address).or_else(|| {
            let foreign = special(address).is_none() && !self.proxies.contains(address);
            none.filter(|_| foreign && !self.providers.is_empty())
        })
    }

    /// The provider whose address this is when `claimed` is another one. `None` when the address
    /// does not contradict the claim: it lies in the claimed provider's ranges, or in nobody's.
    /// `none` stands for the latter where the claimed provider's ranges are known.
    pub fn contradiction<'n>(
        &'n self,
        address: IpAddr,
        claimed: &[u8],
        none: Option<&'n str>,
    ) -> Option<&'n str> {
        let ranges = self.providers.ranges(claimed);
        if ranges.is_some_and(|ranges| ranges.contains(address)) {
            return None;
        }
        self.provider_of(address, none.filter(|_| ranges.is_some()))
    }
}

/// A header in which a provider's edge names its client, one address and no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHeader {
    field: &'static str,
    /// Providers that set it; what another one hands on is the visitor's own.
    makers: &'static [&'static str],
}

const CLIENT_HEADERS: [ClientHeader; 3] = [
    ClientHeader {
        field: "http_cf_connecting_ip",
        makers: &["cloudflare"],
    },
    ClientHeader {
        field: "http_true_client_ip",
        makers: &["akamai", "cloudflare"],
    },
    ClientHeader {
        field: "http_fastly_client_ip",
        makers: &["fastly"],
    },
];

impl ClientHeader {
    /// The header behind a field's name.
    pub fn named(field: &str) -> Option<ClientHeader> {
        CLIENT_HEADERS
            .into_iter()
            .find(|header| header.field == field)
    }

    /// The field that holds it.
    pub fn field(self) -> &'static str {
        self.field
    }

    /// The client that the header names, where the hop that handed it over is believed: a
    /// provider's edge that sets this header, or a proxy of ours that is in no provider's ranges.
    pub fn client(self, text: &[u8], hop: IpAddr, trust: &Trust) -> Option<IpAddr> {
        let believed = match trust.providers.of(hop) {
            Some(provider) => self.makers.contains(&provider),
            None => trust.proxies.contains(hop),
        };
        believed.then(|| parse_address(text))?
    }
}

fn may_be_a_provider(address: IpAddr) -> bool {
    matches!(special(address), None | Some("documentation"))
}

/// The networks in the JSON of a provider: the texts of its lists, and of AWS' objects those of
/// CloudFront.
fn networks_of_json(text: &str) -> Result<AddressSet, Vec<RangesError>> {
    let json: Value =
        serde_json::from_str(text).map_err(|error| vec![RangesError::Json(error.to_string())])?;
    let mut entries = Vec::new();
    collect(&json, &mut entries);
    AddressSet::parse(entries).map_err(all)
}

fn collect<'j>(json: &'j Value, entries: &mut Vec<&'j str>) {
    match json {
        Value::Array(list) => {
            entries.extend(list.iter().filter_map(Value::as_str));
            list.iter().for_each(|one| collect(one, entries));
        }
        Value::Object(object) => {
            let service = object.get("service").and_then(Value::as_str);
            if service.is_none_or(|service| service == "CLOUDFRONT") {
                let prefixes = ["ip_prefix", "ipv6_prefix"].into_iter();
                entries.extend(prefixes.filter_map(|key| object.get(key)?.as_str()));
                object.values().for_each(|value| collect(value, entries));
            }
        }
        _ => {}
    }
}

fn all<E: Into<RangesError>>(errors: Vec<E>) -> Vec<RangesError> {
    errors.into_iter().map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trust(ranges: &[(&str, &str)], proxies: &[&str]) -> Trust {
        let mut providers = Providers::default();
        for (name, networks) in ranges {
            providers.add_text(name, networks).unwrap();
        }
        Trust {
            proxies: AddressSet::parse(proxies.iter().copied()).unwrap(),
            providers,
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const TWO: [(&str, &str); 2] = [
        ("fastly", "151.101.0.0/16 2a04:4e40::/32 10.0.0.0/8"),
        ("akamai", "23.32.0.0/11, 151.101.4.0/24"),
    ];

    #[test]
    fn an_address_is_the_provider_s_in_whose_ranges_it_lies() {
        let trust = trust(&TWO, &["198.18.0.1", "8.8.8.8"]);
        for (text, expected) in [
            ("151.101.1.1", Some("fastly")),
            ("::ffff:151.101.1.1", Some("fastly")),
            ("2a04:4e40::1", Some("fastly")),
            ("151.101.4.9", Some("fastly")),
            ("23.40.0.1", Some("akamai")),
            ("10.1.2.3", None),
            ("192.168.0.1", None),
            ("8.8.8.8", None),
            ("9.9.9.9", Some("none")),
        ] {
            let found = trust.provider_of(address(text), Some("none"));
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(trust.provider_of(address("9.9.9.9"), None), None);
        let nobody = Trust::default();
        assert_eq!(nobody.provider_of(address("9.9.9.9"), Some("none")), None);
    }

    #[test]
    fn a_claim_is_contradicted_by_the_ranges_of_others_and_by_being_in_none() {
        let trust = trust(&TWO, &[]);
        for (claimed, peer, expected) in [
            ("fastly", "151.101.1.1", None),
            ("akamai", "151.101.1.1", Some("fastly")),
            // In the ranges of both: neither claim is wrong.
            ("akamai", "151.101.4.9", None),
            ("fastly", "9.9.9.9", Some("none")),
            ("fastly", "192.168.1.1", None),
            // Nothing is known of this provider's addresses.
            ("cloudflare", "9.9.9.9", None),
            ("cloudflare", "23.40.0.1", Some("akamai")),
        ] {
            let found = trust.contradiction(address(peer), claimed.as_bytes(), Some("none"));
            assert_eq!(found, expected, "{claimed} from {peer}");
            let strangers = trust.contradiction(address(peer), claimed.as_bytes(), None);
            assert_eq!(strangers, expected.filter(|seen| *seen != "none"));
        }
    }

    #[test]
    fn headers_are_believed_from_those_who_set_them() {
        let cloudflare = ClientHeader::named("http_cf_connecting_ip").unwrap();
        let akamai = ClientHeader::named("http_true_client_ip").unwrap();
        assert_eq!(ClientHeader::named("http_x_forwarded_for"), None);
        let trust = trust(
            &[
                ("fastly", "151.101.0.0/16"),
                ("cloudflare", "104.16.0.0/13"),
            ],
            &["private"],
        );
        let told = |header: ClientHeader, text: &str, hop: &str| {
            let found = header.client(text.as_bytes(), address(hop), &trust);
            found.map(|address| address.to_string())
        };
        let client = Some("81.2.69.142".to_owned());
        assert_eq!(told(cloudflare, "81.2.69.142", "104.16.1.1"), client);
        assert_eq!(told(akamai, "81.2.69.142", "104.16.1.1"), client);
        assert_eq!(told(cloudflare, "81.2.69.142", "10.0.0.1"), client);
        // Fastly passes on what the visitor wrote.
        assert_eq!(told(cloudflare, "81.2.69.142", "151.101.1.1"), None);
        assert_eq!(told(cloudflare, "81.2.69.142", "9.9.9.9"), None);
        assert_eq!(told(cloudflare, "81.2.69.142, 1.1.1.1", "10.0.0.1"), None);
        assert_eq!(told(cloudflare, "nobody", "10.0.0.1"), None);
    }

    #[test]
    fn published_json_is_read_as_it_is() {
        let aws = r#"{"syncToken": "1", "createDate": "2026-11-01-00-00-00", "prefixes": [
            {"ip_prefix": "3.5.140.0/22", "region": "ap-northeast-2", "service": "AMAZON"},
            {"ip_prefix": "13.32.0.0/15", "region": "GLOBAL", "service": "CLOUDFRONT"}],
            "ipv6_prefixes": [{"ipv6_prefix": "2600:9000::/28", "service": "CLOUDFRONT"}]}"#;
        let cloudflare = r#"{"result": {"ipv4_cidrs": ["104.16.0.0/13"], "ipv6_cidrs": [],
            "etag": "38f79d05"}, "success": true, "errors": [], "messages": []}"#;
        let fastly =
            "{\"addresses\": [\"151.101.0.0/16\"], \"ipv6_addresses\": [\"2a04:4e40::/32\"]}";
        let trust = trust(
            &[
                ("cloudfront", aws),
                ("cloudflare", cloudflare),
                ("fastly", fastly),
            ],
            &[],
        );
        let of = |text| trust.providers.of(address(text));
        assert_eq!(of("13.33.0.1"), Some("cloudfront"));
        assert_eq!(of("2600:9000::1"), Some("cloudfront"));
        assert_eq!(of("3.5.140.1"), None);
        assert_eq!(of("104.17.0.1"), Some("cloudflare"));
        assert_eq!(of("2a04:4e40::1"), Some("fastly"));
    }

    #[test]
    fn a_list_with_a_mistake_adds_nothing() {
        let mut providers = Providers::default();
        let mut wrong = |text: &str| {
            let errors = providers.add_text("fastly", text).unwrap_err();
            let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
            all.join("; ")
        };
        assert!(wrong("1.2.3.0/24\n1.2.3.4.5\n").starts_with("line 2: `1.2.3.4.5` is not"));
        assert!(wrong("{\"addresses\": [\"all\"]}").starts_with("`all` is not"));
        assert!(wrong("{").starts_with("it begins with a brace and is no JSON"));
        assert_eq!(wrong("# nothing yet\n"), "there is no network in it");
        assert_eq!(wrong("{\"addresses\": []}"), "there is no network in it");
        assert!(providers.is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), json in "[\\[{\"a:,\\]}1./ ]{0,40}") {
            for text in [text, json] {
                let mut providers = Providers::default();
                let read = providers.add_text("x", &text).is_ok();
                prop_assert_eq!(read, !providers.is_empty());
            }
        }

        #[test]
        fn sums_of_lists_hold_what_the_lists_hold(lists in prop::collection::vec(any::<(u32, u32)>(), 1..8), asked in any::<u32>()) {
            let mut providers = Providers::default();
            for (network, prefix) in &lists {
                let text = format!("{}/{}", std::net::Ipv4Addr::from(*network), prefix % 33);
                providers.add_text("x", &text).unwrap();
            }
            let holds = lists.iter().any(|(network, prefix)| {
                let mask = u32::MAX.checked_shl(32 - prefix % 33).unwrap_or(0);
                network & mask == asked & mask
            });
            let asked = IpAddr::from(std::net::Ipv4Addr::from(asked));
            prop_assert_eq!(providers.all().contains(asked), holds);
            let expected = (holds && may_be_a_provider(asked)).then_some("x");
            prop_assert_eq!(providers.of(asked), expected);
        }
    }
}
