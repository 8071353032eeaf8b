//! A create whose answer never came: was the batch made?

use chrono::{DateTime, Utc};
use futures::StreamExt;
use nightshift_domain::batch::{
    Batch, BatchState, CLOCK_SKEW, CREATE_SETTLES_AFTER, Candidate, Member, Search, is_alike, place_of, search,
};
use nightshift_domain::model::ModelErrorKind;
use nightshift_domain::run::Event;
use tracing::{info, warn};

use crate::error::EngineError;
use crate::ports::{BatchView, Batches, ModelError};
use crate::runs::Scene;

use super::crowd::each;
use super::unused::book;
use super::{Polled, beyond_repair, in_batch, look as look_open, out_of_reach, rearm, roll, save, tell};

/// Batches asked for in one call (the API's most).
const PAGE: u32 = 1000;

/// Most batches of others that an intent remembers: its row stays small.
const MOST_REJECTED: usize = 500;

/// Looks for the batch of an intent in the provider's list.
///
/// # Crash safety
/// Reads only until it adopts or gives up, and each of those is one write.
pub(super) async fn look(
    scene: Scene<'_>,
    batches: &dyn Batches,
    batch: Batch,
    now: DateTime<Utc>,
) -> Result<Polled, EngineError> {
    let listed = match candidates(scene, batches, &batch).await? {
        Ok(listed) => listed,
        Err(error) => {
            warn!(batch.attempt = %batch.id, "listing batches failed: {error}");
            return out_of_reach(scene, batch, now).await;
        }
    };
    match search(&batch, &listed, now) {
        Search::Adopt(remote) => Box::pin(adopt(scene, batches, batch, remote, now)).await,
        Search::WaitUntil(_) => rearm(scene, &batch, now).await,
        Search::NotThere => {
            info!(batch.attempt = %batch.id, "batch {} was never created", batch.id);
            give_up(scene, batch, now, || Event::BatchLost).await
        }
        Search::Several(remotes) => Box::pin(several(scene, batches, batch, &listed, remotes, now)).await,
    }
}

async fn candidates(
    scene: Scene<'_>,
    batches: &dyn Batches,
    batch: &Batch,
) -> Result<Result<Vec<Candidate>, ModelError>, EngineError> {
    let from = batch.started_at - CLOCK_SKEW;
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = match batches.list(PAGE, after.as_deref()).await {
            Ok(page) => page,
            Err(error) => return Ok(Err(error)),
        };
        let reached_the_start = page.batches.iter().any(|view| view.created_at < from);
        for BatchView { remote, ended, created_at, rows, .. } in
            page.batches.into_iter().filter(|view| is_alike(batch, view.rows, view.created_at))
        {
            let owner = scene.deps.store.batch_by_remote(&remote).await?.filter(|owner| *owner != batch.id);
            let tentative = match &owner {
                Some(owner) => scene.deps.store.batch(owner).await?.is_some_and(|owner| owner.is_tentative()),
                None => false,
            };
            let known = owner.is_some() && !tentative;
            found.push(Candidate { remote, created_at, rows, ended, known, tentative });
        }
        match page.next_after {
            Some(next) if !reached_the_start => after = Some(next),
            Some(_) | None => return Ok(Ok(found)),
        }
    }
}

/// Takes `remote` for the batch of this intent; its results will prove it.
async fn adopt(
    scene: Scene<'_>,
    batches: &dyn Batches,
    mut batch: Batch,
    remote: String,
    now: DateTime<Utc>,
) -> Result<Polled, EngineError> {
    info!(batch.attempt = %batch.id, batch.id = remote, "batch {remote} is taken for {}", batch.id);
    let intent = batch.clone();
    batch.state = BatchState::Open { remote: remote.clone(), adopted: true };
    batch.untold = true;
    batch.rev += 1;
    if !save(scene, &batch, now).await? {
        // Another intent holds it, or somebody else looked first: the next poll judges the list anew.
        return rearm(scene, &intent, now).await;
    }
    // The look tells the members, as any look does that finds them untold.
    let Some(batch) = scene.deps.store.batch(&batch.id).await? else { return Ok(Polled::Nothing) };
    look_open(scene, batches, batch, &remote, false, now).await
}

/// Several batches could be it: those that have ended are recognised by their rows.
async fn several(
    scene: Scene<'_>,
    batches: &dyn Batches,
    mut batch: Batch,
    listed: &[Candidate],
    remotes: Vec<String>,
    now: DateTime<Utc>,
) -> Result<Polled, EngineError> {
    let mut ours = Vec::new();
    let members = roll::members(scene.deps, &batch).await?;
    for remote in &remotes {
        let ended = listed.iter().any(|one| one.remote == *remote && one.ended);
        if !ended {
            continue;
        }
        match is_ours(batches, &members, remote).await {
            Ok(true) => ours.push(remote.clone()),
            // One that is not kept is asked again.
            Ok(false) if batch.rejected.len() < MOST_REJECTED => batch.rejected.push(remote.clone()),
            Ok(false) => {}
            Err(error) => warn!(batch.id = remote, "the results of batch {remote} cannot be read: {error}"),
        }
    }
    let undecided = remotes.len() - ours.len() - remotes.iter().filter(|one| batch.rejected.contains(one)).count();
    match (ours.as_slice(), undecided) {
        ([one], _) => Box::pin(adopt(scene, batches, batch, one.clone(), now)).await,
        ([_, _, ..], _) => {
            warn!(batch.attempt = %batch.id, "which batch is {} cannot be told", batch.id);
            // Each of them was paid for, and none is used.
            for remote in &ours {
                book(scene, batches, &batch.provider, remote).await?;
            }
            give_up(scene, batch, now, || Event::BatchAmbiguous).await
        }
        // Every one of them proved to be somebody else's: it was not created after all.
        ([], 0) if now >= batch.started_at + CREATE_SETTLES_AFTER => {
            give_up(scene, batch, now, || Event::BatchLost).await
        }
        ([], 0) => rearm(scene, &batch, now).await,
        ([], _) => out_of_reach(scene, batch, now).await,
    }
}

/// Whether a batch that has ended holds our rows: its first line tells. Every batch has a line; one that shows none is not
/// there to be read yet.
async fn is_ours(batches: &dyn Batches, members: &[Member], remote: &str) -> Result<bool, ModelError> {
    let mut lines = batches.results(remote).await?;
    match lines.next().await {
        Some(Ok(line)) => Ok(place_of(members, &line.custom_id).is_some()),
        Some(Err(error)) => Err(error),
        None => {
            let message = "the results are empty".to_owned();
            Err(ModelError { kind: ModelErrorKind::Server, message, retry_after: None, request_id: None })
        }
    }
}

/// The intent came to nothing: its runs are told, then it is settled.
pub(super) async fn give_up(
    scene: Scene<'_>,
    mut batch: Batch,
    now: DateTime<Utc>,
    event: fn() -> Event,
) -> Result<Polled, EngineError> {
    let open = roll::open(scene.deps, &batch).await?;
    let (id, event) = (&batch.id, &event);
    let tell_one = |member: Member| async move {
        let run = scene.deps.store.run(&member.run).await?;
        match run.filter(|run| in_batch(run, id)) {
            Some(run) => tell(scene, &run, event()).await,
            None => Ok(()),
        }
    };
    // A row that cannot be read is told nothing, ever: the others do not wait for it.
    let told = |member: Member| async move { tell_one(member).await.or_else(beyond_repair) };
    if each(open, |member| Box::pin(told(member))).await.failed.is_some() {
        // Those that are left are told at the next look, which finds the same.
        return rearm(scene, &batch, now).await;
    }
    batch.state = BatchState::Settled { remote: None };
    batch.rev += 1;
    save(scene, &batch, now).await?;
    Ok(Polled::Settled { rows: 0 })
}
