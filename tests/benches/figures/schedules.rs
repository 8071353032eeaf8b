//! Schedule arithmetic: next occurrences a second, beside croner's own on the same expressions, and translations to
//! `EventBridge`'s expressions.

use std::hint::black_box;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use nightshift_domain::schedule::{Schedule, Timetable, plan};

use crate::stopwatch::per_second;
use crate::table::{Table, count, ratio};

/// How long each figure is measured.
const LONG: Duration = Duration::from_millis(400);
/// Occurrences followed before the stopwatch is looked at.
const ROUND: u32 = 200;

/// A kind of expression, one of it, and its zone.
const EXPRESSIONS: [(&str, &str, &str); 6] = [
    ("daily, UTC", "0 7 * * *", "UTC"),
    ("daily, with clock changes", "0 7 * * *", "America/New_York"),
    ("every quarter of an hour", "*/15 * * * *", "America/New_York"),
    ("weekdays", "30 9 * * MON-FRI", "Europe/Berlin"),
    ("first Monday of the month", "0 9 * * 1#1", "Europe/Berlin"),
    ("29 February", "0 9 29 2 *", "Europe/Berlin"),
];

/// Measures and prints.
pub(crate) fn measure() -> anyhow::Result<()> {
    let heads = ["next occurrence", "ours", "plain croner", "ours to croner", "translations"];
    let mut table = Table::new("Schedules: computations a second, on one core", &heads);
    for (kind, expr, tz) in EXPRESSIONS {
        let (zone, pattern): (Tz, Cron) = (tz.parse()?, expr.parse()?);
        let schedule = Schedule::Cron { expr: expr.to_owned(), tz: Some(tz.to_owned()), stagger_ms: None };
        let timetable = Timetable::new(&schedule, "UTC")?;
        let ours = following(&timetable)?;
        let start = start().with_timezone(&zone);
        pattern.find_next_occurrence(&start, false).context("croner finds a first occurrence")?;
        let croners = per_second(LONG, ROUND, || {
            let mut at = start;
            for _ in 0..ROUND {
                at = black_box(pattern.find_next_occurrence(&at, false)).unwrap_or(start);
            }
        });
        let offset = TimeDelta::seconds(226);
        let plans = per_second(LONG, 1, || {
            black_box(plan(black_box(&timetable), offset));
        });
        table.row(vec![kind.to_owned(), count(ours), count(croners), ratio(ours, croners), count(plans)]);
    }
    let every = Timetable::new(&Schedule::Every { every_ms: 5_400_000, anchor_ms: 250 }, "UTC")?;
    table.row(vec![
        "an interval".to_owned(),
        count(following(&every)?),
        "-".to_owned(),
        "-".to_owned(),
        "-".to_owned(),
    ]);
    table.print();
    Ok(())
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_154_400, 0).unwrap_or_default()
}

/// Occurrences a second, one after another.
fn following(timetable: &Timetable) -> anyhow::Result<f64> {
    timetable.next_after(start()).context("there is a first occurrence")?;
    Ok(per_second(LONG, ROUND, || {
        let mut at = start();
        for _ in 0..ROUND {
            at = black_box(timetable.next_after(at)).unwrap_or_else(start);
        }
    }))
}
