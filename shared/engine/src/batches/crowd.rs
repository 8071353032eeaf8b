//! The same for many: members of a batch are independent, and so are their failures.

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tracing::warn;

use crate::error::EngineError;

/// How many are worked on at once: enough to hide the table's latency, few enough for its connections.
const AT_ONCE: usize = 16;

/// What work on many came to.
#[derive(Debug)]
pub(super) struct Crowd<O> {
    /// What it brought, in no order.
    pub done: Vec<O>,
    /// The first failure, if there was one.
    pub failed: Option<EngineError>,
}

impl<O> Crowd<O> {
    /// What it brought, or the first failure.
    pub(super) fn all(self) -> Result<Vec<O>, EngineError> {
        self.failed.map_or(Ok(self.done), Err)
    }
}

/// Does `work` for each of `items`, some at once. One's failure is logged and does not stop the others.
pub(super) async fn each<'a, T, O>(
    items: Vec<T>,
    work: impl Fn(T) -> BoxFuture<'a, Result<O, EngineError>>,
) -> Crowd<O> {
    let mut waiting = items.into_iter();
    let mut busy: FuturesUnordered<_> = waiting.by_ref().take(AT_ONCE).map(&work).collect();
    let mut crowd = Crowd { done: Vec::new(), failed: None };
    while let Some(outcome) = busy.next().await {
        match outcome {
            Ok(done) => crowd.done.push(done),
            Err(error) => {
                warn!("one of many failed: {}", error.chain());
                crowd.failed.get_or_insert(error);
            }
        }
        busy.extend(waiting.next().map(&work));
    }
    crowd
}
