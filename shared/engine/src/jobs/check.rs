//! Moving a recurring job's next run, once.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use nightshift_domain::job::Job;
use nightshift_domain::schedule::Schedule;
use nightshift_domain::{FieldError, JobId};
use tracing::{info, warn};

use crate::ports::{Outcome, Write};
use crate::runs::Scene;
use crate::runs::occurrence::Timing;

use super::timing::{check_timer, timer_for};
use super::{MAX_RACES, Refusal, Request};

/// Lets the job run next at `at`, to the second, instead of at its next occurrence. Occurrences before that are skipped with
/// a record each; later ones are as ever. A move that was made before and has not come yet gives way to this one.
///
/// # Crash safety
/// One conditional write of the job, then a one-shot of its own beside the job's timer, under a name that says what it stands
/// for. Stopped in between, the job's next run passes without a claim, and the sweep makes up for it by the job's rule.
pub(crate) async fn next_check(
    scene: Scene<'_>,
    request: &Request<'_>,
    id: &JobId,
    at: DateTime<Utc>,
) -> Result<Job, Refusal> {
    let deps = request.deps;
    for _ in 0..MAX_RACES {
        let old = deps.store.job(id).await?.ok_or_else(|| Refusal::NoJob(id.to_string()))?;
        let recurs = !matches!(old.job.schedule, Schedule::At { .. });
        if old.job.wanted_by().is_some() {
            let fault = FieldError::new("not_movable", "jobId", "a job with deliverBy starts when its answer needs it");
            return Err(fault.hint("add a job whose schedule is an \"at\"").into());
        }
        let timing = Timing::of(&old, scene).filter(|_| recurs && old.job.enabled);
        let Some((timing, offset)) = timing.and_then(|it| it.starts.offset().map(|offset| (it, offset))) else {
            let message = "only a recurring job that is enabled has a next run to move";
            let fault = FieldError::new("not_recurring", "jobId", message);
            return Err(fault.hint("add a job whose schedule is an \"at\"").into());
        };
        let mut new = old.clone();
        new.rev += 1;
        let check = (at - offset).trunc_subsecs(0);
        new.check = Some(check);
        // Kept before the next run moves, from which it would be read otherwise. What lies between now and the next occurrence
        // counts as settled then, and this instant must not.
        new.settled = timing.settled(&old).map(|settled| settled.min(check - TimeDelta::milliseconds(1)));
        let next = timing.next_start(&new, timing.starts.floor(request.now));
        new.job.state.next_run_at_ms = next.map(|at| at.timestamp_millis());
        // Every other field of the row is as it was read, its text's form too.
        if deps.store.commit(&[Write::Job(&new)]).await? != Outcome::Applied {
            continue;
        }
        info!(job.id = %id, "the next run of job {id} is moved to {at}");
        let before = check_timer(&old, scene.config).map(|(name, ..)| name);
        if let Some((name, at, envelope)) = check_timer(&new, scene.config) {
            deps.timers.arm(&name, at, &envelope).await?;
            // A chain's next link may stand for the very same instant.
            let link = timer_for(&new, scene.config, request.now).map(|timer| timer.name);
            if let Some(before) = before.filter(|before| *before != name && Some(before) != link.as_ref())
                && let Err(error) = deps.timers.remove(&before).await
            {
                // It fires, stands for nothing any more, and goes.
                warn!(job.id = %id, "the timer {before} of job {id} is left over: {error}");
            }
        }
        return Ok(new.job);
    }
    Err(Refusal::Changed(format!("job {id}")))
}
