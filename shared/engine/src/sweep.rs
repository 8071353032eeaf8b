//! Looks for whatever was lost: runs whose holder died, output nobody delivers, poll chains that broke.
//!
//! Guarantee: whatever stands in the due index past its time is looked at within one sweep interval and some grace.

use chrono::TimeDelta;
use tracing::{info, warn};

use crate::batches;
use crate::error::EngineError;
use crate::ports::DueItem;
use crate::runs::{Resumed, Scene, resume};

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
        };
        match repaired {
            Ok(true) => swept.repaired += 1,
            Ok(false) => {}
            Err(error) => warn!("could not repair {item:?}: {error}"),
        }
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
            Box::pin(batches::poll(scene, &batch, None)).await?;
            true
        }
        Resumed::Held { .. } | Resumed::Nothing => false,
    })
}
