//! What the engine needs of the outside world. Adapters implement these; nothing here names a vendor's SDK.

mod channel;
mod fair;
mod metrics;
mod model;
mod secrets;
mod store;
mod timers;
mod web;

pub use channel::{
    Channel, ChannelError, Channels, OpenChannelError, Outgoing, Rendered, SendError, SendErrorKind, Sent,
};
pub use fair::shares;
pub use metrics::{Metrics, NoMetrics};
pub use model::{
    BatchList, BatchRow, BatchView, Batches, CreateError, Model, ModelError, Models, OpenModelError, OpenedModel,
    ResultLine, ResultLines,
};
pub use secrets::{Secret, Secrets};
pub use store::{
    BlobError, Blobs, DueItem, MOST_PLACES, Memo, Outcome, Overview, Page, PageRequest, Places, RunFilter, Store,
    StoreError, StoreErrorKind, SystemEvent, Write, cron_enabled, is_counter_name,
};
pub use timers::{Invoker, JobTimer, TimerEntry, TimerError, TimerSpec, TimerView, Timers};
pub use web::{Web, WebAnswer, WebFault, WebFaultKind, WebMethod, WebRequest};

/// Chance, so that a test can take it away.
pub trait Entropy: Send + Sync + std::fmt::Debug {
    /// 128 random bits.
    fn bits(&self) -> u128;
}
