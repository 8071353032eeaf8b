//! The web: every address answers, and what was asked is written down.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use nightshift_domain::config::SsrfPolicy;
use nightshift_engine::ports::{Web, WebAnswer, WebFault, WebMethod, WebRequest};

/// An address that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// How.
    pub method: WebMethod,
    /// Which.
    pub url: String,
    /// What was sent along.
    pub body: Bytes,
}

/// The rest of the world.
#[derive(Debug, Default)]
pub struct SimWeb {
    asked: Mutex<Vec<Asked>>,
}

impl SimWeb {
    /// What was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Web for SimWeb {
    async fn send(&self, _: &SsrfPolicy, request: &WebRequest, _: DateTime<Utc>) -> Result<WebAnswer, WebFault> {
        let asked = Asked { method: request.method, url: request.url.clone(), body: request.body.clone() };
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        Ok(WebAnswer {
            status: 200,
            content_type: Some("text/plain".to_owned()),
            url: request.url.clone(),
            body: Bytes::from_static(b"ok"),
            truncated: false,
            retry_after: None,
        })
    }
}
