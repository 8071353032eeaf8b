//! Finished runs from elsewhere, as history.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::state::{delivery_word, whole};
use super::{RefusedRun, says_something};
use crate::job::{AgentTurn, DeliveryStatus, OnTimeout};
use crate::money::Cost;
use crate::run::{Books, Hop, Origin, Path, Plan, Run, State, Talk, Task, Text};
use crate::{JobId, RunKey};

/// Longest error and suppression reason kept, in characters: a row holds 400 KB (`DynamoDB` quotas), a sentence is enough.
const SENTENCE_MOST: usize = 4_000;
/// How far a run may seem to end in the future, for clocks that differ.
const CLOCKS: TimeDelta = TimeDelta::minutes(10);

/// A run that ended elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct PastRun {
    /// The run as it will stand, but for its answer, its job's name where it does not say one, and its agent.
    pub run: Run,
    /// Its answer.
    pub answer: Option<String>,
    /// What the job was called, where the run says so.
    pub job_name: Option<String>,
    /// The agent, where the run says so.
    pub agent: Option<String>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
}

/// Reads an entry of a run log, or says why it cannot be read. The same entry gives the same run every time, however it was
/// printed: its key is made of job, start, end and status; an entry that we exported keeps the key it had.
pub fn read_run(entry: &Value, now: DateTime<Utc>) -> Result<PastRun, RefusedRun> {
    read(entry, now).map_err(|reason| RefusedRun { line: None, file: None, reason })
}

fn read(entry: &Value, now: DateTime<Utc>) -> Result<PastRun, String> {
    if !entry.is_object() {
        return Err("it is not a JSON object".to_owned());
    }
    let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    if let Some(action) = text("action").filter(|action| *action != "finished") {
        return Err(format!("\"{}\" is not the end of a run", action.escape_debug()));
    }
    let source = text("jobId").ok_or("it names no job")?;
    let job_id = JobId::imported(source);
    let (started_at, ended_at) = times(entry)?;
    if ended_at > now + CLOCKS {
        return Err(format!("it ends in the future, at {}", ended_at.to_rfc3339()));
    }
    let status = text("status").ok_or("it has no status")?.to_ascii_lowercase();
    let suppression = text("deliverySuppressionReason").map(sentence);
    let delivery_status = text("deliveryStatus")
        .and_then(|word| delivery_word(word, suppression.is_some()))
        .and_then(|word| serde_json::from_value(Value::from(word)).ok());
    let state = state(&status, delivery_status, text("error"), text("errorReason"))?;
    let key = key(entry, &job_id, started_at, ended_at, &status);
    let mut run = Run {
        slot: key.slot(),
        key,
        job_id,
        job_name: source.to_owned(),
        agent_id: "main".to_owned(),
        origin: Origin::Import,
        task: Task::Turn,
        sequence: 0,
        created_at: started_at,
        claimed_by: None,
        due_by: None,
        // A run that was skipped never began, unless its entry says how long it took.
        started_at: (status != "skipped" || entry.get("durationMs").is_some_and(says_something)).then_some(started_at),
        ended_at: Some(ended_at),
        state,
        state_since: ended_at,
        lease: None,
        rev: 1,
        turn: AgentTurn::default(),
        prompt: Text::Inline(String::new()),
        delivery: None,
        plan: plan(entry, ended_at),
        session: None,
        wakes: false,
        beat: None,
        talk: Talk::default(),
        hops: hops(entry, ended_at),
        planning_tries: 0,
        seen_waiting: None,
        place: None,
        timers: 0,
        answer: None,
        delivery_status,
        delivery_note: suppression.or_else(|| text("deliveryError").map(sentence)),
        cancel_requested: false,
        cost: Cost::default(),
        budget: None,
        reserve: Box::default(),
        books: Books::default(),
        alerts: None,
        events: Vec::new(),
    };
    run.log(ended_at, "imported", None);
    let session = text("sessionKey").and_then(|key| key.strip_prefix("agent:")?.split(':').next()).map(str::to_owned);
    Ok(PastRun {
        answer: entry.get("summary").and_then(Value::as_str).filter(|text| !text.trim().is_empty()).map(str::to_owned),
        job_name: text("jobName").map(str::to_owned),
        agent: text("agentId").map(str::to_owned).or(session),
        ended_at,
        run,
    })
}

/// Start and end. Older entries have the end (`ts`) at least; the length is more exact than the moment of the log line.
fn times(entry: &Value) -> Result<(DateTime<Utc>, DateTime<Utc>), String> {
    let number = |name: &str| entry.get(name).and_then(whole).filter(|number| *number >= 0);
    let (logged, started, length) = (number("ts"), number("runAtMs"), number("durationMs"));
    let start = match (started, logged, length) {
        (Some(start), _, _) => start,
        (None, Some(logged), length) => logged.saturating_sub(length.unwrap_or(0)).max(0),
        (None, None, _) => return Err("it has neither ts nor runAtMs, so nobody knows when it was".to_owned()),
    };
    let end = length.map(|length| start.saturating_add(length)).or(logged).unwrap_or(start).max(start);
    let instant = |ms: i64| DateTime::from_timestamp_millis(ms).filter(|at| at.timestamp_millis() < 1 << 47);
    instant(start).zip(instant(end)).ok_or_else(|| "its times are no times".to_owned())
}

fn state(
    status: &str,
    delivery: Option<DeliveryStatus>,
    error: Option<&str>,
    reason: Option<&str>,
) -> Result<State, String> {
    match status {
        "ok" => Ok(match delivery {
            Some(DeliveryStatus::Failed) => State::DeliveryFailed,
            Some(DeliveryStatus::Unknown) => State::DeliveryUnknown,
            Some(DeliveryStatus::Delivered | DeliveryStatus::Suppressed | DeliveryStatus::NotRequested) | None => {
                State::Succeeded
            }
        }),
        "error" => Ok(State::Failed {
            code: reason.map_or_else(|| "imported".to_owned(), |reason| reason.chars().take(100).collect()),
            message: error.map_or_else(|| "it failed where it ran, which kept no reason".to_owned(), sentence),
        }),
        "skipped" => Ok(State::Skipped { reason: error.or(reason).map_or_else(|| "skipped".to_owned(), sentence) }),
        other => Err(format!("\"{}\" is not a status of a run that ended", other.escape_debug())),
    }
}

/// The key we gave it, where it is one of our own runs; else one made of what it is.
fn key(entry: &Value, job: &JobId, started: DateTime<Utc>, ended: DateTime<Utc>, status: &str) -> RunKey {
    let own = entry.get("runId").and_then(Value::as_str).and_then(|text| RunKey::parse(text).ok());
    // One that is still to come must not be taken from its occurrence.
    if let Some(own) = own.filter(|own| own.job_id() == *job && own.slot() <= ended) {
        return own;
    }
    let identity = format!("{job}\n{}\n{}\n{status}", started.timestamp_millis(), ended.timestamp_millis());
    RunKey::imported(job, started, &identity)
}

fn plan(entry: &Value, ended_at: DateTime<Utc>) -> Option<Plan> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let model = text("model")?.to_owned();
    Some(Plan {
        path: path(entry),
        way: None,
        reason: None,
        fallback_reason: text("fallbackReason").map(str::to_owned),
        provider: text("provider").unwrap_or("unknown").to_owned(),
        model,
        max_tokens: 0,
        effort: None,
        thinking: None,
        fallback: 0,
        fallbacks_left: 0,
        tools: None,
        client_tools: Vec::new(),
        mcp_servers: Vec::new(),
        endpoint: None,
        system: None,
        target: None,
        deadline: ended_at,
        on_timeout: OnTimeout::Fail,
        realtime_seconds: 0,
        searches: 0,
        max_hops: 0,
        notes: Vec::new(),
    })
}

fn path(entry: &Value) -> Path {
    if entry.get("path").and_then(Value::as_str) == Some("batch") { Path::Batch } else { Path::Realtime }
}

/// What it used, as one call of its model. It was not paid here, so it costs nothing here.
fn hops(entry: &Value, ended_at: DateTime<Utc>) -> Vec<Hop> {
    let Some(usage) = entry.get("usage").filter(|usage| usage.is_object() && says_something(usage)) else {
        return Vec::new();
    };
    let model = entry.get("model").and_then(Value::as_str).unwrap_or("unknown").to_owned();
    vec![Hop {
        n: 1,
        path: path(entry),
        model,
        message_id: "imported".to_owned(),
        request_id: None,
        batch: None,
        stop_reason: "unknown".to_owned(),
        usage: usage.clone(),
        cost: Cost::default(),
        in_realtime: None,
        at: ended_at,
        compaction: false,
        unused: false,
        attempt: 0,
        waited_seconds: None,
    }]
}

fn sentence(text: &str) -> String {
    match text.char_indices().nth(SENTENCE_MOST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
