//! Everything a handler may touch, built once per process.

use std::sync::Arc;

use nightshift_domain::config::SecretsPath;
use nightshift_domain::metrics::Reading;

use crate::attempts::Attempts;
use crate::clock::Clock;
use crate::ports::{Blobs, Channels, Entropy, Invoker, Metrics, Models, Secrets, Store, Timers, Web};

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
    /// Wrong tokens that this instance has seen.
    pub attempts: Arc<Attempts>,
    /// Numbers for whoever watches.
    pub metrics: Arc<dyn Metrics>,
    /// What the process was started with.
    pub settings: Settings,
}

impl Deps {
    /// Passes on what a write counts for that was applied just now.
    pub(crate) fn measure(&self, reading: &Reading) {
        if !reading.is_empty() {
            self.metrics.record(reading);
        }
    }
}

/// What the process was started with.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Timers run nothing (`NIGHTSHIFT_SKIP_CRON`, `OPENCLAW_SKIP_CRON`).
    pub skip_cron: bool,
    /// On the local stack: answers go to the console where a job and its agent name no place.
    pub local: bool,
    /// Where the deployment's secrets are; `None` on the local stack, which has no parameter store.
    pub secrets: Option<SecretsPath>,
    /// SHA-256 (hex) of the API's bearer token; `None` where the front authenticates.
    pub api_token_sha256: Option<String>,
}

/// One invocation: who it is and how long it may take.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Its id: the owner of the leases it takes. No other invocation has it, not even one of the same request.
    pub id: String,
    /// When it is stopped.
    pub deadline: chrono::DateTime<chrono::Utc>,
}

/// What stands between a request's id and what tells its invocations apart.
const APART: char = '~';

impl Invocation {
    /// One invocation for `request`. Lambda delivers an asynchronous event at least once, and every delivery and retry of it
    /// has the same request id (Lambda, "Asynchronous invocation" page, 2026-10): `nonce` tells them apart, so that none
    /// takes another's lease.
    pub fn new(request: &str, nonce: u128, deadline: chrono::DateTime<chrono::Utc>) -> Self {
        // A request lives for hours at most and has a few invocations: 64 bits are plenty.
        Self { id: format!("{request}{APART}{:016x}", nonce & u128::from(u64::MAX)), deadline }
    }

    /// The id of its request.
    pub fn request(&self) -> &str {
        request_of(&self.id)
    }

    /// Whether `owner` is another invocation for the same request: a delivery of the same event that is still at work, or
    /// one that died.
    pub fn is_twin_of(&self, owner: &str) -> bool {
        owner != self.id && request_of(owner) == self.request()
    }
}

fn request_of(id: &str) -> &str {
    id.rsplit_once(APART).map_or(id, |(request, _)| request)
}

#[cfg(test)]
mod tests {
    use super::Invocation;

    #[test]
    fn invocations_of_one_request_are_told_apart_and_known_as_twins() {
        let of = |request, nonce| Invocation::new(request, nonce, chrono::DateTime::UNIX_EPOCH);
        let (one, other, stranger) = (of("req-1", 1), of("req-1", 2), of("req-2", 1));
        assert_eq!((one.id.as_str(), one.request()), ("req-1~0000000000000001", "req-1"));
        assert!(one.is_twin_of(&other.id) && !one.is_twin_of(&one.id) && !one.is_twin_of(&stranger.id));
        let bare = Invocation { id: "inv-1".to_owned(), deadline: one.deadline };
        assert!(bare.request() == "inv-1" && !bare.is_twin_of("inv-1"));
    }
}
