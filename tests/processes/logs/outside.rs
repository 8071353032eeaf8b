//! The world outside, which quotes all that it is sent.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::needles::planted;

/// Clones share what arrived.
#[derive(Clone, Default)]
pub(crate) struct Outside {
    pub(crate) url: String,
    paths: Arc<Mutex<Vec<String>>>,
}

impl Outside {
    pub(crate) async fn serve() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let outside = Self { url, ..Self::default() };
        let router = Router::new().fallback(answer).with_state(outside.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        outside
    }

    /// An address here whose path opens what is behind it.
    pub(crate) fn at(&self, what: &str) -> String {
        format!("{}/{what}/{}", self.url, planted("path"))
    }

    /// How often something came whose path holds `what`.
    pub(crate) fn arrived(&self, what: &str) -> usize {
        let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.iter().filter(|path| path.contains(what)).count()
    }
}

async fn answer(State(outside): State<Outside>, uri: Uri, headers: HeaderMap, body: String) -> impl IntoResponse {
    let path = uri.path().to_owned();
    outside.paths.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
    let key = headers.get("authorization").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    let (status, answer): (StatusCode, Value) = if path.starts_with("/tool/") {
        (StatusCode::OK, json!({ "kept": planted("result") }))
    } else if path.starts_with("/hook/") {
        (StatusCode::OK, json!({ "took": body }))
    } else if path.contains("/sendMessage") {
        let description = format!("Forbidden: bot may not say {body}");
        (StatusCode::FORBIDDEN, json!({ "ok": false, "error_code": 403, "description": description }))
    } else if path.contains("chat/completions") {
        let message = format!("Incorrect API key provided: {key}, with {body}");
        (StatusCode::UNAUTHORIZED, json!({ "error": { "message": message, "type": "invalid_request_error" } }))
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": format!("{path} {body}") }))
    };
    // Receivers name what they took, and may name it so.
    let named = [("x-request-id", planted("request-id"))];
    (status, named, axum::Json(answer))
}
