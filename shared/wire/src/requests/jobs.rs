//! What the methods about jobs take, but for a job itself.

use nightshift_domain::JobId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::JobPatch;

/// Lists jobs, by name.
///
/// Jobs that are switched off are left out unless they are asked for. A page may be short, or empty, and still have a
/// `nextCursor`: ask on until there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "enabled": "all", "limit": 20 }))]
pub struct ListJobs {
    /// Takes in the jobs that are switched off.
    pub include_disabled: Option<bool>,
    /// Which jobs; wins over `includeDisabled`.
    pub enabled: Option<Switched>,
    /// Only the jobs pinned to this agent.
    pub agent_id: Option<String>,
    /// Rows of a page; 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// The `nextCursor` of the page before, with the same other fields.
    pub cursor: Option<String>,
}

/// Which jobs a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Switched {
    /// All of them.
    All,
    /// Those that are switched on.
    Enabled,
    /// Those that are switched off.
    Disabled,
}

/// Shows one job.
///
/// `id` is taken for `jobId`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "jobId": "brief" }))]
pub struct GetJob {
    /// The job.
    pub job_id: JobId,
}

/// Changes a job.
///
/// The patch is laid over the job and the result is judged like a new one; a patch that is refused changes nothing. `id` is
/// taken for `jobId`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "jobId": "brief", "patch": { "schedule": { "expr": "30 6 * * 1-5" } } }))]
pub struct UpdateJob {
    /// The job.
    pub job_id: JobId,
    /// What is to be different.
    pub patch: JobPatch,
}

/// Removes a job and its timer.
///
/// Its runs stay as history. A live run ends without delivery, or is stopped. `id` is taken for `jobId`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "jobId": "old-brief", "cancelRuns": true }))]
pub struct RemoveJob {
    /// The job.
    pub job_id: JobId,
    /// Stops its live runs, and their batches.
    pub cancel_runs: Option<bool>,
}

/// Runs a job now.
///
/// Answers at once, when the run's row is written; `cron.runGet` shows how the run fares. `id` is taken for `jobId`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "jobId": "brief", "mode": "force" }))]
pub struct RunJob {
    /// The job.
    pub job_id: JobId,
    /// On which condition; `force` when left out.
    pub mode: Option<RunMode>,
}

/// On which condition a job is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunMode {
    /// None, even when the job is switched off.
    Force,
    /// Its next run has come and nobody started it.
    Due,
    /// The job is switched on.
    IfEnabled,
}
