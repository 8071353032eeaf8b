//! How many jobs there are, counted as they are written.
//!
//! Guarantee: a job is counted in the transaction that writes it, and its row says what was counted for it. The count's
//! change is the difference between the two, under the condition that the row still says so; a guess that proves wrong
//! costs one more attempt and changes nothing. So a repeat never counts twice, no caller can forget to count, and a row of
//! before jobs were counted is counted with its next write. Only a writer that drops the remark (a release of before it)
//! would have its job counted again.

use aws_sdk_dynamodb::types::AttributeValue;
use nightshift_domain::job::{Job, JobRecord};

use crate::item::Attributes;
use crate::keys::{self, Key};
use crate::plan::{Action, Change, Guard};

/// The attribute of a job's row that says what was counted for it.
pub(crate) const COUNTED: &str = "counted";
/// The attribute of a job's row that tells it from another job that had its id before.
pub(crate) const BORN: &str = "born";
/// The number of a counter.
pub(crate) const NUMBER: &str = "n";
/// The number of jobs switched on, in a counter of jobs.
pub(crate) const ENABLED: &str = "enabled";

/// What the counters hold of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// It is not in them.
    Nothing,
    /// A job that is switched off.
    Disabled,
    /// A job that is switched on.
    Enabled,
}

impl Counted {
    /// What is to be counted for `job`.
    pub(crate) fn of(job: &Job) -> Self {
        if job.enabled { Self::Enabled } else { Self::Disabled }
    }

    /// The remark in the row.
    pub(crate) fn remark(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Disabled => Some("disabled"),
            Self::Enabled => Some("enabled"),
        }
    }

    /// What the row says.
    fn read(row: &Attributes) -> Self {
        match row.get(COUNTED).and_then(|value| value.as_s().ok()).map(String::as_str) {
            Some("enabled") => Self::Enabled,
            Some(_) => Self::Disabled,
            None => Self::Nothing,
        }
    }

    fn jobs(self) -> i64 {
        i64::from(self != Self::Nothing)
    }

    fn enabled(self) -> i64 {
        i64::from(self == Self::Enabled)
    }
}

/// Where a job is counted, and what was counted for it when this was planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The `rev` its row stands at.
    pub(crate) rev: u64,
    /// Which of the jobs that ever had its id it is, where that is known.
    pub(crate) born: Option<String>,
    pub(crate) counted: Counted,
    /// The counter it is in.
    pub(crate) counter: Key,
}

impl Expected {
    /// The row of `record`'s job at `rev`, which is believed to say `counted`.
    pub(crate) fn new(record: &JobRecord, rev: u64, counted: Counted) -> Self {
        Self { rev, born: born(record), counted, counter: Key::jobs(keys::tally_shard(&record.job.job_id)) }
    }

    /// What the row says, where it stands at the `rev` but says something else.
    pub(crate) fn differs(&self, found: &Attributes) -> Option<Counted> {
        let rev = found.get("rev").and_then(|value| value.as_n().ok()).and_then(|rev| rev.parse().ok());
        let counted = Counted::read(found);
        (rev == Some(self.rev) && counted != self.counted).then_some(counted)
    }
}

/// What the row of a job says in [`BORN`].
pub(crate) fn born(record: &JobRecord) -> Option<String> {
    Some(record.born.clone()).filter(|born| !born.is_empty())
}

/// Counts a job that was counted as `before` as `after`.
pub(crate) fn recount(actions: &mut Vec<Action>, write: usize, counter: Key, before: Counted, after: Counted) {
    if before == after {
        return;
    }
    let deltas = [(NUMBER, after.jobs() - before.jobs()), (ENABLED, after.enabled() - before.enabled())];
    add(actions, write, counter, deltas.into_iter().filter(|(_, by)| *by != 0), Attributes::new());
}

/// Adds to a row's numbers, and sets attributes of it. A transaction may name a row once, so that what is added to one is
/// summed up.
pub(crate) fn add(
    actions: &mut Vec<Action>,
    write: usize,
    key: Key,
    deltas: impl IntoIterator<Item = (&'static str, i64)>,
    attributes: Attributes,
) {
    let at = actions.iter().position(|action| action.key == key && matches!(action.change, Change::Add { .. }));
    let at = at.unwrap_or_else(|| {
        let change = Change::Add { by: Vec::new(), set: Attributes::new() };
        actions.push(Action::new(write, key, change, Guard::None));
        actions.len() - 1
    });
    let Change::Add { by: sums, set } = &mut actions[at].change else { return };
    set.extend(attributes);
    for (name, by) in deltas {
        match sums.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += by,
            None => sums.push((name, by)),
        }
    }
}

/// A number of a counter's row; one that was never added to is 0.
pub(crate) fn number(row: &Attributes, name: &str) -> i64 {
    let digits = row.get(name).and_then(|value: &AttributeValue| value.as_n().ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
