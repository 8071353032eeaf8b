//! Everything a handler may touch, built once per process.

use std::sync::Arc;

use crate::clock::Clock;
use crate::ports::{Blobs, Channels, Entropy, Invoker, Models, Secrets, Store, Timers, Web};

/// The outside world, as handlers see it.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// The table.
    pub store: Arc<dyn Store>,
    /// Long texts.
    pub blobs: Arc<dyn Blobs>,
    /// Timers.
    pub timers: Arc<dyn Timers>,
    /// Calls between functions.
    pub invoker: Arc<dyn Invoker>,
    /// Models.
    pub models: Arc<dyn Models>,
    /// Channels.
    pub channels: Arc<dyn Channels>,
    /// Secret values behind the configuration's references.
    pub secrets: Arc<dyn Secrets>,
    /// Addresses that users and models supply.
    pub web: Arc<dyn Web>,
    /// What the process was started with.
    pub settings: Settings,
}

/// What the process was started with.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Timers run nothing (`NIGHTSHIFT_SKIP_CRON`, `OPENCLAW_SKIP_CRON`).
    pub skip_cron: bool,
    /// On the local stack: answers go to the console where a job and its agent name no place.
    pub local: bool,
    /// SHA-256 (hex) of the API's bearer token; `None` where the front authenticates.
    pub api_token_sha256: Option<String>,
}

/// One invocation: who it is and how long it may take.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Its id: the owner of the leases it takes.
    pub id: String,
    /// When it is stopped.
    pub deadline: chrono::DateTime<chrono::Utc>,
}
