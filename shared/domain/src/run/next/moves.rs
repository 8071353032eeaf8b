//! The moves of the state machine: what an answer, a failure or the end of a patience makes of a run, whichever state it was in.

use chrono::{DateTime, TimeDelta, Utc};

use super::{MAX_FAILED_ROWS, Stepper, retry_delay};
use crate::AttemptId;
use crate::job::OnTimeout;
use crate::model::{ModelErrorKind, Reply, StopReason};
use crate::run::event::{Effect, Event};
use crate::run::plan::{BATCH_TIMEOUT, DELIVER_BY, REALTIME_MAX_TOKENS};
use crate::run::{Call, CancelReason, MOST_CALLS, Path, Plan, State};

impl Stepper {
    /// An answer came, by whichever path.
    pub(super) fn replied(&mut self, reply: Reply, hop: u32) -> bool {
        self.run.talk.failed_rows = 0;
        if self.run.is_compacting() {
            return self.compacted(hop);
        }
        let max_hops = self.run.plan.as_ref().map_or(1, |plan| plan.max_hops);
        match reply.stop_reason {
            StopReason::EndTurn | StopReason::StopSequence
                if reply.text.trim().is_empty() && !self.said_before_a_pause() =>
            {
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
            StopReason::ToolUse if self.run.talk.calls.len() > MOST_CALLS => {
                self.fail("tool_call_cap", format!("the turn asked for more than {MOST_CALLS} tool calls"))
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

    /// Whether the hop before the last one paused with text, which the last one went on from.
    fn said_before_a_pause(&self) -> bool {
        self.run.answer.is_some() && self.run.went_on_from_a_pause()
    }

    /// The summarising hop is over, whatever it brought: the turn itself begins.
    pub(super) fn compacted(&mut self, hop: u32) -> bool {
        let detail = self.compact();
        self.run.log(self.now, "compacted", Some(detail));
        if self.path() == Path::Batch { self.ready(Event::PlaceFreed, hop + 1, 1, 0) } else { self.call(hop + 1, 0) }
    }

    /// Shortens what the run goes on with, and notes it where something was lost. Answers what was done.
    pub(super) fn compact(&mut self) -> String {
        let summarised = self.run.has_summary();
        let detail = self.run.compact();
        if let Some(plan) = self.run.plan.as_mut().filter(|_| !summarised) {
            plan.notes.push(detail.clone());
        }
        detail
    }

    pub(super) fn call(&mut self, hop: u32, tries: u32) -> bool {
        self.go(State::Running { hop, starts: 1, tries }, "running", Some(format!("hop {hop} in realtime")));
        self.effects.push(Effect::CallModel);
        true
    }

    /// A batched hop goes on in realtime, and so do all later ones.
    pub(super) fn switch_to_realtime(&mut self, hop: u32, reason: Option<&str>) -> bool {
        self.replan_in_realtime(reason);
        self.call(hop, 0)
    }

    /// The turn's time is up before the tools of a hop were begun: they act only for a turn that goes on.
    pub(super) fn tools_too_late(&mut self, hop: u32, starts: u32) -> bool {
        let goes_on = |plan: &Plan| plan.path == Path::Batch && plan.on_timeout == OnTimeout::Realtime;
        if !self.run.plan.as_ref().is_some_and(goes_on) {
            return self.too_late(hop);
        }
        self.replan_in_realtime(Some(self.lateness()));
        self.go(State::Tools { hop, starts }, "tools", Some("the turn goes on in realtime".to_owned()));
        self.effects.push(Effect::RunTools);
        true
    }

    /// Why a batch was not waited for any longer.
    fn lateness(&self) -> &'static str {
        let deadline = self.run.plan.as_ref().map(|plan| plan.deadline);
        let wanted = self.run.due_by.as_ref().is_some_and(|due| deadline >= Some(due.safe_until));
        if wanted { DELIVER_BY } else { BATCH_TIMEOUT }
    }

    fn replan_in_realtime(&mut self, reason: Option<&str>) {
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
    }

    /// A batched hop's time is up, and no batch holds it any more.
    pub(super) fn too_late(&mut self, hop: u32) -> bool {
        let (path, wish) =
            self.run.plan.as_ref().map_or((Path::Realtime, OnTimeout::Fail), |plan| (plan.path, plan.on_timeout));
        match (path, wish) {
            (Path::Batch, OnTimeout::Realtime) => self.switch_to_realtime(hop, Some(self.lateness())),
            (Path::Batch, OnTimeout::Fail) => {
                let message = self.with_cause("the batch did not end in the time the job allows");
                self.fail(BATCH_TIMEOUT, message)
            }
            (Path::Realtime, _) => self.took_too_long(),
        }
    }

    /// A realtime turn's time is up.
    pub(super) fn took_too_long(&mut self) -> bool {
        let message = self.with_cause("the turn took longer than it may");
        self.fail("timeout", message)
    }

    /// What took the time of a run that never got through, where its log says so: the last failure since its last answer.
    fn with_cause(&self, message: &str) -> String {
        const FAILED: [&str; 3] = ["retry", "another model", "row failed"];
        const WENT_ON: [&str; 3] = ["tools", "submitted", "compacted"];
        let since = self.run.events.iter().rev().take_while(|line| !WENT_ON.contains(&line.event.as_str()));
        let cause = since.filter(|line| FAILED.contains(&line.event.as_str())).find_map(|line| line.detail.as_deref());
        match cause {
            Some(cause) => format!("{message}; the last failure was {cause}"),
            None => message.to_owned(),
        }
    }

    /// The hop's row failed: it is put in a batch once more. Attempts whose create was lost never had a row, and do not
    /// count.
    pub(super) fn again(&mut self, hop: u32, attempt: u32, code: &str, message: String) -> bool {
        self.run.talk.failed_rows += 1;
        let spent = self.run.talk.failed_rows >= MAX_FAILED_ROWS;
        if spent && self.may_fall_back(hop) {
            return self.fall_back(code, &message);
        }
        if spent {
            return self.fail(code, message);
        }
        self.run.log(self.now, "row failed", Some(format!("{code}: {message}")));
        self.ready(Event::PlaceFreed, hop, attempt + 1, 0)
    }

    /// Whether another model may answer: nothing has been said yet, and the plan knows one.
    pub(super) fn may_fall_back(&self, hop: u32) -> bool {
        hop == 1
            && self.run.used().next().is_none()
            && !self.run.cancel_requested
            && self.run.plan.as_ref().is_some_and(|plan| plan.fallbacks_left > 0)
    }

    /// The same after a failure of this kind: one that passes, or one of the provider's account, which says nothing of
    /// another provider's.
    pub(super) fn may_fall_back_after(&self, kind: ModelErrorKind, hop: u32) -> bool {
        (kind.is_transient() || kind.stops_provider()) && self.may_fall_back(hop)
    }

    /// The run is planned again for its next model.
    pub(super) fn fall_back(&mut self, code: &str, message: &str) -> bool {
        // Planning may have passed over models that could not be opened.
        let (failed, which) = self.run.plan.as_ref().map_or(("", 0), |plan| (plan.model.as_str(), plan.fallback));
        self.run.talk.fallback = which + 1;
        self.run.talk.failed_rows = 0;
        // What the other model is asked is another call.
        self.run.books.given_up_of = Some((1, 0));
        let detail = format!("{failed} failed ({code}: {message})");
        self.go(State::Due, "another model", Some(detail));
        self.effects.push(Effect::Plan);
        true
    }

    pub(super) fn retry(
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

    pub(super) fn pause(
        &mut self,
        hop: u32,
        at: DateTime<Utc>,
        tries: u32,
        attempt: u32,
        word: &str,
        detail: String,
    ) -> bool {
        let at =
            self.run.plan.as_ref().map_or(at, |plan| at.min(plan.deadline.max(self.now + crate::batch::LEAST_AHEAD)));
        self.run.timers += 1;
        self.rest(State::Paused { hop, resume_at: at, tries, attempt }, word, Some(detail));
        self.effects.push(Effect::ArmResume(at));
        true
    }

    pub(super) fn cancel(&mut self, hop: u32, attempt: u32, batch: AttemptId, why: CancelReason) -> bool {
        self.run.cancel_requested |= why == CancelReason::Requested;
        let effect = Effect::CancelBatch(batch.clone());
        self.rest(State::Canceling { hop, attempt, batch, why }, "canceling", None);
        self.effects.push(effect);
        true
    }

    /// Its row is in a batch that has ended and cannot be had: it may have been paid, and is not asked for again.
    pub(super) fn unreadable(&mut self, hop: u32, attempt: u32) -> bool {
        self.run.gave_up(Call { hop, attempt }, self.now);
        let message = "the batch has ended, and this run's row of its results could not be taken in";
        self.fail("batch_row_unreadable", message.to_owned())
    }

    pub(super) fn ambiguous(&mut self, hop: u32, attempt: u32) -> bool {
        let call = Call { hop, attempt };
        // Those of its batches that could be read are in the books already.
        if !self.run.has_unused(call) {
            self.run.gave_up(call, self.now);
        }
        let message = "the answer to creating a batch was lost and none of the batches found could be told to be it";
        self.fail("ambiguous_batch", message.to_owned())
    }

    pub(super) fn wish_cancel(&mut self) -> bool {
        let news = !self.run.cancel_requested;
        self.run.cancel_requested = true;
        news
    }

    pub(super) fn fail(&mut self, code: &str, message: String) -> bool {
        let detail = format!("{code}: {message}");
        self.end(State::Failed { code: code.to_owned(), message }, "failed", Some(detail))
    }

    pub(super) fn end(&mut self, state: State, word: &str, detail: Option<String>) -> bool {
        self.run.ended_at = Some(self.now);
        self.rest(state, word, detail);
        self.effects.push(Effect::Close);
        true
    }

    /// Enters a state in which nobody works on the run.
    pub(super) fn rest(&mut self, state: State, word: &str, detail: Option<String>) -> bool {
        self.run.lease = None;
        self.go(state, word, detail);
        true
    }

    pub(super) fn go(&mut self, state: State, word: &str, detail: Option<String>) {
        self.run.state = state;
        self.run.state_since = self.now;
        self.run.log(self.now, word, detail);
    }

    pub(super) fn path(&self) -> Path {
        self.run.plan.as_ref().map_or(Path::Realtime, |plan| plan.path)
    }
}
