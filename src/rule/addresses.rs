//! Values that come from addresses: the client of a request, its place, and whose an address is.

use std::net::IpAddr;

use super::value::{Line, State, Value, plain, scratch_value};
use super::variables::{Sources, VarId};
use crate::geo::{ClientHeader, client, parse_address};

impl State {
    #[inline]
    pub(super) fn client(&mut self, line: Line<'_>, id: VarId, sources: &Sources) -> Value {
        let told = self.told(line, sources).map(|(_, address)| address);
        let found = told.or_else(|| self.walked(line, &sources.lists));
        match (found, self.addresses.get_mut(id), u32::try_from(id)) {
            (Some(address), Some(place), Ok(id)) => {
                *place = address;
                Value::Address(id)
            }
            _ => Value::Absent,
        }
    }

    /// The client as the header names it that is nearest to the peer and believed: all hops behind it
    /// were passed, up to a proxy of ours or a provider's edge.
    pub(super) fn told(
        &mut self,
        line: Line<'_>,
        sources: &Sources,
    ) -> Option<(ClientHeader, IpAddr)> {
        for source in sources.headers.iter().rev() {
            let value = self.value(line, source.id);
            if self.text(line, value).is_empty() {
                continue;
            }
            // Without proxies of ours no list is to be believed, only who it was that asked.
            let behind = match self.environment.trusted.proxies.is_empty() {
                true => sources.lists.last().map(std::slice::from_ref),
                false => sources.lists.get(source.behind..),
            };
            let Some(hop) = self.walked(line, behind.unwrap_or_default()) else {
                continue;
            };
            let text = plain(line, &self.scratch, value).unwrap_or_default();
            if let Some(client) = source.header.client(text, hop, &self.environment.trusted) {
                return Some((source.header, client));
            }
        }
        None
    }

    /// Where the walk over lists of hops ends.
    #[inline]
    fn walked(&mut self, line: Line<'_>, sources: &[VarId]) -> Option<IpAddr> {
        let mut values = [Value::Absent; 8];
        for (value, id) in values.iter_mut().zip(sources) {
            *value = self.value(line, *id);
        }
        let mut texts: [Option<&[u8]>; 8] = [None; 8];
        for (text, value) in texts.iter_mut().zip(values) {
            *text = plain(line, &self.scratch, value).filter(|text| !text.is_empty());
        }
        let texts = texts.get(..sources.len()).unwrap_or_default();
        client(texts, &self.environment.trusted.proxies)
    }

    /// The address that a value is.
    #[inline]
    fn address(&mut self, line: Line<'_>, id: VarId) -> Option<IpAddr> {
        match self.value(line, id) {
            Value::Address(id) => self.addresses.get(id as usize).copied(),
            value => parse_address(self.text(line, value)),
        }
    }

    pub(super) fn provider(
        &mut self,
        line: Line<'_>,
        of: VarId,
        other_than: Option<VarId>,
        none: Option<&str>,
    ) -> Value {
        if self.environment.trusted.providers.is_empty() {
            return Value::Absent;
        }
        let claim = other_than.map(|claim| self.value(line, claim));
        let claim = claim.map(|claim| self.buffered(claim));
        if claim.is_some_and(|claim| self.text(line, claim).is_empty()) {
            return Value::Absent;
        }
        let Some(address) = self.address(line, of) else {
            return Value::Absent;
        };
        let trusted = &self.environment.trusted;
        let claim = claim.and_then(|claim| plain(line, &self.scratch, claim));
        let found = match claim {
            Some(claim) => trusted.contradiction(address, claim, none),
            None => trusted.provider_of(address, none),
        };
        let start = self.scratch.len();
        let name = found.unwrap_or_default().as_bytes();
        self.scratch.extend_from_slice(name);
        scratch_value(start, self.scratch.len())
    }

    #[inline]
    pub(super) fn place(
        &mut self,
        line: Line<'_>,
        place: crate::geo::Place,
        of: VarId,
        empty: &str,
    ) -> Value {
        let address = self.address(line, of);
        let start = self.scratch.len();
        match address.and_then(|address| self.geo.answer(address, place)) {
            Some(answer) => self.scratch.extend_from_slice(answer),
            None => self.scratch.extend_from_slice(empty.as_bytes()),
        }
        scratch_value(start, self.scratch.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Environment;
    use super::super::made::{Asked, Columns, compile, counted_with, mistakes};
    use crate::geo::{AddressSet, Providers, Trust};

    const RANGES: [(&str, &str); 3] = [
        ("fastly", "151.101.0.0/16"),
        ("cloudflare", "104.16.0.0/13"),
        ("akamai", "23.32.0.0/11"),
    ];

    fn environment(ranges: &[(&str, &str)], proxies: &[&str]) -> Environment {
        let mut providers = Providers::default();
        for (name, networks) in ranges {
            providers.add_text(name, networks).unwrap();
        }
        let proxies = AddressSet::parse(proxies.iter().copied()).unwrap();
        Environment {
            trusted: Arc::new(Trust { proxies, providers }),
            ..Environment::default()
        }
    }

    /// The series that one line feeds, with what is in the braces.
    fn fed(
        rules: &str,
        columns: &[&'static str],
        environment: Environment,
        line: &str,
    ) -> Vec<String> {
        let format = Columns::plain(columns);
        let made = compile(&[("made", rules)], &format, &Asked::default());
        let (rules, metrics) = made
            .unwrap_or_else(|mistakes| panic!("{}", crate::diagnostic::render(&mistakes, false)));
        let (amounts, errors) =
            counted_with(Arc::new(rules), &metrics, &format, environment, &[line]);
        assert_eq!(errors, 0);
        amounts.into_keys().collect()
    }

    fn client(sources: &str, environment: Environment, line: &str) -> String {
        let rules = format!(
            "[fields]\nclient = {{ client_addr = [{sources}] }}\n\
             [[metric]]\nname = 'n_total'\nhelp = 'n'\nlabels = ['client']\n"
        );
        let columns = [
            "http_cf_connecting_ip",
            "http_x_forwarded_for",
            "remote_addr",
        ];
        fed(&rules, &columns, environment, line).join(" ")
    }

    const BOTH: &str = "'http_cf_connecting_ip', 'http_x_forwarded_for', 'remote_addr'";
    const HEADER: &str = "'http_cf_connecting_ip', 'remote_addr'";

    #[test]
    fn a_client_header_is_believed_from_known_peers_only() {
        let cases = [
            // Nobody is known: the header is passed over.
            (
                HEADER,
                &[][..],
                &[][..],
                "1.1.1.1||104.16.0.9",
                "104.16.0.9",
            ),
            (BOTH, &[], &[], "1.1.1.1|2.2.2.2|104.16.0.9", "2.2.2.2"),
            // Cloudflare's edge says so itself.
            (HEADER, &RANGES, &[], "1.1.1.1||104.16.0.9", "1.1.1.1"),
            (BOTH, &RANGES, &[], "1.1.1.1|2.2.2.2|104.16.0.9", "1.1.1.1"),
            // Fastly's edge hands on what the visitor wrote, and so does anybody else.
            (HEADER, &RANGES, &[], "1.1.1.1||151.101.0.9", "151.101.0.9"),
            (HEADER, &RANGES, &["private"], "1.1.1.1||9.9.9.9", "9.9.9.9"),
            // A proxy of ours hands on what it got.
            (HEADER, &[], &["private"], "1.1.1.1||10.0.0.1", "1.1.1.1"),
            // A list between them shows who asked our proxy: cloudflare's edge, or a visitor.
            (
                BOTH,
                &RANGES,
                &["private"],
                "1.1.1.1|8.8.8.8, 104.16.0.9|10.0.0.1",
                "1.1.1.1",
            ),
            (
                BOTH,
                &RANGES,
                &["private"],
                "1.1.1.1|8.8.8.8|10.0.0.1",
                "8.8.8.8",
            ),
            // What is no address names nobody, and the walk goes its way.
            (HEADER, &RANGES, &[], "me||104.16.0.9", "104.16.0.9"),
            (HEADER, &RANGES, &[], "-||104.16.0.9", "104.16.0.9"),
        ];
        for (sources, ranges, proxies, line, expected) in cases {
            let found = client(sources, environment(ranges, proxies), line);
            assert_eq!(found, format!("n_total{{{expected}}}"), "{sources} {line}");
        }
    }

    #[test]
    fn a_client_header_without_a_peer_is_a_mistake() {
        let rules = "[fields]\nc = { client_addr = ['http_true_client_ip'] }\n";
        let shown = mistakes(&[("made", rules)], &Columns::plain(&["remote_addr"]));
        assert!(
            shown.starts_with("error: `http_true_client_ip` has no peer behind it"),
            "{shown}"
        );
        assert!(shown.contains("put \"remote_addr\" last"), "{shown}");
    }

    const CONFLICTS: &str = "[fields]
        claim = { from = 'claimed', lowercase = true }
        peer = { provider_of = 'remote_addr' }
        provider = { from = ['claim', 'peer'], empty = 'direct' }
        seen = { provider_of = 'remote_addr', other_than = 'claim', none = 'none' }
        [[metric]]
        name = 'n_total'
        help = 'n'
        labels = ['provider']
        [[metric]]
        name = 'wrong_total'
        help = 'w'
        match = 'seen!=\"\"'
        labels = ['seen']";

    #[test]
    fn the_address_names_a_provider_where_nothing_else_does_and_contradicts_where_it_does() {
        let known = &RANGES[..2];
        for (line, expected) in [
            ("-|151.101.1.1", &["n_total{fastly}"][..]),
            ("-|8.8.8.8", &["n_total{direct}"]),
            ("-|10.0.0.1", &["n_total{direct}"]),
            ("-|-", &["n_total{direct}"]),
            ("Fastly|151.101.1.1", &["n_total{fastly}"]),
            (
                "fastly|104.16.0.9",
                &["n_total{fastly}", "wrong_total{cloudflare}"],
            ),
            (
                "fastly|::ffff:104.16.0.9",
                &["n_total{fastly}", "wrong_total{cloudflare}"],
            ),
            ("fastly|8.8.8.8", &["n_total{fastly}", "wrong_total{none}"]),
            ("fastly|10.0.0.1", &["n_total{fastly}"]),
            ("fastly|somebody", &["n_total{fastly}"]),
            ("akamai|8.8.8.8", &["n_total{akamai}"]),
            (
                "akamai|104.16.0.9",
                &["n_total{akamai}", "wrong_total{cloudflare}"],
            ),
        ] {
            let columns = ["claimed", "remote_addr"];
            let found = fed(CONFLICTS, &columns, environment(known, &[]), line);
            assert_eq!(found, expected, "{line}");
            let found = fed(CONFLICTS, &columns, Environment::default(), line);
            assert_eq!(found.len(), 1, "{line}: {found:?}");
        }
        // A proxy of ours is nobody's edge: it can not contradict.
        let proxies = environment(known, &["8.8.8.8"]);
        let found = fed(
            CONFLICTS,
            &["claimed", "remote_addr"],
            proxies,
            "fastly|8.8.8.8",
        );
        assert_eq!(found, ["n_total{fastly}"]);
    }
}
