//! Mattermost, over its REST API.
//!
//! Every post carries a `pending_post_id` that is the same for every try. For 30 seconds the server answers a repeat with the
//! first post (Mattermost server, `deduplicateCreatePost`; on a cluster each node for itself). That is shorter than a send may
//! take, so a post whose answer is lost is repeated at once, inside these seconds, and once only. What is looked up before
//! can be asked again.

mod place;
pub(crate) mod target;

use std::sync::Arc;

use ::http::HeaderMap;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::delivery::Target;
use nightshift_engine::Clock;
use nightshift_engine::ports::{Channel, ChannelError, Outgoing, Rendered, Secret, SendError, SendErrorKind, Sent};
use serde::{Deserialize, Serialize};

use crate::chunk::chunk;
use crate::http::{self, Answer};
use crate::key;
use crate::markdown::{parse_raw, render_raw};
use crate::places::Places;
use crate::prefix::{refuse_foreign, thread_of};
use target::is_id;

/// Largest message, UTF-16 units; a server takes 16,383 characters as it comes (Mattermost server, `PostMessageMaxRunesV2`).
pub(crate) const CHUNK: usize = 4000;
/// How long the server surely drops repeats, of the 30 seconds it does.
const WINDOW: TimeDelta = TimeDelta::seconds(25);
/// Digits of a `pending_post_id`.
const PENDING: usize = 26;
/// Above this, a time of reset is one since 1970, and not a wait.
const A_TIME: i64 = 1_000_000_000;

/// A Mattermost server with one bot.
#[derive(Debug)]
pub(crate) struct Mattermost {
    pub(crate) http: reqwest::Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) account: String,
    pub(crate) base_url: String,
    pub(crate) token: Secret,
    pub(crate) limit: usize,
    pub(crate) places: Places,
}

/// The messages of `markdown`, which Mattermost reads itself.
pub(crate) fn render(markdown: &str, limit: usize) -> Vec<Rendered> {
    let document = parse_raw(markdown, limit);
    let messages = chunk(&document, limit, render_raw);
    messages.iter().map(|pieces| Rendered { text: render_raw(pieces), plain: None, media: None }).collect()
}

#[async_trait]
impl Channel for Mattermost {
    fn target(&self, to: &str, thread: Option<&str>) -> Result<Target, ChannelError> {
        refuse_foreign(to, "mattermost").map_err(ChannelError)?;
        let place = target::parse(to).map_err(ChannelError)?;
        let thread = thread_of(thread);
        if thread.is_some_and(|thread| !is_id(thread)) {
            return Err(ChannelError("a Mattermost thread (threadId) must be the id of its first post".to_owned()));
        }
        Ok(Target {
            channel: "mattermost".to_owned(),
            account: self.account.clone(),
            to: place.canonical(),
            thread: thread.map(str::to_owned),
        })
    }

    fn render(&self, markdown: &str) -> Vec<Rendered> {
        render(markdown, self.limit)
    }

    fn dedupes(&self) -> Option<TimeDelta> {
        Some(WINDOW)
    }

    async fn send(&self, message: &Outgoing<'_>, deadline: DateTime<Utc>) -> Result<Sent, SendError> {
        let channel = self.channel(message.target, deadline).await?;
        let begun = self.clock.now();
        let first = self.post(&channel, message, deadline).await;
        match &first {
            Err(error) if error.kind == SendErrorKind::Unknown && self.clock.now() < deadline.min(begun + WINDOW) => {
                match self.post(&channel, message, deadline.min(begun + WINDOW)).await {
                    Ok(sent) => Ok(sent),
                    // The first may have been taken all the same.
                    Err(_) => first,
                }
            }
            Ok(_) | Err(_) => first,
        }
    }
}

/// "Create a post" (Mattermost API reference).
#[derive(Serialize)]
struct CreatePost<'a> {
    channel_id: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    root_id: Option<&'a str>,
    pending_post_id: String,
}

/// A post, or an error, whose `id` names it (`api.post.create_post.…`).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    id: String,
    channel_id: String,
    message: String,
}

impl Mattermost {
    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/api/v4{path}", self.base_url.trim_end_matches('/'));
        self.http.request(method, url).bearer_auth(self.token.expose())
    }

    async fn post(&self, channel: &str, message: &Outgoing<'_>, deadline: DateTime<Utc>) -> Result<Sent, SendError> {
        let body = CreatePost {
            channel_id: channel,
            message: &message.body.text,
            root_id: message.target.thread.as_deref(),
            pending_post_id: key::hex(message, PENDING),
        };
        let request = self.request(reqwest::Method::POST, "/posts").json(&body);
        let answer = http::call(&*self.clock, deadline, "Mattermost", request).await?;
        let reply = self.read(&answer)?;
        if reply.id.is_empty() {
            return Err(http::unknown("Mattermost took the post but named no id for it"));
        }
        if !reply.channel_id.is_empty() && reply.channel_id != channel {
            // A post that ended up in another channel than it was meant for is not a delivery.
            let found = reply.channel_id;
            return Err(http::refused(format!(
                "Mattermost delivered post {} to channel {found}; expected {channel}",
                reply.id
            )));
        }
        Ok(Sent { message_id: reply.id })
    }

    /// A good answer, or what a bad one means.
    fn read(&self, answer: &Answer) -> Result<Reply, SendError> {
        let reply: Reply = serde_json::from_slice(&answer.body).unwrap_or_default();
        match answer.status.as_u16() {
            200..=299 => Ok(reply),
            429 => Err(http::not_taken("Mattermost is rate-limiting this bot", self.wait(&answer.headers))),
            status @ (408 | 500..=599) => {
                Err(http::unknown(format!("Mattermost answered {status}; it may have taken the post")))
            }
            status => Err(http::refused(self.refusal(status, &reply))),
        }
    }

    /// `Retry-After`, or `X-Ratelimit-Reset`: seconds to wait, or since 1970 (Mattermost API reference, "Rate Limiting").
    fn wait(&self, headers: &HeaderMap) -> Option<TimeDelta> {
        let now = self.clock.now();
        nightshift_web::retry_after(headers, now).or_else(|| {
            let reset: i64 = headers.get("x-ratelimit-reset")?.to_str().ok()?.trim().parse().ok()?;
            let seconds = if reset >= A_TIME { reset - now.timestamp() } else { reset };
            TimeDelta::try_seconds(seconds.clamp(0, 3600))
        })
    }

    /// A refusal as a sentence that says what to do.
    fn refusal(&self, status: u16, reply: &Reply) -> String {
        let said = http::said(&reply.message);
        match status {
            401 => format!(
                "Mattermost does not know this token (401); check token of channels.mattermost.accounts.{}",
                self.account
            ),
            403 => format!("Mattermost: the bot may not post there (403); add it to the channel: {said}"),
            404 => format!("Mattermost: there is no such channel, user or post (404): {said}"),
            _ => format!("Mattermost refused the post ({status}): {said}"),
        }
    }
}
