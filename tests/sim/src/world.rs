//! The world: one clock, what is outside, and the invocations that run.
//!
//! Guarantee: it alone decides which invocation makes its next call, what goes wrong with that call, and when time moves.
//! Two worlds with the same seed that are told the same things are the same world: [`World::digest`] says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use nightshift_domain::event::{Envelope, Wake};
use nightshift_engine::jobs::{self, Stamp};
use nightshift_engine::ports::TimerError;
use nightshift_engine::{Clock, Deps, Invocation};

use crate::chance::Chance;
use crate::gate::Port;
use crate::lambda::{self, DeadLetter, Finish, Queued, Task, Wish};
use crate::mishap::Mishap;
use crate::older;
use crate::outside::Outside;
use crate::switch::Switch;
use crate::tally::Tally;
use crate::trace::Trace;

mod calls;

/// The name of the sweeper's timer.
pub const SWEEP: &str = "sweep";
/// One sweep in so many is run although nothing is overdue; the others of those are left out, which no rule of timers
/// forbids, and which makes a quiet day cheap.
const IDLE_SWEEPS: u32 = 8;
/// How long what a dead invocation left may wait for the sweep: the time it leaves to others, and two rounds.
const SWEPT_WITHIN: TimeDelta = TimeDelta::minutes(45);
/// The note of the sweep's daily pass: how far it is, and for which day.
const DAILY: &str = "daily";
/// Most calls in one instant: more, and something calls itself in a circle.
const MOST_AT_ONCE: u64 = 200_000;

/// One invocation that runs.
struct Execution {
    future: LocalBoxFuture<'static, Finish>,
    queued: Queued,
    started: DateTime<Utc>,
    deadline: DateTime<Utc>,
    /// It is of the previous release.
    older: bool,
    /// It has not been polled since it was started, or since the clock moved.
    fresh: bool,
    /// A fault was done to it.
    hurt: bool,
    /// It dies when its call to this port is back.
    doomed: Option<Port>,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// What was seen.
    pub detail: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.rule, self.detail)
    }
}

/// The world.
pub struct World {
    /// What is outside.
    pub outside: Arc<Outside>,
    /// What will go wrong.
    pub mishaps: Vec<Mishap>,
    /// How many of the next invocations are functions of the previous release.
    pub older_next: u32,
    /// How many invocations were.
    pub older: usize,
    /// How many of the next envelopes are handed over twice.
    pub twice_next: u32,
    /// Timers that do not fire before their hour, whatever they were set to.
    pub held: BTreeMap<String, DateTime<Utc>>,
    /// Envelopes that were given up.
    pub dead: Vec<DeadLetter>,
    /// The ids of events that somebody queued, and was told so.
    pub told: BTreeSet<String>,
    /// When sweeps got through without a fault, or found nothing to do.
    pub swept: Vec<DateTime<Utc>>,
    /// How much was done.
    pub tally: Tally,
    /// What was done.
    pub trace: Trace,
    switch: Arc<Switch>,
    chance: Chance,
    running: BTreeMap<u64, Execution>,
    queue: Vec<Queued>,
    serial: u64,
    sweeps_left_out: u32,
    at_once: (DateTime<Utc>, u64),
    /// Requests nobody will send again, and why.
    refused: Vec<(Wish, String)>,
    /// Invocations to which a fault was done.
    hurt: BTreeSet<u64>,
    /// Requests of which an invocation failed by a fault.
    hurt_requests: BTreeSet<String>,
    /// When an invocation was last cut off.
    died: Option<DateTime<Utc>>,
    /// When a stop of the provider was last written, renewed or ended.
    stopped: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("World")
            .field("now", &self.now())
            .field("running", &self.running.len())
            .finish_non_exhaustive()
    }
}

impl World {
    /// A world in which nothing has happened. Its sweeper's timer is set.
    pub fn new(outside: Outside) -> Result<Self, TimerError> {
        outside.timers.recur(SWEEP, "rate(15 minutes)", Envelope::new(Wake::Sweep))?;
        let (seed, now) = (outside.seed, outside.clock.now());
        Ok(Self {
            outside: Arc::new(outside),
            mishaps: Vec::new(),
            older_next: 0,
            older: 0,
            twice_next: 0,
            held: BTreeMap::new(),
            dead: Vec::new(),
            told: BTreeSet::new(),
            swept: Vec::new(),
            tally: Tally::default(),
            trace: Trace::default(),
            switch: Arc::default(),
            chance: Chance::new(seed),
            running: BTreeMap::new(),
            queue: Vec::new(),
            serial: 0,
            sweeps_left_out: 0,
            at_once: (now, 0),
            refused: Vec::new(),
            hurt: BTreeSet::new(),
            hurt_requests: BTreeSet::new(),
            died: None,
            stopped: None,
        })
    }

    /// The present.
    pub fn now(&self) -> DateTime<Utc> {
        self.outside.clock.now()
    }

    /// Stands for everything that was done so far.
    pub fn digest(&self) -> u64 {
        self.trace.digest()
    }

    /// What waits to be run.
    pub fn queued(&self) -> &[Queued] {
        &self.queue
    }

    /// The requests ids of what runs or will be tried again.
    pub fn alive(&self) -> BTreeSet<String> {
        let running = self.running.values().map(|execution| &execution.queued);
        running.chain(&self.queue).map(|queued| queued.request_id.clone()).collect()
    }

    /// Requests that were refused, and why.
    pub fn refused(&self) -> &[(Wish, String)] {
        &self.refused
    }

    /// Asks the API for something.
    pub fn ask(&mut self, wish: Wish) {
        let now = self.now();
        let bits = (u128::from(self.chance.bits()) << 64) | u128::from(self.chance.bits());
        let stamp = Stamp { at: now, bits, repeated: false };
        self.enqueue(now, Task::Ask { wish, stamp });
    }

    /// Hands an envelope to its function.
    pub fn wake(&mut self, envelope: Envelope) {
        self.enqueue(self.now(), Task::Envelope(envelope));
    }

    /// A number below `most`, by the world's chance.
    pub fn below(&mut self, most: usize) -> usize {
        self.chance.below(most)
    }

    fn enqueue(&mut self, at: DateTime<Utc>, task: Task) {
        let order = self.next_serial();
        self.queue.push(Queued { at, order, request_id: format!("r{order}"), task, attempt: 1, explained: true });
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Lets `step` pass, with everything that falls due in it.
    pub async fn advance(&mut self, step: TimeDelta) -> Result<(), Violation> {
        self.advance_to(self.now() + step).await
    }

    /// Lets time pass until `target`, with everything that falls due by then.
    pub async fn advance_to(&mut self, target: DateTime<Utc>) -> Result<(), Violation> {
        loop {
            self.quiesce().await?;
            let Some(next) = self.next_instant().filter(|next| *next <= target) else { break };
            self.move_to(next);
        }
        self.move_to(target);
        self.quiesce().await
    }

    /// The next instant at which something happens by itself.
    pub fn next_instant(&self) -> Option<DateTime<Utc>> {
        let queued = self.queue.iter().map(|queued| queued.at).min();
        let deadline = self.running.values().map(|execution| execution.deadline).min();
        let held_up = self.switch.next_to_go_on(self.now());
        [queued, deadline, held_up, self.next_timer(), self.outside.clock.next_wake()].into_iter().flatten().min()
    }

    fn next_timer(&self) -> Option<DateTime<Utc>> {
        if self.held.is_empty() {
            return self.outside.timers.next().map(|(at, _)| at);
        }
        let all = self.outside.timers.all();
        let at = |name: &str, at: DateTime<Utc>| self.held.get(name).map_or(at, |until| at.max(*until));
        all.into_iter().filter_map(|(view, next)| Some(at(&view.name, next?))).min()
    }

    fn move_to(&mut self, instant: DateTime<Utc>) {
        if instant <= self.now() {
            return;
        }
        self.outside.clock.advance_to(instant);
        for execution in self.running.values_mut() {
            execution.fresh = true;
        }
    }

    /// Lets everything go on that can without time moving.
    pub async fn quiesce(&mut self) -> Result<(), Violation> {
        loop {
            self.collect().await?;
            self.stop_late();
            self.start();
            let now = self.now();
            let ready: Vec<u64> = self
                .running
                .iter()
                .filter(|(n, execution)| execution.fresh || self.switch.has_waiting(**n, now))
                .map(|(n, _)| *n)
                .collect();
            let Some(n) = ready.get(self.chance.below(ready.len())).copied() else {
                if self.queue.iter().any(|queued| queued.at <= self.now()) {
                    continue;
                }
                return Ok(());
            };
            self.step(n).await?;
            self.count_step()?;
        }
    }

    fn count_step(&mut self) -> Result<(), Violation> {
        let now = self.now();
        if self.at_once.0 != now {
            self.at_once = (now, 0);
        }
        self.at_once.1 += 1;
        if self.at_once.1 > MOST_AT_ONCE {
            let detail = format!("{MOST_AT_ONCE} calls at {now}, and no end");
            return Err(Violation { rule: "functions do not call each other in a circle", detail });
        }
        Ok(())
    }

    /// Takes what was handed over and what is due into the queue.
    async fn collect(&mut self) -> Result<(), Violation> {
        let now = self.now();
        while let Some(call) = self.outside.queue.take_next() {
            self.enqueue(now, Task::Envelope(call.envelope));
        }
        if self.next_timer().is_none_or(|at| at > now) {
            return Ok(());
        }
        for (_, name) in self.outside.timers.due(now) {
            if self.held.get(&name).is_some_and(|until| *until > now) {
                continue;
            }
            self.held.remove(&name);
            if let Some(fired) = self.outside.timers.fire(&name)
                && (name != SWEEP || self.sweep_has_work(now).await?)
            {
                self.tally.fires += 1;
                self.trace.line(|| format!("{now} fires {name}"));
                self.enqueue(now, Task::Envelope(fired.envelope));
            }
        }
        Ok(())
    }

    async fn sweep_has_work(&mut self, now: DateTime<Utc>) -> Result<bool, Violation> {
        let store = self.outside.store.as_ref();
        let unread = |error| Violation { rule: "the table can be read", detail: format!("{error:?}") };
        let overdue = !store.due(now, 1).await.map_err(unread)?.is_empty();
        let waiting = !store.places(1).await.map_err(unread)?.queue.is_empty();
        let pass = store.memo(DAILY).await.map_err(unread)?.map(|note| note.document);
        let daily = pass.is_none_or(|pass| {
            !pass["cursor"].is_null() || pass["day"].as_str() != Some(&now.date_naive().to_string())
        });
        self.sweeps_left_out += 1;
        let run = overdue || waiting || daily || self.sweeps_left_out >= IDLE_SWEEPS;
        if run {
            self.sweeps_left_out = 0;
        } else {
            self.swept.push(now);
        }
        Ok(run)
    }

    /// Starts what waits and may start now.
    fn start(&mut self) {
        let now = self.now();
        let mut ready: Vec<Queued> = self.queue.extract_if(.., |queued| queued.at <= now).collect();
        ready.sort_by_key(|queued| queued.order);
        for queued in ready {
            if self.twice_next > 0 && matches!(queued.task, Task::Envelope(_)) {
                self.twice_next -= 1;
                let order = self.next_serial();
                // A timer that fires twice makes two requests; Lambda's own queue hands one request over twice.
                let same = self.chance.below(3) == 0;
                let request_id = if same { queued.request_id.clone() } else { format!("r{order}") };
                self.launch(Queued { order, request_id, ..queued.clone() }, now);
            }
            self.launch(queued, now);
        }
    }

    fn launch(&mut self, queued: Queued, now: DateTime<Utc>) {
        let n = self.next_serial();
        let is_older = self.older_next > 0 && matches!(queued.task, Task::Envelope(_));
        let deps: Deps = if is_older {
            self.older_next -= 1;
            self.older += 1;
            self.outside.deps_of_older(self.switch.clone(), n)
        } else {
            self.outside.deps(self.switch.clone(), n)
        };
        let deadline = now + queued.task.timeout();
        let invocation = Invocation::new(&queued.request_id, u128::from(n), deadline);
        self.tally.invocations += 1;
        self.trace.line(|| {
            format!("{now} starts {n} as {} attempt {}: {}", queued.request_id, queued.attempt, queued.task.name())
        });
        let unread = is_older && matches!(&queued.task, Task::Envelope(envelope) if !older::knows(&envelope.kind));
        let future = if unread {
            std::future::ready(Finish::Failed("a kind of envelope it does not know".to_owned())).boxed_local()
        } else {
            lambda::run(deps, invocation, queued.task.clone()).boxed_local()
        };
        let execution = Execution {
            future,
            queued,
            started: now,
            deadline,
            older: is_older,
            fresh: true,
            hurt: is_older,
            doomed: None,
        };
        self.running.insert(n, execution);
    }

    /// Stops invocations whose time is up.
    fn stop_late(&mut self) {
        let now = self.now();
        let late: Vec<u64> = self.running.iter().filter(|(_, one)| one.deadline <= now).map(|(n, _)| *n).collect();
        for n in late {
            self.tally.timeouts += 1;
            self.die(n, "its time was up");
        }
    }

    fn finish(&mut self, n: u64, finish: Finish) {
        let Some(execution) = self.running.remove(&n) else { return };
        let now = self.now();
        self.trace.line(|| format!("{now} {n} ends: {finish:?}"));
        match finish {
            Finish::Done => {
                if let Task::Ask { wish: Wish::Tell(_), stamp } = &execution.queued.task {
                    self.told.insert(jobs::event_id(stamp));
                }
                let sweep = matches!(&execution.queued.task, Task::Envelope(one) if matches!(one.kind, Wake::Sweep));
                if sweep && !execution.hurt {
                    self.swept.push(now);
                }
            }
            Finish::Refused(reason) => {
                if let Task::Ask { wish, .. } = execution.queued.task {
                    self.refused.push((wish, reason));
                }
            }
            Finish::Failed(error) => {
                self.tally.failures += 1;
                self.retry(&execution, error);
            }
        }
    }

    fn die(&mut self, n: u64, why: &str) {
        let Some(mut execution) = self.running.remove(&n) else { return };
        let now = self.now();
        self.trace.line(|| format!("{now} {n} dies: {why}"));
        self.died = Some(now);
        execution.hurt = true;
        self.hurt.insert(n);
        self.retry(&execution, why.to_owned());
    }

    fn retry(&mut self, execution: &Execution, error: String) {
        let now = self.now();
        let mut queued = execution.queued.clone();
        if execution.hurt {
            self.hurt_requests.insert(queued.request_id.clone());
        }
        // A row that a function of another release changed at the same time, or one that others changed, is a reason too.
        queued.explained &= execution.hurt
            || error.contains("times in a row")
            || error.contains("read row")
            || (error.contains("held by an earlier invocation of the same request") && self.has_twin(&queued));
        match queued.again(now) {
            Some(again) => self.queue.push(again),
            None => match queued.task {
                Task::Envelope(envelope) => {
                    self.tally.dead_letters += 1;
                    self.dead.push(DeadLetter { envelope, at: now, error, explained: queued.explained });
                }
                Task::Ask { wish, .. } => self.refused.push((wish, error)),
            },
        }
    }

    /// Whether another invocation of the same request is at work, or was when a fault ended it: the lease it has or left
    /// keeps the others away, and one after the other they try again or are given up.
    fn has_twin(&self, queued: &Queued) -> bool {
        self.hurt_requests.contains(&queued.request_id)
            || self.running.values().any(|execution| execution.queued.request_id == queued.request_id)
    }

    /// Whether a fault was done to an invocation, or its time was up.
    pub fn was_hurt(&self, invocation: u64) -> bool {
        self.hurt.contains(&invocation)
    }

    /// Whether somebody may be in the middle of something, or was until the sweep's last rounds.
    pub fn is_unsettled(&self) -> bool {
        !self.running.is_empty() || self.died.is_some_and(|at| self.now() < at + SWEPT_WITHIN)
    }

    /// How many invocations run.
    pub fn running(&self) -> usize {
        self.running.len()
    }
}
