//! The fake itself: state behind a lock, journalled before it changes.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nightshift_engine::Clock;
use serde_json::Value;

use crate::bill::Bill;
use crate::journal::Journal;
use crate::script::{Script, ScriptError, check_origins};
use crate::state::{Record, State};

/// What a fake is opened with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where its time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where it keeps its journal; without one it forgets everything when dropped.
    pub state_dir: Option<PathBuf>,
    /// The absolute URL, without `/v1`, under which clients reach it: `results_url` is built from it.
    pub base_url: String,
    /// Origins of MCP servers and where they really are, as in [`Script::mcp_origins`], which adds to these.
    pub mcp_origins: BTreeMap<String, String>,
}

/// The fake API. Clones share one state.
#[derive(Debug, Clone)]
pub struct Fake {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    base_url: String,
    mcp_origins: BTreeMap<String, String>,
    /// Held while the MCP calls of a batch are made, by its id.
    doors: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    inner: Mutex<Inner>,
}

/// State and journal, which change together.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) state: State,
    journal: Journal,
}

impl Inner {
    /// Writes the record, then applies it.
    pub(crate) fn commit(&mut self, record: Record) -> io::Result<()> {
        self.journal.append(&record)?;
        self.state.apply(record);
        Ok(())
    }
}

impl Fake {
    /// Opens a fake, with everything the journal of its state directory holds.
    ///
    /// # Errors
    /// When the directory cannot be used, its journal was damaged anywhere but at the torn end of a killed process, or an
    /// MCP origin is not an `https` one mapped to loopback.
    pub fn open(options: Options) -> anyhow::Result<Self> {
        check_origins(&options.mcp_origins)?;
        let mut state = State::new();
        let mut fresh = true;
        let journal = match &options.state_dir {
            None => Journal::none(),
            Some(dir) => Journal::open(dir, |record| {
                fresh = false;
                state.apply(record);
            })?,
        };
        let mut inner = Inner { state, journal };
        if fresh {
            let seed = options.clock.now().timestamp_micros().cast_unsigned();
            inner.commit(Record::Opened { seed })?;
        }
        let Options { clock, base_url, mcp_origins, .. } = options;
        let shared = Shared { clock, base_url, mcp_origins, doors: Mutex::default(), inner: Mutex::new(inner) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Replaces the script as a whole; the counts of replies and faults start again.
    ///
    /// # Errors
    /// When the script contradicts itself or cannot be saved; the one before it stays in force.
    pub fn script(&self, script: Script) -> Result<(), ScriptError> {
        script.check()?;
        self.lock().commit(Record::Script(Box::new(script))).map_err(ScriptError::Journal)
    }

    /// The calls to `/v1/…` so far, oldest first: `method`, `path` with its query, `headers` (credentials show as
    /// `[redacted]`), `body`, `atMs`, `status` (null when the connection was dropped) and, where one struck, `fault`.
    pub fn requests(&self) -> Vec<Value> {
        self.lock().state.log()
    }

    /// Empties the log. Calls are still counted for faults.
    pub fn clear_requests(&self) {
        if let Err(error) = self.lock().commit(Record::Cleared) {
            tracing::error!(%error, "the fake's log could not be emptied");
        }
    }

    /// The batches of all workspaces as `MessageBatch` objects, newest first. One whose MCP calls are due but not yet made
    /// has not ended; reading it through the API makes them.
    pub fn batches(&self) -> Vec<Value> {
        let now = self.clock().now();
        self.lock().state.batches().map(|batch| batch.object(now, self.base_url())).collect()
    }

    /// What has been billed so far; deleted batches count, running ones do not.
    pub fn bill(&self) -> Bill {
        let now = self.clock().now();
        self.lock().state.bill(now)
    }

    /// How many replayed thinking blocks were dropped because what stood before them had changed. A batch says nothing
    /// about it, so this is how a test notices a prefix that moved.
    pub fn dropped_thinking(&self) -> u64 {
        self.lock().state.dropped
    }

    pub(crate) fn door(&self, batch: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut doors = self.shared.doors.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(doors.entry(batch.to_owned()).or_default())
    }

    pub(crate) fn opened_with(&self) -> &BTreeMap<String, String> {
        &self.shared.mcp_origins
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.shared.clock.as_ref()
    }

    pub(crate) fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
