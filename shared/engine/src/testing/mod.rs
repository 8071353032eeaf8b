//! Fakes that keep the ports' promises in memory.
//!
//! They pass the same contract suites as the real adapters, which is why tests may believe them. They know nothing of
//! faults, but that a commit of the table can be broken: wrap them to inject others.

mod blobs;
mod faulty;
mod lists;
mod outside;
mod recorder;
mod rows;
mod store;

pub use crate::ports::NoMetrics;
pub use blobs::MemoryBlobs;
pub use faulty::{Faulty, First, Mishap};
pub use outside::{NoSecrets, NoWeb, Nothing};
pub use recorder::Recorder;
pub use store::MemoryStore;
