//! What a person is shown of a schedule before it runs.

use chrono::TimeDelta;
use nightshift_domain::schedule::{Preview, Schedule, Starts, Timetable, preview, why_one_shots};

use crate::{cron, utc};

fn look(expr: &str, tz: &str, from: &str, count: usize) -> Preview {
    preview(&Starts::after(cron(expr, tz), TimeDelta::zero()), "UTC", utc(from), count)
}

fn shown(preview: &Preview) -> Vec<(String, Option<&str>)> {
    let line = |start: &nightshift_domain::schedule::Start| start.local.format("%m-%d %H:%M%:z").to_string();
    preview.starts.iter().map(|start| (line(start), start.note.as_deref())).collect()
}

#[test]
fn a_skipped_day_is_noted_at_the_start_that_follows_it() {
    let preview = look("30 2 * * *", "Europe/Vienna", "2026-03-28T00:00:00Z", 3);
    let note = "02:30 does not exist on 2026-03-29 in Europe/Vienna: skipped";
    assert_eq!(
        shown(&preview),
        [
            ("03-28 02:30+01:00".to_owned(), None),
            ("03-30 02:30+02:00".to_owned(), Some(note)),
            ("03-31 02:30+02:00".to_owned(), None),
        ]
    );
    let walls: Vec<_> = preview.skipped.iter().map(|it| (it.wall.to_string(), it.reason.as_str())).collect();
    assert_eq!(walls, [("2026-03-29 02:30:00".to_owned(), note)]);
    assert!(!preview.ends);
}

#[test]
fn a_night_of_skipped_times_is_one_note_and_a_list_of_each() {
    let preview = look("*/15 1-3 * * *", "Europe/Vienna", "2026-03-29T00:30:00Z", 3);
    assert_eq!(preview.starts[0].slot, utc("2026-03-29T00:30:00Z"), "from is part of what is shown");
    let note = "02:00 to 02:45 do not exist on 2026-03-29 in Europe/Vienna: 4 times skipped";
    assert_eq!(shown(&preview)[2], ("03-29 03:00+02:00".to_owned(), Some(note)));
    assert_eq!(preview.skipped.len(), 4);
}

#[test]
fn a_repeated_wall_time_is_noted_on_its_first_pass() {
    let preview = look("30 2 * * *", "Europe/Vienna", "2026-10-24T12:00:00Z", 2);
    let note = "02:30 comes twice on 2026-10-25 in Europe/Vienna: runs on the first pass only";
    assert_eq!(shown(&preview), [("10-25 02:30+02:00".to_owned(), Some(note)), ("10-26 02:30+01:00".to_owned(), None)]);
}

#[test]
fn the_end_of_a_schedule_is_told_even_where_its_last_time_is_skipped() {
    let preview = look("0 30 2 28,29 3 * 2026", "Europe/Vienna", "2026-01-01T00:00:00Z", 10);
    assert_eq!(shown(&preview), [("03-28 02:30+01:00".to_owned(), Some("the last one, the schedule ends with it"))]);
    assert!(preview.ends);
    assert_eq!(preview.skipped.len(), 1, "the 29th is not forgotten");
    let over = look("0 30 2 28 3 * 2026", "Europe/Vienna", "2026-04-01T00:00:00Z", 10);
    assert_eq!((over.starts.len(), over.ends), (0, true));
}

#[test]
fn a_list_that_is_cut_by_its_count_does_not_claim_an_end() {
    let exactly = look("0 0 7 1,2 1 * 2027", "UTC", "2026-11-20T00:00:00Z", 2);
    assert!(exactly.ends);
    assert!(!look("0 0 7 1,2 1 * 2027", "UTC", "2026-11-20T00:00:00Z", 1).ends);
}

#[test]
fn a_stagger_moves_the_start_and_not_the_occurrence() {
    let offset = TimeDelta::seconds(90);
    let preview = preview(&Starts::after(cron("0 * * * *", "UTC"), offset), "UTC", utc("2026-11-20T07:01:00Z"), 1);
    assert_eq!(preview.starts[0].slot, utc("2026-11-20T07:00:00Z"), "it starts at 07:01:30, which is yet to come");
    assert_eq!(preview.starts[0].start, utc("2026-11-20T07:01:30Z"));
}

#[test]
fn a_single_time_is_shown_in_its_zone_and_says_which_pass_it_is() {
    let once = |at: &str| Schedule::At { at: at.to_owned(), tz: Some("Europe/Vienna".to_owned()) };
    for (at, note) in [
        ("2026-12-24T17:00:00.000Z", "runs once"),
        (
            "2026-10-25T00:30:00.000Z",
            "02:30 comes twice on 2026-10-25 in Europe/Vienna: this is the first pass; runs once",
        ),
        (
            "2026-10-25T01:30:00.000Z",
            "02:30 comes twice on 2026-10-25 in Europe/Vienna: this is the second pass; runs once",
        ),
    ] {
        let table = Timetable::new(&once(at), "UTC").unwrap();
        let preview =
            preview(&Starts::after(table, TimeDelta::zero()), "Europe/Vienna", utc("2026-01-01T00:00:00Z"), 5);
        assert_eq!((preview.starts.len(), preview.ends), (1, true));
        assert_eq!(preview.starts[0].note.as_deref(), Some(note));
    }
}

#[test]
fn one_shots_have_a_reason() {
    let every = |every_ms| Timetable::new(&Schedule::Every { every_ms, anchor_ms: 0 }, "UTC").unwrap();
    let none = TimeDelta::zero();
    assert_eq!(why_one_shots(&every(90_000), none), Some("the interval is no whole number of minutes"));
    assert_eq!(why_one_shots(&every(120_000), none), None);
    assert_eq!(why_one_shots(&cron("30 0 7 * * *", "UTC"), none), Some("the expression has seconds"));
    let late = cron("59 7 * * *", "UTC");
    assert_eq!(why_one_shots(&late, none), None);
    assert_eq!(why_one_shots(&late, TimeDelta::minutes(2)), Some("the stagger moves a minute past its hour"));
    let far = cron("0 0 7 1 1 * 2200-2210", "UTC");
    assert_eq!(why_one_shots(&far, none), Some("no expression of EventBridge holds all its times"));
}
