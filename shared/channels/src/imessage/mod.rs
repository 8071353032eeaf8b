//! iMessage, over a BlueBubbles server.
//!
//! The server refuses a message's own id as long as it is busy with it, and forgets it then: too short to send a message again
//! whose outcome is unknown. Which chat a target is can be asked again.

mod place;
pub(crate) mod target;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::delivery::Target;
use nightshift_engine::Clock;
use nightshift_engine::ports::{Channel, ChannelError, Outgoing, Rendered, Secret, SendError, Sent};
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::chunk::chunk;
use crate::http::{self, Answer};
use crate::key;
use crate::markdown::{Dialect, Tables, parse};
use crate::places::Places;
use crate::prefix::{refuse_foreign, thread_of};
use crate::signal::markup::plain;
use place::Chat;
use target::Service;

/// Largest message, UTF-16 units.
pub(crate) const CHUNK: usize = 4000;

const DIALECT: Dialect = Dialect {
    bold_headings: false,
    html: false,
    spoilers: false,
    linkify: false,
    file_names: false,
    tables: Tables::Bullets,
};

/// A BlueBubbles server.
#[derive(Debug)]
pub(crate) struct IMessage {
    pub(crate) http: reqwest::Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) account: String,
    pub(crate) base_url: String,
    pub(crate) password: Secret,
    pub(crate) limit: usize,
    pub(crate) places: Places,
}

/// The messages of `markdown`: plain text, as Messages shows no other.
pub(crate) fn render(markdown: &str, limit: usize) -> Vec<Rendered> {
    let document = parse(markdown, DIALECT).links_as_text();
    let messages = chunk(&document, limit, plain);
    messages.iter().map(|pieces| Rendered { text: plain(pieces), plain: None, media: None }).collect()
}

#[async_trait]
impl Channel for IMessage {
    fn target(&self, to: &str, thread: Option<&str>) -> Result<Target, ChannelError> {
        refuse_foreign(to, "imessage").map_err(ChannelError)?;
        if thread_of(thread).is_some() {
            return Err(ChannelError("iMessage has no threads; leave threadId out".to_owned()));
        }
        let to = target::parse(to).and_then(|place| place.canonical()).map_err(ChannelError)?;
        Ok(Target { channel: "imessage".to_owned(), account: self.account.clone(), to, thread: None })
    }

    fn render(&self, markdown: &str) -> Vec<Rendered> {
        render(markdown, self.limit)
    }

    fn dedupes(&self) -> Option<TimeDelta> {
        None
    }

    async fn send(&self, message: &Outgoing<'_>, deadline: DateTime<Utc>) -> Result<Sent, SendError> {
        let own = temporary(message);
        let text = &message.body.text;
        let (path, body) = match self.chat(message.target, deadline).await? {
            Chat::There(guid) => (
                "/api/v1/message/text",
                json!({ "chatGuid": guid, "tempGuid": own, "message": text, "method": "apple-script" }),
            ),
            Chat::New(service, address) => (
                "/api/v1/chat/new",
                json!({
                    "addresses": [address],
                    "message": text,
                    "method": "apple-script",
                    "service": if service == Service::Sms { "SMS" } else { "iMessage" },
                    "tempGuid": own,
                }),
            ),
        };
        let answer = http::call(&*self.clock, deadline, "BlueBubbles", self.request(path)?.json(&body)).await?;
        let reply = self.read(&answer)?;
        // A new chat is answered with itself, and its messages where the server has them.
        let id = match path {
            "/api/v1/chat/new" => reply.data["messages"][0]["guid"].as_str().or(Some(own.as_str())),
            _ => reply.data["guid"].as_str(),
        };
        match id.filter(|id| !id.is_empty()) {
            Some(id) => Ok(Sent { message_id: id.to_owned() }),
            None => Err(http::unknown("BlueBubbles took the message but named no id for it")),
        }
    }
}

/// The envelope of every answer (BlueBubbles server, `responses`).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    message: String,
    data: Value,
    error: Option<Problem>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    message: String,
}

impl IMessage {
    /// A post with the password, which the server takes in the query only.
    fn request(&self, path: &str) -> Result<RequestBuilder, SendError> {
        let url = format!("{}{path}", self.base_url.trim_end_matches('/'));
        let mut url = Url::parse(&url).map_err(|_| http::refused("the baseUrl of BlueBubbles is not an address"))?;
        url.query_pairs_mut().append_pair("password", self.password.expose());
        Ok(self.http.post(url))
    }

    /// A good answer, or what a bad one means.
    fn read(&self, answer: &Answer) -> Result<Reply, SendError> {
        let reply: Reply = serde_json::from_slice(&answer.body).unwrap_or_default();
        let said = reply.error.as_ref().map(|error| error.message.as_str()).filter(|text| !text.is_empty());
        let said = http::said(said.unwrap_or(&reply.message));
        match answer.status.as_u16() {
            200..=299 => Ok(reply),
            429 => {
                let wait = nightshift_web::retry_after(&answer.headers, self.clock.now());
                Err(http::not_taken("BlueBubbles is rate-limiting", wait))
            }
            // Some try before this one is still on its way.
            400 if said.contains("already queued") => {
                Err(http::unknown("BlueBubbles is sending this message already; whether it arrives is not known yet"))
            }
            // A message that Messages could not send is answered 500 as well, and may go out later.
            status @ (408 | 500..=599) => {
                Err(http::unknown(format!("BlueBubbles answered {status}; it may have sent the message")))
            }
            status @ (401 | 403) => Err(http::refused(format!(
                "BlueBubbles does not know this password ({status}); check password of channels.imessage.accounts.{}",
                self.account
            ))),
            status => Err(http::refused(
                format!("BlueBubbles refused the message ({status}): {said}").trim_end_matches([':', ' ']),
            )),
        }
    }
}

/// The message's id until it has one: shaped like a uuid, the same for every try.
fn temporary(message: &Outgoing<'_>) -> String {
    let hex = key::hex(message, 32);
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &hex[part]).join("-")
}
