//! Seals windows: the ready hops that waited in one go into as few batches as the API's limits allow.
//!
//! Guarantee: a window is closed only when nobody waits in it, and whoever comes after that opens it again. Sealing twice,
//! or by two at once, puts no hop in two batches: each flips once.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::RunKey;
use nightshift_domain::batch::{Batch, BatchState, Caps, Member, Window, WindowId, split};
use nightshift_domain::run::{Event, Run, State};
use tracing::{debug, info, warn};

use crate::error::EngineError;
use crate::ports::{Outcome, PageRequest, Write};
use crate::runs::submit::arm_poll;
use crate::runs::{Scene, hop_request, windows};

use super::crowd::each;
use super::launch::{Intent, Prepared, intend, launch, may_join};
use super::left_out::all_back;
use super::{Polled, in_batch, roll, tell};

/// How often a window is read again for those that came while it was sealed.
const ROUNDS: u32 = 10;
/// Most rows of a page.
const PAGE: u32 = 200;
/// Time that a batch may take to be sealed and created; where an invocation has less left, another one goes on.
const RESERVE: TimeDelta = TimeDelta::minutes(2);
/// How long a closed window is kept, so that the names of its timers are not used again.
const KEPT: TimeDelta = TimeDelta::days(1);

/// What sealing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    /// It is closed, or never was.
    Nothing,
    /// It has not ended.
    Early,
    /// Somebody is at it.
    Held {
        /// Until then at most.
        until: DateTime<Utc>,
    },
    /// Those who waited in it are in batches.
    Done {
        /// How many.
        rows: usize,
    },
    /// There was no time for all of them: a timer goes on.
    Unfinished,
}

/// How far [`empty`] got.
enum Emptied {
    All(usize),
    OutOfTime,
}

/// Seals the window `id`.
///
/// # Crash safety
/// Runs leave the window one by one, each with the write that puts it in a batch, so a repeat finds those that are left.
/// Stopped anywhere, the window stands in the due index until it is closed.
pub async fn seal(scene: Scene<'_>, id: &WindowId) -> Result<Sealed, EngineError> {
    let now = scene.deps.clock.now();
    let Some(window) = scene.deps.store.window(id).await?.filter(|window| !window.closed) else {
        return Ok(Sealed::Nothing);
    };
    if now < id.ends_at() {
        return Ok(Sealed::Early);
    }
    let taken = match window.taken(&scene.invocation.id, now) {
        Ok(taken) => taken,
        Err(held) => return Ok(Sealed::Held { until: held.until }),
    };
    if !windows::save(scene, &taken, None).await? {
        debug!(window.id = %id, "somebody else seals window {id}");
        return Ok(Sealed::Nothing);
    }
    match Box::pin(empty(scene, id)).await {
        Ok(Emptied::All(rows)) => {
            close(scene, &taken).await?;
            info!(window.id = %id, window.rows = rows, "window {id} is sealed with {rows} runs");
            Ok(Sealed::Done { rows })
        }
        Ok(Emptied::OutOfTime) => {
            let mut later = taken.left(false);
            later.timers += 1;
            later.seal_at = scene.deps.clock.now() + nightshift_domain::batch::LEAST_AHEAD;
            windows::arm(scene, &later).await?;
            windows::save(scene, &later, None).await?;
            Ok(Sealed::Unfinished)
        }
        Err(error) => {
            // Given back, so that the repeat need not wait; where that fails too, it does.
            if let Err(error) = windows::save(scene, &taken.left(false), None).await {
                warn!(window.id = %id, "window {id} stays held for a while: {}", error.chain());
            }
            Err(error)
        }
    }
}

/// Closes a window that nobody waits in. Who came while it was being closed may have seen it open: it is looked at again.
async fn close(scene: Scene<'_>, taken: &Window) -> Result<(), EngineError> {
    let closed = taken.left(true);
    if !windows::save(scene, &closed, Some(scene.deps.clock.now() + KEPT)).await? {
        // Somebody took it over, and closes it.
        return Ok(());
    }
    let late = scene.deps.store.collected(&taken.id, &PageRequest { limit: 1, cursor: None }).await?;
    if late.items.is_empty() { Ok(()) } else { windows::open(scene, &taken.id).await }
}

/// Puts whoever waits in the window in batches, until nobody does.
async fn empty(scene: Scene<'_>, id: &WindowId) -> Result<Emptied, EngineError> {
    let mut rows = 0;
    for _ in 0..ROUNDS {
        let waiting = waiting(scene, id).await?;
        if waiting.is_empty() {
            return Ok(Emptied::All(rows));
        }
        let mut failed = None;
        for bundle in split(waiting, Caps::default()) {
            if scene.deps.clock.now() + RESERVE > scene.invocation.deadline {
                return failed.map_or(Ok(Emptied::OutOfTime), Err);
            }
            match Box::pin(send_off(scene, id, bundle)).await {
                Ok(sent) => rows += sent,
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(Emptied::OutOfTime)
}

/// Who waits in the window, with the sizes of their rows.
async fn waiting(scene: Scene<'_>, id: &WindowId) -> Result<Vec<(RunKey, u64)>, EngineError> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = scene.deps.store.collected(id, &PageRequest { limit: PAGE, cursor }).await?;
        all.extend(page.items.into_iter().map(|one| (one.run, one.bytes)));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

/// What becomes of one who waits.
enum Waiter {
    /// It goes into the batch.
    Goes(Box<Prepared>),
    /// Something else happens to it.
    Leaves(Box<(Run, Event)>),
    /// It is not here any more.
    Gone,
}

/// Puts `keys` in one batch; answers how many went.
async fn send_off(scene: Scene<'_>, id: &WindowId, keys: Vec<RunKey>) -> Result<usize, EngineError> {
    let crowd = each(keys, |key| Box::pin(prepare(scene, id, key))).await;
    let (mut rows, mut leaving) = (Vec::new(), Vec::new());
    for waiter in crowd.done {
        match waiter {
            Waiter::Goes(row) => rows.push(*row),
            Waiter::Leaves(gone) => leaving.push(*gone),
            Waiter::Gone => {}
        }
    }
    rows.sort_by(|one, other| one.member.cmp(&other.member));
    let count = rows.len();
    let mut failed = crowd.failed;
    let sent = match intend(scene, rows).await {
        Ok(Some(intent)) => Box::pin(launch(scene, intent)).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    failed = failed.or(sent.err());
    // Last, because one that goes on in realtime may keep us for minutes.
    let tell_one = |(run, event): (Run, Event)| async move { tell(scene, &run, event).await };
    let told = each(leaving, |gone| Box::pin(tell_one(gone))).await;
    failed.or(told.failed).map_or(Ok(count), Err)
}

/// Looks at one who waits in the window. A row that no run stands behind is taken away.
async fn prepare(scene: Scene<'_>, id: &WindowId, key: RunKey) -> Result<Waiter, EngineError> {
    let run = scene.deps.store.run(&key).await?.filter(|run| run.state.window() == Some(id));
    let Some(run) = run else {
        let _: Outcome = scene.deps.store.commit(&[Write::Uncollect { window: id, run: &key }]).await?;
        return Ok(Waiter::Gone);
    };
    request(scene, run).await
}

/// What a ready run asks the model.
async fn request(scene: Scene<'_>, run: Run) -> Result<Waiter, EngineError> {
    let (State::Ready { hop, attempt, .. } | State::Submitting { hop, attempt, .. }, Some(plan)) =
        (&run.state, &run.plan)
    else {
        return Ok(Waiter::Gone);
    };
    if scene.deps.clock.now() >= plan.deadline {
        return Ok(Waiter::Leaves(Box::new((run, Event::DeadlinePassed))));
    }
    let member = Member { run: run.key.clone(), hop: *hop, attempt: *attempt };
    match hop_request(scene, &run, plan).await {
        Ok(request) => Ok(Waiter::Goes(Box::new(Prepared { member, run, request }))),
        Err(EngineError::Secret(message)) => {
            let event = Event::Refused { code: "mcp_server".to_owned(), message };
            Ok(Waiter::Leaves(Box::new((run, event))))
        }
        Err(error) => Err(error),
    }
}

/// Goes on with a batch that somebody left while it was being sealed: no create was sent for it.
///
/// # Crash safety
/// The next poll is armed and written first. Whoever left it may not be dead: of all who go on with it, one wins the write
/// that fixes its members, and only that one sends the create.
pub(super) async fn go_on(scene: Scene<'_>, batch: Batch, now: DateTime<Utc>) -> Result<Polled, EngineError> {
    if now < batch.next_poll_at {
        return Ok(Polled::Open { next: batch.next_poll_at });
    }
    let batch = batch.next_poll(now);
    arm_poll(scene, &batch).await?;
    let open = Polled::Open { next: batch.next_poll_at };
    if scene.deps.store.commit(&[Write::BatchPolled(&batch)]).await? != Outcome::Applied {
        return Ok(open);
    }
    info!(batch.attempt = %batch.id, "batch {} was left while it was sealed", batch.id);
    let members = roll::members(scene.deps, &batch).await?;
    let sealing = &batch;
    let crowd = each(members.clone(), |member| Box::pin(rejoin(scene, sealing, member))).await;
    let mut rows: Vec<Prepared> = crowd.done.into_iter().flatten().collect();
    // Read after the runs: as long as nobody has fixed the members, no run was told anything about the batch.
    let stands = scene.deps.store.batch(&batch.id).await?;
    let fixed = !stands.is_some_and(|stands| matches!(stands.state, BatchState::Sealing { .. }));
    if fixed {
        rows.clear();
    }
    let going: HashSet<RunKey> = rows.iter().map(|row| row.run.key.clone()).collect();
    let id = batch.id.clone();
    let sent = if fixed { Ok(()) } else { Box::pin(launch(scene, Intent { batch, rows })).await };
    // Those that do not go may be in it already; where the batch went without them, nothing there comes to them any more.
    let stay = members.into_iter().map(|member| member.run).filter(|run| !going.contains(run)).collect();
    let back = all_back(scene, &id, stay).await;
    crowd.failed.or(sent.err()).or(back.err()).map_or(Ok(open), Err)
}

/// A member of a batch that is being sealed, with what is sent for it; `None` where it is elsewhere by now, or had better be.
async fn rejoin(scene: Scene<'_>, batch: &Batch, member: Member) -> Result<Option<Prepared>, EngineError> {
    let Some(run) = scene.deps.store.run(&member.run).await? else { return Ok(None) };
    if !in_batch(&run, &batch.id) && !may_join(&run, batch, &member) {
        return Ok(None);
    }
    Ok(match request(scene, run).await? {
        Waiter::Goes(row) => Some(*row),
        // Left where it is: ready, or put back once the members are fixed.
        Waiter::Leaves(_) | Waiter::Gone => None,
    })
}

#[cfg(test)]
#[path = "seal/tests.rs"]
mod tests;
