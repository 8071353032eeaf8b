//! The `deliver` function: sends answers and closes runs.
//!
//! At least once as a function, at most once per chunk: the ledger's rows say what may still be sent.

use nightshift_domain::event::{Envelope, Wake};
use nightshift_engine::{Deps, EngineError, Invocation, deliver, runs};
use serde_json::{Value, json};
use tracing::warn;

/// Handles one envelope.
pub async fn handle(deps: &Deps, envelope: Envelope, invocation: &Invocation) -> Result<Value, EngineError> {
    let Wake::Deliver { r } = envelope.kind else {
        warn!("deliver got an envelope for {}", envelope.kind.function().name());
        return Ok(json!({ "outcome": "not mine" }));
    };
    let config = runs::load_config(deps).await?;
    let delivered = deliver::deliver(runs::Scene { deps, invocation, config: &config }, &r).await?;
    Ok(json!({ "outcome": format!("{delivered:?}") }))
}
