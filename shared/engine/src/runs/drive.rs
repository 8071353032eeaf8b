//! Performs a run's effects until it rests, and takes up runs that somebody left.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::ids::slot_text;
use nightshift_domain::job::WakeMode;
use nightshift_domain::run::{Effect, Event, Held, Run, State, Task, WaitReason, take};
use nightshift_domain::{AttemptId, RunKey};
use tracing::{debug, info};

use crate::batches;
use crate::deliver::close_where_it_is;
use crate::error::EngineError;
use crate::heartbeat;
use crate::jobs::armed;
use crate::ports::SystemEvent;

use super::booking;
use super::commit::{Along, Moved, apply, save};
use super::patience::patiently;
use super::planning::plan;
use super::realtime::{Called, LEAST, RESERVE, call};
use super::sessions;
use super::submit::submit;
use super::texts::load_text;
use super::tools::run_tools;
use super::windows;
use super::{Scene, load_config};

/// What taking up a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resumed {
    /// It went on as far as it could.
    Driven,
    /// Somebody works on it.
    Held {
        /// Until then at least.
        until: DateTime<Utc>,
    },
    /// It is over, or its time has not come.
    Nothing,
    /// Its batch has to be looked at.
    InBatch(AttemptId),
}

/// Performs `effects` of `run`, and those that follow from them, until the run rests.
///
/// # Crash safety
/// Each effect follows the write that asked for it. Stopped anywhere, the run's row says what is due, and [`resume`] does it.
pub async fn drive(scene: Scene<'_>, run: Run, effects: Vec<Effect>) -> Result<(), EngineError> {
    let mut run = run;
    let mut due: VecDeque<Effect> = effects.into();
    while let Some(effect) = due.pop_front() {
        let moved = match effect {
            Effect::Plan => Box::pin(planned(scene, &run)).await?,
            Effect::CallModel => Box::pin(called(scene, run.clone())).await?,
            Effect::RunTools => Box::pin(ran(scene, run.clone())).await?,
            Effect::Submit => Box::pin(submit(scene, &run)).await?,
            Effect::Collect(window) => {
                windows::open(scene, &window).await?;
                continue;
            }
            Effect::CancelBatch(batch) => {
                // A repeat finds the batch told already; where the call was lost, its next poll tells it once more.
                batches::request_cancel(scene, &batch).await?;
                continue;
            }
            Effect::ArmResume(at) => {
                let wake = Wake::Resume { r: run.key.clone() };
                scene.deps.timers.arm(&run.key.resume_timer(run.timers), at, &Envelope::new(wake)).await?;
                continue;
            }
            Effect::Deliver => {
                hand_on(scene, &run).await?;
                continue;
            }
            Effect::WakeHeartbeat => {
                wake_heartbeat(scene, &run.agent_id).await?;
                continue;
            }
            // What a close has to do was done with its write.
            Effect::Close => continue,
        };
        let Some(Moved { run: after, effects }) = moved else { return Ok(()) };
        run = after;
        due.extend(effects);
    }
    Ok(())
}

/// Closes a run that has its answer where nothing is to be sent, which spares a call of `deliver` and its reads; hands it
/// to `deliver` where something is.
///
/// # Crash safety
/// One conditional write or one call. Stopped before either, the run stands in the due index; a repeat finds it leased or
/// over.
pub(crate) async fn hand_on(scene: Scene<'_>, run: &Run) -> Result<(), EngineError> {
    if Box::pin(close_where_it_is(scene, run)).await? { Ok(()) } else { hand_to_deliver(scene, &run.key).await }
}

/// Hands a run to `deliver`. A repeat finds it leased or over.
pub(crate) async fn hand_to_deliver(scene: Scene<'_>, run: &RunKey) -> Result<(), EngineError> {
    let wake = Wake::Deliver { r: run.clone() };
    scene.deps.invoker.invoke(wake.function(), &Envelope::new(wake)).await?;
    Ok(())
}

async fn planned(scene: Scene<'_>, run: &Run) -> Result<Option<Moved>, EngineError> {
    match run.task {
        Task::QueueEvent { wake } => Box::pin(queued(scene, run.clone(), wake)).await,
        Task::Turn => {
            let planned = plan(scene, run).await?;
            let along = Along { room: planned.room, seen: planned.seen.as_deref(), ..Along::default() };
            apply(scene, run, planned.event, along).await
        }
    }
}

/// Queues a run's text for its agent's main session, and sees that the session looks around at all.
///
/// # Crash safety
/// The cadence is armed first, which may be repeated; then one conditional write of the run with its event.
async fn queued(scene: Scene<'_>, mut run: Run, wake: WakeMode) -> Result<Option<Moved>, EngineError> {
    // Its fire may have slept since the configuration was read, and the cadence follows it.
    let config = load_config(scene.deps).await?;
    let scene = Scene { config: &config, ..scene };
    // The run keeps the agent whose session has its event, whatever the configuration says later.
    let (agent, _, is_missing) = config.agent(Some(&run.agent_id));
    if is_missing {
        let detail = format!("agent \"{}\" is not configured; it is put before \"{agent}\"", run.agent_id);
        run.log(scene.deps.clock.now(), "another agent", Some(detail));
    }
    run.agent_id = agent;
    let record = armed(scene, &run.agent_id).await?;
    let text = load_text(scene.deps, &run.key, &run.prompt).await?;
    let event = SystemEvent {
        run: (wake == WakeMode::Now).then(|| run.key.clone()),
        model: run.turn.model.clone(),
        thinking: run.turn.thinking,
        ..system_event(scene, &run, text)
    };
    let note = match wake {
        WakeMode::Now => Some("it waits for the heartbeat that answers it".to_owned()),
        WakeMode::NextHeartbeat if !record.job.enabled => {
            Some(format!("the heartbeat of {} is off: it waits until something else wakes it", run.agent_id))
        }
        WakeMode::NextHeartbeat => None,
    };
    apply(scene, &run, Event::Queued { note }, Along { event: Some(&event), ..Along::default() }).await
}

/// A run's text for its agent's main session, under an id that a repeat has too.
pub(crate) fn system_event(scene: Scene<'_>, run: &Run, text: String) -> SystemEvent {
    let now = scene.deps.clock.now();
    let agent = scene.config.agent(Some(&run.agent_id)).0;
    SystemEvent::new(agent, event_id(run), text, now, now + scene.config.cron.retention.events())
}

/// The id of the event that comes of `run`.
pub(crate) fn event_id(run: &Run) -> String {
    format!("{}-{}", slot_text(run.slot), run.key)
}

/// Wakes the main session of `agent`. A repeat finds nothing to do.
pub(crate) async fn wake_heartbeat(scene: Scene<'_>, agent: &str) -> Result<(), EngineError> {
    let wake = Wake::Heartbeat { a: agent.to_owned() };
    scene.deps.invoker.invoke(wake.function(), &Envelope::new(wake)).await?;
    Ok(())
}

/// The run under a lease of ours; `None` where somebody else holds it.
async fn held(scene: Scene<'_>, run: Run) -> Result<Option<Run>, EngineError> {
    match take(&run, &scene.invocation.id, scene.deps.clock.now()) {
        // The lease that came with the claim, or with the answer before, may be old by now.
        Ok(taken) if run.lease.is_none() => Ok(save(scene, &taken).await?.then_some(taken)),
        Ok(_) => Ok(Some(run)),
        Err(held) => not_by_a_twin(scene, &run.key, &held).map(|()| None),
    }
}

/// Whoever finds a run held leaves it alone; a retry of the holder's own request fails, so that it is tried again.
pub(crate) fn not_by_a_twin(scene: Scene<'_>, run: &RunKey, held: &Held) -> Result<(), EngineError> {
    if scene.invocation.is_twin_of(&held.owner) {
        return Err(EngineError::Twin { run: run.clone(), until: held.until });
    }
    Ok(())
}

async fn ran(scene: Scene<'_>, run: Run) -> Result<Option<Moved>, EngineError> {
    let Some(run) = held(scene, run).await? else { return Ok(None) };
    Box::pin(run_tools(scene, run)).await
}

async fn called(scene: Scene<'_>, run: Run) -> Result<Option<Moved>, EngineError> {
    let State::Running { hop, .. } = run.state else { return Ok(None) };
    let Some(run) = held(scene, run).await? else { return Ok(None) };
    let key = run.key.clone();
    match Box::pin(call(scene, run, hop)).await? {
        Called::Back(run, event) => {
            let came = if matches!(*event, Event::Replied(_)) {
                // The answer is the last entry of the run that holds it.
                Some(run.hops.last().cloned())
            } else {
                let refused = matches!(&*event, Event::ModelFailed { kind, .. } if !kind.may_be_paid());
                refused.then_some(None)
            };
            let along = Along { dear: matches!(*event, Event::Replied(_)), ..Along::default() };
            let moved = apply(scene, &run, *event, along).await?;
            if let (None, Some(answer)) = (&moved, came) {
                // Somebody gave the call up just before it came back.
                patiently(scene.deps, true, || booking::came_back(scene, &key, answer.clone())).await?;
            }
            Ok(moved)
        }
        Called::TooLate(answer) => {
            let answer = answer.map(|hop| *hop);
            patiently(scene.deps, true, || booking::came_back(scene, &key, answer.clone())).await.map(|()| None)
        }
        Called::LeaseLost => Ok(None),
    }
}

/// Takes up a run wherever it stands: asked for by hand, paused, waiting for its turn, or left by a holder that died.
///
/// # Crash safety
/// The lease is taken with one conditional write; what follows is what [`drive`] does.
pub async fn resume(scene: Scene<'_>, key: &RunKey) -> Result<Resumed, EngineError> {
    let Some(run) = scene.deps.store.run(key).await? else { return Ok(Resumed::Nothing) };
    let now = scene.deps.clock.now();
    if run.state.is_terminal() {
        return Ok(Resumed::Nothing);
    }
    if let Some(batch) = run.state.batch() {
        return Ok(Resumed::InBatch(batch.clone()));
    }
    if matches!(run.state, State::Delivering) {
        hand_to_deliver(scene, key).await?;
        return Ok(Resumed::Driven);
    }
    if matches!(run.state, State::Waiting { reason: WaitReason::Place { .. } }) {
        let Some(Moved { run, effects }) = apply(scene, &run, Event::PlaceFreed, Along::default()).await? else {
            return Ok(Resumed::Nothing);
        };
        drive(scene, run, effects).await?;
        return Ok(Resumed::Driven);
    }
    if matches!(run.state, State::Waiting { reason: WaitReason::Overlap }) {
        match its_turn(scene, &run).await? {
            Turn::Now => {}
            Turn::Later => return waits_on(scene, run).await,
            Turn::Never => {
                let event = Event::Skipped { reason: "job_removed".to_owned() };
                apply(scene, &run, event, Along::default()).await?;
                return Ok(Resumed::Nothing);
            }
        }
    }
    if matches!(run.state, State::Waiting { reason: WaitReason::Heartbeat }) {
        let Some(event) = heartbeat::outcome(scene, &run, now).await? else {
            wake_heartbeat(scene, &run.agent_id).await?;
            return waits_on(scene, run).await;
        };
        apply(scene, &run, event, Along::default()).await?;
        return Ok(Resumed::Driven);
    }
    if matches!(run.state, State::Waiting { reason: WaitReason::Session }) {
        if scene.deps.store.job(&run.job_id).await?.is_none() {
            let event = Event::Skipped { reason: "job_removed".to_owned() };
            apply(scene, &run, event, Along::default()).await?;
            return Ok(Resumed::Nothing);
        }
        if !sessions::is_free(scene, &run).await? {
            return waits_on(scene, run).await;
        }
    }
    if let Some(window) = run.state.window() {
        return Box::pin(windows::take_up(scene, &run, window)).await;
    }
    if let State::Paused { resume_at, .. } = &run.state
        && *resume_at > now
    {
        return Ok(Resumed::Nothing);
    }
    let called = matches!(run.state, State::Running { .. });
    if called && scene.invocation.deadline - RESERVE < now + LEAST && lease_is_over(&run, scene) {
        // Taking it up here would only put it off, and forget how often the hop was started.
        let wake = Wake::Resume { r: run.key.clone() };
        scene.deps.invoker.invoke(wake.function(), &Envelope::new(wake)).await?;
        return Ok(Resumed::Driven);
    }
    let abandoned = run.lease.is_some();
    let taken = match take(&run, &scene.invocation.id, now) {
        Ok(taken) => taken,
        Err(held) => {
            not_by_a_twin(scene, key, &held)?;
            debug!(run.id = %key, "run {key} is held by {}", held.owner);
            return Ok(Resumed::Held { until: held.until });
        }
    };
    if !save(scene, &taken).await? {
        return Ok(Resumed::Nothing);
    }
    info!(job.id = %taken.job_id, run.id = %key, run.state = taken.state.name(), "run {key} is taken up, {}", taken.state.name());
    let past_deadline = taken.plan.as_ref().is_some_and(|plan| now >= plan.deadline);
    let event = match &taken.state {
        State::Due => return drive(scene, taken, vec![Effect::Plan]).await.map(|()| Resumed::Driven),
        State::Ready { .. } => return drive(scene, taken, vec![Effect::Submit]).await.map(|()| Resumed::Driven),
        State::Running { .. } => Event::HolderDied,
        State::Tools { .. } if abandoned => Event::HolderDied,
        State::Paused { .. } if past_deadline => Event::DeadlinePassed,
        State::Paused { .. } | State::Tools { .. } => Event::Resumed,
        State::Waiting { .. } => Event::PlaceFreed,
        State::Submitting { .. }
        | State::Submitted { .. }
        | State::Canceling { .. }
        | State::Delivering
        | State::Succeeded
        | State::DeliveryFailed
        | State::DeliveryUnknown
        | State::Failed { .. }
        | State::Skipped { .. }
        | State::Canceled => return Ok(Resumed::Nothing),
    };
    let Some(Moved { run, effects }) = apply(scene, &taken, event, Along::default()).await? else {
        return Ok(Resumed::Nothing);
    };
    drive(scene, run, effects).await?;
    Ok(Resumed::Driven)
}

fn lease_is_over(run: &Run, scene: Scene<'_>) -> bool {
    take(run, &scene.invocation.id, scene.deps.clock.now()).is_ok()
}

/// Notes that a waiting run was looked at. A lost write only means that it is looked at again sooner.
async fn waits_on(scene: Scene<'_>, mut run: Run) -> Result<Resumed, EngineError> {
    run.seen_waiting = Some(scene.deps.clock.now());
    run.rev += 1;
    save(scene, &run).await?;
    Ok(Resumed::Nothing)
}

/// Whether there is something to be done about a run that waits for another one: its turn has come, or its job is gone.
pub(crate) async fn is_its_turn(scene: Scene<'_>, run: &Run) -> Result<bool, EngineError> {
    if matches!(run.state, State::Waiting { reason: WaitReason::Heartbeat }) {
        return heartbeat::has_news(scene, run).await;
    }
    if matches!(run.state, State::Waiting { reason: WaitReason::Session }) {
        let job = scene.deps.store.job(&run.job_id).await?;
        return Ok(job.is_none() || sessions::is_free(scene, run).await?);
    }
    Ok(match its_turn(scene, run).await? {
        Turn::Now | Turn::Never => true,
        Turn::Later => false,
    })
}

/// Whether a waiting run may begin.
enum Turn {
    /// Nothing of the job is live any more.
    Now,
    /// Something is.
    Later,
    /// The job is gone.
    Never,
}

async fn its_turn(scene: Scene<'_>, run: &Run) -> Result<Turn, EngineError> {
    Ok(match scene.deps.store.job(&run.job_id).await? {
        None => Turn::Never,
        Some(record)
            if record.active.iter().all(|key| *key == run.key)
                && record.waiting.first().is_none_or(|first| *first == run.key) =>
        {
            Turn::Now
        }
        Some(_) => Turn::Later,
    })
}
