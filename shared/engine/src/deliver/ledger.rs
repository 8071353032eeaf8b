//! The delivery ledger at work: rows for the chunks of a text, and the sends that the rows allow.
//!
//! Guarantee: at most once per chunk, visibly. The rows are written before anything is sent, and each one before and after
//! its send, so that whoever comes after a crash reads from them what is left to do. The same (run, origin) is the same
//! rows. What it does not know: what the text is, and what becomes of the run.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::RunKey;
use nightshift_domain::delivery::{
    Chunk, ChunkState, MAX_SEND_ATTEMPTS, SEND_TIMEOUT, Step, Target, overtaken, repeat_is_safe, step,
};
use tracing::{info, warn};

use crate::error::EngineError;
use crate::ports::{Channel, Outcome, Outgoing, Rendered, SendError, SendErrorKind, Write};
use crate::runs::Scene;
use crate::runs::commit::run_retention;

/// Chunks written in one transaction; DynamoDB takes 100.
const PLAN_BATCH: usize = 90;
/// Waits before a chunk that was provably not taken is tried again, seconds; the far side's own wish wins when longer.
const RESEND_LADDER_S: [i64; 5] = [60, 60, 300, 900, 3600];

/// What is sent, in the ledger's terms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    /// The run it belongs to.
    pub(crate) run: &'a RunKey,
    /// What it is of the run's output; names the rows.
    pub(crate) origin: &'a str,
    /// Where it goes.
    pub(crate) target: &'a Target,
}

/// Whether somebody comes back for what could not be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Yes: a chunk that may be tried again keeps those after it waiting.
    ComesBack,
    /// No, and at this instant he goes: what can be sent is sent by then.
    Until(DateTime<Utc>),
}

/// What sending came to.
#[derive(Debug)]
pub(crate) enum Sending {
    /// No chunk has anything left to do.
    Over(Vec<Chunk>),
    /// Some chunk may be tried again, not before that instant.
    Later(DateTime<Utc>, Vec<Chunk>),
    /// Somebody else moved a row: he delivers.
    Taken,
}

/// The rows of `part`, of which `chunks` are there; the others are written now. Rendering is deterministic, so a repeat
/// plans the same rows.
pub(crate) async fn planned(
    scene: Scene<'_>,
    part: Part<'_>,
    mut chunks: Vec<Chunk>,
    channel: &dyn Channel,
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
        .map(|(index, Rendered { text, plain, media })| Chunk {
            run: part.run.clone(),
            origin: part.origin.to_owned(),
            index,
            of,
            target: part.target.clone(),
            text,
            plain,
            media,
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

/// Sends what may be sent, in order. After an unknown chunk the rest is sent; after a refused one it is not.
///
/// # Crash safety
/// Stopped before a send's first write, the chunk is as it was; between its two writes, its outcome is unknown, and it is
/// sent again only where the channel drops the repeat. Whoever only stood still before the send lets it be: others may have
/// come by.
pub(crate) async fn send_all(
    scene: Scene<'_>,
    channel: &dyn Channel,
    mut chunks: Vec<Chunk>,
    patience: Patience,
) -> Result<Sending, EngineError> {
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
                // It stays as old as it is: nobody drops a repeat of it any more.
                chunk.state = ChunkState::Unknown { at: chunk.unsure_since().unwrap_or(now), error };
                chunk.rev += 1;
                if !written(scene, chunk, expires_at).await? {
                    return Ok(Sending::Taken);
                }
            }
            Step::Send if patience.is_over(now) => {
                later = Some(now);
                break;
            }
            Step::Send => {
                let unsure = chunk.unsure_since();
                chunk.state = ChunkState::Sending { at: unsure.unwrap_or(now) };
                chunk.attempts += 1;
                chunk.rev += 1;
                if !written(scene, chunk, expires_at).await? {
                    return Ok(Sending::Taken);
                }
                let written_at = scene.deps.clock.now();
                chunk.state = match overtaken(now, written_at, unsure, channel.dedupes()) {
                    Some(state) => state,
                    None => send(scene, channel, chunk, patience.bounds(written_at), (unsure, now)).await,
                };
                chunk.rev += 1;
                if !written(scene, chunk, expires_at).await? {
                    return Ok(Sending::Taken);
                }
                let again = retry_of(chunk, scene.deps.clock.now(), channel.dedupes(), patience);
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
    Ok(match later {
        Some(at) => Sending::Later(at, chunks),
        None => Sending::Over(chunks),
    })
}

impl Patience {
    fn is_over(self, now: DateTime<Utc>) -> bool {
        match self {
            Self::ComesBack => false,
            Self::Until(end) => end <= now,
        }
    }

    /// When a send that begins `now` is given up.
    fn bounds(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::ComesBack => now + SEND_TIMEOUT,
            Self::Until(end) => end.min(now + SEND_TIMEOUT),
        }
    }
}

async fn written(scene: Scene<'_>, chunk: &Chunk, expires_at: DateTime<Utc>) -> Result<bool, EngineError> {
    Ok(scene.deps.store.commit(&[Write::Chunk { chunk, expires_at }]).await? == Outcome::Applied)
}

/// What a chunk is, for the log: `chunk 2 of 3 of final`.
fn part(chunk: &Chunk) -> String {
    format!("chunk {} of {} of {}", chunk.index + 1, chunk.of, chunk.origin)
}

/// One send, and what its outcome means for the row: one begun at `now`, after one at `unsure` that may have been taken.
async fn send(
    scene: Scene<'_>,
    channel: &dyn Channel,
    chunk: &Chunk,
    deadline: DateTime<Utc>,
    (unsure, now): (Option<DateTime<Utc>>, DateTime<Utc>),
) -> ChunkState {
    let body = Rendered { text: chunk.text.clone(), plain: chunk.plain.clone(), media: chunk.media.clone() };
    let key = chunk.idempotency_key();
    let outgoing = Outgoing { target: &chunk.target, body: &body, idempotency_key: &key };
    let answer = channel.send(&outgoing, deadline).await.map_err(|error| error.hiding(&body));
    let at = scene.deps.clock.now();
    match answer {
        Ok(sent) => {
            // Not as what: some platforms make their ids of telephone numbers, and a receiver may say anything.
            info!(job.id = %chunk.run.job_id(), run.id = %chunk.run, attempt = chunk.attempts, "{} of run {} is sent", part(chunk), chunk.run);
            ChunkState::Sent { message_id: sent.message_id, at }
        }
        Err(SendError { kind, message, retry_after }) => {
            warn!(job.id = %chunk.run.job_id(), run.id = %chunk.run, attempt = chunk.attempts, "{} of run {} was not sent: {message}", part(chunk), chunk.run);
            match kind {
                SendErrorKind::Refused => ChunkState::Refused { error: message },
                SendErrorKind::Unknown => ChunkState::Unknown { at: unsure.unwrap_or(now), error: message },
                SendErrorKind::NotTaken => match (resend_delay(chunk.attempts, retry_after), unsure) {
                    (Some(wait), _) => ChunkState::Failed { retry_at: at + wait, error: message, unsure_since: unsure },
                    (None, Some(at)) => ChunkState::Unknown { at, error: message },
                    (None, None) => ChunkState::Refused { error: message },
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
fn retry_of(
    chunk: &Chunk,
    now: DateTime<Utc>,
    dedupes: Option<TimeDelta>,
    patience: Patience,
) -> Option<DateTime<Utc>> {
    match &chunk.state {
        ChunkState::Failed { retry_at, .. } => Some(*retry_at),
        ChunkState::Unknown { at, .. } if patience == Patience::ComesBack => {
            let again = now + TimeDelta::seconds(RESEND_LADDER_S[0]);
            (repeat_is_safe(*at, again, dedupes) && chunk.attempts < MAX_SEND_ATTEMPTS).then_some(again)
        }
        ChunkState::Unknown { .. }
        | ChunkState::Planned
        | ChunkState::Sending { .. }
        | ChunkState::Sent { .. }
        | ChunkState::Refused { .. } => None,
    }
}
