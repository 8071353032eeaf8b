//! Looks after the queue of an agent's main session. For now it only drains what no turn will answer any more: events
//! that are stale, and the oldest of a queue that is too long. The turn that answers the rest comes with the main session.
//!
//! Guarantee: a fresh event stays queued while there is room.

use tracing::info;

use crate::error::EngineError;
use crate::runs::Scene;

/// Drains the queue of `agent`; answers how many events it held.
///
/// # Crash safety
/// Consuming is the last step and may be repeated.
pub async fn drain(scene: Scene<'_>, agent: &str) -> Result<usize, EngineError> {
    let now = scene.deps.clock.now();
    let events = scene.deps.store.events(agent).await?;
    let (fresh, stale): (Vec<_>, Vec<_>) = events.into_iter().partition(|event| event.expires_at > now);
    // The newest stay: an agent that nobody wakes must not fill the table.
    let most = scene.config.cron.retention.events_max as usize;
    let surplus = fresh.len().saturating_sub(most);
    let leaving: Vec<String> = stale.iter().chain(fresh.iter().take(surplus)).map(|event| event.id.clone()).collect();
    if !leaving.is_empty() {
        scene.deps.store.consume_events(agent, &leaving).await?;
    }
    info!(agent.id = agent, "the main session of {agent} has {} events waiting", fresh.len() - surplus);
    Ok(fresh.len() - surplus)
}
