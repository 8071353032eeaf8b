//! What a play came to, and whether one that was disturbed may differ from one that was not.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use futures::FutureExt;
use nightshift_domain::job::DeliveryStatus;
use nightshift_domain::run::{Run, State};
use nightshift_domain::{JobId, RunKey};
use nightshift_engine::ports::{DueItem, PageRequest, RunFilter, TimerSpec, TimerView};
use nightshift_sim::gate::{Call, Port};
use nightshift_sim::ledger;
use nightshift_sim::provider::{BillLine, BilledVia};

use super::stage::{Fault, Stage};

/// What is left at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Every job that is there, and whether it is switched on.
    pub(super) jobs: BTreeMap<String, bool>,
    /// How every run stands.
    pub(super) runs: BTreeMap<RunKey, String>,
    /// How many messages every target was shown, by run and part.
    pub(super) shown: BTreeMap<String, usize>,
    /// How many answers were paid for every hop in a batch.
    pub(super) rows: BTreeMap<(RunKey, u32), usize>,
    /// How many answers in realtime were paid.
    pub(super) realtime: usize,
    /// Timers that are left, with what they fire by.
    pub(super) timers: Vec<String>,
    /// Providers to which nothing is sent.
    pub(super) stops: Vec<String>,
    /// Runs with an alert of which nobody knows whether it arrived.
    pub(super) unsure: BTreeSet<String>,
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

/// How many rows a list may have: all, in these plays.
const ALL: PageRequest = PageRequest { limit: 200, cursor: None };

/// Every run of the jobs that ever were.
pub(super) fn runs(stage: &Stage) -> Vec<Run> {
    let store = &stage.outside.store;
    let mut runs = Vec::new();
    for job in super::scenarios::JOBS {
        let of = RunFilter::OfJob(JobId::parse(job).unwrap());
        runs.extend(now(store.runs(&of, &ALL)).unwrap().items);
    }
    runs
}

/// What the play came to.
pub(super) fn outcome(stage: &Stage) -> Outcome {
    let store = &stage.outside.store;
    let jobs = now(store.jobs(&ALL)).unwrap().items;
    let mut shown = BTreeMap::new();
    for arrival in stage.outside.channel.sent().into_iter().filter(|arrival| !arrival.dropped) {
        *shown.entry(format!("{} {} {}", arrival.target.channel, arrival.target.to, arrival.key)).or_default() += 1;
    }
    let (mut rows, mut realtime) = (BTreeMap::new(), 0);
    for line in stage.outside.provider.bill() {
        match &line.via {
            BilledVia::Batch { custom_id, .. } => {
                let (run, hop, _) = RunKey::of_custom_id(custom_id).unwrap();
                *rows.entry((run, hop)).or_default() += 1;
            }
            BilledVia::Realtime { .. } => realtime += 1,
        }
    }
    Outcome {
        jobs: jobs.into_iter().map(|record| (record.job.job_id.to_string(), record.job.enabled)).collect(),
        runs: runs(stage).iter().map(|run| (run.key.clone(), word(run))).collect(),
        unsure: runs(stage).iter().filter(|run| is_unsure(run)).map(|run| run.key.to_string()).collect(),
        shown,
        rows,
        realtime,
        timers: stage.outside.timers.all().into_iter().map(|(view, _)| armed(view)).collect(),
        stops: now(store.overview()).unwrap().stops.into_iter().map(|stop| stop.provider).collect(),
    }
}

/// The run that a chunk's name, `<run>-<origin>-<index>`, begins with.
fn run_of(chunk: &str) -> &str {
    let key = chunk.rsplit(' ').next().unwrap_or(chunk);
    key.split_once('-').map_or(key, |(run, _)| run)
}

fn is_unsure(run: &Run) -> bool {
    let mut fates = run.alerts.iter().flat_map(|alerts| &alerts.notices).filter_map(|notice| notice.fate.as_ref());
    fates.any(|fate| fate.status == DeliveryStatus::Unknown)
}

fn armed(view: TimerView) -> String {
    match view.spec {
        TimerSpec::Recurring { expression, timezone, .. } => format!("{} {expression} {timezone}", view.name),
        TimerSpec::Once(_) => view.name,
    }
}

fn word(run: &Run) -> String {
    if let State::Failed { code, .. } = &run.state {
        format!("failed {code}")
    } else if let State::Skipped { reason } = &run.state {
        format!("skipped {reason}")
    } else {
        run.state.name().to_owned()
    }
}

/// Whatever is wrong with the play's end, whatever it was to come to.
pub(super) fn wrong(stage: &Stage, fault: Option<Fault>) -> Vec<String> {
    let mut wrong = Vec::new();
    let at = stage.clock_now();
    let store = &stage.outside.store;
    let runs = runs(stage);
    wrong.extend(
        runs.iter().filter(|run| !run.state.is_terminal()).map(|run| format!("{} is {:?}", run.key, run.state)),
    );
    let untold = runs.iter().filter(|run| run.due_alerts().is_some());
    wrong.extend(untold.map(|run| format!("{} has an alert nobody sent", run.key)));
    for due in now(store.due(at + TimeDelta::days(400), 100)).unwrap() {
        match due {
            DueItem::Job(_) => {}
            DueItem::Window(id) => wrong.push(format!("window {id} waits for somebody")),
            DueItem::Run(key) => wrong.push(format!("run {key} waits for somebody")),
            DueItem::Batch(id) => wrong.push(format!("batch {id} waits for somebody: {:?}", now(store.batch(&id)))),
        }
    }
    let overdue = now(store.due(at - TimeDelta::minutes(20), 100)).unwrap();
    wrong.extend(overdue.iter().map(|item| format!("{item:?} is overdue")));
    let places = now(store.places(10)).unwrap();
    if !places.held.is_empty() || !places.queue.is_empty() {
        wrong.push(format!("{places:?}"));
    }
    wrong.extend(stage.outside.channel.seen_twice());
    wrong.extend(stage.outside.provider.look(|batches, bill| {
        let mut wrong = ledger::rows_twice(batches, &runs);
        wrong.extend(ledger::rows_again(batches, 0));
        wrong.extend(ledger::overpaid(bill, &runs, at));
        // An answer that was in hand when its invocation died is lost; all others are booked.
        let died = fault == Some(Fault::Crash);
        let lost = |line: &BillLine| died && matches!(line.via, BilledVia::Realtime { .. });
        wrong.extend(ledger::unaccounted(bill, &runs, lost));
        wrong.extend(ledger::misbooked(bill, &runs));
        wrong
    }));
    for record in now(store.jobs(&ALL)).unwrap().items {
        if !record.active.is_empty() || !record.waiting.is_empty() {
            wrong.push(format!("job {} counts {:?} and {:?}", record.job.job_id, record.active, record.waiting));
        }
    }
    wrong
}

/// How `played` differs from `clean` where it must not.
pub(super) fn differs(function: &str, clean: &Outcome, played: &Outcome, call: &Call, fault: Fault) -> Vec<String> {
    let mut found = Vec::new();
    if played.jobs != clean.jobs {
        found.push(format!("jobs: {:?} instead of {:?}", played.jobs, clean.jobs));
    }
    // What was on its way when nobody heard of it is unknown, and is not sent again where a reader would see it twice.
    let sending = call.name.starts_with("send") || call.name.contains("Chunk");
    let unknown_is_right = sending && fault != Fault::Twice;
    let unknown =
        |key: &RunKey| unknown_is_right && played.runs.get(key).is_some_and(|word| word.starts_with("deliveryUnknown"));
    for (key, word) in &clean.runs {
        match played.runs.get(key) {
            Some(same) if same == word => {}
            Some(_) if unknown(key) => {}
            other => found.push(format!("{key} is {other:?} instead of {word}")),
        }
    }
    found.extend(played.runs.keys().filter(|key| !clean.runs.contains_key(key)).map(|key| format!("{key} is new")));
    // A model that called a tool is told where nobody knows what came of it, and may call it otherwise; a message that may not
    // have been sent does not stand for the answer, which is then sent too.
    let of_alert = |chunk: &str| chunk.contains("-alert-");
    let of_tool = |chunk: &str| !chunk.contains("-final-") && !of_alert(chunk);
    let is_told = |chunk: &str| {
        let talks = |other: &String| of_tool(other) && run_of(other) == run_of(chunk);
        fault != Fault::Twice && (function == "tools" || clean.shown.keys().any(talks))
    };
    for (chunk, times) in &clean.shown {
        let shown = played.shown.get(chunk).copied().unwrap_or(0);
        let answers = played.runs.keys().any(|key| chunk.contains(key.as_str()) && unknown(key));
        let may_be_lost =
            if of_alert(chunk) { unknown_is_right && played.unsure.contains(run_of(chunk)) } else { answers };
        if shown != *times && !((may_be_lost || of_tool(chunk) && is_told(chunk)) && shown < *times) {
            found.push(format!("{chunk} was shown {shown} times instead of {times}"));
        }
    }
    for (chunk, shown) in played.shown.iter().filter(|(chunk, _)| !clean.shown.contains_key(*chunk)) {
        if *shown > 1 || !is_told(chunk) {
            found.push(format!("{chunk} is new"));
        }
    }
    if played.rows != clean.rows {
        found.push(format!("paid rows: {:?} instead of {:?}", played.rows, clean.rows));
    }
    // The Messages API knows no idempotency key: an answer that nobody heard, or that could not be written down, is paid, and
    // the hop is started once more; never twice more.
    if !(clean.realtime..=clean.realtime + 1).contains(&played.realtime) {
        found.push(format!("{} answers in realtime instead of {}", played.realtime, clean.realtime));
    }
    // A stop is worth less than the run that met it: where its write failed, the next one that meets the limit makes it; and
    // where nobody heard that a probe went through, the next one ends it.
    let unheard = call.port == Port::Model && clean.stops.is_empty() && fault != Fault::Twice;
    let unwritten = unheard || (fault == Fault::Before && call.name.ends_with("Stop"));
    if played.stops != clean.stops && !unwritten {
        found.push(format!("stopped: {:?} instead of {:?}", played.stops, clean.stops));
    }
    if played.timers != clean.timers {
        found.push(format!("timers: {:?} instead of {:?}", played.timers, clean.timers));
    }
    found
}
