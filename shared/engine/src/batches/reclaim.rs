//! A run that still waits for a batch which is over: its outcome is read once more.
//!
//! Guarantee: what was paid is used, not bought again. The run goes on with the row that the batch has for it; only a batch
//! without such a row, or one that never came to be, sends it on to another attempt. A row that is there and cannot be read
//! ends it.

use chrono::{DateTime, Utc};
use futures::StreamExt;
use nightshift_domain::batch::{Batch, BatchState, Member};
use nightshift_domain::model::ModelErrorKind;
use nightshift_domain::run::{Event, RowResult, Run, State};

use crate::error::EngineError;
use crate::ports::{Batches, ModelError};
use crate::runs::Scene;

use super::{BELIEVED_GONE_AFTER, settle, tell};

/// Gives `run`, which is in a batch that is settled or gone, the outcome it missed.
///
/// # Crash safety
/// As when a batch is settled: the outcome is booked with the transition it causes, and a repeat finds the run moved on.
pub(crate) async fn reclaim(scene: Scene<'_>, run: &Run) -> Result<(), EngineError> {
    let Some(member) = membership(run) else { return Ok(()) };
    let Some(id) = run.state.batch() else { return Ok(()) };
    let Some(batch) = scene.deps.store.batch(id).await? else { return tell(scene, run, Event::BatchLost).await };
    let now = scene.deps.clock.now();
    if super::is_left_out(scene, &run.key, &batch).await? {
        return super::left_out::put_back(scene, &run.key, id).await;
    }
    let remote = match &batch.state {
        BatchState::Settled { remote: Some(remote) } => remote.clone(),
        BatchState::Settled { remote: None } => return tell(scene, run, Event::BatchLost).await,
        BatchState::Sealing { .. } | BatchState::Creating | BatchState::Open { .. } | BatchState::Canceling { .. } => {
            return Ok(());
        }
    };
    let opened = scene.deps.models.open(scene.config, &batch.provider).await;
    let opened = opened.map_err(|error| EngineError::Secret(error.to_string()))?;
    let unread = |why: String| EngineError::Secret(format!("the results of batch {remote} cannot be read: {why}"));
    let batches = opened.model.batches().ok_or_else(|| unread("its provider has no batches any more".to_owned()))?;
    let result = match row(batches, &remote, &member).await {
        Ok(Ok(found)) => found,
        // Nothing but the provider can say that there is no such row, or no such batch.
        not_found => match (batches.retrieve(&remote).await, not_found) {
            (Ok(view), Ok(Err(lines))) if lines >= view.rows => RowResult::Missing,
            (Ok(_), _) if now >= given_up_at(run, &batch) => RowResult::Unreadable,
            (Err(error), _)
                if error.kind == ModelErrorKind::NotFound && now >= batch.started_at + BELIEVED_GONE_AFTER =>
            {
                RowResult::Missing
            }
            (_, Err(error)) | (Err(error), _) => return Err(unread(error.to_string())),
            (Ok(view), Ok(_)) => return Err(unread(format!("{} rows are not all there", view.rows))),
        },
    };
    Box::pin(settle::hand_one(scene, &batch, &member, result)).await
}

/// Which row of its batch is the run's.
fn membership(run: &Run) -> Option<Member> {
    match &run.state {
        State::Submitting { hop, attempt, .. }
        | State::Submitted { hop, attempt, .. }
        | State::Canceling { hop, attempt, .. } => Some(Member { run: run.key.clone(), hop: *hop, attempt: *attempt }),
        State::Due
        | State::Waiting { .. }
        | State::Running { .. }
        | State::Tools { .. }
        | State::Paused { .. }
        | State::Ready { .. }
        | State::Delivering
        | State::Succeeded
        | State::DeliveryFailed
        | State::DeliveryUnknown
        | State::Failed { .. }
        | State::Skipped { .. }
        | State::Canceled => None,
    }
}

/// Until when the row is sought: as long as it is while the batch is settled, and as long as its run has time.
fn given_up_at(run: &Run, batch: &Batch) -> DateTime<Utc> {
    let sought = batch.ended_at.unwrap_or(batch.started_at + BELIEVED_GONE_AFTER) + settle::GIVEN_UP_AFTER;
    run.plan.as_ref().map_or(sought, |plan| sought.max(plan.deadline))
}

/// The outcome that the batch has for `member`, or how many lines it has without one.
async fn row(batches: &dyn Batches, remote: &str, member: &Member) -> Result<Result<RowResult, u64>, ModelError> {
    let wanted = member.custom_id();
    let mut lines = batches.results(remote).await?;
    let mut count = 0;
    while let Some(line) = lines.next().await {
        let line = line?;
        if line.custom_id == wanted {
            return Ok(Ok(line.result));
        }
        count += 1;
    }
    Ok(Err(count))
}
