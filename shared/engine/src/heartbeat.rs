//! Wakes an agent's main session, and says what its heartbeats have before them.
//!
//! A heartbeat is a run of the built-in job `hb-<agent>` ([`nightshift_domain::heartbeat`]): its cadence fires as any job's
//! timer, and what is here begins one that was asked for, and tells every one what it is to look at.
//!
//! Guarantee: an event is seen by the one turn that has the main session, and leaves the queue in the very write that stores
//! what that turn came to. A run that waits for the turn is told by that turn, or finds out when the sweeper looks at it.

mod queue;
mod waiting;

pub(crate) use queue::{Look, Seen, events_after, look, reason_to_rest, remark};
pub(crate) use waiting::{go_on, has_news, outcome, taken_back};

use nightshift_domain::RunKey;
use nightshift_domain::event::Wake;
use nightshift_domain::run::State;
use serde_json::{Value, json};
use tracing::{debug, info};

use crate::error::EngineError;
use crate::jobs;
use crate::runs::{Resumed, Scene, Wish, claim_manual, resume};
use crate::trigger::{self, Triggered};

use queue::queued;

/// What waking an agent's main session came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Woken {
    /// Nothing waits that asks for a turn.
    Nothing,
    /// This heartbeat has not looked at the queue yet, and will see it all.
    Awaited(RunKey),
    /// This heartbeat went as far as it could.
    Beat(RunKey),
}

/// Handles an envelope of the `heartbeat` function: a wake, the fire of the cadence, or a heartbeat that goes on.
pub async fn handle(scene: Scene<'_>, envelope: &Wake) -> Result<Value, EngineError> {
    if let Wake::Heartbeat { a } = envelope {
        let woken = Box::pin(wake(scene, a)).await?;
        return Ok(json!({ "outcome": format!("{woken:?}") }));
    }
    if let Wake::Job { j, .. } = envelope
        && let Some(agent) = j.heartbeat_agent()
    {
        // A change of the configuration may have been cut off before it came here.
        jobs::armed(scene, agent).await?;
    }
    let triggered = trigger::handle(scene, envelope).await?;
    if triggered == Triggered::NotMine {
        tracing::warn!("heartbeat got an envelope for {}", envelope.function().name());
    }
    Ok(json!({ "outcome": format!("{triggered:?}") }))
}

/// Begins a heartbeat of `agent` if anything waits that asks for one, whatever hours it keeps.
///
/// # Crash safety
/// The heartbeat's row is one transaction with its job, before anything is paid. A repeat begins another one, which finds
/// nothing to do and says so.
pub async fn wake(scene: Scene<'_>, agent: &str) -> Result<Woken, EngineError> {
    let now = scene.deps.clock.now();
    let queue = queued(scene, agent, now).await?;
    let Some(newest) = queue.iter().filter(|event| !event.quiet).map(|event| event.at).max() else {
        debug!(agent.id = agent, "nothing waits for the main session of {agent}");
        return Ok(Woken::Nothing);
    };
    let record = jobs::armed(scene, agent).await?;
    for key in &record.active {
        let Some(run) = scene.deps.store.run(key).await? else { continue };
        if matches!(run.state, State::Due | State::Waiting { .. }) && run.created_at > newest {
            // It may be one of an earlier try at this very wake.
            return taken_up(scene, key.clone()).await;
        }
    }
    let wish = Wish { woken: true, ..Wish::default() };
    let Some(key) = claim_manual(scene.deps, scene.config, record, now, wish).await? else {
        return Ok(Woken::Nothing);
    };
    info!(agent.id = agent, run.id = %key, "the main session of {agent} is woken");
    taken_up(scene, key).await
}

async fn taken_up(scene: Scene<'_>, key: RunKey) -> Result<Woken, EngineError> {
    match resume(scene, &key).await? {
        Resumed::Held { .. } | Resumed::Nothing => Ok(Woken::Awaited(key)),
        Resumed::Driven | Resumed::InBatch(_) => Ok(Woken::Beat(key)),
    }
}
