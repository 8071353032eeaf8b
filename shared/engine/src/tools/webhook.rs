//! Tools the user declares.

use nightshift_domain::config::WebhookTool;
use serde_json::Value;

use crate::error::EngineError;

use super::{Answer, Call};

#[expect(clippy::unused_async, reason = "it is built in the next step")]
pub(super) async fn run(_: Call<'_>, _: &str, _: &WebhookTool, _: Value) -> Result<Answer, EngineError> {
    Ok(Answer::error("it is not built yet"))
}
