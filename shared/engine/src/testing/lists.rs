//! The order of the in-memory lists, and their cursors.

use nightshift_domain::batch::{Batch, BatchState};
use nightshift_domain::ids::slot_text;
use nightshift_domain::job::JobRecord;
use nightshift_domain::run::{Run, attention_at};

use chrono::{DateTime, SecondsFormat, Utc};

use super::rows::{Place, Row, Rows};
use crate::ports::{DueItem, Page, PageRequest, RunFilter, StoreError, StoreErrorKind};

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

    pub(super) fn due(&self, now: i64, before: DateTime<Utc>, limit: u32) -> Result<Vec<DueItem>, StoreError> {
        let operation = "list what is due";
        let mut due = Vec::new();
        for (place, row) in self.visible(now) {
            let found = match place {
                Place::Run(key) => {
                    let run: Run = row.read(operation)?;
                    attention_at(&run).map(|at| (format!("{}#RUN#{key}", instant(at)), DueItem::Run(key.clone())))
                }
                Place::Batch(id) => {
                    let batch: Batch = row.read(operation)?;
                    let open = !matches!(batch.state, BatchState::Settled { .. });
                    open.then(|| (format!("{}#BATCH#{id}", instant(batch.next_poll_at)), DueItem::Batch(id.clone())))
                }
                Place::Job(_) | Place::Chunk(..) => None,
            };
            due.extend(found);
        }
        let before = instant(before);
        due.retain(|(place, _)| *place < before);
        due.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(due.into_iter().map(|(_, item)| item).take(limit as usize).collect())
    }

    fn visible(&self, now: i64) -> impl Iterator<Item = (&Place, &Row)> {
        self.records.iter().filter(move |(_, row)| row.is_visible(now))
    }
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
        let newest_first = list != "jobs";
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
