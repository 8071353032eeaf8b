//! The doctor's looks as the sweep takes them: a job whose next run has passed, and a part of the daily pass.
//!
//! What the sweep finds here it mends with the same steps as `doctor` with `repair`, and counts.

use nightshift_domain::JobId;

use crate::error::EngineError;
use crate::runs::Scene;

use super::super::{Refusal, Request, Stamp};
use super::{Checkup, Finding, Looked, Stage, Visit, stage_of};

/// Looks at a job, its timers and its next run, by key, and mends what does not fit.
///
/// # Crash safety
/// Each repair may be repeated.
pub(crate) async fn look_at_job(scene: Scene<'_>, id: &JobId) -> Result<Vec<Finding>, EngineError> {
    let request = request(scene);
    let visit = visit(scene, &request);
    let Some(record) = scene.deps.store.job(id).await? else { return Ok(Vec::new()) };
    Ok(match visit.look(&record, &[]).await? {
        Looked::Found(findings) => findings,
        Looked::Gone(_) | Looked::Settling => Vec::new(),
    })
}

/// Goes on with the daily pass from `cursor`, until the invocation's deadline is near, and mends what does not fit.
///
/// # Crash safety
/// Each repair may be repeated, and so may the part that was cut off.
pub(crate) async fn round(scene: Scene<'_>, cursor: &str) -> Result<Checkup, Refusal> {
    let request = request(scene);
    let visit = visit(scene, &request);
    let stage = stage_of(cursor).unwrap_or(Stage::Jobs(None));
    let mut checkup = Checkup::default();
    checkup.next = visit.stages(stage, &mut checkup).await?;
    Ok(checkup)
}

fn request(scene: Scene<'_>) -> Request<'_> {
    let now = scene.deps.clock.now();
    Request { deps: scene.deps, invocation: scene.invocation, now, stamp: Stamp::fresh(scene.deps, now) }
}

fn visit<'a>(scene: Scene<'a>, request: &'a Request<'a>) -> Visit<'a> {
    Visit { request, config: scene.config, repair: true, deep: true, sweeping: true }
}
