//! A small world in which one thing happens at a time, so that a fault is put at one effect of one invocation and nothing
//! else differs from an undisturbed play.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use nightshift_domain::event::{Envelope, Wake};
use nightshift_engine::jobs::Stamp;
use nightshift_engine::{Clock, Deps, Invocation, ManualClock, endpoint};
use nightshift_sim::gate::{Call, Verdict};
use nightshift_sim::lambda::{self, Finish, Queued, Task, Wish};
use nightshift_sim::outside::Outside;
use nightshift_sim::switch::Switch;
use serde_json::Value;

/// A long time: whoever is not done by then hangs.
const STEPS_AT_MOST: usize = 100_000;

/// What is done to the invocation that a table's cell is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The effect fails and is not had.
    Before,
    /// It is had, and the answer lost.
    After,
    /// The same envelope is run once more, to its end, right after the effect.
    Twice,
    /// The invocation dies right after the effect.
    Crash,
}

/// All of them, as the table's columns.
pub(super) const FAULTS: [Fault; 4] = [Fault::Before, Fault::After, Fault::Twice, Fault::Crash];

impl Fault {
    /// Its column's head.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Before => "failed before",
            Self::After => "failed after",
            Self::Twice => "run twice",
            Self::Crash => "crashed after",
        }
    }
}

/// A call of a tool that a provider's own loop makes over the MCP endpoint.
#[derive(Debug, Clone)]
pub(super) struct ToolCall {
    /// The run's token.
    pub(super) token: String,
    /// The tool.
    pub(super) tool: &'static str,
    /// What with.
    pub(super) arguments: Value,
}

impl ToolCall {
    /// What the `tools` function does with it.
    async fn make(self, deps: Deps, invocation: Invocation) -> Finish {
        let granted = match endpoint::authorize(&deps, &self.token).await {
            Ok(Some(granted)) => granted,
            Ok(None) => return Finish::Refused("nobody is let in".to_owned()),
            Err(error) => return Finish::Failed(error.chain()),
        };
        match Box::pin(endpoint::call(&deps, &invocation, &granted, self.tool, self.arguments)).await {
            Ok(_) => Finish::Done,
            Err(error) => Finish::Failed(error.chain()),
        }
    }
}

/// What came of an invocation.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Finished(Finish),
    Crashed,
}

/// The world, with what waits to be run.
pub(super) struct Stage {
    /// Everything outside the functions.
    pub(super) outside: Outside,
    /// The time.
    pub(super) clock: ManualClock,
    switch: Arc<Switch>,
    retries: Vec<Queued>,
    /// Requests that are no task but a call of a tool. They are sent again as a person's are.
    calls: BTreeMap<String, ToolCall>,
    invocations: u64,
    requests: u64,
    /// Envelopes that were given up.
    pub(super) dead: Vec<String>,
    /// What was refused for good.
    pub(super) refused: Vec<String>,
    /// What somebody else does while the invocation that is looked at makes the call of this name.
    pub(super) meanwhile: Option<Meanwhile>,
}

/// The name of a call, and what is done as it is made.
pub(super) type Meanwhile = (&'static str, fn(&mut Stage));
type Running = Pin<Box<dyn Future<Output = Finish>>>;

impl Stage {
    /// An empty world with its sweep, shortly after a quarter of an hour.
    pub(super) fn new() -> Self {
        let clock = ManualClock::new(DateTime::from_timestamp(1_795_219_230, 0).unwrap());
        let outside = Outside::new(clock.clone(), 7);
        outside.timers.recur("sweep", "rate(15 minutes)", Envelope::new(Wake::Sweep)).unwrap();
        Self {
            outside,
            clock,
            switch: Arc::default(),
            retries: Vec::new(),
            calls: BTreeMap::new(),
            invocations: 0,
            requests: 0,
            dead: Vec::new(),
            refused: Vec::new(),
            meanwhile: None,
        }
    }

    /// What waits to be run, with when it may be.
    fn next_due(&self) -> Option<(DateTime<Utc>, Due)> {
        let retry = self.retries.iter().enumerate().map(|(at, queued)| (queued.at, Due::Retry(at)));
        let call = self.outside.queue.all().into_iter().map(|call| (call.at, Due::Call(call.id)));
        let timer = self.outside.timers.next().map(|(at, name)| (at, Due::Timer(name)));
        retry.chain(call).chain(timer).min_by(|one, other| one.0.cmp(&other.0))
    }

    fn take(&mut self, due: Due) -> Queued {
        let envelope = match due {
            Due::Retry(at) => return self.retries.remove(at),
            Due::Call(id) => self.outside.queue.take(id).unwrap().envelope,
            Due::Timer(name) => self.outside.timers.fire(&name).unwrap().envelope,
        };
        self.request(Task::Envelope(envelope))
    }

    /// A task that comes for the first time.
    pub(super) fn request(&mut self, task: Task) -> Queued {
        self.requests += 1;
        let request_id = format!("request-{}", self.requests);
        Queued { at: self.clock.now(), order: self.requests, request_id, task, attempt: 1, explained: false }
    }

    /// A person's request.
    pub(super) fn wish(&mut self, wish: Wish) -> Queued {
        let stamp = Stamp { at: self.clock.now(), bits: u128::from(self.requests + 1) << 40 | 0x5eed, repeated: false };
        self.request(Task::Ask { wish, stamp })
    }

    /// A model's call of a tool.
    pub(super) fn call(&mut self, call: ToolCall) -> Queued {
        let queued = self.wish(Wish::Doctor(Value::Null));
        self.calls.insert(queued.request_id.clone(), call);
        queued
    }

    /// Carries out a person's request undisturbed.
    pub(super) fn ask(&mut self, wish: Wish) {
        let queued = self.wish(wish);
        let end = self.run(&queued, |_| Verdict::Go);
        assert_eq!(end, End::Finished(Finish::Done), "{queued:?}");
    }

    /// Lets the world go on for `span`.
    pub(super) fn go_on(&mut self, span: TimeDelta) {
        let until = self.clock.now() + span;
        while let Some((at, due)) = self.next_due().filter(|(at, _)| *at <= until) {
            self.clock.advance_to(at);
            let queued = self.take(due);
            self.run_and_settle(&queued);
        }
        self.clock.advance_to(until);
    }

    /// Lets the world go on until the next thing to be run is one that `wanted` says; that is taken, and not run.
    pub(super) fn until(&mut self, wanted: impl Fn(&Self, &Envelope) -> bool) -> Queued {
        let patience = self.clock.now() + TimeDelta::days(2);
        while self.clock.now() < patience {
            let (at, due) = self.next_due().unwrap();
            self.clock.advance_to(at);
            let queued = self.take(due);
            if let Task::Envelope(envelope) = &queued.task
                && wanted(self, envelope)
            {
                return queued;
            }
            self.run_and_settle(&queued);
        }
        panic!("it never comes: {:#?}", super::judge::outcome(self).runs);
    }

    /// Runs `queued` undisturbed; the effects it has, in order.
    pub(super) fn effects_of(&mut self, queued: &Queued) -> Vec<Call> {
        let mut effects = Vec::new();
        let end = self.run_meanwhile(queued, |call| {
            if call.effect {
                effects.push(call.clone());
            }
            Verdict::Go
        });
        self.settle(queued, end);
        effects
    }

    /// Runs `queued` with `fault` at its `nth` effect, from 0; whether it came to that.
    pub(super) fn disturb(&mut self, queued: &Queued, nth: usize, fault: Fault) -> bool {
        let mut seen = 0;
        let mut hit = |call: &Call| {
            seen += usize::from(call.effect);
            call.effect && seen == nth + 1
        };
        match fault {
            Fault::Before | Fault::After | Fault::Crash => {
                let mut met = false;
                let verdict = match fault {
                    Fault::Before => Verdict::FailBefore,
                    Fault::After => Verdict::FailAfter,
                    Fault::Crash | Fault::Twice => Verdict::CrashAfter,
                };
                let end = self.run_meanwhile(queued, |call| {
                    let hit = hit(call);
                    met |= hit;
                    if hit { verdict } else { Verdict::Go }
                });
                self.settle(queued, end);
                met
            }
            Fault::Twice => {
                let (invocation, mut first) = self.start(queued);
                let mut meanwhile = self.meanwhile.take();
                let (mut met, mut repeated) = (false, false);
                loop {
                    let mut others = false;
                    let end = self.advance(invocation, &mut first, |call| {
                        let hit = hit(call);
                        met |= hit;
                        others |= meanwhile.is_some_and(|(name, _)| call.name == name);
                        (Verdict::Go, hit || others)
                    });
                    let over = end.is_some();
                    if let Some(end) = end {
                        self.settle(queued, end);
                    }
                    if met && !repeated {
                        repeated = true;
                        self.repeat(queued);
                    }
                    if let Some((_, act)) = meanwhile.take_if(|_| others) {
                        act(self);
                    }
                    if over {
                        return met;
                    }
                }
            }
        }
    }

    /// The same event once more. It has an id of its own, and so no claim to the first one's leases.
    fn repeat(&mut self, queued: &Queued) {
        let second = self.request(again(&queued.task));
        if let Some(call) = self.calls.get(&queued.request_id).cloned() {
            self.calls.insert(second.request_id.clone(), call);
        }
        self.run_and_settle(&second);
    }

    /// As [`Stage::until`], while everything that `lost` says is lost.
    pub(super) fn losing(
        &mut self,
        lost: fn(&Self, &Envelope) -> bool,
        wanted: fn(&Self, &Envelope) -> bool,
    ) -> Queued {
        loop {
            let queued = self.until(|stage, envelope| lost(stage, envelope) || wanted(stage, envelope));
            if let Task::Envelope(envelope) = &queued.task
                && wanted(self, envelope)
            {
                return queued;
            }
        }
    }

    /// Lets `span` pass in which nothing runs, as if all were down.
    pub(super) fn go_on_without(&mut self, span: TimeDelta) {
        let until = self.clock.now() + span;
        while let Some((_, due)) = self.next_due().filter(|(at, _)| *at <= until) {
            let _ = self.take(due);
        }
        self.clock.advance_to(until);
    }

    /// Runs `queued` undisturbed.
    pub(super) fn play(&mut self, queued: &Queued) {
        self.run_and_settle(queued);
    }

    /// The present.
    pub(super) fn clock_now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Whether a sweep would find something.
    pub(super) fn has_overdue(&self) -> bool {
        let before = self.clock.now() - TimeDelta::minutes(2);
        !self.outside.store.due(before, 1).now_or_never().unwrap().unwrap().is_empty()
    }

    fn run_and_settle(&mut self, queued: &Queued) {
        let end = self.run(queued, |_| Verdict::Go);
        self.settle(queued, end);
    }

    /// Lambda's rules for what failed.
    fn settle(&mut self, queued: &Queued, end: End) {
        let error = match end {
            End::Finished(Finish::Done) => return,
            End::Finished(Finish::Refused(why)) => return self.refused.push(why),
            End::Finished(Finish::Failed(error)) => error,
            End::Crashed => "crashed".to_owned(),
        };
        match queued.again(self.clock.now()) {
            Some(again) => self.retries.push(again),
            None => self.dead.push(format!("{}: {error}", queued.task.name())),
        }
    }

    fn run(&mut self, queued: &Queued, mut verdict: impl FnMut(&Call) -> Verdict) -> End {
        let (invocation, mut running) = self.start(queued);
        self.advance(invocation, &mut running, |call| (verdict(call), false)).unwrap()
    }

    /// As [`Stage::run`], while somebody else does what the play says.
    fn run_meanwhile(&mut self, queued: &Queued, mut verdict: impl FnMut(&Call) -> Verdict) -> End {
        let meanwhile = self.meanwhile.take();
        let (invocation, mut running) = self.start(queued);
        let paused = self.advance(invocation, &mut running, |call| {
            let is_it = meanwhile.is_some_and(|(name, _)| call.name == name);
            (verdict(call), is_it)
        });
        if let Some((_, act)) = meanwhile {
            act(self);
        }
        paused.unwrap_or_else(|| self.advance(invocation, &mut running, |call| (verdict(call), false)).unwrap())
    }

    fn start(&mut self, queued: &Queued) -> (u64, Running) {
        self.invocations += 1;
        let deps = self.outside.deps(self.switch.clone(), self.invocations);
        let deadline = self.clock.now() + queued.task.timeout();
        let invocation = Invocation::new(&queued.request_id, u128::from(self.invocations), deadline);
        let running: Running = match self.calls.get(&queued.request_id) {
            Some(call) => Box::pin(call.clone().make(deps, invocation)),
            None => Box::pin(lambda::run(deps, invocation, queued.task.clone())),
        };
        (self.invocations, running)
    }

    /// Polls an invocation to its end, or until the effect of a call was had after which `verdict` says to pause; `None` then.
    fn advance(
        &self,
        invocation: u64,
        running: &mut Running,
        mut verdict: impl FnMut(&Call) -> (Verdict, bool),
    ) -> Option<End> {
        let mut context = Context::from_waker(Waker::noop());
        let (mut crashing, mut pausing) = (false, false);
        for _ in 0..STEPS_AT_MOST {
            if let Poll::Ready(finish) = running.as_mut().poll(&mut context) {
                return Some(End::Finished(finish));
            }
            if pausing && !crashing {
                return None;
            }
            if let Some((n, call, _)) = self.switch.waiting(invocation, self.clock.now()).into_iter().next() {
                let (verdict, pause) = verdict(&call);
                crashing |= matches!(verdict, Verdict::CrashBefore | Verdict::CrashAfter);
                pausing |= pause;
                self.switch.let_on(n, verdict);
            } else if crashing {
                return Some(End::Crashed);
            } else if let Some(at) = self.clock.next_wake() {
                self.clock.advance_to(at);
            } else {
                panic!("an invocation waits for nothing");
            }
        }
        panic!("an invocation does not come to an end");
    }

    /// Runs `queued` until it dies right after its first effect called `name`, and nobody tries it again.
    pub(super) fn lose(&mut self, queued: &Queued, name: &str) {
        let mut met = false;
        let end = self.run(queued, |call| {
            let hit = !met && call.effect && call.name == name;
            met |= hit;
            if hit { Verdict::CrashAfter } else { Verdict::Go }
        });
        assert_eq!(end, End::Crashed, "it has no effect {name}");
    }
}

/// The same event, or a person's request, once more.
fn again(task: &Task) -> Task {
    match task {
        Task::Envelope(_) => task.clone(),
        Task::Ask { wish, stamp } => Task::Ask { wish: wish.clone(), stamp: Stamp { repeated: true, ..*stamp } },
    }
}

enum Due {
    Retry(usize),
    Call(u64),
    Timer(String),
}
