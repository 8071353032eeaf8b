//! Since when which job was switched on, with which times, as an onlooker saw it: what must have run.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::job::JobRecord;
use nightshift_domain::schedule::{LEAD_MOST, Schedule, Starts};
use nightshift_domain::{JobId, RunKey};

/// How long an occurrence may be without its row where its job has stayed as it was: until it counts as missed (15 minutes),
/// the sweep has come (15 more), and the sweep's own retries have had their time.
pub const ROW_WITHIN: TimeDelta = TimeDelta::minutes(45);
/// The same where somebody changed the job since: what was missed shortly before goes with the times it belonged to.
const ROW_BEFORE_A_CHANGE: TimeDelta = TimeDelta::minutes(120);

/// A time in which a job was seen with the same times, switched on.
#[derive(Debug, Clone)]
struct Span {
    job: JobId,
    generation: u64,
    created_at_ms: i64,
    /// When it starts for its occurrences at the earliest.
    starts: Starts,
    schedule: Schedule,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

/// What was seen of all jobs.
#[derive(Debug, Default)]
pub struct Diary {
    open: BTreeMap<JobId, Span>,
    closed: Vec<Span>,
}

impl Diary {
    /// Enters how the job called `id` stands at `now`.
    pub fn enter(&mut self, id: &JobId, record: Option<&JobRecord>, now: DateTime<Utc>) {
        let record = record.filter(|record| record.job.enabled);
        if let Some(record) = record
            && let Some(span) = self.open.get_mut(id)
            && span.generation == record.generation
            && span.created_at_ms == record.job.created_at_ms
            // One that is removed and added again in the same millisecond.
            && span.schedule == record.job.schedule
        {
            span.to = now;
            return;
        }
        self.closed.extend(self.open.remove(id));
        if let Some(record) = record
            && let Some(starts) = record.job.starts("UTC", LEAD_MOST, None)
        {
            let span = Span {
                job: id.clone(),
                generation: record.generation,
                created_at_ms: record.job.created_at_ms,
                starts,
                schedule: record.job.schedule.clone(),
                from: now,
                to: now,
            };
            self.open.insert(id.clone(), span);
        }
    }

    /// The runs that must be there by now. `swept` is when sweeps got through, in order: what was missed while none did, and
    /// until somebody changed the job, nobody could see.
    pub fn owed(&self, swept: &[DateTime<Utc>]) -> Vec<RunKey> {
        let open = self.open.values().map(|span| (span, span.to - ROW_WITHIN));
        let closed = self.closed.iter().filter_map(|span| {
            let last = swept.partition_point(|at| *at < span.to).checked_sub(1)?;
            Some((span, (span.to - ROW_BEFORE_A_CHANGE).min(swept[last] - ROW_WITHIN)))
        });
        open.chain(closed).flat_map(|(span, until)| span.owed(until)).collect()
    }
}

impl Span {
    fn owed(&self, until: DateTime<Utc>) -> Vec<RunKey> {
        let Self { starts, job, .. } = self;
        let slots = std::iter::successors(starts.next_after(self.from), |slot| starts.table.next_after(*slot));
        // At the latest when the answer is wanted, where that is what the job says.
        let latest = |slot| starts.deadline(slot).map_or_else(|| starts.of(slot), |(by, _)| by);
        slots.take_while(|slot| latest(*slot) <= until).map(|slot| RunKey::of_slot(job, slot)).collect()
    }
}
