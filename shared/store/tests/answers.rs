//! What the emulators never say: transaction conflicts, throttling and broken connections, from a scripted endpoint.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use chrono::DateTime;
use nightshift_domain::job::JobRecord;
use nightshift_engine::ports::{Outcome, Store, StoreError, StoreErrorKind, SystemEvent, Write};
use nightshift_engine::{Clock, ManualClock};
use nightshift_store::DynamoStore;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An HTTP status and a body; status 0 closes the connection without an answer.
type Answer = (u16, Value);

const DONE: u16 = 200;

fn refusal(code: &str) -> Answer {
    (400, json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "scripted" }))
}

fn canceled(codes: &[&str]) -> Answer {
    let reasons: Vec<Value> = codes.iter().map(|code| json!({ "Code": code, "Message": "scripted" })).collect();
    let code = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    (400, json!({ "__type": code, "Message": "scripted", "CancellationReasons": reasons }))
}

/// A store whose endpoint gives `answers` in order, and how many of them it was asked for.
async fn scripted(answers: Vec<Answer>) -> (DynamoStore, ManualClock, Arc<Mutex<VecDeque<Answer>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let left = Arc::new(Mutex::new(VecDeque::from(answers)));
    tokio::spawn({
        let left = Arc::clone(&left);
        async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                answer(stream, &left).await;
            }
        }
    });
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(url)
        .build();
    let clock = ManualClock::new(DateTime::from_timestamp(2_000_000_000, 0).unwrap());
    (DynamoStore::new(Client::from_conf(config), "table", Arc::new(clock.clone())), clock, left)
}

async fn answer(mut stream: TcpStream, left: &Mutex<VecDeque<Answer>>) {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).await.unwrap();
        request.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if read == 0 || body.len() >= length.map_or(0, |length| length.trim().parse().unwrap()) {
            break;
        }
    }
    let (status, body) = left.lock().unwrap().pop_front().expect("a call more than the script has answers for");
    if status != 0 {
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }
}

fn event() -> SystemEvent {
    let at = DateTime::from_timestamp(2_000_000_000, 0).unwrap();
    SystemEvent::new("main".into(), "1".into(), "hello".into(), at, at)
}

/// Commits an event and a count (two rows) or the count alone (one), moving the clock on whenever the store waits.
async fn commit(answers: Vec<Answer>, rows: usize) -> (Result<Outcome, StoreError>, usize) {
    let (store, clock, left) = scripted(answers).await;
    let committing = tokio::spawn(async move {
        let event = event();
        let writes = [Write::Count { name: "runs", by: 1 }, Write::Event(&event)];
        store.commit(&writes[..rows]).await
    });
    while !committing.is_finished() {
        if let Some(instant) = clock.next_wake() {
            assert!(instant - clock.now() < chrono::TimeDelta::seconds(1));
            clock.advance_to(instant);
        }
        tokio::task::yield_now().await;
    }
    let unasked = left.lock().unwrap().len();
    (committing.await.unwrap(), unasked)
}

#[tokio::test]
async fn a_conflict_with_another_transaction_is_waited_out() {
    let conflict = || canceled(&["TransactionConflict", "None"]);
    let (outcome, unasked) = commit(vec![conflict(), conflict(), (DONE, json!({}))], 2).await;
    assert_eq!((outcome.unwrap(), unasked), (Outcome::Applied, 0));
    let single = || refusal("TransactionConflictException");
    let (outcome, unasked) = commit(vec![single(), single(), (DONE, json!({}))], 1).await;
    assert_eq!((outcome.unwrap(), unasked), (Outcome::Applied, 0));
}

#[tokio::test]
async fn a_conflict_that_does_not_end_is_unavailable_after_five_attempts() {
    for code in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
        let (outcome, unasked) = commit(vec![canceled(&["None", code]); 6], 2).await;
        assert_eq!((outcome.unwrap_err().kind, unasked), (StoreErrorKind::Unavailable, 1), "{code}");
    }
    let (outcome, unasked) = commit(vec![refusal("TransactionConflictException"); 6], 1).await;
    assert_eq!((outcome.unwrap_err().kind, unasked), (StoreErrorKind::Unavailable, 1));
}

#[tokio::test]
async fn a_condition_beside_a_conflict_is_decided_when_the_conflict_is_over() {
    let both = canceled(&["TransactionConflict", "ConditionalCheckFailed"]);
    let alone = canceled(&["None", "ConditionalCheckFailed"]);
    let (outcome, unasked) = commit(vec![both, alone], 2).await;
    assert_eq!((outcome.unwrap(), unasked), (Outcome::Lost(1), 0));
}

#[tokio::test]
async fn a_fault_of_the_request_is_refused_at_once() {
    let (outcome, _) = commit(vec![canceled(&["None", "ValidationError"])], 2).await;
    assert_eq!(outcome.unwrap_err().kind, StoreErrorKind::Refused);
    for code in ["ValidationException", "AccessDeniedException", "ResourceNotFoundException"] {
        let error = commit(vec![refusal(code)], 1).await.0.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Refused, "{code}");
        assert_eq!(error.to_string(), "failed to write counter runs");
    }
}

#[tokio::test]
async fn throttling_an_outage_and_a_broken_connection_are_unavailable() {
    let outage = (500, json!({ "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError" }));
    for answer in [refusal("ThrottlingException"), refusal("RequestLimitExceeded"), outage, (0, Value::Null)] {
        let (outcome, _) = commit(vec![answer.clone()], 1).await;
        assert_eq!(outcome.unwrap_err().kind, StoreErrorKind::Unavailable, "{answer:?}");
    }
}

/// A job at `rev`, switched on or off.
fn job(rev: u64, enabled: bool) -> JobRecord {
    let job = json!({
        "jobId": "a", "name": "a", "enabled": enabled, "deleteAfterRun": false, "createdAtMs": 0, "updatedAtMs": 0,
        "schedule": { "kind": "every", "everyMs": 60_000, "anchorMs": 0 }, "sessionTarget": "isolated",
        "wakeMode": "now", "payload": { "kind": "agentTurn", "message": "hello" }, "missed": "once", "overlap": "skip",
    });
    JobRecord { rev, ..JobRecord::new(serde_json::from_value(job).unwrap()) }
}

/// A failed condition of a single write, on a row at `rev` that says `counted`.
fn failed_on(rev: u64, counted: &str) -> Answer {
    let (status, mut body) = refusal("ConditionalCheckFailedException");
    body["Item"] = json!({ "rev": { "N": rev.to_string() }, "counted": { "S": counted }, "doc": { "S": "{}" } });
    (status, body)
}

/// The same of a transaction that counts the job too.
fn canceled_on(rev: u64, counted: &str) -> Answer {
    let (status, mut body) = canceled(&["ConditionalCheckFailed", "None"]);
    body["CancellationReasons"][0]["Item"] = failed_on(rev, counted).1["Item"].clone();
    (status, body)
}

#[tokio::test]
async fn turning_a_jobs_switch_costs_one_more_call_and_leaving_it_alone_none() {
    let off = job(2, false);
    let done = || (DONE, json!({}));
    for (write, answers) in [
        (Write::Job(&off), vec![done()]),
        (Write::Job(&off), vec![failed_on(1, "enabled"), done()]),
        (Write::RemoveJob(&off), vec![done()]),
        (Write::RemoveJob(&off), vec![canceled_on(2, "enabled"), done()]),
    ] {
        let (store, _, left) = scripted(answers).await;
        assert_eq!(store.commit(&[write]).await.unwrap(), Outcome::Applied);
        assert_eq!(left.lock().unwrap().len(), 0);
    }
}

#[tokio::test]
async fn a_row_that_moved_on_is_lost_whatever_was_counted_for_it() {
    let off = job(2, false);
    for counted in ["enabled", "disabled"] {
        let (store, _, left) = scripted(vec![failed_on(5, counted)]).await;
        assert_eq!(store.commit(&[Write::Job(&off)]).await.unwrap(), Outcome::Lost(0));
        assert_eq!(left.lock().unwrap().len(), 0);
    }
    // It moves between the two attempts.
    let (store, _, _) = scripted(vec![failed_on(1, "enabled"), canceled_on(2, "enabled")]).await;
    assert_eq!(store.commit(&[Write::Job(&off)]).await.unwrap(), Outcome::Lost(0));
}
