//! A schedule, parsed once, that answers which instants it means.
//!
//! Guarantee: `next_after` is strictly later than its argument, `latest_at_or_before` never later, and the two agree:
//! `latest_at_or_before(next_after(t)) == next_after(t)`. Stagger is not part of an occurrence.

use chrono::{DateTime, TimeDelta, Utc};

use super::cron::{DstNote, WallClockCron};
use super::{Schedule, ScheduleError, iso};

/// A parsed [`Schedule`].
#[derive(Clone, Debug)]
pub struct Timetable(pub(super) Kind);

#[derive(Clone, Debug)]
pub(super) enum Kind {
    At(DateTime<Utc>),
    Every { every_ms: i64, anchor_ms: i64 },
    Cron(Box<WallClockCron>),
}

impl Timetable {
    /// Parses a stored schedule. `default_tz` is the zone of a cron schedule without one.
    ///
    /// Checks only what is needed to compute; what users may not ask for is [`super::normalize`]'s business.
    pub fn new(schedule: &Schedule, default_tz: &str) -> Result<Self, ScheduleError> {
        Ok(Self(match schedule {
            Schedule::At { at, .. } => Kind::At(iso::parse(at, None)?),
            Schedule::Every { every_ms, anchor_ms } => {
                let every_ms = i64::try_from(*every_ms).ok().filter(|every| *every > 0).ok_or_else(|| {
                    ScheduleError::new("schedule.everyMs", format!("{every_ms} ms is not an interval"))
                })?;
                Kind::Every { every_ms, anchor_ms: *anchor_ms }
            }
            Schedule::Cron { expr, tz, .. } => {
                Kind::Cron(Box::new(WallClockCron::new(expr, tz.as_deref().unwrap_or(default_tz))?))
            }
        }))
    }

    /// The first occurrence strictly after `instant`; `None` when there is none within [`super::HORIZON`].
    ///
    /// `every`: `anchor + (floor((now - anchor) / every) + 1) * every`, and the anchor itself while that lies ahead.
    pub fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.0 {
            Kind::At(at) => Some(*at).filter(|at| *at > instant),
            Kind::Every { every_ms, anchor_ms } => {
                let passed = instant.timestamp_millis().checked_sub(*anchor_ms)?;
                let steps = if passed < 0 { 0 } else { passed / every_ms + 1 };
                grid_point(*anchor_ms, *every_ms, steps)
            }
            Kind::Cron(cron) => cron.next_after(instant),
        }
    }

    /// The last occurrence at or before `instant`; `None` when there is none within [`super::HORIZON`].
    pub fn latest_at_or_before(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.0 {
            Kind::At(at) => Some(*at).filter(|at| *at <= instant),
            Kind::Every { every_ms, anchor_ms } => {
                let passed = instant.timestamp_millis().checked_sub(*anchor_ms).filter(|passed| *passed >= 0)?;
                grid_point(*anchor_ms, *every_ms, passed / every_ms)
            }
            Kind::Cron(cron) => cron.latest_at_or_before(instant),
        }
    }

    /// The occurrences after `from` up to and including `to`, the earliest `max` of them.
    pub fn occurrences_between(&self, from: DateTime<Utc>, to: DateTime<Utc>, max: usize) -> Vec<DateTime<Utc>> {
        std::iter::successors(self.next_after(from), |last| self.next_after(*last))
            .take_while(|next| *next <= to)
            .take(max)
            .collect()
    }

    /// The first start strictly after `now` of a job that starts `offset` after its occurrences
    /// ([`super::stagger_offset`]).
    pub fn next_start_after(&self, now: DateTime<Utc>, offset: TimeDelta) -> Option<DateTime<Utc>> {
        self.next_after(now.checked_sub_signed(offset)?)?.checked_add_signed(offset)
    }

    /// Wall times of the expression after `from` up to `to` that a clock change drops or repeats, the earliest `max` of
    /// them, for a preview. Empty for `at` and `every`, which know no wall clock.
    pub fn dst_notes_between(&self, from: DateTime<Utc>, to: DateTime<Utc>, max: usize) -> Vec<DstNote> {
        match &self.0 {
            Kind::At(_) | Kind::Every { .. } => Vec::new(),
            Kind::Cron(cron) => cron.dst_notes_between(from, to, max),
        }
    }

    /// The canonical name of the zone the expression is read in; `None` for `at` and `every`.
    pub fn zone(&self) -> Option<&'static str> {
        match &self.0 {
            Kind::At(_) | Kind::Every { .. } => None,
            Kind::Cron(cron) => Some(cron.zone()),
        }
    }

    /// The least time two neighbouring occurrences can be apart on an ordinary day; `None` for `at`.
    pub fn smallest_gap(&self) -> Option<TimeDelta> {
        match &self.0 {
            Kind::At(_) => None,
            Kind::Every { every_ms, .. } => Some(TimeDelta::milliseconds(*every_ms)),
            Kind::Cron(cron) => Some(cron.smallest_gap()),
        }
    }
}

fn grid_point(anchor_ms: i64, every_ms: i64, steps: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(steps.checked_mul(every_ms)?.checked_add(anchor_ms)?)
}
