//! A provider that does as it is told: batches, lists that lag, calls that fail before or after they took effect.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use nightshift_domain::config::Config;
use nightshift_domain::model::{HopRequest, ModelErrorKind, ModelInfo, Reply, StopReason};
use nightshift_domain::run::{Credential, RowResult};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::clock::{Clock, ManualClock};
use crate::ports::{
    BatchList, BatchRow, BatchView, Batches, CreateError, Model, ModelError, Models, OpenModelError, OpenedModel,
    ResultLine, ResultLines,
};

/// What becomes of a create.
#[derive(Debug, Clone, Copy)]
pub(super) enum Create {
    /// It is made, and its answer is lost or cannot be read.
    AnswerLost,
    /// It never arrived, which nobody can tell.
    RequestLost,
    /// It is refused.
    Refused(ModelErrorKind, Option<TimeDelta>),
    /// It is made twice, by something in between, and the answer is lost.
    Doubled,
}

/// A batch there.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) id: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) rows: Vec<String>,
    pub(super) ended: bool,
    pub(super) canceling: bool,
    /// Not shown by lists before.
    pub(super) listed_from: DateTime<Utc>,
    pub(super) lines: Vec<Result<ResultLine, ModelErrorKind>>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) batches: Vec<Remote>,
    pub(super) creates: VecDeque<Create>,
    pub(super) lag: TimeDelta,
    pub(super) retrieves: VecDeque<ModelErrorKind>,
    pub(super) results: VecDeque<ModelErrorKind>,
    pub(super) cancels: VecDeque<ModelErrorKind>,
    pub(super) messages: VecDeque<Result<Reply, (ModelErrorKind, Option<TimeDelta>)>>,
    pub(super) created: u32,
    pub(super) sent: u32,
    pub(super) canceled: u32,
}

#[derive(Debug)]
pub(super) struct Provider {
    clock: ManualClock,
    pub(super) inner: Mutex<Inner>,
    /// Messages are answered when there is a permit.
    pub(super) answers: Semaphore,
}

#[derive(Debug)]
pub(super) struct Opened(Arc<Provider>, String);

#[derive(Debug)]
pub(super) struct Everywhere(pub(super) Arc<Provider>);

pub(super) fn failure(kind: ModelErrorKind) -> ModelError {
    ModelError { kind, message: format!("HTTP {}", kind.code()), retry_after: None, request_id: None }
}

pub(super) fn reply(id: &str) -> Reply {
    Reply {
        message_id: id.to_owned(),
        request_id: None,
        model: "claude-haiku-4-5".to_owned(),
        stop_reason: StopReason::EndTurn,
        content: r#"[{"type":"text","text":"Done."}]"#.to_owned(),
        text: "Done.".to_owned(),
        usage: json!({ "input_tokens": 1_000_000, "output_tokens": 0 }),
        container: None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it stands among lines that cannot be read")]
pub(super) fn succeeded(custom_id: &str, message: &str) -> Result<ResultLine, ModelErrorKind> {
    Ok(ResultLine { custom_id: custom_id.to_owned(), result: RowResult::Succeeded(Box::new(reply(message))) })
}

impl Provider {
    pub(super) fn new(clock: ManualClock) -> Arc<Self> {
        Arc::new(Self { clock, inner: Mutex::default(), answers: Semaphore::new(0) })
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.lock().unwrap())
    }

    /// Adds a batch with these rows.
    pub(super) fn make(&self, rows: &[&str]) -> String {
        let now = self.clock.now();
        self.with(|inner| {
            let id = format!("msgbatch_{}", inner.batches.len() + 1);
            let rows = rows.iter().map(|row| (*row).to_owned()).collect();
            let listed_from = now + inner.lag;
            let (created_at, lines) = (now, Vec::new());
            let remote =
                Remote { id: id.clone(), created_at, rows, ended: false, canceling: false, listed_from, lines };
            inner.batches.push(remote);
            id
        })
    }

    /// Ends the `at`-th batch; every row that is not given an outcome succeeded.
    pub(super) fn end(&self, at: usize, outcome: impl Fn(&str) -> RowResult) {
        self.with(|inner| {
            let batch = &mut inner.batches[at];
            batch.ended = true;
            let lines = batch.rows.iter().map(|row| Ok(ResultLine { custom_id: row.clone(), result: outcome(row) }));
            batch.lines = lines.collect();
        });
    }

    /// Ends it with answers.
    pub(super) fn answer(&self, at: usize) {
        self.end(at, |row| RowResult::Succeeded(Box::new(reply(&format!("msg_{at}_{row}")))));
    }
}

fn view(batch: &Remote) -> BatchView {
    BatchView {
        remote: batch.id.clone(),
        ended: batch.ended,
        canceling: batch.canceling && !batch.ended,
        created_at: batch.created_at,
        rows: batch.rows.len() as u64,
    }
}

#[async_trait]
impl Models for Everywhere {
    async fn open(&self, _: &Config, name: &str) -> Result<OpenedModel, OpenModelError> {
        let model = Arc::new(Opened(self.0.clone(), name.to_owned()));
        Ok(OpenedModel { model, credential: Credential::ApiKey })
    }
}

#[async_trait]
impl Model for Opened {
    async fn message(&self, _: &HopRequest, _: DateTime<Utc>) -> Result<Reply, ModelError> {
        self.0.with(|inner| inner.sent += 1);
        self.0.answers.acquire().await.unwrap().forget();
        let next = self.0.with(|inner| inner.messages.pop_front());
        let told = next.unwrap_or_else(|| Ok(reply("msg_realtime")));
        told.map_err(|(kind, retry_after)| ModelError { retry_after, ..failure(kind) })
    }

    async fn info(&self, model: &str) -> Result<ModelInfo, ModelError> {
        Ok(ModelInfo { id: model.to_owned(), batch: self.1 == "anthropic", max_tokens: 1000, ..ModelInfo::default() })
    }

    fn batches(&self) -> Option<&dyn Batches> {
        (self.1 == "anthropic").then_some(self)
    }
}

impl Opened {
    fn find(&self, remote: &str) -> Result<BatchView, ModelError> {
        let found = self.0.with(|inner| inner.batches.iter().find(|batch| batch.id == remote).map(view));
        found.ok_or_else(|| failure(ModelErrorKind::NotFound))
    }
}

#[async_trait]
impl Batches for Opened {
    async fn create(&self, rows: &[BatchRow]) -> Result<BatchView, CreateError> {
        let next = self.0.with(|inner| {
            inner.created += 1;
            inner.creates.pop_front()
        });
        let ids: Vec<&str> = rows.iter().map(|row| row.custom_id.as_str()).collect();
        let lost = || Err(CreateError::Unanswered(failure(ModelErrorKind::Unanswered)));
        match next {
            None => {
                let id = self.0.make(&ids);
                self.find(&id).map_err(CreateError::Unanswered)
            }
            Some(Create::AnswerLost) => {
                self.0.make(&ids);
                lost()
            }
            Some(Create::Doubled) => {
                self.0.make(&ids);
                self.0.make(&ids);
                lost()
            }
            Some(Create::RequestLost) => lost(),
            Some(Create::Refused(kind, retry_after)) => {
                Err(CreateError::Refused(ModelError { retry_after, ..failure(kind) }))
            }
        }
    }

    async fn retrieve(&self, remote: &str) -> Result<BatchView, ModelError> {
        match self.0.with(|inner| inner.retrieves.pop_front()) {
            Some(kind) => Err(failure(kind)),
            None => self.find(remote),
        }
    }

    async fn list(&self, _: u32, _: Option<&str>) -> Result<BatchList, ModelError> {
        let now = self.0.clock.now();
        let batches = self
            .0
            .with(|inner| inner.batches.iter().rev().filter(|batch| batch.listed_from <= now).map(view).collect());
        Ok(BatchList { batches, next_after: None })
    }

    async fn cancel(&self, remote: &str) -> Result<BatchView, ModelError> {
        if let Some(kind) = self.0.with(|inner| inner.cancels.pop_front()) {
            return Err(failure(kind));
        }
        self.0.with(|inner| {
            inner.canceled += 1;
            inner.batches.iter_mut().filter(|batch| batch.id == remote).for_each(|batch| batch.canceling = true);
        });
        self.find(remote)
    }

    async fn delete(&self, _: &str) -> Result<(), ModelError> {
        Ok(())
    }

    async fn results(&self, remote: &str) -> Result<ResultLines, ModelError> {
        if let Some(kind) = self.0.with(|inner| inner.results.pop_front()) {
            return Err(failure(kind));
        }
        let lines = self.0.with(|inner| {
            let batch = inner.batches.iter_mut().find(|batch| batch.id == remote);
            batch.map(|batch| {
                let lines = batch.lines.clone();
                // What broke off is whole the next time.
                batch.lines.retain(Result::is_ok);
                lines
            })
        });
        let lines = lines.ok_or_else(|| failure(ModelErrorKind::NotFound))?;
        Ok(futures::stream::iter(lines).map(|line| line.map_err(failure)).boxed())
    }
}
