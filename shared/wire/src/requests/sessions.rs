//! What the methods about sessions take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lists an agent's named sessions, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "limit": 20 }))]
pub struct ListSessions {
    /// Whose; the default agent's when left out.
    pub agent_id: Option<String>,
    /// Rows of a page; 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// The `nextCursor` of the page before, with the same other fields.
    pub cursor: Option<String>,
}

/// Shows a session and what the next run of it begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetSession {
    /// Whose; the default agent's when left out.
    pub agent_id: Option<String>,
    /// Its name: what jobs say after `session:`.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
}

/// Removes a session: its next run begins without a history.
///
/// One that a run is using is refused with 409. Runs that wait for it stay, and begin it anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoveSession {
    /// Whose; the default agent's when left out.
    pub agent_id: Option<String>,
    /// Its name: what jobs say after `session:`.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
}
