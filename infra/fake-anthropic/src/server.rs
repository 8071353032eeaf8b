//! The HTTP side: routing, size limits, faults, the log, and the headers every answer carries.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Extension};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::answer::{Answer, ApiError, cut, json_response, lost, set};
use crate::auth::Caller;
use crate::fake::Fake;
use crate::ids::Ids;
use crate::lifecycle::after;
use crate::messages::Said;
use crate::operation::Operation;
use crate::page::PageQuery;
use crate::reply::Turn;
use crate::script::{Action, Script};
use crate::state::{Call, Effect, Logged, Record, State, Went};
use crate::{batches, messages};

/// `anthropic-organization-id` of every answer.
const ORGANIZATION: &str = "0fa4e000-0000-4000-8000-000000000000";

impl Fake {
    /// Serves `/v1/…`, and, for tests and people, `/_fake/…`: `POST script`, `GET` and `DELETE requests`,
    /// `GET batches`, `GET bill`.
    ///
    /// Mount it at the root with `axum::serve`: dropped connections rely on the server giving up a connection whose
    /// body fails, which hyper does before it has sent the head.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/{*rest}", any(entry))
            .route("/_fake/script", post(set_script))
            .route("/_fake/requests", get(show_requests).delete(clear_requests))
            .route("/_fake/batches", get(show_batches))
            .route("/_fake/bill", get(show_bill))
            .with_state(self.clone())
    }
}

async fn set_script(Extension(fake): Extension<Fake>, body: String) -> Response {
    match Script::from_json(&body).and_then(|script| fake.script(script)) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => json_response(StatusCode::BAD_REQUEST, &json!({"error": error.to_string()})),
    }
}

async fn show_requests(Extension(fake): Extension<Fake>) -> Response {
    json_response(StatusCode::OK, &Value::Array(fake.requests()))
}

async fn clear_requests(Extension(fake): Extension<Fake>) -> StatusCode {
    fake.clear_requests();
    StatusCode::NO_CONTENT
}

async fn show_batches(Extension(fake): Extension<Fake>) -> Response {
    json_response(StatusCode::OK, &Value::Array(fake.batches()))
}

async fn show_bill(Extension(fake): Extension<Fake>) -> Response {
    axum::Json(fake.bill()).into_response()
}

/// What a call sees while it is worked on.
pub(crate) struct Work<'a> {
    pub(crate) state: &'a State,
    pub(crate) caller: &'a Caller,
    pub(crate) body: &'a [u8],
    pub(crate) now: DateTime<Utc>,
    pub(crate) base_url: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) ids: &'a mut Ids,
    pub(crate) effects: &'a mut Vec<Effect>,
}

/// A call that has taken effect, ready to be answered, and when.
struct Done {
    response: Response,
    action: Option<Action>,
    answer_at: DateTime<Utc>,
}

/// A call on its way.
enum Progress {
    Done(Done),
    /// Its MCP tools are to be called.
    Open(Box<Turn>, Envelope),
}

/// What an answer needs besides its content.
struct Envelope {
    request_id: String,
    workspace: Option<String>,
    action: Option<Action>,
    answer_at: DateTime<Utc>,
    stream: bool,
}

async fn entry(Extension(fake): Extension<Fake>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let operation = Operation::of(&parts.method, parts.uri.path());
    let Ok(body) = read(body, operation.body_limit()).await else { return lost() };
    if let Some(batch) = operation.batch() {
        fake.end_loops(batch).await;
    }
    let now = fake.clock().now();
    let done = match fake.process(&parts, &operation, body.as_ref(), now) {
        Progress::Done(done) => done,
        Progress::Open(turn, envelope) => {
            let fake = fake.clone();
            // Of its own, so that it goes on when the client hangs up.
            match tokio::spawn(async move { fake.finish(turn, envelope).await }).await {
                Ok(done) => done,
                Err(_) => return lost(),
            }
        }
    };
    if done.answer_at > now {
        fake.clock().sleep_until(done.answer_at).await;
    }
    match done.action {
        Some(Action::LoseAnswer | Action::LoseRequest) => lost(),
        Some(Action::CutAnswer | Action::Status | Action::Delay) | None => done.response,
    }
}

/// Reads a body whole; `None` when it is larger than `limit`. The rest is read too and thrown away, so that the client
/// gets to see the answer.
async fn read(body: Body, limit: usize) -> Result<Option<Bytes>, axum::Error> {
    let mut pieces = body.into_data_stream();
    let mut whole = BytesMut::new();
    let mut too_large = false;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        too_large = too_large || whole.len() + piece.len() > limit;
        if too_large {
            whole = BytesMut::new();
        } else {
            whole.extend_from_slice(&piece);
        }
    }
    Ok((!too_large).then(|| whole.freeze()))
}

impl Fake {
    /// Works on one call under the lock: faults first, then the call, then one line of journal.
    fn process(&self, parts: &Parts, operation: &Operation, body: Option<&Bytes>, now: DateTime<Utc>) -> Progress {
        let mut inner = self.lock();
        let target = operation.target();
        let fault = target.and_then(|target| inner.state.script.fault(target, inner.state.calls(target) + 1)).cloned();
        let mut ids = inner.state.ids();
        let request_id = ids.fresh("req_");
        let mut effects = Vec::new();
        let caller = Caller::of(&parts.headers);
        let result = match fault.as_ref().map(|fault| (fault.action, fault)) {
            Some((Action::LoseRequest, _)) => json_said(Ok(Value::Null)),
            Some((Action::Status, fault)) => Err(ApiError::from(&fault.error())),
            Some((Action::LoseAnswer | Action::CutAnswer | Action::Delay, _)) | None => match (&caller, body) {
                (_, None) => Err(too_large()),
                (Err(error), _) => Err(error.clone()),
                (Ok(caller), Some(body)) => answer(
                    parts,
                    operation,
                    &mut Work {
                        state: &inner.state,
                        caller,
                        body,
                        now,
                        base_url: self.base_url(),
                        request_id: &request_id,
                        ids: &mut ids,
                        effects: &mut effects,
                    },
                ),
            },
        };
        let status = match &result {
            Ok(Said::Answer(_)) => Some(200),
            Ok(Said::Open(_)) => None,
            Err(error) => Some(error.status),
        };
        let logged = Logged {
            at: now,
            method: parts.method.to_string(),
            path: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: log_headers(&parts.headers),
            body: log_body(body.map(Bytes::as_ref)),
            status: status.filter(|_| !fault.as_ref().is_some_and(|fault| drops(fault.action))),
            fault: fault.as_ref().map(|fault| name(fault.action).to_owned()),
            request_id: request_id.clone(),
        };
        let delay = inner.state.script.latency_ms + fault.as_ref().and_then(|fault| fault.delay_ms).unwrap_or(0);
        let call = Call { logged, target, ids: ids.position(), effects };
        let saved = inner.commit(Record::Call(Box::new(call)));
        drop(inner);
        let envelope = Envelope {
            request_id,
            workspace: caller.ok().map(|caller| caller.workspace),
            action: fault.map(|fault| fault.action),
            answer_at: after(now, delay),
            stream: false,
        };
        let answer = match (saved, result) {
            (Ok(()), Ok(Said::Open(turn))) => {
                let stream = turn.params().get("stream") == Some(&Value::Bool(true));
                return Progress::Open(turn, Envelope { stream, ..envelope });
            }
            (Ok(()), Ok(Said::Answer(answer))) => Ok(answer),
            (Ok(()), Err(error)) => Err(error),
            (Err(error), _) => Err(unsaved(&error)),
        };
        Progress::Done(envelope.around(answer))
    }

    /// Makes the MCP calls of a realtime turn and answers it.
    async fn finish(&self, turn: Box<Turn>, envelope: Envelope) -> Done {
        let outcome = Box::pin(self.follow(turn)).await;
        let mut effects = Vec::new();
        let answer = messages::answer(outcome, envelope.stream, &envelope.request_id, &mut effects);
        let status = answer.as_ref().map_or_else(|error| error.status, |_| 200);
        let answered = (!envelope.action.is_some_and(drops)).then(|| (envelope.request_id.clone(), status));
        let at = self.clock().now();
        let mut inner = self.lock();
        let ids = inner.state.ids().position();
        let saved = inner.commit(Record::Went(Box::new(Went { at, ids, effects, answered })));
        drop(inner);
        envelope.around(saved.map_err(|error| unsaved(&error)).and(answer))
    }
}

fn unsaved(error: &std::io::Error) -> ApiError {
    ApiError::new(500, "api_error", format!("the fake could not save this call: {error}"))
}

impl Envelope {
    fn around(self, answer: Result<Answer, ApiError>) -> Done {
        let is_cut = self.action == Some(Action::CutAnswer);
        let mut response = match answer {
            Ok(answer) => answer.into_response(is_cut),
            Err(error) => {
                let response = refuse(&error, &self.request_id);
                if is_cut { cut(response) } else { response }
            }
        };
        set(&mut response, "request-id", &self.request_id);
        set(&mut response, "anthropic-organization-id", ORGANIZATION);
        if let Some(workspace) = &self.workspace {
            set(&mut response, "anthropic-workspace-id", workspace);
        }
        Done { response, action: self.action, answer_at: self.answer_at }
    }
}

fn answer(parts: &Parts, operation: &Operation, work: &mut Work<'_>) -> Result<Said, ApiError> {
    if operation.takes_json() {
        check_headers(&parts.headers)?;
    }
    match operation {
        Operation::Messages => messages::create(work),
        Operation::CountTokens => json_said(messages::count_tokens(work)),
        Operation::Create => json_said(batches::create(work)),
        Operation::List => json_said(batches::list(work, &PageQuery::of(&parts.uri)?)),
        Operation::Retrieve(id) => json_said(batches::retrieve(work, id)),
        Operation::Results(id) => batches::results(work, id).map(|lines| Said::Answer(Answer::Lines(lines))),
        Operation::Cancel(id) => json_said(batches::cancel(work, id)),
        Operation::Delete(id) => json_said(batches::delete(work, id)),
        Operation::Models => json_said(messages::models(work, &PageQuery::of(&parts.uri)?)),
        Operation::Model(id) => json_said(messages::model(work, id)),
        Operation::WrongMethod => Err(ApiError::new(405, "invalid_request_error", "Method Not Allowed")),
        Operation::Unknown => Err(ApiError::not_found("Not Found")),
    }
}

fn json_said(value: Result<Value, ApiError>) -> Result<Said, ApiError> {
    value.map(|value| Said::Answer(Answer::Json(value)))
}

fn check_headers(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let encoding = text("content-encoding");
    if !encoding.is_empty() && encoding != "identity" {
        // Python SDK 2.11.0 knows the error code; which codings the real API takes is not documented.
        let error = ApiError::invalid(format!("content-encoding: \"{encoding}\" is not supported"));
        return Err(error.code("request_body_encoding_unsupported"));
    }
    let media = text("content-type").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media == "application/json" { Ok(()) } else { Err(ApiError::field("content-type", "must be application/json")) }
}

/// 413 comes from the edge, before credentials are looked at (docs page "errors", 2026-10-01).
fn too_large() -> ApiError {
    ApiError::new(413, "request_too_large", "Request exceeds the maximum size")
}

fn refuse(error: &ApiError, request_id: &str) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(status, &error.body(request_id));
    for (name, value) in &error.headers {
        set(&mut response, name, value);
    }
    response
}

fn drops(action: Action) -> bool {
    match action {
        Action::LoseAnswer | Action::LoseRequest => true,
        Action::CutAnswer | Action::Status | Action::Delay => false,
    }
}

fn name(action: Action) -> &'static str {
    match action {
        Action::LoseAnswer => "lose_answer",
        Action::CutAnswer => "cut_answer",
        Action::LoseRequest => "lose_request",
        Action::Status => "status",
        Action::Delay => "delay",
    }
}

fn log_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let secret = ["authorization", "x-api-key", "cookie", "proxy-authorization"];
    let mut logged = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let value = if secret.contains(&name.as_str()) {
            "[redacted]".into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        logged
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    logged
}

/// The body on one line, for the journal.
fn log_body(body: Option<&[u8]>) -> Box<RawValue> {
    let body = body.unwrap_or_default();
    if body.is_empty() {
        return RawValue::NULL.to_owned();
    }
    let compact = if body.contains(&b'\n') || body.contains(&b'\r') {
        serde_json::from_slice::<Value>(body).and_then(|value| to_raw_value(&value))
    } else {
        serde_json::from_slice::<Box<RawValue>>(body)
    };
    compact.or_else(|_| to_raw_value(&String::from_utf8_lossy(body))).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn a_body_over_the_limit_is_read_to_its_end_and_dropped() {
        let body = |pieces: usize| Body::from_stream(stream::iter((0..pieces).map(|_| Ok::<_, axum::Error>("12345"))));
        assert_eq!(read(body(2), 10).await.unwrap().unwrap().as_ref(), b"1234512345");
        assert!(read(body(3), 10).await.unwrap().is_none());
    }

    #[test]
    fn a_logged_body_is_one_line_and_keeps_what_is_not_json_as_text() {
        assert_eq!(log_body(Some(b"{\n \"b\": 1,\r\n \"a\": 2}")).get(), r#"{"b":1,"a":2}"#);
        assert_eq!(log_body(Some(b"{\"b\": 1}")).get(), r#"{"b": 1}"#);
        assert_eq!(log_body(Some(b"a\nb")).get(), r#""a\nb""#);
        assert_eq!(log_body(None).get(), "null");
    }
}
