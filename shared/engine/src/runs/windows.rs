//! Windows: ready hops wait in one for others to share a batch with (DESIGN §5.1).
//!
//! Guarantee: a run that waits in a window stands in the table with it, put there and taken out with the very writes that
//! move the run, so that whoever seals the window finds all of its runs and no others. A window that nobody seals stands in
//! the due index, and so does each run in it.

use chrono::{DateTime, Utc};
use nightshift_domain::batch::{Window, WindowId, window_of};
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::run::{Effect, Run, Transition};
use tracing::{debug, info};

use crate::batches::{Sealed, seal};
use crate::error::EngineError;
use crate::ports::{Outcome, Write};

use super::Scene;
use super::commit::MAX_RACES;
use super::drive::{Resumed, drive};

/// The transition with the window its run waits in, where it became ready and is to wait.
pub(super) fn gathered(scene: Scene<'_>, transition: Transition, now: DateTime<Utc>) -> Transition {
    if !transition.effects.contains(&Effect::Submit) {
        return transition;
    }
    match window_of(&transition.run, scene.config.cron.batch.window_seconds, now) {
        Some(window) => transition.collected(window, now),
        None => transition,
    }
}

/// Sees that the window of a run that was just put there is open: whoever opens it arms its timer. The run was written
/// before this looks, so either the sealer that closes the window sees the run, or this sees the window closed.
///
/// # Crash safety
/// Stopped before the window is written, the run stands in the due index; stopped before its timer is armed, the window
/// does. Either way the sweep seals it.
pub(crate) async fn open(scene: Scene<'_>, id: &WindowId) -> Result<(), EngineError> {
    for _ in 0..MAX_RACES {
        let before = scene.deps.store.window(id).await?;
        let Some(window) = Window::opened(id, before.as_ref(), scene.deps.clock.now()) else { return Ok(()) };
        if save(scene, &window, None).await? {
            debug!(window.id = %id, "window {id} is open and is sealed at {}", window.seal_at);
            return arm(scene, &window).await;
        }
    }
    Err(EngineError::Contended { subject: format!("window {id}"), times: MAX_RACES })
}

/// Arms the window's timer. Its name holds the timer's number, so a repeat is the same timer.
pub(crate) async fn arm(scene: Scene<'_>, window: &Window) -> Result<(), EngineError> {
    let wake = Wake::Window { w: window.id.clone() };
    scene.deps.timers.arm(&window.id.timer(window.timers), window.seal_at, &Envelope::new(wake)).await?;
    Ok(())
}

/// Writes a window; `false` when somebody moved it first.
pub(crate) async fn save(
    scene: Scene<'_>,
    window: &Window,
    expires_at: Option<DateTime<Utc>>,
) -> Result<bool, EngineError> {
    Ok(scene.deps.store.commit(&[Write::Window { window, expires_at }]).await? == Outcome::Applied)
}

/// Takes up a run that waits in a window: before the window's end there is nothing to do but to see that it is open; after
/// it, the window is sealed, and a run that is left in it for whatever reason goes by itself.
pub(super) async fn take_up(scene: Scene<'_>, run: &Run, id: &WindowId) -> Result<Resumed, EngineError> {
    open(scene, id).await?;
    if scene.deps.clock.now() < id.ends_at() {
        return Ok(Resumed::Nothing);
    }
    info!(run.id = %run.key, window.id = %id, "window {id} of run {} was not sealed at its time", run.key);
    if let Sealed::Held { until } = seal(scene, id).await? {
        return Ok(Resumed::Held { until });
    }
    if let Some(run) = scene.deps.store.run(&run.key).await?.filter(|run| run.state.window() == Some(id)) {
        drive(scene, run, vec![Effect::Submit]).await?;
    }
    Ok(Resumed::Driven)
}
