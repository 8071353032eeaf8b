//! The order of the in-memory lists, and their cursors.

use std::cmp::Ordering;

use nightshift_domain::JobId;
use nightshift_domain::batch::{Collected, WindowId};
use nightshift_domain::cost::Spend;
use nightshift_domain::ids::slot_text;
use nightshift_domain::job::JobRecord;
use nightshift_domain::run::Run;
use nightshift_domain::session::Session;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::Value;

use super::rows::{Place, Row, Rows, fault};
use crate::ports::{DueItem, Overview, Page, PageRequest, RunFilter, StoreError, StoreErrorKind, cron_enabled, shares};

/// Most rows of a page.
const MOST: u32 = 200;

impl Rows {
    pub(super) fn jobs(&self, now: i64, page: &PageRequest) -> Result<Page<JobRecord>, StoreError> {
        let operation = "list jobs";
        let mut jobs = Vec::new();
        for row in self.visible(now).filter_map(|(place, row)| matches!(place, Place::Job(_)).then_some(row)) {
            let record: JobRecord = row.read(operation)?;
            jobs.push((format!("{}#{}", record.job.name.to_lowercase(), record.job.job_id), record));
        }
        jobs.sort_by(|one, other| one.0.cmp(&other.0));
        cut(operation, "jobs", jobs, page)
    }

    pub(super) fn runs(&self, now: i64, filter: &RunFilter, page: &PageRequest) -> Result<Page<Run>, StoreError> {
        let operation = "list runs";
        let mut runs = Vec::new();
        for (place, row) in self.visible(now) {
            let Place::Run(key) = place else { continue };
            if matches!(filter, RunFilter::OfJob(job) if key.job_id() != *job) {
                continue;
            }
            let run: Run = row.read(operation)?;
            match filter {
                RunFilter::OfJob(job) if key.job_id() == *job => {
                    runs.push((format!("{}#{key}", slot_text(key.slot())), run));
                }
                RunFilter::OfDay(day) if run.created_at.date_naive() == *day => {
                    runs.push((format!("{}#{key}", instant(run.created_at)), run));
                }
                RunFilter::OfJob(_) | RunFilter::OfDay(_) => {}
            }
        }
        runs.sort_by(|one, other| other.0.cmp(&one.0));
        let list = match filter {
            RunFilter::OfJob(job) => format!("runs of {job}"),
            RunFilter::OfDay(day) => format!("runs of {day}"),
        };
        cut(operation, &list, runs, page)
    }

    pub(super) fn sessions(&self, now: i64, agent: &str, page: &PageRequest) -> Result<Page<Session>, StoreError> {
        let operation = "list sessions";
        let mut sessions = Vec::new();
        for (place, row) in self.visible(now) {
            if let Place::Session(of, name) = place
                && of == agent
            {
                sessions.push((name.clone(), row.read(operation)?));
            }
        }
        cut(operation, &format!("sessions of {agent}"), sessions, page)
    }

    pub(super) fn collected(&self, id: &WindowId, page: &PageRequest) -> Result<Page<Collected>, StoreError> {
        let here = self.collected.iter().filter(|((window, _), _)| window == id);
        let rows = here.map(|((_, run), bytes)| (run.to_string(), Collected { run: run.clone(), bytes: *bytes }));
        cut("list the runs in a window", &format!("window {id}"), rows.collect(), page)
    }

    pub(super) fn spending(
        &self,
        day: NaiveDate,
        job: Option<&JobId>,
        page: &PageRequest,
    ) -> Result<Page<Spend>, StoreError> {
        let here = self.spending.iter().filter(|(of, _)| of.day == day);
        let here = here.filter(|(of, _)| job.is_none_or(|job| of.job_id == job.as_str()));
        let rows = here.map(|(of, (job_name, totals))| {
            let place = format!("{}#{}#{}#{}", of.job_id, of.agent_id, of.model, of.path);
            (place, Spend { of: of.clone(), job_name: job_name.clone(), totals: *totals })
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|one, other| one.0.cmp(&other.0));
        cut("list the totals of a day", &format!("totals of {day}"), rows, page)
    }

    pub(super) fn due(&self, now: i64, before: DateTime<Utc>, limit: u32) -> Vec<DueItem> {
        let (mut runs, mut batches, mut jobs, mut windows) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        // The index keeps no more of an instant than the real table's: to the millisecond, before the kind and the id.
        for (place, row) in self.visible(now) {
            let Some(at) = row.due.filter(|at| *at <= before) else { continue };
            match place {
                Place::Run(key) => runs.push((instant(at), DueItem::Run(key.clone()))),
                Place::Batch(id) => batches.push((instant(at), DueItem::Batch(id.clone()))),
                Place::Job(id) => jobs.push((instant(at), DueItem::Job(id.clone()))),
                Place::Window(id) => windows.push((instant(at), DueItem::Window(id.clone()))),
                Place::Chunk(..)
                | Place::EndpointCall(..)
                | Place::Shelf(_)
                | Place::Sheet(..)
                | Place::Session(..)
                | Place::Exchange(..)
                | Place::Stop(_)
                | Place::Memo(_) => {}
            }
        }
        let before = instant(before);
        // As the real table has it: by instant, kind and id.
        let kinds = [("RUN", runs), ("BATCH", batches), ("JOB", jobs), ("WIN", windows)].map(|(word, kind)| {
            let due = kind.into_iter().map(|(at, item)| Due { place: format!("{at}#{word}#{}", id(&item)), item });
            due.filter(|due| due.place < before).collect()
        });
        shares(kinds.into(), limit as usize).into_iter().map(|due| due.item).collect()
    }

    /// Gives a row that is due before `before` another place in the due index.
    pub(super) fn put_back(&mut self, what: &DueItem, before: DateTime<Utc>, until: DateTime<Utc>) {
        let Some(row) = self.records.get_mut(&place_of(what)) else { return };
        if row.due.is_some_and(|at| at < before) {
            row.due = Some(until);
        }
    }

    /// Makes a row one that cannot be read, and leaves its place in the due index.
    pub(super) fn spoil(&mut self, what: &DueItem) {
        let Some(row) = self.records.get_mut(&place_of(what)) else { return };
        "{".clone_into(&mut row.text);
    }

    /// Counted anew each time, which is what the real table's counts must come to.
    pub(super) fn overview(&self, now: i64) -> Result<Overview, StoreError> {
        let operation = "read the counters";
        let (revision, document) = self.config(operation)?;
        let mut overview = Overview {
            cron_enabled: cron_enabled(&document),
            jobs: 0,
            enabled_jobs: 0,
            running: self.places.len() as u64,
            next_run_at: None,
            config_revision: revision,
            counters: self.counters.iter().map(|(name, count)| (name.clone(), *count)).collect(),
            stops: Vec::new(),
        };
        for (_, row) in self.records.iter().filter(|(place, _)| matches!(place, Place::Job(_))) {
            let record: JobRecord = row.read(operation)?;
            overview.jobs += 1;
            overview.enabled_jobs += u64::from(record.job.enabled);
            overview.next_run_at = [overview.next_run_at, next_run_at(&record)].into_iter().flatten().min();
        }
        for (_, row) in self.visible(now).filter(|(place, _)| matches!(place, Place::Stop(_))) {
            overview.stops.push(row.read(operation)?);
        }
        Ok(overview)
    }

    pub(super) fn config(&self, operation: &str) -> Result<(u64, Value), StoreError> {
        let Some((revision, text)) = &self.config else { return Ok((0, Value::Null)) };
        let read = serde_json::from_str(text);
        Ok((*revision, read.map_err(|error| fault(operation, StoreErrorKind::Corrupt, error))?))
    }

    pub(super) fn expire_runs(&mut self, job: &JobId, before: &str, at: i64) -> Result<u64, StoreError> {
        let mut touched = 0;
        for (place, row) in &mut self.records {
            let Place::Run(key) = place else { continue };
            let old = key.job_id() == *job && slot_text(key.slot()).as_str() < before;
            if old && row.ttl.is_none_or(|ttl| ttl > at) {
                let run: Run = row.read("let old runs expire")?;
                if run.state.is_terminal() {
                    row.ttl = Some(at);
                    touched += 1;
                }
            }
        }
        Ok(touched)
    }

    fn visible(&self, now: i64) -> impl Iterator<Item = (&Place, &Row)> {
        self.records.iter().filter(move |(_, row)| row.is_visible(now))
    }
}

/// Something due, at its place in the index.
#[derive(Debug, PartialEq, Eq)]
struct Due {
    place: String,
    item: DueItem,
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.cmp(&other.place)
    }
}

fn id(item: &DueItem) -> &str {
    match item {
        DueItem::Run(key) => key.as_str(),
        DueItem::Batch(id) => id.as_str(),
        DueItem::Job(id) => id.as_str(),
        DueItem::Window(id) => id.as_str(),
    }
}

fn place_of(item: &DueItem) -> Place {
    match item {
        DueItem::Run(key) => Place::Run(key.clone()),
        DueItem::Batch(id) => Place::Batch(id.clone()),
        DueItem::Job(id) => Place::Job(id.clone()),
        DueItem::Window(id) => Place::Window(id.clone()),
    }
}

/// When a job runs next, if it does.
pub(super) fn next_run_at(record: &JobRecord) -> Option<DateTime<Utc>> {
    let at = record.job.state.next_run_at_ms.filter(|_| record.job.enabled);
    at.and_then(DateTime::from_timestamp_millis)
}

/// The page after the cursor. A cursor holds its list and the place of the last row given.
fn cut<T>(operation: &str, list: &str, rows: Vec<(String, T)>, page: &PageRequest) -> Result<Page<T>, StoreError> {
    let bad = || StoreError { operation: operation.to_owned(), kind: StoreErrorKind::BadCursor, source: None };
    let mut from = 0;
    if let Some(cursor) = &page.cursor {
        let (of, place) = cursor.split_once('|').ok_or_else(bad)?;
        if of != list {
            return Err(bad());
        }
        // The row itself may be gone by now; then the page begins at its successor in the list's order.
        let newest_first = list.starts_with("runs of ");
        let after = |candidate: &str| if newest_first { candidate < place } else { candidate > place };
        from = rows.iter().position(|(candidate, _)| after(candidate)).unwrap_or(rows.len());
    }
    let limit = page.limit.clamp(1, MOST) as usize;
    let next = rows.get(from..).filter(|rest| rest.len() > limit).map(|rest| format!("{list}|{}", rest[limit - 1].0));
    Ok(Page { items: rows.into_iter().skip(from).take(limit).map(|(_, item)| item).collect(), next })
}

/// An instant as text that sorts, to the millisecond like the real table's.
fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
