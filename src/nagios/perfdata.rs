//! Performance data: `'label'=value[UOM];[warn];[crit];[min];[max]`.

use std::fmt;

use super::Range;

/// One value for the graphs behind the monitoring system.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Perfdata {
    /// Any text; what the grammar does not allow is replaced.
    pub label: String,
    /// `None` is written as `U`: it could not be determined.
    pub value: Option<f64>,
    /// Unit of measurement: empty, `s`, `%`, `B`, `c`.
    pub unit: &'static str,
    /// Range of a warning.
    pub warning: Option<Range>,
    /// Range of a critical state.
    pub critical: Option<Range>,
    /// Least value possible.
    pub min: Option<f64>,
    /// Largest value possible.
    pub max: Option<f64>,
}
