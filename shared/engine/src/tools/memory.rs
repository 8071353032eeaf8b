//! `memory`.

use serde_json::Value;

use crate::error::EngineError;

use super::{Answer, Call};

#[expect(clippy::unused_async, reason = "it is built in the next step")]
pub(super) async fn run(_call: Call<'_>, _input: Value) -> Result<Answer, EngineError> {
    Ok(Answer::error("it is not built yet"))
}
