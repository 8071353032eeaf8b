//! Why a request was not carried out.

use nightshift_domain::{FieldError, JobId, RunKey};

use crate::error::EngineError;
use crate::ports::{BlobError, StoreError, TimerError};

/// Why a request was not carried out. Every variant but the last means that nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Fields of the request are bad; all of them are here.
    #[error("{} fields of the request are not valid", .0.len())]
    Invalid(Vec<FieldError>),
    /// There is no such job.
    #[error("there is no job {0}")]
    NoJob(String),
    /// There is no such run.
    #[error("there is no run {0}")]
    NoRun(String),
    /// There is no such document.
    #[error("there is no document \"{}\"", .0.escape_debug())]
    NoDocument(String),
    /// The agent remembers no such file.
    #[error("the memory of {agent} has no file {path}")]
    NoMemory {
        /// The agent.
        agent: String,
        /// The file.
        path: String,
    },
    /// A text is not the one the change was made for.
    #[error("\"{}\" is at revision {found}, not {expected}", name.escape_debug())]
    TextChanged {
        /// The document's name, or the file's path.
        name: String,
        /// What the request was made for; 0 is none.
        expected: u64,
        /// What there is; 0 is none.
        found: u64,
    },
    /// There is no such session.
    #[error("agent {agent} has no session \"{name}\"")]
    NoSession {
        /// The agent.
        agent: String,
        /// The name.
        name: String,
    },
    /// A run is using the session.
    #[error("session \"{name}\" is used by run {run}")]
    SessionBusy {
        /// The session.
        name: String,
        /// The run.
        run: RunKey,
    },
    /// The id that was given belongs to another job.
    #[error("there is a job {0} already, and it is another one")]
    JobExists(JobId),
    /// Somebody else changed it at the same time, again and again.
    #[error("{0} was changed by somebody else at the same time")]
    Changed(String),
    /// The configuration is not the one the change was made for.
    #[error("the configuration is at revision {found}, not {expected}")]
    ConfigChanged {
        /// What the request was made for.
        expected: u64,
        /// What there is.
        found: u64,
    },
    /// The world failed; some of it may be done, and a repeat does the rest.
    #[error(transparent)]
    Failed(#[from] EngineError),
}

impl From<Vec<FieldError>> for Refusal {
    fn from(faults: Vec<FieldError>) -> Self {
        Self::Invalid(faults)
    }
}

impl From<FieldError> for Refusal {
    fn from(fault: FieldError) -> Self {
        Self::Invalid(vec![fault])
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<TimerError> for Refusal {
    fn from(error: TimerError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<BlobError> for Refusal {
    fn from(error: BlobError) -> Self {
        Self::Failed(error.into())
    }
}
