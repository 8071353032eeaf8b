//! Runs, batches and places that stand still: what the sweep would find now, in its own words.

use crate::error::EngineError;
use crate::ports::DueItem;
use crate::sweep::judge::{GRACE, PUT_BACK};
use crate::sweep::known::Known;
use crate::sweep::look::{self, Seen};

use super::{Checkup, Visit};

/// Most things of the due index looked at.
const MOST: u32 = 500;

impl Visit<'_> {
    /// What is due and does not move.
    pub(super) async fn overdue(&self, checkup: &mut Checkup) -> Result<(), EngineError> {
        let scene = self.scene();
        let before = scene.deps.clock.now() - GRACE;
        let due = scene.deps.store.due(before, MOST).await?;
        checkup.truncated |= due.len() >= MOST as usize;
        // What the sweep put back because it could not mend it is as lost as before.
        let later = scene.deps.store.due(scene.deps.clock.now() + PUT_BACK + GRACE, MOST).await?;
        let later = later.into_iter().filter(|item| !matches!(item, DueItem::Job(_)) && !due.contains(item));
        let later: Vec<DueItem> = later.collect();
        let mut known = Known::default();
        for item in due.iter().chain(&later) {
            let seen = match item {
                DueItem::Run(key) => look::run(scene, &mut known, key).await?,
                DueItem::Batch(id) => look::batch(scene, id).await?,
                DueItem::Window(id) => look::window(scene, id).await?,
                // Every job that can be read is judged beside its timer.
                DueItem::Job(id) => match scene.deps.store.job(id).await {
                    Ok(_) => Seen::Moved,
                    Err(error) => look::unreadable(item, error)?,
                },
            };
            if let Seen::Lost(case) = seen {
                checkup.findings.push(case.finding);
            }
        }
        checkup.findings.extend(look::places(scene).await?.into_iter().map(|case| case.finding));
        Ok(())
    }
}
