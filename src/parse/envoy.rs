//! Envoy's `text_format` as pieces (Envoy documentation, "Access logging", "Command operators").
//!
//! An operator becomes the field that nginx would call the same thing, else one of its own name in
//! lower case. Envoy escapes nothing: what a client or a server sent is an open value, which
//! [`super::layout`] reads from both ends of the line. A path is a word: no HTTP version lets a
//! blank into one.

use super::layout::{FormatError, Quoting, ServerFormat, Shape, plain_name};
use crate::definition::Unit;
use crate::record::Escape;

/// Understands the text. Errors carry the byte range inside it.
pub(super) fn format(text: &str) -> Result<ServerFormat, FormatError> {
    let mut format = EnvoyFormat(ServerFormat::new(Quoting::Never, Escape::None));
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        format.0.literal(before.as_bytes());
        let start = text.len() - after.len() - 1;
        let (operator, tail) = operator(after).ok_or_else(|| {
            let message = "a `%` must begin an operator such as `%PROTOCOL%` or `%REQ(:METHOD)%`";
            (start..start + 1, message.to_owned())
        })?;
        let end = text.len() - tail.len();
        format
            .operator(&operator)
            .map_err(|message| (start..end, message))?;
        rest = tail;
    }
    format.0.literal(rest.as_bytes());
    Ok(format.0)
}

/// The format as far as it is understood.
struct EnvoyFormat(ServerFormat);

/// `%NAME(argument):length%`, without its `%`; the name is empty for `%%`.
struct Operator<'t> {
    name: &'t str,
    argument: &'t str,
}

fn operator(after: &str) -> Option<(Operator<'_>, &str)> {
    let letters = after
        .bytes()
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
        .count();
    let (name, mut rest) = after.split_at_checked(letters)?;
    let mut argument = "";
    if let Some(inside) = rest.strip_prefix('(').filter(|_| !name.is_empty()) {
        (argument, rest) = inside.split_once(')')?;
    }
    if let Some(length) = rest.strip_prefix(':') {
        rest = length.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    Some((Operator { name, argument }, rest.strip_prefix('%')?))
}

impl EnvoyFormat {
    fn operator(&mut self, operator: &Operator<'_>) -> Result<(), String> {
        let argument = operator.argument;
        match operator.name {
            "" => self.0.literal(b"%"),
            "START_TIME" | "START_TIME_LOCAL" => self.start_time(argument),
            "REQ" => self.header("http_", argument),
            "RESP" => self.header("sent_http_", argument),
            "TRAILER" => self.header("sent_trailer_", argument),
            "QUERY_PARAM" => self.0.field(format!("arg_{argument}"), Shape::Open),
            "PATH" if argument.starts_with("NQ") => self.0.field("uri", Shape::Word),
            "PATH" => self.0.field("request_uri", Shape::Word),
            "ENVIRONMENT" => {
                let name = format!("env_{}", plain_name(argument));
                self.0.field(name, Shape::Text);
            }
            "COMMON_DURATION" => self.common_duration(argument)?,
            name => match plain(name) {
                Some((name, Shape::Number, Some(unit))) => self.duration(name.to_owned(), unit),
                Some((name, shape, _)) => self.0.field(name, shape),
                // What is not known may hold anything.
                None => {
                    let name = plain_name(&format!("{name} {argument}"));
                    self.0.field(name.trim_matches('_'), Shape::Open);
                }
            },
        }
        Ok(())
    }

    /// The first one is the time of the line.
    fn start_time(&mut self, format: &str) {
        let format = strftime(format);
        let shape = if format.contains(' ') {
            Shape::Text
        } else {
            Shape::Token
        };
        if self.0.time_format.is_some() {
            self.0.field("start_time", shape);
            return;
        }
        self.0.time_format = Some(format);
        self.0.field("time", shape);
    }

    /// `X?Y`: the header X, or Y in its absence. The original path of a rewritten request is its
    /// path.
    fn header(&mut self, prefix: &str, headers: &str) {
        let first = headers.split('?').next().unwrap_or_default();
        let (name, shape) = match first.to_ascii_lowercase().as_str() {
            ":method" => ("request_method", Shape::Token),
            ":path" | "x-envoy-original-path" => ("request_uri", Shape::Word),
            ":authority" | "host" => ("host", Shape::Token),
            ":scheme" => ("scheme", Shape::Token),
            ":status" => ("status", Shape::Number),
            "x-envoy-upstream-service-time" => {
                self.duration("upstream_response_time".to_owned(), Unit::Milliseconds);
                return;
            }
            "x-request-id" if prefix == "http_" => ("request_id", Shape::Open),
            other => {
                let name = format!("{prefix}{}", plain_name(other).trim_start_matches('_'));
                self.0.field(name, Shape::Open);
                return;
            }
        };
        self.0.field(name, shape);
    }

    fn duration(&mut self, name: String, unit: Unit) {
        self.0.units.push((name.clone(), unit));
        self.0.field(name, Shape::Number);
    }

    /// `start:end` or `start:end:unit`.
    fn common_duration(&mut self, argument: &str) -> Result<(), String> {
        let mut words = argument.split(':');
        let (Some(start), Some(end)) = (words.next(), words.next()) else {
            return Err(
                "a duration goes from one point to another: `(DS_RX_BEG:DS_TX_END)`".into(),
            );
        };
        let unit = match words.next() {
            None | Some("ms") => Unit::Milliseconds,
            Some("us") => Unit::Microseconds,
            Some("ns") => Unit::Nanoseconds,
            Some(other) => return Err(format!("unknown unit `{other}`: `ms`, `us` or `ns`")),
        };
        let name = format!("duration_{}_{}", plain_name(start), plain_name(end));
        self.duration(name, unit);
        Ok(())
    }
}

/// Envoy's time formats as ours: without one it writes `2016-04-15T20:17:00.310Z`.
fn strftime(format: &str) -> String {
    let whole = format.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S");
    let mut rest = whole.as_str();
    let mut plain = String::new();
    while let Some((before, after)) = rest.split_once('%') {
        plain += before;
        let fraction = ["3f", "6f", "9f", "f"];
        let known = fraction.iter().find_map(|known| after.strip_prefix(known));
        let seconds = ["E*S", "E3S", "E6S", "E9S"];
        let whole = seconds.iter().find_map(|known| after.strip_prefix(known));
        rest = match (known, whole) {
            (Some(tail), _) => {
                if plain.ends_with('.') {
                    plain.pop();
                }
                plain += "%.f";
                tail
            }
            (None, Some(tail)) => {
                plain += "%S%.f";
                tail
            }
            _ => {
                plain.push('%');
                after
            }
        };
    }
    plain += rest;
    match plain
        .strip_prefix("%Y-%m-%dT%H:%M:%S")
        .or(plain.strip_prefix("%Y-%m-%d %H:%M:%S"))
    {
        _ if plain.is_empty() => "rfc3339".to_owned(),
        Some("" | "Z" | "%.f" | "%.fZ" | "%z" | "%Ez" | "%.f%z" | "%.f%Ez") => "rfc3339".to_owned(),
        _ if plain == "%s" || plain == "%s%.f" => "epoch".to_owned(),
        _ if plain == "%d/%b/%Y:%H:%M:%S %z" => "clf".to_owned(),
        _ => plain,
    }
}

/// Name, shape and unit of an operator without argument, where they are not the usual ones.
fn plain(name: &str) -> Option<(&'static str, Shape, Option<Unit>)> {
    if let Some((_, field)) = WORDS.iter().find(|(known, _)| *known == name) {
        return Some((field, Shape::Token, None));
    }
    let milliseconds = Some(Unit::Milliseconds);
    Some(match name {
        "RESPONSE_CODE" => ("status", Shape::Number, None),
        "BYTES_RECEIVED" => ("request_length", Shape::Number, None),
        "BYTES_SENT" => ("body_bytes_sent", Shape::Number, None),
        "DURATION" => ("request_time", Shape::Number, milliseconds),
        "REQUEST_DURATION" => ("request_receive_time", Shape::Number, milliseconds),
        "REQUEST_TX_DURATION" => ("request_transfer_time", Shape::Number, milliseconds),
        "RESPONSE_DURATION" => ("time_to_first_byte", Shape::Number, milliseconds),
        "RESPONSE_TX_DURATION" => ("response_transfer_time", Shape::Number, milliseconds),
        "UPSTREAM_TRANSPORT_FAILURE_REASON" => {
            ("upstream_transport_failure_reason", Shape::Text, None)
        }
        "DOWNSTREAM_TRANSPORT_FAILURE_REASON" => {
            ("downstream_transport_failure_reason", Shape::Text, None)
        }
        "REQUESTED_SERVER_NAME" => ("ssl_server_name", Shape::Open, None),
        "QUERY_PARAMS" => ("args", Shape::Token, None),
        _ => return None,
    })
}

/// Operators whose value is a word that Envoy makes itself, and the field of each.
const WORDS: [(&str, &str); 48] = [
    ("CONNECTION_ID", "connection"),
    (
        "CONNECTION_TERMINATION_DETAILS",
        "connection_termination_details",
    ),
    ("DOWNSTREAM_DIRECT_LOCAL_ADDRESS", "direct_server_addr"),
    ("DOWNSTREAM_DIRECT_REMOTE_ADDRESS", "realip_remote_addr"),
    (
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
        "realip_remote_addr",
    ),
    ("DOWNSTREAM_DIRECT_REMOTE_PORT", "realip_remote_port"),
    (
        "DOWNSTREAM_HEADER_BYTES_RECEIVED",
        "downstream_header_bytes_received",
    ),
    (
        "DOWNSTREAM_HEADER_BYTES_SENT",
        "downstream_header_bytes_sent",
    ),
    ("DOWNSTREAM_LOCAL_ADDRESS", "server_addr"),
    ("DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", "server_addr"),
    ("DOWNSTREAM_LOCAL_PORT", "server_port"),
    ("DOWNSTREAM_PEER_CERT_V_END", "downstream_peer_cert_v_end"),
    (
        "DOWNSTREAM_PEER_CERT_V_START",
        "downstream_peer_cert_v_start",
    ),
    (
        "DOWNSTREAM_PEER_FINGERPRINT_1",
        "downstream_peer_fingerprint_1",
    ),
    (
        "DOWNSTREAM_PEER_FINGERPRINT_256",
        "downstream_peer_fingerprint_256",
    ),
    ("DOWNSTREAM_REMOTE_ADDRESS", "remote_addr"),
    ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "remote_addr"),
    ("DOWNSTREAM_REMOTE_PORT", "remote_port"),
    ("DOWNSTREAM_TLS_CIPHER", "ssl_cipher"),
    ("DOWNSTREAM_TLS_SESSION_ID", "ssl_session_id"),
    ("DOWNSTREAM_TLS_VERSION", "ssl_protocol"),
    (
        "DOWNSTREAM_WIRE_BYTES_RECEIVED",
        "downstream_wire_bytes_received",
    ),
    ("DOWNSTREAM_WIRE_BYTES_SENT", "bytes_sent"),
    ("GRPC_STATUS", "grpc_status"),
    ("GRPC_STATUS_NUMBER", "grpc_status"),
    ("HOSTNAME", "hostname"),
    ("PROTOCOL", "server_protocol"),
    ("RESPONSE_CODE_DETAILS", "response_code_details"),
    ("RESPONSE_FLAGS", "response_flags"),
    ("RESPONSE_FLAGS_LONG", "response_flags_long"),
    ("ROUTE_NAME", "route_name"),
    ("STREAM_ID", "stream_id"),
    ("TRACE_ID", "trace_id"),
    ("UNIQUE_ID", "unique_id"),
    ("UPSTREAM_CLUSTER", "upstream_cluster"),
    ("UPSTREAM_CLUSTER_RAW", "upstream_cluster"),
    ("UPSTREAM_CONNECTION_ID", "upstream_connection_id"),
    ("UPSTREAM_HOST", "upstream_addr"),
    ("UPSTREAM_LOCAL_ADDRESS", "upstream_local_addr"),
    ("UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", "upstream_local_addr"),
    ("UPSTREAM_LOCAL_PORT", "upstream_local_port"),
    ("UPSTREAM_PROTOCOL", "upstream_protocol"),
    ("UPSTREAM_REMOTE_ADDRESS", "upstream_remote_addr"),
    (
        "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
        "upstream_remote_addr",
    ),
    ("UPSTREAM_REMOTE_PORT", "upstream_port"),
    (
        "UPSTREAM_REQUEST_ATTEMPT_COUNT",
        "upstream_request_attempt_count",
    ),
    ("UPSTREAM_TLS_VERSION", "upstream_tls_version"),
    ("VIRTUAL_CLUSTER_NAME", "virtual_cluster_name"),
];

#[cfg(test)]
mod tests {
    use super::super::made::{compiled, seen};
    use crate::definition::Dialect;
    use crate::record::{Fields as _, Reading};
    use proptest::prelude::*;

    const DEFAULT: &str = r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%""#;

    fn names(text: &str) -> Vec<String> {
        compiled(Dialect::Envoy, text).unwrap().names()
    }

    #[test]
    fn operators_have_nginxs_names() {
        for (text, name) in [
            ("%REQ(X-CDN-Provider?X-Other):20%", "http_x_cdn_provider"),
            ("%RESP(Content-Type)%", "sent_http_content_type"),
            ("%TRAILER(grpc-status)%", "sent_trailer_grpc_status"),
            ("%PATH(NQ:ORIG)%", "uri"),
            ("%PATH(WQ)%", "request_uri"),
            ("%QUERY_PARAM(source)%", "arg_source"),
            ("%ENVIRONMENT(POD_NAME)%", "env_pod_name"),
            (
                "%DYNAMIC_METADATA(com.x:key)%",
                "dynamic_metadata_com_x_key",
            ),
            ("%FILTER_STATE(a.b:PLAIN)%", "filter_state_a_b_plain"),
            (
                "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
                "duration_ds_rx_beg_ds_tx_end",
            ),
            ("%DOWNSTREAM_TLS_VERSION%", "ssl_protocol"),
            ("%NEW_IN_2030%", "new_in_2030"),
        ] {
            assert_eq!(
                names(&format!("%START_TIME% {text}")),
                ["time", name],
                "{text}"
            );
        }
        let shift = |text: &str, name: &str| {
            let format = compiled(Dialect::Envoy, &format!("%START_TIME% {text}")).unwrap();
            format.field(name).unwrap().shift
        };
        assert_eq!(shift("%DURATION%", "request_time"), -3);
        let common = "%COMMON_DURATION(A:B:us)%";
        assert_eq!(shift(common, "duration_a_b"), -6);
    }

    #[test]
    fn broken_operators_are_mistakes() {
        let refused = |text: &str| compiled(Dialect::Envoy, text).unwrap_err();
        assert!(refused("%START_TIME% %REQ(a").contains("must begin an operator"));
        assert!(refused("%START_TIME% 5%").contains("must begin an operator"));
        assert!(refused("%START_TIME% %COMMON_DURATION(A:B:h)%").contains("unknown unit `h`"));
        assert!(refused("%START_TIME% %COMMON_DURATION(A)%").contains("from one point"));
        assert!(refused("%START_TIME% %PROTOCOL%%RESPONSE_CODE%").contains("nothing separates"));
        assert_eq!(
            names("%START_TIME% 100%% %PROTOCOL%"),
            ["time", "server_protocol"]
        );
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        for (format, text) in [
            ("", "2013-10-31T07:06:42.250Z"),
            ("(%Y-%m-%dT%H:%M:%S.%3fZ)", "2013-10-31T07:06:42.250Z"),
            ("(%FT%T.%6fZ)", "2013-10-31T07:06:42.250000Z"),
            ("(%s.%3f)", "1383203202.250"),
            ("(%s%3f)", "1383203202250"),
            ("(%Y/%m/%d %H:%M:%E3S)", "2013/10/31 07:06:42.250"),
            (
                "(%Y/%m/%d %T.%9f %z)",
                "2013/10/31 08:06:42.250000000 +0100",
            ),
        ] {
            let format = format!("[%START_TIME{format}%] %RESPONSE_CODE%");
            let format = compiled(Dialect::Envoy, &format).unwrap();
            let line = format!("[{text}] 200");
            let seen = seen(&format, line.as_bytes()).unwrap();
            assert_eq!(
                seen.time.unwrap().to_string(),
                "2013-10-31T07:06:42.25Z",
                "{text}"
            );
            assert_eq!(seen.get("status").unwrap(), "200");
        }
    }

    #[test]
    fn a_path_in_quotes_may_hold_quotes() {
        let format = r#"%START_TIME% "%REQ(:PATH)%" %RESPONSE_CODE% "%PATH(NQ)%""#;
        let format = compiled(Dialect::Envoy, format).unwrap();
        let line = br#"2013-10-31T07:06:42Z "/a"b"" 404 "/a"b"""#;
        let seen = seen(&format, line).unwrap();
        assert_eq!(seen.get("request_uri").unwrap(), "/a\"b\"");
        assert_eq!(seen.get("uri").unwrap(), "/a\"b\"");
        assert_eq!(seen.get("status").unwrap(), "404");
    }

    #[test]
    fn a_line_cut_behind_its_status_is_read_so_far() {
        let format = compiled(Dialect::Envoy, DEFAULT).unwrap();
        let line = b"[2013-10-31T07:06:42.250Z] \"GET / HTTP/1.1\" 503 UF 0 98 12 - \"-\" \"age";
        let seen = super::super::made::seen(&format, line).unwrap();
        assert_eq!(seen.reading, Reading::Partial);
        assert_eq!(seen.get("status").unwrap(), "503");
        assert_eq!(seen.get("request_time").unwrap(), "12");
        assert_eq!(seen.get("http_x_forwarded_for"), None);
    }

    /// What a client may put into a header to end it early.
    fn header() -> impl Strategy<Value = String> {
        let parts = vec![
            "\"",
            "\" \"",
            " ",
            "-",
            "a",
            "203.0.113.9, ",
            "\" 200 - 1 2 3 4 \"",
            " HTTP/1.1\" 200 - ",
            "[2014-10-31T07:06:42Z] \"GET / HTTP/1.1\" 200",
            "\" 500 \"",
            "é",
        ];
        prop::collection::vec(prop::sample::select(parts), 0..5).prop_map(|parts| parts.concat())
    }

    fn count(text: &str, part: &str) -> usize {
        (0..text.len())
            .filter(|at| text.as_bytes()[*at..].starts_with(part.as_bytes()))
            .count()
    }

    proptest! {
        #[test]
        fn forged_quotes_steer_neither_status_nor_time(
            headers in prop::array::uniform3(header()), path in "/[a-z\"%?=\\\\]{0,9}", code in 100..600_u32,
        ) {
            let format = compiled(Dialect::Envoy, DEFAULT).unwrap();
            let open = headers.join("\" \"");
            let line = format!("[2013-10-31T07:06:42.250Z] \"GET {path} HTTP/1.1\" {code} UF 7 98 12 - \"{open}\" \"www.example.com\" \"10.0.2.1:80\"");
            let seen = seen(&format, line.as_bytes()).expect("Envoy wrote it");
            prop_assert_eq!(seen.time.unwrap().to_string(), "2013-10-31T07:06:42.25Z");
            for (name, value) in [
                ("request_uri", path.as_str()), ("status", &code.to_string()), ("request_time", "12"),
                ("body_bytes_sent", "98"), ("host", "www.example.com"), ("upstream_addr", "10.0.2.1:80"),
            ] {
                prop_assert_eq!(seen.get(name), Some(value.to_owned()), "{}\n{}", name, line);
            }
            let is_sure = count(&open, "\" \"") == 2;
            prop_assert!(seen.reading == Reading::Exact || !is_sure, "{line}");
            for (name, value) in ["http_x_forwarded_for", "http_user_agent", "request_id"].iter().zip(&headers) {
                let found = seen.get(name);
                prop_assert!(found.is_none() || found.as_ref() == Some(value), "{name}: {found:?}\n{line}");
                prop_assert!(found.is_some() || !is_sure, "{name}\n{line}");
            }
        }

        #[test]
        fn a_status_between_headers_is_envoys_or_the_line_is_refused(
            headers in prop::array::uniform2(header()), code in 100..600_u32,
        ) {
            let format = r#"%START_TIME% "%REQ(USER-AGENT)%" %RESPONSE_CODE% "%REQ(REFERER)%" %DURATION%"#;
            let format = compiled(Dialect::Envoy, format).unwrap();
            let [agent, referer] = headers;
            let line = format!("2013-10-31T07:06:42Z \"{agent}\" {code} \"{referer}\" 12");
            let hostile = [&agent, &referer].iter().any(|header| header.contains('"'));
            match seen(&format, line.as_bytes()) {
                Some(seen) => {
                    prop_assert_eq!(seen.get("status"), Some(code.to_string()), "{}", line);
                    prop_assert_eq!(seen.get("request_time"), Some("12".to_owned()));
                    prop_assert_eq!(seen.get("http_user_agent"), Some(agent), "{}", line);
                    prop_assert_eq!(seen.get("http_referer"), Some(referer), "{}", line);
                }
                None => prop_assert!(hostile, "{line}"),
            }
        }

        #[test]
        fn any_text_is_a_format_or_a_mistake(
            text in "([%\\[\\]()\":? a-z-]|%REQ\\(:?[A-Z-]{0,5}\\)%|%START_TIME(\\(%[a-zA-Z3]\\))?%|%RESPONSE_CODE%){0,9}",
            line in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            if let Ok(format) = compiled(Dialect::Envoy, &text) {
                drop(seen(&format, &line));
            }
        }
    }
}
