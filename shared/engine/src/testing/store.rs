//! The table in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use nightshift_domain::batch::{Batch, Collected, Window, WindowId};
use nightshift_domain::budget::Purse;
use nightshift_domain::cost::Spend;
use nightshift_domain::delivery::Chunk;
use nightshift_domain::ids::slot_text;
use nightshift_domain::job::JobRecord;
use nightshift_domain::run::{EndpointCall, Run};
use nightshift_domain::session::{Exchange, Session};
use nightshift_domain::shelf::{Sheet, Shelf, ShelfId};
use nightshift_domain::stop::Stop;
use nightshift_domain::{AttemptId, JobId, RunKey};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::rows::{Place, Rows};
use crate::clock::Clock;
use crate::ports::{
    DueItem, Memo, Outcome, Overview, Page, PageRequest, Places, RunFilter, Store, StoreError, SystemEvent, Write,
};

/// A table that goes with the process. It passes the contract suite of the real one, and its lists do not even lag.
#[derive(Debug)]
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    rows: Mutex<Rows>,
}

impl MemoryStore {
    /// An empty table; `clock` says which rows have expired.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, rows: Mutex::default() }
    }

    /// Makes the row behind `what` one that cannot be read, as a row of a later release may be; its place in the due index
    /// stays.
    pub fn spoil(&self, what: &DueItem) {
        self.rows().spoil(what);
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        self.clock.now().timestamp()
    }

    fn record<T: DeserializeOwned>(&self, operation: &str, place: &Place) -> Result<Option<T>, StoreError> {
        let rows = self.rows();
        let row = rows.records.get(place).filter(|row| row.is_visible(self.now()));
        row.map(|row| row.read(operation)).transpose()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, writes: &[Write<'_>]) -> Result<Outcome, StoreError> {
        let now = self.now();
        self.rows().commit(writes, now)
    }

    async fn job(&self, id: &JobId) -> Result<Option<JobRecord>, StoreError> {
        self.record(&format!("read job {id}"), &Place::Job(id.clone()))
    }

    async fn jobs(&self, page: &PageRequest) -> Result<Page<JobRecord>, StoreError> {
        self.rows().jobs(self.now(), page)
    }

    async fn job_by_declaration(&self, key: &str) -> Result<Option<JobId>, StoreError> {
        Ok(self.rows().declarations.get(key).cloned())
    }

    async fn run(&self, key: &RunKey) -> Result<Option<Run>, StoreError> {
        self.record(&format!("read run {key}"), &Place::Run(key.clone()))
    }

    async fn runs(&self, filter: &RunFilter, page: &PageRequest) -> Result<Page<Run>, StoreError> {
        self.rows().runs(self.now(), filter, page)
    }

    async fn batch(&self, id: &AttemptId) -> Result<Option<Batch>, StoreError> {
        self.record(&format!("read batch {id}"), &Place::Batch(id.clone()))
    }

    async fn batch_by_remote(&self, remote: &str) -> Result<Option<AttemptId>, StoreError> {
        let now = self.now();
        let rows = self.rows();
        let found = rows.remotes.get(remote).filter(|(_, ttl)| ttl.is_none_or(|ttl| ttl >= now));
        Ok(found.map(|(batch, _)| batch.clone()))
    }

    async fn window(&self, id: &WindowId) -> Result<Option<Window>, StoreError> {
        self.record(&format!("read window {id}"), &Place::Window(id.clone()))
    }

    async fn collected(&self, id: &WindowId, page: &PageRequest) -> Result<Page<Collected>, StoreError> {
        self.rows().collected(id, page)
    }

    async fn purse(&self, purse: &Purse) -> Result<Option<i64>, StoreError> {
        Ok(self.rows().purses.get(purse).copied())
    }

    async fn spending(
        &self,
        day: NaiveDate,
        job: Option<&JobId>,
        page: &PageRequest,
    ) -> Result<Page<Spend>, StoreError> {
        self.rows().spending(day, job, page)
    }

    async fn chunks(&self, run: &RunKey, origin: &str) -> Result<Vec<Chunk>, StoreError> {
        let operation = format!("list the deliveries of run {run}");
        let now = self.now();
        let (first, last) =
            (Place::Chunk(run.clone(), origin.to_owned(), 0), Place::Chunk(run.clone(), origin.to_owned(), u32::MAX));
        let rows = self.rows();
        let chunks = rows.records.range(first..=last).filter(|(_, row)| row.is_visible(now));
        chunks.map(|(_, row)| row.read(&operation)).collect()
    }

    async fn endpoint_call(&self, run: &RunKey, id: &str) -> Result<Option<EndpointCall>, StoreError> {
        self.record(&format!("read call {id} of run {run}"), &Place::EndpointCall(run.clone(), id.to_owned()))
    }

    async fn shelf(&self, id: &ShelfId) -> Result<Shelf, StoreError> {
        let found = self.record(&format!("read the index of {id}"), &Place::Shelf(id.clone()))?;
        Ok(found.unwrap_or_else(|| Shelf::empty(id.clone())))
    }

    async fn sheet(&self, id: &ShelfId, name: &str) -> Result<Option<Sheet>, StoreError> {
        self.record(&format!("read a text of {id}"), &Place::Sheet(id.clone(), name.to_owned()))
    }

    async fn due(&self, before: DateTime<Utc>, limit: u32) -> Result<Vec<DueItem>, StoreError> {
        Ok(self.rows().due(self.now(), before, limit))
    }

    async fn put_back(&self, what: &DueItem, before: DateTime<Utc>, until: DateTime<Utc>) -> Result<(), StoreError> {
        self.rows().put_back(what, before, until);
        Ok(())
    }

    async fn memo(&self, name: &str) -> Result<Option<Memo>, StoreError> {
        self.record("read a note", &Place::Memo(name.to_owned()))
    }

    async fn events(&self, agent: &str) -> Result<Vec<SystemEvent>, StoreError> {
        let now = self.now();
        let rows = self.rows();
        let queued =
            |event: &&SystemEvent| event.agent == agent && event.fate.is_none() && event.expires_at.timestamp() >= now;
        Ok(rows.events.values().filter(queued).cloned().collect())
    }

    async fn event(&self, agent: &str, id: &str) -> Result<Option<SystemEvent>, StoreError> {
        let now = self.now();
        let found = self.rows().events.get(&(agent.to_owned(), id.to_owned())).cloned();
        Ok(found.filter(|event| event.expires_at.timestamp() >= now))
    }

    async fn consume_events(&self, agent: &str, ids: &[String]) -> Result<(), StoreError> {
        let mut rows = self.rows();
        for id in ids {
            rows.events.remove(&(agent.to_owned(), id.clone()));
        }
        Ok(())
    }

    async fn session(&self, agent: &str, name: &str) -> Result<Option<Session>, StoreError> {
        self.record(&format!("read session {name} of agent {agent}"), &Place::Session(agent.into(), name.into()))
    }

    async fn exchanges(&self, agent: &str, name: &str) -> Result<Vec<Exchange>, StoreError> {
        let operation = format!("list the exchanges of session {name} of agent {agent}");
        let place = |n| Place::Exchange(agent.to_owned(), name.to_owned(), n);
        let rows = self.rows();
        let exchanges = rows.records.range(place(0)..=place(u64::MAX)).take(100);
        exchanges.map(|(_, row)| row.read(&operation)).collect()
    }

    async fn sessions(&self, agent: &str, page: &PageRequest) -> Result<Page<Session>, StoreError> {
        self.rows().sessions(self.now(), agent, page)
    }

    async fn places(&self, waiting: u32) -> Result<Places, StoreError> {
        let rows = self.rows();
        let held = rows.places.iter().map(|(place, run)| (*place, run.clone())).collect();
        let queue = rows.queue.iter().take(waiting as usize).map(|(_, run)| run.clone()).collect();
        Ok(Places { held, queue })
    }

    async fn expire_runs(&self, job: &JobId, before: DateTime<Utc>, at: DateTime<Utc>) -> Result<u64, StoreError> {
        self.rows().expire_runs(job, &slot_text(before), at.timestamp())
    }

    async fn stop(&self, provider: &str) -> Result<Option<Stop>, StoreError> {
        self.record(&format!("read the stop of {provider}"), &Place::Stop(provider.to_owned()))
    }

    async fn overview(&self) -> Result<Overview, StoreError> {
        let now = self.now();
        self.rows().overview(now)
    }

    async fn config(&self) -> Result<(u64, Value), StoreError> {
        self.rows().config("read the configuration")
    }

    async fn put_config(&self, document: &Value, expected: u64) -> Result<Outcome, StoreError> {
        let mut rows = self.rows();
        let wanted = (expected + 1, document.to_string());
        let stands_at = rows.config.as_ref().map_or(0, |(revision, _)| *revision);
        if stands_at == expected {
            rows.config = Some(wanted);
            Ok(Outcome::Applied)
        } else if rows.config.as_ref() == Some(&wanted) {
            Ok(Outcome::Applied)
        } else {
            Ok(Outcome::Lost(0))
        }
    }

    async fn recall(&self, key: &str) -> Result<Option<(String, Value)>, StoreError> {
        let now = self.now();
        let rows = self.rows();
        let found = rows.answers.get(key).filter(|(_, _, ttl)| *ttl >= now);
        Ok(found.map(|(digest, answer, _)| (digest.clone(), answer.clone())))
    }

    async fn remember(
        &self,
        key: &str,
        digest: &str,
        answer: &Value,
        expires_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let mut rows = self.rows();
        let stands = rows.answers.get(key).is_some_and(|(_, _, ttl)| *ttl >= now);
        if !stands {
            rows.answers.insert(key.to_owned(), (digest.to_owned(), answer.clone(), expires_at.timestamp()));
        }
        Ok(())
    }
}
