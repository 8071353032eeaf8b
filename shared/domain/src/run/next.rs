//! The state machine: what a run becomes when something happens to it.

use chrono::{DateTime, TimeDelta, Utc};

use crate::AttemptId;
use crate::job::{DeliveryStatus, WakeMode};
use crate::model::ModelErrorKind;

use super::event::{Effect, Event, Rejected, RowResult, Transition};
use super::{Call, CancelReason, Path, Run, State, Task, WaitReason};

mod moves;

/// Waits before the retries of a hop (PRODUCT §6), in seconds; the timers round up to their minute.
const RETRY_LADDER_S: [i64; 5] = [30, 60, 300, 900, 3600];
/// Longest wait that a provider's `retry-after` is believed.
const LONGEST_ASKED: TimeDelta = TimeDelta::days(1);
/// How often a realtime hop is started before it counts as too long for an invocation.
const MAX_STARTS: u32 = 2;
/// How often the tools of a hop are begun before they count as ones that never come back.
const MAX_TOOL_STARTS: u32 = 3;
/// How many failed rows of a hop end the run: one that errored or expired is put in a batch once more.
const MAX_FAILED_ROWS: u32 = 2;

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
        State::Ready { hop, attempt, tries, .. } => step.ready(event, hop, attempt, tries),
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

/// Whether a realtime call may be with the model, or was answered to nobody, when this happens.
fn leaves_a_call(event: &Event) -> bool {
    let failed = matches!(event, Event::ModelFailed { kind, .. } if kind.may_be_paid());
    failed || matches!(event, Event::HolderDied | Event::CancelRequested)
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
            Event::Queued { note } => match self.run.task {
                // It is done when the heartbeat that takes it up is.
                Task::QueueEvent { wake: WakeMode::Now } => {
                    let reason = WaitReason::Heartbeat;
                    self.rest(State::Waiting { reason }, "queued for the main session", note);
                    self.effects.push(Effect::WakeHeartbeat);
                    true
                }
                Task::QueueEvent { wake: WakeMode::NextHeartbeat } | Task::Turn => {
                    self.end(State::Succeeded, "queued for the main session", note)
                }
            },
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
                WaitReason::Heartbeat => {
                    self.end(State::Succeeded, "done", Some("a heartbeat of the main session took it up".to_owned()))
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
            Event::Refused { code, message } if reason == WaitReason::Heartbeat => self.fail(&code, message),
            Event::Skipped { reason } => self.end(State::Skipped { reason: reason.clone() }, "skipped", Some(reason)),
            Event::CancelRequested => self.end(State::Canceled, "canceled", None),
            _ => false,
        }
    }

    fn running(&mut self, event: Event, hop: u32, starts: u32, tries: u32) -> bool {
        if matches!(event, Event::ModelFailed { .. } | Event::HolderDied) {
            self.run.books.count_calls_of(hop, tries);
        }
        if leaves_a_call(&event) {
            self.run.gave_up(Call::realtime(hop), self.now);
        }
        // What was refused for nothing is no start: only calls that may have been paid are counted, across every pause.
        let starts = starts.max(self.run.books.given_up_of(hop));
        match event {
            Event::Replied(reply) => self.replied(reply, hop),
            Event::ModelFailed { kind, message, .. } if self.may_fall_back_after(kind, hop) => {
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
            } if starts >= MAX_STARTS => self.fail(kind.code(), message),
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
            Event::Refused { code, message } => self.fail(&code, message),
            Event::DeadlinePassed => self.took_too_long(),
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
            Event::DeadlinePassed => self.tools_too_late(hop, starts),
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
                let window = None;
                self.go(State::Ready { hop, attempt, tries, window }, "ready", Some(format!("hop {hop} for a batch")));
                self.effects.push(Effect::Submit);
                true
            }
            Event::Refused { code, message } => self.fail(&code, message),
            // Nothing may be sent to the provider now.
            Event::ModelFailed { kind, message, .. } if self.may_fall_back_after(kind, hop) => {
                self.fall_back(kind.code(), &message)
            }
            Event::ModelFailed { kind, message, .. } if kind.stops_provider() => self.fail(kind.code(), message),
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
            Event::BatchRefused { kind, message, .. } if self.may_fall_back_after(kind, hop) => {
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
            // Nothing was sent for it: the same attempt goes into another batch.
            Event::Sealed(other) if other != batch => {
                self.go(State::Submitting { hop, attempt, tries, batch: other }, "submitting", None);
                true
            }
            Event::LeftOut if self.run.cancel_requested => self.end(State::Canceled, "canceled", None),
            Event::LeftOut => self.ready(Event::PlaceFreed, hop, attempt, tries),
            Event::BatchLost => self.retry(
                hop,
                tries,
                attempt + 1,
                None,
                ModelErrorKind::Unanswered,
                "the batch was never created".to_owned(),
            ),
            Event::BatchAmbiguous => self.ambiguous(hop, attempt),
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
            // It may have been paid: it is not asked for again.
            Event::BatchEnded(RowResult::Unreadable) => self.unreadable(hop, attempt),
            // The batch it was adopted into proved to be somebody else's, and its own was not found. As often as its
            // create was lost it is tried again later, as it is by one who was never adopted.
            Event::BatchLost => {
                let message = "the batch that was found is not this run's".to_owned();
                self.retry(hop, attempt - 1, attempt + 1, None, ModelErrorKind::Unanswered, message)
            }
            Event::BatchAmbiguous => self.ambiguous(hop, attempt),
            Event::DeadlinePassed => self.cancel(hop, attempt, batch, CancelReason::Timeout),
            Event::CancelRequested => self.cancel(hop, attempt, batch, CancelReason::Requested),
            _ => false,
        }
    }

    fn canceling(&mut self, event: Event, hop: u32, attempt: u32, why: CancelReason) -> bool {
        match event {
            Event::BatchEnded(RowResult::Succeeded(reply)) if why == CancelReason::Timeout => self.replied(*reply, hop),
            Event::BatchEnded(RowResult::Succeeded(reply)) => {
                self.run.mark_unused(self.now);
                let note = format!("paid_unused: an answer of {} arrived after the cancel", reply.model);
                self.end(State::Canceled, "canceled", Some(note))
            }
            // It may have been paid: the books say so, and it is not asked for again.
            Event::BatchEnded(RowResult::Unreadable) if why == CancelReason::Timeout => self.unreadable(hop, attempt),
            Event::BatchEnded(RowResult::Unreadable) => {
                self.run.gave_up(Call { hop, attempt }, self.now);
                self.end(State::Canceled, "canceled", None)
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
}
