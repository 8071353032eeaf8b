//! From what a user asks for to what is stored.
//!
//! Guarantee: a schedule that leaves here has a next run, keeps the least interval, and names real zones. Defaults that
//! depend on the moment (an interval's anchor) or on the expression (the stagger of top-of-hour ones) are filled in;
//! a cron schedule's missing zone is not, so that it follows the configured one.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::cron::parse_zone;
use super::stagger::{MAX_STAGGER_MS, default_stagger_ms};
use super::{Schedule, ScheduleError, ScheduleInput, Timetable, coarse_duration, format_duration, format_instant, iso};

/// How far back an `at` may lie: a minute, for clocks that differ and requests that take long.
const LEAST_PAST: TimeDelta = TimeDelta::seconds(60);

/// How far ahead anything may lie: ten years of 365.25 days, as in `OpenClaw`.
const FARTHEST: TimeDelta = TimeDelta::milliseconds(315_576_000_000);

/// What a schedule is judged by.
#[derive(Clone, Copy, Debug)]
pub struct NormalizeContext<'a> {
    /// The instant of the request.
    pub now: DateTime<Utc>,
    /// The zone of a cron schedule that names none: the agent's, else the configured one, else UTC.
    pub default_tz: &'a str,
    /// Least time between two runs, in milliseconds; 60,000 unless the local stack lowers it.
    pub min_interval_ms: u64,
}

/// Checks what was asked for and writes it the way it is stored.
///
/// Refuses an `at` more than 60 s past or ten years ahead, an expression that never fires, runs closer together than
/// the least interval, and zones that do not exist.
pub fn normalize(input: ScheduleInput, context: &NormalizeContext<'_>) -> Result<Schedule, ScheduleError> {
    match input {
        ScheduleInput::At { at, tz } => normalize_at(&at, tz.as_deref(), context),
        ScheduleInput::Every { every_ms, anchor_ms } => normalize_every(every_ms, anchor_ms, context),
        ScheduleInput::Cron { expr, tz, stagger_ms } => normalize_cron(&expr, tz.as_deref(), stagger_ms, context),
    }
}

fn normalize_at(at: &str, tz: Option<&str>, context: &NormalizeContext<'_>) -> Result<Schedule, ScheduleError> {
    let tz = zone(tz)?;
    let instant = iso::parse(at, tz)?;
    let now = context.now;
    if instant < now - LEAST_PAST {
        return Err(ScheduleError::new(
            "schedule.at",
            format!("{} is {} ago", format_instant(instant), coarse_duration(now - instant)),
        )
        .hint(format!("it is {} now; a time without an offset is UTC unless tz is given", format_instant(now))));
    }
    if instant - now > FARTHEST {
        return Err(ScheduleError::new(
            "schedule.at",
            format!("{} is more than ten years ahead", format_instant(instant)),
        ));
    }
    Ok(Schedule::At { at: format_instant(instant), tz: tz.map(|tz| tz.name().to_owned()) })
}

fn normalize_every(
    every_ms: u64,
    anchor_ms: Option<i64>,
    context: &NormalizeContext<'_>,
) -> Result<Schedule, ScheduleError> {
    let least = milliseconds(context.min_interval_ms.max(1));
    let every = milliseconds(every_ms);
    if every < least {
        return Err(ScheduleError::new(
            "schedule.everyMs",
            format!("an interval of {} is too short", format_duration(every)),
        )
        .hint(format!("the least is {} ms", least.num_milliseconds())));
    }
    if every > FARTHEST {
        return Err(ScheduleError::new("schedule.everyMs", "an interval of more than ten years is too long"));
    }
    let now_ms = context.now.timestamp_millis();
    let anchor_ms = anchor_ms.unwrap_or(now_ms);
    if anchor_ms < 0 || anchor_ms.saturating_sub(now_ms) > FARTHEST.num_milliseconds() {
        return Err(ScheduleError::new(
            "schedule.anchorMs",
            format!("{anchor_ms} is not between 1970 and ten years ahead"),
        )
        .hint("anchorMs is in milliseconds since 1970"));
    }
    Ok(Schedule::Every { every_ms, anchor_ms })
}

fn normalize_cron(
    expr: &str,
    tz: Option<&str>,
    stagger_ms: Option<u64>,
    context: &NormalizeContext<'_>,
) -> Result<Schedule, ScheduleError> {
    let tz = zone(tz)?.map(|tz| tz.name().to_owned());
    if let Some(ms) = stagger_ms.filter(|ms| *ms > MAX_STAGGER_MS) {
        return Err(ScheduleError::new("schedule.staggerMs", format!("a stagger of {ms} ms is more than a day")));
    }
    let expr = expr.trim();
    let stagger_ms = stagger_ms.or_else(|| Some(default_stagger_ms(expr)).filter(|ms| *ms > 0));
    let schedule = Schedule::Cron { expr: expr.to_owned(), tz, stagger_ms };
    let timetable = Timetable::new(&schedule, context.default_tz)?;
    let least = milliseconds(context.min_interval_ms);
    if let Some(gap) = timetable.smallest_gap().filter(|gap| *gap < least) {
        return Err(ScheduleError::new(
            "schedule.expr",
            format!("\"{expr}\" runs as often as every {}", format_duration(gap)),
        )
        .hint(format!("runs must be at least {} apart", format_duration(least))));
    }
    if timetable.next_after(context.now).is_none() {
        return Err(ScheduleError::new("schedule.expr", format!("\"{expr}\" would never run"))
            .hint("no day within 50 years matches it; look at day and month, such as 31 2 or a year that is over"));
    }
    Ok(schedule)
}

/// A zone that was given; an empty text is none.
fn zone(tz: Option<&str>) -> Result<Option<Tz>, ScheduleError> {
    tz.filter(|tz| !tz.trim().is_empty()).map(parse_zone).transpose()
}

/// Capped, so that no number overflows.
fn milliseconds(ms: u64) -> TimeDelta {
    i64::try_from(ms).ok().and_then(TimeDelta::try_milliseconds).unwrap_or(TimeDelta::MAX)
}
