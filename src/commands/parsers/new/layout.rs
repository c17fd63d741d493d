//! Columns as the text of an nginx `log_format`: each gets the name that its place and values suggest,
//! or `field1`, `field2`, ….
//!
//! A guess is only a name: whether the text reads the log is tried afterwards, by the real reader.

use std::collections::{BTreeMap, HashMap};

use super::columns::{Class, Token, class, separator, tokens};
use super::draft::{Draft, Format};
use super::names::well_known;

/// Columns that a signature must have to be worth a try.
const FEWEST: usize = 3;

/// A column of the lines that a layout is for.
struct Column {
    before: Vec<u8>,
    close: &'static str,
    class: Class,
}

/// What the lines of one shape have between their values.
type Signature<'l> = Vec<(&'l [u8], &'static str)>;

/// Layouts that may read these lines, the likeliest first.
pub(super) fn drafts(lines: &[&[u8]]) -> Vec<Draft> {
    let separator = separator(lines);
    let split: Vec<Vec<Token<'_>>> = lines.iter().map(|line| tokens(line, separator)).collect();
    let mut shapes: HashMap<Signature<'_>, usize> = HashMap::new();
    for tokens in &split {
        let shape = tokens.iter().map(|t| (t.before, t.close)).collect();
        *shapes.entry(shape).or_default() += 1;
    }
    let mut shapes: Vec<(Signature<'_>, usize)> = shapes.into_iter().collect();
    shapes.sort_by(|a, b| (b.1, b.0.len()).cmp(&(a.1, a.0.len())).then(a.0.cmp(&b.0)));
    let Some((commonest, _)) = shapes.first() else {
        return Vec::new();
    };
    let mut candidates: Vec<Signature<'_>> = vec![shared(commonest, &split)];
    candidates.extend(shapes.iter().take(3).map(|(shape, _)| shape.clone()));
    candidates.retain(|shape| shape.len() >= FEWEST);
    candidates.dedup();
    let made = candidates.iter().filter_map(|shape| draft(shape, &split));
    made.collect()
}

/// The longest beginning of a shape that nearly all lines have.
fn shared<'l>(shape: &Signature<'l>, split: &[Vec<Token<'l>>]) -> Signature<'l> {
    let mut length = shape.len();
    while length > 0 {
        let beginning = shape.get(..length).unwrap_or_default();
        let has = split.iter().filter(|tokens| begins(tokens, beginning));
        if has.count() * 100 >= split.len() * 95 {
            break;
        }
        length -= 1;
    }
    shape.get(..length).unwrap_or_default().to_vec()
}

fn begins(tokens: &[Token<'_>], shape: &[(&[u8], &'static str)]) -> bool {
    let mut pairs = tokens.iter().zip(shape);
    tokens.len() >= shape.len() && pairs.all(|(t, s)| t.before == s.0 && t.close == s.1)
}

fn draft(shape: &Signature<'_>, split: &[Vec<Token<'_>>]) -> Option<Draft> {
    let columns = columns(shape, split);
    let lines = split.iter().filter(|tokens| begins(tokens, shape));
    let escaped =
        |t: &Token<'_>| t.close == "\"" && memchr::memmem::find(t.value, b"\\\"").is_some();
    let backslash = lines.into_iter().any(|line| line.iter().any(escaped));
    Names::new(&columns).draft(&columns, backslash)
}

/// The columns of the lines that begin with a shape, each with the class of its values.
fn columns(shape: &Signature<'_>, split: &[Vec<Token<'_>>]) -> Vec<Column> {
    let lines: Vec<&Vec<Token<'_>>> = split.iter().filter(|t| begins(t, shape)).collect();
    let column = |(number, (before, close)): (usize, &(&[u8], &'static str))| {
        let values = lines
            .iter()
            .filter_map(|line| Some(line.get(number)?.value));
        Column {
            before: before.to_vec(),
            close,
            class: class(&values.collect::<Vec<_>>()),
        }
    };
    shape.iter().enumerate().map(column).collect()
}

/// Names for columns that one character parts, and the draft's time and units; `None` when a column is
/// more than a value.
pub(super) fn named(classes: Vec<Class>, separator: u8) -> Option<(Vec<String>, Draft)> {
    let columns: Vec<Column> = classes
        .into_iter()
        .enumerate()
        .map(|(number, class)| Column {
            before: if number == 0 {
                Vec::new()
            } else {
                vec![separator]
            },
            close: "",
            class,
        })
        .collect();
    let mut draft = Names::new(&columns).draft(&columns, false)?;
    let Format::Nginx { text, .. } = &draft.format else {
        return None;
    };
    let names = text.split(char::from(separator)).map(|column| {
        let name = column.replace("${", "").replace('}', "");
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-');
        (!name.is_empty() && name.chars().all(plain)).then_some(name)
    });
    let names: Vec<String> = names.collect::<Option<_>>()?;
    if names.len() != columns.len() || draft.time_search.is_some() {
        return None;
    }
    for (field, format) in [
        ("time_local", "clf"),
        ("time_iso8601", "rfc3339"),
        ("msec", "epoch"),
    ] {
        if draft.time_field.is_none() && names.iter().any(|name| name == field) {
            draft.time_field = Some(field.to_owned());
            draft.time_format = Some(format.to_owned());
        }
    }
    Some((names, draft))
}

/// Text that stands behind a parent's layout, named: what `format.append` takes.
pub(super) fn appended(tails: &[&[u8]], used: &[String], apache: bool) -> Option<Draft> {
    let split: Vec<Vec<Token<'_>>> = tails.iter().map(|tail| tokens(tail, b' ')).collect();
    let longest = split.iter().max_by_key(|tokens| tokens.len())?;
    let shape: Signature<'_> = longest.iter().map(|t| (t.before, t.close)).collect();
    let shape = shared(&shape, &split);
    let columns = columns(&shape, &split);
    if columns.is_empty() {
        return None;
    }
    let mut names = Names::new(&columns);
    names.used.extend(used.iter().cloned());
    names.used.push("status".to_owned());
    names.is_tail = true;
    let mut draft = names.draft(&columns, false)?;
    if let Format::Nginx { text, .. } = &draft.format {
        let text = if apache {
            as_apache(text)?
        } else {
            text.clone()
        };
        draft.format = Format::Append(text);
    }
    if apache {
        draft.units.clear();
    }
    draft.require.clear();
    Some(draft)
}

/// nginx variables as Apache's directives; `None` where Apache has none of that name.
fn as_apache(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) = after.split_once('}')?;
        out.push_str(&before.replace('%', "%%"));
        let header = name.strip_prefix("http_")?;
        out.push_str(&format!("%{{{}}}i", header.replace('_', "-")));
        rest = tail;
    }
    out.push_str(&rest.replace('%', "%%"));
    Some(out)
}

/// Gives names, none of them twice.
struct Names {
    used: Vec<String>,
    numbered: usize,
    /// Position of the time and of the status, which tell what the columns around them are.
    time: Option<usize>,
    status: Option<usize>,
    is_tail: bool,
    /// The name that the column before this one got.
    last: Option<String>,
    units: BTreeMap<String, &'static str>,
}

impl Names {
    fn new(columns: &[Column]) -> Names {
        let is_time = |c: &Column| {
            matches!(
                c.class,
                Class::Clf | Class::Iso | Class::Epoch | Class::Time(_)
            )
        };
        Names {
            used: Vec::new(),
            numbered: 0,
            time: columns.iter().position(is_time),
            status: columns.iter().position(|c| c.class == Class::Status),
            is_tail: false,
            last: None,
            units: BTreeMap::new(),
        }
    }

    /// The first of these names that is free, else the next number.
    fn take(&mut self, candidates: &[&str]) -> String {
        let free = candidates
            .iter()
            .find(|name| !self.used.iter().any(|used| used == *name));
        let name = match free {
            Some(name) => (*name).to_owned(),
            None => {
                self.numbered += 1;
                format!("field{}", self.numbered)
            }
        };
        self.used.push(name.clone());
        self.last = Some(name.clone());
        name
    }

    fn draft(mut self, columns: &[Column], backslash: bool) -> Option<Draft> {
        let mut text = String::new();
        let mut time = (None, None, None);
        // nginx's time has no blank, which a column of its own may.
        let behind_is_bar = |number: usize| {
            let behind = columns.get(number + 1);
            behind.is_some_and(|column| !column.before.trim_ascii().is_empty())
        };
        for (number, column) in columns.iter().enumerate() {
            // A text of the format cannot hold a dollar, and is read as it stands.
            let before = std::str::from_utf8(&column.before).ok()?;
            if before.contains('$') || before.chars().any(|c| c.is_control() && c != '\t') {
                return None;
            }
            text.push_str(before);
            let is_time = self.time == Some(number);
            match &column.class {
                Class::Clf if is_time => text.push_str("${time_local}"),
                Class::Iso if is_time && column.close.is_empty() && !behind_is_bar(number) => {
                    text.push_str("${time_iso8601}");
                }
                Class::Epoch if is_time => text.push_str("${msec}"),
                Class::Iso if is_time => {
                    text.push_str("${time}");
                    time = (Some("time"), Some("rfc3339"), None);
                }
                Class::Time(format) if is_time => {
                    text.push_str("${time}");
                    time = (Some("time"), Some(*format), None);
                }
                _ => text.push_str(&self.column(columns, number)),
            }
            text.push_str(column.close);
        }
        if self.time.is_none() && !self.is_tail {
            time = (None, Some("rfc3339"), Some(search(columns)?));
        }
        let named = |name: &str| self.used.iter().any(|used| used == name);
        let require = if named("status") {
            vec!["status".to_owned()]
        } else {
            Vec::new()
        };
        Some(Draft {
            extends: None,
            format: Format::Nginx {
                text,
                escape: if backslash { Some("json") } else { None },
            },
            time_field: time.0.map(str::to_owned),
            time_format: time.1.map(str::to_owned),
            time_search: time.2,
            units: self.units.into_iter().collect(),
            require,
        })
    }

    /// What stands for one column: mostly one variable.
    fn column(&mut self, columns: &[Column], number: usize) -> String {
        let Some(column) = columns.get(number) else {
            return String::new();
        };
        let key = std::str::from_utf8(&column.before).unwrap_or_default();
        let key = key.trim_end_matches(['"', '[']).strip_suffix('=');
        if let Some(name) = key.and_then(|key| well_known(key.trim_start(), &column.class)) {
            let name = self.take(&[name]);
            return format!("${{{name}}}");
        }
        let before_time = self.time.is_some_and(|time| number < time);
        let to_time = self.time.and_then(|time| time.checked_sub(number));
        let behind_status = self.is_tail || self.status.is_some_and(|status| number > status);
        let quoted = column.close == "\"";
        let parting = column
            .before
            .trim_ascii_end()
            .last()
            .or(column.before.last());
        let parted = matches!(parting, Some(b'\t' | b',' | b';' | b'|'));
        let next = columns.get(number + 1).map(|column| &column.class);
        let candidates: &[&str] = match &column.class {
            Class::Address if before_time || !self.is_tail => {
                &["remote_addr", "realip_remote_addr"]
            }
            Class::Address => &["upstream_addr"],
            Class::AddressPort if !behind_status => {
                let (address, port) = (self.take(&["remote_addr"]), self.take(&["remote_port"]));
                return format!("${{{address}}}:${{{port}}}");
            }
            Class::AddressPort => &["upstream_addr"],
            Class::AddressList => &["http_x_forwarded_for"],
            Class::Request => &["request"],
            Class::Method => &["request_method"],
            Class::Protocol => &["server_protocol"],
            Class::Path if !behind_status => &["request_uri"],
            Class::Url if quoted => &["http_referer"],
            Class::Url if !behind_status => &["request_uri"],
            // Behind known fields a short number is as well a count.
            Class::Status if !self.is_tail && !matches!(next, Some(Class::Unit(_))) => {
                &["status", "upstream_status"]
            }
            Class::Integer | Class::Status | Class::Decimal
                if behind_status && matches!(next, Some(Class::Unit(_))) =>
            {
                &["request_time", "upstream_response_time"]
            }
            Class::Unit(unit) => {
                let is_time =
                    |n: &&String| matches!(n.as_str(), "request_time" | "upstream_response_time");
                if let Some(name) = self.last.as_ref().filter(is_time) {
                    self.units.insert(name.clone(), unit);
                }
                return (*unit).to_owned();
            }
            Class::Integer if behind_status && !self.is_tail => &["body_bytes_sent"],
            Class::Decimal if behind_status => &["request_time", "upstream_response_time"],
            Class::Suffixed(unit) if behind_status => {
                let name = self.take(&["request_time", "upstream_response_time"]);
                self.units.insert(name.clone(), unit);
                return format!("${{{name}}}{unit}");
            }
            Class::Agent if quoted || parted => &["http_user_agent"],
            Class::Host => &["host", "server_name"],
            Class::Scheme => &["scheme"],
            Class::Tls => &["ssl_protocol"],
            Class::Cache => &["upstream_cache_status"],
            Class::Provider => &["http_x_cdn_provider"],
            Class::Empty if quoted && behind_status && matches!(next, Some(Class::Agent)) => {
                &["http_referer"]
            }
            // `- -` before the time: the identity, which nobody has, and the user.
            Class::Empty | Class::Text if to_time == Some(1) && number > 0 => &["remote_user"],
            Class::Empty if to_time == Some(2) && number > 0 && !quoted => return "-".to_owned(),
            _ => &[],
        };
        let name = self.take(candidates);
        format!("${{{name}}}")
    }
}

/// A pattern that finds a time of two columns, the day and the time of day.
fn search(columns: &[Column]) -> Option<String> {
    let date = columns
        .iter()
        .position(|column| column.class == Class::Date)?;
    let clock = columns.get(date + 1)?;
    (clock.class == Class::Clock && clock.before == b" ")
        .then(|| r"\b(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)".to_owned())
}
