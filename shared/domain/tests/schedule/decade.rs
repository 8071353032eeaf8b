//! Ten years in every zone of [`ZONES`]: what `EventBridge` is asked for fires at every occurrence, and a fire finds its
//! run whenever it comes.
//!
//! Walls and zones come from chrono-tz, AWS expressions from [`AwsCron`]; neither shares code with what is tested.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy knows only inside test functions")]

use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use croner::Cron;
use nightshift_domain::schedule::{
    AwsPlan, FIRE_TOLERANCE, Plan, Schedule, Timetable, plan, slot, slot_text, stagger_offset,
};
use nightshift_domain::{JobId, RunKey};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestError, TestRunner};

use crate::aws_cron::AwsCron;
use crate::generate::{ZONES, expressions};
use crate::{cron, utc};

/// Expressions tried in each zone; a whole walk of one takes a tenth of a second in a debug build.
const EXPRESSIONS_PER_ZONE: u32 = 3;
/// Occurrences looked at on a day without a clock change nearby. The times of day are the same every day, and are compared
/// as a whole once.
const OF_A_DAY: u32 = 2;
/// Around a clock change every occurrence is looked at; no zone moves its clock by more than two hours.
const NEARBY: TimeDelta = TimeDelta::hours(3);

fn first() -> DateTime<Utc> {
    utc("2026-01-01T00:00:00Z")
}

fn last() -> DateTime<Utc> {
    utc("2036-01-01T00:00:00Z")
}

/// The instants of the ten years at which the zone's clock jumps.
fn changes(zone: Tz) -> Vec<DateTime<Utc>> {
    const DAY: i64 = 86_400;
    let at = |second: i64| DateTime::from_timestamp(second, 0).unwrap();
    let ahead = |second| at(second).with_timezone(&zone).naive_local() - at(second).naive_utc();
    let days = (last() - first()).num_days();
    let starts = (0..days).map(|day| first().timestamp() + day * DAY);
    starts
        .filter(|start| ahead(*start) != ahead(start + DAY))
        .map(|start| {
            let (mut before, mut after) = (start, start + DAY);
            while after - before > 1 {
                let middle = i64::midpoint(before, after);
                if ahead(middle) == ahead(start) { before = middle } else { after = middle }
            }
            at(after)
        })
        .collect()
}

fn wall(zone: Tz, instant: DateTime<Utc>) -> NaiveDateTime {
    instant.with_timezone(&zone).naive_local()
}

fn first_pass(zone: Tz, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    zone.from_local_datetime(&wall).earliest().map(|first| first.to_utc())
}

/// Calls `see` with occurrences of the ten years in order: the first few of each day, and every one near a clock change.
fn walk(
    timetable: &Timetable,
    zone: Tz,
    changes: &[DateTime<Utc>],
    mut see: impl FnMut(DateTime<Utc>) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let (mut after, mut day, mut of_the_day) = (first(), NaiveDate::MIN, 0);
    while let Some(next) = timetable.next_after(after).filter(|next| *next < last()) {
        prop_assert!(next > after, "{next} is not after {after}");
        see(next)?;
        after = next;
        let shown = wall(zone, next);
        of_the_day = if shown.date() == day { of_the_day + 1 } else { 1 };
        day = shown.date();
        let change = changes.get(changes.partition_point(|change| *change + NEARBY <= next));
        let until_change = change.map_or(TimeDelta::days(7), |change| *change - NEARBY - next);
        if of_the_day >= OF_A_DAY && until_change > TimeDelta::zero() {
            // No clock changes before that midnight, or the step ends before it does.
            let until_midnight = shown.date().succ_opt().unwrap().and_time(chrono::NaiveTime::MIN) - shown;
            after = next + until_midnight.min(until_change) - TimeDelta::seconds(1);
            after = after.max(next);
        }
    }
    Ok(())
}

/// Runs `property` on a few of `strategy` in each zone, whose clock changes it is told.
fn in_every_zone<S: Strategy>(
    strategy: &S,
    property: impl Fn(Tz, &[DateTime<Utc>], S::Value) -> Result<(), TestCaseError>,
) {
    let config =
        Config { cases: EXPRESSIONS_PER_ZONE, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    for name in ZONES {
        let zone: Tz = name.parse().unwrap();
        let changes = changes(zone);
        match TestRunner::new(config.clone()).run(strategy, |value| property(zone, &changes, value)) {
            Ok(()) => {}
            Err(TestError::Fail(why, value)) => panic!("{name}: {why}\n{value:?}"),
            Err(TestError::Abort(why)) => panic!("{name}: {why}"),
        }
    }
}

fn recurring(planned: &Plan) -> Option<(AwsCron, bool)> {
    match &planned.aws {
        AwsPlan::Exact { expression, .. } => Some((AwsCron::parse(expression), true)),
        AwsPlan::Superset { expression, .. } => Some((AwsCron::parse(expression), false)),
        AwsPlan::OneShots => None,
    }
}

#[test]
fn a_translation_never_loses_an_occurrence_in_ten_years() {
    let windows = select(vec![0_u64, 0, 300_000, 900_000]);
    in_every_zone(&(expressions(), "[a-z]{4}", windows), |zone, changes, (expr, job, window)| {
        let timetable = cron(&expr, zone.name());
        let planned = plan(&timetable, stagger_offset(&job, window));
        let Some((aws, exact)) = recurring(&planned) else { return Ok(()) };
        let pattern: Cron = expr.parse().unwrap();
        let times = || {
            let hours = pattern.pattern.hours.values();
            hours
                .into_iter()
                .flat_map(|hour| pattern.pattern.minutes.values().into_iter().map(move |minute| (hour, minute)))
        };
        let shifted = |date: NaiveDate, (hour, minute): (u16, u16)| {
            date.and_hms_opt(hour.into(), minute.into(), 0).unwrap() + planned.shift
        };
        let mut days = BTreeSet::new();
        walk(&timetable, zone, changes, |occurrence| {
            let date = wall(zone, occurrence).date();
            if days.is_empty() {
                for time in times() {
                    prop_assert!(aws.matches(shifted(date, time)), "{expr}: {:?} misses {time:?}", planned.aws);
                }
            }
            days.insert(date);
            let fire = occurrence + planned.shift;
            let shown = wall(zone, fire);
            let fires = aws.matches(shown) && first_pass(zone, shown) == Some(fire);
            prop_assert!(fires, "{expr}: {:?} misses {occurrence} (+{})", planned.aws, planned.shift);
            prop_assert_eq!(slot(&timetable, occurrence, FIRE_TOLERANCE), Some(occurrence));
            Ok(())
        })?;
        // The other direction: what is called exact fires on no other day. On the days of a change an occurrence may be
        // missing although AWS has it in its list, and skips it like us.
        let changing: BTreeSet<NaiveDate> =
            changes.iter().flat_map(|at| [*at - NEARBY, *at + NEARBY]).map(|at| wall(zone, at).date()).collect();
        let whole = (1..3650).filter_map(|n| wall(zone, first()).date().checked_add_days(Days::new(n)));
        for date in whole.filter(|date| exact && !days.contains(date) && !changing.contains(date)) {
            let extra = times().find(|time| aws.matches(shifted(date, *time)));
            prop_assert_eq!(extra, None, "{}: {:?} fires on {} too", expr, planned.aws, date);
        }
        Ok(())
    });
}

/// Expressions whose occurrences fall into, next to and away from the hours in which clocks change.
const AROUND_CHANGES: [&str; 6] =
    ["*/15 * * * *", "30 * * * *", "0 0-4 * * *", "59 23,0,1,2 * * *", "5,35 1-3 * * *", "0 */2 * * *"];

/// The keys that fires at `times` lead to, under a job whose timer is set `shift` after its occurrences.
fn keys(
    timetable: &Timetable,
    job: &JobId,
    shift: TimeDelta,
    times: impl IntoIterator<Item = DateTime<Utc>>,
) -> BTreeSet<RunKey> {
    let found = times.into_iter().filter_map(|time| slot(timetable, time - shift, FIRE_TOLERANCE));
    found.map(|occurrence| RunKey::of_slot(job, occurrence)).collect()
}

#[test]
fn a_run_key_is_the_same_however_late_in_its_minute_and_however_often_a_fire_comes() {
    let job = JobId::parse("0b1e6a2c-7a9e-4f8c-9d3e-5a1f6c2b7d90").unwrap();
    for name in ZONES {
        let zone: Tz = name.parse().unwrap();
        let changes = changes(zone);
        // One of each direction and an ordinary day with every second of the minute, the others with its ends.
        let grew =
            |at: &&DateTime<Utc>| wall(zone, **at) - wall(zone, **at - TimeDelta::seconds(1)) > TimeDelta::seconds(1);
        let ordinary = utc("2026-07-15T00:00:00Z");
        let first_gap = changes.iter().find(grew).copied();
        let first_fold = changes.iter().find(|at| !grew(at)).copied();
        let thorough: Vec<_> = [first_gap, first_fold, Some(ordinary)].into_iter().flatten().collect();
        for change in changes.iter().chain([&ordinary]).copied() {
            for (expr, shift) in AROUND_CHANGES.into_iter().flat_map(|expr| [(expr, 0), (expr, 4)]) {
                let timetable = cron(expr, name);
                let shift = plan(&timetable, TimeDelta::minutes(shift)).shift;
                let occurrences = timetable.occurrences_between(change - NEARBY, change + NEARBY, usize::MAX);
                let expected: BTreeSet<RunKey> = occurrences.iter().map(|at| RunKey::of_slot(&job, *at)).collect();
                assert_eq!(expected.len(), occurrences.len(), "{expr} in {name}: two occurrences, two keys");
                assert!(expected.iter().all(|key| RunKey::parse(key.as_str()).as_ref() == Ok(key)));
                let jitters = if thorough.contains(&change) { (0..60).collect() } else { vec![0, 59] };
                for (jitter, occurrence) in
                    jitters.into_iter().flat_map(|late| occurrences.iter().map(move |at| (late, at)))
                {
                    let fire = *occurrence + shift + TimeDelta::seconds(jitter);
                    let found = keys(&timetable, &job, shift, [fire]);
                    let key = RunKey::of_slot(&job, *occurrence);
                    assert_eq!(found, BTreeSet::from([key]), "{expr} in {name}: {occurrence} {jitter} s late");
                }
                if thorough.contains(&change) {
                    // Whatever else might fire, such as a second pass or a minute in a gap, makes no key of its own.
                    let minutes =
                        (1..2 * NEARBY.num_minutes()).map(|n| change - NEARBY + shift + TimeDelta::minutes(n));
                    let known: BTreeSet<RunKey> = expected
                        .into_iter()
                        .chain(keys(&timetable, &job, TimeDelta::zero(), [change - NEARBY]))
                        .collect();
                    let all = keys(&timetable, &job, shift, minutes);
                    assert!(all.is_subset(&known), "{expr} in {name}: {all:?}");
                }
            }
        }
    }
}

#[test]
fn the_fires_aws_makes_around_a_clock_change_lead_to_each_occurrence_once() {
    let job = JobId::parse("twice").unwrap();
    for name in ZONES {
        let zone: Tz = name.parse().unwrap();
        for change in changes(zone) {
            for (expr, offset) in AROUND_CHANGES.into_iter().flat_map(|expr| [(expr, 0), (expr, 4)]) {
                let timetable = cron(expr, name);
                let planned = plan(&timetable, TimeDelta::minutes(offset));
                let Some((aws, _)) = recurring(&planned) else { continue };
                let from = wall(zone, change).date().pred_opt().unwrap();
                let fires = aws.fires(zone, from, 3);
                let led: Vec<RunKey> = fires
                    .iter()
                    .filter_map(|fire| slot(&timetable, *fire - planned.shift, FIRE_TOLERANCE))
                    .map(|occurrence| RunKey::of_slot(&job, occurrence))
                    .collect();
                let start = first_pass(zone, from.and_time(chrono::NaiveTime::MIN)).unwrap();
                let end = start + TimeDelta::days(4);
                let expected: Vec<RunKey> = timetable
                    .occurrences_between(start - TimeDelta::seconds(1), end, usize::MAX)
                    .into_iter()
                    .filter(|at| wall(zone, *at).date() < from + Days::new(3))
                    .map(|at| RunKey::of_slot(&job, at))
                    .collect();
                let once: BTreeSet<&RunKey> = led.iter().collect();
                assert_eq!(once, expected.iter().collect(), "{expr} in {name} around {change}");
            }
        }
    }
}

#[test]
fn an_interval_keeps_its_keys_under_jitter_too() {
    let job = JobId::parse("grid").unwrap();
    for (every_ms, anchor) in [(60_000, "2026-03-08T01:59:30.250Z"), (5_400_000, "2026-10-25T00:30:00.999Z")] {
        let anchor = utc(anchor);
        let timetable =
            Timetable::new(&Schedule::Every { every_ms, anchor_ms: anchor.timestamp_millis() }, "UTC").unwrap();
        let mut keys = BTreeSet::new();
        for n in 0..500 {
            let occurrence = anchor + TimeDelta::milliseconds(n * i64::try_from(every_ms).unwrap());
            for jitter in 0..60 {
                // A rate's fires carry whole seconds.
                let fire = occurrence.with_nanosecond(0).unwrap() + TimeDelta::seconds(jitter);
                assert_eq!(slot(&timetable, fire, FIRE_TOLERANCE), Some(occurrence), "{jitter} s late");
            }
            keys.insert(slot_text(occurrence));
            assert_eq!(RunKey::of_slot(&job, occurrence).slot(), occurrence.with_nanosecond(0).unwrap());
        }
        assert_eq!(keys.len(), 500);
    }
}
