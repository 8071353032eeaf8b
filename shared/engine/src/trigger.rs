//! Starts and resumes runs: what the `trigger` function does with an envelope.

use nightshift_domain::event::Wake;
use tracing::debug;

use crate::batches;
use crate::error::EngineError;
use crate::runs::{Fire, Fired, Resumed, Scene, fire, resume};

/// What an envelope came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Triggered {
    /// A job's timer fired.
    Fired(Fired),
    /// A run was taken up.
    Resumed(Resumed),
    /// The envelope is for another function.
    NotMine,
}

/// Handles an envelope.
pub async fn handle(scene: Scene<'_>, wake: &Wake) -> Result<Triggered, EngineError> {
    let now = scene.deps.clock.now();
    if let Some(job) = Fire::of(wake, now) {
        return Box::pin(fire(scene, &job)).await.map(Triggered::Fired);
    }
    let Wake::Resume { r } = wake else { return Ok(Triggered::NotMine) };
    let resumed = Box::pin(resume(scene, r)).await?;
    if let Resumed::InBatch(batch) = &resumed {
        // Asked for out of turn, by a holder's retry after a crash: the batch knows how the run stands.
        let polled = Box::pin(batches::look_after(scene, r, batch)).await?;
        debug!(run.id = %r, "run {r} is in batch {batch}: {polled:?}");
    }
    Ok(Triggered::Resumed(resumed))
}
