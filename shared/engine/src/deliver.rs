//! Sends an answer, chunk by chunk, and closes the run; then whatever is to be told about its end.
//!
//! Guarantee: at most once per chunk, visibly. A chunk's row says `sending` before the channel is asked, so one that is
//! found so after a crash has an unknown outcome and is sent again only where its channel drops the repeat.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::RunKey;
use nightshift_domain::delivery::{Chunk, ChunkState, told_in_part, verdict};
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::job::{DeliveryMode, DeliveryStatus};
use nightshift_domain::run::{Event, Run, State, take};
use tracing::debug;

use crate::error::EngineError;
use crate::ports::{OpenChannelError, SystemEvent};
use crate::runs::Scene;
use crate::runs::commit::{Along, Moved, apply, save};
use crate::runs::drive::{event_id, not_by_a_twin, system_event, wake_heartbeat};
use crate::runs::route;

mod alerts;
mod event;
pub(crate) mod ledger;
mod unsent;

pub(crate) use unsent::close_where_it_is;

use ledger::{Part, Patience, Sending, planned, send_all};
use unsent::{Output, output};

/// The part of a run's output that is its answer.
pub const FINAL: &str = "final";
/// Why an answer is not sent where a `message` call of its run sent to already.
const SENT_BY_TOOL: &str = "sent_by_tool";
/// How long an answer may wait for its channel's secret before it is too old to send.
const STALE_AFTER: TimeDelta = TimeDelta::days(1);
/// Most characters of a summary.
const SUMMARY_MAX: usize = 2000;

/// What delivering came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// The run is closed.
    Closed(DeliveryStatus),
    /// Nothing is to be told about its end any more.
    Told,
    /// Some chunk is to be tried again.
    Later(DateTime<Utc>),
    /// Somebody delivers it, or it is over.
    Nothing,
}

/// Delivers the answer of `key`, or the alerts about its end.
///
/// # Crash safety
/// The ledger's rows are written before anything is sent, each row before and after its send; stopped anywhere, the
/// sweeper hands the run back here and the rows say what is left to do. The write that closes the run has its alerts in it.
pub async fn deliver(scene: Scene<'_>, key: &RunKey) -> Result<Delivered, EngineError> {
    // Its future holds several runs and a job.
    Box::pin(delivered(scene, key)).await
}

async fn delivered(scene: Scene<'_>, key: &RunKey) -> Result<Delivered, EngineError> {
    let now = scene.deps.clock.now();
    let Some(run) = scene.deps.store.run(key).await? else { return Ok(Delivered::Nothing) };
    if run.state.is_terminal() {
        // Whoever closed it may have been stopped before the rest; a repeat of either does nothing.
        return closed(scene, run, Delivered::Nothing).await;
    }
    if !matches!(run.state, State::Delivering) {
        return Ok(Delivered::Nothing);
    }
    let run = match take(&run, &scene.invocation.id, now) {
        Ok(run) => run,
        Err(held) => return not_by_a_twin(scene, key, &held).map(|()| Delivered::Nothing),
    };
    if !save(scene, &run).await? {
        return Ok(Delivered::Nothing);
    }
    let (mode, text, target) = match output(scene, &run).await? {
        Output::Nothing(status, note) => return close(scene, run, status, note).await,
        Output::ToSend { mode, text, target } => (mode, text, target),
    };
    if mode == DeliveryMode::Announce && run.talk.has_sent_to(&target) {
        // The main session is told of the run all the same: the answer is with its reader.
        return close_announced(scene, run, DeliveryStatus::Suppressed, Some(SENT_BY_TOOL.to_owned()), &text).await;
    }
    let channel = match scene.deps.channels.open(scene.config, &target.channel, Some(&target.account)).await {
        Ok(channel) => channel,
        Err(OpenChannelError::NotConfigured(reason)) => {
            return close(scene, run, DeliveryStatus::Failed, Some(reason)).await;
        }
        Err(error @ OpenChannelError::Secret { .. }) if now < run.state_since + STALE_AFTER => {
            return Err(EngineError::Secret(error.to_string()));
        }
        Err(error @ OpenChannelError::Secret { .. }) => {
            return close(scene, run, DeliveryStatus::Failed, Some(error.to_string())).await;
        }
    };
    let body = match (mode, said_of_its_data(&run)) {
        (DeliveryMode::Webhook, _) => event::finished(&run, &text, now).to_string(),
        (DeliveryMode::Announce | DeliveryMode::None, Some(line)) => format!("{}\n\n{line}", text.trim_end()),
        (DeliveryMode::Announce | DeliveryMode::None, None) => text.clone(),
    };
    let begun = scene.deps.store.chunks(&run.key, FINAL).await?;
    if let Some(reason) = unwanted(scene, &run, &begun).await? {
        return close(scene, run, DeliveryStatus::Suppressed, Some(reason.to_owned())).await;
    }
    let part = Part { run: &run.key, origin: FINAL, target: &target };
    let chunks = planned(scene, part, begun, channel.as_ref(), &body).await?;
    match send_all(scene, channel.as_ref(), chunks, Patience::ComesBack).await? {
        Sending::Over(chunks) => {
            let status = verdict(&chunks);
            if status == DeliveryStatus::Delivered {
                route::remember(scene, &run, &target).await?;
            }
            let note = chunks.iter().find_map(|chunk| trouble(&chunk.state)).map(|error| told_in_part(error, &chunks));
            close_announced(scene, run, status, note, &text).await
        }
        Sending::Later(at, _) => later(scene, run, at).await,
        Sending::Taken => Ok(Delivered::Nothing),
    }
}

/// What an answer that was wanted at a time, and may rest on what was known long before, says of that.
fn said_of_its_data(run: &Run) -> Option<String> {
    Some(run.due_by.as_ref()?.data_line(run.data_as_of()?))
}

/// Why nobody wants the answer any more, as long as no part of it is on its way.
async fn unwanted(scene: Scene<'_>, run: &Run, begun: &[Chunk]) -> Result<Option<&'static str>, EngineError> {
    if begun.iter().any(|chunk| chunk.attempts > 0) {
        return Ok(None);
    }
    if run.cancel_requested {
        return Ok(Some("canceled"));
    }
    let removed = scene.deps.store.job(&run.job_id).await?.is_none();
    Ok(removed.then_some("the job was removed"))
}

fn trouble(state: &ChunkState) -> Option<String> {
    match state {
        ChunkState::Refused { error } | ChunkState::Unknown { error, .. } => Some(error.clone()),
        ChunkState::Planned | ChunkState::Sending { .. } | ChunkState::Sent { .. } | ChunkState::Failed { .. } => None,
    }
}

/// Gives the lease back and arms the timer of the next try.
///
/// # Crash safety
/// The row is written first; without its timer, the sweeper finds it.
async fn later(scene: Scene<'_>, mut run: Run, at: DateTime<Utc>) -> Result<Delivered, EngineError> {
    let at = at.max(scene.deps.clock.now() + nightshift_domain::batch::LEAST_AHEAD);
    run.timers += 1;
    run.lease = None;
    run.rev += 1;
    if !save(scene, &run).await? {
        return Ok(Delivered::Nothing);
    }
    let wake = Wake::Deliver { r: run.key.clone() };
    scene.deps.timers.arm(&run.key.resume_timer(run.timers), at, &Envelope::new(wake)).await?;
    debug!(run.id = %run.key, "run {} is delivered again at {at}", run.key);
    Ok(Delivered::Later(at))
}

async fn close(
    scene: Scene<'_>,
    run: Run,
    status: DeliveryStatus,
    note: Option<String>,
) -> Result<Delivered, EngineError> {
    close_along(scene, run, (status, note), Along::default()).await
}

/// Closes a run whose answer went out, with a short summary for the agent's main session.
async fn close_announced(
    scene: Scene<'_>,
    run: Run,
    status: DeliveryStatus,
    note: Option<String>,
    text: &str,
) -> Result<Delivered, EngineError> {
    let summary = format!("Cron: {}", shorten(text));
    // No reason for a turn unless the job says so.
    let quiet = !run.wakes;
    let event = was_announced(&run).then(|| SystemEvent { quiet, ..system_event(scene, &run, summary) });
    let along = Along { event: event.as_ref(), ..Along::default() };
    close_along(scene, run, (status, note), along).await
}

/// Closes a run, and does right here what is due for that.
async fn close_along(
    scene: Scene<'_>,
    mut run: Run,
    (status, note): (DeliveryStatus, Option<String>),
    along: Along<'_>,
) -> Result<Delivered, EngineError> {
    run.delivery_note = note;
    let along = Along { sends_alerts: true, ..along };
    match apply(scene, &run, Event::Delivered(status), along).await? {
        Some(Moved { run, .. }) => closed(scene, run, Delivered::Closed(status)).await,
        None => Ok(Delivered::Closed(status)),
    }
}

/// What is due once a run is closed: its agent's main session is woken where the job wants that, and its alerts are sent.
///
/// # Crash safety
/// The event is queued by the write that closed the run. Stopped before the wake, the retry of the invocation comes here
/// again; without one, the event waits for the next beat. Alerts stand in the due index.
async fn closed(scene: Scene<'_>, run: Run, otherwise: Delivered) -> Result<Delivered, EngineError> {
    if run.wakes && was_announced(&run) {
        let agent = scene.config.agent(Some(&run.agent_id)).0;
        let told = scene.deps.store.event(&agent, &event_id(&run)).await?;
        if told.is_some_and(|event| event.fate.is_none()) {
            wake_heartbeat(scene, &agent).await?;
        }
    }
    if run.due_alerts().is_none() {
        return Ok(otherwise);
    }
    let told = Box::pin(alerts::send(scene, run)).await?;
    Ok(if otherwise == Delivered::Nothing { told } else { otherwise })
}

/// Whether the answer was for a channel. What a heartbeat said, its session knows; of others it is told.
fn was_announced(run: &Run) -> bool {
    run.beat.is_none() && run.delivery.as_ref().is_some_and(|delivery| delivery.mode == DeliveryMode::Announce)
}

/// The first part of a text, for a summary.
pub(crate) fn shorten(text: &str) -> String {
    if text.chars().count() <= SUMMARY_MAX {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(SUMMARY_MAX).collect();
    short.push('…');
    short
}
