//! The table as the previous release's functions read it, for the minutes of a deploy in which both run.
//!
//! What is new since then is data here: a field that release did not know is dropped when it reads a row, and so lost when
//! it writes the row back; a shape it did not know makes the row unreadable to it. When a release is out, its entries go and
//! what comes next begins an empty table.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use nightshift_domain::batch::{Batch, Collected, Window, WindowId};
use nightshift_domain::budget::Purse;
use nightshift_domain::cost::Spend;
use nightshift_domain::delivery::Chunk;
use nightshift_domain::event::Wake;
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
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A kind of row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// A job.
    Job,
    /// A run.
    Run,
    /// A batch.
    Batch,
    /// A row of the delivery ledger.
    Chunk,
    /// A call over the MCP endpoint.
    EndpointCall,
    /// A session.
    Session,
}

/// What the previous release makes of something new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It does not know the field: it reads the row without it.
    Drops,
    /// It cannot read a row that has it.
    Chokes,
    /// It cannot read a row where this field has this text: a variant it does not know.
    ChokesOn(&'static str),
    /// It cannot read a row in which this is an object.
    ChokesOnObject,
    /// It requires the field, which only itself still writes: it cannot read a row that today's release wrote last.
    Misses,
}

/// Something new since the previous release.
#[derive(Debug, Clone, Copy)]
pub struct New {
    /// In which rows.
    pub row: Row,
    /// Where: field names from the row down, `*` for every element of an array.
    pub path: &'static [&'static str],
    /// What the previous release makes of it.
    pub how: How,
}

/// All that is new.
pub const NEW: &[New] = &[
    New { row: Row::Job, path: &["scheduledErrors"], how: How::Drops },
    New { row: Row::Job, path: &["incident"], how: How::Drops },
    New { row: Row::Job, path: &["born"], how: How::Drops },
    New { row: Row::Job, path: &["job", "state", "lastFailureAlertAtMs"], how: How::Drops },
    New { row: Row::Job, path: &["job", "state", "lastFailureNotificationDelivered"], how: How::Drops },
    New { row: Row::Job, path: &["job", "state", "lastFailureNotificationDeliveryStatus"], how: How::Drops },
    New { row: Row::Job, path: &["job", "state", "lastFailureNotificationDeliveryError"], how: How::Drops },
    New { row: Row::Job, path: &["leadSeconds"], how: How::Drops },
    New { row: Row::Job, path: &["timedAt"], how: How::Drops },
    New { row: Row::Job, path: &["job", "payload", "batch", "deliverBy"], how: How::Drops },
    New { row: Row::Run, path: &["claimedBy"], how: How::Drops },
    New { row: Row::Run, path: &["dueBy"], how: How::Drops },
    New { row: Row::Run, path: &["alerts"], how: How::Drops },
    New { row: Row::Run, path: &["books"], how: How::Drops },
    New { row: Row::Run, path: &["hops", "*", "unused"], how: How::Drops },
    New { row: Row::Run, path: &["hops", "*", "attempt"], how: How::Drops },
    New { row: Row::Run, path: &["hops", "*", "inRealtime"], how: How::Drops },
    New { row: Row::Run, path: &["state", "window"], how: How::Drops },
    New { row: Row::Run, path: &["talk", "failedRows"], how: How::Drops },
    New { row: Row::Batch, path: &["settled"], how: How::Drops },
    New { row: Row::Batch, path: &["creator"], how: How::Drops },
    New { row: Row::Batch, path: &["untold"], how: How::Drops },
    New { row: Row::Batch, path: &["endedAt"], how: How::Drops },
    New { row: Row::Batch, path: &["notFoundSince"], how: How::Drops },
    New { row: Row::Batch, path: &["brokenSince"], how: How::Drops },
    New { row: Row::Batch, path: &["stoppedAtPoll"], how: How::Drops },
    New { row: Row::Batch, path: &["state", "state"], how: How::ChokesOn("sealing") },
    New { row: Row::Batch, path: &["members"], how: How::ChokesOnObject },
    New { row: Row::Batch, path: &["members", "*", "settled"], how: How::Misses },
];

/// Whether the previous release can read an envelope that says `wake`; what it cannot read fails, and Lambda tries it again.
pub fn knows(wake: &Wake) -> bool {
    !matches!(wake, Wake::Window { .. })
}

/// Which rows the previous release wrote last, so that they have what it requires.
#[derive(Debug, Default)]
pub struct Authors {
    older: Mutex<BTreeSet<String>>,
}

impl Authors {
    fn older(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.older.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrote(&self, writes: &[Write<'_>], older: bool) {
        for write in writes {
            let id = match write {
                Write::Job(record) => format!("job {}", record.job.job_id),
                Write::Run { run, .. } => format!("run {}", run.key),
                Write::Batch { batch, .. } | Write::BatchPolled(batch) => format!("batch {}", batch.id),
                Write::Chunk { .. }
                | Write::EndpointCall { .. }
                | Write::Session(_)
                | Write::RemoveJob(_)
                | Write::Shelf(_)
                | Write::Sheet(_)
                | Write::RemoveSheet { .. }
                | Write::Event(_)
                | Write::EventMoved(_)
                | Write::HoldPlace { .. }
                | Write::FreePlace { .. }
                | Write::Queue { .. }
                | Write::Unqueue { .. }
                | Write::RemoveSession(_)
                | Write::Window { .. }
                | Write::Collect { .. }
                | Write::Uncollect { .. }
                | Write::Purse(_)
                | Write::BeginPurse { .. }
                | Write::Spend(_)
                | Write::Stop(_)
                | Write::EndStop(_)
                | Write::Memo { .. }
                | Write::Count { .. } => continue,
            };
            if older {
                self.older().insert(id);
            } else {
                self.older().remove(&id);
            }
        }
    }
}

/// The table as one release reads it.
#[derive(Debug)]
pub struct ReleaseStore {
    inner: Arc<dyn Store>,
    authors: Arc<Authors>,
    older: bool,
}

impl ReleaseStore {
    /// `inner` as the previous release reads it (`older`), or as today's.
    pub fn new(inner: Arc<dyn Store>, authors: Arc<Authors>, older: bool) -> Self {
        Self { inner, authors, older }
    }

    fn seen<T: Serialize + DeserializeOwned>(&self, row: Row, id: &str, record: T) -> Result<T, StoreError> {
        if !self.older || !NEW.iter().any(|new| new.row == row) {
            return Ok(record);
        }
        let written_by_itself = self.authors.older().contains(id);
        let unreadable = || StoreError {
            operation: format!("read {id}, whose shape is unknown"),
            kind: StoreErrorKind::Corrupt,
            source: None,
        };
        let mut value = serde_json::to_value(&record).map_err(|_| unreadable())?;
        for new in NEW.iter().filter(|new| new.row == row) {
            if !readable(&mut value, new.path, new.how, written_by_itself) {
                return Err(unreadable());
            }
        }
        serde_json::from_value(value).map_err(|_| unreadable())
    }

    fn page<T: Serialize + DeserializeOwned>(
        &self,
        row: Row,
        id: impl Fn(&T) -> String,
        page: Page<T>,
    ) -> Result<Page<T>, StoreError> {
        let items = page.items.into_iter().map(|item| self.seen(row, &id(&item), item));
        Ok(Page { items: items.collect::<Result<_, _>>()?, next: page.next })
    }
}

/// Reads `value` as the previous release does, what it does not know dropped; `false` where it cannot.
fn readable(value: &mut Value, path: &[&str], how: How, written_by_itself: bool) -> bool {
    let Some((field, rest)) = path.split_first() else { return true };
    if *field == "*" {
        let Value::Array(items) = value else { return true };
        return items.iter_mut().all(|item| readable(item, rest, how, written_by_itself));
    }
    let Value::Object(fields) = value else { return true };
    if !rest.is_empty() {
        return fields.get_mut(*field).is_none_or(|inner| readable(inner, rest, how, written_by_itself));
    }
    match how {
        How::Drops => {
            fields.remove(*field);
            true
        }
        How::Chokes => !fields.contains_key(*field),
        How::ChokesOn(text) => fields.get(*field).and_then(Value::as_str) != Some(text),
        How::ChokesOnObject => !fields.get(*field).is_some_and(Value::is_object),
        How::Misses => written_by_itself || fields.contains_key(*field),
    }
}

#[async_trait]
impl Store for ReleaseStore {
    async fn commit(&self, writes: &[Write<'_>]) -> Result<Outcome, StoreError> {
        let outcome = self.inner.commit(writes).await?;
        if outcome == Outcome::Applied {
            self.authors.wrote(writes, self.older);
        }
        Ok(outcome)
    }

    async fn job(&self, id: &JobId) -> Result<Option<JobRecord>, StoreError> {
        let found = self.inner.job(id).await?;
        found.map(|job| self.seen(Row::Job, &format!("job {id}"), job)).transpose()
    }

    async fn jobs(&self, page: &PageRequest) -> Result<Page<JobRecord>, StoreError> {
        self.page(Row::Job, |record: &JobRecord| format!("job {}", record.job.job_id), self.inner.jobs(page).await?)
    }

    async fn job_by_declaration(&self, key: &str) -> Result<Option<JobId>, StoreError> {
        self.inner.job_by_declaration(key).await
    }

    async fn run(&self, key: &RunKey) -> Result<Option<Run>, StoreError> {
        let found = self.inner.run(key).await?;
        found.map(|run| self.seen(Row::Run, &format!("run {key}"), run)).transpose()
    }

    async fn runs(&self, filter: &RunFilter, page: &PageRequest) -> Result<Page<Run>, StoreError> {
        self.page(Row::Run, |run: &Run| format!("run {}", run.key), self.inner.runs(filter, page).await?)
    }

    async fn batch(&self, id: &AttemptId) -> Result<Option<Batch>, StoreError> {
        let found = self.inner.batch(id).await?;
        found.map(|batch| self.seen(Row::Batch, &format!("batch {id}"), batch)).transpose()
    }

    async fn batch_by_remote(&self, remote: &str) -> Result<Option<AttemptId>, StoreError> {
        self.inner.batch_by_remote(remote).await
    }

    async fn chunks(&self, run: &RunKey, origin: &str) -> Result<Vec<Chunk>, StoreError> {
        let found = self.inner.chunks(run, origin).await?;
        found.into_iter().map(|chunk| self.seen(Row::Chunk, "chunk", chunk)).collect()
    }

    async fn endpoint_call(&self, run: &RunKey, id: &str) -> Result<Option<EndpointCall>, StoreError> {
        let found = self.inner.endpoint_call(run, id).await?;
        found.map(|call| self.seen(Row::EndpointCall, "call", call)).transpose()
    }

    async fn shelf(&self, id: &ShelfId) -> Result<Shelf, StoreError> {
        self.inner.shelf(id).await
    }

    async fn sheet(&self, id: &ShelfId, name: &str) -> Result<Option<Sheet>, StoreError> {
        self.inner.sheet(id, name).await
    }

    async fn due(&self, before: DateTime<Utc>, limit: u32) -> Result<Vec<DueItem>, StoreError> {
        let mut due = self.inner.due(before, limit).await?;
        if self.older {
            // A kind it does not know is passed over.
            due.retain(|item| !matches!(item, DueItem::Window(_)));
        }
        Ok(due)
    }

    async fn window(&self, id: &WindowId) -> Result<Option<Window>, StoreError> {
        self.inner.window(id).await
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

    async fn collected(&self, id: &WindowId, page: &PageRequest) -> Result<Page<Collected>, StoreError> {
        self.inner.collected(id, page).await
    }

    async fn put_back(&self, item: &DueItem, before: DateTime<Utc>, until: DateTime<Utc>) -> Result<(), StoreError> {
        self.inner.put_back(item, before, until).await
    }

    async fn memo(&self, name: &str) -> Result<Option<Memo>, StoreError> {
        self.inner.memo(name).await
    }

    async fn stop(&self, provider: &str) -> Result<Option<Stop>, StoreError> {
        self.inner.stop(provider).await
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
        let found = self.inner.session(agent, name).await?;
        found.map(|session| self.seen(Row::Session, "session", session)).transpose()
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

    async fn overview(&self) -> Result<Overview, StoreError> {
        self.inner.overview().await
    }

    async fn config(&self) -> Result<(u64, Value), StoreError> {
        let (rev, mut document) = self.inner.config().await?;
        if self.older
            && let Some(batch) = document.pointer_mut("/cron/batch").and_then(Value::as_object_mut)
        {
            // It knows of no windows, and puts nobody in one.
            batch.remove("windowSeconds");
        }
        Ok((rev, document))
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_new_is_dropped_or_chokes_as_the_table_says() {
        let batch = json!({ "settled": "AQ", "members": [{ "run": "a" }], "state": { "state": "sealing" } });
        let read = |path: &[&str], how, own| {
            let mut value = batch.clone();
            let readable = readable(&mut value, path, how, own);
            (readable, value != batch)
        };
        assert_eq!(read(&["settled"], How::Drops, false), (true, true));
        assert_eq!(read(&["members"], How::ChokesOnObject, false), (true, false));
        assert_eq!(read(&["state"], How::ChokesOnObject, false), (false, false));
        assert_eq!(read(&["members", "*", "settled"], How::Misses, false), (false, false));
        assert_eq!(read(&["members", "*", "settled"], How::Misses, true), (true, false));
        assert_eq!(read(&["members", "*", "run"], How::Misses, false), (true, false));
        assert_eq!(read(&["state", "state"], How::ChokesOn("sealing"), false), (false, false));
        assert_eq!(read(&["state", "state"], How::ChokesOn("open"), false), (true, false));
        assert_eq!(read(&["settled"], How::Chokes, false), (false, false));
    }
}
