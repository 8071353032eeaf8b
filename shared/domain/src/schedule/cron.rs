//! A cron expression in a zone.
//!
//! croner only ever sees the wall clock, as if it were UTC where nothing is skipped or repeated; this module maps wall
//! times to instants. Guarantee: an occurrence is the *first* instant at which the zone shows a matching wall time.
//! croner's own treatment of clock changes (03:00 for a skipped 02:30, both passes for interval expressions) therefore
//! never shows, forwards or backwards.

use std::str::FromStr;

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use croner::Cron;
use croner::parser::CronParser;

use super::{HORIZON, ScheduleError};

/// Longest accepted expression in bytes. Every useful one is far shorter.
const MAX_EXPR_BYTES: usize = 256;

/// Most wall times a preview of clock changes looks at.
const MAX_NOTED_WALLS: usize = 10_000;

/// A wall time of an expression that a clock change touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DstNote {
    /// What the clock on the wall would show.
    pub wall: NaiveDateTime,
    /// What happens to it.
    pub kind: DstNoteKind,
}

/// What a clock change does to a wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DstNoteKind {
    /// It does not exist that day; there is no run.
    Skipped,
    /// It comes twice; the run is on the first pass.
    RunsOnFirstPass {
        /// The occurrence.
        first: DateTime<Utc>,
        /// The same wall time again, where nothing runs.
        second: DateTime<Utc>,
    },
}

/// A parsed expression and its zone.
#[derive(Clone, Debug)]
pub(super) struct WallClockCron {
    pub(super) cron: Cron,
    tz: Tz,
}

/// Parses an expression as croner 4 does, plus `@midnight`: 5 fields, 6 with leading seconds, 7 with a trailing year.
pub(super) fn parse(expr: &str) -> Result<Cron, ScheduleError> {
    let expr = expr.trim();
    if expr.len() > MAX_EXPR_BYTES {
        return Err(ScheduleError::new(
            "schedule.expr",
            format!("the expression is {} bytes long, the limit is {MAX_EXPR_BYTES}", expr.len()),
        ));
    }
    let known = if expr.eq_ignore_ascii_case("@midnight") { "@daily" } else { expr };
    let parsed = if known.is_ascii() { CronParser::new().parse(known).ok() } else { None };
    parsed.ok_or_else(|| {
        let what = if expr.is_empty() {
            "the expression is empty".to_owned()
        } else {
            format!("\"{}\" is not a cron expression", expr.escape_debug())
        };
        ScheduleError::new("schedule.expr", what).hint(hint_for(expr))
    })
}

/// Finds an IANA zone by name, in any letter case.
pub(super) fn parse_zone(name: &str) -> Result<Tz, ScheduleError> {
    let name = name.trim();
    let found = Tz::from_str(name)
        .ok()
        .or_else(|| TZ_VARIANTS.iter().find(|candidate| candidate.name().eq_ignore_ascii_case(name)).copied());
    found.ok_or_else(|| {
        ScheduleError::new("schedule.tz", format!("\"{}\" is not a time zone", name.escape_debug()))
            .hint("use an IANA name such as America/New_York, Europe/Berlin or UTC; an offset such as +02:00 is none")
    })
}

/// What to write instead of an expression that does not parse.
fn hint_for(expr: &str) -> String {
    let fields: Vec<&str> = expr.split_whitespace().collect();
    let has = |test: fn(&str) -> bool| fields.iter().any(|field| field.split(',').any(test));
    if expr.eq_ignore_ascii_case("@reboot") {
        "nothing here reboots; use kind \"at\" for one run, or a nickname such as @daily".to_owned()
    } else if expr.to_ascii_lowercase().starts_with("@every") {
        "use kind \"every\" with everyMs for a fixed interval".to_owned()
    } else if expr.starts_with('@') {
        "the nicknames are @yearly, @annually, @monthly, @weekly, @daily, @midnight and @hourly".to_owned()
    } else if !(5..=7).contains(&fields.len()) {
        format!(
            "it takes five fields (minute hour day-of-month month day-of-week), or six with seconds first; this has {}",
            fields.len()
        )
    } else if has(|item| item.starts_with('/')) {
        "write */15 for a step over the whole range".to_owned()
    } else if has(|item| item.split_once('/').is_some_and(|(start, _)| start.bytes().all(|b| b.is_ascii_digit()))) {
        "write the range a step runs over: 5-59/15, not 5/15".to_owned()
    } else if has(|item| numeric_range(item).is_some_and(|(start, end)| start > end)) {
        "a range may not wrap around; write both parts: 22-23,0-2".to_owned()
    } else if has(|item| item.bytes().filter(u8::is_ascii_alphabetic).count() > 3 && !item.contains('-')) {
        "names have three letters: MON, JAN".to_owned()
    } else {
        "minute 0-59, hour 0-23, day of month 1-31, month 1-12 or JAN-DEC, day of week 0-7 or SUN-SAT".to_owned()
    }
}

fn numeric_range(item: &str) -> Option<(u16, u16)> {
    let (start, end) = item.split_once('-')?;
    Some((start.parse().ok()?, end.split('/').next()?.parse().ok()?))
}

impl WallClockCron {
    pub(super) fn new(expr: &str, tz: &str) -> Result<Self, ScheduleError> {
        Ok(Self { cron: parse(expr)?, tz: parse_zone(tz)? })
    }

    pub(super) fn zone(&self) -> &'static str {
        self.tz.name()
    }

    /// The first occurrence strictly after `instant`.
    ///
    /// Inside a second pass every wall time of the repeated range is over already; they are stepped through, at most an
    /// hour's worth of them.
    pub(super) fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let start = self.wall_at(instant)?;
        let mut wall = start;
        loop {
            wall = self.wall_after(wall)?;
            if wall - start > HORIZON {
                return None;
            }
            if let Some(first) = self.first_pass(wall)
                && first > instant
            {
                return Some(first);
            }
        }
    }

    /// The last occurrence at or before `instant`.
    ///
    /// Inside a second pass the search starts at the end of the repeated range, whose first pass is all in the past.
    pub(super) fn latest_at_or_before(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let shown = self.wall_at(instant)?;
        let into_second_pass = instant.with_nanosecond(0)? - self.first_pass(shown)?;
        let start = shown.checked_add_signed(into_second_pass)?;
        let mut wall = start;
        let mut inclusive = true;
        loop {
            wall = self.wall_before(wall, inclusive)?;
            inclusive = false;
            if start - wall > HORIZON {
                return None;
            }
            if let Some(first) = self.first_pass(wall)
                && first <= instant
            {
                return Some(first);
            }
        }
    }

    pub(super) fn dst_notes_between(&self, from: DateTime<Utc>, to: DateTime<Utc>, max: usize) -> Vec<DstNote> {
        let (Some(from), Some(to)) = (self.wall_at(from), self.wall_at(to)) else { return Vec::new() };
        std::iter::successors(self.wall_after(from), |wall| self.wall_after(*wall))
            .take(MAX_NOTED_WALLS)
            .take_while(|wall| *wall <= to)
            .filter_map(|wall| {
                let kind = match self.tz.from_local_datetime(&wall) {
                    MappedLocalTime::Single(_) => return None,
                    MappedLocalTime::None => DstNoteKind::Skipped,
                    MappedLocalTime::Ambiguous(first, second) => {
                        DstNoteKind::RunsOnFirstPass { first: first.to_utc(), second: second.to_utc() }
                    }
                };
                Some(DstNote { wall, kind })
            })
            .take(max)
            .collect()
    }

    /// The least distance between two times of day of the expression, midnight to midnight included.
    pub(super) fn smallest_gap(&self) -> TimeDelta {
        const DAY: u32 = 86_400;
        let pattern = &self.cron.pattern;
        let (minutes, seconds) = (pattern.minutes.values(), pattern.seconds.values());
        let mut least = DAY;
        let mut first = None;
        let mut previous: Option<u32> = None;
        for hour in pattern.hours.values() {
            for minute in &minutes {
                for second in &seconds {
                    let time = (u32::from(hour) * 60 + u32::from(*minute)) * 60 + u32::from(*second);
                    least = previous.map_or(least, |previous| least.min(time - previous));
                    first = first.or(Some(time));
                    previous = Some(time);
                }
            }
        }
        if let (Some(first), Some(last)) = (first, previous) {
            least = least.min(DAY - last + first);
        }
        TimeDelta::seconds(i64::from(least))
    }

    /// What the clock on the wall shows at `instant`, without the fraction of its second. `None` outside the years
    /// croner knows.
    fn wall_at(&self, instant: DateTime<Utc>) -> Option<NaiveDateTime> {
        let known = croner::YEAR_LOWER_LIMIT + 1..croner::YEAR_UPPER_LIMIT;
        if !known.contains(&instant.year()) {
            return None;
        }
        instant.with_timezone(&self.tz).naive_local().with_nanosecond(0)
    }

    /// The first instant the zone shows `wall`; `None` in a gap.
    fn first_pass(&self, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
        self.tz.from_local_datetime(&wall).earliest().map(|first| first.to_utc())
    }

    fn wall_after(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        self.cron.find_next_occurrence(&wall.and_utc(), false).ok().map(|next| next.naive_utc())
    }

    fn wall_before(&self, wall: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        self.cron.find_previous_occurrence(&wall.and_utc(), inclusive).ok().map(|previous| previous.naive_utc())
    }
}
