//! The `api` function: `POST /v1/<method>`, JSON in and out.
//!
//! Guarantee: a refused request changes nothing and says what is wrong in one shape; a mutating request that carries an
//! `Idempotency-Key` is carried out once in 24 hours, however often it is sent. One log line per request, without prompts,
//! texts or tokens. What methods do is `engine::jobs`; this crate knows HTTP only.

mod attempts;
mod auth;
mod error;
mod heartbeats;
mod hooks;
mod idempotency;
mod methods;
mod openapi;
mod shelves;
mod views;

use std::borrow::Cow;
use std::convert::Infallible;

use chrono::{DateTime, Utc};
use lambda_http::http::{HeaderMap, Method as Verb, header};
use lambda_http::{Body, Request, RequestExt, Response};
use nightshift_engine::jobs::{self, Stamp};
use nightshift_engine::{Deps, Invocation};
use nightshift_wire::{ApiError, HealthAnswer, NOW_HEADER};
use serde_json::Value;
use tracing::{debug, error, info};

pub use auth::Front;
use error::Fault;
use idempotency::{Begun, Guard};
use methods::Method;

/// Largest request.
const BODY_MAX: usize = 256 * 1024;

/// An answer on its way out.
struct Answer {
    body: Cow<'static, str>,
    replayed: bool,
}

impl Answer {
    fn new(body: &Value, replayed: bool) -> Self {
        Self { body: body.to_string().into(), replayed }
    }
}

/// Handles one request to the private address.
pub async fn handle(deps: &Deps, request: Request) -> Result<Response<Body>, Infallible> {
    handle_at(deps, Front::Private, request).await
}

/// Handles one request to either address.
pub async fn handle_at(deps: &Deps, front: Front, request: Request) -> Result<Response<Body>, Infallible> {
    let started = deps.clock.now();
    let invocation = invocation(deps, &request);
    let (verb, path) = (request.method().clone(), one_slash(request.uri().path()));
    let now_ms = started.timestamp_millis().to_string();
    // What is asked for may be anything, and so may hold anything.
    let shown = if methods::is_known(&path) { path.as_str() } else { "another path" };
    let answer = Box::pin(route(deps, front, &request, &invocation, &verb, &path, started)).await;
    let (status, response) = match answer {
        Ok(Answer { body, replayed }) => {
            let headers = [(NOW_HEADER, Some(now_ms.as_str())), ("idempotency-replayed", replayed.then_some("true"))];
            (200, respond(200, body, &headers))
        }
        Err(fault) => {
            let (status, body) = fault.answer();
            if status >= 500 {
                error!(request.id = %invocation.request(), "{shown} failed: {}", fault.chain());
            }
            let retry_after = fault.retry_after(status).map(|seconds| seconds.to_string());
            let headers = [
                (NOW_HEADER, Some(now_ms.as_str())),
                ("www-authenticate", (status == 401).then_some("Bearer")),
                ("allow", fault.allow()),
                ("retry-after", retry_after.as_deref()),
            ];
            let refusal = ApiError { error: body, request_id: invocation.request().to_owned() };
            (status, respond(status, serde_json::to_string(&refusal).unwrap_or_default().into(), &headers))
        }
    };
    let duration_ms = (deps.clock.now() - started).num_milliseconds();
    // What changes something is worth a line; a client that waits for a run asks every few seconds.
    if status >= 400 || methods::changes(&path) {
        info!(request.id = %invocation.request(), http.method = %verb, http.path = shown, http.status = status, duration_ms,
            "{verb} {shown} answers {status}");
    } else {
        debug!(request.id = %invocation.request(), http.method = %verb, http.path = shown, http.status = status, duration_ms,
            "{verb} {shown} answers {status}");
    }
    Ok(response)
}

/// The path with one slash before it: function URLs are told with one at their end, and people put them together.
pub fn one_slash(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}

async fn route(
    deps: &Deps,
    front: Front,
    request: &Request,
    invocation: &Invocation,
    verb: &Verb,
    path: &str,
    now: DateTime<Utc>,
) -> Result<Answer, Fault> {
    match path {
        // A HEAD has the answer of its GET; the HTTP server before this function leaves the body out.
        "/healthz" | "/openapi.json" if verb != Verb::GET && verb != Verb::HEAD => {
            return Err(Fault::Verb("GET, HEAD"));
        }
        "/healthz" => {
            let health = serde_json::to_value(HealthAnswer { ok: true }).unwrap_or_default();
            return Ok(Answer::new(&health, false));
        }
        "/openapi.json" => return Ok(Answer { body: openapi::text().into(), replayed: false }),
        _ => {}
    }
    if let Some(name) = path.strip_prefix("/hooks/") {
        let source = attempts::source(request);
        attempts::listened_to(deps, &source, now)?;
        return attempts::told(
            deps,
            &source,
            now,
            Box::pin(hooks::handle(deps, request, invocation, verb, name, now)).await,
        );
    }
    let Some(name) = path.strip_prefix("/v1/") else { return Err(Fault::NoPath) };
    let source = attempts::source(request);
    attempts::listened_to(deps, &source, now)?;
    attempts::told(deps, &source, now, auth::check(deps, front, request.headers()).await)?;
    let method = Method::named(name).ok_or_else(|| Fault::NoMethod(name.to_owned()))?;
    if verb != Verb::POST {
        return Err(Fault::Verb("POST"));
    }
    let body = body(request.body().as_ref())?;
    let key = key(request.headers())?.filter(|_| method.changes_something());
    let guard = key.map(|key| Guard::new(method.name(), &key, &body));
    guarded(deps, invocation, now, guard, async |request| {
        Box::pin(method.call(request, &body)).await.map_err(Fault::from)
    })
    .await
}

/// Carries `call` out, once for all requests of one guard.
async fn guarded(
    deps: &Deps,
    invocation: &Invocation,
    now: DateTime<Utc>,
    guard: Option<Guard>,
    call: impl AsyncFnOnce(&jobs::Request<'_>) -> Result<Value, Fault>,
) -> Result<Answer, Fault> {
    let stamp = match &guard {
        None => Stamp::fresh(deps, now),
        Some(guard) => match guard.begin(deps, now).await? {
            Begun::Stamp(stamp) => stamp,
            Begun::Answered(body) => return Ok(Answer::new(&body, true)),
            Begun::AnsweredWithJob(id) => {
                let request = jobs::Request { deps, invocation, now, stamp: Stamp::fresh(deps, now) };
                let body = Box::pin(methods::Method::Get.call(&request, &serde_json::json!({ "jobId": id }))).await?;
                return Ok(Answer::new(&body, true));
            }
        },
    };
    let body = call(&jobs::Request { deps, invocation, now, stamp }).await?;
    if let Some(guard) = &guard {
        guard.end(deps, &body, now).await;
    }
    Ok(Answer::new(&body, false))
}

/// No body is no parameters.
fn body(bytes: &[u8]) -> Result<Value, Fault> {
    if bytes.len() > BODY_MAX {
        return Err(Fault::TooLarge { bytes: bytes.len(), most: BODY_MAX });
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Null) => Err(Fault::NoObject),
        Ok(body) => Ok(body),
        Err(error) => Err(Fault::NotJson { line: error.line(), column: error.column() }),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let fits =
        |key: &&str| !key.is_empty() && key.len() <= 255 && key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let key = value.to_str().map(str::trim).ok().filter(fits);
    key.map(|key| Some(key.to_owned())).ok_or(Fault::BadKey)
}

fn invocation(deps: &Deps, request: &Request) -> Invocation {
    if let Some(context) = request.lambda_context_ref().filter(|context| !context.request_id.is_empty()) {
        return nightshift_boot::invocation_ms(deps, &context.request_id, context.deadline);
    }
    let millis = u64::try_from(deps.clock.now().timestamp_millis()).unwrap_or(0);
    let id = ulid::Ulid::from_parts(millis, deps.entropy.bits()).to_string();
    nightshift_boot::invocation_ms(deps, &id, 0)
}

fn respond(status: u16, body: Cow<'static, str>, headers: &[(&str, Option<&str>)]) -> Response<Body> {
    let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        if let Some(value) = value {
            response = response.header(*name, *value);
        }
    }
    let built = response.body(Body::from(body));
    // Status and headers are our own constants; an empty 500 is what is left if one of them were not a header.
    built.unwrap_or_else(|_| {
        let mut failed = Response::new(Body::Empty);
        *failed.status_mut() = lambda_http::http::StatusCode::INTERNAL_SERVER_ERROR;
        failed
    })
}
