//! Answers: the error shape, and the difference between an answer and a lost one.

use std::collections::BTreeMap;
use std::io;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::lifecycle::ResultLines;
use crate::stream::Events;

/// A refusal (docs page "errors", 2026-10-01): status, `error.type`, message, and now and then an `error_code`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) code: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
}

impl ApiError {
    pub(crate) fn new(status: u16, kind: &str, message: impl Into<String>) -> Self {
        Self { status, kind: kind.to_owned(), message: message.into(), code: None, headers: BTreeMap::new() }
    }

    /// 400: the request itself is wrong; sending it again will not help.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    /// 400 in the words of the real API's validator: `path: what is wrong`.
    pub(crate) fn field(path: &str, problem: impl AsRef<str>) -> Self {
        Self::invalid(format!("{path}: {}", problem.as_ref()))
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "not_found_error", message)
    }

    pub(crate) fn code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }

    /// The body: `{"type":"error","error":{"type","message"},"request_id"}`.
    pub(crate) fn body(&self, request_id: &str) -> Value {
        let mut error = json!({"type": self.kind, "message": self.message});
        if let Some(code) = &self.code {
            error["details"] = json!({"error_code": code});
        }
        json!({"type": "error", "error": error, "request_id": request_id})
    }
}

/// What a call is answered with when it is not refused.
#[derive(Debug)]
pub(crate) enum Answer {
    Json(Value),
    /// The results of a batch, one JSON object a line, made while they are sent.
    Lines(ResultLines),
    /// A message, streamed.
    Events(Events),
}

impl Answer {
    /// The whole response, or, cut, one that breaks off.
    pub(crate) fn into_response(self, is_cut: bool) -> Response {
        let response = match self {
            Self::Events(events) => {
                let events = if is_cut { events.cut() } else { events };
                let mut response = Response::new(Body::from_stream(events.into_bytes()));
                set(&mut response, "content-type", "text/event-stream; charset=utf-8");
                set(&mut response, "cache-control", "no-cache");
                return response;
            }
            Self::Json(value) => json_response(StatusCode::OK, &value),
            Self::Lines(lines) => {
                let lines = stream::iter(lines.map(Ok::<_, io::Error>));
                let mut response = Response::new(Body::from_stream(lines));
                set(&mut response, "content-type", "application/x-jsonl");
                response
            }
        };
        if is_cut { cut(response) } else { response }
    }
}

/// A JSON body with its content type.
pub(crate) fn json_response(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE.as_str(), "application/json");
    response
}

/// Sets a header; a name or value that HTTP does not allow is left out (scripts are checked for it when they are set).
pub(crate) fn set(response: &mut Response, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        response.headers_mut().insert(name, value);
    }
}

/// An answer that never arrives: the body fails before the head has been flushed, so the server closes the connection
/// without a byte on it and the client sees a broken connection, not a status.
pub(crate) fn lost() -> Response {
    Response::new(Body::from_stream(stream::once(async { Err::<Bytes, _>(broken()) })))
}

/// An answer of which only the beginning arrives: head, half of the first piece of the body, then a broken connection.
pub(crate) fn cut(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let mut pieces = Box::pin(body.into_data_stream());
    let halves = stream::once(async move {
        let first = pieces.next().await.and_then(Result::ok).unwrap_or_default();
        Ok::<_, io::Error>(first.slice(..first.len() / 2))
    });
    Response::from_parts(parts, Body::from_stream(halves.chain(break_after_flush())))
}

/// Yields once, so that what is buffered goes out, and then fails.
fn break_after_flush() -> impl Stream<Item = Result<Bytes, io::Error>> {
    stream::once(async {
        tokio::task::yield_now().await;
        Err(broken())
    })
}

pub(crate) fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the script drops this connection")
}
