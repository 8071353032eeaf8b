//! What runs cost.
//!
//! For now summed from the rows of the runs themselves, day by day from the newest; so the sums reach as far back as history
//! does, and a request reads a bounded number of rows.

use chrono::{DateTime, Datelike as _, Days, NaiveTime, TimeDelta, Utc};
use nightshift_domain::cost::{CostBy, CostRow, CostSums, Sum, entries};
use nightshift_domain::run::Run;
use nightshift_domain::{FieldError, JobId};
use serde_json::Value;

use crate::deps::Deps;
use crate::ports::{PageRequest, RunFilter};
use crate::runs::load_config;

use super::params::Params;
use super::{Refusal, Request};

/// How much of the table one answer may read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most rows of runs; a page more may be read.
    pub(super) runs: usize,
    /// Most queries: a day without runs is one too.
    pub(super) queries: u32,
    /// Rows of a query.
    pub(super) page: u32,
}

const BOUNDS: Bounds = Bounds { runs: 10_000, queries: 500, page: 200 };
/// How long after its occurrence a run's row may be written, and a row may stay beyond what is configured: a batch turn may
/// wait seven days.
const SLACK: TimeDelta = TimeDelta::days(8);

/// What runs cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostReport {
    /// What the rows are by.
    pub by: CostBy,
    /// Runs from here on.
    pub from: DateTime<Utc>,
    /// Runs before this.
    pub to: DateTime<Utc>,
    /// A sum per job, day, ….
    pub rows: Vec<CostRow>,
    /// All of it.
    pub total: Sum,
    /// Whether the oldest part of the range was left out, because there are too many runs.
    pub truncated: bool,
    /// What to know about the figures.
    pub notes: Vec<String>,
}

/// What runs cost: `{jobId?, agentId?, fromMs?, toMs?, by?}`. Days and months are UTC's, a run counts where its row was
/// written; without a range it is this month so far. Reads only.
pub async fn cost(request: &Request<'_>, input: &Value) -> Result<CostReport, Refusal> {
    within(request, input, BOUNDS).await
}

pub(super) async fn within(request: &Request<'_>, input: &Value, bounds: Bounds) -> Result<CostReport, Refusal> {
    let mut params = Params::new(input, &["jobId", "id", "agentId", "fromMs", "toMs", "by"]);
    let (job, agent) = (params.job(), params.text("agentId").map(str::to_owned));
    let words = CostBy::WORDS.map(|(word, _)| word);
    let word = params.words("by", "by", &words).first().copied();
    let by = CostBy::WORDS.iter().find(|(name, _)| Some(*name) == word).map_or(CostBy::Job, |(_, by)| *by);
    let to = instant(&mut params, "toMs").unwrap_or(request.now);
    let from = instant(&mut params, "fromMs").unwrap_or_else(|| month_of(to));
    if from >= to {
        let fault = FieldError::new("invalid_field", "fromMs", "the range begins when it ends, or later");
        params.fault(fault.hint("fromMs is included, toMs is not"));
    }
    params.done(())?;

    let kept = TimeDelta::days(i64::from(load_config(request.deps).await?.cron.retention.runs_days));
    let mut notes = Vec::new();
    if from < request.now - kept {
        let since = (request.now - kept).date_naive();
        notes.push(format!("runs of before {since} are gone from history and are not counted"));
    }
    let mut reader = Reader {
        deps: request.deps,
        bounds,
        from,
        to,
        agent,
        sums: CostSums::new(by),
        runs: 0,
        queries: 0,
        reached: to,
    };
    let done = match job {
        Some(job) => reader.of_job(job).await?,
        // What is older was removed, as far as anything was.
        None => reader.of_days(from.max(request.now - kept - SLACK)).await?,
    };
    if !done {
        let reached = reader.reached.format("%Y-%m-%d %H:%M");
        notes.push(format!("there are too many runs for one answer: only those since {reached} UTC are counted"));
    }
    if reader.sums.unpriced() > 0 {
        let hops = reader.sums.unpriced();
        notes.push(format!(
            "no price is known for {hops} of the hops; they count as nothing until models.prices has one"
        ));
    }
    let (rows, total) = (reader.sums.rows(), reader.sums.total());
    Ok(CostReport { by, from, to, rows, total, truncated: !done, notes })
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
    let first = last.with_day(1).unwrap_or(last);
    first.and_time(NaiveTime::MIN).and_utc()
}

struct Reader<'a> {
    deps: &'a Deps,
    bounds: Bounds,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    agent: Option<String>,
    sums: CostSums,
    runs: usize,
    queries: u32,
    /// Everything since then was read.
    reached: DateTime<Utc>,
}

impl Reader<'_> {
    /// Every day back to `oldest`'s; whether none was left out.
    async fn of_days(&mut self, oldest: DateTime<Utc>) -> Result<bool, Refusal> {
        // A day more than today, for rows of a clock that is ahead of ours.
        let newest = self.to.min(self.deps.clock.now() + TimeDelta::days(1));
        let mut day = (newest - TimeDelta::milliseconds(1)).date_naive();
        while day >= oldest.date_naive() {
            if !self.list(&RunFilter::OfDay(day), DateTime::<Utc>::MIN_UTC).await? {
                return Ok(false);
            }
            self.reached = self.reached.min(day.and_time(NaiveTime::MIN).and_utc());
            match day.checked_sub_days(Days::new(1)) {
                Some(before) => day = before,
                None => break,
            }
        }
        Ok(true)
    }

    /// A job's runs, which stand in the order of their occurrences.
    async fn of_job(&mut self, job: JobId) -> Result<bool, Refusal> {
        self.list(&RunFilter::OfJob(job), self.from - SLACK).await
    }

    /// A list, newest first, to an occurrence before `last` or its end; whether it came so far.
    async fn list(&mut self, filter: &RunFilter, last: DateTime<Utc>) -> Result<bool, Refusal> {
        let mut cursor = None;
        loop {
            if self.runs >= self.bounds.runs || self.queries >= self.bounds.queries {
                return Ok(false);
            }
            let page =
                self.deps.store.runs(filter, &PageRequest { limit: self.bounds.page, cursor: cursor.take() }).await?;
            self.queries += 1;
            self.runs += page.items.len();
            for run in &page.items {
                self.take(run);
            }
            let over = page.items.last().is_some_and(|run| run.slot < last);
            cursor = page.next;
            if cursor.is_none() || over {
                return Ok(true);
            }
        }
    }

    fn take(&mut self, run: &Run) {
        self.reached = self.reached.min(run.created_at);
        let wanted = self.agent.as_ref().is_none_or(|agent| *agent == run.agent_id);
        if wanted && (self.from..self.to).contains(&run.created_at) {
            entries(run).for_each(|entry| self.sums.add(&entry));
        }
    }
}
