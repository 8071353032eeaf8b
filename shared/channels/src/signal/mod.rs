//! Signal, over a signal-cli REST API server.
//!
//! It drops no repeats: a message whose outcome is unknown is never sent again by itself. The server has no authorization of
//! its own; headers for a proxy before it can be configured.

pub(crate) mod markup;
pub(crate) mod target;

use std::sync::Arc;

use ::http::HeaderMap;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::delivery::Target;
use nightshift_engine::Clock;
use nightshift_engine::ports::{Channel, ChannelError, Outgoing, Rendered, SendError, Sent};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chunk::chunk;
use crate::http::{self, Answer};
use crate::markdown::parse;
use crate::prefix::{refuse_foreign, thread_of};

/// Largest message, UTF-16 units. Signal shows texts above some 2,000 bytes as "read more", in full.
pub(crate) const CHUNK: usize = 4000;

/// A signal-cli REST API server with one sending number.
pub(crate) struct Signal {
    pub(crate) http: reqwest::Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) account: String,
    pub(crate) base_url: String,
    pub(crate) number: String,
    /// May hold secrets, so they are not shown.
    pub(crate) headers: HeaderMap,
    pub(crate) limit: usize,
}

impl std::fmt::Debug for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signal")
            .field("account", &self.account)
            .field("number", &self.number)
            .field("headers", &"[redacted]")
            .finish_non_exhaustive()
    }
}

/// The messages of `markdown`; one with styles has its text without them beside it.
pub(crate) fn render(markdown: &str, limit: usize) -> Vec<Rendered> {
    let document = parse(markdown, markup::DIALECT).links_as_text();
    let rendered = |text: String, plain: String| {
        let styled = text != plain;
        Rendered { text, plain: styled.then_some(plain), media: None }
    };
    let messages = chunk(&document, limit, markup::styled);
    messages.iter().map(|pieces| rendered(markup::styled(pieces), markup::plain(pieces))).collect()
}

#[async_trait]
impl Channel for Signal {
    fn target(&self, to: &str, thread: Option<&str>) -> Result<Target, ChannelError> {
        refuse_foreign(to, "signal").map_err(ChannelError)?;
        if thread_of(thread).is_some() {
            return Err(ChannelError("Signal has no threads; leave threadId out".to_owned()));
        }
        let to = target::parse(to).and_then(|place| place.canonical()).map_err(ChannelError)?;
        Ok(Target { channel: "signal".to_owned(), account: self.account.clone(), to, thread: None })
    }

    fn render(&self, markdown: &str) -> Vec<Rendered> {
        render(markdown, self.limit)
    }

    fn dedupes(&self) -> Option<TimeDelta> {
        None
    }

    async fn send(&self, message: &Outgoing<'_>, deadline: DateTime<Utc>) -> Result<Sent, SendError> {
        let place = target::parse(&message.target.to).map_err(http::refused)?;
        let body = Send {
            message: &message.body.text,
            number: &self.number,
            recipients: [place.wire()],
            text_mode: message.body.plain.is_some().then_some("styled"),
        };
        let url = format!("{}/v2/send", self.base_url.trim_end_matches('/'));
        let request = self.http.post(url).headers(self.headers.clone()).json(&body);
        let answer = http::call(&*self.clock, deadline, "Signal", request).await?;
        self.outcome(message.target, &answer)
    }
}

/// `/v2/send` (signal-cli REST API).
#[derive(Serialize)]
struct Send<'a> {
    message: &'a str,
    number: &'a str,
    recipients: [String; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    text_mode: Option<&'a str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    /// The message's id; a text, or a number.
    timestamp: Option<Value>,
    error: String,
    challenge_tokens: Vec<String>,
}

impl Signal {
    /// What an answer says about the message.
    fn outcome(&self, to: &Target, answer: &Answer) -> Result<Sent, SendError> {
        let reply: Reply = serde_json::from_slice(&answer.body).unwrap_or_default();
        let said = http::said(&reply.error);
        let lower = said.to_ascii_lowercase();
        let to = &to.to;
        match answer.status.as_u16() {
            200..=299 => match reply.timestamp {
                Some(Value::String(id)) if !id.is_empty() => Ok(Sent { message_id: id }),
                Some(Value::Number(id)) => Ok(Sent { message_id: id.to_string() }),
                Some(_) | None => Err(http::unknown("Signal answered but named no timestamp for the message")),
            },
            429 if !reply.challenge_tokens.is_empty() => Err(http::refused(format!(
                "Signal wants a captcha solved for {} before it takes more messages; submit one to the server \
                 (/v1/accounts/<number>/rate-limit-challenge)",
                self.number
            ))),
            429 => {
                let wait = nightshift_web::retry_after(&answer.headers, self.clock.now());
                Err(http::not_taken("Signal is rate-limiting this number", wait))
            }
            status @ (408 | 500..=599) => {
                Err(http::unknown(format!("the Signal server answered {status}; it may have sent the message")))
            }
            // The server answers 400 for nearly every failure; what its own network did nobody knows.
            400 if ["timeout", "timed out", "network", "connection"].iter().any(|word| lower.contains(word)) => Err(
                http::unknown(format!("the Signal server had trouble sending; it may have sent the message: {said}")),
            ),
            400 if lower.contains("unregistered") => {
                Err(http::refused(format!("Signal: {to} is not registered with Signal: {said}")))
            }
            status @ (401 | 403) => Err(http::refused(format!(
                "what stands before the Signal server refused the request ({status}); check headers of \
                 channels.signal.accounts.{}",
                self.account
            ))),
            status => Err(http::refused(
                format!("Signal refused the message ({status}): {said}").trim_end_matches([':', ' ']),
            )),
        }
    }
}
