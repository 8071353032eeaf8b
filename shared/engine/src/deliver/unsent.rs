//! Runs that have nothing to send.
//!
//! Guarantee: whether a run is closed here or by `deliver`, the same code decides that nothing is sent and closes it.

use nightshift_domain::delivery::{Target, acknowledges, deliverable};
use nightshift_domain::job::{DeliveryMode, DeliveryStatus};
use nightshift_domain::run::{Event, Run, State};

use crate::error::EngineError;
use crate::runs::commit::{Along, apply};
use crate::runs::{Scene, load_text};

/// What is to be sent, or why nothing is.
pub(super) enum Output {
    /// This text, there.
    ToSend {
        /// How.
        mode: DeliveryMode,
        /// The answer.
        text: String,
        /// Where.
        target: Target,
    },
    /// Nothing: how that closes the run, and why.
    Nothing(DeliveryStatus, Option<String>),
}

/// What `run` has to send. Reads no more than the answer.
pub(super) async fn output(scene: Scene<'_>, run: &Run) -> Result<Output, EngineError> {
    let mode = mode(run);
    if mode == DeliveryMode::None {
        return Ok(Output::Nothing(DeliveryStatus::NotRequested, None));
    }
    let text = match &run.answer {
        Some(answer) => load_text(scene.deps, &run.key, answer).await?,
        None => String::new(),
    };
    // What a heartbeat adds to its word that all is well is for nobody, if it is short.
    if run.beat.is_some() && acknowledges(&text) {
        return Ok(Output::Nothing(DeliveryStatus::Suppressed, Some("heartbeat".to_owned())));
    }
    let text = match deliverable(&text) {
        Ok(text) => text.into_owned(),
        Err(reason) => return Ok(Output::Nothing(DeliveryStatus::Suppressed, Some(reason.to_owned()))),
    };
    let Some(target) = run.plan.as_ref().and_then(|plan| plan.target.clone()) else {
        let reason = "the target could not be resolved".to_owned();
        return Ok(Output::Nothing(DeliveryStatus::Failed, Some(reason)));
    };
    Ok(Output::ToSend { mode, text, target })
}

fn mode(run: &Run) -> DeliveryMode {
    run.delivery.as_ref().map_or(DeliveryMode::None, |delivery| delivery.mode)
}

/// Closes a run whose job wants nothing sent, right where its answer came in; `false` where `deliver` has to look at it.
///
/// # Crash safety
/// One conditional write. Stopped before it, the run stands in the due index, and whoever finds it there closes it so.
pub(crate) async fn close_where_it_is(scene: Scene<'_>, run: &Run) -> Result<bool, EngineError> {
    if !matches!(run.state, State::Delivering) || run.lease.is_some() || mode(run) != DeliveryMode::None {
        return Ok(false);
    }
    let Output::Nothing(status, note) = output(scene, run).await? else { return Ok(false) };
    let mut run = run.clone();
    run.delivery_note = note;
    // Whatever is to be told about its end is handed to `deliver`.
    apply(scene, &run, Event::Delivered(status), Along::default()).await?;
    Ok(true)
}
