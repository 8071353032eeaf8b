//! Makes up for occurrences that nothing ran at their time, and records those it does not make up for.
//!
//! Guarantee: every occurrence of an enabled job has one row, whatever was down: at the latest when the job's next timer
//! fires or the sweeper looks, the missed ones are written, run or skipped by the job's rule. Rows that are there already
//! (a late retry was faster) stay as they are.

use std::collections::{BTreeSet, VecDeque};

use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use nightshift_domain::alert::on_ended;
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::job::{JobRecord, RunStatus, Verdict, prune_before, verdicts};
use nightshift_domain::metrics;
use nightshift_domain::run::{Origin, Run, State, Text, WaitReason};
use nightshift_domain::schedule::Schedule;
use nightshift_domain::{JobId, RunKey};
use tracing::info;

use crate::error::EngineError;
use crate::ports::{Outcome, Write};
use crate::sweep::FindingKind;

use super::claim::{MADE_UP, bare_run, new_run, prune, skip};
use super::commit::{MAX_RACES, hand_over_alerts, run_retention};
use super::fire::PUT_OFF;
use super::occurrence::Timing;
use super::{Scene, note_repair};

/// Rows written at once; a transaction takes 100 (`TransactWriteItems` page, 2026-10), one of them the job.
const AT_ONCE: usize = 90;
/// How many rows are looked for at a time.
const READS_AT_ONCE: usize = 16;
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

/// What missed occurrences are recorded for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Why {
    /// The one that is about to start at its time, if any.
    pub on_time: Option<DateTime<Utc>>,
    /// Nothing may run.
    pub switched_off: bool,
    /// It is the sweep that looks: what is recorded is a repair, noted and counted.
    pub swept: bool,
}

/// Writes the missed occurrences of `record`'s job.
///
/// Where somebody else is faster, what is left is worked out anew from the job as it stands then: an occurrence that got its
/// record meanwhile is missed no more, and a run that began meanwhile is one to wait for.
///
/// # Crash safety
/// A chunk of rows and the job are one transaction, oldest first, and the job says how far it got. Stopped in between, the
/// next fire or sweep goes on from there; a claimed run that was not handed over stands in the due index.
pub(crate) async fn catch_up(
    scene: Scene<'_>,
    record: JobRecord,
    timing: &Timing,
    why: Why,
) -> Result<CaughtUp, EngineError> {
    let store = &scene.deps.store;
    let id = record.job.job_id.clone();
    let mut done = CaughtUp { record: None, claimed: Vec::new(), recorded: 0 };
    let (mut record, mut races, mut known) = (record, 0, BTreeSet::new());
    let mut left = missed(scene, &record, timing, why);
    loop {
        let Some(chunk) = left.chunk(&known) else {
            done.record = Some(record);
            return Ok(done);
        };
        let first = done.recorded == 0;
        let at = match write(scene, &record, timing, why, &chunk, first, &mut done).await? {
            Written::All(updated) => {
                record = *updated;
                continue;
            }
            Written::Lost(at) => at,
        };
        races += 1;
        if races > MAX_RACES {
            return Err(EngineError::Contended { subject: format!("job {id}"), times: MAX_RACES });
        }
        match store.job(&id).await? {
            Some(again) if again.job.enabled && again.is_timed_as(&record) => {
                if at < chunk.rows.len() && again.rev == record.rev {
                    // A row that the job knows nothing of: one of an earlier job of this name. It stays as it is.
                    known.extend(present(scene, &id, &chunk).await?);
                }
                record = again;
                left = missed(scene, &record, timing, why);
            }
            Some(_) | None => return Ok(done),
        }
    }
}

/// Occurrences that are recorded together, oldest first.
struct Chunk {
    /// With what becomes of each.
    rows: Vec<(DateTime<Utc>, Verdict)>,
    /// Up to where every occurrence has its record then.
    last: DateTime<Utc>,
    /// How many there are that get no row.
    unlisted: u64,
}

/// What is still to be recorded.
struct Left {
    rows: VecDeque<(DateTime<Utc>, Verdict)>,
    unlisted: u64,
}

impl Left {
    /// Takes the next ones; `known` have a row already.
    fn chunk(&mut self, known: &BTreeSet<DateTime<Utc>>) -> Option<Chunk> {
        let rows: Vec<_> = self.rows.drain(..self.rows.len().min(AT_ONCE)).collect();
        let (last, _) = *rows.last()?;
        let rows = rows.into_iter().filter(|(slot, _)| !known.contains(slot)).collect();
        Some(Chunk { rows, last, unlisted: std::mem::take(&mut self.unlisted) })
    }
}

/// What is missed of the job as it stands, and what becomes of each.
fn missed(scene: Scene<'_>, record: &JobRecord, timing: &Timing, why: Why) -> Left {
    let now = scene.deps.clock.now();
    let most = scene.config.cron.retention.runs_per_job.max(1) as usize;
    let missed = timing.missed(record, why.on_time, now, most);
    let busy = !record.active.is_empty() || !record.waiting.is_empty();
    let put_off = missed.slots.partition_point(|slot| record.check.is_some_and(|check| *slot < check));
    let rest = verdicts(&record.job, &missed.slots[put_off..], &timing.starts, why.on_time.is_some(), busy, now);
    let told = std::iter::repeat_n(Verdict::Skip(PUT_OFF), put_off).chain(rest);
    let told = told.map(|verdict| if why.switched_off { Verdict::Skip("cron_disabled") } else { verdict });
    if !missed.slots.is_empty() {
        info!(job.id = %record.job.job_id, "{} occurrences of job {} were missed", missed.slots.len(), record.job.job_id);
    }
    Left { rows: missed.slots.iter().copied().zip(told).collect(), unlisted: missed.unlisted }
}

/// Those of a chunk that have a row.
async fn present(scene: Scene<'_>, id: &JobId, chunk: &Chunk) -> Result<Vec<DateTime<Utc>>, EngineError> {
    let mut found = Vec::new();
    for some in chunk.rows.chunks(READS_AT_ONCE) {
        let keys: Vec<RunKey> = some.iter().map(|(slot, _)| RunKey::of_slot(id, *slot)).collect();
        let runs = try_join_all(keys.iter().map(|key| scene.deps.store.run(key))).await?;
        found.extend(runs.into_iter().flatten().map(|run| run.slot));
    }
    Ok(found)
}

/// Hands claimed runs to `trigger`. A repeat finds them leased or over.
pub(crate) async fn hand_over(scene: Scene<'_>, runs: &[RunKey]) -> Result<(), EngineError> {
    for run in runs {
        let wake = Wake::Resume { r: run.clone() };
        scene.deps.invoker.invoke(wake.function(), &Envelope::new(wake)).await?;
    }
    Ok(())
}

/// What became of a chunk.
enum Written {
    /// It is written, and the job stands so.
    All(Box<JobRecord>),
    /// Somebody else wrote this one of its rows first, or the job.
    Lost(usize),
}

/// Writes one chunk, with the job it is worked out from.
async fn write(
    scene: Scene<'_>,
    record: &JobRecord,
    timing: &Timing,
    why: Why,
    chunk: &Chunk,
    first: bool,
    done: &mut CaughtUp,
) -> Result<Written, EngineError> {
    let (deps, now) = (scene.deps, scene.deps.clock.now());
    let mut updated = record.clone();
    updated.rev += 1;
    let (mut runs, mut prune_to) = (Vec::with_capacity(chunk.rows.len()), None);
    for (slot, verdict) in &chunk.rows {
        let mut run = row(scene, record, &mut updated, *slot, *verdict, now).await?;
        run.due_by = record.due_by(&timing.starts, *slot).map(Box::new);
        if why.swept {
            note_repair(&mut run, FindingKind::MissedFire, MADE_UP, now);
        }
        prune_to = prune_before(&mut updated, run.slot, scene.config.cron.retention.runs_per_job).or(prune_to);
        runs.push(run);
    }
    timing.settle_up_to(&mut updated, timing.settled(record).map_or(chunk.last, |settled| settled.max(chunk.last)));
    let mut writes: Vec<Write<'_>> = Vec::with_capacity(runs.len() + 3);
    for run in &runs {
        writes.push(Write::Run { run, expires_at: run.ended_at.map(|ended| ended + run_retention(scene)) });
    }
    writes.push(Write::Job(&updated));
    if chunk.unlisted > 0 {
        writes.push(Write::Count { name: UNLISTED, by: i64::try_from(chunk.unlisted).unwrap_or(i64::MAX) });
    }
    let mends = why.swept && first && !runs.is_empty();
    if mends {
        writes.push(Write::Count { name: FindingKind::MissedFire.counter(), by: 1 });
    }
    match deps.store.commit(&writes).await? {
        Outcome::Applied => {
            for run in &runs {
                deps.measure(&metrics::begun(run));
            }
            if mends {
                deps.measure(&metrics::repaired(FindingKind::MissedFire.word()));
            }
            let claimed = runs.iter().filter(|run| matches!(run.state, State::Due)).map(|run| run.key.clone());
            done.claimed.extend(claimed);
            done.recorded += runs.len();
            prune(deps.store.as_ref(), &record.job.job_id, prune_to, now).await;
            for run in &runs {
                hand_over_alerts(scene, run).await?;
            }
            Ok(Written::All(Box::new(updated)))
        }
        Outcome::Lost(at) => Ok(Written::Lost(at)),
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
    run.claimed_by = Some(scene.invocation.id.clone());
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
            on_ended(updated, &mut run, false, &scene.config.cron, now);
        }
    }
    if matches!((&record.job.schedule, verdict), (Schedule::At { .. }, Verdict::Skip(_))) {
        // Its only occurrence is over; it is kept, disabled, as one that failed is.
        updated.job.enabled = false;
    }
    Ok(run)
}
