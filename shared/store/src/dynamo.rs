//! `engine::ports::Store` on DynamoDB.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, NaiveDate, Utc};
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};
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
use nightshift_engine::Clock;
use nightshift_engine::ports::{
    DueItem, Memo, Outcome, Overview, Page, PageRequest, Places, RunFilter, Store, StoreError, SystemEvent, Write,
    cron_enabled, shares,
};
use serde::de::DeserializeOwned;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use serde_json::Value;

use crate::error::{corrupt, refused, store_error};
use crate::item::{Answer, Attributes, ITEM_VERSION, Pointer, Record, Settings};
use crate::keys::{self, DUE_SHARDS, EVENT_PREFIX, JOBS, Key, NEXT, RUN_PREFIX, SESSION_PREFIX, WINDOWS};
use crate::page::{List, document};
use crate::plan::{self, Action, Change, Guard, attributes, new_record};
use crate::request::{Terms, key};
use crate::schema::{DUE, DUE_PK, DUE_SK, TTL};

/// How many rows are deleted at a time.
const DELETES_AT_ONCE: usize = 8;

/// The table.
#[derive(Debug, Clone)]
pub struct DynamoStore {
    pub(crate) client: Client,
    pub(crate) table: String,
    pub(crate) clock: Arc<dyn Clock>,
}

impl DynamoStore {
    /// The table called `table`, reached through `client`; `clock` says which rows have expired.
    pub fn new(client: Client, table: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self { client, table: table.into(), clock }
    }

    /// Now, as the TTL attribute counts it.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().timestamp()
    }

    /// The row under `at`, read consistently; an expired one is not there.
    pub(crate) async fn row(&self, operation: &str, at: &Key) -> Result<Option<Attributes>, StoreError> {
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key(at))).consistent_read(true);
        let answer = request.send().await.map_err(|error| store_error(operation, error))?;
        let ttl = |row: &Attributes| row.get(TTL)?.as_n().ok()?.parse::<i64>().ok();
        Ok(answer.item.filter(|row| ttl(row).is_none_or(|ttl| ttl >= self.now())))
    }

    async fn record<T: DeserializeOwned>(&self, operation: &str, at: &Key) -> Result<Option<T>, StoreError> {
        self.row(operation, at).await?.map(|row| document(operation, row)).transpose()
    }

    async fn pointer(&self, operation: &str, at: &Key) -> Result<Option<String>, StoreError> {
        let Some(row) = self.row(operation, at).await? else { return Ok(None) };
        let pointer: Pointer = from_item(row).map_err(|error| corrupt(operation, error))?;
        Ok(Some(pointer.target))
    }

    /// The first places of a partition of the due index, those before `before` where that is given.
    pub(crate) async fn due_partition(
        &self,
        operation: &str,
        partition: &str,
        before: Option<&str>,
        limit: i32,
    ) -> Result<Vec<String>, StoreError> {
        let mut terms = Terms::default();
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut condition = format!("{} = {}", terms.name(DUE_PK), terms.value("partition", text(partition)));
        if let Some(before) = before {
            let (sk, before) = (terms.name(DUE_SK), terms.value("before", text(before)));
            condition = format!("{condition} AND {sk} < {before}");
        }
        let query = self.client.query().table_name(&self.table).index_name(DUE).limit(limit);
        let query = query.key_condition_expression(condition);
        let query = query.set_expression_attribute_names(terms.names());
        let query = query.set_expression_attribute_values(terms.values());
        let answer = query.send().await.map_err(|error| store_error(operation, error))?;
        let place = |row: Attributes| row.get(DUE_SK)?.as_s().ok().cloned();
        Ok(answer.items.unwrap_or_default().into_iter().filter_map(place).collect())
    }

    async fn put_alone(&self, operation: &str, at: Key, row: Attributes, guard: Guard) -> Result<Outcome, StoreError> {
        self.apply(operation, vec![Action::new(0, at, Change::Put(row), guard)]).await
    }
}

#[async_trait]
impl Store for DynamoStore {
    /// One row by itself or several as a transaction, each under its condition.
    ///
    /// # Crash safety
    /// One request. Stopped before the answer, the same commit again answers [`Outcome::Applied`] when it had gone through.
    /// That is told by equality, so two writers of the very same record both applied it. A commit of nothing but counts may
    /// count twice.
    async fn commit(&self, writes: &[Write<'_>]) -> Result<Outcome, StoreError> {
        let operation = plan::subject(writes);
        let actions = plan::actions(&operation, writes)?;
        self.apply(&operation, actions).await
    }

    /// Strongly consistent.
    async fn job(&self, id: &JobId) -> Result<Option<JobRecord>, StoreError> {
        self.record(&format!("read job {id}"), &Key::job(id)).await
    }

    /// By name, from an index that lags behind by moments.
    async fn jobs(&self, page: &PageRequest) -> Result<Page<JobRecord>, StoreError> {
        self.page("list jobs", &List::of_index(JOBS.to_owned()), page).await
    }

    /// Strongly consistent: the pointer is written and removed with its job.
    async fn job_by_declaration(&self, key: &str) -> Result<Option<JobId>, StoreError> {
        let operation = format!("read declaration {key}");
        let target = self.pointer(&operation, &Key::declaration(key)).await?;
        target.map(|id| JobId::parse(&id).map_err(|error| corrupt(&operation, error))).transpose()
    }

    /// Strongly consistent.
    async fn run(&self, key: &RunKey) -> Result<Option<Run>, StoreError> {
        self.record(&format!("read run {key}"), &Key::run(key)).await
    }

    /// Those of a job by slot, consistent; those of a day by creation, from an index that lags behind by moments.
    async fn runs(&self, filter: &RunFilter, page: &PageRequest) -> Result<Page<Run>, StoreError> {
        let (operation, list) = match filter {
            RunFilter::OfJob(id) => {
                let list = List::of_table(keys::job_partition(id), Some(RUN_PREFIX.to_owned()));
                (format!("list the runs of job {id}"), list)
            }
            RunFilter::OfDay(day) => (format!("list the runs of {day}"), List::of_index(keys::day_partition(*day))),
        };
        self.page(&operation, &list.newest_first(), page).await
    }

    /// Strongly consistent.
    async fn batch(&self, id: &AttemptId) -> Result<Option<Batch>, StoreError> {
        self.record(&format!("read batch {id}"), &Key::batch(id)).await
    }

    /// Strongly consistent: the pointer is written with its batch.
    async fn batch_by_remote(&self, remote: &str) -> Result<Option<AttemptId>, StoreError> {
        let target = self.pointer(&format!("read the batch of {remote}"), &Key::remote(remote)).await?;
        Ok(target.map(AttemptId::new))
    }

    /// Strongly consistent.
    async fn window(&self, id: &WindowId) -> Result<Option<Window>, StoreError> {
        self.record(&format!("read window {id}"), &Key::window(id)).await
    }

    /// Strongly consistent.
    async fn collected(&self, id: &WindowId, page: &PageRequest) -> Result<Page<Collected>, StoreError> {
        let list = List::of_table(keys::window_partition(id), Some(RUN_PREFIX.to_owned()));
        self.page(&format!("list the runs in window {id}"), &list, page).await
    }

    /// Strongly consistent.
    async fn purse(&self, purse: &Purse) -> Result<Option<i64>, StoreError> {
        self.purse_held(purse).await
    }

    /// Strongly consistent.
    async fn spending(
        &self,
        day: NaiveDate,
        job: Option<&JobId>,
        page: &PageRequest,
    ) -> Result<Page<Spend>, StoreError> {
        self.spend_page(day, job, page).await
    }

    /// Strongly consistent.
    async fn chunks(&self, run: &RunKey, origin: &str) -> Result<Vec<Chunk>, StoreError> {
        let list = List::of_table(keys::job_partition(&run.job_id()), Some(keys::chunk_prefix(run, origin)));
        let mut chunks: Vec<Chunk> = self.all(&format!("list the deliveries of run {run}"), &list).await?;
        // An origin that begins with this one and a `#` has the same prefix.
        chunks.retain(|chunk| chunk.origin == origin);
        Ok(chunks)
    }

    /// Strongly consistent.
    async fn endpoint_call(&self, run: &RunKey, id: &str) -> Result<Option<EndpointCall>, StoreError> {
        self.record(&format!("read call {id} of run {run}"), &Key::endpoint_call(run, id)).await
    }

    /// Strongly consistent.
    async fn shelf(&self, id: &ShelfId) -> Result<Shelf, StoreError> {
        let found = self.record(&format!("read the index of {id}"), &Key::shelf(id)).await?;
        Ok(found.unwrap_or_else(|| Shelf::empty(id.clone())))
    }

    /// Strongly consistent.
    async fn sheet(&self, id: &ShelfId, name: &str) -> Result<Option<Sheet>, StoreError> {
        self.record(&format!("read a text of {id}"), &Key::sheet(id, name)).await
    }

    /// From an index that lags behind by moments and names rows only: read them again before acting.
    async fn due(&self, before: DateTime<Utc>, limit: u32) -> Result<Vec<DueItem>, StoreError> {
        let (before, most) = (keys::instant(before), i32::try_from(limit.max(1)).unwrap_or(i32::MAX));
        let shards = |name: fn(u32) -> String| (0..DUE_SHARDS).map(name).collect::<Vec<_>>();
        let kinds = [
            shards(keys::due_partition),
            shards(keys::poll_partition),
            vec![NEXT.to_owned()],
            vec![WINDOWS.to_owned()],
        ];
        let places = kinds.iter().map(|partitions| {
            let first = |one| self.due_partition("list what is due", one, Some(before.as_str()), most);
            try_join_all(partitions.iter().map(String::as_str).map(first))
        });
        let places: Vec<Vec<String>> = try_join_all(places).await?.into_iter().map(|kind| kind.concat()).collect();
        Ok(shares(places, limit as usize).iter().filter_map(|place| keys::due_item(place)).collect())
    }

    /// # Crash safety
    /// One conditional write of the place alone; the row's own revision stands, so that nobody's write is lost to it.
    async fn put_back(&self, what: &DueItem, before: DateTime<Utc>, until: DateTime<Utc>) -> Result<(), StoreError> {
        self.move_place(what, before, until).await
    }

    /// Strongly consistent.
    async fn memo(&self, name: &str) -> Result<Option<Memo>, StoreError> {
        self.record(&format!("read note {name}"), &Key::memo(name)).await
    }

    /// Strongly consistent.
    async fn events(&self, agent: &str) -> Result<Vec<SystemEvent>, StoreError> {
        let list = List::of_table(keys::session_partition(agent), Some(EVENT_PREFIX.to_owned()));
        let all: Vec<SystemEvent> = self.all(&format!("list the events of agent {agent}"), &list).await?;
        Ok(all.into_iter().filter(|event| event.fate.is_none()).collect())
    }

    /// Strongly consistent.
    async fn event(&self, agent: &str, id: &str) -> Result<Option<SystemEvent>, StoreError> {
        self.record(&format!("read event {id} of agent {agent}"), &Key::event(agent, id)).await
    }

    /// # Crash safety
    /// A delete per event. Stopped half-way, the rest stays queued; a repeat takes it.
    async fn consume_events(&self, agent: &str, ids: &[String]) -> Result<(), StoreError> {
        let operation = format!("take events of agent {agent}");
        let once: BTreeSet<&String> = ids.iter().collect();
        let keys: Vec<Attributes> = once.into_iter().map(|id| key(&Key::event(agent, id))).collect();
        let delete = |row: Attributes| self.client.delete_item().table_name(&self.table).set_key(Some(row)).send();
        let deletes = stream::iter(keys).map(delete).buffer_unordered(DELETES_AT_ONCE);
        deletes.try_for_each(|_| async { Ok(()) }).await.map_err(|error| store_error(&operation, error))
    }

    /// Strongly consistent.
    async fn session(&self, agent: &str, name: &str) -> Result<Option<Session>, StoreError> {
        self.record(&format!("read session {name} of agent {agent}"), &Key::session(agent, name)).await
    }

    /// Strongly consistent.
    async fn exchanges(&self, agent: &str, name: &str) -> Result<Vec<Exchange>, StoreError> {
        let list = List::of_table(keys::session_partition(agent), Some(keys::exchange_prefix(name)));
        let operation = format!("list the exchanges of session {name} of agent {agent}");
        let page = PageRequest { limit: 100, cursor: None };
        Ok(self.page(&operation, &list, &page).await?.items)
    }

    /// Strongly consistent. The lines of runs that wait are read with the sessions.
    async fn sessions(&self, agent: &str, page: &PageRequest) -> Result<Page<Session>, StoreError> {
        let list = List::of_table(keys::session_partition(agent), Some(SESSION_PREFIX.to_owned()));
        self.page(&format!("list the sessions of agent {agent}"), &list, page).await
    }

    /// Strongly consistent. Places stand before those that wait, so one query has both; a second one is sent where so many
    /// places are taken that the first did not reach the queue.
    async fn places(&self, waiting: u32) -> Result<Places, StoreError> {
        self.read_places(waiting).await
    }

    /// Reads the whole rows of that part of the job's history (DynamoDB bills what it reads, not what it answers).
    ///
    /// # Crash safety
    /// One conditional write per run. Stopped half-way, a repeat finds the rest; a run that is written meanwhile keeps what
    /// that write said.
    async fn expire_runs(&self, job: &JobId, before: DateTime<Utc>, at: DateTime<Utc>) -> Result<u64, StoreError> {
        self.expire(job, before, at).await
    }

    /// Strongly consistent.
    async fn stop(&self, provider: &str) -> Result<Option<Stop>, StoreError> {
        self.record(&format!("read the stop of provider {provider}"), &Key::stop(provider)).await
    }

    /// A consistent query of the counters' partition, where the jobs' counts, the places and the configuration's revision
    /// are too, and one row of the due index, which lags behind by moments.
    async fn overview(&self) -> Result<Overview, StoreError> {
        self.read_overview().await
    }

    /// Strongly consistent.
    async fn config(&self) -> Result<(u64, Value), StoreError> {
        let operation = "read the configuration";
        let Some(row) = self.row(operation, &Key::config()).await? else { return Ok((0, Value::Null)) };
        let row: Record = from_item(row).map_err(|error| corrupt(operation, error))?;
        let document = serde_json::from_str(&row.doc).map_err(|error| corrupt(operation, error))?;
        Ok((row.rev, document))
    }

    /// # Crash safety
    /// One transaction: the document, under its condition, and what `cron status` shows of it. A repeat after a lost answer
    /// is [`Outcome::Applied`].
    async fn put_config(&self, document: &Value, expected: u64) -> Result<Outcome, StoreError> {
        let operation = "write the configuration";
        let (at, shown_at) = (Key::config(), Key::settings());
        let rev = expected + 1;
        let row = attributes(operation, &new_record(&at, "config", rev, document.to_string()))?;
        let shown = Settings {
            pk: shown_at.pk.clone(),
            sk: shown_at.sk.clone(),
            kind: "settings".to_owned(),
            v: ITEM_VERSION,
            rev,
            state: if cron_enabled(document) { "enabled" } else { "disabled" }.to_owned(),
        };
        let shown = attributes(operation, &shown)?;
        let write = Action::new(0, at, Change::Put(row), Guard::before(rev));
        self.apply(operation, vec![write, Action::new(0, shown_at, Change::Put(shown), Guard::None)]).await
    }

    /// Strongly consistent.
    async fn recall(&self, key: &str) -> Result<Option<(String, Value)>, StoreError> {
        let operation = "read the answer to a repeated request";
        let Some(row) = self.row(operation, &Key::answer(key)).await? else { return Ok(None) };
        let answer: Answer = from_item(row).map_err(|error| corrupt(operation, error))?;
        let value = serde_json::from_str(&answer.doc).map_err(|error| corrupt(operation, error))?;
        Ok(Some((answer.digest, value)))
    }

    /// # Crash safety
    /// One conditional write. Stopped before it, a repeat of the request is carried out again.
    async fn remember(
        &self,
        key: &str,
        digest: &str,
        answer: &Value,
        expires_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let operation = "keep the answer to a request";
        let at = Key::answer(key);
        let row = Answer {
            pk: at.pk.clone(),
            sk: at.sk.clone(),
            kind: "answer".to_owned(),
            v: ITEM_VERSION,
            ttl: Some(expires_at.timestamp()),
            digest: digest.to_owned(),
            doc: serde_json::to_string(answer).map_err(|error| refused(operation, error))?,
        };
        let row = attributes(operation, &row)?;
        // Lost means that an earlier answer stands: it stays.
        self.put_alone(operation, at, row, Guard::Absent).await.map(|_| ())
    }
}
