//! Schedules from flags and from the first positional argument.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use nightshift_domain::schedule::{format_instant, parse_duration, resolve_at};
use serde_json::{Value, json};

use super::Fields;
use crate::args::ScheduleFlags;
use crate::error::ExpectedError;

const TZ_HINT: &str = "an offset or a duration tells the instant by itself";

impl ScheduleFlags {
    fn stagger_ms(&self) -> Option<u64> {
        if self.exact { Some(0) } else { self.stagger }
    }
}

/// The schedule of `--at`, `--every` or `--cron`; `None` without any of them.
pub(super) fn of_flags(flags: &ScheduleFlags, now: DateTime<Utc>) -> Result<Option<Value>, ExpectedError> {
    match (&flags.at, flags.every, &flags.cron) {
        (Some(at), _, _) => at_schedule(at, flags, now).map(Some),
        (None, Some(every_ms), _) => every_schedule(every_ms, flags).map(Some),
        (None, None, Some(expr)) => Ok(Some(cron_schedule(expr, flags))),
        (None, None, None) => Ok(None),
    }
}

/// What is to change about a stored schedule; `None` when nothing is.
///
/// What belongs to a cron schedule goes without its kind: the API lays such a change over the stored schedule, so a new
/// expression keeps the zone and a new zone keeps the expression. One that names its kind would replace it all.
pub(super) fn change(flags: &ScheduleFlags, now: DateTime<Utc>) -> Result<Option<Value>, ExpectedError> {
    if flags.at.is_some() || flags.every.is_some() {
        return of_flags(flags, now);
    }
    let mut change = Fields::default();
    change.put("expr", flags.cron.as_deref().map(str::trim));
    change.put("tz", flags.tz.as_deref());
    change.put("staggerMs", flags.stagger_ms());
    Ok(change.some())
}

/// The schedule somebody wrote without a flag; `None` if it does not look like one.
pub(super) fn of_text(text: &str, flags: &ScheduleFlags, now: DateTime<Utc>) -> Result<Option<Value>, ExpectedError> {
    let text = text.trim();
    if looks_like_cron(text) {
        return Ok(Some(cron_schedule(text, flags)));
    }
    if let Some(every) = text.strip_prefix("every ").and_then(|interval| parse_duration(interval).ok()) {
        return every_schedule(every.num_milliseconds().unsigned_abs(), flags).map(Some);
    }
    let starts_like_a_time = text.trim_start_matches('+').starts_with(|first: char| first.is_ascii_digit());
    if starts_like_a_time && !with_t(text).contains(' ') {
        return at_schedule(text, flags, now).map(Some);
    }
    Ok(None)
}

/// A nickname, or five to seven fields of which the first can be seconds or minutes.
fn looks_like_cron(text: &str) -> bool {
    let fields = text.split_whitespace().count();
    let starts_with_minutes = text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '*' | '?'));
    text.starts_with('@') || ((5..=7).contains(&fields) && starts_with_minutes)
}

fn cron_schedule(expr: &str, flags: &ScheduleFlags) -> Value {
    let mut schedule = Fields::default();
    schedule.put("kind", Some("cron"));
    schedule.put("expr", Some(expr.trim()));
    schedule.put("tz", flags.tz.as_deref());
    schedule.put("staggerMs", flags.stagger_ms());
    schedule.into()
}

fn every_schedule(every_ms: u64, flags: &ScheduleFlags) -> Result<Value, ExpectedError> {
    if flags.tz.is_some() {
        return Err(ExpectedError::usage_hint(
            "--tz is only valid with --cron or offset-less --at",
            "an interval has no time zone; \"0 7 * * *\" with --tz runs at the same wall time every day",
        ));
    }
    refuse_stagger(flags)?;
    Ok(json!({"kind": "every", "everyMs": every_ms}))
}

fn at_schedule(text: &str, flags: &ScheduleFlags, now: DateTime<Utc>) -> Result<Value, ExpectedError> {
    refuse_stagger(flags)?;
    let text = &with_t(text);
    let tz = flags.tz.as_deref();
    let instant = resolve_at(text, tz, now)?;
    let mut schedule = Fields::default();
    schedule.put("kind", Some("at"));
    schedule.put("at", Some(format_instant(instant)));
    if tz.is_some() {
        if !depends_on_zone(text, now) {
            return Err(ExpectedError::usage_hint("--tz is only valid with --cron or offset-less --at", TZ_HINT));
        }
        schedule.put("tz", tz);
    }
    Ok(schedule.into())
}

/// `2026-12-24 07:00` as ISO 8601 writes it: people put a space where it has a T.
fn with_t(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    match text.split_once(' ') {
        Some((date, time))
            if date.len() == "2026-12-24".len()
                && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
                && is_digit(time.as_bytes().first())
                && time.as_bytes().get(2) == Some(&b':') =>
        {
            Cow::Owned(format!("{date}T{time}"))
        }
        Some(_) | None => Cow::Borrowed(text),
    }
}

/// A text without an offset means different instants in different zones.
fn depends_on_zone(text: &str, now: DateTime<Utc>) -> bool {
    let read_in = |zone| resolve_at(text, Some(zone), now).ok();
    read_in("Etc/GMT+12") != read_in("Etc/GMT-14")
}

fn refuse_stagger(flags: &ScheduleFlags) -> Result<(), ExpectedError> {
    match flags.stagger_ms() {
        Some(_) => Err(ExpectedError::usage_hint(
            "--exact and --stagger belong to a cron schedule",
            "leave them out: other schedules always start at their time",
        )),
        None => Ok(()),
    }
}
