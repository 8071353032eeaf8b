//! The channels against small servers on loopback: what they send, and what each failure says about the message.

#![expect(clippy::unwrap_used, reason = "a test stops where its set-up fails")]

mod console;
mod discord;
mod faults;
mod imessage;
mod mattermost;
mod media;
mod open;
mod readers;
mod readers_marks;
mod recorded;
mod report;
mod server;
mod signal;
mod slack;
mod telegram;
mod webhook;
mod whatsapp;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use nightshift_channels::Open;
use nightshift_domain::config::Config;
use nightshift_engine::ports::{
    Channel, Channels, Outgoing, Rendered, Secret, Secrets, SendError, SendErrorKind, Sent,
};
use nightshift_engine::{Clock, SystemClock};
use serde_json::json;

const TOKEN: &str = "123456:TEST_token-value";
const PASSWORD: &str = "open & shut?";
/// The key of what is sent.
const KEY: &str = "job_20261120T070000Z-final-0";

/// Knows some variables.
#[derive(Debug)]
struct Known;

#[async_trait]
impl Secrets for Known {
    async fn resolve(&self, reference: &str) -> Result<Secret, String> {
        match reference {
            "env:TOKEN" => Ok(Secret::from(format!("{TOKEN}\n"))),
            "env:SIGNING" => Ok(Secret::new("signing-secret")),
            "env:EMPTY" => Ok(Secret::new("")),
            "env:PASSWORD" => Ok(Secret::new(PASSWORD)),
            _ => Err("no such variable".to_owned()),
        }
    }
}

fn opener(clock: Arc<dyn Clock>, console_url: Option<String>) -> Open {
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Open { http, clock, secrets: Arc::new(Known), console_url }
}

fn config(base_url: &str) -> Config {
    Config::parse(&json!({
        "cron": { "webhookSecret": "env:SIGNING", "webhookSsrfPolicy": { "allowedHostnames": ["127.0.0.1"] } },
        "channels": {
            "telegram": { "accounts": {
                "default": { "botToken": "env:TOKEN", "baseUrl": base_url, "textChunkLimit": 300 },
                "bad": { "botToken": "env:SIGNING" }, "none": {}, "empty": { "botToken": "env:EMPTY" },
                "missing": { "botToken": "env:OTHER" },
            } },
            "slack": { "accounts": { "default": { "botToken": "env:TOKEN", "baseUrl": format!("{base_url}/api") } } },
            "discord": { "accounts": { "default": { "botToken": "env:TOKEN", "baseUrl": format!("{base_url}/api/v10") } } },
            "whatsapp": { "accounts": {
                "default": { "accessToken": "env:TOKEN", "phoneNumberId": "1001", "baseUrl": base_url },
                "old": { "accessToken": "env:TOKEN", "phoneNumberId": "1001", "apiVersion": "v20.0", "baseUrl": base_url },
                "none": { "accessToken": "env:TOKEN" },
            } },
            "mattermost": { "accounts": {
                "default": { "token": "env:TOKEN", "baseUrl": format!("{base_url}/chat/") }, "none": { "token": "env:TOKEN" },
            } },
            "signal": { "accounts": {
                "default": {
                    "baseUrl": base_url, "number": "+15550001111",
                    "headers": { "Authorization": "env:TOKEN", "X-Site": "home" },
                },
                "none": { "baseUrl": base_url },
                "bad": { "baseUrl": base_url, "number": "+1", "headers": { "Authorization": "env:OTHER" } },
            } },
            "imessage": { "accounts": { "default": { "baseUrl": base_url, "password": "env:PASSWORD" }, "none": {} } },
        },
    }))
    .unwrap()
}

async fn channel(name: &str, base_url: &str) -> Arc<dyn Channel> {
    opener(Arc::new(SystemClock), Some(base_url.to_owned())).open(&config(base_url), name, None).await.unwrap()
}

/// Sends one message and reports the answer.
async fn send(channel: &dyn Channel, to: &str, thread: Option<&str>, body: &Rendered) -> Result<Sent, SendError> {
    let target = channel.target(to, thread).unwrap();
    let message = Outgoing { target: &target, body, idempotency_key: KEY };
    channel.send(&message, SystemClock.now() + TimeDelta::seconds(20)).await
}

fn text(text: &str) -> Rendered {
    Rendered { text: text.to_owned(), plain: None, media: None }
}

/// The kind and the wait of a failure; none of them may show the token or the text.
fn failure(result: Result<Sent, SendError>) -> (SendErrorKind, Option<i64>, String) {
    let error = result.unwrap_err();
    assert!(!error.message.contains(TOKEN) && !error.message.contains("TEST_token"), "{error}");
    assert!(!error.message.contains("private words"), "{error}");
    assert!(!error.message.contains(PASSWORD) && !error.message.contains("shut"), "{error}");
    (error.kind, error.retry_after.map(|wait| wait.num_seconds()), error.message)
}
