//! Which occurrence a fire stands for, and which ones have no record yet.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::job::{JobRecord, LATE_AT_MOST, Overdue, overdue};
use nightshift_domain::schedule::{FIRE_TOLERANCE, Schedule, Starts, plan, slot};

use crate::jobs;

use super::Scene;
use super::fire::Fire;

/// A job's schedule as it is now, ready to be asked.
#[derive(Debug)]
pub(crate) struct Timing {
    /// The schedule, and when the job starts for its occurrences.
    pub starts: Starts,
    /// When it will start for those that come after one that is claimed now, by what was learned since its timer was set.
    later: Starts,
    /// The lead of those.
    lead_seconds: Option<u32>,
    shift: TimeDelta,
    /// The one its next run was moved to, when it was read.
    check: Option<DateTime<Utc>>,
}

impl Timing {
    /// Of `record`'s job; `None` for a schedule that cannot be read, which no job is stored with.
    pub(crate) fn of(record: &JobRecord, scene: Scene<'_>) -> Option<Self> {
        let zone = jobs::default_zone(&record.job, scene.config);
        let starts = record.starts(&zone)?;
        let shift = starts.offset().map_or(TimeDelta::zero(), |offset| plan(&starts.table, offset).shift);
        let mut learned = record.clone();
        learned.learn_lead();
        let later = learned.starts(&zone)?;
        Some(Self { starts, later, lead_seconds: learned.lead_seconds, shift, check: record.check })
    }

    /// The occurrence the fire stands for under the *current* schedule, whatever generation armed it.
    pub(super) fn occurrence(&self, fire: &Fire, record: &JobRecord) -> Option<DateTime<Utc>> {
        if let Some(named) = fire.slot {
            if record.check == Some(named) {
                return Some(named);
            }
            let last_ms = named + TimeDelta::milliseconds(999);
            let real =
                self.starts.table.latest_at_or_before(last_ms).filter(|real| *real >= named - TimeDelta::seconds(1));
            return real.filter(|_| {
                fire.generation == record.generation || !matches!(record.job.schedule, Schedule::At { .. })
            });
        }
        slot(&self.starts.table, fire.scheduled - self.shift, FIRE_TOLERANCE)
    }

    /// The latest occurrence whose start has come by `now`.
    pub(crate) fn due(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let moved_to = self.check.filter(|check| self.starts.of(*check) <= now);
        self.starts.latest_at_or_before(now).max(moved_to)
    }

    /// The first occurrence after `after`, whether it is to run or to be skipped.
    fn next_slot(&self, record: &JobRecord, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let check = record.check.filter(|check| *check > after);
        [self.starts.table.next_after(after), check].into_iter().flatten().min()
    }

    /// The start of the first occurrence after `after` that is to run: not before the job's pause after a failure is over,
    /// and not before the one its next run was moved to.
    pub(crate) fn next_start(&self, record: &JobRecord, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        next_start(&self.starts, record, after)
    }

    /// Up to where every occurrence has its record: as the row says, else just before the next run it shows.
    pub(crate) fn settled(&self, record: &JobRecord) -> Option<DateTime<Utc>> {
        let next = record.job.state.next_run_at_ms.and_then(DateTime::from_timestamp_millis);
        record.settled.or_else(|| next.map(|start| self.starts.floor(start)))
    }

    /// Enters in `updated` that `slot` has its record. The job's next run is its first occurrence without one: where earlier
    /// ones are still missing, that lies in the past, and the sweeper sees it.
    pub(super) fn settle(&self, updated: &mut JobRecord, read: &JobRecord, slot: DateTime<Utc>) {
        let before = self.settled(read);
        let gap = before.filter(|settled| self.next_slot(read, *settled).is_some_and(|next| next < slot));
        if gap.is_some() && !updated.ahead.contains(&slot) {
            updated.ahead.push(slot);
        }
        let settled = gap.unwrap_or_else(|| before.map_or(slot, |settled| settled.max(slot)));
        self.settle_up_to(updated, settled);
    }

    /// Enters in `updated` that every occurrence up to `settled` has its record.
    pub(super) fn settle_up_to(&self, updated: &mut JobRecord, settled: DateTime<Utc>) {
        let mut settled = settled;
        while let Some(next) = self.next_slot(updated, settled).filter(|next| updated.ahead.contains(next)) {
            settled = next;
        }
        updated.ahead.retain(|slot| *slot > settled);
        updated.settled = Some(settled);
        updated.check = updated.check.filter(|check| *check > settled);
        updated.lead_seconds = self.lead_seconds;
        let next = if updated.job.enabled { next_start(&self.later, updated, settled) } else { None };
        updated.job.state.next_run_at_ms = next.map(|at| at.timestamp_millis());
    }

    /// The occurrences that were missed: without a record, and too late to be started as if nothing had been. Those of
    /// before `on_time`, where an occurrence is about to start at its time.
    pub(super) fn missed(
        &self,
        record: &JobRecord,
        on_time: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        most: usize,
    ) -> Overdue {
        let Some(settled) = self.settled(record) else { return Overdue::default() };
        let late = self.starts.missed_until(now, LATE_AT_MOST);
        let until = on_time.map_or(late, |slot| late.min(slot - TimeDelta::milliseconds(1)));
        if until <= settled {
            return Overdue::default();
        }
        let mut found = overdue(&self.starts.table, settled, until, most);
        if let Some(check) = record.check.filter(|check| *check > settled && *check <= until)
            && let Err(at) = found.slots.binary_search(&check)
        {
            found.slots.insert(at, check);
        }
        found.slots.retain(|slot| !record.ahead.contains(slot));
        found
    }
}

fn next_start(starts: &Starts, record: &JobRecord, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let from = record.hold_until.map_or(after, |until| after.max(starts.floor(until)));
    let check = record.check.filter(|check| *check > from && !record.ahead.contains(check));
    check.or_else(|| starts.table.next_after(from)).map(|next| starts.of(next))
}
