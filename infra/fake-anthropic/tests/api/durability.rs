//! What a fake with a state directory still knows when it is opened again.

use std::fs;

use nightshift_engine::ManualClock;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Stand, params, result, start};

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(start());
    let before = Stand::open(clock.clone(), Some(dir.path())).await;
    before.script(json!({
        "batchDurationMs": 1000,
        "replies": [{"times": 2, "text": "scripted"}],
        "faults": [{"on": "list", "nth": 2, "do": "status", "status": 500}],
    }));
    let done = before.create(1).await;
    let gone = before.create(1).await;
    before.advance_ms(1000);
    assert_eq!(before.delete(&format!("/v1/messages/batches/{gone}")).await.status, 200);
    let cancelled = before.create(1).await;
    let cancel = format!("/v1/messages/batches/{cancelled}/cancel");
    before.request(Method::POST, &cancel).send().await.unwrap();
    before.post("/v1/messages", &params("hi")).await;
    before.get("/v1/messages/batches").await;
    let (batches, log, bill) = (before.fake.batches(), before.fake.requests(), before.fake.bill());
    let results = before.results(&done).await;
    let log_len = log.len() + 1;

    let after = Stand::open(clock, Some(dir.path())).await;
    let same = |batch: &Value| {
        let mut batch = batch.clone();
        batch["results_url"] = json!(null);
        batch
    };
    assert_eq!(after.fake.batches().iter().map(same).collect::<Vec<_>>(), batches.iter().map(same).collect::<Vec<_>>());
    assert_eq!(after.fake.requests().len(), log_len);
    assert_eq!(after.fake.requests()[..log.len()], log[..]);
    assert_eq!(after.fake.bill(), bill);
    assert_eq!(after.results(&done).await, results);
    assert_eq!(result(&results, "r0")["message"]["content"][0]["text"], "scripted");
    assert_eq!(after.get("/v1/messages/batches").await.status, 500);
    let fresh = after.post("/v1/messages", &params("hi")).await.body;
    assert!(fresh["content"][0]["text"].as_str().unwrap().starts_with("Here is"), "the reply was used up before");
    assert!(!log.iter().any(|call| call.to_string().contains(fresh["id"].as_str().unwrap())));
    assert_ne!(after.create(1).await, done);
}

#[tokio::test]
async fn a_journal_torn_at_any_byte_opens_with_all_whole_calls() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(start());
    let stand = Stand::open(clock.clone(), Some(dir.path())).await;
    stand.create(1).await;
    stand.create(2).await;
    let file = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap();
    let whole = fs::read(file.path()).unwrap();
    let lines = |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').count() - 1;
    for cut in (0..whole.len()).step_by(97) {
        let torn = tempfile::tempdir().unwrap();
        fs::write(torn.path().join(file.file_name()), &whole[..cut]).unwrap();
        let stand = Stand::open(clock.clone(), Some(torn.path())).await;
        let calls = lines(&whole[..cut]).saturating_sub(1);
        assert_eq!((stand.fake.batches().len(), stand.fake.requests().len()), (calls, calls), "cut at {cut}");
        stand.create(1).await;
        let again = Stand::open(clock.clone(), Some(torn.path())).await;
        assert_eq!(again.fake.batches().len(), calls + 1, "cut at {cut}");
    }
}

#[tokio::test]
async fn no_credential_reaches_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let stand = Stand::open(ManualClock::new(start()), Some(dir.path())).await;
    stand.create(1).await;
    for file in fs::read_dir(dir.path()).unwrap() {
        assert!(!fs::read_to_string(file.unwrap().path()).unwrap().contains("sk-ant"));
    }
}
