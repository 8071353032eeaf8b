//! Whether a turn that asked for a batch gets one.

use crate::config::{Config, Provider};
use crate::job::AgentTurn;
use crate::model::ModelInfo;

use super::{Path, Run, State};

/// Most tokens of a realtime answer: what a model writes in the ten minutes that an invocation has left for a hop at least, at
/// some 50 tokens a second. It is streamed, so that no connection stands still meanwhile (Messages API, "long requests").
pub const REALTIME_MAX_TOKENS: u64 = 32_000;
/// Most tokens of a batched answer: nobody waits on the line.
pub const BATCH_MAX_TOKENS: u64 = 64_000;

/// What kind of key a provider is used with (Anthropic authentication page; facts of 2026-11-20).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// An API key, or a workload-identity token declared as one: may batch.
    ApiKey,
    /// A subscription's OAuth token: may not.
    Subscription,
}

/// The kind of `secret` under `provider`'s settings.
pub fn credential_kind(provider: &Provider, secret: &str) -> Credential {
    let declared_wif = provider.credential_kind.as_deref() == Some("wif");
    if secret.starts_with("sk-ant-oat") && !declared_wif { Credential::Subscription } else { Credential::ApiKey }
}

/// Why a turn failed, or went on in realtime, whose batch took longer than the job allows.
pub const BATCH_TIMEOUT: &str = "batch_timeout";
/// Why a turn went on in realtime that was in a batch at the latest safe moment before its answer was wanted.
pub const DELIVER_BY: &str = "deliver_by";

/// Why a turn runs in realtime although a batch was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// The key is a subscription's.
    Subscription,
    /// The provider has no Message Batches API.
    Provider,
    /// The model takes no batches.
    Model,
    /// The configuration forbids batches.
    Forbidden,
    /// The answer is wanted before a batch would have ended.
    NoTime,
}

impl Fallback {
    /// The run's `fallbackReason`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Subscription => "credential_subscription",
            Self::Provider => "provider_without_batches",
            Self::Model => "model_without_batches",
            Self::Forbidden => "batches_forbidden",
            Self::NoTime => "no_time_for_batch",
        }
    }

    /// The same for a person.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Subscription => {
                "a subscription token cannot use Message Batches; the run goes in realtime at full price"
            }
            Self::Provider => "the provider has no Message Batches; the run goes in realtime at full price",
            Self::Model => "the model takes no batches; the run goes in realtime at full price",
            Self::Forbidden => "the configuration forbids batches; the run goes in realtime at full price",
            Self::NoTime => {
                "there is no time for a batch before the answer is wanted; the run goes in realtime at full price"
            }
        }
    }
}

/// A path, and why it is not the one that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathChoice {
    /// The path.
    pub path: Path,
    /// The reason, where a batch was asked for and cannot be.
    pub fallback: Option<Fallback>,
}

/// Why a turn that was to go in a batch goes in realtime from here on; `None` where it is none, or has gone so before.
pub fn fell_back<'a>(before: &Run, after: &'a Run) -> Option<&'a str> {
    let plan = after.plan.as_ref()?;
    let (was_planned, was_batched) =
        (before.plan.as_ref() == Some(plan), before.plan.as_ref().is_some_and(|plan| plan.path == Path::Batch));
    let goes = matches!(before.state, State::Due) || was_batched;
    plan.fallback_reason.as_deref().filter(|_| goes && !was_planned && plan.path == Path::Realtime)
}

/// Chooses the path of `turn`.
pub fn choose_path(
    turn: &AgentTurn,
    config: &Config,
    provider: &Provider,
    credential: Credential,
    model: &ModelInfo,
) -> PathChoice {
    let wanted = turn.batch.as_ref().map_or(config.cron.batch.default, |batch| batch.enabled);
    if !wanted {
        return PathChoice { path: Path::Realtime, fallback: None };
    }
    let fallback = if !config.cron.batch.allow {
        Some(Fallback::Forbidden)
    } else if !provider.is_anthropic() {
        Some(Fallback::Provider)
    } else if credential == Credential::Subscription {
        Some(Fallback::Subscription)
    } else if !model.batch {
        Some(Fallback::Model)
    } else {
        None
    };
    PathChoice { path: if fallback.is_some() { Path::Realtime } else { Path::Batch }, fallback }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::BatchPolicy;

    fn choose(edit: impl FnOnce(&mut Config, &mut Provider, &mut ModelInfo, &mut String)) -> PathChoice {
        let policy = BatchPolicy { enabled: true, ..BatchPolicy::default() };
        let turn = AgentTurn { batch: Some(policy), ..AgentTurn::default() };
        let (mut config, mut provider) = (Config::default(), Provider::default());
        let mut model = ModelInfo { id: "m".into(), batch: true, max_tokens: 1, ..ModelInfo::default() };
        let mut key = "sk-ant-api03-x".to_owned();
        edit(&mut config, &mut provider, &mut model, &mut key);
        choose_path(&turn, &config, &provider, credential_kind(&provider, &key), &model)
    }

    #[test]
    fn a_batch_that_cannot_be_falls_back_and_says_why() {
        let none = |choice: PathChoice| choice.fallback;
        assert_eq!(choose(|_, _, _, _| {}), PathChoice { path: Path::Batch, fallback: None });
        assert_eq!(none(choose(|_, _, _, key| *key = "sk-ant-oat01-x".into())), Some(Fallback::Subscription));
        assert_eq!(none(choose(|_, p, _, _| p.kind = Some("openai".into()))), Some(Fallback::Provider));
        assert_eq!(none(choose(|_, _, m, _| m.batch = false)), Some(Fallback::Model));
        assert_eq!(none(choose(|c, _, _, _| c.cron.batch.allow = false)), Some(Fallback::Forbidden));
    }

    #[test]
    fn a_bearer_token_declared_as_workload_identity_may_batch() {
        let choice = choose(|_, provider, _, key| {
            *key = "sk-ant-oat01-x".into();
            provider.credential_kind = Some("wif".into());
        });
        assert_eq!(choice.path, Path::Batch);
    }
}
