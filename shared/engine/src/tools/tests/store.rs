//! The table in memory, with one write that fails.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use nightshift_domain::batch::Batch;
use nightshift_domain::delivery::Chunk;
use nightshift_domain::job::JobRecord;
use nightshift_domain::run::Run;
use nightshift_domain::{AttemptId, JobId, RunKey};
use serde_json::Value;

use crate::clock::Clock;
use crate::ports::{
    DueItem, Outcome, Overview, Page, PageRequest, Places, RunFilter, Store, StoreError, StoreErrorKind, SystemEvent,
    Write,
};
use crate::testing::MemoryStore;

/// On which side of the write the failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Nothing is written.
    Before,
    /// It is written, and its answer lost.
    After,
}

/// The table, one of whose commits may fail.
#[derive(Debug)]
pub(super) struct Faulty {
    inner: MemoryStore,
    commits: Mutex<usize>,
    fails: Mutex<Option<(usize, When)>>,
}

impl Faulty {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { inner: MemoryStore::new(clock), commits: Mutex::default(), fails: Mutex::default() }
    }

    /// Lets the `nth` commit from now (from 0) fail.
    pub(super) fn fail(&self, nth: usize, when: When) {
        *self.commits.lock().unwrap() = 0;
        *self.fails.lock().unwrap() = Some((nth, when));
    }

    /// Whether the failure is still to come.
    pub(super) fn heal(&self) -> bool {
        self.fails.lock().unwrap().take().is_some()
    }

    fn fails_now(&self) -> Option<When> {
        let mut commits = self.commits.lock().unwrap();
        let mut fails = self.fails.lock().unwrap();
        let when = fails.filter(|(nth, _)| *nth == *commits).map(|(_, when)| when);
        if when.is_some() {
            *fails = None;
        }
        *commits += 1;
        when
    }
}

#[async_trait]
impl Store for Faulty {
    async fn commit(&self, writes: &[Write<'_>]) -> Result<Outcome, StoreError> {
        let when = self.fails_now();
        if when == Some(When::Before) {
            return Err(lost());
        }
        let outcome = self.inner.commit(writes).await;
        if when == Some(When::After) { Err(lost()) } else { outcome }
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

    async fn chunks(&self, run: &RunKey, origin: &str) -> Result<Vec<Chunk>, StoreError> {
        self.inner.chunks(run, origin).await
    }

    async fn due(&self, before: DateTime<Utc>, limit: u32) -> Result<Vec<DueItem>, StoreError> {
        self.inner.due(before, limit).await
    }

    async fn events(&self, agent: &str) -> Result<Vec<SystemEvent>, StoreError> {
        self.inner.events(agent).await
    }

    async fn consume_events(&self, agent: &str, ids: &[String]) -> Result<(), StoreError> {
        self.inner.consume_events(agent, ids).await
    }

    async fn places(&self, waiting: u32) -> Result<Places, StoreError> {
        self.inner.places(waiting).await
    }

    async fn expire_runs(&self, job: &JobId, before: DateTime<Utc>, at: DateTime<Utc>) -> Result<u64, StoreError> {
        self.inner.expire_runs(job, before, at).await
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

    async fn remember(
        &self,
        key: &str,
        digest: &str,
        answer: &Value,
        expires_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.inner.remember(key, digest, answer, expires_at).await
    }
}

fn lost() -> StoreError {
    StoreError { operation: "write".to_owned(), kind: StoreErrorKind::Unavailable, source: None }
}
