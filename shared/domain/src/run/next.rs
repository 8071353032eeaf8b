//! The state machine: what a run becomes when something happens to it.

use chrono::{DateTime, TimeDelta, Utc};

use crate::AttemptId;
use crate::job::{DeliveryStatus, OnTimeout};
use crate::model::{ModelErrorKind, Reply, StopReason};

use super::event::{Effect, Event, Rejected, RowResult, Transition};
use super::plan::REALTIME_MAX_TOKENS;
use super::{CancelReason, Path, Run, State, WaitReason};

/// Waits before the retries of a hop (PRODUCT §6), in seconds; the timers round up to their minute.
const RETRY_LADDER_S: [i64; 5] = [30, 60, 300, 900, 3600];
/// Longest wait that a provider's `retry-after` is believed.
const LONGEST_ASKED: TimeDelta = TimeDelta::days(1);
/// How often a realtime hop is started before it counts as too long for an invocation.
const MAX_STARTS: u32 = 2;
/// Most tool calls of a turn: their ledger is kept in the run's row.
const MAX_CALLS: usize = 400;
/// How often the tools of a hop are begun before they count as ones that never come back.
const MAX_TOOL_STARTS: u32 = 3;
/// How often a hop is put in a batch before its failed rows end the run.
const MAX_BATCH_ATTEMPTS: u32 = 2;

/// The hop of a run that is paused because it could not be planned yet.
const UNPLANNED: u32 = 0;

/// The wait before retry number `tries + 1` of a hop, or `None` when the ladder is spent.
pub fn retry_delay(tries: u32, asked: Option<TimeDelta>) -> Option<TimeDelta> {
    let step = RETRY_LADDER_S.get(tries as usize).copied()?;
    Some(TimeDelta::seconds(step).max(asked.unwrap_or_default().min(LONGEST_ASKED)))
}

/// What `run` becomes when `event` happens at `now`.
///
/// # Errors
/// [`Rejected`] when the event does not concern a run that stands so; the caller drops it.
pub fn next(run: &Run, event: Event, now: DateTime<Utc>) -> Result<Transition, Rejected> {
    let rejected = Rejected { run: run.key.clone(), state: run.state.name(), event: event.name() };
    let mut step = Stepper { run: run.clone(), now, effects: Vec::new() };
    let known = match run.state.clone() {
        State::Due => step.due(event),
        State::Waiting { reason } => step.waiting(event, reason),
        State::Running { hop, starts, tries } => step.running(event, hop, starts, tries),
        State::Tools { hop, starts } => step.tools(&event, hop, starts),
        State::Paused { hop, tries, attempt, .. } => step.paused(&event, hop, tries, attempt),
        State::Ready { hop, attempt, tries } => step.ready(event, hop, attempt, tries),
        State::Submitting { hop, attempt, tries, batch } => step.submitting(event, hop, attempt, tries, batch),
        State::Submitted { hop, attempt, batch } => step.submitted(event, hop, attempt, batch),
        State::Canceling { hop, attempt, why, .. } => step.canceling(event, hop, attempt, why),
        State::Delivering => step.delivering(&event),
        State::Succeeded
        | State::DeliveryFailed
        | State::DeliveryUnknown
        | State::Failed { .. }
        | State::Skipped { .. }
        | State::Canceled => false,
    };
    if !known {
        return Err(rejected);
    }
    step.run.rev += 1;
    Ok(Transition { run: step.run, effects: step.effects })
}

/// One step being made. The methods answer whether the event concerns the state.
struct Stepper {
    run: Run,
    now: DateTime<Utc>,
    effects: Vec<Effect>,
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an event a state does not name does not concern it; the README's table of edges is checked against these arms"
)]
impl Stepper {
    fn due(&mut self, event: Event) -> bool {
        match event {
            Event::Planned(plan) => {
                self.run.started_at.get_or_insert(self.now);
                let mut plan = plan;
                if let Some(before) = self.run.plan.as_ref().filter(|before| before.path == plan.path) {
                    // Planned again for another model: the turn's time goes on.
                    plan.deadline = plan.deadline.min(before.deadline);
                }
                let batch = plan.path == Path::Batch;
                if let Some(reason) = &plan.fallback_reason {
                    self.run.log(self.now, "fallback", Some(reason.clone()));
                }
                self.run.plan = Some(*plan);
                if batch { self.ready(Event::PlaceFreed, 1, 1, 0) } else { self.call(1, 0) }
            }
            Event::ModelFailed { kind, message, retry_after } if kind.is_transient() => {
                let tries = self.run.planning_tries;
                self.run.planning_tries += 1;
                self.retry(UNPLANNED, tries, 1, retry_after, kind, message)
            }
            Event::ModelFailed { kind, message, .. } => self.fail(kind.code(), message),
            Event::Refused { code, message } => self.fail(&code, message),
            Event::Skipped { reason } => self.end(State::Skipped { reason: reason.clone() }, "skipped", Some(reason)),
            Event::Queued => {
                let note = "it waits there: the heartbeat turn that answers it is not built yet".to_owned();
                self.end(State::Succeeded, "queued for the main session", Some(note))
            }
            Event::CancelRequested => self.end(State::Canceled, "canceled", None),
            _ => false,
        }
    }

    fn waiting(&mut self, event: Event, reason: WaitReason) -> bool {
        match event {
            Event::PlaceFreed => match reason {
                WaitReason::Overlap | WaitReason::Session => {
                    self.go(State::Due, "place freed", None);
                    self.effects.push(Effect::Plan);
                    true
                }
                // The turn's time stands still while it waits for something that is not its own doing.
                WaitReason::Place { hop, tries } => {
                    let waited = self.now - self.run.state_since;
                    if let Some(plan) = &mut self.run.plan {
                        plan.deadline += waited;
                    }
                    self.call(hop, tries)
                }
            },
            Event::Skipped { reason } => self.end(State::Skipped { reason: reason.clone() }, "skipped", Some(reason)),
            Event::CancelRequested => self.end(State::Canceled, "canceled", None),
            _ => false,
        }
    }

    fn running(&mut self, event: Event, hop: u32, starts: u32, tries: u32) -> bool {
        match event {
            Event::Replied(reply) => self.replied(reply, hop),
            Event::ModelFailed { kind, message, .. } if kind.is_transient() && self.may_fall_back(hop) => {
                self.fall_back(kind.code(), &message)
            }
            Event::ModelFailed {
                kind: kind @ (ModelErrorKind::Invalid | ModelErrorKind::TooLarge), message, ..
            } if self.run.is_compacting() => {
                self.run.log(self.now, "summary refused", Some(format!("{}: {message}", kind.code())));
                let detail = self.compact();
                let resume_at = self.now + crate::batch::LEAST_AHEAD;
                self.pause(hop + 1, resume_at, 0, 1, "compacted", detail)
            }
            // The model may have worked for us, and been paid, each time: a hop is started twice at most.
            Event::ModelFailed {
                kind: kind @ (ModelErrorKind::Timeout | ModelErrorKind::Unanswered), message, ..
            } if starts.max(tries + 1) >= MAX_STARTS => self.fail(kind.code(), message),
            Event::ModelFailed { kind, message, retry_after } if kind.is_transient() => {
                self.retry(hop, tries, 1, retry_after, kind, message)
            }
            Event::ModelFailed { kind, message, .. } => self.fail(kind.code(), message),
            Event::TimeRanOut => {
                let resume_at = self.now + crate::batch::LEAST_AHEAD;
                self.pause(hop, resume_at, tries, 1, "paused", "no time left in this invocation".to_owned())
            }
            Event::HolderDied if starts >= MAX_STARTS => {
                self.fail("hop_too_long", format!("hop {hop} was started {starts} times and never came back"))
            }
            Event::HolderDied => {
                self.go(State::Running { hop, starts: starts + 1, tries }, "resumed", Some(format!("hop {hop}")));
                self.effects.push(Effect::CallModel);
                true
            }
            Event::DeadlinePassed => self.fail("timeout", "the turn took longer than it may".to_owned()),
            Event::CancelRequested => self.end(State::Canceled, "canceled", None),
            _ => false,
        }
    }

    fn tools(&mut self, event: &Event, hop: u32, starts: u32) -> bool {
        match event {
            Event::ToolsRan if self.path() == Path::Batch => self.ready(Event::PlaceFreed, hop + 1, 1, 0),
            Event::ToolsRan => self.call(hop + 1, 0),
            Event::TimeRanOut => {
                let resume_at = self.now + crate::batch::LEAST_AHEAD;
                self.run.timers += 1;
                self.rest(State::Tools { hop, starts }, "paused", Some("no time left in this invocation".to_owned()));
                self.effects.push(Effect::ArmResume(resume_at));
                true
            }
            Event::Resumed => {
                self.go(State::Tools { hop, starts }, "resumed", Some(format!("the tools of hop {hop}")));
                self.effects.push(Effect::RunTools);
                true
            }
            Event::HolderDied if starts >= MAX_TOOL_STARTS => self.fail(
                "tools_too_long",
                format!("the tools of hop {hop} were started {starts} times and never came back"),
            ),
            Event::HolderDied => {
                self.go(State::Tools { hop, starts: starts + 1 }, "resumed", Some(format!("the tools of hop {hop}")));
                self.effects.push(Effect::RunTools);
                true
            }
            Event::CancelRequested => self.end(State::Canceled, "canceled", None),
            _ => false,
        }
    }

    fn paused(&mut self, event: &Event, hop: u32, tries: u32, attempt: u32) -> bool {
        match event {
            Event::Resumed if hop == UNPLANNED => {
                self.go(State::Due, "resumed", None);
                self.effects.push(Effect::Plan);
                true
            }
            Event::Resumed if self.path() == Path::Batch => self.ready(Event::PlaceFreed, hop, attempt, tries),
            Event::Resumed => self.call(hop, tries),
            Event::DeadlinePassed => self.too_late(hop),
            Event::CancelRequested => self.end(State::Canceled, "canceled", None),
            _ => false,
        }
    }

    /// `PlaceFreed` enters the state; everything else leaves it.
    fn ready(&mut self, event: Event, hop: u32, attempt: u32, tries: u32) -> bool {
        match event {
            Event::PlaceFreed => {
                self.go(State::Ready { hop, attempt, tries }, "ready", Some(format!("hop {hop} for a batch")));
                self.effects.push(Effect::Submit);
                true
            }
            Event::Sealed(batch) => {
                self.go(State::Submitting { hop, attempt, tries, batch }, "submitting", None);
                true
            }
            Event::DeadlinePassed => self.too_late(hop),
            Event::CancelRequested => self.end(State::Canceled, "canceled", None),
            _ => false,
        }
    }

    fn submitting(&mut self, event: Event, hop: u32, attempt: u32, tries: u32, batch: AttemptId) -> bool {
        match event {
            Event::BatchCreated { remote } => {
                if self.run.cancel_requested {
                    let why = CancelReason::Requested;
                    let cancel = Effect::CancelBatch(batch.clone());
                    self.rest(State::Canceling { hop, attempt, batch, why }, "canceling", Some(remote));
                    self.effects.push(cancel);
                    return true;
                }
                self.rest(State::Submitted { hop, attempt, batch }, "submitted", Some(remote))
            }
            Event::BatchRefused { .. } | Event::BatchLost if self.run.cancel_requested => {
                self.end(State::Canceled, "canceled", None)
            }
            Event::BatchRefused { kind, message, .. } if kind.is_transient() && self.may_fall_back(hop) => {
                self.fall_back(kind.code(), &message)
            }
            Event::BatchRefused { kind, message, retry_after } => match kind {
                ModelErrorKind::RateLimited
                | ModelErrorKind::Overloaded
                | ModelErrorKind::NotSent
                | ModelErrorKind::Server
                | ModelErrorKind::Timeout
                | ModelErrorKind::Unanswered => self.retry(hop, tries, attempt, retry_after, kind, message),
                ModelErrorKind::Invalid
                | ModelErrorKind::Permission
                | ModelErrorKind::NotFound
                | ModelErrorKind::TooLarge => {
                    self.run.log(self.now, "fallback", Some(format!("batch_refused: {message}")));
                    self.switch_to_realtime(hop, Some("batch_refused"))
                }
                ModelErrorKind::Auth | ModelErrorKind::Billing | ModelErrorKind::SpendLimit => {
                    self.fail(kind.code(), message)
                }
            },
            Event::BatchLost => self.retry(
                hop,
                tries,
                attempt + 1,
                None,
                ModelErrorKind::Unanswered,
                "the batch was never created".to_owned(),
            ),
            Event::BatchAmbiguous => self.ambiguous(),
            Event::CancelRequested => self.wish_cancel(),
            _ => false,
        }
    }

    fn submitted(&mut self, event: Event, hop: u32, attempt: u32, batch: AttemptId) -> bool {
        match event {
            Event::BatchEnded(RowResult::Succeeded(reply)) => self.replied(*reply, hop),
            Event::BatchEnded(RowResult::Errored {
                kind: ModelErrorKind::Invalid | ModelErrorKind::TooLarge,
                message,
            }) if self.run.is_compacting() => {
                self.run.log(self.now, "summary refused", Some(message));
                self.compacted(hop)
            }
            Event::BatchEnded(RowResult::Errored { kind: ModelErrorKind::Invalid, message }) => {
                self.fail(ModelErrorKind::Invalid.code(), message)
            }
            Event::BatchEnded(RowResult::Errored { kind, message }) => self.again(hop, attempt, kind.code(), message),
            Event::BatchEnded(RowResult::Expired) => {
                self.again(hop, attempt, "batch_expired", "the batch ran out of its 24 hours".to_owned())
            }
            Event::BatchEnded(RowResult::Canceled) => {
                self.again(hop, attempt, "batch_canceled", "the batch was canceled by somebody else".to_owned())
            }
            Event::BatchEnded(RowResult::Missing) => {
                self.again(hop, attempt, "batch_row_missing", "the batch's results have no row for this run".to_owned())
            }
            // The batch it was adopted into proved to be somebody else's, and its own was not found.
            Event::BatchLost => {
                self.again(hop, attempt, "batch_lost", "the batch that was found is not this run's".to_owned())
            }
            Event::BatchAmbiguous => self.ambiguous(),
            Event::DeadlinePassed => self.cancel(hop, attempt, batch, CancelReason::Timeout),
            Event::CancelRequested => self.cancel(hop, attempt, batch, CancelReason::Requested),
            _ => false,
        }
    }

    fn canceling(&mut self, event: Event, hop: u32, attempt: u32, why: CancelReason) -> bool {
        match event {
            Event::BatchEnded(RowResult::Succeeded(reply)) if why == CancelReason::Timeout => self.replied(*reply, hop),
            Event::BatchEnded(RowResult::Succeeded(reply)) => {
                let note = format!("paid_unused: an answer of {} arrived after the cancel", reply.model);
                self.end(State::Canceled, "canceled", Some(note))
            }
            Event::BatchEnded(_) | Event::BatchLost | Event::BatchAmbiguous if why == CancelReason::Requested => {
                self.end(State::Canceled, "canceled", None)
            }
            Event::BatchEnded(_) | Event::BatchLost | Event::BatchAmbiguous => self.too_late(hop),
            Event::CancelRequested if why == CancelReason::Timeout => {
                let Some(batch) = self.run.state.batch().cloned() else { return false };
                self.cancel(hop, attempt, batch, CancelReason::Requested)
            }
            _ => false,
        }
    }

    fn delivering(&mut self, event: &Event) -> bool {
        match event {
            Event::Delivered(status) => {
                self.run.delivery_status = Some(*status);
                let (state, word) = match status {
                    DeliveryStatus::Delivered | DeliveryStatus::Suppressed | DeliveryStatus::NotRequested => {
                        (State::Succeeded, "done")
                    }
                    DeliveryStatus::Failed => (State::DeliveryFailed, "delivery failed"),
                    DeliveryStatus::Unknown => (State::DeliveryUnknown, "delivery unknown"),
                };
                let note = self.run.delivery_note.clone();
                self.end(state, word, note)
            }
            Event::CancelRequested => self.wish_cancel(),
            _ => false,
        }
    }

    /// An answer came, by whichever path.
    fn replied(&mut self, reply: Reply, hop: u32) -> bool {
        if self.run.is_compacting() {
            return self.compacted(hop);
        }
        let max_hops = self.run.plan.as_ref().map_or(1, |plan| plan.max_hops);
        match reply.stop_reason {
            StopReason::EndTurn | StopReason::StopSequence if reply.text.trim().is_empty() => {
                self.fail("empty_answer", "the model ended its turn without any text".to_owned())
            }
            StopReason::EndTurn | StopReason::StopSequence => {
                self.rest(State::Delivering, "answered", Some(format!("hop {hop}")));
                self.effects.push(Effect::Deliver);
                true
            }
            StopReason::PauseTurn if hop >= max_hops => self.fail(
                "pause_turn_unfinished",
                format!("the provider's own loop paused again after {max_hops} hops, which is the most"),
            ),
            StopReason::PauseTurn if self.path() == Path::Batch => self.ready(Event::PlaceFreed, hop + 1, 1, 0),
            StopReason::PauseTurn => self.call(hop + 1, 0),
            StopReason::MaxTokens => {
                self.fail("max_tokens", "the answer ran into the model's token limit and is cut off".to_owned())
            }
            StopReason::Refusal => self.fail("refusal", "the model refused".to_owned()),
            StopReason::ModelContextWindowExceeded => {
                self.fail("context_window", "the conversation no longer fits the model's context".to_owned())
            }
            StopReason::ToolUse if !self.run.talk.asks_for_tools(hop) => {
                self.fail("unexpected_tool_use", "the model stopped for a tool and named none".to_owned())
            }
            StopReason::ToolUse if hop >= max_hops => {
                self.fail("hop_cap", format!("the turn did not end within {max_hops} hops"))
            }
            StopReason::ToolUse if self.run.talk.calls.len() > MAX_CALLS => {
                self.fail("tool_call_cap", format!("the turn asked for more than {MAX_CALLS} tool calls"))
            }
            StopReason::ToolUse => {
                let names = self.run.talk.asked_of(hop).map(|call| call.name.as_str()).collect::<Vec<_>>().join(", ");
                self.go(State::Tools { hop, starts: 1 }, "tools", Some(names));
                self.effects.push(Effect::RunTools);
                true
            }
            StopReason::Other(word) => {
                self.fail("unknown_stop_reason", format!("the model stopped for \"{word}\", which is not known here"))
            }
        }
    }

    /// The summarising hop is over, whatever it brought: the turn itself begins.
    fn compacted(&mut self, hop: u32) -> bool {
        let detail = self.compact();
        self.run.log(self.now, "compacted", Some(detail));
        if self.path() == Path::Batch { self.ready(Event::PlaceFreed, hop + 1, 1, 0) } else { self.call(hop + 1, 0) }
    }

    /// Shortens what the run goes on with, and notes it where something was lost. Answers what was done.
    fn compact(&mut self) -> String {
        let summarised = self.run.has_summary();
        let detail = self.run.compact();
        if let Some(plan) = self.run.plan.as_mut().filter(|_| !summarised) {
            plan.notes.push(detail.clone());
        }
        detail
    }

    fn call(&mut self, hop: u32, tries: u32) -> bool {
        self.go(State::Running { hop, starts: 1, tries }, "running", Some(format!("hop {hop} in realtime")));
        self.effects.push(Effect::CallModel);
        true
    }

    /// A batched hop goes on in realtime, and so do all later ones.
    fn switch_to_realtime(&mut self, hop: u32, reason: Option<&str>) -> bool {
        let now = self.now;
        if let Some(plan) = &mut self.run.plan {
            plan.path = Path::Realtime;
            plan.max_tokens = plan.max_tokens.min(REALTIME_MAX_TOKENS);
            let seconds = i64::try_from(plan.realtime_seconds).unwrap_or(i64::MAX / 1000);
            plan.deadline = now + TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::days(1));
            if let Some(reason) = reason {
                plan.fallback_reason = Some(reason.to_owned());
            }
        }
        self.call(hop, 0)
    }

    /// A batched hop's time is up, and no batch holds it any more.
    fn too_late(&mut self, hop: u32) -> bool {
        let (path, wish) =
            self.run.plan.as_ref().map_or((Path::Realtime, OnTimeout::Fail), |plan| (plan.path, plan.on_timeout));
        match (path, wish) {
            (Path::Batch, OnTimeout::Realtime) => self.switch_to_realtime(hop, Some("batch_timeout")),
            (Path::Batch, OnTimeout::Fail) => {
                self.fail("batch_timeout", "the batch did not end in the time the job allows".to_owned())
            }
            (Path::Realtime, _) => self.fail("timeout", "the turn took longer than it may".to_owned()),
        }
    }

    fn again(&mut self, hop: u32, attempt: u32, code: &str, message: String) -> bool {
        if attempt >= MAX_BATCH_ATTEMPTS && self.may_fall_back(hop) {
            return self.fall_back(code, &message);
        }
        if attempt >= MAX_BATCH_ATTEMPTS {
            return self.fail(code, message);
        }
        self.run.log(self.now, "row failed", Some(format!("{code}: {message}")));
        self.ready(Event::PlaceFreed, hop, attempt + 1, 0)
    }

    /// Whether another model may answer: nothing has been said yet, and the plan knows one.
    fn may_fall_back(&self, hop: u32) -> bool {
        hop == 1
            && self.run.hops.is_empty()
            && !self.run.cancel_requested
            && self.run.plan.as_ref().is_some_and(|plan| plan.fallbacks_left > 0)
    }

    /// The run is planned again for its next model.
    fn fall_back(&mut self, code: &str, message: &str) -> bool {
        // Planning may have passed over models that could not be opened.
        let (failed, which) = self.run.plan.as_ref().map_or(("", 0), |plan| (plan.model.as_str(), plan.fallback));
        self.run.talk.fallback = which + 1;
        let detail = format!("{failed} failed ({code}: {message})");
        self.go(State::Due, "another model", Some(detail));
        self.effects.push(Effect::Plan);
        true
    }

    fn retry(
        &mut self,
        hop: u32,
        tries: u32,
        attempt: u32,
        asked: Option<TimeDelta>,
        kind: ModelErrorKind,
        message: String,
    ) -> bool {
        match retry_delay(tries, asked) {
            Some(wait) => {
                let resume_at = self.now + wait.max(crate::batch::LEAST_AHEAD);
                self.pause(hop, resume_at, tries + 1, attempt, "retry", format!("{}: {message}", kind.code()))
            }
            None => self.fail(kind.code(), message),
        }
    }

    fn pause(&mut self, hop: u32, at: DateTime<Utc>, tries: u32, attempt: u32, word: &str, detail: String) -> bool {
        let at =
            self.run.plan.as_ref().map_or(at, |plan| at.min(plan.deadline.max(self.now + crate::batch::LEAST_AHEAD)));
        self.run.timers += 1;
        self.rest(State::Paused { hop, resume_at: at, tries, attempt }, word, Some(detail));
        self.effects.push(Effect::ArmResume(at));
        true
    }

    fn cancel(&mut self, hop: u32, attempt: u32, batch: AttemptId, why: CancelReason) -> bool {
        self.run.cancel_requested |= why == CancelReason::Requested;
        let effect = Effect::CancelBatch(batch.clone());
        self.rest(State::Canceling { hop, attempt, batch, why }, "canceling", None);
        self.effects.push(effect);
        true
    }

    fn ambiguous(&mut self) -> bool {
        let message = "the answer to creating a batch was lost and none of the batches found could be told to be it";
        self.fail("ambiguous_batch", message.to_owned())
    }

    fn wish_cancel(&mut self) -> bool {
        let news = !self.run.cancel_requested;
        self.run.cancel_requested = true;
        news
    }

    fn fail(&mut self, code: &str, message: String) -> bool {
        let detail = format!("{code}: {message}");
        self.end(State::Failed { code: code.to_owned(), message }, "failed", Some(detail))
    }

    fn end(&mut self, state: State, word: &str, detail: Option<String>) -> bool {
        self.run.ended_at = Some(self.now);
        self.rest(state, word, detail);
        self.effects.push(Effect::Close);
        true
    }

    /// Enters a state in which nobody works on the run.
    fn rest(&mut self, state: State, word: &str, detail: Option<String>) -> bool {
        self.run.lease = None;
        self.go(state, word, detail);
        true
    }

    fn go(&mut self, state: State, word: &str, detail: Option<String>) {
        self.run.state = state;
        self.run.state_since = self.now;
        self.run.log(self.now, word, detail);
    }

    fn path(&self) -> Path {
        self.run.plan.as_ref().map_or(Path::Realtime, |plan| plan.path)
    }
}
