//! The `trigger` function: starts runs when their timers fire, and resumes those whose time has come.
//!
//! At least once: an error means "invoke me again", and a repeat takes up whatever it finds.

use nightshift_domain::event::Envelope;
use nightshift_engine::trigger::Triggered;
use nightshift_engine::{Deps, EngineError, Invocation, runs, trigger};
use serde_json::{Value, json};
use tracing::warn;

/// Handles one envelope.
pub async fn handle(deps: &Deps, envelope: Envelope, invocation: &Invocation) -> Result<Value, EngineError> {
    let config = runs::load_config(deps).await?;
    let scene = runs::Scene { deps, invocation, config: &config };
    let triggered = trigger::handle(scene, &envelope.kind).await?;
    if triggered == Triggered::NotMine {
        warn!("trigger got an envelope for {}", envelope.kind.function().name());
    }
    Ok(json!({ "outcome": format!("{triggered:?}") }))
}
