//! What runs set aside, and that purses come to what was paid and is set aside.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::Config;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn run(state: &Value, budget: &Value) -> Run {
    let now = "2026-11-20T07:00:00Z";
    let run = json!({ "key": "a_20261120T070000Z", "jobId": "a", "jobName": "A", "agentId": "ops", "origin": "schedule",
        "task": { "task": "turn" }, "slot": now, "sequence": 1, "createdAt": now, "startedAt": now, "endedAt": null,
        "state": state, "stateSince": now, "rev": 3, "turn": { "message": "x" }, "prompt": { "inline": "x" },
        "delivery": null, "budget": budget });
    serde_json::from_value(run).unwrap()
}

fn running(hop: u32, starts: u32) -> Value {
    json!({ "state": "running", "hop": hop, "starts": starts, "tries": 0 })
}

fn hop(n: u32, paid: u64) -> Hop {
    let hop = json!({ "n": n, "path": "realtime", "model": "m", "messageId": format!("msg_{n}"), "stopReason": "tool_use",
        "usage": { "input_tokens": 10 }, "cost": { "paidNanoUsd": paid, "realtimeNanoUsd": paid }, "at": "2026-11-20T07:00:00Z" });
    serde_json::from_value(hop).unwrap()
}

fn day_limit(most: NanoUsd) -> Limit {
    let period = Period::Day("2026-11-20".parse().unwrap());
    Limit { purse: Purse { scope: Scope::All, period }, most }
}

#[test]
fn every_budget_that_holds_for_a_run_is_a_limit() {
    let config = json!({ "cron": { "budget": { "monthUsd": 300 } },
        "agents": { "entries": { "ops": { "budget": { "dayUsd": 2, "runUsd": 0.5 } } } } });
    let config = Config::parse(&config).unwrap();
    let run = run(&running(1, 1), &json!({ "dayUsd": 0.25, "runUsd": 0.75 }));
    let limits = limits(&run, &config, at("2026-11-30T23:59:59Z"));
    let words: Vec<String> = limits.iter().map(Limit::words).collect();
    assert_eq!(
        words,
        [
            "the job's budget of $0.25 a day",
            "the budget of agent ops of $2.00 a day",
            "the budget of all jobs of $300.00 a month"
        ]
    );
    let day = "2026-11-30".parse().unwrap();
    assert_eq!(limits[0].purse, Purse { scope: Scope::Job("a".into()), period: Period::Day(day) });
    let names: Vec<String> = limits.iter().map(|limit| limit.purse.to_string()).collect();
    assert_eq!(names, ["job/a/2026-11-30", "agent/ops/2026-11-30", "all/2026-11"]);
    let (first, last) = limits[2].purse.period.days();
    assert_eq!((first.to_string(), last), ("2026-11-01".to_owned(), day));
    assert_eq!(run_limit(&run, &config), Some(500_000_000), "the least of a run's limits");
    let none = super::limits(&run, &Config::default(), at("2026-11-30T23:59:59Z"));
    assert_eq!(none.len(), 1);
}

#[test]
fn what_is_set_aside_for_a_call_becomes_what_it_cost() {
    let limits = [day_limit(1_000)];
    let due = run(&json!({ "state": "due" }), &Value::Null);
    let mut sent = run(&running(1, 1), &Value::Null);
    let changes = moved(&due, &[], &mut sent, Some((400, &limits)));
    assert_eq!(changes, [Change { purse: limits[0].purse.clone(), by: 400, most: Some(1_000) }]);
    assert_eq!((sent.reserve.nano, sent.reserve.call.unwrap().hop), (400, 1));

    // A write that leaves the call alone changes nothing.
    let mut same = sent.clone();
    assert_eq!(moved(&sent, &[], &mut same, None), []);
    assert_eq!(same.reserve, sent.reserve);

    let mut tools = Run { state: State::Tools { hop: 1, starts: 1 }, ..sent.clone() };
    tools.hops.push(hop(1, 150));
    let before = tools.clone();
    let changes = moved(&Run { reserve: sent.reserve.clone(), ..before }, &[], &mut tools, None);
    assert_eq!(changes, [Change { purse: limits[0].purse.clone(), by: -250, most: None }]);
    assert_eq!((tools.reserve.nano, tools.reserve.call), (0, None));

    // The next day has a purse of its own; what was paid stays where it was.
    let next = Limit {
        purse: Purse { period: Period::Day("2026-11-21".parse().unwrap()), ..limits[0].purse.clone() },
        most: 9,
    };
    let mut again = Run { state: State::Running { hop: 2, starts: 1, tries: 0 }, ..tools.clone() };
    let changes = moved(&tools, &tools.hops, &mut again, Some((5, std::slice::from_ref(&next))));
    assert_eq!(changes, [Change { purse: next.purse.clone(), by: 5, most: Some(9) }]);
    assert_eq!(again.reserve.purses, [next.purse]);
}

#[test]
fn a_call_that_may_have_been_paid_stays_set_aside_until_it_comes_back() {
    let limits = [day_limit(1_000)];
    let mut sent = run(&running(1, 1), &Value::Null);
    moved(&run(&json!({ "state": "due" }), &Value::Null), &[], &mut sent, Some((400, &limits)));
    let mut restarted = run(&running(1, 2), &Value::Null);
    restarted.books = sent.books.clone();
    restarted.gave_up(crate::run::Call::realtime(1), at("2026-11-20T07:05:00Z"));
    let changes = moved(&sent, &[], &mut restarted, Some((400, &limits)));
    assert_eq!(changes, [Change { purse: limits[0].purse.clone(), by: 400, most: Some(1_000) }], "one more of it");
    assert_eq!((restarted.reserve.nano, restarted.reserve.doubts.as_slice()), (400, &[400][..]));
    assert_eq!(spent(&restarted), 400);

    let mut booked = restarted.clone();
    assert!(booked.book_unused(hop(1, 120), at("2026-11-20T07:06:00Z")));
    let changes = moved(&restarted, &[], &mut booked, None);
    assert_eq!(changes, [Change { purse: limits[0].purse.clone(), by: 120 - 400, most: None }]);
    assert!(booked.reserve.doubts.is_empty());

    // Refused for nothing: given back whole.
    let mut paused = Run { state: State::Due, ..sent.clone() };
    let changes = moved(&sent, &[], &mut paused, None);
    assert_eq!(changes[0].by, -400);
}

#[test]
fn the_most_a_call_can_cost_is_no_less_than_at_any_price_until_it_is_answered() {
    let configured =
        json!([{ "model": "anthropic/claude-opus-5-5", "from": "2026-11-21", "input": 40, "output": 200 }]);
    let configured: Vec<PriceRow> = serde_json::from_value(configured).unwrap();
    let call = |until, path| Costliest {
        reference: "anthropic/claude-opus-5-5",
        path,
        bytes: 2_000,
        max_tokens: 100,
        searches: 1,
        now: at("2026-11-20T23:59:00Z"),
        until: at(until),
    };
    // 1,000 tokens written for an hour at $8, 100 at $20, a tenth for the United States, and a search.
    let today = most(&call("2026-11-20T23:59:59Z", Path::Realtime), &configured);
    assert_eq!(today, (1_000 * 8_000 + 100 * 20_000) * 11 / 10 + 10_000_000);
    let tomorrow = most(&call("2026-11-21T00:00:01Z", Path::Realtime), &configured);
    assert_eq!(tomorrow, (1_000 * 40_000 + 100 * 200_000) * 11 / 10 + 10_000_000, "the price of midnight counts");
    let batch = most(&call("2026-11-20T23:59:59Z", Path::Batch), &configured);
    assert_eq!(batch, (1_000 * 8_000 + 100 * 20_000) * 11 / 20 + 10_000_000);
    let nobody = Costliest { reference: "vllm/qwen", ..call("2026-11-21T00:00:01Z", Path::Realtime) };
    assert_eq!(most(&nobody, &configured), 0, "no price is known");
}

#[test]
fn sentences_name_the_budget_what_is_left_and_what_is_needed() {
    assert_eq!(
        refusal(&day_limit(2_000_000_000).words(), 1_250_000, 0),
        "the budget of all jobs of $2.00 a day has $0.00 left, and the next call may cost $0.0013"
    );
    assert!(passes(&run(&running(1, 1), &Value::Null), 11, 10) && !passes(&run(&running(1, 1), &Value::Null), 10, 10));
}

proptest! {
    /// Whatever happens to runs one after the other: a purse holds what was paid and what is set aside, and no more than its
    /// limit as long as no answer costs more than was set aside for it.
    #[test]
    fn purses_hold_what_was_paid_and_what_is_set_aside(
        steps in prop::collection::vec((0_usize..3, 0_u8..6, 1_u64..300, 0_u64..=100), 1..60),
    ) {
        let limit = day_limit(1_000);
        let mut purse: BTreeMap<Purse, i64> = BTreeMap::new();
        let mut runs: Vec<Run> = (0..3).map(|_| run(&json!({ "state": "due" }), &Value::Null)).collect();
        for (which, what, wish, share) in steps {
            let before = runs[which].clone();
            let mut after = before.clone();
            let stood = before.hops.clone();
            let n = u32::try_from(before.hops.len()).unwrap() + 1;
            let mut offered = None;
            match (what, &before.state) {
                (0 | 1, State::Due) => {
                    let starts = before.books.given_up_of(n) + 1;
                    after.state = State::Running { hop: n, starts, tries: 0 };
                    let limits = std::slice::from_ref(&limit);
                    offered = Some((wish, limits));
                }
                (2 | 3, State::Running { .. }) => {
                    after.hops.push(hop(n, before.reserve.nano * share / 100));
                    after.state = State::Due;
                }
                (4, State::Running { .. }) => {
                    after.gave_up(crate::run::Call::realtime(n), at("2026-11-20T07:05:00Z"));
                    after.state = State::Due;
                }
                (5, State::Running { .. }) => after.state = State::Due,
                _ => continue,
            }
            let changes = moved(&before, &stood, &mut after, offered);
            let held = *purse.get(&limit.purse).unwrap_or(&0);
            let full = changes.iter().any(|change| change.most.is_some_and(|most| held + change.by > i64::try_from(most).unwrap()));
            if full {
                continue;
            }
            for change in changes {
                *purse.entry(change.purse).or_default() += change.by;
            }
            runs[which] = after;
            let due: u64 = runs.iter().map(|run| spent(run) + run.reserve.nano).sum();
            let held = *purse.get(&limit.purse).unwrap_or(&0);
            prop_assert_eq!(held, i64::try_from(due).unwrap());
            prop_assert!(held <= 1_000);
        }
    }
}
