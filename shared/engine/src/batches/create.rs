//! The one place that sends creates.

use nightshift_domain::batch::{Batch, CREATE_SENT_WITHIN};
use nightshift_domain::model::ModelErrorKind;
use tracing::debug;

use crate::ports::{BatchRow, BatchView, CreateError, ModelError, OpenModelError};
use crate::runs::Scene;
use crate::stops::Gate;

/// Sends a create, once. The caller has written the intent, and it alone may send it.
///
/// Nothing is sent while the provider is stopped for want of money: the stop is answered as a refusal. What comes of a
/// create that is sent ends a stop whose time is over, or begins one. Nor is anything sent long after the intent was
/// written: the batch would be looked for where it is not, and bought again.
pub(crate) async fn post(
    scene: Scene<'_>,
    gate: &Gate,
    batch: &Batch,
    rows: &[BatchRow],
) -> Result<BatchView, CreateError> {
    if let Some(error) = gate.closed(scene.deps.clock.now()) {
        return Err(CreateError::Refused(error));
    }
    let refused =
        |kind, message| CreateError::Refused(ModelError { kind, message, retry_after: None, request_id: None });
    let opened = match scene.deps.models.open(scene.config, &batch.provider).await {
        Ok(opened) => opened,
        // Nothing was sent. A key that cannot be had now, its store being throttled, may be had in a minute.
        Err(error @ OpenModelError::Key { .. }) => return Err(refused(ModelErrorKind::NotSent, error.to_string())),
        Err(error @ OpenModelError::Unknown(_)) => return Err(refused(ModelErrorKind::Auth, error.to_string())),
    };
    let Some(batches) = opened.model.batches() else {
        let message = "the provider has no Message Batches any more".to_owned();
        return Err(refused(ModelErrorKind::Invalid, message));
    };
    if scene.deps.clock.now() > batch.started_at + CREATE_SENT_WITHIN {
        let message = "too much time went by between writing it down and sending it".to_owned();
        return Err(refused(ModelErrorKind::NotSent, message));
    }
    debug!(batch.rows = rows.len(), "a batch of {} rows is created", rows.len());
    let created = batches.create(rows).await;
    match &created {
        Ok(_) => gate.passed(scene).await,
        Err(CreateError::Refused(error)) => gate.refused(scene, error).await,
        Err(CreateError::Unanswered(_)) => {}
    }
    created
}
