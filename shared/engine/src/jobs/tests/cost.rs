//! What runs cost, from rows in the table.

use chrono::{DateTime, Utc};
use nightshift_domain::cost::{Sum, spent};
use nightshift_domain::money::Cost;
use nightshift_domain::run::{Hop, Origin, Path};
use nightshift_domain::{JobId, RunKey};
use serde_json::{Value, json};

use super::{World, daily, world};
use crate::jobs::cost::{Bounds, within};
use crate::jobs::{CostReport, Refusal, cost};
use crate::ports::{Outcome, Write};
use crate::runs::new_run;

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn hop(n: u32, path: Path, model: &str, paid: u64, at: DateTime<Utc>) -> Hop {
    Hop {
        n,
        path,
        model: model.to_owned(),
        message_id: format!("msg_{n}"),
        request_id: None,
        batch: None,
        stop_reason: "end_turn".to_owned(),
        usage: json!({ "input_tokens": 10 }),
        cost: Cost { paid_nano_usd: paid, realtime_nano_usd: paid * if path == Path::Batch { 2 } else { 1 } },
        in_realtime: None,
        at,
        compaction: false,
        unused: false,
        attempt: 1,
        waited_seconds: None,
    }
}

impl World {
    /// A run whose row was written at `at`, with a hop per path and price.
    async fn ran(&self, job: &str, at: &str, hops: &[(Path, u64)]) {
        let record = self.deps.store.job(&JobId::parse(job).unwrap()).await.unwrap().unwrap();
        let at = instant(at);
        let key = RunKey::of_slot(&record.job.job_id, at);
        let mut run = new_run(&self.deps, &record, key, Origin::Schedule, at).await.unwrap();
        run.agent_id = if job == "other" { "ops".to_owned() } else { "main".to_owned() };
        run.hops = (1..).zip(hops).map(|(n, (path, paid))| hop(n, *path, "claude-haiku-5-5", *paid, at)).collect();
        let spent = spent(&[], &run);
        let mut writes = vec![Write::Run { run: &run, expires_at: None }];
        writes.extend(spent.iter().map(Write::Spend));
        assert_eq!(self.deps.store.commit(&writes).await.unwrap(), Outcome::Applied);
    }

    async fn cost(&self, input: Value) -> CostReport {
        cost(&self.request(), &input).await.unwrap()
    }
}

fn sums(report: &CostReport) -> Vec<(&str, u64, u64, u64)> {
    report.rows.iter().map(|row| (row.key.as_str(), row.sum.runs, row.sum.hops, row.sum.paid)).collect()
}

async fn some_runs() -> World {
    let world = world();
    world.add(daily()).await;
    let mut other = daily();
    (other["jobId"], other["name"]) = (json!("other"), json!("Other"));
    world.add(other).await;
    world.ran("daily", "2026-10-31T23:59:59Z", &[(Path::Realtime, 1_000)]).await;
    world.ran("daily", "2026-11-01T00:00:00Z", &[(Path::Batch, 20), (Path::Realtime, 3)]).await;
    world.ran("other", "2026-11-01T12:00:00Z", &[(Path::Batch, 500)]).await;
    world.ran("daily", "2026-11-20T07:30:00Z", &[(Path::Batch, 7)]).await;
    world.ran("daily", "2026-11-20T08:30:00Z", &[]).await;
    world
}

#[tokio::test]
async fn this_month_so_far_is_summed_by_job_unless_it_is_said_otherwise() {
    let world = Box::pin(some_runs()).await;
    let month = world.cost(json!({})).await;
    assert_eq!((month.from, month.to), (instant("2026-11-01T00:00:00Z"), instant("2026-11-20T12:00:00Z")));
    assert_eq!(sums(&month), [("other", 1, 1, 500), ("daily", 2, 3, 30)], "a run that called no model is none here");
    assert_eq!(month.rows[0].name.as_deref(), Some("Other"));
    let total = Sum { aws: 0, ..month.total };
    assert_eq!(total, Sum { runs: 3, hops: 4, paid: 530, realtime: 1057, ..Sum::default() });
    assert_eq!((month.truncated, month.notes.as_slice()), (false, &[][..]));

    let by = async |by: &str| world.cost(json!({ "by": by })).await;
    assert_eq!(sums(&by("day").await), [("2026-11-01", 2, 3, 523), ("2026-11-20", 1, 1, 7)]);
    assert_eq!(sums(&by("month").await), [("2026-11", 3, 4, 530)]);
    assert_eq!(sums(&by("path").await), [("batch", 3, 3, 527), ("realtime", 1, 1, 3)]);
    assert_eq!(sums(&by("agent").await), [("ops", 1, 1, 500), ("main", 2, 3, 30)]);
    assert_eq!(sums(&by("model").await), [("anthropic/claude-haiku-5-5", 3, 4, 530)]);
}

#[tokio::test]
async fn a_range_a_job_and_an_agent_narrow_it_down() {
    let world = Box::pin(some_runs()).await;
    let ms = |text: &str| instant(text).timestamp_millis();
    let range = json!({ "fromMs": ms("2026-10-31T23:59:59Z"), "toMs": ms("2026-11-20T07:30:00Z"), "jobId": "daily" });
    let report = world.cost(range).await;
    assert_eq!(sums(&report), [("daily", 3, 4, 1030)], "a range is widened to whole days");
    assert!(report.notes[0].starts_with("costs are kept by day"), "{:?}", report.notes);
    let days = json!({ "fromMs": ms("2026-10-31T00:00:00Z"), "toMs": ms("2026-11-20T00:00:00Z"), "jobId": "daily" });
    let report = world.cost(days).await;
    assert_eq!((sums(&report), report.notes.len()), (vec![("daily", 2, 3, 1023)], 0), "from is included, to is not");
    assert_eq!(sums(&world.cost(json!({ "jobId": "daily", "by": "day" })).await).len(), 2);
    assert_eq!(sums(&world.cost(json!({ "agentId": "ops" })).await), [("other", 1, 1, 500)]);
    assert!(world.cost(json!({ "jobId": "other", "agentId": "main" })).await.rows.is_empty());
    let october = world.cost(json!({ "toMs": ms("2026-11-01T00:00:00Z") })).await;
    assert_eq!((october.from, october.total.paid), (instant("2026-10-01T00:00:00Z"), 1_000));
    let far = world.cost(json!({ "fromMs": 0, "toMs": 253_402_300_799_999_i64 })).await;
    assert_eq!((far.total.paid, far.truncated), (1_530, false), "a range of ages asks for the days there can be");
    for bad in [
        json!({ "by": "colour" }),
        json!({ "fromMs": -1 }),
        json!({ "fromMs": 2, "toMs": 1 }),
        json!({ "toMs": 253_402_300_800_000_i64 }),
        json!({ "since": 1 }),
    ] {
        assert!(matches!(cost(&world.request(), &bad).await, Err(Refusal::Invalid(_))), "{bad}");
    }
}

#[tokio::test]
async fn what_is_too_much_for_one_answer_is_told_by_the_day_from_where_on_it_is_counted() {
    let world = Box::pin(some_runs()).await;
    let bounds = |queries, page| Bounds { queries, page };
    let of = async |bounds| within(&world.request(), &json!({}), bounds).await.unwrap();
    let whole = of(bounds(20, 1)).await;
    assert!(whole.truncated, "a day of two jobs, one of them by two paths, is three pages of one");
    assert!(whole.notes[0].contains("only what is since 2026-11-02 is counted"), "{:?}", whole.notes);
    assert_eq!(whole.total.paid, 7, "nothing of a day, or all of it");
    assert_eq!(of(bounds(20, 3)).await.total.paid, 530);
    let none = of(bounds(0, 2)).await;
    assert!(none.truncated && none.notes[0].contains("since 2026-11-21"), "{:?}", none.notes);
}

/// However many runs there were, a month is as many rows as its days have jobs, agents, models and paths.
#[tokio::test]
async fn ten_thousand_runs_are_read_in_as_many_reads_as_the_month_has_days() {
    let world = world();
    world.add(daily()).await;
    let record = world.deps.store.job(&JobId::parse("daily").unwrap()).await.unwrap().unwrap();
    let key = RunKey::of_slot(&record.job.job_id, instant("2026-11-01T00:00:00Z"));
    let mut run = new_run(&world.deps, &record, key, Origin::Schedule, instant("2026-11-01T00:00:00Z")).await.unwrap();
    for minute in 0..10_000 {
        let at = instant("2026-11-01T00:00:00Z") + chrono::TimeDelta::minutes(minute);
        (run.key, run.created_at) = (RunKey::of_slot(&record.job.job_id, at), at);
        run.hops = vec![hop(1, Path::Batch, "claude-haiku-5-5", 3, at)];
        let spent = spent(&[], &run);
        let mut writes = vec![Write::Run { run: &run, expires_at: None }];
        writes.extend(spent.iter().map(Write::Spend));
        world.deps.store.commit(&writes).await.unwrap();
    }
    // Twenty days until now, and not one more read.
    let report = within(&world.request(), &json!({ "by": "day" }), Bounds { queries: 20, page: 200 }).await.unwrap();
    assert_eq!((report.truncated, report.rows.len()), (false, 7));
    assert_eq!((report.total.runs, report.total.paid), (10_000, 30_000));
}

#[tokio::test]
async fn hops_without_a_price_are_told() {
    let world = world();
    world.add(daily()).await;
    world.ran("daily", "2026-11-20T07:30:00Z", &[(Path::Realtime, 0), (Path::Realtime, 5)]).await;
    let report = world.cost(json!({})).await;
    assert_eq!(report.total.paid, 5);
    assert!(report.notes[0].starts_with("no price is known for 1 of the hops"), "{:?}", report.notes);
}
