//! A time of day.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::cron::parse_zone;

/// What the clocks of `zone` show at `at`, as somebody there says it at `then`: `06:10`, or with the day where that is another
/// one. In UTC where there is no such zone.
pub fn wall_clock(at: DateTime<Utc>, then: DateTime<Utc>, zone: &str) -> String {
    let zone = parse_zone(zone).unwrap_or(Tz::UTC);
    let (at, then) = (at.with_timezone(&zone), then.with_timezone(&zone));
    let format = if at.date_naive() == then.date_naive() { "%H:%M" } else { "%H:%M on %Y-%m-%d" };
    at.format(format).to_string()
}

/// Minutes since midnight of `HH:MM`, up to 24:00.
pub(crate) fn minutes_of_day(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hours) || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= 24 * 60).then_some(total)
}

/// No clock change takes longer than this (the longest since 2000 was a whole day, where a zone changed its date).
const LONGEST_GAP_MINUTES: i64 = 25 * 60;

/// What a clock on the wall shows, to the minute: `07:00`. Kept as minutes since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WallTime(u16);

impl WallTime {
    /// Reads `07:00` or `7:00`, from 00:00 to 23:59.
    pub fn parse(text: &str) -> Option<Self> {
        let minutes = match text.find(':') {
            Some(1) => minutes_of_day(&format!("0{text}")),
            _ => minutes_of_day(text),
        };
        minutes.filter(|minutes| *minutes < 24 * 60).and_then(|minutes| u16::try_from(minutes).ok()).map(Self)
    }

    /// When the clocks of `zone` show it on that day, for the first time; the end of the gap on a day on which they never do.
    pub(super) fn on(self, day: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
        let midnight = day.and_time(NaiveTime::MIN);
        let shown = |minutes| zone.from_local_datetime(&(midnight + TimeDelta::minutes(minutes))).earliest();
        let first = i64::from(self.0);
        (first..first + LONGEST_GAP_MINUTES).find_map(shown).map(|at| at.to_utc())
    }

    /// The first time at or after `instant` that the clocks of `zone` show it.
    pub(super) fn at_or_after(self, instant: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let day = instant.with_timezone(&zone).date_naive();
        [Some(day), day.succ_opt()].into_iter().flatten().filter_map(|day| self.on(day, zone)).find(|at| *at >= instant)
    }

    /// The last time at or before `instant` that the clocks of `zone` show it.
    pub(super) fn at_or_before(self, instant: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let day = instant.with_timezone(&zone).date_naive();
        [Some(day), day.pred_opt()].into_iter().flatten().filter_map(|day| self.on(day, zone)).find(|at| *at <= instant)
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl TryFrom<String> for WallTime {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("\"{}\" is not a time of day", text.escape_debug()))
    }
}

impl From<WallTime> for String {
    fn from(time: WallTime) -> Self {
        time.to_string()
    }
}

impl JsonSchema for WallTime {
    fn schema_name() -> Cow<'static, str> {
        "WallTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([01]?[0-9]|2[0-3]):[0-5][0-9]$",
            "description": "What a clock on the wall shows, to the minute: `07:00`.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_of_day_is_an_hour_and_two_digits_of_minutes() {
        for (text, shown) in [("07:00", "07:00"), ("7:05", "07:05"), ("23:59", "23:59"), ("0:00", "00:00")] {
            assert_eq!(WallTime::parse(text).map(|time| time.to_string()).as_deref(), Some(shown), "{text}");
        }
        for text in ["", " ", "7", " 7:05", "24:00", "07:60", "7:5", "07:00:00", "+7:00", "7 am", "٠٧:٠٠", "-1:30"]
        {
            assert_eq!(WallTime::parse(text), None, "{text}");
        }
    }

    #[test]
    fn on_days_of_clock_changes_it_is_the_end_of_the_gap_and_the_first_of_two_passes() {
        let (zone, half_past_two) = (chrono_tz::Europe::Vienna, WallTime::parse("02:30").unwrap());
        let on = |day: &str| half_past_two.on(day.parse().unwrap(), zone).unwrap();
        assert_eq!(on("2026-03-28"), utc("2026-03-28T01:30:00Z"));
        assert_eq!(on("2026-03-29"), utc("2026-03-29T01:00:00Z"), "03:00, which is when 02:00 would have been");
        assert_eq!(on("2026-10-25"), utc("2026-10-25T00:30:00Z"));
        // Samoa had no 30 December 2011.
        let seven = WallTime::parse("07:00").unwrap();
        let next = seven.on("2011-12-30".parse().unwrap(), chrono_tz::Pacific::Apia);
        assert_eq!(next, Some(utc("2011-12-30T10:00:00Z")), "midnight of the 31st");
    }

    #[test]
    fn a_time_is_said_with_its_day_where_that_is_another_one() {
        let (at, seven) = (utc("2026-11-20T21:40:00Z"), utc("2026-11-21T06:00:00Z"));
        assert_eq!(wall_clock(at, seven, "Europe/Vienna"), "22:40 on 2026-11-20");
        assert_eq!(wall_clock(seven - TimeDelta::minutes(50), seven, "Europe/Vienna"), "06:10");
    }

    #[test]
    fn the_next_and_the_last_one_meet_at_the_instant_itself() {
        let (zone, seven) = (chrono_tz::America::New_York, WallTime::parse("07:00").unwrap());
        let at = utc("2026-11-20T12:00:00Z");
        let (before, after) = (at - TimeDelta::milliseconds(1), at + TimeDelta::milliseconds(1));
        assert_eq!((seven.at_or_after(at, zone), seven.at_or_before(at, zone)), (Some(at), Some(at)));
        assert_eq!(seven.at_or_after(after, zone), Some(at + TimeDelta::days(1)));
        assert_eq!(seven.at_or_before(before, zone), Some(at - TimeDelta::days(1)));
    }
}
