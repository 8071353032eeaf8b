//! Slack, over its Web API.
//!
//! Slack drops no repeats of `chat.postMessage`: a message whose outcome is unknown is never sent again by itself.

pub(crate) mod markup;
pub(crate) mod target;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::delivery::{Media, Target};
use nightshift_engine::Clock;
use nightshift_engine::ports::{Channel, ChannelError, Outgoing, Rendered, Secret, SendError, Sent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::chunk::chunk;
use crate::http::{self, Answer};
use crate::markdown::parse;
use crate::media::{self, Captions};
use crate::prefix::{refuse_foreign, thread_of};

/// Where the Web API is (Slack documentation, "Using the Slack Web API").
pub(crate) const API: &str = "https://slack.com/api";
/// Largest message, UTF-16 units: Slack advises 4,000 and cuts off above 40,000 (`chat.postMessage`).
pub(crate) const CHUNK: usize = 4000;
/// Longest text of a section, and longest description of an image, characters (Slack documentation, "Blocks").
const SECTION: usize = 3000;
const ALT: usize = 2000;

/// Slack with one bot.
#[derive(Debug)]
pub(crate) struct Slack {
    pub(crate) http: reqwest::Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) account: String,
    pub(crate) base_url: String,
    pub(crate) token: Secret,
    pub(crate) limit: usize,
}

#[async_trait]
impl Channel for Slack {
    fn target(&self, to: &str, thread: Option<&str>) -> Result<Target, ChannelError> {
        refuse_foreign(to, "slack").map_err(ChannelError)?;
        let (_, id) = target::parse(to).map_err(ChannelError)?;
        let thread = thread_of(thread).map(str::to_owned);
        Ok(Target { channel: "slack".to_owned(), account: self.account.clone(), to: id, thread })
    }

    fn render(&self, markdown: &str) -> Vec<Rendered> {
        render(markdown, self.limit)
    }

    fn dedupes(&self) -> Option<TimeDelta> {
        None
    }

    async fn send(&self, message: &Outgoing<'_>, deadline: DateTime<Utc>) -> Result<Sent, SendError> {
        let answer = self.post(message.target, message.body, deadline).await?;
        if message.body.media.is_some() && refuses_image(&answer) {
            let text = media::as_text(message.body, markup::escape);
            return self.outcome(message.target, &self.post(message.target, &text, deadline).await?);
        }
        self.outcome(message.target, &answer)
    }
}

/// The messages of `markdown`.
pub(crate) fn render(markdown: &str, limit: usize) -> Vec<Rendered> {
    let text = |part: &str| {
        let document = parse(part, markup::DIALECT).without_long_links(limit);
        let messages = chunk(&document, limit, markup::mrkdwn);
        messages.iter().map(|pieces| Rendered { text: markup::mrkdwn(pieces), plain: None, media: None }).collect()
    };
    media::messages(markdown, Captions { caption: SECTION.min(limit), text: limit }, text)
}

/// `chat.postMessage` (Slack documentation).
#[derive(Serialize)]
struct PostMessage<'a> {
    channel: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<&'a str>,
    unfurl_links: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<Value>,
}

/// Its answer: HTTP 200 for errors too.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    ok: bool,
    ts: Option<String>,
    error: String,
    needed: String,
}

impl Slack {
    async fn post(&self, to: &Target, body: &Rendered, deadline: DateTime<Utc>) -> Result<Answer, SendError> {
        let message = PostMessage {
            channel: &to.to,
            // Beside blocks it is what notifications show.
            text: if body.text.is_empty() { "image" } else { &body.text },
            thread_ts: to.thread.as_deref(),
            unfurl_links: false,
            blocks: body.media.as_ref().map(|media| blocks(&body.text, media)),
        };
        let url = format!("{}/chat.postMessage", self.base_url.trim_end_matches('/'));
        let request = self.http.post(url).bearer_auth(self.token.expose()).json(&message);
        http::call(&*self.clock, deadline, "Slack", request).await
    }

    /// What an answer says about the message.
    fn outcome(&self, to: &Target, answer: &Answer) -> Result<Sent, SendError> {
        let wait = || nightshift_web::retry_after(&answer.headers, self.clock.now());
        let reply: Option<Reply> = serde_json::from_slice(&answer.body).ok();
        match answer.status.as_u16() {
            429 => Err(http::not_taken("Slack is rate-limiting this bot", wait())),
            status @ (408 | 500..=599) => {
                Err(http::unknown(format!("Slack answered {status}; it may have taken the message")))
            }
            200..=299 => match reply {
                Some(Reply { ok: true, ts: Some(ts), .. }) => Ok(Sent { message_id: ts }),
                Some(Reply { ok: false, error, needed, .. }) if !error.is_empty() => match error.as_str() {
                    "ratelimited" | "rate_limited" => Err(http::not_taken("Slack is rate-limiting this bot", wait())),
                    // "Some part of the operation may have succeeded" (Slack documentation, chat.postMessage, Errors).
                    "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" => {
                        Err(http::unknown(format!("Slack answered {error}; it may have taken the message")))
                    }
                    _ => Err(http::refused(self.refusal(to, &error, &needed))),
                },
                Some(_) | None => Err(http::unknown("Slack answered but named no id for the message")),
            },
            status => {
                let error = reply.map(|reply| reply.error).unwrap_or_default();
                Err(http::refused(format!("Slack refused the message ({status}) {error}").trim_end().to_owned()))
            }
        }
    }

    /// A refusal as a sentence that says what to do.
    fn refusal(&self, to: &Target, error: &str, needed: &str) -> String {
        let place = &to.to;
        match error {
            "channel_not_found" => {
                format!(
                    "Slack: channel_not_found ({place}); use the channel's id, and invite the bot if the channel is private"
                )
            }
            "not_in_channel" => format!("Slack: not_in_channel ({place}); invite the bot to the channel"),
            "is_archived" => format!("Slack: is_archived ({place}); the channel takes no messages any more"),
            "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
                format!("Slack: {error}; check botToken of channels.slack.accounts.{}", self.account)
            }
            "missing_scope" => format!("Slack: missing_scope; the bot needs {needed}"),
            _ => format!("Slack refused the message: {error}"),
        }
    }
}

/// A section with the caption, and the image below it (Slack documentation, "Blocks").
fn blocks(caption: &str, media: &Media) -> Value {
    let alt: String = media.alt.chars().take(ALT).collect();
    let alt = if alt.trim().is_empty() { "image".to_owned() } else { alt };
    let image = json!({ "type": "image", "image_url": media.url, "alt_text": alt });
    if caption.is_empty() {
        return json!([image]);
    }
    json!([{ "type": "section", "text": { "type": "mrkdwn", "text": caption } }, image])
}

/// Whether Slack could not fetch or show the image; it has sent nothing then.
fn refuses_image(answer: &Answer) -> bool {
    let reply: Reply = serde_json::from_slice(&answer.body).unwrap_or_default();
    answer.status.is_success() && matches!(reply.error.as_str(), "invalid_blocks" | "invalid_blocks_format")
}
