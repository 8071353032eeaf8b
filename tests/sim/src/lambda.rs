//! The rules by which functions are called: what waits to be run, what is tried again, what is given up.
//!
//! Guarantee: an envelope is tried three times under one request id, a minute and two minutes apart ("How Lambda handles
//! errors and retries with asynchronous invocation", read 2026-11-20), then it is a dead letter; a person's request is sent
//! again under one idempotency key until it is answered or the person gives up.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::event::{Envelope, Function};
use nightshift_engine::jobs::{self, Refusal, Request, Stamp};
use nightshift_engine::{Deps, Invocation};
use serde_json::Value;

/// Waits before the second and the third attempt at an envelope.
const RETRY_WAITS: [TimeDelta; 2] = [TimeDelta::seconds(60), TimeDelta::seconds(120)];
/// How long a person waits before the same request is sent once more.
const ASKED_AGAIN_AFTER: TimeDelta = TimeDelta::seconds(20);
/// How often a person sends a request.
const ASKED_AT_MOST: u32 = 6;

/// What a person asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// A new job: `cron.add`.
    Add(Value),
    /// A change of a job: `cron.update`.
    Update(Value),
    /// No such job any more: `cron.remove`.
    Remove(Value),
    /// A run now: `cron.run`.
    Run(Value),
    /// A run stopped: `cron.cancel`.
    Cancel(Value),
    /// A text before the main session: `system.event`.
    Tell(Value),
    /// A value in the configuration: `config.set`.
    Config(Value),
    /// What is wrong, and mended where that is asked: `cron.doctor`.
    Doctor(Value),
}

/// What is to be run.
#[derive(Debug, Clone)]
pub enum Task {
    /// A function, with an envelope.
    Envelope(Envelope),
    /// The `api` function, with a request.
    Ask {
        /// What is asked.
        wish: Wish,
        /// What its ids are made of, the same for each repeat.
        stamp: Stamp,
    },
}

/// A task that waits for its time.
#[derive(Debug, Clone)]
pub struct Queued {
    /// When it may start.
    pub at: DateTime<Utc>,
    /// Its place among those of the same instant.
    pub order: u64,
    /// The id of the request, the same for each attempt.
    pub request_id: String,
    /// What is to be run.
    pub task: Task,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Whether something was done to each attempt before that explains why it failed.
    pub explained: bool,
}

/// What came of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// It is done.
    Done,
    /// It was refused for good, for a reason the asker can mend.
    Refused(String),
    /// The world failed it.
    Failed(String),
}

/// An envelope that was given up.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// What it was.
    pub envelope: Envelope,
    /// When it was given up.
    pub at: DateTime<Utc>,
    /// How it failed last.
    pub error: String,
    /// Whether each of its attempts met a fault of the world outside.
    pub explained: bool,
}

impl Task {
    /// How long the function has.
    pub fn timeout(&self) -> TimeDelta {
        match self {
            Self::Ask { .. } => TimeDelta::seconds(30),
            Self::Envelope(envelope) => match envelope.kind.function() {
                Function::Trigger | Function::Heartbeat => TimeDelta::seconds(900),
                Function::Poll | Function::Deliver => TimeDelta::seconds(300),
            },
        }
    }

    /// What it is, for a trace.
    pub fn name(&self) -> String {
        match self {
            Self::Envelope(envelope) => serde_json::to_string(envelope).unwrap_or_default(),
            Self::Ask { wish, .. } => format!("{wish:?}"),
        }
    }
}

impl Queued {
    /// The next attempt after this one failed at `now`; `None` when it is given up.
    pub fn again(&self, now: DateTime<Utc>) -> Option<Self> {
        let (wait, task) = match &self.task {
            Task::Envelope(_) => (*RETRY_WAITS.get(self.attempt as usize - 1)?, self.task.clone()),
            Task::Ask { .. } if self.attempt >= ASKED_AT_MOST => return None,
            Task::Ask { wish, stamp } => {
                let stamp = Stamp { repeated: true, ..*stamp };
                (ASKED_AGAIN_AFTER, Task::Ask { wish: wish.clone(), stamp })
            }
        };
        Some(Self { at: now + wait, task, attempt: self.attempt + 1, ..self.clone() })
    }
}

/// Runs the real handler of `task`.
pub async fn run(deps: Deps, invocation: Invocation, task: Task) -> Finish {
    match task {
        Task::Envelope(envelope) => {
            let done = match envelope.kind.function() {
                Function::Trigger => Box::pin(nightshift_trigger::handle(&deps, envelope, &invocation)).await,
                Function::Poll => Box::pin(nightshift_poll::handle(&deps, envelope, &invocation)).await,
                Function::Deliver => Box::pin(nightshift_deliver::handle(&deps, envelope, &invocation)).await,
                Function::Heartbeat => Box::pin(nightshift_heartbeat::handle(&deps, envelope, &invocation)).await,
            };
            match done {
                Ok(_) => Finish::Done,
                Err(error) => Finish::Failed(error.chain()),
            }
        }
        Task::Ask { wish, stamp } => {
            let now = deps.clock.now();
            let request = Request { deps: &deps, invocation: &invocation, now, stamp };
            match Box::pin(ask(&request, &wish)).await {
                Ok(()) => Finish::Done,
                Err(Refusal::Failed(error)) => Finish::Failed(error.chain()),
                Err(refused) => Finish::Refused(refused.to_string()),
            }
        }
    }
}

async fn ask(request: &Request<'_>, wish: &Wish) -> Result<(), Refusal> {
    match wish {
        Wish::Add(input) => Box::pin(jobs::add(request, input)).await.map(drop),
        Wish::Update(input) => Box::pin(jobs::update(request, input)).await.map(drop),
        Wish::Remove(input) => Box::pin(jobs::remove(request, input)).await.map(drop),
        Wish::Run(input) => Box::pin(jobs::run_now(request, input)).await.map(drop),
        Wish::Cancel(input) => Box::pin(jobs::cancel(request, input)).await.map(drop),
        Wish::Tell(input) => Box::pin(jobs::system_event(request, input)).await.map(drop),
        Wish::Config(input) => Box::pin(jobs::config_set(request, input)).await.map(drop),
        Wish::Doctor(input) => Box::pin(jobs::doctor(request, input)).await.map(drop),
    }
}
