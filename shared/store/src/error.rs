//! What an answer of DynamoDB means to the caller.

use std::error::Error;
use std::sync::Arc;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use nightshift_engine::ports::{StoreError, StoreErrorKind};

/// Codes after which the same request may work later (DynamoDB "Error handling" page, 2026-10).
const PASSING: [&str; 9] = [
    "InternalServerError",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
    "ThrottledException",
    TRANSACTION_CONFLICT,
    "TransactionInProgressException",
];

/// Another transaction holds the row at this moment.
pub(crate) const TRANSACTION_CONFLICT: &str = "TransactionConflictException";

/// An error whose kind follows from what the service said.
pub(crate) fn store_error<E>(operation: &str, error: SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    StoreError { operation: operation.to_owned(), kind: kind(&error), source: Some(Arc::new(error)) }
}

fn kind<E: ProvideErrorMetadata>(error: &SdkError<E>) -> StoreErrorKind {
    let passing = if let SdkError::ServiceError(service) = error {
        service.err().code().is_some_and(|code| PASSING.contains(&code)) || service.raw().status().is_server_error()
    } else {
        // No answer, or one that made no sense; but a request that could not even be built never will be.
        !matches!(error, SdkError::ConstructionFailure(_))
    };
    if passing { StoreErrorKind::Unavailable } else { StoreErrorKind::Refused }
}

/// A request that must not or cannot be sent.
pub(crate) fn refused(operation: &str, source: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError { operation: operation.to_owned(), kind: StoreErrorKind::Refused, source: Some(Arc::new(source)) }
}

/// A row that cannot be read.
pub(crate) fn corrupt(operation: &str, source: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError { operation: operation.to_owned(), kind: StoreErrorKind::Corrupt, source: Some(Arc::new(source)) }
}

/// A cursor that this list did not give.
pub(crate) fn bad_cursor(operation: &str) -> StoreError {
    StoreError { operation: operation.to_owned(), kind: StoreErrorKind::BadCursor, source: None }
}

/// Why a commit is not sent at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsendable {
    #[error("the row would take {bytes} bytes, more than the {limit} this program writes; long texts belong in a blob")]
    TooLarge { bytes: usize, limit: usize },
    #[error("{count} rows do not fit a transaction of 100")]
    TooMany { count: usize },
    #[error("there is no place {place}: they are numbered from 0 to 999")]
    NoSuchPlace { place: u32 },
    #[error("\"{name}\" is no name for a counter: it begins with a letter")]
    NoCounter { name: String },
    #[error("the row {pk} / {sk} would be written twice")]
    Twice { pk: String, sk: String },
}
