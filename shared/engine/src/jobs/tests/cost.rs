//! What runs cost, from rows in the table.

use chrono::{DateTime, Utc};
use nightshift_domain::cost::Sum;
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
        at,
        compaction: false,
        unused: false,
        attempt: 1,
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
        let write = Write::Run { run: &run, expires_at: None };
        assert_eq!(self.deps.store.commit(&[write]).await.unwrap(), Outcome::Applied);
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
    let world = some_runs().await;
    let month = world.cost(json!({})).await;
    assert_eq!((month.from, month.to), (instant("2026-11-01T00:00:00Z"), instant("2026-11-20T12:00:00Z")));
    assert_eq!(sums(&month), [("other", 1, 1, 500), ("daily", 2, 3, 30)], "a run that called no model is none here");
    assert_eq!(month.rows[0].name.as_deref(), Some("Other"));
    assert_eq!(month.total, Sum { runs: 3, hops: 4, paid: 530, realtime: 1057, unused: 0 });
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
    let world = some_runs().await;
    let ms = |text: &str| instant(text).timestamp_millis();
    let range = json!({ "fromMs": ms("2026-10-31T23:59:59Z"), "toMs": ms("2026-11-20T07:30:00Z"), "jobId": "daily" });
    let report = world.cost(range).await;
    assert_eq!(sums(&report), [("daily", 2, 3, 1023)], "from is included, to is not");
    assert_eq!(sums(&world.cost(json!({ "jobId": "daily", "by": "day" })).await).len(), 2);
    assert_eq!(sums(&world.cost(json!({ "agentId": "ops" })).await), [("other", 1, 1, 500)]);
    assert!(world.cost(json!({ "jobId": "other", "agentId": "main" })).await.rows.is_empty());
    let october = world.cost(json!({ "toMs": ms("2026-11-01T00:00:00Z") })).await;
    assert_eq!((october.from, october.total.paid), (instant("2026-10-01T00:00:00Z"), 1_000));
    assert!(october.notes[0].contains("before 2026-10-21 are gone"), "{:?}", october.notes);
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
async fn too_many_runs_are_told_from_where_on_they_are_counted() {
    let world = world();
    world.add(daily()).await;
    for minute in 0..10 {
        world.ran("daily", &format!("2026-11-10T00:0{minute}:00Z"), &[(Path::Batch, 1)]).await;
    }
    let bounds = Bounds { runs: 4, queries: 500, page: 2 };
    for input in [json!({}), json!({ "jobId": "daily" })] {
        let report = within(&world.request(), &input, bounds).await.unwrap();
        assert_eq!((report.truncated, report.total.runs, report.total.paid), (true, 4, 4));
        assert!(report.notes[0].contains("only those since 2026-11-10 00:06 UTC"), "{:?}", report.notes);
        assert!(!within(&world.request(), &input, Bounds { runs: 11, ..bounds }).await.unwrap().truncated);
    }
    let days = within(&world.request(), &json!({}), Bounds { queries: 3, ..bounds }).await.unwrap();
    assert!(days.truncated && days.total.runs == 0, "days without runs are queries too");
    assert!(days.notes[0].contains("only those since 2026-11-18 00:00 UTC"), "{:?}", days.notes);
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
