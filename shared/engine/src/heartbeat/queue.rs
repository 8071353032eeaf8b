//! The queue of an agent's main session, as heartbeats see it.

use chrono::{DateTime, Utc};
use nightshift_domain::config::{Agent, Config, HeartbeatRules};
use nightshift_domain::heartbeat::{
    self, MOST_EVENTS, NOTES, SystemEvent, is_awake, is_idle, is_off, left_by, shortened, taken_up,
};
use nightshift_domain::job::{Job, JobRecord, Thinking, WakeMode, zone_of};
use nightshift_domain::run::{Run, State, Text};
use nightshift_domain::session::Hold;
use nightshift_domain::shelf::ShelfId;
use tracing::info;

use crate::error::EngineError;
use crate::runs::{Scene, run_text};
use crate::shelves;

/// Why an occurrence of the cadence is skipped outside the agent's hours.
const QUIET_HOURS: &str = "quiet_hours";
/// Why a heartbeat is skipped that would be paid for nothing.
const NOTHING_TO_DO: &str = "nothing_to_do";

/// What a run that is to be planned has before it.
pub(crate) enum Look {
    /// It is no heartbeat, or has its events in hand already.
    NoBeat,
    /// Nothing, for this reason.
    Nothing(&'static str),
    /// This.
    Sees(Box<Seen>),
}

/// What a heartbeat saw when it was planned. It is the run's with the write that gives it the session.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The events' ids, oldest first.
    pub events: Vec<String>,
    prompt: Text,
    model: Option<String>,
    thinking: Option<Thinking>,
}

impl Seen {
    /// `run` with it in its hands.
    pub(crate) fn in_hands_of(&self, run: &Run) -> Run {
        let mut run = run.clone();
        self.put_into(&mut run);
        run
    }

    /// The model that an event wants, taken from it because it cannot be used.
    pub(crate) fn refuse_model(&mut self) -> Option<String> {
        self.model.take()
    }

    /// Puts it into `run`'s hands.
    pub(crate) fn put_into(&self, run: &mut Run) {
        run.prompt = self.prompt.clone();
        if let Some(beat) = &mut run.beat {
            beat.events.clone_from(&self.events);
        }
        run.turn.model = self.model.clone().or(run.turn.model.take());
        run.turn.thinking = self.thinking.or(run.turn.thinking);
    }
}

/// The events that wait for the main session of `agent`, oldest first, and how it looks around.
struct Around {
    rules: HeartbeatRules,
    queue: Vec<SystemEvent>,
    notes: String,
    zone: String,
}

async fn around(scene: Scene<'_>, agent: &str, now: DateTime<Utc>) -> Result<Around, EngineError> {
    let (_, own, _): (String, Agent, bool) = scene.config.agent(Some(agent));
    let (queue, notes) = futures::try_join!(queued(scene, agent, now), notes(scene, agent))?;
    let rules = scene.config.heartbeat_of(&own);
    Ok(Around { rules, queue, notes, zone: zone_of(scene.config, Some(agent)).to_owned() })
}

/// What an agent's heartbeats are to keep in mind.
async fn notes(scene: Scene<'_>, agent: &str) -> Result<String, EngineError> {
    match scene.deps.store.sheet(&ShelfId::Memory(agent.to_owned()), NOTES).await? {
        Some(sheet) => shelves::load(scene.deps, &sheet).await,
        None => Ok(String::new()),
    }
}

/// The queue of `agent`, without what no turn will answer any more.
///
/// # Crash safety
/// Removing is the last step and may be repeated.
pub(super) async fn queued(scene: Scene<'_>, agent: &str, now: DateTime<Utc>) -> Result<Vec<SystemEvent>, EngineError> {
    let most = scene.config.cron.retention.events_max as usize;
    let (queue, leaving) = shortened(scene.deps.store.events(agent).await?, most, now);
    if !leaving.is_empty() {
        info!(agent.id = agent, "{} events of the main session of {agent} go unanswered", leaving.len());
        scene.deps.store.consume_events(agent, &leaving).await?;
    }
    Ok(queue)
}

/// Why the occurrence of an agent's cadence that is to start at `start` is skipped; `None` for one that is to be a turn, and
/// for any other job's. Reads, but for events that go unanswered.
pub(crate) async fn reason_to_rest(
    scene: Scene<'_>,
    record: &JobRecord,
    start: DateTime<Utc>,
) -> Result<Option<&'static str>, EngineError> {
    let Some(agent) = record.job.job_id.heartbeat_agent() else { return Ok(None) };
    let (_, own, _) = scene.config.agent(Some(agent));
    if !is_awake(&scene.config.heartbeat_of(&own), agent, scene.config, start) {
        return Ok(Some(QUIET_HOURS));
    }
    let Around { rules, queue, notes, .. } = around(scene, agent, scene.deps.clock.now()).await?;
    Ok(is_idle(&rules, &queue, &notes).then_some(NOTHING_TO_DO))
}

/// What `run`, which is to be planned, has before it. Reads, but for events that go unanswered and one content-addressed blob
/// for a long prompt.
pub(crate) async fn look(scene: Scene<'_>, run: &Run, now: DateTime<Utc>) -> Result<Look, EngineError> {
    let Some(beat) = &run.beat else { return Ok(Look::NoBeat) };
    // Planned anew for another model: what it was told stays as it is.
    if run.session.as_ref().is_some_and(|session| session.hold == Hold::Held) {
        return Ok(Look::NoBeat);
    }
    let Some(agent) = run.job_id.heartbeat_agent() else { return Ok(Look::NoBeat) };
    let Around { rules, queue, notes, zone } = around(scene, agent, now).await?;
    if !beat.is_turn(&rules, &queue, &notes) {
        return Ok(Look::Nothing(NOTHING_TO_DO));
    }
    let events = taken_up(&queue);
    let text = heartbeat::prompt(&rules, &events, &notes, &zone, now);
    Ok(Look::Sees(Box::new(Seen {
        events: events.iter().map(|event| event.id.clone()).collect(),
        prompt: run_text(scene.deps, &run.key, text).await?,
        model: events.iter().find_map(|event| event.model.clone()),
        thinking: events.iter().find_map(|event| event.thinking),
    })))
}

/// What a turn leaves of the queue.
pub(crate) struct After {
    /// The events it had in hand, as they stand then.
    pub moved: Vec<SystemEvent>,
    /// What the session keeps of its prompt.
    pub kept: String,
    /// Whether others wait that were to wake the session: there was no room for them, or they came meanwhile.
    pub more: bool,
}

/// What `run`, whose turn has ended, leaves of the queue. Reads only.
pub(crate) async fn events_after(
    scene: Scene<'_>,
    run: &Run,
    agent: &str,
    now: DateTime<Utc>,
) -> Result<After, EngineError> {
    let ids = run.beat.as_ref().map_or(&[][..], |beat| &beat.events);
    debug_assert!(ids.len() <= MOST_EVENTS, "they fit a commit");
    let mut events = if ids.is_empty() { Vec::new() } else { scene.deps.store.events(agent).await? };
    let ended_well = matches!(run.state, State::Delivering);
    let more = ended_well && events.iter().any(|event| event.run.is_some() && !ids.contains(&event.id));
    events.retain(|event| ids.contains(&event.id));
    let zone = zone_of(scene.config, Some(agent));
    let kept = heartbeat::kept(&events, zone, run.started_at.unwrap_or(run.created_at));
    Ok(After { moved: left_by(run, &events, now), kept, more })
}

/// What a person should know who adds a job for a main session that does not look around by itself.
pub(crate) fn remark(config: &Config, job: &Job) -> Option<String> {
    let (id, agent, _) = config.agent(job.agent_id.as_deref());
    (job.wake_mode == WakeMode::NextHeartbeat && is_off(&config.heartbeat_of(&agent))).then(|| {
        format!("the heartbeat of {id} is off: what this queues waits until something wakes it; --wake now would")
    })
}
