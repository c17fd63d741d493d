//! Who sent a request, as the rules see it: the walk, its answer, and what is known of that address.

use std::net::IpAddr;

use crate::geo::{GeoCache, Place, Trust, Verdict, walk_steps};
use crate::rule::Walk;

/// One walk with its answer.
pub(super) struct Client {
    /// Each hop as it stood in the line, from the right.
    pub(super) steps: Vec<(Vec<u8>, Verdict)>,
    /// The header that named the client, when one was believed; the hops then only led to it.
    pub(super) told_by: Option<&'static str>,
    /// `None` when the walk ended without an address.
    pub(super) answer: Option<IpAddr>,
    /// The CDN in whose published ranges the answer lies: then it is no visitor, but a proxy that
    /// nobody was told to trust.
    pub(super) in_range_of: Option<String>,
    /// What the databases know of the answer.
    pub(super) places: Vec<(Place, Vec<u8>)>,
}

impl Client {
    pub(super) fn of(walk: &Walk, trusted: &Trust, geo: &mut GeoCache) -> Client {
        let sources: Vec<Option<&[u8]>> = walk.sources.iter().map(Option::as_deref).collect();
        let steps = walk_steps(&sources, &trusted.proxies).into_iter();
        let mut places = Vec::new();
        if let Some(address) = walk.answer {
            for place in Place::ALL {
                if let Some(text) = geo.answer(address, place) {
                    places.push((place, text.to_vec()));
                }
            }
        }
        Client {
            steps: steps
                .map(|step| (step.text.to_vec(), step.verdict))
                .collect(),
            answer: walk.answer,
            told_by: walk.told_by,
            in_range_of: walk
                .answer
                .and_then(|address| trusted.providers.of(address))
                .map(str::to_owned),
            places,
        }
    }
}
