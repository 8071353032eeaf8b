//! The Runtime API that `lambda_runtime` processes poll ("Using the Lambda runtime API for custom runtimes", 2018-06-01).
//!
//! Guarantee: every process has a path of its own, so an answer settles the invocation that was given to that process and
//! no other. It starts and ends no process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Notify, oneshot};

use super::{FunctionError, SYNC_PAYLOAD_BYTES, arn, too_large_an_answer};

/// The processes that may poll, by the last element of their path.
#[derive(Default)]
pub(super) struct Instances {
    by_id: Mutex<HashMap<String, Arc<Instance>>>,
}

/// What one process is to do, and who waits for it.
pub(super) struct Instance {
    function: String,
    desk: Mutex<Desk>,
    bell: Notify,
}

#[derive(Default)]
struct Desk {
    /// Handed over, not yet fetched.
    inbox: Option<Invocation>,
    pending: Option<Pending>,
}

struct Pending {
    request_id: String,
    answer: oneshot::Sender<Result<Bytes, FunctionError>>,
}

/// One invocation on its way to a process.
pub(super) struct Invocation {
    pub(super) request_id: String,
    pub(super) payload: Bytes,
    pub(super) deadline: DateTime<Utc>,
}

impl Instances {
    fn by_id(&self) -> MutexGuard<'_, HashMap<String, Arc<Instance>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a process of `function` poll under `id`.
    pub(super) fn add(&self, id: &str, function: &str) -> Arc<Instance> {
        let instance =
            Arc::new(Instance { function: function.to_owned(), desk: Mutex::default(), bell: Notify::new() });
        self.by_id().insert(id.to_owned(), instance.clone());
        instance
    }

    /// Ends that: its polls find nothing any more.
    pub(super) fn remove(&self, id: &str) {
        self.by_id().remove(id);
    }

    fn find(&self, function: &str, id: &str) -> Option<Arc<Instance>> {
        self.by_id().get(id).filter(|instance| instance.function == function).cloned()
    }
}

impl Instance {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the process its next invocation; the receiver gets what it answers.
    pub(super) fn hand_over(&self, invocation: Invocation) -> oneshot::Receiver<Result<Bytes, FunctionError>> {
        let (answer, answered) = oneshot::channel();
        {
            let mut desk = self.desk();
            desk.pending = Some(Pending { request_id: invocation.request_id.clone(), answer });
            desk.inbox = Some(invocation);
        }
        self.bell.notify_one();
        answered
    }

    async fn next(&self) -> Invocation {
        loop {
            let fetched = self.desk().inbox.take();
            if let Some(invocation) = fetched {
                return invocation;
            }
            self.bell.notified().await;
        }
    }

    /// Answers the invocation `request_id`, or whichever is pending when the process failed before it had one; tells
    /// whether it was pending.
    fn settle(&self, request_id: Option<&str>, answer: Result<Bytes, FunctionError>) -> bool {
        let mut desk = self.desk();
        match desk.pending.take() {
            Some(pending) if request_id.is_none_or(|id| id == pending.request_id) => {
                // The caller may have given up at its deadline; then nobody wants the answer.
                let _ = pending.answer.send(answer);
                true
            }
            other => {
                desk.pending = other;
                false
            }
        }
    }
}

pub(super) fn router(instances: Arc<Instances>) -> Router {
    let base = "/.rt/{function}/{instance}/2018-06-01/runtime";
    Router::new()
        .route(&format!("{base}/invocation/next"), get(next))
        .route(&format!("{base}/invocation/{{id}}/response"), post(response))
        .route(&format!("{base}/invocation/{{id}}/error"), post(error))
        .route(&format!("{base}/init/error"), post(init_error))
        .layer(DefaultBodyLimit::disable())
        .with_state(instances)
}

async fn next(State(instances): State<Arc<Instances>>, Path((function, id)): Path<(String, String)>) -> Response {
    let Some(instance) = instances.find(&function, &id) else { return gone() };
    let invocation = instance.next().await;
    let trace = trace_id(&invocation);
    let headers = [
        (HeaderName::from_static("lambda-runtime-aws-request-id"), invocation.request_id),
        (HeaderName::from_static("lambda-runtime-deadline-ms"), invocation.deadline.timestamp_millis().to_string()),
        (HeaderName::from_static("lambda-runtime-invoked-function-arn"), arn(&function)),
        (HeaderName::from_static("lambda-runtime-trace-id"), trace),
        (header::CONTENT_TYPE, "application/json".to_owned()),
    ];
    (headers, invocation.payload).into_response()
}

/// An X-Ray header that samples nothing: `Root=1-<8 hex of the epoch second>-<24 hex>`.
fn trace_id(invocation: &Invocation) -> String {
    let digits: String = invocation.request_id.chars().filter(char::is_ascii_hexdigit).collect();
    let unique = digits.get(digits.len().saturating_sub(24)..).unwrap_or_default();
    format!("Root=1-{:08x}-{unique:0>24};Parent=0000000000000001;Sampled=0", invocation.deadline.timestamp())
}

async fn response(
    State(instances): State<Arc<Instances>>,
    Path((function, instance, id)): Path<(String, String, String)>,
    body: Body,
) -> Response {
    let Some(instance) = instances.find(&function, &instance) else { return gone() };
    let answer = to_bytes(body, SYNC_PAYLOAD_BYTES).await.map_err(|_| too_large_an_answer());
    let fits = answer.is_ok();
    if !instance.settle(Some(&id), answer) {
        return unknown_request();
    }
    if fits { accepted() } else { refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge") }
}

async fn error(
    State(instances): State<Arc<Instances>>,
    Path((function, instance, id)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(instance) = instances.find(&function, &instance) else { return gone() };
    let reported = reported(&headers, body, "Unhandled").await;
    if instance.settle(Some(&id), Err(reported)) { accepted() } else { unknown_request() }
}

async fn init_error(
    State(instances): State<Arc<Instances>>,
    Path((function, instance)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(instance) = instances.find(&function, &instance) else { return gone() };
    let reported = reported(&headers, body, "Runtime.InitError").await;
    instance.settle(None, Err(reported));
    accepted()
}

/// The error a process reports: its body, else its header, else `fallback`.
async fn reported(headers: &HeaderMap, body: Body, fallback: &str) -> FunctionError {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Report {
        error_type: Option<String>,
        error_message: Option<String>,
    }
    let body = to_bytes(body, SYNC_PAYLOAD_BYTES).await.unwrap_or_default();
    let report: Report = serde_json::from_slice(&body).unwrap_or_default();
    let header = headers.get("lambda-runtime-function-error-type").and_then(|value| value.to_str().ok());
    let error_type = report.error_type.or(header.map(str::to_owned)).unwrap_or_else(|| fallback.to_owned());
    FunctionError::new(error_type, report.error_message.unwrap_or_default())
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, axum::Json(json!({ "status": "OK" }))).into_response()
}

fn unknown_request() -> Response {
    refused(StatusCode::BAD_REQUEST, "InvalidRequestID")
}

/// The process should not be there: `lambda_runtime` exits on this.
fn gone() -> Response {
    refused(StatusCode::GONE, "UnknownInstance")
}

fn refused(status: StatusCode, kind: &str) -> Response {
    (status, axum::Json(json!({ "errorType": kind, "errorMessage": "the invocation is not pending here" })))
        .into_response()
}

#[cfg(test)]
#[path = "runtime_api_tests.rs"]
mod tests;
