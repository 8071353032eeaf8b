//! What answers add to the totals, and what those come to.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::run::{Path, paid};

const NONE: Totals = Totals {
    runs: 0,
    runs_of_model: 0,
    runs_of_path: 0,
    hops: 0,
    paid: 0,
    realtime: 0,
    unused: 0,
    unpriced: 0,
    input: 0,
    write_5m: 0,
    write_1h: 0,
    read: 0,
    output: 0,
    searches: 0,
    aws: 0,
};

/// Without what AWS charged, which has tests of its own.
fn of_models(totals: Totals) -> Totals {
    Totals { aws: 0, ..totals }
}

fn run(job: &str, day: u32, hops: Vec<Hop>) -> Run {
    let key = format!("{job}_202611{day:02}T070000Z");
    let at = format!("2026-11-{day:02}T07:00:00Z");
    let run = json!({ "key": key, "jobId": job, "jobName": format!("Job {job}"), "agentId": "main", "origin": "schedule",
        "task": { "task": "turn" }, "slot": at, "sequence": 1, "createdAt": at, "startedAt": at, "endedAt": null,
        "state": { "state": "delivering" }, "stateSince": at, "rev": 3, "turn": { "message": "x" },
        "prompt": { "inline": "x" }, "delivery": null });
    let run: Run = serde_json::from_value(run).unwrap();
    let cost = hops.iter().fold(Cost::default(), |sum, hop| sum.plus(hop.cost));
    Run { hops, cost, ..run }
}

/// An answer of 10 tokens in and 2 out.
fn hop(n: u32, model: &str, path: Path, paid: u64, in_realtime: &Value) -> Hop {
    let hop = json!({ "n": n, "path": path, "model": model, "messageId": format!("msg_{n}"), "stopReason": "end_turn",
        "usage": { "input_tokens": 10, "output_tokens": 2 }, "cost": { "paidNanoUsd": paid, "realtimeNanoUsd": paid * 2 },
        "inRealtime": in_realtime, "at": "2026-11-20T07:00:00Z" });
    serde_json::from_value(hop).unwrap()
}

fn compared(uncached: u64, cached: u64) -> Value {
    json!({ "uncachedNanoUsd": uncached, "cachedNanoUsd": cached })
}

fn summed(all: &[Spend], by: CostBy) -> CostSums {
    let mut sums = CostSums::new(by);
    for spend in all {
        sums.add(spend);
    }
    sums
}

#[test]
fn the_alternative_is_the_cheaper_one_of_the_whole_run() {
    let hops = vec![
        hop(1, "m", Path::Batch, 50, &compared(100, 125)),
        hop(2, "m", Path::Batch, 60, &compared(110, 30)),
        hop(3, "m", Path::Batch, 70, &compared(120, 30)),
    ];
    let spent = spent(&[], &run("a", 20, hops.clone()));
    assert_eq!(spent.len(), 1);
    let cached = 125 + 30 + 30;
    assert!(spent[0].totals.aws > 0);
    assert_eq!(
        of_models(spent[0].totals),
        Totals {
            runs: 1,
            runs_of_model: 1,
            runs_of_path: 1,
            hops: 3,
            paid: 180,
            realtime: cached,
            input: 30,
            output: 6,
            ..NONE
        }
    );
    assert_eq!(run("a", 20, hops.clone()).saved(), cached - 180);
    // One hop: uncached. Rows of before the comparison was kept: the same tokens in realtime.
    assert_eq!(best_realtime(&hops[..1]), 100);
    assert_eq!(best_realtime(&[hop(1, "m", Path::Batch, 50, &Value::Null)]), 100);
    assert_eq!(
        best_realtime(&[hop(1, "m", Path::Realtime, 40, &compared(100, 125))]),
        80,
        "as it was, if that was least"
    );
}

#[test]
fn what_is_of_no_use_costs_and_saves_nothing() {
    let unused = Hop { unused: true, ..hop(1, "m", Path::Batch, 50, &compared(100, 125)) };
    let stood = [hop(1, "m", Path::Batch, 50, &compared(100, 125))];
    let spent = spent(&stood, &run("a", 20, vec![unused.clone()]));
    assert_eq!(of_models(spent[0].totals), Totals { realtime: -100, unused: 50, ..NONE }, "it was taken in before");
    let of = SpendOf { model: "m".to_owned(), ..spent[0].of.clone() };
    let gone = spent_for_nothing(of, &Hop { unused: false, ..unused });
    assert_eq!(of_models(gone.totals), Totals { hops: 1, paid: 50, unused: 50, input: 10, output: 2, ..NONE });
}

#[test]
fn a_write_that_changes_no_answer_adds_nothing() {
    let run = run("a", 20, vec![hop(1, "m", Path::Batch, 50, &Value::Null)]);
    assert_eq!(spent(&run.hops, &run), []);
}

#[test]
fn a_run_of_two_paths_counts_in_both_rows_and_once_in_the_total() {
    let mixed = vec![
        hop(1, "m", Path::Batch, 30, &Value::Null),
        hop(2, "m", Path::Realtime, 5, &Value::Null),
        hop(3, "other", Path::Realtime, 0, &Value::Null),
    ];
    let mut all = spent(&[], &run("a", 2, mixed));
    let renamed =
        Run { job_name: "New name".to_owned(), ..run("a", 3, vec![hop(1, "m", Path::Batch, 10, &Value::Null)]) };
    all.extend(spent(&[], &renamed));
    all.extend(spent(&[], &run("b", 3, vec![hop(1, "m", Path::Batch, 1, &Value::Null)])));
    let of = |by| {
        let sums = summed(&all, by);
        let total = Sum { aws: 0, ..sums.total() };
        assert_eq!(total, Sum { runs: 3, hops: 5, paid: 46, realtime: 92, ..Sum::default() });
        assert_eq!(sums.unpriced(), 1);
        sums.rows().into_iter().map(|row| (row.key, row.sum.runs, row.sum.paid)).collect::<Vec<_>>()
    };
    assert_eq!(of(CostBy::Path), [("batch".into(), 3, 41), ("realtime".into(), 1, 5)]);
    assert_eq!(of(CostBy::Job), [("a".into(), 2, 45), ("b".into(), 1, 1)]);
    assert_eq!(of(CostBy::Day), [("2026-11-02".into(), 1, 35), ("2026-11-03".into(), 2, 11)]);
    assert_eq!(of(CostBy::Month), [("2026-11".into(), 3, 46)]);
    assert_eq!(of(CostBy::Agent), [("main".into(), 3, 46)]);
    assert_eq!(of(CostBy::Model), [("anthropic/m".into(), 3, 46), ("anthropic/other".into(), 1, 0)]);
    all.reverse();
    assert_eq!(summed(&all, CostBy::Job).rows()[0].name.as_deref(), Some("New name"), "whatever order they come in");
}

#[test]
fn what_cost_more_than_realtime_saved_less_than_nothing() {
    let sum = Sum { runs: 1, hops: 2, paid: 7, realtime: 5, ..Sum::default() };
    assert_eq!(sum.saved(), -2);
}

#[test]
fn every_word_and_every_number_is_its_own() {
    for (word, by) in CostBy::WORDS {
        assert_eq!(by.word(), word);
    }
    let names = NONE.named().map(|(name, _)| name);
    let each = Totals::of(|name| i64::try_from(names.iter().position(|known| *known == name).unwrap()).unwrap());
    assert_eq!(each.named().map(|(_, number)| number), std::array::from_fn(|at| i64::try_from(at).unwrap()));
}

proptest! {
    /// However a run came to its answers, write by write, the totals come to what it has.
    #[test]
    fn steps_add_up_to_the_whole(
        hops in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>(), 0_u64..1_000, 0_u64..1_000, 0_u64..1_000), 0..8),
        cut in prop::collection::vec(any::<bool>(), 8),
    ) {
        let hops: Vec<Hop> = (1_u32..).zip(&hops).map(|(n, (batch, other, unused, paid, uncached, cached))| {
            let path = if *batch { Path::Batch } else { Path::Realtime };
            let hop = hop(n, if *other { "other" } else { "m" }, path, *paid, &compared(*uncached, *cached));
            Hop { unused: *unused, ..hop }
        }).collect();
        let whole = run("a", 20, hops.clone());
        let (mut stood, mut steps) = (Vec::new(), Vec::new());
        for (at, cut) in (1..=hops.len()).zip(cut) {
            if cut || at == hops.len() {
                let step = run("a", 20, hops[..at].to_vec());
                steps.extend(spent(&stood, &step));
                stood = step.hops;
            }
        }
        let at_once = spent(&[], &whole);
        for (_, by) in CostBy::WORDS {
            let (one, other) = (summed(&steps, by), summed(&at_once, by));
            prop_assert_eq!(one.rows(), other.rows());
            prop_assert_eq!(one.total(), other.total());
            let rows = one.rows();
            prop_assert_eq!(rows.iter().map(|row| row.sum.paid).sum::<u64>(), paid(&whole.hops));
            prop_assert_eq!(rows.iter().map(|row| row.sum.realtime).sum::<u64>(), best_realtime(&whole.hops));
            let aws: u64 = whole.hops.iter().enumerate().map(|(at, hop)| crate::aws::of_hop(hop, at == 0)).sum();
            prop_assert_eq!(one.total().aws, aws);
            prop_assert_eq!(one.total().runs, u64::from(!hops.is_empty()));
        }
    }
}
