//! Providers to which nothing is sent. Only a person can mend that: money is short, or a limit is set too low.

use nightshift_domain::stop::Stop;

use super::{Checkup, Finding, FindingKind, Visit};
use crate::error::EngineError;

impl Visit<'_> {
    /// A finding per provider that is stopped.
    pub(super) async fn stops(&self, checkup: &mut Checkup) -> Result<(), EngineError> {
        let overview = self.request.deps.store.overview().await?;
        // One whose time is past holds nothing back: whoever sends next tells whether it is over.
        let now = self.request.deps.clock.now();
        checkup.findings.extend(overview.stops.iter().filter(|stop| stop.holds(now)).map(finding));
        Ok(())
    }
}

fn finding(stop: &Stop) -> Finding {
    Finding {
        kind: FindingKind::SpendLimit,
        job: None,
        run: None,
        batch: None,
        timer: None,
        message: stop.sentence(),
        repaired: false,
    }
}
