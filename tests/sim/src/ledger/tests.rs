//! Each rule is shown a world that keeps it and one that breaks it: a rule that says nothing is worth nothing.

use std::sync::Arc;

use chrono::TimeDelta;
use futures::FutureExt;
use nightshift_domain::config::Config;
use nightshift_domain::model::{Role, TurnMessage};
use nightshift_engine::ports::BatchRow;
use nightshift_engine::{Clock, ManualClock};
use serde_json::json;

use super::*;
use crate::gate::Verdict;
use crate::provider::tests::Always;
use crate::provider::{Plan, RowPlan, SimProvider};

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_219_200, 0).unwrap()
}

struct Bench {
    clock: ManualClock,
    provider: Arc<SimProvider>,
}

impl Bench {
    fn new() -> Self {
        let clock = ManualClock::new(start());
        Self { provider: SimProvider::new(clock.clone()), clock }
    }

    fn batch(&self, names: &[&str]) -> String {
        let rows: Vec<BatchRow> = names.iter().map(|name| row(name)).collect();
        let models = self.provider.models(Arc::new(Always(Verdict::Go)), 1);
        let opened = models.open(&Config::default(), "anthropic").now_or_never().unwrap().unwrap();
        opened.model.batches().unwrap().create(&rows).now_or_never().unwrap().unwrap().remote
    }

    fn cancel(&self, remote: &str) {
        let models = self.provider.models(Arc::new(Always(Verdict::Go)), 1);
        let opened = models.open(&Config::default(), "anthropic").now_or_never().unwrap().unwrap();
        opened.model.batches().unwrap().cancel(remote).now_or_never().unwrap().unwrap();
    }

    /// Asks in realtime, and waits for the answer.
    fn ask(&self, verdict: Verdict) {
        let models = self.provider.models(Arc::new(Always(verdict)), 1);
        let opened = models.open(&Config::default(), "anthropic").now_or_never().unwrap().unwrap();
        let request = request();
        let mut answer = opened.model.message(&request, self.clock.now() + TimeDelta::hours(1));
        assert!((&mut answer).now_or_never().is_none());
        self.clock.advance(TimeDelta::seconds(5));
        drop((&mut answer).now_or_never());
    }

    fn end(&self) {
        self.clock.advance(TimeDelta::hours(1));
    }
}

fn request() -> HopRequest {
    let messages = vec![TurnMessage { role: Role::User, content: "\"Say so.\"".to_owned() }];
    HopRequest { model: "claude-sonnet-5-5".to_owned(), messages, ..HopRequest::default() }
}

fn row(name: &str) -> BatchRow {
    BatchRow { custom_id: name.to_owned(), request: request() }
}

const KEY: &str = "a_20261120T070000Z";
const ROW: &str = "a_20261120T070000Z_1_1";
const AGAIN: &str = "a_20261120T070000Z_1_2";

fn run() -> Run {
    serde_json::from_value(json!({
        "key": KEY, "jobId": "a", "jobName": "a", "agentId": "main", "origin": "schedule", "task": { "task": "turn" },
        "slot": start(), "sequence": 1, "createdAt": start(), "startedAt": null, "endedAt": null,
        "state": { "state": "due" }, "stateSince": start(), "rev": 1, "turn": { "message": "Say so." },
        "prompt": { "inline": "Say so." }, "delivery": null,
        "cost": { "paidNanoUsd": 0, "realtimeNanoUsd": 0 },
    }))
    .unwrap()
}

/// A run that has booked these lines as its first hop.
fn booked(lines: &[BillLine]) -> Run {
    let mut run = run();
    for line in lines {
        let path = if matches!(line.via, BilledVia::Batch { .. }) { Path::Batch } else { Path::Realtime };
        run.cost = run.cost.plus(line.cost);
        run.hops.push(Hop {
            n: 1,
            path,
            model: line.model.clone(),
            message_id: line.message_id.clone(),
            request_id: None,
            batch: None,
            stop_reason: "end_turn".to_owned(),
            usage: line.usage.clone(),
            cost: line.cost,
            in_realtime: None,
            at: line.at,
            compaction: false,
            unused: false,
            attempt: 1,
            waited_seconds: None,
        });
    }
    run
}

#[test]
fn two_rows_of_a_hop_are_told_of_unless_one_of_them_came_to_nothing_or_the_run_owns_up() {
    let bench = Bench::new();
    bench.provider.plan(Plan::Row(RowPlan::Errored));
    bench.batch(&[ROW]);
    assert_eq!(rows_twice(&bench.provider.batches(), &[]), Vec::<String>::new());
    bench.end();
    bench.batch(&[AGAIN]);
    assert_eq!(rows_twice(&bench.provider.batches(), &[]), Vec::<String>::new(), "the first came to nothing");
    bench.batch(&[AGAIN]);
    let seen = rows_twice(&bench.provider.batches(), &[run()]);
    assert_eq!(seen, [format!("hop 1 of {KEY} is in msgbatch_000002 and msgbatch_000003")]);
    bench.end();
    assert_eq!(rows_twice(&bench.provider.batches(), &[run()]).len(), 1, "paid twice");
    let code = "ambiguous_batch".to_owned();
    let owns_up = Run { state: State::Failed { code, message: String::new() }, ..run() };
    assert_eq!(rows_twice(&bench.provider.batches(), &[owns_up]), Vec::<String>::new());
}

#[test]
fn a_wrong_row_that_is_sent_again_and_a_third_row_are_told_of() {
    let bench = Bench::new();
    for fate in [RowPlan::Invalid, RowPlan::Errored, RowPlan::Errored] {
        bench.provider.plan(Plan::Row(fate));
    }
    bench.batch(&[ROW]);
    bench.end();
    assert_eq!(rows_again(&bench.provider.batches(), 0), Vec::<String>::new());
    bench.batch(&[AGAIN]);
    bench.end();
    assert_eq!(
        rows_again(&bench.provider.batches(), 0),
        [format!("hop 1 of {KEY} was sent again although its request is wrong")]
    );
    bench.batch(&["a_20261120T070000Z_1_3"]);
    assert_eq!(rows_again(&bench.provider.batches(), 0).len(), 2);
}

#[test]
fn a_batch_is_stopped_only_when_all_its_members_wish_it_and_never_somebody_elses() {
    let bench = Bench::new();
    let remote = bench.batch(&[ROW, "b_20261120T070000Z_1_1"]);
    bench.cancel(&remote);
    let other = Run { key: RunKey::parse("b_20261120T070000Z").unwrap(), ..run() };
    let stays =
        stopped_unasked(&bench.provider.batches(), &[], &[Run { cancel_requested: true, ..run() }, other.clone()]);
    assert_eq!(stays, [format!("{remote} was stopped although b_20261120T070000Z waits for it")]);
    let both = [Run { cancel_requested: true, ..run() }, Run { cancel_requested: true, ..other }];
    assert_eq!(stopped_unasked(&bench.provider.batches(), &[], &both), Vec::<String>::new());
    bench.provider.plan(Plan::Foreign { rows: 1, seconds: 60 });
    let theirs = bench.provider.batches().pop().unwrap().remote;
    bench.cancel(&theirs);
    assert_eq!(stopped_unasked(&bench.provider.batches(), &[], &both).len(), 1);
}

#[test]
fn a_hop_that_was_answered_three_times_in_realtime_is_told_of() {
    let bench = Bench::new();
    bench.ask(Verdict::CrashAfter);
    bench.ask(Verdict::Go);
    let now = bench.clock.now();
    assert_eq!(overpaid(&bench.provider.bill(), &[run()], now), Vec::<String>::new());
    bench.ask(Verdict::Go);
    let now = bench.clock.now();
    let bill = bench.provider.bill();
    assert_eq!(overpaid(&bill, &[run()], now), [format!("a hop of {KEY} was answered 3 times in realtime")]);
    let other = Run { key: RunKey::parse("a_20261120T080000Z").unwrap(), ..run() };
    assert_eq!(overpaid(&bill, &[run(), other], now), Vec::<String>::new(), "two runs may be answered four times");
    let before = Run { ended_at: Some(start() - TimeDelta::seconds(1)), ..run() };
    assert_eq!(overpaid(&bill, &[run(), before], now).len(), 1, "a run that was over did not ask");
}

#[test]
fn a_paid_answer_that_is_in_no_run_is_told_of_unless_it_never_reached_us() {
    let bench = Bench::new();
    bench.batch(&[ROW]);
    bench.ask(Verdict::FailAfter);
    bench.ask(Verdict::Go);
    bench.end();
    let bill = bench.provider.bill();
    let never = |_: &BillLine| false;
    let in_batch: Vec<BillLine> =
        bill.iter().filter(|line| matches!(line.via, BilledVia::Batch { .. })).cloned().collect();
    assert_eq!(unaccounted(&bill, &[run()], never).len(), 2);
    assert_eq!(unaccounted(&bill, &[booked(&in_batch)], never).len(), 1, "the answer that came back is missing");
    assert_eq!(unaccounted(&bill, &[booked(&in_batch)], |line| line.reached), Vec::<String>::new());
    let all = booked(&bill);
    assert_eq!(unaccounted(&bill, std::slice::from_ref(&all), never), Vec::<String>::new());
    let sum = sums(&bill, std::slice::from_ref(&all));
    assert_eq!((sum.booked, sum.lost), (sum.billed, 0));
    let lost: u64 = bill.iter().map(|line| line.cost.paid_nano_usd).sum::<u64>() - in_batch[0].cost.paid_nano_usd;
    assert_eq!(sums(&bill, &[booked(&in_batch)]).lost, lost);
}

#[test]
fn money_from_nowhere_twice_at_another_price_or_for_another_hop_is_told_of() {
    let bench = Bench::new();
    bench.batch(&[ROW]);
    bench.end();
    let bill = bench.provider.bill();
    let right = booked(&bill);
    assert_eq!(misbooked(&bill, std::slice::from_ref(&right)), Vec::<String>::new());
    assert_eq!(misbooked(&[], std::slice::from_ref(&right)).len(), 1, "on no bill");
    let told = |change: &dyn Fn(&mut Run)| {
        let mut wrong = right.clone();
        change(&mut wrong);
        misbooked(&bill, &[wrong]).len()
    };
    assert_eq!(told(&|run| run.cost.paid_nano_usd += 1), 1, "not the sum of its hops");
    assert_eq!(told(&|run| run.hops[0].n = 2), 1, "another hop");
    assert_eq!(told(&|run| run.hops[0].path = Path::Realtime), 1, "another path");
    assert_eq!(told(&|run| run.key = RunKey::parse("b_20261120T070000Z").unwrap()), 1, "another run");
    assert_eq!(told(&|run| run.hops[0].cost.paid_nano_usd -= 1), 2, "another price");
    let twice = [bill[0].clone(), bill[0].clone()];
    assert_eq!(misbooked(&bill, &[booked(&twice)]).len(), 1, "twice");
}
