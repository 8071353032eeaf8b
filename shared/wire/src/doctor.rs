//! What a check of jobs, timers, runs and batches found, as the API shows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `cron.doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DoctorAnswer {
    /// Whether nothing is left to be repaired of what this answer covers.
    pub ok: bool,
    /// How many jobs were compared with their timers.
    pub checked_jobs: u64,
    /// How many timers there are.
    pub checked_timers: u64,
    /// Jobs that were changed moments ago and are not judged yet.
    pub settling_jobs: u64,
    /// What was found.
    pub findings: Vec<FindingView>,
    /// Whether the check is not complete: ask again with `nextCursor`.
    pub truncated: bool,
    /// Where the check goes on; `null` when it is complete.
    pub next_cursor: Option<String>,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingView {
    /// `timer_missing`, `timer_orphan`, `timer_state`, `timer_differs`, `missed_fire`, `dead_lease`, `hand_over_lost`,
    /// `resume_lost`, `undelivered`, `never_woken`, `cancel_lost`, `batch_stranded`, `poll_chain_broken`, `place_leaked`,
    /// `batch_orphan`, `window_lost`, `unreadable` or `spend_limit` (nothing is sent to a provider, for want of money).
    pub kind: String,
    /// The job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The batch, by the id it had before its create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_id: Option<String>,
    /// The timer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<String>,
    /// What is wrong, and what was done about it, for a person.
    pub message: String,
    /// Whether it is repaired, or handed to whoever repairs it.
    pub repaired: bool,
}
