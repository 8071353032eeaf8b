//! A run is a row: one occurrence of a job, or one turn somebody asked for, from claim to close.
//!
//! [`next`] is the whole state machine: given a run, what happened and the time, it says what the run becomes and what is
//! to be done about it. Every answer is written with one conditional write before its effects are performed, so a crash
//! leaves either the old row, whose effects are due again, or the new one, whose effects are.

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::alert::Alerts;
use crate::budget::Reserve;
use crate::config::Budget;
use crate::delivery::Target;
use crate::heartbeat::Beat;
use crate::job::{AgentTurn, Delivery, DeliveryStatus, DueBy, OnTimeout, RunStatus, WakeMode};
use crate::model::{Role, ThinkingMode};
use crate::money::{Cost, InRealtime};
use crate::planner::Way;
use crate::session::InSession;
use crate::{AttemptId, JobId, RunKey};

mod booking;
mod call;
mod endpoint;
mod event;
mod lease;
mod lineup;
mod next;
mod plan;
mod state;

pub use booking::{Books, Call, best_realtime, paid};
pub use call::{CallState, ToolCall, Via};
pub use endpoint::{Endpoint, EndpointCall, call_id};
pub use event::{Effect, Event, Rejected, RowResult, Transition};
pub use lease::{Held, LEASE, Lease, RENEW_EVERY, attention_at, release, take};
pub use lineup::{Candidate, Lineup, lineup, own_model};
pub use next::{next, retry_delay};
pub use plan::{
    BATCH_MAX_TOKENS, BATCH_TIMEOUT, Credential, DELIVER_BY, Fallback, PathChoice, REALTIME_MAX_TOKENS, choose_path,
    credential_kind, fell_back,
};
pub use state::{CancelReason, State, WaitReason};

/// A text that is in the row, or in the blob store when it is long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Text {
    /// Here.
    Inline(String),
    /// There.
    Blob {
        /// Its key.
        key: String,
        /// Its length.
        bytes: u64,
    },
}

impl Text {
    /// Its length.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Inline(text) => text.len(),
            Self::Blob { bytes, .. } => usize::try_from(*bytes).unwrap_or(usize::MAX),
        }
    }
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its key.
    pub key: RunKey,
    /// The job (a pseudo-job for hooks and heartbeats).
    pub job_id: JobId,
    /// The job's name when it was claimed.
    pub job_name: String,
    /// The agent that answers.
    pub agent_id: String,
    /// What started it.
    pub origin: Origin,
    /// What it does.
    pub task: Task,
    /// The occurrence it stands for, or when it was asked for.
    pub slot: DateTime<Utc>,
    /// The job's how-manieth run.
    pub sequence: u64,
    /// When its row was written.
    pub created_at: DateTime<Utc>,
    /// Which invocation claimed its occurrence. Of two that record the same one at the same instant the table tells whose row
    /// is there, so that one of them was first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_by: Option<String>,
    /// When it began to work.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// How it stands.
    pub state: State,
    /// Since when it stands so.
    pub state_since: DateTime<Utc>,
    /// Who works on it.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// Rises with every write; the condition of the next one.
    pub rev: u64,
    /// When its answer is wanted, where its job says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_by: Option<Box<DueBy>>,
    /// What is asked, as the job said when it was claimed; the message itself is in `prompt`.
    pub turn: AgentTurn,
    /// The frozen first message.
    pub prompt: Text,
    /// Where the answer goes.
    pub delivery: Option<Delivery>,
    /// How the turn is run; set once, before anything is paid.
    #[serde(default)]
    pub plan: Option<Plan>,
    /// The named session it goes on with; a fresh one otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<InSession>,
    /// Whether the summary of its answer wakes the main session, as its job says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wakes: bool,
    /// Its part as a heartbeat of its agent, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beat: Option<Beat>,
    /// What was said after the first message, and the tools that were called.
    #[serde(default)]
    pub talk: Talk,
    /// Every model call that answered.
    #[serde(default)]
    pub hops: Vec<Hop>,
    /// Retries its planning has had.
    #[serde(default)]
    pub planning_tries: u32,
    /// When somebody looked at it last while it waited for another run, and found it had to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_waiting: Option<DateTime<Utc>>,
    /// The place it holds among the realtime turns in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u32>,
    /// How many resume timers were armed; names the next one.
    #[serde(default)]
    pub timers: u32,
    /// The answer.
    #[serde(default)]
    pub answer: Option<Text>,
    /// What became of the delivery.
    #[serde(default)]
    pub delivery_status: Option<DeliveryStatus>,
    /// Why nothing was sent, or why it failed.
    #[serde(default)]
    pub delivery_note: Option<String>,
    /// Whether somebody wants it stopped.
    #[serde(default)]
    pub cancel_requested: bool,
    /// What was paid.
    #[serde(default)]
    pub cost: Cost,
    /// What it may cost, as its job said when it was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Box<Budget>>,
    /// What is set aside for it in the purses of its budgets.
    #[serde(default, skip_serializing_if = "Reserve::is_empty")]
    pub reserve: Box<Reserve>,
    /// What was paid, or may have been, for nothing.
    #[serde(default, skip_serializing_if = "Books::is_empty")]
    pub books: Books,
    /// What is to be told, or was told, about its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Alerts>,
    /// What happened, for people.
    #[serde(default)]
    pub events: Vec<LogLine>,
}

/// Most tool calls of a turn. Their ledger is kept in the run's row, about half a kilobyte each, which has to fit an item with
/// everything else (DynamoDB: 400 KB).
pub const MOST_CALLS: usize = 200;

/// The conversation of a run. It only ever grows: what a model was sent once is sent again byte for byte, because thinking
/// blocks and the prompt cache hold for an unchanged prefix only (Messages API, "preserved thinking").
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Talk {
    /// What was said before the prompt: the history of the session the run goes on with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub opening: Vec<Said>,
    /// What was said after it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<Said>,
    /// The tools that were called, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ToolCall>,
    /// The provider's sandbox that was used last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Which of its models answers: 0 its own, n the nth fallback.
    #[serde(skip_serializing_if = "is_zero")]
    pub fallback: u32,
    /// How many rows of the hop that is under way ended without an answer. A batch that never came to be has none.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed_rows: u32,
    /// How many hops the job's last successful run had, which is what is expected of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_hops: Option<u32>,
    /// How many of our tools the provider called within each hop of the job's last turn in which it could.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_calls: Option<Box<[u32]>>,
}

impl Talk {
    /// The calls that hop number `hop` stopped for.
    pub fn asked_of(&self, hop: u32) -> impl Iterator<Item = &ToolCall> {
        self.calls.iter().filter(move |call| call.hop == hop && call.via == Via::Hop)
    }

    /// How many of our tools the provider called within hop number `hop`.
    pub fn called_within(&self, hop: u32) -> u32 {
        let calls = self.calls.iter().filter(|call| call.hop == hop && call.via == Via::Endpoint);
        u32::try_from(calls.count()).unwrap_or(u32::MAX)
    }

    /// How many it is expected to call within hop number `hop`; `None` where no turn of the job tells.
    pub fn expected_within(&self, hop: u32) -> Option<u32> {
        let calls = self.expected_calls.as_ref()?;
        let at = usize::try_from(hop).ok()?.checked_sub(1)?;
        Some(calls.get(at).copied().unwrap_or(0))
    }

    /// Whether a tool has sent a whole message to `target`.
    pub fn has_sent_to(&self, target: &Target) -> bool {
        self.calls.iter().any(|call| call.sent_to() == Some(target))
    }

    /// Whether that hop stopped for any.
    pub fn asks_for_tools(&self, hop: u32) -> bool {
        self.asked_of(hop).next().is_some()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none_at_all(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// Who speaks.
    pub role: Role,
    /// The raw JSON of its content (a string or an array of blocks).
    pub content: Text,
}

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Its schedule.
    Schedule,
    /// A person or program.
    Manual,
    /// It ran elsewhere, before the job came here; nothing of it was paid here.
    Import,
}

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "camelCase")]
pub enum Task {
    /// One agent turn.
    Turn,
    /// Queues its prompt for the agent's main session.
    QueueEvent {
        /// When that session looks at it.
        wake: WakeMode,
    },
}

/// How a turn is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The path its hops take now.
    pub path: Path,
    /// The way that was chosen for it, where it was to be the cheapest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    /// Why, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it is not the batch it was asked to be.
    #[serde(default)]
    pub fallback_reason: Option<String>,
    /// The provider's name in the configuration.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// Most tokens a hop may answer with.
    pub max_tokens: u64,
    /// The effort.
    #[serde(default)]
    pub effort: Option<String>,
    /// How it thinks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<ThinkingMode>,
    /// Which of the run's models that is: 0 its own, n the nth of the fallbacks that can be used.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fallback: u32,
    /// How many more fallbacks there are to try after it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fallbacks_left: u32,
    /// The system prompt, frozen.
    #[serde(default)]
    pub system: Option<Text>,
    /// The tools as the model is told of them, frozen: the raw JSON of an array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Text>,
    /// Names of the tools that Nightshift runs for it, however the model reaches them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client_tools: Vec<String>,
    /// Names of the configured MCP servers it may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mcp_servers: Vec<String>,
    /// What the provider's own loop may call here within a hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// The resolved target; `None` when nothing is sent.
    #[serde(default)]
    pub target: Option<Target>,
    /// When the turn must have ended.
    pub deadline: DateTime<Utc>,
    /// What happens to a batch turn then.
    pub on_timeout: OnTimeout,
    /// What a realtime turn may take, for a batch turn that ends in realtime.
    pub realtime_seconds: u64,
    /// Most hops.
    pub max_hops: u32,
    /// Most searches that a hop may make.
    #[serde(default, skip_serializing_if = "is_none_at_all")]
    pub searches: u64,
    /// Remarks for the person who reads the run.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// How a hop reaches the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// `POST /v1/messages`.
    Realtime,
    /// `POST /v1/messages/batches`.
    Batch,
}

impl Path {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Realtime => "realtime",
            Self::Batch => "batch",
        }
    }
}

/// A model call that answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hop {
    /// Its number, from 1.
    pub n: u32,
    /// The path it took.
    pub path: Path,
    /// The model that answered.
    pub model: String,
    /// The provider's message id.
    pub message_id: String,
    /// The HTTP request's id, in realtime.
    #[serde(default)]
    pub request_id: Option<String>,
    /// The batch, by our id.
    #[serde(default)]
    pub batch: Option<AttemptId>,
    /// Why the model stopped.
    pub stop_reason: String,
    /// The raw usage.
    pub usage: Value,
    /// What it cost.
    pub cost: Cost,
    /// What it would have cost in realtime, where its price is known; `None` in rows of before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_realtime: Option<InRealtime>,
    /// When it answered.
    pub at: DateTime<Utc>,
    /// Whether it summarised the session the run goes on with, and did not answer its prompt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compaction: bool,
    /// Whether it came too late to be used: it was paid, and the run went on, or had ended, without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unused: bool,
    /// Which try at the hop it answers, from 1; 0 in rows of before this was kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
    /// How long it was in its batch until the answer was seen, seconds; `None` in realtime, of answers that nobody waited for,
    /// and in rows of before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_seconds: Option<u32>,
}

/// Something that happened to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// When, epoch ms.
    pub at_ms: i64,
    /// A machine's word for it.
    pub event: String,
    /// A person's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Run {
    /// The path its hops took: `realtime`, `batch`, `mixed`, or `None` before a plan.
    pub fn path_word(&self) -> Option<&'static str> {
        let plan = self.plan.as_ref()?;
        let batched = self.used().filter(|hop| hop.path == Path::Batch).count();
        Some(match (self.used().count(), batched) {
            (0, _) if plan.path == Path::Batch => "batch",
            (all, batched) if batched == all && all > 0 => "batch",
            (_, 0) => "realtime",
            (_, _) => "mixed",
        })
    }

    /// `ok`, `error` or `skipped`, once it has ended.
    pub fn status(&self) -> Option<RunStatus> {
        match &self.state {
            State::Succeeded | State::DeliveryUnknown | State::DeliveryFailed => Some(RunStatus::Ok),
            State::Failed { .. } | State::Canceled => Some(RunStatus::Error),
            State::Skipped { .. } => Some(RunStatus::Skipped),
            State::Due
            | State::Waiting { .. }
            | State::Running { .. }
            | State::Tools { .. }
            | State::Paused { .. }
            | State::Ready { .. }
            | State::Submitting { .. }
            | State::Submitted { .. }
            | State::Canceling { .. }
            | State::Delivering => None,
        }
    }

    /// What time its answer's data is from, at the least: when the first call was made that it rests on.
    pub fn data_as_of(&self) -> Option<DateTime<Utc>> {
        let first = self.used().find(|hop| !hop.compaction)?;
        let asked = match first.path {
            Path::Batch => &["submitted"][..],
            Path::Realtime => &["running", "resumed"],
        };
        let line = |line: &&LogLine| asked.contains(&line.event.as_str()) && line.at_ms <= first.at.timestamp_millis();
        let since = self.events.iter().rev().find(line).and_then(|line| DateTime::from_timestamp_millis(line.at_ms));
        since.or(self.started_at)
    }

    /// The code and a sentence of a run that ended without an answer: what its log says of a skip, where that says more.
    pub fn failure(&self) -> Option<(String, String)> {
        let (code, message) = self.state.failure()?;
        let skipped = self.events.iter().rev().find(|line| line.event == "skipped");
        let said = skipped.and_then(|line| line.detail.as_deref()?.strip_prefix(code.as_str())?.strip_prefix(": "));
        let message = said.map_or(message, str::to_owned);
        Some((code, message))
    }

    /// Whether its last hop went on from one that paused: the two are one answer.
    pub fn went_on_from_a_pause(&self) -> bool {
        self.used().rev().nth(1).is_some_and(|hop| hop.stop_reason == "pause_turn")
    }

    /// Where `event` brings an answer that this copy has taken in already, to be written with the step it causes: the books as
    /// the table has them, and that answer. Bookings of others may stand behind it; those are of no use.
    pub fn before_answer_of(&self, event: &Event) -> Option<(Vec<Hop>, &Hop)> {
        let id = &event.reply()?.message_id;
        let at = self.hops.iter().rposition(|hop| !hop.unused)?;
        let hop = self.hops.get(at).filter(|hop| hop.message_id == *id)?;
        let mut stood = self.hops.clone();
        stood.remove(at);
        Some((stood, hop))
    }

    /// Adds a line to its log.
    pub fn log(&mut self, now: DateTime<Utc>, event: &str, detail: Option<String>) {
        self.events.push(LogLine { at_ms: now.timestamp_millis(), event: event.to_owned(), detail });
    }

    /// What its session is called: `session:<name>`, or `cron:<jobId>` for a session of its own.
    pub fn session_key(&self) -> String {
        match &self.session {
            Some(session) => format!("session:{}", session.name),
            None => format!("cron:{}", self.job_id),
        }
    }

    /// How long it has taken, or took.
    pub fn duration(&self, now: DateTime<Utc>) -> TimeDelta {
        self.started_at.map_or(TimeDelta::zero(), |started| self.ended_at.unwrap_or(now) - started)
    }
}
