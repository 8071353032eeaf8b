//! Looks for whatever was lost: runs whose holder died, output nobody delivers, poll chains that broke.
//!
//! Guarantee: whatever stands in the due index past its time is looked at within one sweep interval and some grace.

use chrono::{DateTime, TimeDelta};
use nightshift_domain::JobId;
use nightshift_domain::job::LATE_AT_MOST;
use tracing::{info, warn};

use crate::batches;
use crate::error::EngineError;
use crate::jobs::timer_for;
use crate::ports::{DueItem, TimerSpec};
use crate::runs::catch_up::{CaughtUp, catch_up, hand_over};
use crate::runs::fire::is_switched_off;
use crate::runs::occurrence::Timing;
use crate::runs::{Resumed, Scene, places, resume};

/// How long past its time something may be before it counts as lost: its own timer and retries come first.
const GRACE: TimeDelta = TimeDelta::minutes(2);
/// Most things looked at in one sweep; what is left is still due at the next.
const MOST: u32 = 200;

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Things that were overdue.
    pub found: usize,
    /// Those that could be taken up.
    pub repaired: usize,
}

/// Looks at everything that is overdue. One thing's failure does not touch the next.
///
/// # Crash safety
/// Each repair is the ordinary step it repeats; a sweep that is cut off is done again by the next.
pub async fn sweep(scene: Scene<'_>) -> Result<Swept, EngineError> {
    let before = scene.deps.clock.now() - GRACE;
    let due = scene.deps.store.due(before, MOST).await?;
    let mut swept = Swept { found: due.len(), repaired: 0 };
    for item in due {
        let repaired = match &item {
            DueItem::Run(key) => Box::pin(take_up(scene, key)).await,
            DueItem::Batch(id) => Box::pin(batches::poll(scene, id, None)).await.map(|_| true),
            DueItem::Window(id) => Box::pin(batches::seal(scene, id)).await.map(|_| true),
            DueItem::Job(id) => Box::pin(missed(scene, id)).await,
        };
        match repaired {
            Ok(true) => swept.repaired += 1,
            Ok(false) => {}
            Err(error) => warn!("could not repair {item:?}: {error}"),
        }
    }
    match places::tidy(scene).await {
        Ok(woken) => swept.repaired += woken,
        Err(error) => warn!("the queue for places could not be looked at: {error}"),
    }
    if swept.found > 0 {
        info!(sweep.found = swept.found, sweep.repaired = swept.repaired, "the sweep found {} overdue", swept.found);
    }
    Ok(swept)
}

async fn take_up(scene: Scene<'_>, key: &nightshift_domain::RunKey) -> Result<bool, EngineError> {
    Ok(match resume(scene, key).await? {
        Resumed::Driven => true,
        Resumed::InBatch(batch) => {
            Box::pin(batches::look_after(scene, key, &batch)).await?;
            true
        }
        Resumed::Held { .. } | Resumed::Nothing => false,
    })
}

/// A job whose next run has passed and nobody claimed it: its timer is set again, and what was missed is made up for or
/// recorded. One whose timer may still come is left alone.
///
/// # Crash safety
/// Setting the timer may be repeated; the rest is [`catch_up`]'s.
async fn missed(scene: Scene<'_>, id: &JobId) -> Result<bool, EngineError> {
    let now = scene.deps.clock.now();
    let Some(record) = scene.deps.store.job(id).await?.filter(|record| record.job.enabled) else { return Ok(false) };
    let next = record.job.state.next_run_at_ms.and_then(DateTime::from_timestamp_millis);
    if next.is_none_or(|next| now - next <= LATE_AT_MOST) {
        return Ok(false);
    }
    let Some(timing) = Timing::of(&record, scene) else { return Ok(false) };
    warn!(job.id = %id, "job {id} was not run at its time; its timer is set again");
    let timer = timer_for(&record, scene.config, now);
    let CaughtUp { claimed, recorded, .. } = catch_up(scene, record, &timing, None, is_switched_off(scene)).await?;
    hand_over(scene, &claimed).await?;
    // Last, because making up needs no timer service.
    if let Some(timer) = timer {
        match timer.spec {
            // An `at` whose time is past is made up for above.
            TimerSpec::Once(at) if at <= now => {}
            TimerSpec::Once(at) => scene.deps.timers.arm(&timer.name, at, &timer.envelope).await?,
            TimerSpec::Recurring { .. } => scene.deps.timers.put_job(&timer).await?,
        }
    }
    Ok(recorded > 0)
}
