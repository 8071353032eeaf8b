//! What runs cost, from the totals of the days.
//!
//! Guarantee: the totals hold every answer that is in a run, exactly once, also of runs that history has no more; a request
//! reads a bounded number of rows, however many runs there were.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use nightshift_domain::cost::{CostBy, CostRow, CostSums, Sum};
use nightshift_domain::{FieldError, JobId};
use serde_json::Value;

use crate::deps::Deps;
use crate::ports::PageRequest;

use super::params::Params;
use super::{Refusal, Request};

/// How much of the table one answer may read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most queries: a day without runs is one too.
    pub(super) queries: u32,
    /// Rows of a query.
    pub(super) page: u32,
}

const BOUNDS: Bounds = Bounds { queries: 600, page: 200 };

/// What runs cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostReport {
    /// What the rows are by.
    pub by: CostBy,
    /// Runs from here on, the beginning of a day.
    pub from: DateTime<Utc>,
    /// Runs before this.
    pub to: DateTime<Utc>,
    /// A sum per job, day, ….
    pub rows: Vec<CostRow>,
    /// All of it.
    pub total: Sum,
    /// Whether the oldest part of the range was left out, because there is too much of it.
    pub truncated: bool,
    /// What to know about the figures.
    pub notes: Vec<String>,
}

/// What runs cost: `{jobId?, agentId?, fromMs?, toMs?, by?}`. Days and months are UTC's, a run counts where its row was
/// written; a range is widened to whole days, and without one it is this month so far. Reads only.
pub async fn cost(request: &Request<'_>, input: &Value) -> Result<CostReport, Refusal> {
    within(request, input, BOUNDS).await
}

pub(super) async fn within(request: &Request<'_>, input: &Value, bounds: Bounds) -> Result<CostReport, Refusal> {
    let mut params = Params::new(input, &["jobId", "id", "agentId", "fromMs", "toMs", "by"]);
    let (job, agent) = (params.job(), params.text("agentId").map(str::to_owned));
    let words = CostBy::WORDS.map(|(word, _)| word);
    let word = params.words("by", "by", &words).first().copied();
    let by = CostBy::WORDS.iter().find(|(name, _)| Some(*name) == word).map_or(CostBy::Job, |(_, by)| *by);
    let from = instant(&mut params, "fromMs");
    let to = instant(&mut params, "toMs").unwrap_or(request.now);
    let from = from.unwrap_or_else(|| month_of(to));
    if from >= to {
        let fault = FieldError::new("invalid_field", "fromMs", "the range begins when it ends, or later");
        params.fault(fault.hint("fromMs is included, toMs is not"));
    }
    params.done(())?;

    let mut reader = Reader { deps: request.deps, bounds, job, agent, sums: CostSums::new(by), queries: 0 };
    // What a clock that is ahead of ours wrote is of tomorrow at most.
    let newest = to.min(request.now + TimeDelta::days(1));
    let first = midnight(from.date_naive());
    let end = if to < request.now { end_of(to).min(request.now) } else { to };
    let reached = reader.days(first.date_naive(), newest).await?;
    let mut notes = Vec::new();
    if (from, to) != (first, end) {
        notes.push("costs are kept by day (UTC): the days it begins and ends in are counted whole".to_owned());
    }
    if let Some(reached) = reached {
        notes.push(format!("there is too much for one answer: only what is since {reached} is counted"));
    }
    if reader.sums.unpriced() > 0 {
        let hops = reader.sums.unpriced();
        notes.push(format!(
            "no price is known for {hops} of the hops; they count as nothing until models.prices has one"
        ));
    }
    let (rows, total) = (reader.sums.rows(), reader.sums.total());
    Ok(CostReport { by, from: first, to: end, rows, total, truncated: reached.is_some(), notes })
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// The end of the day that an instant is in, or ends.
fn end_of(to: DateTime<Utc>) -> DateTime<Utc> {
    let last = (to - TimeDelta::milliseconds(1)).date_naive();
    midnight(last.succ_opt().unwrap_or(last))
}

fn instant(params: &mut Params<'_>, name: &str) -> Option<DateTime<Utc>> {
    let millis = params.whole(name)?;
    // Far enough for everybody, and no day of it is beyond what a date can be.
    let most = 253_402_300_799_999;
    let instant = i64::try_from(millis).ok().filter(|it| *it <= most).and_then(DateTime::from_timestamp_millis);
    if instant.is_none() {
        let fault = FieldError::new("invalid_field", name, format!("{name} is not an instant"));
        params.fault(fault.hint("milliseconds since 1970"));
    }
    instant
}

/// The beginning of the month that ends with `to`, or of the one `to` is in.
fn month_of(to: DateTime<Utc>) -> DateTime<Utc> {
    let last = (to - TimeDelta::milliseconds(1)).date_naive();
    midnight(last.with_day(1).unwrap_or(last))
}

struct Reader<'a> {
    deps: &'a Deps,
    bounds: Bounds,
    job: Option<JobId>,
    agent: Option<String>,
    sums: CostSums,
    queries: u32,
}

impl Reader<'_> {
    /// Every day before `to` back to `first`; the oldest one read where there were too many.
    async fn days(&mut self, first: NaiveDate, to: DateTime<Utc>) -> Result<Option<NaiveDate>, Refusal> {
        let mut day = (to - TimeDelta::milliseconds(1)).date_naive();
        // Totals go after 400 days.
        let first = first.max(day.checked_sub_days(Days::new(500)).unwrap_or(first));
        let mut reached = None;
        while day >= first {
            if !self.day(day).await? {
                return Ok(Some(reached.or(day.succ_opt()).unwrap_or(day)));
            }
            reached = Some(day);
            match day.pred_opt() {
                Some(before) => day = before,
                None => break,
            }
        }
        Ok(None)
    }

    /// All of a day; `false` where it would be too much, with nothing of it counted.
    async fn day(&mut self, day: NaiveDate) -> Result<bool, Refusal> {
        let (mut cursor, mut rows) = (None, Vec::new());
        loop {
            if self.queries >= self.bounds.queries {
                return Ok(false);
            }
            self.queries += 1;
            let page = PageRequest { limit: self.bounds.page, cursor: cursor.take() };
            let page = self.deps.store.spending(day, self.job.as_ref(), &page).await?;
            rows.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let wanted = rows.iter().filter(|row| self.agent.as_ref().is_none_or(|agent| *agent == row.of.agent_id));
        wanted.for_each(|row| self.sums.add(row));
        Ok(true)
    }
}
