//! A create is sent once, whatever happens to it.

use std::sync::Arc;

use chrono::TimeDelta;
use nightshift_domain::batch::CREATE_TIMEOUT;
use nightshift_domain::model::{McpConnection, ModelErrorKind};
use nightshift_engine::ManualClock;
use nightshift_engine::ports::{BatchRow, BatchView, Batches, CreateError, ModelError};
use tokio::net::TcpListener;

use crate::server::{Act, HastyClock, Server, answer, anthropic, error, hop, start};

const CREATED: &str = r#"{"id":"msgbatch_1","type":"message_batch","processing_status":"in_progress","request_counts":
    {"processing":2,"succeeded":0,"errored":0,"canceled":0,"expired":0},"created_at":"2026-11-20T00:00:00.5Z"}"#;

fn rows() -> Vec<BatchRow> {
    ["a", "b"].map(|custom_id| BatchRow { custom_id: custom_id.into(), request: hop() }).to_vec()
}

async fn create(url: &str) -> Result<BatchView, CreateError> {
    anthropic(url, HastyClock::new()).create(&rows()).await
}

fn refused(result: Result<BatchView, CreateError>) -> ModelError {
    match result {
        Err(CreateError::Refused(error)) => error,
        other => panic!("not refused: {other:?}"),
    }
}

fn unanswered(result: Result<BatchView, CreateError>) -> ModelError {
    match result {
        Err(CreateError::Unanswered(error)) => error,
        other => panic!("not unanswered: {other:?}"),
    }
}

#[tokio::test]
async fn a_create_sends_rows_as_they_are_and_answers_the_batch() {
    let server = Server::start(&[answer(200, CREATED)]).await;
    let view = create(&server.url).await.unwrap();
    assert_eq!((view.remote.as_str(), view.rows, view.ended), ("msgbatch_1", 2, false));
    let seen = server.seen();
    assert_eq!(server.lines(), ["POST /v1/messages/batches"]);
    let (head, body) = seen[0].split_once("\r\n\r\n").unwrap();
    for header in
        ["authorization: Bearer sk-ant-api03-hush", "anthropic-version: 2026-10-21", "content-type: application/json"]
    {
        assert_eq!(head.lines().filter(|line| *line == header).count(), 1, "{header} in {head}");
    }
    let params = r#"{"model":"claude-x","max_tokens":16,"messages":[{"role":"user","content":[ {"type":"from_2031","n":1.0} ]}]}"#;
    let row = |id| format!(r#"{{"custom_id":"{id}","params":{params}}}"#);
    assert_eq!(body, format!(r#"{{"requests":[{},{}]}}"#, row("a"), row("b")));
}

#[tokio::test]
async fn a_create_sends_the_beta_that_any_of_its_rows_needs_and_streams_none_of_them() {
    let server = Server::start(&[answer(200, CREATED)]).await;
    let mut rows = rows();
    rows[1].request.mcp_servers =
        vec![McpConnection { name: "notes".into(), url: "https://mcp.example/mcp".into(), token: Some("t".into()) }];
    anthropic(&server.url, HastyClock::new()).create(&rows).await.unwrap();
    let seen = server.seen();
    assert!(seen[0].contains("\r\nanthropic-beta: mcp-client-2025-11-20\r\n"), "{}", seen[0]);
    assert!(!seen[0].contains("stream"), "{}", seen[0]);
    assert!(seen[0].contains(r#""mcp_servers":[{"type":"url","name":"notes","url":"https://mcp.example/mcp","#));
}

#[tokio::test]
async fn a_create_whose_connection_closes_without_an_answer_was_sent_once_and_is_unanswered() {
    for script in [Act::Close, Act::BreakOff(200)] {
        let server = Server::start(&[script, answer(200, CREATED)]).await;
        assert_eq!(unanswered(create(&server.url).await).kind, ModelErrorKind::Unanswered);
        assert_eq!((server.seen().len(), server.connections()), (1, 1));
    }
}

#[tokio::test]
async fn a_second_create_never_travels_on_a_connection_that_was_kept() {
    let server = Server::start(&[answer(200, CREATED), Act::Close, answer(200, CREATED)]).await;
    let api = anthropic(&server.url, HastyClock::new());
    api.create(&rows()).await.unwrap();
    unanswered(api.create(&rows()).await);
    assert_eq!((server.seen().len(), server.connections()), (2, 2));
}

#[tokio::test]
async fn a_refused_connection_and_a_name_nobody_knows_are_refusals_that_were_never_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for url in [url.as_str(), "http://nobody.invalid"] {
        let error = refused(create(url).await);
        assert_eq!(error.kind, ModelErrorKind::NotSent);
        assert!(error.message.starts_with("the API cannot be reached: "), "{}", error.message);
    }
}

#[tokio::test]
async fn a_failed_tls_handshake_is_a_refusal_that_was_never_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    assert_eq!(refused(create(&url).await).kind, ModelErrorKind::NotSent);
}

#[tokio::test]
async fn statuses_are_refusals_or_open_and_never_repeated() {
    let rows = [
        (400, "invalid_request_error", true, ModelErrorKind::Invalid),
        (401, "authentication_error", true, ModelErrorKind::Auth),
        (402, "billing_error", true, ModelErrorKind::Billing),
        (413, "request_too_large", true, ModelErrorKind::TooLarge),
        (429, "rate_limit_error", true, ModelErrorKind::RateLimited),
        (529, "overloaded_error", true, ModelErrorKind::Overloaded),
        (307, "", true, ModelErrorKind::Invalid),
        (408, "timeout_error", false, ModelErrorKind::Timeout),
        (409, "conflict_error", false, ModelErrorKind::Server),
        (500, "api_error", false, ModelErrorKind::Server),
        (502, "", false, ModelErrorKind::Server),
        (504, "timeout_error", false, ModelErrorKind::Timeout),
    ];
    for (status, kind, is_refused, expected) in rows {
        let server = Server::start(&[error(status, kind), answer(200, CREATED)]).await;
        let result = create(&server.url).await;
        let found = if is_refused { refused(result) } else { unanswered(result) };
        assert_eq!(found.kind, expected, "{status}");
        assert_eq!(server.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_refusal_brings_the_wait_it_asks_for() {
    for status in [429, 529] {
        let server = Server::start(&[Act::Answer(status, "retry-after: 17\r\n", "{}".into())]).await;
        assert_eq!(refused(create(&server.url).await).retry_after, Some(TimeDelta::seconds(17)));
    }
}

#[tokio::test]
async fn a_refusal_stands_even_when_its_body_breaks_off() {
    let server = Server::start(&[Act::BreakOff(400)]).await;
    assert_eq!(refused(create(&server.url).await).kind, ModelErrorKind::Invalid);
}

#[tokio::test]
async fn a_success_that_cannot_be_read_is_unanswered() {
    for body in ["", "<html>", "{}", r#"{"id":"msgbatch_1"}"#] {
        let server = Server::start(&[Act::Answer(200, "request-id: req_9\r\n", body.into())]).await;
        let error = unanswered(create(&server.url).await);
        assert_eq!((error.kind, error.request_id.as_deref()), (ModelErrorKind::Unanswered, Some("req_9")), "{body}");
    }
}

#[tokio::test]
async fn a_create_without_an_answer_is_given_up_after_a_minute_and_is_unanswered() {
    let server = Server::start(&[Act::Hang]).await;
    let clock = ManualClock::new(start());
    let api = anthropic(&server.url, Arc::new(clock.clone()));
    let creating = tokio::spawn(async move { api.create(&rows()).await });
    server.wait_for_requests(1).await;
    assert_eq!(clock.next_wake(), Some(start() + CREATE_TIMEOUT));
    clock.advance(CREATE_TIMEOUT);
    assert_eq!(unanswered(creating.await.unwrap()).kind, ModelErrorKind::Timeout);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_row_that_cannot_be_written_or_a_key_that_cannot_be_sent_refuses_before_anything_leaves() {
    let server = Server::start(&[answer(200, CREATED)]).await;
    let mut damaged = rows();
    damaged[1].request.messages[0].content = "{".into();
    let error = refused(anthropic(&server.url, HastyClock::new()).create(&damaged).await);
    assert_eq!((error.kind, error.message.contains("row b")), (ModelErrorKind::Invalid, true));
    let settings =
        nightshift_anthropic::Settings { base_url: server.url.clone(), key: "two\nlines".into(), ..Default::default() };
    let api = nightshift_anthropic::Anthropic::new(settings, nightshift_anthropic::http_client(), HastyClock::new());
    assert_eq!(refused(api.create(&rows()).await).kind, ModelErrorKind::Auth);
    assert_eq!(server.connections(), 0);
}
