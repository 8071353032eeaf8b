//! A place that serves models and message batches, with a state and a bill of its own.
//!
//! Guarantee: what it does depends on the plan, the clock and the order of the calls alone. It keeps a line for every answer
//! that somebody pays for, also for those that never reached anybody; and it never gives two answers the same message id.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::model::{HopRequest, Reply};
use nightshift_engine::ports::{BatchRow, BatchView, Models};
use nightshift_engine::{Clock, ManualClock};

use crate::gate::Gate;

mod batch;
mod bill;
mod checks;
mod plan;
mod ports;
mod reply;

pub use batch::{Fate, SimBatch, SimRow};
pub use bill::{BillLine, BilledVia};
pub use plan::{AnswerPlan, BatchPlan, Plan, Refusal, RowPlan, Say};

use checks::Wrong;
use plan::seconds;
use ports::Line;

/// The provider. Everybody sees the same one, each through a line of his own.
#[derive(Debug)]
pub struct SimProvider {
    clock: ManualClock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    batches: Vec<SimBatch>,
    bill: Vec<BillLine>,
    rows: VecDeque<RowPlan>,
    batch_plans: VecDeque<BatchPlan>,
    answers: VecDeque<AnswerPlan>,
    refusals: VecDeque<Refusal>,
    spend_limit: bool,
    key_gone: bool,
    /// Answers given so far.
    answered: u64,
    /// Calls that failed so far: their errors take turns.
    failed: u64,
}

impl SimProvider {
    /// One without batches, which does all that it is asked.
    pub fn new(clock: ManualClock) -> Arc<Self> {
        Arc::new(Self { clock, state: Mutex::default() })
    }

    /// The way to it for one invocation.
    pub fn models(self: &Arc<Self>, gate: Arc<dyn Gate>, invocation: u64) -> Arc<dyn Models> {
        Arc::new(Line { provider: self.clone(), gate, invocation })
    }

    /// Says what it is to do.
    pub fn plan(&self, plan: Plan) {
        let mut state = self.current();
        match plan {
            Plan::Row(row) => state.rows.push_back(row),
            Plan::Batch(batch) => state.batch_plans.push_back(batch),
            Plan::Answer(answer) => state.answers.push_back(answer),
            Plan::Refuse { how, calls } => state.refusals.extend((0..calls).map(|_| how)),
            Plan::SpendLimit(reached) => state.spend_limit = reached,
            Plan::KeyGone(gone) => state.key_gone = gone,
            Plan::Foreign { rows, seconds } => self.foreign(&mut state, rows, seconds),
        }
    }

    /// Forgets every plan that has not come true: from now on all works.
    pub fn heal(&self) {
        let mut state = self.current();
        state.rows.clear();
        state.batch_plans.clear();
        state.answers.clear();
        state.refusals.clear();
        state.spend_limit = false;
        state.key_gone = false;
    }

    /// All batches, oldest first, as they are now.
    pub fn batches(&self) -> Vec<SimBatch> {
        self.current().batches.clone()
    }

    /// The whole bill, in the order it was run up.
    pub fn bill(&self) -> Vec<BillLine> {
        self.current().bill.clone()
    }

    /// Looks at the batches and the bill without copying them.
    pub fn look<T>(&self, at: impl FnOnce(&[SimBatch], &[BillLine]) -> T) -> T {
        let state = self.current();
        at(&state.batches, &state.bill)
    }

    /// When the next batch ends that will; a world that has nothing else to do may go on then.
    pub fn next_end(&self) -> Option<DateTime<Utc>> {
        let state = self.current();
        let open = state.batches.iter().filter(|batch| batch.ended_at.is_none());
        open.filter_map(|batch| batch.rows.iter().map(|row| row.done_at).max()).min()
    }

    /// The state as it is now.
    fn current(&self) -> MutexGuard<'_, State> {
        let now = self.clock.now();
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        for batch in &mut state.batches {
            let (count, foreign) = (&mut state.answered, batch.foreign);
            let answered = batch.advance(now, |row, say| {
                *count += 1;
                reply::reply(*count, &row.request, say, true)
            });
            for line in answered.iter().filter(|_| !foreign) {
                let row = &batch.rows[line.row];
                let Some(Fate::Answered(reply)) = &row.fate else { continue };
                let via = BilledVia::Batch { remote: batch.remote.clone(), custom_id: row.custom_id.clone() };
                state.bill.push(BillLine::new(
                    reply.message_id.clone(),
                    via,
                    &reply.model,
                    reply.usage.clone(),
                    line.at,
                ));
            }
        }
        guard
    }

    fn foreign(&self, state: &mut State, rows: u32, takes: u32) {
        let request = Arc::new(HopRequest { model: "claude-opus-5-5".to_owned(), ..HopRequest::default() });
        let now = self.clock.now();
        let remote = next_remote(state);
        let rows = (0..rows.max(1)).map(|n| SimRow {
            custom_id: format!("theirs-{remote}-{n}"),
            request: request.clone(),
            plan: RowPlan::Answered(Say::Done),
            done_at: now + seconds(takes),
            fate: None,
        });
        let batch = SimBatch {
            remote: next_remote(state),
            created_at: now,
            foreign: true,
            invocation: 0,
            rows: rows.collect(),
            cancel_at: None,
            ended_at: None,
            deleted: false,
            plan: BatchPlan { takes, ..BatchPlan::default() },
            broke: false,
        };
        state.batches.push(batch);
    }

    /// Creates a batch of ours, as its own rules allow.
    fn create(&self, rows: &[BatchRow], invocation: u64) -> Result<BatchView, Wrong> {
        checks::rows(rows)?;
        let mut state = self.current();
        checks::account(&mut state)?;
        let now = self.clock.now();
        let plan = state.batch_plans.pop_front().unwrap_or_default();
        let mut made = Vec::with_capacity(rows.len());
        for row in rows {
            let fate = state.rows.pop_front().unwrap_or(RowPlan::Answered(Say::Done));
            let done_at = match fate {
                RowPlan::Never => now + TimeDelta::days(365),
                RowPlan::Answered(_)
                | RowPlan::BreaksOnce(_)
                | RowPlan::Errored
                | RowPlan::Invalid
                | RowPlan::Stopped
                | RowPlan::Missing => now + seconds(plan.takes),
            };
            made.push(SimRow {
                custom_id: row.custom_id.clone(),
                request: Arc::new(row.request.clone()),
                plan: fate,
                done_at,
                fate: None,
            });
        }
        let batch = SimBatch {
            remote: next_remote(&state),
            created_at: now,
            foreign: false,
            invocation,
            rows: made,
            cancel_at: None,
            ended_at: None,
            deleted: false,
            plan,
            broke: false,
        };
        let view = batch.view();
        state.batches.push(batch);
        Ok(view)
    }

    /// Begins an answer in realtime. It is on the bill from here on: whoever hangs up pays all the same.
    fn begin(&self, request: &HopRequest, invocation: u64) -> Result<(AnswerPlan, Reply), Wrong> {
        let mut state = self.current();
        checks::account(&mut state)?;
        let plan = state.answers.pop_front().unwrap_or_default();
        state.answered += 1;
        let reply = reply::reply(state.answered, request, plan.say, false);
        let via = BilledVia::Realtime { invocation, request: Arc::new(request.clone()) };
        let line = BillLine::new(reply.message_id.clone(), via, &reply.model, reply.usage.clone(), self.clock.now());
        state.bill.push(line);
        Ok((plan, reply))
    }

    /// Notes that an answer is in the hands of our code.
    fn reached(&self, message_id: &str) {
        let mut state = self.current();
        if let Some(line) = state.bill.iter_mut().rfind(|line| line.message_id == message_id) {
            line.reached = true;
        }
    }

    /// Tells `remote` to stop.
    fn cancel(&self, remote: &str) -> Result<BatchView, Wrong> {
        let now = self.clock.now();
        let mut state = self.current();
        let found = state.batches.iter_mut().find(|batch| batch.remote == remote && batch.is_found(now));
        let batch = found.ok_or(Wrong::NotFound)?;
        if batch.ended_at.is_none() {
            batch.cancel_at.get_or_insert(now);
        }
        Ok(batch.view())
    }
}

fn next_remote(state: &State) -> String {
    format!("msgbatch_{:06}", state.batches.len() + 1)
}

#[cfg(test)]
pub(crate) mod tests;
