//! The one place that sends creates.

use nightshift_domain::model::ModelErrorKind;
use tracing::debug;

use crate::ports::{BatchRow, BatchView, CreateError, ModelError};
use crate::runs::Scene;

/// Sends a create, once. The caller has written the intent, and it alone may send it.
///
/// Whatever has to hold before anything is sent to a provider (a queue that was stopped because its money is spent) is
/// asked here, and answered with [`CreateError::Refused`].
pub(crate) async fn post(scene: Scene<'_>, provider: &str, rows: &[BatchRow]) -> Result<BatchView, CreateError> {
    let refused =
        |kind, message| CreateError::Refused(ModelError { kind, message, retry_after: None, request_id: None });
    let opened = match scene.deps.models.open(scene.config, provider).await {
        Ok(opened) => opened,
        Err(error) => return Err(refused(ModelErrorKind::Auth, error.to_string())),
    };
    let Some(batches) = opened.model.batches() else {
        let message = "the provider has no Message Batches any more".to_owned();
        return Err(refused(ModelErrorKind::Invalid, message));
    };
    debug!(batch.rows = rows.len(), "a batch of {} rows is created", rows.len());
    batches.create(rows).await
}
