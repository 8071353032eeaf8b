//! Ten thousand jobs cost what ten cost: the calls of every question and of every run are counted on the wire and are
//! the same, each page of a list is one query wherever it lies, and nothing is ever scanned. What does grow with the jobs is
//! the daily pass that compares each with its timer: it is left out here, as made already.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nightshift_domain::job::JobRecord;
use nightshift_engine::ManualClock;
use nightshift_engine::ports::{Memo, Outcome, Store as _, Write};
use nightshift_local::endpoints::dynamodb;
use nightshift_local::gate::tally;
use nightshift_store::DynamoStore;
use nightshift_tests::local::{Local, batch_job};
use serde_json::{Value, json};

/// Jobs of a commit: few enough for a transaction of 100 rows, should a job need a second one.
const AT_ONCE: usize = 40;

/// A stack with so many jobs, written through the store as `cron.add` writes them; their time is far ahead.
async fn with_jobs(count: usize) -> Local {
    let local = Local::start().await;
    let clock = Arc::new(ManualClock::new(local.stack.now()));
    let store = DynamoStore::new(dynamodb(&local.stack.ready.dynamodb_url), "nightshift", clock);
    let next = "2027-06-01T07:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_millis();
    let records: Vec<JobRecord> = (0..count)
        .map(|n| {
            let job = json!({
                "jobId": format!("bulk-{n:05}"), "name": format!("Job {n:05}"), "enabled": true, "deleteAfterRun": false,
                "createdAtMs": 0, "updatedAtMs": 0, "schedule": { "kind": "cron", "expr": "0 7 1 6 *" },
                "sessionTarget": "isolated", "wakeMode": "next-heartbeat",
                "payload": { "kind": "agentTurn", "message": "Summarize the year." },
                "delivery": { "mode": "announce" }, "missed": "once", "overlap": "skip", "state": { "nextRunAtMs": next },
            });
            JobRecord::new(serde_json::from_value(job).unwrap())
        })
        .collect();
    for some in records.chunks(AT_ONCE) {
        let writes: Vec<Write<'_>> = some.iter().map(Write::Job).collect();
        assert_eq!(store.commit(&writes).await.unwrap(), Outcome::Applied);
    }
    let document = json!({ "day": local.stack.now().date_naive(), "cursor": null });
    let memo = Memo { name: "daily".to_owned(), document, rev: 1 };
    let written = store.commit(&[Write::Memo { memo: &memo, expires_at: None }]).await.unwrap();
    assert_eq!(written, Outcome::Applied);
    local
}

fn mark(local: &Local) -> u64 {
    local.stack.gate.calls(0).last().map_or(0, |call| call.n)
}

/// What everything people and timers do costs, by name.
async fn costs(local: &Local) -> BTreeMap<&'static str, BTreeMap<String, u64>> {
    let mut costs = BTreeMap::new();
    let mut from = mark(local);
    let mut note = |name, local: &Local| {
        assert!(costs.insert(name, tally(&local.stack.gate.calls(from))).is_none());
        from = mark(local);
    };
    let mut job = batch_job("Count me.");
    job["payload"]["batch"] = json!({ "enabled": false });
    job["schedule"] = json!({ "kind": "cron", "expr": "5 6 * * *" });
    job["name"] = json!("Job 04999, and one more");
    let id = local.add(&job).await;
    note("add", local);
    local.ok("cron.get", &json!({ "jobId": id })).await;
    note("get", local);
    local.ok("cron.list", &json!({ "limit": 10 })).await;
    note("list", local);
    local.ok("cron.runs", &json!({ "jobId": id })).await;
    note("runs", local);
    local.ok("cron.update", &json!({ "jobId": id, "patch": { "description": "counted" } })).await;
    note("update", local);
    local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
    local.stack.settle().await;
    note("run by hand", local);
    local.advance(9).await;
    assert_eq!(local.delivered().len(), 2, "one run by hand, one by its timer");
    note("fire", local);
    local.advance(6).await;
    note("sweep", local);
    local.ok("cron.remove", &json!({ "jobId": id })).await;
    note("remove", local);
    costs
}

/// Reads the whole list; answers the names in order and what each page cost.
async fn pages(local: &Local, limit: u64) -> (Vec<String>, Vec<BTreeMap<String, u64>>) {
    let (mut names, mut costs, mut cursor) = (Vec::new(), Vec::new(), Value::Null);
    loop {
        let from = mark(local);
        let page = local.ok("cron.list", &json!({ "limit": limit, "cursor": cursor })).await;
        costs.push(tally(&local.stack.gate.calls(from)));
        let jobs = page["jobs"].as_array().unwrap();
        names.extend(jobs.iter().map(|job| job["name"].as_str().unwrap().to_owned()));
        cursor = page["nextCursor"].clone();
        if cursor.is_null() {
            return (names, costs);
        }
    }
}

fn never_scanned(local: &Local) {
    let operations: BTreeSet<String> = local.stack.gate.calls(0).into_iter().map(|call| call.operation).collect();
    assert!(operations.contains("Query"), "{operations:?}");
    assert!(!operations.iter().any(|operation| operation.contains("Scan")), "{operations:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_jobs_cost_what_ten_cost() {
    let (few, many) = (with_jobs(10).await, with_jobs(10_000).await);
    let (few_costs, many_costs) = (costs(&few).await, costs(&many).await);
    assert_eq!(few_costs, many_costs);
    for (name, cost) in &few_costs {
        assert!(!cost.is_empty(), "{name} was counted");
    }
    never_scanned(&many);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_one_query_wherever_it_lies_in_ten_thousand_jobs() {
    let local = with_jobs(10_000).await;
    let (names, costs) = pages(&local, 200).await;
    let expected: Vec<String> = (0..10_000).map(|n| format!("Job {n:05}")).collect();
    assert!(names == expected, "every job is listed once, by name");
    assert_eq!(costs.len(), 50);
    let one_query = BTreeMap::from([("dynamodb Query".to_owned(), 1)]);
    for (number, cost) in costs.iter().enumerate() {
        assert_eq!(*cost, one_query, "page {number}");
    }
    // A filter that hides everything answers short pages instead of reading on for ever.
    let from = mark(&local);
    let nobodys = local.ok("cron.list", &json!({ "agentId": "nobody", "limit": 200 })).await;
    let cost = tally(&local.stack.gate.calls(from));
    assert!(nobodys["jobs"] == json!([]) && nobodys["nextCursor"].is_string());
    assert!(cost["dynamodb Query"] <= 12 && cost.len() == 1, "{cost:?}");
    never_scanned(&local);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_of_ten_thousand_jobs_is_two_reads_at_most() {
    let local = with_jobs(10_000).await;
    let from = mark(&local);
    let status = local.ok("cron.status", &json!({})).await;
    let cost = tally(&local.stack.gate.calls(from));
    assert_eq!((&status["jobs"], &status["enabledJobs"]), (&json!(10_000), &json!(10_000)));
    let next = "2027-06-01T07:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert_eq!(status["nextWakeAtMs"], next.timestamp_millis());
    assert!(cost.keys().all(|call| call == "dynamodb GetItem" || call == "dynamodb Query"), "{cost:?}");
    assert!(cost.values().sum::<u64>() <= 2, "{cost:?}");
    never_scanned(&local);
}
