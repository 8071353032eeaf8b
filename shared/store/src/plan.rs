//! What a commit does to which rows.

use chrono::{DateTime, Utc};
use nightshift_domain::batch::{Batch, BatchState, Collected, Window, WindowId};
use nightshift_domain::budget;
use nightshift_domain::cost::Spend;
use nightshift_domain::delivery::{Chunk, ChunkState};
use nightshift_domain::job::JobRecord;
use nightshift_domain::run::{CallState, EndpointCall, Run, attention_at};
use nightshift_domain::session::{self, Session};
use nightshift_domain::shelf::{Sheet, Shelf};
use nightshift_domain::stop::Stop;
use nightshift_domain::{JobId, RunKey};
use nightshift_engine::ports::{DueItem, MOST_PLACES, Memo, StoreError, SystemEvent, Write, is_counter_name};
use serde::Serialize;
use serde_dynamo::aws_sdk_dynamodb_1::to_item;

use crate::error::{Unsendable, refused};
use crate::item::{Attributes, ITEM_LIMIT_BYTES, ITEM_VERSION, Pointer, Record, size_bytes};
use crate::keys::{self, Key};
use crate::spending::{PurseRow, SpendRow};
use crate::tally::{self, Counted, Expected};

/// Most rows of a transaction (`TransactWriteItems` page, 2026-10).
const MOST_ACTIONS: usize = 100;

/// One row's part in a commit.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    /// The write it comes from, by its index in the commit.
    pub(crate) write: usize,
    pub(crate) key: Key,
    pub(crate) change: Change,
    pub(crate) guard: Guard,
    /// Left out, rather than the commit lost, where its guard does not hold.
    pub(crate) optional: bool,
}

/// What happens to the row.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// It becomes this.
    Put(Attributes),
    /// It goes.
    Delete,
    /// It becomes this where nothing stands; what stands stays. Never fails.
    Ensure(Attributes),
    /// These numbers of it grow, and these attributes become this.
    Add { by: Vec<(&'static str, i64)>, set: Attributes },
}

/// Under which condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Guard {
    None,
    /// Nothing stands there, or what does has expired.
    Absent,
    /// It stands at this `rev`.
    Rev(u64),
    /// It stands at this `rev`, is this job's, and says that this was counted for it.
    Counted(Expected),
    /// Nothing stands there, or a pointer to this target.
    Target(String),
    /// Its number is this at most.
    AtMost(i64),
    /// Nothing stands there at all.
    Vacant,
}

impl Guard {
    /// The condition of a record that is to have `rev`.
    pub(crate) fn before(rev: u64) -> Self {
        if rev <= 1 { Self::Absent } else { Self::Rev(rev - 1) }
    }

    /// Whether it proves that the commit was not carried out before: a second time, it fails.
    pub(crate) fn decides(&self) -> bool {
        matches!(self, Self::Absent | Self::Rev(_) | Self::Counted(_))
    }
}

impl Action {
    /// One that the commit cannot do without.
    pub(crate) fn new(write: usize, key: Key, change: Change, guard: Guard) -> Self {
        Self { write, key, change, guard, optional: false }
    }

    /// Whether the row, found as `found`, already is what this action makes of it.
    pub(crate) fn is_done(&self, found: Option<&Attributes>) -> bool {
        match (&self.change, found) {
            (Change::Put(new), Some(old)) => {
                ["rev", "doc", "target", "digest"].iter().all(|name| new.get(*name) == old.get(*name))
            }
            (Change::Delete, None) => true,
            (Change::Put(_), None) | (Change::Delete, Some(_)) | (Change::Ensure(_) | Change::Add { .. }, _) => false,
        }
    }
}

/// A commit's rows, in the order of its writes.
pub(crate) fn actions(operation: &str, writes: &[Write<'_>]) -> Result<Vec<Action>, StoreError> {
    let mut plan = Plan { operation, actions: Vec::with_capacity(writes.len()) };
    for (index, write) in writes.iter().enumerate() {
        match write {
            Write::Job(record) => plan.job(index, record)?,
            Write::RemoveJob(record) => plan.remove_job(index, record),
            Write::Run { run, expires_at } => plan.run(index, run, *expires_at)?,
            Write::Batch { batch, expires_at } => plan.batch(index, batch, *expires_at)?,
            Write::BatchPolled(batch) => plan.batch_row(index, batch, None)?,
            Write::Chunk { chunk, expires_at } => plan.chunk(index, chunk, *expires_at)?,
            Write::EndpointCall { call, expires_at } => plan.endpoint_call(index, call, *expires_at)?,
            Write::Shelf(shelf) => plan.shelf(index, shelf)?,
            Write::Sheet(sheet) => plan.sheet(index, sheet)?,
            Write::RemoveSheet { shelf, name, rev } => {
                let key = Key::sheet(shelf, name);
                plan.actions.push(Action::new(index, key, Change::Delete, Guard::Rev(*rev)));
            }
            Write::Event(event) => plan.event(index, event)?,
            Write::EventMoved(event) => plan.event_moved(index, event)?,
            Write::Session(change) => plan.session(index, change)?,
            Write::RemoveSession(session) => plan.remove_session(index, session),
            Write::HoldPlace { place, run } => plan.hold(index, *place, run)?,
            Write::FreePlace { place, run } => plan.free(index, *place, run),
            Write::Queue { run, since } => {
                let key = Key::waiter(*since, run);
                let row = pointer(&key, "waiter", run.as_str(), None);
                plan.put(index, key, Guard::None, &row)?;
            }
            Write::Unqueue { run, since } => {
                plan.actions.push(Action::new(index, Key::waiter(*since, run), Change::Delete, Guard::None));
            }
            Write::Stop(stop) => plan.stop(index, stop)?,
            Write::EndStop(stop) => {
                let key = Key::stop(&stop.provider);
                plan.actions.push(Action::new(index, key, Change::Delete, Guard::Rev(stop.rev)));
            }
            Write::Memo { memo, expires_at } => plan.memo(index, memo, *expires_at)?,
            Write::Window { window, expires_at } => plan.window(index, window, *expires_at)?,
            Write::Collect { window, run, bytes } => plan.collect(index, window, run, *bytes)?,
            Write::Uncollect { window, run } => {
                plan.actions.push(Action::new(index, Key::collected(window, run), Change::Delete, Guard::None));
            }
            Write::Purse(change) => plan.purse(index, change)?,
            Write::BeginPurse { purse, nano } => {
                let set = plan.attributes(&PurseRow::new(purse))?;
                let change = Change::Add { by: vec![(tally::NUMBER, *nano)], set };
                plan.actions.push(Action::new(index, Key::purse(purse), change, Guard::Vacant));
            }
            Write::Spend(spend) => plan.spend(index, spend)?,
            Write::Count { name, by } => plan.count(index, name, *by)?,
        }
    }
    check(operation, &plan.actions)?;
    Ok(plan.actions)
}

/// What a commit is about, for its error.
pub(crate) fn subject(writes: &[Write<'_>]) -> String {
    let first = match writes.first() {
        None => "nothing".to_owned(),
        Some(Write::Job(record)) => format!("job {}", record.job.job_id),
        Some(Write::RemoveJob(record)) => format!("the removal of job {}", record.job.job_id),
        Some(Write::Run { run, .. }) => format!("run {}", run.key),
        Some(Write::Batch { batch, .. } | Write::BatchPolled(batch)) => format!("batch {}", batch.id),
        Some(Write::Chunk { chunk, .. }) => format!("chunk {} of run {}", chunk.index, chunk.run),
        Some(Write::EndpointCall { call, .. }) => format!("call {} of run {}", call.id, call.run),
        Some(Write::Shelf(shelf)) => format!("the index of {}", shelf.id),
        Some(Write::Sheet(sheet)) => format!("a text of {}", sheet.shelf),
        Some(Write::RemoveSheet { shelf, .. }) => format!("the removal of a text of {shelf}"),
        Some(Write::Event(event) | Write::EventMoved(event)) => format!("event {}", event.id),
        Some(Write::Session(session::Change { session, .. })) => session_named(session),
        Some(Write::RemoveSession(session)) => format!("the removal of {}", session_named(session)),
        Some(Write::HoldPlace { place, run } | Write::FreePlace { place, run }) => {
            format!("place {place} of run {run}")
        }
        Some(Write::Queue { run, .. } | Write::Unqueue { run, .. }) => format!("the wait of run {run}"),
        Some(Write::Stop(stop)) => format!("the stop of provider {}", stop.provider),
        Some(Write::EndStop(stop)) => format!("the end of the stop of provider {}", stop.provider),
        Some(Write::Memo { memo, .. }) => format!("note {}", memo.name),
        Some(Write::Window { window, .. }) => format!("window {}", window.id),
        Some(Write::Collect { window, run, .. } | Write::Uncollect { window, run }) => {
            format!("the wait of run {run} in window {window}")
        }
        Some(Write::Purse(_) | Write::BeginPurse { .. }) => "a purse".to_owned(),
        Some(Write::Spend(spend)) => format!("the totals of {}", spend.of.day),
        Some(Write::Count { name, .. }) => format!("counter {name}"),
    };
    match writes.len() {
        0 | 1 => format!("write {first}"),
        many => format!("write {first} and {} more", many - 1),
    }
}

fn session_named(session: &Session) -> String {
    format!("session {} of agent {}", session.name, session.agent)
}

struct Plan<'a> {
    operation: &'a str,
    actions: Vec<Action>,
}

impl Plan<'_> {
    /// A declaration key is given when a job is added and never changes, so only the first write sets its pointer.
    fn job(&mut self, write: usize, record: &JobRecord) -> Result<(), StoreError> {
        let job = &record.job;
        let key = Key::job(&job.job_id);
        let mut row = self.record(&key, "job", record.rev, record)?;
        row.list = Some(keys::JOBS.to_owned());
        row.list_place = Some(keys::job_place(&job.name, &job.job_id));
        row.name = Some(job.name.clone());
        row.state = Some(if job.enabled { "enabled" } else { "disabled" }.to_owned());
        let next = job.state.next_run_at_ms.filter(|_| job.enabled).and_then(DateTime::from_timestamp_millis);
        row.set_due(next, || DueItem::Job(job.job_id.clone()));
        let now = Counted::of(job);
        row.counted = now.remark().map(str::to_owned);
        row.born = tally::born(record);
        // Most writes of a job leave its switch alone; where this one does not, the row itself says so.
        let before = if record.rev <= 1 { Counted::Nothing } else { now };
        let guard = match before {
            Counted::Nothing => Guard::Absent,
            Counted::Disabled | Counted::Enabled => Guard::Counted(Expected::new(record, record.rev - 1, before)),
        };
        self.put(write, key, guard, &row)?;
        self.recount(write, &job.job_id, before, now);
        if let (1, Some(declared)) = (record.rev, &job.declaration_key) {
            let key = Key::declaration(declared);
            let pointer = pointer(&key, "declaration", job.job_id.as_str(), None);
            self.put(write, key, Guard::Absent, &pointer)?;
        }
        Ok(())
    }

    fn remove_job(&mut self, write: usize, record: &JobRecord) {
        let id = &record.job.job_id;
        let before = Counted::of(&record.job);
        let guard = Guard::Counted(Expected::new(record, record.rev, before));
        self.actions.push(Action::new(write, Key::job(id), Change::Delete, guard));
        self.recount(write, id, before, Counted::Nothing);
        if let Some(declared) = &record.job.declaration_key {
            let guard = Guard::Target(id.as_str().to_owned());
            self.actions.push(Action::new(write, Key::declaration(declared), Change::Delete, guard));
        }
    }

    fn run(&mut self, write: usize, run: &Run, expires_at: Option<DateTime<Utc>>) -> Result<(), StoreError> {
        let key = Key::run(&run.key);
        let mut row = self.record(&key, "run", run.rev, run)?;
        row.list = Some(keys::day_partition(run.created_at.date_naive()));
        row.list_place = Some(format!("{}#{}", keys::instant(run.created_at), run.key));
        row.set_due(attention_at(run), || DueItem::Run(run.key.clone()));
        row.ttl = expires_at.map(|at| at.timestamp());
        row.name = Some(run.job_name.clone());
        row.state = Some(run.state.name().to_owned());
        self.put(write, key, Guard::before(run.rev), &row)
    }

    /// The provider's id leads to one batch of ours. A batch that only adopted the id yields to whoever is there: its write
    /// is lost. The batch that created it takes the pointer over. An id that proved to be another's is let go.
    fn batch(&mut self, write: usize, batch: &Batch, expires_at: Option<DateTime<Utc>>) -> Result<(), StoreError> {
        self.batch_row(write, batch, expires_at)?;
        if let Some(remote) = batch.state.remote() {
            let key = Key::remote(remote);
            let pointer = pointer(&key, "remote", batch.id.as_str(), expires_at.map(|at| at.timestamp()));
            let owned = matches!(batch.state, BatchState::Open { adopted: false, .. });
            let guard = if owned { Guard::None } else { Guard::Target(batch.id.as_str().to_owned()) };
            self.put(write, key, guard, &pointer)?;
        }
        // The pointer of a guess goes with the write that rejects it: the last. The others never had one, or lost it then.
        for remote in batch.rejected.last().into_iter().filter(|remote| batch.state.remote() != Some(remote)) {
            let guard = Guard::Target(batch.id.as_str().to_owned());
            let release = Action::new(write, Key::remote(remote), Change::Delete, guard);
            self.actions.push(Action { optional: true, ..release });
        }
        Ok(())
    }

    /// The batch's own row.
    fn batch_row(&mut self, write: usize, batch: &Batch, expires_at: Option<DateTime<Utc>>) -> Result<(), StoreError> {
        let key = Key::batch(&batch.id);
        let (state, settled) = match &batch.state {
            BatchState::Sealing { .. } => ("sealing", false),
            BatchState::Creating => ("creating", false),
            BatchState::Open { .. } => ("open", false),
            BatchState::Canceling { .. } => ("canceling", false),
            BatchState::Settled { .. } => ("settled", true),
        };
        let mut row = self.record(&key, "batch", batch.rev, batch)?;
        row.list = Some(keys::BATCHES.to_owned());
        row.list_place = Some(format!("{}#{}", keys::instant(batch.started_at), batch.id));
        row.set_due((!settled).then_some(batch.next_poll_at), || DueItem::Batch(batch.id.clone()));
        row.ttl = expires_at.map(|at| at.timestamp());
        row.name = Some(batch.provider.clone());
        row.state = Some(state.to_owned());
        self.put(write, key, Guard::before(batch.rev), &row)
    }

    fn window(&mut self, write: usize, window: &Window, expires_at: Option<DateTime<Utc>>) -> Result<(), StoreError> {
        let key = Key::window(&window.id);
        let mut row = self.record(&key, "window", window.rev, window)?;
        row.set_due(window.attention_at(), || DueItem::Window(window.id.clone()));
        row.ttl = expires_at.map(|at| at.timestamp());
        row.state = Some(if window.closed { "closed" } else { "open" }.to_owned());
        self.put(write, key, Guard::before(window.rev), &row)
    }

    /// It changes with its run only, whose condition is its own too.
    fn collect(&mut self, write: usize, window: &WindowId, run: &RunKey, bytes: u64) -> Result<(), StoreError> {
        let key = Key::collected(window, run);
        let row = self.record(&key, "collected", 1, &Collected { run: run.clone(), bytes })?;
        self.put(write, key, Guard::None, &row)
    }

    fn chunk(&mut self, write: usize, chunk: &Chunk, expires_at: DateTime<Utc>) -> Result<(), StoreError> {
        let key = Key::chunk(&chunk.run, &chunk.origin, chunk.index);
        let mut row = self.record(&key, "chunk", chunk.rev, chunk)?;
        let state = match &chunk.state {
            ChunkState::Planned => "planned",
            ChunkState::Sending { .. } => "sending",
            ChunkState::Sent { .. } => "sent",
            ChunkState::Failed { .. } => "failed",
            ChunkState::Refused { .. } => "refused",
            ChunkState::Unknown { .. } => "unknown",
        };
        row.ttl = Some(expires_at.timestamp());
        row.state = Some(state.to_owned());
        self.put(write, key, Guard::before(chunk.rev), &row)
    }

    fn endpoint_call(
        &mut self,
        write: usize,
        call: &EndpointCall,
        expires_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let key = Key::endpoint_call(&call.run, &call.id);
        let mut row = self.record(&key, "call", call.rev, call)?;
        let state = match &call.state {
            CallState::Asked => "asked",
            CallState::Started { .. } => "started",
            CallState::Done { .. } => "done",
        };
        row.ttl = Some(expires_at.timestamp());
        row.name = Some(call.tool.clone());
        row.state = Some(state.to_owned());
        self.put(write, key, Guard::before(call.rev), &row)
    }

    fn shelf(&mut self, write: usize, index: &Shelf) -> Result<(), StoreError> {
        let key = Key::shelf(&index.id);
        let row = self.record(&key, "shelf", index.rev, index)?;
        self.put(write, key, Guard::before(index.rev), &row)
    }

    fn sheet(&mut self, write: usize, sheet: &Sheet) -> Result<(), StoreError> {
        let key = Key::sheet(&sheet.shelf, &sheet.name);
        let mut row = self.record(&key, "sheet", sheet.rev, sheet)?;
        row.name = Some(sheet.name.clone());
        self.put(write, key, Guard::before(sheet.rev), &row)
    }

    /// Exchanges change with their session only, so its condition is theirs.
    fn session(&mut self, write: usize, change: &session::Change) -> Result<(), StoreError> {
        let session::Change { session, put, drop } = change;
        let key = Key::session(&session.agent, &session.name);
        let mut row = self.record(&key, "session", session.rev, session)?;
        row.name = Some(session.name.clone());
        row.state = Some(if session.holder.is_some() { "held" } else { "free" }.to_owned());
        self.put(write, key, Guard::before(session.rev), &row)?;
        if let Some(exchange) = put {
            let key = Key::exchange(&session.agent, &session.name, exchange.n);
            let row = self.record(&key, "exchange", 1, exchange)?;
            self.put(write, key, Guard::None, &row)?;
        }
        self.drop_exchanges(write, session, drop.iter().copied());
        Ok(())
    }

    fn remove_session(&mut self, write: usize, session: &Session) {
        let key = Key::session(&session.agent, &session.name);
        self.actions.push(Action::new(write, key, Change::Delete, Guard::Rev(session.rev)));
        self.drop_exchanges(write, session, session.kept.iter().map(|kept| kept.n));
    }

    fn drop_exchanges(&mut self, write: usize, session: &Session, numbers: impl Iterator<Item = u64>) {
        let key = |n| Key::exchange(&session.agent, &session.name, n);
        self.actions.extend(numbers.map(|n| Action::new(write, key(n), Change::Delete, Guard::None)));
    }

    fn event(&mut self, write: usize, event: &SystemEvent) -> Result<(), StoreError> {
        let key = Key::event(&event.agent, &event.id);
        let mut row = self.record(&key, "event", 1, event)?;
        row.ttl = Some(event.expires_at.timestamp());
        let attributes = self.attributes(&row)?;
        self.actions.push(Action::new(write, key, Change::Ensure(attributes), Guard::None));
        Ok(())
    }

    /// Its condition is that of the run, or of the session, which it is written with.
    fn event_moved(&mut self, write: usize, event: &SystemEvent) -> Result<(), StoreError> {
        let key = Key::event(&event.agent, &event.id);
        let mut row = self.record(&key, "event", 1, event)?;
        row.ttl = Some(event.expires_at.timestamp());
        self.put(write, key, Guard::None, &row)
    }

    /// The guard holds for the run that has the place already, so that a repeat goes through.
    fn hold(&mut self, write: usize, place: u32, run: &RunKey) -> Result<(), StoreError> {
        if place >= MOST_PLACES {
            return Err(refused(self.operation, Unsendable::NoSuchPlace { place }));
        }
        let key = Key::place(place);
        let row = pointer(&key, "place", run.as_str(), None);
        self.put(write, key, Guard::Target(run.as_str().to_owned()), &row)
    }

    fn free(&mut self, write: usize, place: u32, run: &RunKey) {
        let guard = Guard::Target(run.as_str().to_owned());
        let free = Action::new(write, Key::place(place), Change::Delete, guard);
        self.actions.push(Action { optional: true, ..free });
    }

    fn stop(&mut self, write: usize, stop: &Stop) -> Result<(), StoreError> {
        let key = Key::stop(&stop.provider);
        let mut row = self.record(&key, "stop", stop.rev, stop)?;
        row.ttl = Some(stop.expires_at().timestamp());
        row.name = Some(stop.provider.clone());
        self.put(write, key, Guard::before(stop.rev), &row)
    }

    fn memo(&mut self, write: usize, memo: &Memo, expires_at: Option<DateTime<Utc>>) -> Result<(), StoreError> {
        let key = Key::memo(&memo.name);
        let mut row = self.record(&key, "memo", memo.rev, memo)?;
        row.ttl = expires_at.map(|at| at.timestamp());
        self.put(write, key, Guard::before(memo.rev), &row)
    }

    fn count(&mut self, write: usize, name: &str, by: i64) -> Result<(), StoreError> {
        if !is_counter_name(name) {
            return Err(refused(self.operation, Unsendable::NoCounter { name: name.to_owned() }));
        }
        tally::add(&mut self.actions, write, Key::counter(name), [(tally::NUMBER, by)], Attributes::new());
        Ok(())
    }

    /// A purse that stands has its number; one that does not is not made by taking out of it.
    fn purse(&mut self, write: usize, change: &budget::Change) -> Result<(), StoreError> {
        let guard = match change.most {
            Some(most) => Guard::AtMost(i64::try_from(most).unwrap_or(i64::MAX).saturating_sub(change.by)),
            None => Guard::None,
        };
        let set = self.attributes(&PurseRow::new(&change.purse))?;
        let add = Change::Add { by: vec![(tally::NUMBER, change.by)], set };
        self.actions.push(Action::new(write, Key::purse(&change.purse), add, guard));
        Ok(())
    }

    fn spend(&mut self, write: usize, spend: &Spend) -> Result<(), StoreError> {
        let totals = spend.totals.named().into_iter().filter(|(_, by)| *by != 0);
        let row = SpendRow::new(spend);
        let set = self.attributes(&row)?;
        tally::add(&mut self.actions, write, Key::spend(&spend.of), totals, set);
        Ok(())
    }

    fn recount(&mut self, write: usize, id: &JobId, before: Counted, after: Counted) {
        let counter = Key::jobs(keys::tally_shard(id));
        tally::recount(&mut self.actions, write, counter, before, after);
    }

    fn record(&self, key: &Key, kind: &str, rev: u64, record: &impl Serialize) -> Result<Record, StoreError> {
        let doc = serde_json::to_string(record).map_err(|error| refused(self.operation, error))?;
        Ok(new_record(key, kind, rev, doc))
    }

    fn put(&mut self, write: usize, key: Key, guard: Guard, row: &impl Serialize) -> Result<(), StoreError> {
        let change = Change::Put(self.attributes(row)?);
        self.actions.push(Action::new(write, key, change, guard));
        Ok(())
    }

    fn attributes(&self, row: &impl Serialize) -> Result<Attributes, StoreError> {
        attributes(self.operation, row)
    }
}

/// A transaction takes so many rows, and each once.
pub(crate) fn check(operation: &str, actions: &[Action]) -> Result<(), StoreError> {
    let count = actions.len();
    if count > MOST_ACTIONS {
        return Err(refused(operation, Unsendable::TooMany { count }));
    }
    let mut seen = std::collections::HashSet::new();
    for Key { pk, sk } in actions.iter().map(|action| &action.key) {
        if !seen.insert((pk, sk)) {
            return Err(refused(operation, Unsendable::Twice { pk: pk.clone(), sk: sk.clone() }));
        }
    }
    Ok(())
}

impl Record {
    fn set_due(&mut self, at: Option<DateTime<Utc>>, what: impl FnOnce() -> DueItem) {
        if let Some(at) = at {
            let (partition, place) = keys::due(&what(), at);
            (self.due, self.due_place) = (Some(partition), Some(place));
        }
    }
}

/// A row in no list.
pub(crate) fn new_record(key: &Key, kind: &str, rev: u64, doc: String) -> Record {
    Record {
        pk: key.pk.clone(),
        sk: key.sk.clone(),
        list: None,
        list_place: None,
        due: None,
        due_place: None,
        kind: kind.to_owned(),
        v: ITEM_VERSION,
        rev,
        ttl: None,
        name: None,
        state: None,
        counted: None,
        born: None,
        doc,
    }
}

/// A row as attributes; one that DynamoDB would refuse for its size is refused here, clearly.
pub(crate) fn attributes(operation: &str, row: &impl Serialize) -> Result<Attributes, StoreError> {
    let attributes: Attributes = to_item(row).map_err(|error| refused(operation, error))?;
    let bytes = size_bytes(&attributes);
    if bytes > ITEM_LIMIT_BYTES {
        return Err(refused(operation, Unsendable::TooLarge { bytes, limit: ITEM_LIMIT_BYTES }));
    }
    Ok(attributes)
}

fn pointer(key: &Key, kind: &str, target: &str, ttl: Option<i64>) -> Pointer {
    Pointer {
        pk: key.pk.clone(),
        sk: key.sk.clone(),
        kind: kind.to_owned(),
        v: ITEM_VERSION,
        ttl,
        target: target.to_owned(),
    }
}
