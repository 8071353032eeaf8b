//! Mends what is lost: the ordinary step that was lost is made again, and it is written down that it was.
//!
//! Guarantee: a repair is written in the log of its run and counted, both in one conditional write. What was written down
//! and did not come to anything is tried again without being counted again.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::batch::{Batch, LEAST_AHEAD, Window};
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::metrics;
use nightshift_domain::run::Run;
use serde_json::json;
use tracing::warn;

use crate::batches::{self, Sealed};
use crate::error::EngineError;
use crate::ports::{Memo, Outcome, Write};
use crate::runs::commit::run_retention;
use crate::runs::drive::hand_to_deliver;
use crate::runs::places::Leak;
use crate::runs::submit::arm_poll;
use crate::runs::{Scene, note_repair};

use super::look::{Case, Subject};
use super::{Finding, FindingKind};

/// Most members of a batch whose logs say that its chain was mended; the batch is the same for all.
const MOST_TOLD: usize = 20;
/// How long it is remembered that something without a row of its own was mended.
const REMEMBERED: TimeDelta = TimeDelta::days(30);

/// Mends `case`; `false` where somebody else was first, or nothing can be done about it.
///
/// # Crash safety
/// The log and the count are written before the step; stopped in between, the thing is due as before, and the next sweep
/// makes the step without counting it again.
pub(crate) async fn mend(scene: Scene<'_>, case: &Case) -> Result<bool, EngineError> {
    let kind = case.finding.kind;
    let done = match &case.subject {
        Subject::Run(run) => of_run(scene, kind, run, &case.finding.message).await?,
        Subject::Batch(batch) => rearm(scene, batch, &case.finding.message).await?,
        Subject::Place(leak) => free(scene, leak, &case.finding.message).await?,
        Subject::Window(window) => seal(scene, window).await?,
        Subject::Nothing => false,
    };
    if done {
        say(&case.finding);
    }
    Ok(done)
}

/// Says in the log that something was repaired.
pub(crate) fn say(finding: &Finding) {
    warn!(
        repair.kind = finding.kind.word(),
        job.id = finding.job.as_ref().map(tracing::field::display),
        run.id = finding.run.as_ref().map(tracing::field::display),
        batch.attempt = finding.batch.as_ref().map(tracing::field::display),
        timer = finding.timer,
        "repaired: {}",
        finding.message
    );
}

async fn of_run(scene: Scene<'_>, kind: FindingKind, run: &Run, what: &str) -> Result<bool, EngineError> {
    let Some((run, first)) = noted(scene, run, kind, what, &[]).await? else { return Ok(false) };
    match kind {
        FindingKind::Undelivered => hand_to_deliver(scene, &run.key).await?,
        FindingKind::CancelLost => {
            if let Some(batch) = run.state.batch() {
                batches::request_cancel(scene, batch).await?;
            }
        }
        FindingKind::BatchStranded => Box::pin(batches::reclaim(scene, &run)).await?,
        FindingKind::DeadLease | FindingKind::HandOverLost | FindingKind::ResumeLost | FindingKind::NeverWoken => {
            // An invocation of its own: a turn may take longer than the whole sweep has.
            let wake = Wake::Resume { r: run.key.clone() };
            scene.deps.invoker.invoke(wake.function(), &Envelope::new(wake)).await?;
        }
        FindingKind::TimerMissing
        | FindingKind::TimerOrphan
        | FindingKind::TimerState
        | FindingKind::TimerDiffers
        | FindingKind::MissedFire
        | FindingKind::PollChainBroken
        | FindingKind::PlaceLeaked
        | FindingKind::BatchOrphan
        | FindingKind::WindowLost
        | FindingKind::Unreadable
        | FindingKind::SpendLimit => return Ok(false),
    }
    Ok(first)
}

/// The run with the repair in its log, and whether this is the first time; `None` where somebody moved it first.
async fn noted(
    scene: Scene<'_>,
    run: &Run,
    kind: FindingKind,
    what: &str,
    also: &[Write<'_>],
) -> Result<Option<(Run, bool)>, EngineError> {
    let mut after = run.clone();
    if !note_repair(&mut after, kind, what, scene.deps.clock.now()) {
        return Ok(Some((after, false)));
    }
    after.rev += 1;
    let expires_at = after.ended_at.map(|ended| ended + run_retention(scene));
    let mut writes = vec![Write::Run { run: &after, expires_at }, Write::Count { name: kind.counter(), by: 1 }];
    writes.extend_from_slice(also);
    Ok(match scene.deps.store.commit(&writes).await? {
        Outcome::Applied => {
            scene.deps.measure(&metrics::repaired(kind.word()));
            Some((after, true))
        }
        Outcome::Lost(_) => None,
    })
}

/// Puts those who wait in a window in batches, as its timer would have. The repair is counted once for each time the window
/// was to be sealed.
async fn seal(scene: Scene<'_>, window: &Window) -> Result<bool, EngineError> {
    match Box::pin(batches::seal(scene, &window.id)).await? {
        Sealed::Done { .. } | Sealed::Unfinished => {
            once(scene, FindingKind::WindowLost, &format!("{}/{}", window.id, window.timers), &[]).await
        }
        Sealed::Nothing | Sealed::Early | Sealed::Held { .. } => Ok(false),
    }
}

/// Arms the poll of a batch again, under a younger number: the old timer, if it comes after all, is a stale one.
///
/// # Crash safety
/// The timer is armed before the row that names it is written, under a name that a repeat has too. The row, the count and
/// the members' logs are one write.
async fn rearm(scene: Scene<'_>, batch: &Batch, what: &str) -> Result<bool, EngineError> {
    let now = scene.deps.clock.now();
    let kind = FindingKind::PollChainBroken;
    let mut next = batch.clone();
    next.next_poll_at = now + LEAST_AHEAD;
    next.polls += 1;
    next.rev += 1;
    arm_poll(scene, &next).await?;
    let mut told = told(scene, &next, what, now).await?;
    loop {
        let mut writes = vec![Write::BatchPolled(&next), Write::Count { name: kind.counter(), by: 1 }];
        writes.extend(told.iter().map(|run| Write::Run { run, expires_at: None }));
        match scene.deps.store.commit(&writes).await? {
            Outcome::Applied => {
                scene.deps.measure(&metrics::repaired(kind.word()));
                return Ok(true);
            }
            // It moved on in this moment: its log goes without the line.
            Outcome::Lost(at) if at >= 2 => drop(told.remove(at - 2)),
            Outcome::Lost(_) => return Ok(false),
        }
    }
}

/// Members of a batch, with the repair in their logs.
async fn told(scene: Scene<'_>, batch: &Batch, what: &str, now: DateTime<Utc>) -> Result<Vec<Run>, EngineError> {
    let mut told = Vec::new();
    for key in batches::some_members(batch, MOST_TOLD) {
        let Some(mut run) = scene.deps.store.run(&key).await? else { continue };
        if run.state.batch() == Some(&batch.id) && note_repair(&mut run, FindingKind::PollChainBroken, what, now) {
            run.rev += 1;
            told.push(run);
        }
    }
    Ok(told)
}

/// Frees a place that its holder does not have.
///
/// # Crash safety
/// One write, under the condition that nobody moved the holder, or freed the place, first.
async fn free(scene: Scene<'_>, leak: &Leak, what: &str) -> Result<bool, EngineError> {
    let kind = FindingKind::PlaceLeaked;
    let free = Write::FreePlace { place: leak.place, run: &leak.holder };
    match &leak.run {
        Some(run) => Ok(noted(scene, run, kind, what, &[free]).await?.is_some_and(|(_, first)| first)),
        None => once(scene, kind, &format!("{}/{}", leak.place, leak.holder), &[free]).await,
    }
}

/// Counts a repair of something that has no row which could say so, with a note that tells a repeat; `false` for a repeat.
///
/// # Crash safety
/// One write.
pub(crate) async fn once(
    scene: Scene<'_>,
    kind: FindingKind,
    name: &str,
    also: &[Write<'_>],
) -> Result<bool, EngineError> {
    // Whose note it is tells a repeat of this very write from another sweep's.
    let document = json!({ "by": scene.invocation.id });
    let memo = Memo { name: format!("{}/{name}", kind.counter()), document, rev: 1 };
    let expires_at = Some(scene.deps.clock.now() + REMEMBERED);
    let mut writes = vec![Write::Memo { memo: &memo, expires_at }, Write::Count { name: kind.counter(), by: 1 }];
    writes.extend_from_slice(also);
    let first = scene.deps.store.commit(&writes).await? == Outcome::Applied;
    if first {
        scene.deps.measure(&metrics::repaired(kind.word()));
    }
    Ok(first)
}
