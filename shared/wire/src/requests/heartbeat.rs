//! What the methods about heartbeats take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Shows how an agent's heartbeats fare, the last of them and what waits for the next.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "agentId": "main" }))]
pub struct LastHeartbeat {
    /// The agent; the default one when left out or not known.
    #[schemars(length(min = 1, max = 33), regex(pattern = r"^[0-9A-Za-z-]{1,33}$"))]
    pub agent_id: Option<String>,
}

/// Shows what an agent's heartbeats keep in mind, or writes it.
///
/// The notes are a file of its memory, `/memories/heartbeat.md`, which every heartbeat reads and may change. Without `text` they
/// are shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "text": "- Is the backup of last night there?\n" }))]
pub struct HeartbeatNotes {
    /// The agent; the default one when left out.
    #[schemars(length(min = 1, max = 33), regex(pattern = r"^[0-9A-Za-z-]{1,33}$"))]
    pub agent_id: Option<String>,
    /// The notes as they are to be; an empty text leaves none.
    pub text: Option<String>,
    /// The revision they were made from, 0 for none; refused with 409 when there is another one by now.
    pub expected_revision: Option<u64>,
}
