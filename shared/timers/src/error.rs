//! What an answer of the Scheduler or of Lambda means to the caller.

use std::error::Error;
use std::sync::Arc;

use aws_sdk_scheduler::error::{ProvideErrorMetadata, SdkError};
use nightshift_engine::ports::TimerError;

/// An error with what it was about.
pub(crate) fn failed(operation: &str, error: impl Error + Send + Sync + 'static) -> TimerError {
    TimerError { operation: operation.to_owned(), expression_refused: false, source: Some(Arc::new(error)) }
}

/// The same for a schedule: a refusal of its expression (or of its zone, which is half of it) is told apart, because one-shots
/// in UTC can stand in for it.
///
/// The service has one code for every bad member, so its words decide: `Invalid Schedule Expression …` (observed on AWS,
/// 2025-01), or the member's name in a failed constraint.
pub(crate) fn schedule_failed<E>(operation: &str, error: SdkError<E>) -> TimerError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let words = error.message().unwrap_or_default().to_ascii_lowercase();
    let expression_refused = error.code() == Some("ValidationException")
        && (words.contains("schedule expression")
            || words.contains("scheduleexpression")
            || words.contains("timezone"));
    TimerError { expression_refused, ..failed(operation, error) }
}
