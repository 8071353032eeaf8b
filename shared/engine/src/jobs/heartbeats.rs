//! The built-in jobs whose runs are heartbeats: kept as the configuration has them; and what people ask about them.

use nightshift_domain::config::Config;
use nightshift_domain::event::{Envelope, Wake};
use nightshift_domain::heartbeat::{NOTES, is_configured, is_same, job_of};
use nightshift_domain::job::{Job, JobRecord};
use nightshift_domain::run::Run;
use nightshift_domain::shelf::ShelfId;
use nightshift_domain::{FieldError, JobId};
use serde_json::Value;
use tracing::info;

use crate::error::EngineError;
use crate::ports::{Outcome, PageRequest, RunFilter, Write};
use crate::runs::{Scene, load_config};

use super::params::Params;
use super::shelves::{Kept, Put, agent, get, memory_of, put, whole_text};
use super::timing::{check_timer, next_start, set_timer, settle_timer};
use super::{MAX_RACES, Refusal, Request, Stamp};

/// How many runs are looked through for the last turn: with quiet hours and idle beats, most are no turns.
const LOOKED_THROUGH: u32 = 200;

/// The job of `agent`'s heartbeats, made or changed where it is not as the configuration has it. What first concerns the
/// main session arms its cadence so.
///
/// # Crash safety
/// The row says that its timer may be missing until that is set: whoever comes here next sets it.
pub(crate) async fn armed(scene: Scene<'_>, agent: &str) -> Result<JobRecord, EngineError> {
    let now = scene.deps.clock.now();
    let stamp = Stamp::fresh(scene.deps, now);
    let request = Request { deps: scene.deps, invocation: scene.invocation, now, stamp };
    arm(&request, scene.config, agent).await.map_err(|refusal| {
        let subject = format!("the heartbeat of {agent}: {refusal}");
        if let Refusal::Failed(error) = refusal { error } else { EngineError::Contended { subject, times: MAX_RACES } }
    })
}

/// The same for a request.
pub(super) async fn arm(request: &Request<'_>, config: &Config, agent: &str) -> Result<JobRecord, Refusal> {
    let store = &request.deps.store;
    let id = JobId::heartbeat(agent).map_err(|fault| Refusal::Invalid(vec![fault]))?;
    for _ in 0..MAX_RACES {
        let old = store.job(&id).await?;
        let wanted = job_of(id.clone(), agent, config, old.as_ref().map(|old| &old.job), request.now);
        let Some(new) = renewed(old.as_ref(), wanted, config, request) else {
            let there = old.ok_or_else(|| Refusal::Changed(format!("job {id}")))?;
            return if there.unarmed { timed(request, config, None, there).await } else { Ok(there) };
        };
        if store.commit(&[Write::Job(&new)]).await? == Outcome::Applied {
            info!(job.id = %id, agent.id = agent, "the heartbeat of {agent} is {}", if new.job.enabled { "on" } else { "off" });
            return if new.unarmed { timed(request, config, old.as_ref(), new).await } else { Ok(new) };
        }
    }
    Err(Refusal::Changed(format!("job {id}")))
}

/// Sets the timer of `new`, whose row was just written in place of `old`'s or says that it may have none, and notes that in it.
async fn timed(
    request: &Request<'_>,
    config: &Config,
    old: Option<&JobRecord>,
    new: JobRecord,
) -> Result<JobRecord, Refusal> {
    set_timer(request, config, old, &new, true).await?;
    let moved = old.and_then(|old| check_timer(old, config)).filter(|_| new.check.is_none());
    if let Some((name, ..)) = moved {
        request.deps.timers.remove(&name).await.map_err(EngineError::Timer)?;
    }
    let armed = JobRecord { unarmed: false, rev: new.rev + 1, ..new.clone() };
    // Whoever changed it meanwhile leaves the note, and the next one here sets the timer once more.
    let is_noted = request.deps.store.commit(&[Write::Job(&armed)]).await? == Outcome::Applied;
    settle_timer(request, config, new.clone()).await?;
    Ok(if is_noted { armed } else { new })
}

/// The record with `wanted` for its job; `None` where it says so already.
fn renewed(old: Option<&JobRecord>, wanted: Job, config: &Config, request: &Request<'_>) -> Option<JobRecord> {
    let mut new = match old {
        None => JobRecord { born: request.stamp.ulid(), unarmed: true, ..JobRecord::new(wanted) },
        Some(old) if is_same(&old.job, &wanted) => return None,
        Some(old) => {
            let mut new = JobRecord { job: wanted, rev: old.rev + 1, ..old.clone() };
            if old.job.schedule == new.job.schedule && old.job.enabled == new.job.enabled {
                return Some(new);
            }
            new.generation += 1;
            new.unarmed = true;
            new.chained = false;
            new.ahead.clear();
            new.settled = None;
            new.hold_until = None;
            new.check = None;
            new
        }
    };
    new.job.state.next_run_at_ms = next_start(&new, config, request.now).map(|at| at.timestamp_millis());
    Some(new)
}

/// Makes heartbeats follow a configuration that was written: those of the agents it speaks of, and those that are there.
/// `old` is what it was, or `None` where the write may be a repeat.
pub(super) async fn follow(request: &Request<'_>, new: &Config, old: Option<&Config>) -> Result<(), Refusal> {
    let mut agents: Vec<String> = new.agents.entries.keys().cloned().collect();
    agents.extend(old.into_iter().flat_map(|old| old.agents.entries.keys().cloned()));
    agents.extend([new.agent(None).0, "main".to_owned()]);
    agents.sort_unstable();
    agents.dedup();
    for agent in agents {
        let Ok(id) = JobId::heartbeat(&agent) else { continue };
        let job = |config: &Config| job_of(id.clone(), &agent, config, None, request.now);
        let (found, own, _) = new.agent(Some(&agent));
        let spoken_of = found == agent && is_configured(new, &own);
        if old.is_some_and(|old| is_same(&job(old), &job(new))) && !spoken_of {
            continue;
        }
        if spoken_of || request.deps.store.job(&id).await?.is_some() {
            // Of two changes at the same time the later one counts, whoever comes here last.
            let latest = load_config(request.deps).await?;
            arm(request, &latest, &agent).await?;
            if latest.agent(Some(&agent)).0 != agent {
                wake_for_the_last_time(request, &agent).await?;
            }
        }
    }
    Ok(())
}

/// Has what is queued for an agent that is gone answered: by the default agent, which answers for it.
async fn wake_for_the_last_time(request: &Request<'_>, agent: &str) -> Result<(), Refusal> {
    if request.deps.store.events(agent).await?.iter().all(|event| event.quiet) {
        return Ok(());
    }
    let wake = Wake::Heartbeat { a: agent.to_owned() };
    request.deps.invoker.invoke(wake.function(), &Envelope::new(wake)).await?;
    Ok(())
}

/// How an agent's heartbeats fare.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeats {
    /// The agent.
    pub agent: String,
    /// Their job; `None` where nothing has concerned the main session yet.
    pub job: Option<Job>,
    /// The last occurrence, whatever became of it.
    pub last: Option<Run>,
    /// The last one that was a turn, or is.
    pub last_turn: Option<Run>,
    /// How many events are queued.
    pub queued: usize,
}

/// The heartbeats of an agent: `{agentId?}`.
pub async fn heartbeat_last(request: &Request<'_>, input: &Value) -> Result<Heartbeats, Refusal> {
    let mut params = Params::new(input, &["agentId"]);
    let agent = agent(&mut params);
    params.done(())?;
    let store = &request.deps.store;
    let agent = load_config(request.deps).await?.agent(agent.as_deref()).0;
    let id = JobId::heartbeat(&agent).map_err(|fault| Refusal::Invalid(vec![fault]))?;
    let page = PageRequest { limit: LOOKED_THROUGH, cursor: None };
    let job = store.job(&id).await?.map(|record| record.job);
    let runs = if job.is_some() { store.runs(&RunFilter::OfJob(id), &page).await?.items } else { Vec::new() };
    let last_turn = runs.iter().find(|run| run.plan.is_some() || !run.state.is_terminal()).cloned();
    let queued = store.events(&agent).await?.len();
    Ok(Heartbeats { agent, job, last: runs.into_iter().next(), last_turn, queued })
}

/// What became of looking at an agent's notes, or writing them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// They are this.
    Shown(Option<Kept>),
    /// They were written.
    Written(Put),
}

/// Shows an agent's notes, or writes them: `{agentId?, text?, expectedRevision?}`. They are a file of its memory, so that the
/// agent itself can change them.
///
/// # Crash safety
/// As [`super::memory_put`], then the cadence is armed; a repeat does what is left.
pub async fn heartbeat_notes(request: &Request<'_>, input: &Value) -> Result<(String, Noted), Refusal> {
    let mut params = Params::new(input, &["agentId", "text", "expectedRevision"]);
    let (agent, expected) = (agent(&mut params), params.whole("expectedRevision"));
    let text = if params.get("text").is_some() { whole_text(&mut params) } else { None };
    params.done(())?;
    let config = load_config(request.deps).await?;
    let shelf = memory_of(request, agent).await?;
    let agent = if let ShelfId::Memory(agent) = &shelf { agent.clone() } else { String::new() };
    let Some(text) = text else {
        return match get(request, &shelf, NOTES).await {
            Ok(kept) => Ok((agent, Noted::Shown(Some(kept)))),
            Err(Refusal::NoMemory { .. }) => Ok((agent, Noted::Shown(None))),
            Err(refusal) => Err(refusal),
        };
    };
    if config.agent(Some(&agent)).0 != agent {
        let fault = FieldError::new("unknown_agent", "agentId", format!("agent \"{agent}\" is not configured"));
        return Err(vec![fault.hint("agents.entries lists those that are")].into());
    }
    let put = put(request, &shelf, NOTES, text, expected, |_| Ok(())).await?;
    arm(request, &config, &agent).await?;
    Ok((agent, Noted::Written(put)))
}
