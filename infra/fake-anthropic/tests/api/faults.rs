//! Calls that go wrong the way a script says.

use reqwest::Method;
use serde_json::json;

use crate::{Stand, batch, params};

#[tokio::test]
async fn a_lost_answer_breaks_the_connection_after_the_batch_was_made() {
    let stand = Stand::new().await;
    stand.script(json!({"faults": [{"on": "create", "nth": 2, "do": "lose_answer"}]}));
    stand.create(1).await;
    let lost = stand.request(Method::POST, "/v1/messages/batches").json(&batch(2)).send().await;
    assert!(lost.is_err(), "the client got an answer: {lost:?}");
    assert_eq!(stand.fake.batches().len(), 2);
    assert_eq!(stand.fake.batches()[0]["request_counts"]["processing"], 2);
    let log = stand.fake.requests();
    assert_eq!((&log[1]["status"], &log[1]["fault"]), (&json!(null), &json!("lose_answer")));
    stand.create(3).await;
    assert_eq!(stand.fake.batches().len(), 3);
}

#[tokio::test]
async fn a_lost_request_breaks_the_connection_and_changes_nothing() {
    let stand = Stand::new().await;
    stand.script(json!({"faults": [{"on": "create", "times": 2, "do": "lose_request"}]}));
    for _ in 0..2 {
        assert!(stand.request(Method::POST, "/v1/messages/batches").json(&batch(1)).send().await.is_err());
    }
    assert!(stand.fake.batches().is_empty());
    stand.create(1).await;
    assert_eq!(stand.fake.requests().len(), 3);
}

#[tokio::test]
async fn a_lost_realtime_answer_is_billed() {
    let stand = Stand::new().await;
    stand.script(json!({"faults": [{"on": "messages", "do": "lose_answer"}]}));
    assert!(stand.request(Method::POST, "/v1/messages").json(&params("hi")).send().await.is_err());
    assert_eq!(stand.fake.bill().realtime["claude-opus-5-5"].messages, 1);
}

#[tokio::test]
async fn results_can_break_off_in_the_middle() {
    let stand = Stand::new().await;
    stand.script(json!({"batchDurationMs": 0, "faults": [{"on": "results", "do": "cut_answer"}]}));
    let id = stand.create(3).await;
    let path = format!("/v1/messages/batches/{id}/results");
    let response = stand.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.text().await.is_err());
    assert_eq!(stand.results(&id).await.len(), 3);
}

#[tokio::test]
async fn a_transient_404_and_a_429_pass_after_their_number() {
    let stand = Stand::new().await;
    stand.script(json!({"faults": [
        {"on": "retrieve", "times": 2, "do": "status", "status": 404},
        {"on": "list", "do": "status", "status": 429, "error_type": "rate_limit_error",
         "errorCode": "enforced_spend_limit_reached", "headers": {"retry-after": "7"}},
    ]}));
    let id = stand.create(1).await;
    let path = format!("/v1/messages/batches/{id}");
    for expected in [404, 404, 200] {
        assert_eq!(stand.get(&path).await.status, expected);
    }
    let limited = stand.get("/v1/messages/batches").await;
    assert_eq!((limited.status, limited.headers["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!(limited.body["error"]["type"], "rate_limit_error");
    assert_eq!(limited.body["error"]["details"]["error_code"], "enforced_spend_limit_reached");
    assert_eq!(stand.get("/v1/messages/batches").await.status, 200);
}

#[tokio::test]
async fn an_answer_is_held_back_on_the_clock_after_its_call_took_effect() {
    let stand = Stand::new().await;
    stand.script(json!({"latencyMs": 2000, "faults": [{"on": "create", "do": "delay", "delayMs": 3000}]}));
    let answer = tokio::spawn(stand.request(Method::POST, "/v1/messages/batches").json(&batch(1)).send());
    while stand.clock.parked() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stand.fake.batches().len(), 1);
    stand.advance_ms(4999);
    assert_eq!(stand.clock.parked(), 1);
    stand.advance_ms(1);
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
}
