use chrono::{DateTime, Datelike, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use croner::Cron;
use nightshift_domain::schedule::{
    AwsPlan, FIRE_TOLERANCE, NormalizeContext, ScheduleInput, normalize, plan, slot, stagger_offset,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::aws_cron::AwsCron;
use crate::generate::{ZONES, expressions, expressions_with_seconds};
use crate::{cron, utc};

/// Days around which the zones of [`ZONES`] change their clocks, and ordinary ones.
const DAYS: [&str; 18] = [
    "2026-03-08",
    "2026-11-01",
    "2026-03-29",
    "2026-10-25",
    "2026-10-03",
    "2026-04-04",
    "2026-09-26",
    "2026-09-06",
    "2026-04-24",
    "2026-10-29",
    "2026-02-15",
    "2026-03-22",
    "2026-03-28",
    "2026-04-05",
    "2026-10-24",
    "2027-03-27",
    "2028-02-29",
    "2026-12-31",
];

fn instants() -> impl Strategy<Value = DateTime<Utc>> {
    let day = select(DAYS.to_vec());
    (day, -36_i64 * 3600..36 * 3600)
        .prop_map(|(day, seconds)| utc(&format!("{day}T12:00:00Z")) + TimeDelta::seconds(seconds))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn occurrences_increase_and_are_found_backwards(
        expr in expressions(), tz in select(ZONES.to_vec()), start in instants()
    ) {
        let timetable = cron(&expr, tz);
        let mut last = start;
        for _ in 0..6 {
            let Some(next) = timetable.next_after(last) else { break };
            prop_assert!(next > last, "{expr} in {tz}: {next} after {last}");
            prop_assert_eq!(timetable.latest_at_or_before(next), Some(next), "{} in {}", &expr, tz);
            let before = timetable.latest_at_or_before(next - TimeDelta::nanoseconds(1));
            let in_order = before.is_none_or(|before| before <= last);
            prop_assert!(in_order, "{expr} in {tz}: {before:?} lies between {last} and {next}");
            prop_assert_eq!(slot(&timetable, next + TimeDelta::seconds(20), FIRE_TOLERANCE), Some(next));
            last = next;
        }
    }

    #[test]
    fn occurrences_are_the_first_instants_the_wall_clock_matches(
        expr in expressions(), tz in select(ZONES.to_vec()), start in instants()
    ) {
        let zone: Tz = tz.parse().unwrap();
        let pattern: Cron = expr.parse().unwrap();
        let start = start.with_second(0).unwrap();
        let minutes = (1..=24 * 60).map(|minute| start + TimeDelta::minutes(minute));
        let expected: Vec<_> = minutes.filter(|minute| {
            let shown = minute.with_timezone(&zone);
            let first = zone.from_local_datetime(&shown.naive_local()).earliest();
            first == Some(shown) && pattern.is_time_matching(&shown).unwrap()
        }).collect();
        let ours = cron(&expr, tz).occurrences_between(start, start + TimeDelta::days(1), usize::MAX);
        prop_assert_eq!(ours, expected, "{} in {}", expr, tz);
    }

    #[test]
    fn the_next_run_is_strictly_later_is_an_occurrence_and_skips_none(
        expr in expressions_with_seconds(), tz in select(ZONES.to_vec()), start in instants()
    ) {
        let (zone, pattern): (Tz, Cron) = (tz.parse().unwrap(), expr.parse().unwrap());
        let is_occurrence = |at: DateTime<Utc>| {
            let shown = at.with_timezone(&zone).naive_local();
            let first = zone.from_local_datetime(&shown).earliest().is_some_and(|first| first == at);
            first && pattern.is_time_matching(&shown.and_utc()).unwrap()
        };
        let timetable = cron(&expr, tz);
        let mut last = start;
        for _ in 0..4 {
            let Some(next) = timetable.next_after(last) else { break };
            prop_assert!(next > last && is_occurrence(next), "{expr} in {tz}: {next} after {last}");
            let until = next.min(last + TimeDelta::minutes(10));
            let mut between = last + TimeDelta::seconds(1);
            while between < until {
                prop_assert!(!is_occurrence(between), "{expr} in {tz}: {next} after {last} skips {between}");
                between += TimeDelta::seconds(1);
            }
            last = next;
        }
    }

    #[test]
    fn a_translation_never_loses_an_occurrence(
        expr in expressions(), tz in select(ZONES.to_vec()), start in instants(), job in "[a-z]{4}",
        window in select(vec![0_u64, 0, 300_000, 3_600_000])
    ) {
        let timetable = cron(&expr, tz);
        let offset = stagger_offset(&job, window);
        let planned = plan(&timetable, offset);
        prop_assert_eq!(planned.shift + planned.not_before, offset);
        let (expression, is_exact) = match &planned.aws {
            AwsPlan::Exact { expression, .. } => (expression, true),
            AwsPlan::Superset { expression, .. } => (expression, false),
            AwsPlan::OneShots => {
                let never = timetable.next_after(start).is_none();
                prop_assert!(never || planned.shift >= TimeDelta::minutes(1), "{expr} in {tz} needs no one-shots");
                return Ok(());
            }
        };
        let zone: Tz = tz.parse().unwrap();
        let aws = AwsCron::parse(expression);
        // Around the clock change, then about one a month for three years and more.
        let near = timetable.occurrences_between(start, start + TimeDelta::days(3), 400);
        let months = std::iter::successors(timetable.next_after(start), |last| {
            timetable.next_after(*last + TimeDelta::days(30))
        });
        let nameable = months.take(40).take_while(|occurrence| occurrence.year() < 2200);
        for occurrence in near.into_iter().chain(nameable) {
            let fire = occurrence + planned.shift;
            let wall = fire.with_timezone(&zone).naive_local();
            let first = zone.from_local_datetime(&wall).earliest();
            let fires = aws.matches(wall) && first.is_some_and(|first| first == fire);
            prop_assert!(fires, "{expr} in {tz}: {expression} misses {occurrence} (+{})", planned.shift);
            prop_assert_eq!(slot(&timetable, fire - planned.shift, FIRE_TOLERANCE), Some(occurrence));
        }
        if is_exact {
            let from = start.with_timezone(&zone).date_naive();
            let mut kept = 0;
            for fire in aws.fires(zone, from, 120).into_iter().take(300) {
                let slot = slot(&timetable, fire - planned.shift, TimeDelta::zero());
                // A minute moved past the end of a gap fires although its occurrence was skipped: Lord Howe's
                // half hour.
                let moved_out_of_a_gap = tz == "Australia/Lord_Howe" && planned.shift > TimeDelta::zero();
                prop_assert!(slot.is_some() || moved_out_of_a_gap, "{expr} in {tz}: {expression} fires at {fire} too");
                kept += 1;
            }
            // A 31st of September never comes.
            let none_due = timetable.next_after(start).is_none_or(|at| at > start + TimeDelta::days(119));
            prop_assert!(kept > 0 || none_due, "{expr} in {tz}");
        }
    }

    #[test]
    fn no_expression_makes_the_parser_panic(expr in "[-0-9*/,LW#?+@A-Za-z ]{0,24}", wild in "\\PC{0,12}") {
        let context = NormalizeContext { now: utc("2026-02-01T00:00:00Z"), default_tz: "UTC", min_interval_ms: 60_000 };
        for expr in [expr, wild] {
            let tz = Some(expr.clone());
            let _ = normalize(ScheduleInput::Cron { expr: expr.clone(), tz, stagger_ms: None }, &context);
            let _ = normalize(ScheduleInput::Cron { expr, tz: None, stagger_ms: None }, &context);
        }
    }
}
