//! The front door: the Function URL over the functions that answer HTTP, and the stack's own control surface under `/_local/`.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use chrono::TimeDelta;
use nightshift_engine::Clock;
use nightshift_fake_anthropic::{Fake, Script};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::advance::Driver;
use crate::console::Console;
use crate::functions::serving;
use crate::gate::{Fault, Gate};
use crate::lambda::{Lambda, http_event, http_response};
use crate::scheduler::Scheduler;

/// Lambda's limit of a synchronous payload.
const BODY_MAX: usize = 6 * 1024 * 1024;

/// What the front needs.
pub(crate) struct Front {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) driver: Option<Driver>,
    pub(crate) lambda: Lambda,
    pub(crate) scheduler: Scheduler,
    pub(crate) fake: Option<Fake>,
    pub(crate) console: Console,
    pub(crate) gate: Gate,
    pub(crate) token_sha256: [u8; 32],
}

type Shared = State<Arc<Front>>;

/// The routes.
pub(crate) fn router(front: Front) -> Router {
    let front = Arc::new(front);
    let control = Router::new()
        .route("/clock", get(clock))
        .route("/clock/advance", post(advance))
        .route("/anthropic/script", post(script))
        .route("/anthropic/requests", get(requests))
        .route("/anthropic/batches", get(batches))
        .route("/console", get(console))
        .route("/calls", get(calls))
        .route("/faults", get(fault_status).post(faults))
        .route("/schedules", get(schedules))
        .route("/dead-letters", get(dead_letters))
        .layer(from_fn_with_state(front.clone(), authorized))
        .with_state(front.clone());
    Router::new().nest("/_local", control).fallback(any(function_url)).with_state(front)
}

/// The Function URL: the request as an event, the function's answer as a response.
async fn function_url(State(front): Shared, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_MAX).await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "the request is larger than 6 MB");
    };
    let event =
        http_event(&parts.method, parts.uri.path(), parts.uri.query(), &parts.headers, &body, front.clock.now());
    match front.lambda.invoke(serving(parts.uri.path()), event.to_string().into()).await {
        Ok(Ok(answer)) => http_response(answer)
            .unwrap_or_else(|error| refusal(StatusCode::BAD_GATEWAY, "bad_answer", &error.to_string())),
        Ok(Err(error)) => refusal(StatusCode::BAD_GATEWAY, "function_error", &error.to_string()),
        Err(error) => refusal(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &error.to_string()),
    }
}

/// The same token as the API's.
async fn authorized(State(front): Shared, headers: HeaderMap, request: Request, next: Next) -> Response<Body> {
    let given = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(|token| <[u8; 32]>::from(Sha256::digest(token.trim().as_bytes())));
    // Digests are compared, so the time it takes says nothing of the token.
    if given == Some(front.token_sha256) {
        return next.run(request).await;
    }
    refusal(StatusCode::UNAUTHORIZED, "unauthorized", "the control surface takes the stack's bearer token")
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    (status, Json(json!({ "error": { "code": code, "message": message } }))).into_response()
}

async fn clock(State(front): Shared) -> Json<Value> {
    let now = front.clock.now();
    let kind = if front.driver.is_some() { "manual" } else { "real" };
    Json(json!({ "now": now, "ms": now.timestamp_millis(), "clock": kind }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    ms: i64,
}

async fn advance(State(front): Shared, body: Json<Advance>) -> Response<Body> {
    let Some(driver) = &front.driver else {
        return refusal(
            StatusCode::CONFLICT,
            "real_clock",
            "only a manual clock can be moved: start with --clock manual",
        );
    };
    let Some(step) = TimeDelta::try_milliseconds(body.ms).filter(|step| *step >= TimeDelta::zero()) else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_step", "ms must be a number of milliseconds, not below 0");
    };
    match driver.advance(step).await {
        Ok(fired) => {
            Json(json!({ "now": front.clock.now(), "ms": front.clock.now().timestamp_millis(), "fired": fired }))
                .into_response()
        }
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "state", &error.to_string()),
    }
}

async fn script(State(front): Shared, Json(body): Json<Value>) -> Response<Body> {
    let Some(fake) = &front.fake else { return no_fake() };
    let script: Script = match serde_json::from_value(body) {
        Ok(script) => script,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, "invalid_script", &error.to_string()),
    };
    match fake.script(script) {
        Ok(()) => Json(json!({ "ok": true })).into_response(),
        Err(error) => refusal(StatusCode::BAD_REQUEST, "invalid_script", &error.to_string()),
    }
}

async fn requests(State(front): Shared) -> Response<Body> {
    front.fake.as_ref().map_or_else(no_fake, |fake| Json(fake.requests()).into_response())
}

async fn batches(State(front): Shared) -> Response<Body> {
    front.fake.as_ref().map_or_else(no_fake, |fake| Json(fake.batches()).into_response())
}

fn no_fake() -> Response<Body> {
    refusal(StatusCode::CONFLICT, "real_model", "the stack runs on another model than the bundled fake")
}

async fn console(State(front): Shared) -> Response<Body> {
    match front.console.deliveries() {
        Ok(deliveries) => Json(deliveries).into_response(),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "state", &format!("{error:#}")),
    }
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

async fn calls(State(front): Shared, Query(query): Query<Since>) -> Response<Body> {
    Json(front.gate.calls(query.since)).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Faults {
    faults: Vec<Fault>,
}

async fn faults(State(front): Shared, body: Json<Faults>) -> Json<Value> {
    front.gate.set_faults(body.0.faults);
    Json(front.gate.status())
}

async fn fault_status(State(front): Shared) -> Json<Value> {
    Json(front.gate.status())
}

async fn schedules(State(front): Shared) -> Json<Value> {
    let all = front.scheduler.schedules();
    Json(json!(
        all.iter()
            .map(|one| json!({
                "name": one.name, "group": one.group, "expression": one.expression, "timezone": one.timezone,
                "state": format!("{:?}", one.state), "nextFire": one.next_fire,
            }))
            .collect::<Vec<_>>()
    ))
}

async fn dead_letters(State(front): Shared) -> Json<Value> {
    Json(json!({ "scheduler": front.scheduler.dead_letters(), "lambda": front.lambda.dead_letters() }))
}
