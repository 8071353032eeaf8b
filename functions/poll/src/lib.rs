//! The `poll` function: looks after batches, and sweeps for whatever was lost.
//!
//! A nudge says where to look, never what changed; both kinds end in the same look at one batch.

use nightshift_domain::event::{Envelope, Wake};
use nightshift_engine::{Deps, EngineError, Invocation, batches, runs, sweep};
use serde_json::{Value, json};
use tracing::warn;

/// Handles one envelope.
pub async fn handle(deps: &Deps, envelope: Envelope, invocation: &Invocation) -> Result<Value, EngineError> {
    let config = runs::load_config(deps).await?;
    let scene = runs::Scene { deps, invocation, config: &config };
    match envelope.kind {
        Wake::Poll { b, n } => {
            let polled = Box::pin(batches::poll(scene, &b, Some(n))).await?;
            Ok(json!({ "outcome": format!("{polled:?}") }))
        }
        Wake::Window { w } => {
            let sealed = Box::pin(batches::seal(scene, &w)).await?;
            Ok(json!({ "outcome": format!("{sealed:?}") }))
        }
        Wake::Sweep => {
            let swept = sweep::sweep(scene).await?;
            Ok(json!({ "found": swept.found, "repaired": swept.repaired, "left": swept.left }))
        }
        other @ (Wake::Job { .. } | Wake::Resume { .. } | Wake::Deliver { .. } | Wake::Heartbeat { .. }) => {
            warn!("poll got an envelope for {}", other.function().name());
            Ok(json!({ "outcome": "not mine" }))
        }
    }
}
