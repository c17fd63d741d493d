//! Rule sets, compiled for one format: which records feed which series, and by how much.
//!
//! [`Rules::compile`] turns names into numbers once; [`Evaluator`] then walks one record's rules
//! without looking anything up by name. Rules that ask for the same thing share it: equal matchers
//! are tested once a line, equal label lists name one series number, equal derived fields are
//! computed once.
//!
//! What it does not do: read lines (`parse`), keep counts (`metrics`), know minutes.

mod account;
mod addresses;
mod compile;
mod digest;
mod evaluate;
mod literal;
#[cfg(test)]
mod made;
mod mapping;
pub mod matcher;
mod memo;
mod register;
mod request;
mod value;
mod variables;
mod vars;

use std::sync::Arc;

pub use account::{Listener, Verdict, Walk};
pub use digest::digest;
pub use evaluate::{Environment, Evaluator};
pub(crate) use register::near_name;
pub use register::{RuleSource, SERIES_LIMIT, register};
pub use value::Moment;
pub(crate) use variables::DERIVED_FIELDS;
pub use vars::Vars;

use crate::metrics::{Decimal, TableLayout};
use matcher::Test;
use variables::{VarId, Variable};

/// The rules of one format, immutable and shared by all workers.
#[derive(Debug)]
pub struct Rules {
    variables: Vec<Variable>,
    groups: Vec<Group>,
    /// Label lists; the same numbers as the sets of `layout`.
    sets: Vec<Vec<Label>>,
    /// Labelling entries, by dictionary number.
    labelling: Vec<Labelling>,
    /// How the counting table must be laid out.
    pub layout: Arc<TableLayout>,
    /// Fields to read from each line, in span order.
    pub wanted: Vec<String>,
    /// Bytes that every line holds which a rule can take, when that is proven.
    pub literal: Option<Vec<u8>>,
}

/// A label of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    /// The value of dictionary number n's entry.
    Field(usize),
    /// The matcher that failed, in dictionary number n.
    Reason(usize),
}

/// Metrics that take the same records.
#[derive(Debug)]
struct Group {
    /// Rule set's name, for people.
    rules: String,
    matchers: Vec<Matcher>,
    /// Tells most records apart before the matchers are asked.
    gate: Option<literal::Gate>,
    /// Sorted by set.
    tallies: Vec<Tally>,
    /// What nearly counts, for each metric that wants to know.
    near: Vec<Near>,
}

#[derive(Debug)]
struct Matcher {
    variable: VarId,
    test: Test,
    text: String,
}

/// Records that should have matched.
#[derive(Debug)]
struct Near {
    matchers: Vec<Matcher>,
    set: usize,
    offset: usize,
}

/// What a matching record adds to one metric.
#[derive(Debug)]
struct Tally {
    set: usize,
    offset: usize,
    metric: usize,
    amount: Amount,
}

#[derive(Debug)]
enum Amount {
    /// One.
    Line,
    /// A field's number, times the weight.
    Sum {
        value: Option<Number>,
        weight: Option<Factor>,
    },
    /// The newest number.
    Last(Number),
    /// A number into buckets.
    Observe {
        value: Number,
        /// Upper bounds, as a word (the largest where they do not fit) and exact.
        bounds: Vec<(u64, Decimal)>,
    },
}

#[derive(Clone, Copy, Debug)]
struct Number {
    from: Input,
    shift: i32,
}

/// A value that gives a label, and what that value is made of: the same input gives the same
/// label, so inputs are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Labelling {
    variable: VarId,
    input: Input,
}

/// Where to look for an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// As it stands in the line, in the span of this number: what is written names the value as
    /// well as what it means does.
    Written(usize),
    /// A value to be computed.
    Value(VarId),
}

impl Input {
    fn of(id: VarId, variable: Option<&Variable>) -> Input {
        match variable {
            Some(Variable::Field(slot, _)) => Input::Written(*slot),
            _ => Input::Value(id),
        }
    }
}

#[derive(Debug)]
enum Factor {
    Constant(Decimal),
    Field(Number),
}
