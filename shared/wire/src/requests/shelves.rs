//! What the methods about documents and memory take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lists the workspace's documents.
///
/// An agent's system prompt has those that its configuration names (`agents.*.documents`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDocuments {}

/// Shows a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "name": "AGENTS.md" }))]
pub struct GetDocument {
    /// Its name, 1 to 200 characters, such as `AGENTS.md`.
    #[schemars(
        length(min = 1, max = 200),
        regex(pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$")
    )]
    pub name: String,
}

/// Writes a document.
///
/// Runs that are planned from then on have it. There may be 100 documents, each of 256 KiB of UTF-8; a request's own limit comes
/// a little before that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "name": "AGENTS.md", "text": "Be brief." }))]
pub struct PutDocument {
    /// Its name, 1 to 200 characters, such as `AGENTS.md`.
    #[schemars(
        length(min = 1, max = 200),
        regex(pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$")
    )]
    pub name: String,
    /// The whole text; it may be empty.
    #[schemars(length(max = 131_072))]
    pub text: String,
    /// The revision it was made from, 0 for a text that is not there; refused with 409 when there is another one by now.
    pub expected_revision: Option<u64>,
}

/// Removes a document.
///
/// An agent that names it goes without it, and its runs say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "name": "AGENTS.md" }))]
pub struct RemoveDocument {
    /// Its name, 1 to 200 characters, such as `AGENTS.md`.
    #[schemars(
        length(min = 1, max = 200),
        regex(pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$")
    )]
    pub name: String,
    /// The revision it was made from, 0 for a text that is not there; refused with 409 when there is another one by now.
    pub expected_revision: Option<u64>,
}

/// Lists the files of an agent's memory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "agentId": "main" }))]
pub struct ListMemory {
    /// Whose memory; the default agent's when left out.
    #[schemars(length(min = 1, max = 33), regex(pattern = r"^[0-9A-Za-z-]{1,33}$"))]
    pub agent_id: Option<String>,
}

/// Shows a file of an agent's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "agentId": "main", "path": "/memories/people.md" }))]
pub struct GetMemory {
    /// Whose memory; the default agent's when left out.
    #[schemars(length(min = 1, max = 33), regex(pattern = r"^[0-9A-Za-z-]{1,33}$"))]
    pub agent_id: Option<String>,
    /// The file, such as `/memories/people.md`; at most 200 characters, without `..`.
    #[schemars(
        length(min = 1, max = 200),
        regex(
            pattern = r"^/+memories(/+(\.|\.?[^./\s\x00-\x1f\x7f-\x9f]([^/\x00-\x1f\x7f-\x9f]*[^/\s\x00-\x1f\x7f-\x9f])?))*/*$"
        )
    )]
    pub path: String,
}

/// Writes a file of an agent's memory.
///
/// An agent has 100 files, each of 32 KiB of UTF-8, and 256 KiB in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "path": "/memories/people.md", "text": "Ada likes it short." }))]
pub struct PutMemory {
    /// Whose memory; the default agent's when left out.
    #[schemars(length(min = 1, max = 33), regex(pattern = r"^[0-9A-Za-z-]{1,33}$"))]
    pub agent_id: Option<String>,
    /// The file, such as `/memories/people.md`; at most 200 characters, without `..`.
    #[schemars(
        length(min = 1, max = 200),
        regex(
            pattern = r"^/+memories(/+(\.|\.?[^./\s\x00-\x1f\x7f-\x9f]([^/\x00-\x1f\x7f-\x9f]*[^/\s\x00-\x1f\x7f-\x9f])?))*/*$"
        )
    )]
    pub path: String,
    /// The whole text; it may be empty.
    #[schemars(length(max = 32_768))]
    pub text: String,
    /// The revision it was made from, 0 for a text that is not there; refused with 409 when there is another one by now.
    pub expected_revision: Option<u64>,
}

/// Removes a file of an agent's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "path": "/memories/people.md" }))]
pub struct RemoveMemory {
    /// Whose memory; the default agent's when left out.
    #[schemars(length(min = 1, max = 33), regex(pattern = r"^[0-9A-Za-z-]{1,33}$"))]
    pub agent_id: Option<String>,
    /// The file, such as `/memories/people.md`; at most 200 characters, without `..`.
    #[schemars(
        length(min = 1, max = 200),
        regex(
            pattern = r"^/+memories(/+(\.|\.?[^./\s\x00-\x1f\x7f-\x9f]([^/\x00-\x1f\x7f-\x9f]*[^/\s\x00-\x1f\x7f-\x9f])?))*/*$"
        )
    )]
    pub path: String,
    /// The revision it was made from, 0 for a text that is not there; refused with 409 when there is another one by now.
    pub expected_revision: Option<u64>,
}
