//! The error page: one HTML file that asks for nothing but the pixel.
//!
//! Invariants: whatever the site is called and wherever its status page is, the page has the
//! elements that stand here and no others; it names one address off its own, that of the pixel, once;
//! and it holds no `"}`, which would end the text of a VCL file around it.
//!
//! The language is chosen in the reader's browser, for an edge that serves a static page cannot: by a
//! script from the languages that the browser prefers, and without scripts by links that CSS answers with
//! `:target`. The first language is the last section, so that `:target ~ .d` can hide it in browsers
//! that do not know `:has()`.

use sha2::{Digest, Sha256};

use super::fill::fill;
use super::languages::Language;
use crate::commands::base64::base64;

/// The frame of the page.
const PAGE: &str = include_str!("../../../contrib/kit/whoopsie.html");
/// What it says in one language.
const SECTION: &str = include_str!("../../../contrib/kit/section.html");
/// The look of the page: what stands between `<style>` and `</style>`.
pub(super) const STYLE: &str = include_str!("../../../contrib/kit/whoopsie.css");
/// Chooses the language.
const CHOOSE: &str = include_str!("../../../contrib/kit/whoopsie.js");
/// Loads the page again.
const RETRY: &str = include_str!("../../../contrib/kit/retry.js");
/// The longest file that arrives with TCP's first ten segments of 1460 bytes (RFC 6928), less 600 bytes
/// for the head of the response.
pub(super) const FIRST_ROUND_TRIP: usize = 14_000;

/// What a page says and asks for.
#[derive(Clone, Debug)]
pub(super) struct Page<'a> {
    /// In the order asked for; never empty. The first is for readers of none.
    pub(super) languages: &'a [&'static Language],
    /// Name of the site, as typed.
    pub(super) site_name: Option<&'a str>,
    /// Address of the status page, as typed.
    pub(super) status_url: Option<&'a str>,
    /// Address of the pixel with its source, as a browser asks for it.
    pub(super) pixel: &'a str,
    /// Seconds after which the page loads itself again.
    pub(super) auto_retry: Option<u32>,
}

impl Page<'_> {
    /// The page in two parts, between which a node's name belongs: an edge that can, writes
    /// `&amp;server_identity=` and the name there.
    pub(super) fn parts(&self) -> (String, String) {
        let first = self.languages.first().expect("there is a language");
        let sections = self.languages.iter().enumerate().rev();
        let sections: String = sections
            .map(|(at, language)| self.section(language, at == 0))
            .collect();
        let site = self.site_name.map_or_else(String::new, |name| {
            format!("<p class=\"s\"><bdi>{}</bdi></p>\n", text(name))
        });
        let script = self
            .script()
            .map_or_else(String::new, |script| format!("<script>{script}</script>\n"));
        let values = [
            ("LANG", first.code),
            ("DIR", first.direction()),
            ("TITLE", &text(first.title)),
            ("STYLE", STYLE),
            ("PIXEL", &text(self.pixel)),
            ("SITE", &site),
            ("SECTIONS", &sections),
            ("CHOOSER", &self.chooser()),
            ("SCRIPT", &script),
        ];
        let (head, tail) = PAGE
            .split_once("@NODE@")
            .expect("our page has a place for the node's name");
        (fill(head, &values), fill(tail, &values))
    }

    /// The page without a node's name.
    pub(super) fn html(&self) -> String {
        let (head, tail) = self.parts();
        head + &tail
    }

    fn section(&self, language: &Language, is_first: bool) -> String {
        let status = self.status_url.map_or_else(String::new, |url| {
            let (url, status) = (text(url), text(language.status));
            format!(" <a href=\"{url}\">{status}</a>")
        });
        let values = [
            ("LANG", language.code),
            ("DIR", language.direction()),
            ("CLASS", if is_first { " class=\"d\"" } else { "" }),
            ("TITLE", &text(language.title)),
            ("WHAT", &text(language.what)),
            ("THEN", &text(language.then)),
            ("RETRY", &text(language.retry)),
            ("STATUS", &status),
        ];
        fill(SECTION, &values)
    }

    fn chooser(&self) -> String {
        if self.languages.len() < 2 {
            return String::new();
        }
        let link = |language: &&Language| {
            let (code, name) = (language.code, text(language.name));
            format!("<a href=\"#{code}\" lang=\"{code}\">{name}</a>\n")
        };
        let links: String = self.languages.iter().map(link).collect();
        format!("<nav aria-label=\"Language\">\n{links}</nav>\n")
    }

    /// The script of the page; `None` for a page in one language that does not load itself again.
    pub(super) fn script(&self) -> Option<String> {
        let mut script = String::new();
        if self.languages.len() > 1 {
            script.push_str(CHOOSE);
        }
        if let Some(seconds) = self.auto_retry {
            script.push_str(&fill(RETRY, &[("AUTO_RETRY", &seconds.to_string())]));
        }
        (!script.is_empty()).then_some(script)
    }
}

/// What a Content-Security-Policy calls a text between `<script>` and `</script>`: `sha256-` and base64.
pub(super) fn csp_hash(inline: &str) -> String {
    format!("'sha256-{}'", base64(&Sha256::digest(inline.as_bytes())))
}

/// Text as HTML has it, in an element and between double quotes.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::languages::{LANGUAGES, language};
    use super::*;
    use regex::Regex;

    const PIXEL: &str = "https://px.shop.example/status/images/beacon.gif?source=fastly";

    fn page<'a>(languages: &'a [&'static Language], site_name: &'a str) -> Page<'a> {
        Page {
            languages,
            site_name: Some(site_name),
            status_url: Some("https://status.shop.example/"),
            pixel: PIXEL,
            auto_retry: None,
        }
    }

    fn all() -> Vec<&'static Language> {
        LANGUAGES.iter().collect()
    }

    /// What a browser would fetch or run: values of `src`, and elements that load.
    fn sources(html: &str) -> Vec<String> {
        let source = Regex::new(r#"(?i)<(?:img|script|link|iframe|object|embed|audio|video|source|track|input|svg|use|image)\b[^>]*?(?:src|href|data)="([^"]*)""#).unwrap();
        let found = source.captures_iter(html);
        found.map(|found| found[1].to_owned()).collect()
    }

    #[test]
    fn a_page_asks_for_the_pixel_once_and_for_nothing_else() {
        for languages in [all(), vec![language("ar").unwrap()]] {
            let html = page(&languages, "Shop").html();
            assert_eq!(sources(&html), ["data:,", PIXEL]);
            for loads in ["url(", "@import", "fetch(", "XMLHttp", "http-equiv"] {
                assert!(!html.contains(loads), "{loads}");
            }
        }
    }

    #[test]
    fn a_site_with_a_hostile_name_adds_no_element() {
        let languages = all();
        let count = |html: &str| html.matches('<').count();
        let hostile = page(
            &languages,
            "\"}</section><script>alert(1)</script><!-- ' &amp;",
        )
        .html();
        assert_eq!(count(&hostile), count(&page(&languages, "Shop").html()));
        assert!(hostile.contains("&lt;script&gt;alert(1)"));
        assert!(!hostile.contains("\"}"));
    }

    #[test]
    fn no_page_ends_a_text_of_vcl() {
        let languages = all();
        let page = Page {
            auto_retry: Some(60),
            ..page(&languages, "Shop")
        };
        assert!(!page.html().contains("\"}"));
    }

    #[test]
    fn five_languages_arrive_in_the_first_round_trip() {
        let codes = ["en", "de", "fr", "ja", "ru"];
        let languages: Vec<_> = codes.iter().filter_map(|code| language(code)).collect();
        let size = page(&languages, "Shop").html().len();
        assert!(size < FIRST_ROUND_TRIP, "{size}");
    }

    #[test]
    fn the_first_language_is_the_last_section_and_the_only_default() {
        let languages: Vec<_> = ["de", "he"]
            .iter()
            .filter_map(|code| language(code))
            .collect();
        let html = page(&languages, "Shop").html();
        assert!(html.contains("<html lang=\"de\" dir=\"ltr\">"));
        assert!(html.contains("<section id=\"he\" lang=\"he\" dir=\"rtl\">"));
        assert_eq!(html.matches("class=\"d\"").count(), 1);
        assert!(
            html.find("id=\"he\"") < html.find("id=\"de\" lang=\"de\" dir=\"ltr\" class=\"d\"")
        );
    }

    #[test]
    fn a_page_in_one_language_has_neither_chooser_nor_script() {
        let html = page(&[&LANGUAGES[0]], "Shop").html();
        assert!(!html.contains("<nav") && !html.contains("<script>"));
    }
}
