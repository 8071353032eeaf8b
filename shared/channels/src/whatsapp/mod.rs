//! WhatsApp, over Meta's Cloud API.
//!
//! It drops no repeats: a message whose outcome is unknown is never sent again by itself. Free text reaches a person within 24
//! hours of his last message only, and nobody in a group.

pub(crate) mod markup;
pub(crate) mod target;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::delivery::Target;
use nightshift_engine::Clock;
use nightshift_engine::ports::{Channel, ChannelError, Outgoing, Rendered, Secret, SendError, Sent};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::chunk::chunk;
use crate::http::{self, Answer};
use crate::markdown::parse;
use crate::media::{self, Captions};
use crate::prefix::{refuse_foreign, thread_of};
use target::Place;

/// Where the Graph API is (WhatsApp Cloud API, "Messages").
pub(crate) const API: &str = "https://graph.facebook.com";
/// Its version where none is configured.
pub(crate) const VERSION: &str = "v23.0";
/// Largest message, UTF-16 units; the API takes 4,096 characters ("Text messages").
pub(crate) const CHUNK: usize = 4000;
/// Longest caption, characters ("Image messages").
const CAPTION: usize = 1024;
/// Between two messages to one person ("Throughput", pair rate limits: one in six seconds).
const PAIR_WAIT: TimeDelta = TimeDelta::seconds(6);

/// WhatsApp with one sending number.
#[derive(Debug)]
pub(crate) struct WhatsApp {
    pub(crate) http: reqwest::Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) account: String,
    pub(crate) base_url: String,
    pub(crate) version: String,
    pub(crate) phone_number_id: String,
    pub(crate) token: Secret,
    pub(crate) limit: usize,
}

/// The messages of `markdown`.
pub(crate) fn render(markdown: &str, limit: usize) -> Vec<Rendered> {
    let text = |part: &str| {
        let document = parse(part, markup::DIALECT).links_as_text();
        let messages = chunk(&document, limit, markup::marked);
        messages.iter().map(|pieces| Rendered { text: markup::marked(pieces), plain: None, media: None }).collect()
    };
    media::messages(markdown, Captions { caption: CAPTION.min(limit), text: limit }, text)
}

#[async_trait]
impl Channel for WhatsApp {
    fn target(&self, to: &str, thread: Option<&str>) -> Result<Target, ChannelError> {
        refuse_foreign(to, "whatsapp").map_err(ChannelError)?;
        match target::parse(to).map_err(ChannelError)? {
            Place::Person(number) => Ok(Target {
                channel: "whatsapp".to_owned(),
                account: self.account.clone(),
                to: number,
                thread: thread_of(thread).map(str::to_owned),
            }),
            Place::Group(id) => Err(ChannelError(format!(
                "WhatsApp's Cloud API cannot send to the group or newsletter {id}; use a person's number"
            ))),
        }
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
            let text = media::as_text(message.body, String::push_str);
            return self.outcome(message.target, &self.post(message.target, &text, deadline).await?);
        }
        self.outcome(message.target, &answer)
    }
}

/// A message's id, or an error ("Messages", "Error codes").
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    messages: Vec<Message>,
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Message {
    id: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: i64,
    message: String,
    error_data: Details,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    details: String,
}

impl WhatsApp {
    async fn post(&self, to: &Target, body: &Rendered, deadline: DateTime<Utc>) -> Result<Answer, SendError> {
        let content = match &body.media {
            Some(media) if body.text.is_empty() => ("image", json!({ "link": media.url })),
            Some(media) => ("image", json!({ "link": media.url, "caption": body.text })),
            None => ("text", json!({ "preview_url": false, "body": body.text })),
        };
        let mut message = json!({
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": to.to.trim_start_matches('+'),
            "type": content.0,
            content.0: content.1,
        });
        if let (Some(answered), Value::Object(fields)) = (&to.thread, &mut message) {
            fields.insert("context".to_owned(), json!({ "message_id": answered }));
        }
        let base = self.base_url.trim_end_matches('/');
        let (version, number) = (http::segment(&self.version), http::segment(&self.phone_number_id));
        let url = format!("{base}/{version}/{number}/messages");
        let request = self.http.post(url).bearer_auth(self.token.expose()).json(&message);
        http::call(&*self.clock, deadline, "WhatsApp", request).await
    }

    /// What an answer says about the message.
    fn outcome(&self, to: &Target, answer: &Answer) -> Result<Sent, SendError> {
        let reply: Reply = serde_json::from_slice(&answer.body).unwrap_or_default();
        let status = answer.status.as_u16();
        let wait = nightshift_web::retry_after(&answer.headers, self.clock.now());
        match (status, reply.error) {
            (200..=299, None) => match reply.messages.into_iter().next() {
                Some(message) => Ok(Sent { message_id: message.id }),
                None => Err(http::unknown("WhatsApp answered but named no id for the message")),
            },
            // Throughput, the account's and the app's rates: counted before anything is sent.
            (_, Some(Problem { code: 130_429 | 80_007 | 4, .. })) => {
                Err(http::not_taken("WhatsApp is rate-limiting this number", wait))
            }
            (_, Some(Problem { code: 131_056, .. })) => Err(http::not_taken(
                "WhatsApp is rate-limiting messages to this person",
                Some(wait.unwrap_or_default().max(PAIR_WAIT)),
            )),
            (429, _) => Err(http::not_taken("WhatsApp is rate-limiting this number", wait)),
            // "Unknown", "temporarily unavailable", "something went wrong": none of them says that nothing was sent.
            (_, Some(Problem { code: code @ (1 | 2 | 131_000 | 131_016), .. })) => {
                Err(http::unknown(format!("WhatsApp answered with error {code}; it may have taken the message")))
            }
            (status @ (408 | 500..=599), _) => {
                Err(http::unknown(format!("WhatsApp answered {status}; it may have taken the message")))
            }
            (status, problem) => Err(http::refused(self.refusal(to, status, &problem.unwrap_or_default()))),
        }
    }

    /// A refusal as a sentence that says what to do.
    fn refusal(&self, to: &Target, status: u16, problem: &Problem) -> String {
        let (to, account) = (&to.to, &self.account);
        let said = http::said(if problem.error_data.details.is_empty() {
            &problem.message
        } else {
            &problem.error_data.details
        });
        match problem.code {
            190 | 0 if status == 401 || problem.code == 190 => format!(
                "WhatsApp does not know this access token ({status}); check accessToken of channels.whatsapp.accounts.{account}"
            ),
            3 | 10 | 200..=299 => {
                format!("WhatsApp: the access token may not send from this number ({}): {said}", problem.code)
            }
            131_047 => format!(
                "WhatsApp: more than 24 hours have passed since {to} last wrote (131047); free text is taken after the person \
                 has written again"
            ),
            131_026 => format!(
                "WhatsApp cannot deliver to {to} (131026); check that the number is on WhatsApp and has taken its terms"
            ),
            131_030 => format!("WhatsApp: {to} is not among the numbers allowed for testing (131030)"),
            368 | 131_031 => format!("WhatsApp has blocked the account ({}): {said}", problem.code),
            0 => format!("WhatsApp refused the message ({status}) {said}").trim_end().to_owned(),
            code => format!("WhatsApp refused the message ({status}, error {code}): {said}"),
        }
    }
}

/// "Parameter value is not valid", "message type unknown", and media that cannot be had: nothing was sent.
fn refuses_image(answer: &Answer) -> bool {
    let reply: Reply = serde_json::from_slice(&answer.body).unwrap_or_default();
    answer.status.is_client_error()
        && reply.error.is_some_and(|problem| matches!(problem.code, 100 | 131_008 | 131_009 | 131_051..=131_053))
}
