//! Heartbeats: use cases mapped to answers.

use nightshift_domain::run::Run;
use nightshift_domain::schedule::Schedule;
use nightshift_engine::jobs::{self, Heartbeats, Kept, Noted, Put, Refusal, Request};
use nightshift_wire::{HeartbeatAnswer, NotesAnswer, RunView};
use serde_json::Value;

use crate::methods::shown;

pub(crate) async fn last(request: &Request<'_>, input: &Value) -> Result<Value, Refusal> {
    let Heartbeats { agent, job, last, last_turn, queued } = jobs::heartbeat_last(request, input).await?;
    let view = |run: Run| RunView::new(&run, &[], None, request.now);
    let every_ms = job.as_ref().filter(|job| job.enabled).and_then(|job| match job.schedule {
        Schedule::Every { every_ms, .. } => Some(every_ms),
        Schedule::At { .. } | Schedule::Cron { .. } => None,
    });
    Ok(shown(&HeartbeatAnswer {
        agent_id: agent,
        enabled: job.as_ref().is_some_and(|job| job.enabled),
        every_ms,
        next_run_at_ms: job.and_then(|job| job.state.next_run_at_ms),
        queued: queued as u64,
        last: last.map(view),
        last_turn: last_turn.map(view),
    }))
}

pub(crate) async fn notes(request: &Request<'_>, input: &Value) -> Result<Value, Refusal> {
    let (agent_id, noted) = jobs::heartbeat_notes(request, input).await?;
    let (entry, text, changed) = match noted {
        Noted::Shown(kept) => kept.map_or((None, None, false), |Kept { entry, text }| (Some(entry), Some(text), false)),
        Noted::Written(Put { entry, changed }) => (Some(entry), None, changed),
    };
    Ok(shown(&NotesAnswer {
        agent_id,
        text,
        changed,
        bytes: entry.as_ref().map_or(0, |entry| entry.bytes),
        revision: entry.as_ref().map_or(0, |entry| entry.revision),
        updated_at_ms: entry.map(|entry| entry.changed_at.timestamp_millis()),
    }))
}
