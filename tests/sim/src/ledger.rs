//! The money: what the provider's bill says against what the runs say, and what may be bought twice. Each rule answers with
//! a sentence per violation, and none of them knows how the product works, only what it promises.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use nightshift_domain::RunKey;
use nightshift_domain::batch::Batch;
use nightshift_domain::model::{HopRequest, ModelErrorKind};
use nightshift_domain::money::{Cost, NanoUsd};
use nightshift_domain::run::{Hop, Origin, Path, Run, State, Text};
use sha2::{Digest, Sha256};

use crate::provider::{BillLine, BilledVia, Fate, SimBatch, SimRow};

/// Most rows that one hop is worth with one model: a row that failed, expired or was stopped is sent once more.
const MOST_ROWS: usize = 2;
/// Most answers in realtime that one hop is worth: it is started twice at most.
const MOST_STARTS: usize = 2;

/// What the bill and the runs come to, billionths of a dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// All that is on the bill.
    pub billed: NanoUsd,
    /// What hops of runs say was paid.
    pub booked: NanoUsd,
    /// On the bill, and lost on the way to us in realtime.
    pub lost: NanoUsd,
}

/// Adds up. The rules below say whether it fits.
pub fn sums(bill: &[BillLine], runs: &[Run]) -> Sums {
    let booked: BTreeSet<&str> = hops(runs).map(|(_, hop)| hop.message_id.as_str()).collect();
    let lost =
        |line: &&BillLine| matches!(line.via, BilledVia::Realtime { .. }) && !booked.contains(line.message_id.as_str());
    Sums {
        billed: bill.iter().map(|line| line.cost.paid_nano_usd).sum(),
        booked: hops(runs).map(|(_, hop)| hop.cost.paid_nano_usd).sum(),
        lost: bill.iter().filter(lost).map(|line| line.cost.paid_nano_usd).sum(),
    }
}

/// No hop of a run has two rows at the provider that are alive or paid, unless the run says that it could not tell which
/// batch was its own. Rows that ended without an answer are forgotten: another may take their place.
pub fn rows_twice(batches: &[SimBatch], runs: &[Run]) -> Vec<String> {
    let ambiguous = |run: &&Run| matches!(&run.state, State::Failed { code, .. } if code == "ambiguous_batch");
    let ambiguous: BTreeSet<&RunKey> = runs.iter().filter(ambiguous).map(|run| &run.key).collect();
    let mut of_hop: BTreeMap<(RunKey, u32), Vec<&str>> = BTreeMap::new();
    for (batch, row) in our_rows(batches).filter(|(_, row)| row.fate.is_none() || row.is_paid()) {
        if let Some((run, hop, _)) = RunKey::of_custom_id(&row.custom_id) {
            of_hop.entry((run, hop)).or_default().push(&batch.remote);
        }
    }
    let twice = of_hop.into_iter().filter(|((run, _), rows)| rows.len() > 1 && !ambiguous.contains(run));
    twice.map(|((run, hop), rows)| format!("hop {hop} of {run} is in {}", rows.join(" and "))).collect()
}

/// What failed, expired or was stopped is sent once more; what was said to be wrong is never sent again. The previous release
/// does not know the count of such rows, and loses it where it writes: each of its `older` invocations may cost one more.
pub fn rows_again(batches: &[SimBatch], older: usize) -> Vec<String> {
    let mut of_hop: BTreeMap<(RunKey, u32, &str), Vec<&SimRow>> = BTreeMap::new();
    for (_, row) in our_rows(batches) {
        if let Some((run, hop, _)) = RunKey::of_custom_id(&row.custom_id) {
            of_hop.entry((run, hop, &row.request.model)).or_default().push(row);
        }
    }
    let mut violations = Vec::new();
    for ((run, hop, _), rows) in of_hop {
        if rows.len() > MOST_ROWS + older {
            violations.push(format!("hop {hop} of {run} was put in {} batches", rows.len()));
        }
        let wrong = rows.iter().position(|row| row.fate == Some(Fate::Errored(ModelErrorKind::Invalid)));
        if wrong.is_some_and(|at| at + 1 < rows.len()) {
            violations.push(format!("hop {hop} of {run} was sent again although its request is wrong"));
        }
    }
    violations
}

/// Nothing of anybody else's is stopped or deleted; and a batch of ours only where every member wished to leave it, was over,
/// or had waited its time.
pub fn stopped_unasked(batches: &[SimBatch], known: &[Batch], runs: &[Run]) -> Vec<String> {
    let mut violations = Vec::new();
    let of_key: BTreeMap<&RunKey, &Run> = runs.iter().map(|run| (&run.key, run)).collect();
    for batch in batches {
        if batch.foreign && (batch.cancel_at.is_some() || batch.deleted) {
            violations.push(format!("{} is somebody else's and was stopped or deleted", batch.remote));
        }
        let Some(at) = batch.cancel_at.filter(|_| !batch.foreign) else { continue };
        let late = |one: &&Batch| one.state.remote() == Some(&batch.remote) && one.deadline <= at;
        if known.iter().any(|one| late(&one)) {
            continue;
        }
        for row in &batch.rows {
            let Some((key, ..)) = RunKey::of_custom_id(&row.custom_id) else { continue };
            let Some(run) = of_key.get(&key) else { continue };
            if !run.cancel_requested && run.ended_at.is_none_or(|ended| ended > at) {
                violations.push(format!("{} was stopped although {key} waits for it", batch.remote));
            }
        }
    }
    violations
}

/// No hop in realtime is answered, and paid, more often than it may be started. Answers are told apart by what was asked,
/// and given to the one run that could have asked; where several could, to all of them together.
pub fn overpaid(bill: &[BillLine], runs: &[Run], now: DateTime<Utc>) -> Vec<String> {
    let mut of_talk: BTreeMap<[u8; 32], Vec<(DateTime<Utc>, &HopRequest)>> = BTreeMap::new();
    for line in bill {
        if let BilledVia::Realtime { request, .. } = &line.via {
            of_talk.entry(talk(request)).or_default().push((line.at, request));
        }
    }
    let mut violations = Vec::new();
    for asked in of_talk.values().filter(|asked| asked.len() > MOST_STARTS) {
        let Some((_, request)) = asked.first() else { continue };
        let askers: Vec<&Run> = runs.iter().filter(|run| says(request, run)).collect();
        let lives = |run: &Run, at: DateTime<Utc>| (run.created_at..=run.ended_at.unwrap_or(now)).contains(&at);
        let mut alone: BTreeMap<&RunKey, usize> = BTreeMap::new();
        for (at, _) in asked {
            let mut alive = askers.iter().filter(|run| lives(run, *at));
            if let (Some(only), None) = (alive.next(), alive.next()) {
                *alone.entry(&only.key).or_default() += 1;
            }
        }
        for (run, times) in alone.iter().filter(|(_, times)| **times > MOST_STARTS) {
            violations.push(format!("a hop of {run} was answered {times} times in realtime"));
        }
        if alone.is_empty() && !askers.is_empty() && asked.len() > MOST_STARTS * askers.len() {
            violations.push(format!("one hop each of {} runs was answered {} times", askers.len(), asked.len()));
        }
    }
    violations
}

/// Every paid answer is a hop of a run. Excused is an answer in realtime that never reached us, and what `excuse` says was
/// lost with the invocation that had it. Holds once everything is over.
pub fn unaccounted(bill: &[BillLine], runs: &[Run], excuse: impl Fn(&BillLine) -> bool) -> Vec<String> {
    let booked: BTreeSet<&str> = hops(runs).map(|(_, hop)| hop.message_id.as_str()).collect();
    let missing = bill.iter().filter(|line| !booked.contains(line.message_id.as_str()));
    let lost = |line: &&BillLine| match line.via {
        BilledVia::Realtime { .. } => !line.reached || excuse(line),
        BilledVia::Batch { .. } => excuse(line),
    };
    missing.filter(|line| !lost(line)).map(|line| format!("{} is paid and in no run", line.label())).collect()
}

/// What runs say was paid is on the bill, once, at that price, and for that hop; and a run's cost is that of its hops.
pub fn misbooked(bill: &[BillLine], runs: &[Run]) -> Vec<String> {
    let lines: BTreeMap<&str, &BillLine> = bill.iter().map(|line| (line.message_id.as_str(), line)).collect();
    let mut violations = Vec::new();
    let mut booked: BTreeMap<&str, &RunKey> = BTreeMap::new();
    for (run, hop) in hops(runs) {
        let what = format!("hop {} of {} ({})", hop.n, run.key, hop.message_id);
        if let Some(before) = booked.insert(&hop.message_id, &run.key) {
            violations.push(format!("{what} is booked in {before} too"));
        }
        let Some(line) = lines.get(hop.message_id.as_str()) else {
            violations.push(format!("{what} is on no bill"));
            continue;
        };
        // What nobody could use saved nothing, whatever it would have cost in realtime.
        let due = if hop.unused { line.cost.without_saving() } else { line.cost };
        if hop.cost != due {
            violations.push(format!("{what} is booked as {:?} and billed as {due:?}", hop.cost));
        }
        let fits = match &line.via {
            BilledVia::Batch { custom_id, .. } => {
                let asked = RunKey::of_custom_id(custom_id);
                hop.path == Path::Batch && asked.is_some_and(|(key, n, _)| key == run.key && n == hop.n)
            }
            BilledVia::Realtime { .. } => hop.path == Path::Realtime,
        };
        if !fits {
            violations.push(format!("{what} is booked for what is {}", line.label()));
        }
    }
    for run in runs.iter().filter(|run| run.origin != Origin::Import) {
        let sum = run.hops.iter().fold(Cost::default(), |sum, hop| sum.plus(hop.cost));
        if run.cost != sum {
            violations.push(format!("{} says it cost {:?} and its hops {sum:?}", run.key, run.cost));
        }
    }
    violations
}

fn our_rows(batches: &[SimBatch]) -> impl Iterator<Item = (&SimBatch, &SimRow)> {
    let ours = batches.iter().filter(|batch| !batch.foreign);
    ours.flat_map(|batch| batch.rows.iter().map(move |row| (batch, row)))
}

/// The hops that were paid here.
fn hops(runs: &[Run]) -> impl Iterator<Item = (&Run, &Hop)> {
    let ours = runs.iter().filter(|run| run.origin != Origin::Import);
    ours.flat_map(|run| run.hops.iter().map(move |hop| (run, hop)))
}

/// Stands for what was asked; the same for a hop that is asked again.
fn talk(request: &HopRequest) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(request.model.as_bytes());
    digest.update(request.system.as_deref().unwrap_or_default().as_bytes());
    for message in &request.messages {
        digest.update(message.content.len().to_be_bytes());
        digest.update(message.content.as_bytes());
    }
    digest.finalize().into()
}

/// Whether `request` may be one of `run`: the run's prompt is in it.
fn says(request: &HopRequest, run: &Run) -> bool {
    let Text::Inline(prompt) = &run.prompt else { return false };
    let prompt = serde_json::Value::String(prompt.clone()).to_string();
    request.messages.iter().any(|message| message.content == prompt)
}

#[cfg(test)]
mod tests;
