//! A new job.

use nightshift_domain::config::Budget;
use nightshift_domain::job::{BatchMode, DeliveryStatus, Missed, OnTimeout, Overlap, RunStatus, Thinking, WakeMode};
use nightshift_domain::schedule::WallTime;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::parts::{self, AlertInput, DeliveryInput};

/// Adds a job.
///
/// Only `schedule` and `payload` are needed. Under a `declarationKey` that is known, the job that has it is changed instead.
/// A job as the API shows it, or as `OpenClaw` keeps it, can be sent back as it is. Words are taken in any letter case, and
/// flags also as texts. Of older spellings, these are taken: the job wrapped in `job` or `data`, `id` for `jobId`,
/// `batchMode: true` for `batch: {enabled: true}`, and the fields of payload and delivery beside them; `isolation` is
/// ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    example = serde_json::json!({
        "name": "Morning brief",
        "schedule": { "kind": "cron", "expr": "0 7 * * *", "tz": "Europe/Vienna" },
        "payload": { "kind": "agentTurn", "message": "Summarize overnight updates.", "batch": { "enabled": true } },
        "delivery": { "mode": "announce", "channel": "telegram", "to": "-1001234567890:topic:123" },
    }),
    example = serde_json::json!({
        "schedule": { "kind": "every", "everyMs": 3_600_000 },
        "payload": { "kind": "systemEvent", "text": "Look at the inbox." },
        "sessionTarget": "main",
        "wakeMode": "now",
    }),
)]
pub struct JobInput {
    /// Its id; made up when left out. An id that is taken is refused with 409, unless it has this very definition.
    #[schemars(schema_with = "job_id")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// The agent it is pinned to.
    pub agent_id: Option<String>,
    /// What people call it; the first line of its text when left out.
    #[schemars(length(max = 200))]
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether its timer runs it; `true` when left out.
    pub enabled: Option<bool>,
    /// Whether it goes after its first success; `true` for an `at` when left out.
    pub delete_after_run: Option<bool>,
    /// When it was added elsewhere, epoch ms.
    pub created_at_ms: Option<u64>,
    /// Taken, so that a job can be sent back as it was shown, and without effect.
    pub updated_at_ms: Option<u64>,
    /// Makes adding it idempotent: the same key means the same job.
    #[schemars(length(max = 200))]
    pub declaration_key: Option<String>,
    /// When it runs.
    pub schedule: ScheduleInput,
    /// Which session the turn belongs to: `main`, `isolated` or `session:<name>`; told by the payload when left out.
    #[schemars(schema_with = "parts::session_target")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_target: Option<String>,
    /// When a queued system event is looked at; `next-heartbeat` when left out.
    pub wake_mode: Option<WakeMode>,
    /// What to do.
    pub payload: PayloadInput,
    /// Where the answer goes; announced on the agent's route when left out. A job of the main session has none.
    #[schemars(schema_with = "delivery")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryInput>,
    /// When to raise an alarm; as configured when left out.
    pub failure_alert: Option<AlertInput>,
    /// What becomes of occurrences missed while nothing could run; as configured, else `once`.
    pub missed: Option<Missed>,
    /// Drops an occurrence that would start later than this, ms.
    pub max_lateness_ms: Option<u64>,
    /// What becomes of a fire while an earlier run is live; as configured, else `skip`.
    pub overlap: Option<Overlap>,
    /// What its runs may cost; beside it the budgets of its agent and of all jobs hold.
    pub budget: Option<Budget>,
    /// How it fared elsewhere. Its next run and whether it runs are not taken from there.
    pub state: Option<StateInput>,
}

/// When a job runs: once (`at`), at an interval (`every`), or at the wall times of an expression (`cron`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ScheduleInput {
    /// Once.
    At(AtSchedule),
    /// At a fixed interval.
    Every(EverySchedule),
    /// At the wall times of an expression.
    Cron(CronSchedule),
}

/// Once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AtSchedule {
    /// Told by `at`, so it may be left out.
    #[schemars(schema_with = "parts::kind_at")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// ISO 8601, such as `2027-02-01T16:00:00Z`; without an offset it is UTC, or the wall time of `tz`. Epoch milliseconds are
    /// taken too, and `atMs` for the name. More than a minute past is refused.
    #[schemars(schema_with = "parts::at", example = &"2027-02-01T16:00:00Z")]
    pub at: String,
    /// The IANA zone of a time without an offset.
    pub tz: Option<String>,
}

/// At a fixed interval, on the grid anchor + n·every.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EverySchedule {
    /// Told by `everyMs`, so it may be left out.
    #[schemars(schema_with = "parts::kind_every")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The interval, ms; at least a minute unless the local stack is configured for less.
    #[schemars(schema_with = "parts::every_ms", example = 3_600_000)]
    pub every_ms: u64,
    /// A point of the grid, epoch ms, at most ten years ahead; now when left out.
    #[schemars(schema_with = "parts::anchor_ms")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor_ms: Option<u64>,
    /// Taken, and without meaning here.
    pub tz: Option<String>,
}

/// At the wall times of an expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CronSchedule {
    /// Told by `expr`, so it may be left out.
    #[schemars(schema_with = "parts::kind_cron")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Five fields (minute, hour, day of month, month, day of week), six with leading seconds, seven with a trailing year, or
    /// a nickname such as `@daily`.
    #[schemars(example = &"0 7 * * 1-5")]
    pub expr: String,
    /// IANA zone; the agent's, else the configured one, else UTC, when left out.
    #[schemars(example = &"Europe/Vienna")]
    pub tz: Option<String>,
    /// Window the start is spread over, ms; 0 turns it off. When left out, expressions at the top of the hour get five minutes.
    #[schemars(schema_with = "parts::stagger_ms")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stagger_ms: Option<u64>,
}

/// What a job does: an agent turn, or a text for the main session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PayloadInput {
    /// One agent turn.
    AgentTurn(AgentTurnPayload),
    /// A text for the main session.
    SystemEvent(SystemEventPayload),
}

/// One agent turn, in a session of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentTurnPayload {
    /// Told by `message`, so it may be left out.
    #[schemars(schema_with = "parts::kind_agent_turn")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What is asked; not blank.
    #[schemars(length(min = 1), example = &"Summarize overnight updates.")]
    pub message: String,
    /// `provider/model` or an alias such as `opus`; the agent's when left out.
    pub model: Option<String>,
    /// Models tried in order when the first hop fails for a passing reason.
    #[schemars(inner(length(min = 1)))]
    pub fallbacks: Option<Vec<String>>,
    /// How hard to think; the agent's level when left out. A blank text is left out.
    #[schemars(schema_with = "thinking")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// Bounds the whole turn in realtime, seconds, up to seven days. A text is ignored, as older versions wrote it.
    #[schemars(schema_with = "parts::timeout_seconds")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// Leaves out the agent's instructions and documents.
    pub light_context: Option<bool>,
    /// Names of tools it may use; an empty list means none, no list the agent's.
    #[schemars(inner(length(min = 1)))]
    pub tools_allow: Option<Vec<String>>,
    /// Whether and how it goes through Message Batches.
    pub batch: Option<BatchInput>,
}

/// A text for the agent's main session. Its turn cannot be batched: `batch` is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SystemEventPayload {
    /// Told by `text`, so it may be left out.
    #[schemars(schema_with = "parts::kind_system_event")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The text; not blank.
    #[schemars(length(min = 1), example = &"Look at the inbox.")]
    pub text: String,
    /// The model of the heartbeat turn that takes it up.
    pub model: Option<String>,
    /// The thinking level of that turn. A blank text is left out.
    #[schemars(schema_with = "thinking")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
}

/// Whether and how a turn goes through Message Batches, at half the token price.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchInput {
    /// Whether it does; `true` when left out.
    pub enabled: Option<bool>,
    /// Always, or where it pays.
    pub mode: Option<BatchMode>,
    /// How long the whole turn may wait, all hops together, ms; a day when left out.
    #[schemars(range(min = 60_000, max = 604_800_000))]
    pub max_wait_ms: Option<u64>,
    /// What happens when it waited that long; the run fails when left out.
    pub on_timeout: Option<OnTimeout>,
    /// The time of day by which the answer is wanted, in the schedule's zone: the job starts so early that it can be. For
    /// schedules that come at most once a day; what is missing at the latest safe moment runs in realtime.
    pub deliver_by: Option<WallTime>,
    /// The time of day at which it starts at the earliest then.
    pub earliest: Option<WallTime>,
}

/// How a job fared elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StateInput {
    /// Not taken: it is computed here.
    pub next_run_at_ms: Option<i64>,
    /// Not taken: it is known here.
    pub running_at_ms: Option<i64>,
    /// When the last run started, epoch ms.
    pub last_run_at_ms: Option<i64>,
    /// How it ended.
    pub last_status: Option<RunStatus>,
    /// Why it failed.
    pub last_error: Option<String>,
    /// How long it took, ms.
    pub last_duration_ms: Option<i64>,
    /// What became of its delivery.
    pub last_delivery_status: Option<DeliveryStatus>,
    /// Failures in a row.
    #[schemars(range(max = u32::MAX))]
    pub consecutive_errors: Option<u32>,
    /// Skipped occurrences in a row.
    #[schemars(range(max = u32::MAX))]
    pub consecutive_skipped: Option<u32>,
    /// Why and when it was disabled by itself.
    pub auto_disabled: Option<nightshift_domain::job::AutoDisabled>,
    /// When a failure of it was last to be told to somebody, epoch ms.
    pub last_failure_alert_at_ms: Option<i64>,
    /// Whether that arrived.
    pub last_failure_notification_delivered: Option<bool>,
    /// What became of it.
    pub last_failure_notification_delivery_status: Option<DeliveryStatus>,
    /// Why it did not arrive.
    pub last_failure_notification_delivery_error: Option<String>,
}

fn job_id(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<Option<nightshift_domain::JobId>>()
}

/// `null` is refused here, because it could mean "as configured" and "nowhere".
fn delivery(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<DeliveryInput>()
}

pub(super) fn thinking(_: &mut SchemaGenerator) -> Schema {
    let words = Thinking::WORDS.iter().map(|(word, _)| serde_json::Value::from(*word));
    let all: Vec<serde_json::Value> = words.chain(["".into(), serde_json::Value::Null]).collect();
    schemars::json_schema!({ "enum": all })
}
