//! The table, call by call.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use nightshift_domain::batch::{Batch, Collected, Window, WindowId};
use nightshift_domain::budget::Purse;
use nightshift_domain::cost::Spend;
use nightshift_domain::delivery::Chunk;
use nightshift_domain::job::JobRecord;
use nightshift_domain::run::{EndpointCall, Run};
use nightshift_domain::session::{Exchange, Session};
use nightshift_domain::shelf::{Sheet, Shelf, ShelfId};
use nightshift_domain::stop::Stop;
use nightshift_domain::{AttemptId, JobId, RunKey};
use nightshift_engine::ports::{
    DueItem, Memo, Outcome, Overview, Page, PageRequest, Places, RunFilter, Store, StoreError, StoreErrorKind,
    SystemEvent, Write,
};
use serde_json::Value;

use super::Door;
use crate::gate::{Broken, Call, Port, through};

/// A table behind a gate.
#[derive(Debug)]
pub struct GatedStore {
    inner: Arc<dyn Store>,
    door: Door,
}

impl GatedStore {
    /// `inner` as the invocation at `door` has it.
    pub fn new(inner: Arc<dyn Store>, door: Door) -> Self {
        Self { inner, door }
    }

    async fn read<T>(&self, name: &str, act: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.pass(self.door.read(Port::Store, name), act).await
    }

    async fn change<T>(&self, name: &str, act: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.pass(self.door.effect(Port::Store, name), act).await
    }

    async fn pass<T>(&self, call: Call, act: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let operation = call.name.clone();
        // A table that does not answer says the same whether it wrote or not: the caller cannot know.
        let broken = |_: Broken| StoreError { operation, kind: StoreErrorKind::Unavailable, source: None };
        through(self.door.gate.as_ref(), call, act, broken).await
    }
}

/// What a commit writes, in order: `Run+Job+2×Chunk`.
fn written(writes: &[Write<'_>]) -> String {
    let parts = writes.chunk_by(|one, other| word(one) == word(other)).filter_map(|same| {
        let word = word(same.first()?);
        Some(if same.len() == 1 { word.to_owned() } else { format!("{}×{word}", same.len()) })
    });
    parts.collect::<Vec<_>>().join("+")
}

fn word(write: &Write<'_>) -> &'static str {
    match write {
        Write::Job(_) => "Job",
        Write::RemoveJob(_) => "RemoveJob",
        Write::Run { .. } => "Run",
        Write::Batch { .. } => "Batch",
        Write::BatchPolled(_) => "BatchPolled",
        Write::Chunk { .. } => "Chunk",
        Write::EndpointCall { .. } => "EndpointCall",
        Write::Shelf(_) => "Shelf",
        Write::Sheet(_) => "Sheet",
        Write::RemoveSheet { .. } => "RemoveSheet",
        Write::Event(_) => "Event",
        Write::EventMoved(_) => "EventMoved",
        Write::HoldPlace { .. } => "HoldPlace",
        Write::FreePlace { .. } => "FreePlace",
        Write::Queue { .. } => "Queue",
        Write::Unqueue { .. } => "Unqueue",
        Write::Session(_) => "Session",
        Write::RemoveSession(_) => "RemoveSession",
        Write::Window { .. } => "Window",
        Write::Collect { .. } => "Collect",
        Write::Uncollect { .. } => "Uncollect",
        Write::Stop(_) => "Stop",
        Write::EndStop(_) => "EndStop",
        Write::Memo { .. } => "Memo",
        Write::Purse(_) => "Purse",
        Write::BeginPurse { .. } => "BeginPurse",
        Write::Spend(_) => "Spend",
        Write::Count { .. } => "Count",
    }
}

#[async_trait]
impl Store for GatedStore {
    async fn commit(&self, writes: &[Write<'_>]) -> Result<Outcome, StoreError> {
        let name = format!("commit {}", written(writes));
        self.change(&name, self.inner.commit(writes)).await
    }

    async fn job(&self, id: &JobId) -> Result<Option<JobRecord>, StoreError> {
        self.read("job", self.inner.job(id)).await
    }

    async fn jobs(&self, page: &PageRequest) -> Result<Page<JobRecord>, StoreError> {
        self.read("jobs", self.inner.jobs(page)).await
    }

    async fn job_by_declaration(&self, key: &str) -> Result<Option<JobId>, StoreError> {
        self.read("job_by_declaration", self.inner.job_by_declaration(key)).await
    }

    async fn run(&self, key: &RunKey) -> Result<Option<Run>, StoreError> {
        self.read("run", self.inner.run(key)).await
    }

    async fn runs(&self, filter: &RunFilter, page: &PageRequest) -> Result<Page<Run>, StoreError> {
        self.read("runs", self.inner.runs(filter, page)).await
    }

    async fn batch(&self, id: &AttemptId) -> Result<Option<Batch>, StoreError> {
        self.read("batch", self.inner.batch(id)).await
    }

    async fn batch_by_remote(&self, remote: &str) -> Result<Option<AttemptId>, StoreError> {
        self.read("batch_by_remote", self.inner.batch_by_remote(remote)).await
    }

    async fn chunks(&self, run: &RunKey, origin: &str) -> Result<Vec<Chunk>, StoreError> {
        self.read("chunks", self.inner.chunks(run, origin)).await
    }

    async fn endpoint_call(&self, run: &RunKey, id: &str) -> Result<Option<EndpointCall>, StoreError> {
        self.read("endpoint_call", self.inner.endpoint_call(run, id)).await
    }

    async fn shelf(&self, id: &ShelfId) -> Result<Shelf, StoreError> {
        self.read("shelf", self.inner.shelf(id)).await
    }

    async fn sheet(&self, id: &ShelfId, name: &str) -> Result<Option<Sheet>, StoreError> {
        self.read("sheet", self.inner.sheet(id, name)).await
    }

    async fn due(&self, before: DateTime<Utc>, limit: u32) -> Result<Vec<DueItem>, StoreError> {
        self.read("due", self.inner.due(before, limit)).await
    }

    async fn window(&self, id: &WindowId) -> Result<Option<Window>, StoreError> {
        self.read("window", self.inner.window(id)).await
    }

    async fn purse(&self, purse: &Purse) -> Result<Option<i64>, StoreError> {
        self.read("purse", self.inner.purse(purse)).await
    }

    async fn spending(
        &self,
        day: NaiveDate,
        job: Option<&JobId>,
        page: &PageRequest,
    ) -> Result<Page<Spend>, StoreError> {
        self.read("spending", self.inner.spending(day, job, page)).await
    }

    async fn collected(&self, id: &WindowId, page: &PageRequest) -> Result<Page<Collected>, StoreError> {
        self.read("collected", self.inner.collected(id, page)).await
    }

    async fn put_back(&self, item: &DueItem, before: DateTime<Utc>, until: DateTime<Utc>) -> Result<(), StoreError> {
        self.change("put_back", self.inner.put_back(item, before, until)).await
    }

    async fn memo(&self, name: &str) -> Result<Option<Memo>, StoreError> {
        self.read("memo", self.inner.memo(name)).await
    }

    async fn stop(&self, provider: &str) -> Result<Option<Stop>, StoreError> {
        self.read("stop", self.inner.stop(provider)).await
    }

    async fn events(&self, agent: &str) -> Result<Vec<SystemEvent>, StoreError> {
        self.read("events", self.inner.events(agent)).await
    }

    async fn event(&self, agent: &str, id: &str) -> Result<Option<SystemEvent>, StoreError> {
        self.read("event", self.inner.event(agent, id)).await
    }

    async fn consume_events(&self, agent: &str, ids: &[String]) -> Result<(), StoreError> {
        self.change("consume_events", self.inner.consume_events(agent, ids)).await
    }

    async fn session(&self, agent: &str, name: &str) -> Result<Option<Session>, StoreError> {
        self.read("session", self.inner.session(agent, name)).await
    }

    async fn exchanges(&self, agent: &str, name: &str) -> Result<Vec<Exchange>, StoreError> {
        self.read("exchanges", self.inner.exchanges(agent, name)).await
    }

    async fn sessions(&self, agent: &str, page: &PageRequest) -> Result<Page<Session>, StoreError> {
        self.read("sessions", self.inner.sessions(agent, page)).await
    }

    async fn places(&self, waiting: u32) -> Result<Places, StoreError> {
        self.read("places", self.inner.places(waiting)).await
    }

    async fn expire_runs(&self, job: &JobId, before: DateTime<Utc>, at: DateTime<Utc>) -> Result<u64, StoreError> {
        self.change("expire_runs", self.inner.expire_runs(job, before, at)).await
    }

    async fn overview(&self) -> Result<Overview, StoreError> {
        self.read("overview", self.inner.overview()).await
    }

    async fn config(&self) -> Result<(u64, Value), StoreError> {
        self.read("config", self.inner.config()).await
    }

    async fn put_config(&self, document: &Value, expected: u64) -> Result<Outcome, StoreError> {
        self.change("put_config", self.inner.put_config(document, expected)).await
    }

    async fn recall(&self, key: &str) -> Result<Option<(String, Value)>, StoreError> {
        self.read("recall", self.inner.recall(key)).await
    }

    async fn remember(&self, key: &str, digest: &str, answer: &Value, at: DateTime<Utc>) -> Result<(), StoreError> {
        self.change("remember", self.inner.remember(key, digest, answer, at)).await
    }
}
