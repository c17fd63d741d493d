//! Lines with values that their server wrote as a client sent them: quotes, blanks and all.
//!
//! Such a value ends where the rest of the format fits the rest of the line, up to its end. The
//! steps between two of them make a *join*: its first possible place counts when nothing was
//! forged, its last one too, and where the two differ nobody can tell. So each join is looked for
//! from the left and from the right. A value between two joins with one place each is sure; any
//! other is absent, and so is what a join with two places holds. A line is refused when its status
//! would be unsure.
//!
//! Invariant: what is kept is the same for every way of reading the line.
//!
//! Where the values of a join may run past other places of it, each place could cost the rest of
//! the line. So what is looked at behind all places of a line is added up, and a line that asks for
//! many times its own length does not fit.

use std::cell::Cell;

use memchr::memmem;

use super::{Layout, Shape, Step, mismatch, token_length};
use crate::record::{Mismatch, Reading, Span};

/// So many times its own length is looked at of a line, and no more.
const READINGS: usize = 64;

/// The two outermost places of a join.
struct Place {
    first: usize,
    last: usize,
}

impl Layout {
    /// True for a step whose value may hold anything.
    pub(super) fn is_open(&self, step: usize) -> bool {
        let step = self.steps.get(step);
        step.is_some_and(|step| matches!(step.shape, Shape::Open | Shape::Cookie))
    }

    /// Reads what is left of a line from the open step `first` on, whose value begins at `at`.
    pub(super) fn read_open(
        &self,
        line: &[u8],
        spans: &mut [Span],
        first: usize,
        at: usize,
    ) -> Result<Reading, Mismatch> {
        let rest = first..self.steps.len();
        let open: Vec<usize> = rest.filter(|step| self.is_open(*step)).collect();
        let places = self
            .places(line, &open, at)
            .ok_or_else(|| mismatch(first, at))?;
        let steps = self.steps.iter().skip(first);
        steps.for_each(|step| step.leave_out(spans));
        let (mut from, mut is_sure, mut all_sure) = (at, true, true);
        for (&step, place) in open.iter().zip(&places) {
            let has_one_place = place.first == place.last;
            if is_sure && has_one_place {
                self.keep(step, spans, from, place.first);
            }
            if has_one_place {
                from = self.take_join(line, spans, step, place.first);
            } else if self.joins_status(step) {
                return Err(Mismatch::text(place.first, "a status with one place only"));
            }
            (is_sure, all_sure) = (has_one_place, all_sure && has_one_place);
        }
        if all_sure {
            Ok(Reading::Exact)
        } else {
            Ok(Reading::Partial)
        }
    }

    /// Reads the value of the open step that begins at `at` and the status behind it, of a line whose
    /// rest is damaged; true when there is only one place where they can part.
    pub(super) fn read_only_status(
        &self,
        line: &[u8],
        spans: &mut [Span],
        step: usize,
        at: usize,
    ) -> bool {
        let fuel = &Cell::new(line.len().saturating_mul(READINGS));
        let first = self.first_join(line, step, at, |_| true, fuel);
        let last = self.last_join(line, step, at..line.len(), |_| true, fuel);
        let (Some((first, _)), Some((last, _))) = (first, last) else {
            return false;
        };
        if first == last {
            self.keep(step, spans, at, first);
            self.take_join(line, spans, step, first);
        }
        first == last
    }

    /// First and last place of the join behind each open step; `None` when they do not fit.
    fn places(&self, line: &[u8], open: &[usize], at: usize) -> Option<Vec<Place>> {
        let (&tail, inner) = open.split_last()?;
        let is_end = |end| end == line.len();
        let fuel = &Cell::new(line.len().saturating_mul(READINGS));
        let mut places = Vec::with_capacity(open.len());
        let mut from = at;
        for &step in inner {
            let (first, end) = self.first_join(line, step, from, |_| true, fuel)?;
            places.push(Place { first, last: first });
            from = end;
        }
        let (first, _) = self.first_join(line, tail, from, is_end, fuel)?;
        let (last, _) = self.last_join(line, tail, from..line.len(), is_end, fuel)?;
        let mut limit = last;
        for (&step, place) in inner.iter().zip(&mut places).rev() {
            let fits = |end| end <= limit;
            (place.last, _) = self.last_join(line, step, place.first..limit, fits, fuel)?;
            limit = place.last;
        }
        places.push(Place { first, last });
        Some(places)
    }

    /// The first place at `from` or behind it where the join of `step` stands, and its end.
    fn first_join(
        &self,
        line: &[u8],
        step: usize,
        from: usize,
        fits: impl Fn(usize) -> bool,
        fuel: &Cell<usize>,
    ) -> Option<(usize, usize)> {
        let literal = &self.steps.get(step)?.literal.text;
        if literal.is_empty() {
            return Some((line.len(), line.len()));
        }
        let mut places = memmem_places(line, from, literal).take_while(|_| fuel.get() > 0);
        places.find_map(|at| {
            let end = self.end_of_join(line, step, at, fuel)?;
            fits(end).then_some((at, end))
        })
    }

    /// The last place in `range` where the join of `step` stands, and its end.
    fn last_join(
        &self,
        line: &[u8],
        step: usize,
        range: std::ops::Range<usize>,
        fits: impl Fn(usize) -> bool,
        fuel: &Cell<usize>,
    ) -> Option<(usize, usize)> {
        let literal = &self.steps.get(step)?.literal.text;
        if literal.is_empty() {
            return Some((line.len(), line.len()));
        }
        let mut end = range.end;
        loop {
            if fuel.get() == 0 {
                return None;
            }
            let at = range.start + memmem::rfind(line.get(range.start..end)?, literal)?;
            let joined = self.end_of_join(line, step, at, fuel);
            match joined.filter(|end| fits(*end)) {
                Some(end) => return Some((at, end)),
                // Literals may overlap themselves: only the last byte is done with.
                None => end = at + literal.len() - 1,
            }
        }
    }

    /// The steps of the join behind the open step `step`.
    fn join(&self, step: usize) -> impl Iterator<Item = &Step> {
        let steps = self.steps.iter().skip(step + 1);
        steps.take_while(|step| !matches!(step.shape, Shape::Open | Shape::Cookie))
    }

    pub(super) fn joins_status(&self, step: usize) -> bool {
        self.status
            .is_some_and(|status| status > step && status <= step + self.join(step).count())
    }

    /// Where the join that stands at `at` ends; `None` when it does not stand there. What is looked
    /// at of the line is taken from `fuel`.
    fn end_of_join(
        &self,
        line: &[u8],
        step: usize,
        at: usize,
        fuel: &Cell<usize>,
    ) -> Option<usize> {
        let open = self.steps.get(step)?;
        open.literal.stands_at(line, at).then_some(())?;
        let mut at = at + open.literal.text.len();
        for step in self.join(step) {
            let end = step.end(line, at);
            let looked_at = step.looked_at(line, at, end);
            fuel.set(fuel.get().saturating_sub(looked_at));
            at = match end {
                Some(end) => end + step.literal.text.len(),
                None => step.end_of_nothing(line, at)?,
            };
        }
        Some(at)
    }

    /// Keeps the values of a join that stands at `at`; returns its end.
    fn take_join(&self, line: &[u8], spans: &mut [Span], step: usize, at: usize) -> usize {
        let literal = self
            .steps
            .get(step)
            .map_or(0, |step| step.literal.text.len());
        let mut at = at + literal;
        for step in self.join(step) {
            match step.end(line, at) {
                Some(end) => {
                    step.take(line, spans, at, end);
                    at = end + step.literal.text.len();
                }
                None => at = step.end_of_nothing(line, at).unwrap_or(at),
            }
        }
        at
    }

    fn keep(&self, step: usize, spans: &mut [Span], start: usize, end: usize) {
        if let Some(step) = self.steps.get(step) {
            step.keep(spans, start, end);
        }
    }
}

impl Step {
    /// How many bytes were looked at to find that a value at `at` ends at `end`, or does not.
    fn looked_at(&self, line: &[u8], at: usize, end: Option<usize>) -> usize {
        let rest = line.get(at..).unwrap_or_default();
        match (end, self.shape) {
            (Some(end), _) => end.saturating_sub(at),
            (None, _) if self.quoted => rest.len(),
            (None, Shape::Token | Shape::Word | Shape::Address) => {
                token_length(rest, &self.literal.text).unwrap_or_default()
            }
            (None, Shape::List | Shape::Attempts | Shape::Text) => rest.len(),
            (None, Shape::Braced) if rest.first() == Some(&b'{') => rest.len(),
            (None, _) => 0,
        }
    }
}

/// Every place of `needle`, also where it overlaps itself.
fn memmem_places(line: &[u8], from: usize, needle: &[u8]) -> impl Iterator<Item = usize> {
    let mut from = from;
    std::iter::from_fn(move || {
        let at = from + memmem::find(line.get(from..)?, needle)?;
        from = at + 1;
        Some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::made::{compiled, seen};
    use crate::definition::Dialect;
    use crate::record::Reading;

    /// Each bar may end the first value, and the word behind it has no end before that of the line.
    #[test]
    fn a_line_that_asks_for_much_more_than_its_length_is_read_in_part() {
        let text = "[%START_TIME%] %RESPONSE_CODE% %REQ(A)%|%PROTOCOL%;%REQ(B)%";
        let format = compiled(Dialect::Envoy, text).unwrap();
        let line = |bars: &str| format!("[2016-04-15T20:17:00.310Z] 200 a{bars}|HTTP/1.1;b");
        let few = seen(&format, line("||").as_bytes()).unwrap();
        assert_eq!(few.get("status").unwrap(), "200");
        let many = line("||").replace("HTTP/1.1;b", &"|".repeat(200_000));
        let many = seen(&format, many.as_bytes()).unwrap();
        assert_eq!((many.reading, many.get("http_a")), (Reading::Partial, None));
        assert_eq!(many.get("status").unwrap(), "200");
        // Blanks end words, so a line of them costs little and is read.
        let blanks = seen(&format, line(&"| ".repeat(20_000)).as_bytes()).unwrap();
        assert_eq!(blanks.get("http_b").unwrap(), "b");
    }
}
