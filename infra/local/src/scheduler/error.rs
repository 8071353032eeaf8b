//! The service's errors as it writes them: status, `x-amzn-errortype` and `{"Message": …}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::state::StateError;

/// An answer other than success. Statuses are those of the service's API model (2021-06-30).
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Validation(String),
    /// The body was not JSON of the right types.
    #[error("{0}")]
    Serialization(String),
    /// No such operation.
    #[error("no operation of the scheduler answers here")]
    UnknownOperation,
    #[error("the local state file could not be used")]
    Internal(#[from] StateError),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, name) = match &self {
            Self::Conflict(_) => (StatusCode::CONFLICT, "ConflictException"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "ResourceNotFoundException"),
            Self::Validation(_) => (StatusCode::BAD_REQUEST, "ValidationException"),
            Self::Serialization(_) => (StatusCode::BAD_REQUEST, "SerializationException"),
            Self::UnknownOperation => (StatusCode::NOT_FOUND, "UnknownOperationException"),
            Self::Internal(source) => {
                tracing::error!(error = %source, "the scheduler could not use its state");
                (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerException")
            }
        };
        let message = self.to_string();
        (status, [("x-amzn-errortype", name)], Json(json!({ "Message": message }))).into_response()
    }
}
