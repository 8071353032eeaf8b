//! Timers on EventBridge Scheduler and calls between functions on Lambda.
//!
//! Guarantee: a timer that was set fires at least once, within a minute of its time, even when every process of ours is
//! gone (EventBridge Scheduler user guide, 2026-10). It may fire twice, late, or once more after it was changed; envelopes
//! are nudges, so that is harmless. This crate knows nothing of jobs' schedules: expressions arrive ready made.

mod error;
mod invoker;
mod read;
mod scheduler;
mod spec;

pub use invoker::LambdaInvoker;
pub use scheduler::{SchedulerTimers, ensure_group};

use nightshift_domain::event::Function;

/// Where the functions are: every function's ARN is this prefix and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Functions {
    prefix_arn: String,
}

impl Functions {
    /// For example `arn:aws:lambda:us-east-1:000000000000:function:nightshift-`.
    pub fn new(prefix_arn: impl Into<String>) -> Self {
        Self { prefix_arn: prefix_arn.into() }
    }

    /// The ARN of `function`.
    pub fn arn(&self, function: Function) -> String {
        format!("{}{}", self.prefix_arn, function.name())
    }

    /// The function behind an ARN, if it is one of ours.
    pub fn named(&self, arn: &str) -> Option<Function> {
        let name = arn.strip_prefix(&self.prefix_arn)?;
        let known = [Function::Trigger, Function::Poll, Function::Deliver, Function::Heartbeat];
        known.into_iter().find(|function| function.name() == name)
    }
}
