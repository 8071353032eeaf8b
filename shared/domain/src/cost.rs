//! What runs cost, summed by what somebody asks for.
//!
//! Sums are exact, in billionths of a dollar. A run belongs to the day (UTC) its row was written, with all it cost, also where
//! a later hop was answered on the next day. It knows no table: where the entries come from is the caller's business.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};

use crate::RunKey;
use crate::money::{Cost, NanoUsd};
use crate::run::{Path, Run};

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

/// Something that was paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostEntry<'a> {
    /// The run.
    pub run: &'a RunKey,
    /// Its job's id.
    pub job_id: &'a str,
    /// Its job's name then.
    pub job_name: &'a str,
    /// Its agent.
    pub agent_id: &'a str,
    /// The day it belongs to.
    pub day: NaiveDate,
    /// `provider/model`.
    pub model: String,
    /// How the hop reached the model.
    pub path: Path,
    /// What it cost.
    pub cost: Cost,
    /// Whether tokens were used and no price was known.
    pub unpriced: bool,
    /// Whether the answer came too late to be used.
    pub unused: bool,
}

/// What `run` paid for: an entry per hop. A run that called no model has none.
pub fn entries(run: &Run) -> impl Iterator<Item = CostEntry<'_>> {
    let provider = run.plan.as_ref().map_or("anthropic", |plan| plan.provider.as_str());
    run.hops.iter().map(move |hop| {
        let used = |name: &str| hop.usage.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0) > 0;
        CostEntry {
            run: &run.key,
            job_id: run.job_id.as_str(),
            job_name: &run.job_name,
            agent_id: &run.agent_id,
            day: run.created_at.date_naive(),
            model: format!("{provider}/{}", hop.model),
            path: hop.path,
            cost: hop.cost,
            unpriced: hop.cost == Cost::default() && (used("input_tokens") || used("output_tokens")),
            unused: hop.unused,
        }
    })
}

/// What a group of entries comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// How many runs called a model.
    pub runs: u64,
    /// How many answers of models there were.
    pub hops: u64,
    /// What was paid.
    pub paid: NanoUsd,
    /// What the same would have cost in realtime.
    pub realtime: NanoUsd,
    /// What was paid, of it all, for answers that came too late to be used. Nothing was saved by those.
    pub unused: NanoUsd,
}

impl Sum {
    /// What was saved, billionths of a dollar; below zero where more was paid than realtime would have cost.
    pub fn saved(&self) -> i64 {
        let signed = |nano: NanoUsd| i64::try_from(nano).unwrap_or(i64::MAX);
        signed(self.realtime) - signed(self.paid)
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
    all: Group,
    unpriced: u64,
}

#[derive(Debug, Default)]
struct Group {
    /// The latest name, and the run that had it.
    name: Option<(DateTime<Utc>, String)>,
    runs: BTreeSet<RunKey>,
    hops: u64,
    cost: Cost,
    unused: NanoUsd,
}

impl Group {
    fn add(&mut self, entry: &CostEntry<'_>) {
        self.runs.insert(entry.run.clone());
        self.hops += 1;
        // A sum of sums cannot be as large as this: eighteen billion dollars.
        self.cost.paid_nano_usd = self.cost.paid_nano_usd.saturating_add(entry.cost.paid_nano_usd);
        self.cost.realtime_nano_usd = self.cost.realtime_nano_usd.saturating_add(entry.cost.realtime_nano_usd);
        if entry.unused {
            self.unused = self.unused.saturating_add(entry.cost.paid_nano_usd);
        }
    }

    fn sum(&self) -> Sum {
        Sum {
            runs: u64::try_from(self.runs.len()).unwrap_or(u64::MAX),
            hops: self.hops,
            paid: self.cost.paid_nano_usd,
            realtime: self.cost.realtime_nano_usd,
            unused: self.unused,
        }
    }
}

impl CostSums {
    /// No entries yet.
    pub fn new(by: CostBy) -> Self {
        Self { by, groups: BTreeMap::new(), all: Group::default(), unpriced: 0 }
    }

    /// Adds an entry. Their order means nothing.
    pub fn add(&mut self, entry: &CostEntry<'_>) {
        let key = match self.by {
            CostBy::Job => entry.job_id.to_owned(),
            CostBy::Agent => entry.agent_id.to_owned(),
            CostBy::Model => entry.model.clone(),
            CostBy::Path => match entry.path {
                Path::Realtime => "realtime".to_owned(),
                Path::Batch => "batch".to_owned(),
            },
            CostBy::Day => entry.day.format("%Y-%m-%d").to_string(),
            CostBy::Month => entry.day.format("%Y-%m").to_string(),
        };
        let group = self.groups.entry(key).or_default();
        group.add(entry);
        let slot = entry.run.slot();
        if self.by == CostBy::Job && group.name.as_ref().is_none_or(|(at, _)| *at < slot) {
            group.name = Some((slot, entry.job_name.to_owned()));
        }
        self.all.add(entry);
        self.unpriced += u64::from(entry.unpriced);
    }

    /// The rows: days and months in their order, others the dearest first.
    pub fn rows(&self) -> Vec<CostRow> {
        let row = |(key, group): (&String, &Group)| {
            let name = group.name.as_ref().map(|(_, name)| name.clone());
            CostRow { key: key.clone(), name, sum: group.sum() }
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

    /// All of it. A run whose hops are in several rows is one run here.
    pub fn total(&self) -> Sum {
        self.all.sum()
    }

    /// How many hops used tokens nobody knows the price of; they count as nothing.
    pub fn unpriced(&self) -> u64 {
        self.unpriced
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(day: u32, n: u32) -> RunKey {
        RunKey::parse(&format!("job-{n}_202611{day:02}T07{n:02}00Z")).unwrap()
    }

    fn entry<'a>(run: &'a RunKey, job: &'a str, name: &'a str, path: Path, paid: u64) -> CostEntry<'a> {
        CostEntry {
            run,
            job_id: job,
            job_name: name,
            agent_id: "main",
            day: run.slot().date_naive(),
            model: format!("anthropic/{job}"),
            path,
            cost: Cost { paid_nano_usd: paid, realtime_nano_usd: paid * 2 },
            unpriced: paid == 0,
            unused: paid == 10,
        }
    }

    #[test]
    fn a_run_of_two_paths_counts_in_both_rows_and_once_in_the_total() {
        let (old, new) = (key(1, 1), key(2, 2));
        let all = [
            entry(&new, "a", "New name", Path::Batch, 30),
            entry(&old, "a", "Old name", Path::Batch, 10),
            entry(&old, "a", "Old name", Path::Realtime, 5),
            entry(&old, "b", "B", Path::Realtime, 0),
        ];
        let of = |by| {
            let mut sums = CostSums::new(by);
            for entry in &all {
                sums.add(entry);
            }
            assert_eq!(sums.total(), Sum { runs: 2, hops: 4, paid: 45, realtime: 90, unused: 10 });
            assert_eq!(sums.unpriced(), 1);
            sums.rows().into_iter().map(|row| (row.key, row.sum.runs, row.sum.paid)).collect::<Vec<_>>()
        };
        assert_eq!(of(CostBy::Path), [("batch".into(), 2, 40), ("realtime".into(), 1, 5)]);
        assert_eq!(of(CostBy::Job), [("a".into(), 2, 45), ("b".into(), 1, 0)]);
        assert_eq!(of(CostBy::Day), [("2026-11-01".into(), 1, 15), ("2026-11-02".into(), 1, 30)]);
        assert_eq!(of(CostBy::Month), [("2026-11".into(), 2, 45)]);
        assert_eq!(of(CostBy::Agent), [("main".into(), 2, 45)]);
        assert_eq!(of(CostBy::Model), [("anthropic/a".into(), 2, 45), ("anthropic/b".into(), 1, 0)]);
        let mut sums = CostSums::new(CostBy::Job);
        for entry in &all {
            sums.add(entry);
        }
        assert_eq!(sums.rows()[0].name.as_deref(), Some("New name"), "whatever order they come in");
        assert_eq!(sums.total().saved(), 45);
    }

    #[test]
    fn what_cost_more_than_realtime_saved_less_than_nothing() {
        let sum = Sum { runs: 1, hops: 2, paid: 7, realtime: 5, unused: 0 };
        assert_eq!(sum.saved(), -2);
    }

    #[test]
    fn every_word_is_its_own() {
        for (word, by) in CostBy::WORDS {
            assert_eq!(by.word(), word);
        }
    }

    proptest! {
        #[test]
        fn rows_add_up_to_the_total_to_the_last_billionth(
            paid in prop::collection::vec((1_u32..28, 0_u32..5, any::<u32>(), any::<bool>()), 0..60),
        ) {
            let keys: Vec<RunKey> = paid.iter().map(|(day, n, ..)| key(*day, *n)).collect();
            for (_, by) in CostBy::WORDS {
                let mut sums = CostSums::new(by);
                for ((_, n, cost, batch), key) in paid.iter().zip(&keys) {
                    let job = ["a", "b", "c", "d", "e"][*n as usize];
                    let path = if *batch { Path::Batch } else { Path::Realtime };
                    sums.add(&entry(key, job, job, path, u64::from(*cost)));
                }
                let rows = sums.rows();
                let total = sums.total();
                prop_assert_eq!(rows.iter().map(|row| row.sum.paid).sum::<u64>(), total.paid);
                prop_assert_eq!(rows.iter().map(|row| row.sum.realtime).sum::<u64>(), total.realtime);
                prop_assert_eq!(rows.iter().map(|row| row.sum.hops).sum::<u64>(), total.hops);
                prop_assert_eq!(total.hops, paid.len() as u64);
                prop_assert!(rows.iter().map(|row| row.sum.runs).sum::<u64>() >= total.runs);
            }
        }
    }
}
