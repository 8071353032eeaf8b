//! A job's row: the job, and what only the engine needs to know of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Job, Mark};
use crate::RunKey;
use crate::alert::Incident;
use crate::planner::Habits;

/// A job as the table keeps it: what people see, and what only the engine needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    /// The job.
    pub job: Job,
    /// Tells it from another job that had its id before it was removed. Empty in rows of before this was kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub born: String,
    /// Rises whenever its timing changes; timers of an older one are judged against the current schedule.
    pub generation: u64,
    /// Rises with every write.
    #[serde(default)]
    pub rev: u64,
    /// Runs that are live.
    #[serde(default)]
    pub active: Vec<RunKey>,
    /// The runs that wait for their turn, the first one first: one of `overlap: queue`, or those that are made up for.
    #[serde(default, deserialize_with = "one_or_many")]
    pub waiting: Vec<RunKey>,
    /// Every occurrence up to this one has its record; `None` until the first one after the timing changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<DateTime<Utc>>,
    /// Later occurrences that have their record already, while an earlier one is still without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ahead: Vec<DateTime<Utc>>,
    /// After a failure, no occurrence starts before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_until: Option<DateTime<Utc>>,
    /// Its next run was moved, once, to the occurrence this stands for; those before it are skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<DateTime<Utc>>,
    /// Where in its history some of its runs stand, so that old ones are found without counting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// How many runs it has had.
    #[serde(default)]
    pub sequence: u64,
    /// How many hops its last successful run had; what the next one is expected to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_hops: Option<u32>,
    /// How its turns went lately, and how long its batches took.
    #[serde(default, skip_serializing_if = "Habits::is_empty")]
    pub habits: Box<Habits>,
    /// How long before its answer is wanted the job starts, seconds, where that was worked out from its habits already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_seconds: Option<u32>,
    /// Since when it has its times; `None` in rows of before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timed_at: Option<DateTime<Utc>>,
    /// Fires that were no occurrence.
    #[serde(default)]
    pub stray_fires: u64,
    /// The blob that holds the payload's text when it is too long for the row, which then holds its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_blob: Option<String>,
    /// The timer service refused its expression, so that it runs as a chain of one-shots.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub chained: bool,
    /// Its row was written and its timer may not be set yet; of jobs that nobody repeats a request for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unarmed: bool,
    /// Failures in a row of its scheduled runs; those it is told of by hand are none. `None` in rows of before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_errors: Option<u32>,
    /// What is remembered of its failures for the alerts about them.
    #[serde(default, skip_serializing_if = "Incident::is_empty")]
    pub incident: Box<Incident>,
}

impl JobRecord {
    /// A job that was just added.
    pub fn new(job: Job) -> Self {
        Self {
            job,
            born: String::new(),
            generation: 1,
            rev: 1,
            active: Vec::new(),
            waiting: Vec::new(),
            settled: None,
            ahead: Vec::new(),
            hold_until: None,
            check: None,
            marks: Vec::new(),
            sequence: 0,
            last_hops: None,
            habits: Box::default(),
            lead_seconds: None,
            timed_at: None,
            stray_fires: 0,
            message_blob: None,
            chained: false,
            unarmed: false,
            scheduled_errors: None,
            incident: Box::default(),
        }
    }

    /// Whether this is the same job as `other`, with the same timing: not one that was given its id after it was removed.
    pub fn is_timed_as(&self, other: &Self) -> bool {
        self.generation == other.generation && self.born == other.born
    }

    /// A job that is added at `now`.
    pub fn added(job: Job, now: DateTime<Utc>) -> Self {
        Self { timed_at: Some(now), ..Self::new(job) }
    }

    /// Gives it other times at `now`, for which nothing was armed or recorded yet. What counts as settled is for the caller to
    /// say.
    pub fn retime(&mut self, now: DateTime<Utc>) {
        self.generation += 1;
        self.timed_at = Some(now);
        self.chained = false;
        self.ahead.clear();
        self.learn_lead();
    }

    /// Forgets how it failed: somebody switched it on again.
    pub fn begin_anew(&mut self) {
        let state = &mut self.job.state;
        state.auto_disabled = None;
        state.consecutive_errors = 0;
        state.consecutive_skipped = 0;
        self.scheduled_errors = None;
        *self.incident = Incident::default();
    }
}

/// A release before this one wrote one run or `null`.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RunKey>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Waiting {
        Many(Vec<RunKey>),
        One(Option<RunKey>),
    }
    Ok(match Waiting::deserialize(deserializer)? {
        Waiting::Many(keys) => keys,
        Waiting::One(key) => key.into_iter().collect(),
    })
}
