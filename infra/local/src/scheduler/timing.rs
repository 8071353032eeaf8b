//! When a stored schedule fires next: its expression, bounded by its dates and shifted into its flexible window. Pure.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::expression::{Expression, ExpressionError};
use super::model::{Record, Spec, fnv1a};

/// A parsed [`Spec`] from the instant it took effect.
#[derive(Debug)]
pub(super) struct Timing {
    expression: Expression,
    /// Nothing fires at or before this instant.
    floor: DateTime<Utc>,
    end: Option<DateTime<Utc>>,
    offset: TimeDelta,
}

const INSTANT: TimeDelta = TimeDelta::nanoseconds(1);

impl Timing {
    /// `at(…)` fires even when its time had passed on arrival: the service accepts it and does not say more, and a lost
    /// one-shot is the worse surprise. A `rate` starts at `StartDate`, or at once; a `cron` after its arming.
    pub(super) fn of(record: &Record) -> Result<Self, ExpressionError> {
        let spec = &record.spec;
        let expression = Expression::parse(&spec.schedule_expression, &spec.schedule_expression_timezone)?;
        let offset = window_offset(spec);
        if expression.is_one_time() {
            return Ok(Self { expression, floor: DateTime::<Utc>::MIN_UTC, end: None, offset });
        }
        let start = spec.start_date;
        let armed_at = if expression.is_rate() { record.armed_at.trunc_subsecs(0) - INSTANT } else { record.armed_at };
        Ok(Self {
            expression: expression.anchored(start.unwrap_or_else(|| record.armed_at.trunc_subsecs(0))),
            floor: start.map_or(armed_at, |start| armed_at.max(start - INSTANT)),
            end: spec.end_date,
            offset,
        })
    }

    pub(super) fn is_one_time(&self) -> bool {
        self.expression.is_one_time()
    }

    /// The next nominal instant after all that is done.
    pub(super) fn next(&self, done_through: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        let after = done_through.map_or(self.floor, |done| done.max(self.floor));
        let next = self.expression.next_after(after)?;
        Some(next).filter(|next| self.end.is_none_or(|end| *next <= end))
    }

    /// When a nominal instant really fires.
    pub(super) fn fire_at(&self, nominal: DateTime<Utc>) -> DateTime<Utc> {
        nominal + self.offset
    }

    /// The nominal instant to fire at `now`: the latest one due. The real service misses none; here the machine may have
    /// been off or asleep, and one fire for all it missed is what a job expects.
    pub(super) fn latest_due(&self, done_through: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let due = |from| self.next(from).filter(|nominal| self.fire_at(*nominal) <= now);
        let earliest = due(done_through)?;
        // After a long absence look near the end first: a minutely schedule has half a million instants a year.
        let recent = [1, 24, 24 * 32, 24 * 366].into_iter().find_map(|hours| {
            let from = (now - self.offset - TimeDelta::hours(hours)).max(earliest);
            due(Some(from))
        });
        std::iter::successors(recent.or(Some(earliest)), |nominal| due(Some(*nominal))).last()
    }
}

/// A stable place in the window, so that a schedule keeps its distance from one day to the next.
fn window_offset(spec: &Spec) -> TimeDelta {
    let minutes = spec.flexible_time_window.maximum_window_in_minutes.and_then(|minutes| u64::try_from(minutes).ok());
    let seconds = minutes.filter(|minutes| *minutes > 0).map(|minutes| {
        let place = fnv1a(spec.key().document().as_bytes()) % (minutes * 60);
        i64::try_from(place).unwrap_or(0)
    });
    TimeDelta::seconds(seconds.unwrap_or(0))
}
