//! The fake itself: state behind a lock, journalled before it changes.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nightshift_engine::Clock;
use serde_json::Value;

use crate::bill::Bill;
use crate::journal::Journal;
use crate::script::{Script, ScriptError};
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
    /// When the directory cannot be used or its journal was damaged anywhere but at the torn end of a killed process.
    pub fn open(options: Options) -> anyhow::Result<Self> {
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
        let shared = Shared { clock: options.clock, base_url: options.base_url, inner: Mutex::new(inner) };
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

    /// The batches of all workspaces as `MessageBatch` objects, newest first.
    pub fn batches(&self) -> Vec<Value> {
        let now = self.clock().now();
        self.lock().state.batches().map(|batch| batch.object(now, self.base_url())).collect()
    }

    /// What has been billed so far; deleted batches count, running ones do not.
    pub fn bill(&self) -> Bill {
        let now = self.clock().now();
        self.lock().state.bill(now)
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
