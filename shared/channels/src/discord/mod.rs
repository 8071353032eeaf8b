//! Discord, over its HTTP API.
//!
//! Every message carries a nonce that is the same for every try, and asks Discord to enforce it: "if another message was
//! created by the same author with the same nonce, that message will be returned and no new message will be created"
//! (Discord documentation, "Create Message"; it holds for a few minutes). What is looked up before can be asked again.

mod place;
pub(crate) mod target;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::delivery::Target;
use nightshift_engine::Clock;
use nightshift_engine::ports::{Channel, ChannelError, Outgoing, Rendered, Secret, SendError, Sent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::chunk::chunk;
use crate::http::{self, Answer};
use crate::key;
use crate::markdown::{as_code, parse_raw, render_raw};
use crate::media::{self, Captions};
use crate::places::Places;
use crate::prefix::{refuse_foreign, thread_of};
use target::{Place, is_id};

/// Where the API is (Discord documentation, "API Reference").
pub(crate) const API: &str = "https://discord.com/api/v10";
/// Largest message, UTF-16 units; Discord takes 2,000 characters ("Create Message").
pub(crate) const CHUNK: usize = 2000;
/// How long a nonce surely drops repeats; Discord says "a few minutes".
const WINDOW: TimeDelta = TimeDelta::minutes(2);
/// Digits of a nonce, of which Discord takes 25.
const NONCE: usize = 24;
/// `SUPPRESS_EMBEDS`: addresses in an answer show no previews ("Message Flags").
const NO_PREVIEWS: u32 = 1 << 2;

/// Discord with one bot.
#[derive(Debug)]
pub(crate) struct Discord {
    pub(crate) http: reqwest::Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) account: String,
    pub(crate) base_url: String,
    pub(crate) token: Secret,
    pub(crate) limit: usize,
    pub(crate) places: Places,
}

/// The messages of `markdown`: Discord reads Markdown itself, but for tables.
pub(crate) fn render(markdown: &str, limit: usize) -> Vec<Rendered> {
    let text = |part: &str| {
        let document = parse_raw(&as_code(part), limit);
        let messages = chunk(&document, limit, render_raw);
        messages.iter().map(|pieces| Rendered { text: render_raw(pieces), plain: None, media: None }).collect()
    };
    media::messages(markdown, Captions { caption: limit, text: limit }, text)
}

#[async_trait]
impl Channel for Discord {
    fn target(&self, to: &str, thread: Option<&str>) -> Result<Target, ChannelError> {
        refuse_foreign(to, "discord").map_err(ChannelError)?;
        let place = target::parse(to).map_err(ChannelError)?;
        let thread = thread_of(thread);
        if thread.is_some_and(|thread| !is_id(thread)) {
            return Err(ChannelError("a Discord thread (threadId) must be the id of the thread's channel".to_owned()));
        }
        if thread.is_some() && matches!(place, Place::User(_)) {
            return Err(ChannelError("a Discord direct message has no threads; leave threadId out".to_owned()));
        }
        Ok(Target {
            channel: "discord".to_owned(),
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
        let answer = self.post(&channel, message, message.body, deadline).await?;
        if message.body.media.is_some() && refuses_image(&answer) {
            let text = media::as_text(message.body, String::push_str);
            let answer = self.post(&channel, message, &text, deadline).await?;
            return self.outcome(&channel, &answer);
        }
        self.outcome(&channel, &answer)
    }
}

/// "Create Message" (Discord documentation).
#[derive(Serialize)]
struct CreateMessage<'a> {
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    flags: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeds: Option<Value>,
    nonce: String,
    enforce_nonce: bool,
}

/// A message, or an error ("Error Messages", and "Rate Limits" for the wait).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    id: Option<String>,
    channel_id: Option<String>,
    code: i64,
    message: String,
    retry_after: Option<f64>,
}

impl Discord {
    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.base_url.trim_end_matches('/'));
        self.http.request(method, url).header("authorization", format!("Bot {}", self.token.expose()))
    }

    async fn post(
        &self,
        channel: &str,
        message: &Outgoing<'_>,
        body: &Rendered,
        deadline: DateTime<Utc>,
    ) -> Result<Answer, SendError> {
        let image = body.media.as_ref().map(|media| json!([{ "image": { "url": media.url } }]));
        let body = CreateMessage {
            content: &body.text,
            flags: image.is_none().then_some(NO_PREVIEWS),
            embeds: image,
            nonce: key::hex(message, NONCE),
            enforce_nonce: true,
        };
        let request = self.request(reqwest::Method::POST, &format!("/channels/{channel}/messages")).json(&body);
        http::call(&*self.clock, deadline, "Discord", request).await
    }

    /// What an answer says about the message.
    fn outcome(&self, channel: &str, answer: &Answer) -> Result<Sent, SendError> {
        let reply = self.read(answer)?;
        let Some(id) = reply.id else { return Err(http::unknown("Discord took the message but named no id for it")) };
        match reply.channel_id {
            // A message that ended up in another channel than it was meant for is not a delivery.
            Some(found) if found != channel => {
                Err(http::refused(format!("Discord delivered message {id} to channel {found}; expected {channel}")))
            }
            Some(_) | None => Ok(Sent { message_id: id }),
        }
    }

    /// A good answer, or what a bad one means.
    fn read(&self, answer: &Answer) -> Result<Reply, SendError> {
        let reply: Reply = serde_json::from_slice(&answer.body).unwrap_or_default();
        match answer.status.as_u16() {
            200..=299 => Ok(reply),
            429 => {
                let told = reply.retry_after.and_then(seconds);
                let wait = told.or_else(|| nightshift_web::retry_after(&answer.headers, self.clock.now()));
                Err(http::not_taken("Discord is rate-limiting this bot", wait))
            }
            status @ (408 | 500..=599) => {
                Err(http::unknown(format!("Discord answered {status}; it may have taken the message")))
            }
            status => Err(http::refused(self.refusal(status, &reply))),
        }
    }

    /// A refusal as a sentence that says what to do (codes: Discord documentation, "JSON Error Codes").
    fn refusal(&self, status: u16, reply: &Reply) -> String {
        let said = http::said(&reply.message);
        match (status, reply.code) {
            (401, _) => format!(
                "Discord does not know this bot token (401); check botToken of channels.discord.accounts.{}",
                self.account
            ),
            (_, 10003) => "Discord: Unknown Channel (10003); use the channel's id, and let the bot into its server".to_owned(),
            (_, 50001) => "Discord: Missing Access (50001); let the bot see the channel".to_owned(),
            (_, 50013) => "Discord: Missing Permissions (50013); let the bot send messages in the channel".to_owned(),
            (_, 50007) => {
                "Discord: Cannot send messages to this user (50007); the user must share a server with the bot and allow \
                 direct messages"
                    .to_owned()
            }
            (_, 0) => format!("Discord refused the message ({status}): {said}").trim_end_matches([':', ' ']).to_owned(),
            (_, code) => format!("Discord refused the message ({status}, code {code}): {said}"),
        }
    }
}

/// Seconds with a fraction.
fn seconds(told: f64) -> Option<TimeDelta> {
    let wait = std::time::Duration::try_from_secs_f64(told).ok()?;
    TimeDelta::from_std(wait).ok()
}

/// "Invalid Form Body", with an error in the embed: nothing was sent.
fn refuses_image(answer: &Answer) -> bool {
    answer.status == ::http::StatusCode::BAD_REQUEST
        && serde_json::from_slice::<Reply>(&answer.body).is_ok_and(|reply| reply.code == 50035)
}
