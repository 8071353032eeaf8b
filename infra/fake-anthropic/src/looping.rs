//! The server-side loop: MCP calls are made outside the lock, and what follows from them is journalled step by step.
//!
//! A realtime call makes its MCP calls before it is answered. A batch makes those of its rows when it is due to end, at the
//! first read of it from then on: an instant that a clock decides, like everything about a batch, and one at which
//! nobody is inside the create call any more, whose answer the owner of the MCP server may still be waiting for. Until
//! they have answered the batch has not ended. Neither stops when its client goes away, and no row makes its calls twice.

use std::collections::BTreeMap;
use std::io;

use crate::answer::ApiError;
use crate::cache::Reader;
use crate::fake::Fake;
use crate::lifecycle::Planned;
use crate::reply::{Outcome, Sampling, Step, Turn};
use crate::state::{Effect, Record, Went};

impl Fake {
    /// Goes on with a turn until it is done.
    pub(crate) async fn follow(&self, mut turn: Box<Turn>) -> Outcome {
        loop {
            let origins = self.origins();
            let mut results = Vec::new();
            for call in turn.open_calls() {
                results.push(Box::pin(call.make(turn.params(), &origins)).await);
            }
            turn.told(results);
            match self.sample(*turn) {
                Ok(Step::Open(next)) => turn = next,
                Ok(Step::Done(outcome)) => return outcome,
                Err(error) => {
                    let message = format!("the fake could not save this step: {error}");
                    return Outcome::Error(ApiError::new(500, "api_error", message));
                }
            }
        }
    }

    fn sample(&self, turn: Turn) -> io::Result<Step> {
        let now = self.clock().now();
        let mut inner = self.lock();
        let (mut uses, mut ids) = (inner.state.uses.clone(), inner.state.ids());
        let workspace = turn.workspace.clone();
        // With a mark in the request, what the loop has come to is kept too (docs page "web-search-tool", 2026-10-01; taken to
        // hold for every server tool).
        let prompts = Reader::new(&inner.state.prompts, &workspace, turn.read_at.unwrap_or(now), 1.0);
        let mut sampling = Sampling { script: &inner.state.script, uses: &mut uses, ids: &mut ids, now, prompts };
        let step = turn.sample(&mut sampling);
        let kept = sampling.prompts.entries;
        let mut effects = if uses == inner.state.uses { Vec::new() } else { vec![Effect::Replied(uses)] };
        if !kept.is_empty() {
            effects.push(Effect::Kept(kept));
        }
        inner.commit(Record::Went(Box::new(Went { at: now, ids: ids.position(), effects, answered: None })))?;
        Ok(step)
    }

    fn origins(&self) -> BTreeMap<String, String> {
        let mut origins = self.opened_with().clone();
        origins.extend(self.lock().state.script.mcp_origins.clone());
        origins
    }

    /// Makes the MCP calls of a batch that is due to end, if it has any. Later callers wait for the first.
    pub(crate) async fn end_loops(&self, id: &str) {
        if self.next_loop(id).is_none() {
            return;
        }
        let (fake, id) = (self.clone(), id.to_owned());
        if let Err(error) = tokio::spawn(async move { fake.run_loops(&id).await }).await {
            tracing::error!(%error, "the MCP calls of a batch ended badly");
        }
    }

    async fn run_loops(&self, id: &str) {
        let door = self.door(id);
        let _mine = door.lock().await;
        while let Some((index, turn, request_id, begun)) = self.next_loop(id) {
            let outcome = if begun {
                // Only a fake that was killed leaves such a row. What its calls did is not known.
                Outcome::Error(ApiError::new(500, "api_error", "Internal server error"))
            } else if self.book(Effect::LoopBegun { id: id.to_owned(), index }).is_err() {
                return;
            } else {
                self.follow(turn).await
            };
            let planned = Planned::of(outcome, &request_id);
            if self.book(Effect::LoopEnded { id: id.to_owned(), index, planned }).is_err() {
                return;
            }
        }
    }

    fn next_loop(&self, id: &str) -> Option<(usize, Box<Turn>, String, bool)> {
        let now = self.clock().now();
        let inner = self.lock();
        let (index, planned) =
            inner.state.batches().find(|batch| batch.id == id).and_then(|batch| batch.due_loop(now))?;
        let Planned::Looping { turn, request_id, begun } = planned else { return None };
        Some((index, turn.clone(), request_id.clone(), *begun))
    }

    fn book(&self, effect: Effect) -> io::Result<()> {
        let now = self.clock().now();
        let mut inner = self.lock();
        let ids = inner.state.ids().position();
        inner.commit(Record::Went(Box::new(Went { at: now, ids, effects: vec![effect], answered: None })))
    }
}
