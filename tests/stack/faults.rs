//! Every call of a batch run fails once: before it takes effect, after it did, and for as long as the SDK tries. Whatever
//! broke, one batch is made, one message arrives, and no place of the job stays taken.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use futures::{StreamExt, stream};
use nightshift_local::endpoints::lambda_client;
use nightshift_local::gate::{Action, Fault, When};
use nightshift_tests::local::{Local, batch_job};
use serde_json::{Value, json};

/// More than the SDK's own attempts, so that the function itself sees the failure.
const FOR_LONG: u64 = 5;

fn fault(n: u64, when: When, action: Action, times: u64) -> Fault {
    Fault { service: None, operation: None, nth: n, times: Some(times), when, action }
}

/// Runs a batch job whose calls from the `n`-th on are broken; answers how many calls there were.
async fn broken(fault: Fault) -> u64 {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 60_000 }));
    local.advance(1).await;
    let mut job = batch_job("Whatever happens.");
    job["schedule"] = json!({ "kind": "cron", "expr": "5 6 * * *" });
    let id = local.add(&job).await;
    let context = format!("{fault:?}");
    let before = local.stack.gate.calls(0).len() as u64;
    local.stack.gate.set_faults(vec![fault]);
    local.advance(9).await;
    let calls = local.stack.gate.calls(before).len() as u64;
    let run = format!("{id}_20261120T060500Z");
    local.advance_past(std::slice::from_ref(&run), 2 * 60).await;
    let run = local.ok("cron.runGet", &json!({ "runId": run })).await;
    assert_eq!(run["status"], "ok", "{context}: {run:#}");
    assert_eq!(local.fake().batches().len(), 1, "{context}: {run:#}");
    assert_eq!(local.delivered().len(), 1, "{context}: {run:#}");
    let job = local.ok("cron.get", &json!({ "jobId": id })).await;
    assert_eq!(job["state"]["runningAtMs"], Value::Null, "{context}");
    assert_eq!(job["state"]["consecutiveErrors"], 0, "{context}");
    calls
}

/// How many stacks run at once: they mostly wait for the SDK's own pauses between its attempts.
const AT_ONCE: usize = 6;

/// Breaks each call in turn, one per stack.
async fn every_call(when: When, action: Action, times: u64) {
    let calls = broken(fault(u64::MAX, when, action, times)).await;
    assert!(calls > 20, "only {calls} calls were seen");
    stream::iter(1..=calls)
        .map(|n| broken(fault(n, when, action, times)))
        .buffer_unordered(AT_ONCE)
        .for_each(|_| async {})
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_fails_once_before_it_takes_effect() {
    every_call(When::Before, Action::Fail, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_loses_its_answer_once() {
    every_call(When::After, Action::Fail, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_and_its_retries_fail_before_they_take_effect() {
    every_call(When::Before, Action::Fail, FOR_LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_throttled_once() {
    every_call(When::Before, Action::Throttle, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_transaction_meets_another_one_once() {
    let mut fault = fault(1, When::Before, Action::Conflict, 1);
    fault.service = Some("dynamodb".to_owned());
    fault.operation = Some("TransactWriteItems".to_owned());
    for n in 1..=6 {
        broken(Fault { nth: n, ..fault.clone() }).await;
    }
}

/// Adds a job, switches it off and on, and removes another, while calls of the table are broken as `fault` says, with the
/// same request repeated until it goes through; answers how many calls of the table there were.
async fn counted(fault: Fault) -> u64 {
    let local = Local::start().await;
    let context = format!("{fault:?}");
    let goes = local.add(&batch_job("Goes.")).await;
    let before = local.stack.gate.calls(0).len() as u64;
    local.stack.gate.set_faults(vec![fault]);
    let insist = |key: &'static str, method: &'static str, body: Value| {
        let (local, context) = (&local, &context);
        async move {
            for _ in 0..3 {
                let answer = local.call_under(key, method, &body).await;
                if answer.status == 200 {
                    return answer.body;
                }
                assert!(answer.status >= 500, "{context}: {method} {}", answer.body);
            }
            panic!("{context}: {method} did not go through");
        }
    };
    let mut stays = batch_job("Stays.");
    stays["declarationKey"] = json!("stays");
    let id = insist("1", "cron.add", stays).await["jobId"].clone();
    for (key, enabled) in [("2", false), ("3", true), ("4", false)] {
        insist(key, "cron.update", json!({ "jobId": id, "patch": { "enabled": enabled } })).await;
    }
    insist("5", "cron.remove", json!({ "jobId": goes })).await;
    let calls = local.stack.gate.calls(before).iter().filter(|call| call.service == "dynamodb").count() as u64;
    local.stack.gate.set_faults(Vec::new());
    let status = local.ok("cron.status", &json!({})).await;
    let counts = (&status["jobs"], &status["enabledJobs"], &status["nextWakeAtMs"]);
    assert_eq!(counts, (&json!(1), &json!(0), &Value::Null), "{context}");
    calls
}

/// The answer gets lost to the SDK, which asks again by itself, and to the function, whose caller does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_counted_once_whichever_write_loses_its_answer() {
    let of_table = |n, times| {
        let fault = fault(n, When::After, Action::Fail, times);
        Fault { service: Some("dynamodb".to_owned()), ..fault }
    };
    let calls = counted(of_table(u64::MAX, 1)).await;
    assert!(calls > 15, "only {calls} calls were seen");
    let cases = (1..=calls).flat_map(|n| [of_table(n, 1), of_table(n, FOR_LONG)]);
    stream::iter(cases).map(counted).buffer_unordered(2 * AT_ONCE).for_each(|_| async {}).await;
}

/// Hands an envelope to a function and waits for it.
async fn invoke(local: &Local, function: &str, envelope: &Value) {
    let lambda = lambda_client(&local.stack.ready.lambda_url);
    let name = format!("arn:aws:lambda:us-east-1:000000000000:function:nightshift-{function}");
    let answer =
        lambda.invoke().function_name(name).payload(envelope.to_string().into_bytes().into()).send().await.unwrap();
    assert_eq!(answer.function_error(), None, "{:?}", answer.payload());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_and_calls_that_come_twice_change_nothing() {
    let local = Local::start().await;
    local.script(json!({ "batchDurationMs": 60_000 }));
    let mut job = batch_job("Once.");
    job["schedule"] = json!({ "kind": "cron", "expr": "5 6 * * *" });
    let id = local.add(&job).await;
    local.advance(4).await;
    let fire = json!({ "v": 1, "k": "job", "j": id, "g": 1, "s": "2026-11-20T06:05:00Z" });
    // Both sleep until the minute has come, and then the timer's own fire comes as well.
    tokio::join!(invoke(&local, "trigger", &fire), invoke(&local, "trigger", &fire), local.advance(1));
    let run = local.last_run(&id).await;
    let poll = json!({ "v": 1, "k": "poll", "b": run["batch"]["attemptId"], "n": 1 });
    local.advance(1).await;
    tokio::join!(invoke(&local, "poll", &poll), invoke(&local, "poll", &poll));
    local.advance(20).await;
    invoke(&local, "poll", &poll).await;
    invoke(&local, "trigger", &fire).await;
    let key = run["runId"].clone();
    let deliver = json!({ "v": 1, "k": "deliver", "r": key });
    tokio::join!(invoke(&local, "deliver", &deliver), invoke(&local, "deliver", &deliver));
    assert_eq!(local.fake().batches().len(), 1);
    let deliveries = local.stack.console.deliveries().unwrap();
    assert_eq!(deliveries.iter().map(|one| one.arrivals).collect::<Vec<_>>(), [1]);
    let runs = local.ok("cron.runs", &json!({ "jobId": id })).await;
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1);
    assert_eq!(local.last_run(&id).await["status"], "ok");
}

/// Makes up for three realtime occurrences of a job whose timer is gone, with the calls from the `n`-th on broken; answers
/// how many calls there were.
async fn made_up(fault: Fault) -> u64 {
    let local = Local::start().await;
    local.advance(1).await;
    let mut job = batch_job("Better late than never.");
    job["schedule"] = json!({ "kind": "cron", "expr": "5,10,15 6 * * *" });
    job["missed"] = json!("all");
    job["payload"]["batch"] = json!({ "enabled": false });
    let id = local.add(&job).await;
    local.drop_timer(&format!("j-{id}")).await;
    let context = format!("{fault:?}");
    // The sweeps at 06:15 and 06:30 set the timer, begin what is late and make up for what was missed.
    local.advance(13).await;
    let before = local.stack.gate.calls(0).len() as u64;
    local.stack.gate.set_faults(vec![fault]);
    local.advance(20).await;
    let calls = local.stack.gate.calls(before).len() as u64;
    let made_up = ["0605", "0610", "0615"].map(|minute| format!("{id}_20261120T{minute}00Z"));
    local.advance_past(&made_up, 3 * 60).await;
    let runs = local.ok("cron.runs", &json!({ "jobId": id })).await;
    let ok: Vec<(&Value, &Value)> =
        runs["runs"].as_array().unwrap().iter().map(|run| (&run["slot"], &run["status"])).collect();
    let wanted = [15, 10, 5].map(|minute| (json!(format!("2026-11-20T06:{minute:02}:00Z")), json!("ok")));
    assert!(ok.iter().zip(&wanted).all(|(run, (slot, status))| *run == (slot, status)), "{context}: {ok:?}");
    assert_eq!(ok.len(), 3, "{context}: {ok:?}");
    assert_eq!(local.delivered().len(), 3, "{context}: {runs:#}");
    let job = local.ok("cron.get", &json!({ "jobId": id })).await;
    assert_eq!(job["state"]["runningAtMs"], Value::Null, "{context}");
    calls
}

/// Breaks every other call of making up in turn, one per stack: those that fail before they take effect and those that lose
/// their answer take turns. Each in both ways, on the table in memory, is the simulation's.
async fn every_other_call_of_making_up(first: u64, when: When) {
    let calls = made_up(fault(u64::MAX, when, Action::Fail, 1)).await;
    assert!(calls > 20, "only {calls} calls were seen");
    stream::iter((first..=calls).step_by(2))
        .map(|n| made_up(fault(n, when, Action::Fail, 1)))
        .buffer_unordered(AT_ONCE)
        .for_each(|_| async {})
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_making_up_for_missed_occurrences_fail_before_they_take_effect() {
    every_other_call_of_making_up(1, When::Before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_making_up_for_missed_occurrences_lose_their_answers() {
    every_other_call_of_making_up(2, When::After).await;
}
