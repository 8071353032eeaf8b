//! Takes jobs, how they fared, and their finished runs from elsewhere.
//!
//! Guarantee: one bad job never stands in the way of the others, and changes nothing; a job that is here under the same id
//! stays as it is unless an update was asked for; sent twice, the same list adds nothing the second time and finishes what the
//! first left undone. Runs become history only: they touch no job.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;
use futures::future::try_join_all;
use nightshift_domain::config::Config;
use nightshift_domain::job::import::{
    Incoming, JobOutcome, JobReport, PastRun, RefusedRun, RunsReport, read_job, read_run,
};
use nightshift_domain::job::{Job, JobRecord};
use nightshift_domain::run::{Run, State};
use nightshift_domain::schedule::{Schedule, resolve_at};
use nightshift_domain::{FieldError, JobId, RunKey};
use serde_json::Value;
use tracing::info;

use crate::error::EngineError;
use crate::ports::{Outcome, Write};
use crate::runs::{load_config, remarks, run_text};

use super::params::Params;
use super::text::{load_job, store_form};
use super::timing::{next_start, retime, set_timer};
use super::{MAX_RACES, Refusal, Request};

/// Most jobs of one request: each is a few calls, and a request has half a minute.
const MOST_JOBS: usize = 100;
/// Most runs of one request; each is one conditional write.
const MOST_RUNS: usize = 500;
/// Runs written at the same time.
const AT_ONCE: usize = 16;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Nothing was written: it is what would become of it.
    pub dry_run: bool,
    /// Remarks about all of it.
    pub notes: Vec<String>,
    /// Every job, in the request's order.
    pub jobs: Vec<JobReport>,
    /// The runs.
    pub runs: RunsReport,
}

/// How an import is to go.
#[derive(Debug, Clone, Copy)]
struct How {
    dry_run: bool,
    update: bool,
}

/// Imports `{jobs?, runs?, dryRun?, update?}`.
///
/// # Crash safety
/// Job by job as [`super::add`]: the row, then its timer. A repeat finds the rows, says `unchanged`, and sets the timers again.
/// A run is one conditional write under a key made of what the run is.
pub async fn import(request: &Request<'_>, input: &Value) -> Result<Imported, Refusal> {
    let mut params = Params::new(input, &["jobs", "runs", "dryRun", "update"]);
    let how = How { dry_run: params.flag("dryRun").unwrap_or(false), update: params.flag("update").unwrap_or(false) };
    let (jobs, runs) = (list(&mut params, "jobs", MOST_JOBS), list(&mut params, "runs", MOST_RUNS));
    let (jobs, runs) = params.done((jobs, runs))?;
    let config = load_config(request.deps).await?;
    let defaults = request.defaults(&config);
    let mut answer =
        Imported { dry_run: how.dry_run, notes: Vec::new(), jobs: Vec::new(), runs: RunsReport::default() };
    let mut seen = BTreeSet::new();
    for input in jobs {
        let incoming = read_job(input, &defaults);
        if incoming.wake_assumed && incoming.job.is_ok() && answer.notes.is_empty() {
            answer.notes.push(
                "jobs that do not say a wake mode get now, as where they come from; a new job here gets next-heartbeat"
                    .to_owned(),
            );
        }
        let first = seen.insert(incoming.job_id.clone());
        answer.jobs.push(one_job(request, &config, incoming, how, first).boxed().await?);
    }
    answer.runs = past_runs(request, &config, runs, how).boxed().await?;
    let added = answer.jobs.iter().filter(|job| job.outcome == JobOutcome::Added).count();
    info!(
        jobs.count = answer.jobs.len(),
        jobs.added = added,
        runs.imported = answer.runs.imported,
        dry_run = how.dry_run,
        "an import of {} jobs adds {added}",
        answer.jobs.len()
    );
    Ok(answer)
}

fn list<'a>(params: &mut Params<'a>, name: &str, most: usize) -> &'a [Value] {
    let Some(value) = params.get(name) else { return &[] };
    let Some(items) = value.as_array() else {
        params.fault(FieldError::new("invalid_field", name, format!("{name} is not a list")));
        return &[];
    };
    if items.len() > most {
        let message = format!("{name} has {} entries, the most is {most}", items.len());
        params.fault(FieldError::new("invalid_field", name, message).hint("send the rest in another request"));
    }
    items
}

/// One job, to its report. Only the world's failures are errors.
async fn one_job(
    request: &Request<'_>,
    config: &Config,
    mut incoming: Incoming,
    how: How,
    first: bool,
) -> Result<JobReport, Refusal> {
    let job = match &incoming.job {
        Ok(job) => job.clone(),
        Err(faults) => {
            let faults = faults.clone();
            return Ok(report(incoming, JobOutcome::Refused, faults));
        }
    };
    // Of two jobs with one id in one list the first one counts; the second never replaces it.
    let how = How { update: how.update && first, ..how };
    let outcome = match settle(request, config, &mut incoming, &job, how).await {
        Ok(outcome) => outcome,
        Err(Refusal::Invalid(faults)) => return Ok(report(incoming, JobOutcome::Refused, faults)),
        Err(refusal @ Refusal::Changed(_)) => {
            let fault = FieldError::new("conflict", "jobId", refusal.to_string()).hint("try again");
            return Ok(report(incoming, JobOutcome::Conflict, vec![fault]));
        }
        Err(
            refusal @ (Refusal::NoJob(_)
            | Refusal::NoRun(_)
            | Refusal::NoSession { .. }
            | Refusal::SessionBusy { .. }
            | Refusal::JobExists(_)
            | Refusal::ConfigChanged { .. }
            | Refusal::NoDocument(_)
            | Refusal::NoMemory { .. }
            | Refusal::TextChanged { .. }
            | Refusal::Failed(_)),
        ) => return Err(refusal),
    };
    if matches!(outcome, JobOutcome::Added | JobOutcome::Updated) {
        incoming.notes.extend(remarks(request.deps, config, &job).await);
    }
    Ok(report(incoming, outcome, Vec::new()))
}

fn report(incoming: Incoming, outcome: JobOutcome, faults: Vec<FieldError>) -> JobReport {
    JobReport {
        source_id: incoming.source_id,
        job_id: incoming.job_id.to_string(),
        name: incoming.name,
        outcome,
        dropped: incoming.dropped,
        notes: incoming.notes,
        faults,
    }
}

/// Adds, updates or leaves `job`.
async fn settle(
    request: &Request<'_>,
    config: &Config,
    incoming: &mut Incoming,
    job: &Job,
    how: How,
) -> Result<JobOutcome, Refusal> {
    let deps = request.deps;
    for _ in 0..MAX_RACES {
        if let Some(there) = load_job(deps, &job.job_id).await? {
            let mut differences = incoming.differences(&there.job);
            if how.update && differences.iter().any(|field| field == "declarationKey") {
                incoming.notes.push("a declaration key never changes; it stays as it is here".to_owned());
                differences.retain(|field| field != "declarationKey");
            }
            if differences.is_empty() {
                if !how.dry_run {
                    // Its timer may be what an earlier request was cut off at.
                    set_timer(request, config, None, &there, true).await?;
                }
                return Ok(JobOutcome::Unchanged);
            }
            let named = differences.join(", ");
            if !how.update {
                incoming.notes.push(format!("there is a job of this id that differs in {named}; it stays as it is"));
                return Ok(JobOutcome::Conflict);
            }
            if how.dry_run || replace(request, config, incoming, &there, job).await? {
                incoming.notes.push(format!("it differed in {named}"));
                return Ok(JobOutcome::Updated);
            }
            continue;
        }
        if let Some(run) = had_its_run(request, job).await? {
            incoming.notes.push(format!("it has had its run here ({run}) and went after it"));
            return Ok(JobOutcome::Unchanged);
        }
        if let Some(key) = &job.declaration_key
            && let Some(owner) = deps.store.job_by_declaration(key).await?
        {
            let fault = FieldError::new(
                "conflict",
                "declarationKey",
                format!("job {owner} has the declaration key \"{}\"", key.escape_debug()),
            );
            return Err(fault.hint("remove that job, or the key from one of the two").into());
        }
        if how.dry_run {
            return Ok(JobOutcome::Added);
        }
        let mut record = JobRecord { born: request.stamp.ulid(), ..JobRecord::added(job.clone(), request.now) };
        record.job.state.next_run_at_ms = next_start(&record, config, request.now).map(|at| at.timestamp_millis());
        let stored = store_form(deps, &record).await?;
        if deps.store.commit(&[Write::Job(&stored)]).await? == Outcome::Applied {
            let id = &job.job_id;
            info!(job.id = %id, "job {id} is imported");
            set_timer(request, config, None, &stored, true).await?;
            return Ok(JobOutcome::Added);
        }
        // Somebody else was faster: it is looked at again.
    }
    Err(Refusal::Changed(format!("job {}", job.job_id)))
}

/// Defines the job that is `there` as it comes; how it fares here stays. `false` when somebody changed it meanwhile.
async fn replace(
    request: &Request<'_>,
    config: &Config,
    incoming: &Incoming,
    there: &JobRecord,
    job: &Job,
) -> Result<bool, Refusal> {
    let deps = request.deps;
    let mut new = there.clone();
    new.job = Job {
        created_at_ms: there.job.created_at_ms,
        updated_at_ms: request.now.timestamp_millis(),
        // The key is given when a job is added and never changes.
        declaration_key: there.job.declaration_key.clone(),
        state: there.job.state.clone(),
        ..job.clone()
    };
    if let (false, Schedule::Every { anchor_ms, .. }, Schedule::Every { anchor_ms: own, .. }) =
        (incoming.is_anchored(), &mut new.job.schedule, &there.job.schedule)
    {
        *anchor_ms = *own;
    }
    if new.job.enabled && !there.job.enabled {
        new.begin_anew();
    }
    new.rev += 1;
    retime(there, &mut new, config, request.now);
    // What was missed before stays missed.
    if there.settled.is_some_and(|settled| settled <= request.now) {
        (new.settled, new.ahead) = (there.settled, there.ahead.clone());
    }
    new.job.state.next_run_at_ms = next_start(&new, config, request.now).map(|at| at.timestamp_millis());
    let stored = store_form(deps, &new).await?;
    if deps.store.commit(&[Write::Job(&stored)]).await? != Outcome::Applied {
        return Ok(false);
    }
    info!(job.id = %job.job_id, job.generation = new.generation, "job {} is changed by an import", job.job_id);
    set_timer(request, config, Some(there), &stored, true).await?;
    Ok(true)
}

/// The run of a one-shot whose time is over, if it had it here: such a job went after its success and must not come back.
async fn had_its_run(request: &Request<'_>, job: &Job) -> Result<Option<RunKey>, Refusal> {
    let Schedule::At { at, .. } = &job.schedule else { return Ok(None) };
    let Ok(instant) = resolve_at(at, None, request.now) else { return Ok(None) };
    if instant > request.now {
        return Ok(None);
    }
    let run = request.deps.store.run(&RunKey::of_slot(&job.job_id, instant)).await?;
    Ok(run.filter(|run| run.state == State::Succeeded).map(|run| run.key))
}

/// What became of one run.
enum Fate {
    Imported,
    Unchanged,
}

async fn past_runs(request: &Request<'_>, config: &Config, entries: &[Value], how: How) -> Result<RunsReport, Refusal> {
    let retention = chrono::TimeDelta::days(i64::from(config.cron.retention.runs_days));
    let mut report = RunsReport::default();
    let mut fresh: Vec<PastRun> = Vec::new();
    let mut keys = BTreeSet::new();
    for (index, entry) in entries.iter().enumerate() {
        match read_run(entry, request.now) {
            Err(refused) => {
                let line = u64::try_from(index + 1).ok();
                report.refused.push(RefusedRun { line, ..refused });
            }
            Ok(past) if past.ended_at + retention <= request.now => report.expired += 1,
            Ok(past) if !keys.insert(past.run.key.clone()) => report.unchanged += 1,
            Ok(past) => fresh.push(past),
        }
    }
    let owners = owners(request, &fresh).await?;
    while !fresh.is_empty() {
        let some = fresh.drain(..fresh.len().min(AT_ONCE));
        let fates = some.map(|past| one_run(request, past, &owners, retention, how).boxed());
        for fate in try_join_all(fates).await? {
            match fate {
                Fate::Imported => report.imported += 1,
                Fate::Unchanged => report.unchanged += 1,
            }
        }
    }
    Ok(report)
}

/// Name and agent of the jobs the runs belong to, as far as they are here.
async fn owners(
    request: &Request<'_>,
    runs: &[PastRun],
) -> Result<BTreeMap<JobId, (String, Option<String>)>, EngineError> {
    let ids: BTreeSet<&JobId> = runs.iter().map(|past| &past.run.job_id).collect();
    let ids: Vec<&JobId> = ids.into_iter().collect();
    let mut owners = BTreeMap::new();
    for some in ids.chunks(AT_ONCE) {
        let found = try_join_all(some.iter().map(|id| request.deps.store.job(id))).await?;
        let named = found.into_iter().flatten().map(|record| record.job);
        owners.extend(named.map(|job| (job.job_id, (job.name, job.agent_id))));
    }
    Ok(owners)
}

async fn one_run(
    request: &Request<'_>,
    past: PastRun,
    owners: &BTreeMap<JobId, (String, Option<String>)>,
    retention: chrono::TimeDelta,
    how: How,
) -> Result<Fate, EngineError> {
    let deps = request.deps;
    let PastRun { mut run, answer, job_name, agent, ended_at } = past;
    // Asked first, because a write that repeats what stands there counts as carried out.
    if deps.store.run(&run.key).await?.is_some() {
        return Ok(Fate::Unchanged);
    }
    if how.dry_run {
        return Ok(Fate::Imported);
    }
    let owner = owners.get(&run.job_id);
    if let Some(name) = job_name.or_else(|| owner.map(|(name, _)| name.clone())) {
        run.job_name = name;
    }
    if let Some(agent) = agent.or_else(|| owner.and_then(|(_, agent)| agent.clone())) {
        run.agent_id = agent;
    }
    if let Some(text) = answer {
        run.answer = Some(run_text(deps, &run.key, text).await?);
    }
    let write: &Run = &run;
    let written = deps.store.commit(&[Write::Run { run: write, expires_at: Some(ended_at + retention) }]).await?;
    Ok(match written {
        Outcome::Applied => Fate::Imported,
        Outcome::Lost(_) => Fate::Unchanged,
    })
}
