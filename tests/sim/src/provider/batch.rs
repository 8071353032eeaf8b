//! A batch at the provider, and how time changes it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::model::{HopRequest, ModelErrorKind, Reply};
use nightshift_domain::run::RowResult;
use nightshift_engine::ports::BatchView;

use super::plan::{BatchPlan, RowPlan, Say, seconds};

/// How long a batch lives (batch-processing page, 2026-10).
const LIFE: TimeDelta = TimeDelta::hours(24);
/// How long the list lags at most, seconds. A create whose answer was lost is taken for not done after ten minutes, of which
/// its request may take one and the clocks' disagreement another: no list that lags longer can be told from a lost create.
const LONGEST_LAG: u32 = 8 * 60 - 5;

/// A batch.
#[derive(Debug, Clone)]
pub struct SimBatch {
    /// Its id.
    pub remote: String,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Whether somebody else created it.
    pub foreign: bool,
    /// The invocation that created it.
    pub invocation: u64,
    /// Its rows.
    pub rows: Vec<SimRow>,
    /// When it was told to stop, first.
    pub cancel_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Whether it was deleted.
    pub deleted: bool,
    pub(super) plan: BatchPlan,
    /// Whether its results broke off already.
    pub(super) broke: bool,
}

/// A row of a batch.
#[derive(Debug, Clone)]
pub struct SimRow {
    /// Its name.
    pub custom_id: String,
    /// What is asked.
    pub request: Arc<HopRequest>,
    /// What becomes of it, unless the batch ends before.
    pub plan: RowPlan,
    /// When that is.
    pub done_at: DateTime<Utc>,
    /// What became of it.
    pub fate: Option<Fate>,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It was answered, and paid.
    Answered(Box<Reply>),
    /// It failed.
    Errored(ModelErrorKind),
    /// It was stopped before a model saw it.
    Canceled,
    /// The batch ran out of its time.
    Expired,
    /// Nobody knows: the results do not name it.
    Missing,
}

impl SimRow {
    /// Whether it was answered, which costs money.
    pub fn is_paid(&self) -> bool {
        matches!(self.fate, Some(Fate::Answered(_)))
    }

    /// The result as the API tells it; `None` for a row that the results do not name.
    pub(super) fn result(&self) -> Option<RowResult> {
        Some(match self.fate.as_ref()? {
            Fate::Answered(reply) => RowResult::Succeeded(reply.clone()),
            Fate::Errored(kind) => RowResult::Errored { kind: *kind, message: "the row failed".to_owned() },
            Fate::Canceled => RowResult::Canceled,
            Fate::Expired => RowResult::Expired,
            Fate::Missing => return None,
        })
    }
}

/// A row that was answered, so that somebody pays for it.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) row: usize,
    pub(super) at: DateTime<Utc>,
}

impl SimBatch {
    /// As the API shows it.
    pub fn view(&self) -> BatchView {
        BatchView {
            remote: self.remote.clone(),
            ended: self.ended_at.is_some(),
            canceling: self.cancel_at.is_some() && self.ended_at.is_none(),
            created_at: self.created_at,
            rows: self.rows.len() as u64,
        }
    }

    pub(super) fn is_listed(&self, now: DateTime<Utc>) -> bool {
        !self.deleted && now >= self.created_at + seconds(self.plan.listed_after.min(LONGEST_LAG))
    }

    pub(super) fn is_found(&self, now: DateTime<Utc>) -> bool {
        !self.deleted && now >= self.created_at + seconds(self.plan.hidden)
    }

    pub(super) fn has_results(&self, now: DateTime<Utc>) -> bool {
        self.is_found(now) && self.ended_at.is_some_and(|ended| now >= ended + seconds(self.plan.results_after))
    }

    /// Lets time pass until `now`. `answer` makes the answer of a row; the rows that were answered are told in order.
    pub(super) fn advance(
        &mut self,
        now: DateTime<Utc>,
        mut answer: impl FnMut(&SimRow, Say) -> Reply,
    ) -> Vec<Answered> {
        if self.ended_at.is_some() {
            return Vec::new();
        }
        let expires = self.created_at + LIFE;
        let (end, rest) = match self.cancel_at {
            Some(told) if told + seconds(self.plan.stops_after) < expires => {
                (told + seconds(self.plan.stops_after), Fate::Canceled)
            }
            Some(_) | None => (expires, Fate::Expired),
        };
        let mut answered = Vec::new();
        for (at, row) in self.rows.iter_mut().enumerate().filter(|(_, row)| row.fate.is_none()) {
            if row.done_at <= now.min(end) {
                let fate = match row.plan {
                    RowPlan::Answered(say) | RowPlan::BreaksOnce(say) => {
                        answered.push(Answered { row: at, at: row.done_at });
                        Fate::Answered(Box::new(answer(row, say)))
                    }
                    RowPlan::Errored => Fate::Errored(ModelErrorKind::Server),
                    RowPlan::Invalid => Fate::Errored(ModelErrorKind::Invalid),
                    RowPlan::Stopped => Fate::Canceled,
                    RowPlan::Missing => Fate::Missing,
                    // Its time never comes.
                    RowPlan::Never => rest.clone(),
                };
                row.fate = Some(fate);
            } else if now >= end {
                row.fate = Some(rest.clone());
            }
        }
        if self.rows.iter().all(|row| row.fate.is_some()) {
            // A batch that was told to stop takes its time to do so, whatever its rows had come to.
            let done = self.rows.iter().map(|row| row.done_at).max().unwrap_or(self.created_at);
            self.ended_at = Some(done.min(end));
        }
        answered
    }
}
