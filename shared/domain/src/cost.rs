//! What runs cost, by day, and summed by what somebody asks for.
//!
//! [`spent`] says what a write of a run adds to the totals of its day, which are written with it: an answer is in them when
//! it is in its run, exactly once. Sums are exact, in billionths of a dollar. A run belongs to the day (UTC) its row was
//! written, with all it cost, also where a later hop was answered on the next day.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::aws::of_hop as of_hop_at_aws;
use crate::money::{Cost, NanoUsd, Tokens};
use crate::run::{Hop, Run, best_realtime};

/// What sums are made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostBy {
    /// The job, by its id.
    Job,
    /// The agent that answered.
    Agent,
    /// The model that answered, with its provider.
    Model,
    /// How hops reached it: `realtime` or `batch`.
    Path,
    /// The day (UTC), `2026-11-20`.
    Day,
    /// The month (UTC), `2026-11`.
    Month,
}

impl CostBy {
    /// Every one by its word.
    pub const WORDS: [(&'static str, Self); 6] = [
        ("job", Self::Job),
        ("agent", Self::Agent),
        ("model", Self::Model),
        ("path", Self::Path),
        ("day", Self::Day),
        ("month", Self::Month),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Agent => "agent",
            Self::Model => "model",
            Self::Path => "path",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// What totals are of: what one job of one agent had of one model by one path in a day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpendOf {
    /// The day (UTC).
    pub day: NaiveDate,
    /// The job's id.
    pub job_id: String,
    /// The agent.
    pub agent_id: String,
    /// `provider/model`.
    pub model: String,
    /// `realtime` or `batch`.
    pub path: String,
}

/// Totals, or what is to be added to them: a change may be below zero, a total is not but for what was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Totals {
    /// How many runs had their first answer here.
    pub runs: i64,
    /// How many had their first one of this model here.
    pub runs_of_model: i64,
    /// How many had their first one by this path here.
    pub runs_of_path: i64,
    /// How many answers there were.
    pub hops: i64,
    /// What was paid, billionths of a dollar.
    pub paid: i64,
    /// The best that the same would have cost in realtime.
    pub realtime: i64,
    /// What was paid, of it all, for answers of no use.
    pub unused: i64,
    /// How many answers used tokens nobody knows the price of.
    pub unpriced: i64,
    /// Input that the cache had no part in, tokens.
    pub input: i64,
    /// Input written to the cache for five minutes.
    pub write_5m: i64,
    /// Input written to the cache for an hour.
    pub write_1h: i64,
    /// Input read from the cache.
    pub read: i64,
    /// Output.
    pub output: i64,
    /// Web searches.
    pub searches: i64,
    /// What AWS charged for it, as reckoned by [`crate::aws`]; not part of what was paid.
    pub aws: i64,
}

impl Totals {
    /// Every number by its name, as the table keeps it.
    pub fn named(&self) -> [(&'static str, i64); 15] {
        [
            ("runs", self.runs),
            ("runsOfModel", self.runs_of_model),
            ("runsOfPath", self.runs_of_path),
            ("hops", self.hops),
            ("paid", self.paid),
            ("realtime", self.realtime),
            ("unused", self.unused),
            ("unpriced", self.unpriced),
            ("input", self.input),
            ("write5m", self.write_5m),
            ("write1h", self.write_1h),
            ("read", self.read),
            ("output", self.output),
            ("searches", self.searches),
            ("aws", self.aws),
        ]
    }

    /// The same, read by name.
    pub fn of(number: impl Fn(&str) -> i64) -> Self {
        Self {
            runs: number("runs"),
            runs_of_model: number("runsOfModel"),
            runs_of_path: number("runsOfPath"),
            hops: number("hops"),
            paid: number("paid"),
            realtime: number("realtime"),
            unused: number("unused"),
            unpriced: number("unpriced"),
            input: number("input"),
            write_5m: number("write5m"),
            write_1h: number("write1h"),
            read: number("read"),
            output: number("output"),
            searches: number("searches"),
            aws: number("aws"),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.each(other, i64::saturating_add)
    }

    /// What is more in this than in `other`.
    #[must_use]
    fn minus(&self, other: &Self) -> Self {
        self.each(other, i64::saturating_sub)
    }

    fn each(&self, other: &Self, make: impl Fn(i64, i64) -> i64) -> Self {
        let both: BTreeMap<&str, i64> = self
            .named()
            .into_iter()
            .zip(other.named())
            .map(|((name, one), (_, more))| (name, make(one, more)))
            .collect();
        Self::of(|name| both.get(name).copied().unwrap_or(0))
    }
}

/// A row of a day's totals, or what a write of a run adds to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spend {
    /// What it is of.
    pub of: SpendOf,
    /// The job's name, as it was last.
    pub job_name: String,
    /// The numbers.
    pub totals: Totals,
}

/// What a write of `run` adds to the totals of its day, where the books in the table are `stood`. Most writes add nothing.
pub fn spent(stood: &[Hop], run: &Run) -> Vec<Spend> {
    if stood == run.hops {
        return Vec::new();
    }
    let (stood, mut stands) = (totals(run, stood), totals(run, &run.hops));
    for of in stood.keys() {
        stands.entry(of.clone()).or_default();
    }
    let none = Totals::default();
    let grown = stands.into_iter().map(|(of, totals)| {
        let totals = totals.minus(stood.get(&of).unwrap_or(&none));
        Spend { of, job_name: run.job_name.clone(), totals }
    });
    grown.filter(|spend| spend.totals != none).collect()
}

/// What an answer adds whose run's row is gone: of it nothing is known but its key.
pub fn spent_for_nothing(of: SpendOf, hop: &Hop) -> Spend {
    let job_name = of.job_id.clone();
    let hop = Hop { unused: true, ..hop.clone() };
    let totals = Totals { aws: whole(of_hop_at_aws(&hop, false)), ..of_hop(&hop) };
    Spend { of, job_name, totals }
}

/// All that `run` has in the totals for `hops`. What they would have cost in realtime stands where each of them does, so that
/// the parts come to what the run would have.
fn totals(run: &Run, hops: &[Hop]) -> BTreeMap<SpendOf, Totals> {
    let provider = run.plan.as_ref().map_or("anthropic", |plan| plan.provider.as_str());
    let mut all: BTreeMap<SpendOf, Totals> = BTreeMap::new();
    for (at, hop) in hops.iter().enumerate() {
        let (before, with) = (&hops[..at], &hops[..=at]);
        let mut more = of_hop(hop);
        more.runs = i64::from(before.is_empty());
        more.aws = whole(of_hop_at_aws(hop, before.is_empty()));
        more.runs_of_model = i64::from(before.iter().all(|other| other.model != hop.model));
        more.runs_of_path = i64::from(before.iter().all(|other| other.path != hop.path));
        more.realtime = whole(best_realtime(with)) - whole(best_realtime(before));
        let of = SpendOf {
            day: run.created_at.date_naive(),
            job_id: run.job_id.to_string(),
            agent_id: run.agent_id.clone(),
            model: format!("{provider}/{}", hop.model),
            path: hop.path.word().to_owned(),
        };
        let sum = all.entry(of).or_default();
        *sum = sum.plus(&more);
    }
    all
}

/// The numbers of one answer, but for what depends on those before it.
fn of_hop(hop: &Hop) -> Totals {
    let tokens = Tokens::of(&hop.usage);
    let paid = whole(hop.cost.paid_nano_usd);
    Totals {
        hops: 1,
        paid,
        unused: if hop.unused { paid } else { 0 },
        unpriced: i64::from(hop.cost == Cost::default() && !tokens.is_nothing()),
        input: whole(tokens.input),
        write_5m: whole(tokens.write_5m),
        write_1h: whole(tokens.write_1h),
        read: whole(tokens.read),
        output: whole(tokens.output),
        searches: whole(tokens.searches),
        ..Totals::default()
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What a group of totals comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// How many runs called a model.
    pub runs: u64,
    /// How many answers of models there were.
    pub hops: u64,
    /// What was paid.
    pub paid: NanoUsd,
    /// The best that the same would have cost in realtime: the cheaper of with a cache and without, run by run.
    pub realtime: NanoUsd,
    /// What was paid, of it all, for answers that came too late to be used.
    pub unused: NanoUsd,
    /// What AWS charged beside it, as reckoned.
    pub aws: NanoUsd,
}

impl Sum {
    fn of(totals: &Totals, runs: i64) -> Self {
        let natural = |number: i64| u64::try_from(number).unwrap_or(0);
        Self {
            runs: natural(runs),
            hops: natural(totals.hops),
            paid: natural(totals.paid),
            realtime: natural(totals.realtime),
            unused: natural(totals.unused),
            aws: natural(totals.aws),
        }
    }

    /// What was saved, billionths of a dollar; below zero where more was paid than realtime would have cost.
    pub fn saved(&self) -> i64 {
        whole(self.realtime) - whole(self.paid)
    }
}

/// A row of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostRow {
    /// What it is the sum of, in the spelling of its [`CostBy`].
    pub key: String,
    /// The latest name of a job.
    pub name: Option<String>,
    /// The sum.
    pub sum: Sum,
}

/// Sums in the making.
#[derive(Debug)]
pub struct CostSums {
    by: CostBy,
    groups: BTreeMap<String, Group>,
    all: Totals,
}

#[derive(Debug, Default)]
struct Group {
    /// The latest name, and the day it is of.
    name: Option<(NaiveDate, String)>,
    totals: Totals,
}

impl CostSums {
    /// Nothing yet.
    pub fn new(by: CostBy) -> Self {
        Self { by, groups: BTreeMap::new(), all: Totals::default() }
    }

    /// Adds a row of a day's totals. Their order means nothing.
    pub fn add(&mut self, spend: &Spend) {
        let of = &spend.of;
        let key = match self.by {
            CostBy::Job => of.job_id.clone(),
            CostBy::Agent => of.agent_id.clone(),
            CostBy::Model => of.model.clone(),
            CostBy::Path => of.path.clone(),
            CostBy::Day => of.day.format("%Y-%m-%d").to_string(),
            CostBy::Month => of.day.format("%Y-%m").to_string(),
        };
        let group = self.groups.entry(key).or_default();
        group.totals = group.totals.plus(&spend.totals);
        if self.by == CostBy::Job && group.name.as_ref().is_none_or(|(day, _)| *day < of.day) {
            group.name = Some((of.day, spend.job_name.clone()));
        }
        self.all = self.all.plus(&spend.totals);
    }

    /// The rows: days and months in their order, others the dearest first.
    pub fn rows(&self) -> Vec<CostRow> {
        let row = |(key, group): (&String, &Group)| {
            let name = group.name.as_ref().map(|(_, name)| name.clone());
            CostRow { key: key.clone(), name, sum: Sum::of(&group.totals, self.runs(&group.totals)) }
        };
        let mut rows: Vec<CostRow> = self.groups.iter().map(row).collect();
        match self.by {
            CostBy::Day | CostBy::Month => {}
            CostBy::Job | CostBy::Agent | CostBy::Model | CostBy::Path => {
                rows.sort_by(|one, other| other.sum.paid.cmp(&one.sum.paid).then_with(|| one.key.cmp(&other.key)));
            }
        }
        rows
    }

    /// A run that went two ways counts in the rows of both.
    fn runs(&self, totals: &Totals) -> i64 {
        match self.by {
            CostBy::Job | CostBy::Agent | CostBy::Day | CostBy::Month => totals.runs,
            CostBy::Model => totals.runs_of_model,
            CostBy::Path => totals.runs_of_path,
        }
    }

    /// All of it. A run whose hops are in several rows is one run here.
    pub fn total(&self) -> Sum {
        Sum::of(&self.all, self.all.runs)
    }

    /// How many hops used tokens nobody knows the price of; they count as nothing.
    pub fn unpriced(&self) -> u64 {
        u64::try_from(self.all.unpriced).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
