//! Makes up for occurrences that nothing ran at their time, and records those it does not make up for.
//!
//! Guarantee: every occurrence of an enabled job has one row, whatever was down: at the latest when the job's next timer
//! fires or the sweeper looks, the missed ones are written, run or skipped by the job's rule. Rows that are there already
//! (a late retry was faster) stay as they are.

use chrono::{DateTime, Utc};
use nightshift_domain::RunKey;
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::job::{JobRecord, RunStatus, Verdict, prune_before, verdicts};
use nightshift_domain::run::{Origin, Run, State, Text, WaitReason};
use nightshift_domain::schedule::Schedule;
use tracing::info;

use crate::error::EngineError;
use crate::ports::{Outcome, Write};

use super::Scene;
use super::claim::{bare_run, new_run, prune, skip};
use super::commit::{MAX_RACES, run_retention};
use super::fire::PUT_OFF;
use super::occurrence::Timing;

/// Rows written at once; a transaction takes 100 (`TransactWriteItems` page, 2026-10), one of them the job.
const AT_ONCE: usize = 90;
/// Counts occurrences of which there would be more rows than a job's history keeps.
const UNLISTED: &str = "missed.unlisted";

/// What a job's missed occurrences came to.
#[derive(Debug)]
pub(crate) struct CaughtUp {
    /// The job as it stands now; `None` when it is gone, switched off, or was given another timing meanwhile.
    pub record: Option<JobRecord>,
    /// Runs that were claimed to be made up for now.
    pub claimed: Vec<RunKey>,
    /// Occurrences that were recorded.
    pub recorded: usize,
}

/// Writes the missed occurrences of `record`'s job. `on_time` is the one that is about to start at its time, if any;
/// `switched_off` says that nothing may run.
///
/// # Crash safety
/// A chunk of rows and the job are one transaction, oldest first, and the job says how far it got. Stopped in between, the
/// next fire or sweep goes on from there; a claimed run that was not handed over stands in the due index.
pub(crate) async fn catch_up(
    scene: Scene<'_>,
    record: JobRecord,
    timing: &Timing,
    on_time: Option<DateTime<Utc>>,
    switched_off: bool,
) -> Result<CaughtUp, EngineError> {
    let now = scene.deps.clock.now();
    let most = scene.config.cron.retention.runs_per_job.max(1) as usize;
    let missed = timing.missed(&record, on_time, now, most);
    let mut done = CaughtUp { record: None, claimed: Vec::new(), recorded: 0 };
    if missed.slots.is_empty() {
        done.record = Some(record);
        return Ok(done);
    }
    let busy = !record.active.is_empty() || !record.waiting.is_empty();
    let put_off = missed.slots.partition_point(|slot| record.check.is_some_and(|check| *slot < check));
    let rest = verdicts(&record.job, &missed.slots[put_off..], timing.offset, on_time.is_some(), busy, now);
    let told = std::iter::repeat_n(Verdict::Skip(PUT_OFF), put_off).chain(rest);
    let told = told.map(|verdict| if switched_off { Verdict::Skip("cron_disabled") } else { verdict });
    let mut rows: Vec<(DateTime<Utc>, Verdict)> = missed.slots.iter().copied().zip(told).collect();
    info!(job.id = %record.job.job_id, "{} occurrences of job {} were missed", rows.len(), record.job.job_id);
    let mut unlisted = missed.unlisted;
    let mut record = record;
    while !rows.is_empty() {
        let chunk: Vec<_> = rows.drain(..rows.len().min(AT_ONCE)).collect();
        let Some(after) = write(scene, record, timing, chunk, unlisted, &mut done).await? else { return Ok(done) };
        record = after;
        unlisted = 0;
    }
    done.record = Some(record);
    Ok(done)
}

/// Hands claimed runs to `trigger`. A repeat finds them leased or over.
pub(crate) async fn hand_over(scene: Scene<'_>, runs: &[RunKey]) -> Result<(), EngineError> {
    for run in runs {
        let wake = Wake::Resume { r: run.clone() };
        scene.deps.invoker.invoke(wake.function(), &Envelope::new(wake)).await?;
    }
    Ok(())
}

/// Writes one chunk; `None` when the job is no longer the one these occurrences were worked out for.
async fn write(
    scene: Scene<'_>,
    record: JobRecord,
    timing: &Timing,
    chunk: Vec<(DateTime<Utc>, Verdict)>,
    unlisted: u64,
    done: &mut CaughtUp,
) -> Result<Option<JobRecord>, EngineError> {
    let (deps, now) = (scene.deps, scene.deps.clock.now());
    let (id, generation) = (record.job.job_id.clone(), record.generation);
    let Some(last) = chunk.last().map(|(slot, _)| *slot) else { return Ok(Some(record)) };
    let (mut chunk, mut record, mut races) = (chunk, record, 0);
    loop {
        let mut updated = record.clone();
        updated.rev += 1;
        let (mut runs, mut prune_to) = (Vec::with_capacity(chunk.len()), None);
        for (slot, verdict) in &chunk {
            let run = row(scene, &record, &mut updated, *slot, *verdict, now).await?;
            prune_to = prune_before(&mut updated, run.slot, scene.config.cron.retention.runs_per_job).or(prune_to);
            runs.push(run);
        }
        timing.settle_up_to(&mut updated, timing.settled(&record).map_or(last, |settled| settled.max(last)));
        let mut writes: Vec<Write<'_>> = Vec::with_capacity(runs.len() + 2);
        for run in &runs {
            writes.push(Write::Run { run, expires_at: run.ended_at.map(|ended| ended + run_retention(scene)) });
        }
        writes.push(Write::Job(&updated));
        if unlisted > 0 {
            writes.push(Write::Count { name: UNLISTED, by: i64::try_from(unlisted).unwrap_or(i64::MAX) });
        }
        match deps.store.commit(&writes).await? {
            Outcome::Applied => {
                let claimed = runs.iter().filter(|run| matches!(run.state, State::Due)).map(|run| run.key.clone());
                done.claimed.extend(claimed);
                done.recorded += runs.len();
                prune(deps.store.as_ref(), &id, prune_to, now).await;
                return Ok(Some(updated));
            }
            // It has its row: a retry of its own timer was faster.
            Outcome::Lost(at) if at < runs.len() => {
                chunk.remove(at);
            }
            Outcome::Lost(_) => match deps.store.job(&id).await? {
                Some(again) if again.job.enabled && again.generation == generation && races < MAX_RACES => {
                    record = again;
                    races += 1;
                }
                Some(_) if races >= MAX_RACES => {
                    return Err(EngineError::Contended { subject: format!("job {id}"), times: MAX_RACES });
                }
                Some(_) | None => return Ok(None),
            },
        }
    }
}

/// The row of the missed occurrence at `slot`, entered in `updated`, its job.
async fn row(
    scene: Scene<'_>,
    record: &JobRecord,
    updated: &mut JobRecord,
    slot: DateTime<Utc>,
    verdict: Verdict,
    now: DateTime<Utc>,
) -> Result<Run, EngineError> {
    let key = RunKey::of_slot(&record.job.job_id, slot);
    let mut run = match verdict {
        Verdict::Run | Verdict::Wait => new_run(scene.deps, record, key, Origin::Schedule, now).await?,
        // What is skipped says nothing to anybody.
        Verdict::Skip(_) => bare_run(record, key, Origin::Schedule, Text::Inline(String::new()), now),
    };
    updated.sequence += 1;
    run.sequence = updated.sequence;
    let state = &mut updated.job.state;
    match verdict {
        Verdict::Run => {
            run.log(now, "late", Some("nothing ran it at its time".to_owned()));
            updated.active.push(run.key.clone());
            state.running_at_ms.get_or_insert(now.timestamp_millis());
        }
        Verdict::Wait => {
            run.state = State::Waiting { reason: WaitReason::Overlap };
            run.log(now, "waiting", Some("an earlier run of the job is live".to_owned()));
            updated.waiting.push(run.key.clone());
        }
        Verdict::Skip(reason) => {
            skip(&mut run, reason, now);
            state.consecutive_skipped += 1;
            state.last_status = Some(RunStatus::Skipped);
        }
    }
    if matches!((&record.job.schedule, verdict), (Schedule::At { .. }, Verdict::Skip(_))) {
        // Its only occurrence is over; it is kept, disabled, as one that failed is.
        updated.job.enabled = false;
    }
    Ok(run)
}
