//! A case: a world, what happens in it, and whether it comes to rest as it must.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::RunKey;
use nightshift_domain::cost::Totals;
use nightshift_domain::event::Envelope;
use nightshift_domain::event::Wake;
use nightshift_domain::job::RunStatus;
use nightshift_domain::metrics::Metric;
use nightshift_domain::run::{Origin, Run, best_realtime};
use nightshift_engine::ManualClock;
use nightshift_engine::ports::{DueItem, PageRequest};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::diary::Diary;
use crate::invariants::{self, Depth, Seen};
use crate::lambda::Wish;
use crate::ops::{Op, job_id, reminder};
use crate::outside::Outside;
use crate::purse;
use crate::tally::Tally;
use crate::world::{SWEEP, Violation, World};

/// How long after the last fault every occurrence must have its row.
const MENDING: TimeDelta = TimeDelta::minutes(100);
/// The same for one case in so many, in which each job's next occurrences come too: a daily one has one every day.
const MENDING_LONG: (u64, TimeDelta) = (16, TimeDelta::hours(28));
/// How long after its time anything at all may be without a look, once all is well: two rounds of the sweep, and its grace.
const LOOKED_AT_WITHIN: TimeDelta = TimeDelta::minutes(35);
/// How late the sweep's own timer is at most: what nobody but the sweep could see is seen in time only if it comes.
const SWEEP_LATE_AT_MOST: TimeDelta = TimeDelta::minutes(30);
/// How long, after that and without jobs, things may take to come to rest: a batch lives for a day and is believed gone after
/// 25 hours, a turn may wait for seven days, and a provider may ask for a day before each retry.
const REST_WITHIN: TimeDelta = TimeDelta::days(12);
/// How often somebody looks whether it has.
const LOOK_EVERY: TimeDelta = TimeDelta::hours(3);

/// After one operation in so many all runs are looked at, those that are over too.
const LOOK_DEEPER: usize = 10;

/// A world and what happens in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Decides what operations leave open: who goes first, which ids are drawn.
    pub seed: u64,
    /// What happens.
    pub ops: Vec<Op>,
}

/// What a case came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Played {
    /// How much was done.
    pub tally: Tally,
    /// Stands for everything that was done.
    pub digest: u64,
}

/// Every so-manieth case has a budget of a day, which a few calls at once fill: the most that one can cost is some $0.40.
const BUDGET_ONE_IN: u64 = 3;
const BUDGET_USD: f64 = 1.5;

/// What must not be, and when it was seen.
#[derive(Debug)]
pub struct Failure {
    /// Which operation it was seen after; `None` for afterwards.
    pub after: Option<usize>,
    /// What was seen.
    pub violations: Vec<Violation>,
    /// The trace, where it was kept.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after {
            Some(after) => writeln!(formatter, "after operation {after}:")?,
            None => writeln!(formatter, "at the end:")?,
        }
        for violation in &self.violations {
            writeln!(formatter, "  {violation}")?;
        }
        Ok(())
    }
}

/// How closely a case is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Its rules only.
    Rules,
    /// And the digest of what was done.
    Digest,
    /// And every line of it.
    Lines,
}

/// Plays `case` on a table in memory.
pub fn play(case: &Case, watch: Watch) -> Result<Played, Box<Failure>> {
    let clock = ManualClock::new(beginning());
    futures::executor::block_on(play_in(Outside::new(clock, case.seed), case, watch))
}

/// Plays `case` in a world around `outside`.
pub async fn play_in(outside: Outside, case: &Case, watch: Watch) -> Result<Played, Box<Failure>> {
    let fail = |violation| Box::new(Failure { after: None, violations: vec![violation], trace: Vec::new() });
    let start = outside.clock.clone();
    let mut world = World::new(outside).map_err(|error| fail(broken(&error)))?;
    match watch {
        Watch::Rules => {}
        Watch::Digest => world.trace.digest_lines(),
        Watch::Lines => world.trace.keep_lines(),
    }
    let started = nightshift_engine::Clock::now(&start);
    let (one_in, long) = MENDING_LONG;
    let mending = if case.seed.is_multiple_of(one_in) { long } else { MENDING };
    let budget = case.seed.is_multiple_of(BUDGET_ONE_IN).then_some(BUDGET_USD);
    let told = Box::pin(tell(&mut world, &case.ops, mending, budget)).await;
    told.map_err(|(after, violations)| Box::new(Failure { after, violations, trace: world.trace.lines().to_vec() }))?;
    world.tally.cases = 1;
    world.tally.operations = case.ops.len() as u64;
    world.tally.minutes = u64::try_from((world.now() - started).num_minutes()).unwrap_or(0);
    Ok(Played { tally: world.tally, digest: world.digest() })
}

fn broken(error: &dyn fmt::Debug) -> Violation {
    Violation { rule: "the world can be made", detail: format!("{error:?}") }
}

async fn tell(
    world: &mut World,
    ops: &[Op],
    mending: TimeDelta,
    budget: Option<f64>,
) -> Result<(), (Option<usize>, Vec<Violation>)> {
    let mut diary = Diary::default();
    let has_session = ops.iter().any(|op| matches!(op, Op::Remind { .. } | Op::Tell { .. } | Op::Beat { .. }));
    let route = json!({ "channel": "telegram", "to": "chat-main" });
    let mut config = json!({});
    if has_session {
        config["agents"] = json!({ "entries": { "main": { "defaultRoute": route } } });
    }
    if let Some(usd) = budget {
        config["cron"] = json!({ "budget": { "dayUsd": usd } });
    }
    let documents = world.outside.store.put_config(&config, 0).await;
    documents.map_err(|error| (None, vec![broken(&error)]))?;
    for (n, op) in ops.iter().enumerate() {
        let now = world.now();
        world.trace.line(|| format!("{now} operation {n}: {op:?}"));
        let here = |violation| (Some(n), vec![violation]);
        Box::pin(apply(world, *op)).await.map_err(here)?;
        let depth = if n % LOOK_DEEPER == 0 { Depth::All } else { Depth::Named };
        let seen = Box::pin(watch(world, &mut diary, depth)).await.map_err(here)?;
        let mut violations = invariants::always(world, &seen);
        if let Some(usd) = budget {
            violations.extend(purse::overspent(world, usd).await);
        }
        if !violations.is_empty() {
            return Err((Some(n), violations));
        }
    }
    let now = world.now();
    world.trace.line(|| format!("{now} all is well from now on"));
    let calm = ops.iter().all(Op::is_calm);
    Box::pin(settle(world, &mut diary, (mending, calm))).await.map_err(|violations| (None, violations))?;
    if budget.is_some() && world.older == 0 {
        // The previous release sets nothing aside, and forgets what was.
        let seen = invariants::look(world, Depth::All).await.map_err(|violation| (None, vec![violation]))?;
        sound(purse::unsettled(world, &seen).await).map_err(|violations| (None, violations))?;
    }
    Ok(())
}

async fn watch(world: &mut World, diary: &mut Diary, depth: Depth) -> Result<Seen, Violation> {
    world.quiesce().await?;
    let seen = invariants::look(world, depth).await?;
    for id in invariants::ids() {
        diary.enter(&id, seen.jobs.iter().find(|record| record.job.job_id == id), seen.now);
    }
    Ok(seen)
}

/// Lets `op` happen.
async fn apply(world: &mut World, op: Op) -> Result<(), Violation> {
    let now = world.now();
    match op {
        Op::Advance { seconds } => world.advance(TimeDelta::seconds(i64::from(seconds))).await?,
        Op::AddJob { job, shape } => world.ask(Wish::Add(shape.json(job, now))),
        Op::Remind { job, seconds, now: wakes } => world.ask(Wish::Add(reminder(job, seconds, wakes, now))),
        Op::Tell { now: wakes } => {
            let mode = if wakes { "now" } else { "next-heartbeat" };
            world.ask(Wish::Tell(json!({ "text": "Look at this.", "mode": mode })));
        }
        Op::Beat { minutes } => world.ask(Wish::Config(cadence(minutes))),
        Op::EditJob { job, edit } => world.ask(Wish::Update(edit.json(job, now))),
        Op::Switch { job, on } => {
            world.ask(Wish::Update(json!({ "jobId": job_id(job), "patch": { "enabled": on } })));
        }
        Op::Remove { job } => world.ask(Wish::Remove(json!({ "jobId": job_id(job) }))),
        Op::RunNow { job } => world.ask(Wish::Run(json!({ "jobId": job_id(job) }))),
        Op::Cancel { nth } => {
            let seen = invariants::look(world, Depth::Named).await?;
            let live: Vec<_> = seen.runs.iter().filter(|run| !run.state.is_terminal()).collect();
            if let Some(run) = pick(&live, nth) {
                world.ask(Wish::Cancel(json!({ "runId": run.key })));
            }
        }
        Op::FireEarly { nth } => {
            if let Some(name) = timer(world, nth)
                && let Some(fired) = world.outside.timers.fire(&name)
            {
                world.wake(fired.envelope);
            }
        }
        Op::FireTwice { nth } => {
            if let Some(fired) = timer(world, nth).and_then(|name| world.outside.timers.peek(&name)) {
                world.wake(fired.envelope);
            }
        }
        Op::FireLate { nth, seconds } => {
            if let Some(name) = timer(world, nth) {
                let late = TimeDelta::seconds(i64::from(seconds));
                if name == SWEEP {
                    world.held.entry(name).or_insert(now + late.min(SWEEP_LATE_AT_MOST));
                } else {
                    world.held.insert(name, now + late);
                }
            }
        }
        Op::LoseTimer { nth } => {
            if let Some(name) = timer(world, nth).filter(|name| name != SWEEP) {
                world.outside.timers.lose(&name);
            }
        }
        Op::Twice { envelopes } => world.twice_next += u32::from(envelopes),
        Op::Older { invocations } => world.older_next += u32::from(invocations),
        Op::Mishap(mishap) => world.mishaps.push(mishap),
        Op::Provider(plan) => world.outside.provider.plan(plan),
        Op::Send(plan) => world.outside.channel.plan(plan),
        Op::Window { seconds } => {
            world.ask(Wish::Config(json!({ "path": "cron.batch.windowSeconds", "value": seconds })));
        }
        Op::Places { most } => {
            world.ask(Wish::Config(json!({ "path": "cron.maxConcurrentRuns", "value": most })));
        }
        Op::Doctor { repair } => world.ask(Wish::Doctor(json!({ "repair": repair }))),
    }
    Ok(())
}

/// How often the main session looks around.
fn cadence(minutes: u32) -> serde_json::Value {
    json!({ "path": "agents.defaults.heartbeat.every", "value": format!("{minutes}m") })
}

fn pick<T>(from: &[T], nth: u8) -> Option<&T> {
    from.get(usize::from(nth).checked_rem(from.len())?)
}

fn timer(world: &World, nth: u8) -> Option<String> {
    let names: Vec<String> = world.outside.timers.all().into_iter().map(|(view, _)| view.name).collect();
    pick(&names, nth).cloned()
}

/// From here on nothing goes wrong: everything must come to rest.
async fn settle(
    world: &mut World,
    diary: &mut Diary,
    (mending, calm): (TimeDelta, bool),
) -> Result<(), Vec<Violation>> {
    let one = |violation| vec![violation];
    world.mishaps.clear();
    world.outside.provider.heal();
    world.outside.channel.heal();
    (world.older_next, world.twice_next) = (0, 0);
    world.held.clear();
    Box::pin(world.advance(mending)).await.map_err(one)?;
    let seen = Box::pin(watch(world, diary, Depth::All)).await.map_err(one)?;
    sound(invariants::always(world, &seen))?;
    sound(owed(diary, &world.swept, &seen))?;
    sound(overdue(world).await)?;
    // The previous release knows no totals.
    if world.older == 0 {
        sound(miscounted(world, &seen).await)?;
    }
    if calm {
        sound(mended(world).await)?;
        sound(mismeasured(world, &seen))?;
    }
    for id in invariants::ids().iter().filter(|id| !id.is_built_in()) {
        world.ask(Wish::Remove(json!({ "jobId": id })));
    }
    if seen.jobs.iter().any(|record| record.job.job_id.is_built_in()) {
        // Whatever waits for the main session is for it to answer.
        world.ask(Wish::Config(cadence(30)));
    }
    Box::pin(world.quiesce()).await.map_err(one)?;
    let until = world.now() + REST_WITHIN;
    loop {
        Box::pin(world.advance(LOOK_EVERY)).await.map_err(one)?;
        let seen = invariants::look(world, Depth::All).await.map_err(one)?;
        let restless = invariants::at_rest(world, &seen);
        if restless.is_empty() {
            return sound(invariants::always(world, &seen));
        }
        if world.now() >= until {
            return Err(restless);
        }
        // Nobody waits for the sweep's next round.
        world.wake(Envelope::new(Wake::Sweep));
    }
}

fn sound(violations: Vec<Violation>) -> Result<(), Vec<Violation>> {
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

/// Nothing that is due goes without a look. A run in a batch that is told to stop is looked at with the batch, and stays due.
async fn overdue(world: &World) -> Vec<Violation> {
    let rule = "what is overdue is looked at";
    let store = world.outside.store.as_ref();
    let due = match store.due(world.now() - LOOKED_AT_WITHIN, 100).await {
        Ok(due) => due,
        Err(error) => return vec![broken(&error)],
    };
    let mut found = Vec::new();
    for item in due {
        if let DueItem::Run(key) = &item
            && let Ok(Some(run)) = store.run(key).await
            && run.state.batch().is_some()
        {
            continue;
        }
        found.push(Violation { rule, detail: format!("nobody has looked at {item:?}") });
    }
    found
}

/// What was repaired in a world in which nothing broke: somebody forgot a step, and the sweep made up for it hours later.
async fn mended(world: &World) -> Vec<Violation> {
    let rule = "where nothing breaks nothing is repaired";
    match world.outside.store.overview().await {
        Ok(seen) => {
            let repairs = seen.counters.into_iter().filter(|(name, count)| name.starts_with("repaired.") && *count > 0);
            repairs.map(|(name, count)| Violation { rule, detail: format!("{name} counts {count}") }).collect()
        }
        Err(error) => vec![broken(&error)],
    }
}

/// The totals of the days come to what the runs have, and to what was paid for runs that are gone.
async fn miscounted(world: &World, seen: &Seen) -> Vec<Violation> {
    let store = world.outside.store.as_ref();
    let (mut counted, mut day) = (Totals::default(), beginning().date_naive());
    while day <= world.now().date_naive() {
        let page = PageRequest { limit: 200, cursor: None };
        match store.spending(day, None, &page).await {
            Ok(page) => counted = page.items.iter().fold(counted, |sum, spend| sum.plus(&spend.totals)),
            Err(error) => return vec![broken(&error)],
        }
        day = day.succ_opt().unwrap_or(day);
    }
    let gone = match store.overview().await {
        Ok(seen) => seen.counters,
        Err(error) => return vec![broken(&error)],
    };
    let gone = |name: &str| gone.iter().filter(|(known, _)| known == name).map(|(_, count)| *count).sum::<i64>();
    let ours: Vec<&Run> = seen.runs.iter().filter(|run| run.origin != Origin::Import && !run.hops.is_empty()).collect();
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let sum = |of: &dyn Fn(&Run) -> u64| ours.iter().map(|run| whole(of(run))).sum::<i64>();
    let money = gone("paid_unused.nano_usd_without_run");
    let rows = [
        ("runs", counted.runs, whole(ours.len() as u64)),
        ("answers", counted.hops, sum(&|run| run.hops.len() as u64) + gone("paid_unused.answers_without_run")),
        ("paid", counted.paid, sum(&|run| run.cost.paid_nano_usd) + money),
        ("unused", counted.unused, sum(&|run| run.cost_unused().paid_nano_usd) + money),
        ("realtime", counted.realtime, sum(&|run| best_realtime(&run.hops))),
    ];
    let rule = "the totals of the days are those of their runs";
    let wrong = rows.into_iter().filter(|(_, counted, rows)| counted != rows);
    wrong
        .map(|(what, counted, rows)| Violation { rule, detail: format!("{what}: {counted}, and the runs say {rows}") })
        .collect()
}

/// What metrics say otherwise than the rows: they may miss what an invocation did that died, and here none does.
fn mismeasured(world: &World, seen: &Seen) -> Vec<Violation> {
    let rule = "where nothing breaks the metrics come to what the rows say";
    let whole = |nano: u64| i64::try_from(nano).unwrap_or(i64::MAX);
    let count =
        |is: &dyn Fn(&Run) -> bool| i64::try_from(seen.runs.iter().filter(|run| is(run)).count()).unwrap_or(i64::MAX);
    let paid: i64 = seen.runs.iter().map(|run| whole(run.cost.paid_nano_usd)).sum();
    let realtime: i64 = seen.runs.iter().map(|run| whole(best_realtime(&run.hops))).sum();
    let rows = [
        (Metric::RunsBegun, count(&|_| true)),
        (Metric::RunsSucceeded, count(&|run| run.status() == Some(RunStatus::Ok))),
        (Metric::RunsFailed, count(&|run| run.status() == Some(RunStatus::Error))),
        (Metric::RunsSkipped, count(&|run| run.status() == Some(RunStatus::Skipped))),
        (Metric::Cost, paid),
        (Metric::Savings, realtime - paid),
        (Metric::Repairs, 0),
    ];
    let measured = rows.into_iter().map(|(metric, rows)| (metric, rows, world.outside.metrics.sum(metric)));
    let wrong = measured.filter(|(_, rows, measured)| rows != measured);
    wrong
        .map(|(metric, rows, measured)| Violation {
            rule,
            detail: format!("{} is {measured}, and the rows say {rows}", metric.name()),
        })
        .collect()
}

/// Whether an occurrence fell into its job's pause after a failure and its fire was lost: it would have been skipped, and is
/// entered as such with the job's next one, which is made up for by the sweep where its fire is lost as well.
fn waits_for_the_next(seen: &Seen, key: &RunKey) -> bool {
    let record = seen.jobs.iter().find(|record| record.job.job_id == key.job_id());
    record.is_some_and(|record| {
        record.settled.is_some_and(|settled| settled < key.slot())
            && record.hold_until.is_some_and(|until| key.slot() < until)
            && record
                .job
                .state
                .next_run_at_ms
                .is_some_and(|next| next > (seen.now - LOOKED_AT_WITHIN).timestamp_millis())
    })
}

/// Every occurrence of a job that was switched on has its row.
fn owed(diary: &Diary, swept: &[DateTime<Utc>], seen: &Seen) -> Vec<Violation> {
    let there: std::collections::BTreeSet<_> = seen.runs.iter().map(|run| &run.key).collect();
    let missing = diary.owed(swept).into_iter().filter(|key| !there.contains(key) && !waits_for_the_next(seen, key));
    let rule = "every occurrence of a job that is switched on has its row";
    missing.map(|key| Violation { rule, detail: format!("{key} is not there") }).collect()
}

/// The instant at which every case begins.
pub fn beginning() -> DateTime<Utc> {
    // 2026-11-21, midnight in UTC.
    DateTime::from_timestamp(1_795_219_200, 0).unwrap_or_default()
}
