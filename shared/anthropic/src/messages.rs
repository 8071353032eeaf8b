//! Messages: one hop sent, one answer read.
//!
//! Guarantee: the answer's content is kept as the raw JSON that came, whatever blocks it holds. A hop is sent with
//! `stream`, so that a long answer is not taken for a dead connection, neither here nor on the way ("Errors" page on long
//! requests, 2026-10-01); an answer that comes whole all the same, as a gateway may send it, is taken too.

use chrono::{DateTime, Utc};
use futures::StreamExt;
use nightshift_domain::model::{HopRequest, ModelErrorKind, Reply, StopReason};
use nightshift_engine::clock::timeout;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::errors::{Failure, text};
use crate::events::{self, Patience};
use crate::headers::{self, REQUEST_ID};
use crate::transport::{Answer, collect};
use crate::{Anthropic, body};

#[derive(Deserialize)]
struct Message<'a> {
    id: String,
    model: String,
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Value,
    #[serde(default)]
    container: Option<Container>,
}

/// The sandbox of the provider's own tools.
#[derive(Deserialize)]
pub(crate) struct Container {
    pub(crate) id: String,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
}

/// Reads a Message object, from the Messages API or from a batch row (Python SDK 2.11.0, `Message`).
pub(crate) fn reply(message: &str, request_id: Option<String>) -> serde_json::Result<Reply> {
    let message: Message<'_> = serde_json::from_str(message)?;
    Ok(Reply {
        message_id: message.id,
        request_id,
        model: message.model,
        // Non-null wherever an answer is not streamed (Python SDK 2.11.0).
        stop_reason: StopReason::parse(message.stop_reason.as_deref().unwrap_or("none")),
        content: message.content.get().to_owned(),
        text: joined_text(message.content.get())?,
        usage: message.usage,
        container: message.container.map(|container| container.id),
    })
}

/// The text blocks of a content. Neighbours belong to one text, which the API cuts where citations begin and end; what
/// another block separates stands apart.
pub(crate) fn joined_text(content: &str) -> serde_json::Result<String> {
    let blocks: Vec<Block<'_>> = serde_json::from_str(content)?;
    let mut joined = String::new();
    let mut apart = false;
    for block in blocks {
        let Some(raw) = block.text.filter(|_| block.kind == "text") else {
            apart = true;
            continue;
        };
        let text: String = serde_json::from_str(raw.get())?;
        if apart && !joined.is_empty() && !text.is_empty() {
            joined.push_str("\n\n");
        }
        apart = false;
        joined.push_str(&text);
    }
    Ok(joined)
}

impl Anthropic {
    pub(crate) async fn send_message(&self, request: &HopRequest, deadline: DateTime<Utc>) -> Result<Reply, Failure> {
        if self.clock.now() >= deadline {
            return Err(Failure::new(ModelErrorKind::Timeout, "the deadline had passed before the hop was sent"));
        }
        let body = body::streamed(request).map_err(|_| {
            Failure::new(ModelErrorKind::Invalid, "a stored message or the tools of the turn are not JSON")
        })?;
        let betas = headers::betas([request]);
        // What is whole is read whole; of an answer that streams, only the head is waited for here.
        let opening = async {
            let response = self.send_once("/v1/messages", &betas, body).await?;
            let whole =
                text(response.headers(), CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with(headers::JSON));
            let streams = response.status().is_success() && !whole;
            Ok(if streams { Opened::Streams(response) } else { Opened::Whole(collect(response).await?) })
        };
        let opened = match timeout(&*self.clock, deadline, opening).await {
            Some(opened) => opened?,
            None => return Err(Failure::new(ModelErrorKind::Timeout, "no answer before the deadline")),
        };
        let (request_id, read) = match opened {
            Opened::Streams(response) => {
                let request_id = text(response.headers(), REQUEST_ID).map(str::to_owned);
                let patience = Patience::until(deadline, &self.clock);
                let key = self.settings.key.expose();
                let body = response.bytes_stream().boxed();
                let read = events::read(body, patience, request, request_id.clone(), key).await;
                (request_id, read)
            }
            Opened::Whole(answer) if !answer.is_success() => return Err(self.refused(&answer).hiding([request])),
            Opened::Whole(answer) => {
                let request_id = text(&answer.headers, REQUEST_ID).map(str::to_owned);
                let read = std::str::from_utf8(&answer.body).ok().and_then(|body| reply(body, request_id.clone()).ok());
                let unreadable =
                    || Failure::new(ModelErrorKind::Unanswered, "the answer is not a message that could be read");
                (request_id, read.ok_or_else(unreadable))
            }
        };
        read.map_err(|mut failure| {
            failure.error.request_id = request_id.or(failure.error.request_id);
            failure
        })
    }
}

impl Anthropic {
    /// How many tokens the prompt of `request` has; costs nothing, and is asked once.
    pub(crate) async fn count_tokens(&self, request: &HopRequest) -> Result<u64, Failure> {
        let body = body::counted(request)
            .map_err(|_| Failure::new(ModelErrorKind::Invalid, "the message or the tools of the turn are not JSON"))?;
        let answer = self.post_once("/v1/messages/count_tokens", &headers::betas([request]), body).await?;
        if !answer.is_success() {
            return Err(self.refused(&answer).hiding([request]));
        }
        let counted: Option<Counted> = serde_json::from_slice(&answer.body).ok();
        let unreadable = || Failure::new(ModelErrorKind::Unanswered, "the answer is not a count of tokens");
        counted.map(|counted| counted.input_tokens).ok_or_else(unreadable)
    }
}

/// `MessageTokensCount` (Python SDK 2.11.0).
#[derive(Deserialize)]
struct Counted {
    input_tokens: u64,
}

/// An answer as far as it is known before its events.
enum Opened {
    Whole(Answer),
    Streams(Response),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(content: &str, stop: &str) -> String {
        format!(
            r#"{{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":{content},"stop_reason":{stop},"usage":{{"input_tokens":1,"new":{{"a":1.50}}}},"from_2031":[]}}"#
        )
    }

    #[test]
    fn content_is_kept_byte_for_byte_and_unknown_blocks_do_not_disturb() {
        let content = r#"[ {"type":"thinking","thinking":"","signature":"\u00e9="}, {"type":"from_2031","text":{"n":1.0}},
            {"text":"\u0068i","type":"text"} ]"#;
        let reply = reply(&message(content, "\"end_turn\""), Some("req_1".into())).unwrap();
        assert_eq!(reply.content, content);
        assert_eq!(reply.text, "hi");
        assert_eq!(reply.stop_reason, StopReason::EndTurn);
        assert_eq!(reply.usage, json!({"input_tokens": 1, "new": {"a": 1.5}}));
        assert_eq!((reply.message_id.as_str(), reply.model.as_str()), ("msg_1", "claude-x"));
        assert_eq!(reply.request_id.as_deref(), Some("req_1"));
    }

    #[test]
    fn neighbouring_text_blocks_are_one_text_and_separated_ones_paragraphs() {
        let content = r#"[{"type":"text","text":"I look."},{"type":"server_tool_use","id":"a"},{"type":"text","text":"It is "},
            {"type":"text","text":"seven","citations":[]},{"type":"text","text":"."},{"type":"tool_use"}]"#;
        assert_eq!(joined_text(content).unwrap(), "I look.\n\nIt is seven.");
        assert_eq!(joined_text("[]").unwrap(), "");
    }

    #[test]
    fn a_stop_reason_nobody_knows_is_kept_as_its_word() {
        let stop = |word: &str| reply(&message("[]", word), None).unwrap().stop_reason;
        assert_eq!(stop("\"pause_turn\""), StopReason::PauseTurn);
        assert_eq!(stop("\"from_2031\""), StopReason::Other("from_2031".into()));
        assert_eq!(stop("null"), StopReason::Other("none".into()));
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for nonsense in ["", "{}", "[]", r#"{"id":"a","model":"b","content":"text"}"#] {
            assert!(reply(nonsense, None).is_err(), "{nonsense}");
        }
    }
}
