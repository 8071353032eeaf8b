//! Hands rows to their runs, several at once.
//!
//! Guarantee: memory holds the rows in flight and no more; one row's failure keeps no other from its run; whatever stops
//! this, a row that was handed out is booked once, with the transition it causes.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt};
use nightshift_domain::AttemptId;
use nightshift_domain::batch::{Batch, Marks, Member};
use nightshift_domain::run::{Event, RowResult, Run, State};
use tokio::sync::Mutex;
use tracing::{debug, warn};

use crate::error::EngineError;
use crate::runs::booking::late_row;
use crate::runs::commit::{Along, MAX_RACES, Moved, apply};
use crate::runs::drive::hand_on;
use crate::runs::{Scene, absorb, drive};

use super::super::in_batch;
use super::progress::{Kept, Progress};

/// Most rows in flight: each is a few calls of the table, one after the other.
const IN_FLIGHT: usize = 16;
/// Most bytes of answers in flight. A row's own size comes on top: the last one that is read may be as long as the reader
/// lets a line be.
const IN_FLIGHT_BYTES: usize = 8 << 20;
/// So many failures without a success between them are the table's, not the rows': the rest waits for the next poll.
const FAILURES_IN_A_ROW: usize = 64;
/// What an invocation keeps for its last rows and writes.
const RESERVE: TimeDelta = TimeDelta::seconds(30);
/// Locks by job: rows of one job change the same job's row, and would only get in each other's way.
const LOCKS: usize = 256;

/// What was read.
pub(super) enum Read {
    /// The outcome of the member at this place.
    Row(usize, RowResult),
    /// A row of nobody here.
    Foreign,
    /// A line that cannot be read, or a stream that broke off: then it is the last.
    Failed,
}

/// What handing out came to.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// Lines of members.
    pub(super) ours: u64,
    /// Their places.
    pub(super) seen: Marks,
    /// Answers among them.
    pub(super) answers: u64,
    /// Lines of others.
    pub(super) foreign: u64,
    /// Lines that could not be read.
    pub(super) failed: u64,
    /// Rows that could not be handed out.
    pub(super) held_back: usize,
    /// Why it stopped before the end.
    pub(super) stopped: Option<Stopped>,
}

impl Count {
    /// How many lines there were.
    pub(super) fn lines(&self) -> u64 {
        self.ours + self.foreign + self.failed
    }
}

/// Why handing out stopped before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The invocation ends soon; the next poll is armed for then.
    TimeIsUp(DateTime<Utc>),
    /// Somebody else goes on.
    Overtaken,
    /// Nothing works.
    NothingWorks,
}

/// Hands `rows` to the runs of `members`, but for those that are marked.
///
/// # Crash safety
/// A mark is written after its run. Stopped anywhere, the runs say what was handed out, and the marks most of it.
pub(super) async fn hand_out(
    scene: Scene<'_>,
    progress: &mut Progress<'_>,
    members: &[Member],
    rows: impl Stream<Item = Read> + Send,
) -> Result<Count, EngineError> {
    let clock = &scene.deps.clock;
    let mut rows = std::pin::pin!(rows);
    let home = Batch { settled: Marks::default(), ..progress.batch.clone() };
    let locks: Vec<Mutex<()>> = (0..LOCKS).map(|_| Mutex::new(())).collect();
    let mut time_is_up = clock.alarm(scene.invocation.deadline - RESERVE);
    let mut in_flight = FuturesUnordered::new();
    let (mut bytes, mut failures) = (0, 0);
    let mut reading = true;
    let mut count = Count::default();
    while reading || !in_flight.is_empty() {
        let room = in_flight.len() < IN_FLIGHT && bytes < IN_FLIGHT_BYTES;
        tokio::select! {
            biased;
            () = &mut time_is_up, if count.stopped.is_none() => {
                // Before the rows in flight: they may take their time, and what they do is in their runs' rows.
                let next = progress.rest(true, clock.now()).await?;
                count.stopped = Some(next.map_or(Stopped::Overtaken, Stopped::TimeIsUp));
                reading = false;
            }
            Some(done) = in_flight.next(), if !in_flight.is_empty() => {
                let Done { place, weight, outcome }: Done = done;
                bytes -= weight;
                match outcome {
                    Ok(()) => {
                        failures = 0;
                        progress.mark(place);
                        if count.stopped.is_none() && progress.checkpoint().await? == Kept::Overtaken {
                            count.stopped = Some(Stopped::Overtaken);
                            reading = false;
                        }
                    }
                    Err(error) => {
                        failures += 1;
                        count.held_back += 1;
                        report(&home.id, &members[place], &error, count.held_back);
                        if failures >= FAILURES_IN_A_ROW && count.stopped.is_none() {
                            count.stopped = Some(Stopped::NothingWorks);
                            reading = false;
                        }
                    }
                }
            }
            read = rows.next(), if reading && room => match read {
                None => reading = false,
                Some(Read::Foreign) => count.foreign += 1,
                Some(Read::Failed) => count.failed += 1,
                Some(Read::Row(place, result)) => {
                    count.ours += 1;
                    count.answers += u64::from(matches!(result, RowResult::Succeeded(_)));
                    count.seen.set(place);
                    if !progress.batch.settled.has(place) {
                        let weight = weight(&result);
                        bytes += weight;
                        let (home, lock) = (&home, &locks[stripe(&members[place])]);
                        in_flight.push(async move {
                            let _turn = lock.lock().await;
                            let outcome = Box::pin(hand_over(scene, home, &members[place], result)).await;
                            Done { place, weight, outcome }
                        });
                    }
                }
            },
        }
    }
    Ok(count)
}

struct Done {
    place: usize,
    weight: usize,
    outcome: Result<(), EngineError>,
}

fn stripe(member: &Member) -> usize {
    let mut hasher = DefaultHasher::new();
    member.run.job_id().hash(&mut hasher);
    usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or(0)
}

fn weight(result: &RowResult) -> usize {
    match result {
        RowResult::Succeeded(reply) => reply.content.len() + reply.text.len(),
        RowResult::Errored { .. }
        | RowResult::Canceled
        | RowResult::Expired
        | RowResult::Missing
        | RowResult::Unreadable => 0,
    }
}

/// The first failure is for a person to see; a hundred thousand of them are not.
fn report(batch: &AttemptId, member: &Member, error: &EngineError, nth: usize) {
    let run = &member.run;
    if nth == 1 {
        warn!(batch.attempt = %batch, run.id = %run, "run {run} could not be told how its row ended: {}", error.chain());
    } else {
        debug!(batch.attempt = %batch, run.id = %run, "nor could run {run}: {}", error.chain());
    }
}

/// Hands out one row of `batch`.
///
/// # Crash safety
/// As for all of them: booked with the transition it causes.
pub(in crate::batches) async fn hand_one(
    scene: Scene<'_>,
    batch: &Batch,
    member: &Member,
    result: RowResult,
) -> Result<(), EngineError> {
    hand_over(scene, batch, member, result).await
}

/// A run that has this batch's answer and that nobody delivers was left by an invocation that died in between: it is handed
/// on once more. A repeat finds it leased or over.
async fn once_more(scene: Scene<'_>, home: &Batch, run: Option<&Run>) -> Result<(), EngineError> {
    let Some(run) = run else { return Ok(()) };
    let ours = run.hops.last().is_some_and(|hop| hop.batch.as_ref() == Some(&home.id));
    if ours && run.lease.is_none() && matches!(run.state, State::Delivering) {
        return hand_on(scene, run).await;
    }
    debug!(run.id = %run.key, "run {} has moved on from batch {}", run.key, home.id);
    Ok(())
}

/// Tells a run how its row ended. A run that somebody moves meanwhile and that stays in the batch (a wish to stop) is told
/// then: its batch is about to be settled, and nobody would tell it later.
async fn hand_over(scene: Scene<'_>, home: &Batch, member: &Member, result: RowResult) -> Result<(), EngineError> {
    for _ in 0..MAX_RACES {
        let found = scene.deps.store.run(&member.run).await?;
        let Some(run) = found.as_ref().filter(|run| in_batch(run, &home.id)) else {
            late_row(scene, home, member, found.as_ref(), &result).await?;
            return once_more(scene, home, found.as_ref()).await;
        };
        let Some(run) = recorded(scene, run.clone(), home).await? else { continue };
        let run = match &result {
            RowResult::Succeeded(reply) => {
                absorb(scene, &run, member.hop, reply, Some(&home.id), scene.deps.clock.now()).await?
            }
            RowResult::Errored { .. }
            | RowResult::Canceled
            | RowResult::Expired
            | RowResult::Missing
            | RowResult::Unreadable => run,
        };
        if let Some(Moved { run, effects }) =
            apply(scene, &run, Event::BatchEnded(result.clone()), Along::default()).await?
        {
            // A member that goes on starts another hop or batch: boxed, because driving may come back here.
            return Box::pin(drive(scene, run, effects)).await;
        }
    }
    Err(EngineError::Contended { subject: format!("run {}", member.run), times: MAX_RACES })
}

/// A run whose batch is known although the run itself was not told yet: a stop between the members of an adoption.
async fn recorded(scene: Scene<'_>, run: Run, home: &Batch) -> Result<Option<Run>, EngineError> {
    let (State::Submitting { .. }, Some(remote)) = (&run.state, home.state.remote()) else { return Ok(Some(run)) };
    let event = Event::BatchCreated { remote: remote.to_owned() };
    let moved = apply(scene, &run, event, Along::default()).await?;
    Ok(moved.map(|moved| moved.run))
}
