//! Stands before every API of the stack: numbers and logs the calls, and breaks them where a test asks for it.
//!
//! One gate serves all function hosts alike, because it sits on the wire. It looks into bodies only where the actions of
//! functions are noted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::actions::{Actions, caller};

/// Largest body that is looked into: DynamoDB takes 16 MB at most (DynamoDB quotas, `BatchWriteItem`).
const BODY_MAX: usize = 17 * 1024 * 1024;

/// One call that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Its number since the process started, from 1.
    pub n: u64,
    /// The API: `dynamodb`, `scheduler`, `lambda`, `anthropic`, `console`.
    pub service: &'static str,
    /// What was asked: `PutItem`, `CreateSchedule`, `POST /v1/messages/batches`.
    pub operation: String,
}

/// How to break calls.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Only calls of this API.
    pub service: Option<String>,
    /// Only calls whose operation holds this text.
    pub operation: Option<String>,
    /// Only from the n-th fitting call on (from 1), counted from when the fault was set.
    #[serde(default = "one")]
    pub nth: u64,
    /// So many times; for ever when left out.
    pub times: Option<u64>,
    /// Before the call takes effect, or after it did.
    #[serde(default)]
    pub when: When,
    /// What happens.
    #[serde(rename = "do")]
    pub action: Action,
}

fn one() -> u64 {
    1
}

/// Before a call takes effect, or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// It never happens.
    #[default]
    Before,
    /// It happens, and its answer is lost.
    After,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It hangs, and so does every call after it: the process is about to be killed.
    Hold,
    /// The service fails (HTTP 500).
    Fail,
    /// The service throttles.
    Throttle,
    /// DynamoDB cancels the transaction because of another one.
    Conflict,
}

/// The gate. Clones share one log.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    state: Arc<Mutex<State>>,
    actions: Actions,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    faults: Vec<Armed>,
    held: Option<Call>,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    seen: u64,
    done: u64,
}

impl Gate {
    /// A gate that notes what functions use.
    pub(crate) fn noting(actions: Actions) -> Self {
        Self { state: Arc::default(), actions }
    }

    /// Puts the gate before `router`, which serves `service`.
    pub fn guard(&self, service: &'static str, router: Router) -> Router {
        let gate = self.clone();
        router.layer(from_fn(move |request: Request, next: Next| {
            let gate = gate.clone();
            async move { gate.pass(service, request, next).await }
        }))
    }

    /// Replaces the faults.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.state().faults = faults.into_iter().map(|fault| Armed { fault, seen: 0, done: 0 }).collect();
    }

    /// The calls after number `since`.
    pub fn calls(&self, since: u64) -> Vec<Call> {
        self.state().calls.iter().filter(|call| call.n > since).cloned().collect()
    }

    /// How many calls there were, and the one that is held.
    pub fn status(&self) -> Value {
        let state = self.state();
        json!({ "calls": state.calls.len(), "held": state.held })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass(&self, service: &'static str, request: Request, next: Next) -> Response<Body> {
        let operation = operation(service, request.method(), request.uri(), request.headers());
        if is_plumbing(service, &operation) {
            return next.run(request).await;
        }
        let request = self.noted(service, &operation, request).await;
        let (fault, held) = self.enter(service, operation);
        if held {
            return std::future::pending().await;
        }
        match fault {
            None => next.run(request).await,
            Some((When::Before, Action::Hold)) => std::future::pending().await,
            Some((When::Before, action)) => broken(service, action),
            Some((When::After, action)) => {
                let _ = next.run(request).await;
                if action == Action::Hold {
                    return std::future::pending().await;
                }
                broken(service, action)
            }
        }
    }

    /// The same request, after what it uses was noted.
    async fn noted(&self, service: &str, operation: &str, request: Request) -> Request {
        let Some(function) = caller(request.headers()).filter(|_| self.actions.is_on()).map(str::to_owned) else {
            return request;
        };
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, BODY_MAX).await.unwrap_or_default();
        self.actions.note_call(&function, service, operation, parts.uri.path(), &body);
        Request::from_parts(parts, Body::from(body))
    }

    /// Logs the call and finds the fault that meets it; the flag says that everything is held already.
    fn enter(&self, service: &'static str, operation: String) -> (Option<(When, Action)>, bool) {
        let mut state = self.state();
        if state.held.is_some() {
            return (None, true);
        }
        let n = state.calls.len() as u64 + 1;
        let call = Call { n, service, operation };
        let mut met = None;
        for armed in &mut state.faults {
            let fits = armed.fault.service.as_deref().is_none_or(|wanted| wanted == service)
                && armed.fault.operation.as_deref().is_none_or(|wanted| call.operation.contains(wanted));
            if !fits {
                continue;
            }
            armed.seen += 1;
            let spent = armed.fault.times.is_some_and(|times| armed.done >= times);
            if met.is_none() && armed.seen >= armed.fault.nth && !spent {
                armed.done += 1;
                met = Some((armed.fault.when, armed.fault.action));
            }
        }
        if matches!(met, Some((_, Action::Hold))) {
            state.held = Some(call.clone());
        }
        state.calls.push(call);
        (met, false)
    }
}

/// How often each operation of each API was called.
pub fn tally(calls: &[Call]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(format!("{} {}", call.service, call.operation)).or_insert(0) += 1;
    }
    counts
}

/// The Runtime API's long polls are the functions' own plumbing, not calls of the product.
fn is_plumbing(service: &str, operation: &str) -> bool {
    service == "lambda" && operation.contains("/.rt/")
}

fn operation(service: &str, method: &Method, uri: &Uri, headers: &HeaderMap) -> String {
    let path = uri.path();
    match service {
        "dynamodb" => {
            let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or("?");
            target.rsplit('.').next().unwrap_or(target).to_owned()
        }
        "scheduler" => {
            let kind = if path.starts_with("/schedule-groups") { "ScheduleGroup" } else { "Schedule" };
            let verb = match method.as_str() {
                "POST" => "Create",
                "PUT" => "Update",
                "DELETE" => "Delete",
                _ => "Get",
            };
            format!("{verb}{kind}")
        }
        "lambda" if path.ends_with("/invocations") => {
            let name = path.split('/').nth(3).unwrap_or("?");
            format!("Invoke {}", name.rsplit([':', '-']).next().unwrap_or(name))
        }
        "anthropic" => {
            let short: Vec<&str> =
                path.split('/').map(|part| if part.starts_with("msgbatch_") { "{id}" } else { part }).collect();
            format!("{method} {}", short.join("/"))
        }
        _ => format!("{method} {path}"),
    }
}

/// The answer of a service that fails, in its own words.
fn broken(service: &str, action: Action) -> Response<Body> {
    let dynamo = |status, kind: &str, more: Value| {
        let mut body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{kind}"), "message": "injected" });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        answer(status, "application/x-amz-json-1.0", kind, &body)
    };
    match (service, action) {
        ("dynamodb", Action::Throttle) => {
            dynamo(StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException", json!({}))
        }
        ("dynamodb", Action::Conflict) => dynamo(
            StatusCode::BAD_REQUEST,
            "TransactionCanceledException",
            json!({ "CancellationReasons": [{ "Code": "TransactionConflict", "Message": "injected" }] }),
        ),
        ("dynamodb", Action::Fail | Action::Hold) => {
            dynamo(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", json!({}))
        }
        ("anthropic", Action::Throttle) => {
            let body = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "injected"}});
            answer(StatusCode::TOO_MANY_REQUESTS, "application/json", "rate_limit_error", &body)
        }
        ("anthropic", _) => {
            let body = json!({"type": "error", "error": {"type": "api_error", "message": "injected"}});
            answer(StatusCode::INTERNAL_SERVER_ERROR, "application/json", "api_error", &body)
        }
        (_, Action::Throttle) => {
            let body = json!({ "Message": "injected" });
            answer(StatusCode::TOO_MANY_REQUESTS, "application/json", "ThrottlingException", &body)
        }
        (_, Action::Fail | Action::Hold | Action::Conflict) => {
            let body = json!({ "Message": "injected" });
            answer(StatusCode::INTERNAL_SERVER_ERROR, "application/json", "InternalServerException", &body)
        }
    }
}

fn answer(status: StatusCode, content_type: &str, kind: &str, body: &Value) -> Response<Body> {
    let built = Response::builder()
        .status(status)
        .header("content-type", content_type)
        .header("x-amzn-errortype", kind)
        .body(Body::from(body.to_string()));
    built.unwrap_or_else(|_| Response::new(Body::empty()))
}
