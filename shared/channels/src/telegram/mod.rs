//! Telegram, over its Bot API.
//!
//! Telegram drops no repeats: a message whose outcome is unknown is never sent again by itself.

pub(crate) mod markup;
pub(crate) mod target;

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::delivery::Target;
use nightshift_engine::Clock;
use nightshift_engine::ports::{Channel, ChannelError, Outgoing, Rendered, Secret, SendError, Sent};
use serde::{Deserialize, Serialize};

use crate::chunk::chunk;
use crate::http::{self, Answer};
use crate::markdown::{parse, plain};
use crate::media::{self, Captions};
use crate::prefix::{refuse_foreign, thread_of};
use target::Topic;

/// Where the Bot API is (Telegram Bot API, "Making requests").
pub(crate) const API: &str = "https://api.telegram.org";
/// Largest message, UTF-16 units of its HTML. Telegram takes 4,096 after reading the markup (`sendMessage`).
pub(crate) const CHUNK: usize = 4000;
/// Longest caption, characters after reading the markup (`sendPhoto`).
const CAPTION: usize = 1024;
/// The general topic of a forum, which `sendMessage` does not take as a number.
const GENERAL_TOPIC: i64 = 1;

/// Telegram with one bot.
#[derive(Debug)]
pub(crate) struct Telegram {
    pub(crate) http: reqwest::Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) account: String,
    pub(crate) base_url: String,
    pub(crate) token: Secret,
    pub(crate) limit: usize,
}

#[async_trait]
impl Channel for Telegram {
    fn target(&self, to: &str, thread: Option<&str>) -> Result<Target, ChannelError> {
        refuse_foreign(to, "telegram").map_err(ChannelError)?;
        let place = target::parse(to);
        let chat = target::recipient(&place.chat)
            .ok_or_else(|| ChannelError("Telegram recipient must be a numeric chat ID".to_owned()))?;
        let topic = match thread_of(thread) {
            Some(thread) => Some(read_topic(thread).ok_or_else(|| {
                ChannelError("a Telegram topic (threadId) must be a number, 0 or greater".to_owned())
            })?),
            None => place.topic,
        };
        let thread = match topic {
            None | Some(Topic::Thread(GENERAL_TOPIC)) => None,
            Some(Topic::Thread(number)) => Some(number.to_string()),
            Some(Topic::Direct(number)) => Some(format!("direct-topic:{number}")),
        };
        Ok(Target { channel: "telegram".to_owned(), account: self.account.clone(), to: chat, thread })
    }

    fn render(&self, markdown: &str) -> Vec<Rendered> {
        render(markdown, self.limit)
    }

    fn dedupes(&self) -> Option<TimeDelta> {
        None
    }

    async fn send(&self, message: &Outgoing<'_>, deadline: DateTime<Utc>) -> Result<Sent, SendError> {
        let to = message.target;
        let mut body = Cow::Borrowed(message.body);
        let mut answer = self.post(to, &body, deadline).await?;
        if body.media.is_some() && refuses_image(&answer) {
            body = Cow::Owned(media::as_text(message.body, markup::escape));
            answer = self.post(to, &body, deadline).await?;
        }
        if let (Some(plain), true) = (&body.plain, refuses_markup(&answer)) {
            answer = self.post_text(to, plain, None, deadline).await?;
        }
        self.outcome(to, &answer)
    }
}

/// The messages of `markdown`, each with its text without markup beside it.
pub(crate) fn render(markdown: &str, limit: usize) -> Vec<Rendered> {
    let text = |part: &str| {
        let document = parse(part, markup::DIALECT).without_long_links(limit);
        let messages = chunk(&document, limit, markup::html);
        let rendered = messages.iter().map(|pieces| (markup::html(pieces), plain(pieces)));
        rendered.map(|(text, plain)| Rendered { text, plain: Some(plain), media: None }).collect()
    };
    media::messages(markdown, Captions { caption: CAPTION.min(limit), text: limit }, text)
}

/// `sendMessage`, or `sendPhoto` (Telegram Bot API).
#[derive(Serialize)]
struct Post<'a> {
    chat_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    photo: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caption: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_thread_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direct_messages_topic_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parse_mode: Option<&'a str>,
}

/// The envelope of every answer (Telegram Bot API, "Making requests").
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    ok: bool,
    description: String,
    result: Option<Taken>,
    parameters: Parameters,
}

#[derive(Deserialize)]
struct Taken {
    message_id: i64,
    message_thread_id: Option<i64>,
}

/// `ResponseParameters` (Telegram Bot API).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters {
    retry_after: Option<u32>,
    migrate_to_chat_id: Option<i64>,
}

impl Telegram {
    async fn post(&self, to: &Target, body: &Rendered, deadline: DateTime<Utc>) -> Result<Answer, SendError> {
        let Some(media) = &body.media else { return self.post_text(to, &body.text, Some("HTML"), deadline).await };
        let caption = Some(body.text.as_str()).filter(|caption| !caption.is_empty());
        let parse_mode = caption.map(|_| "HTML");
        self.call("sendPhoto", Post { photo: Some(&media.url), caption, ..message(to, parse_mode) }, deadline).await
    }

    async fn post_text(
        &self,
        to: &Target,
        text: &str,
        parse_mode: Option<&str>,
        deadline: DateTime<Utc>,
    ) -> Result<Answer, SendError> {
        self.call("sendMessage", Post { text: Some(text), ..message(to, parse_mode) }, deadline).await
    }

    async fn call(&self, method: &str, body: Post<'_>, deadline: DateTime<Utc>) -> Result<Answer, SendError> {
        let url = format!("{}/bot{}/{method}", self.base_url.trim_end_matches('/'), self.token.expose());
        http::call(&*self.clock, deadline, "Telegram", self.http.post(url).json(&body)).await
    }

    /// What an answer says about the message.
    fn outcome(&self, to: &Target, answer: &Answer) -> Result<Sent, SendError> {
        let reply: Option<Reply> = serde_json::from_slice(&answer.body).ok();
        match answer.status.as_u16() {
            200..=299 => match reply.filter(|reply| reply.ok).and_then(|reply| reply.result) {
                Some(message) => confirm(to, &message),
                None => Err(http::unknown("Telegram took the message but named no id for it")),
            },
            429 => {
                let told = reply
                    .and_then(|reply| reply.parameters.retry_after)
                    .map(|seconds| TimeDelta::seconds(seconds.into()));
                let wait = told.or_else(|| nightshift_web::retry_after(&answer.headers, self.clock.now()));
                Err(http::not_taken("Telegram is rate-limiting this bot", wait))
            }
            status @ (408 | 500..=599) => {
                Err(http::unknown(format!("Telegram answered {status}; it may have taken the message")))
            }
            status => Err(http::refused(self.refusal(to, status, &reply.unwrap_or_default()))),
        }
    }

    /// A refusal as a sentence that says what to do.
    fn refusal(&self, to: &Target, status: u16, reply: &Reply) -> String {
        let chat = &to.to;
        let said: String = reply.description.chars().take(200).collect();
        let lower = said.to_ascii_lowercase();
        if let Some(moved) = reply.parameters.migrate_to_chat_id {
            return format!("Telegram: the group {chat} became a supergroup; use {moved} as the target from now on");
        }
        if lower.contains("chat not found") {
            return format!(
                "Telegram: chat not found (chat_id={chat}). Likely: bot not started in DM, bot removed from group/channel, \
                 group migrated (new -100… id), or wrong bot token"
            );
        }
        if lower.contains("message thread not found") {
            let topic = to.thread.as_deref().unwrap_or("none");
            return format!("Telegram: message thread not found (topic {topic} of chat_id={chat})");
        }
        match status {
            401 | 404 => format!(
                "Telegram does not know this bot token ({status}); check botToken of channels.telegram.accounts.{}",
                self.account
            ),
            403 => format!(
                "Telegram: bot is not a member of the chat, was blocked, or was kicked (chat_id={chat}): {said}. \
                 Fix: add the bot to the channel/group, or have the user start it again"
            ),
            _ => format!("Telegram refused the message ({status}): {said}"),
        }
    }
}

/// A message to a place, with nothing in it.
fn message<'a>(to: &'a Target, parse_mode: Option<&'a str>) -> Post<'a> {
    let topic = to.thread.as_deref().and_then(read_topic);
    Post {
        chat_id: &to.to,
        text: None,
        photo: None,
        caption: None,
        message_thread_id: match topic {
            Some(Topic::Thread(number)) if number != GENERAL_TOPIC => Some(number),
            Some(Topic::Thread(_) | Topic::Direct(_)) | None => None,
        },
        direct_messages_topic_id: match topic {
            Some(Topic::Direct(number)) => Some(number),
            Some(Topic::Thread(_)) | None => None,
        },
        parse_mode,
    }
}

/// A message that ended up in another topic than it was meant for is not a delivery.
fn confirm(to: &Target, message: &Taken) -> Result<Sent, SendError> {
    let expected = match to.thread.as_deref().and_then(read_topic) {
        Some(Topic::Thread(number)) if number > GENERAL_TOPIC => Some(number),
        Some(Topic::Thread(_) | Topic::Direct(_)) | None => None,
    };
    if expected.is_some() && expected != message.message_thread_id {
        let found = message.message_thread_id.map_or_else(|| "unknown".to_owned(), |topic| topic.to_string());
        return Err(http::refused(format!(
            "Telegram delivered message {} to topic {found}; expected topic {}",
            message.message_id,
            expected.unwrap_or_default()
        )));
    }
    Ok(Sent { message_id: message.message_id.to_string() })
}

fn read_topic(thread: &str) -> Option<Topic> {
    if let Some(direct) = thread.strip_prefix("direct-topic:") {
        return direct.parse().ok().filter(|number| *number > 0).map(Topic::Direct);
    }
    thread.parse().ok().filter(|number| *number >= 0).map(Topic::Thread)
}

/// Whether Telegram refused what was in the message, and not the chat: it has sent nothing then. It says so in many words
/// ("wrong type of the web page content", "failed to get HTTP URL content", "not enough rights to send photos").
fn refuses_image(answer: &Answer) -> bool {
    let of_chat =
        ["chat not found", "thread not found", "upgraded to a supergroup", "blocked", "kicked", "not a member"];
    let status = answer.status.as_u16();
    let Ok(reply) = serde_json::from_slice::<Reply>(&answer.body) else { return false };
    let said = reply.description.to_ascii_lowercase();
    let of_message = status == 400 || (status == 403 && said.contains("rights"));
    of_message && reply.parameters.migrate_to_chat_id.is_none() && !of_chat.iter().any(|words| said.contains(words))
}

/// Whether Telegram could not read the HTML; it has sent nothing then.
fn refuses_markup(answer: &Answer) -> bool {
    answer.status == ::http::StatusCode::BAD_REQUEST
        && serde_json::from_slice::<Reply>(&answer.body)
            .is_ok_and(|reply| reply.description.to_ascii_lowercase().contains("can't parse entities"))
}
