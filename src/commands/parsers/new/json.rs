//! JSON lines as paths: which key holds which field, by the key's name and its values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::columns::{Class, class};
use super::draft::{Draft, Format};
use super::names::{TIMES, field_name, normal, unit, well_known};

/// Most fields that a proposal names beside the well-known ones.
const MOST_UNKNOWN: usize = 40;

/// How deep objects in objects are followed.
const DEEPEST: usize = 5;

/// Values of each path, as texts.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) values: BTreeMap<Vec<String>, Vec<String>>,
    /// Objects whose keys are headers, and whether each header is a list.
    headers: BTreeMap<Vec<String>, bool>,
}

/// The layout of lines of which most are JSON objects.
pub(super) fn draft(lines: &[&[u8]]) -> Option<Draft> {
    let mut keys = Keys::default();
    let mut objects = 0;
    for line in lines {
        if let Ok(Value::Object(object)) = serde_json::from_slice(line) {
            objects += 1;
            for (key, value) in &object {
                keys.add(vec![key.clone()], value);
            }
        }
    }
    (objects * 2 > lines.len()).then(|| keys.draft(objects, None))?
}

/// The layout of records of keys and texts, as if each were an object.
pub(super) fn of_pairs(records: &[Vec<(String, String)>]) -> Option<Draft> {
    let mut keys = Keys::default();
    for (key, text) in records.iter().flatten() {
        let values = keys.values.entry(vec![key.clone()]);
        values.or_default().push(text.clone());
    }
    keys.draft(records.len(), None)
}

impl Keys {
    fn add(&mut self, path: Vec<String>, value: &Value) {
        let text = match value {
            Value::Object(object) if is_headers(&path) => {
                let lists = object.values().any(Value::is_array);
                *self.headers.entry(path).or_default() |= lists;
                return;
            }
            Value::Object(_) if is_asked(&path) => return,
            Value::Object(object) => {
                for (key, value) in object.iter().filter(|_| path.len() < DEEPEST) {
                    let mut inner = path.clone();
                    inner.push(key.clone());
                    self.add(inner, value);
                }
                return;
            }
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return,
        };
        self.values.entry(path).or_default().push(text);
    }

    /// The fields that these keys hold. Where no key holds the time, `search` finds it: a pattern, and
    /// how what it finds is written.
    pub(super) fn draft(&self, objects: usize, search: Option<(&str, &str)>) -> Option<Draft> {
        let classes: BTreeMap<&Vec<String>, Class> = self
            .values
            .iter()
            .map(|(path, values)| {
                let bytes: Vec<&[u8]> = values.iter().map(String::as_bytes).collect();
                (path, class(&bytes))
            })
            .collect();
        let time = time(&classes);
        let mut fields = Vec::new();
        if let Some((path, _)) = &time {
            fields.push(("time".to_owned(), joined(path)?));
        }
        let mut units = Vec::new();
        let mut used: BTreeSet<String> = BTreeSet::from(["time".to_owned()]);
        let mut taken: BTreeSet<&Vec<String>> = time.iter().map(|(path, _)| *path).collect();
        // A key at the top before one of the same meaning further down.
        let mut order: Vec<(&Vec<String>, &Class)> = classes.iter().map(|(p, c)| (*p, c)).collect();
        order.sort_by_key(|(path, _)| (path.len(), rank(path)));
        for &(path, class) in &order {
            let last = path.last().map_or("", String::as_str);
            let own = (!is_of_another(path)).then(|| well_known(last, class));
            let known = well_known(&path.join("_"), class).or(own.flatten());
            let (Some(name), Some(text)) = (known, joined(path)) else {
                continue;
            };
            if !taken.contains(path) && used.insert(name.to_owned()) {
                taken.insert(path);
                if matches!(name, "request_time" | "upstream_response_time")
                    && let Some(unit) = unit(&path.join("_"))
                {
                    units.push((name.to_owned(), unit));
                }
                fields.push((name.to_owned(), text));
            }
        }
        let unknown = order.iter().filter(|(path, _)| !taken.contains(path));
        for (path, _) in unknown.take(MOST_UNKNOWN) {
            if let (Some(name), Some(text)) = (field_name(&path.join("_")), joined(path))
                && used.insert(name.clone())
            {
                fields.push((name, text));
            }
        }
        fields.extend(self.families());
        let require = self.required(&fields, objects);
        let (time_field, time_format, time_search) = match (time, search) {
            (Some((_, format)), _) => (Some("time".to_owned()), format, None),
            (None, Some((pattern, format))) => (None, format.to_owned(), Some(pattern.to_owned())),
            (None, None) => return None,
        };
        Some(Draft {
            time_field,
            time_format: Some(time_format),
            time_search,
            units,
            require,
            ..Draft::of(Format::Json(fields))
        })
    }

    fn families(&self) -> Vec<(String, String)> {
        let mut families: Vec<(String, String)> = Vec::new();
        for (path, lists) in &self.headers {
            let Some(text) = joined(path) else { continue };
            let response = path
                .last()
                .is_some_and(|key| normal(key).starts_with("resp"));
            let name = if response { "sent_http_*" } else { "http_*" };
            if families.iter().all(|(known, _)| known != name) {
                let first = if *lists { ".0" } else { "" };
                families.push((name.to_owned(), format!("{text}.*{first}")));
            }
        }
        families
    }

    /// The status, or else the request, when every object has it: what tells such a line from others.
    fn required(&self, fields: &[(String, String)], objects: usize) -> Vec<String> {
        let everywhere = |name: &&str| {
            let path = fields
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, path)| path);
            let mut values = self.values.iter();
            let values = values.find(|(known, _)| joined(known).as_ref() == path);
            values.is_some_and(|(_, values)| {
                let present = values.iter().filter(|v| !matches!(v.as_str(), "" | "-"));
                present.count() == objects
            })
        };
        let names = ["status", "request_uri", "request", "remote_addr"];
        let name = names.iter().find(|name| everywhere(name));
        name.map(|name| (*name).to_owned()).into_iter().collect()
    }
}

/// Times by name before others, so that `ts` is not taken for a number.
fn time<'k>(classes: &BTreeMap<&'k Vec<String>, Class>) -> Option<(&'k Vec<String>, String)> {
    let format = |class: &Class| match class {
        Class::Clf => Some("clf".to_owned()),
        Class::Iso => Some("rfc3339".to_owned()),
        Class::Epoch => Some("epoch".to_owned()),
        Class::Time(format) => Some((*format).to_owned()),
        _ => None,
    };
    let mut found: Vec<(usize, &Vec<String>, String)> = classes
        .iter()
        .filter_map(|(path, class)| {
            let last = path.last()?.to_lowercase();
            let rank = TIMES.iter().position(|name| *name == last);
            Some((rank.unwrap_or(TIMES.len()), *path, format(class)?))
        })
        .collect();
    found.sort_by_key(|(rank, path, _)| (path.len(), *rank));
    let (_, path, format) = found.into_iter().next()?;
    Some((path, format))
}

/// Of keys that mean the same, the order in which they are taken: names that say more first.
fn rank(path: &[String]) -> usize {
    let last = path.last().map(|key| normal(key)).unwrap_or_default();
    match last.as_str() {
        "client_host" | "remote_ip" | "remote_addr" | "original_url" => 0,
        "client" | "remote" | "host" | "path" | "code" => 2,
        _ => 1,
    }
}

fn is_headers(path: &[String]) -> bool {
    let names = [
        "headers",
        "request_headers",
        "req_headers",
        "resp_headers",
        "response_headers",
        "header",
    ];
    path.last()
        .is_some_and(|key| names.contains(&normal(key).as_str()))
}

/// An object of what the client sent as parameters: its keys are the client's.
fn is_asked(path: &[String]) -> bool {
    let names = [
        "query",
        "querystring",
        "query_string",
        "params",
        "cookies",
        "body",
    ];
    path.last()
        .is_some_and(|key| names.contains(&normal(key).as_str()))
}

/// True below an object that tells of the server that was asked, not of the request.
fn is_of_another(path: &[String]) -> bool {
    let names = [
        "service", "upstream", "backend", "route", "origin", "tries", "tls",
    ];
    let outer = path.split_last().map_or(path, |(_, outer)| outer);
    outer
        .iter()
        .any(|key| names.contains(&normal(key).as_str()))
}

/// The path as the layout takes it; `None` for keys that cannot be written plainly.
fn joined(path: &[String]) -> Option<String> {
    let plain = |key: &String| {
        let letters = key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-@. ".contains(c));
        letters && !key.is_empty() && key.len() <= 80
    };
    if !path.iter().all(plain) {
        return None;
    }
    let steps: Vec<String> = path.iter().map(|key| key.replace('.', "\\.")).collect();
    Some(steps.join("."))
}
