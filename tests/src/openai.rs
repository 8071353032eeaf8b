//! An OpenAI-compatible endpoint that says one thing.

use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

/// Serves chat completions that all say `text`; answers the base URL.
pub async fn serve(text: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port is free");
    let url = format!("http://{}", listener.local_addr().expect("a bound port has an address"));
    let completions = post(move |Json(body): Json<Value>| async move {
        Json(json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": body["model"],
            "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": text } }],
            "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 },
        }))
    });
    let router = Router::new().route("/v1/chat/completions", completions);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
