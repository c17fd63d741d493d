//! The name that was probably meant.
//!
//! Invariant: an answer is one of the candidates, at most `1 + length / 4` edits away. It does not
//! look at meaning: synonyms are not similar.

/// The candidate nearest to `name` by Damerau-Levenshtein distance (a swap of neighbours is one
/// edit); among equally near ones the first in the alphabet. `None` when nothing is near.
pub fn similar<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed: Vec<char> = name.chars().collect();
    let most = 1 + typed.len() / 4;
    candidates
        .into_iter()
        .filter_map(|candidate| Some((distance(&typed, candidate, most)?, candidate)))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits from `typed` to `candidate`, or `None` when there are more than `most`.
fn distance(typed: &[char], candidate: &str, most: usize) -> Option<usize> {
    let candidate: Vec<char> = candidate.chars().collect();
    if typed.len().abs_diff(candidate.len()) > most {
        return None;
    }
    let mut rows = Rows::new(candidate.len());
    let mut before: Option<char> = None;
    for &letter in typed {
        rows.step(letter, before, &candidate);
        before = Some(letter);
    }
    let edits = rows.current.last().copied()?;
    (edits <= most).then_some(edits)
}

/// The last rows of the distance matrix; a swap looks two rows back.
struct Rows {
    older: Vec<usize>,
    previous: Vec<usize>,
    current: Vec<usize>,
}

impl Rows {
    fn new(width: usize) -> Rows {
        Rows {
            older: Vec::new(),
            previous: Vec::new(),
            current: (0..=width).collect(),
        }
    }

    fn step(&mut self, letter: char, before: Option<char>, candidate: &[char]) {
        self.older = std::mem::take(&mut self.previous);
        self.previous = std::mem::take(&mut self.current);
        let mut left = at(&self.previous, 0) + 1;
        self.current.push(left);
        for (column, &other) in candidate.iter().enumerate() {
            let replaced = at(&self.previous, column) + usize::from(letter != other);
            let mut edits = replaced
                .min(at(&self.previous, column + 1) + 1)
                .min(left + 1);
            let neighbour = column.checked_sub(1).and_then(|left| candidate.get(left));
            if neighbour == Some(&letter) && before == Some(other) {
                edits = edits.min(at(&self.older, column.saturating_sub(1)) + 1);
            }
            self.current.push(edits);
            left = edits;
        }
    }
}

/// A cell; outside the matrix everything is too far.
fn at(row: &[usize], column: usize) -> usize {
    row.get(column).copied().unwrap_or(usize::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nearest_name_wins() {
        let fields = ["request_time", "request_type", "status"];
        assert_eq!(similar("request_tme", fields), Some("request_time"));
        assert_eq!(similar("sttaus", fields), Some("status"));
        assert_eq!(similar("upstream", fields), None);
    }

    #[test]
    fn ties_go_to_the_first_in_the_alphabet() {
        assert_eq!(similar("ab", ["cb", "ac", "aa"]), Some("aa"));
    }

    #[test]
    fn a_swap_is_one_edit() {
        assert_eq!(similar("ba", ["ab"]), Some("ab"));
        assert_eq!(similar("abc", ["cab"]), None);
    }

    /// The textbook recursion.
    fn naive(a: &[char], b: &[char]) -> usize {
        let (Some((x, a_rest)), Some((y, b_rest))) = (a.split_last(), b.split_last()) else {
            return a.len() + b.len();
        };
        let mut edits = naive(a_rest, b_rest) + usize::from(x != y);
        edits = edits.min(naive(a_rest, b) + 1).min(naive(a, b_rest) + 1);
        if let (Some((x2, a2)), Some((y2, b2))) = (a_rest.split_last(), b_rest.split_last())
            && x == y2
            && x2 == y
        {
            edits = edits.min(naive(a2, b2) + 1);
        }
        edits
    }

    proptest! {
        #[test]
        fn distance_is_the_textbook_one(a in "[abc]{0,5}", b in "[abc]{0,5}") {
            let (typed, other): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            prop_assert_eq!(distance(&typed, &b, 9), Some(naive(&typed, &other)));
        }
    }
}
