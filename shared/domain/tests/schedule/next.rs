use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::schedule::{
    DstNoteKind, FIRE_TOLERANCE, NormalizeContext, Schedule, ScheduleError, ScheduleInput, Timetable, normalize,
    parse_slot, slot, slot_text, stagger_ms, stagger_offset,
};
use serde_json::Value;

use crate::{cases, cron, millis, utc, vectors};

/// Where Nightshift differs on purpose: it refuses what `OpenClaw` takes.
const REFUSED_HERE: [(&str, &str); 2] = [
    ("fixed offset tz \"+02:00\"", "a zone is an IANA name; an offset knows no clock changes"),
    ("at \"+020260-01-01T00:00:00Z\"", "more than ten years ahead"),
];

fn next_of(schedule: &Value, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, ScheduleError> {
    let context = NormalizeContext { now, default_tz: "UTC", min_interval_ms: 1 };
    let stored = normalize(ScheduleInput::from_json(schedule)?, &context)?;
    Ok(Timetable::new(&stored, "UTC")?.next_after(now))
}

#[test]
fn next_runs_equal_the_recorded_ones() {
    let file = vectors("schedule-next");
    let mut checked = 0;
    for case in cases(&file["cases"], "cases") {
        let name = case["name"].as_str().unwrap();
        let now = millis(&case["nowMs"]).unwrap();
        let ours = next_of(&case["schedule"], now);
        let expected = millis(&case["nextMs"]);
        if let Some((_, why)) = REFUSED_HERE.iter().find(|(refused, _)| *refused == name) {
            assert!(ours.is_err() && expected.is_some(), "{name}: refused here ({why}), accepted there");
            continue;
        }
        match (&ours, expected) {
            (Ok(next), Some(expected)) => assert_eq!(*next, Some(expected), "{name}"),
            (Ok(next), None) => assert_eq!(*next, None, "{name}: nothing to come"),
            (Err(error), Some(_)) => panic!("{name}: refused with {error}"),
            (Err(_), None) => {}
        }
        if case["error"].is_string() || case["tag"].as_str().is_some_and(|tag| tag.ends_with("invalid")) {
            assert!(ours.is_err(), "{name}: refused, not stored as a schedule without a run");
        }
        checked += 1;
    }
    assert_eq!(checked, cases(&file["cases"], "cases").len() - REFUSED_HERE.len());
}

#[test]
fn a_year_of_six_digits_is_read_even_though_it_is_refused() {
    let schedule = Schedule::At { at: "+020260-01-01T00:00:00Z".to_owned(), tz: None };
    let next = Timetable::new(&schedule, "UTC").unwrap().next_after(utc("2026-02-01T00:00:00Z"));
    assert_eq!(next, DateTime::from_timestamp_millis(577_176_624_000_000));
}

#[test]
fn next_runs_equal_croner_under_the_product_rule() {
    let file = vectors("croner-rust-next");
    for case in cases(&file, "croner-rust-next") {
        let (expr, tz) = (case["expr"].as_str().unwrap(), case["tz"].as_str().unwrap());
        let name = format!("{expr} in {tz} after {}", case["after"]);
        let expected = case.get("openclaw").unwrap_or(&case["next"]);
        let expected: Vec<_> = cases(expected, &name).iter().map(|next| utc(next.as_str().unwrap())).collect();
        let timetable = cron(expr, tz);
        let after = utc(case["after"].as_str().unwrap());
        let ours = timetable.occurrences_between(after, after + TimeDelta::days(20 * 366), expected.len());
        assert_eq!(ours, expected, "{name}");
        for next in expected {
            assert_eq!(timetable.latest_at_or_before(next), Some(next), "{name}: backwards from itself");
            let later = next + TimeDelta::seconds(59);
            assert!(timetable.latest_at_or_before(later) >= Some(next), "{name}: backwards from a minute later");
        }
    }
}

#[test]
fn stagger_offsets_equal_the_recorded_ones() {
    let file = vectors("schedule-next");
    for case in cases(&file["stagger"], "stagger") {
        let input = ScheduleInput::from_json(&case["schedule"]).unwrap();
        let ScheduleInput::Cron { expr, tz, stagger_ms: Some(window) } = input else { panic!("{case}") };
        let offset = stagger_offset(case["jobId"].as_str().unwrap(), window);
        assert_eq!(Some(offset.num_milliseconds()), case["offsetMs"].as_i64(), "{case}");
        let next = cron(&expr, &tz.unwrap()).next_start_after(millis(&case["nowMs"]).unwrap(), offset);
        assert_eq!(next, millis(&case["nextMs"]), "{case}");
    }
    for case in cases(&file["defaultStagger"], "defaultStagger") {
        let expr = case["expr"].as_str().unwrap().to_owned();
        let window = stagger_ms(&Schedule::Cron { expr, tz: None, stagger_ms: None });
        assert_eq!(Some(window), case["staggerMs"].as_u64(), "{case}");
    }
}

#[test]
fn only_wildcard_hours_at_minute_zero_are_staggered_by_default() {
    for (expr, window) in [
        ("@hourly", 300_000),
        ("0 0 * * * *", 300_000),
        ("0 * * * MON", 300_000),
        ("0 0-23 * * *", 0),
        ("0,30 * * * *", 0),
        ("30 0 * * * *", 0),
        ("@daily", 0),
        ("nonsense", 0),
    ] {
        assert_eq!(stagger_ms(&Schedule::Cron { expr: expr.into(), tz: None, stagger_ms: None }), window, "{expr}");
    }
    let off = Schedule::Cron { expr: "0 * * * *".into(), tz: None, stagger_ms: Some(0) };
    assert_eq!(stagger_ms(&off), 0, "0 turns it off");
    assert_eq!(stagger_offset("job-1", 0), TimeDelta::zero());
}

#[test]
fn an_interval_without_a_recent_run_stays_on_its_anchor_grid() {
    let file = vectors("schedule-next");
    let case = &file["jobNext"][0];
    let next = next_of(&case["job"]["schedule"], millis(&case["nowMs"]).unwrap());
    assert_eq!(next.unwrap(), millis(&case["nextMs"]), "{}", case["name"]);
}

#[test]
fn an_interval_starts_at_an_anchor_ahead() {
    let anchor = utc("2026-02-01T12:00:00.250Z");
    let every = Schedule::Every { every_ms: 600_000, anchor_ms: anchor.timestamp_millis() };
    let timetable = Timetable::new(&every, "UTC").unwrap();
    assert_eq!(timetable.next_after(utc("2026-01-31T00:00:00Z")), Some(anchor));
    assert_eq!(timetable.latest_at_or_before(anchor - TimeDelta::milliseconds(1)), None);
    assert_eq!(timetable.latest_at_or_before(anchor), Some(anchor));
    assert_eq!(timetable.next_after(anchor), Some(anchor + TimeDelta::minutes(10)));
}

#[test]
fn spring_forward_gap_is_skipped_backwards_too() {
    let timetable = cron("30 2 * * *", "America/New_York");
    let before = utc("2026-03-07T07:30:00Z");
    for later in ["2026-03-08T06:59:59Z", "2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z", "2026-03-09T06:29:59Z"] {
        assert_eq!(timetable.latest_at_or_before(utc(later)), Some(before), "{later}");
    }
    assert_eq!(timetable.latest_at_or_before(utc("2026-03-09T06:30:00Z")), Some(utc("2026-03-09T06:30:00Z")));
}

#[test]
fn inside_a_second_pass_the_latest_occurrence_is_the_end_of_the_first() {
    let timetable = cron("*/20 * * * *", "America/New_York");
    let second_pass = utc("2026-11-01T06:05:00Z");
    assert_eq!(timetable.latest_at_or_before(second_pass), Some(utc("2026-11-01T05:40:00Z")));
    assert_eq!(timetable.next_after(second_pass), Some(utc("2026-11-01T07:00:00Z")));
}

#[test]
fn rare_and_impossible_expressions_are_bounded() {
    let rare = cron("0 9 29 2 +MON", "UTC");
    assert_eq!(rare.next_after(utc("2072-03-01T00:00:00Z")), Some(utc("2112-02-29T09:00:00Z")), "40 years, over 2100");
    assert_eq!(rare.latest_at_or_before(utc("2112-02-29T08:59:59Z")), Some(utc("2072-02-29T09:00:00Z")));
    let only_in_gaps = cron("30 2 8-14 3 +SUN", "America/New_York");
    assert_eq!(only_in_gaps.next_after(utc("2026-01-01T00:00:00Z")), None, "02:30 never exists on that Sunday");
    let once = cron("0 0 9 1 1 * 2030", "UTC");
    assert_eq!(once.latest_at_or_before(utc("2026-01-01T00:00:00Z")), None);
    assert_eq!(once.next_after(utc("2030-01-01T09:00:00Z")), None);
    for expr in ["0 9 31 2 *", "0 9 * * L"] {
        assert_eq!(cron(expr, "UTC").next_after(utc("2026-01-01T00:00:00Z")), None, "{expr}");
        assert_eq!(cron(expr, "UTC").latest_at_or_before(utc("2026-01-01T00:00:00Z")), None, "{expr}");
    }
}

#[test]
fn instants_beyond_the_calendar_have_no_neighbours() {
    for timetable in [cron("* * * * *", "Asia/Tokyo"), cron("0 0 1 1 *", "America/Havana")] {
        for edge in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert_eq!(timetable.next_after(edge), None);
            assert_eq!(timetable.latest_at_or_before(edge), None);
            assert_eq!(slot(&timetable, edge, FIRE_TOLERANCE), None);
        }
    }
}

#[test]
fn a_slot_is_the_occurrence_a_late_fire_stands_for() {
    let timetable = cron("0 9 13 * 5", "UTC");
    let occurrence = utc("2026-11-27T09:00:00Z");
    for late in [0, 7, 45, 59, 120] {
        let fire = occurrence + TimeDelta::seconds(late);
        assert_eq!(slot(&timetable, fire, FIRE_TOLERANCE), Some(occurrence), "{late} s late");
    }
    assert_eq!(slot(&timetable, occurrence + TimeDelta::seconds(121), FIRE_TOLERANCE), None, "too late");
    assert_eq!(slot(&timetable, utc("2026-11-28T09:00:00Z"), FIRE_TOLERANCE), None, "a superset's extra fire");
}

#[test]
fn the_second_pass_of_a_fold_has_no_slot() {
    let timetable = cron("30 1 * * *", "America/New_York");
    assert_eq!(slot(&timetable, utc("2026-11-01T05:30:30Z"), FIRE_TOLERANCE), Some(utc("2026-11-01T05:30:00Z")));
    assert_eq!(slot(&timetable, utc("2026-11-01T06:30:30Z"), FIRE_TOLERANCE), None);
}

#[test]
fn slots_are_found_by_whole_seconds() {
    let anchor = utc("2026-02-01T12:00:00.250Z");
    let every = Schedule::Every { every_ms: 60_000, anchor_ms: anchor.timestamp_millis() };
    let every = Timetable::new(&every, "UTC").unwrap();
    assert_eq!(slot(&every, utc("2026-02-01T12:00:00Z"), FIRE_TOLERANCE), Some(anchor));
    let at = Schedule::At { at: "2026-02-01T12:00:00.250Z".to_owned(), tz: None };
    let at = Timetable::new(&at, "UTC").unwrap();
    assert_eq!(slot(&at, utc("2026-02-01T12:00:00Z"), FIRE_TOLERANCE), Some(anchor));
    assert_eq!(slot(&at, utc("2026-02-01T11:59:59.999Z"), FIRE_TOLERANCE), None);
}

#[test]
fn slot_text_reads_back() {
    let slot = utc("2026-03-08T07:30:05Z");
    assert_eq!(slot_text(slot), "20260308T073005Z");
    assert_eq!(parse_slot("20260308T073005Z"), Some(slot));
    for text in
        ["", "20260308T073005", "2026-03-08T07:30:05Z", "20260308T073005Z ", "20261308T073005Z", "2026038T0730005Z"]
    {
        assert_eq!(parse_slot(text), None, "{text:?}");
    }
}

#[test]
fn occurrences_between_excludes_the_start_and_includes_the_end() {
    let timetable = cron("0 * * * *", "UTC");
    let (from, to) = (utc("2026-02-01T00:00:00Z"), utc("2026-02-01T03:00:00Z"));
    let all = timetable.occurrences_between(from, to, 24);
    assert_eq!(all, ["01", "02", "03"].map(|hour| utc(&format!("2026-02-01T{hour}:00:00Z"))));
    assert_eq!(timetable.occurrences_between(from, to, 2), all[..2]);
    assert!(timetable.occurrences_between(to, from, 24).is_empty());
}

#[test]
fn clock_changes_of_a_preview_are_noted() {
    let timetable = cron("30 1,2 * * *", "America/New_York");
    let notes = timetable.dst_notes_between(utc("2026-01-01T00:00:00Z"), utc("2027-01-01T00:00:00Z"), 10);
    let notes: Vec<_> = notes.iter().map(|note| (note.wall.to_string(), note.kind)).collect();
    let fold = DstNoteKind::RunsOnFirstPass { first: utc("2026-11-01T05:30:00Z"), second: utc("2026-11-01T06:30:00Z") };
    assert_eq!(
        notes,
        [("2026-03-08 02:30:00".to_owned(), DstNoteKind::Skipped), ("2026-11-01 01:30:00".to_owned(), fold)]
    );
    assert_eq!(timetable.dst_notes_between(utc("2026-01-01T00:00:00Z"), utc("2027-01-01T00:00:00Z"), 1).len(), 1);
}
