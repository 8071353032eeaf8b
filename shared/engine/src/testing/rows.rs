//! What the in-memory table holds, and how a commit changes it.
//!
//! Records are kept as JSON text, as in the real table, so that whatever does not survive a round trip fails in the fast
//! tests already, and a repeat is told by equality in the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use nightshift_domain::batch::{Batch, BatchState, WindowId};
use nightshift_domain::budget::{self, Purse};
use nightshift_domain::cost::{Spend, SpendOf, Totals};
use nightshift_domain::run::attention_at;
use nightshift_domain::shelf::ShelfId;
use nightshift_domain::{AttemptId, JobId, RunKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ports::{MOST_PLACES, Outcome, StoreError, StoreErrorKind, SystemEvent, Write, is_counter_name};

use super::lists::next_run_at;

/// Most rows of a commit.
const MOST_ROWS: usize = 100;
/// Largest record.
const LARGEST: usize = 390 * 1024;

/// A record at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) rev: u64,
    /// Of a job: which of those that ever had its id it is.
    pub(super) born: String,
    pub(super) text: String,
    /// Epoch seconds, as in the real table.
    pub(super) ttl: Option<i64>,
    /// When somebody has to look at it: worked out as it is written, as the real table's index has it, or as it was put back.
    pub(super) due: Option<DateTime<Utc>>,
}

impl Row {
    pub(super) fn is_visible(&self, now: i64) -> bool {
        self.ttl.is_none_or(|ttl| ttl >= now)
    }

    /// Whether it is the row of whoever was born so, where that is known.
    fn is_of(&self, born: &str) -> bool {
        born.is_empty() || self.born == born
    }

    pub(super) fn read<T: DeserializeOwned>(&self, operation: &str) -> Result<T, StoreError> {
        serde_json::from_str(&self.text).map_err(|error| fault(operation, StoreErrorKind::Corrupt, error))
    }
}

/// Where a versioned record is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Job(JobId),
    Run(RunKey),
    Batch(AttemptId),
    Window(WindowId),
    Chunk(RunKey, String, u32),
    EndpointCall(RunKey, String),
    Shelf(ShelfId),
    Sheet(ShelfId, String),
    /// Agent and name.
    Session(String, String),
    /// Agent, name and number.
    Exchange(String, String, u64),
    /// A provider.
    Stop(String),
    Memo(String),
}

/// The whole table.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) records: BTreeMap<Place, Row>,
    pub(super) declarations: BTreeMap<String, JobId>,
    pub(super) remotes: BTreeMap<String, (AttemptId, Option<i64>)>,
    pub(super) events: BTreeMap<(String, String), SystemEvent>,
    pub(super) counters: BTreeMap<String, i64>,
    /// What purses hold.
    pub(super) purses: BTreeMap<Purse, i64>,
    /// The totals of every day, and what their job is called.
    pub(super) spending: BTreeMap<SpendOf, (String, Totals)>,
    /// Who has which place.
    pub(super) places: BTreeMap<u32, RunKey>,
    /// Who waits for one, by since when (epoch ms).
    pub(super) queue: BTreeSet<(i64, RunKey)>,
    /// Who waits in which window, and the size of its row.
    pub(super) collected: BTreeMap<(WindowId, RunKey), u64>,
    pub(super) config: Option<(u64, String)>,
    pub(super) answers: BTreeMap<String, (String, Value, i64)>,
}

/// One change of a commit.
#[derive(Debug)]
enum Change {
    Put {
        place: Place,
        row: Row,
    },
    Remove {
        place: Place,
        rev: u64,
        born: String,
    },
    /// A row under the condition of another one of its commit: it becomes this, or goes.
    Set {
        place: Place,
        row: Option<Row>,
    },
    Declare {
        key: String,
        job: JobId,
    },
    Undeclare {
        key: String,
        job: JobId,
    },
    Remote {
        remote: String,
        batch: AttemptId,
        ttl: Option<i64>,
        owned: bool,
    },
    Release {
        remote: String,
        batch: AttemptId,
    },
    Event(SystemEvent),
    EventMoved(SystemEvent),
    Hold {
        place: u32,
        run: RunKey,
    },
    Free {
        place: u32,
        run: RunKey,
    },
    Queue {
        since: i64,
        run: RunKey,
    },
    Unqueue {
        since: i64,
        run: RunKey,
    },
    Collect {
        window: WindowId,
        run: RunKey,
        bytes: u64,
    },
    Uncollect {
        window: WindowId,
        run: RunKey,
    },
    Purse(budget::Change),
    BeginPurse {
        purse: Purse,
        nano: i64,
    },
    Spend(Spend),
    Count {
        name: String,
        by: i64,
    },
}

/// How a change would fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its condition holds, and had it been carried out before it would not.
    Fits,
    /// It has no condition that could tell.
    Free,
    /// It was carried out before.
    Done,
    /// Somebody else was first.
    Lost,
    /// There is no room for it, which a commit that was carried out before may have filled itself.
    Full,
}

impl Rows {
    pub(super) fn commit(&mut self, writes: &[Write<'_>], now: i64) -> Result<Outcome, StoreError> {
        let changes = changes(writes)?;
        check(&changes)?;
        let fates: Vec<(usize, Fate)> =
            changes.iter().map(|(write, change)| (*write, self.fate(change, now))).collect();
        if let Some((write, _)) = fates.iter().find(|(_, fate)| *fate == Fate::Lost) {
            return Ok(Outcome::Lost(*write));
        }
        if let Some((write, _)) = fates.iter().find(|(_, fate)| *fate == Fate::Done) {
            let repeat = fates.iter().all(|(_, fate)| *fate != Fate::Fits);
            return Ok(if repeat { Outcome::Applied } else { Outcome::Lost(*write) });
        }
        if let Some((write, _)) = fates.iter().find(|(_, fate)| *fate == Fate::Full) {
            return Ok(Outcome::Lost(*write));
        }
        for (_, change) in changes {
            self.apply(change);
        }
        Ok(Outcome::Applied)
    }

    fn fate(&self, change: &Change, now: i64) -> Fate {
        match change {
            Change::Put { place, row } => match self.records.get(place) {
                None if row.rev <= 1 => Fate::Fits,
                Some(old) if row.rev <= 1 && !old.is_visible(now) => Fate::Fits,
                Some(old) if row.rev > 1 && old.rev == row.rev - 1 && old.is_of(&row.born) => Fate::Fits,
                Some(old) if old.rev == row.rev && old.text == row.text => Fate::Done,
                None | Some(_) => Fate::Lost,
            },
            Change::Remove { place, rev, born } => match self.records.get(place) {
                Some(old) if old.rev == *rev && old.is_of(born) => Fate::Fits,
                Some(_) => Fate::Lost,
                None => Fate::Done,
            },
            Change::Declare { key, job } => match self.declarations.get(key) {
                None => Fate::Fits,
                Some(other) if other == job => Fate::Done,
                Some(_) => Fate::Lost,
            },
            Change::Undeclare { key, job } => match self.declarations.get(key) {
                Some(other) if other != job => Fate::Lost,
                None | Some(_) => Fate::Free,
            },
            Change::Remote { remote, batch, owned, .. } => match self.remotes.get(remote) {
                Some((other, ttl)) if other != batch && !owned && ttl.is_none_or(|ttl| ttl >= now) => Fate::Lost,
                None | Some(_) => Fate::Free,
            },
            Change::Hold { place, run } => match self.places.get(place) {
                Some(other) if other != run => Fate::Lost,
                None | Some(_) => Fate::Free,
            },
            Change::Purse(budget::Change { purse, by, most: Some(most) }) => match self.purses.get(purse) {
                Some(held) if held + by <= i64::try_from(*most).unwrap_or(i64::MAX) => Fate::Free,
                Some(_) | None => Fate::Full,
            },
            Change::BeginPurse { purse, .. } if self.purses.contains_key(purse) => Fate::Full,
            Change::Purse(_)
            | Change::BeginPurse { .. }
            | Change::Release { .. }
            | Change::Event(_)
            | Change::EventMoved(_)
            | Change::Set { .. }
            | Change::Free { .. }
            | Change::Queue { .. }
            | Change::Unqueue { .. }
            | Change::Collect { .. }
            | Change::Uncollect { .. }
            | Change::Spend(_)
            | Change::Count { .. } => Fate::Free,
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Put { place, row } | Change::Set { place, row: Some(row) } => drop(self.records.insert(place, row)),
            Change::Remove { place, .. } | Change::Set { place, row: None } => drop(self.records.remove(&place)),
            Change::Declare { key, job } => drop(self.declarations.insert(key, job)),
            Change::Undeclare { key, .. } => drop(self.declarations.remove(&key)),
            Change::Remote { remote, batch, ttl, .. } => drop(self.remotes.insert(remote, (batch, ttl))),
            Change::Release { remote, batch } => {
                if self.remotes.get(&remote).is_some_and(|(owner, _)| *owner == batch) {
                    self.remotes.remove(&remote);
                }
            }
            Change::Event(event) => {
                self.events.entry((event.agent.clone(), event.id.clone())).or_insert(event);
            }
            Change::EventMoved(event) => drop(self.events.insert((event.agent.clone(), event.id.clone()), event)),
            Change::Hold { place, run } => drop(self.places.insert(place, run)),
            Change::Free { place, run } => {
                if self.places.get(&place) == Some(&run) {
                    self.places.remove(&place);
                }
            }
            Change::Queue { since, run } => drop(self.queue.insert((since, run))),
            Change::Unqueue { since, run } => drop(self.queue.remove(&(since, run))),
            Change::Collect { window, run, bytes } => drop(self.collected.insert((window, run), bytes)),
            Change::Uncollect { window, run } => drop(self.collected.remove(&(window, run))),
            Change::Purse(budget::Change { purse, by, .. }) => *self.purses.entry(purse).or_default() += by,
            Change::BeginPurse { purse, nano } => drop(self.purses.insert(purse, nano)),
            Change::Spend(Spend { of, job_name, totals }) => {
                let (name, sum) = self.spending.entry(of).or_default();
                (*name, *sum) = (job_name, sum.plus(&totals));
            }
            Change::Count { name, by } => *self.counters.entry(name).or_default() += by,
        }
    }
}

fn changes(writes: &[Write<'_>]) -> Result<Vec<(usize, Change)>, StoreError> {
    let mut changes = Vec::with_capacity(writes.len());
    for (index, write) in writes.iter().enumerate() {
        let mut add = |change| changes.push((index, change));
        match write {
            Write::Job(record) => {
                let job = record.job.job_id.clone();
                let row = put(Place::Job(job.clone()), record.rev, record, None)?;
                add(due(own(row, &record.born), next_run_at(record)));
                if let (1, Some(key)) = (record.rev, record.job.declaration_key.clone()) {
                    add(Change::Declare { key, job });
                }
            }
            Write::RemoveJob(record) => {
                let job = record.job.job_id.clone();
                let born = record.born.clone();
                add(Change::Remove { place: Place::Job(job.clone()), rev: record.rev, born });
                if let Some(key) = record.job.declaration_key.clone() {
                    add(Change::Undeclare { key, job });
                }
            }
            Write::Run { run, expires_at } => {
                add(due(put(Place::Run(run.key.clone()), run.rev, run, *expires_at)?, attention_at(run)));
            }
            Write::Batch { batch, expires_at } => {
                add(due(put(Place::Batch(batch.id.clone()), batch.rev, batch, *expires_at)?, poll_at(batch)));
                if let Some(remote) = batch.state.remote() {
                    let owned = matches!(batch.state, BatchState::Open { adopted: false, .. });
                    let ttl = expires_at.map(|at| at.timestamp());
                    add(Change::Remote { remote: remote.to_owned(), batch: batch.id.clone(), ttl, owned });
                }
                // The pointer of a guess goes with the write that rejects it: the last. The others never had one, or lost it then.
                for remote in batch.rejected.last().into_iter().filter(|remote| batch.state.remote() != Some(remote)) {
                    add(Change::Release { remote: remote.clone(), batch: batch.id.clone() });
                }
            }
            Write::BatchPolled(batch) => {
                add(due(put(Place::Batch(batch.id.clone()), batch.rev, batch, None)?, poll_at(batch)));
            }
            Write::EndpointCall { call, expires_at } => {
                let place = Place::EndpointCall(call.run.clone(), call.id.clone());
                add(put(place, call.rev, call, Some(*expires_at))?);
            }
            Write::Chunk { chunk, expires_at } => {
                let place = Place::Chunk(chunk.run.clone(), chunk.origin.clone(), chunk.index);
                add(put(place, chunk.rev, chunk, Some(*expires_at))?);
            }
            Write::Shelf(shelf) => add(put(Place::Shelf(shelf.id.clone()), shelf.rev, shelf, None)?),
            Write::Sheet(sheet) => {
                add(put(Place::Sheet(sheet.shelf.clone(), sheet.name.clone()), sheet.rev, sheet, None)?);
            }
            Write::RemoveSheet { shelf, name, rev } => {
                add(Change::Remove {
                    place: Place::Sheet((*shelf).clone(), (*name).to_owned()),
                    rev: *rev,
                    born: String::new(),
                });
            }
            Write::Session(change) => {
                let of = &change.session;
                let place = |n| Place::Exchange(of.agent.clone(), of.name.clone(), n);
                add(put(Place::Session(of.agent.clone(), of.name.clone()), of.rev, of, None)?);
                if let Some(exchange) = &change.put {
                    // Its session's condition is its own too.
                    let Change::Put { place, row } = put(place(exchange.n), 0, exchange, None)? else { continue };
                    add(Change::Set { place, row: Some(row) });
                }
                for n in &change.drop {
                    add(Change::Set { place: place(*n), row: None });
                }
            }
            Write::RemoveSession(of) => {
                add(Change::Remove {
                    place: Place::Session(of.agent.clone(), of.name.clone()),
                    rev: of.rev,
                    born: String::new(),
                });
                for kept in &of.kept {
                    let place = Place::Exchange(of.agent.clone(), of.name.clone(), kept.n);
                    add(Change::Set { place, row: None });
                }
            }
            Write::Event(event) => add(Change::Event((*event).clone())),
            Write::EventMoved(event) => add(Change::EventMoved((*event).clone())),
            Write::HoldPlace { place, run } => add(Change::Hold { place: *place, run: (*run).clone() }),
            Write::FreePlace { place, run } => add(Change::Free { place: *place, run: (*run).clone() }),
            Write::Queue { run, since } => {
                add(Change::Queue { since: since.timestamp_millis(), run: (*run).clone() });
            }
            Write::Unqueue { run, since } => {
                add(Change::Unqueue { since: since.timestamp_millis(), run: (*run).clone() });
            }
            Write::Stop(stop) => {
                add(put(Place::Stop(stop.provider.clone()), stop.rev, stop, Some(stop.expires_at()))?);
            }
            Write::EndStop(stop) => {
                add(Change::Remove { place: Place::Stop(stop.provider.clone()), rev: stop.rev, born: String::new() });
            }
            Write::Memo { memo, expires_at } => {
                add(put(Place::Memo(memo.name.clone()), memo.rev, memo, *expires_at)?);
            }
            Write::Window { window, expires_at } => {
                let change = put(Place::Window(window.id.clone()), window.rev, window, *expires_at)?;
                add(due(change, window.attention_at()));
            }
            Write::Collect { window, run, bytes } => {
                add(Change::Collect { window: (*window).clone(), run: (*run).clone(), bytes: *bytes });
            }
            Write::Uncollect { window, run } => {
                add(Change::Uncollect { window: (*window).clone(), run: (*run).clone() });
            }
            Write::Purse(change) => add(Change::Purse((*change).clone())),
            Write::BeginPurse { purse, nano } => add(Change::BeginPurse { purse: (*purse).clone(), nano: *nano }),
            Write::Spend(spend) => add(Change::Spend((*spend).clone())),
            Write::Count { name, by } => add(Change::Count { name: (*name).to_owned(), by: *by }),
        }
    }
    Ok(changes)
}

fn put(
    place: Place,
    rev: u64,
    record: &impl Serialize,
    expires_at: Option<DateTime<Utc>>,
) -> Result<Change, StoreError> {
    let operation = format!("write {place:?}");
    let text = serde_json::to_string(record).map_err(|error| fault(&operation, StoreErrorKind::Refused, error))?;
    if text.len() > LARGEST {
        return Err(StoreError { operation, kind: StoreErrorKind::Refused, source: None });
    }
    Ok(Change::Put {
        place,
        row: Row { rev, born: String::new(), text, ttl: expires_at.map(|at| at.timestamp()), due: None },
    })
}

/// The change of the row of a job that was born so.
fn own(mut change: Change, born: &str) -> Change {
    if let Change::Put { row, .. } = &mut change {
        born.clone_into(&mut row.born);
    }
    change
}

/// The change with an entry in the due index.
fn due(mut change: Change, at: Option<DateTime<Utc>>) -> Change {
    if let Change::Put { row, .. } = &mut change {
        row.due = at;
    }
    change
}

/// When a batch has to be looked at, while it is not settled.
fn poll_at(batch: &Batch) -> Option<DateTime<Utc>> {
    (!matches!(batch.state, BatchState::Settled { .. })).then_some(batch.next_poll_at)
}

/// A commit holds at most 100 rows, each once, under names that the real table takes.
fn check(changes: &[(usize, Change)]) -> Result<(), StoreError> {
    let (mut places, mut numbers, mut waiters) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut collected = BTreeSet::new();
    let bad = changes.iter().any(|(_, change)| match change {
        Change::Put { place, .. } | Change::Remove { place, .. } | Change::Set { place, .. } => !places.insert(place),
        Change::Hold { place, .. } if *place >= MOST_PLACES => true,
        Change::Hold { place, .. } | Change::Free { place, .. } => !numbers.insert(place),
        Change::Queue { since, run } | Change::Unqueue { since, run } => !waiters.insert((since, run)),
        Change::Collect { window, run, .. } | Change::Uncollect { window, run } => !collected.insert((window, run)),
        Change::Count { name, .. } => !is_counter_name(name),
        Change::Declare { .. }
        | Change::Undeclare { .. }
        | Change::Purse(_)
        | Change::BeginPurse { .. }
        | Change::Spend(_)
        | Change::Remote { .. }
        | Change::Release { .. }
        | Change::Event(_)
        | Change::EventMoved(_) => false,
    });
    if bad || changes.len() > MOST_ROWS {
        let operation = "write a commit with too many rows, a row twice, or a name that is none".to_owned();
        return Err(StoreError { operation, kind: StoreErrorKind::Refused, source: None });
    }
    Ok(())
}

pub(super) fn fault(
    operation: &str,
    kind: StoreErrorKind,
    source: impl std::error::Error + Send + Sync + 'static,
) -> StoreError {
    StoreError { operation: operation.to_owned(), kind, source: Some(Arc::new(source)) }
}
