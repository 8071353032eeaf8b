//! What happened, in numbers: what each write that went through counts for.
//!
//! Guarantee: a reading holds numbers and ids, never a name, a text or a secret. Whoever takes it does so after the write it
//! stands for was applied, so that a repeat or a lost race counts nothing. It knows no service that keeps metrics.

use serde_json::Value;

use crate::alert::UNEXPECTED;
use crate::batch::Batch;
use crate::job::{DeliveryStatus, RunStatus};
use crate::money::NanoUsd;
use crate::run::{Event, Hop, Run, best_realtime, fell_back, paid};
use crate::{AttemptId, JobId, RunKey};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Rows of runs that were written, also of those that are skipped at once. What ran elsewhere and was brought here is not
    /// counted.
    RunsBegun,
    /// Runs that ended with an answer, whatever became of its delivery.
    RunsSucceeded,
    /// Runs that ended without one, those stopped on request among them.
    RunsFailed,
    /// Runs that did not run.
    RunsSkipped,
    /// Tokens that models read, those of their caches included.
    InputTokens,
    /// Tokens that models wrote.
    OutputTokens,
    /// What was paid, in billionths of a dollar.
    Cost,
    /// What the same would have cost in realtime, less what was paid, in billionths of a dollar. Below zero where more was
    /// paid.
    Savings,
    /// Looks at batches that were written down, the last one, which settles a batch, among them.
    BatchPolls,
    /// Batches that ended with an answer at least.
    BatchesSucceeded,
    /// From the create of a batch to when its end was seen, milliseconds.
    BatchWait,
    /// Runs that went in realtime for a reason that their job or the configuration gives.
    FallbacksExpected,
    /// Runs that went in realtime because a batch was refused: nothing else shows that the discount is not had.
    FallbacksUnexpected,
    /// Things that were lost and that the sweep or the doctor mended.
    Repairs,
    /// Answers and alerts that their channel refused.
    DeliveriesFailed,
    /// Answers and alerts of which nobody knows whether they arrived.
    DeliveriesUnknown,
}

/// What a metric's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// How many.
    Count,
    /// Billionths of a US dollar.
    NanoUsd,
    /// Thousandths of a second.
    Milliseconds,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::RunsBegun,
        Self::RunsSucceeded,
        Self::RunsFailed,
        Self::RunsSkipped,
        Self::InputTokens,
        Self::OutputTokens,
        Self::Cost,
        Self::Savings,
        Self::BatchPolls,
        Self::BatchesSucceeded,
        Self::BatchWait,
        Self::FallbacksExpected,
        Self::FallbacksUnexpected,
        Self::Repairs,
        Self::DeliveriesFailed,
        Self::DeliveriesUnknown,
    ];

    /// What it is called where metrics are kept; alarms and dashboards name it so.
    pub fn name(self) -> &'static str {
        match self {
            Self::RunsBegun => "RunsBegun",
            Self::RunsSucceeded => "RunsSucceeded",
            Self::RunsFailed => "RunsFailed",
            Self::RunsSkipped => "RunsSkipped",
            Self::InputTokens => "InputTokens",
            Self::OutputTokens => "OutputTokens",
            Self::Cost => "CostUsd",
            Self::Savings => "SavingsUsd",
            Self::BatchPolls => "BatchPolls",
            Self::BatchesSucceeded => "BatchesSucceeded",
            Self::BatchWait => "BatchWaitMs",
            Self::FallbacksExpected => "FallbacksExpected",
            Self::FallbacksUnexpected => "FallbacksUnexpected",
            Self::Repairs => "Repairs",
            Self::DeliveriesFailed => "DeliveriesFailed",
            Self::DeliveriesUnknown => "DeliveriesUnknown",
        }
    }

    /// What its numbers are.
    pub fn unit(self) -> Unit {
        match self {
            Self::Cost | Self::Savings => Unit::NanoUsd,
            Self::BatchWait => Unit::Milliseconds,
            Self::RunsBegun
            | Self::RunsSucceeded
            | Self::RunsFailed
            | Self::RunsSkipped
            | Self::InputTokens
            | Self::OutputTokens
            | Self::BatchPolls
            | Self::BatchesSucceeded
            | Self::FallbacksExpected
            | Self::FallbacksUnexpected
            | Self::Repairs
            | Self::DeliveriesFailed
            | Self::DeliveriesUnknown => Unit::Count,
        }
    }
}

/// What one write counts for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// The numbers, each metric once at most.
    pub values: Vec<(Metric, i64)>,
    /// The job it is about.
    pub job: Option<JobId>,
    /// The run.
    pub run: Option<RunKey>,
    /// The batch, by our id.
    pub batch: Option<AttemptId>,
    /// A machine's word for what is counted: a failure code, what was mended, why a batch was not one.
    pub kind: Option<String>,
}

impl Reading {
    /// Whether it counts for nothing.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn about(run: &Run) -> Self {
        let batch = run.state.batch().cloned();
        Self { job: Some(run.job_id.clone()), run: Some(run.key.clone()), batch, ..Self::default() }
    }

    fn add(&mut self, metric: Metric, by: i64) {
        if by != 0 {
            self.values.push((metric, by));
        }
    }

    /// The end of `run`, where it has ended.
    fn ended(&mut self, run: &Run) {
        let Some(status) = run.status() else { return };
        self.add(
            match status {
                RunStatus::Ok => Metric::RunsSucceeded,
                RunStatus::Error => Metric::RunsFailed,
                RunStatus::Skipped => Metric::RunsSkipped,
            },
            1,
        );
        self.kind = run.state.failure().map(|(code, _)| code);
        self.delivered(run.delivery_status);
    }

    fn delivered(&mut self, status: Option<DeliveryStatus>) {
        match status {
            Some(DeliveryStatus::Failed) => self.add(Metric::DeliveriesFailed, 1),
            Some(DeliveryStatus::Unknown) => self.add(Metric::DeliveriesUnknown, 1),
            Some(DeliveryStatus::Delivered | DeliveryStatus::Suppressed | DeliveryStatus::NotRequested) | None => {}
        }
    }

    fn answered(&mut self, hop: &Hop, paid: i64, saved: i64) {
        let of = |name: &str| hop.usage.get(name).and_then(Value::as_i64).unwrap_or(0);
        let read = of("input_tokens") + of("cache_creation_input_tokens") + of("cache_read_input_tokens");
        self.add(Metric::InputTokens, read);
        self.add(Metric::OutputTokens, of("output_tokens"));
        self.add(Metric::Cost, paid);
        self.add(Metric::Savings, saved);
    }
}

/// The row of `run` was written for the first time.
pub fn begun(run: &Run) -> Reading {
    let mut reading = Reading::about(run);
    reading.add(Metric::RunsBegun, 1);
    reading.ended(run);
    reading
}

/// `event` made `after` of `before`, which holds the event's answer already where that has one.
pub fn moved(before: &Run, event: &Event, after: &Run) -> Reading {
    let mut reading = Reading::about(after);
    if let Some((stood, hop)) = before.before_answer_of(event) {
        // The answer may have been booked as one of no use: it saves nothing then, and costs all the same.
        let cost = grown(paid(&stood), paid(&after.hops));
        let realtime = grown(best_realtime(&stood), best_realtime(&after.hops));
        reading.answered(hop, cost, realtime.saturating_sub(cost));
        reading.batch.clone_from(&hop.batch);
    }
    if !before.state.is_terminal() {
        reading.ended(after);
    }
    if let Some((metric, why)) = fallen_back(before, after) {
        reading.add(metric, 1);
        reading.kind = Some(why);
    }
    reading
}

/// An answer that came too late was booked as `hop` of the run `key`, whose row may be gone.
pub fn too_late(key: &RunKey, hop: &Hop) -> Reading {
    let kind = Some("paid_unused".to_owned());
    let mut reading = Reading {
        job: Some(key.job_id()),
        run: Some(key.clone()),
        batch: hop.batch.clone(),
        kind,
        ..Reading::default()
    };
    let cost = nano(hop.cost.paid_nano_usd);
    reading.answered(hop, cost, -cost);
    reading
}

/// A look at `batch` was written down.
pub fn polled(batch: &Batch) -> Reading {
    Reading { values: vec![(Metric::BatchPolls, 1)], batch: Some(batch.id.clone()), ..Reading::default() }
}

/// `batch` was settled, of whose rows `answers` were answers.
pub fn settled(batch: &Batch, answers: u64) -> Reading {
    let mut reading = polled(batch);
    reading.add(Metric::BatchesSucceeded, i64::from(answers > 0));
    if let Some(ended) = batch.ended_at {
        reading.add(Metric::BatchWait, (ended - batch.started_at).num_milliseconds());
    }
    reading
}

/// Something was mended; `kind` is a machine's word for what.
pub fn repaired(kind: &str) -> Reading {
    Reading { values: vec![(Metric::Repairs, 1)], kind: Some(kind.to_owned()), ..Reading::default() }
}

/// An alert about the run `key` ended like this.
pub fn alerted(key: &RunKey, status: DeliveryStatus) -> Reading {
    let kind = Some("alert".to_owned());
    let mut reading = Reading { job: Some(key.job_id()), run: Some(key.clone()), kind, ..Reading::default() };
    reading.delivered(Some(status));
    reading
}

/// Whether the run goes in realtime from here on, and why.
fn fallen_back(before: &Run, after: &Run) -> Option<(Metric, String)> {
    let reason = fell_back(before, after)?;
    let metric = if reason == UNEXPECTED { Metric::FallbacksUnexpected } else { Metric::FallbacksExpected };
    Some((metric, reason.to_owned()))
}

fn nano(money: NanoUsd) -> i64 {
    i64::try_from(money).unwrap_or(i64::MAX)
}

fn grown(from: NanoUsd, to: NanoUsd) -> i64 {
    nano(to).saturating_sub(nano(from))
}

#[cfg(test)]
mod tests;
