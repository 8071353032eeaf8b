//! The command line's own time: it is an edge, and this is the one place where it reads the clock and waits.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// The time.
#[expect(clippy::disallowed_methods, reason = "the one place where the command line reads the machine's time")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "the one place where the command line waits; no run depends on it")]
pub(crate) async fn wait(duration: Duration) {
    tokio::time::sleep(duration).await;
}
