//! A batch and what time does to it. Nothing here runs by itself: every question is asked with an instant.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::bill::{Bill, Tokens};
use crate::ids::{hash, mix};
use crate::reply::{Outcome, Spoken, Turn};
use crate::script::CancelKeeps;

/// A batch ends at the latest this long after its creation (docs page "batch-processing", 2026-10-01).
pub(crate) const EXPIRY: TimeDelta = TimeDelta::hours(24);
/// Results can be fetched for this long after creation, not after the end (docs page "batch-processing", 2026-10-01).
const ARCHIVE: TimeDelta = TimeDelta::days(29);

/// A batch as it was created, plus its cancellation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) id: String,
    pub(crate) workspace: String,
    pub(crate) created_at: DateTime<Utc>,
    duration_ms: u64,
    cancel: Option<Cancel>,
    #[serde(with = "shared_rows")]
    rows: Arc<Vec<Row>>,
}

/// Rows are written as a plain list.
mod shared_rows {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Row;

    pub(super) fn serialize<S: Serializer>(rows: &Arc<Vec<Row>>, to: S) -> Result<S::Ok, S::Error> {
        rows.as_ref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Vec<Row>>, D::Error> {
        Vec::deserialize(from).map(Arc::new)
    }
}

/// A cancellation, with the script's settings of that moment.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Cancel {
    pub(crate) at: DateTime<Utc>,
    pub(crate) duration_ms: u64,
    pub(crate) keeps: CancelKeeps,
}

/// One request of a batch and the result it gets if nothing comes between.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) custom_id: String,
    pub(crate) planned: Planned,
}

/// The end of a row, as JSON where the client sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Planned {
    Succeeded {
        model: String,
        message: Box<RawValue>,
        tokens: Tokens,
    },
    Errored {
        error: Box<RawValue>,
    },
    Canceled,
    Expired,
    /// The model has called MCP tools. They are called once the batch is due to end, and it ends when they have answered.
    Looping {
        turn: Box<Turn>,
        request_id: String,
        /// The calls have begun. Whoever finds it so after a restart does not make them again.
        begun: bool,
    },
}

impl Planned {
    fn is_open(&self) -> bool {
        matches!(self, Self::Looping { .. })
    }

    pub(crate) fn of(outcome: Outcome, request_id: &str) -> Self {
        // A value has no part that JSON cannot write, so the `null` is never seen.
        let raw = |value: &Value| to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned());
        match outcome {
            Outcome::Message(spoken) => {
                let Spoken { model, message, tokens, .. } = *spoken;
                Self::Succeeded { model, message: raw(&message), tokens }
            }
            Outcome::Error(error) => Self::Errored { error: raw(&error.body(request_id)) },
            Outcome::Expired => Self::Expired,
            Outcome::Canceled => Self::Canceled,
        }
    }
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    InProgress,
    Canceling,
    Ended,
}

/// How rows ended when the batch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    AsPlanned,
    Canceled(CancelKeeps),
    Expired,
}

impl Batch {
    pub(crate) fn new(
        id: String,
        workspace: String,
        created_at: DateTime<Utc>,
        duration_ms: u64,
        rows: Vec<Row>,
    ) -> Self {
        Self { id, workspace, created_at, duration_ms, cancel: None, rows: Arc::new(rows) }
    }

    /// Books a cancellation; the first one counts.
    pub(crate) fn cancel(&mut self, cancel: Cancel) {
        self.cancel.get_or_insert(cancel);
    }

    /// When its rows are read, if nobody cancels it.
    pub(crate) fn read_at(&self) -> DateTime<Utc> {
        after(self.created_at, self.duration_ms)
    }

    fn expires_at(&self) -> DateTime<Utc> {
        self.created_at + EXPIRY
    }

    fn archives_at(&self) -> DateTime<Utc> {
        self.created_at + ARCHIVE
    }

    pub(crate) fn archived(&self, now: DateTime<Utc>) -> bool {
        now >= self.archives_at()
    }

    /// When the batch ends and how. A cancellation decides both, but for the 24 hours.
    fn ending(&self) -> (DateTime<Utc>, Ending) {
        let (end, ending) = match self.cancel {
            Some(cancel) => (after(cancel.at, cancel.duration_ms), Ending::Canceled(cancel.keeps)),
            None => (after(self.created_at, self.duration_ms), Ending::AsPlanned),
        };
        if end < self.expires_at() { (end, ending) } else { (self.expires_at(), Ending::Expired) }
    }

    pub(crate) fn status(&self, now: DateTime<Utc>) -> Status {
        if now >= self.ending().0 && !self.final_rows().any(Planned::is_open) {
            Status::Ended
        } else if self.cancel.is_some() {
            Status::Canceling
        } else {
            Status::InProgress
        }
    }

    fn final_row<'a>(&self, index: usize, row: &'a Row) -> &'a Planned {
        match self.ending().1 {
            Ending::AsPlanned | Ending::Canceled(CancelKeeps::All) => &row.planned,
            Ending::Canceled(CancelKeeps::First) if index == 0 => &row.planned,
            Ending::Canceled(CancelKeeps::First | CancelKeeps::None) => &Planned::Canceled,
            Ending::Expired => &Planned::Expired,
        }
    }

    fn final_rows(&self) -> impl Iterator<Item = &Planned> {
        self.rows.iter().enumerate().map(|(index, row)| self.final_row(index, row))
    }

    /// A row whose MCP calls are due, with its place: the batch is, and nothing ended the row otherwise.
    pub(crate) fn due_loop(&self, now: DateTime<Utc>) -> Option<(usize, &Planned)> {
        let due = now >= self.ending().0;
        due.then(|| self.final_rows().enumerate().find(|row| row.1.is_open())).flatten()
    }

    /// The MCP calls of a row are about to be made.
    pub(crate) fn begin_loop(&mut self, index: usize) {
        if let Some(Row { planned: Planned::Looping { begun, .. }, .. }) = Arc::make_mut(&mut self.rows).get_mut(index)
        {
            *begun = true;
        }
    }

    /// The MCP calls of a row have led to its end.
    pub(crate) fn end_loop(&mut self, index: usize, planned: Planned) {
        if let Some(row) = Arc::make_mut(&mut self.rows).get_mut(index) {
            row.planned = planned;
        }
    }

    /// The `MessageBatch` object (Python SDK 2.11.0): every field is there, and the counts stay in `processing` until
    /// the whole batch has ended.
    pub(crate) fn object(&self, now: DateTime<Utc>, base_url: &str) -> Value {
        let status = self.status(now);
        let ended = status == Status::Ended;
        let (mut processing, mut succeeded, mut errored, mut canceled, mut expired) = (0, 0, 0, 0, 0);
        if ended {
            for planned in self.final_rows() {
                match planned {
                    Planned::Succeeded { .. } => succeeded += 1,
                    Planned::Errored { .. } => errored += 1,
                    Planned::Canceled => canceled += 1,
                    Planned::Expired => expired += 1,
                    // A batch has not ended while a row is like this.
                    Planned::Looping { .. } => processing += 1,
                }
            }
        } else {
            processing = self.rows.len();
        }
        let results_url = format!("{}/v1/messages/batches/{}/results", base_url.trim_end_matches('/'), self.id);
        json!({
            "id": self.id,
            "type": "message_batch",
            "processing_status": match status {
                Status::InProgress => "in_progress",
                Status::Canceling => "canceling",
                Status::Ended => "ended",
            },
            "request_counts": {
                "processing": processing, "succeeded": succeeded, "errored": errored,
                "canceled": canceled, "expired": expired,
            },
            "created_at": rfc3339(self.created_at),
            "expires_at": rfc3339(self.expires_at()),
            "ended_at": ended.then(|| rfc3339(self.ending().0)),
            "cancel_initiated_at": self.cancel.map(|cancel| rfc3339(cancel.at)),
            "archived_at": self.archived(now).then(|| rfc3339(self.archives_at())),
            "results_url": ended.then_some(results_url),
        })
    }

    /// The results, in an order that is not the one of the requests but the same at every read.
    pub(crate) fn results(&self) -> ResultLines {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        let seed = hash(self.id.as_bytes());
        order.sort_by_cached_key(|index| mix(seed ^ *index as u64));
        if order.len() > 1 && order.is_sorted() {
            order.reverse();
        }
        ResultLines { batch: self.clone(), order: order.into_iter() }
    }

    /// Adds what the batch cost; nothing before its end.
    pub(crate) fn bill(&self, now: DateTime<Utc>, bill: &mut Bill) {
        if self.status(now) != Status::Ended {
            return;
        }
        for planned in self.final_rows() {
            match planned {
                Planned::Succeeded { model, tokens, .. } => bill.batch.entry(model.clone()).or_default().add(*tokens),
                Planned::Errored { .. } | Planned::Canceled | Planned::Expired | Planned::Looping { .. } => {}
            }
        }
    }
}

/// Result lines, made one by one. Holds the rows, so that a delete while they are sent does no harm.
#[derive(Debug)]
pub(crate) struct ResultLines {
    batch: Batch,
    order: std::vec::IntoIter<usize>,
}

impl Iterator for ResultLines {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let index = self.order.next()?;
        let row = self.batch.rows.get(index)?;
        let result = match self.batch.final_row(index, row) {
            Planned::Succeeded { message, .. } => format!(r#"{{"type":"succeeded","message":{}}}"#, message.get()),
            Planned::Errored { error } => format!(r#"{{"type":"errored","error":{}}}"#, error.get()),
            Planned::Canceled => r#"{"type":"canceled"}"#.to_owned(),
            Planned::Expired | Planned::Looping { .. } => r#"{"type":"expired"}"#.to_owned(),
        };
        // A custom_id needs no escapes: letters, digits, `_` and `-`.
        Some(Bytes::from(format!("{{\"custom_id\":\"{}\",\"result\":{result}}}\n", row.custom_id)))
    }
}

/// `start` plus milliseconds; far beyond the calendar it stays at its end.
pub(crate) fn after(start: DateTime<Utc>, ms: u64) -> DateTime<Utc> {
    let step = i64::try_from(ms).ok().and_then(TimeDelta::try_milliseconds);
    step.and_then(|step| start.checked_add_signed(step)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// RFC 3339 with microseconds, as the API writes instants.
fn rfc3339(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_219_200, 123_456_000).unwrap()
    }

    fn batch(duration_ms: u64) -> Batch {
        let rows = (0..20).map(|n| Row { custom_id: format!("r{n}"), planned: planned(n) }).collect();
        Batch::new("msgbatch_01x".to_owned(), "w".to_owned(), start(), duration_ms, rows)
    }

    fn planned(n: usize) -> Planned {
        let raw = || RawValue::from_string("{}".to_owned()).unwrap();
        match n {
            0..17 => Planned::Succeeded {
                model: "m".to_owned(),
                message: raw(),
                tokens: Tokens { messages: 1, output_tokens: 2, ..Tokens::default() },
            },
            17 => Planned::Errored { error: raw() },
            18 => Planned::Canceled,
            _ => Planned::Expired,
        }
    }

    fn counts(batch: &Batch, now: DateTime<Utc>) -> Value {
        batch.object(now, "http://x")["request_counts"].clone()
    }

    #[test]
    fn counts_stay_in_processing_until_the_end_and_sum_to_the_requests() {
        let batch = batch(1000);
        let before = batch.object(start() + TimeDelta::milliseconds(999), "http://x/");
        assert_eq!(before["processing_status"], "in_progress");
        assert_eq!(
            before["request_counts"],
            json!({"processing":20,"succeeded":0,"errored":0,"canceled":0,"expired":0})
        );
        for field in ["ended_at", "cancel_initiated_at", "archived_at", "results_url"] {
            assert_eq!(before.get(field), Some(&Value::Null), "{field}");
        }
        let after = batch.object(start() + TimeDelta::milliseconds(1000), "http://x/");
        assert_eq!(after["processing_status"], "ended");
        assert_eq!(
            after["request_counts"],
            json!({"processing":0,"succeeded":17,"errored":1,"canceled":1,"expired":1})
        );
        assert_eq!(after["results_url"], "http://x/v1/messages/batches/msgbatch_01x/results");
        assert_eq!(after["created_at"], "2026-11-21T00:00:00.123456Z");
        assert_eq!(after["expires_at"], "2026-11-22T00:00:00.123456Z");
        assert_eq!(after["ended_at"], "2026-11-21T00:00:01.123456Z");
    }

    #[test]
    fn a_batch_longer_than_a_day_expires_unbilled() {
        let batch = batch(200_000_000);
        let now = start() + EXPIRY;
        assert_eq!(batch.status(now - TimeDelta::milliseconds(1)), Status::InProgress);
        assert_eq!(counts(&batch, now)["expired"], 20);
        let mut bill = Bill::default();
        batch.bill(now, &mut bill);
        assert_eq!(bill, Bill::default());
    }

    #[test]
    fn a_cancelled_batch_goes_through_canceling_and_keeps_what_it_is_told() {
        for (keeps, succeeded) in [(CancelKeeps::None, 0), (CancelKeeps::First, 1), (CancelKeeps::All, 17)] {
            let mut batch = batch(60_000);
            let at = start() + TimeDelta::seconds(59);
            batch.cancel(Cancel { at, duration_ms: 30_000, keeps });
            assert_eq!(batch.status(at + TimeDelta::seconds(29)), Status::Canceling);
            let now = at + TimeDelta::seconds(30);
            assert_eq!(batch.status(now), Status::Ended);
            assert_eq!(counts(&batch, now)["succeeded"], succeeded, "{keeps:?}");
            let mut bill = Bill::default();
            batch.bill(now, &mut bill);
            assert_eq!(bill.batch.get("m").map_or(0, |tokens| tokens.messages), succeeded, "{keeps:?}");
        }
    }

    #[test]
    fn results_are_shuffled_the_same_way_every_time_and_complete() {
        let read = || batch(0).results().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect::<Vec<_>>();
        let lines = read();
        assert_eq!(lines, read());
        let ids: Vec<String> = lines
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["custom_id"].as_str().unwrap().to_owned())
            .collect();
        let written: Vec<String> = (0..20).map(|n| format!("r{n}")).collect();
        assert_ne!(ids, written);
        let mut sorted = ids.clone();
        sorted.sort_by_key(|id| written.iter().position(|other| other == id));
        assert_eq!(sorted, written);
        assert!(lines.iter().all(|line| line.ends_with("}\n")));
    }

    #[test]
    fn results_are_archived_29_days_after_creation() {
        let batch = batch(0);
        assert!(!batch.archived(start() + ARCHIVE - TimeDelta::milliseconds(1)));
        assert_eq!(batch.object(start() + ARCHIVE, "")["archived_at"], "2026-12-20T00:00:00.123456Z");
    }
}
