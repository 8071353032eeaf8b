//! Everything outside the handlers, and what one invocation gets of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use nightshift_engine::ports::{Entropy, Secret, Secrets, Store};
use nightshift_engine::testing::{MemoryBlobs, MemoryStore, Recorder};
use nightshift_engine::{Deps, ManualClock, Settings};
use sha2::{Digest, Sha256};

use crate::channel::SimChannel;
use crate::gate::Gate;
use crate::older::{Authors, ReleaseStore};
use crate::ports::{Door, GatedBlobs, GatedInvoker, GatedStore, GatedTimers, GatedWeb};
use crate::provider::SimProvider;
use crate::queue::SimQueue;
use crate::timers::SimTimers;
use crate::web::SimWeb;

/// The world outside. What is public may be looked at and changed without any gate.
#[derive(Debug)]
pub struct Outside {
    /// The time.
    pub clock: ManualClock,
    /// Where chance comes from.
    pub seed: u64,
    /// The table.
    pub store: Arc<dyn Store>,
    /// Long texts.
    pub blobs: Arc<MemoryBlobs>,
    /// The timer service.
    pub timers: Arc<SimTimers>,
    /// Calls between functions.
    pub queue: Arc<SimQueue>,
    /// Models and their batches.
    pub provider: Arc<SimProvider>,
    /// Chats and addresses.
    pub channel: Arc<SimChannel>,
    /// The rest of the world.
    pub web: Arc<SimWeb>,
    /// What was measured.
    pub metrics: Arc<Recorder>,
    /// What every process is started with.
    pub settings: Settings,
    authors: Arc<Authors>,
}

impl Outside {
    /// An empty world on a table in memory.
    pub fn new(clock: ManualClock, seed: u64) -> Self {
        let store = Arc::new(MemoryStore::new(Arc::new(clock.clone())));
        Self::with_store(clock, seed, store)
    }

    /// An empty world on this table.
    pub fn with_store(clock: ManualClock, seed: u64, store: Arc<dyn Store>) -> Self {
        Self {
            seed,
            store,
            blobs: Arc::new(MemoryBlobs::new()),
            timers: Arc::new(SimTimers::new(clock.clone())),
            queue: Arc::new(SimQueue::new(clock.clone())),
            provider: SimProvider::new(clock.clone()),
            channel: SimChannel::new(clock.clone()),
            web: Arc::new(SimWeb::default()),
            metrics: Arc::default(),
            settings: Settings::default(),
            authors: Arc::default(),
            clock,
        }
    }

    /// What the invocation numbered `invocation` gets; its calls pass `gate`.
    pub fn deps(&self, gate: Arc<dyn Gate>, invocation: u64) -> Deps {
        self.deps_of(gate, invocation, false)
    }

    /// The same for a function of the previous release ([`crate::older`]).
    pub fn deps_of_older(&self, gate: Arc<dyn Gate>, invocation: u64) -> Deps {
        self.deps_of(gate, invocation, true)
    }

    fn deps_of(&self, gate: Arc<dyn Gate>, invocation: u64, older: bool) -> Deps {
        let door = Door { gate: gate.clone(), invocation };
        let store = Arc::new(ReleaseStore::new(self.store.clone(), self.authors.clone(), older));
        Deps {
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(Dice { seed: self.seed, invocation, thrown: AtomicU64::new(0) }),
            store: Arc::new(GatedStore::new(store, door.clone())),
            blobs: Arc::new(GatedBlobs::new(self.blobs.clone(), door.clone())),
            timers: Arc::new(GatedTimers::new(self.timers.clone(), door.clone())),
            invoker: Arc::new(GatedInvoker::new(self.queue.clone(), door.clone())),
            models: self.provider.models(gate.clone(), invocation),
            channels: self.channel.channels(gate, invocation),
            secrets: Arc::new(OneSecret),
            web: Arc::new(GatedWeb::new(self.web.clone(), door)),
            attempts: Arc::default(),
            metrics: self.metrics.clone(),
            settings: self.settings.clone(),
        }
    }
}

/// Chance that is the same for the same world, invocation and throw, whatever other invocations do.
#[derive(Debug)]
struct Dice {
    seed: u64,
    invocation: u64,
    thrown: AtomicU64,
}

impl Entropy for Dice {
    fn bits(&self) -> u128 {
        let throw = self.thrown.fetch_add(1, Ordering::Relaxed);
        let digest = Sha256::digest(format!("{}/{}/{throw}", self.seed, self.invocation));
        let mut bits = [0; 16];
        bits.copy_from_slice(&digest[..16]);
        u128::from_be_bytes(bits)
    }
}

/// The same secret behind every reference.
#[derive(Debug)]
struct OneSecret;

#[async_trait]
impl Secrets for OneSecret {
    async fn resolve(&self, _: &str) -> Result<Secret, String> {
        Ok(Secret::new("simulated"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_depend_on_the_world_the_invocation_and_the_throw_only() {
        let dice = |seed, invocation| Dice { seed, invocation, thrown: AtomicU64::new(0) };
        let (one, same) = (dice(1, 1), dice(1, 1));
        let (first, second) = (one.bits(), one.bits());
        assert_ne!(first, second);
        assert_eq!((same.bits(), same.bits()), (first, second));
        assert!(dice(2, 1).bits() != first && dice(1, 2).bits() != first);
    }
}
