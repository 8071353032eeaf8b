//! A change of a job.

use nightshift_domain::config::Budget;
use nightshift_domain::job::{Missed, Overlap, Thinking, WakeMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::job::{BatchInput, thinking};
use super::parts::{self, AlertInput, DeliveryInput};

/// What is to be different about a job; what is not named stays.
///
/// `null` clears a field that may be empty. Objects are merged field by field, but for a schedule that names its `kind` and a
/// payload of another kind, which replace the old one. `jobId`, `createdAtMs`, `updatedAtMs`, `declarationKey` and `state`
/// cannot be changed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "enabled": false }))]
pub struct JobPatch {
    /// The agent it is pinned to.
    pub agent_id: Option<String>,
    /// What people call it.
    #[schemars(with = "String", length(max = 200))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether its timer runs it. A job that is switched on again starts with a clean record.
    #[schemars(with = "bool")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether it goes after its first success.
    pub delete_after_run: Option<bool>,
    /// When it runs.
    #[schemars(with = "SchedulePatch")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<SchedulePatch>,
    /// Which session the turn belongs to.
    #[schemars(schema_with = "parts::new_session_target")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_target: Option<String>,
    /// When a queued system event is looked at.
    pub wake_mode: Option<WakeMode>,
    /// What to do.
    #[schemars(with = "PayloadPatch")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<PayloadPatch>,
    /// Where the answer goes; `null` goes back to announcing it on the agent's route.
    pub delivery: Option<DeliveryInput>,
    /// When to raise an alarm.
    pub failure_alert: Option<AlertInput>,
    /// What becomes of occurrences missed while nothing could run.
    pub missed: Option<Missed>,
    /// Drops an occurrence that would start later than this, ms.
    pub max_lateness_ms: Option<u64>,
    /// What becomes of a fire while an earlier run is live.
    pub overlap: Option<Overlap>,
    /// What its runs may cost; beside it the budgets of its agent and of all jobs hold.
    pub budget: Option<Budget>,
}

/// A change of a schedule: with a `kind`, a new one; without, laid over the old one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchedulePatch {
    /// `at`, `every` or `cron`.
    pub kind: Option<String>,
    /// When, of an `at`.
    #[schemars(schema_with = "parts::at_or_null")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The same as epoch milliseconds.
    #[schemars(schema_with = "parts::at_or_null")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
    /// The interval of an `every`, ms.
    #[schemars(schema_with = "parts::every_ms_or_null")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// A point of its grid, epoch ms.
    #[schemars(schema_with = "parts::anchor_ms")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor_ms: Option<u64>,
    /// The expression of a `cron`.
    pub expr: Option<String>,
    /// IANA zone.
    pub tz: Option<String>,
    /// Window the start of a `cron` is spread over, ms; 0 turns it off.
    #[schemars(schema_with = "parts::stagger_ms")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stagger_ms: Option<u64>,
}

/// A change of a payload; of the same kind, it is laid over the old one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PayloadPatch {
    /// `agentTurn` or `systemEvent`.
    pub kind: Option<String>,
    /// What is asked, of an `agentTurn`; not blank.
    #[schemars(with = "String", length(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The text of a `systemEvent`; not blank.
    #[schemars(with = "String", length(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// `provider/model` or an alias.
    pub model: Option<String>,
    /// Models tried in order when the first hop fails for a passing reason.
    #[schemars(inner(length(min = 1)))]
    pub fallbacks: Option<Vec<String>>,
    /// How hard to think.
    #[schemars(schema_with = "thinking")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// Bounds the whole turn in realtime, seconds.
    #[schemars(schema_with = "parts::timeout_seconds")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// Leaves out the agent's instructions and documents.
    pub light_context: Option<bool>,
    /// Names of tools it may use.
    #[schemars(inner(length(min = 1)))]
    pub tools_allow: Option<Vec<String>>,
    /// Whether and how it goes through Message Batches.
    pub batch: Option<BatchInput>,
}
