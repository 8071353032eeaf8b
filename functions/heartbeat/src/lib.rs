//! The `heartbeat` function: an agent's main session looks around, by its cadence or because somebody wakes it.
//!
//! At least once: an error means "invoke me again", and a repeat takes up whatever it finds.

use nightshift_domain::event::Envelope;
use nightshift_engine::{Deps, EngineError, Invocation, heartbeat, runs};
use serde_json::Value;

/// Handles one envelope.
pub async fn handle(deps: &Deps, envelope: Envelope, invocation: &Invocation) -> Result<Value, EngineError> {
    let config = runs::load_config(deps).await?;
    Box::pin(heartbeat::handle(runs::Scene { deps, invocation, config: &config }, &envelope.kind)).await
}
