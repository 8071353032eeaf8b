//! What the methods about neither jobs nor runs take.

use nightshift_domain::config::Config;
use nightshift_domain::job::WakeMode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Shows the whole at a glance: how many jobs there are, what runs, and what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetStatus {}

/// Shows the configuration and its revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetConfig {}

/// Queues a text for the main session of an agent.
///
/// The agent's next heartbeat takes it up. `modes` is taken for `mode`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "text": "The build is green again.", "mode": "now" }))]
pub struct SendEvent {
    /// The text, at most 32 KiB of UTF-8 and not blank.
    #[schemars(length(min = 1, max = 32_768))]
    pub text: String,
    /// When it is looked at; `next-heartbeat` when left out.
    pub mode: Option<WakeMode>,
    /// Whose session; the default agent's when left out or not known.
    pub agent_id: Option<String>,
}

/// Replaces the configuration.
///
/// The whole document is sent; what it leaves out falls back to its default. Jobs that follow a zone which changed are moved
/// to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "config": { "cron": { "timezone": "Europe/Vienna" } }, "expectedRevision": 3 }))]
pub struct ApplyConfig {
    /// The document. Secrets stand in it as references, never as values.
    pub config: Config,
    /// The revision it was made from; refused with 409 when there is another one by now.
    pub expected_revision: Option<u64>,
}
