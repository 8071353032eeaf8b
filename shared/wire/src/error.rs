//! The one shape of every refusal.

use nightshift_domain::FieldError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiError {
    /// What is wrong.
    pub error: ErrorBody,
    /// The request's id, to be found in the logs.
    pub request_id: String,
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// A machine's word for it, such as `invalid_schedule`.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
    /// The bad field, as a path; the first one where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What to do instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Every bad field; only where the request's fields are the problem.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldError>,
}

impl ErrorBody {
    /// A refusal that is about no field.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), field: None, hint: None, fields: Vec::new() }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The refusal of a request with bad fields: the first is told in full, all are listed.
    pub fn of_fields(fields: Vec<FieldError>) -> Self {
        let Some(first) = fields.first().cloned() else {
            return Self::new("invalid_request", "the request is not valid");
        };
        Self { code: first.code, message: first.message, field: Some(first.field), hint: first.hint, fields }
    }
}
