//! Looks after batches: finds those whose create was not answered, polls the open ones, hands out what they bring.
//!
//! Guarantee: a batch is created at most once per intent; every row's outcome is applied to its run once, however often
//! the results are read; a poll chain that breaks stands in the due index. A nudge says where to look, never what changed.

mod create;
mod crowd;
mod launch;
mod left_out;
mod reclaim;
pub(crate) mod roll;
mod seal;
mod search;
mod settle;
#[cfg(test)]
mod tests;
mod unused;

pub(crate) use reclaim::reclaim;
pub use unused::{Unused, unused};

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::batch::{Batch, BatchState, CLOCK_SKEW, CREATE_TIMEOUT, Member, Roll};
use nightshift_domain::metrics;
use nightshift_domain::model::ModelErrorKind;
use nightshift_domain::run::{Event, Run, State};
use nightshift_domain::{AttemptId, RunKey};
use tracing::{debug, info, warn};

use crate::error::EngineError;
use crate::ports::{BatchView, Batches, Outcome, StoreErrorKind, Write};
use crate::runs::Scene;
use crate::runs::commit::{Along, MAX_RACES, Moved, apply, run_retention};
use crate::runs::submit::arm_poll;

pub(crate) use create::post;
pub(crate) use left_out::{fixed, is_left_out};
pub use seal::{Sealed, seal};

/// How long a batch is waited for that cannot be looked at: it lives 24 hours at most, and 404s within its life have been seen
/// to pass.
const BELIEVED_GONE_AFTER: TimeDelta = TimeDelta::hours(25);
/// For how long at least the provider has to answer that it knows no such batch.
const NOT_FOUND_FOR: TimeDelta = TimeDelta::hours(1);
/// How long results can be had, from the create on (batch-processing page, 2026-10).
const RESULTS_KEPT: TimeDelta = TimeDelta::days(29);
/// How often a batch is looked for that nobody waits for any more and that may have answers which were paid.
const LOOKED_FOR_EVERY: TimeDelta = TimeDelta::hours(6);
/// Members that are asked before one that stays ends the question.
const ASKED_AT_ONCE: usize = 64;

/// What a look at a batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled {
    /// It was over, or never was.
    Nothing,
    /// This nudge was an old one: a younger poll is armed.
    Stale,
    /// It goes on; the next poll is armed.
    Open {
        /// When.
        next: DateTime<Utc>,
    },
    /// It ended and its rows were handed out.
    Settled {
        /// How many.
        rows: usize,
    },
}

/// Looks at the batch `id`. `n` is the poll's number, or `None` for a look out of turn (the sweeper, a dead lease).
///
/// # Crash safety
/// The next timer is armed before the row that names it is written, under a name that holds its number. Stopped in
/// between, the armed timer is a younger one than the row knows, and its poll does the same again.
pub async fn poll(scene: Scene<'_>, id: &AttemptId, n: Option<u32>) -> Result<Polled, EngineError> {
    let now = scene.deps.clock.now();
    let Some(batch) = scene.deps.store.batch(id).await? else { return Ok(Polled::Nothing) };
    if matches!(batch.state, BatchState::Settled { .. }) {
        return Ok(Polled::Nothing);
    }
    if n.is_some_and(|n| n < batch.polls) {
        return Ok(Polled::Stale);
    }
    if matches!(batch.state, BatchState::Sealing { .. }) {
        return Box::pin(seal::go_on(scene, batch, now)).await;
    }
    let opened = match scene.deps.models.open(scene.config, &batch.provider).await {
        Ok(opened) => opened,
        Err(error) => {
            warn!(batch.attempt = %id, "cannot look at batch {id}: {error}");
            return out_of_reach(scene, batch, now).await;
        }
    };
    let Some(batches) = opened.model.batches() else { return out_of_reach(scene, batch, now).await };
    match batch.state.remote().map(str::to_owned) {
        // Its create may be on its way yet.
        None if now < batch.started_at + CREATE_TIMEOUT + CLOCK_SKEW => rearm(scene, &batch, now).await,
        None => Box::pin(search::look(scene, batches, batch, now)).await,
        // Out of turn somebody has a reason to come; a wish to stop that never reached the batch may be it.
        Some(remote) => look(scene, batches, batch, &remote, n.is_none(), now).await,
    }
}

/// Looks at a batch whose id is known.
async fn look(
    scene: Scene<'_>,
    batches: &dyn Batches,
    mut batch: Batch,
    remote: &str,
    out_of_turn: bool,
    now: DateTime<Utc>,
) -> Result<Polled, EngineError> {
    if batch.is_tentative() && belongs_to_another(scene, &batch, remote).await? {
        return settle::disown(scene, batch, remote, now).await;
    }
    let view = match batches.retrieve(remote).await {
        Ok(view) => view,
        Err(error) => {
            debug!(batch.id = remote, "batch {remote} did not answer: {error}");
            if error.kind == ModelErrorKind::NotFound {
                return not_found(scene, batch, now).await;
            }
            let passes = error.kind.is_transient();
            return if passes { rearm(scene, &batch, now).await } else { out_of_reach(scene, batch, now).await };
        }
    };
    batch.not_found_since = None;
    if view.ended {
        return Box::pin(settle::settle(scene, batches, batch, &view, out_of_turn, now)).await;
    }
    if batch.untold {
        // Those that could not be told are told at the next look; the others do not wait for it.
        batch.untold =
            launch::announce(scene, &batch, Vec::new()).await.inspect_err(|error| go_on(&batch, error)).is_err();
    }
    insist(batches, &batch, &view).await;
    // Whatever fails from here on has to leave the chain of polls whole: it is what the members have.
    let looked_after = look_after_wishes(scene, batches, batch.clone(), &view, out_of_turn, now).await;
    let batch = looked_after.inspect_err(|error| go_on(&batch, error)).unwrap_or(batch);
    rearm(scene, &batch, now).await
}

/// What failed in a look is tried again by the next.
fn go_on(batch: &Batch, error: &EngineError) {
    let id = &batch.id;
    warn!(batch.attempt = %id, "the look at batch {id} was not whole, and the next makes up for it: {}", error.chain());
}

/// Passes over a member whose row cannot be read; any other failure stays one.
pub(super) fn beyond_repair(error: EngineError) -> Result<(), EngineError> {
    if !is_corrupt(&error) {
        return Err(error);
    }
    warn!("a member of a batch is passed over: {}", error.chain());
    Ok(())
}

/// Tells the batch to stop where nobody waits for it any more.
async fn look_after_wishes(
    scene: Scene<'_>,
    batches: &dyn Batches,
    batch: Batch,
    view: &BatchView,
    out_of_turn: bool,
    now: DateTime<Utc>,
) -> Result<Batch, EngineError> {
    if !matches!(batch.state, BatchState::Open { .. }) {
        return Ok(batch);
    }
    if now >= batch.deadline {
        return give_up(scene, batches, batch, view, now).await;
    }
    if out_of_turn && all_leave(scene, &batch).await? {
        return stop(scene, batches, batch, &view.remote, now).await;
    }
    Ok(batch)
}

/// Whether what failed is a row that cannot be read: no repeat mends that, and its batch must not wait for it.
fn is_corrupt(error: &EngineError) -> bool {
    matches!(error, EngineError::Store(error) if error.kind == StoreErrorKind::Corrupt)
}

/// Whether the batch that was taken for this intent's was meanwhile recorded by the one that created it.
async fn belongs_to_another(scene: Scene<'_>, batch: &Batch, remote: &str) -> Result<bool, EngineError> {
    let owner = scene.deps.store.batch_by_remote(remote).await?;
    Ok(owner.is_some_and(|owner| owner != batch.id))
}

/// The provider knows no such batch. Within its life that has been seen to pass; later its members are told that it is gone.
async fn not_found(scene: Scene<'_>, mut batch: Batch, now: DateTime<Utc>) -> Result<Polled, EngineError> {
    let since = *batch.not_found_since.get_or_insert(now);
    // One that was seen to have ended has its answers somewhere: they are not bought again.
    if batch.ended_at.is_some() {
        return out_of_reach(scene, batch, now).await;
    }
    if now < (batch.started_at + BELIEVED_GONE_AFTER).max(batch.deadline).max(since + NOT_FOUND_FOR) {
        return rearm(scene, &batch, now).await;
    }
    warn!(batch.attempt = %batch.id, "batch {} is not to be found any more", batch.id);
    settle::missing(scene, batch, now).await
}

/// The batch cannot be looked at, or its results cannot be had: its provider is gone from the configuration, its key is
/// refused. That may be mended, and is waited for as long as the batch itself can live; then the members whose time is up are
/// told that nobody knows. The answers may be there, and paid: they are never asked for again, and the batch is looked for
/// as long as they can be had, so that they are booked at least.
///
/// # Crash safety
/// The next look is armed and written before the first member is told; a member that was told finds itself elsewhere.
pub(super) async fn out_of_reach(scene: Scene<'_>, batch: Batch, now: DateTime<Utc>) -> Result<Polled, EngineError> {
    let until = batch.ended_at.map_or(batch.started_at + BELIEVED_GONE_AFTER, |seen| seen + settle::GIVEN_UP_AFTER);
    if now < until {
        return rearm(scene, &batch, now).await;
    }
    if batch.state.remote().is_none() {
        if now < batch.deadline {
            return rearm(scene, &batch, now).await;
        }
        warn!(batch.attempt = %batch.id, "batch {} was out of reach for too long", batch.id);
        return search::give_up(scene, batch, now, || Event::BatchAmbiguous).await;
    }
    if now >= batch.started_at + RESULTS_KEPT {
        return settle::unread(scene, batch, now).await;
    }
    let polled = rearm_at(scene, &batch, Some(now + LOOKED_FOR_EVERY), now).await?;
    settle::tell_unread(scene, &batch, now).await?;
    Ok(polled)
}

/// The time of some members is up: each of those wishes to leave, and a batch that all wish to leave is told to stop. While
/// others wait, the batch goes on, and its deadline is the next one's.
async fn give_up(
    scene: Scene<'_>,
    batches: &dyn Batches,
    mut batch: Batch,
    view: &BatchView,
    now: DateTime<Utc>,
) -> Result<Batch, EngineError> {
    let open = roll::open(scene.deps, &batch).await?;
    let id = &batch.id;
    let until = batch.deadline;
    // One that could not be told stays, and is asked again at the next look.
    let ask = |member: Member| async move {
        let run = member.run.clone();
        late(scene, id, member, now).await.or_else(|error| Ok((!unasked(&run, &error)).then_some(until)))
    };
    let waiting = crowd::each(open, |member| Box::pin(ask(member))).await.all()?;
    if let Some(next) = waiting.into_iter().flatten().min() {
        debug!(batch.id = view.remote, "batch {} goes on for its other members", view.remote);
        batch.deadline = next;
        return Ok(batch);
    }
    // The wishes are in the rows; telling the batch is done once for all members.
    stop(scene, batches, batch, &view.remote, now).await
}

/// A member could not be asked: whether it is for good, its row being spoilt, so that it does not stay.
fn unasked(run: &RunKey, error: &EngineError) -> bool {
    warn!(run.id = %run, "member {run} of a batch could not be asked: {}", error.chain());
    is_corrupt(error)
}

/// Notes the wish of a member whose time is up; answers until when it waits where it does.
async fn late(
    scene: Scene<'_>,
    id: &AttemptId,
    member: Member,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, EngineError> {
    let Some(run) = scene.deps.store.run(&member.run).await?.filter(|run| in_batch(run, id)) else { return Ok(None) };
    let deadline = run.plan.as_ref().map_or(now, |plan| plan.deadline);
    let submitted = matches!(run.state, State::Submitted { .. });
    if submitted && deadline <= now && apply(scene, &run, Event::DeadlinePassed, Along::default()).await?.is_some() {
        return Ok(None);
    }
    Ok((!matches!(run.state, State::Canceling { .. })).then_some(deadline))
}

/// Whether every member that is still in the batch wishes to leave it.
async fn all_leave(scene: Scene<'_>, batch: &Batch) -> Result<bool, EngineError> {
    let id = &batch.id;
    let stays = |member: Member| async move {
        match scene.deps.store.run(&member.run).await {
            Ok(run) => Ok(run.is_some_and(|run| in_batch(&run, id) && !matches!(run.state, State::Canceling { .. }))),
            Err(error) => Ok(!unasked(&member.run, &error.into())),
        }
    };
    for some in roll::open(scene.deps, batch).await?.chunks(ASKED_AT_ONCE) {
        if crowd::each(some.to_vec(), |member| Box::pin(stays(member))).await.all()?.contains(&true) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a batch is to be told to stop: everybody in it wishes to leave, and it is ours beyond doubt or nothing else uses
/// its workspace.
pub(crate) async fn may_stop(scene: Scene<'_>, batch: &Batch) -> Result<bool, EngineError> {
    Ok((!batch.is_tentative() || is_alone(scene, &batch.provider)) && all_leave(scene, batch).await?)
}

/// Whether nothing but this product uses the provider's workspace.
pub(crate) fn is_alone(scene: Scene<'_>, provider: &str) -> bool {
    scene.config.provider(provider).is_some_and(|provider| provider.dedicated_workspace)
}

/// The first of those that are listed in the batch's own row and not over, at most `most`.
pub(crate) fn some_members(batch: &Batch, most: usize) -> Vec<RunKey> {
    let Roll::Listed(members) = &batch.members else { return Vec::new() };
    let open = members.iter().enumerate().filter(|(at, _)| !batch.settled.has(*at));
    open.take(most).map(|(_, member)| member.run.clone()).collect()
}

/// Writes that the batch is to stop, then tells it. A batch that was only guessed to be ours is left alone, unless nothing
/// else uses the workspace: it may be somebody else's.
///
/// # Crash safety
/// Stopped between the two, the next poll sees a batch that should be stopping and is not, and tells it again. A poll that
/// writes the row meanwhile is waited out: the wish is written to whatever it left.
async fn stop(
    scene: Scene<'_>,
    batches: &dyn Batches,
    mut batch: Batch,
    remote: &str,
    now: DateTime<Utc>,
) -> Result<Batch, EngineError> {
    let alone = is_alone(scene, &batch.provider);
    for _ in 0..MAX_RACES {
        if !matches!(batch.state, BatchState::Open { .. }) || (batch.is_tentative() && !alone) {
            return Ok(batch);
        }
        let mut stopping = batch.clone();
        // Told to stop on a guess, it stays one: its results have still to prove it.
        stopping.state = BatchState::Canceling { remote: remote.to_owned(), adopted: batch.is_tentative() };
        stopping.stopped_at_poll = Some(batch.polls);
        stopping.rev += 1;
        if save(scene, &stopping, now).await? {
            info!(batch.id = remote, "batch {remote} is told to stop");
            if let Err(error) = batches.cancel(remote).await {
                warn!(
                    batch.id = remote,
                    "telling batch {remote} to stop failed: {error}; the next poll tells it again"
                );
            }
            return Ok(stopping);
        }
        let Some(again) = scene.deps.store.batch(&batch.id).await? else { return Ok(batch) };
        batch = again;
    }
    Err(EngineError::Contended { subject: format!("batch {}", batch.id), times: MAX_RACES })
}

/// Tells a batch once more that was to stop before this look and is not stopping.
async fn insist(batches: &dyn Batches, batch: &Batch, view: &BatchView) {
    if matches!(batch.state, BatchState::Canceling { .. })
        && !view.canceling
        && let Err(error) = batches.cancel(&view.remote).await
    {
        warn!(batch.id = view.remote, "telling batch {} to stop failed: {error}", view.remote);
    }
}

/// A member wishes to leave: the batch is told to stop when every live member does, and looked at soon.
///
/// # Crash safety
/// As [`stop`] and [`rearm`], one after the other: stopped between the two, the poll that was armed before is the next look.
pub(crate) async fn request_cancel(scene: Scene<'_>, id: &AttemptId) -> Result<(), EngineError> {
    let Some(batch) = scene.deps.store.batch(id).await? else { return Ok(()) };
    let BatchState::Open { remote, .. } = &batch.state else { return Ok(()) };
    let remote = remote.clone();
    if !all_leave(scene, &batch).await? {
        debug!(batch.id = remote, "batch {remote} goes on for its other members");
        return Ok(());
    }
    let opened = match scene.deps.models.open(scene.config, &batch.provider).await {
        Ok(opened) => opened,
        Err(error) => {
            warn!(batch.id = remote, "cannot stop batch {remote}: {error}");
            return Ok(());
        }
    };
    if let Some(batches) = opened.model.batches() {
        let now = scene.deps.clock.now();
        let batch = stop(scene, batches, batch, &remote, now).await?;
        // It ends within minutes, and its next poll may be a quarter of an hour away. That one is armed in any case, and where
        // rows are handed out already, whoever does so names the next.
        if matches!(batch.state, BatchState::Canceling { .. })
            && batch.ended_at.is_none()
            && batch.settled.count() == 0
            && let Err(error) = rearm(scene, &batch, now).await
        {
            warn!(batch.id = remote, "batch {remote} is looked at no sooner than before: {}", error.chain());
        }
    }
    Ok(())
}

/// Arms the next poll and writes the row that names it.
pub(super) async fn rearm(scene: Scene<'_>, batch: &Batch, now: DateTime<Utc>) -> Result<Polled, EngineError> {
    rearm_at(scene, batch, None, now).await
}

/// The same, with the poll at `at` where that is later than the ladder's next step.
async fn rearm_at(
    scene: Scene<'_>,
    batch: &Batch,
    at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Polled, EngineError> {
    let mut next = batch.next_poll(now);
    next.next_poll_at = next.next_poll_at.max(at.unwrap_or(next.next_poll_at));
    next.checked_at = Some(now);
    arm_poll(scene, &next).await?;
    if scene.deps.store.commit(&[Write::BatchPolled(&next)]).await? == Outcome::Applied {
        scene.deps.measure(&metrics::polled(&next));
    } else {
        debug!(batch.attempt = %batch.id, "somebody else looked after batch {} meanwhile", batch.id);
    }
    Ok(Polled::Open { next: next.next_poll_at })
}

/// Writes a batch; `false` when somebody moved it first.
pub(super) async fn save(scene: Scene<'_>, batch: &Batch, now: DateTime<Utc>) -> Result<bool, EngineError> {
    let settled = matches!(batch.state, BatchState::Settled { .. });
    let expires_at = settled.then(|| now + run_retention(scene));
    Ok(scene.deps.store.commit(&[Write::Batch { batch, expires_at }]).await? == Outcome::Applied)
}

/// Looks at the batch that `run` says it is in, for a run that stood still. One that was taken into the batch too late, when
/// the create had been written without it, is ready again: nothing was sent for it.
///
/// # Crash safety
/// One conditional write of the run; the look at the batch is [`poll`]'s.
pub async fn look_after(scene: Scene<'_>, key: &RunKey, id: &AttemptId) -> Result<Polled, EngineError> {
    left_out::put_back(scene, key, id).await?;
    poll(scene, id, None).await
}

/// Whether `run` is in this very batch, and not in a later attempt.
pub(super) fn in_batch(run: &Run, id: &AttemptId) -> bool {
    run.state.batch() == Some(id)
}

/// Applies `event` to a member's run and performs what follows. A run that somebody moved meanwhile and that is still in its
/// batch (a wish to stop it, say) is told as it stands then: nobody comes back to tell it.
pub(super) async fn tell(scene: Scene<'_>, run: &Run, event: Event) -> Result<(), EngineError> {
    let mut run = run.clone();
    for _ in 0..MAX_RACES {
        if let Some(Moved { run, effects }) = apply(scene, &run, event.clone(), Along::default()).await? {
            // A member that goes on starts another hop or batch: boxed, because driving may come back here.
            return Box::pin(crate::runs::drive(scene, run, effects)).await;
        }
        match scene.deps.store.run(&run.key).await? {
            Some(again) if again.rev != run.rev && again.state.batch() == run.state.batch() => run = again,
            // It is elsewhere by now, or the event does not concern it.
            Some(_) | None => return Ok(()),
        }
    }
    Err(EngineError::Contended { subject: format!("run {}", run.key), times: MAX_RACES })
}
