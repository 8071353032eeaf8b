//! When a job runs: what people may write, the instants it means, and how `EventBridge` Scheduler can be asked for
//! them.
//!
//! Guarantee: pure functions over data. Nothing here reads a clock, so `now` is always a parameter; every search ends
//! within [`HORIZON`], whatever the expression. This is the only module that knows time zones: what leaves it are UTC
//! instants. It does not know jobs, runs or timers.
//!
//! # Daylight saving time
//!
//! One rule for display, local timers and AWS (`EventBridge` Scheduler User Guide, "Schedule types", daylight saving
//! time): a wall time that does not exist is skipped, one that comes twice runs on its first pass only.
//!
//! ```
//! use chrono::{DateTime, Utc};
//! use nightshift_domain::schedule::{Schedule, Timetable};
//!
//! let utc = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
//! let tz = Some("America/New_York".to_owned());
//! let new_york = |expr: &str| Schedule::Cron { expr: expr.into(), tz: tz.clone(), stagger_ms: None };
//!
//! // Gap: on 8 March 2026 clocks go from 02:00 to 03:00, so 02:30 is skipped that day.
//! let gap = Timetable::new(&new_york("30 2 * * *"), "UTC").unwrap();
//! assert_eq!(gap.next_after(utc("2026-03-07T12:00:00Z")), Some(utc("2026-03-09T06:30:00Z")));
//! assert_eq!(gap.latest_at_or_before(utc("2026-03-08T12:00:00Z")), Some(utc("2026-03-07T07:30:00Z")));
//!
//! // Fold: on 1 November 2026 01:30 comes at 05:30Z and again at 06:30Z; only the first is an occurrence.
//! let fold = Timetable::new(&new_york("30 1 * * *"), "UTC").unwrap();
//! assert_eq!(fold.next_after(utc("2026-11-01T00:00:00Z")), Some(utc("2026-11-01T05:30:00Z")));
//! assert_eq!(fold.next_after(utc("2026-11-01T05:30:00Z")), Some(utc("2026-11-02T06:30:00Z")));
//! ```

pub mod aws;
mod cron;
mod duration;
mod input;
mod iso;
mod normalize;
mod preview;
mod stagger;
mod starts;
mod timetable;
mod wall_time;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use aws::{AwsPlan, Plan, plan};
pub use cron::{DstNote, DstNoteKind};
pub use duration::{DurationError, coarse_duration, format_duration, parse_duration};
pub use input::ScheduleInput;
pub use iso::{format_instant, resolve_at};
pub use normalize::{NormalizeContext, normalize};
pub use preview::{Preview, SkippedWall, Start, preview, why_one_shots};
pub use stagger::{DEFAULT_STAGGER_MS, stagger_ms, stagger_offset};
pub use starts::{LEAD_MOST, Starts, WANTED_WITHIN, Wanted};
pub use timetable::Timetable;
pub(crate) use wall_time::minutes_of_day;
pub use wall_time::{WallTime, wall_clock};

use crate::FieldError;

/// How far a search looks before it says "never". Longer than the longest pause an expression without a year can have
/// (29 February on a given weekday, around the year 2100: 40 years).
pub const HORIZON: TimeDelta = TimeDelta::days(50 * 366);

/// How late a fire may be to count for its occurrence, stagger and flexible window aside. `EventBridge` Scheduler fires
/// within a minute of the time asked for ("Schedule types", 60-second precision); the second minute is for its retries.
pub const FIRE_TOLERANCE: TimeDelta = TimeDelta::minutes(2);

const SLOT_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// A schedule as stored and as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Schedule {
    /// Once.
    At {
        /// UTC, RFC 3339 with milliseconds: `2026-02-01T16:00:00.000Z`.
        at: String,
        /// The zone the time was written in, where one was given. Shown, never computed with again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tz: Option<String>,
    },
    /// On the grid anchor + n·every, n ≥ 0.
    Every {
        /// The interval in milliseconds.
        every_ms: u64,
        /// The first point of the grid, epoch milliseconds.
        anchor_ms: i64,
    },
    /// At the wall times of a cron expression.
    Cron {
        /// Five fields, six with leading seconds, seven with a trailing year, or a nickname; as croner reads them.
        expr: String,
        /// IANA zone; without one it follows the agent's, else the configured one, else UTC.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tz: Option<String>,
        /// Window the job's start is spread over, in milliseconds; 0 is off.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stagger_ms: Option<u64>,
    },
}

/// What is wrong with a schedule: one sentence for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct ScheduleError {
    /// Where it stands, as a path: `schedule.expr`.
    pub field: &'static str,
    /// One sentence, without a full stop.
    pub message: String,
    /// What to write instead, where that can be said.
    pub hint: Option<String>,
}

impl ScheduleError {
    pub(crate) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<ScheduleError> for FieldError {
    fn from(error: ScheduleError) -> Self {
        let fault = FieldError::new("invalid_schedule", error.field, error.message);
        match error.hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }
}

/// The occurrence a fire at `scheduled_time` stands for: the latest real one at or before it, if it is at most
/// `tolerance` old; `None` when the fire is no occurrence (a superset's extra, the second pass of a fold, too old).
///
/// `scheduled_time` is what the timer was set for, not when it arrived. Give either the time as it is and a tolerance
/// of [`FIRE_TOLERANCE`] + stagger + flexible window, or the time less [`Plan::shift`] and a tolerance without the
/// stagger; the second is right even where occurrences come closer together than the stagger.
///
/// Compared by whole seconds, because timers and run keys carry no fraction: an `every` grid at 12:00:00.250 is found
/// from a fire at 12:00:00.
pub fn slot(timetable: &Timetable, scheduled_time: DateTime<Utc>, tolerance: TimeDelta) -> Option<DateTime<Utc>> {
    let last_millisecond = TimeDelta::milliseconds(999 - i64::from(scheduled_time.timestamp_subsec_millis().min(999)));
    let latest = timetable.latest_at_or_before(scheduled_time.checked_add_signed(last_millisecond)?)?;
    (scheduled_time - latest <= tolerance).then_some(latest)
}

/// An occurrence as run keys spell it: `20260308T073000Z`.
pub fn slot_text(instant: DateTime<Utc>) -> String {
    instant.format(SLOT_FORMAT).to_string()
}

/// Reads what [`slot_text`] wrote.
pub fn parse_slot(text: &str) -> Option<DateTime<Utc>> {
    let strict = text.len() == "20260308T073000Z".len();
    NaiveDateTime::parse_from_str(text, SLOT_FORMAT).ok().filter(|_| strict).map(|naive| naive.and_utc())
}
