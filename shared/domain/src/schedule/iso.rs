//! Points in time as people write them.
//!
//! Guarantee: a text means the same instant everywhere. Accepted is ISO 8601 in the forms below and epoch milliseconds;
//! everything else (`tomorrow`, `2026-2-1`, a space for the `T`) is refused rather than guessed.
//!
//! | written | means |
//! | --- | --- |
//! | `2026-02-01T16:00:00Z`, `…:00.250Z`, `…T16:00Z` | UTC |
//! | `2026-02-01T16:00:00+05:30` | that offset |
//! | `2026-02-01T16:00:00`, `2026-02-01` | wall time of the zone given with it, else UTC; a date is its midnight |
//! | `1769961600000` | milliseconds since 1970 |

use chrono::{DateTime, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use super::cron::parse_zone;
use super::{ScheduleError, parse_duration};

/// An instant as schedules store it: UTC, RFC 3339, milliseconds.
pub fn format_instant(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// What the command line takes for `--at`: a point in time, or a duration from `now` (`20m`, `+2h30m`).
pub fn resolve_at(text: &str, tz: Option<&str>, now: DateTime<Utc>) -> Result<DateTime<Utc>, ScheduleError> {
    let text = text.trim();
    let relative = text.strip_prefix('+').unwrap_or(text);
    let has_unit = relative.ends_with(|last: char| matches!(last.to_ascii_lowercase(), 's' | 'm' | 'h' | 'd'));
    match parse_duration(relative).ok().filter(|_| has_unit) {
        Some(ahead) if ahead <= TimeDelta::zero() => {
            Err(ScheduleError::new("schedule.at", format!("\"{text}\" is not ahead of now")))
        }
        Some(ahead) => now
            .checked_add_signed(ahead)
            .ok_or_else(|| ScheduleError::new("schedule.at", format!("\"{text}\" is too far ahead"))),
        None => parse(text, tz.map(parse_zone).transpose()?),
    }
}

/// Reads a point in time. `tz` is the zone of a text without an offset; `None` is UTC.
pub(super) fn parse(text: &str, tz: Option<Tz>) -> Result<DateTime<Utc>, ScheduleError> {
    let text = text.trim();
    let refused = || {
        ScheduleError::new("schedule.at", format!("\"{}\" is not an ISO 8601 time", text.escape_debug()))
            .hint("write 2026-02-01T16:00:00Z, or 2026-02-01T16:00:00 with a tz")
    };
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().and_then(DateTime::from_timestamp_millis).ok_or_else(refused);
    }
    let (wall, offset) = parse_fields(text).ok_or_else(refused)?;
    match (offset, tz) {
        (Some(offset), _) => wall.checked_sub_signed(offset).map(|utc| utc.and_utc()).ok_or_else(refused),
        (None, None) => Ok(wall.and_utc()),
        (None, Some(tz)) => match tz.from_local_datetime(&wall) {
            MappedLocalTime::Single(instant) | MappedLocalTime::Ambiguous(instant, _) => Ok(instant.to_utc()),
            MappedLocalTime::None => Err(ScheduleError::new(
                "schedule.at",
                format!("{wall} does not exist in {}, the clocks skip it that day", tz.name()),
            )
            .hint("choose a time before or after the change, or write an offset")),
        },
    }
}

/// Splits a text into wall time and offset. Every field has its full width.
fn parse_fields(text: &str) -> Option<(NaiveDateTime, Option<TimeDelta>)> {
    if !text.is_ascii() {
        return None;
    }
    let year_length = if text.starts_with(['+', '-']) { 7 } else { 4 };
    let (year, rest) = text.split_at_checked(year_length)?;
    let signed = year.strip_prefix(['+', '-']);
    let magnitude = number(signed.unwrap_or(year))?;
    let year = if year.starts_with('-') { -magnitude } else { magnitude };
    let (month, rest) = fixed(rest.strip_prefix('-')?)?;
    let (day, rest) = fixed(rest.strip_prefix('-')?)?;
    let date = NaiveDate::from_ymd_opt(year, month, day)?;
    if rest.is_empty() {
        return Some((date.and_time(NaiveTime::MIN), None));
    }
    let (hour, rest) = fixed(rest.strip_prefix(['T', 't'])?)?;
    let (minute, rest) = fixed(rest.strip_prefix(':')?)?;
    let (second, rest) = match rest.strip_prefix(':') {
        Some(rest) => fixed(rest)?,
        None => (0, rest),
    };
    let (millisecond, rest) = match rest.strip_prefix(['.', ',']) {
        Some(rest) => fraction(rest)?,
        None => (0, rest),
    };
    let time = NaiveTime::from_hms_milli_opt(hour, minute, second, millisecond)?;
    let offset = if rest.is_empty() { None } else { Some(offset(rest)?) };
    Some((date.and_time(time), offset))
}

/// `Z`, `+hh:mm` or `+hhmm`.
fn offset(text: &str) -> Option<TimeDelta> {
    if text.eq_ignore_ascii_case("z") {
        return Some(TimeDelta::zero());
    }
    let ahead = text.starts_with('+');
    let (hours, rest) = fixed(text.strip_prefix(['+', '-'])?)?;
    let (minutes, rest) = fixed(rest.strip_prefix(':').unwrap_or(rest))?;
    if !rest.is_empty() || hours > 23 || minutes > 59 {
        return None;
    }
    let distance = TimeDelta::minutes(i64::from(hours * 60 + minutes));
    Some(if ahead { distance } else { -distance })
}

/// Exactly two digits.
fn fixed(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(2)?;
    Some((u32::try_from(number(digits)?).ok()?, rest))
}

/// Milliseconds from the digits of a fraction; what comes after the third is cut off.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    if length == 0 || length > 9 {
        return None;
    }
    let (digits, rest) = text.split_at(length);
    let padded = format!("{digits}00");
    Some((u32::try_from(number(&padded[..3])?).ok()?, rest))
}

/// Digits only, so that no sign or space slips in.
fn number(digits: &str) -> Option<i32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}
