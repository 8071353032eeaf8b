//! An outside world that is not there.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use nightshift_domain::config::{Config, SsrfPolicy};
use nightshift_domain::event::{Envelope, Function};

use crate::ports::{
    Channel, Channels, Entropy, Invoker, JobTimer, Models, OpenChannelError, OpenModelError, OpenedModel, Page, Secret,
    Secrets, TimerEntry, TimerError, TimerView, Timers, Web, WebAnswer, WebFault, WebFaultKind, WebRequest,
};

/// Does nothing, as if it had worked; knows no model and no channel, and its dice always show the same.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Entropy for Nothing {
    fn bits(&self) -> u128 {
        4
    }
}

#[async_trait]
impl Timers for Nothing {
    async fn put_job(&self, _: &JobTimer) -> Result<(), TimerError> {
        Ok(())
    }

    async fn remove(&self, _: &str) -> Result<(), TimerError> {
        Ok(())
    }

    async fn arm(&self, _: &str, _: DateTime<Utc>, _: &Envelope) -> Result<(), TimerError> {
        Ok(())
    }

    async fn list(&self, _: &str, _: Option<&str>) -> Result<Page<TimerEntry>, TimerError> {
        Ok(Page { items: Vec::new(), next: None })
    }

    async fn get(&self, _: &str) -> Result<Option<TimerView>, TimerError> {
        Ok(None)
    }
}

#[async_trait]
impl Invoker for Nothing {
    async fn invoke(&self, _: Function, _: &Envelope) -> Result<(), TimerError> {
        Ok(())
    }
}

#[async_trait]
impl Models for Nothing {
    async fn open(&self, _: &Config, name: &str) -> Result<OpenedModel, OpenModelError> {
        Err(OpenModelError::Unknown(name.to_owned()))
    }
}

#[async_trait]
impl Channels for Nothing {
    async fn open(&self, _: &Config, name: &str, _: Option<&str>) -> Result<Arc<dyn Channel>, OpenChannelError> {
        Err(OpenChannelError::NotConfigured(name.to_owned()))
    }

    fn configured(&self, _: &Config) -> Vec<String> {
        Vec::new()
    }
}

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
