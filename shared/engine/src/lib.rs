//! Use cases, and the ports they need of the outside world.
//!
//! A use case loads, asks `domain` what follows, writes that under one condition and performs the effects. It knows no
//! vendor: DynamoDB, EventBridge, Anthropic and the chat platforms stand behind [`ports`].

pub mod attempts;
pub mod batches;
pub mod clock;
pub mod deliver;
pub mod deps;
pub mod endpoint;
pub mod error;
pub mod heartbeat;
pub mod jobs;
pub mod ports;
pub mod runs;
mod shelves;
mod stops;
pub mod sweep;
pub mod testing;
pub mod tools;
pub mod trigger;

pub use clock::{Clock, ManualClock, SystemClock};
pub use deps::{Deps, Invocation, Settings};
pub use error::EngineError;
