//! What the status page is made of: the store's answers to everything that it shows, and what is known
//! of the process.

use std::path::Path;

use crate::config::Config;
use crate::http::status::{Counted, wanted};
use crate::store::{Snapshot, StoreError};

use super::clock::{Clock as _, SystemClock};

/// What the page says of the process and its configuration, as they were at the start.
pub(in crate::commands) struct About {
    pub(in crate::commands) host: String,
    /// Unix seconds.
    pub(in crate::commands) started: i64,
    pub(in crate::commands) lateness: i64,
    pub(in crate::commands) unparsed_share: f64,
    pub(in crate::commands) max_bytes: u64,
}

impl About {
    /// Of a process that begins now.
    pub(in crate::commands) fn new(config: &Config, host: String, clock: &SystemClock) -> About {
        About {
            host,
            started: clock.wall_ms().div_euclid(1000),
            lateness: i64::try_from(config.agent.allowed_lateness.as_secs()).unwrap_or(i64::MAX),
            unparsed_share: config.agent.unparsed_share,
            max_bytes: config.store.max_bytes,
        }
    }
}

/// What the store says for the page. The snapshot goes with the answer.
pub(super) fn counted(store: &Path, now_ms: i64) -> Result<Counted, StoreError> {
    let snapshot = Snapshot::within(store)?;
    let status = snapshot.status(now_ms)?;
    let wanted = wanted(&status.metrics, now_ms.div_euclid(1000));
    let answers = wanted.into_iter().map(|wanted| {
        let answer = snapshot.series(&wanted.question, &|_, _| true)?;
        Ok((wanted.part, answer))
    });
    let answers = answers.collect::<Result<_, StoreError>>()?;
    Ok(Counted { status, answers })
}
