//! A child format with its parent worked in.
//!
//! Invariant: what the child says wins; what it does not say is the parent's, but for description
//! and examples. Units, the keys of `[time]` and those of `csv` and `tsv` are merged one by one.

use super::load::{FormatFile, LayoutPart};
use super::pasted;
use super::written::Rewritten;
use super::{
    At, ColumnsDefinition, Dialect, FormatDefinition, LayoutDefinition, TimeDefinition, Unit,
};
use crate::diagnostic::Diagnostic;

/// The definition of `file`; `Err(None)` when it has no layout, which loading has reported.
pub(super) fn extended(
    name: &str,
    file: &FormatFile,
    parent: Option<&FormatDefinition>,
) -> Result<FormatDefinition, Option<Diagnostic>> {
    Ok(FormatDefinition {
        name: name.to_owned(),
        description: file.description.clone(),
        layout: layout(file, parent)?,
        time: time(&file.time, parent.map(|parent| &parent.time)),
        units: units(file, parent),
        constants: merged(&file.constants, parent.map(|parent| &parent.constants)),
        require: or_parents(&file.require, parent.map(|parent| &parent.require)),
        rules: or_parents(&file.rules, parent.map(|parent| &parent.rules)),
        detect: file
            .detect
            .unwrap_or(parent.and_then(|parent| parent.detect)),
        examples: file.examples.clone(),
    })
}

/// Units of the parent's are left out for fields that columns of the child's own do not have.
fn units(file: &FormatFile, parent: Option<&FormatDefinition>) -> Vec<(At<String>, At<Unit>)> {
    let all = merged(&file.units, parent.map(|parent| &parent.units));
    let own = file.layout.as_ref().and_then(|layout| match &layout.value {
        LayoutPart::Whole(LayoutDefinition::Columns(columns)) => columns.columns.as_ref(),
        _ => None,
    });
    let Some(own) = own else { return all };
    let is_own = |field: &str| file.units.iter().any(|(name, _)| name.value == field);
    let fields = own.iter().flat_map(|name| name.value.split(['/', ':']));
    all.into_iter()
        .filter(|(name, _)| is_own(&name.value) || fields.clone().any(|field| field == name.value))
        .collect()
}

fn or_parents(own: &Option<Vec<At<String>>>, parents: Option<&Vec<At<String>>>) -> Vec<At<String>> {
    own.as_ref().or(parents).cloned().unwrap_or_default()
}

fn layout(
    file: &FormatFile,
    parent: Option<&FormatDefinition>,
) -> Result<At<LayoutDefinition>, Option<Diagnostic>> {
    let parents = parent.map(|parent| &parent.layout);
    let Some(own) = &file.layout else {
        return parents.cloned().ok_or(None);
    };
    let value = match &own.value {
        LayoutPart::Whole(layout) => with_parents(layout, parents.map(|parent| &parent.value)),
        LayoutPart::Append(text) => appended(own, text, parents.ok_or(None)?)?,
    };
    Ok(At {
        value,
        place: own.place.clone(),
    })
}

/// A layout of columns with what its parent says of the same kind of columns.
fn with_parents(own: &LayoutDefinition, parent: Option<&LayoutDefinition>) -> LayoutDefinition {
    let (LayoutDefinition::Columns(own), Some(LayoutDefinition::Columns(parent))) = (own, parent)
    else {
        return own.clone();
    };
    if own.tabs != parent.tabs {
        return LayoutDefinition::Columns(own.clone());
    }
    LayoutDefinition::Columns(Box::new(ColumnsDefinition {
        tabs: own.tabs,
        columns: own.columns.clone().or(parent.columns.clone()),
        fields: own.fields.clone().or(parent.fields.clone()),
        separator: own.separator.or(parent.separator),
        quote: own.quote.or(parent.quote),
        repeat: own.repeat.or(parent.repeat),
        header: own.header.or(parent.header),
        optional: own.optional.or(parent.optional),
        absent: own.absent.clone().or(parent.absent.clone()),
        escape: own.escape.or(parent.escape),
    }))
}

fn appended(
    own: &At<LayoutPart>,
    text: &At<String>,
    parent: &At<LayoutDefinition>,
) -> Result<LayoutDefinition, Diagnostic> {
    match &parent.value {
        LayoutDefinition::Server {
            dialect,
            text: before,
        } => {
            let text = match dialect {
                Dialect::Apache | Dialect::Varnishncsa => pasted::apache(text.clone())?,
                _ => text.clone(),
            };
            Ok(LayoutDefinition::Server {
                dialect: *dialect,
                text: joined(before, &text),
            })
        }
        _ => {
            let error = own
                .place
                .error("`append` adds to a server's format string only", "");
            Err(error.note(&parent.place, "the parent's layout is here"))
        }
    }
}

fn joined(before: &At<String>, text: &At<String>) -> At<String> {
    let mut whole = Rewritten::default();
    whole.copy(before, 0..before.value.len());
    whole.copy(text, 0..text.value.len());
    whole.finish(&text.place)
}

fn time(own: &TimeDefinition, parent: Option<&TimeDefinition>) -> TimeDefinition {
    let Some(parent) = parent else {
        return own.clone();
    };
    TimeDefinition {
        field: own.field.clone().or(parent.field.clone()),
        format: own.format.clone().or(parent.format.clone()),
        date: own.date.clone().or(parent.date.clone()),
        search: own.search.clone().or(parent.search.clone()),
    }
}

fn merged<T: Clone>(
    own: &[(At<String>, At<T>)],
    parents: Option<&Vec<(At<String>, At<T>)>>,
) -> Vec<(At<String>, At<T>)> {
    let is_own = |field: &str| own.iter().any(|(name, _)| name.value == field);
    let inherited = parents.into_iter().flatten();
    let inherited = inherited.filter(|(name, _)| !is_own(&name.value));
    inherited.chain(own).cloned().collect()
}
