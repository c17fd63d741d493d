//! From definitions to [`Rules`]: every name looked up, every mistake collected.

use std::sync::Arc;

use super::literal::{self, Gate};
use super::matcher;
use super::register::{RuleSource, estimated_name, near_name};
use super::variables::{Scope, VarId, Variable, Variables};
use super::vars::Vars;
use super::{Amount, Factor, Group, Input, Label, Labelling, Matcher, Near, Number, Rules, Tally};
use crate::definition::{At, MetricDefinition, RuleSetDefinition, Weight};
use crate::diagnostic::Diagnostic;
use crate::metrics::{Decimal, Kind, Metric, SetLayout, TableLayout, Use};
use crate::record::Fields;

impl Rules {
    /// Compiles rule sets for a format. `metrics` comes from [`super::register()`]; declared label values
    /// are added to it.
    ///
    /// # Errors
    /// Every unknown field, wrong pattern and wrong matcher.
    pub fn compile(
        source: &RuleSource<'_>,
        format: &dyn Fields,
        metrics: &mut [Metric],
    ) -> Result<Rules, Vec<Diagnostic>> {
        let mut variables = Variables::new(format, source.file_labels);
        let mut compiler = Compiler {
            metrics,
            source,
            groups: Vec::new(),
            sets: Vec::new(),
            layouts: Vec::new(),
            labelling: Vec::new(),
            reasons: 0,
            mistakes: Vec::new(),
        };
        for set in &source.sets {
            compiler.rule_set(set, &mut variables);
        }
        compiler.finish(variables)
    }

    /// No rules, but the values of these fields, for [`super::Evaluator::each_field`]. Names that the
    /// format cannot have are left out of the list that comes back.
    pub fn fields(format: &dyn Fields, names: &[String]) -> (Rules, Vec<String>) {
        let mut variables = Variables::new(format, &[]);
        let (mut labelling, mut found) = (Vec::new(), Vec::new());
        for name in names {
            if let Some(id) = variables.named(name) {
                labelling.push(id);
                found.push(name.clone());
            }
        }
        let (variables, wanted) = variables.finish();
        let rules = Rules {
            groups: Vec::new(),
            sets: Vec::new(),
            labelling: labelled(&labelling, &variables),
            variables,
            layout: Arc::default(),
            wanted,
            literal: None,
        };
        (rules, found)
    }

    /// True when a label or a matcher of these rules asks for the place of an address.
    pub fn asks_places(&self) -> bool {
        let groups = self.groups.iter();
        let matchers = groups.flat_map(|group| {
            let near = group.near.iter().flat_map(|near| &near.matchers);
            group.matchers.iter().chain(near)
        });
        let labels = self.labelling.iter().map(|labelling| labelling.variable);
        let mut asked = labels.chain(matchers.map(|matcher| matcher.variable));
        asked.any(|id| self.leads_to_place(id))
    }

    fn leads_to_place(&self, id: VarId) -> bool {
        match self.variables.get(id) {
            Some(Variable::Place { .. }) => true,
            Some(Variable::Derived(derived)) => self.leads_to_place(derived.from),
            Some(Variable::First(ids)) => ids.iter().any(|&id| self.leads_to_place(id)),
            _ => false,
        }
    }

    /// Gives the layout the final list of metrics, once every format's rules are compiled.
    pub fn number(&mut self, metrics: &Arc<Vec<Metric>>) {
        let mut layout = (*self.layout).clone();
        layout.metrics = Arc::clone(metrics);
        self.layout = Arc::new(layout);
    }
}

struct Compiler<'c> {
    metrics: &'c mut [Metric],
    source: &'c RuleSource<'c>,
    groups: Vec<Group>,
    sets: Vec<Vec<Label>>,
    layouts: Vec<SetLayout>,
    labelling: Vec<VarId>,
    reasons: usize,
    mistakes: Vec<Diagnostic>,
}

/// A near miss' reasons get dictionary numbers from the end of the range while compiling.
const REASONS: usize = usize::MAX / 2;

impl Compiler<'_> {
    fn rule_set(&mut self, set: &RuleSetDefinition, variables: &mut Variables<'_>) {
        let vars = Vars::of(set, self.source.overrides);
        let mut mistakes = Vec::new();
        let mut scope = Scope::new(variables, &vars, &set.fields, &mut mistakes);
        for metric in &set.metrics {
            if let Err(found) = self.metric(set, metric, &mut scope) {
                mistakes.extend(found);
            }
        }
        self.mistakes.extend(mistakes);
    }

    fn metric(
        &mut self,
        set: &RuleSetDefinition,
        definition: &MetricDefinition,
        scope: &mut Scope<'_, '_>,
    ) -> Result<(), Vec<Diagnostic>> {
        let name = definition.name.value.as_str();
        let main = self.number(name);
        let estimate = definition
            .weight
            .as_ref()
            .and_then(|_| self.number(&estimated_name(name)));
        let misses = definition
            .near
            .as_ref()
            .and_then(|_| self.number(&near_name(name)));
        let mut mistakes = Vec::new();
        let matchers = matchers(definition.matchers.as_ref(), scope, &mut mistakes);
        let near = matchers_of_near(definition, scope, &mut mistakes);
        let labels = self.labels(definition, scope, &mut mistakes);
        let value = number(definition.value.as_ref(), scope, &mut mistakes);
        let weight = factor(definition.weight.as_ref(), scope, &mut mistakes);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let never = |value: Number| match value.from {
            Input::Written(_) => false,
            Input::Value(id) => scope.variables.is_never_present(id),
        };
        if value.is_some_and(never) {
            return Ok(());
        }
        if main.is_none() && estimate.is_none() && misses.is_none() {
            return Ok(());
        }
        let group = self.group(&set.name, matchers);
        let declared: Vec<_> = labels
            .iter()
            .map(|id| scope.variables.declared(*id))
            .collect();
        let labels: Vec<Label> = labels.into_iter().map(|id| self.label(id)).collect();
        for (metric, weight) in [(main, None), (estimate, weight)] {
            let Some(metric) = metric else { continue };
            self.declare(metric, &declared);
            let (set, offset) = self.place(&labels, metric);
            let amount = self.amount(metric, value, weight);
            if let Some(group) = self.groups.get_mut(group) {
                group.tallies.push(Tally {
                    set,
                    offset,
                    metric,
                    amount,
                });
                group.tallies.sort_by_key(|tally| tally.set);
            }
        }
        if let (Some(metric), Some(near)) = (misses, near) {
            self.near(group, metric, near);
        }
        Ok(())
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.metrics.iter().position(|metric| metric.name == name)
    }

    /// The group with these matchers.
    fn group(&mut self, rules: &str, matchers: Vec<Matcher>) -> usize {
        let same = |group: &Group| {
            group.matchers.len() == matchers.len()
                && group
                    .matchers
                    .iter()
                    .zip(&matchers)
                    .all(|(a, b)| a.variable == b.variable && a.test.is_same(&b.test))
        };
        self.groups.iter().position(same).unwrap_or_else(|| {
            self.groups.push(Group {
                rules: rules.to_owned(),
                matchers,
                gate: None,
                tallies: Vec::new(),
                near: Vec::new(),
            });
            self.groups.len() - 1
        })
    }

    /// The labelling entries of a metric, after `--by`.
    fn labels(
        &mut self,
        definition: &MetricDefinition,
        scope: &mut Scope<'_, '_>,
        mistakes: &mut Vec<Diagnostic>,
    ) -> Vec<VarId> {
        let kept = |label: &str| {
            self.source
                .by
                .is_none_or(|by| by.iter().any(|name| name == label))
        };
        let mut labels = Vec::new();
        for label in self.source.file_labels.iter().filter(|label| kept(label)) {
            labels.extend(scope.variables.named(label));
        }
        for (label, field) in &definition.labels {
            match scope.resolve(field) {
                Ok(id) if kept(&label.value) => labels.push(id),
                Ok(_) => {}
                Err(mistake) => mistakes.push(mistake),
            }
        }
        labels
    }

    fn label(&mut self, id: VarId) -> Label {
        let known = self.labelling.iter().position(|&entry| entry == id);
        Label::Field(known.unwrap_or_else(|| {
            self.labelling.push(id);
            self.labelling.len() - 1
        }))
    }

    fn declare(&mut self, metric: usize, declared: &[Option<Vec<String>>]) {
        let Some(metric) = self.metrics.get_mut(metric) else {
            return;
        };
        for (into, from) in metric.declared.iter_mut().zip(declared) {
            if let Some(from) = from {
                let into = into.get_or_insert_default();
                into.extend(
                    from.iter()
                        .filter(|value| !into.contains(value))
                        .cloned()
                        .collect::<Vec<_>>(),
                );
            }
        }
    }

    /// The place of a metric's cell in the set with these labels.
    fn place(&mut self, labels: &[Label], metric: usize) -> (usize, usize) {
        let set = self
            .sets
            .iter()
            .position(|set| set == labels)
            .unwrap_or_else(|| {
                self.sets.push(labels.to_vec());
                self.layouts.push(SetLayout {
                    labels: Vec::new(),
                    uses: Vec::new(),
                    stride: 1,
                });
                self.sets.len() - 1
            });
        let width = self
            .metrics
            .get(metric)
            .map_or(0, |metric| metric.kind.width());
        let Some(layout) = self.layouts.get_mut(set) else {
            return (0, 0);
        };
        if let Some(known) = layout.uses.iter().find(|known| known.metric == metric) {
            return (set, known.offset);
        }
        let offset = layout.stride;
        layout.uses.push(Use {
            metric,
            offset,
            width,
        });
        layout.stride += width;
        (set, offset)
    }

    fn amount(&self, metric: usize, value: Option<Number>, weight: Option<Factor>) -> Amount {
        match (self.metrics.get(metric).map(|metric| &metric.kind), value) {
            (Some(Kind::Last), Some(value)) => Amount::Last(value),
            (Some(Kind::Buckets(bounds)), Some(value)) => Amount::Observe {
                value,
                bounds: bounds.iter().map(|bound| (word(*bound), *bound)).collect(),
            },
            (Some(Kind::Sum), value) => Amount::Sum { value, weight },
            _ => Amount::Line,
        }
    }

    fn near(&mut self, group: usize, metric: usize, matchers: Vec<Matcher>) {
        let unlabelled = self
            .metrics
            .get(metric)
            .is_none_or(|metric| metric.labels.is_empty());
        let labels = if unlabelled {
            Vec::new()
        } else {
            vec![Label::Reason(REASONS + self.reasons)]
        };
        self.reasons += labels.len();
        let (set, offset) = self.place(&labels, metric);
        let Some(group) = self.groups.get_mut(group) else {
            return;
        };
        let reasons: Vec<String> = group
            .matchers
            .iter()
            .map(|matcher| matcher.text.clone())
            .collect();
        group.near.push(Near {
            matchers,
            set,
            offset,
        });
        if !unlabelled {
            self.declare(metric, &[Some(reasons)]);
        }
    }

    fn finish(mut self, variables: Variables<'_>) -> Result<Rules, Vec<Diagnostic>> {
        if !self.mistakes.is_empty() {
            return Err(self.mistakes);
        }
        let fields = self.labelling.len();
        for (set, layout) in self.sets.iter_mut().zip(&mut self.layouts) {
            for label in set.iter_mut() {
                if let Label::Reason(number) = label {
                    *label = Label::Reason(*number - REASONS + fields);
                }
            }
            layout.labels = set
                .iter()
                .map(|label| match label {
                    Label::Field(number) | Label::Reason(number) => *number,
                })
                .collect();
        }
        self.groups
            .retain(|group| !group.tallies.is_empty() || !group.near.is_empty());
        let (variables, wanted) = variables.finish();
        let labelling = labelled(&self.labelling, &variables);
        for group in &mut self.groups {
            group.gate = Gate::of(group, &variables);
        }
        let literal = literal::common(&self.groups, &variables);
        let layout = TableLayout {
            dictionaries: fields + self.reasons,
            sets: self.layouts,
            metrics: Arc::new(self.metrics.to_vec()),
        };
        Ok(Rules {
            variables,
            labelling,
            groups: self.groups,
            sets: self.sets,
            layout: Arc::new(layout),
            wanted,
            literal,
        })
    }
}

fn matchers(
    text: Option<&At<String>>,
    scope: &mut Scope<'_, '_>,
    mistakes: &mut Vec<Diagnostic>,
) -> Vec<Matcher> {
    let Some(text) = text else { return Vec::new() };
    let parsed = match matcher::parse(text, scope.vars) {
        Ok(parsed) => parsed,
        Err(mistake) => {
            mistakes.push(mistake);
            return Vec::new();
        }
    };
    let mut matchers = Vec::new();
    for matcher in parsed {
        let name = At {
            value: matcher.field,
            place: text.place.inside(matcher.at),
        };
        match scope.resolve(&name) {
            Ok(variable) => matchers.push(Matcher {
                variable,
                test: matcher.test,
                text: matcher.text,
            }),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    matchers
}

fn matchers_of_near(
    definition: &MetricDefinition,
    scope: &mut Scope<'_, '_>,
    mistakes: &mut Vec<Diagnostic>,
) -> Option<Vec<Matcher>> {
    let near = definition.near.as_ref()?;
    if definition.matchers.is_none() {
        mistakes.push(near.place.error(
            "`near` without `match` can never miss",
            "remove it, or add `match`",
        ));
    }
    Some(matchers(Some(near), scope, mistakes))
}

fn number(
    field: Option<&At<String>>,
    scope: &mut Scope<'_, '_>,
    mistakes: &mut Vec<Diagnostic>,
) -> Option<Number> {
    match scope.resolve(field?) {
        Ok(id) => Some(Number {
            from: Input::of(id, scope.variables.get(id)),
            shift: scope.variables.shift(id),
        }),
        Err(mistake) => {
            mistakes.push(mistake);
            None
        }
    }
}

fn factor(
    weight: Option<&At<Weight>>,
    scope: &mut Scope<'_, '_>,
    mistakes: &mut Vec<Diagnostic>,
) -> Option<Factor> {
    let weight = weight?;
    match &weight.value {
        Weight::Number(text) => match Decimal::parse(text.as_bytes(), 0) {
            Some(decimal) if decimal > Decimal::ZERO => Some(Factor::Constant(decimal)),
            _ => {
                mistakes.push(
                    weight
                        .place
                        .error("a weight is a number above 0", "not above 0"),
                );
                None
            }
        },
        Weight::Field(name) => {
            let name = At {
                value: name.clone(),
                place: weight.place.clone(),
            };
            number(Some(&name), scope, mistakes).map(Factor::Field)
        }
    }
}

fn labelled(ids: &[VarId], variables: &[Variable]) -> Vec<Labelling> {
    let labelling = |&variable: &VarId| {
        let made_of = match variables.get(variable) {
            Some(Variable::Derived(derived)) => derived.from,
            _ => variable,
        };
        let input = Input::of(made_of, variables.get(made_of));
        Labelling { variable, input }
    };
    ids.iter().map(labelling).collect()
}

/// A bound as a word; the largest word where it does not fit.
fn word(bound: Decimal) -> u64 {
    u64::try_from(bound.0).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::made::{Asked, Columns, compile, counted_with, mistakes};
    use super::*;
    use crate::record::Escape;
    use crate::rule::Environment;

    const N: &str = "[[metric]]\nname = 'n_total'\nhelp = 'n'\n";

    fn format() -> Columns {
        Columns::plain(&["a", "b", "request"])
    }

    fn metrics(rules: &str, asked: &Asked) -> Arc<Vec<Metric>> {
        compile(&[("made", rules)], &format(), asked).unwrap().1
    }

    fn names(metrics: &[Metric]) -> Vec<&str> {
        metrics.iter().map(|metric| metric.name.as_str()).collect()
    }

    /// The picture of what is wrong with a metric whose last lines are `more`.
    fn wrong(more: &str) -> String {
        mistakes(&[("made", &format!("{N}{more}"))], &format())
    }

    #[test]
    fn a_metric_of_two_files_has_one_meaning() {
        let same = compile(&[("one", N), ("two", N)], &format(), &Asked::default());
        assert_eq!(names(&same.unwrap().1), ["n_total"]);
        for (other, what) in [
            ("value = 'a'", "type, value or buckets"),
            ("labels = ['a']", "labels"),
        ] {
            let picture = mistakes(&[("one", N), ("two", &format!("{N}{other}"))], &format());
            let expected = format!("metric `n_total` is defined twice with different {what}");
            assert!(picture.contains(&expected), "{picture}");
            assert!(
                picture.contains("first defined here") && picture.contains("rules/one.toml"),
                "{picture}"
            );
        }
        let picture = mistakes(&[("one", N), ("two", &N.replace("'n'", "'m'"))], &format());
        assert!(picture.contains("help text"), "{picture}");
    }

    #[test]
    fn buckets_rise_and_are_numbers() {
        let histogram = |buckets: &str| {
            let rules = format!(
                "[[metric]]\nname = 'h'\nhelp = 'h'\ntype = 'histogram'\nvalue = 'a'\nbuckets = [{buckets}]\n"
            );
            mistakes(&[("made", &rules)], &format())
        };
        assert_eq!(histogram("0.1, 1, 10"), "");
        assert!(histogram("0.1, 10, 1").contains("bucket bounds must rise"));
        assert!(histogram("1, 1.0").contains("bucket bounds must rise"));
        assert!(histogram("").contains("a histogram needs `buckets`"));
        let many: Vec<String> = (0..61).map(|n| n.to_string()).collect();
        assert!(histogram(&many.join(",")).contains("more than 60 buckets"));
        assert_eq!(histogram(&many[..60].join(",")), "");
    }

    #[test]
    fn names_and_labels_are_those_prometheus_takes() {
        for (rules, expected) in [
            (
                "[[metric]]\nname = 'n'\nhelp = 'n'\n",
                "must end in `_total`",
            ),
            (
                "[[metric]]\nname = '1_total'\nhelp = 'n'\n",
                "not a metric name",
            ),
            (
                "[[metric]]\nname = 'g'\nhelp = 'n'\ntype = 'gauge'\n",
                "needs `value`",
            ),
        ] {
            assert!(
                mistakes(&[("made", rules)], &format()).contains(expected),
                "{rules}"
            );
        }
        for (more, expected) in [
            ("labels = { a = 'a', le = 'b' }", "`le` cannot be a label"),
            ("labels = { __a = 'b' }", "`__a` cannot be a label"),
            ("labels = ['a', 'a']", "label `a` is written twice"),
            (
                "labels = ['a']\ngraphite = ['x.{b}.y']",
                "`b` is not a label of this metric",
            ),
            ("labels = ['a']\ngraphite = ['x.{a']", "`{` without `}`"),
            ("near = 'a=\"1\"'", "`near` without `match`"),
            ("weight = 0", "above 0"),
        ] {
            assert!(wrong(more).contains(expected), "{more}: {}", wrong(more));
        }
        let nine: Vec<String> = (0..9).map(|n| format!("l{n} = 'a'")).collect();
        assert!(
            wrong(&format!("labels = {{ {} }}", nine.join(","))).contains("more than 8 labels")
        );
    }

    #[test]
    fn unknown_fields_are_pointed_at_with_a_similar_name() {
        let picture = wrong("match = 'a=\"1\", reqest=~\"x\"'\n");
        assert!(picture.contains("unknown field `reqest`"), "{picture}");
        assert!(
            picture.contains("a field with a similar name exists: `request`"),
            "{picture}"
        );
        assert!(picture.contains(":5:17"), "{picture}");
        let all = wrong("match = 'zzzzzz=\"1\"'\nlabels = ['yyyyyy']\nvalue = 'xxxxxx'\n");
        for name in ["zzzzzz", "yyyyyy", "xxxxxx"] {
            assert!(
                all.contains(&format!("unknown field `{name}`")),
                "all at once: {all}"
            );
        }
    }

    #[test]
    fn fields_are_derived_before_they_are_used() {
        let rules = format!("[fields]\nx = {{ from = ['y'] }}\ny = {{ from = ['a'] }}\n{N}");
        let picture = mistakes(&[("made", &rules)], &format());
        assert!(
            picture.contains("field `y` is used before it is derived"),
            "{picture}"
        );
    }

    #[test]
    fn a_metric_without_its_value_in_this_format_is_left_out() {
        let value = "[fields]\nsize = { from = ['bytes_sent', 'body_bytes_sent'] }\n";
        for (fields, field, kept) in [
            ("", "bytes_sent", false),
            (value, "size", false),
            ("", "a", true),
            (
                "[fields]\nsize = { from = ['bytes_sent', 'a'] }\n",
                "size",
                true,
            ),
            (
                "[fields]\nsize = { from = ['bytes_sent'], empty = '1' }\n",
                "size",
                true,
            ),
        ] {
            let rules =
                format!("{fields}[[metric]]\nname = 'n_total'\nhelp = 'n'\nvalue = '{field}'\n");
            let (rules, metrics) =
                compile(&[("made", &rules)], &format(), &Asked::default()).unwrap();
            let (amounts, _) = counted_with(
                Arc::new(rules),
                &metrics,
                &format(),
                Environment::default(),
                &["1|2|3"],
            );
            assert_eq!(!amounts.is_empty(), kept, "{fields} {field}: {amounts:?}");
        }
    }

    #[test]
    fn a_unit_is_that_of_the_field_which_is_there() {
        let micro = Columns(vec![("us", Escape::None, -6), ("s", Escape::None, 0)]);
        let rules = "[fields]\nt = { from = ['request_time', 'us'] }\n[[metric]]\nname = 't_total'\nhelp = 't'\nvalue = 't'\n";
        let (made, metrics) = compile(&[("made", rules)], &micro, &Asked::default()).unwrap();
        let (amounts, _) = counted_with(
            Arc::new(made),
            &metrics,
            &micro,
            Environment::default(),
            &["1500000|1"],
        );
        assert_eq!(amounts["t_total{}"], "1.5");
    }

    #[test]
    fn rule_sets_with_the_same_text_and_other_variables_stay_apart() {
        let set = |path: &str, name: &str| {
            format!(
                "[vars]\nv = '{path}'\n[[metric]]\nname = '{name}'\nhelp = 'n'\nmatch = 'a=\"$v\"'\n"
            )
        };
        let files = [
            ("one", set("1", "one_total")),
            ("two", set("2", "two_total")),
        ];
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        let (rules, metrics) = compile(&files, &format(), &Asked::default()).unwrap();
        let (amounts, _) = counted_with(
            Arc::new(rules),
            &metrics,
            &format(),
            Environment::default(),
            &["1", "2", "2"],
        );
        assert_eq!(amounts["one_total{}"], "1");
        assert_eq!(amounts["two_total{}"], "2");
    }

    #[test]
    fn what_is_the_same_is_shared() {
        let rules = "
            [fields]
            x = { from = ['a'], lowercase = true }
            y = { from = ['a'], lowercase = true }
            [[metric]]
            name = 'one_total'
            help = 'n'
            match = 'x=\"1\"'
            labels = ['x']
            [[metric]]
            name = 'two_total'
            help = 'n'
            match = 'y=\"1\"'
            labels = { other = 'y' }";
        let (rules, _) = compile(&[("made", rules)], &format(), &Asked::default()).unwrap();
        assert_eq!(
            (rules.groups.len(), rules.sets.len(), rules.labelling.len()),
            (1, 1, 1)
        );
        assert_eq!(rules.wanted, ["a"]);
    }

    #[test]
    fn near_misses_and_weights_have_metrics_of_their_own() {
        let rules =
            format!("{N}labels = ['a']\nmatch = 'b=\"1\"'\nnear = 'a!=\"\"'\nweight = 10\n");
        let all = metrics(&rules, &Asked::default());
        assert_eq!(
            names(&all),
            ["n_total", "n_estimated_total", "n_near_misses_total"]
        );
        assert_eq!(all[1].labels, ["a"]);
        assert_eq!(all[2].declared, [Some(vec!["b=\"1\"".to_owned()])]);
        let only = Asked {
            only: vec!["n_near_misses_total".to_owned()],
            ..Asked::default()
        };
        assert_eq!(names(&metrics(&rules, &only)), ["n_near_misses_total"]);
    }

    #[test]
    fn by_keeps_only_the_labels_named() {
        let rules = format!("{N}labels = ['a', 'b']\nmatch = 'a=\"1\"'\nnear = 'b=\"1\"'\n");
        let by = Asked {
            by: Some(vec!["b".to_owned()]),
            ..Asked::default()
        };
        let made = metrics(&rules, &by);
        assert_eq!(made[0].labels, ["b"]);
        assert!(made[1].labels.is_empty());
        let none = Asked {
            by: Some(Vec::new()),
            ..Asked::default()
        };
        assert!(
            metrics(&rules, &none)
                .iter()
                .all(|metric| metric.labels.is_empty())
        );
    }

    #[test]
    fn limits_follow_their_labels() {
        let rules = format!("{N}labels = ['a', 'b']\nlabel_limits = {{ b = 5 }}\n");
        assert_eq!(metrics(&rules, &Asked::default())[0].label_limits, [(1, 5)]);
        let by = Asked {
            by: Some(vec!["b".to_owned()]),
            ..Asked::default()
        };
        assert_eq!(metrics(&rules, &by)[0].label_limits, [(0, 5)]);
        assert!(wrong("labels = ['a']\nlabel_limits = { b = 5 }\n").contains("`b` is not a label"));
    }

    #[test]
    fn a_label_of_the_path_is_not_a_second_one_of_its_name() {
        let asked = Asked {
            file_labels: vec!["a".to_owned()],
            ..Asked::default()
        };
        let taken = compile(
            &[("made", &format!("{N}labels = ['a']\n"))],
            &format(),
            &asked,
        );
        let picture = crate::diagnostic::render(&taken.err().unwrap(), false);
        assert!(
            picture.contains("label `a` is taken from the path"),
            "{picture}"
        );
    }

    #[test]
    fn declared_values_come_from_every_definition() {
        let one = "[fields]\nx = { from = ['a'], values = ['p', 'q'], other = 'o', empty = 'e' }\n[[metric]]\nname = 'n_total'\nhelp = 'n'\nlabels = ['x']\n";
        let two = one.replace("'p', 'q'", "'q', 'r'");
        let (_, metrics) =
            compile(&[("one", one), ("two", &two)], &format(), &Asked::default()).unwrap();
        let declared = metrics[0].declared[0].clone().unwrap();
        assert_eq!(declared, ["p", "q", "o", "e", "r"]);
    }

    #[test]
    fn a_literal_is_proven_or_there_is_none() {
        let literal = |format: &Columns, texts: &[&str]| {
            let metric = |(n, text): (usize, &&str)| {
                format!("[[metric]]\nname = 'm{n}_total'\nhelp = 'n'\n{text}\n")
            };
            let rules: String = texts.iter().enumerate().map(metric).collect();
            let (rules, _) = compile(&[("made", &rules)], format, &Asked::default()).unwrap();
            rules
                .literal
                .map(|literal| String::from_utf8(literal).unwrap())
        };
        let nginx = Columns(vec![("request", Escape::Nginx, 0), ("b", Escape::Json, 0)]);
        let pixel = "match = 'path=\"/pixel\"'";
        assert_eq!(literal(&nginx, &[pixel]).as_deref(), Some("/pixel"));
        assert_eq!(
            literal(
                &nginx,
                &[
                    pixel,
                    "match = 'path=\"/pixel\", method=\"LONGER-THAN-IT\"'"
                ]
            )
            .as_deref(),
            Some("/pixel")
        );
        assert_eq!(literal(&nginx, &[pixel, ""]), None, "a rule for every line");
        assert_eq!(
            literal(&nginx, &["match = 'path=\"/é-pixel\"'"]),
            None,
            "nginx may escape é"
        );
        assert_eq!(
            literal(&nginx, &["match = 'b=\"/pixel\"'"]),
            None,
            "JSON may escape anything"
        );
        assert_eq!(
            literal(&nginx, &["match = 'arg_x=\"/pixel\"'"]),
            None,
            "percent-encoding"
        );
        assert_eq!(literal(&nginx, &["match = 'path!=\"/pixel\"'"]), None);
        assert_eq!(
            literal(&format(), &["match = 'a=\"\\npixel\"'"]),
            None,
            "no line holds a line end"
        );
        let near = format!("{pixel}\nnear = 'path=~\"/pix.*\"'");
        assert_eq!(
            literal(&nginx, &[&near]),
            None,
            "a near miss without the literal counts too"
        );
        let near = "match = 'path=\"/pixel\", b!=\"\"'\nnear = 'path=\"/pixel\"'";
        assert_eq!(literal(&nginx, &[near]).as_deref(), Some("/pixel"));
    }
}
