//! What the methods about neither jobs nor runs take.

use nightshift_domain::config::Config;
use nightshift_domain::job::WakeMode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ScheduleInput;

/// Shows the whole at a glance: how many jobs there are, what runs, and what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetStatus {}

/// Shows the configuration and its revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetConfig {}

/// Queues a text for the main session of an agent.
///
/// The agent's next heartbeat takes it up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "text": "The build is green again.", "mode": "now" }))]
pub struct SendEvent {
    /// The text, at most 32 KiB of UTF-8 and not blank.
    #[schemars(length(min = 1, max = 32_768))]
    pub text: String,
    /// When it is looked at; `next-heartbeat` when left out.
    pub mode: Option<WakeMode>,
    /// Whose session; the default agent's when left out or not known.
    pub agent_id: Option<String>,
}

/// Replaces the configuration.
///
/// The whole document is sent; what it leaves out falls back to its default. Jobs that follow a zone which changed are moved
/// to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "config": { "cron": { "timezone": "Europe/Vienna" } }, "expectedRevision": 3 }))]
pub struct ApplyConfig {
    /// The document. Secrets stand in it as references, never as values.
    pub config: Config,
    /// The revision it was made from; refused with 409 when there is another one by now.
    pub expected_revision: Option<u64>,
}

/// Says what a document would be refused for, and changes nothing.
///
/// Every bad field is named by its whole path. The answer is the same 200 whether or not there are any.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "config": { "cron": { "timezone": "Europe/Vienna" } } }))]
pub struct ValidateConfig {
    /// The document, or what is to become one.
    pub config: Value,
}

/// Puts a value at a path of the configuration.
///
/// Objects on the way that are missing are made. Jobs that follow a zone which changed are moved to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "path": "cron.maxConcurrentRuns", "value": 8 }))]
pub struct SetConfig {
    /// Where, as names with dots between them: `cron.timezone`, `models.prices[0].input`; a name that holds a dot stands in
    /// quotes.
    #[schemars(length(min = 1))]
    pub path: String,
    /// Any JSON that fits there. Secrets are references, never values.
    #[schemars(required)]
    pub value: Value,
    /// The revision it was made from; refused with 409 when there is another one by now.
    pub expected_revision: Option<u64>,
}

/// Takes away what stands at a path of the configuration.
///
/// A known field that is not set stays so, and no change is told. An unknown one is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "path": "cron.timezone" }))]
pub struct UnsetConfig {
    /// Where; written as for `config.set`.
    #[schemars(length(min = 1))]
    pub path: String,
    /// The revision it was made from; refused with 409 when there is another one by now.
    pub expected_revision: Option<u64>,
}

/// What costs are summed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CostBy {
    /// Jobs.
    #[default]
    Job,
    /// Agents.
    Agent,
    /// Models.
    Model,
    /// Paths: realtime, batch.
    Path,
    /// Days, UTC.
    Day,
    /// Months, UTC.
    Month,
}

/// Sums what runs cost and what batches saved.
///
/// Without a range it is this month so far, in UTC; a run counts on the day its row was written. `id` is taken for `jobId`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "by": "day" }))]
pub struct SumCosts {
    /// Only this job's runs.
    #[schemars(length(min = 1, max = 36), regex(pattern = r"^[0-9A-Za-z-]{1,36}$"))]
    pub job_id: Option<String>,
    /// Only this agent's runs.
    pub agent_id: Option<String>,
    /// Runs from here on, epoch ms.
    #[schemars(range(min = 0, max = 253_402_300_799_999_i64))]
    pub from_ms: Option<i64>,
    /// Runs before this, epoch ms.
    #[schemars(range(min = 0, max = 253_402_300_799_999_i64))]
    pub to_ms: Option<i64>,
    /// A row for each of these; `job` when left out.
    pub by: Option<CostBy>,
}

/// Shows when a job, or a schedule nobody stored, runs next, and how `EventBridge` would hold it.
///
/// Give `jobId` (or `id`) or `schedule`. Nothing is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "schedule": { "kind": "cron", "expr": "0 7 * * *", "tz": "Europe/Vienna" }, "count": 3 }))]
pub struct PlanRuns {
    /// The job.
    #[schemars(length(min = 1, max = 36), regex(pattern = r"^[0-9A-Za-z-]{1,36}$"))]
    pub job_id: Option<String>,
    /// The schedule, as `cron.add` takes it.
    pub schedule: Option<ScheduleInput>,
    /// Whose zone the schedule follows where it names none.
    pub agent_id: Option<String>,
    /// Starts after this, epoch ms; now when left out.
    #[schemars(range(min = 0, max = 253_402_300_799_999_i64))]
    pub from_ms: Option<i64>,
    /// How many starts; 10 when left out.
    #[schemars(range(min = 1, max = 100))]
    pub count: Option<u32>,
}

/// Compares jobs with their timers both ways, and finds runs and batches that stand still.
///
/// Without `repair` nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "deep": true }))]
pub struct CheckUp {
    /// Mends what can be mended.
    pub repair: Option<bool>,
    /// Also compares what every timer says, with a read for each.
    pub deep: Option<bool>,
    /// Where the answer before was cut off.
    pub cursor: Option<String>,
}

/// Takes jobs, how they fared, and their finished runs from `OpenClaw` or from an export.
///
/// Every entry is judged by itself, and every field that cannot be carried is named. The same import again changes nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "jobs": [{ "id": "digest", "schedule": { "kind": "every", "everyMs": 3_600_000 },
    "payload": { "kind": "agentTurn", "message": "Digest." } }], "dryRun": true }))]
pub struct ImportJobs {
    /// Jobs as `OpenClaw` or an export wrote them.
    #[schemars(length(max = 100))]
    pub jobs: Option<Vec<Value>>,
    /// Finished runs as `OpenClaw` or an export wrote them.
    #[schemars(length(max = 500))]
    pub runs: Option<Vec<Value>>,
    /// Says what would become of everything, and writes nothing.
    pub dry_run: Option<bool>,
    /// A job that is here and differs is changed; a conflict otherwise.
    pub update: Option<bool>,
}
