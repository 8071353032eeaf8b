use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use nightshift_domain::config::Config;
use nightshift_domain::model::{ModelErrorKind, TurnMessage};
use nightshift_domain::run::RowResult;
use nightshift_engine::ports::{Batches, CreateError, Model, OpenedModel, ResultLine};

use super::*;
use crate::gate::{Call, Verdict};

/// Says the same of every call.
#[derive(Debug)]
pub(crate) struct Always(pub(crate) Verdict);

impl Gate for Always {
    fn pass(&self, _: Call) -> BoxFuture<'_, Verdict> {
        std::future::ready(self.0).boxed()
    }
}

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

    fn open(&self, verdict: Verdict) -> Arc<dyn Model> {
        let models = self.provider.models(Arc::new(Always(verdict)), 7);
        let OpenedModel { model, .. } = models.open(&Config::default(), "anthropic").now_or_never().unwrap().unwrap();
        model
    }

    fn create(&self, verdict: Verdict, names: &[&str]) -> Option<Result<BatchView, CreateError>> {
        let rows: Vec<BatchRow> =
            names.iter().map(|name| BatchRow { custom_id: (*name).to_owned(), request: request() }).collect();
        let model = self.open(verdict);
        batches(&model).create(&rows).now_or_never()
    }

    fn results(&self, remote: &str) -> Vec<Result<ResultLine, ModelErrorKind>> {
        let model = self.open(Verdict::Go);
        let lines = batches(&model).results(remote).now_or_never().unwrap().unwrap();
        lines.map(|line| line.map_err(|error| error.kind)).collect::<Vec<_>>().now_or_never().unwrap()
    }

    fn listed(&self) -> Vec<String> {
        let model = self.open(Verdict::Go);
        let list = batches(&model).list(1000, None).now_or_never().unwrap().unwrap();
        list.batches.into_iter().map(|view| view.remote).collect()
    }

    fn advance(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }
}

fn batches(model: &Arc<dyn Model>) -> &dyn Batches {
    model.batches().unwrap()
}

fn request() -> HopRequest {
    let tools = r#"[{"name":"memory"}]"#.to_owned();
    let asked = TurnMessage { role: nightshift_domain::model::Role::User, content: "\"hi\"".to_owned() };
    HopRequest {
        model: "claude-sonnet-5-5".to_owned(),
        tools: Some(tools),
        messages: vec![asked],
        ..HopRequest::default()
    }
}

fn word(line: &Result<ResultLine, ModelErrorKind>) -> String {
    let word = |result: &RowResult| match result {
        RowResult::Succeeded(reply) => format!("{:?}", reply.stop_reason),
        RowResult::Errored { kind, .. } => format!("{kind:?}"),
        RowResult::Canceled => "Canceled".to_owned(),
        RowResult::Expired => "Expired".to_owned(),
        RowResult::Missing => "Missing".to_owned(),
        RowResult::Unreadable => "Unreadable".to_owned(),
    };
    line.as_ref().map_or_else(|kind| format!("{kind:?}!"), |line| format!("{} {}", line.custom_id, word(&line.result)))
}

#[test]
fn a_create_whose_answer_is_lost_leaves_a_batch_and_one_that_failed_before_leaves_none() {
    let bench = Bench::new();
    for _ in 0..6 {
        assert!(bench.create(Verdict::FailBefore, &["a"]).unwrap().is_err());
    }
    assert!(bench.create(Verdict::CrashBefore, &["a"]).is_none());
    assert!(matches!(bench.create(Verdict::Throttle, &["a"]), Some(Err(CreateError::Refused(_)))));
    assert_eq!(bench.provider.batches().len(), 0);
    assert!(matches!(bench.create(Verdict::FailAfter, &["a"]), Some(Err(CreateError::Unanswered(_)))));
    assert!(bench.create(Verdict::CrashAfter, &["a"]).is_none());
    assert_eq!(bench.listed(), ["msgbatch_000002", "msgbatch_000001"], "newest first");
}

#[test]
fn a_refusal_that_cannot_be_told_from_a_loss_is_never_called_a_refusal() {
    let bench = Bench::new();
    let mut kinds = Vec::new();
    for _ in 0..3 {
        match bench.create(Verdict::FailBefore, &["a"]).unwrap() {
            Err(CreateError::Refused(error)) => assert_ne!(error.kind, ModelErrorKind::Server),
            Err(CreateError::Unanswered(error)) => kinds.push(error.kind),
            Ok(view) => panic!("{view:?}"),
        }
    }
    assert_eq!(kinds, [ModelErrorKind::Server]);
}

#[test]
fn every_fate_of_a_row_comes_true_and_only_answers_are_paid() {
    let bench = Bench::new();
    let fates = [
        RowPlan::Answered(Say::Done),
        RowPlan::Errored,
        RowPlan::Invalid,
        RowPlan::Stopped,
        RowPlan::Missing,
        RowPlan::Never,
        RowPlan::Answered(Say::Notes),
        RowPlan::Answered(Say::Sends),
    ];
    for fate in fates {
        bench.provider.plan(Plan::Row(fate));
    }
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let view = bench.create(Verdict::Go, &names).unwrap().unwrap();
    bench.advance(299);
    assert_eq!(bench.provider.bill().len(), 0);
    bench.advance(1);
    assert_eq!(bench.provider.bill().len(), 3, "an answer is paid when it is made, not when the batch ends");
    bench.advance(24 * 3600 - 301);
    assert!(bench.provider.batches()[0].ended_at.is_none());
    bench.advance(1);
    let lines: Vec<String> = bench.results(&view.remote).iter().map(word).collect();
    let expected =
        ["h EndTurn", "g ToolUse", "f Expired", "d Canceled", "c Invalid", "b Server", "a EndTurn"].map(str::to_owned);
    assert_eq!(lines, expected, "no line for the missing one; a tool that is not offered is not used");
    let bill = bench.provider.bill();
    assert_eq!(bill.len(), 3);
    let costs: std::collections::BTreeSet<u64> = bill.iter().map(|line| line.cost.paid_nano_usd).collect();
    assert_eq!(costs.len(), 3, "each answer has a cost of its own");
    assert!(bill.iter().all(|line| line.reached && line.cost.paid_nano_usd > 0));
}

#[test]
fn a_batch_that_is_told_to_stop_keeps_what_was_answered_and_drops_the_rest() {
    let bench = Bench::new();
    bench.provider.plan(Plan::Row(RowPlan::Answered(Say::Done)));
    bench.provider.plan(Plan::Row(RowPlan::Never));
    bench.provider.plan(Plan::Batch(BatchPlan { takes: 60, stops_after: 120, ..BatchPlan::default() }));
    let view = bench.create(Verdict::Go, &["a", "b"]).unwrap().unwrap();
    bench.advance(30);
    let model = bench.open(Verdict::FailAfter);
    assert!(batches(&model).cancel(&view.remote).now_or_never().unwrap().is_err());
    let state = |bench: &Bench| bench.provider.batches()[0].view();
    bench.advance(119);
    assert!(state(&bench).canceling && !state(&bench).ended);
    bench.advance(1);
    assert!(!state(&bench).canceling && state(&bench).ended);
    let lines: Vec<String> = bench.results(&view.remote).iter().map(word).collect();
    assert_eq!(lines, ["b Canceled", "a EndTurn"]);
    assert_eq!(bench.provider.bill().len(), 1);
}

#[test]
fn what_lags_is_seen_in_its_time_and_results_break_off_once() {
    let bench = Bench::new();
    bench.provider.plan(Plan::Batch(BatchPlan {
        takes: 10,
        listed_after: 90,
        hidden: 5,
        results_after: 20,
        ..BatchPlan::default()
    }));
    bench.provider.plan(Plan::Row(RowPlan::BreaksOnce(Say::Done)));
    let view = bench.create(Verdict::Go, &["a", "b"]).unwrap().unwrap();
    let model = bench.open(Verdict::Go);
    let seen = || batches(&model).retrieve(&view.remote).now_or_never().unwrap().is_ok();
    assert!(!seen());
    bench.advance(5);
    assert!(seen());
    bench.advance(24);
    assert!(batches(&model).results(&view.remote).now_or_never().unwrap().is_err());
    bench.advance(1);
    assert_eq!(bench.results(&view.remote).iter().map(word).collect::<Vec<_>>(), ["b EndTurn", "Unanswered!"]);
    assert_eq!(bench.results(&view.remote).iter().map(word).collect::<Vec<_>>(), ["b EndTurn", "a EndTurn"]);
    assert!(bench.listed().is_empty());
    bench.advance(60);
    assert_eq!(bench.listed(), std::slice::from_ref(&view.remote));
}

#[tokio::test]
async fn an_answer_in_realtime_is_paid_from_its_beginning_and_reached_only_where_it_came_back() {
    let bench = Bench::new();
    let asked = request();
    let until = start() + TimeDelta::minutes(10);
    for (verdict, reached) in [(Verdict::Go, true), (Verdict::FailAfter, false), (Verdict::CrashAfter, false)] {
        let model = bench.open(verdict);
        let mut answer = model.message(&asked, until);
        assert!((&mut answer).now_or_never().is_none(), "it takes its time");
        assert!(!bench.provider.bill().last().unwrap().reached);
        bench.advance(5);
        let came = (&mut answer).now_or_never().is_some_and(|answer| answer.is_ok());
        assert_eq!((came, bench.provider.bill().last().unwrap().reached), (reached, reached), "{verdict:?}");
    }
    for verdict in [Verdict::FailBefore, Verdict::Throttle, Verdict::CrashBefore] {
        let model = bench.open(verdict);
        assert!(model.message(&asked, until).now_or_never().is_none_or(|answer| answer.is_err()));
    }
    assert_eq!(bench.provider.bill().len(), 3);
    bench.provider.plan(Plan::Answer(AnswerPlan { takes: 3600, say: Say::Done }));
    let model = bench.open(Verdict::Go);
    let mut late = model.message(&asked, until);
    assert!((&mut late).now_or_never().is_none());
    bench.clock.advance_to(until);
    assert_eq!((&mut late).now_or_never().unwrap().unwrap_err().kind, ModelErrorKind::Timeout);
}

#[test]
fn what_is_refused_costs_nothing_and_somebody_elses_batch_is_not_on_our_bill() {
    let bench = Bench::new();
    bench.provider.plan(Plan::Refuse { how: Refusal::Overloaded, calls: 1 });
    bench.provider.plan(Plan::SpendLimit(true));
    bench.provider.plan(Plan::Foreign { rows: 2, seconds: 60 });
    for kind in [ModelErrorKind::Overloaded, ModelErrorKind::SpendLimit] {
        match bench.create(Verdict::Go, &["a"]).unwrap() {
            Err(CreateError::Refused(error)) => assert_eq!(error.kind, kind),
            Err(CreateError::Unanswered(error)) => panic!("{error}"),
            Ok(view) => panic!("{view:?}"),
        }
    }
    for names in [&["a", "a"][..], &["no spaces"], &[]] {
        assert!(matches!(bench.create(Verdict::Go, names), Some(Err(CreateError::Refused(_)))));
    }
    bench.provider.heal();
    assert!(bench.create(Verdict::Go, &["a"]).unwrap().is_ok());
    bench.advance(3600);
    assert_eq!(bench.provider.bill().len(), 1);
    assert_eq!(bench.listed().len(), 2);
}
