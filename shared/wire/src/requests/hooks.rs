//! What inbound hooks take.

use nightshift_domain::job::{Thinking, WakeMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::BatchInput;
use super::job::thinking;
use super::parts;

/// Puts a text before the main session of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "text": "The door is open." }))]
pub struct WakeHook {
    /// The text, at most 32 KiB of UTF-8 and not blank.
    #[schemars(length(min = 1, max = 32_768))]
    pub text: String,
    /// When it is looked at; `now` when left out.
    pub mode: Option<WakeMode>,
    /// Whose session; the default agent's when left out or not known.
    pub agent_id: Option<String>,
}

/// Asks an agent for a turn.
///
/// Its run is one of the built-in job `hk-<agent>`. What is left out of the model, the thinking level and the delivery is as it
/// is for the agent's jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "message": "Summarize the report.", "channel": "telegram", "to": "42" }))]
pub struct AgentHook {
    /// What is asked; not blank.
    #[schemars(length(min = 1))]
    pub message: String,
    /// What people call the turn; `hook` when left out.
    #[schemars(length(max = 200))]
    pub name: Option<String>,
    /// Who answers; the default agent when left out.
    pub agent_id: Option<String>,
    /// `provider/model` or an alias such as `opus`; the agent's when left out.
    pub model: Option<String>,
    /// How hard to think; the agent's level when left out.
    #[schemars(schema_with = "thinking")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// Bounds the whole turn in realtime, seconds, up to seven days. A text is ignored, as older versions wrote it.
    #[schemars(schema_with = "parts::timeout_seconds")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// Whether the answer is sent anywhere; `true` when left out.
    pub deliver: Option<bool>,
    /// The channel's name, or `last`; the agent's route when left out.
    pub channel: Option<String>,
    /// The target, in the channel's grammar; not blank.
    #[schemars(length(min = 1))]
    pub to: Option<String>,
    /// The channel's account.
    pub account_id: Option<String>,
    /// Whether, or how, it goes through Message Batches.
    pub batch: Option<HookBatch>,
    /// When the main session looks at the answer's summary; `next-heartbeat` when left out.
    pub wake_mode: Option<WakeMode>,
}

/// Whether a turn goes through Message Batches, or how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HookBatch {
    /// Whether.
    Switch(bool),
    /// How. `deliverBy` and `earliest` are refused: they are for schedules.
    Rules(BatchInput),
}

/// Asks for a turn with the settings of a configured hook.
///
/// An object with a `message` has the fields that `/hooks/agent` takes; what it leaves out is as `hooks.named.<name>` says. Any other JSON is
/// what somebody else's program sends, and is handed to the model as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = serde_json::json!({ "message": "Summarize the report." }), example = serde_json::json!({ "event": "push" }))]
pub struct NamedHookBody(pub serde_json::Value);
