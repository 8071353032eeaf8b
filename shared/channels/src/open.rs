//! Opens channels from the configuration.

use std::sync::Arc;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use async_trait::async_trait;
use nightshift_domain::config::{Account, Config};
use nightshift_engine::Clock;
use nightshift_engine::ports::{Channel, Channels, OpenChannelError, Secret, Secrets};
use nightshift_web::GuardedClient;

use crate::console::Console;
use crate::discord::{self, Discord};
use crate::imessage::{self, IMessage};
use crate::mattermost::{self, Mattermost};
use crate::places::Places;
use crate::signal::{self, Signal};
use crate::slack::{self, Slack};
use crate::telegram::{self, Telegram};
use crate::webhook::Webhook;
use crate::whatsapp::{self, WhatsApp};

/// Chat channels that can be opened.
const CHATS: [&str; 7] = ["telegram", "slack", "discord", "whatsapp", "mattermost", "signal", "imessage"];
/// How a value that is a reference to a secret begins.
const REFERENCES: [&str; 3] = ["ssm:", "env:", "file:"];
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
            name if CHATS.contains(&name) => {
                let (account, entry) = find(config, name, account)?;
                match name {
                    "telegram" => self.telegram(account, entry).await,
                    "slack" => self.slack(account, entry).await,
                    "discord" => self.discord(account, entry).await,
                    "whatsapp" => self.whatsapp(account, entry).await,
                    "mattermost" => self.mattermost(account, entry).await,
                    "signal" => self.signal(account, entry).await,
                    _ => self.imessage(account, entry).await,
                }
            }
            _ => Err(OpenChannelError::NotConfigured(format!(
                "there is no channel \"{name}\"; there are {} and webhook",
                CHATS.join(", ")
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

type Opened = Result<Arc<dyn Channel>, OpenChannelError>;

/// The chats, each with one account of it.
impl Open {
    async fn telegram(&self, account: String, entry: Account) -> Opened {
        let token = self.secret("telegram", "botToken", entry.bot_token.as_deref()).await?;
        if !is_bot_token(token.expose()) {
            return Err(secret_error("telegram", "it does not look like a bot token (<digits>:<letters>)"));
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

    async fn slack(&self, account: String, entry: Account) -> Opened {
        let token = self.token("slack", "botToken", entry.bot_token.as_deref()).await?;
        Ok(Arc::new(Slack {
            http: self.http.clone(),
            clock: self.clock.clone(),
            account,
            base_url: entry.base_url.unwrap_or_else(|| slack::API.to_owned()),
            token,
            limit: limit(entry.text_chunk_limit, slack::CHUNK),
        }))
    }

    async fn discord(&self, account: String, entry: Account) -> Opened {
        let token = self.token("discord", "botToken", entry.bot_token.as_deref()).await?;
        Ok(Arc::new(Discord {
            http: self.http.clone(),
            clock: self.clock.clone(),
            account,
            base_url: entry.base_url.unwrap_or_else(|| discord::API.to_owned()),
            token,
            limit: limit(entry.text_chunk_limit, discord::CHUNK),
            places: Places::default(),
        }))
    }

    async fn whatsapp(&self, account: String, entry: Account) -> Opened {
        let token = self.token("whatsapp", "accessToken", entry.access_token.as_deref()).await?;
        let phone_number_id = given("whatsapp", &account, "phoneNumberId", entry.phone_number_id)?;
        Ok(Arc::new(WhatsApp {
            http: self.http.clone(),
            clock: self.clock.clone(),
            account,
            base_url: entry.base_url.unwrap_or_else(|| whatsapp::API.to_owned()),
            version: entry.api_version.unwrap_or_else(|| whatsapp::VERSION.to_owned()),
            phone_number_id,
            token,
            limit: limit(entry.text_chunk_limit, whatsapp::CHUNK),
        }))
    }

    async fn mattermost(&self, account: String, entry: Account) -> Opened {
        let token = self.token("mattermost", "token", entry.token.as_deref()).await?;
        let base_url = given("mattermost", &account, "baseUrl", entry.base_url)?;
        Ok(Arc::new(Mattermost {
            http: self.http.clone(),
            clock: self.clock.clone(),
            account,
            base_url,
            token,
            limit: limit(entry.text_chunk_limit, mattermost::CHUNK),
            places: Places::default(),
        }))
    }

    async fn signal(&self, account: String, entry: Account) -> Opened {
        let base_url = given("signal", &account, "baseUrl", entry.base_url)?;
        let number = given("signal", &account, "number", entry.number)?;
        let mut headers = HeaderMap::new();
        for (name, value) in entry.headers.unwrap_or_default() {
            let is_reference = REFERENCES.iter().any(|kind| value.starts_with(kind));
            let value = if is_reference { self.resolve("signal", &value).await? } else { Secret::from(value) };
            let cannot = || secret_error("signal", &format!("headers.{name} cannot be sent as a header"));
            let mut header = HeaderValue::from_str(value.expose()).map_err(|_| cannot())?;
            header.set_sensitive(is_reference);
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| cannot())?, header);
        }
        Ok(Arc::new(Signal {
            http: self.http.clone(),
            clock: self.clock.clone(),
            account,
            base_url,
            number,
            headers,
            limit: limit(entry.text_chunk_limit, signal::CHUNK),
        }))
    }

    async fn imessage(&self, account: String, entry: Account) -> Opened {
        let password = self.secret("imessage", "password", entry.password.as_deref()).await?;
        let base_url = given("imessage", &account, "baseUrl", entry.base_url)?;
        Ok(Arc::new(IMessage {
            http: self.http.clone(),
            clock: self.clock.clone(),
            account,
            base_url,
            password,
            limit: limit(entry.text_chunk_limit, imessage::CHUNK),
            places: Places::default(),
        }))
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

    /// The secret that an account holds a reference to.
    async fn secret(&self, channel: &str, field: &str, reference: Option<&str>) -> Result<Secret, OpenChannelError> {
        let reference = reference.ok_or_else(|| secret_error(channel, &format!("{field} is missing")))?;
        self.resolve(channel, reference).await
    }

    /// The same, of one that goes into a header.
    async fn token(&self, channel: &str, field: &str, reference: Option<&str>) -> Result<Secret, OpenChannelError> {
        let token = self.secret(channel, field, reference).await?;
        match HeaderValue::from_str(token.expose()) {
            Ok(_) => Ok(token),
            Err(_) => Err(secret_error(channel, &format!("{field} cannot be sent as a header"))),
        }
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

/// What an account must have besides its secret; the check of the configuration asks for it too.
fn given(channel: &str, account: &str, field: &str, value: Option<String>) -> Result<String, OpenChannelError> {
    value.filter(|value| !value.trim().is_empty()).ok_or_else(|| {
        OpenChannelError::NotConfigured(format!("channels.{channel}.accounts.{account}.{field} is missing"))
    })
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
