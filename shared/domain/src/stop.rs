//! A provider that takes nothing more because money is short: since when, why, and when to ask again.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::model::ModelErrorKind;

/// When to ask again where the provider does not say. Nothing announces that somebody paid or raised a limit, and a refusal
/// costs nothing; so it is asked soon enough that a morning is not lost, and seldom enough not to be a nuisance.
pub const PROBE_AFTER: TimeDelta = TimeDelta::hours(1);
/// Least and longest wait that a provider's `retry-after` is believed.
const BELIEVED: (TimeDelta, TimeDelta) = (TimeDelta::minutes(1), TimeDelta::days(1));
/// How long a stop is remembered that nobody has probed: its provider is not used any more.
const REMEMBERED: TimeDelta = TimeDelta::days(7);

/// A stop of everything that would be sent to a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stop {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The failure code of the refusal: `spend_limit` or `model_billing`.
    pub code: String,
    /// What the provider said.
    pub message: String,
    /// When it refused first.
    pub since: DateTime<Utc>,
    /// Nothing is sent before; what is sent first then tells whether the stop is over.
    pub until: DateTime<Utc>,
    /// Rises with every write.
    pub rev: u64,
}

impl Stop {
    /// The stop after a refusal at `now`; `standing` is the one before it, which it renews.
    pub fn after(
        standing: Option<&Self>,
        provider: &str,
        kind: ModelErrorKind,
        message: &str,
        retry_after: Option<TimeDelta>,
        now: DateTime<Utc>,
    ) -> Self {
        let wait = retry_after.map_or(PROBE_AFTER, |asked| asked.clamp(BELIEVED.0, BELIEVED.1));
        Self {
            provider: provider.to_owned(),
            code: kind.code().to_owned(),
            message: message.to_owned(),
            since: standing.map_or(now, |standing| standing.since),
            until: now + wait,
            rev: standing.map_or(1, |standing| standing.rev + 1),
        }
    }

    /// Whether nothing may be sent at `now`.
    pub fn holds(&self, now: DateTime<Utc>) -> bool {
        now < self.until
    }

    /// When its row may go.
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.until + REMEMBERED
    }

    /// What a run is told that would have been sent.
    pub fn sentence(&self) -> String {
        let at = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M UTC").to_string();
        let (provider, message) = (&self.provider, &self.message);
        let (since, until) = (at(self.since), at(self.until));
        format!(
            "provider \"{provider}\" refuses for want of money since {since}; nothing is sent to it before {until} ({message})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_219_200, 0).unwrap()
    }

    fn stop(standing: Option<&Stop>, asked: Option<TimeDelta>, now: DateTime<Utc>) -> Stop {
        Stop::after(standing, "anthropic", ModelErrorKind::SpendLimit, "HTTP 429", asked, now)
    }

    #[test]
    fn a_stop_holds_for_an_hour_or_as_long_as_the_provider_says_within_reason() {
        for (asked, wait) in [
            (None, PROBE_AFTER),
            (Some(TimeDelta::minutes(7)), TimeDelta::minutes(7)),
            (Some(TimeDelta::seconds(1)), TimeDelta::minutes(1)),
            (Some(TimeDelta::days(40)), TimeDelta::days(1)),
        ] {
            let stop = stop(None, asked, now());
            assert!(stop.holds(now() + wait - TimeDelta::milliseconds(1)) && !stop.holds(now() + wait), "{asked:?}");
        }
    }

    #[test]
    fn a_renewed_stop_says_since_when_it_really_stands() {
        let first = stop(None, None, now());
        let later = now() + TimeDelta::hours(2);
        let renewed = stop(Some(&first), None, later);
        assert_eq!((renewed.since, renewed.until, renewed.rev), (now(), later + PROBE_AFTER, 2));
        assert_eq!(
            renewed.sentence(),
            "provider \"anthropic\" refuses for want of money since 2026-11-21 00:00 UTC; nothing is sent to it before \
             2026-11-21 03:00 UTC (HTTP 429)"
        );
    }
}
