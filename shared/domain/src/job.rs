//! A job: when to run and what to ask, in the words and the JSON of the product (its API shows these types as they are).

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::JobId;
use crate::config::Budget;
use crate::schedule::{Schedule, WallTime};

mod bounds;
pub mod import;
mod input;
mod lifecycle;
mod occurrences;
mod patch;
mod punctual;
mod record;

pub use bounds::Bounds;
pub use input::{Defaults, parse_new, parse_schedule, zone_of};
pub use lifecycle::{DISABLE_AFTER, JobStep, on_run_moved};
pub use occurrences::{LATE_AT_MOST, MAKE_UP_MOST, Mark, Overdue, Verdict, overdue, prune_before, verdicts};
pub use patch::{Patched, apply as apply_patch, redeclare};
pub use punctual::DueBy;
pub use record::JobRecord;

/// Longest a batch turn may wait: seven days.
pub const MAX_WAIT_LIMIT_MS: u64 = 7 * 24 * 3_600_000;
/// Shortest a batch turn may wait: a minute.
pub const MAX_WAIT_LEAST_MS: u64 = 60_000;

/// A stored job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its id.
    pub job_id: JobId,
    /// The agent it is pinned to; the default agent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// What people call it.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether its timer runs it.
    pub enabled: bool,
    /// Whether it goes after its first success.
    pub delete_after_run: bool,
    /// When it was added, epoch ms.
    pub created_at_ms: i64,
    /// When its definition last changed, epoch ms.
    pub updated_at_ms: i64,
    /// Makes `cron.add` idempotent: the same key means the same job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declaration_key: Option<String>,
    /// When it runs.
    pub schedule: Schedule,
    /// Which session the turn belongs to.
    pub session_target: SessionTarget,
    /// When a queued system event is looked at.
    pub wake_mode: WakeMode,
    /// What to do.
    pub payload: Payload,
    /// Where the answer goes; jobs of the main session have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// When to raise an alarm; the configured rule where there is none, `false` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_alert: Option<FailureAlert>,
    /// What becomes of occurrences missed while nothing could run.
    pub missed: Missed,
    /// Drops an occurrence that would start later than this, ms; `null` drops none.
    #[serde(default)]
    pub max_lateness_ms: Option<u64>,
    /// What becomes of a fire while an earlier run is live.
    pub overlap: Overlap,
    /// What its runs may cost, beside the budgets of its agent and of all jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Box<Budget>>,
    /// How it fares.
    #[serde(default)]
    pub state: JobState,
}

impl Job {
    /// The built-in job whose runs are those that inbound hooks ask of `agent`. It has no time of its own.
    pub fn of_hooks(id: JobId, agent: &str, now: DateTime<Utc>) -> Self {
        let (now_ms, hour_ms) = (now.timestamp_millis(), 3_600_000);
        Self {
            job_id: id,
            agent_id: Some(agent.to_owned()),
            name: format!("Hooks of {agent}"),
            description: None,
            enabled: false,
            delete_after_run: false,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            declaration_key: None,
            schedule: Schedule::Every { every_ms: hour_ms, anchor_ms: now_ms },
            session_target: SessionTarget::Isolated,
            wake_mode: WakeMode::default(),
            payload: Payload::AgentTurn(AgentTurn::default()),
            // Each run has its own; of failures somebody is told who is configured for that.
            delivery: Some(Delivery { mode: DeliveryMode::None, ..Delivery::default() }),
            failure_alert: None,
            missed: Missed::Skip,
            max_lateness_ms: None,
            overlap: Overlap::Allow,
            budget: None,
            state: JobState::default(),
        }
    }
}

/// Which session a job's turn belongs to: `main`, `isolated` or `session:<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SessionTarget {
    /// The agent's main session, by way of a queued system event.
    Main,
    /// A fresh session per run.
    Isolated,
    /// A session of that name whose history stays.
    Named(String),
}

impl SessionTarget {
    /// Reads one of the three forms, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        match lower.as_str() {
            "main" => Some(Self::Main),
            "isolated" | "current" => Some(Self::Isolated),
            _ => {
                lower.strip_prefix("session:")?;
                let name = text["session:".len()..].trim();
                let fits = !name.is_empty()
                    && name.len() <= 64
                    && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
                fits.then(|| Self::Named(name.to_owned()))
            }
        }
    }
}

impl JsonSchema for SessionTarget {
    fn schema_name() -> Cow<'static, str> {
        "SessionTarget".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(main|isolated|session:.{1,64})$",
            "description": "Which session a job's turn belongs to: `main` (the agent's main session, by way of a queued \
                system event), `isolated` (a fresh one per run) or `session:<name>` (one whose history stays).",
        })
    }
}

impl TryFrom<String> for SessionTarget {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("\"{text}\" is no session target"))
    }
}

impl From<SessionTarget> for String {
    fn from(target: SessionTarget) -> Self {
        match target {
            SessionTarget::Main => "main".to_owned(),
            SessionTarget::Isolated => "isolated".to_owned(),
            SessionTarget::Named(name) => format!("session:{name}"),
        }
    }
}

/// When a queued system event is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WakeMode {
    /// A heartbeat starts at once.
    Now,
    /// It waits for the next scheduled heartbeat.
    #[default]
    NextHeartbeat,
}

/// What a run does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Payload {
    /// Queues a text for the agent's main session.
    SystemEvent {
        /// The text.
        text: String,
        /// The model of the heartbeat turn that consumes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// The thinking level of that turn.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thinking: Option<Thinking>,
    },
    /// Runs one agent turn.
    AgentTurn(AgentTurn),
}

impl Payload {
    /// What is said to the agent.
    pub fn text(&self) -> &str {
        match self {
            Self::SystemEvent { text, .. } => text,
            Self::AgentTurn(turn) => &turn.message,
        }
    }

    /// The same, to be replaced.
    pub fn text_mut(&mut self) -> &mut String {
        match self {
            Self::SystemEvent { text, .. } => text,
            Self::AgentTurn(turn) => &mut turn.message,
        }
    }
}

/// One agent turn.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentTurn {
    /// What is asked.
    pub message: String,
    /// `provider/model` or an alias; the agent's otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tried in order when the first hop fails for a passing reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<Vec<String>>,
    /// How hard to think; the agent's otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// Bounds the whole turn in realtime, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// Leaves out the agent's instructions and documents.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub light_context: bool,
    /// Names of tools it may use; an empty list means none, no list the agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools_allow: Option<Vec<String>>,
    /// Whether and how it goes through Message Batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchPolicy>,
}

/// How hard to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Thinking {
    /// Not at all, or as little as the model can.
    Off,
    /// Hardly.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// More.
    Xhigh,
    /// As much as there is.
    Max,
    /// The model decides.
    Adaptive,
}

impl Thinking {
    /// Every level by its word.
    pub const WORDS: [(&'static str, Self); 8] = [
        ("off", Self::Off),
        ("minimal", Self::Minimal),
        ("low", Self::Low),
        ("medium", Self::Medium),
        ("high", Self::High),
        ("xhigh", Self::Xhigh),
        ("max", Self::Max),
        ("adaptive", Self::Adaptive),
    ];

    /// The level called `word`.
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase();
        Self::WORDS.iter().find(|(name, _)| *name == word).map(|(_, level)| *level)
    }
}

/// Whether and how a turn goes through Message Batches.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchPolicy {
    /// Whether it does.
    pub enabled: bool,
    /// Always, or where it pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<BatchMode>,
    /// How long the whole turn may wait, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_wait_ms: Option<u64>,
    /// What happens when it waited that long; with `deliverBy` its missing answers are asked for in realtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<OnTimeout>,
    /// The time of day by which the answer is wanted, in the schedule's zone: the job starts so early that it can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliver_by: Option<WallTime>,
    /// The time of day at which it starts at the earliest then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest: Option<WallTime>,
}

/// Always, or where it pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BatchMode {
    /// Every hop goes through a batch.
    Always,
    /// The planner decides per run.
    Auto,
}

/// What happens when a batch turn waited its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnTimeout {
    /// The run fails.
    #[default]
    Fail,
    /// The missing hop and all later ones run in realtime.
    Realtime,
}

/// Where an answer goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// How.
    pub mode: DeliveryMode,
    /// The channel's name, or `last`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The target, in the channel's grammar, or the webhook's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// A thread or topic, which wins over one inside `to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// The channel's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// An unresolvable target does not fail the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub best_effort: bool,
    /// Where failure notices go instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_destination: Option<Destination>,
}

/// How an answer goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryMode {
    /// As a message to a chat.
    #[default]
    Announce,
    /// As a signed POST of the finished run.
    Webhook,
    /// Not at all.
    None,
}

/// A place for notices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// How.
    #[serde(default)]
    pub mode: DeliveryMode,
    /// The channel's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The channel's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
}

/// When to raise an alarm about a job: `false`, or the rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FailureAlert {
    /// `false`: never. (`true` means the configured rule.)
    Switch(bool),
    /// This rule.
    Rule(AlertRule),
}

/// After how many failures, how often, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertRule {
    /// Consecutive failures before the first alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
    /// Least time between two alerts, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown_ms: Option<u64>,
    /// Whether skipped occurrences count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_skipped: Option<bool>,
    /// How.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<DeliveryMode>,
    /// The channel's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The channel's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
}

/// What becomes of missed occurrences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// Recorded only.
    Skip,
    /// The latest one runs.
    #[default]
    Once,
    /// All run, at most 24.
    All,
}

/// What becomes of a fire while an earlier run is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It is recorded as skipped.
    #[default]
    Skip,
    /// It runs beside it.
    Allow,
    /// One waits.
    Queue,
}

/// How a job fares.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JobState {
    /// Its next occurrence, epoch ms; `null` while it is disabled and when it is spent.
    pub next_run_at_ms: Option<i64>,
    /// Since when a run is live, epoch ms.
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
    pub consecutive_errors: u32,
    /// Skipped occurrences in a row.
    pub consecutive_skipped: u32,
    /// Set when Nightshift disabled it.
    pub auto_disabled: Option<AutoDisabled>,
    /// When a failure of it was last to be told to somebody, epoch ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure_alert_at_ms: Option<i64>,
    /// Whether that arrived; not there while it is on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure_notification_delivered: Option<bool>,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure_notification_delivery_status: Option<DeliveryStatus>,
    /// Why it did not arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure_notification_delivery_error: Option<String>,
}

/// Why and when Nightshift disabled a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoDisabled {
    /// The reason, for a person.
    pub reason: String,
    /// When, epoch ms.
    pub at_ms: i64,
    /// How many failures in a row it had.
    pub consecutive_errors: u32,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// The turn ended well.
    Ok,
    /// It failed.
    Error,
    /// It did not run.
    Skipped,
}

/// What became of a run's delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryStatus {
    /// Every chunk arrived.
    Delivered,
    /// A chunk was refused for good.
    Failed,
    /// A chunk's outcome is not known.
    Unknown,
    /// There was nothing worth sending.
    Suppressed,
    /// Nobody asked for it.
    NotRequested,
}
