//! What can happen to a run, and what is to be done about it.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::batch::WindowId;
use crate::budget;
use crate::job::DeliveryStatus;
use crate::model::{ModelErrorKind, Reply};
use crate::{AttemptId, RunKey};

use super::{Plan, Run, State, WaitReason};

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The run was planned.
    Planned(Box<Plan>),
    /// It cannot be run at all, and nothing was paid.
    Refused {
        /// The failure code.
        code: String,
        /// For a person.
        message: String,
    },
    /// What it waited for is over.
    PlaceFreed,
    /// It is not to run.
    Skipped {
        /// Why.
        reason: String,
    },
    /// Its text was queued for the main session; there is no turn of its own.
    Queued {
        /// What a person should know of that.
        note: Option<String>,
    },
    /// The model answered a realtime hop.
    Replied(Reply),
    /// A realtime hop failed.
    ModelFailed {
        /// How.
        kind: ModelErrorKind,
        /// What was said.
        message: String,
        /// When the provider wants to be asked again.
        retry_after: Option<TimeDelta>,
    },
    /// The tools its hop asked for have come back, and what they said is in its conversation.
    ToolsRan,
    /// The invocation has no time for the next hop.
    TimeRanOut,
    /// Its time to go on has come.
    Resumed,
    /// Its holder died while a realtime hop was with the model, or while tools were at work.
    HolderDied,
    /// The intent to create its batch is about to be written.
    Sealed(AttemptId),
    /// Its batch was sealed without it: nothing was sent for it.
    LeftOut,
    /// Its batch exists.
    BatchCreated {
        /// Anthropic's id.
        remote: String,
    },
    /// Its batch was refused, and certainly does not exist.
    BatchRefused {
        /// How.
        kind: ModelErrorKind,
        /// What was said.
        message: String,
        /// When the provider wants to be asked again.
        retry_after: Option<TimeDelta>,
    },
    /// Its batch was searched for long enough and never came to be.
    BatchLost,
    /// Several batches could be it and none proved to be.
    BatchAmbiguous,
    /// Its batch ended.
    BatchEnded(RowResult),
    /// Its time is up.
    DeadlinePassed,
    /// Somebody wants it stopped.
    CancelRequested,
    /// Its delivery is over.
    Delivered(DeliveryStatus),
}

/// What a batch has for a run.
#[derive(Debug, Clone, PartialEq)]
pub enum RowResult {
    /// An answer.
    Succeeded(Box<Reply>),
    /// An error; nothing was paid.
    Errored {
        /// How.
        kind: ModelErrorKind,
        /// What was said.
        message: String,
    },
    /// It was stopped before the model saw it.
    Canceled,
    /// The batch ran out of its 24 hours.
    Expired,
    /// The results have no such row.
    Missing,
    /// The results may have it, and be paid for, but it could not be taken in for as long as that was waited for.
    Unreadable,
}

/// What is to be done after the run is written. Every one is safe to repeat; `engine` says how, per effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Plan it: resolve target, agent, model and path.
    Plan,
    /// Send a realtime hop.
    CallModel,
    /// Run the tools its hop asked for.
    RunTools,
    /// Put the hop in a batch.
    Submit,
    /// See that its window is open, so that somebody seals it.
    Collect(WindowId),
    /// Tell the batch to stop.
    CancelBatch(AttemptId),
    /// Arm a timer that resumes the run.
    ArmResume(DateTime<Utc>),
    /// Have the answer delivered.
    Deliver,
    /// Wake the agent's main session.
    WakeHeartbeat,
    /// Close the run: the job's state, counters, timers.
    Close,
}

/// What a run becomes, and what is to be done about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The run, with its `rev` raised.
    pub run: Run,
    /// In order.
    pub effects: Vec<Effect>,
}

impl Transition {
    /// The same where all places for realtime turns are taken: instead of calling the model the run waits for one, and goes
    /// on with the same hop when it has it.
    #[must_use]
    pub fn parked(mut self, now: DateTime<Utc>) -> Self {
        if let State::Running { hop, tries, .. } = self.run.state {
            self.run.state = State::Waiting { reason: WaitReason::Place { hop, tries } };
            self.run.state_since = now;
            self.run.lease = None;
            self.run.place = None;
            self.run.log(now, "waiting", Some("all places for realtime turns are taken".to_owned()));
            self.effects.retain(|effect| *effect != Effect::CallModel);
        }
        self
    }

    /// The same where the call it leads to would pass a budget: a run that asked no model yet does not run, another one fails.
    #[must_use]
    pub fn over_budget(mut self, message: &str, now: DateTime<Utc>) -> Self {
        let run = &mut self.run;
        let code = budget::CODE.to_owned();
        let (state, word) = if run.hops.is_empty() {
            (State::Skipped { reason: code }, "skipped")
        } else {
            (State::Failed { code, message: message.to_owned() }, "failed")
        };
        run.state = state;
        run.state_since = now;
        run.ended_at = Some(now);
        run.lease = None;
        run.log(now, word, Some(format!("{}: {message}", budget::CODE)));
        self.effects = vec![Effect::Close];
        self
    }

    /// The same where ready hops wait for others: it is put in `window` instead of a batch of its own.
    #[must_use]
    pub fn collected(mut self, id: WindowId, now: DateTime<Utc>) -> Self {
        if let State::Ready { window, .. } = &mut self.run.state {
            *window = Some(id.clone());
            self.run.lease = None;
            let until = id.ends_at().to_rfc3339_opts(SecondsFormat::Secs, true);
            self.run.log(now, "collected", Some(format!("it waits for its window until {until}")));
            self.effects.retain(|effect| *effect != Effect::Submit);
            self.effects.push(Effect::Collect(id));
        }
        self
    }

    /// What becomes of `run`, which was to be planned, where another run has its session: it waits, and is planned anew when
    /// its turn comes, because what it is planned by may have changed by then.
    #[must_use]
    pub fn behind(run: &Run, why: String, now: DateTime<Utc>) -> Self {
        let mut run = run.clone();
        run.rev += 1;
        run.state = State::Waiting { reason: WaitReason::Session };
        run.state_since = now;
        run.lease = None;
        run.log(now, "waiting", Some(why));
        Self { run, effects: Vec::new() }
    }
}

/// The event has nothing to say to a run that stands like this: it was late, or a repeat.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("run {run} is {state}; {event} does not concern it")]
pub struct Rejected {
    /// The run.
    pub run: RunKey,
    /// How it stands.
    pub state: &'static str,
    /// What happened.
    pub event: &'static str,
}

impl Event {
    /// The answer it brings.
    pub fn reply(&self) -> Option<&Reply> {
        if let Self::Replied(reply) = self {
            return Some(reply);
        }
        if let Self::BatchEnded(RowResult::Succeeded(reply)) = self { Some(reply) } else { None }
    }

    /// The event's name, as the README's table has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Planned(_) => "planned",
            Self::Refused { .. } => "refused",
            Self::PlaceFreed => "place freed",
            Self::Skipped { .. } => "skipped",
            Self::Queued { .. } => "queued",
            Self::Replied(_) => "replied",
            Self::ModelFailed { .. } => "model failed",
            Self::ToolsRan => "tools ran",
            Self::TimeRanOut => "time ran out",
            Self::Resumed => "resumed",
            Self::HolderDied => "holder died",
            Self::Sealed(_) => "sealed",
            Self::LeftOut => "left out",
            Self::BatchCreated { .. } => "batch created",
            Self::BatchRefused { .. } => "batch refused",
            Self::BatchLost => "batch lost",
            Self::BatchAmbiguous => "batch ambiguous",
            Self::BatchEnded(_) => "batch ended",
            Self::DeadlinePassed => "deadline passed",
            Self::CancelRequested => "cancel requested",
            Self::Delivered(_) => "delivered",
        }
    }
}
