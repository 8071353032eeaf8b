//! The `heartbeat` function: looks after an agent's main session.

use nightshift_domain::event::{Envelope, Wake};
use nightshift_engine::{Deps, EngineError, Invocation, heartbeat, runs};
use serde_json::{Value, json};
use tracing::warn;

/// Handles one envelope.
pub async fn handle(deps: &Deps, envelope: Envelope, invocation: &Invocation) -> Result<Value, EngineError> {
    let Wake::Heartbeat { a } = envelope.kind else {
        warn!("heartbeat got an envelope for {}", envelope.kind.function().name());
        return Ok(json!({ "outcome": "not mine" }));
    };
    let config = runs::load_config(deps).await?;
    let waiting = heartbeat::drain(runs::Scene { deps, invocation, config: &config }, &a).await?;
    Ok(json!({ "waiting": waiting }))
}
