//! What a run costs in calls: the exact DynamoDB, Scheduler, Lambda, model and channel calls of one run. The README shows
//! the same numbers, and this test compares them.

#![expect(clippy::unwrap_used, reason = "a test says what it skipped, and fails where it stands")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use futures::{StreamExt, stream};
use nightshift_local::gate::tally;
use nightshift_tests::local::{Local, batch_job};
use nightshift_tests::process::workspace;
use serde_json::json;

/// The table of the README between two marks, as `service operation` → number.
fn written(mark: &str) -> BTreeMap<String, u64> {
    let readme = std::fs::read_to_string(workspace().join("README.md")).unwrap();
    let mark = format!("<!-- {mark} -->");
    let section =
        readme.split(mark.as_str()).nth(1).unwrap_or_else(|| panic!("the README has no table between {mark}"));
    section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| calls") && !line.starts_with("| ---"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            (cells[0].trim_matches('`').to_owned(), cells[1].parse().unwrap())
        })
        .collect()
}

fn compare(mark: &str, counted: &BTreeMap<String, u64>) {
    let mut wanted = String::new();
    for (call, number) in counted {
        writeln!(wanted, "| `{call}` | {number} |").unwrap();
    }
    assert!(written(mark) == *counted, "the README's table should be:\n{wanted}");
}

/// The calls of a run that its schedule starts, from fire to close.
async fn calls_of_a_run(job: serde_json::Value) -> BTreeMap<String, u64> {
    let local = Local::start().await;
    // The batch has ended when the first poll looks at it, and no sweep falls into the minutes that are counted.
    local.script(json!({ "batchDurationMs": 60_000 }));
    local.advance(1).await;
    let mut job = job;
    job["schedule"] = json!({ "kind": "cron", "expr": "5 6 * * *" });
    local.add(&job).await;
    let before = local.stack.gate.calls(0).len() as u64;
    local.advance(9).await;
    assert_eq!(local.delivered().len(), 1);
    tally(&local.stack.gate.calls(before))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calls_of_a_batch_run_are_those_in_the_readme() {
    compare("calls batch", &calls_of_a_run(batch_job("Count me.")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calls_of_a_realtime_run_are_those_in_the_readme() {
    let mut job = batch_job("Count me.");
    job["payload"]["batch"] = json!({ "enabled": false });
    compare("calls realtime", &calls_of_a_run(job).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_more_poll_costs_a_read_a_look_a_timer_and_a_write() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 36_000_000 }));
    local.advance(1).await;
    let mut job = batch_job("Count me.");
    job["schedule"] = json!({ "kind": "cron", "expr": "2 6 * * *" });
    local.add(&job).await;
    local.advance(4).await;
    let before = local.stack.gate.calls(0).len() as u64;
    let mut polls = 0;
    while polls == 0 {
        local.advance(1).await;
        polls = tally(&local.stack.gate.calls(before)).get("lambda Invoke poll").copied().unwrap_or(0)
            + tally(&local.stack.gate.calls(before))
                .get("anthropic GET /v1/messages/batches/{id}")
                .copied()
                .unwrap_or(0);
    }
    compare("calls poll", &tally(&local.stack.gate.calls(before)));
}

/// Adds `jobs` jobs, a few at a time.
async fn with_jobs(local: &Local, jobs: usize) {
    let added = stream::iter(0..jobs).map(|n| async move {
        let mut job = batch_job("Count me.");
        job["name"] = json!(format!("job {n}"));
        local.add(&job).await
    });
    added.buffer_unordered(4).for_each(|_| async {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_glance_takes_two_reads_however_many_jobs_there_are() {
    let local = Local::start().await;
    for (more, all) in [(0, 0), (1, 1), (249, 250)] {
        with_jobs(&local, more).await;
        let before = local.stack.gate.calls(0).len() as u64;
        let status = local.ok("cron.status", &json!({})).await;
        assert_eq!((&status["jobs"], &status["enabledJobs"]), (&json!(all), &json!(all)), "{status}");
        let calls = tally(&local.stack.gate.calls(before));
        assert_eq!(calls, BTreeMap::from([("dynamodb Query".to_owned(), 2)]), "with {all} jobs");
    }
}
