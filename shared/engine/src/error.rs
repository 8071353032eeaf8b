//! A use case could not go on: the world failed in a way that a later try may mend.
//!
//! Everything else is no error: a lost race is an outcome, a job's own failure is a state of its run, bad input is a
//! [`nightshift_domain::FieldError`].

use nightshift_domain::{AttemptId, RunKey};

use crate::ports::{BlobError, StoreError, TimerError};

/// What failed. The function's answer to it is to fail too, so that its caller tries again.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A timer or a call to another function.
    #[error(transparent)]
    Timer(#[from] TimerError),
    /// A blob.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A run's long text is not where its row says.
    #[error("the text of run {run} is missing from the blob store under {key}")]
    TextMissing {
        /// The run.
        run: RunKey,
        /// The blob.
        key: String,
    },
    /// The list of a batch's members is not where its row says.
    #[error("the list of members of batch {batch} is missing from the blob store or cannot be read")]
    RollMissing {
        /// The batch.
        batch: AttemptId,
    },
    /// A row was changed by others more often than is plausible.
    #[error("{subject} was changed by others {times} times in a row")]
    Contended {
        /// The row.
        subject: String,
        /// How often.
        times: u32,
    },
    /// An earlier delivery of the same event holds the run, or died with it. Answering that all is well would end the
    /// event's retries, which are what takes the run up when the lease is over.
    #[error("run {run} is held by an earlier invocation of the same request until {until}")]
    Twin {
        /// The run.
        run: RunKey,
        /// When its lease is over.
        until: chrono::DateTime<chrono::Utc>,
    },
    /// The configuration in the table cannot be read.
    #[error("the stored configuration cannot be read: {0}")]
    Config(#[from] nightshift_domain::FieldError),
    /// A channel's or provider's secret cannot be had.
    #[error("{0}")]
    Secret(String),
}

impl EngineError {
    /// One word for it, as a function error's type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Store(_) => "Store",
            Self::Timer(_) => "Timer",
            Self::Blob(_) | Self::TextMissing { .. } | Self::RollMissing { .. } => "Blob",
            Self::Contended { .. } => "Contended",
            Self::Twin { .. } => "Twin",
            Self::Config(_) => "Config",
            Self::Secret(_) => "Secret",
        }
    }

    /// The error with all its causes, in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            cause = inner.source();
        }
        text
    }
}
