//! What the methods about runs take.

use nightshift_domain::job::DeliveryStatus;
use nightshift_domain::{JobId, RunKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lists runs, newest first.
///
/// Without a job, the runs of all jobs. A job that is gone, or never was, has the history that is left of it. `id` is taken
/// for `jobId`. A page may be short, or empty, and still have a `nextCursor`: ask on until there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "jobId": "brief", "statuses": ["ok", "error"], "limit": 20 }))]
pub struct ListRuns {
    /// Only the runs of this job.
    pub job_id: Option<JobId>,
    /// Only this run; everything else is not looked at then.
    pub run_id: Option<RunKey>,
    /// Only runs that stand like this.
    pub status: Option<StatusWord>,
    /// The same, several at once.
    pub statuses: Option<Vec<StatusWord>>,
    /// Only runs whose hops took this path.
    pub path: Option<PathWord>,
    /// The same, several at once.
    pub paths: Option<Vec<PathWord>>,
    /// Only runs whose delivery ended like this.
    pub delivery_status: Option<DeliveryStatus>,
    /// The same, several at once.
    pub delivery_statuses: Option<Vec<DeliveryStatus>>,
    /// Rows of a page; 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// The `nextCursor` of the page before, with the same other fields.
    pub cursor: Option<String>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StatusWord {
    /// The turn ended well.
    Ok,
    /// It failed.
    Error,
    /// It did not run.
    Skipped,
    /// It is not over.
    Running,
}

/// How a run's hops reached the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PathWord {
    /// All in realtime.
    Realtime,
    /// All through batches.
    Batch,
    /// Some by the one and some by the other.
    Mixed,
}

/// Shows one run with everything: its hops, costs, event log and whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "runId": "brief_20261120T070000Z" }))]
pub struct GetRun {
    /// The run.
    pub run_id: RunKey,
}

/// Stops a run, and its batch.
///
/// A batch takes a while to stop, and an answer that made it is still used. A run that is over stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "runId": "brief_20261120T070000Z" }))]
pub struct CancelRun {
    /// The run.
    pub run_id: RunKey,
}
