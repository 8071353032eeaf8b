//! Heartbeats and their notes as the API shows them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run::RunView;

/// The answer of `heartbeat.last`. Instants are epoch ms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatAnswer {
    /// The agent.
    pub agent_id: String,
    /// Whether it looks around by itself. Its cadence begins with the first event, notes or setting.
    pub enabled: bool,
    /// How often, ms.
    pub every_ms: Option<u64>,
    /// When next.
    pub next_run_at_ms: Option<i64>,
    /// How many events are queued for its main session.
    pub queued: u64,
    /// The last heartbeat, whatever became of it.
    pub last: Option<RunView>,
    /// The last one that asked a model, or does.
    pub last_turn: Option<RunView>,
}

/// The answer of `heartbeat.notes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotesAnswer {
    /// The agent.
    pub agent_id: String,
    /// The notes; none where there are none, and where they were written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether they were others before; `false` where they were only read.
    pub changed: bool,
    /// Their length, bytes of UTF-8.
    pub bytes: u64,
    /// Rises with every change; what `expectedRevision` is compared with. 0 is none.
    pub revision: u64,
    /// When they were written, epoch ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at_ms: Option<i64>,
}
