//! An outside world that is not there.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use nightshift_domain::config::SsrfPolicy;

use crate::ports::{Secret, Secrets, Web, WebAnswer, WebFault, WebFaultKind, WebRequest};

/// Knows no secret.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn resolve(&self, reference: &str) -> Result<Secret, String> {
        Err(format!("there is no secret behind {reference}"))
    }
}

/// Reaches no address.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWeb;

#[async_trait]
impl Web for NoWeb {
    async fn send(&self, _: &SsrfPolicy, _: &WebRequest, _: DateTime<Utc>) -> Result<WebAnswer, WebFault> {
        Err(WebFault { kind: WebFaultKind::NotSent, message: "there is no network".to_owned() })
    }
}
