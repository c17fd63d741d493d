//! What rotated files are usually called.
//!
//! For `access.log`: `access.log.1`, `access.log.1.gz`, `access.log-20261122`, `access.log.2026-11-22.xz`,
//! `access.log.old`, `access-20261122.log`, `access.1.log`, and these with the ending of a compression.

/// Endings that compressors add.
const PACKED: [&[u8]; 5] = [b".gz", b".bz2", b".xz", b".zst", b".Z"];

/// Digits of the shortest date, as in 261122.
const DATE_DIGITS: usize = 6;

/// Whether `name` is what a rotated `log` is usually called; both are names without folders.
pub(super) fn is_rotated(log: &[u8], name: &[u8]) -> bool {
    let name = PACKED
        .iter()
        .find_map(|ending| name.strip_suffix(*ending))
        .unwrap_or(name);
    if let Some(rest) = name.strip_prefix(log) {
        return is_suffix(rest);
    }
    let Some(dot) = memchr::memrchr(b'.', log).filter(|dot| *dot > 0) else {
        return false;
    };
    let (stem, ending) = log.split_at(dot);
    let inner = name
        .strip_prefix(stem)
        .and_then(|rest| rest.strip_suffix(ending));
    inner.is_some_and(|inner| match inner.split_first() {
        Some((b'-', rest)) => is_date(rest),
        Some((b'.', rest)) => is_number(rest) || is_date(rest),
        _ => false,
    })
}

/// Whether `name`, which an operator's own pattern holds, may be of a rotated `log`: it begins with the whole
/// name, or with the stem and a number.
pub(super) fn belongs(log: &[u8], name: &[u8]) -> bool {
    if let Some(rest) = name.strip_prefix(log) {
        return rest.first().is_none_or(|byte| !byte.is_ascii_alphabetic());
    }
    let rest = name.strip_prefix(stem(log)).unwrap_or_default();
    matches!(rest, [b'-' | b'.' | b'_', digit, ..] if digit.is_ascii_digit())
}

/// Whether a pattern for names may hold rotated files of a log.
pub(super) fn could_hold(pattern: &glob::Pattern, log: &[u8]) -> bool {
    let log_name = String::from_utf8_lossy(log);
    let stem_len = stem(log).len();
    let (stem, ending) = log_name
        .split_at_checked(stem_len)
        .unwrap_or((&log_name, ""));
    let plain = [
        log_name.to_string(),
        format!("{log_name}.1"),
        format!("{log_name}-20261122"),
        format!("{log_name}.20261122"),
        format!("{stem}-20261122{ending}"),
        format!("{stem}.1{ending}"),
    ];
    plain
        .iter()
        .any(|name| pattern.matches(name) || pattern.matches(&format!("{name}.gz")))
}

/// What the names of all rotated files of a log begin with.
pub(super) fn stem(log: &[u8]) -> &[u8] {
    let dot = memchr::memrchr(b'.', log).filter(|dot| *dot > 0);
    log.get(..dot.unwrap_or(log.len())).unwrap_or(log)
}

/// What follows the whole name of the log.
fn is_suffix(rest: &[u8]) -> bool {
    match rest.split_first() {
        // A log and its archive have the same name but for the ending of the compression.
        Some((b'-', rest)) => is_date(rest),
        Some((b'.', rest)) => rest == b"old" || is_number(rest) || is_date(rest),
        _ => false,
    }
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

fn is_date(text: &[u8]) -> bool {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let separators = text
        .iter()
        .all(|byte| byte.is_ascii_digit() || b"-_.T:".contains(byte));
    separators && digits >= DATE_DIGITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_known() {
        for name in [
            "access.log.1",
            "access.log.12",
            "access.log.1.gz",
            "access.log.3.zst",
            "access.log-20261122",
            "access.log-20261122.gz",
            "access.log.2026-11-22T07:00",
            "access.log.old",
            "access-20261122.log",
            "access-20261122.log.xz",
            "access.1.log",
            "access.1.log.bz2",
            "access.log-2026-11-22_07.1",
        ] {
            assert!(is_rotated(b"access.log", name.as_bytes()), "{name}");
        }
        assert!(is_rotated(b"messages", b"messages.1"));
        assert!(is_rotated(b"messages", b"messages-20261122"));
    }

    #[test]
    fn own_patterns_hold_the_whole_name_or_the_stem_and_a_number() {
        for name in [
            "access.log.x",
            "access.log",
            "access-2026.log",
            "access_1",
            "access.log2",
        ] {
            assert!(belongs(b"access.log", name.as_bytes()), "{name}");
        }
        for name in [
            "access-admin.log",
            "access-admin.log.1",
            "access.logs",
            "acc-1",
            "access",
        ] {
            assert!(!belongs(b"access.log", name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn other_names_are_not() {
        for name in [
            "access.log",
            "access.log.gz",
            "access.log.swp",
            "access.log1",
            "access.logs.1",
            "access.log-ssl",
            "access-ssl.log",
            "access.log.",
            "error.log.1",
            "access.log.1.tmp",
            "access.log-1",
            "access..log",
            "access.log.1.gz.tmp",
        ] {
            assert!(!is_rotated(b"access.log", name.as_bytes()), "{name}");
        }
        assert!(!is_rotated(b".log", b"x.1.log"));
    }
}
