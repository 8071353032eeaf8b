//! A batch has ended: every row's outcome goes to its run.

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use nightshift_domain::AttemptId;
use nightshift_domain::batch::{Batch, BatchState, Member, place_of};
use nightshift_domain::metrics;
use nightshift_domain::run::RowResult;
use tracing::{debug, info, warn};

use crate::error::EngineError;
use crate::ports::{BatchView, Batches, ResultLine};
use crate::runs::Scene;

use self::hand_out::{Count, Read, Stopped, hand_out};
use self::progress::{Kept, Progress};
use super::crowd::each;
use super::{Polled, beyond_repair, in_batch, out_of_reach, rearm, roll, save};

pub(super) use self::hand_out::hand_one;

mod hand_out;
mod progress;
#[cfg(test)]
mod tests;

/// How long at least a line that cannot be read is waited for once that was seen, where its run has less time: what is wrong
/// with results right after the end has been seen to pass in minutes.
const BELIEVED_WHOLE_AFTER: TimeDelta = TimeDelta::hours(1);
/// The same for results that cannot be had at all, or break off: the way to them may be down for long.
pub(super) const GIVEN_UP_AFTER: TimeDelta = TimeDelta::hours(6);
/// Runs looked up at once.
const AT_ONCE: usize = 16;

/// Streams the results and hands each row to its run, as many as there is time for; the next poll goes on. A poll out of
/// turn leaves a batch alone that is half settled and whose next poll is still to come.
///
/// # Crash safety
/// A row is booked with the transition it causes, in one conditional write, so reading the results again changes nothing.
/// A long batch names its next poll before the first row and its marks every so often; the batch is settled last. Stopped
/// before that, the next poll, the function's retry or the sweeper reads the results again and skips what is marked.
pub(super) async fn settle(
    scene: Scene<'_>,
    batches: &dyn Batches,
    mut batch: Batch,
    view: &BatchView,
    out_of_turn: bool,
    now: DateTime<Utc>,
) -> Result<Polled, EngineError> {
    let remote = view.remote.as_str();
    if out_of_turn && !batch.settled.is_empty() && now < batch.next_poll_at {
        debug!(batch.id = remote, "batch {remote} is half settled already");
        return Ok(Polled::Open { next: batch.next_poll_at });
    }
    let seen = *batch.ended_at.get_or_insert(now);
    let lines = match batches.results(remote).await {
        Ok(lines) => lines,
        Err(error) => {
            // Results have been seen to be missing right after the end; that passes.
            warn!(batch.id = remote, "the results of batch {remote} cannot be read yet: {error}");
            return out_of_reach(scene, batch, now).await;
        }
    };
    let members = roll::members(scene.deps, &batch).await?;
    let mut progress = Progress::new(scene, batch);
    if progress.claim(now).await? == Kept::Overtaken {
        return Ok(Polled::Stale);
    }
    let rows = lines.map(|line| match line {
        Ok(ResultLine { custom_id, result }) => {
            place_of(&members, &custom_id).map_or(Read::Foreign, |place| Read::Row(place, result))
        }
        Err(error) => {
            warn!(batch.id = remote, "the results of batch {remote} cannot be read whole: {error}");
            Read::Failed
        }
    });
    let count = Box::pin(hand_out(scene, &mut progress, &members, rows)).await?;
    if let Some(stopped) = count.stopped {
        return stop(&mut progress, stopped, now).await;
    }
    let adopted = progress.batch.is_tentative();
    if adopted && count.ours == 0 && count.foreign > 0 && count.failed == 0 {
        return disown(scene, progress.batch, remote, now).await;
    }
    if count.foreign > 0 {
        debug!(batch.id = remote, "batch {remote} has {} rows that are not ours", count.foreign);
    }
    // What was read and could not be handed out is for the next poll.
    let open =
        (0..members.len()).filter(|place| !progress.batch.settled.has(*place) && !count.seen.has(*place)).collect();
    let to_its_end = count.lines() >= view.rows;
    let broken = to_its_end && count.failed > 0;
    let waited_for = if broken {
        *progress.batch.broken_since.get_or_insert(now) + BELIEVED_WHOLE_AFTER
    } else {
        seen + GIVEN_UP_AFTER
    };
    let told = if to_its_end && !broken {
        // A batch has a result for every request ("Retrieve batch results", batch-processing page, 2026-10), so that only of
        // a file that is read whole a row can be said to be missing.
        tell_all(scene, &mut progress, &members, open, &RowResult::Missing).await?
    } else if now >= waited_for {
        tell_late(scene, &mut progress, &members, open, now).await?
    } else {
        Count::default()
    };
    if let Some(stopped) = told.stopped {
        return stop(&mut progress, stopped, now).await;
    }
    finish(&mut progress, &members, Some(remote), count, now).await
}

/// What the batch brought can never be had again: its members are told that nobody knows, and none is asked for again.
///
/// # Crash safety
/// As with [`settle`].
pub(super) async fn unread(scene: Scene<'_>, batch: Batch, now: DateTime<Utc>) -> Result<Polled, EngineError> {
    tell_the_rest(scene, batch, &RowResult::Unreadable, now).await
}

/// Tells the members whose time is up that their rows cannot be read, for now. No mark is set: a row that can be read after
/// all is booked for whoever does not wait for it any more.
pub(super) async fn tell_unread(scene: Scene<'_>, batch: &Batch, now: DateTime<Utc>) -> Result<(), EngineError> {
    let tell_one = |member: Member| async move {
        if is_late(scene, &batch.id, &member, now).await {
            hand_one(scene, batch, &member, RowResult::Unreadable).await?;
        }
        Ok(())
    };
    let told = |member: Member| async move { tell_one(member).await.or_else(beyond_repair) };
    each(roll::open(scene.deps, batch).await?, |member| Box::pin(told(member))).await.all().map(drop)
}

/// Tells those of the members at `places` whose time is up that their row cannot be read. The others wait on.
async fn tell_late(
    scene: Scene<'_>,
    progress: &mut Progress<'_>,
    members: &[Member],
    places: Vec<usize>,
    now: DateTime<Utc>,
) -> Result<Count, EngineError> {
    let id = progress.batch.id.clone();
    let id = &id;
    let judged = stream::iter(places)
        .map(|place| Box::pin(async move { is_late(scene, id, &members[place], now).await.then_some(place) }));
    let rows = judged.buffer_unordered(AT_ONCE);
    let rows = rows.filter_map(async |late| late.map(|place| Read::Row(place, RowResult::Unreadable)));
    Box::pin(hand_out(scene, progress, members, rows)).await
}

/// Whether the member's run waits no longer for its row. One that cannot be looked up waits.
async fn is_late(scene: Scene<'_>, id: &AttemptId, member: &Member, now: DateTime<Utc>) -> bool {
    match scene.deps.store.run(&member.run).await {
        Ok(run) => {
            let waits = run.filter(|run| in_batch(run, id));
            waits.and_then(|run| run.plan).is_none_or(|plan| now >= plan.deadline)
        }
        Err(error) => {
            debug!(run.id = %member.run, "run {} cannot be looked up: {error}", member.run);
            false
        }
    }
}

/// The batch is gone, and so is whatever it would have brought.
///
/// # Crash safety
/// As with [`settle`].
pub(super) async fn missing(scene: Scene<'_>, batch: Batch, now: DateTime<Utc>) -> Result<Polled, EngineError> {
    tell_the_rest(scene, batch, &RowResult::Missing, now).await
}

async fn tell_the_rest(
    scene: Scene<'_>,
    batch: Batch,
    outcome: &RowResult,
    now: DateTime<Utc>,
) -> Result<Polled, EngineError> {
    let remote = batch.state.remote().map(str::to_owned);
    let members = roll::members(scene.deps, &batch).await?;
    let mut progress = Progress::new(scene, batch);
    if progress.claim(now).await? == Kept::Overtaken {
        return Ok(Polled::Stale);
    }
    let open = (0..members.len()).filter(|place| !progress.batch.settled.has(*place)).collect();
    let count = tell_all(scene, &mut progress, &members, open, outcome).await?;
    if let Some(stopped) = count.stopped {
        return stop(&mut progress, stopped, now).await;
    }
    finish(&mut progress, &members, remote.as_deref(), Count::default(), now).await
}

/// Tells the members at `places` the same.
async fn tell_all(
    scene: Scene<'_>,
    progress: &mut Progress<'_>,
    members: &[Member],
    places: Vec<usize>,
    outcome: &RowResult,
) -> Result<Count, EngineError> {
    let rows = stream::iter(places.into_iter().map(|place| Read::Row(place, outcome.clone())));
    Box::pin(hand_out(scene, progress, members, rows)).await
}

async fn stop(progress: &mut Progress<'_>, stopped: Stopped, now: DateTime<Utc>) -> Result<Polled, EngineError> {
    match stopped {
        Stopped::TimeIsUp(next) => Ok(Polled::Open { next }),
        Stopped::Overtaken => Ok(Polled::Stale),
        Stopped::NothingWorks => later(progress, now).await,
    }
}

/// What is left is for the next poll.
async fn later(progress: &mut Progress<'_>, now: DateTime<Utc>) -> Result<Polled, EngineError> {
    let next = progress.rest(progress.told > 0, now).await?;
    Ok(next.map_or(Polled::Stale, |next| Polled::Open { next }))
}

/// The batch is settled when every member knows; else the next poll goes on.
async fn finish(
    progress: &mut Progress<'_>,
    members: &[Member],
    remote: Option<&str>,
    Count { ours: rows, answers, .. }: Count,
    now: DateTime<Utc>,
) -> Result<Polled, EngineError> {
    let left = (0..members.len()).filter(|place| !progress.batch.settled.has(*place)).count();
    let id = progress.batch.id.clone();
    if left > 0 {
        warn!(batch.attempt = %id, "{left} of {} rows of batch {id} are still to be handed out", members.len());
        return later(progress, now).await;
    }
    if progress.finish(remote, now).await? == Kept::Written {
        progress.measure(&metrics::settled(&progress.batch, answers));
        info!(batch.attempt = %id, batch.id = remote, batch.rows = rows, "batch {id} is settled with {rows} rows");
    }
    Ok(Polled::Settled { rows: usize::try_from(rows).unwrap_or(usize::MAX) })
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
    batch.ended_at = None;
    batch.rev += 1;
    if !save(scene, &batch, now).await? {
        return Ok(Polled::Stale);
    }
    rearm(scene, &batch, now).await
}
