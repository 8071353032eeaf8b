use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::*;
use crate::batch::{BatchState, Marks, Roll};
use crate::job::OnTimeout;
use crate::model::{ModelErrorKind, Reply, StopReason};
use crate::money::Cost;
use crate::run::{Plan, RowResult, State, next};

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_219_200, 0).unwrap()
}

fn run(state: &Value, plan: Option<Plan>) -> Run {
    let run = json!({
        "key": "a_20261120T070000Z", "jobId": "a", "jobName": "A", "agentId": "main", "origin": "schedule",
        "task": { "task": "turn" }, "slot": "2026-11-20T07:00:00Z", "sequence": 1,
        "createdAt": "2026-11-20T07:00:00Z", "state": state, "stateSince": "2026-11-20T07:00:00Z", "rev": 7,
        "turn": { "message": "" }, "prompt": { "inline": "hello" },
    });
    Run { plan, ..serde_json::from_value(run).unwrap() }
}

fn plan(path: &str, fallback: Option<&str>) -> Plan {
    let plan = json!({ "path": path, "fallbackReason": fallback, "provider": "anthropic", "model": "m", "maxTokens": 9,
        "deadline": "2026-11-20T09:00:00Z", "onTimeout": "fail", "realtimeSeconds": 60, "maxHops": 3 });
    serde_json::from_value(plan).unwrap()
}

fn submitted() -> Value {
    json!({ "state": "submitted", "hop": 1, "attempt": 1, "batch": "01KAHJ5Z3M7Q2W4E6R8T0YABCD" })
}

/// A run that took in an answer of 15 tokens for 40 billionths, half of what realtime costs, and the event that brought it.
fn answered(state: &Value) -> (Run, Event) {
    let usage = json!({ "input_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3, "output_tokens": 3 });
    let reply = Reply {
        message_id: "msg_1".into(),
        request_id: None,
        model: "m".into(),
        stop_reason: StopReason::EndTurn,
        content: "[]".into(),
        text: "a".into(),
        usage: usage.clone(),
        container: None,
    };
    let mut run = run(state, Some(plan("batch", None)));
    let cost = Cost { paid_nano_usd: 40, realtime_nano_usd: 80 };
    let hop = json!({ "n": 1, "path": "batch", "model": "m", "messageId": "msg_1", "batch": "01KAHJ5Z3M7Q2W4E6R8T0YABCD",
        "stopReason": "end_turn", "usage": usage, "cost": cost, "at": "2026-11-20T07:00:00Z" });
    run.hops.push(serde_json::from_value(hop).unwrap());
    // An answer of before is in the books already.
    run.cost = Cost { paid_nano_usd: 100, realtime_nano_usd: 200 }.plus(cost);
    (run, Event::BatchEnded(RowResult::Succeeded(Box::new(reply))))
}

fn step(before: &Run, event: &Event) -> Reading {
    let after = next(before, event.clone(), now()).unwrap().run;
    moved(before, event, &after)
}

#[test]
fn an_answer_counts_for_its_tokens_its_cost_and_what_it_saved_and_for_nothing_of_before() {
    let (before, event) = answered(&submitted());
    let reading = step(&before, &event);
    let values = [(Metric::InputTokens, 12), (Metric::OutputTokens, 3), (Metric::Cost, 40), (Metric::Savings, 40)];
    assert_eq!(reading.values, values);
    assert_eq!(reading.batch.unwrap().as_str(), "01KAHJ5Z3M7Q2W4E6R8T0YABCD");
}

#[test]
fn a_booking_behind_the_answer_is_not_taken_for_it() {
    let (mut before, event) = answered(&submitted());
    let other = Hop { message_id: "msg_0".into(), unused: true, attempt: 2, ..before.hops[0].clone() };
    before.hops.push(other);
    before.cost = before.cost.plus(Cost { paid_nano_usd: 7, realtime_nano_usd: 7 });
    assert!(step(&before, &event).values.contains(&(Metric::Cost, 40)));
}

#[test]
fn an_answer_that_is_of_no_use_costs_and_saves_less_than_nothing() {
    let (mut before, event) = answered(&submitted());
    let mut after = before.clone();
    after.hops[0].unused = true;
    before.state = State::Delivering;
    let reading = moved(&before, &event, &after);
    let values = [(Metric::InputTokens, 12), (Metric::OutputTokens, 3), (Metric::Cost, 40), (Metric::Savings, -40)];
    assert_eq!(reading.values, values);
    let late = too_late(&before.key, &before.hops[0]);
    assert_eq!((late.values, late.kind.as_deref()), (reading.values, Some("paid_unused")));
}

#[test]
fn an_end_counts_once_with_its_code() {
    let failed = Event::Refused { code: "model_not_allowed".into(), message: "no".into() };
    let reading = step(&run(&json!({ "state": "due" }), None), &failed);
    assert_eq!((reading.values, reading.kind.as_deref()), (vec![(Metric::RunsFailed, 1)], Some("model_not_allowed")));
    let delivering = run(&json!({ "state": "delivering" }), Some(plan("batch", None)));
    let ends = [
        (DeliveryStatus::Delivered, vec![(Metric::RunsSucceeded, 1)]),
        (DeliveryStatus::NotRequested, vec![(Metric::RunsSucceeded, 1)]),
        (DeliveryStatus::Failed, vec![(Metric::RunsSucceeded, 1), (Metric::DeliveriesFailed, 1)]),
        (DeliveryStatus::Unknown, vec![(Metric::RunsSucceeded, 1), (Metric::DeliveriesUnknown, 1)]),
    ];
    for (status, values) in ends {
        assert_eq!(step(&delivering, &Event::Delivered(status)).values, values, "{status:?}");
    }
}

#[test]
fn a_run_that_is_skipped_at_once_is_begun_and_ended_by_one_write() {
    let skipped = run(&json!({ "state": "skipped", "reason": "overlap" }), None);
    let reading = begun(&skipped);
    assert_eq!(reading.values, [(Metric::RunsBegun, 1), (Metric::RunsSkipped, 1)]);
    assert_eq!(reading.kind.as_deref(), Some("overlap"));
    assert_eq!(begun(&run(&json!({ "state": "due" }), None)).values, [(Metric::RunsBegun, 1)]);
}

#[test]
fn a_fallback_that_was_known_beforehand_or_asked_for_is_an_expected_one_and_a_refused_batch_is_not() {
    let due = run(&json!({ "state": "due" }), None);
    let planned = |path, why| step(&due, &Event::Planned(Box::new(plan(path, why))));
    let subscription = planned("realtime", Some("credential_subscription"));
    assert_eq!(subscription.values, [(Metric::FallbacksExpected, 1)]);
    assert_eq!(subscription.kind.as_deref(), Some("credential_subscription"));
    assert!(planned("batch", None).is_empty() && planned("realtime", None).is_empty());

    let submitting = json!({ "state": "submitting", "hop": 1, "attempt": 1, "tries": 0, "batch": "01A" });
    let refused = |kind| Event::BatchRefused { kind, message: "no".into(), retry_after: None };
    let reading = step(&run(&submitting, Some(plan("batch", None))), &refused(ModelErrorKind::Invalid));
    assert_eq!(
        (reading.values, reading.kind.as_deref()),
        (vec![(Metric::FallbacksUnexpected, 1)], Some("batch_refused"))
    );
    let patient = run(&submitting, Some(plan("batch", None)));
    assert!(step(&patient, &refused(ModelErrorKind::RateLimited)).is_empty(), "it is tried again");

    let impatient = Plan { on_timeout: OnTimeout::Realtime, ..plan("batch", None) };
    let reading = step(&run(&submitted(), Some(impatient)), &Event::BatchEnded(RowResult::Expired));
    assert!(reading.values.iter().all(|(metric, _)| *metric != Metric::FallbacksUnexpected), "{reading:?}");
}

#[test]
fn a_batch_that_brought_no_answer_ended_without_success() {
    let batch = Batch {
        id: AttemptId::new("01KAHJ5Z3M7Q2W4E6R8T0YABCD"),
        provider: "anthropic".into(),
        state: BatchState::Settled { remote: None },
        members: Roll::Listed(Vec::new()),
        settled: Marks::default(),
        digest: String::new(),
        started_at: now(),
        deadline: now(),
        on_timeout: OnTimeout::Fail,
        polls: 1,
        next_poll_at: now(),
        creator: None,
        untold: false,
        rejected: Vec::new(),
        checked_at: None,
        ended_at: Some(now() + TimeDelta::seconds(90)),
        not_found_since: None,
        broken_since: None,
        stopped_at_poll: None,
        rev: 1,
    };
    let wait = (Metric::BatchWait, 90_000);
    assert_eq!(settled(&batch, 3).values, [(Metric::BatchPolls, 1), (Metric::BatchesSucceeded, 1), wait]);
    assert_eq!(settled(&batch, 0).values, [(Metric::BatchPolls, 1), wait]);
    let lost = Batch { ended_at: None, ..batch };
    assert_eq!(settled(&lost, 0), polled(&lost));
}

#[test]
fn every_metric_has_a_name_of_its_own() {
    let names: HashSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    assert_eq!(names.len(), Metric::ALL.len());
    assert!(names.iter().all(|name| name.chars().all(|letter| letter.is_ascii_alphabetic())), "{names:?}");
}
