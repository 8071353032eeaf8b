//! Sends an answer, chunk by chunk, and closes the run.
//!
//! Guarantee: at most once per chunk, visibly. A chunk's row says `sending` before the channel is asked, so one that is
//! found so after a crash has an unknown outcome and is sent again only where its channel drops the repeat.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::RunKey;
use nightshift_domain::delivery::{Chunk, ChunkState, MAX_SEND_ATTEMPTS, Step, Target, deliverable, step, verdict};
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::job::{DeliveryMode, DeliveryStatus};
use nightshift_domain::run::{Event, Run, State, take};
use tracing::{debug, info, warn};

use crate::error::EngineError;
use crate::ports::{Channel, OpenChannelError, Outcome, Outgoing, Rendered, SendError, SendErrorKind, Write};
use crate::runs::commit::{Along, apply, run_retention, save};
use crate::runs::drive::system_event;
use crate::runs::{Scene, load_text};

mod event;

/// The part of a run's output that is its answer.
pub const FINAL: &str = "final";
/// How long an answer may wait for its channel's secret before it is too old to send.
const STALE_AFTER: TimeDelta = TimeDelta::days(1);
/// Chunks written in one transaction; DynamoDB takes 100.
const PLAN_BATCH: usize = 90;
/// Waits before a chunk that was provably not taken is tried again, seconds; the far side's own wish wins when longer.
const RESEND_LADDER_S: [i64; 5] = [60, 60, 300, 900, 3600];
/// Most characters of a summary.
const SUMMARY_MAX: usize = 2000;
/// How long a send may take.
const SEND_TIMEOUT: TimeDelta = TimeDelta::seconds(30);

/// What delivering came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// The run is closed.
    Closed(DeliveryStatus),
    /// Some chunk is to be tried again.
    Later(DateTime<Utc>),
    /// Somebody delivers it, or it is over.
    Nothing,
}

/// Delivers the answer of `key`.
///
/// # Crash safety
/// The ledger's rows are written before anything is sent, each row before and after its send; stopped anywhere, the
/// sweeper hands the run back here and the rows say what is left to do.
pub async fn deliver(scene: Scene<'_>, key: &RunKey) -> Result<Delivered, EngineError> {
    let now = scene.deps.clock.now();
    let Some(run) = scene.deps.store.run(key).await? else { return Ok(Delivered::Nothing) };
    if !matches!(run.state, State::Delivering) {
        return Ok(Delivered::Nothing);
    }
    let Ok(run) = take(&run, &scene.invocation.id, now) else { return Ok(Delivered::Nothing) };
    if !save(scene, &run).await? {
        return Ok(Delivered::Nothing);
    }
    let mode = run.delivery.as_ref().map_or(DeliveryMode::None, |delivery| delivery.mode);
    if mode == DeliveryMode::None {
        return close(scene, run, DeliveryStatus::NotRequested, None).await;
    }
    let text = match &run.answer {
        Some(answer) => load_text(scene.deps, key, answer).await?,
        None => String::new(),
    };
    let text = match deliverable(&text) {
        Ok(text) => text.to_owned(),
        Err(reason) => return close(scene, run, DeliveryStatus::Suppressed, Some(reason.to_owned())).await,
    };
    let Some(target) = run.plan.as_ref().and_then(|plan| plan.target.clone()) else {
        let reason = "the target could not be resolved".to_owned();
        return close(scene, run, DeliveryStatus::Failed, Some(reason)).await;
    };
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
    let body = if mode == DeliveryMode::Webhook { event::finished(&run, &text, now).to_string() } else { text.clone() };
    let begun = scene.deps.store.chunks(&run.key, FINAL).await?;
    if let Some(reason) = unwanted(scene, &run, &begun).await? {
        return close(scene, run, DeliveryStatus::Suppressed, Some(reason.to_owned())).await;
    }
    let chunks = planned(scene, &run, begun, channel.as_ref(), &target, &body).await?;
    match send_all(scene, channel, chunks).await? {
        Sending::Over(chunks) => {
            let status = verdict(&chunks);
            let note = chunks.iter().find_map(|chunk| trouble(&chunk.state));
            close_announced(scene, run, status, note, &text).await
        }
        Sending::Later(at) => later(scene, run, at).await,
        Sending::Taken => Ok(Delivered::Nothing),
    }
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

/// The rows of the run's delivery, written now where they are not there yet. Rendering is deterministic, so a repeat
/// plans the same rows.
async fn planned(
    scene: Scene<'_>,
    run: &Run,
    mut chunks: Vec<Chunk>,
    channel: &dyn Channel,
    target: &Target,
    body: &str,
) -> Result<Vec<Chunk>, EngineError> {
    if chunks.first().is_some_and(|chunk| chunk.of as usize == chunks.len()) {
        return Ok(chunks);
    }
    let rendered = channel.render(body);
    let of = u32::try_from(rendered.len()).unwrap_or(u32::MAX);
    let missing: Vec<Chunk> = (0..of)
        .zip(rendered)
        .skip(chunks.len())
        .map(|(index, Rendered { text, plain })| Chunk {
            run: run.key.clone(),
            origin: FINAL.to_owned(),
            index,
            of,
            target: target.clone(),
            text,
            plain,
            state: ChunkState::Planned,
            attempts: 0,
            rev: 1,
        })
        .collect();
    let expires_at = scene.deps.clock.now() + run_retention(scene);
    for some in missing.chunks(PLAN_BATCH) {
        let writes: Vec<Write<'_>> = some.iter().map(|chunk| Write::Chunk { chunk, expires_at }).collect();
        scene.deps.store.commit(&writes).await?;
    }
    chunks.extend(missing);
    Ok(chunks)
}

enum Sending {
    Over(Vec<Chunk>),
    Later(DateTime<Utc>),
    /// Somebody else moved a row: he delivers.
    Taken,
}

/// Sends what may be sent, in order. After an unknown chunk the rest is sent; after a refused one it is not.
async fn send_all(scene: Scene<'_>, channel: Arc<dyn Channel>, mut chunks: Vec<Chunk>) -> Result<Sending, EngineError> {
    let expires_at = scene.deps.clock.now() + run_retention(scene);
    let mut later: Option<DateTime<Utc>> = None;
    for chunk in &mut chunks {
        let now = scene.deps.clock.now();
        match step(chunk, now, channel.dedupes()) {
            Step::Done => {}
            // What comes after a chunk that waits must wait too, or the answer arrives out of order.
            Step::Wait(at) => {
                later = Some(at);
                break;
            }
            Step::GiveUpUnknown => {
                let error = "the attempt was cut off before its outcome was known".to_owned();
                chunk.state = ChunkState::Unknown { at: now, error };
                chunk.rev += 1;
                if !written(scene, chunk, expires_at).await? {
                    return Ok(Sending::Taken);
                }
            }
            Step::Send => {
                chunk.state = ChunkState::Sending { at: now };
                chunk.attempts += 1;
                chunk.rev += 1;
                if !written(scene, chunk, expires_at).await? {
                    return Ok(Sending::Taken);
                }
                chunk.state = send(scene, channel.as_ref(), chunk, now).await;
                chunk.rev += 1;
                if !written(scene, chunk, expires_at).await? {
                    return Ok(Sending::Taken);
                }
                let again = retry_of(chunk, scene.deps.clock.now(), channel.dedupes());
                if again.is_some() {
                    later = again;
                    break;
                }
            }
        }
        if matches!(chunk.state, ChunkState::Refused { .. }) {
            break;
        }
    }
    Ok(later.map_or(Sending::Over(chunks), Sending::Later))
}

async fn written(scene: Scene<'_>, chunk: &Chunk, expires_at: DateTime<Utc>) -> Result<bool, EngineError> {
    Ok(scene.deps.store.commit(&[Write::Chunk { chunk, expires_at }]).await? == Outcome::Applied)
}

/// One send, and what its outcome means for the row.
async fn send(scene: Scene<'_>, channel: &dyn Channel, chunk: &Chunk, now: DateTime<Utc>) -> ChunkState {
    let body = Rendered { text: chunk.text.clone(), plain: chunk.plain.clone() };
    let key = chunk.idempotency_key();
    let outgoing = Outgoing { target: &chunk.target, body: &body, idempotency_key: &key };
    let answer = channel.send(&outgoing, now + SEND_TIMEOUT).await;
    let at = scene.deps.clock.now();
    match answer {
        Ok(sent) => {
            info!(run.id = %chunk.run, "chunk {} of run {} is sent as {}", chunk.index, chunk.run, sent.message_id);
            ChunkState::Sent { message_id: sent.message_id, at }
        }
        Err(SendError { kind, message, retry_after }) => {
            warn!(run.id = %chunk.run, "chunk {} of run {} was not sent: {message}", chunk.index, chunk.run);
            match kind {
                SendErrorKind::Refused => ChunkState::Refused { error: message },
                SendErrorKind::Unknown => ChunkState::Unknown { at: now, error: message },
                SendErrorKind::NotTaken => match resend_delay(chunk.attempts, retry_after) {
                    Some(wait) => ChunkState::Failed { retry_at: at + wait, error: message },
                    None => ChunkState::Refused { error: message },
                },
            }
        }
    }
}

/// The wait after attempt number `attempts`, or `None` when there were enough.
fn resend_delay(attempts: u32, asked: Option<TimeDelta>) -> Option<TimeDelta> {
    let step = RESEND_LADDER_S.get((attempts.max(1) - 1) as usize).copied()?;
    Some(TimeDelta::seconds(step).max(asked.unwrap_or_default()))
}

/// When a chunk that was just tried is tried again.
fn retry_of(chunk: &Chunk, now: DateTime<Utc>, dedupes: Option<TimeDelta>) -> Option<DateTime<Utc>> {
    match &chunk.state {
        ChunkState::Failed { retry_at, .. } => Some(*retry_at),
        ChunkState::Unknown { at, .. } => {
            let again = now + TimeDelta::seconds(RESEND_LADDER_S[0]);
            let safe = dedupes.is_some_and(|window| again - *at < window);
            (safe && chunk.attempts < MAX_SEND_ATTEMPTS).then_some(again)
        }
        ChunkState::Planned | ChunkState::Sending { .. } | ChunkState::Sent { .. } | ChunkState::Refused { .. } => None,
    }
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
    mut run: Run,
    status: DeliveryStatus,
    note: Option<String>,
) -> Result<Delivered, EngineError> {
    run.delivery_note = note;
    apply(scene, &run, Event::Delivered(status), Along::default()).await?;
    Ok(Delivered::Closed(status))
}

/// Closes a run whose answer went out, with a short summary for the agent's main session.
async fn close_announced(
    scene: Scene<'_>,
    mut run: Run,
    status: DeliveryStatus,
    note: Option<String>,
    text: &str,
) -> Result<Delivered, EngineError> {
    run.delivery_note = note;
    let announced = run.delivery.as_ref().is_some_and(|delivery| delivery.mode == DeliveryMode::Announce);
    let summary = format!("Cron: {}", shorten(text));
    let event = announced.then(|| system_event(scene, &run, summary));
    let along = Along { event: event.as_ref(), ..Along::default() };
    apply(scene, &run, Event::Delivered(status), along).await?;
    Ok(Delivered::Closed(status))
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
