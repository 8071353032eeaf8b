//! Gives back runs that say they are in a batch whose members were fixed without them.
//!
//! Guarantee: only a run that nobody wrote down as a member is given back, and only while it waits for the create; as long as it is
//! not fixed who is in the batch, nothing is done.

use std::collections::HashSet;

use nightshift_domain::batch::{Batch, BatchState};
use nightshift_domain::run::{Event, State};
use nightshift_domain::{AttemptId, RunKey};
use tracing::info;

use crate::error::EngineError;
use crate::runs::Scene;

use super::crowd::each;
use super::launch::Prepared;
use super::{in_batch, roll, tell};

/// Gives `rows` back, but for those that are members.
pub(super) async fn back(scene: Scene<'_>, id: &AttemptId, rows: Vec<Prepared>) -> Result<(), EngineError> {
    if rows.is_empty() {
        return Ok(());
    }
    // Read once for all of them: the list of a large batch is megabytes.
    let Some(batch) = scene.deps.store.batch(id).await? else { return Ok(()) };
    let Some(fixed) = fixed(scene, &batch).await? else { return Ok(()) };
    let fixed = &fixed;
    let one = |row: Prepared| async move {
        if fixed.contains(&row.run.key) {
            return Ok(());
        }
        left_out(scene, &row.run.key, id).await
    };
    each(rows, |row| Box::pin(one(row))).await.all().map(drop)
}

/// The same as [`put_back`] for many.
pub(super) async fn all_back(scene: Scene<'_>, id: &AttemptId, runs: Vec<RunKey>) -> Result<(), EngineError> {
    each(runs, |run| Box::pin(async move { put_back(scene, &run, id).await })).await.all().map(drop)
}

/// Makes a run ready again that says it is in batch `id` although the create was written without it.
pub(super) async fn put_back(scene: Scene<'_>, key: &RunKey, id: &AttemptId) -> Result<(), EngineError> {
    let Some(batch) = scene.deps.store.batch(id).await? else { return Ok(()) };
    if is_left_out(scene, key, &batch).await? { left_out(scene, key, id).await } else { Ok(()) }
}

/// Makes a run ready again that batch `id` was created without, where it still says it is in it.
async fn left_out(scene: Scene<'_>, key: &RunKey, id: &AttemptId) -> Result<(), EngineError> {
    let run = scene.deps.store.run(key).await?.filter(|run| in_batch(run, id));
    let Some(run) = run.filter(|run| matches!(run.state, State::Submitting { .. })) else { return Ok(()) };
    info!(run.id = %key, batch.attempt = %id, "run {key} came too late for batch {id}, and is ready again");
    tell(scene, &run, Event::LeftOut).await
}

/// Whether the members of a batch were fixed without the run `key`.
pub(crate) async fn is_left_out(scene: Scene<'_>, key: &RunKey, batch: &Batch) -> Result<bool, EngineError> {
    Ok(fixed(scene, batch).await?.is_some_and(|fixed| !fixed.contains(key)))
}

/// Who is in a batch; `None` while that is not fixed.
pub(crate) async fn fixed(scene: Scene<'_>, batch: &Batch) -> Result<Option<HashSet<RunKey>>, EngineError> {
    if matches!(batch.state, BatchState::Sealing { .. }) {
        return Ok(None);
    }
    let members = roll::members(scene.deps, batch).await?;
    Ok(Some(members.into_iter().map(|member| member.run).collect()))
}
