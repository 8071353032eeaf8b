//! The console of the local stack: answers shown in a terminal, to try Nightshift without an account anywhere.
//!
//! It keeps every key for good, so a repeat is always dropped and nothing ever has to stay unknown.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::delivery::Target;
use nightshift_engine::Clock;
use nightshift_engine::ports::{Channel, ChannelError, Outgoing, Rendered, SendError, Sent};
use serde::{Deserialize, Serialize};

use crate::chunk::chunk;
use crate::http;
use crate::markdown::{parse_raw, render_raw};

/// Largest message, UTF-16 units.
const CHUNK: usize = 100_000;
/// A hundred years: the console never forgets a key.
const WINDOW: TimeDelta = TimeDelta::days(36_500);

/// The console behind `url`.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) http: reqwest::Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) url: String,
}

#[derive(Serialize)]
struct Deliver<'a> {
    key: &'a str,
    channel: &'a str,
    to: &'a str,
    thread: Option<&'a str>,
    text: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delivered {
    message_id: String,
}

#[async_trait]
impl Channel for Console {
    fn target(&self, to: &str, thread: Option<&str>) -> Result<Target, ChannelError> {
        let to = to.trim();
        Ok(Target {
            channel: "console".to_owned(),
            account: "default".to_owned(),
            to: if to.is_empty() { "default" } else { to }.to_owned(),
            thread: thread.map(str::trim).filter(|thread| !thread.is_empty()).map(str::to_owned),
        })
    }

    fn render(&self, markdown: &str) -> Vec<Rendered> {
        let document = parse_raw(markdown, CHUNK);
        let messages = chunk(&document, CHUNK, render_raw);
        messages.iter().map(|pieces| Rendered { text: render_raw(pieces), plain: None, media: None }).collect()
    }

    fn dedupes(&self) -> Option<TimeDelta> {
        Some(WINDOW)
    }

    async fn send(&self, message: &Outgoing<'_>, deadline: DateTime<Utc>) -> Result<Sent, SendError> {
        let body = Deliver {
            key: message.idempotency_key,
            channel: "console",
            to: &message.target.to,
            thread: message.target.thread.as_deref(),
            text: &message.body.text,
        };
        let url = format!("{}/deliver", self.url.trim_end_matches('/'));
        let answer = http::call(&*self.clock, deadline, "the console", self.http.post(url).json(&body)).await?;
        match answer.status.as_u16() {
            200..=299 => serde_json::from_slice::<Delivered>(&answer.body)
                .map(|delivered| Sent { message_id: delivered.message_id })
                .map_err(|_| http::unknown("the console answered but named no id for the message")),
            429 => {
                let wait = nightshift_web::retry_after(&answer.headers, self.clock.now());
                Err(http::not_taken("the console answered 429", wait))
            }
            status @ (408 | 500..=599) => Err(http::unknown(format!("the console answered {status}"))),
            status => Err(http::refused(format!("the console answered {status}"))),
        }
    }
}
