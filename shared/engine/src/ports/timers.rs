//! Timers, and calls between functions.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use nightshift_domain::JobId;
use nightshift_domain::event::{Envelope, Function};

use super::Page;

/// When a timer fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerSpec {
    /// Again and again, in EventBridge's words: `cron(…)` in a zone, or `rate(…)` from a start.
    Recurring {
        /// `cron(…)` or `rate(…)`.
        expression: String,
        /// An IANA zone.
        timezone: String,
        /// The first slot of a `rate(…)`.
        start: Option<DateTime<Utc>>,
    },
    /// Once, and then it deletes itself.
    Once(DateTime<Utc>),
}

/// A job's own timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobTimer {
    /// The job.
    pub job: JobId,
    /// The timer's name.
    pub name: String,
    /// When.
    pub spec: TimerSpec,
    /// What it sends. Its `s` is replaced by the scheduled time where the timer recurs.
    pub envelope: Envelope,
    /// Whether it fires at all.
    pub enabled: bool,
}

/// A timer as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerEntry {
    /// Its name.
    pub name: String,
    /// Whether it fires at all.
    pub enabled: bool,
    /// When it was last set, where the service tells.
    pub changed_at: Option<DateTime<Utc>>,
}

/// A timer with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerView {
    /// Its name.
    pub name: String,
    /// Whether it fires at all.
    pub enabled: bool,
    /// When.
    pub spec: TimerSpec,
    /// What it sends; `None` for something that is no envelope of ours.
    pub envelope: Option<Envelope>,
    /// The function it sends that to; `None` for something that is none of ours.
    pub function: Option<Function>,
}

/// A timer could not be set, changed or removed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to {operation}")]
pub struct TimerError {
    /// What was tried, with its subject.
    pub operation: String,
    /// Whether the service refused the expression itself, so that a chain of one-shots is the way.
    pub expression_refused: bool,
    /// Why.
    #[source]
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// Durable timers.
#[async_trait]
pub trait Timers: Send + Sync + std::fmt::Debug {
    /// Sets a job's timer, whether or not one is there.
    async fn put_job(&self, timer: &JobTimer) -> Result<(), TimerError>;
    /// Removes a timer by name; one that is not there is removed already.
    async fn remove(&self, name: &str) -> Result<(), TimerError>;
    /// Arms a one-shot under a name that is never reused; one that is there already is the same one.
    async fn arm(&self, name: &str, at: DateTime<Utc>, envelope: &Envelope) -> Result<(), TimerError>;
    /// Timers whose names begin with `prefix`, in no promised order, a page at a time; a list may lag. What comes after
    /// `cursor`, as the page before said it.
    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<Page<TimerEntry>, TimerError>;
    /// A timer by name.
    async fn get(&self, name: &str) -> Result<Option<TimerView>, TimerError>;
}

/// Calls between functions.
#[async_trait]
pub trait Invoker: Send + Sync + std::fmt::Debug {
    /// Hands an envelope to a function's queue; `Ok` means it is durably there.
    async fn invoke(&self, function: Function, envelope: &Envelope) -> Result<(), TimerError>;
}
