//! HTTPS to addresses that users and models supply, for tools.

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::config::SsrfPolicy;

/// How to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebMethod {
    /// Reads; redirects are followed.
    Get,
    /// Acts; redirects are not followed.
    Post,
}

/// What to ask. It holds what a model or a secret said: `Debug` shows the method only.
#[derive(Clone)]
pub struct WebRequest {
    /// How.
    pub method: WebMethod,
    /// Where.
    pub url: String,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// The body; empty for a read.
    pub body: Bytes,
    /// How much of the answer's body is wanted, bytes; the rest is not read.
    pub most_bytes: usize,
}

impl std::fmt::Debug for WebRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WebRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What came back. `Debug` shows the status only.
#[derive(Clone)]
pub struct WebAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The `content-type`.
    pub content_type: Option<String>,
    /// Where it came from, after redirects.
    pub url: String,
    /// The body, as far as it was wanted.
    pub body: Bytes,
    /// Whether there was more.
    pub truncated: bool,
    /// When the far side wants to be asked again.
    pub retry_after: Option<TimeDelta>,
}

impl std::fmt::Debug for WebAnswer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WebAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// How asking failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebFaultKind {
    /// The address may not be asked, or is none.
    Refused,
    /// It was never sent.
    NotSent,
    /// It may have been received; no answer came.
    Unknown,
}

/// Asking failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct WebFault {
    /// How.
    pub kind: WebFaultKind,
    /// One sentence; holds no body and no secret.
    pub message: String,
}

/// Asks, behind a guard against internal addresses (after name resolution, redirects included).
#[async_trait]
pub trait Web: Send + Sync + std::fmt::Debug {
    /// Sends `request` once and waits until `deadline`.
    async fn send(
        &self,
        policy: &SsrfPolicy,
        request: &WebRequest,
        deadline: DateTime<Utc>,
    ) -> Result<WebAnswer, WebFault>;
}
