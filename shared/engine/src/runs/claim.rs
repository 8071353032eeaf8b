//! Claims: an occurrence, or somebody's wish, becomes a run.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::alert::on_ended;
use nightshift_domain::config::Config;
use nightshift_domain::heartbeat::{Beat, MAIN, SystemEvent};
use nightshift_domain::job::{
    AgentTurn, Job, JobRecord, Payload, RunStatus, SessionTarget, Verdict, WakeMode, prune_before,
};
use nightshift_domain::metrics;
use nightshift_domain::money::Cost;
use nightshift_domain::run::{Books, LEASE, Lease, Origin, Run, State, Talk, Task, Text, WaitReason};
use nightshift_domain::schedule::Schedule;
use nightshift_domain::session::{Hold, InSession};
use nightshift_domain::{JobId, RunKey};
use tracing::{debug, info, warn};

use crate::deps::{Deps, Invocation};
use crate::error::EngineError;
use crate::jobs::load_message;
use crate::ports::{Outcome, Store, Write};
use crate::sweep::FindingKind;

use super::commit::{MAX_RACES, hand_over_alerts, run_retention};
use super::occurrence::Timing;
use super::texts::run_text;
use super::{Scene, note_repair};

/// What the log of a run says that the sweep began.
pub(super) const MADE_UP: &str = "its job's next run had passed and nobody had begun it";

/// What became of a claim.
#[derive(Debug)]
pub(crate) enum Claim {
    /// The run is ours to drive.
    Claimed(Box<Run>),
    /// A row was written and there is nothing to drive now: it waits, or was skipped.
    Recorded(RunKey),
    /// It was asked for while other runs of the job live, and nothing was written.
    Busy,
    /// The occurrence has its run already.
    Exists(RunKey),
    /// The job is gone or disabled.
    NoJob,
    /// The job was given another timing meanwhile, by which the occurrence has to be judged anew.
    Retimed,
}

/// A new run of `record` with its prompt, not yet written.
pub async fn new_run(
    deps: &Deps,
    record: &JobRecord,
    key: RunKey,
    origin: Origin,
    now: DateTime<Utc>,
) -> Result<Run, EngineError> {
    let job = &record.job;
    if job.job_id.heartbeat_agent().is_some() {
        // What it is told is known when it has the main session.
        return Ok(bare_run(record, key, origin, Text::Inline(String::new()), now));
    }
    let message = load_message(deps, record).await?;
    let prompt = run_text(deps, &key, said_by(job, &message)).await?;
    Ok(bare_run(record, key, origin, prompt, now))
}

/// The first message of a run of `job`.
pub(super) fn said_by(job: &Job, message: &str) -> String {
    match &job.payload {
        Payload::SystemEvent { .. } => message.to_owned(),
        Payload::AgentTurn(_) if job.job_id.is_hook() => format!("[hook {}] {message}", job.name),
        Payload::AgentTurn(_) => format!("[cron:{} {}] {message}", job.job_id, job.name),
    }
}

/// The same around a prompt that is there already.
pub(super) fn bare_run(record: &JobRecord, key: RunKey, origin: Origin, prompt: Text, now: DateTime<Utc>) -> Run {
    let job = &record.job;
    let (task, turn) = match &job.payload {
        Payload::SystemEvent { model, thinking, .. } => {
            let turn = AgentTurn { model: model.clone(), thinking: *thinking, ..AgentTurn::default() };
            (Task::QueueEvent { wake: job.wake_mode }, turn)
        }
        Payload::AgentTurn(turn) => (Task::Turn, AgentTurn { message: String::new(), ..turn.clone() }),
    };
    let mut run = Run {
        slot: key.slot(),
        key,
        job_id: job.job_id.clone(),
        job_name: job.name.clone(),
        agent_id: job.agent_id.clone().unwrap_or_else(|| "main".to_owned()),
        origin,
        task,
        sequence: record.sequence + 1,
        created_at: now,
        claimed_by: None,
        due_by: None,
        started_at: None,
        ended_at: None,
        state: State::Due,
        state_since: now,
        lease: None,
        rev: 1,
        turn,
        prompt,
        delivery: job.delivery.clone().filter(|_| job.session_target != SessionTarget::Main),
        plan: None,
        session: in_session(job),
        wakes: job.wake_mode == WakeMode::Now,
        beat: job.job_id.heartbeat_agent().is_some().then(Beat::default),
        talk: Talk {
            expected_hops: record.last_hops,
            expected_calls: record.habits.last_calls.clone().map(Vec::into_boxed_slice),
            ..Talk::default()
        },
        hops: Vec::new(),
        planning_tries: 0,
        seen_waiting: None,
        place: None,
        timers: 0,
        answer: None,
        delivery_status: None,
        delivery_note: None,
        cancel_requested: false,
        cost: Cost::default(),
        budget: job.budget.clone(),
        reserve: Box::default(),
        books: Books::default(),
        alerts: None,
        events: Vec::new(),
    };
    run.log(now, "queued", None);
    run
}

/// The session a job's runs go on with. What is queued for the main session is not a turn of its own.
fn in_session(job: &Job) -> Option<InSession> {
    let agent = job.agent_id.clone().unwrap_or_else(|| "main".to_owned());
    if job.job_id.heartbeat_agent().is_some() {
        let alone = job.session_target == SessionTarget::Isolated;
        return Some(InSession { agent, name: MAIN.to_owned(), alone, hold: Hold::None, cut: None });
    }
    match (&job.session_target, &job.payload) {
        (SessionTarget::Named(name), Payload::AgentTurn(_)) => {
            Some(InSession { agent, name: name.clone(), alone: false, hold: Hold::None, cut: None })
        }
        (SessionTarget::Main | SessionTarget::Isolated | SessionTarget::Named(_), _) => None,
    }
}

/// Makes `run` one that does not run, for `reason`.
pub(super) fn skip(run: &mut Run, reason: &str, now: DateTime<Utc>) {
    run.state = State::Skipped { reason: reason.to_owned() };
    run.ended_at = Some(now);
    run.log(now, "skipped", Some(reason.to_owned()));
}

/// Lets a job's rows of before `before` go. The next mark tries again what fails here.
pub(super) async fn prune(store: &dyn Store, id: &JobId, before: Option<DateTime<Utc>>, now: DateTime<Utc>) {
    let Some(before) = before else { return };
    // A row is hidden from the second after its time on.
    match store.expire_runs(id, before, now - TimeDelta::seconds(1)).await {
        Ok(count) => debug!(job.id = %id, "{count} old runs of job {id} may go"),
        Err(error) => warn!(job.id = %id, "the history of job {id} could not be shortened: {error}"),
    }
}

/// How an occurrence is to be claimed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occurrence {
    /// The occurrence.
    pub slot: DateTime<Utc>,
    /// Why it is not to run.
    pub skip: Option<&'static str>,
    /// It waits for what is live, whatever the overlap rule: earlier occurrences were made up for just now.
    pub behind: bool,
    /// Who claims it.
    pub by: Claimant,
}

/// Who claims an occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claimant {
    /// Its timer.
    Timer,
    /// The sweep, which makes up for a fire that was lost: that is noted, and the run is left to whoever it is handed to.
    Sweep {
        /// That repair is to be counted here.
        counts: bool,
    },
    /// Somebody who wants it to run now. Where it cannot, it is left to its timer as it was: who asks uses up no occurrence.
    Asker,
}

/// Claims the occurrence of `record`'s job, under the job's overlap rule.
///
/// # Crash safety
/// One transaction of run and job. Stopped before it, the timer's retry claims; stopped after it, the retry re-enters the
/// lease it was written with, or the sweeper finds the run when the lease is over.
pub(crate) async fn claim_occurrence(
    scene: Scene<'_>,
    mut record: JobRecord,
    timing: &Timing,
    occurrence: Occurrence,
) -> Result<Claim, EngineError> {
    let deps = scene.deps;
    let now = deps.clock.now();
    let key = RunKey::of_slot(&record.job.job_id, occurrence.slot);
    for _ in 0..MAX_RACES {
        // Also where its row is gone from history by now: an occurrence has one record, ever.
        if record.settled.is_some_and(|settled| settled >= occurrence.slot) || record.ahead.contains(&occurrence.slot) {
            return Ok(Claim::Exists(key));
        }
        if occurrence.by == Claimant::Asker && !record.has_room() {
            return Ok(Claim::Busy);
        }
        let verdict = record.verdict(occurrence.skip, occurrence.behind);
        let mut run = new_run(deps, &record, key.clone(), Origin::Schedule, now).await?;
        run.claimed_by = Some(scene.invocation.id.clone());
        run.due_by = record.due_by(&timing.starts, occurrence.slot).map(Box::new);
        let mut updated = claimed(&record, &mut run, verdict, scene.invocation, now);
        if matches!(verdict, Verdict::Skip(_)) {
            on_ended(&mut updated, &mut run, false, &scene.config.cron, now);
        }
        if matches!(occurrence.by, Claimant::Sweep { .. }) {
            run.lease = None;
            note_repair(&mut run, FindingKind::MissedFire, MADE_UP, now);
        }
        timing.settle(&mut updated, &record, occurrence.slot);
        let prune_to = prune_before(&mut updated, run.slot, scene.config.cron.retention.runs_per_job);
        let expires_at = run.ended_at.map(|ended| ended + run_retention(scene));
        let mut writes = vec![Write::Run { run: &run, expires_at }, Write::Job(&updated)];
        let counts = occurrence.by == Claimant::Sweep { counts: true };
        if counts {
            writes.push(Write::Count { name: FindingKind::MissedFire.counter(), by: 1 });
        }
        match deps.store.commit(&writes).await? {
            Outcome::Applied => {
                deps.measure(&metrics::begun(&run));
                if counts {
                    deps.measure(&metrics::repaired(FindingKind::MissedFire.word()));
                }
                info!(run.id = %run.key, job.id = %run.job_id, "run {} is {}", run.key, run.state.name());
                prune(deps.store.as_ref(), &run.job_id, prune_to, now).await;
                hand_over_alerts(scene, &run).await?;
                return Ok(match verdict {
                    Verdict::Run => Claim::Claimed(Box::new(run)),
                    Verdict::Skip(_) | Verdict::Wait => Claim::Recorded(run.key),
                });
            }
            Outcome::Lost(0) => return Ok(Claim::Exists(key)),
            Outcome::Lost(_) => match deps.store.job(&record.job.job_id).await? {
                Some(again) if again.job.enabled && again.is_timed_as(&record) => record = again,
                Some(again) if again.job.enabled => return Ok(Claim::Retimed),
                Some(_) | None => return Ok(Claim::NoJob),
            },
        }
    }
    Err(EngineError::Contended { subject: format!("job {}", record.job.job_id), times: MAX_RACES })
}

fn claimed(
    record: &JobRecord,
    run: &mut Run,
    verdict: Verdict,
    invocation: &Invocation,
    now: DateTime<Utc>,
) -> JobRecord {
    let mut updated = record.clone();
    updated.rev += 1;
    updated.sequence += 1;
    match verdict {
        Verdict::Run => {
            run.lease = Some(Lease { owner: invocation.id.clone(), until: now + LEASE });
            updated.active.push(run.key.clone());
            updated.job.state.running_at_ms.get_or_insert(now.timestamp_millis());
        }
        Verdict::Wait => {
            run.state = State::Waiting { reason: WaitReason::Overlap };
            run.log(now, "waiting", Some("an earlier run of the job is live".to_owned()));
            updated.waiting.push(run.key.clone());
        }
        Verdict::Skip(reason) => {
            skip(run, reason, now);
            updated.job.state.consecutive_skipped += 1;
            if matches!(updated.job.schedule, Schedule::At { .. }) {
                // Its only occurrence is over; it is kept, disabled, as one that failed is.
                updated.job.enabled = false;
            }
            updated.job.state.last_status = Some(RunStatus::Skipped);
        }
    }
    updated
}

/// What is wished of a run that is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wish<'a> {
    /// Somebody asked for it by name: a heartbeat is a turn then even where there is nothing to do.
    pub asked: bool,
    /// An event woke the main session for it.
    pub woken: bool,
    /// What is queued for its main session with the run's row: the run owns it until its turn is over.
    pub event: Option<&'a SystemEvent>,
    /// What the run does, where that is not what its job says.
    pub job: Option<&'a Job>,
}

/// Writes a run that somebody asked for; it runs beside whatever is live. The caller hands it to its function.
///
/// # Crash safety
/// One transaction; a run whose hand-over was lost stands in the due index.
pub(crate) async fn claim_manual(
    deps: &Deps,
    config: &Config,
    mut record: JobRecord,
    now: DateTime<Utc>,
    wish: Wish<'_>,
) -> Result<Option<RunKey>, EngineError> {
    let ulid = new_ulid(deps, now);
    let key = RunKey::manual(&record.job.job_id, &ulid);
    for _ in 0..MAX_RACES {
        let mut run = match wish.job {
            None => new_run(deps, &record, key.clone(), Origin::Manual, now).await?,
            Some(asked) => {
                let job = Job { job_id: record.job.job_id.clone(), ..asked.clone() };
                let source = JobRecord { job, message_blob: None, ..record.clone() };
                new_run(deps, &source, key.clone(), Origin::Manual, now).await?
            }
        };
        if let Some(beat) = &mut run.beat {
            (beat.asked, beat.woken) = (wish.asked, wish.woken);
        }
        let mut updated = record.clone();
        updated.rev += 1;
        updated.sequence += 1;
        updated.active.push(key.clone());
        updated.job.state.running_at_ms.get_or_insert(now.timestamp_millis());
        let prune_to = prune_before(&mut updated, run.slot, config.cron.retention.runs_per_job);
        let mut writes = vec![Write::Run { run: &run, expires_at: None }, Write::Job(&updated)];
        writes.extend(wish.event.map(Write::Event));
        match deps.store.commit(&writes).await? {
            Outcome::Applied => {
                deps.measure(&metrics::begun(&run));
                prune(deps.store.as_ref(), &run.job_id, prune_to, now).await;
                return Ok(Some(key));
            }
            Outcome::Lost(0) => return Ok(Some(key)),
            Outcome::Lost(_) => match deps.store.job(&record.job.job_id).await? {
                Some(again) => record = again,
                None => return Ok(None),
            },
        }
    }
    Err(EngineError::Contended { subject: format!("job {}", record.job.job_id), times: MAX_RACES })
}

/// A new ULID.
pub(crate) fn new_ulid(deps: &Deps, now: DateTime<Utc>) -> String {
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    ulid::Ulid::from_parts(millis, deps.entropy.bits()).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jobs::tests::world;

    #[tokio::test]
    async fn of_two_that_record_the_same_occurrence_at_the_same_instant_one_was_first() {
        let world = world();
        let job = json!({ "jobId": "daily", "schedule": { "kind": "cron", "expr": "30 7 * * *" },
            "payload": { "kind": "agentTurn", "message": "Summarize." } });
        world.add(job).await;
        let record = world.deps.store.job(&JobId::parse("daily").unwrap()).await.unwrap().unwrap();
        let (now, config) = (world.deps.clock.now(), Config::default());
        let invocations = ["inv-1", "inv-2", "inv-1"]
            .map(|id| Invocation { id: id.to_owned(), deadline: now + TimeDelta::minutes(15) });
        let mut claims = Vec::new();
        for invocation in &invocations {
            let scene = Scene { deps: &world.deps, invocation, config: &config };
            let timing = Timing::of(&record, scene).unwrap();
            let slot = "2026-11-21T07:30:00Z".parse().unwrap();
            let occurrence = Occurrence { slot, skip: Some("overlap"), behind: false, by: Claimant::Timer };
            // Each of them has read the job before any wrote.
            let claim = claim_occurrence(scene, record.clone(), &timing, occurrence).await.unwrap();
            claims.push(matches!(claim, Claim::Recorded(_)));
        }
        assert_eq!(claims, [true, false, true], "a repeat of the first one's own write is no other's");
    }
}
