//! A run as the API shows it.

use chrono::{DateTime, Utc};
use nightshift_domain::aws;
use nightshift_domain::batch::{Batch, BatchState};
use nightshift_domain::job::{DeliveryStatus, RunStatus};
use nightshift_domain::money::usd;
use nightshift_domain::run::{LogLine, Origin, Path, Run, State, best_realtime};
use nightshift_domain::{AttemptId, JobId, RunKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tool::ToolView;

/// Longest summary, in characters, its ellipsis left out.
pub const SUMMARY_CHARS: usize = 2000;

/// A run. Instants are epoch ms, money is US dollars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// Its id.
    #[schemars(with = "RunKey")]
    pub run_id: String,
    /// The job's id.
    #[schemars(with = "JobId")]
    pub job_id: String,
    /// The job's name when the run was claimed.
    pub job_name: String,
    /// The agent that answers.
    pub agent_id: String,
    /// `schedule`, `manual`, or `import` for one that ran elsewhere.
    pub origin: Origin,
    /// The occurrence it stands for.
    pub slot: DateTime<Utc>,
    /// The same, epoch ms.
    pub scheduled_at_ms: i64,
    /// When its row was written.
    pub created_at_ms: i64,
    /// When it began to work.
    pub started_at_ms: Option<i64>,
    /// When it ended.
    pub ended_at_ms: Option<i64>,
    /// How long it took, or has taken.
    pub duration_ms: Option<i64>,
    /// How it stands; the README's table says what each word means.
    pub state: String,
    /// `ok`, `error` or `skipped`, once it has ended.
    pub status: Option<RunStatus>,
    /// `succeeded`, `failed` or `unknown`, once it has ended and was not skipped: the turn and its delivery together.
    pub completion_status: Option<String>,
    /// What became of the delivery.
    pub delivery_status: Option<DeliveryStatus>,
    /// Why nothing was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_suppression_reason: Option<String>,
    /// Why the delivery failed, or is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_error: Option<String>,
    /// `realtime`, `batch` or `mixed`.
    pub path: Option<String>,
    /// Why it was not the batch it was asked to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_reason: Option<String>,
    /// Why this path was chosen, where it was to be the cheapest one (`payload.batch.mode: "auto"`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_reason: Option<String>,
    /// When its answer is wanted, where its job says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliver_by_ms: Option<i64>,
    /// What time the data of such an answer is from, at the least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_as_of_ms: Option<i64>,
    /// The model.
    pub model: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// Every model call that answered.
    pub hops: Vec<HopView>,
    /// The tools it called, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolView>,
    /// What was paid.
    pub cost_usd: f64,
    /// The best that its answers would have cost in realtime: the cheaper of with a cache and without.
    pub realtime_cost_usd: f64,
    /// The difference.
    pub saved_usd: f64,
    /// What was paid, of it all, for answers that came too late to be used.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub unused_usd: f64,
    /// What AWS charged beside it, reckoned from the calls such a run makes, without free tiers.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub aws_usd: f64,
    /// Model calls whose answer never came. Each may have been paid; no cost is known, and none is counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unanswered: u32,
    /// The beginning of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The whole answer; only where one run is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Why it failed, was skipped or stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<FailureView>,
    /// Remarks.
    pub notes: Vec<String>,
    /// What happened, in order.
    pub events: Vec<LogLine>,
    /// The batch it is in now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchView>,
    /// The named session it goes on with; none where its session is its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What it waits for, where it does: `overlap` (the job's earlier run), `session` (another run has it), `heartbeat` (an
    /// answer to what it queued), `place` (one of the places for realtime turns) or `window` (other hops to share a batch
    /// with).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// When the window ends that it waits in, epoch ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ends_at_ms: Option<i64>,
}

/// A model call that answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HopView {
    /// Its number, from 1.
    pub n: u32,
    /// The path it took.
    pub path: Path,
    /// The model that answered.
    pub model: String,
    /// The provider's message id.
    pub message_id: String,
    /// The HTTP request's id, in realtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Our id of the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_id: Option<String>,
    /// Anthropic's id of the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
    /// Why the model stopped.
    pub stop_reason: String,
    /// The raw usage.
    pub usage: Value,
    /// What it cost.
    pub cost_usd: f64,
    /// What it would have cost in realtime.
    pub realtime_cost_usd: f64,
    /// When it answered.
    pub at_ms: i64,
    /// Whether it summarised the session's history, and did not answer the prompt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compaction: bool,
    /// Whether it came too late to be used. It was paid all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unused: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_nothing(usd: &f64) -> bool {
    usd.abs() < f64::EPSILON
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Why a run did not do what it was for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureView {
    /// The failure code, or the reason of a skip.
    pub code: String,
    /// For a person.
    pub message: String,
}

/// The batch a run is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchView {
    /// Our id.
    pub attempt_id: String,
    /// Anthropic's, once known.
    pub batch_id: Option<String>,
    /// How many polls were armed.
    pub polls: u32,
    /// When the next one is due; `null` once it is settled.
    pub next_poll_at_ms: Option<i64>,
    /// `sealing`, `creating`, `open`, `canceling` or `settled`.
    pub state: String,
}

impl RunView {
    /// Shows `run`. `batches` are those its hops and state name, as far as they are known; `answer` is its final text.
    pub fn new(run: &Run, batches: &[Batch], answer: Option<&str>, now: DateTime<Utc>) -> Self {
        let plan = run.plan.as_ref();
        let note = |wanted: bool| run.delivery_note.clone().filter(|_| wanted);
        let suppressed = matches!(run.delivery_status, Some(DeliveryStatus::Suppressed | DeliveryStatus::NotRequested));
        let find = |id: &AttemptId| batches.iter().find(|batch| batch.id == *id);
        let (paid, realtime) = (run.cost.paid_nano_usd, best_realtime(&run.hops));
        let due_by = run.due_by.as_ref();
        Self {
            run_id: run.key.to_string(),
            job_id: run.job_id.to_string(),
            job_name: run.job_name.clone(),
            agent_id: run.agent_id.clone(),
            origin: run.origin,
            slot: run.slot,
            scheduled_at_ms: run.slot.timestamp_millis(),
            created_at_ms: run.created_at.timestamp_millis(),
            started_at_ms: run.started_at.map(|at| at.timestamp_millis()),
            ended_at_ms: run.ended_at.map(|at| at.timestamp_millis()),
            duration_ms: run.started_at.map(|_| run.duration(now).num_milliseconds()),
            state: run.state.name().to_owned(),
            status: run.status(),
            completion_status: completion(&run.state).map(str::to_owned),
            delivery_status: run.delivery_status,
            delivery_suppression_reason: note(suppressed),
            delivery_error: note(!suppressed),
            path: run.path_word().map(str::to_owned),
            fallback_reason: plan.and_then(|plan| plan.fallback_reason.clone()),
            path_reason: plan.and_then(|plan| plan.reason.clone()),
            deliver_by_ms: due_by.map(|due| due.at.timestamp_millis()),
            data_as_of_ms: due_by.and(run.data_as_of()).map(|at| at.timestamp_millis()),
            model: plan.map(|plan| plan.model.clone()),
            provider: plan.map(|plan| plan.provider.clone()),
            hops: run.hops.iter().map(|hop| HopView::new(hop, hop.batch.as_ref().and_then(find))).collect(),
            tools: run.talk.calls.iter().map(ToolView::new).collect(),
            cost_usd: usd(paid),
            realtime_cost_usd: usd(realtime),
            saved_usd: if realtime >= paid { usd(realtime - paid) } else { -usd(paid - realtime) },
            unused_usd: usd(run.cost_unused().paid_nano_usd),
            aws_usd: usd(run.hops.iter().enumerate().map(|(at, hop)| aws::of_hop(hop, at == 0)).sum()),
            unanswered: run.books.unanswered(),
            summary: answer.map(summary_of),
            text: None,
            error: run.failure().map(|(code, message)| FailureView { code, message }),
            notes: plan.map(|plan| plan.notes.clone()).unwrap_or_default(),
            events: run.events.clone(),
            batch: run.state.batch().and_then(find).map(BatchView::new),
            session: run.session.as_ref().map(|session| session.name.clone()),
            waits_for: run.state.waits_for().map(str::to_owned),
            window_ends_at_ms: run.state.window().map(|window| window.ends_at().timestamp_millis()),
        }
    }

    /// The same with the whole answer.
    #[must_use]
    pub fn with_text(mut self, text: Option<String>) -> Self {
        self.text = text;
        self
    }

    /// The same with what went into its tools and what came back, in their order.
    #[must_use]
    pub fn with_tool_texts(mut self, texts: &[(String, Option<String>)]) -> Self {
        let tools = std::mem::take(&mut self.tools).into_iter().zip(texts);
        self.tools = tools.map(|(tool, (input, result))| tool.with_texts(input, result.as_deref())).collect();
        self
    }

    /// Whether nothing can happen to it any more.
    pub fn is_over(&self) -> bool {
        self.status.is_some()
    }
}

impl HopView {
    fn new(hop: &nightshift_domain::run::Hop, batch: Option<&Batch>) -> Self {
        Self {
            n: hop.n,
            path: hop.path,
            model: hop.model.clone(),
            message_id: hop.message_id.clone(),
            request_id: hop.request_id.clone(),
            attempt_id: hop.batch.as_ref().map(ToString::to_string),
            batch_id: batch.and_then(|batch| batch.state.remote()).map(str::to_owned),
            stop_reason: hop.stop_reason.clone(),
            usage: hop.usage.clone(),
            cost_usd: usd(hop.cost.paid_nano_usd),
            realtime_cost_usd: usd(hop.cost.realtime_nano_usd),
            at_ms: hop.at.timestamp_millis(),
            compaction: hop.compaction,
            unused: hop.unused,
        }
    }
}

impl BatchView {
    fn new(batch: &Batch) -> Self {
        let (state, settled) = match &batch.state {
            BatchState::Sealing { .. } => ("sealing", false),
            BatchState::Creating => ("creating", false),
            BatchState::Open { .. } => ("open", false),
            BatchState::Canceling { .. } => ("canceling", false),
            BatchState::Settled { .. } => ("settled", true),
        };
        Self {
            attempt_id: batch.id.to_string(),
            batch_id: batch.state.remote().map(str::to_owned),
            polls: batch.polls,
            next_poll_at_ms: (!settled).then(|| batch.next_poll_at.timestamp_millis()),
            state: state.to_owned(),
        }
    }
}

/// The beginning of an answer, at most [`SUMMARY_CHARS`] characters and an ellipsis.
pub fn summary_of(text: &str) -> String {
    match text.char_indices().nth(SUMMARY_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn completion(state: &State) -> Option<&'static str> {
    match state {
        State::Succeeded => Some("succeeded"),
        State::DeliveryUnknown => Some("unknown"),
        State::DeliveryFailed | State::Failed { .. } | State::Canceled => Some("failed"),
        State::Skipped { .. }
        | State::Due
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_cut_between_characters() {
        let long = "é".repeat(SUMMARY_CHARS + 1);
        let summary = summary_of(&long);
        assert_eq!(summary.chars().count(), SUMMARY_CHARS + 1);
        assert!(summary.ends_with("é…"));
        assert_eq!(summary_of("short"), "short");
    }
}
