//! A table whose writes go wrong as a test says.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use futures::future::BoxFuture;
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
use serde_json::Value;

use crate::ports::{
    DueItem, Memo, Outcome, Overview, Page, PageRequest, Places, RunFilter, Store, StoreError, StoreErrorKind,
    SystemEvent, Write,
};

/// What somebody else does first.
pub type First = Box<dyn FnOnce(Arc<dyn Store>) -> BoxFuture<'static, ()> + Send>;

/// What happens to a commit.
pub enum Mishap {
    /// Nothing: it goes through.
    None,
    /// It is not carried out.
    Before,
    /// It is, and the answer is lost.
    After,
    /// Somebody else writes first.
    First(First),
}

/// A table whose next commits have these mishaps, one each; reads go through, but for those of runs that are named.
pub struct Faulty {
    inner: Arc<dyn Store>,
    next: Mutex<VecDeque<Mishap>>,
    /// The runs that cannot be read, and why; how often runs were read.
    runs: Mutex<(BTreeMap<RunKey, StoreErrorKind>, usize)>,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Faulty").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Faulty {
    /// A table that is sound until told otherwise.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, next: Mutex::default(), runs: Mutex::default() }
    }

    /// What happens to the next commits.
    pub fn next(&self, mishaps: impl IntoIterator<Item = Mishap>) {
        self.queue().extend(mishaps);
    }

    /// The same for the `nth` commit from now, from 0, and for no other.
    pub fn fail(&self, nth: usize, mishap: Mishap) {
        let mut queue = self.queue();
        queue.clear();
        queue.extend((0..nth).map(|_| Mishap::None));
        queue.push_back(mishap);
    }

    /// Forgets what was to happen; whether there was anything left.
    pub fn heal(&self) -> bool {
        !std::mem::take(&mut *self.queue()).is_empty()
    }

    /// Runs that cannot be read from now on, instead of those before.
    pub fn break_runs(&self, runs: impl IntoIterator<Item = RunKey>) {
        self.runs().0 = runs.into_iter().map(|run| (run, StoreErrorKind::Unavailable)).collect();
    }

    /// The same for runs whose rows are spoilt for good.
    pub fn spoil_runs(&self, runs: impl IntoIterator<Item = RunKey>) {
        self.runs().0 = runs.into_iter().map(|run| (run, StoreErrorKind::Corrupt)).collect();
    }

    /// How often runs were read since this was asked last.
    pub fn runs_read(&self) -> usize {
        std::mem::take(&mut self.runs().1)
    }

    fn runs(&self) -> MutexGuard<'_, (BTreeMap<RunKey, StoreErrorKind>, usize)> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Mishap>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone() -> StoreError {
    StoreError { operation: "write".to_owned(), kind: StoreErrorKind::Unavailable, source: None }
}

#[async_trait]
impl Store for Faulty {
    async fn commit(&self, writes: &[Write<'_>]) -> Result<Outcome, StoreError> {
        let mishap = self.queue().pop_front();
        match mishap {
            None | Some(Mishap::None) => self.inner.commit(writes).await,
            Some(Mishap::Before) => Err(gone()),
            Some(Mishap::After) => {
                self.inner.commit(writes).await?;
                Err(gone())
            }
            Some(Mishap::First(first)) => {
                first(self.inner.clone()).await;
                self.inner.commit(writes).await
            }
        }
    }

    async fn job(&self, id: &JobId) -> Result<Option<JobRecord>, StoreError> {
        self.inner.job(id).await
    }

    async fn jobs(&self, page: &PageRequest) -> Result<Page<JobRecord>, StoreError> {
        self.inner.jobs(page).await
    }

    async fn job_by_declaration(&self, key: &str) -> Result<Option<JobId>, StoreError> {
        self.inner.job_by_declaration(key).await
    }

    async fn run(&self, key: &RunKey) -> Result<Option<Run>, StoreError> {
        let broken = {
            let mut runs = self.runs();
            runs.1 += 1;
            runs.0.get(key).copied()
        };
        if let Some(kind) = broken {
            return Err(StoreError { operation: format!("read run {key}"), kind, source: None });
        }
        self.inner.run(key).await
    }

    async fn runs(&self, filter: &RunFilter, page: &PageRequest) -> Result<Page<Run>, StoreError> {
        self.inner.runs(filter, page).await
    }

    async fn batch(&self, id: &AttemptId) -> Result<Option<Batch>, StoreError> {
        self.inner.batch(id).await
    }

    async fn batch_by_remote(&self, remote: &str) -> Result<Option<AttemptId>, StoreError> {
        self.inner.batch_by_remote(remote).await
    }

    async fn window(&self, id: &WindowId) -> Result<Option<Window>, StoreError> {
        self.inner.window(id).await
    }

    async fn collected(&self, id: &WindowId, page: &PageRequest) -> Result<Page<Collected>, StoreError> {
        self.inner.collected(id, page).await
    }

    async fn purse(&self, purse: &Purse) -> Result<Option<i64>, StoreError> {
        self.inner.purse(purse).await
    }

    async fn spending(
        &self,
        day: NaiveDate,
        job: Option<&JobId>,
        page: &PageRequest,
    ) -> Result<Page<Spend>, StoreError> {
        self.inner.spending(day, job, page).await
    }

    async fn chunks(&self, run: &RunKey, origin: &str) -> Result<Vec<Chunk>, StoreError> {
        self.inner.chunks(run, origin).await
    }

    async fn endpoint_call(&self, run: &RunKey, id: &str) -> Result<Option<EndpointCall>, StoreError> {
        self.inner.endpoint_call(run, id).await
    }

    async fn shelf(&self, id: &ShelfId) -> Result<Shelf, StoreError> {
        self.inner.shelf(id).await
    }

    async fn sheet(&self, id: &ShelfId, name: &str) -> Result<Option<Sheet>, StoreError> {
        self.inner.sheet(id, name).await
    }

    async fn due(&self, before: DateTime<Utc>, limit: u32) -> Result<Vec<DueItem>, StoreError> {
        self.inner.due(before, limit).await
    }

    async fn put_back(&self, what: &DueItem, before: DateTime<Utc>, until: DateTime<Utc>) -> Result<(), StoreError> {
        self.inner.put_back(what, before, until).await
    }

    async fn memo(&self, name: &str) -> Result<Option<Memo>, StoreError> {
        self.inner.memo(name).await
    }

    async fn events(&self, agent: &str) -> Result<Vec<SystemEvent>, StoreError> {
        self.inner.events(agent).await
    }

    async fn event(&self, agent: &str, id: &str) -> Result<Option<SystemEvent>, StoreError> {
        self.inner.event(agent, id).await
    }

    async fn consume_events(&self, agent: &str, ids: &[String]) -> Result<(), StoreError> {
        self.inner.consume_events(agent, ids).await
    }

    async fn session(&self, agent: &str, name: &str) -> Result<Option<Session>, StoreError> {
        self.inner.session(agent, name).await
    }

    async fn exchanges(&self, agent: &str, name: &str) -> Result<Vec<Exchange>, StoreError> {
        self.inner.exchanges(agent, name).await
    }

    async fn sessions(&self, agent: &str, page: &PageRequest) -> Result<Page<Session>, StoreError> {
        self.inner.sessions(agent, page).await
    }

    async fn places(&self, waiting: u32) -> Result<Places, StoreError> {
        self.inner.places(waiting).await
    }

    async fn expire_runs(&self, job: &JobId, before: DateTime<Utc>, at: DateTime<Utc>) -> Result<u64, StoreError> {
        self.inner.expire_runs(job, before, at).await
    }

    async fn stop(&self, provider: &str) -> Result<Option<Stop>, StoreError> {
        self.inner.stop(provider).await
    }

    async fn overview(&self) -> Result<Overview, StoreError> {
        self.inner.overview().await
    }

    async fn config(&self) -> Result<(u64, Value), StoreError> {
        self.inner.config().await
    }

    async fn put_config(&self, document: &Value, expected: u64) -> Result<Outcome, StoreError> {
        self.inner.put_config(document, expected).await
    }

    async fn recall(&self, key: &str) -> Result<Option<(String, Value)>, StoreError> {
        self.inner.recall(key).await
    }

    async fn remember(&self, key: &str, digest: &str, answer: &Value, at: DateTime<Utc>) -> Result<(), StoreError> {
        self.inner.remember(key, digest, answer, at).await
    }
}
