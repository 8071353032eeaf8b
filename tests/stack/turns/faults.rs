//! Every call of a turn with tools fails once, before it takes effect or after it did. Whatever broke: the message a tool
//! sends arrives once at most, so does the answer, no batch is paid twice, and the run ends with a name.

use futures::{StreamExt, stream};
use nightshift_local::gate::{Action, Fault, When};
use nightshift_tests::local::Local;
use serde_json::{Value, json};

use super::{PATHS, Path, asks, job, text};

/// More than the SDK's own attempts, so that the function itself sees the failure.
const FOR_LONG: u64 = 5;
/// How many stacks run at once: they mostly wait for the SDK's own pauses between its attempts.
const AT_ONCE: usize = 6;

fn script() -> Value {
    let written = json!({ "command": "create", "path": "/memories/a.md", "file_text": "Noted." });
    json!({ "batchDurationMs": 60_000, "replies": [
        asks("toolu_1", "memory", &written),
        asks("toolu_2", "message", &json!({ "text": "From the tool.", "channel": "console", "to": "crew" })),
        text("From the turn."),
        // For hops that have to be asked again because their answer was lost.
        text("From the turn."),
        text("From the turn."),
    ] })
}

/// Runs the turn with its calls broken as `fault` says; answers how many calls there were.
async fn broken(path: Path, fault: Fault) -> u64 {
    let local = Local::start().await;
    local.script(script());
    local.advance(1).await;
    let mut asked = job(path, "Note it and tell the crew.");
    asked["delivery"] = json!({ "mode": "announce", "channel": "console", "to": "owner" });
    asked["payload"]["toolsAllow"] = json!(["memory", "message"]);
    asked["schedule"] = json!({ "kind": "cron", "expr": "5 6 20 11 *" });
    let id = local.add(&asked).await;
    let context = format!("{path:?} {fault:?}");
    let before = local.stack.gate.calls(0).len() as u64;
    local.stack.gate.set_faults(vec![fault]);
    local.advance(20).await;
    let calls = local.stack.gate.calls(before).len() as u64;
    let run = format!("{id}_20261120T060500Z");
    local.advance_past(std::slice::from_ref(&run), 3 * 60).await;
    let run = local.ok("cron.runGet", &json!({ "runId": run })).await;
    assert!(!run["status"].is_null(), "{context}: it hangs: {run:#}");
    let delivered = local.delivered();
    let times = |text: &str| delivered.iter().filter(|each| *each == text).count();
    assert!(times("From the tool.") <= 1, "{context}: {delivered:?}");
    assert_eq!(times("From the turn."), usize::from(run["deliveryStatus"] == "delivered"), "{context}: {run:#}");
    let none = Vec::new();
    for tool in run["tools"].as_array().unwrap_or(&none).iter().filter(|tool| tool["name"] == "message") {
        // What the model was told is what happened, or that nobody knows.
        let told = tool["result"].as_str().unwrap();
        match times("From the tool.") {
            1 => assert!(tool["state"] == "ok" || told.contains("not known"), "{context}: {run:#}"),
            _ => assert_eq!(tool["state"], "error", "{context}: {run:#}"),
        }
    }
    let job = local.ok("cron.get", &json!({ "jobId": id })).await;
    assert_eq!(job["state"]["runningAtMs"], Value::Null, "{context}");
    if path == Path::Batch {
        let batches = local.fake().batches().len();
        let hops = run["hops"].as_array().unwrap().len();
        assert_eq!(batches, hops, "{context}: a batch for every hop and none twice: {run:#}");
    }
    calls
}

/// Breaks each call in turn, one per stack.
async fn every_call(when: When, action: Action, times: u64) {
    let fault = |n| Fault { service: None, operation: None, nth: n, times: Some(times), when, action };
    for path in PATHS {
        let calls = broken(path, fault(u64::MAX)).await;
        assert!(calls > 20, "only {calls} calls were seen");
        let all = stream::iter(1..=calls).map(|n| broken(path, fault(n)));
        all.buffer_unordered(AT_ONCE).for_each(|_| async {}).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_a_turn_with_tools_loses_its_answer_once() {
    every_call(When::After, Action::Fail, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_a_turn_with_tools_and_its_retries_fail_before_they_take_effect() {
    every_call(When::Before, Action::Fail, FOR_LONG).await;
}
