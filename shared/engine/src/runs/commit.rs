//! Writes a transition: the run, and with it whatever its job must know at the same instant.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::RunKey;
use nightshift_domain::alert::on_ended;
use nightshift_domain::batch::{Batch, BatchState, row_bytes};
use nightshift_domain::cost::{Spend, spent};
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::job::{JobRecord, JobStep, on_run_moved};
use nightshift_domain::metrics;
use nightshift_domain::run::{Effect, Event, LEASE, Lease, Run, State, Transition, WaitReason, fell_back, next};
use nightshift_domain::schedule::Schedule;
use nightshift_domain::session::Change;
use tracing::{debug, info, warn};

use crate::deps::Deps;
use crate::error::EngineError;
use crate::heartbeat::{self, Seen};
use crate::jobs::timer_for;
use crate::ports::{Outcome, SystemEvent, Write};

use super::Scene;
use super::drive::hand_to_deliver;
use super::occurrence::Timing;
use super::patience::patiently;
use super::places::{self, Seat};
use super::purse::{self, Purses, Wish};
use super::sessions::{self, Stepped};
use super::windows;

/// How often a row may be changed by others between our read and our write.
pub(crate) const MAX_RACES: u32 = 10;

/// A transition that was written.
#[derive(Debug)]
pub(crate) struct Moved {
    /// The run as it stands now.
    pub run: Run,
    /// What is to be done.
    pub effects: Vec<Effect>,
}

/// What is written together with a transition.
#[derive(Debug, Default)]
pub(crate) struct Along<'a> {
    /// The batch, as it will be.
    pub batch: Option<&'a Batch>,
    /// An event for the main session.
    pub event: Option<&'a SystemEvent>,
    /// What is known of the model's context, in tokens; for a run that takes its session.
    pub room: Option<u64>,
    /// What a heartbeat has before it when it is planned.
    pub seen: Option<&'a Seen>,
    /// Whether the caller sends the alerts about the run's end himself.
    pub sends_alerts: bool,
    /// Whether the run holds an answer that was paid and stands nowhere else: it is not given up for a failure that passes.
    pub dear: bool,
}

/// Applies `event` to `run` and writes the outcome. `None` when the event does not concern the run, or somebody else moved
/// it first: either way there is nothing left to do here.
///
/// # Crash safety
/// One conditional write of the run and, where a place is given back or the run ends, of its job. Stopped before it, the
/// event is due again; stopped after it, the effects are, and the due index has the run.
pub(crate) async fn apply(
    scene: Scene<'_>,
    run: &Run,
    event: Event,
    along: Along<'_>,
) -> Result<Option<Moved>, EngineError> {
    // Its future holds several runs; every caller would carry them.
    Box::pin(applied(scene, run, event, along)).await
}

async fn applied(scene: Scene<'_>, run: &Run, event: Event, along: Along<'_>) -> Result<Option<Moved>, EngineError> {
    let now = scene.deps.clock.now();
    let mut run = Cow::Borrowed(run);
    let mut known = purse::Known::default();
    for _ in 0..MAX_RACES {
        let prepare = || prepared(scene, &run, event.clone(), &along, &known, now);
        let Some(prepared) = Box::pin(patiently(scene.deps, along.dear, prepare)).await? else { return Ok(None) };
        let Prepared { mut after, effects, change, woken, told, events, more, litter, record, wish } = prepared;
        let step = record.as_ref().and_then(|record| on_run_moved(record, &run.state, &after, now));
        let step = step.map(|step| raised(after_a_pause(step, scene, now), scene, &mut after, now));
        let stood = run.before_answer_of(&event).map(|(stood, _)| stood);
        let stood = stood.as_ref().unwrap_or(&run.hops);
        let purses = purse::settled(&run, stood, &mut after, wish, &known);
        let spent = spent(stood, &after);
        let beside =
            Beside { step: step.as_ref(), session: change.as_ref(), events: &events, spent: &spent, purses: &purses };
        match write(scene, &run, &after, beside, &along).await? {
            Written::All => {
                scene.deps.measure(&metrics::moved(&run, &event, &after));
                said(&run, &event, &after);
                let hold_until = step.as_ref().and_then(|step| step.record.hold_until);
                if let (Some(step), Some(record)) = (step, &record) {
                    drop_timer(scene, &step, record, now).await?;
                    if let Some(waiter) = step.wake {
                        wake(scene, waiter).await?;
                    }
                    if step.remove {
                        end_waiting(scene.deps, record).await;
                    }
                }
                for waiter in woken.into_iter().chain(told) {
                    wake(scene, waiter).await?;
                }
                if !litter.is_empty() {
                    sessions::clear(scene.deps, litter).await;
                }
                if run.place.is_some() && after.place.is_none() {
                    places::wake_next(scene).await?;
                }
                if !along.sends_alerts {
                    hand_over_alerts(scene, &after).await?;
                }
                heartbeat::go_on(scene, &after, more, hold_until, now).await;
                return Ok(Some(Moved { run: after, effects }));
            }
            Written::RunMoved => {
                let Some(rebased) = over_bookings(scene, &run).await? else {
                    debug!(run.id = %after.key, "somebody else moved run {} first", after.key);
                    return Ok(None);
                };
                run = Cow::Owned(rebased);
            }
            Written::PurseFull => known = purse::look(scene, &after, &purses, now).await?,
            Written::JobMoved | Written::PlaceTaken | Written::SessionMoved => {}
        }
    }
    Err(EngineError::Contended { subject: format!("job {}, its session or the places", run.job_id), times: MAX_RACES })
}

/// The line by which a run's way can be followed; how long it took, once it is over.
fn said(before: &Run, event: &Event, after: &Run) {
    let (key, state, cause) = (&after.key, after.state.name(), event.name());
    let batch = after.state.batch().or(before.state.batch());
    let remote = if let Event::BatchCreated { remote } = event { Some(remote.as_str()) } else { None };
    info!(
        job.id = %after.job_id,
        run.id = %key,
        run.state = state,
        attempt = Some(after.state.attempt()).filter(|attempt| *attempt > 0),
        batch.attempt = batch.map(tracing::field::display),
        batch.id = remote,
        duration_ms = after.ended_at.map(|ended| after.duration(ended).num_milliseconds()),
        "run {key} is {state} ({cause})"
    );
}

/// What is to be written of a transition.
struct Prepared {
    after: Run,
    effects: Vec<Effect>,
    /// Of its session.
    change: Option<Change>,
    /// Who has the session next.
    woken: Option<RunKey>,
    /// The runs whose events its turn answered.
    told: Vec<RunKey>,
    /// Events that it moves.
    events: Vec<SystemEvent>,
    /// Whether events are left that are to wake the session.
    more: bool,
    /// Blobs that nothing names then.
    litter: Vec<String>,
    /// Its job, where that is concerned.
    record: Option<JobRecord>,
    /// What it has to set aside.
    wish: Wish,
}

/// Reads what the transition needs; `None` where the event does not concern the run, or it waits already.
async fn prepared(
    scene: Scene<'_>,
    run: &Run,
    event: Event,
    along: &Along<'_>,
    known: &purse::Known,
    now: DateTime<Utc>,
) -> Result<Option<Prepared>, EngineError> {
    let stood = run.before_answer_of(&event).map(|(stood, _)| stood);
    let transition = match next(run, event, now) {
        Ok(transition) => transition,
        Err(rejected) => {
            debug!(run.id = %run.key, "{rejected}");
            return Ok(None);
        }
    };
    let (transition, wish) = purse::wish(scene, run, stood.as_ref().unwrap_or(&run.hops), transition, known, now);
    let transition = windows::gathered(scene, transition, now);
    let stepped = sessions::step(scene, run, transition, along.room, along.seen, now).await?;
    let Stepped { transition, change, wake: woken, mut events, more, litter } = stepped;
    let Some(Transition { run: after, effects }) = seated(scene, run, transition, now).await? else { return Ok(None) };
    let record = if concerns_job(&run.state, &after) { scene.deps.store.job(&after.job_id).await? } else { None };
    events.extend(heartbeat::taken_back(scene, run, &after, now).await?);
    let told = events.iter().filter(|event| event.fate.is_some()).filter_map(|event| event.run.clone());
    let told = told.filter(|waiting| *waiting != run.key).collect();
    Ok(Some(Prepared { after, effects, change, woken, told, events, more, litter, record, wish }))
}

/// The run that a write of ours was lost for, on top of the bookings made since it was read; `None` where somebody moved it.
async fn over_bookings(scene: Scene<'_>, run: &Run) -> Result<Option<Run>, EngineError> {
    let stands = scene.deps.store.run(&run.key).await?;
    Ok(stands.and_then(|stands| run.rebased(&stands)))
}

/// The transition with the place it needs, or as one that waits for it; `None` for a run that waits already.
async fn seated(
    scene: Scene<'_>,
    before: &Run,
    mut transition: Transition,
    now: DateTime<Utc>,
) -> Result<Option<Transition>, EngineError> {
    match places::seat(scene, before, &transition.run).await? {
        Seat::Keep => {
            if !transition.run.state.keeps_place() {
                transition.run.place = None;
            }
        }
        Seat::Take(place) => {
            transition.run.place = Some(place);
            transition.run.lease.get_or_insert(Lease { owner: scene.invocation.id.clone(), until: now + LEASE });
        }
        Seat::Wait if is_queued(&before.state) => return Ok(None),
        Seat::Wait => transition = transition.parked(now),
    }
    Ok(Some(transition))
}

fn is_queued(state: &State) -> bool {
    matches!(state, State::Waiting { reason: WaitReason::Place { .. } })
}

/// A job that pauses after a failure runs next when the pause is over. One that is overdue stays so: what it missed has no
/// row yet, and the sweep sees to that.
fn after_a_pause(mut step: JobStep, scene: Scene<'_>, now: DateTime<Utc>) -> JobStep {
    let record = &step.record;
    // Heartbeats that are woken again and again fail between its beats: those are recorded as they come, so that a lost timer
    // is seen.
    if matches!(record.job.schedule, Schedule::At { .. }) || record.job.job_id.is_built_in() {
        return step;
    }
    let (Some(until), Some(next)) = (record.hold_until, record.job.state.next_run_at_ms) else { return step };
    if (now.timestamp_millis() + 1..until.timestamp_millis()).contains(&next)
        && let Some(timing) = Timing::of(record, scene)
    {
        let settled = timing.settled(record);
        let next = timing.next_start(record, timing.starts.floor(until));
        step.record.settled = settled;
        step.record.job.state.next_run_at_ms = next.map(|at| at.timestamp_millis());
    }
    step
}

/// The step with the alerts that are due where a run has ended: what the job remembers of them in its record, they themselves
/// in `run`.
fn raised(mut step: JobStep, scene: Scene<'_>, run: &mut Run, now: DateTime<Utc>) -> JobStep {
    if run.state.is_terminal() {
        let disabled = step.disabled;
        // A job that goes is removed as it was read.
        let mut gone = step.remove.then(|| step.record.clone());
        on_ended(gone.as_mut().unwrap_or(&mut step.record), run, disabled, &scene.config.cron, now);
    }
    step
}

/// Hands the alerts about the end of `run` to `deliver`. A repeat finds them held or sent; one that is lost, they stand in
/// the due index.
pub(crate) async fn hand_over_alerts(scene: Scene<'_>, run: &Run) -> Result<(), EngineError> {
    if run.due_alerts().is_some() { hand_to_deliver(scene, &run.key).await } else { Ok(()) }
}

fn concerns_job(before: &State, after: &Run) -> bool {
    after.state.is_terminal()
        || (before.occupies_job() && !after.state.occupies_job())
        || matches!(before, State::Waiting { reason: WaitReason::Overlap })
}

enum Written {
    All,
    RunMoved,
    JobMoved,
    PlaceTaken,
    SessionMoved,
    PurseFull,
}

/// What is written beside a run.
#[derive(Clone, Copy)]
struct Beside<'a> {
    /// Its job's step.
    step: Option<&'a JobStep>,
    /// Its session's change.
    session: Option<&'a Change>,
    /// Events of the main session.
    events: &'a [SystemEvent],
    /// What it adds to the totals of its day.
    spent: &'a [Spend],
    /// What it puts in purses and takes out of them.
    purses: &'a Purses,
}

async fn write(
    scene: Scene<'_>,
    before: &Run,
    after: &Run,
    Beside { step, session, events, spent, purses }: Beside<'_>,
    along: &Along<'_>,
) -> Result<Written, EngineError> {
    let expires_at = after.ended_at.map(|ended| ended + run_retention(scene));
    let mut writes = vec![Write::Run { run: after, expires_at }];
    let job_at = step.map(|step| {
        writes.push(if step.remove { Write::RemoveJob(&step.record) } else { Write::Job(&step.record) });
        writes.len() - 1
    });
    let mut place_at = None;
    match (before.place, after.place) {
        (None, Some(place)) => {
            writes.push(Write::HoldPlace { place, run: &after.key });
            place_at = Some(writes.len() - 1);
        }
        (Some(place), None) => writes.push(Write::FreePlace { place, run: &after.key }),
        (None, None) | (Some(_), Some(_)) => {}
    }
    match (is_queued(&before.state), is_queued(&after.state)) {
        (false, true) => writes.push(Write::Queue { run: &after.key, since: after.state_since }),
        (true, false) => writes.push(Write::Unqueue { run: &after.key, since: before.state_since }),
        (true, true) | (false, false) => {}
    }
    let (left, entered) = (before.state.window(), after.state.window());
    if left != entered {
        writes.extend(left.map(|window| Write::Uncollect { window, run: &after.key }));
        let bytes = row_bytes(after);
        writes.extend(entered.map(|window| Write::Collect { window, run: &after.key, bytes }));
    }
    let session_at = session.map(|change| {
        writes.push(Write::Session(change));
        writes.len() - 1
    });
    if let Some(batch) = along.batch {
        let settled = matches!(batch.state, BatchState::Settled { .. });
        writes.push(Write::Batch { batch, expires_at: settled.then(|| scene.deps.clock.now() + run_retention(scene)) });
    }
    writes.extend(along.event.map(Write::Event));
    writes.extend(events.iter().map(Write::EventMoved));
    writes.extend(spent.iter().map(Write::Spend));
    let purses_at = writes.len();
    writes.extend(purses.writes());
    let purses_at = purses_at..writes.len();
    let count = fell_back(before, after).map(|reason| format!("fallback.{reason}"));
    writes.extend(count.as_deref().map(|name| Write::Count { name, by: 1 }));
    // The very same commit: one that went through without an answer is told from a rival's.
    let commit = || async { Ok(scene.deps.store.commit(&writes).await?) };
    Ok(match patiently(scene.deps, along.dear, commit).await? {
        Outcome::Applied => Written::All,
        Outcome::Lost(at) if Some(at) == job_at => Written::JobMoved,
        Outcome::Lost(at) if Some(at) == place_at => Written::PlaceTaken,
        Outcome::Lost(at) if Some(at) == session_at => Written::SessionMoved,
        Outcome::Lost(at) if purses_at.contains(&at) => Written::PurseFull,
        Outcome::Lost(_) => Written::RunMoved,
    })
}

/// How long an ended run's row stays.
pub(crate) fn run_retention(scene: Scene<'_>) -> TimeDelta {
    scene.config.cron.retention.runs()
}

/// Removes the timer of a job that has had its run or was disabled. It comes after the write: a job that another change kept
/// alive must keep its timer, while a timer that outlives its job removes itself when it fires.
async fn drop_timer(
    scene: Scene<'_>,
    step: &JobStep,
    record: &JobRecord,
    now: DateTime<Utc>,
) -> Result<(), EngineError> {
    if step.drop_timer
        && let Some(timer) = timer_for(record, scene.config, now)
    {
        scene.deps.timers.remove(&timer.name).await?;
    }
    if let Some(disabled) = step.record.job.state.auto_disabled.as_ref().filter(|_| step.drop_timer && !step.remove) {
        warn!(job.id = %step.record.job.job_id, "job {} is disabled after {}", step.record.job.job_id, disabled.reason);
    }
    Ok(())
}

/// Hands a place that became free to the run that waits for it. A repeat finds the run no longer waiting.
async fn wake(scene: Scene<'_>, waiter: nightshift_domain::RunKey) -> Result<(), EngineError> {
    let wake = Wake::Resume { r: waiter };
    scene.deps.invoker.invoke(wake.function(), &Envelope::new(wake)).await?;
    Ok(())
}

/// Hands the runs that wait for their turn, or for their session, to whoever ends them: their job, which would have woken the
/// first, is gone, and nothing keeps the others waiting.
///
/// # Crash safety
/// One that is not handed over is found by the sweep.
pub(crate) async fn end_waiting(deps: &Deps, removed: &JobRecord) {
    let mut waiting = removed.waiting.clone();
    for key in &removed.active {
        if let Ok(Some(run)) = deps.store.run(key).await
            && matches!(run.state, State::Waiting { reason: WaitReason::Session })
        {
            waiting.push(key.clone());
        }
    }
    for run in waiting {
        let wake = Wake::Resume { r: run.clone() };
        if let Err(error) = deps.invoker.invoke(wake.function(), &Envelope::new(wake)).await {
            warn!(run.id = %run, "run {run} of a removed job is left to the sweep: {error}");
        }
    }
}

/// Writes a change of a run that is no transition (a lease taken or given back). `false` when somebody moved it first. Where
/// bookings were made since it was read, the row has them too, and the caller's copy, whose next write would be lost for
/// them, is put right by that write.
pub(crate) async fn save(scene: Scene<'_>, run: &Run) -> Result<bool, EngineError> {
    let mut run = Cow::Borrowed(run);
    let expires_at = run.ended_at.map(|ended| ended + run_retention(scene));
    for _ in 0..MAX_RACES {
        if scene.deps.store.commit(&[Write::Run { run: &run, expires_at }]).await? == Outcome::Applied {
            return Ok(true);
        }
        let read = Run { rev: run.rev.saturating_sub(1), ..run.into_owned() };
        let Some(mut rebased) = over_bookings(scene, &read).await? else { return Ok(false) };
        rebased.rev += 1;
        run = Cow::Owned(rebased);
    }
    Ok(false)
}
