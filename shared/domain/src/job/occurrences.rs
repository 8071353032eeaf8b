//! What becomes of occurrences that nothing ran at their time, and of the history that grows too long.
//!
//! Guarantee: pure. Every occurrence of an enabled job gets one verdict; which one depends on the job's rules, on what is
//! live, and on the time, never on how the news arrived.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Job, JobRecord, Missed, Overlap};
use crate::schedule::{Starts, Timetable};

/// How late a start may be and still be the occurrence's own: its timer's retries have had their time by then, and the
/// sweeper, which comes every quarter of an hour, has not yet looked. What is later counts as missed.
pub const LATE_AT_MOST: TimeDelta = TimeDelta::minutes(15);
/// Most missed occurrences that `missed: all` makes up for.
pub const MAKE_UP_MOST: usize = 24;
/// How far past the rows that are written missed occurrences are still counted.
const COUNT_MOST: u64 = 100_000;
/// Into how many parts a job's history is marked off; one of them at most is kept beyond what is asked for.
const PARTS: u64 = 20;

/// Occurrences without a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overdue {
    /// The latest of them, oldest first.
    pub slots: Vec<DateTime<Utc>>,
    /// How many older ones there are, as far as they were counted. They would be pruned as soon as they were written.
    pub unlisted: u64,
}

/// The occurrences after `settled` up to and including `until`: the latest `most`, and how many there are before them.
pub fn overdue(table: &Timetable, settled: DateTime<Utc>, until: DateTime<Utc>, most: usize) -> Overdue {
    let before = |slot: &DateTime<Utc>| table.latest_at_or_before(*slot - TimeDelta::milliseconds(1));
    let mut backwards =
        std::iter::successors(table.latest_at_or_before(until), before).take_while(|slot| *slot > settled);
    let mut slots: Vec<DateTime<Utc>> = backwards.by_ref().take(most).collect();
    slots.reverse();
    let unlisted = backwards.take(usize::try_from(COUNT_MOST).unwrap_or(usize::MAX)).count() as u64;
    Overdue { slots, unlisted }
}

/// What becomes of an occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It runs now.
    Run,
    /// It runs when what is live has ended.
    Wait,
    /// It is recorded as skipped, for this reason.
    Skip(&'static str),
}

/// The verdict for each of `slots`, in their order, by when the job `starts` for them; `beside` says that an occurrence which
/// is on time runs anyway; `busy` that a run of the job is live or waits.
///
/// `once` makes up for the latest, unless one that is on time runs anyway; `all` for the latest [`MAKE_UP_MOST`], one after
/// the other where runs of the job may not overlap. `maxLatenessMs` holds for those that would run.
pub fn verdicts(
    job: &Job,
    slots: &[DateTime<Utc>],
    starts: &Starts,
    beside: bool,
    busy: bool,
    now: DateTime<Utc>,
) -> Vec<Verdict> {
    let wanted = match job.missed {
        Missed::Skip => 0,
        Missed::Once => usize::from(!beside),
        Missed::All => MAKE_UP_MOST,
    };
    let first = slots.len().saturating_sub(wanted);
    let mut live = busy;
    let verdict = |(at, slot): (usize, &DateTime<Utc>)| {
        if at < first {
            return Verdict::Skip("missed");
        }
        if job.is_too_late(now - starts.of(*slot)) {
            return Verdict::Skip("too_late");
        }
        match (job.overlap, job.missed) {
            (Overlap::Allow, _) => Verdict::Run,
            (Overlap::Skip, Missed::Once) if live => Verdict::Skip("overlap"),
            (Overlap::Skip | Overlap::Queue, _) if live => Verdict::Wait,
            (Overlap::Skip | Overlap::Queue, _) => {
                live = true;
                Verdict::Run
            }
        }
    };
    slots.iter().enumerate().map(verdict).collect()
}

impl JobRecord {
    /// Whether a run of it may begin now: none is live or waits, or they may overlap.
    pub fn has_room(&self) -> bool {
        self.job.overlap == Overlap::Allow || (self.active.is_empty() && self.waiting.is_empty())
    }

    /// The verdict for an occurrence whose time has come. `skip` says why it is not to run at all; `behind` that earlier ones
    /// were made up for just now, after which it waits in line.
    pub fn verdict(&self, skip: Option<&'static str>, behind: bool) -> Verdict {
        match (skip, self.job.overlap) {
            (Some(reason), _) => Verdict::Skip(reason),
            (None, _) if self.has_room() => Verdict::Run,
            (None, _) if behind => Verdict::Wait,
            (None, Overlap::Queue) if self.waiting.is_empty() => Verdict::Wait,
            (None, Overlap::Queue) => Verdict::Skip("overlap_queue_full"),
            (None, Overlap::Skip | Overlap::Allow) => Verdict::Skip("overlap"),
        }
    }
}

impl Job {
    /// Whether a start that is `late` is later than the job wants it at all.
    pub fn is_too_late(&self, late: TimeDelta) -> bool {
        let most = self.max_lateness_ms.and_then(|ms| i64::try_from(ms).ok()).and_then(TimeDelta::try_milliseconds);
        most.is_some_and(|most| late > most)
    }
}

/// A run's place in its job's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// Which run it was, counted from the job's first.
    pub sequence: u64,
    /// The instant it sorts by.
    pub slot: DateTime<Utc>,
}

/// Marks the run that `record` just counted, of `slot`, where one is due; where that shows that the history is longer than
/// `keep` runs, answers the instant before which its rows may go.
pub fn prune_before(record: &mut JobRecord, slot: DateTime<Utc>, keep: u32) -> Option<DateTime<Utc>> {
    let keep = u64::from(keep.max(1));
    let step = (keep / PARTS).max(1);
    if !record.sequence.is_multiple_of(step) {
        return None;
    }
    record.marks.push(Mark { sequence: record.sequence, slot });
    let old = record.sequence.saturating_sub(keep.saturating_sub(step));
    let at = record.marks.iter().rposition(|mark| mark.sequence <= old)?;
    let slot = record.marks[at].slot;
    record.marks.drain(..=at);
    // Runs asked for by hand may sort anywhere among the occurrences; a mark out of order prunes less, never more.
    Some(record.marks.iter().map(|mark| mark.slot).fold(slot, DateTime::min))
}

#[cfg(test)]
mod tests;
