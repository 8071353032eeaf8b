//! Whether all of a stack is there, and fits together.
//!
//! Reads only. Each check stands for itself: what cannot be looked at is a finding of its own and hides no other. What is
//! asked of AWS and what is made of the answers are apart, so that the judgement can be tested without AWS. Knows nothing of
//! jobs; those are `cron doctor`'s.

use std::time::Duration;

use serde::Serialize;

use super::{Aws, AwsFailure};
use crate::error::ExpectedError;

mod front;
mod functions;
mod table;
#[cfg(test)]
mod tests;
mod timers;

/// What to do where a part of the stack is missing or not as the template makes it.
const DEPLOY: &str = "deploy the stack again; if somebody changed it by hand, that is undone";

/// What to do where nothing of the stack is to be seen.
const ELSEWHERE: &str = "check --stack, --region and AWS_PROFILE, or deploy the stack";

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verdict {
    Ok,
    /// Something is to be done.
    Found,
    /// What it needs to know could not be had; that is told by another check.
    Skipped,
}

impl Verdict {
    /// As it is shown, in a column.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Found => "found",
            Self::Skipped => "skip",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What, such as `function night-api`.
    pub(crate) subject: String,
    pub(crate) verdict: Verdict,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl Check {
    fn ok(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Ok, message: message.into(), hint: None }
    }

    fn found(subject: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self { subject: subject.into(), verdict: Verdict::Found, message: message.into(), hint }
    }

    pub(crate) fn skipped(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Skipped, message: message.into(), hint: None }
    }

    /// A finding where somebody was asked, and did not answer.
    pub(crate) fn failed(subject: impl Into<String>, error: &ExpectedError) -> Self {
        let causes = std::iter::successors(std::error::Error::source(error), |&cause| cause.source());
        let message = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
        Self { subject: subject.into(), verdict: Verdict::Found, message, hint: error.hint() }
    }

    /// The same for something that AWS knows nothing of.
    fn asked(subject: impl Into<String>, what: &str, failure: AwsFailure) -> Self {
        if failure.is_missing() {
            return Self::found(subject, format!("{what} is not there"), DEPLOY);
        }
        Self::failed(subject, &failure.into())
    }
}

/// Looks at `stack`.
pub(crate) async fn look(aws: &Aws, stack: &str, timeout: Duration) -> Vec<Check> {
    let mut checks = vec![identity(aws).await];
    let (seen, looked_at) = functions::look(aws, stack).await;
    checks.extend(looked_at);
    checks.extend(functions::agreement(stack, &seen));
    checks.push(functions::dead_letters(aws, &seen).await);
    checks.extend(table::look(aws, functions::setting(&seen, functions::TABLE)).await);
    checks.extend(timers::look(aws, functions::setting(&seen, functions::GROUP)).await);
    checks.extend(front::look(aws, stack, &seen, timeout).await);
    checks
}

/// Who asks.
async fn identity(aws: &Aws) -> Check {
    match aws.sts().get_caller_identity().send().await {
        Ok(caller) => {
            let arn = caller.arn.unwrap_or_else(|| "somebody AWS does not name".to_owned());
            Check::ok("credentials", format!("{arn}, in {}", aws.region()))
        }
        Err(error) => Check::failed("credentials", &AwsFailure::of("say who you are", &error).into()),
    }
}

/// `api`, `api and poll`, `api, poll and deliver`.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [some @ .., last] => format!("{} and {last}", some.join(", ")),
    }
}
