//! Bytes that a line must hold for a rule to take it.
//!
//! `path="/pixel.gif"` can only be true of a line that holds these bytes, provided that the format
//! never writes one of them escaped. Where that is proven, searching is enough to tell most lines
//! apart: whole blocks when nothing but such rules is wanted ([`common`]), else the one field
//! ([`Gate`]).

use std::collections::HashMap;

use memchr::memmem::Finder;

use super::matcher::Test;
use super::value::Line;
use super::variables::{VarId, Variable};
use super::{Group, Matcher};

/// Literals shorter than this are found too often to be worth a search.
const SHORTEST: usize = 4;

/// What a field must hold for a group of rules to take the record, or to nearly take it.
#[derive(Debug)]
pub(super) struct Gate {
    slot: usize,
    finder: Finder<'static>,
}

impl Gate {
    /// The group's longest literal.
    pub(super) fn of(group: &Group, variables: &[Variable]) -> Option<Gate> {
        let literals = literals(group, variables).into_iter();
        let longest = literals
            .filter(long)
            .max_by_key(|(literal, _)| literal.len());
        let (literal, slot) = longest?;
        let finder = Finder::new(literal).into_owned();
        Some(Gate { slot, finder })
    }

    /// False when the group cannot take the record.
    #[inline]
    pub(super) fn may_pass(&self, line: Line<'_>) -> bool {
        line.raw(self.slot)
            .is_some_and(|raw| self.finder.find(raw).is_some())
    }
}

/// The longest literal that the records of every group hold.
pub(super) fn common(groups: &[Group], variables: &[Variable]) -> Option<Vec<u8>> {
    let mut all = groups.iter().map(|group| literals(group, variables));
    let first = all.next()?;
    let shared = all.fold(first, |mut shared, literals| {
        shared.retain(|literal, _| literals.contains_key(literal));
        shared
    });
    let longest = shared
        .into_iter()
        .filter(long)
        .max_by_key(|(l, _)| (l.len(), l.to_vec()));
    longest.map(|(literal, _)| literal.to_vec())
}

fn long((literal, _): &(&[u8], usize)) -> bool {
    literal.len() >= SHORTEST
}

/// Literals that every record of a group holds, near misses included, and the spans they stand in.
fn literals<'g>(group: &'g Group, variables: &[Variable]) -> HashMap<&'g [u8], usize> {
    let mut literals = literals_of(&group.matchers, variables);
    for near in &group.near {
        let others = literals_of(&near.matchers, variables);
        literals.retain(|literal, slot| others.get(literal) == Some(slot));
    }
    literals
}

fn literals_of<'m>(matchers: &'m [Matcher], variables: &[Variable]) -> HashMap<&'m [u8], usize> {
    let literal = |matcher: &'m Matcher| match &matcher.test {
        Test::Is(value) => {
            let slot = written_in(value, matcher.variable, variables)?;
            Some((value.as_slice(), slot))
        }
        _ => None,
    };
    matchers.iter().filter_map(literal).collect()
}

/// The span in which a value of this entry that equals `value` stands byte for byte.
fn written_in(value: &[u8], id: VarId, variables: &[Variable]) -> Option<usize> {
    match variables.get(id)? {
        // No line holds a line end: a search for it would find it between two lines.
        Variable::Field(slot, kind) if kind.shift == 0 => {
            let raw = |&byte: &u8| byte != b'\n' && !kind.escape.may_write_escaped(byte);
            value.iter().all(raw).then_some(*slot)
        }
        Variable::Path(of)
        | Variable::Target(of)
        | Variable::Method(of)
        | Variable::Protocol(of)
        | Variable::Query(of) => written_in(value, *of, variables),
        _ => None,
    }
}
