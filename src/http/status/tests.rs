//! What the page says for what the agent knows.

use super::made::{Made, NOW, answer, overview};
use super::verdict::{Level, findings, headline};
use super::{Counted, Overview, Part, render_status};

const RUNNING: i64 = NOW / 60 * 60;

fn counted(overview: &mut Overview) -> &mut Counted {
    overview.store.as_mut().unwrap()
}

/// The overview with these beacons of fastly, by minutes ago.
fn with_beacons(points: &[(i64, u64)]) -> Overview {
    let mut overview = overview();
    let beacons: [Made<'_>; 2] = [(&["akamai"], &[]), (&["fastly"], points)];
    counted(&mut overview).answers[0].1 =
        answer("cdn_failure_beacons_total", &["provider"], &beacons);
    overview
}

fn said(overview: &Overview) -> Vec<(Level, String)> {
    let findings = findings(overview).into_iter();
    findings.map(|one| (one.level, one.text)).collect()
}

#[test]
fn nothing_is_said_of_a_quiet_hour() {
    assert_eq!(said(&overview()), []);
    let page = render_status(&overview());
    assert!(page.contains("<h2 id=\"verdict\">Nothing is wrong</h2>"));
    assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"));
}

#[test]
fn beacons_are_told_with_their_number_and_what_was_before() {
    let many = "beacons from fastly: 213 in 5 minutes, 4 in the 55 minutes before";
    let found = said(&with_beacons(&[(40, 4), (5, 13), (1, 200)]));
    assert_eq!(found, [(Level::Alarm, many.to_owned())]);
    let few = "beacons from fastly: 3 in 5 minutes, 0 in the 55 minutes before";
    assert_eq!(
        said(&with_beacons(&[(1, 3)])),
        [(Level::Warning, few.to_owned())]
    );
    let usual = said(&with_beacons(&[(50, 300), (1, 20)]));
    assert_eq!(usual[0].0, Level::Warning, "it is so all the time");
    let running =
        "beacons from fastly: 12 in the minute that is still counted, 0 in the 55 minutes before";
    assert_eq!(
        said(&with_beacons(&[(0, 12)])),
        [(Level::Alarm, running.to_owned())]
    );
    assert_eq!(said(&with_beacons(&[(6, 12)])), [], "it is over");
}

#[test]
fn logs_outputs_and_the_store_are_told_in_words() {
    let mut overview = overview();
    let status = &mut counted(&mut overview).status;
    status.logs[0].watermark = Some(NOW - 12 * 60 - 20);
    status.logs[0].lines = [90, 10, 0];
    status.outputs[0].queue_minutes = 40;
    status.outputs[0].oldest = Some(NOW - 2400);
    let found: Vec<String> = said(&overview).into_iter().map(|(_, text)| text).collect();
    assert_eq!(
        found,
        [
            "log access is 12 minutes behind",
            "log access: 10.0 % of the last hour's lines were not understood",
            "output graphite has 40 minutes waiting, the oldest from 2025-11-24 15:25 UTC",
        ]
    );
    overview.store = Err("disk I/O error".to_owned());
    overview.broken = Some("the store fails, reading has stopped".to_owned());
    let findings = findings(&overview);
    assert_eq!(headline(&overview, &findings), "Something is wrong");
    let page = render_status(&overview);
    assert!(page.contains("the store cannot be read: disk I/O error"));
    assert!(page.contains("Without the store there are no numbers"));
}

#[test]
fn no_data_zero_incomplete_and_still_counting_look_different() {
    let mut overview = with_beacons(&[(10, 7)]);
    let answer = &mut counted(&mut overview).answers[0].1;
    let step = answer
        .steps
        .iter_mut()
        .find(|step| step.at == RUNNING - 600);
    step.unwrap().incomplete = true;
    let page = render_status(&overview);
    let row = |minutes: i64| {
        let at = super::words::clock(RUNNING - minutes * 60);
        let start = page.find(&format!("\">{at}</time></th>")).unwrap();
        let row = &page[start..];
        &row[row.find("</th>").unwrap() + 5..row.find("</tr>").unwrap()]
    };
    let none = "<td class=\"muted\">no data</td>";
    assert_eq!(
        row(25),
        format!("{none}{none}<td class=\"word muted\">no data</td>")
    );
    let zero = "<td class=\"zero\">0</td>";
    assert_eq!(row(5), format!("{zero}{zero}<td class=\"word\"></td>"));
    assert_eq!(
        row(0),
        format!("{zero}{zero}<td class=\"word muted\">still counting</td>")
    );
    let least = |n: u64| format!("<td class=\"warn\" title=\"incomplete\">≥ {n}</td>");
    let (none, seven) = (least(0), least(7));
    assert_eq!(
        row(10),
        format!("{none}{seven}<td class=\"word warn\">incomplete</td>")
    );
    assert!(page.contains("1 minute of the last hour incomplete, from 15:55 to 15:55 UTC"));
}

#[test]
fn without_any_line_nothing_is_called_fine() {
    let mut overview = overview();
    let counted = counted(&mut overview);
    counted.status.logs[0].watermark = None;
    for (_, answer) in &mut counted.answers {
        answer.watermark = None;
        answer.steps.clear();
        answer
            .series
            .iter_mut()
            .for_each(|series| series.points.clear());
    }
    let page = render_status(&overview);
    assert!(page.contains("<h2 id=\"verdict\">No line was read yet</h2>"));
    assert!(
        !page.contains("class=\"zero\""),
        "there is no zero without data"
    );
}

#[test]
fn logs_that_went_silent_are_no_data_and_not_fine() {
    let mut overview = overview();
    let silent = |overview: &mut Overview, minutes: i64| {
        for (_, answer) in &mut counted(overview).answers {
            let newest = RUNNING - minutes * 60;
            answer.steps.retain(|step| step.at <= newest);
        }
    };
    silent(&mut overview, 5);
    assert_eq!(said(&overview), []);
    silent(&mut overview, 6);
    let since = "no line in any log since 15:59 UTC";
    assert_eq!(said(&overview), [(Level::Note, since.to_owned())]);
    let page = render_status(&overview);
    assert!(page.contains("<h2 id=\"verdict\">No data</h2>"));
    assert!(page.contains("<title>No data · "));
    silent(&mut overview, 600);
    let none = "no line in any log in the last hour";
    assert_eq!(said(&overview), [(Level::Note, none.to_owned())]);
}

#[test]
fn of_many_findings_the_largest_come_first_and_the_rest_folds_away() {
    let mut overview = overview();
    let names: Vec<String> = (0..40).map(|n| format!("cdn-{n:02}")).collect();
    let labels: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
    let points: Vec<[(i64, u64); 1]> = (0..40).map(|n| [(2, 100 + n)]).collect();
    let made: Vec<Made<'_>> = labels
        .iter()
        .zip(&points)
        .map(|(labels, points)| (labels.as_slice(), points.as_slice()))
        .collect();
    counted(&mut overview).answers[0].1 = answer("cdn_failure_beacons_total", &["provider"], &made);
    let found = said(&overview);
    assert!(
        found[0]
            .1
            .starts_with("beacons from cdn-39: 139 in 5 minutes")
    );
    let page = render_status(&overview);
    let fold = page.find("<summary>and 28 more</summary>").unwrap();
    assert_eq!(page[..fold].matches("<li class=\"alarm\">").count(), 12);
    assert_eq!(page.matches("<li class=\"alarm\">").count(), 40);
}

#[test]
fn hostile_names_are_text_everywhere() {
    let page = render_status(&overview());
    for part in ["<img", "<script>", "\u{202e}", "\u{1b}"] {
        assert!(!page.contains(part), "{part:?}");
    }
    let shown = "&quot;&gt;&lt;img src=x onerror=alert(1)&gt;\\u{202e}\\u{1b}[2J&lt;script&gt;";
    assert!(page.matches(shown).count() >= 4, "file, mark, POP, sample");
}

#[test]
fn shares_are_of_all_and_errors_are_told() {
    let mut overview = overview();
    let requests: [Made<'_>; 2] = [
        (&["fastly", "2xx"], &[(2, 80)]),
        (&["fastly", "503"], &[(1, 20)]),
    ];
    let counted = counted(&mut overview);
    let place = counted
        .answers
        .iter_mut()
        .find(|(part, _)| matches!(part, Part::Requests(_)));
    place.unwrap().1 = answer(
        "cdn_origin_requests_total",
        &["provider", "code"],
        &requests,
    );
    let text = "fastly, origin: 20.0 % of 100 requests in 5 minutes answered with 5xx";
    assert_eq!(said(&overview), [(Level::Warning, text.to_owned())]);
    let page = render_status(&overview);
    assert!(page.contains("<td>80</td><td>20</td><td>20.0 %</td>"));
    assert!(page.contains("<td>3</td><td>75.0 %</td>"), "the POP");
}
