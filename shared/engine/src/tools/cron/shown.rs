//! Jobs and runs in as few words as a model needs.

use chrono::{DateTime, SecondsFormat, Utc};
use nightshift_domain::JobId;
use nightshift_domain::job::{Job, Payload};
use serde_json::{Map, Value, json};

use crate::jobs::Shown;

/// Most jobs of a list.
const JOBS_SHOWN: usize = 100;
/// Most characters of a run's answer.
const ANSWER_SHOWN: usize = 400;
/// Most characters of an error.
const ERROR_SHOWN: usize = 300;

/// An instant as models read it.
pub(super) fn instant_of(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The same from epoch milliseconds.
pub(super) fn instant(at_ms: Option<i64>) -> Option<String> {
    at_ms.and_then(DateTime::from_timestamp_millis).map(instant_of)
}

/// Without fields that say nothing.
fn short(object: Value) -> Value {
    match object {
        Value::Object(map) => {
            Value::Object(map.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => other,
    }
}

/// A list of jobs.
pub(super) fn jobs(jobs: &[Job], this: &JobId) -> Value {
    let row = |job: &Job| {
        short(json!({
            "jobId": job.job_id,
            "name": job.name,
            "enabled": job.enabled,
            "schedule": job.schedule,
            "nextRunAt": instant(job.state.next_run_at_ms),
            "lastRunAt": instant(job.state.last_run_at_ms),
            "lastStatus": job.state.last_status,
            "thisJob": (job.job_id == *this).then_some(true),
        }))
    };
    let rows: Vec<Value> = jobs.iter().take(JOBS_SHOWN).map(row).collect();
    let more = jobs.len().saturating_sub(rows.len());
    short(json!({ "jobs": rows, "more": (more > 0).then_some(more) }))
}

/// A job after it was written.
pub(super) fn job(job: &Job) -> Value {
    let tools = match &job.payload {
        Payload::AgentTurn(turn) => turn.tools_allow.as_ref(),
        Payload::SystemEvent { .. } => None,
    };
    short(json!({
        "jobId": job.job_id,
        "name": job.name,
        "enabled": job.enabled,
        "schedule": job.schedule,
        "sessionTarget": job.session_target,
        "toolsAllow": tools,
        "delivery": job.delivery,
        "deleteAfterRun": job.delete_after_run,
        "nextRunAt": instant(job.state.next_run_at_ms),
    }))
}

/// A run.
pub(super) fn run(row: &Shown) -> Value {
    let run = &row.run;
    let cut = |text: &str, most: usize| match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    };
    short(json!({
        "runId": run.key,
        "state": run.state.name(),
        "status": run.status(),
        "startedAt": run.started_at.map(instant_of),
        "endedAt": run.ended_at.map(instant_of),
        "deliveryStatus": run.delivery_status,
        "error": run.failure().map(|(code, message)| cut(&format!("{code}: {message}"), ERROR_SHOWN)),
        "answer": row.answer.as_deref().map(|answer| cut(answer, ANSWER_SHOWN)),
    }))
}
