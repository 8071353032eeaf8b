//! How far a batch has been settled, as its row says.
//!
//! Guarantee: a member's mark is written after its run moved, never before. Marks are a hint that saves a repeat the reading
//! of runs; what counts is how each run stands. Of two invocations that settle the same batch, the one that named the next
//! poll goes on and the other gives way.

use chrono::{DateTime, Utc};
use nightshift_domain::batch::{Batch, BatchState, LEAST_AHEAD};
use nightshift_domain::metrics::{self, Reading};
use tracing::{debug, warn};

use crate::error::EngineError;
use crate::ports::{Outcome, Write};
use crate::runs::Scene;
use crate::runs::commit::{MAX_RACES, run_retention};
use crate::runs::submit::arm_poll;

/// So many rows are handed out between two writes of the marks: what a repeat after a crash does again at most, with what
/// was in flight.
pub(super) const CHECKPOINT: u32 = 1000;

/// A batch that is being settled, and what of it is written.
pub(super) struct Progress<'a> {
    scene: Scene<'a>,
    /// As it stands in the table, but for the marks set since.
    pub(super) batch: Batch,
    unsaved: u32,
    /// How many marks were set here.
    pub(super) told: usize,
}

/// What a write of the batch's row came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is written.
    Written,
    /// Somebody else settles the batch, or has.
    Overtaken,
}

impl<'a> Progress<'a> {
    pub(super) fn new(scene: Scene<'a>, batch: Batch) -> Self {
        Self { scene, batch, unsaved: 0, told: 0 }
    }

    /// The member at `place` knows how its row ended.
    pub(super) fn mark(&mut self, place: usize) {
        self.batch.settled.set(place);
        self.unsaved += 1;
        self.told += 1;
    }

    /// Takes a long batch for this invocation: the next poll comes when it has ended, however it ends. A short batch is
    /// settled before it is worth the write.
    ///
    /// # Crash safety
    /// The timer is armed first, under its own name. Stopped before the write it finds nothing new; stopped any time later,
    /// it goes on from the last marks.
    pub(super) async fn claim(&mut self, now: DateTime<Utc>) -> Result<Kept, EngineError> {
        if self.batch.members.rows() <= CHECKPOINT {
            return Ok(Kept::Written);
        }
        let at = self.scene.invocation.deadline.max(now + LEAST_AHEAD);
        self.name_poll(at, now).await
    }

    /// Writes the marks where enough were set since the last time.
    pub(super) async fn checkpoint(&mut self) -> Result<Kept, EngineError> {
        if self.unsaved < CHECKPOINT {
            return Ok(Kept::Written);
        }
        match self.write(Batch::clone).await {
            // The rows are handed out all the same, and the next marks say so.
            Err(EngineError::Store(error)) => {
                warn!(batch.attempt = %self.batch.id, "the marks of batch {} were not written: {error}", self.batch.id);
                self.unsaved = 0;
                Ok(Kept::Written)
            }
            other => other,
        }
    }

    /// Leaves the rest to the next poll, as soon as may be or a step up the ladder. `None` when somebody else looks after it.
    pub(super) async fn rest(&mut self, soon: bool, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, EngineError> {
        let at = if soon { now + LEAST_AHEAD } else { self.batch.next_poll(now).next_poll_at };
        let kept = self.name_poll(at, now).await?;
        if kept == Kept::Written {
            self.measure(&metrics::polled(&self.batch));
        }
        Ok((kept == Kept::Written).then_some(at))
    }

    /// Writes that every member knows.
    pub(super) async fn finish(&mut self, remote: Option<&str>, now: DateTime<Utc>) -> Result<Kept, EngineError> {
        self.write(|batch| {
            let state = BatchState::Settled { remote: remote.map(str::to_owned) };
            Batch { state, checked_at: Some(now), ..batch.clone() }
        })
        .await
    }

    /// Passes on what a write of the batch counts for.
    pub(super) fn measure(&self, reading: &Reading) {
        self.scene.deps.measure(reading);
    }

    async fn name_poll(&mut self, at: DateTime<Utc>, now: DateTime<Utc>) -> Result<Kept, EngineError> {
        let named =
            |batch: &Batch| Batch { next_poll_at: at, polls: batch.polls + 1, checked_at: Some(now), ..batch.clone() };
        arm_poll(self.scene, &named(&self.batch)).await?;
        self.write(named).await
    }

    /// Writes the batch as `change` makes it. Where somebody else wrote it first, what they wrote stays: a wish to stop goes
    /// together with our marks, while a poll that they named means that they go on in our place. (A wish to stop that came before our
    /// first mark has named one too: the rows are read once more then.)
    async fn write(&mut self, change: impl Fn(&Batch) -> Batch) -> Result<Kept, EngineError> {
        let (deps, id) = (self.scene.deps, self.batch.id.clone());
        for _ in 0..MAX_RACES {
            let mut next = change(&self.batch);
            next.rev += 1;
            let settled = matches!(next.state, BatchState::Settled { .. });
            let expires_at = settled.then(|| deps.clock.now() + run_retention(self.scene));
            let write = if settled { Write::Batch { batch: &next, expires_at } } else { Write::BatchPolled(&next) };
            if deps.store.commit(&[write]).await? == Outcome::Applied {
                self.batch = next;
                self.unsaved = 0;
                return Ok(Kept::Written);
            }
            let Some(mut theirs) = deps.store.batch(&id).await? else { return Ok(Kept::Overtaken) };
            let over = matches!(theirs.state, BatchState::Settled { .. });
            if over || theirs.polls != self.batch.polls || theirs.rev == self.batch.rev {
                debug!(batch.attempt = %id, "somebody else looks after batch {id}");
                return Ok(Kept::Overtaken);
            }
            theirs.settled.merge(&self.batch.settled);
            theirs.ended_at = theirs.ended_at.or(self.batch.ended_at);
            self.batch = theirs;
        }
        Err(EngineError::Contended { subject: format!("batch {id}"), times: MAX_RACES })
    }
}
