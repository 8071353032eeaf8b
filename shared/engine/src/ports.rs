//! What the engine needs of the outside world. Adapters implement these; nothing here names a vendor's SDK.

mod channel;
mod model;
mod secrets;
mod store;
mod timers;

pub use channel::{
    Channel, ChannelError, Channels, OpenChannelError, Outgoing, Rendered, SendError, SendErrorKind, Sent,
};
pub use model::{
    BatchList, BatchRow, BatchView, Batches, CreateError, Model, ModelError, Models, OpenModelError, OpenedModel,
    ResultLine, ResultLines,
};
pub use secrets::{Secret, Secrets};
pub use store::{
    BlobError, Blobs, DueItem, Outcome, Page, PageRequest, RunFilter, Store, StoreError, StoreErrorKind, SystemEvent,
    Write,
};
pub use timers::{Invoker, JobTimer, TimerEntry, TimerError, TimerSpec, TimerView, Timers};

/// Chance, so that a test can take it away.
pub trait Entropy: Send + Sync + std::fmt::Debug {
    /// 128 random bits.
    fn bits(&self) -> u128;
}
