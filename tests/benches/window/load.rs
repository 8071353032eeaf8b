//! Lives through the minute and what follows it, and counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::ensure;
use nightshift_local::gate::tally;
use nightshift_tests::local::{Answer, Local};
use serde_json::{Value, json};

use crate::stopwatch::Stopwatch;

/// How many jobs are being added at a time.
const ADDING: usize = 8;
/// How long the provider takes: the median of what people report is about seven minutes.
const BATCH_MS: u64 = 420_000;
/// How often a batch of that length is looked at on the poll ladder: before two minutes, and then after a minute and half as
/// long again each time, spread by a tenth, until seven minutes are over; one more where its create is waited for.
const LOOKS_EACH: u64 = 6;
/// When the clock stops being moved, minutes after the jobs' minute: no result is later, by the ladder's longest wait.
const AFTER: i64 = 55;
/// Most faults told.
const TOLD: usize = 10;

/// What was counted.
pub(crate) struct Figures {
    /// The window, seconds.
    pub(crate) window: u32,
    /// Batches at the provider.
    pub(crate) batches: usize,
    /// Their rows.
    pub(crate) rows: usize,
    /// How often one was asked for at the provider.
    pub(crate) looks: u64,
    /// Invocations, by function.
    pub(crate) invocations: BTreeMap<String, u64>,
    /// Calls, by service and operation.
    pub(crate) calls: BTreeMap<String, u64>,
    /// Seconds it took to add the jobs.
    pub(crate) adding: f64,
    /// Seconds from the minute to the end.
    pub(crate) living: f64,
    /// What is not as it has to be.
    pub(crate) faults: Vec<String>,
}

impl Figures {
    /// More looks than these are more than one poll chain a batch.
    pub(crate) fn most_looks(&self) -> u64 {
        self.batches as u64 * LOOKS_EACH
    }
}

fn id(n: usize) -> String {
    format!("load-{n:06}")
}

/// Adds the jobs, lets their minute come and everything after it happen, and counts.
pub(crate) async fn live(jobs: usize, window: u32) -> anyhow::Result<Figures> {
    let local = Arc::new(Local::start().await);
    local.script(json!({ "batchDurationMs": BATCH_MS, "replies": [{ "match": "*", "text": "Nothing is lost." }] }));
    local.configure(&json!({ "cron": { "batch": { "windowSeconds": window } } })).await;
    let watch = Stopwatch::start();
    add(&local, jobs).await?;
    let adding = watch.elapsed().as_secs_f64();
    // The clock stands at six; a minute before seven nothing but sweeps has happened.
    local.advance(59).await;
    let (from, before) = (local.stack.gate.calls(0).len() as u64, local.stack.invocations());
    let watch = Stopwatch::start();
    local.advance(1 + AFTER).await;
    let living = watch.elapsed().as_secs_f64();
    let calls = tally(&local.stack.gate.calls(from));
    let mut invocations = local.stack.invocations();
    for (name, count) in &mut invocations {
        *count -= before.get(name).copied().unwrap_or(0);
    }
    let batches = local.fake().batches();
    let rows = |batch: &Value| {
        let counts = batch["request_counts"].as_object().into_iter().flat_map(|counts| counts.values());
        counts.filter_map(Value::as_u64).sum::<u64>()
    };
    Ok(Figures {
        window,
        rows: usize::try_from(batches.iter().map(rows).sum::<u64>())?,
        batches: batches.len(),
        looks: calls.get("anthropic GET /v1/messages/batches/{id}").copied().unwrap_or(0),
        invocations: invocations.into_iter().filter(|(_, count)| *count > 0).collect(),
        calls,
        adding,
        living,
        faults: faults(&local, jobs)?,
    })
}

/// Adds the jobs through the API, several at a time.
async fn add(local: &Arc<Local>, jobs: usize) -> anyhow::Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let adders = (0..ADDING).map(|_| {
        let (local, next) = (local.clone(), next.clone());
        tokio::spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= jobs {
                    return anyhow::Ok(());
                }
                let Answer { status, body } = local.call("cron.add", &job(n)).await;
                ensure!(status == 200, "job {n} was not added: {status} {body}");
            }
        })
    });
    for adder in adders.collect::<Vec<_>>() {
        adder.await??;
    }
    Ok(())
}

/// The n-th job: all are due at seven, and each asks something else.
fn job(n: usize) -> Value {
    json!({
        "jobId": id(n), "name": format!("Load {n}"),
        "schedule": { "kind": "cron", "expr": "0 7 * * *", "tz": "UTC", "staggerMs": 0 },
        "payload": { "kind": "agentTurn", "message": format!("What is new with number {n}?"), "batch": { "enabled": true } },
        "delivery": { "mode": "announce", "channel": "console", "to": format!("owner-{n}") },
    })
}

/// Every job's answer is there, once, at its own place.
fn faults(local: &Local, jobs: usize) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut missing: BTreeSet<String> = (0..jobs).map(|n| format!("{}_20261120T070000Z-final-0", id(n))).collect();
    for delivery in local.stack.console.deliveries()? {
        let expected = missing.remove(&delivery.key);
        let owner = delivery.key.get(5..11).and_then(|n| n.parse::<usize>().ok()).map(|n| format!("owner-{n}"));
        if !expected || delivery.arrivals != 1 || owner.as_ref() != Some(&delivery.to) {
            faults.push(format!("{} arrived {} times at {}", delivery.key, delivery.arrivals, delivery.to));
        }
    }
    if !missing.is_empty() {
        let some: Vec<&String> = missing.iter().take(TOLD).collect();
        faults.push(format!("{} answers did not arrive, such as {some:?}", missing.len()));
    }
    faults.extend(local.stack.dead_letters().iter().take(TOLD).map(|letter| format!("failed for good: {letter}")));
    faults.truncate(TOLD);
    Ok(faults)
}
