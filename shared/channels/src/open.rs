//! Opens channels from the configuration.

use std::sync::Arc;

use async_trait::async_trait;
use nightshift_domain::config::{Account, Config};
use nightshift_engine::Clock;
use nightshift_engine::ports::{Channel, Channels, OpenChannelError, Secret, Secrets};
use nightshift_web::GuardedClient;

use crate::console::Console;
use crate::slack::{self, Slack};
use crate::telegram::{self, Telegram};
use crate::webhook::Webhook;

/// Chat channels that can be opened.
const CHATS: [&str; 2] = ["telegram", "slack"];
/// Smallest `textChunkLimit`, UTF-16 units: below this the markup of one word may not fit.
const SMALLEST_CHUNK: usize = 256;

/// Opens channels. Secrets are resolved at every opening, so a changed one is used from the next invocation on.
#[derive(Debug, Clone)]
pub struct Open {
    /// For the platforms' APIs. It should not follow redirects, and bound the time to connect, so that a failure to
    /// connect is told from a lost answer.
    pub http: reqwest::Client,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where tokens come from.
    pub secrets: Arc<dyn Secrets>,
    /// The console of the local stack, if this is one.
    pub console_url: Option<String>,
}

#[async_trait]
impl Channels for Open {
    async fn open(
        &self,
        config: &Config,
        name: &str,
        account: Option<&str>,
    ) -> Result<Arc<dyn Channel>, OpenChannelError> {
        match name {
            "webhook" => self.webhook(config).await,
            "console" => self.console(),
            "telegram" => {
                let (account, entry) = find(config, name, account)?;
                let token = self.token(name, &entry).await?;
                if !is_bot_token(token.expose()) {
                    return Err(secret_error(name, "it does not look like a bot token (<digits>:<letters>)"));
                }
                Ok(Arc::new(Telegram {
                    http: self.http.clone(),
                    clock: self.clock.clone(),
                    account,
                    base_url: entry.base_url.unwrap_or_else(|| telegram::API.to_owned()),
                    token,
                    limit: limit(entry.text_chunk_limit, telegram::CHUNK),
                }))
            }
            "slack" => {
                let (account, entry) = find(config, name, account)?;
                let token = self.token(name, &entry).await?;
                Ok(Arc::new(Slack {
                    http: self.http.clone(),
                    clock: self.clock.clone(),
                    account,
                    base_url: entry.base_url.unwrap_or_else(|| slack::API.to_owned()),
                    token,
                    limit: limit(entry.text_chunk_limit, slack::CHUNK),
                }))
            }
            _ => Err(OpenChannelError::NotConfigured(format!(
                "there is no channel \"{name}\"; there are telegram, slack and webhook"
            ))),
        }
    }

    fn configured(&self, config: &Config) -> Vec<String> {
        let chats =
            CHATS.iter().filter(|name| config.channels.get(**name).is_some_and(|channel| !channel.accounts.is_empty()));
        let console = self.console_url.iter().map(|_| "console");
        chats.copied().chain(console).map(str::to_owned).collect()
    }
}

impl Open {
    async fn webhook(&self, config: &Config) -> Result<Arc<dyn Channel>, OpenChannelError> {
        let secret = match &config.cron.webhook_secret {
            Some(reference) => Some(self.resolve("webhook", reference).await?),
            None => None,
        };
        let client = GuardedClient::new(self.clock.clone(), &config.cron.webhook_ssrf_policy);
        Ok(Arc::new(Webhook { client, clock: self.clock.clone(), secret }))
    }

    fn console(&self) -> Result<Arc<dyn Channel>, OpenChannelError> {
        let url = self.console_url.clone().ok_or_else(|| {
            OpenChannelError::NotConfigured("the console is there on the local stack only".to_owned())
        })?;
        Ok(Arc::new(Console { http: self.http.clone(), clock: self.clock.clone(), url }))
    }

    async fn token(&self, channel: &str, account: &Account) -> Result<Secret, OpenChannelError> {
        let reference = account.bot_token.as_deref().ok_or_else(|| secret_error(channel, "botToken is missing"))?;
        self.resolve(channel, reference).await
    }

    /// The value behind a reference, without white space around it (a line end in a file or parameter).
    async fn resolve(&self, channel: &str, reference: &str) -> Result<Secret, OpenChannelError> {
        let secret = self.secrets.resolve(reference).await.map_err(|reason| secret_error(channel, &reason))?;
        let value = secret.expose().trim();
        if value.is_empty() {
            return Err(secret_error(channel, "it is empty"));
        }
        Ok(Secret::new(value))
    }
}

fn find(config: &Config, name: &str, account: Option<&str>) -> Result<(String, Account), OpenChannelError> {
    let account = account.unwrap_or("default");
    let channel = config.channels.get(name).ok_or_else(|| {
        OpenChannelError::NotConfigured(format!(
            "channel \"{name}\" is not configured; add channels.{name}.accounts.{account} to the configuration"
        ))
    })?;
    let entry = channel
        .accounts
        .get(account)
        .ok_or_else(|| OpenChannelError::NotConfigured(format!("channel \"{name}\" has no account \"{account}\"")))?;
    Ok((account.to_owned(), entry.clone()))
}

fn secret_error(channel: &str, reason: &str) -> OpenChannelError {
    OpenChannelError::Secret { channel: channel.to_owned(), reason: reason.to_owned() }
}

/// `<digits>:<letters>` (Telegram Bot API, "Authorizing your bot"): it goes into a path, so nothing else may be in it.
fn is_bot_token(token: &str) -> bool {
    token.contains(':') && token.chars().all(|char| char.is_ascii_alphanumeric() || ":_-".contains(char))
}

/// The configured limit, which may only make messages smaller.
fn limit(configured: Option<u32>, largest: usize) -> usize {
    configured
        .and_then(|limit| usize::try_from(limit).ok())
        .filter(|limit| *limit > 0)
        .map_or(largest, |limit| limit.clamp(SMALLEST_CHUNK, largest))
}
