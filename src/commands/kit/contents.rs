//! The files of a kit: templates of `contrib/kit` filled in, and the pages.
//!
//! Invariant: pure, values in and bytes out; no name in a kit is there twice. The log formats are those
//! of the shipped parsers, letter for letter, so that what is pasted here is read there.

use super::fill::fill;
use super::languages::Language;
use super::order::{KNOWN, Order};
use super::page::{FIRST_ROUND_TRIP, Page, STYLE, csp_hash};

/// A transparent GIF of one pixel.
pub(super) const BEACON: &[u8; 43] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00;";
/// The first words of every README that this writes: how a kit is told from a folder of somebody's.
pub(super) const HEADING: &str = "# The beacon kit: ";
/// What a Cloudflare rule may carry: "10 KB", taken as the smaller of its meanings.
const CLOUDFLARE_BYTES: usize = 10_000;

/// The `log_format` of the parser `nginx-cdn`.
const NGINX_CDN: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_cdn_provider" $request_time"#;
/// The `LogFormat` of the parser `apache-cdn`.
const APACHE_CDN: &str =
    r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" "%{X-CDN-Provider}i" %Dus"#;
/// The `-F` of the parser `varnishncsa-cdn`.
const VARNISHNCSA_CDN: &str = r#"%h %l %u %t "%r" %s %b "%{Referer}i" "%{User-agent}i" "%{X-CDN-Provider}i" %{Varnish:handling}x %{Varnish:time_firstbyte}x"#;

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../../../contrib/kit/", $name))
    };
}

/// What servers get, whichever the provider is: name and template.
const SERVERS: [(&str, &str); 7] = [
    ("nginx.conf", template!("nginx.conf")),
    ("nginx-pixel.conf", template!("nginx-pixel.conf")),
    ("nginx-edge.conf", template!("nginx-edge.conf")),
    ("apache.conf", template!("apache.conf")),
    ("haproxy.cfg", template!("haproxy.cfg")),
    ("haproxy-edge.cfg", template!("haproxy-edge.cfg")),
    ("varnish.vcl", template!("varnish.vcl")),
];

/// A file of a kit.
#[derive(Debug)]
pub(super) struct File {
    /// Relative to the kit's folder.
    pub(super) name: String,
    /// What it holds.
    pub(super) bytes: Vec<u8>,
}

impl File {
    fn new(name: impl Into<String>, text: impl Into<Vec<u8>>) -> File {
        File {
            name: name.into(),
            bytes: text.into(),
        }
    }
}

/// A kit for one provider.
#[derive(Debug)]
pub(super) struct Kit {
    /// The whole of it.
    pub(super) files: Vec<File>,
    /// What whoever ordered it should know, a sentence each.
    pub(super) notes: Vec<String>,
}

/// Makes the kit of one provider.
pub(super) fn kit(order: &Order, provider: &str) -> Kit {
    let mut notes = Vec::new();
    let pixel = order.pixel(provider);
    let mut page = page(order, &pixel, &order.languages);
    if provider == "cloudflare" {
        page.languages = fitting(&page, &mut notes);
    }
    let html = page.html();
    if html.len() > FIRST_ROUND_TRIP {
        let bytes = html.len();
        notes.push(format!("whoopsie.html has {bytes} bytes, more than the {FIRST_ROUND_TRIP} of a first round trip: name fewer --languages"));
    }
    let mut files = vec![
        File::new("whoopsie.html", html.clone()),
        File::new("beacon.gif", *BEACON),
    ];
    for language in page.languages {
        let one = std::slice::from_ref(language);
        let text = self::page(order, &pixel, one).html();
        files.push(File::new(format!("whoopsie.{}.html", language.code), text));
    }
    let values = Values::new(order, provider, &page);
    for (name, template) in SERVERS {
        files.push(File::new(name, values.fill(template)));
    }
    let edge = values.fill(template!("varnish-edge.vcl"));
    files.push(File::new("varnish-edge.vcl", edge));
    let (own, steps) = provider_files(provider, &html, &values);
    let readme = readme(order, provider, &page, &own, &values.fill(steps), &values);
    files.extend(own);
    files.push(File::new("README.md", readme));
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Kit { files, notes }
}

fn page<'a>(order: &'a Order, pixel: &'a str, languages: &'a [&'static Language]) -> Page<'a> {
    Page {
        languages,
        site_name: order.site_name.as_deref(),
        status_url: order.status_url.as_deref(),
        pixel,
        auto_retry: order.auto_retry,
    }
}

/// As many of the languages, from the first, as fit into a Cloudflare rule.
fn fitting<'a>(page: &Page<'a>, notes: &mut Vec<String>) -> &'a [&'static Language] {
    let all = page.languages;
    let fits = |count: &usize| {
        let languages = all.get(..*count).unwrap_or(all);
        Page {
            languages,
            ..page.clone()
        }
        .html()
        .len()
            <= CLOUDFLARE_BYTES
    };
    let count = (1..=all.len()).rev().find(fits).unwrap_or(1);
    let (kept, left) = all.split_at(count);
    if !left.is_empty() {
        let left = codes(left, ", ");
        notes.push(format!("cloudflare: a rule takes {CLOUDFLARE_BYTES} bytes, so the page goes without {left}: choose with --languages"));
    }
    kept
}

fn codes(languages: &[&'static Language], between: &str) -> String {
    let codes: Vec<&str> = languages.iter().map(|language| language.code).collect();
    codes.join(between)
}

/// What templates may name.
struct Values(Vec<(&'static str, String)>);

impl Values {
    fn new(order: &Order, provider: &str, page: &Page<'_>) -> Values {
        let (head, tail) = page.parts();
        let hex: String = BEACON.iter().fold(String::new(), |mut out, byte| {
            out.push_str(&format!("{byte:02x}"));
            out
        });
        let counted_as = if KNOWN.contains(&provider) {
            provider
        } else {
            "other"
        };
        let cf_ray = NGINX_CDN.replace(
            "$request\"",
            "$request_method $uri$is_args$args$beacontail_node $server_protocol\"",
        );
        Values(vec![
            ("PROVIDER", provider.to_owned()),
            ("COUNTED_AS", counted_as.to_owned()),
            ("PIXEL_HOST", order.pixel_host.clone()),
            ("PIXEL_URL", page.pixel.to_owned()),
            ("BEACON_PATH", order.beacon_path.clone()),
            ("BEACON_PATTERN", order.beacon_path.replace('.', "\\.")),
            ("BEACON_HEX", hex),
            ("RETRY_AFTER", order.retry_after.to_string()),
            ("NGINX_CDN", NGINX_CDN.to_owned()),
            ("NGINX_CF_RAY", cf_ray),
            ("APACHE_CDN", APACHE_CDN.replace('"', "\\\"")),
            ("VARNISHNCSA_CDN", VARNISHNCSA_CDN.to_owned()),
            ("PAGE_BYTES", (head.len() + tail.len()).to_string()),
            ("LANGUAGES", codes(page.languages, ", ")),
            ("PAGE_HEAD", head),
            ("PAGE_TAIL", tail),
        ])
    }

    fn fill(&self, template: &str) -> String {
        self.fill_with(template, &[])
    }

    fn fill_with(&self, template: &str, more: &[(&str, &str)]) -> String {
        let own = self.0.iter().map(|(name, value)| (*name, value.as_str()));
        let values: Vec<(&str, &str)> = own.chain(more.iter().copied()).collect();
        fill(template, &values)
    }
}

/// What only this provider has, and its steps in the README.
fn provider_files(provider: &str, html: &str, values: &Values) -> (Vec<File>, &'static str) {
    match provider {
        "fastly" => (
            vec![File::new(
                "fastly.vcl",
                values.fill(template!("fastly.vcl")),
            )],
            template!("provider-fastly.md"),
        ),
        "cloudfront" => (
            vec![File::new("cloudfront.json", template!("cloudfront.json"))],
            template!("provider-cloudfront.md"),
        ),
        "akamai" => (
            vec![File::new("akamai.json", template!("akamai.json"))],
            template!("provider-akamai.md"),
        ),
        "cloudflare" => (
            cloudflare(html, values),
            template!("provider-cloudflare.md"),
        ),
        "edgecast" => (Vec::new(), template!("provider-edgecast.md")),
        _ => (Vec::new(), template!("provider-other.md")),
    }
}

/// The two rules, as Cloudflare's Rulesets API takes one.
fn cloudflare(html: &str, values: &Values) -> Vec<File> {
    let error = serde_json::json!({
        "ref": "beacontail_whoopsie",
        "description": "The error page with its beacon, when the origin cannot be reached",
        "expression": "(http.response.code in {502 503 504 520 521 522 523 524 525 526 527 530})",
        "action": "serve_error",
        "action_parameters": {"content": html, "content_type": "text/html", "status_code": 503},
        "enabled": true,
    });
    let header = serde_json::json!({
        "ref": "beacontail_provider",
        "description": "Names the CDN to the origin, whatever the client sent",
        "expression": "true",
        "action": "rewrite",
        "action_parameters": {"headers": {"X-CDN-Provider": {"operation": "set", "value": "cloudflare"}}},
        "enabled": true,
    });
    let cf_ray = values.fill(template!("nginx-cf-ray.conf"));
    vec![
        File::new("cloudflare-error.json", format!("{error:#}\n")),
        File::new("cloudflare-header.json", format!("{header:#}\n")),
        File::new("nginx-cf-ray.conf", cf_ray),
    ]
}

fn readme(
    order: &Order,
    provider: &str,
    page: &Page<'_>,
    own: &[File],
    steps: &str,
    values: &Values,
) -> String {
    let mut rows = String::new();
    for file in own {
        rows.push_str(&format!("| `{}` | {} |\n", file.name, purpose(&file.name)));
    }
    let count = match page.languages.len() {
        1 => "one language".to_owned(),
        count => format!("{count} languages"),
    };
    let script = page.script().map_or_else(String::new, |script| {
        format!("script-src {}; ", csp_hash(&script))
    });
    values.fill_with(
        template!("README.md"),
        &[
            ("LANGUAGE_COUNT", &count),
            ("PROVIDER_ROWS", &rows),
            ("PROVIDER_STEPS", steps),
            ("PATH_NOTE", &path_note(order)),
            ("REPORT_NOTE", &report_note(order, provider)),
            ("RETRY_NOTE", &retry_note(order)),
            ("STYLE_HASH", &csp_hash(STYLE)),
            ("SCRIPT_SRC", &script),
        ],
    )
}

fn path_note(order: &Order) -> String {
    if order.beacon_path == "/status/images/beacon.gif" {
        return String::new();
    }
    let path = &order.beacon_path;
    format!(
        "\nThe rules look for another path. Tell them this one, in `beacontail.toml`, or with `--var beacon_path={path}`:\n\n\
         ```toml\n[vars]\nbeacon_path = \"{path}\"\n```\n"
    )
}

fn report_note(order: &Order, provider: &str) -> String {
    let Some(host) = &order.report_host else {
        return String::new();
    };
    format!(
        "\n## 4. Failures that show no page\n\nWhere not even the edge answers, a browser can report it later (Network Error Logging). \
         While all is well, the site's answers announce where to; `beacontail reports` behind {host} takes the reports:\n\n\
         ```text\n\
         Report-To: {{\"group\":\"nel\",\"max_age\":604800,\"endpoints\":[{{\"url\":\"https://{host}/?source={provider}\"}}]}}\n\
         NEL: {{\"report_to\":\"nel\",\"max_age\":604800,\"success_fraction\":0,\"failure_fraction\":1}}\n```\n\n\
         The lines for servers are `contrib/kit/nel.*` of beacontail.\n"
    )
}

/// What a file of one provider is for.
fn purpose(name: &str) -> &'static str {
    match name {
        "fastly.vcl" => "five VCL snippets: the header, and the page with the node's name",
        "cloudfront.json" => "parts of the distribution's configuration",
        "akamai.json" => "a rule for Property Manager",
        "cloudflare-error.json" => "the custom error rule, which carries the page",
        "cloudflare-header.json" => "the request header transform rule",
        _ => "the pixel on a host behind Cloudflare: nginx logs the data centre of the request",
    }
}

fn retry_note(order: &Order) -> String {
    match order.auto_retry {
        None => "It never loads itself again: only the reader's own click does, and each look is one beacon.".to_owned(),
        Some(seconds) => format!(
            "It loads itself again after {seconds} to {} seconds, then after twice as long, and so on, five times at most, \
             and not while it is in the background; readers that arrived together do not come back together. **Each time is one more \
             beacon**: beacons then count looks at the page, up to six for a reader, and alerts on their number need a higher threshold.",
            seconds.saturating_mul(2)
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cli::KitArgs;

    fn order(provider: &str, languages: &str) -> Order {
        let codes = languages.split(',').filter(|code| !code.is_empty());
        Order::read(&KitArgs {
            provider: provider.to_owned(),
            pixel_host: "px.shop.example".to_owned(),
            site_name: Some("Shop \"}; & Söhne".to_owned()),
            status_url: Some("https://status.shop.example/".to_owned()),
            languages: codes.map(str::to_owned).collect(),
            beacon_path: "/b/p.gif".to_owned(),
            report_host: Some("reports.shop.example".to_owned()),
            retry_after: 60,
            auto_retry: Some(60),
            out: PathBuf::from("kit"),
            force: false,
        })
        .unwrap()
    }

    fn text<'a>(kit: &'a Kit, name: &str) -> &'a str {
        let file = kit.files.iter().find(|file| file.name == name).unwrap();
        str::from_utf8(&file.bytes).unwrap()
    }

    #[test]
    fn every_provider_gets_a_whole_kit_without_a_gap() {
        for provider in KNOWN.into_iter().chain(["mine"]) {
            let kit = kit(&order(provider, ""), provider);
            let mut names: Vec<&str> = kit.files.iter().map(|file| file.name.as_str()).collect();
            names.dedup();
            assert_eq!(names.len(), kit.files.len());
            for file in kit.files.iter().filter(|file| file.name != "beacon.gif") {
                let text = str::from_utf8(&file.bytes).unwrap();
                assert!(
                    !text.contains("@BEACON") && !text.contains("@P"),
                    "{}",
                    file.name
                );
            }
            assert!(text(&kit, "README.md").starts_with(HEADING));
            assert!(text(&kit, "whoopsie.html").contains(&format!("?source={provider}\" alt")));
        }
    }

    #[test]
    fn json_is_json_and_carries_the_page() {
        for (provider, name) in [
            ("akamai", "akamai.json"),
            ("cloudfront", "cloudfront.json"),
            ("cloudflare", "cloudflare-error.json"),
            ("cloudflare", "cloudflare-header.json"),
        ] {
            let kit = kit(&order(provider, "en,de"), provider);
            let value: serde_json::Value = serde_json::from_str(text(&kit, name)).unwrap();
            assert!(
                value.to_string().contains("X-CDN-Provider")
                    || value["action_parameters"]["content"] == text(&kit, "whoopsie.html"),
                "{name}"
            );
        }
    }

    #[test]
    fn a_cloudflare_page_keeps_to_its_limit_and_says_what_it_left_out() {
        let kit = kit(&order("cloudflare", ""), "cloudflare");
        assert!(text(&kit, "whoopsie.html").len() <= CLOUDFLARE_BYTES);
        assert_eq!(kit.notes.len(), 1, "{:?}", kit.notes);
        assert!(
            super::kit(&order("cloudflare", "en,de,fr,es,ja"), "cloudflare")
                .notes
                .is_empty()
        );
    }

    #[test]
    fn texts_of_vcl_end_where_they_should() {
        for name in ["fastly.vcl", "varnish-edge.vcl"] {
            let kit = kit(&order("fastly", ""), "fastly");
            assert_eq!(text(&kit, name).matches("{\"").count(), 2, "{name}");
            assert_eq!(text(&kit, name).matches("\"}").count(), 2, "{name}");
        }
    }

    #[test]
    fn the_pixel_is_a_gif_of_one_transparent_pixel() {
        assert_eq!(BEACON.len(), 43);
        assert!(BEACON.starts_with(b"GIF89a\x01\x00\x01\x00"));
        assert!(BEACON.ends_with(b";"));
    }
}
