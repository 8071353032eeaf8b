//! What the methods about documents and memory answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A document in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DocumentView {
    /// Its name.
    pub name: String,
    /// Its length, bytes of UTF-8.
    pub bytes: u64,
    /// Rises with every change; what `expectedRevision` is compared with. Never given twice.
    pub revision: u64,
    /// When it was written, epoch ms.
    pub updated_at_ms: i64,
}

/// The answer of `documents.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DocumentList {
    /// All documents, by name.
    pub documents: Vec<DocumentView>,
}

/// The answer of `documents.get`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DocumentAnswer {
    /// Its name.
    pub name: String,
    /// Its length, bytes of UTF-8.
    pub bytes: u64,
    /// Rises with every change; what `expectedRevision` is compared with. Never given twice.
    pub revision: u64,
    /// When it was written, epoch ms.
    pub updated_at_ms: i64,
    /// The text.
    pub text: String,
}

/// The answer of `documents.put`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DocumentPut {
    /// Always `true`.
    pub ok: bool,
    /// Whether it was another text before, or none.
    pub changed: bool,
    /// Its name.
    pub name: String,
    /// Its length, bytes of UTF-8.
    pub bytes: u64,
    /// Rises with every change; what `expectedRevision` is compared with. Never given twice.
    pub revision: u64,
    /// When it was written, epoch ms.
    pub updated_at_ms: i64,
}

/// A file of an agent's memory in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryFileView {
    /// Its path.
    pub path: String,
    /// Its length, bytes of UTF-8.
    pub bytes: u64,
    /// Rises with every change; what `expectedRevision` is compared with. Never given twice.
    pub revision: u64,
    /// When it was written, epoch ms.
    pub updated_at_ms: i64,
}

/// The answer of `memory.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryList {
    /// Whose memory it is.
    pub agent_id: String,
    /// All its files, by path.
    pub files: Vec<MemoryFileView>,
    /// How long all are together.
    pub bytes: u64,
    /// How long all may be together.
    pub max_bytes: u64,
}

/// The answer of `memory.get`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryAnswer {
    /// Its path.
    pub path: String,
    /// Its length, bytes of UTF-8.
    pub bytes: u64,
    /// Rises with every change; what `expectedRevision` is compared with. Never given twice.
    pub revision: u64,
    /// When it was written, epoch ms.
    pub updated_at_ms: i64,
    /// The text.
    pub text: String,
}

/// The answer of `memory.put`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryPut {
    /// Always `true`.
    pub ok: bool,
    /// Whether it was another text before, or none.
    pub changed: bool,
    /// Its path.
    pub path: String,
    /// Its length, bytes of UTF-8.
    pub bytes: u64,
    /// Rises with every change; what `expectedRevision` is compared with. Never given twice.
    pub revision: u64,
    /// When it was written, epoch ms.
    pub updated_at_ms: i64,
}
