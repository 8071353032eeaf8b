//! The Invoke API over HTTP, as far as the AWS SDK's `Invoke` uses it.
//!
//! Guarantee: a function error is 200 with `X-Amz-Function-Error`, so that no SDK retries it; every other failure means
//! that the function did not run. It checks no signature: it is meant for loopback.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

use super::{InvokeError, Lambda, SYNC_PAYLOAD_BYTES};

const INVOCATION_TYPE: &str = "x-amz-invocation-type";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");

pub(super) fn router(lambda: Lambda) -> Router {
    Router::new()
        .route("/2015-03-31/functions/{function}/invocations", post(invoke))
        .layer(DefaultBodyLimit::disable())
        .with_state(lambda)
}

async fn invoke(
    State(lambda): State<Lambda>,
    Path(function): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let request_id = lambda.request_id();
    let mut response = answer(&lambda, &request_id, &function, &headers, body).await;
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

async fn answer(lambda: &Lambda, request_id: &str, function: &str, headers: &HeaderMap, body: Body) -> Response {
    let kind = headers.get(INVOCATION_TYPE).map_or(Ok("RequestResponse"), HeaderValue::to_str).unwrap_or_default();
    // Nothing larger is worth reading; what is one byte too long is refused with the limit of its kind.
    let Ok(payload) = to_bytes(body, SYNC_PAYLOAD_BYTES + 1).await else {
        return refusal(&InvokeError::TooLarge { limit: SYNC_PAYLOAD_BYTES });
    };
    match kind {
        "RequestResponse" => match lambda.invoke_as(request_id.to_owned(), function, payload).await {
            Ok(Ok(body)) => ([(EXECUTED_VERSION, "$LATEST"), json_content()], body).into_response(),
            Ok(Err(error)) => {
                let headers = [(EXECUTED_VERSION, "$LATEST"), (FUNCTION_ERROR, "Unhandled"), json_content()];
                let body = json!({ "errorType": error.error_type, "errorMessage": error.message });
                (headers, body.to_string()).into_response()
            }
            Err(error) => refusal(&error),
        },
        "Event" => match lambda.enqueue_as(request_id, function, payload) {
            Ok(()) => StatusCode::ACCEPTED.into_response(),
            Err(error) => refusal(&error),
        },
        "DryRun" => match lambda.admit(function, payload, SYNC_PAYLOAD_BYTES) {
            Ok(_) => StatusCode::NO_CONTENT.into_response(),
            Err(error) => refusal(&error),
        },
        other => {
            let message = format!(
                "Value '{other}' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: \
                 [Event, RequestResponse, DryRun]"
            );
            failure(StatusCode::BAD_REQUEST, "InvalidParameterValueException", &message)
        }
    }
}

fn json_content() -> (HeaderName, &'static str) {
    (header::CONTENT_TYPE, "application/json")
}

/// Status and type of each refusal (Invoke API reference, "Errors", read 2026-11-20).
fn refusal(error: &InvokeError) -> Response {
    let (status, kind) = match error {
        InvokeError::NotFound { .. } => (StatusCode::NOT_FOUND, "ResourceNotFoundException"),
        InvokeError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException"),
        InvokeError::NotJson(_) => (StatusCode::BAD_REQUEST, "InvalidRequestContentException"),
        InvokeError::Queue(source) => {
            tracing::error!(
                error = source as &dyn std::error::Error,
                "failed to write an Event invocation to the queue"
            );
            (StatusCode::INTERNAL_SERVER_ERROR, "ServiceException")
        }
        InvokeError::Closing => (StatusCode::INTERNAL_SERVER_ERROR, "ServiceException"),
    };
    failure(status, kind, &error.to_string())
}

fn failure(status: StatusCode, kind: &'static str, message: &str) -> Response {
    let whose = if status.is_server_error() { "Service" } else { "User" };
    let body = json!({ "Type": whose, "Message": message });
    (status, [(ERROR_TYPE, kind), json_content()], body.to_string()).into_response()
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
