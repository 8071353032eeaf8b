//! By which rules a job's alerts are raised, and where they go.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::config::GlobalAlert;
use crate::job::{AlertRule, Delivery, DeliveryMode, FailureAlert, Job};

/// Failures in a row before the first alert, where nobody says otherwise (PRODUCT §6).
const AFTER: u32 = 2;
/// Least time between two alerts, where nobody says otherwise (PRODUCT §6).
const COOLDOWN_MS: u64 = 3_600_000;
/// The longest cooldown that is told from never.
const COOLDOWN_MOST_MS: u64 = 10 * 365 * 86_400_000;

/// A place as somebody named it; what is left out is the agent's route.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Route {
    /// How: as a message or as a signed POST.
    pub mode: DeliveryMode,
    /// The channel's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The thread or topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// The channel's account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Whether it is where the job's answers go.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub primary: bool,
}

impl Route {
    /// It in a line, for the log of a run: a webhook's address stays out, because it may hold a secret.
    pub fn shown(&self) -> String {
        match self.mode {
            DeliveryMode::Webhook => "a webhook".to_owned(),
            DeliveryMode::Announce | DeliveryMode::None if self.primary => "where its answers go".to_owned(),
            DeliveryMode::Announce | DeliveryMode::None => match (&self.channel, &self.to) {
                (Some(channel), Some(to)) => format!("{channel} {to}"),
                (Some(one), None) | (None, Some(one)) => one.clone(),
                (None, None) => "its agent's route".to_owned(),
            },
        }
    }

    /// All of it in a line, the same for the same place.
    pub(super) fn words(&self) -> String {
        let parts = [&self.channel, &self.to, &self.thread, &self.account];
        format!("{:?} {parts:?}", self.mode)
    }

    fn of_delivery(delivery: &Delivery) -> Self {
        Self {
            mode: delivery.mode,
            channel: known(delivery.channel.as_ref()),
            to: delivery.to.clone(),
            thread: delivery.thread_id.clone(),
            account: delivery.account_id.clone(),
            primary: true,
        }
    }

    fn of_rule(rule: &AlertRule) -> Self {
        Self {
            mode: rule.mode.unwrap_or_default(),
            channel: known(rule.channel.as_ref()),
            to: rule.to.clone(),
            thread: None,
            account: rule.account_id.clone(),
            primary: false,
        }
    }

    /// Whether it says where, and not only how.
    fn is_named(&self) -> bool {
        self.channel.is_some() || self.to.is_some()
    }
}

/// `last` is the agent's route, as is no channel at all.
fn known(channel: Option<&String>) -> Option<String> {
    channel.filter(|channel| *channel != "last").cloned()
}

/// By which rules a job's alerts are raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Failures in a row before the first alert.
    pub after: u32,
    /// Least time between two alerts.
    pub cooldown: TimeDelta,
    /// Whether skipped occurrences count.
    pub include_skipped: bool,
    /// Where they go.
    pub route: Route,
}

/// The rules for `job`; `None` where nothing is told: the job forbids it, or says that it need not arrive and asks for no
/// alert itself, or nothing says where to.
///
/// Numbers are the job's, else the configured ones, else the product's. The place is the first that is named: the job's
/// `failureAlert`, its `delivery.failureDestination`, `cron.failureAlert`, where its answers go. A `mode` without a place
/// takes the first one of that mode.
pub fn rules(job: &Job, global: Option<&GlobalAlert>) -> Option<Rules> {
    let own = match &job.failure_alert {
        Some(FailureAlert::Switch(false)) => return None,
        Some(FailureAlert::Rule(rule)) if rule.mode == Some(DeliveryMode::None) => return None,
        Some(FailureAlert::Rule(rule)) => Some(rule.clone()),
        Some(FailureAlert::Switch(true)) => Some(AlertRule::default()),
        None => None,
    };
    let delivery = job.delivery.as_ref();
    let destination = delivery.and_then(|delivery| delivery.failure_destination.as_ref());
    let asks = own.is_some() || destination.is_some();
    let global_on = global.filter(|global| global.enabled && global.mode != Some(DeliveryMode::None));
    let off = global.is_some() && global_on.is_none();
    if !asks && (off || delivery.is_some_and(|delivery| delivery.best_effort)) {
        return None;
    }
    let destination = destination.map(|place| Route {
        mode: place.mode,
        channel: known(place.channel.as_ref()),
        to: place.to.clone(),
        account: place.account_id.clone(),
        ..Route::default()
    });
    // A failure destination that is nowhere keeps the job's failures from everybody, unless the job's own rule says where.
    let nowhere = destination.as_ref().is_some_and(|place| place.mode == DeliveryMode::None);
    let configured = global_on.map(|global| Route::of_rule(&global.rule()));
    let primary = delivery.map(Route::of_delivery).filter(|route| route.mode != DeliveryMode::None);
    let mode = own.as_ref().and_then(|rule| rule.mode);
    let first = own.as_ref().map(Route::of_rule).filter(Route::is_named);
    if first.is_none() && nowhere {
        return None;
    }
    let named = [first, destination, configured].into_iter().flatten().filter(|route| {
        // Without an address there is nothing to post to.
        route.is_named()
            && route.mode != DeliveryMode::None
            && (route.mode != DeliveryMode::Webhook || route.to.is_some())
    });
    let wanted = |route: &Route| mode.is_none_or(|mode| route.mode == mode);
    let asks_for_one = own.is_some() || global_on.is_some();
    let mut route = named
        .chain(primary.clone())
        .find(wanted)
        .or_else(|| (asks_for_one && mode != Some(DeliveryMode::Webhook)).then(Route::default))?;
    route.primary |= primary.is_some_and(|primary| Route { primary: false, ..primary } == route);
    let own = own.unwrap_or_default();
    let configured = global.map(GlobalAlert::rule).unwrap_or_default();
    let cooldown = own.cooldown_ms.or(configured.cooldown_ms).unwrap_or(COOLDOWN_MS).min(COOLDOWN_MOST_MS);
    Some(Rules {
        after: own.after.or(configured.after).unwrap_or(AFTER).max(1),
        cooldown: TimeDelta::milliseconds(i64::try_from(cooldown).unwrap_or(i64::MAX / 2)),
        include_skipped: own.include_skipped.or(configured.include_skipped).unwrap_or(false),
        route,
    })
}
