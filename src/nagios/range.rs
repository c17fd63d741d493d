//! Threshold ranges: `[@][START:][END]`.

/// A threshold range: an alarm is raised for values outside it, or inside with `@`.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// `None` is minus infinity (`~`).
    pub start: Option<f64>,
    /// `None` is infinity.
    pub end: Option<f64>,
    /// With `@`: alarm inside, ends included.
    pub inside: bool,
    /// As written.
    pub text: String,
}

/// Why a text is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RangeError(pub String);
