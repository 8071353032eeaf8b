//! The places that bound how many realtime turns are in flight (`cron.maxConcurrentRuns`), and the queue for them.
//!
//! Guarantee: a run calls a model in realtime only while it holds a place, taken and given back with the very writes that
//! move it, so that a crash leaves neither a place without a run nor a run without its place. Who waits longest is next;
//! whoever frees a place wakes it, and the sweeper does where that wake was lost. Runs in a batch hold none.

use nightshift_domain::RunKey;
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::run::Run;

use crate::error::EngineError;
use crate::ports::Places;

use super::Scene;

/// Most places that are handed out, whatever the configuration says.
const MOST: u32 = 1000;

/// What a run that is about to call a model gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    /// It needs none, or keeps the one it has.
    Keep,
    /// This one, if nobody is faster.
    Take(u32),
    /// None is free, or others have waited longer.
    Wait,
}

/// The place for a run that goes from `before` to `after`. Those that wait are woken where places are free and nobody
/// came for them.
pub(super) async fn seat(scene: Scene<'_>, before: &Run, after: &Run) -> Result<Seat, EngineError> {
    if before.place.is_some() || before.state.is_running() || !after.state.is_running() {
        return Ok(Seat::Keep);
    }
    let places = look(scene).await?;
    if let Some((mine, _)) = places.held.iter().find(|(_, run)| *run == after.key) {
        return Ok(Seat::Take(*mine));
    }
    let free = free(scene, &places);
    let ahead = places.queue.iter().position(|run| *run == after.key).unwrap_or(places.queue.len());
    if let Some(place) = free.get(ahead) {
        return Ok(Seat::Take(*place));
    }
    let idle = places.queue.iter().take(free.len());
    wake(scene, idle).await?;
    Ok(Seat::Wait)
}

/// Wakes those whose turn it is.
///
/// # Crash safety
/// A wake that is lost is made up for by the next run that wants a place, and by the sweep.
pub(crate) async fn wake_next(scene: Scene<'_>) -> Result<usize, EngineError> {
    let places = look(scene).await?;
    let free = free(scene, &places).len();
    wake(scene, places.queue.iter().take(free)).await
}

/// A place whose holder does not have it, which no write of ours leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Leak {
    /// Its number.
    pub(crate) place: u32,
    /// Who is entered as its holder.
    pub(crate) holder: RunKey,
    /// That run, where it is there.
    pub(crate) run: Option<Run>,
}

/// The places that are held by a run which does not have them.
pub(crate) async fn leaks(scene: Scene<'_>) -> Result<Vec<Leak>, EngineError> {
    let mut leaks = Vec::new();
    for (place, holder) in look(scene).await?.held {
        let run = scene.deps.store.run(&holder).await?;
        if run.as_ref().is_none_or(|run| run.place != Some(place)) {
            leaks.push(Leak { place, holder, run });
        }
    }
    Ok(leaks)
}

/// The runs that are first in the queue and for which places are free.
pub(crate) async fn idle(scene: Scene<'_>) -> Result<Vec<RunKey>, EngineError> {
    let places = look(scene).await?;
    let free = free(scene, &places).len();
    Ok(places.queue.into_iter().take(free).collect())
}

async fn look(scene: Scene<'_>) -> Result<Places, EngineError> {
    Ok(scene.deps.store.places(limit(scene)).await?)
}

fn limit(scene: Scene<'_>) -> u32 {
    scene.config.cron.max_concurrent_runs.clamp(1, MOST)
}

fn free(scene: Scene<'_>, places: &Places) -> Vec<u32> {
    (0..limit(scene)).filter(|place| places.held.iter().all(|(held, _)| held != place)).collect()
}

async fn wake<'a>(
    scene: Scene<'_>,
    runs: impl Iterator<Item = &'a nightshift_domain::RunKey>,
) -> Result<usize, EngineError> {
    let mut woken = 0;
    for run in runs {
        let wake = Wake::Resume { r: run.clone() };
        scene.deps.invoker.invoke(wake.function(), &Envelope::new(wake)).await?;
        woken += 1;
    }
    Ok(woken)
}
