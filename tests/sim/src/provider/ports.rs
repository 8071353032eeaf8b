//! The provider as an invocation reaches it: every call stops at the gate.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use nightshift_domain::batch::CREATE_TIMEOUT;
use nightshift_domain::config::Config;
use nightshift_domain::model::{HopRequest, ModelErrorKind, ModelInfo, Reply};
use nightshift_domain::run::Credential;
use nightshift_engine::Clock;
use nightshift_engine::ports::{
    BatchList, BatchRow, BatchView, Batches, CreateError, Model, ModelError, Models, OpenModelError, OpenedModel,
    ResultLine, ResultLines,
};

use super::checks::Wrong;
use super::{RowPlan, SimProvider};
use crate::gate::{Broken, Call, Gate, Port, through};

/// One invocation's way to the provider.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) provider: Arc<SimProvider>,
    pub(super) gate: Arc<dyn Gate>,
    pub(super) invocation: u64,
}

impl Line {
    fn call(&self, name: &str, effect: bool) -> Call {
        Call { invocation: self.invocation, port: Port::Model, name: name.to_owned(), effect }
    }

    fn now(&self) -> DateTime<Utc> {
        self.provider.clock.now()
    }

    /// The error of a call that was broken: the kinds that fit take turns.
    fn broken(&self, kinds: &[ModelErrorKind]) -> ModelError {
        let mut state = self.provider.current();
        let turn = state.failed;
        state.failed += 1;
        let at = usize::try_from(turn % kinds.len() as u64).unwrap_or(0);
        ModelError { kind: kinds[at], message: "the call was broken".to_owned(), retry_after: None, request_id: None }
    }

    fn throttled(how: super::Refusal) -> ModelError {
        Wrong::Planned(how).into()
    }

    /// What a call that only looks, or that may be repeated, answers when it is broken.
    fn unseen(&self, how: Broken) -> ModelError {
        match how {
            Broken::Before | Broken::After => self.broken(&[
                ModelErrorKind::Server,
                ModelErrorKind::Unanswered,
                ModelErrorKind::NotFound,
                ModelErrorKind::Overloaded,
            ]),
            Broken::Throttled => Self::throttled(super::Refusal::RateLimited),
        }
    }

    /// Waits for an answer until `deadline`.
    async fn answer(&self, request: &HopRequest, deadline: DateTime<Utc>) -> Result<Reply, ModelError> {
        let (plan, reply) = self.provider.begin(request, self.invocation)?;
        let done = self.now() + super::seconds(plan.takes);
        self.provider.clock.sleep_until(done.min(deadline)).await;
        if done > deadline {
            let message = "no answer in time".to_owned();
            return Err(ModelError { kind: ModelErrorKind::Timeout, message, retry_after: None, request_id: None });
        }
        Ok(reply)
    }
}

#[async_trait]
impl Models for Line {
    async fn open(&self, config: &Config, name: &str) -> Result<OpenedModel, OpenModelError> {
        if config.provider(name).is_none() {
            return Err(OpenModelError::Unknown(name.to_owned()));
        }
        if self.provider.current().key_gone {
            return Err(OpenModelError::Key { provider: name.to_owned(), reason: "it is gone".to_owned() });
        }
        Ok(OpenedModel { model: Arc::new(self.clone()), credential: Credential::ApiKey })
    }
}

#[async_trait]
impl Model for Line {
    async fn message(&self, request: &HopRequest, deadline: DateTime<Utc>) -> Result<Reply, ModelError> {
        let broken = |how| match how {
            // What an explicit error says was not answered, and is not paid (errors page).
            Broken::Before => {
                self.broken(&[ModelErrorKind::NotSent, ModelErrorKind::Overloaded, ModelErrorKind::Server])
            }
            Broken::After => self.broken(&[ModelErrorKind::Unanswered, ModelErrorKind::Timeout]),
            Broken::Throttled => Self::throttled(super::Refusal::RateLimited),
        };
        let answer = self.answer(request, deadline);
        let reply = through(&*self.gate, self.call("message", true), answer, broken).await?;
        self.provider.reached(&reply.message_id);
        Ok(reply)
    }

    async fn info(&self, model: &str) -> Result<ModelInfo, ModelError> {
        let told = async {
            Ok(ModelInfo {
                id: model.to_owned(),
                batch: true,
                max_tokens: 64_000,
                max_input_tokens: Some(200_000),
                efforts: ["low", "medium", "high"].map(str::to_owned).to_vec(),
                thinking: ["adaptive", "disabled"].map(str::to_owned).to_vec(),
                server_tools: true,
                ..ModelInfo::default()
            })
        };
        through(&*self.gate, self.call("info", false), told, |how| self.unseen(how)).await
    }

    fn batches(&self) -> Option<&dyn Batches> {
        Some(self)
    }
}

#[async_trait]
impl Batches for Line {
    async fn create(&self, rows: &[BatchRow]) -> Result<BatchView, CreateError> {
        let asked_at = self.now();
        let made = async {
            if self.now() > asked_at + CREATE_TIMEOUT {
                // Nothing is left of a connection that stood still for so long.
                return Err(CreateError::Unanswered(self.broken(&[ModelErrorKind::Timeout])));
            }
            let refused = |wrong: Wrong| CreateError::Refused(wrong.into());
            self.provider.create(rows, self.invocation).map_err(refused)
        };
        let broken = |how| match how {
            // A 5xx says nothing of whether the batch exists, so neither may we, also where it does not.
            Broken::Before => {
                let error = self.broken(&[ModelErrorKind::NotSent, ModelErrorKind::Server, ModelErrorKind::Overloaded]);
                if error.kind == ModelErrorKind::Server {
                    CreateError::Unanswered(error)
                } else {
                    CreateError::Refused(error)
                }
            }
            Broken::After => CreateError::Unanswered(self.broken(&[
                ModelErrorKind::Unanswered,
                ModelErrorKind::Timeout,
                ModelErrorKind::Server,
            ])),
            Broken::Throttled => CreateError::Refused(Self::throttled(super::Refusal::RateLimited)),
        };
        through(&*self.gate, self.call("create", true), made, broken).await
    }

    async fn retrieve(&self, remote: &str) -> Result<BatchView, ModelError> {
        let seen = async {
            let now = self.now();
            let state = self.provider.current();
            let found = state.batches.iter().find(|batch| batch.remote == remote && batch.is_found(now));
            found.map(super::SimBatch::view).ok_or_else(|| Wrong::NotFound.into())
        };
        through(&*self.gate, self.call("retrieve", false), seen, |how| self.unseen(how)).await
    }

    async fn list(&self, limit: u32, after: Option<&str>) -> Result<BatchList, ModelError> {
        let seen = async {
            let now = self.now();
            let state = self.provider.current();
            // Batches are made in the order of their numbers, so the newest are at the end.
            let mut shown = state.batches.iter().rev().filter(|batch| batch.is_listed(now));
            if let Some(after) = after {
                shown.find(|batch| batch.remote == after);
            }
            let limit = limit.clamp(1, 1000) as usize;
            let batches: Vec<BatchView> = shown.by_ref().take(limit).map(super::SimBatch::view).collect();
            let more = shown.next().is_some();
            let next_after = batches.last().filter(|_| more).map(|last| last.remote.clone());
            Ok(BatchList { batches, next_after })
        };
        through(&*self.gate, self.call("list", false), seen, |how| self.unseen(how)).await
    }

    async fn cancel(&self, remote: &str) -> Result<BatchView, ModelError> {
        let told = async { self.provider.cancel(remote).map_err(ModelError::from) };
        through(&*self.gate, self.call("cancel", true), told, |how| self.unseen(how)).await
    }

    async fn delete(&self, remote: &str) -> Result<(), ModelError> {
        let gone = async {
            let now = self.now();
            let mut state = self.provider.current();
            let found = state.batches.iter_mut().find(|batch| batch.remote == remote && batch.is_found(now));
            let batch = found.ok_or(Wrong::NotFound)?;
            if batch.ended_at.is_none() {
                return Err(Wrong::Invalid("it has not ended").into());
            }
            batch.deleted = true;
            Ok(())
        };
        through(&*self.gate, self.call("delete", true), gone, |how| self.unseen(how)).await
    }

    async fn results(&self, remote: &str) -> Result<ResultLines, ModelError> {
        let lines = async { self.lines(remote).map_err(ModelError::from) };
        through(&*self.gate, self.call("results", false), lines, |how| self.unseen(how)).await
    }
}

impl Line {
    /// The lines of a batch that has ended, the last row first: their order means nothing.
    fn lines(&self, remote: &str) -> Result<ResultLines, Wrong> {
        let now = self.now();
        let mut state = self.provider.current();
        let found = state.batches.iter_mut().find(|batch| batch.remote == remote && batch.has_results(now));
        let batch = found.ok_or(Wrong::NotFound)?;
        let whole = std::mem::replace(&mut batch.broke, true);
        let mut lines: Vec<Result<ResultLine, ModelError>> = Vec::with_capacity(batch.rows.len());
        for row in batch.rows.iter().rev() {
            let Some(result) = row.result() else { continue };
            if !whole && matches!(row.plan, RowPlan::BreaksOnce(_)) && row.is_paid() {
                lines.push(Err(ModelError {
                    kind: ModelErrorKind::Unanswered,
                    message: "the results broke off".to_owned(),
                    retry_after: None,
                    request_id: None,
                }));
                break;
            }
            lines.push(Ok(ResultLine { custom_id: row.custom_id.clone(), result }));
        }
        let provider = self.provider.clone();
        let read = move |line: Result<ResultLine, ModelError>| {
            if let Ok(ResultLine { result: nightshift_domain::run::RowResult::Succeeded(reply), .. }) = &line {
                provider.reached(&reply.message_id);
            }
            line
        };
        Ok(futures::stream::iter(lines).map(read).boxed())
    }
}
