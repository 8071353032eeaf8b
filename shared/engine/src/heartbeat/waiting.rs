//! Runs that stay open until a heartbeat has answered what they queued.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::JobId;
use nightshift_domain::batch::LEAST_AHEAD;
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::heartbeat::{self, SystemEvent};
use nightshift_domain::run::{Event, Run, State, WaitReason};
use tracing::warn;

use crate::error::EngineError;
use crate::runs::Scene;
use crate::runs::drive::{event_id, wake_heartbeat};

/// How long after the pause that follows a failure the main session's own timer has to wake it.
const WOKEN_AGAIN_WITHIN: TimeDelta = TimeDelta::minutes(5);

fn waits(run: &Run) -> bool {
    matches!(run.state, State::Waiting { reason: WaitReason::Heartbeat })
}

/// What became of what `run` queued; `None` while it is queued.
pub(crate) async fn outcome(scene: Scene<'_>, run: &Run, now: DateTime<Utc>) -> Result<Option<Event>, EngineError> {
    let found = scene.deps.store.event(&run.agent_id, &event_id(run)).await?;
    Ok(heartbeat::outcome(found.as_ref(), now))
}

/// Whether there is something to be done about a run that waits for a heartbeat: its event is over, or no heartbeat is at
/// work that could see it, and they do not pause after a failure.
pub(crate) async fn has_news(scene: Scene<'_>, run: &Run) -> Result<bool, EngineError> {
    let now = scene.deps.clock.now();
    if outcome(scene, run, now).await?.is_some() {
        return Ok(true);
    }
    let Ok(id) = JobId::heartbeat(&run.agent_id) else { return Ok(true) };
    let record = scene.deps.store.job(&id).await?;
    let pauses = |until: DateTime<Utc>| now < until + WOKEN_AGAIN_WITHIN;
    Ok(record.is_none_or(|record| record.active.is_empty() && !record.hold_until.is_some_and(pauses)))
}

/// Sees that what is queued to wake the session is looked at after a heartbeat: at once where there was no room for it, and
/// when the pause is over after one that failed or was stopped. Its next beat may be far, or never come.
///
/// # Crash safety
/// The timer is named after the run. Where it is not set, or the wake is lost, the sweeper finds the runs that wait; an event
/// that no run waits for is looked at by the next heartbeat.
pub(crate) async fn go_on(
    scene: Scene<'_>,
    run: &Run,
    more: bool,
    hold_until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) {
    let (Some(_), Some(agent)) = (&run.beat, run.job_id.heartbeat_agent()) else { return };
    let done = if more {
        wake_heartbeat(scene, agent).await
    } else if matches!(run.state, State::Failed { .. } | State::Canceled) {
        let at = hold_until.unwrap_or(now).max(now + LEAST_AHEAD);
        let wake = Envelope::new(Wake::Heartbeat { a: agent.to_owned() });
        scene.deps.timers.arm(&run.key.wake_timer(), at, &wake).await.map_err(EngineError::from)
    } else {
        Ok(())
    };
    if let Err(error) = done {
        warn!(run.id = %run.key, "the main session of {agent} is not woken again: {}", error.chain());
    }
}

/// The event of a run that waited for a heartbeat and was stopped, as it leaves the queue with it.
pub(crate) async fn taken_back(
    scene: Scene<'_>,
    before: &Run,
    after: &Run,
    now: DateTime<Utc>,
) -> Result<Option<SystemEvent>, EngineError> {
    if !waits(before) || after.state != State::Canceled {
        return Ok(None);
    }
    let found = scene.deps.store.event(&before.agent_id, &event_id(before)).await?;
    let queued = found.filter(|event| event.fate.is_none());
    Ok(queued.map(|event| event.over(&before.key, false, now)))
}
