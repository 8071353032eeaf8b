//! The events that a webhook receives: of a finished run, and of an alert.

use chrono::{DateTime, Utc};
use nightshift_domain::alert::{Notice, Style, text};
use nightshift_domain::money::{added, usd};
use nightshift_domain::run::Run;
use serde_json::{Value, json};

use super::shorten;

/// Most characters of the answer in the event; the run itself has all of it.
const TEXT_MAX: usize = 100_000;

/// The event of a run whose turn has ended well.
pub(super) fn finished(run: &Run, text: &str, now: DateTime<Utc>) -> Value {
    let usage = added(run.hops.iter().map(|hop| &hop.usage));
    let mut event = json!({
        "action": "finished",
        "jobId": run.job_id,
        "jobName": run.job_name,
        "runId": run.key,
        "agentId": run.agent_id,
        "sessionKey": run.session_key(),
        "status": "ok",
        "scheduledAtMs": run.slot.timestamp_millis(),
        "runAtMs": run.started_at.map(|at| at.timestamp_millis()),
        "durationMs": run.duration(now).num_milliseconds(),
        "summary": shorten(text),
        "text": text.chars().take(TEXT_MAX).collect::<String>(),
        "model": run.plan.as_ref().map(|plan| plan.model.clone()),
        "provider": run.plan.as_ref().map(|plan| plan.provider.clone()),
        "path": run.path_word(),
        "usage": usage,
        "costUsd": usd(run.cost.paid_nano_usd),
    });
    if let Some(due_by) = &run.due_by {
        event["deliverByMs"] = json!(due_by.at.timestamp_millis());
        event["dataAsOfMs"] = json!(run.data_as_of().map(|at| at.timestamp_millis()));
    }
    event
}

/// The event of an alert, for a webhook: what its text says, in fields. A repeat makes the same one.
pub(super) fn alert(run: &Run, notice: &Notice) -> Value {
    json!({
        "action": "alert",
        "alert": notice.kind.word(),
        "jobId": run.job_id,
        "jobName": run.job_name,
        "runId": run.key,
        "agentId": run.agent_id,
        "status": run.status(),
        "deliveryStatus": run.delivery_status,
        "error": notice.cause,
        "count": notice.count,
        "scheduledAtMs": run.slot.timestamp_millis(),
        "runAtMs": run.started_at.map(|at| at.timestamp_millis()),
        "alertAtMs": notice.at.timestamp_millis(),
        "text": text(notice, run, Style::Plain),
    })
}
