//! Stops what would be sent to a provider that refuses for want of money, and says so.
//!
//! Guarantee: while a stop holds, nothing is sent to its provider; whatever would have been ends with a sentence that says
//! since when and until when. When it is over in time, whoever sends next probes it, and what comes of that ends or renews
//! it. However many meet the limit at once, one stop is written: the first write is the condition of the others.

use chrono::{DateTime, Utc};
use nightshift_domain::model::ModelErrorKind;
use nightshift_domain::stop::Stop;
use tracing::{info, warn};

use crate::error::EngineError;
use crate::ports::{ModelError, Outcome, StoreError, Write};
use crate::runs::Scene;

/// What stands between a run and its provider.
#[derive(Debug)]
pub(crate) struct Gate {
    provider: String,
    standing: Option<Stop>,
}

impl Gate {
    /// Looks at the gate of `provider`, before anything is sent.
    pub(crate) async fn of(scene: Scene<'_>, provider: &str) -> Result<Self, EngineError> {
        let standing = scene.deps.store.stop(provider).await?;
        Ok(Self { provider: provider.to_owned(), standing })
    }

    /// Why nothing may be sent at `now`.
    pub(crate) fn closed(&self, now: DateTime<Utc>) -> Option<ModelError> {
        let stop = self.standing.as_ref().filter(|stop| stop.holds(now))?;
        let billing = stop.code == ModelErrorKind::Billing.code();
        let kind = if billing { ModelErrorKind::Billing } else { ModelErrorKind::SpendLimit };
        Some(ModelError { kind, message: stop.sentence(), retry_after: None, request_id: None })
    }

    /// Something went through: the stop that stood is over.
    ///
    /// # Crash safety
    /// One conditional write. Stopped before it, the next one that goes through does it.
    pub(crate) async fn passed(&self, scene: Scene<'_>) {
        let Some(stop) = &self.standing else { return };
        info!("provider \"{}\" takes requests again", self.provider);
        log(scene.deps.store.commit(&[Write::EndStop(stop)]).await, &self.provider);
    }

    /// The provider refused. What is not about money stops nothing.
    ///
    /// # Crash safety
    /// One conditional write. Stopped before it, the next one that is refused does it.
    pub(crate) async fn refused(&self, scene: Scene<'_>, error: &ModelError) {
        if !error.kind.stops_provider() {
            return;
        }
        let (standing, now) = (self.standing.as_ref(), scene.deps.clock.now());
        let stop = Stop::after(standing, &self.provider, error.kind, &error.message, error.retry_after, now);
        warn!("{}", stop.sentence());
        log(scene.deps.store.commit(&[Write::Stop(&stop)]).await, &self.provider);
    }
}

/// A stop is worth less than the run that met it: what fails here is tried by the next.
fn log(written: Result<Outcome, StoreError>, provider: &str) {
    match written {
        Ok(Outcome::Applied) => {}
        Ok(Outcome::Lost(_)) => info!("somebody else wrote the stop of provider \"{provider}\" first"),
        Err(error) => warn!("the stop of provider \"{provider}\" could not be written: {error}"),
    }
}
