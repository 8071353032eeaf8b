//! Models and message batches.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::BoxStream;
use nightshift_domain::config::Config;
use nightshift_domain::model::{HopRequest, ModelErrorKind, ModelInfo, Reply};
use nightshift_domain::run::{Credential, RowResult};

/// A model call failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    /// How.
    pub kind: ModelErrorKind,
    /// One sentence; never holds a prompt, an answer or a key.
    pub message: String,
    /// When the provider wants to be asked again.
    pub retry_after: Option<TimeDelta>,
    /// The id of the HTTP request, for support.
    pub request_id: Option<String>,
}

/// Creating a batch failed. Whether the batch may exist is the whole difference.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CreateError {
    /// It certainly does not exist: an explicit refusal (4xx but 409, 429, 529), a refused connection or a failed look-up.
    #[error("the batch was refused")]
    Refused(#[source] ModelError),
    /// It may exist: another 5xx, 409, a reset, a time-out, an unreadable answer.
    #[error("creating the batch got no answer")]
    Unanswered(#[source] ModelError),
}

/// One row of a batch to be created.
#[derive(Debug, Clone)]
pub struct BatchRow {
    /// Its name.
    pub custom_id: String,
    /// The hop.
    pub request: HopRequest,
}

/// A batch as the provider shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchView {
    /// The provider's id.
    pub remote: String,
    /// Whether it has ended.
    pub ended: bool,
    /// Whether it was told to stop.
    pub canceling: bool,
    /// When it was created there.
    pub created_at: DateTime<Utc>,
    /// How many rows it has.
    pub rows: u64,
}

/// A page of batches, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchList {
    /// The batches.
    pub batches: Vec<BatchView>,
    /// Where the next page begins, if there is one.
    pub next_after: Option<String>,
}

/// One line of a batch's results.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultLine {
    /// The row.
    pub custom_id: String,
    /// What became of it.
    pub result: RowResult,
}

/// Results as they arrive, in no order.
pub type ResultLines = BoxStream<'static, Result<ResultLine, ModelError>>;

/// A place that serves models.
#[async_trait]
pub trait Model: Send + Sync + std::fmt::Debug {
    /// Sends one hop and waits for the answer until `deadline`. Never repeated by the adapter.
    async fn message(&self, request: &HopRequest, deadline: DateTime<Utc>) -> Result<Reply, ModelError>;
    /// What it says the model can do.
    async fn info(&self, model: &str) -> Result<ModelInfo, ModelError>;
    /// How many tokens the prompt of `request` has, for nothing; `None` where the place cannot tell.
    async fn count(&self, _request: &HopRequest) -> Result<Option<u64>, ModelError> {
        Ok(None)
    }
    /// Its Message Batches, if it has them.
    fn batches(&self) -> Option<&dyn Batches>;
}

/// Message Batches. Nothing here is repeated by the adapter except where it says so.
#[async_trait]
pub trait Batches: Send + Sync {
    /// Creates a batch, once.
    async fn create(&self, rows: &[BatchRow]) -> Result<BatchView, CreateError>;
    /// Looks at one; reads may be repeated within the call.
    async fn retrieve(&self, remote: &str) -> Result<BatchView, ModelError>;
    /// Looks at many, newest first, at most `limit` (1 to 1,000).
    async fn list(&self, limit: u32, after: Option<&str>) -> Result<BatchList, ModelError>;
    /// Tells one to stop; a repeat is harmless.
    async fn cancel(&self, remote: &str) -> Result<BatchView, ModelError>;
    /// Forgets one that has ended.
    async fn delete(&self, remote: &str) -> Result<(), ModelError>;
    /// Streams the results of one that has ended, with bounded memory.
    async fn results(&self, remote: &str) -> Result<ResultLines, ModelError>;
}

/// A model place that was opened for one invocation.
#[derive(Debug, Clone)]
pub struct OpenedModel {
    /// The place.
    pub model: Arc<dyn Model>,
    /// What kind of key it is used with.
    pub credential: Credential,
}

/// Opens model places from the configuration.
#[async_trait]
pub trait Models: Send + Sync + std::fmt::Debug {
    /// The provider called `name`.
    async fn open(&self, config: &Config, name: &str) -> Result<OpenedModel, OpenModelError>;
}

/// A provider cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenModelError {
    /// The configuration names no such provider.
    #[error("there is no provider \"{0}\"")]
    Unknown(String),
    /// Its key cannot be had or is of a kind that is never accepted.
    #[error("the key of provider \"{provider}\" cannot be used: {reason}")]
    Key {
        /// The provider.
        provider: String,
        /// Why, without the key.
        reason: String,
    },
}
