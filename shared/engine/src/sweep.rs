//! Looks for whatever was lost: runs whose holder died, output nobody delivers, poll chains that broke.
//!
//! Guarantee: whatever stands in the due index past its time is looked at within one sweep interval and some grace; what is
//! well, or cannot be mended, is put back there, so that it never keeps the rest from repair. Each repair is the ordinary
//! step that was lost, a line in its run's log and one count. What is found is judged as the doctor judges it.
//!
//! Once a day a sweep begins the pass over everything that no due index shows: timers without a job, jobs without their
//! timer, batches of the provider that nobody knows ([`daily`]).

pub(crate) mod daily;
mod finding;
pub(crate) mod judge;
pub(crate) mod look;
mod mend;
pub(crate) mod orphans;

pub use finding::{Finding, FindingKind};
pub(crate) use mend::{once, say};

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::JobId;
use tracing::{info, warn};

use crate::error::EngineError;
use crate::jobs::look_at_job;
use crate::ports::{DueItem, StoreErrorKind};
use crate::runs::Scene;

use judge::GRACE;
use look::{Case, Seen};

/// Most things looked at in one sweep; what is left is still due at the next.
const MOST: u32 = 200;
/// What is kept of the invocation's time: nothing is begun in it.
const RESERVE: TimeDelta = TimeDelta::seconds(15);

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Things that were overdue.
    pub found: usize,
    /// Those that were mended.
    pub repaired: usize,
    /// Those there was no time for: they are due at the next sweep.
    pub left: usize,
}

/// Looks at everything that is overdue, and at a part of the daily pass. One thing's failure does not touch the next; near
/// its deadline the sweep ends in order.
///
/// # Crash safety
/// Each repair is the ordinary step it repeats; a sweep that is cut off is done again by the next.
pub async fn sweep(scene: Scene<'_>) -> Result<Swept, EngineError> {
    let before = scene.deps.clock.now() - GRACE;
    let due = scene.deps.store.due(before, MOST).await?;
    let mut swept = Swept { found: due.len(), ..Swept::default() };
    for (at, item) in due.iter().enumerate() {
        if is_late(scene) {
            swept.left = due.len() - at;
            warn!("the sweep ends {} short of {}: the rest is due at the next", swept.left, due.len());
            break;
        }
        swept.repaired += Box::pin(attend(scene, item, before)).await;
    }
    if !is_late(scene) {
        swept.repaired += places(scene).await;
    }
    if !is_late(scene) {
        match Box::pin(daily::pass(scene)).await {
            Ok(repaired) => swept.repaired += repaired,
            Err(error) => warn!("the daily pass could not go on: {}", error.chain()),
        }
    }
    if swept.found > 0 || swept.repaired > 0 {
        info!(sweep.found = swept.found, sweep.repaired = swept.repaired, "the sweep found {} overdue", swept.found);
    }
    Ok(swept)
}

/// Whether nothing may be begun any more.
fn is_late(scene: Scene<'_>) -> bool {
    scene.deps.clock.now() >= scene.invocation.deadline - RESERVE
}

/// Looks at one thing and mends it; answers how many repairs that took. Whatever does not move is put back.
async fn attend(scene: Scene<'_>, item: &DueItem, before: DateTime<Utc>) -> usize {
    let now = scene.deps.clock.now();
    let (repaired, again) = match looked(scene, item).await {
        Ok(Seen::Moved) => (0, None),
        Ok(Seen::Well(until)) => (0, Some(until)),
        Ok(Seen::Lost(case)) => attended(scene, &case, now).await,
        Err(error) => {
            warn!("could not look at {item:?}: {}", error.chain());
            (0, Some(judge::again(before, now)))
        }
    };
    let (repaired, again) = match item {
        DueItem::Job(id) if again.is_none() => job(scene, id, now).await,
        DueItem::Job(_) | DueItem::Run(_) | DueItem::Batch(_) | DueItem::Window(_) => (repaired, again),
    };
    if let Some(until) = again
        && let Err(error) = scene.deps.store.put_back(item, before, until).await
    {
        warn!("could not put {item:?} back: {error}");
    }
    repaired
}

async fn looked(scene: Scene<'_>, item: &DueItem) -> Result<Seen, EngineError> {
    match item {
        DueItem::Run(key) => look::run(scene, key).await,
        DueItem::Batch(id) => look::batch(scene, id).await,
        DueItem::Window(id) => look::window(scene, id).await,
        DueItem::Job(id) => match scene.deps.store.job(id).await {
            Ok(_) => Ok(Seen::Moved),
            Err(error) => look::unreadable(item, error),
        },
    }
}

/// Mends a case; answers how many repairs that was, and when to look again should it not move.
async fn attended(scene: Scene<'_>, case: &Case, now: DateTime<Utc>) -> (usize, Option<DateTime<Utc>>) {
    if case.finding.kind == FindingKind::Unreadable {
        warn!("{}", case.finding.message);
        return (0, Some(now + judge::PUT_BACK));
    }
    let again = Some(judge::again(case.since, now));
    match Box::pin(mend::mend(scene, case)).await {
        Ok(done) => (usize::from(done), again),
        Err(error) => {
            warn!(repair.kind = case.finding.kind.word(), "not repaired: {}: {}", case.finding.message, error.chain());
            (0, again)
        }
    }
}

/// A job whose next run has passed: its timers are looked after, and its occurrence is begun, made up for or recorded.
async fn job(scene: Scene<'_>, id: &JobId, now: DateTime<Utc>) -> (usize, Option<DateTime<Utc>>) {
    match Box::pin(look_at_job(scene, id)).await {
        Ok(findings) => (findings.iter().filter(|finding| finding.repaired).count(), Some(judge::again(now, now))),
        Err(error) => {
            warn!(job.id = %id, "could not look at job {id}: {}", error.chain());
            // A table or a timer service that does not answer will; what cannot be read stays so for a while.
            let lasts = matches!(&error, EngineError::Store(error) if error.kind == StoreErrorKind::Corrupt);
            (0, Some(if lasts { now + judge::PUT_BACK } else { judge::again(now, now) }))
        }
    }
}

async fn places(scene: Scene<'_>) -> usize {
    let cases = match look::places(scene).await {
        Ok(cases) => cases,
        Err(error) => {
            warn!("the places could not be looked at: {}", error.chain());
            return 0;
        }
    };
    let mut repaired = 0;
    for case in cases {
        if is_late(scene) {
            break;
        }
        repaired += attended(scene, &case, scene.deps.clock.now()).await.0;
    }
    repaired
}

#[cfg(test)]
mod tests;
