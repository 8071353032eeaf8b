//! `memory`.

use nightshift_domain::memory::Command;
use serde_json::Value;

use crate::error::EngineError;
use crate::shelves;

use super::{Answer, Call};

/// Carries out a command on the memory of the agent that answers.
///
/// # Crash safety
/// May be repeated: a change is written together with the call that made it, and a repeat finds itself done.
pub(super) async fn run(call: Call<'_>, input: Value) -> Result<Answer, EngineError> {
    let command = match Command::parse(&input) {
        Ok(command) => command,
        Err(refused) => return Ok(Answer::error(refused)),
    };
    let (agent, _, _) = call.scene.config.agent(Some(&call.run.agent_id));
    let by = format!("{}/{}", call.run.key, call.key);
    let answer = Box::pin(shelves::command(call.scene.deps, &agent, &command, &by)).await?;
    Ok(answer.map_or_else(Answer::error, Answer::ok))
}

#[cfg(test)]
mod tests;
