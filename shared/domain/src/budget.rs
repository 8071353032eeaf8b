//! What may be spent: set aside before a call is sent, settled when its answer is booked.
//!
//! Guarantee: what is paid and what is set aside together never pass a limit, whoever races for the last cent; and what was
//! set aside for a call is given back, or becomes what it cost, in the very write that ends the call. A call that was given up
//! and may have been paid stays set aside, until its answer comes or its day and month are over. What is set aside is the most
//! a call can cost by its output and an estimate of its input from above; what the provider's own tools read on their way is
//! not known beforehand, so a limit is no hard stop for those.

use std::fmt;

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::money::{NanoUsd, PriceRow, Tokens, prices_between, usd};
use crate::run::{Hop, Path, Run, State, paid};

/// Bytes that a token of a prompt has at least, on the average of a whole prompt; English has four or more, other languages
/// and JSON about two. It is an estimate from above.
const LEAST_BYTES_PER_TOKEN: u64 = 2;
/// The failure code, and the reason of a skip.
pub const CODE: &str = "budget";

/// What a limit counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// The runs of a job, by its id.
    Job(String),
    /// The runs of an agent.
    Agent(String),
    /// All runs.
    All,
}

/// For how long it counts: a day or a month of UTC, by its first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Period {
    /// A day.
    Day(NaiveDate),
    /// A month.
    Month(NaiveDate),
}

impl Period {
    /// The day that `now` is in, and the month.
    fn at(now: DateTime<Utc>) -> (Self, Self) {
        let day = now.date_naive();
        (Self::Day(day), Self::Month(day.with_day(1).unwrap_or(day)))
    }

    /// Its days, first and last.
    pub fn days(self) -> (NaiveDate, NaiveDate) {
        match self {
            Self::Day(day) => (day, day),
            Self::Month(first) => {
                let next = first.checked_add_months(chrono::Months::new(1)).and_then(|next| next.pred_opt());
                (first, next.unwrap_or(first))
            }
        }
    }
}

/// A purse: what counts against one limit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Purse {
    /// Whose.
    pub scope: Scope,
    /// When.
    pub period: Period,
}

impl fmt::Display for Purse {
    /// `all/2026-11-20`, `agent/ops/2026-11`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Scope::Job(job) => write!(formatter, "job/{job}/")?,
            Scope::Agent(agent) => write!(formatter, "agent/{agent}/")?,
            Scope::All => formatter.write_str("all/")?,
        }
        match self.period {
            Period::Day(day) => write!(formatter, "{day}"),
            Period::Month(first) => write!(formatter, "{}", first.format("%Y-%m")),
        }
    }
}

/// A limit that holds for a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What counts against it.
    pub purse: Purse,
    /// The most, billionths of a dollar.
    pub most: NanoUsd,
}

impl Limit {
    /// What it is called: "the budget of agent ops of $2.00 a day".
    pub fn words(&self) -> String {
        let whose = match &self.purse.scope {
            Scope::Job(_) => "the job's budget".to_owned(),
            Scope::Agent(agent) => format!("the budget of agent {agent}"),
            Scope::All => "the budget of all jobs".to_owned(),
        };
        let span = match self.purse.period {
            Period::Day(_) => "a day",
            Period::Month(_) => "a month",
        };
        format!("{whose} of {} {span}", dollars(self.most))
    }
}

/// What a run has set aside.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Reserve {
    /// The call it is for; `None` while none is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<Sending>,
    /// How much.
    #[serde(skip_serializing_if = "is_zero")]
    pub nano: NanoUsd,
    /// What stays set aside for calls that were given up and may have been paid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<NanoUsd>,
    /// In which purses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub purses: Vec<Purse>,
    /// Whether it ended for want of money of which another run told already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub told: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Reserve {
    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn doubt(&self) -> NanoUsd {
        self.doubts.iter().sum()
    }
}

/// A call that money is set aside for. A call that is sent again is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sending {
    /// The hop.
    pub hop: u32,
    /// How.
    pub path: Path,
    /// Which start of it, or which attempt in a batch.
    pub attempt: u32,
}

impl Sending {
    /// The call that `state` is about, where one is to be sent or is under way.
    pub fn of(state: &State) -> Option<Self> {
        match *state {
            State::Running { hop, starts, .. } => Some(Self { hop, path: Path::Realtime, attempt: starts }),
            State::Ready { hop, attempt, .. }
            | State::Submitting { hop, attempt, .. }
            | State::Submitted { hop, attempt, .. }
            | State::Canceling { hop, attempt, .. } => Some(Self { hop, path: Path::Batch, attempt }),
            State::Due
            | State::Waiting { .. }
            | State::Tools { .. }
            | State::Paused { .. }
            | State::Delivering
            | State::Succeeded
            | State::DeliveryFailed
            | State::DeliveryUnknown
            | State::Failed { .. }
            | State::Skipped { .. }
            | State::Canceled => None,
        }
    }
}

/// The limits that hold for a run of `job_id` under `agent_id` that is sent at `now`. A limit of nothing is one.
pub fn limits(run: &Run, config: &Config, now: DateTime<Utc>) -> Vec<Limit> {
    let (agent_id, agent, _) = config.agent(Some(&run.agent_id));
    let agents = agent.budget.or(config.agents.defaults.budget);
    let of = [
        (Scope::Job(run.job_id.to_string()), run.budget.as_deref().copied()),
        (Scope::Agent(agent_id), agents),
        (Scope::All, config.cron.budget),
    ];
    let (day, month) = Period::at(now);
    let limits = of.into_iter().flat_map(|(scope, budget)| {
        let budget = budget.unwrap_or_default();
        [(day, budget.day_usd), (month, budget.month_usd)].map(move |(period, most)| {
            let purse = Purse { scope: scope.clone(), period };
            most.map(|most| Limit { purse, most: nano(most) })
        })
    });
    limits.flatten().collect()
}

/// The least of the limits of one run.
pub fn run_limit(run: &Run, config: &Config) -> Option<NanoUsd> {
    let (_, agent, _) = config.agent(Some(&run.agent_id));
    let agents = agent.budget.or(config.agents.defaults.budget);
    let all = [run.budget.as_deref().copied(), agents, config.cron.budget];
    all.into_iter().flatten().filter_map(|budget| budget.run_usd).map(nano).min()
}

/// The most that a call can cost which sends `bytes` and is answered with `max_tokens`, at whichever price holds until
/// `until`: its input is all written to the cache at the dearest, and each of `searches` is made.
pub fn most(call: &Costliest<'_>, prices: &[PriceRow]) -> NanoUsd {
    let tokens = |row: &PriceRow| {
        let prompt = call.bytes.div_ceil(LEAST_BYTES_PER_TOKEN);
        let bare = Tokens { output: call.max_tokens, searches: call.searches, in_us: true, ..Tokens::default() };
        let dearest = if row.cache_write_1h > row.input {
            Tokens { write_1h: prompt, ..bare }
        } else {
            Tokens { input: prompt, ..bare }
        };
        if call.path == Path::Batch { dearest.batch(row) } else { dearest.realtime(row) }
    };
    prices_between(call.reference, call.now, call.until, prices).iter().map(tokens).max().unwrap_or(0)
}

/// A call, by what bounds its cost.
#[derive(Debug, Clone, Copy)]
pub struct Costliest<'a> {
    /// `provider/model`.
    pub reference: &'a str,
    /// How it is sent.
    pub path: Path,
    /// The length of all it sends.
    pub bytes: u64,
    /// The most its answer may have.
    pub max_tokens: u64,
    /// The most searches it may make.
    pub searches: u64,
    /// When it is sent.
    pub now: DateTime<Utc>,
    /// When it is answered at the latest.
    pub until: DateTime<Utc>,
}

/// What is to be added to a purse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub purse: Purse,
    /// How much; below zero where something is given back.
    pub by: i64,
    /// The limit that it must not pass, where something is set aside.
    pub most: Option<NanoUsd>,
}

/// What `after` has set aside, and what that changes in the purses, where the table has `before` with the books `stood`. `wish`
/// is what is to be set aside for its call, under these limits, if that is another call than before.
pub fn moved(before: &Run, stood: &[Hop], after: &mut Run, wish: Option<(NanoUsd, &[Limit])>) -> Vec<Change> {
    let (old, call) = (before.reserve.clone(), Sending::of(&after.state));
    let mut new = Reserve { doubts: old.doubts.clone(), purses: old.purses.clone(), call, ..Reserve::default() };
    if old.call.is_some() && old.call == call {
        new.nano = old.nano;
    } else if old.nano > 0 && after.books.given_up > before.books.given_up {
        // It may have been paid, and nobody will say how much.
        new.doubts.push(old.nano);
    }
    for _ in before.books.came_back..after.books.came_back {
        new.doubts.pop();
    }
    let spent = signed(paid(&after.hops)) - signed(paid(stood));
    let kept = signed(new.nano) + signed(new.doubt()) - signed(old.nano) - signed(old.doubt());
    let mut changes: Vec<Change> =
        old.purses.iter().map(|purse| Change { purse: purse.clone(), by: spent + kept, most: None }).collect();
    let is_new = call.is_some() && call != old.call;
    if let Some((nano, limits)) = wish.filter(|_| is_new) {
        new.nano = nano;
        new.purses = limits.iter().map(|limit| limit.purse.clone()).collect();
        for limit in limits {
            match changes.iter_mut().find(|change| change.purse == limit.purse) {
                Some(change) => {
                    change.by += signed(nano);
                    change.most = Some(limit.most);
                }
                None => changes.push(Change { purse: limit.purse.clone(), by: signed(nano), most: Some(limit.most) }),
            }
        }
    }
    if new.nano == 0 && new.doubts.is_empty() && new.purses.is_empty() {
        new.call = None;
    }
    changes.retain(|change| change.by != 0);
    *after.reserve = new;
    changes
}

/// What `run` has cost, and may have cost.
pub fn spent(run: &Run) -> NanoUsd {
    paid(&run.hops).saturating_add(run.reserve.doubt())
}

/// Whether `run` would pass a limit of one run with `nano` more.
pub fn passes(run: &Run, nano: NanoUsd, most: NanoUsd) -> bool {
    spent(run).saturating_add(nano) > most
}

/// The sentence of a call that was not sent.
pub fn refusal(limit: &str, needs: NanoUsd, left: NanoUsd) -> String {
    format!("{limit} has {} left, and the next call may cost {}", dollars(left), dollars(needs))
}

/// Dollars as people write them.
pub fn dollars(nano: NanoUsd) -> String {
    if nano > 0 && nano < 10_000_000 { format!("${:.4}", usd(nano)) } else { format!("${:.2}", usd(nano)) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and far below what fits")]
fn nano(usd: f64) -> NanoUsd {
    (usd.max(0.0) * 1e9).round() as NanoUsd
}

fn signed(nano: NanoUsd) -> i64 {
    i64::try_from(nano).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
