//! Adding, changing and removing jobs.

use nightshift_domain::config::Config;
use nightshift_domain::job::{Job, JobRecord, JobState, Patched, apply_patch, parse_new, redeclare};
use nightshift_domain::schedule::Schedule;
use nightshift_domain::{FieldError, JobId};
use serde_json::Value;
use tracing::info;

use crate::error::EngineError;
use crate::ports::{Outcome, Write};
use crate::runs::commit::end_waiting;
use crate::runs::{Scene, load_config};

use super::params::Params;
use super::text::{load_job, store_form};
use super::timing::{check_timer, next_start, retime, set_timer, settle_timer, timer_for};
use super::{MAX_RACES, Refusal, Request};

/// Adds a job; under a declaration key that is known, changes the job that has it.
///
/// # Crash safety
/// One conditional write of the row, then the timer. Stopped before the row, nothing is there; stopped after it, the job
/// has no timer until the request is repeated, or the sweep finds its next run overdue: a repeat with the same stamp, or with
/// the same id, finds the row, takes it for its own and sets the timer.
pub async fn add(request: &Request<'_>, input: &Value) -> Result<Job, Refusal> {
    add_within(request, input, &|_, _| Ok(())).await
}

/// What somebody who may not do everything makes of a job before it is written: the job as it stands, where there is one,
/// and as it is to be. Nothing it changes may touch the job's timing.
pub(crate) type Bound<'b> = &'b (dyn Fn(Option<&Job>, &mut Job) -> Result<(), Vec<FieldError>> + Sync);

/// The same as [`add`] within bounds.
pub(crate) async fn add_within(request: &Request<'_>, input: &Value, bound: Bound<'_>) -> Result<Job, Refusal> {
    let deps = request.deps;
    let config = load_config(deps).await?;
    let defaults = request.defaults(&config);
    let made_up = request.stamp.job_id().ok_or_else(|| Refusal::Changed("the new job's id".to_owned()))?;
    for _ in 0..MAX_RACES {
        if let Some(id) = declared(request, input).await? {
            let make = |job: &Job| bounded(job, redeclare(job, input, &defaults)?, bound);
            return change(request, &config, &id, make).await;
        }
        let job = parse_new(input, &defaults, made_up.clone())?;
        let mut record = JobRecord { born: request.stamp.ulid(), ..JobRecord::added(job, request.now) };
        let job = &mut record.job;
        bound(None, job)?;
        record.job.state.next_run_at_ms = next_start(&record, &config, request.now).map(|at| at.timestamp_millis());
        let stored = store_form(deps, &record).await?;
        if deps.store.commit(&[Write::Job(&stored)]).await? == Outcome::Applied {
            let id = &record.job.job_id;
            info!(job.id = %id, "job {id} is added");
            set_timer(request, &config, None, &stored, true).await?;
            return Ok(record.job);
        }
        match load_job(deps, &record.job.job_id).await? {
            Some(there) if there.job.job_id == made_up || same_definition(&there.job, &record.job) => {
                set_timer(request, &config, None, &there, true).await?;
                return Ok(there.job);
            }
            Some(there) => return Err(Refusal::JobExists(there.job.job_id)),
            // The declaration key was taken this very moment: it is looked up again.
            None => {}
        }
    }
    Err(Refusal::Changed("the job".to_owned()))
}

fn bounded(old: &Job, mut patched: Patched, bound: Bound<'_>) -> Result<Patched, Vec<FieldError>> {
    bound(Some(old), &mut patched.job)?;
    Ok(patched)
}

/// The job that was added under the request's declaration key.
async fn declared(request: &Request<'_>, input: &Value) -> Result<Option<JobId>, Refusal> {
    let wrapped = ["job", "data"].iter().find_map(|name| input.get(name)).filter(|inner| inner.is_object());
    let key = wrapped.unwrap_or(input).get("declarationKey").and_then(Value::as_str).map(str::trim);
    let Some(key) = key.filter(|key| !key.is_empty()) else { return Ok(None) };
    let Some(id) = request.deps.store.job_by_declaration(key).await? else { return Ok(None) };
    Ok(request.deps.store.job(&id).await?.map(|record| record.job.job_id))
}

/// Whether two jobs say the same, whatever became of them. An interval's phase is left out: it defaults to the moment.
fn same_definition(one: &Job, other: &Job) -> bool {
    let bare = |job: &Job| {
        let mut job = Job { created_at_ms: 0, updated_at_ms: 0, state: JobState::default(), ..job.clone() };
        if let Schedule::Every { anchor_ms, .. } = &mut job.schedule {
            *anchor_ms = 0;
        }
        job
    };
    bare(one) == bare(other)
}

/// Changes a job: `{jobId, patch}`.
///
/// # Crash safety
/// As [`add`]. The timer is set again even where the timing did not change, so that a repeat of a request that was cut off
/// mends what it left.
pub async fn update(request: &Request<'_>, input: &Value) -> Result<Job, Refusal> {
    update_within(request, input, &|_, _| Ok(())).await
}

/// The same as [`update`] within bounds.
pub(crate) async fn update_within(request: &Request<'_>, input: &Value, bound: Bound<'_>) -> Result<Job, Refusal> {
    let mut params = Params::new(input, &["jobId", "id", "patch"]);
    let id = params.needed_job();
    let patch = params.get("patch");
    if patch.is_none() {
        params.fault(FieldError::new("missing_field", "patch", "patch is missing").hint("{\"enabled\": false}"));
    }
    let (id, patch) = params.needed(id.zip(patch))?;
    let id = id.not_built_in().map_err(|fault| Refusal::Invalid(vec![fault]))?;
    let config = load_config(request.deps).await?;
    let defaults = request.defaults(&config);
    change(request, &config, &id, |job| bounded(job, apply_patch(job, patch, &defaults)?, bound)).await
}

/// Writes what `make` makes of the job, and sets its timer.
async fn change(
    request: &Request<'_>,
    config: &Config,
    id: &JobId,
    make: impl Fn(&Job) -> Result<Patched, Vec<FieldError>>,
) -> Result<Job, Refusal> {
    let deps = request.deps;
    for _ in 0..MAX_RACES {
        let old = load_job(deps, id).await?.ok_or_else(|| Refusal::NoJob(id.to_string()))?;
        let Patched { job, timing_changed } = make(&old.job)?;
        let mut new = old.clone();
        new.job = job;
        new.rev += 1;
        if new.job.enabled && !old.job.enabled {
            new.begin_anew();
        }
        if timing_changed {
            retime(&old, &mut new, config, request.now);
            // What failed under the old timing does not hold up the new one.
            new.hold_until = None;
            new.check = None;
            new.job.state.next_run_at_ms = next_start(&new, config, request.now).map(|at| at.timestamp_millis());
        }
        let stored = store_form(deps, &new).await?;
        if deps.store.commit(&[Write::Job(&stored)]).await? == Outcome::Applied {
            info!(job.id = %id, job.generation = new.generation, "job {id} is changed");
            set_timer(request, config, Some(&old), &stored, timing_changed || request.stamp.repeated).await?;
            if let Some((name, ..)) = check_timer(&old, config).filter(|_| timing_changed) {
                deps.timers.remove(&name).await?;
            }
            settle_timer(request, config, stored).await?;
            return Ok(new.job);
        }
    }
    Err(Refusal::Changed(format!("job {id}")))
}

/// Removes a job: `{jobId, cancelRuns?}`. Its runs stay as history; a live one ends without delivery, or is stopped, and one
/// that waits for its turn is skipped.
///
/// # Crash safety
/// The timer goes first. Stopped after it, the job is there without a timer until the request is repeated, or the job is
/// changed; stopped after the row, all is done, and a repeat with the same stamp says so.
pub async fn remove(request: &Request<'_>, input: &Value) -> Result<(), Refusal> {
    let mut params = Params::new(input, &["jobId", "id", "cancelRuns"]);
    let (id, cancel_runs) = (params.needed_job(), params.flag("cancelRuns").unwrap_or(false));
    let id = params.needed(id)?.not_built_in().map_err(|fault| Refusal::Invalid(vec![fault]))?;
    let deps = request.deps;
    let config = load_config(deps).await?;
    if cancel_runs && let Some(record) = deps.store.job(&id).await? {
        let scene = Scene { deps, invocation: request.invocation, config: &config };
        for run in record.active.iter().chain(&record.waiting) {
            Box::pin(crate::runs::cancel(scene, run)).await?;
        }
    }
    for attempt in 0..MAX_RACES {
        let Some(record) = deps.store.job(&id).await? else {
            let ours = request.stamp.repeated || attempt > 0;
            return if ours { Ok(()) } else { Err(Refusal::NoJob(id.to_string())) };
        };
        let timer = timer_for(&record, &config, request.now);
        let name = timer.map_or_else(|| record.job.job_id.timer_name(), |timer| timer.name);
        deps.timers.remove(&name).await.map_err(EngineError::Timer)?;
        if let Some((name, ..)) = check_timer(&record, &config) {
            deps.timers.remove(&name).await.map_err(EngineError::Timer)?;
        }
        if deps.store.commit(&[Write::RemoveJob(&record)]).await? == Outcome::Applied {
            info!(job.id = %id, "job {id} is removed");
            end_waiting(deps, &record).await;
            return Ok(());
        }
    }
    Err(Refusal::Changed(format!("job {id}")))
}
