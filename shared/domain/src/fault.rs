//! What is wrong with what somebody sent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One bad field of a request: a sentence for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, JsonSchema)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// A machine's word for it, such as `invalid_schedule`.
    pub code: String,
    /// One sentence, without a full stop.
    pub message: String,
    /// Where it stands, as a path: `schedule.expr`.
    pub field: String,
    /// What to do instead, where that can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl FieldError {
    /// A fault without a hint.
    pub fn new(code: &str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), field: field.into(), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
