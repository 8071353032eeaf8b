//! Messages and Message Batches over HTTP: implements [`Model`] and [`Batches`] of `nightshift-engine`.
//!
//! Guarantee: `POST /v1/messages` and `POST /v1/messages/batches` are sent at most once per call, on a connection of their
//! own, and what cannot be proven unsent is reported as unanswered. Reads are repeated at most twice. The key goes to the
//! configured base URL and nowhere else. It knows nothing of runs, prices or who may batch; callers keep one
//! [`Anthropic`] per key for the life of the process, since it remembers what models can do.

mod assembly;
mod batches;
pub mod body;
mod errors;
mod events;
pub mod headers;
mod messages;
mod models;
mod results;
mod transport;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use nightshift_domain::model::{HopRequest, ModelInfo, Reply};
use nightshift_engine::Clock;
use nightshift_engine::ports::{
    BatchList, BatchRow, BatchView, Batches, CreateError, Model, ModelError, ResultLines, Secret,
};

pub use transport::http_client;

/// Where the API is, without `/v1` (official SDKs, `ANTHROPIC_BASE_URL`).
pub const DEFAULT_BASE_URL: &str = "https://api.anthropic.com";

/// How the API is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is, without `/v1`; [`DEFAULT_BASE_URL`] but for an emulator or a gateway.
    pub base_url: String,
    /// An API key or an OAuth token; both go out as `Authorization: Bearer` ("Authentication" page, 2026-10-01).
    pub key: Secret,
    /// Which workspace is meant; a key of several workspaces needs it on every call.
    pub workspace_id: Option<String>,
    /// The key is an OAuth token (a subscription's, or one of workload identity) and needs [`headers::OAUTH_BETA`]. A key
    /// that begins with `sk-ant-oat` is one anyway. Whether it may batch is the plan's decision, not made here.
    pub subscription: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let base_url = DEFAULT_BASE_URL.to_owned();
        Self { base_url, key: Secret::default(), workspace_id: None, subscription: false }
    }
}

/// The Anthropic API under one key.
#[derive(Debug)]
pub struct Anthropic {
    settings: Settings,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    models: models::Cache,
}

impl Anthropic {
    /// The API under `settings`. Reads go through `http`, which is to be [`http_client`] or built like it: no redirects, no
    /// retries. Messages and creates use a client of this crate that keeps no connections.
    pub fn new(mut settings: Settings, http: reqwest::Client, clock: Arc<dyn Clock>) -> Self {
        settings.base_url.truncate(settings.base_url.trim_end_matches('/').len());
        Self { settings, http, clock, models: models::Cache::default() }
    }
}

#[async_trait]
impl Model for Anthropic {
    /// Streamed, so that an answer may take as long as `deadline` allows; one that breaks off, falls silent for a minute or
    /// ends before it is complete counts as unanswered, since it is paid for.
    async fn message(&self, request: &HopRequest, deadline: DateTime<Utc>) -> Result<Reply, ModelError> {
        Ok(self.send_message(request, deadline).await?)
    }

    /// Asked once an hour per model; in between it answers from memory.
    async fn info(&self, model: &str) -> Result<ModelInfo, ModelError> {
        Ok(self.model_info(model).await?)
    }

    async fn count(&self, request: &HopRequest) -> Result<Option<u64>, ModelError> {
        Ok(Some(self.count_tokens(request).await?))
    }

    fn batches(&self) -> Option<&dyn Batches> {
        Some(self)
    }
}

#[async_trait]
impl Batches for Anthropic {
    async fn create(&self, rows: &[BatchRow]) -> Result<BatchView, CreateError> {
        self.create_batch(rows).await
    }

    async fn retrieve(&self, remote: &str) -> Result<BatchView, ModelError> {
        Ok(self.retrieve_batch(remote).await?)
    }

    async fn list(&self, limit: u32, after: Option<&str>) -> Result<BatchList, ModelError> {
        Ok(self.list_batches(limit, after).await?)
    }

    async fn cancel(&self, remote: &str) -> Result<BatchView, ModelError> {
        Ok(self.cancel_batch(remote).await?)
    }

    async fn delete(&self, remote: &str) -> Result<(), ModelError> {
        Ok(self.delete_batch(remote).await?)
    }

    async fn results(&self, remote: &str) -> Result<ResultLines, ModelError> {
        Ok(self.stream_results(remote).await?)
    }
}
