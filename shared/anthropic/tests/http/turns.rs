//! A hop in realtime: sent once, answered or classified.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::routing::post;
use chrono::TimeDelta;
use nightshift_domain::model::{ModelErrorKind, Reply, StopReason};
use nightshift_engine::ManualClock;
use nightshift_engine::ports::{Model, ModelError};
use tokio::sync::mpsc;

use crate::server::{Act, HastyClock, Server, answer, anthropic, error, hop, start};

const ANSWER: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[ {"type":"text","text":"four"},
    {"type":"from_2031","n":1.50} ],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}"#;

async fn send(url: &str) -> Result<Reply, ModelError> {
    anthropic(url, HastyClock::new()).message(&hop(), start() + TimeDelta::minutes(5)).await
}

#[tokio::test]
async fn an_answer_that_comes_whole_all_the_same_keeps_its_content_untouched() {
    async fn handle(
        State(seen): State<mpsc::Sender<(HeaderMap, String)>>,
        headers: HeaderMap,
        body: String,
    ) -> impl IntoResponse {
        seen.send((headers, body)).await.unwrap();
        ([("request-id", "req_7"), ("content-type", "application/json")], ANSWER)
    }
    let (sender, mut seen) = mpsc::channel(1);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/v1/messages", post(handle)).with_state(sender);
    tokio::spawn(async move { axum::serve(listener, router).await });

    let reply = send(&url).await.unwrap();
    assert_eq!(reply.content, "[ {\"type\":\"text\",\"text\":\"four\"},\n    {\"type\":\"from_2031\",\"n\":1.50} ]");
    assert_eq!((reply.text.as_str(), reply.stop_reason), ("four", StopReason::EndTurn));
    assert_eq!(reply.request_id.as_deref(), Some("req_7"));
    assert_eq!(reply.usage["output_tokens"], 1);
    let (headers, body) = seen.recv().await.unwrap();
    assert_eq!(headers["authorization"], "Bearer sk-ant-api03-hush");
    assert_eq!(headers["anthropic-version"], "2026-10-21");
    assert_eq!(body, nightshift_anthropic::body::streamed(&hop()).unwrap());
    assert!(body.ends_with(r#","stream":true}"#), "{body}");
}

#[tokio::test]
async fn a_hop_is_sent_once_whatever_comes_back() {
    let rows = [
        (Act::Close, ModelErrorKind::Unanswered),
        (Act::BreakOff(200), ModelErrorKind::Unanswered),
        (answer(200, "{}"), ModelErrorKind::Unanswered),
        (error(429, "rate_limit_error"), ModelErrorKind::RateLimited),
        (error(500, "api_error"), ModelErrorKind::Server),
        (error(529, "overloaded_error"), ModelErrorKind::Overloaded),
        (Act::Answer(500, "x-should-retry: true\r\n", "{}".into()), ModelErrorKind::Server),
    ];
    for (act, expected) in rows {
        let server = Server::start(&[act.clone(), answer(200, ANSWER)]).await;
        assert_eq!(send(&server.url).await.unwrap_err().kind, expected, "{act:?}");
        assert_eq!(server.lines(), ["POST /v1/messages"], "{act:?}");
    }
}

#[tokio::test]
async fn a_hop_without_an_answer_is_given_up_at_its_deadline() {
    let server = Server::start(&[Act::Hang]).await;
    let clock = ManualClock::new(start());
    let api = anthropic(&server.url, Arc::new(clock.clone()));
    let deadline = start() + TimeDelta::minutes(5);
    let sending = tokio::spawn(async move { api.message(&hop(), deadline).await });
    server.wait_for_requests(1).await;
    clock.advance_to(deadline);
    assert_eq!(sending.await.unwrap().unwrap_err().kind, ModelErrorKind::Timeout);
}

#[tokio::test]
async fn a_hop_whose_deadline_has_passed_is_not_sent() {
    let server = Server::start(&[answer(200, ANSWER)]).await;
    let error = anthropic(&server.url, HastyClock::new()).message(&hop(), start()).await.unwrap_err();
    assert_eq!((error.kind, server.connections()), (ModelErrorKind::Timeout, 0));
}

#[tokio::test]
async fn a_redirect_is_not_followed_so_the_key_stays_with_its_host() {
    let thief = Server::start(&[answer(200, ANSWER)]).await;
    let location: &'static str = format!("location: {}/v1/messages\r\n", thief.url).leak();
    for status in [301, 302, 303, 307, 308] {
        let server = Server::start(&[Act::Answer(status, location, String::new())]).await;
        assert_eq!(send(&server.url).await.unwrap_err().kind, ModelErrorKind::Invalid);
        let api = anthropic(&server.url, HastyClock::new());
        assert_eq!(api.info("claude-x").await.unwrap_err().kind, ModelErrorKind::Invalid);
    }
    assert_eq!(thief.connections(), 0);
}

#[tokio::test]
async fn the_spend_limit_is_told_apart_from_too_many_requests() {
    let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":
        {"error_code":"enforced_spend_limit_reached"}},"request_id":"req_1"}"#;
    let server = Server::start(&[answer(429, body)]).await;
    let error = send(&server.url).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after), (ModelErrorKind::SpendLimit, None));
    assert_eq!(error.message, "HTTP 429, rate_limit_error: m");
}

#[test]
fn debug_of_the_adapter_shows_no_key() {
    let shown = format!("{:?}", anthropic("http://127.0.0.1:1", HastyClock::new()));
    assert!(shown.contains("[redacted]") && !shown.contains("hush"), "{shown}");
}
