//! The adapter against servers that answer, refuse, break off, or say nothing.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy knows only inside test functions")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::model::{HopRequest, ModelErrorKind, Role, StopReason, TurnMessage};
use nightshift_engine::ports::Model;
use nightshift_engine::{Clock, ManualClock};
use nightshift_openai::{OpenAi, Settings, http_client};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

const ANSWER: &str = r#"{"id":"chatcmpl-1","model":"llama-3","choices":[{"message":{"role":"assistant","content":"four"},
    "finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_219_200, 0).unwrap()
}

fn deadline() -> DateTime<Utc> {
    start() + TimeDelta::minutes(5)
}

fn openai(url: &str, key: Option<&str>, clock: &ManualClock) -> OpenAi {
    let settings = Settings { base_url: format!("{url}/v1/"), key: key.map(Into::into) };
    OpenAi::new(settings, http_client(), Arc::new(clock.clone()))
}

fn hop() -> HopRequest {
    HopRequest {
        model: "llama".into(),
        max_tokens: 16,
        system: None,
        messages: vec![TurnMessage { role: Role::User, content: "\"2+2?\"".into() }],
        ..HopRequest::default()
    }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// A server that reads requests and then closes, or never answers; it counts connections.
async fn silent(close: bool) -> (String, Arc<Mutex<u32>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut piece = [0; 4096];
            assert!(stream.read(&mut piece).await.unwrap() > 0);
            *counter.lock().unwrap() += 1;
            if !close {
                kept.push(stream);
            }
        }
    });
    (url, connections)
}

#[tokio::test]
async fn a_hop_is_answered() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let handle = move |headers: HeaderMap, body: String| {
        sink.lock().unwrap().push((headers, body));
        std::future::ready(([("x-request-id", "req_7")], ANSWER))
    };
    let url = serve(Router::new().route("/v1/chat/completions", post(handle))).await;
    let clock = ManualClock::new(start());
    let reply = openai(&url, Some("sk-1"), &clock).message(&hop(), deadline()).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.stop_reason), ("four", StopReason::EndTurn));
    assert_eq!(reply.request_id.as_deref(), Some("req_7"));
    openai(&url, None, &clock).message(&hop(), deadline()).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].0["authorization"], "Bearer sk-1");
    assert_eq!(seen[0].1, r#"{"model":"llama","max_tokens":16,"messages":[{"role":"user","content":"2+2?"}]}"#);
    assert!(!seen[1].0.contains_key("authorization"));
}

#[tokio::test]
async fn a_refusal_is_classified_with_its_wait_and_not_repeated() {
    let calls = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&calls);
    let handle = move || {
        *counter.lock().unwrap() += 1;
        std::future::ready((StatusCode::TOO_MANY_REQUESTS, [("retry-after", "9")], r#"{"error":{"message":"slow"}}"#))
    };
    let url = serve(Router::new().route("/v1/chat/completions", post(handle))).await;
    let error = openai(&url, None, &ManualClock::new(start())).message(&hop(), deadline()).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after), (ModelErrorKind::RateLimited, Some(TimeDelta::seconds(9))));
    assert_eq!(*calls.lock().unwrap(), 1);
}

#[tokio::test]
async fn what_is_no_completion_is_the_servers_failure() {
    for body in ["<html>", "{}", r#"{"error":{"message":"m","code":502}}"#] {
        let url = serve(Router::new().route("/v1/chat/completions", post(move || std::future::ready(body)))).await;
        let error = openai(&url, None, &ManualClock::new(start())).message(&hop(), deadline()).await.unwrap_err();
        assert_eq!(error.kind, ModelErrorKind::Server, "{body}");
    }
}

#[tokio::test]
async fn a_closed_connection_is_unanswered_after_one_request_and_a_refused_one_not_sent() {
    let (url, connections) = silent(true).await;
    let clock = ManualClock::new(start());
    let error = openai(&url, None, &clock).message(&hop(), deadline()).await.unwrap_err();
    assert_eq!((error.kind, *connections.lock().unwrap()), (ModelErrorKind::Unanswered, 1));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = openai(&url, None, &clock).message(&hop(), deadline()).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::NotSent);
}

#[tokio::test]
async fn a_hop_without_an_answer_is_given_up_at_its_deadline_and_not_sent_after_it() {
    let (url, connections) = silent(false).await;
    let clock = ManualClock::new(start());
    let api = Arc::new(openai(&url, None, &clock));
    let sending = tokio::spawn({
        let api = Arc::clone(&api);
        async move { api.message(&hop(), deadline()).await }
    });
    while *connections.lock().unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance_to(deadline());
    assert_eq!(sending.await.unwrap().unwrap_err().kind, ModelErrorKind::Timeout);
    assert_eq!(api.message(&hop(), deadline()).await.unwrap_err().kind, ModelErrorKind::Timeout);
    assert_eq!(*connections.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_model_has_no_batches_and_its_limit_is_asked_for_once_an_hour() {
    let calls = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&calls);
    let handle = move || {
        *counter.lock().unwrap() += 1;
        std::future::ready(r#"{"data":[{"id":"llama","max_output_tokens":100}]}"#)
    };
    let url = serve(Router::new().route("/v1/models", get(handle))).await;
    let clock = ManualClock::new(start());
    let api = openai(&url, None, &clock);
    assert!(api.batches().is_none());
    for _ in 0..3 {
        let info = api.info("llama").await.unwrap();
        assert_eq!((info.batch, info.max_tokens, info.efforts.len()), (false, 100, 0));
    }
    assert_eq!(*calls.lock().unwrap(), 1);
    clock.advance(TimeDelta::hours(1));
    assert!(clock.now() > start());
    api.info("llama").await.unwrap();
    assert_eq!(*calls.lock().unwrap(), 2);
}

#[tokio::test]
async fn a_server_without_a_list_gets_defaults_and_a_refused_key_is_an_error() {
    let clock = ManualClock::new(start());
    let url = serve(Router::new()).await;
    assert_eq!(openai(&url, None, &clock).info("llama").await.unwrap().max_tokens, 8192);
    let refuse = || std::future::ready(StatusCode::UNAUTHORIZED.into_response());
    let url = serve(Router::new().route("/v1/models", get(refuse))).await;
    assert_eq!(openai(&url, Some("wrong"), &clock).info("llama").await.unwrap_err().kind, ModelErrorKind::Auth);
    assert_eq!(openai(&url, Some("a\nb"), &clock).info("llama").await.unwrap_err().kind, ModelErrorKind::Auth);
}

#[test]
fn debug_of_the_adapter_shows_no_key() {
    let shown = format!("{:?}", openai("http://127.0.0.1:1", Some("hush"), &ManualClock::new(start())));
    assert!(shown.contains("[redacted]") && !shown.contains("hush"), "{shown}");
}
