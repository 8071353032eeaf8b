//! What one sweep knows of batches: thousands of their members may be due at once, and a batch is read once for all of them.

use std::collections::{HashMap, HashSet};

use nightshift_domain::batch::{Batch, BatchState};
use nightshift_domain::run::{Run, State};
use nightshift_domain::{AttemptId, RunKey};

use crate::batches;
use crate::error::EngineError;
use crate::runs::Scene;

use super::judge::About;

/// The batches read so far. It is as old as the sweep: what is mended is read again by the step that mends it.
#[derive(Debug, Default)]
pub(crate) struct Known(HashMap<AttemptId, Entry>);

#[derive(Debug)]
struct Entry {
    batch: Option<Batch>,
    members: Fixed,
    may_stop: Option<bool>,
}

/// Who is in a batch for good.
#[derive(Debug)]
enum Fixed {
    /// It was not looked at yet.
    Unread,
    /// It is being sealed.
    NotYet,
    /// These.
    To(HashSet<RunKey>),
}

impl Known {
    /// Forgets a batch that a repair may have changed.
    pub(super) fn forget(&mut self, id: &AttemptId) {
        self.0.remove(id);
    }

    /// What the verdict on `run`, which says it is in batch `id`, needs to know of the batch.
    pub(super) async fn tell(
        &mut self,
        scene: Scene<'_>,
        run: &Run,
        id: &AttemptId,
        about: &mut About,
    ) -> Result<(), EngineError> {
        if !self.0.contains_key(id) {
            let batch = scene.deps.store.batch(id).await?;
            self.0.insert(id.clone(), Entry { batch, members: Fixed::Unread, may_stop: None });
        }
        let Some(Entry { batch: Some(batch), members, may_stop }) = self.0.get_mut(id) else { return Ok(()) };
        about.batch = Some(batch.clone());
        if matches!(run.state, State::Canceling { .. }) && matches!(batch.state, BatchState::Open { .. }) {
            about.may_stop = match *may_stop {
                Some(may) => may,
                None => *may_stop.insert(batches::may_stop(scene, batch).await?),
            };
        }
        if matches!(run.state, State::Submitting { .. }) {
            if matches!(members, Fixed::Unread) {
                *members = batches::fixed(scene, batch).await?.map_or(Fixed::NotYet, Fixed::To);
            }
            about.left_out = matches!(members, Fixed::To(fixed) if !fixed.contains(&run.key));
        }
        Ok(())
    }
}
