//! Where a text goes: what is asked for, else the channel that the target names in front of itself, else the agent's route
//! (where its last answer arrived, at first the configuration's default), else the only channel there is.
//!
//! Guarantee: reads only, and asks no chat anything; a place that cannot be told is a sentence, not an error.

use std::sync::Arc;

use nightshift_domain::alert::Route;
use nightshift_domain::config::{Agent, Config};
use nightshift_domain::delivery::{Target, channel_of};
use nightshift_domain::job::{Delivery, DeliveryMode};

use super::route;
use crate::deps::Deps;
use crate::error::EngineError;
use crate::ports::{Channel, OpenChannelError};

/// A place as somebody asks for it; what he leaves out is found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wish<'a> {
    /// The channel's name, or `last`.
    pub(crate) channel: Option<&'a str>,
    /// The target in the channel's grammar.
    pub(crate) to: Option<&'a str>,
    /// A thread or topic, which wins over one inside `to`.
    pub(crate) thread: Option<&'a str>,
    /// The channel's account.
    pub(crate) account: Option<&'a str>,
}

/// Why there is no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoTarget {
    /// No channel is named, and it cannot be guessed among so many.
    Channel(usize),
    /// No target is named for this channel.
    To(String),
    /// The channel says so.
    Refused(String),
    /// Its secret cannot be had now.
    Secret(String),
}

impl NoTarget {
    /// The same for a person, about `what` was asked for, whose targets are in `field`.
    pub(crate) fn sentence(self, what: &str, field: &str) -> String {
        match self {
            Self::Channel(configured) => format!("{what} names no channel and {configured} are configured"),
            Self::To(channel) => format!("{what} to {channel} names no target in {field}"),
            Self::Refused(message) | Self::Secret(message) => message,
        }
    }
}

/// A place, and the channel it is on.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// The place.
    pub(crate) target: Target,
    /// The channel, open.
    pub(crate) channel: Arc<dyn Channel>,
}

/// The place the answer of a run goes to: `Ok(None)` when nothing is sent, a sentence when the place cannot be told.
pub(super) async fn target(
    deps: &Deps,
    config: &Config,
    delivery: Option<&Delivery>,
    agent: &str,
) -> Result<Result<Option<Target>, String>, EngineError> {
    let Some(delivery) = delivery else { return Ok(Ok(None)) };
    let resolved = match delivery.mode {
        DeliveryMode::None => return Ok(Ok(None)),
        DeliveryMode::Webhook => match delivery.to.as_deref() {
            Some(to) => at(deps, config, ("webhook", to, None), delivery.thread_id.as_deref()).await,
            None => Err(NoTarget::To("a webhook".to_owned())),
        },
        DeliveryMode::Announce => {
            let wish = Wish {
                channel: delivery.channel.as_deref(),
                to: delivery.to.as_deref(),
                thread: delivery.thread_id.as_deref(),
                account: delivery.account_id.as_deref(),
            };
            resolve(deps, config, wish, agent).await?
        }
    };
    Ok(match resolved {
        Ok(resolved) => Ok(Some(resolved.target)),
        Err(why) => Err(why.sentence("the delivery", "delivery.to")),
    })
}

/// The chat that is asked for, with what was left out from the route of the agent called `id`.
pub(crate) async fn resolve(
    deps: &Deps,
    config: &Config,
    wish: Wish<'_>,
    id: &str,
) -> Result<Result<Resolved, NoTarget>, EngineError> {
    let (id, agent, _) = config.agent(Some(id));
    let named = wish.channel.filter(|name| *name != "last").or_else(|| wish.to.and_then(channel_of));
    let is_whole = named.is_some() && wish.to.is_some();
    let last = if is_whole { None } else { route::last(deps, config, &id, &agent).await? };
    let fits = |target: &Target| {
        named.is_none_or(|name| name == target.channel) && wish.account.is_none_or(|name| name == target.account)
    };
    Ok(match last.filter(fits) {
        Some(last) => at_last(deps, config, wish, last).await,
        None => by_default(deps, config, (named, wish), &agent).await,
    })
}

/// The place of the agent's last answer, but for what is asked for.
async fn at_last(deps: &Deps, config: &Config, wish: Wish<'_>, last: Target) -> Result<Resolved, NoTarget> {
    let Target { channel, account, to, .. } = &last;
    if wish.to.is_some() || wish.thread.is_some() {
        return at(deps, config, (channel, wish.to.unwrap_or(to), Some(account)), wish.thread).await;
    }
    reopened(deps, config, last).await
}

/// A place that was told before, open again.
pub(crate) async fn reopened(deps: &Deps, config: &Config, target: Target) -> Result<Resolved, NoTarget> {
    let channel = open(deps, config, &target.channel, Some(&target.account)).await?;
    Ok(Resolved { target, channel })
}

/// The place by the configuration.
async fn by_default(
    deps: &Deps,
    config: &Config,
    (named, wish): (Option<&str>, Wish<'_>),
    agent: &Agent,
) -> Result<Resolved, NoTarget> {
    let route = agent.default_route.as_ref();
    let configured = deps.channels.configured(config);
    let only = match configured.as_slice() {
        [only] => Some(only.as_str()),
        _ => None,
    };
    let channel = named
        .or_else(|| route.map(|route| route.channel.as_str()))
        .or(only)
        .or(deps.settings.local.then_some("console"))
        .ok_or(NoTarget::Channel(configured.len()))?;
    let route = route.filter(|route| route.channel == channel);
    let account = wish.account.or_else(|| route.and_then(|route| route.account_id.as_deref()));
    let to = wish
        .to
        .or_else(|| route.map(|route| route.to.as_str()))
        .or_else(|| (channel == "console").then_some("console"))
        .ok_or_else(|| NoTarget::To(channel.to_owned()))?;
    at(deps, config, (channel, to, account), wish.thread).await
}

/// The place that an alert about a run of the agent called `id` goes to.
pub(crate) async fn of_route(
    deps: &Deps,
    config: &Config,
    route: &Route,
    id: &str,
) -> Result<Result<Resolved, NoTarget>, EngineError> {
    if route.mode == DeliveryMode::Webhook {
        return Ok(match route.to.as_deref() {
            Some(to) => at(deps, config, ("webhook", to, None), None).await,
            None => Err(NoTarget::To("a webhook".to_owned())),
        });
    }
    let Route { channel, to, thread, account, .. } = route;
    let wish =
        Wish { channel: channel.as_deref(), to: to.as_deref(), thread: thread.as_deref(), account: account.as_deref() };
    resolve(deps, config, wish, id).await
}

async fn open(
    deps: &Deps,
    config: &Config,
    channel: &str,
    account: Option<&str>,
) -> Result<Arc<dyn Channel>, NoTarget> {
    match deps.channels.open(config, channel, account).await {
        Ok(opened) => Ok(opened),
        Err(OpenChannelError::NotConfigured(message)) => Err(NoTarget::Refused(message)),
        Err(error @ OpenChannelError::Secret { .. }) => Err(NoTarget::Secret(error.to_string())),
    }
}

async fn at(
    deps: &Deps,
    config: &Config,
    (channel, to, account): (&str, &str, Option<&str>),
    thread: Option<&str>,
) -> Result<Resolved, NoTarget> {
    let opened = open(deps, config, channel, account).await?;
    let mut target = opened.target(to, thread).map_err(|error| NoTarget::Refused(error.to_string()))?;
    if let Some(account) = account {
        account.clone_into(&mut target.account);
    }
    Ok(Resolved { target, channel: opened })
}
