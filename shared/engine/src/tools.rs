//! The tools that Nightshift runs for a model, whichever way the model reaches them.
//!
//! Guarantee: a tool answers with a text for the model, also when it fails; only what is offered to the run is run. Who may
//! repeat a call, and when, is decided by the callers ([`crate::runs`] for a hop's calls, [`crate::endpoint`] for those from
//! within a hop), who write down that an acting call
//! was begun before it is made.

mod cron;
mod fields;
mod http_fetch;
mod memory;
mod message;
mod page;
mod webhook;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::config::Config;
use nightshift_domain::delivery::Target;
use nightshift_domain::run::Run;
use nightshift_domain::tools::{self, endpoint::behind};
use serde_json::Value;

use crate::clock;
use crate::error::EngineError;
use crate::runs::Scene;

/// How long a call of one of our own tools may take.
const OWN_TIMEOUT: TimeDelta = TimeDelta::seconds(60);

/// A call to be made.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Where it is made.
    pub scene: Scene<'a>,
    /// The run it is made for.
    pub run: &'a Run,
    /// Identifies it among the run's calls; the same for a repeat of the same call.
    pub key: &'a str,
    /// When it must have come back.
    pub deadline: DateTime<Utc>,
}

/// What the model is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// Whether it is an error.
    pub is_error: bool,
    /// Where the call sent a whole message to, where it did.
    pub sent_to: Option<Target>,
}

impl Answer {
    /// It worked.
    pub fn ok(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: false, sent_to: None }
    }

    /// It did not.
    pub fn error(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: true, sent_to: None }
    }
}

/// How long a call of `name` may take.
pub fn timeout_of(name: &str, config: &Config) -> TimeDelta {
    config.webhook_tools.get(name).map_or(OWN_TIMEOUT, |tool| TimeDelta::seconds(i64::from(tool.timeout_seconds)))
}

/// Makes the call. A failure of the world is told to the model; it never ends the run.
///
/// # Crash safety
/// See each tool. An acting one is begun at most once per call by the callers of this function.
pub async fn execute(call: Call<'_>, name: &str, input: Value) -> Answer {
    let clock = call.scene.deps.clock.as_ref();
    let acts = tools::changes(name, &input);
    let tool = behind(name).unwrap_or(name);
    if !acts && tools::changes(tool, &input) {
        return Answer::error(format!("{name} only looks; it changes nothing"));
    }
    match clock::timeout(clock, call.deadline, Box::pin(dispatch(call, tool, input))).await {
        Some(Ok(answer)) => answer,
        Some(Err(error)) => {
            tracing::warn!(run.id = %call.run.key, "tool {name} of run {} failed: {}", call.run.key, error.chain());
            let outcome = if acts { "; whether it took effect is not known" } else { "" };
            Answer::error(format!("{name} failed: {error}{outcome}"))
        }
        None if acts => Answer::error(format!("{name} did not answer in time; whether it took effect is not known")),
        None => Answer::error(format!("{name} did not answer in time")),
    }
}

async fn dispatch(call: Call<'_>, name: &str, input: Value) -> Result<Answer, EngineError> {
    match name {
        "message" => message::run(call, input).await,
        "memory" => memory::run(call, input).await,
        "cron" => cron::run(call, input).await,
        "http_fetch" => http_fetch::run(call, input).await,
        _ => match call.scene.config.webhook_tools.get(name) {
            Some(tool) => webhook::run(call, name, tool, input).await,
            None => Ok(Answer::error(format!("there is no tool \"{name}\""))),
        },
    }
}

#[cfg(test)]
pub(crate) mod tests;
