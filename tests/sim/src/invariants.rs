//! What must hold of every world. Each rule is a function that answers with a sentence per violation.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::batch::{Batch, BatchState, Roll, WindowId};
use nightshift_domain::heartbeat::SystemEvent;
use nightshift_domain::job::{DeliveryStatus, JobRecord};
use nightshift_domain::run::{LEASE, Run, State, WaitReason, attention_at};
use nightshift_domain::stop::Stop;
use nightshift_domain::{AttemptId, JobId, RunKey};
use nightshift_engine::ports::{DueItem, PageRequest, Places, RunFilter, Store, StoreError};

use crate::ledger;
use crate::main_session;
use crate::ops::{JOBS, job_id};
use crate::provider::{BillLine, BilledVia, SimBatch};
use crate::world::{SWEEP, Violation, World};

/// More than any case leaves behind.
const ALL: u32 = 10_000;

/// What is in the table at one moment, as far as the rules ask.
#[derive(Debug)]
pub struct Seen {
    /// When.
    pub now: DateTime<Utc>,
    /// The jobs.
    pub jobs: Vec<JobRecord>,
    /// Their runs, those of jobs that are gone too.
    pub runs: Vec<Run>,
    /// Batches that a live run is in.
    pub batches: Vec<(AttemptId, Option<Batch>)>,
    /// Halves that are being made of batches that were refused, where a live run is in such a one.
    pub halves: Vec<Batch>,
    /// Windows that a live run waits in, and who stands in them.
    pub windows: Vec<(WindowId, Vec<RunKey>)>,
    /// Stops of providers.
    pub stops: Vec<Stop>,
    /// What the table knows of the provider's batches, where all is looked at.
    pub known: Vec<Batch>,
    /// Everything that somebody will look at, sooner or later.
    pub due: Vec<DueItem>,
    /// The places for realtime turns.
    pub places: Places,
    /// Sessions that a run has.
    pub busy_sessions: Vec<String>,
    /// Events that wait for the main session, where all is looked at.
    pub events: Vec<SystemEvent>,
}

/// The ids of all jobs there can be.
pub fn ids() -> Vec<JobId> {
    (0..JOBS).filter_map(|job| JobId::parse(&job_id(job)).ok()).chain(JobId::heartbeat("main")).collect()
}

/// How much of the table is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Runs that somebody will look at, that a job counts, or that a batch, a place or the queue names.
    Named,
    /// All.
    All,
}

/// Looks at the table.
pub async fn look(world: &World, depth: Depth) -> Result<Seen, Violation> {
    let ours = |batches: &[SimBatch], _: &[BillLine]| {
        batches.iter().filter(|batch| !batch.foreign).map(|batch| batch.remote.clone()).collect()
    };
    let remotes: Vec<String> = if depth == Depth::All { world.outside.provider.look(ours) } else { Vec::new() };
    seen(world.outside.store.as_ref(), world.now(), depth, &remotes)
        .await
        .map_err(|error| Violation { rule: "the table can be read", detail: format!("{error:?}") })
}

async fn seen(store: &dyn Store, now: DateTime<Utc>, depth: Depth, remotes: &[String]) -> Result<Seen, StoreError> {
    let mut jobs = Vec::new();
    for id in ids() {
        jobs.extend(store.job(&id).await?);
    }
    let due = store.due(now + TimeDelta::days(400), ALL).await?;
    let places = store.places(ALL).await?;
    let runs = match depth {
        Depth::All => all_runs(store).await?,
        Depth::Named => named_runs(store, &jobs, &due, &places).await?,
    };
    let in_batch: BTreeSet<AttemptId> = runs.iter().filter_map(|run| run.state.batch().cloned()).collect();
    let mut batches = Vec::new();
    for id in in_batch {
        let batch = store.batch(&id).await?;
        batches.push((id, batch));
    }
    let mut halves = Vec::new();
    if batches.iter().any(|(_, batch)| batch.as_ref().is_some_and(is_settled)) {
        for item in &due {
            let DueItem::Batch(id) = item else { continue };
            let batch = store.batch(id).await?;
            halves.extend(batch.filter(|batch| matches!(batch.state, BatchState::Sealing { from: Some(_) })));
        }
    }
    let in_window: BTreeSet<WindowId> = runs.iter().filter_map(|run| run.state.window().cloned()).collect();
    let mut windows = Vec::new();
    for id in in_window {
        let page = PageRequest { limit: ALL, cursor: None };
        let there = store.collected(&id, &page).await?.items.into_iter().map(|one| one.run).collect();
        windows.push((id, there));
    }
    let stops = if depth == Depth::All { store.overview().await?.stops } else { Vec::new() };
    let mut known = Vec::new();
    for remote in remotes {
        if let Some(id) = store.batch_by_remote(remote).await? {
            known.extend(store.batch(&id).await?);
        }
    }
    let events = if depth == Depth::All { store.events("main").await? } else { Vec::new() };
    let page = PageRequest { limit: 200, cursor: None };
    let sessions = store.sessions("main", &page).await?.items;
    let busy = sessions.into_iter().filter(|session| session.holder.is_some()).map(|session| session.name);
    let busy_sessions = busy.collect();
    Ok(Seen { now, jobs, runs, batches, halves, windows, stops, known, due, places, busy_sessions, events })
}

async fn all_runs(store: &dyn Store) -> Result<Vec<Run>, StoreError> {
    let mut runs = Vec::new();
    for id in ids() {
        let mut cursor = None;
        loop {
            let page = PageRequest { limit: 200, cursor };
            let found = store.runs(&RunFilter::OfJob(id.clone()), &page).await?;
            runs.extend(found.items);
            cursor = found.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(runs)
}

async fn named_runs(
    store: &dyn Store,
    jobs: &[JobRecord],
    due: &[DueItem],
    places: &Places,
) -> Result<Vec<Run>, StoreError> {
    let mut keys: BTreeSet<RunKey> =
        jobs.iter().flat_map(|job| job.active.iter().chain(&job.waiting)).cloned().collect();
    keys.extend(places.held.iter().map(|(_, key)| key).chain(&places.queue).cloned());
    for item in due {
        match item {
            DueItem::Run(key) => drop(keys.insert(key.clone())),
            DueItem::Batch(id) => {
                let members = store.batch(id).await?.map(|batch| batch.members);
                if let Some(Roll::Listed(members)) = members {
                    keys.extend(members.into_iter().map(|member| member.run));
                }
            }
            DueItem::Job(_) | DueItem::Window(_) => {}
        }
    }
    let mut runs = Vec::with_capacity(keys.len());
    for key in keys {
        runs.extend(store.run(&key).await?);
    }
    Ok(runs)
}

/// Holds at every moment in which nobody is in the middle of a call.
pub fn always(world: &World, seen: &Seen) -> Vec<Violation> {
    let provider = &world.outside.provider;
    let rows = |batches: &[SimBatch], _: &[BillLine]| {
        (ledger::rows_twice(batches, &seen.runs), ledger::rows_again(batches, world.older))
    };
    let (twice, again) = provider.look(rows);
    let mut found = Vec::new();
    let mut rule = |rule: &'static str, said: Vec<String>| {
        found.extend(said.into_iter().map(|detail| Violation { rule, detail }));
    };
    rule("no hop is paid twice in batches", twice);
    rule("a failed row is sent once more, a wrong one never", again);
    rule("no chunk arrives twice where nobody drops repeats", world.outside.channel.seen_twice());
    rule("every live run has somebody who will look at it", unowned(world, seen));
    rule("who waits in a window stands in it", outside_windows(seen));
    rule("a lease lasts 90 seconds at most", long_leases(seen));
    rule("a job counts its live runs, and no others", miscounted(seen));
    rule("a place is held by the run that has it", misplaced(seen));
    rule("what is given up is explained by a fault", unexplained(world));
    rule("an event is answered by one turn", main_session::answered_twice(&seen.runs));
    found
}

/// Holds once all faults are over, the jobs are gone, and time has passed.
pub fn at_rest(world: &World, seen: &Seen) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut rule = |rule: &'static str, said: Vec<String>| {
        found.extend(said.into_iter().map(|detail| Violation { rule, detail }));
    };
    let money = |batches: &[SimBatch], bill: &[BillLine]| {
        let stopped = ledger::stopped_unasked(batches, &seen.known, &seen.runs);
        (stopped, ledger::overpaid(bill, &seen.runs, seen.now), ledger::misbooked(bill, &seen.runs))
    };
    let (stopped, overpaid, misbooked) = world.outside.provider.look(money);
    rule("no batch is stopped that somebody waits for", stopped);
    rule("a hop in realtime is started twice at most", overpaid);
    rule("runs say what the bill says", misbooked);
    rule("every paid answer that reached us is booked", unbooked(world, seen));
    rule("every run ends", unended(seen));
    rule("an alert arrived where its run says so", misreported(world, seen));
    rule(
        "no stop outlasts its reason",
        seen.stops.iter().filter(|stop| stop.holds(seen.now)).map(Stop::sentence).collect(),
    );
    rule("an event is answered, or given up by those who saw it", main_session::lost(world, seen));
    rule("nothing is left over", left_over(world, seen));
    found
}

fn is_settled(batch: &Batch) -> bool {
    matches!(batch.state, BatchState::Settled { .. })
}

/// Whether a half is being made, for `run`, of the batch that it still says it is in.
fn in_half(seen: &Seen, run: &Run) -> bool {
    seen.halves.iter().any(|half| {
        let from = matches!(&half.state, BatchState::Sealing { from } if from.as_ref() == run.state.batch());
        from && matches!(&half.members, Roll::Listed(members) if members.iter().any(|member| member.run == run.key))
    })
}

/// A live run is in the due index, in a batch that is, or in the queue for places, or an invocation has it.
fn unowned(world: &World, seen: &Seen) -> Vec<String> {
    let due_runs: BTreeSet<&RunKey> = seen
        .due
        .iter()
        .filter_map(|item| match item {
            DueItem::Run(key) => Some(key),
            DueItem::Batch(_) | DueItem::Job(_) | DueItem::Window(_) => None,
        })
        .collect();
    let due_batches: BTreeSet<&str> = seen
        .due
        .iter()
        .filter_map(|item| match item {
            DueItem::Batch(id) => Some(id.as_str()),
            DueItem::Run(_) | DueItem::Job(_) | DueItem::Window(_) => None,
        })
        .collect();
    let queued: BTreeSet<&RunKey> = seen.places.queue.iter().collect();
    let live = seen.runs.iter().filter(|run| !run.state.is_terminal());
    let owned = |run: &Run| {
        if attention_at(run).is_some() {
            return due_runs.contains(&run.key);
        }
        if matches!(run.state, State::Waiting { reason: WaitReason::Place { .. } }) {
            return queued.contains(&run.key);
        }
        run.state.batch().is_some_and(|id| due_batches.contains(id.as_str())) || in_half(seen, run)
    };
    let mut said: Vec<String> = live
        .filter(|run| !owned(run))
        .map(|run| format!("nobody will look at {}, which is {:?} under lease {:?}", run.key, run.state, run.lease))
        .collect();
    for (id, batch) in &seen.batches {
        let mut members = seen.runs.iter().filter(|run| run.state.batch() == Some(id));
        // Who closes a batch gives back after that who is still in it, and the sweep does where he dies in between.
        let looked_at = |run: &Run| in_half(seen, run) || (world.is_unsettled() && due_runs.contains(&run.key));
        if batch.as_ref().is_none_or(is_settled) && !members.all(looked_at) {
            let state = batch.as_ref().map(|batch| &batch.state);
            said.push(format!("a run is in batch {id}, of which nothing comes any more: {state:?}"));
        }
    }
    said
}

/// Whoever seals a window finds all who wait in it.
fn outside_windows(seen: &Seen) -> Vec<String> {
    let stands =
        |run: &Run, id: &WindowId| seen.windows.iter().any(|(one, there)| one == id && there.contains(&run.key));
    let waiting = seen.runs.iter().filter_map(|run| run.state.window().map(|id| (run, id)));
    let outside = waiting.filter(|(run, id)| !stands(run, id));
    outside.map(|(run, id)| format!("{} waits in window {id}, which does not have it", run.key)).collect()
}

/// No lease is longer than 90 seconds from now.
fn long_leases(seen: &Seen) -> Vec<String> {
    let long = seen.runs.iter().filter(|run| run.lease.as_ref().is_some_and(|lease| lease.until > seen.now + LEASE));
    long.map(|run| format!("{} is held until {:?}", run.key, run.lease)).collect()
}

/// What a job counts as live or waiting is, and what is live is counted.
fn miscounted(seen: &Seen) -> Vec<String> {
    let mut said = Vec::new();
    for record in &seen.jobs {
        let id = &record.job.job_id;
        let of_job = || seen.runs.iter().filter(|run| run.job_id == *id);
        for key in &record.active {
            if !of_job().any(|run| run.key == *key && run.state.occupies_job()) {
                said.push(format!("{id} counts {key}, which is not live"));
            }
        }
        for key in &record.waiting {
            let waits = |run: &Run| matches!(run.state, State::Waiting { reason: WaitReason::Overlap });
            if !of_job().any(|run| run.key == *key && waits(run)) {
                said.push(format!("{id} keeps {key} waiting, which does not wait"));
            }
        }
    }
    said
}

/// Places and runs say the same.
fn misplaced(seen: &Seen) -> Vec<String> {
    let mut said = Vec::new();
    for (place, key) in &seen.places.held {
        if !seen.runs.iter().any(|run| run.key == *key && run.place == Some(*place)) {
            said.push(format!("place {place} is held for {key}, which does not have it"));
        }
    }
    for run in &seen.runs {
        if let Some(place) = run.place
            && !seen.places.held.iter().any(|(held, key)| *held == place && *key == run.key)
        {
            said.push(format!("{} has place {place}, which is not held for it", run.key));
        }
    }
    said
}

/// Paid answers that are in no run, but for those that were lost on their way to us or with the invocation that had them,
/// and those whose row could not be read in time by a run which says that the call may have been paid.
pub fn unbooked(world: &World, seen: &Seen) -> Vec<String> {
    let says_so = |custom_id: &str| {
        let asked = RunKey::of_custom_id(custom_id);
        let run = asked.and_then(|(key, ..)| seen.runs.iter().find(|run| run.key == key));
        run.is_some_and(|run| {
            let unreadable = matches!(&run.state, State::Failed { code, .. } if code == "batch_row_unreadable");
            unreadable && run.books.unanswered() > 0
        })
    };
    let lost = |line: &BillLine| match &line.via {
        BilledVia::Realtime { invocation, .. } => world.was_hurt(*invocation),
        BilledVia::Batch { custom_id, .. } => says_so(custom_id),
    };
    world.outside.provider.look(|_, bill| ledger::unaccounted(bill, &seen.runs, lost))
}

fn unexplained(world: &World) -> Vec<String> {
    let odd = world.dead.iter().filter(|letter| !letter.explained);
    odd.map(|letter| format!("{:?} was given up at {}: {}", letter.envelope.kind, letter.at, letter.error)).collect()
}

fn unended(seen: &Seen) -> Vec<String> {
    let live = seen.runs.iter().filter(|run| !run.state.is_terminal());
    live.map(|run| format!("{} is still {:?} since {}", run.key, run.state, run.state_since)).collect()
}

/// Alerts that a run says arrived, and that nobody was shown; and those of which it does not say what became of them.
fn misreported(world: &World, seen: &Seen) -> Vec<String> {
    let arrived: BTreeSet<String> = world.outside.channel.sent().into_iter().map(|arrival| arrival.key).collect();
    let mut said = Vec::new();
    for run in &seen.runs {
        for notice in run.alerts.iter().flat_map(|alerts| &alerts.notices) {
            let key = format!("{}-{}-0", run.key, notice.kind.origin());
            let delivered = notice.fate.as_ref().map(|fate| fate.status == DeliveryStatus::Delivered);
            match delivered {
                None => said.push(format!("{key} is still to be told")),
                Some(true) if !arrived.contains(&key) => said.push(format!("{key} is told, and never arrived")),
                Some(_) => {}
            }
        }
    }
    said
}

fn left_over(world: &World, seen: &Seen) -> Vec<String> {
    let stays = |id: &JobId| id.is_built_in();
    let due = seen.due.iter().filter(|item| !matches!(item, DueItem::Job(id) if stays(id)));
    let mut said: Vec<String> = due.map(|item| format!("{item:?} is still due some day")).collect();
    let jobs = seen.jobs.iter().map(|record| &record.job.job_id).filter(|id| !stays(id));
    said.extend(jobs.map(|id| format!("job {id} is still there")));
    said.extend(seen.places.held.iter().map(|(place, run)| format!("place {place} is still held for {run}")));
    said.extend(seen.places.queue.iter().map(|run| format!("{run} still waits for a place")));
    said.extend(seen.busy_sessions.iter().map(|name| format!("session {name} is still held")));
    said.extend(world.queued().iter().map(|queued| format!("{} is still to be run", queued.task.name())));
    let timers = world.outside.timers.all().into_iter().filter(|(view, _)| view.name != SWEEP);
    // The main session goes on looking around.
    let timers = timers.filter(|(view, _)| !view.name.starts_with("j-hb-"));
    said.extend(timers.map(|(view, at)| format!("timer {} is still there, for {at:?}", view.name)));
    said
}
