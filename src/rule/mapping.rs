//! `map` and `map_file` of a derived field: value to value.
//!
//! A key stands for itself. One that begins with `*.` stands for every value that ends in what
//! follows the star and has something before it, as in nginx's `map … hostnames`; the longest of
//! several wins, and a key without a star before all of them.

use std::collections::HashMap;

/// Keys and what they become.
#[derive(Debug, Default)]
pub(crate) struct Mapping {
    exact: HashMap<Vec<u8>, String>,
    /// By what must stand at the end, its dot included.
    endings: HashMap<Vec<u8>, String>,
}

impl Mapping {
    /// Adds a key.
    pub(crate) fn insert(&mut self, key: &str, value: String) {
        match ending(key) {
            Some(ending) => self.endings.insert(ending.as_bytes().to_vec(), value),
            None => self.exact.insert(key.as_bytes().to_vec(), value),
        };
    }

    /// What a value becomes; `None` when it stays as it is.
    pub(crate) fn of(&self, value: &[u8]) -> Option<&str> {
        if let Some(exact) = self.exact.get(value) {
            return Some(exact);
        }
        if self.endings.is_empty() {
            return None;
        }
        // From the left, so that the longest ending comes first.
        let found = memchr::memchr_iter(b'.', value)
            .filter(|&dot| dot > 0)
            .find_map(|dot| self.endings.get(value.get(dot..)?));
        found.map(String::as_str)
    }

    /// All pairs in an order of their own, for telling two mappings apart.
    pub(crate) fn sorted(&self) -> Vec<(&[u8], &str)> {
        let all = self.exact.iter().chain(&self.endings);
        let mut all: Vec<_> = all.map(|(key, value)| (&key[..], value.as_str())).collect();
        // An ending begins with a dot, so at worst two mappings are told apart that are the same.
        all.sort_unstable();
        all
    }
}

/// `.example.com` of `*.example.com`.
fn ending(key: &str) -> Option<&str> {
    key.strip_prefix('*').filter(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mapping(keys: &[&str]) -> Mapping {
        let mut mapping = Mapping::default();
        for key in keys {
            mapping.insert(key, format!("<{key}>"));
        }
        mapping
    }

    #[test]
    fn the_longest_ending_wins_and_a_whole_name_before_it() {
        let keys = [
            "*.example.com",
            "*.eu.example.com",
            "www.example.com",
            "*",
            "*x.com",
        ];
        let mapping = mapping(&keys);
        for (value, expected) in [
            ("www.example.com", Some("<www.example.com>")),
            ("img.example.com", Some("<*.example.com>")),
            ("a.b.example.com", Some("<*.example.com>")),
            ("a.eu.example.com", Some("<*.eu.example.com>")),
            ("eu.example.com", Some("<*.example.com>")),
            ("example.com", None),
            (".example.com", None),
            ("badexample.com", None),
            ("example.com.evil.org", None),
            ("*", Some("<*>")),
            ("ax.com", None),
            ("", None),
        ] {
            assert_eq!(mapping.of(value.as_bytes()), expected, "{value}");
        }
    }

    /// The longest key that fits, found by trying all of them.
    fn naive<'k>(keys: &[&'k str], value: &str) -> Option<&'k str> {
        let fits = |key: &&&str| match key.strip_prefix("*.") {
            Some(rest) => {
                let before = value.strip_suffix(rest).and_then(|v| v.strip_suffix('.'));
                before.is_some_and(|before| !before.is_empty())
            }
            None => **key == value,
        };
        let exact = keys
            .iter()
            .find(|key| !key.starts_with("*.") && **key == value);
        exact
            .or_else(|| keys.iter().filter(fits).max_by_key(|key| key.len()))
            .copied()
    }

    proptest! {
        #[test]
        fn looking_up_agrees_with_trying_all(keys in prop::collection::hash_set("(\\*\\.)?[ab.]{0,5}", 0..8), value in "[ab.]{0,8}") {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let expected = naive(&keys, &value).map(|key| format!("<{key}>"));
            let mapping = mapping(&keys);
            prop_assert_eq!(mapping.of(value.as_bytes()), expected.as_deref());
        }
    }
}
