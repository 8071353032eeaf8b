//! Reads: repeated where that helps, and mapped to views.

use chrono::TimeDelta;
use nightshift_domain::model::ModelErrorKind;
use nightshift_engine::Clock;
use nightshift_engine::ports::{Batches, Model};

use crate::server::{Act, HastyClock, Server, answer, anthropic, error};

fn batch(id: &str, status: &str) -> String {
    format!(
        r#"{{"id":"{id}","type":"message_batch","processing_status":"{status}","request_counts":{{"processing":1,"succeeded":0,"errored":0,"canceled":0,"expired":0}},"created_at":"2026-11-20T00:00:00Z","results_url":null}}"#
    )
}

#[tokio::test]
async fn a_read_is_repeated_twice_with_growing_waits() {
    let ended = answer(200, &batch("b", "ended"));
    let server = Server::start(&[error(500, "api_error"), Act::Close, ended]).await;
    let clock = HastyClock::new();
    assert!(anthropic(&server.url, clock.clone()).retrieve("b").await.unwrap().ended);
    assert_eq!(clock.waits(), [500, 1000]);

    let server = Server::start(&[error(529, "overloaded_error")]).await;
    let failed = anthropic(&server.url, HastyClock::new()).retrieve("b").await.unwrap_err();
    assert_eq!((failed.kind, server.seen().len()), (ModelErrorKind::Overloaded, 3));
}

#[tokio::test]
async fn a_read_waits_as_asked_unless_that_is_long() {
    let ok = answer(200, &batch("b", "in_progress"));
    let server = Server::start(&[Act::Answer(429, "retry-after: 7\r\n", "{}".into()), ok.clone()]).await;
    let clock = HastyClock::new();
    anthropic(&server.url, clock.clone()).retrieve("b").await.unwrap();
    assert_eq!(clock.waits(), [7000]);

    let server = Server::start(&[Act::Answer(429, "retry-after: 60\r\n", "{}".into()), ok]).await;
    let failed = anthropic(&server.url, HastyClock::new()).retrieve("b").await.unwrap_err();
    assert_eq!((failed.retry_after, server.seen().len()), (Some(TimeDelta::seconds(60)), 1));
}

#[tokio::test]
async fn a_missing_batch_stays_missing_and_the_server_may_forbid_a_repeat() {
    let server = Server::start(&[error(404, "not_found_error")]).await;
    let api = anthropic(&server.url, HastyClock::new());
    assert_eq!(api.retrieve("b").await.unwrap_err().kind, ModelErrorKind::NotFound);
    assert_eq!(api.results("b").await.err().unwrap().kind, ModelErrorKind::NotFound);
    assert_eq!(api.delete("b").await.unwrap_err().kind, ModelErrorKind::NotFound);
    assert_eq!(server.seen().len(), 3);

    let server = Server::start(&[Act::Answer(500, "x-should-retry: false\r\n", "{}".into())]).await;
    anthropic(&server.url, HastyClock::new()).retrieve("b").await.unwrap_err();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_list_is_paged_by_the_last_id_and_its_limit_kept_in_range() {
    let page = |more: bool| {
        let (first, second) = (batch("b2", "canceling"), batch("b1", "ended"));
        answer(200, &format!(r#"{{"data":[{first},{second}],"first_id":"b2","last_id":"b1","has_more":{more}}}"#))
    };
    let empty = answer(200, r#"{"data":[],"first_id":null,"last_id":null,"has_more":false}"#);
    let server = Server::start(&[page(true), page(false), empty]).await;
    let api = anthropic(&server.url, HastyClock::new());
    let list = api.list(2, None).await.unwrap();
    assert_eq!(list.next_after.as_deref(), Some("b1"));
    assert_eq!(
        list.batches.iter().map(|each| (each.remote.as_str(), each.canceling, each.ended)).collect::<Vec<_>>(),
        [("b2", true, false), ("b1", false, true)]
    );
    assert_eq!(api.list(0, Some("b1")).await.unwrap().next_after, None);
    assert_eq!(api.list(5000, Some("a&b")).await.unwrap().batches, []);
    let lines = ["?limit=2", "?limit=1&after_id=b1", "?limit=1000&after_id=a%26b"];
    assert_eq!(server.lines(), lines.map(|query| format!("GET /v1/messages/batches{query}")));
}

#[tokio::test]
async fn a_cancel_that_the_batchs_state_forbids_is_answered_with_a_look_at_it() {
    let server = Server::start(&[error(400, "invalid_request_error"), answer(200, &batch("b", "ended"))]).await;
    assert!(anthropic(&server.url, HastyClock::new()).cancel("b").await.unwrap().ended);
    assert_eq!(server.lines(), ["POST /v1/messages/batches/b/cancel", "GET /v1/messages/batches/b"]);

    let server = Server::start(&[error(400, "invalid_request_error"), answer(200, &batch("b", "in_progress"))]).await;
    let failed = anthropic(&server.url, HastyClock::new()).cancel("b").await.unwrap_err();
    assert_eq!(failed.kind, ModelErrorKind::Invalid);
}

#[tokio::test]
async fn a_cancel_is_repeated_and_a_delete_goes_to_the_batch() {
    let canceling = answer(200, &batch("b", "canceling"));
    let deleted = answer(200, r#"{"id":"b","type":"message_batch_deleted"}"#);
    let server = Server::start(&[Act::Close, canceling, deleted]).await;
    let api = anthropic(&server.url, HastyClock::new());
    assert!(api.cancel("b").await.unwrap().canceling);
    api.delete("b").await.unwrap();
    let cancel = "POST /v1/messages/batches/b/cancel";
    assert_eq!(server.lines(), [cancel, cancel, "DELETE /v1/messages/batches/b"]);
}

#[tokio::test]
async fn a_model_is_asked_about_once_an_hour() {
    let model =
        r#"{"id":"claude-x","max_tokens":64000,"lifecycle":"active","capabilities":{"batch":{"supported":true}}}"#;
    let server = Server::start(&[answer(200, model)]).await;
    let clock = HastyClock::new();
    let api = anthropic(&server.url, clock.clone());
    for _ in 0..3 {
        assert_eq!(api.info("claude-x").await.unwrap().max_tokens, 64_000);
    }
    assert_eq!(server.lines(), ["GET /v1/models/claude-x"]);
    for _ in 0..360 {
        clock.alarm(clock.now() + TimeDelta::seconds(10)).await;
    }
    api.info("claude-x").await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_model_nobody_knows_is_not_found() {
    let server = Server::start(&[error(404, "not_found_error")]).await;
    let failed = anthropic(&server.url, HastyClock::new()).info("claude-y").await.unwrap_err();
    assert_eq!((failed.kind, failed.request_id.as_deref()), (ModelErrorKind::NotFound, Some("req_1")));
}
