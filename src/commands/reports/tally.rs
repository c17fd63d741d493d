//! What is refused and ignored, said once while it lasts.
//!
//! Anybody can post, so anything that is said for each post is a way to fill the journal. A reason is
//! said when it appears, and once more, with how many there were, when there was none for a while.

use std::collections::BTreeMap;
use std::time::Duration;

/// How long there must be none for it to be over.
const QUIET: Duration = Duration::from_secs(60);

/// Reasons told apart at a time; names of kinds are anybody's.
const REASONS: usize = 16;

/// Why reports were not written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// More than a network, or all together, may send.
    TooOften,
    /// About hosts that are not ours, or posted by pages that are not.
    Foreign,
    /// Not what a report is.
    Malformed,
    /// Of another kind, by name.
    Ignored(String),
}

impl Reason {
    /// As the beginning of a sentence.
    fn text(&self) -> String {
        match self {
            Reason::TooOften => {
                "reports over --max-rate or --max-total-rate are refused".to_owned()
            }
            Reason::Foreign => {
                "reports about hosts beside --allow-origin-host are refused".to_owned()
            }
            Reason::Malformed => "what is no report is refused".to_owned(),
            Reason::Ignored(kind) => format!("reports of type {kind} are ignored"),
        }
    }
}

/// What goes on at the moment.
#[derive(Debug, Default)]
pub(super) struct Tally {
    lasting: BTreeMap<Reason, (u64, Duration)>,
}

impl Tally {
    /// Counts; the sentence to say when this is new.
    pub(super) fn add(&mut self, reason: Reason, count: u32, now: Duration) -> Option<String> {
        if count == 0 {
            return None;
        }
        let room = self.lasting.len() < REASONS || self.lasting.contains_key(&reason);
        let reason = match reason {
            Reason::Ignored(_) if !room => Reason::Ignored("other".to_owned()),
            reason => reason,
        };
        let new = !self.lasting.contains_key(&reason);
        let said = new.then(|| reason.text());
        let (counted, last) = self.lasting.entry(reason).or_default();
        *counted += u64::from(count);
        *last = now;
        said
    }

    /// Sentences on what is over; at the end of the process on everything.
    pub(super) fn over(&mut self, now: Duration, end: bool) -> Vec<String> {
        let mut said = Vec::new();
        self.lasting.retain(|reason, (count, last)| {
            let over = end || now.saturating_sub(*last) >= QUIET;
            if over {
                said.push(format!("{}: {count} in all", reason.text()));
            }
            !over
        });
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_said_when_it_begins_and_when_it_is_over() {
        let at = Duration::from_secs;
        let mut tally = Tally::default();
        assert_eq!(tally.add(Reason::Foreign, 0, at(0)), None);
        assert!(tally.add(Reason::Foreign, 2, at(0)).is_some());
        assert_eq!(tally.add(Reason::Foreign, 3, at(50)), None);
        assert!(
            tally
                .add(Reason::Ignored("csp-violation".to_owned()), 1, at(50))
                .is_some()
        );
        assert!(tally.over(at(109), false).is_empty());
        let said = tally.over(at(110), false);
        assert_eq!(said.len(), 2);
        assert!(
            said[0].ends_with("5 in all") && said[1].contains("csp-violation"),
            "{said:?}"
        );
        assert!(tally.add(Reason::Foreign, 1, at(200)).is_some());
        assert_eq!(tally.over(at(200), true).len(), 1);
    }
}
