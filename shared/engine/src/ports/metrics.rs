//! Where the numbers go.

use nightshift_domain::metrics::Reading;

/// Keeps readings, or passes them on.
///
/// At most once: a reading is taken after the write it stands for, and an invocation that ends between the two loses it. What
/// has to be exact is in the table; metrics are for alarms and graphs. An answer of the table that got lost does not lose the
/// reading where the same commit is sent again and found to be written.
pub trait Metrics: Send + Sync + std::fmt::Debug {
    /// Takes a reading. It neither fails nor waits: nobody's run depends on it.
    fn record(&self, reading: &Reading);
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMetrics;

impl Metrics for NoMetrics {
    fn record(&self, _: &Reading) {}
}
