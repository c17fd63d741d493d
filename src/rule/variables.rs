//! Every value that a rule can ask of a line, as one flat list.
//!
//! A name is looked up once, at load: a derived field of the rule set, a label taken from the
//! file's path, a field of the format, or one of the fields that can always be derived from a
//! request (`method path query protocol code host arg_NAME cookie_NAME`). Equal definitions share
//! one entry, so that ten rules that ask for the country cost one look-up.
//!
//! Invariant: an entry refers only to entries before it, so evaluation ends.

use std::collections::{HashMap, HashSet};

use regex::bytes::Regex;

use super::mapping::Mapping;
use super::matcher;
use super::vars::Vars;
use crate::definition::{At, Case, Derivation, FieldDefinition, FieldSource};
use crate::diagnostic::{Diagnostic, similar};
use crate::geo::{ClientHeader, Place};
use crate::record::{FieldKind, Fields};

/// Index of a [`Variable`].
pub(crate) type VarId = usize;

/// How one value comes about.
#[derive(Debug)]
pub(crate) enum Variable {
    /// Never present in this format.
    Absent,
    /// The same in every line of this format.
    Constant(String),
    /// Span number of a field of the format.
    Field(usize, FieldKind),
    /// First word of a request line.
    Method(VarId),
    /// What stands between method and protocol.
    Target(VarId),
    /// `HTTP/…` at the end of a request line.
    Protocol(VarId),
    /// A target up to `?`, scheme and authority removed.
    Path(VarId),
    /// A target behind `?`.
    Query(VarId),
    /// The authority of an absolute target.
    Authority(VarId),
    /// A host without its port.
    Host(VarId),
    /// A query parameter, decoded.
    Parameter(VarId, String),
    /// A cookie.
    Cookie(VarId, String),
    /// A status as its class, or itself where that says more.
    Code(VarId),
    /// The first of several that is present.
    First(Vec<VarId>),
    /// The steps of a derived field.
    Derived(Box<Derived>),
    /// The client walk over these sources.
    Client(Sources),
    /// A place of an address.
    Place {
        place: Place,
        of: VarId,
        empty: String,
    },
    /// The provider in whose ranges an address lies.
    Provider {
        of: VarId,
        /// The claim that it must contradict.
        other_than: Option<VarId>,
        /// Stands for a public address in nobody's ranges.
        none: Option<String>,
    },
    /// A label taken from the file's path.
    FileLabel(usize),
}

/// The sources of a client walk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sources {
    /// Lists of hops, the peer last.
    pub(crate) lists: Vec<VarId>,
    /// Headers with one address, in the order of the file.
    pub(crate) headers: Vec<HeaderSource>,
}

/// A header in which a provider names its client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HeaderSource {
    pub(crate) id: VarId,
    pub(crate) header: ClientHeader,
    /// The number of lists to the left of it: those behind it must have been passed.
    pub(crate) behind: usize,
}

/// A derived field, compiled.
#[derive(Debug)]
pub(crate) struct Derived {
    pub(crate) from: VarId,
    pub(crate) regex: Option<Regex>,
    pub(crate) case: Option<Case>,
    pub(crate) map: Mapping,
    pub(crate) values: Option<HashSet<Vec<u8>>>,
    pub(crate) other: Option<String>,
    pub(crate) empty: Option<String>,
    /// Every value it can have, when they are declared.
    pub(crate) declared: Option<Vec<String>>,
}

/// The codes that `code` can be, beside `other`.
pub(crate) const CODES: [&str; 12] = [
    "1xx", "2xx", "3xx", "4xx", "429", "499", "500", "502", "503", "504", "5xx", "other",
];

/// Fields that every format with a request and a status can give.
pub(crate) const DERIVED_FIELDS: [&str; 6] =
    ["method", "path", "query", "protocol", "code", "host"];

/// Most sources of one client walk.
pub(crate) const MAX_SOURCES: usize = 8;

/// Looks names up and collects what they need.
pub(crate) struct Variables<'f> {
    format: &'f dyn Fields,
    file_labels: &'f [String],
    list: Vec<Variable>,
    known: HashMap<String, VarId>,
    /// Fields of the format that must be read, in span order.
    pub(crate) wanted: Vec<String>,
}

impl<'f> Variables<'f> {
    pub(crate) fn new(format: &'f dyn Fields, file_labels: &'f [String]) -> Variables<'f> {
        Variables {
            format,
            file_labels,
            list: Vec::new(),
            known: HashMap::new(),
            wanted: Vec::new(),
        }
    }

    /// All entries.
    pub(crate) fn finish(self) -> (Vec<Variable>, Vec<String>) {
        (self.list, self.wanted)
    }

    pub(crate) fn get(&self, id: VarId) -> Option<&Variable> {
        self.list.get(id)
    }

    fn add(&mut self, key: String, variable: impl FnOnce(&mut Self) -> Variable) -> VarId {
        if let Some(&id) = self.known.get(&key) {
            return id;
        }
        let variable = variable(self);
        self.list.push(variable);
        self.known.insert(key, self.list.len() - 1);
        self.list.len() - 1
    }

    /// The entry for a name that is not one of the rule set's own fields; `None` when there can be
    /// no such field.
    pub(crate) fn named(&mut self, name: &str) -> Option<VarId> {
        if let Some(number) = self.file_labels.iter().position(|label| label == name) {
            return Some(self.add(format!("label {name}"), |_| Variable::FileLabel(number)));
        }
        if let Some(value) = self.format.constant(name).map(str::to_owned) {
            return Some(self.add(format!("constant {name}"), |_| Variable::Constant(value)));
        }
        if name == "host" {
            return Some(self.host());
        }
        if self.format.field(name).is_some() {
            return Some(self.field(name));
        }
        self.derivable(name)
    }

    fn derivable(&mut self, name: &str) -> Option<VarId> {
        let part = match name {
            "method" => {
                return Some(self.request_part("request_method", "method", Variable::Method));
            }
            "protocol" => {
                return Some(self.request_part("server_protocol", "protocol", Variable::Protocol));
            }
            "request_uri" => {
                return Some(self.target());
            }
            "path" => ("uri", Variable::Path as fn(VarId) -> Variable),
            "query" => ("args", Variable::Query as fn(VarId) -> Variable),
            "code" => {
                let status = self.named("status")?;
                return Some(self.add(format!("code {status}"), |_| Variable::Code(status)));
            }
            _ => return self.inside(name),
        };
        let (direct, make) = part;
        if self.format.field(direct).is_some() {
            let direct = self.named(direct)?;
            let target = self.target();
            if self.is_never_present(target) {
                return Some(direct);
            }
            let inside = self.add(format!("{name} {target}"), |_| make(target));
            return Some(self.first(vec![direct, inside]));
        }
        // Apache's `%q` begins with its `?`.
        if name == "query" && self.format.field("query_string").is_some() {
            let text = self.named("query_string")?;
            return Some(self.add(format!("query {text}"), |_| Variable::Query(text)));
        }
        let target = self.target();
        Some(self.add(format!("{name} {target}"), |_| make(target)))
    }

    /// `arg_NAME`, `cookie_NAME`, or a name nginx knows that this format lacks.
    fn inside(&mut self, name: &str) -> Option<VarId> {
        if let Some(parameter) = name.strip_prefix("arg_") {
            let query = self.named("query")?;
            let parameter = parameter.to_owned();
            return Some(self.add(format!("{name} {query}"), |_| {
                Variable::Parameter(query, parameter)
            }));
        }
        if let Some(cookie) = name.strip_prefix("cookie_") {
            let header = self.named("http_cookie")?;
            let cookie = cookie.to_owned();
            return Some(self.add(format!("{name} {header}"), |_| {
                Variable::Cookie(header, cookie)
            }));
        }
        is_known_elsewhere(name).then(|| self.absent())
    }

    fn absent(&mut self) -> VarId {
        self.add("absent".to_owned(), |_| Variable::Absent)
    }

    fn target(&mut self) -> VarId {
        self.request_part("request_uri", "target", Variable::Target)
    }

    /// A part of the request line, or the field that holds just this part. Lines of a format with
    /// both may have either.
    fn request_part(&mut self, direct: &str, name: &str, make: fn(VarId) -> Variable) -> VarId {
        let mut sources = Vec::new();
        if self.format.field(direct).is_some() {
            sources.push(self.field(direct));
        }
        if self.format.field("request").is_some() {
            let request = self.field("request");
            sources.push(self.add(format!("{name} {request}"), |_| make(request)));
        }
        self.first(sources)
    }

    /// The entry for a field that the format offers.
    fn field(&mut self, name: &str) -> VarId {
        let kind = self.format.field(name).expect("the format offers it");
        self.add(format!("field {name}"), |all| {
            all.wanted.push(name.to_owned());
            Variable::Field(all.wanted.len() - 1, kind)
        })
    }

    /// The format's own `host`, or else the header's, the server's, the request's, without a port.
    fn host(&mut self) -> VarId {
        let offered = |name: &&str| self.format.field(name).is_some();
        let names: Vec<&str> = ["http_host", "server_name"]
            .into_iter()
            .filter(offered)
            .collect();
        let mut sources: Vec<VarId> = names.into_iter().map(|name| self.field(name)).collect();
        let target = self.target();
        if !self.is_never_present(target) {
            sources.push(self.add(format!("authority {target}"), |_| {
                Variable::Authority(target)
            }));
        }
        let authority = self.first(sources);
        let mut hosts = Vec::new();
        if self.format.field("host").is_some() {
            hosts.push(self.field("host"));
        }
        if !self.is_never_present(authority) {
            hosts.push(self.add(format!("host {authority}"), |_| Variable::Host(authority)));
        }
        self.first(hosts)
    }

    /// The first present of several.
    fn first(&mut self, mut ids: Vec<VarId>) -> VarId {
        ids.retain(|&id| !self.is_never_present(id));
        match ids.as_slice() {
            [only] => *only,
            [] => self.absent(),
            _ => self.add(format!("first {ids:?}"), |_| Variable::First(ids)),
        }
    }

    /// True when no line of this format can give the entry a value.
    pub(crate) fn is_never_present(&self, id: VarId) -> bool {
        match self.list.get(id) {
            None | Some(Variable::Absent) => true,
            Some(Variable::Derived(derived)) => {
                derived.empty.is_none()
                    && derived.map.of(b"").is_none()
                    && self.is_never_present(derived.from)
            }
            Some(Variable::Provider { of, other_than, .. }) => {
                self.is_never_present(*of) || other_than.is_some_and(|id| self.is_never_present(id))
            }
            _ => false,
        }
    }

    /// The power of ten that turns the number of a field as it is written into seconds; other values
    /// are in seconds already.
    pub(crate) fn shift(&self, id: VarId) -> i32 {
        match self.list.get(id) {
            Some(Variable::Field(_, kind)) => kind.shift,
            _ => 0,
        }
    }

    /// Every value a label of this entry can have, when they are declared.
    pub(crate) fn declared(&self, id: VarId) -> Option<Vec<String>> {
        match self.list.get(id)? {
            Variable::Code(_) => Some(
                CODES
                    .iter()
                    .map(ToString::to_string)
                    .chain(["unknown".to_owned()])
                    .collect(),
            ),
            Variable::Derived(derived) => derived.declared.clone(),
            _ => None,
        }
    }
}

/// Names of nginx's log variables, of CDNs' own logs and of envelopes, that need not be in every
/// format.
fn is_known_elsewhere(name: &str) -> bool {
    const PREFIXES: [&str; 8] = [
        "http_",
        "sent_http_",
        "upstream_",
        "ssl_",
        "geoip_",
        "proxy_",
        "env_",
        "note_",
    ];
    const NAMES: [&str; 41] = [
        "cdn",
        "cache_status",
        "edge_country",
        "edge_pop",
        "error_type",
        "internal",
        "is_edge",
        "parent_ray_id",
        "syslog_host",
        "syslog_program",
        "remote_addr",
        "remote_user",
        "remote_ident",
        "remote_port",
        "request",
        "status",
        "uri",
        "args",
        "body_bytes_sent",
        "bytes_sent",
        "request_length",
        "request_time",
        "scheme",
        "server_name",
        "server_addr",
        "server_port",
        "connection",
        "connection_requests",
        "request_method",
        "server_protocol",
        "request_id",
        "x_edge_location",
        "x_edge_result_type",
        "x_edge_response_result_type",
        "x_edge_detailed_result_type",
        "time_to_first_byte",
        "realip_remote_addr",
        "level",
        "message",
        "module",
        "os_error",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name)
}

/// The names one rule set sees: its own fields, then everything else.
pub(crate) struct Scope<'s, 'f> {
    pub(crate) variables: &'s mut Variables<'f>,
    pub(crate) vars: &'s Vars,
    own: HashMap<String, VarId>,
    names: Vec<String>,
}

impl<'s, 'f> Scope<'s, 'f> {
    /// Compiles the derived fields of a rule set; mistakes go to `diagnostics`.
    pub(crate) fn new(
        variables: &'s mut Variables<'f>,
        vars: &'s Vars,
        fields: &[FieldDefinition],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Scope<'s, 'f> {
        let names = fields
            .iter()
            .map(|field| field.name.value.clone())
            .collect();
        let mut scope = Scope {
            variables,
            vars,
            own: HashMap::new(),
            names,
        };
        for field in fields {
            match scope.derive(field) {
                Ok(id) => {
                    scope.own.insert(field.name.value.clone(), id);
                }
                Err(mistakes) => {
                    diagnostics.extend(mistakes);
                    let absent = scope.variables.absent();
                    scope.own.insert(field.name.value.clone(), absent);
                }
            }
        }
        scope
    }

    /// The entry for a name in a rule.
    pub(crate) fn resolve(&mut self, name: &At<String>) -> Result<VarId, Diagnostic> {
        if let Some(&id) = self.own.get(&name.value) {
            return Ok(id);
        }
        if self.names.contains(&name.value) {
            let message = format!("field `{}` is used before it is derived", name.value);
            return Err(name
                .place
                .error(message, "derived further down")
                .help("move it up"));
        }
        self.variables
            .named(&name.value)
            .ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &At<String>) -> Diagnostic {
        let message = format!("unknown field `{}`", name.value);
        let error = name.place.error(message, "not in this format, nor derived");
        let mut names = self.variables.format.names();
        names.extend(self.names.iter().cloned());
        names.extend(DERIVED_FIELDS.map(str::to_owned));
        match similar(&name.value, names.iter().map(String::as_str)) {
            Some(near) => error.help(format!("a field with a similar name exists: `{near}`")),
            None => error.help(format!("fields here: {}", names.join(", "))),
        }
    }

    fn resolve_all(&mut self, names: &[At<String>]) -> Result<Vec<VarId>, Vec<Diagnostic>> {
        let (mut ids, mut mistakes) = (Vec::new(), Vec::new());
        for name in names {
            match self.resolve(name) {
                Ok(id) => ids.push(id),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if mistakes.is_empty() {
            Ok(ids)
        } else {
            Err(mistakes)
        }
    }

    fn derive(&mut self, field: &FieldDefinition) -> Result<VarId, Vec<Diagnostic>> {
        match &field.source {
            FieldSource::Derive(derivation) => self.derivation(derivation),
            FieldSource::Client(sources) => {
                let sources = self.sources(sources)?;
                let key = format!("client {sources:?}");
                Ok(self.variables.add(key, |_| Variable::Client(sources)))
            }
            FieldSource::Provider {
                of,
                other_than,
                none,
            } => {
                let of = self.resolve(of).map_err(|mistake| vec![mistake])?;
                let claim = other_than.as_ref().map(|claim| self.resolve(claim));
                let other_than = claim.transpose().map_err(|mistake| vec![mistake])?;
                let none = none.as_ref().map(|text| text.value.clone());
                let key = format!("provider {of} {other_than:?} {none:?}");
                Ok(self.variables.add(key, |_| Variable::Provider {
                    of,
                    other_than,
                    none,
                }))
            }
            FieldSource::Geo { place, of, empty } => {
                let of = self.resolve(of).map_err(|mistake| vec![mistake])?;
                let named = Place::ALL
                    .into_iter()
                    .find(|known| known.name() == place.value);
                let known = named.ok_or_else(|| {
                    let message = format!("unknown place `{}`", place.value);
                    let error = place.place.error(message, "not a place");
                    vec![error.help("places are `country`, `continent`, `city` and `asn`")]
                })?;
                let empty = empty
                    .as_ref()
                    .map_or("unknown", |text| &text.value)
                    .to_owned();
                let key = format!("place {known:?} {of} {empty}");
                Ok(self.variables.add(key, |_| Variable::Place {
                    place: known,
                    of,
                    empty,
                }))
            }
        }
    }

    /// The sources of a client walk: lists, and the headers that name one client.
    fn sources(&mut self, written: &[At<String>]) -> Result<Sources, Vec<Diagnostic>> {
        if let Some(extra) = written.get(MAX_SOURCES) {
            let message = format!("more than {MAX_SOURCES} sources of a client address");
            return Err(vec![extra.place.error(message, "one too many")]);
        }
        if let Some(last) = written.last()
            && ClientHeader::named(&last.value).is_some()
        {
            let message = format!("`{}` has no peer behind it", last.value);
            let error = last.place.error(message, "believed from nobody");
            let help = "a visitor can send it too, so it counts only from a known peer: put \"remote_addr\" last";
            return Err(vec![error.help(help)]);
        }
        let ids = self.resolve_all(written)?;
        let (mut lists, mut headers) = (Vec::new(), Vec::new());
        for (name, id) in written.iter().zip(ids) {
            match ClientHeader::named(&name.value) {
                Some(header) => headers.push(HeaderSource {
                    id,
                    header,
                    behind: lists.len(),
                }),
                None => lists.push(id),
            }
        }
        headers.retain(|source| !self.variables.is_never_present(source.id));
        Ok(Sources { lists, headers })
    }

    fn derivation(&mut self, derivation: &Derivation) -> Result<VarId, Vec<Diagnostic>> {
        let from = self.resolve_all(&derivation.from)?;
        let from = self.variables.first(from);
        let mut mistakes = Vec::new();
        let regex = self.regex(derivation, &mut mistakes);
        let values = match derivation
            .values
            .as_ref()
            .map(|values| self.vars.list(values))
            .transpose()
        {
            Ok(values) => values,
            Err(mistake) => {
                mistakes.push(mistake);
                None
            }
        };
        let mut text = |text: &Option<At<String>>| match text.as_ref().map(|t| self.vars.expand(t))
        {
            Some(Ok(text)) => Some(text),
            Some(Err(mistake)) => {
                mistakes.push(mistake);
                None
            }
            None => None,
        };
        let (other, empty) = (text(&derivation.other), text(&derivation.empty));
        let mut map = Mapping::default();
        for (key, value) in &derivation.map {
            map.insert(key, text(&Some(value.clone())).unwrap_or_default());
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let declared = values
            .as_ref()
            .map(|values| declared(values, &other, &empty));
        let pattern = regex.as_ref().map(Regex::as_str).unwrap_or_default();
        let pairs = map.sorted();
        let key = format!(
            "derived {from} {pattern:?} {:?} {pairs:?} {values:?} {other:?} {empty:?}",
            derivation.case
        );
        let derived = Derived {
            from,
            regex,
            case: derivation.case,
            map,
            values: values.map(|values| values.into_iter().map(String::into_bytes).collect()),
            other,
            empty,
            declared,
        };
        Ok(self
            .variables
            .add(key, |_| Variable::Derived(Box::new(derived))))
    }

    fn regex(&self, derivation: &Derivation, mistakes: &mut Vec<Diagnostic>) -> Option<Regex> {
        let written = derivation.regex.as_ref()?;
        let compiled = self.vars.expand(written).and_then(|pattern| {
            matcher::compile(&pattern).map_err(|error| {
                let message = format!("this is not a regular expression: {error}");
                written.place.error(message, "in this pattern")
            })
        });
        compiled.map_err(|mistake| mistakes.push(mistake)).ok()
    }
}

/// The declared values and the words that stand for the others.
fn declared(values: &[String], other: &Option<String>, empty: &Option<String>) -> Vec<String> {
    let mut all = values.to_vec();
    let unknown = "unknown".to_owned();
    for word in [other.as_ref(), empty.as_ref().or(Some(&unknown))]
        .into_iter()
        .flatten()
    {
        if !all.contains(word) {
            all.push(word.clone());
        }
    }
    all
}
