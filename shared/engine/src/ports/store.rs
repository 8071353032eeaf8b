//! The table and the blobs.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use nightshift_domain::batch::{Batch, Collected, Window, WindowId};
use nightshift_domain::budget::{Change as PurseChange, Purse};
use nightshift_domain::config::Config;
use nightshift_domain::cost::Spend;
use nightshift_domain::delivery::Chunk;
pub use nightshift_domain::heartbeat::SystemEvent;
use nightshift_domain::job::JobRecord;
use nightshift_domain::run::{EndpointCall, Run};
use nightshift_domain::session::{Change, Exchange, Session};
use nightshift_domain::shelf::{Sheet, Shelf, ShelfId};
use nightshift_domain::stop::Stop;
use nightshift_domain::{AttemptId, JobId, RunKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One write of a commit. Every versioned record carries the `rev` it will have: 1 means it must not exist yet, `n` that
/// it must stand at `n - 1`. That is the one condition of every transition.
#[derive(Debug, Clone)]
pub enum Write<'a> {
    /// A job. The table keeps count of the jobs it holds and of those switched on, in the same write: with its declaration
    /// and its count, a job takes up to three of a commit's rows.
    Job(&'a JobRecord),
    /// Removes a job as it stood at this record's `rev`; its runs stay as history.
    RemoveJob(&'a JobRecord),
    /// A run. `ttl` is when the row may go; `None` while it is live.
    Run {
        /// The run.
        run: &'a Run,
        /// When the row may go.
        expires_at: Option<DateTime<Utc>>,
    },
    /// A batch; with a remote id it also writes the pointer from that id to ours.
    Batch {
        /// The batch.
        batch: &'a Batch,
        /// When the row may go; set once it is settled.
        expires_at: Option<DateTime<Utc>>,
    },
    /// A live batch of which nothing changed but its polls: its own row only, at a quarter of the price.
    BatchPolled(&'a Batch),
    /// A row of the delivery ledger.
    Chunk {
        /// The chunk.
        chunk: &'a Chunk,
        /// When the row may go.
        expires_at: DateTime<Utc>,
    },
    /// An acting call that a provider's own loop made over the MCP endpoint.
    EndpointCall {
        /// The call.
        call: &'a EndpointCall,
        /// When the row may go.
        expires_at: DateTime<Utc>,
    },
    /// The index of a shelf: an agent's memory, or the workspace's documents. It goes with every change of a text there.
    Shelf(&'a Shelf),
    /// A text of a shelf.
    Sheet(&'a Sheet),
    /// Removes a text of a shelf that stands at `rev`.
    RemoveSheet {
        /// Where it is.
        shelf: &'a ShelfId,
        /// Its name there.
        name: &'a str,
        /// How it stands.
        rev: u64,
    },
    /// A system event for an agent's main session; a repeat of the same id changes nothing.
    Event(&'a SystemEvent),
    /// A system event as it stands now, whatever stood there: who holds the main session writes it, with the turn that saw
    /// it, or who takes it back.
    EventMoved(&'a SystemEvent),
    /// Takes one of the places that bound how many realtime turns are in flight; lost where another run has it. A commit may
    /// name a place once.
    HoldPlace {
        /// Its number, from 0 and below [`MOST_PLACES`].
        place: u32,
        /// The run that takes it.
        run: &'a RunKey,
    },
    /// Gives it back; where another run has it, or nobody, nothing happens, and the commit goes through.
    FreePlace {
        /// Its number.
        place: u32,
        /// The run that had it.
        run: &'a RunKey,
    },
    /// Puts a run in the queue for a place; a repeat changes nothing.
    Queue {
        /// The run.
        run: &'a RunKey,
        /// Since when it waits, to the millisecond: the queue's order.
        since: DateTime<Utc>,
    },
    /// Takes it off the queue; one that is not there is off already.
    Unqueue {
        /// The run.
        run: &'a RunKey,
        /// Since when it waited, as it was queued.
        since: DateTime<Utc>,
    },
    /// The window that ready hops wait in for others.
    Window {
        /// The window.
        window: &'a Window,
        /// When the row may go; set once it is closed.
        expires_at: Option<DateTime<Utc>>,
    },
    /// Puts a run in a window; a repeat changes nothing.
    Collect {
        /// The window.
        window: &'a WindowId,
        /// The run.
        run: &'a RunKey,
        /// What its row takes of a batch's body, about.
        bytes: u64,
    },
    /// Takes it out; one that is not there is out already.
    Uncollect {
        /// The window.
        window: &'a WindowId,
        /// The run.
        run: &'a RunKey,
    },
    /// A session, with its exchange that comes and those that go: at most [`MOST_EXCHANGES`] and two of a commit's rows.
    ///
    /// [`MOST_EXCHANGES`]: nightshift_domain::session::MOST_EXCHANGES
    Session(&'a Change),
    /// Removes a session as it stood at this record's `rev`, with its exchanges.
    RemoveSession(&'a Session),
    /// A stop of everything that would be sent to a provider; it stands beside the counters.
    Stop(&'a Stop),
    /// Ends a stop that stands at this record's `rev`.
    EndStop(&'a Stop),
    /// A note; its row may go at `expires_at`.
    Memo {
        /// The note.
        memo: &'a Memo,
        /// When the row may go; `None` for one that stays.
        expires_at: Option<DateTime<Utc>>,
    },
    /// Adds to a purse. With `most` it is lost where the purse would hold more than that then, or does not stand yet.
    Purse(&'a PurseChange),
    /// Begins a purse with this; lost where it stands.
    BeginPurse {
        /// Which.
        purse: &'a Purse,
        /// What it holds.
        nano: i64,
    },
    /// Adds to the totals of a day, and says what its job is called now; unconditional. It goes with the write of the run whose
    /// answers they are.
    Spend(&'a Spend),
    /// Adds `by` to a counter of `cron status`; unconditional.
    Count {
        /// The counter; its name begins with an ASCII letter.
        name: &'a str,
        /// How much.
        by: i64,
    },
}

/// Most places there may be: as many rows are read with the queue.
pub const MOST_PLACES: u32 = 1_000;

/// Who has the places that bound how many realtime turns are in flight, and who waits for one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// The places that are taken, by number, and by whom.
    pub held: Vec<(u32, RunKey)>,
    /// Those that wait, longest first; as many as were asked for at most.
    pub queue: Vec<RunKey>,
}

/// What `cron status` is made of, kept current by every write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// What the configuration says of running jobs, as [`cron_enabled`] reads it.
    pub cron_enabled: bool,
    /// How many jobs there are.
    pub jobs: u64,
    /// How many of them are switched on.
    pub enabled_jobs: u64,
    /// The realtime turns that hold a place.
    pub running: u64,
    /// The earliest next run of the jobs that are switched on.
    pub next_run_at: Option<DateTime<Utc>>,
    /// The revision of the configuration; 0 means none was ever written.
    pub config_revision: u64,
    /// What [`Write::Count`] counted, by name.
    pub counters: Vec<(String, i64)>,
    /// The providers to which nothing is sent, by name.
    pub stops: Vec<Stop>,
}

/// Whether a configuration document lets jobs run. The table keeps this beside the counters, so that a glance needs not the
/// whole document; one that does not say so is as the default has it.
pub fn cron_enabled(document: &Value) -> bool {
    let said = document.pointer("/cron/enabled").and_then(Value::as_bool);
    said.unwrap_or_else(|| Config::default().cron.enabled)
}

/// Whether [`Write::Count`] takes `name`: names of counters stand among other rows and must not pass for one of them.
pub fn is_counter_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
}

/// A note that a pass leaves for its next turn, or for whoever must not do the same a second time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memo {
    /// What it is called, at most 1,000 bytes.
    pub name: String,
    /// What it says.
    pub document: Value,
    /// Rises with every write.
    pub rev: u64,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is written (or was, by an earlier answer that got lost).
    Applied,
    /// Nothing is: the record at this index of the commit had moved on.
    Lost(usize),
}

/// A page asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// At most this many, 1 to 200.
    pub limit: u32,
    /// Where the last page ended, as it said.
    pub cursor: Option<String>,
}

/// A page.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// Its rows.
    pub items: Vec<T>,
    /// Where the next one begins; `None` when there is none.
    pub next: Option<String>,
}

/// Which runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunFilter {
    /// Those of a job, newest first.
    OfJob(JobId),
    /// All of a day (UTC), newest first.
    OfDay(chrono::NaiveDate),
}

/// Something the sweeper should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DueItem {
    /// A run that did not move.
    Run(RunKey),
    /// A batch that was not polled.
    Batch(AttemptId),
    /// A job whose next run has passed without a claim.
    Job(JobId),
    /// A window that nobody sealed.
    Window(WindowId),
}

/// The table. Reads by key are strongly consistent; lists may lag.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Writes all of `writes` or nothing, each under its condition (at most 100).
    async fn commit(&self, writes: &[Write<'_>]) -> Result<Outcome, StoreError>;

    /// A job.
    async fn job(&self, id: &JobId) -> Result<Option<JobRecord>, StoreError>;
    /// Jobs by name.
    async fn jobs(&self, page: &PageRequest) -> Result<Page<JobRecord>, StoreError>;
    /// The job added under a declaration key.
    async fn job_by_declaration(&self, key: &str) -> Result<Option<JobId>, StoreError>;

    /// A run.
    async fn run(&self, key: &RunKey) -> Result<Option<Run>, StoreError>;
    /// Runs.
    async fn runs(&self, filter: &RunFilter, page: &PageRequest) -> Result<Page<Run>, StoreError>;

    /// A batch by our id.
    async fn batch(&self, id: &AttemptId) -> Result<Option<Batch>, StoreError>;
    /// Our id of a batch by Anthropic's.
    async fn batch_by_remote(&self, remote: &str) -> Result<Option<AttemptId>, StoreError>;

    /// A window.
    async fn window(&self, id: &WindowId) -> Result<Option<Window>, StoreError>;
    /// The runs in a window, by their keys. Consistent.
    async fn collected(&self, id: &WindowId, page: &PageRequest) -> Result<Page<Collected>, StoreError>;

    /// What a purse holds, billionths of a dollar; `None` where it was never begun. Consistent.
    async fn purse(&self, purse: &Purse) -> Result<Option<i64>, StoreError>;
    /// The totals of a day, of all jobs or of one. Consistent.
    async fn spending(
        &self,
        day: NaiveDate,
        job: Option<&JobId>,
        page: &PageRequest,
    ) -> Result<Page<Spend>, StoreError>;

    /// The ledger rows of a run's delivery, in order.
    async fn chunks(&self, run: &RunKey, origin: &str) -> Result<Vec<Chunk>, StoreError>;

    /// The call of a run that is known by `id`.
    async fn endpoint_call(&self, run: &RunKey, id: &str) -> Result<Option<EndpointCall>, StoreError>;
    /// The index of a shelf; an empty one at `rev` 0 where nothing was ever put there. It has no expiry.
    async fn shelf(&self, id: &ShelfId) -> Result<Shelf, StoreError>;
    /// A text of a shelf. It has no expiry.
    async fn sheet(&self, id: &ShelfId, name: &str) -> Result<Option<Sheet>, StoreError>;

    /// What was due before `before` and has not moved, oldest first. Runs, batches, jobs and windows have equal shares of `limit`, and
    /// what one kind leaves the others have: a flood of one never hides the rest.
    async fn due(&self, before: DateTime<Utc>, limit: u32) -> Result<Vec<DueItem>, StoreError>;

    /// Puts `what`, which was due before `before`, back in the due index until `until`. Its row stays as it is, also one that
    /// cannot be read; the row's next write gives it the place that follows from it. Where it has moved on meanwhile, or is
    /// gone, nothing happens.
    async fn put_back(&self, what: &DueItem, before: DateTime<Utc>, until: DateTime<Utc>) -> Result<(), StoreError>;

    /// A note by its name.
    async fn memo(&self, name: &str) -> Result<Option<Memo>, StoreError>;

    /// Queued events of an agent's main session, oldest first: those of which nothing became yet.
    async fn events(&self, agent: &str) -> Result<Vec<SystemEvent>, StoreError>;
    /// An event of an agent's main session, queued or not.
    async fn event(&self, agent: &str, id: &str) -> Result<Option<SystemEvent>, StoreError>;
    /// Takes events off the queue; repeats are harmless.
    async fn consume_events(&self, agent: &str, ids: &[String]) -> Result<(), StoreError>;

    /// An agent's session.
    async fn session(&self, agent: &str, name: &str) -> Result<Option<Session>, StoreError>;
    /// The exchanges of a session, oldest first, at most 100: a session has fewer.
    async fn exchanges(&self, agent: &str, name: &str) -> Result<Vec<Exchange>, StoreError>;
    /// An agent's sessions by name. Consistent.
    async fn sessions(&self, agent: &str, page: &PageRequest) -> Result<Page<Session>, StoreError>;

    /// The places, and at most `waiting` of those that wait for one. Consistent; one read, two where most of
    /// [`MOST_PLACES`] are taken.
    async fn places(&self, waiting: u32) -> Result<Places, StoreError>;

    /// Lets the ended runs of `job` whose slot (to the second) lies before `before` expire at `at` at the latest; live ones
    /// stay. Answers how many rows it touched. May be repeated.
    async fn expire_runs(&self, job: &JobId, before: DateTime<Utc>, at: DateTime<Utc>) -> Result<u64, StoreError>;

    /// The stop of a provider. Consistent; one read of one row where the table can.
    async fn stop(&self, provider: &str) -> Result<Option<Stop>, StoreError> {
        Ok(self.overview().await?.stops.into_iter().find(|stop| stop.provider == provider))
    }

    /// The whole at a glance, in two reads however many jobs there are. The next run may lag by moments.
    async fn overview(&self) -> Result<Overview, StoreError>;

    /// The configuration document and its revision; revision 0 means none was ever written.
    async fn config(&self) -> Result<(u64, Value), StoreError>;
    /// Writes it where it still stands at `expected`.
    async fn put_config(&self, document: &Value, expected: u64) -> Result<Outcome, StoreError>;

    /// The answer that was given under an idempotency key, with the digest of the request.
    async fn recall(&self, key: &str) -> Result<Option<(String, Value)>, StoreError>;
    /// Remembers an answer until `expires_at`; the first one stays.
    async fn remember(
        &self,
        key: &str,
        digest: &str,
        answer: &Value,
        expires_at: DateTime<Utc>,
    ) -> Result<(), StoreError>;
}

/// Texts too long for a row.
#[async_trait]
pub trait Blobs: Send + Sync + std::fmt::Debug {
    /// Writes `body` under `key`; keys are digests of what they hold, so a repeat writes the same.
    async fn put(&self, key: &str, body: Bytes) -> Result<(), BlobError>;
    /// Reads it.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError>;
    /// Removes it; one that is not there is gone already.
    async fn remove(&self, key: &str) -> Result<(), BlobError>;
}

/// The blob store failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to use blob {key}")]
pub struct BlobError {
    /// Which blob.
    pub key: String,
    /// Why.
    #[source]
    pub source: Arc<dyn std::error::Error + Send + Sync>,
}

/// What kind of failure the table had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// It throttled, timed out or was out of reach: the same may work later.
    Unavailable,
    /// The caller's cursor is not one of ours, or of another list.
    BadCursor,
    /// A row cannot be read.
    Corrupt,
    /// The request was refused: a fault of this program or its permissions.
    Refused,
}

/// The table failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to {operation}")]
pub struct StoreError {
    /// What was tried, with its subject.
    pub operation: String,
    /// How it failed.
    pub kind: StoreErrorKind,
    /// Why.
    #[source]
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}
