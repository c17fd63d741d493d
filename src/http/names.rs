//! By which names the status page and the API may be asked for.
//!
//! A page on the loopback address needs no password, since only this host can reach it. But any
//! page of the web can have its own name point at 127.0.0.1, and then read what is there as if it
//! were its own (DNS rebinding). Such a request names the foreign host: addresses, `localhost` and
//! the operator's names are answered, other names are not. Beyond loopback, names are looked at only
//! for the status page, and only when the operator gave some: who scrapes may know the host by any.
//!
//! `/metrics`, health and the list of pages are never looked at: they hold counts that are open to
//! every scraper anyway.

use std::net::{IpAddr, SocketAddr};

use axum::http::header;

/// The names.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Any name will do.
    open: bool,
    hosts: Vec<String>,
}

impl Names {
    /// For a socket that listens at `address`, with the status page or without.
    pub(super) fn at(address: SocketAddr, has_page: bool, hosts: &[String]) -> Names {
        let unasked = !has_page || hosts.is_empty();
        Names {
            open: !address.ip().to_canonical().is_loopback() && unasked,
            hosts: hosts.to_vec(),
        }
    }

    /// Whether the request asks for a name of ours. Browsers always say which one they mean.
    pub(super) fn admit<B>(&self, request: &hyper::Request<B>) -> bool {
        if self.open {
            return true;
        }
        // An absolute target takes the place of the header (RFC 9112, section 3.2.2).
        let named = request.uri().authority().map(|name| name.as_str());
        let mut headers = request.headers().get_all(header::HOST).iter();
        let header = headers.next().map(|value| value.to_str().unwrap_or("?"));
        let all = named.into_iter().chain(header);
        headers.next().is_none() && all.into_iter().all(|name| self.knows(name))
    }

    fn knows(&self, name: &str) -> bool {
        let host = without_port(name);
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if bare.unwrap_or(host).parse::<IpAddr>().is_ok() {
            return true;
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        host == "localhost" || host.ends_with(".localhost") || self.hosts.contains(&host)
    }
}

/// `[::1]` of `[::1]:9578`.
fn without_port(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(names: &Names, target: &str, hosts: &[&str]) -> bool {
        let mut request = hyper::Request::get(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        names.admit(&request.body(()).unwrap())
    }

    #[test]
    fn only_names_of_this_host_are_known_on_loopback() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 9578));
        let names = Names::at(loopback, true, &["ops.example.com".to_owned()]);
        for good in [
            "127.0.0.1:9578",
            "localhost:9578",
            "LocalHost.",
            "x.localhost:1",
            "[::1]:9578",
            "[::1]",
            "10.0.0.7",
            "Ops.example.com:443",
        ] {
            assert!(admits(&names, "/", &[good]), "{good}");
        }
        for bad in [
            "evil.example:9578",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "xlocalhost",
            "",
            "\u{e9}",
        ] {
            assert!(!admits(&names, "/", &[bad]), "{bad}");
        }
        assert!(admits(&names, "/", &[]), "HTTP/1.0");
        assert!(!admits(&names, "/", &["127.0.0.1", "evil.example"]));
        assert!(!admits(&names, "http://evil.example/", &["127.0.0.1"]));
    }

    #[test]
    fn beyond_loopback_names_are_looked_at_when_there_are_some() {
        let all = SocketAddr::from(([0, 0, 0, 0], 9578));
        assert!(admits(
            &Names::at(all, true, &[]),
            "/",
            &["web1.example.com"]
        ));
        let named = Names::at(all, true, &["web1.example.com".to_owned()]);
        assert!(admits(&named, "/", &["web1.example.com:9578"]));
        assert!(!admits(&named, "/", &["evil.example"]));
    }

    #[test]
    fn beyond_loopback_an_address_without_the_page_is_known_by_any_name() {
        let hosts = ["ops.example.com".to_owned()];
        let all = SocketAddr::from(([0, 0, 0, 0], 9577));
        assert!(admits(&Names::at(all, false, &hosts), "/", &["web1"]));
        let loopback = SocketAddr::from(([127, 0, 0, 1], 9577));
        let named = Names::at(loopback, false, &hosts);
        assert!(!admits(&named, "/", &["evil.example"]));
        assert!(admits(&named, "/", &["ops.example.com"]));
    }
}
