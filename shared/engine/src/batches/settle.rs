//! A batch has ended: every row's outcome goes to its run.

use chrono::{DateTime, Utc};
use futures::StreamExt;
use nightshift_domain::batch::{Batch, BatchState, Member, place_of};
use nightshift_domain::run::{Event, RowResult, Run, State};
use tracing::{debug, info, warn};

use crate::error::EngineError;
use crate::ports::{Batches, ResultLine};
use crate::runs::booking::late_row;
use crate::runs::{Scene, absorb};

use super::{Polled, in_batch, out_of_reach, rearm, roll, save, tell};

/// Streams the results and hands each row to its run.
///
/// # Crash safety
/// A row is booked with the transition it causes, in one conditional write, so reading the results again changes nothing.
/// The batch is settled last; stopped before that, the next poll reads them again.
pub(super) async fn settle(
    scene: Scene<'_>,
    batches: &dyn Batches,
    mut batch: Batch,
    remote: &str,
    now: DateTime<Utc>,
) -> Result<Polled, EngineError> {
    let mut lines = match batches.results(remote).await {
        Ok(lines) => lines,
        Err(error) => {
            // Results have been seen to be missing right after the end; that passes.
            warn!(batch.id = remote, "the results of batch {remote} cannot be read yet: {error}");
            return out_of_reach(scene, batch, now).await;
        }
    };
    let members = roll::members(scene.deps, &batch).await?;
    let mut rows = 0;
    let mut foreign = 0;
    while let Some(line) = lines.next().await {
        let ResultLine { custom_id, result } = match line {
            Ok(line) => line,
            Err(error) => {
                warn!(batch.id = remote, "the results of batch {remote} broke off: {error}");
                return out_of_reach(scene, batch, now).await;
            }
        };
        let Some(at) = place_of(&members, &custom_id) else {
            foreign += 1;
            continue;
        };
        hand_out(scene, &batch, &members[at], result, now).await?;
        batch.settled.set(at);
        rows += 1;
    }
    let adopted = matches!(batch.state, BatchState::Open { adopted: true, .. });
    if adopted && rows == 0 && foreign > 0 {
        return disown(scene, batch, remote, now).await;
    }
    if foreign > 0 {
        debug!(batch.id = remote, "batch {remote} has {foreign} rows that are not ours");
    }
    finish(scene, batch, &members, Some(remote), rows, now).await
}

/// The batch is gone, and so is whatever it would have brought.
pub(super) async fn missing(scene: Scene<'_>, batch: Batch, now: DateTime<Utc>) -> Result<Polled, EngineError> {
    let remote = batch.state.remote().map(str::to_owned);
    let members = roll::members(scene.deps, &batch).await?;
    finish(scene, batch, &members, remote.as_deref(), 0, now).await
}

/// Members without a row are told so; then the batch is settled.
async fn finish(
    scene: Scene<'_>,
    mut batch: Batch,
    members: &[Member],
    remote: Option<&str>,
    rows: usize,
    now: DateTime<Utc>,
) -> Result<Polled, EngineError> {
    for (at, member) in members.iter().enumerate() {
        if !batch.settled.has(at) {
            hand_out(scene, &batch, member, RowResult::Missing, now).await?;
            batch.settled.set(at);
        }
    }
    batch.state = BatchState::Settled { remote: remote.map(str::to_owned) };
    batch.checked_at = Some(now);
    batch.rev += 1;
    if save(scene, &batch, now).await? {
        info!(batch.attempt = %batch.id, "batch {} is settled with {rows} rows", batch.id);
    }
    Ok(Polled::Settled { rows })
}

pub(super) async fn hand_out(
    scene: Scene<'_>,
    batch: &Batch,
    member: &Member,
    result: RowResult,
    now: DateTime<Utc>,
) -> Result<(), EngineError> {
    let found = scene.deps.store.run(&member.run).await?;
    let Some(run) = found.as_ref().filter(|run| in_batch(run, &batch.id)) else {
        return late_row(scene, batch, member, found.as_ref(), &result).await;
    };
    let run = recorded(scene, run.clone(), batch).await?;
    let Some(run) = run else { return Ok(()) };
    let run = match &result {
        RowResult::Succeeded(reply) => absorb(scene, &run, member.hop, reply, Some(&batch.id), now).await?,
        RowResult::Errored { .. } | RowResult::Canceled | RowResult::Expired | RowResult::Missing => run,
    };
    tell(scene, &run, Event::BatchEnded(result)).await
}

/// A run whose batch is known although the run itself was not told yet: a stop between the members of an adoption.
async fn recorded(scene: Scene<'_>, run: Run, batch: &Batch) -> Result<Option<Run>, EngineError> {
    let (State::Submitting { .. }, Some(remote)) = (&run.state, batch.state.remote()) else { return Ok(Some(run)) };
    let event = Event::BatchCreated { remote: remote.to_owned() };
    let moved = crate::runs::commit::apply(scene, &run, event, crate::runs::commit::Along::default()).await?;
    Ok(moved.map(|moved| moved.run))
}

/// A batch that was taken for ours is somebody else's: back to the search, without it.
///
/// # Crash safety
/// The runs stay where they are, in this intent; only the batch's row changes, with one write.
pub(super) async fn disown(
    scene: Scene<'_>,
    mut batch: Batch,
    remote: &str,
    now: DateTime<Utc>,
) -> Result<Polled, EngineError> {
    warn!(batch.id = remote, "batch {remote} is not {}: it is somebody else's", batch.id);
    batch.rejected.push(remote.to_owned());
    batch.state = BatchState::Creating;
    batch.rev += 1;
    if !save(scene, &batch, now).await? {
        return Ok(Polled::Stale);
    }
    rearm(scene, &batch, now).await
}
