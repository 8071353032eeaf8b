//! What was paid for nothing: answers that came when their run had moved on, and calls whose answer never came.
//!
//! Guarantee: an answer is booked once however often it is read. A booking changes nothing that a holder of the run relies
//! on, so a holder whose read is older than a booking takes it over with [`Run::rebased`] and goes on.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Hop, Path, Run};
use crate::money::{Cost, InRealtime, NanoUsd, Tokens};

/// The word of a booking in a run's log.
const UNUSED: &str = "paid_unused";
/// The word of a call that may have been paid.
const UNANSWERED: &str = "unanswered";

/// A call to a model, by what its answer says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// The hop, from 1.
    pub hop: u32,
    /// Which batch attempt at it, from 1; 0 in realtime.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub attempt: u32,
}

impl Call {
    /// A call in realtime for hop `hop`.
    pub fn realtime(hop: u32) -> Self {
        Self { hop, attempt: 0 }
    }

    /// The call that `hop` answers.
    fn of(hop: &Hop) -> Self {
        let attempt = if hop.path == Path::Batch { hop.attempt } else { 0 };
        Self { hop: hop.n, attempt }
    }
}

/// What a run's books hold beside its hops.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Books {
    /// How many writes of the row were bookings: without them, `rev` is what a holder last wrote.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub bookings: u32,
    /// Calls that somebody gave up while they may have been with the model.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub given_up: u32,
    /// Those of them that came back after all: with an answer, which is booked, or with a refusal, which costs nothing.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub came_back: u32,
    /// The hop that a call was given up for last, and how many of its calls were; `None` in rows of before this was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_up_of: Option<(u32, u32)>,
    /// The calls of `given_up`, but for those of before they were kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
    /// Those of `calls` that came back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub back: Vec<Call>,
}

impl Books {
    /// Whether there is nothing in them.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Calls of hop `n` that were given up, whatever came of them. Rows of before this was kept tell those of the whole run.
    pub fn given_up_of(&self, n: u32) -> u32 {
        match self.given_up_of {
            Some((hop, calls)) if hop == n => calls,
            Some(_) => 0,
            None => self.given_up,
        }
    }

    /// Begins to count the calls of hop `n`, which was tried again `tries` times. A row of before this was kept does not say
    /// which of those may have been paid: all are taken to be.
    pub(super) fn count_calls_of(&mut self, n: u32, tries: u32) {
        self.given_up_of.get_or_insert((n, tries.max(self.given_up)));
    }

    /// Calls whose answer never came; each may have been paid.
    pub fn unanswered(&self) -> u32 {
        self.given_up.saturating_sub(self.came_back)
    }

    /// Notes that `call` came back, where it was given up; an answer nobody had given up leaves the others' count alone.
    fn comes_back(&mut self, call: Call) -> bool {
        let times = |calls: &[Call]| calls.iter().filter(|known| **known == call).count();
        if times(&self.calls) > times(&self.back) {
            self.back.push(call);
        } else if !self.has_nameless() {
            return false;
        }
        self.came_back += 1;
        true
    }

    /// Whether a call is given up of which only the number is known: rows of before calls were kept have such.
    fn has_nameless(&self) -> bool {
        self.unanswered() as usize > self.calls.len().saturating_sub(self.back.len())
    }

    /// The first realtime call that is given up.
    fn first_realtime(&self) -> Option<Call> {
        let times = |calls: &[Call], call: Call| calls.iter().filter(|known| **known == call).count();
        let open = |call: &Call| call.attempt == 0 && times(&self.calls, *call) > times(&self.back, *call);
        self.calls.iter().copied().find(open)
    }
}

/// The least that a turn of these answers would have cost in realtime: with the same use of the cache, without one, or with
/// all of it kept from hop to hop. Answers of no use are no part of that: realtime does without them.
pub fn best_realtime(hops: &[Hop]) -> NanoUsd {
    let used = || hops.iter().filter(|hop| !hop.unused);
    let of = |price: fn(&InRealtime) -> NanoUsd| used().map(|hop| hop.in_realtime.as_ref().map(price)).sum();
    let alike = used().map(|hop| hop.cost.realtime_nano_usd).sum();
    let others: [Option<NanoUsd>; 2] = [of(|cost| cost.uncached_nano_usd), of(|cost| cost.cached_nano_usd)];
    others.into_iter().flatten().fold(alike, NanoUsd::min)
}

/// What these answers cost, whether they were of use or not.
pub fn paid(hops: &[Hop]) -> NanoUsd {
    hops.iter().map(|hop| hop.cost.paid_nano_usd).sum()
}

impl Run {
    /// The answers it went on from.
    pub fn used(&self) -> impl DoubleEndedIterator<Item = &Hop> {
        self.hops.iter().filter(|hop| !hop.unused)
    }

    /// The answers that were paid and of no use.
    pub fn unused(&self) -> impl Iterator<Item = &Hop> {
        self.hops.iter().filter(|hop| hop.unused)
    }

    /// What those cost.
    pub fn cost_unused(&self) -> Cost {
        self.unused().fold(Cost::default(), |sum, hop| sum.plus(hop.cost))
    }

    /// What was saved against [`best_realtime`], billionths of a dollar; below zero where more was paid.
    pub fn saved(&self) -> i64 {
        let signed = |nano: NanoUsd| i64::try_from(nano).unwrap_or(i64::MAX);
        signed(best_realtime(&self.hops)).saturating_sub(signed(self.cost.paid_nano_usd))
    }

    /// How long the prompt of the last hop was that its next one goes on from, tokens: what a cache would have of it. Another
    /// model has a cache of its own, and a summary is the end of a prompt.
    pub fn prompt_before(&self, model: &str) -> u64 {
        let last = self.used().next_back().filter(|hop| hop.model == model && !hop.compaction);
        last.map_or(0, |hop| Tokens::of(&hop.usage).prompt())
    }

    /// Whether the answer that `hop` is made of is in the books: a batch has one for each hop and attempt, and a message has
    /// an id of its own. Rows of before attempts were kept say 0.
    pub fn has_booked(&self, hop: &Hop) -> bool {
        self.hops.iter().any(|known| {
            let of_batch = known.batch.is_some() && known.batch == hop.batch && known.n == hop.n;
            let same_try = known.attempt == hop.attempt || known.attempt == 0;
            let same_message = !known.message_id.is_empty() && known.message_id == hop.message_id;
            (of_batch && same_try) || same_message
        })
    }

    /// Books an answer that came too late to be used. `false` where it is in the books already.
    pub fn book_unused(&mut self, hop: Hop, now: DateTime<Utc>) -> bool {
        if self.has_booked(&hop) {
            return false;
        }
        let _: bool = self.books.comes_back(Call::of(&hop));
        self.enter(hop, now);
        self.booked();
        true
    }

    /// Books that a realtime call that was given up came back without an answer: it was refused, and costs nothing.
    pub fn book_refusal(&mut self) -> bool {
        let call = self.books.first_realtime().unwrap_or(Call::realtime(0));
        let open = self.books.comes_back(call);
        if open {
            self.booked();
        }
        open
    }

    /// Whether an answer to `call` is in the books as one of no use.
    pub fn has_unused(&self, call: Call) -> bool {
        self.unused().any(|hop| Call::of(hop) == call)
    }

    fn booked(&mut self) {
        self.books.bookings += 1;
        self.rev += 1;
    }

    fn enter(&mut self, mut hop: Hop, now: DateTime<Utc>) {
        hop.unused = true;
        hop.cost = hop.cost.without_saving();
        self.cost = self.cost.plus(hop.cost);
        let (n, model) = (hop.n, hop.model.clone());
        self.hops.push(hop);
        self.log(now, UNUSED, Some(format!("an answer of {model} to hop {n} was paid and came too late to be used")));
    }

    /// Marks the last answer, which was just taken in, as one of no use.
    pub(super) fn mark_unused(&mut self, now: DateTime<Utc>) {
        let Some(mut hop) = self.hops.pop_if(|hop| !hop.unused) else { return };
        self.cost = self.cost.minus(hop.cost);
        hop.unused = true;
        self.enter(hop, now);
    }

    /// Notes that a call is given up that may be with the model, or was answered to nobody.
    pub fn gave_up(&mut self, call: Call, now: DateTime<Utc>) {
        let n = call.hop;
        self.books.given_up_of = Some((n, self.books.given_up_of(n) + 1));
        self.books.given_up += 1;
        self.books.calls.push(call);
        self.log(
            now,
            UNANSWERED,
            Some(format!("hop {n} was with the model and no answer came; it may have been paid")),
        );
    }

    /// This run, as a holder means to write it, on top of the bookings that `stands` has and it has not. `None` where
    /// anything but bookings happened since: then somebody else moved it.
    pub fn rebased(&self, stands: &Self) -> Option<Self> {
        let own = |run: &Self| run.rev.checked_sub(u64::from(run.books.bookings));
        if stands.rev <= self.rev || own(stands) != own(self) {
            return None;
        }
        let mut rebased = self.clone();
        rebased.rev = stands.rev;
        rebased.books.bookings = stands.books.bookings;
        rebased.books.came_back = stands.books.came_back;
        rebased.books.back.clone_from(&stands.books.back);
        rebased.reserve.clone_from(&stands.reserve);
        for hop in stands.unused().filter(|hop| !self.has_booked(hop)) {
            rebased.cost = rebased.cost.plus(hop.cost);
            rebased.hops.push(hop.clone());
        }
        let news = stands.events.iter().filter(|line| line.event == UNUSED && !self.events.contains(line));
        rebased.events.extend(news.cloned());
        Some(rebased)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::AttemptId;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_219_200, 0).unwrap()
    }

    fn run() -> Run {
        let run = json!({
            "key": "a_20261120T070000Z", "jobId": "a", "jobName": "A", "agentId": "main", "origin": "schedule",
            "task": { "task": "turn" }, "slot": "2026-11-20T07:00:00Z", "sequence": 1,
            "createdAt": "2026-11-20T07:00:00Z", "state": { "state": "delivering" },
            "stateSince": "2026-11-20T07:00:00Z", "rev": 7, "turn": { "message": "" }, "prompt": { "inline": "hello" },
        });
        serde_json::from_value(run).unwrap()
    }

    fn hop(batch: Option<&str>, n: u32, attempt: u32, message: &str) -> Hop {
        let hop = json!({ "n": n, "path": "batch", "model": "m", "messageId": message, "batch": batch,
            "stopReason": "end_turn", "usage": {}, "cost": { "paidNanoUsd": 5, "realtimeNanoUsd": 10 },
            "at": "2026-11-20T07:00:00Z" });
        Hop { attempt, ..serde_json::from_value(hop).unwrap() }
    }

    #[test]
    fn an_answer_is_booked_once_by_its_batch_or_its_message_and_saves_nothing() {
        let mut run = run();
        assert!(run.book_unused(hop(Some("b1"), 1, 1, "msg_1"), now()));
        for again in [hop(Some("b1"), 1, 1, "msg_1"), hop(Some("b1"), 1, 1, "msg_2"), hop(None, 3, 1, "msg_1")] {
            assert!(!run.book_unused(again.clone(), now()), "{again:?}");
        }
        assert!(run.book_unused(hop(Some("b1"), 1, 2, "msg_3"), now()), "another attempt is another answer");
        assert!(run.book_unused(hop(None, 1, 1, ""), now()));
        let paid = Cost { paid_nano_usd: 15, realtime_nano_usd: 15 };
        assert_eq!((run.cost, run.cost_unused(), run.rev, run.books.bookings), (paid, paid, 10, 3));
        assert_eq!((run.used().count(), run.unused().count()), (0, 3));
        assert_eq!(run.events.iter().filter(|line| line.event == UNUSED).count(), 3);
    }

    #[test]
    fn an_answer_of_before_attempts_were_kept_is_known_by_its_batch() {
        let mut run = run();
        run.hops.push(hop(Some("b1"), 1, 0, "msg_1"));
        assert!(!run.book_unused(hop(Some("b1"), 1, 1, "msg_9"), now()));
    }

    #[test]
    fn a_call_that_was_given_up_may_have_been_paid_until_it_comes_back() {
        let mut run = run();
        run.gave_up(Call { hop: 1, attempt: 1 }, now());
        run.gave_up(Call::realtime(2), now());
        assert_eq!(run.books.unanswered(), 2);
        run.book_unused(hop(None, 1, 1, "msg_1"), now());
        assert!(run.book_refusal() && !run.book_refusal());
        assert_eq!(run.books.unanswered(), 0);
        run.book_unused(hop(Some("b1"), 1, 1, "msg_2"), now());
        assert_eq!(run.books.unanswered(), 0, "what nobody gave up leaves the count alone");
    }

    #[test]
    fn calls_that_were_given_up_are_told_apart_by_their_hop() {
        let mut run = run();
        run.gave_up(Call::realtime(1), now());
        run.gave_up(Call::realtime(1), now());
        assert_eq!((run.books.given_up_of(1), run.books.given_up_of(2)), (2, 0));
        run.gave_up(Call::realtime(2), now());
        assert_eq!((run.books.given_up_of(2), run.books.given_up), (1, 3));
        // A row of before: whichever hop they were for, a hop is not called more often for it.
        let before = Books { given_up: 1, ..Books::default() };
        assert_eq!(before.given_up_of(2), 1);
    }

    #[test]
    fn an_answer_to_another_call_hides_none_that_may_have_been_paid_whichever_comes_first() {
        let mut run = run();
        run.book_unused(hop(Some("orphan"), 1, 1, "msg_1"), now());
        run.gave_up(Call::realtime(2), now());
        assert_eq!(run.books.unanswered(), 1, "the orphan's answer came before");
        for (at, (n, attempt)) in [(1, 2), (2, 1), (3, 1)].into_iter().enumerate() {
            run.book_unused(hop(Some("orphan"), n, attempt, &format!("msg_1{at}")), now());
            assert_eq!(run.books.unanswered(), 1, "nor is hop {n}, attempt {attempt} of a batch it");
        }
        let realtime = Hop { path: Path::Realtime, ..hop(None, 2, 1, "msg_2") };
        run.book_unused(realtime, now());
        assert_eq!(run.books.unanswered(), 0);
        run.gave_up(Call { hop: 4, attempt: 2 }, now());
        assert!(!run.book_refusal(), "a refusal is of a realtime call");
        assert_eq!(run.books.unanswered(), 1);
    }

    #[test]
    fn calls_given_up_before_they_were_named_come_back_as_they_did() {
        let mut run = run();
        run.books = serde_json::from_value(json!({ "givenUp": 2 })).unwrap();
        run.book_unused(hop(Some("b1"), 1, 1, "msg_1"), now());
        run.gave_up(Call::realtime(9), now());
        assert_eq!(run.books.unanswered(), 2);
        assert!(run.book_refusal() && run.book_refusal() && !run.book_refusal());
        assert_eq!(run.books.unanswered(), 0);
    }

    #[test]
    fn a_holders_write_goes_on_over_bookings_and_over_nothing_else() {
        let read = run();
        let mut stands = read.clone();
        stands.book_unused(hop(Some("b1"), 1, 1, "msg_1"), now());
        stands.book_unused(hop(Some("b2"), 1, 2, "msg_2"), now());
        let mut mine = read.clone();
        mine.hops.push(hop(None, 2, 1, "msg_3"));
        mine.cost = mine.cost.plus(mine.hops[0].cost);
        let merged = mine.rebased(&stands).unwrap();
        assert_eq!((merged.rev, merged.hops.len(), merged.cost.paid_nano_usd), (9, 3, 15));
        assert_eq!((merged.used().count(), merged.events.len()), (1, read.events.len() + 2));
        // A holder that goes on with its old copy is told again, and books nothing twice.
        let mut written = merged.clone();
        written.rev += 1;
        mine.rev += 1;
        let again = mine.rebased(&written).unwrap();
        assert_eq!(
            (again.rev, again.hops.len(), again.cost, again.events.len()),
            (10, 3, merged.cost, merged.events.len())
        );

        let mut moved = stands.clone();
        moved.rev += 1;
        assert_eq!(mine.rebased(&moved).map(|run| run.rev), Some(10), "as far as it wrote itself");
        mine.rev -= 1;
        assert_eq!(mine.rebased(&moved), None, "somebody else wrote");
        assert_eq!(mine.rebased(&read), None, "nothing happened");
        assert_eq!(AttemptId::new("b1").as_str(), "b1");
    }
}
