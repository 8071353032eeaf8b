//! Results of a batch, line by line as they arrive.
//!
//! Guarantee: memory holds one line and what the network had ready, never the file. A line that cannot be read, or is longer
//! than any answer, is an `Err` that names it, and the stream goes on; a connection that breaks is an `Err` too, and the last
//! item. The path is built from our own base URL: the `results_url` of an answer is never followed with the key.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use chrono::TimeDelta;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nightshift_domain::model::ModelErrorKind;
use nightshift_domain::run::RowResult;
use nightshift_engine::Clock;
use nightshift_engine::clock::timeout;
use nightshift_engine::ports::{ModelError, ResultLine, ResultLines};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::errors::{ErrorBody, Failure, broken};
use crate::messages::reply;
use crate::transport::segment;
use nightshift_engine::ports::Secret;

use crate::Anthropic;

/// Longest line. An answer of 300k tokens, the most a batch row may have (batch-processing page, 2026-10), is a few MB; the
/// buffer grows to twice the longest line at most, and the answer is copied a few times on its way to its run.
const LONGEST_LINE: usize = 16 << 20;
/// How long the next piece may take.
const IDLE_TIMEOUT: TimeDelta = TimeDelta::seconds(60);

/// `MessageBatchIndividualResponse` (Python SDK 2.11.0).
#[derive(Deserialize)]
struct Line<'a> {
    custom_id: String,
    #[serde(borrow)]
    result: Outcome<'a>,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Reads a line; `None` when it does not even say whose it is. A row that names itself but cannot be understood failed
/// on the provider's side, so that its run ends instead of waiting for a line that never gets better.
fn line(bytes: &[u8], key: &Secret) -> Option<ResultLine> {
    let Line { custom_id, result } = serde_json::from_slice(bytes).ok()?;
    let unreadable = |message: String| RowResult::Errored { kind: ModelErrorKind::Server, message };
    let result = match (result.kind.as_str(), result.message, result.error) {
        ("succeeded", Some(message), _) => reply(message.get(), None).map_or_else(
            |_| unreadable("the answer is not a message that could be read".to_owned()),
            |reply| RowResult::Succeeded(Box::new(reply)),
        ),
        // The error stands in an error: `result.error.error.type`.
        ("errored", _, Some(error)) => match serde_json::from_str::<ErrorBody>(error.get()) {
            Ok(body) => {
                RowResult::Errored { kind: body.error.row_kind(), message: body.error.row_sentence(key.expose()) }
            }
            Err(_) => unreadable("the row failed with an error that could not be read".to_owned()),
        },
        ("canceled", ..) => RowResult::Canceled,
        ("expired", ..) => RowResult::Expired,
        (other, ..) => {
            let word: String = other.chars().take(64).collect();
            unreadable(format!("the result is \"{word}\", which is not known here or lacks a part"))
        }
    };
    Some(ResultLine { custom_id, result })
}

/// Cuts a body into lines.
struct Lines {
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    clock: Arc<dyn Clock>,
    longest: usize,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line end.
    searched: usize,
    /// The number of the line read last.
    number: u64,
    /// The rest of a line that was given up is being thrown away.
    skipping: bool,
    ended: bool,
}

impl Lines {
    fn new(body: BoxStream<'static, reqwest::Result<Bytes>>, clock: Arc<dyn Clock>, longest: usize) -> Self {
        Self { body, clock, longest, buffer: BytesMut::new(), searched: 0, number: 0, skipping: false, ended: false }
    }

    /// The next line that is not blank; its number is in `self.number`.
    async fn next(&mut self) -> Option<Result<Bytes, ModelError>> {
        loop {
            if let Some(line) = self.cut() {
                if std::mem::take(&mut self.skipping) || line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Some(Ok(line));
            }
            if self.ended {
                return None;
            }
            if self.buffer.len() > self.longest {
                let (number, known) = (self.number + 1, self.skipping);
                // A new buffer, so that the long one's memory is given back.
                (self.buffer, self.searched, self.skipping) = (BytesMut::new(), 0, true);
                if !known {
                    let message = format!("line {number} of the results is longer than {} bytes", self.longest);
                    return Some(Err(Failure::new(ModelErrorKind::Server, message).into()));
                }
            }
            let deadline = self.clock.now() + IDLE_TIMEOUT;
            match timeout(&*self.clock, deadline, self.body.next()).await {
                Some(Some(Ok(piece))) => self.buffer.extend_from_slice(&piece),
                Some(Some(Err(error))) => return Some(Err(self.give_up(broken(&error)))),
                Some(None) => self.ended = true,
                None => {
                    let failure = Failure::new(ModelErrorKind::Timeout, "the results stopped coming for 60 seconds");
                    return Some(Err(self.give_up(failure)));
                }
            }
        }
    }

    /// Takes a line off the buffer; at the end of the body, what is left is the last one.
    fn cut(&mut self) -> Option<Bytes> {
        let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let line = match found {
            Some(at) => self.buffer.split_to(self.searched + at + 1),
            None if self.ended && !self.buffer.is_empty() => self.buffer.split(),
            None => {
                self.searched = self.buffer.len();
                return None;
            }
        };
        self.searched = 0;
        self.number += 1;
        Some(line.freeze())
    }

    fn give_up(&mut self, failure: Failure) -> ModelError {
        self.ended = true;
        (self.buffer, self.searched) = (BytesMut::new(), 0);
        failure.into()
    }
}

fn read(lines: Lines, key: Secret) -> ResultLines {
    stream::unfold((lines, key), |(mut lines, key)| async move {
        let item = lines.next().await?.and_then(|bytes| {
            line(&bytes, &key).ok_or_else(|| {
                let message = format!("line {} of the results cannot be read", lines.number);
                Failure::new(ModelErrorKind::Server, message).into()
            })
        });
        Some((item, (lines, key)))
    })
    .boxed()
}

impl Anthropic {
    pub(crate) async fn stream_results(&self, remote: &str) -> Result<ResultLines, Failure> {
        let response = self.open(format!("/v1/messages/batches/{}/results", segment(remote))).await?;
        let lines = Lines::new(response.bytes_stream().boxed(), Arc::clone(&self.clock), LONGEST_LINE);
        Ok(read(lines, self.settings.key.clone()))
    }
}

#[cfg(test)]
mod tests {
    use nightshift_engine::SystemClock;

    use super::*;

    fn result(line_text: &str) -> RowResult {
        let line = line(line_text.as_bytes(), &"hush-key".into()).unwrap();
        assert_eq!(line.custom_id, "a");
        line.result
    }

    fn errored(kind: ModelErrorKind, message: &str) -> RowResult {
        RowResult::Errored { kind, message: message.to_owned() }
    }

    #[test]
    fn each_kind_of_result_is_told_apart() {
        let succeeded = r#"{"custom_id":"a","result":{"type":"succeeded","message":{"id":"msg_1","type":"message","role":"assistant",
            "model":"m","content":[ {"type":"text","text":"x"} ],"stop_reason":"refusal","usage":{"service_tier":"batch"}}}}"#;
        let RowResult::Succeeded(reply) = result(succeeded) else { panic!("no answer") };
        assert_eq!(reply.content, r#"[ {"type":"text","text":"x"} ]"#);
        assert_eq!(reply.usage["service_tier"], "batch");
        assert_eq!(result(r#"{"custom_id":"a","result":{"type":"canceled"}}"#), RowResult::Canceled);
        assert_eq!(result(r#"{"custom_id":"a","result":{"type":"expired"}}"#), RowResult::Expired);
        let nested = |error: &str| {
            result(&format!(
                r#"{{"custom_id":"a","result":{{"type":"errored","error":{{"type":"error","error":{error},"request_id":null}}}}}}"#
            ))
        };
        assert_eq!(
            nested(r#"{"type":"invalid_request_error","message":"no hush-key"}"#),
            errored(ModelErrorKind::Invalid, "invalid_request_error: no [redacted]")
        );
        assert_eq!(nested(r#"{"type":"from_2031","message":"?"}"#), errored(ModelErrorKind::Server, "from_2031: ?"));
    }

    #[test]
    fn a_row_that_names_itself_but_cannot_be_understood_failed_at_the_provider() {
        for text in [
            r#"{"custom_id":"a","result":{"type":"from_2031","error":7}}"#,
            r#"{"custom_id":"a","result":{"type":"succeeded"}}"#,
            r#"{"custom_id":"a","result":{"type":"succeeded","message":{}}}"#,
            r#"{"custom_id":"a","result":{"type":"errored","error":"?"}}"#,
        ] {
            assert!(matches!(result(text), RowResult::Errored { kind: ModelErrorKind::Server, .. }), "{text}");
        }
    }

    async fn all(pieces: &[&str], longest: usize) -> Vec<Result<String, String>> {
        let pieces: Vec<reqwest::Result<Bytes>> =
            pieces.iter().map(|piece| Ok(Bytes::from((*piece).to_owned()))).collect();
        let lines = Lines::new(stream::iter(pieces).boxed(), Arc::new(SystemClock), longest);
        let items = read(lines, Secret::default()).collect::<Vec<_>>().await;
        items.into_iter().map(|item| item.map(|line| line.custom_id).map_err(|error| error.message)).collect()
    }

    fn row(custom_id: &str) -> String {
        format!(r#"{{"custom_id":"{custom_id}","result":{{"type":"expired"}}}}"#)
    }

    #[tokio::test]
    async fn lines_may_be_cut_anywhere_end_as_they_like_and_be_blank() {
        let file = format!("{}\r\n\n{}\n{}", row("é"), row("b"), row("c"));
        let expected = ["é", "b", "c"].map(|id| Ok(id.to_owned()));
        assert_eq!(all(&[&file], 1000).await, expected);
        let cut: Vec<String> = file.chars().map(String::from).collect();
        assert_eq!(all(&cut.iter().map(String::as_str).collect::<Vec<_>>(), 1000).await, expected);
        assert_eq!(all(&[], 1000).await, []);
    }

    #[tokio::test]
    async fn a_bad_line_is_named_and_the_rest_still_comes() {
        let file = format!("{}\nnonsense\n\n{{}}\n{}\n", row("a"), row("b"));
        let bad = |number| Err(format!("line {number} of the results cannot be read"));
        assert_eq!(all(&[&file], 1000).await, [Ok("a".into()), bad(2), bad(4), Ok("b".into())]);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_named_and_thrown_away_and_the_rest_still_comes() {
        let piece = "x".repeat(40);
        let rest = format!("xx\n{}\n", row("b"));
        let pieces = [row("a"), "\n".to_owned(), piece.clone(), piece.clone(), piece.clone(), piece, rest];
        let items = all(&pieces.iter().map(String::as_str).collect::<Vec<_>>(), 64).await;
        let long = |line| Err(format!("line {line} of the results is longer than 64 bytes"));
        assert_eq!(items, [Ok("a".into()), long(2), Ok("b".into())]);
        // One that never ends is named once.
        assert_eq!(all(&[&"x".repeat(80), &"x".repeat(80)], 64).await, [long(1)]);
    }

    #[tokio::test]
    async fn the_buffer_stays_as_small_as_the_longest_line_however_long_the_file_is() {
        // 64 MB in pieces that cut lines anywhere, with a long line now and then.
        let lines = (0..16_000).map(|n| {
            let length = if n % 1000 == 999 { 500_000 } else { 3_500 };
            Ok(Bytes::from(format!(
                "{{\"custom_id\":\"{}\",\"result\":{{\"type\":\"expired\"}}}}\n",
                "a".repeat(length)
            )))
        });
        let mut lines = Lines::new(stream::iter(lines).boxed(), Arc::new(SystemClock), LONGEST_LINE);
        let (mut count, mut most) = (0, 0);
        while let Some(line) = lines.next().await {
            assert!(line.is_ok());
            most = most.max(lines.buffer.capacity());
            count += 1;
        }
        assert_eq!(count, 16_000);
        assert!(most <= 2 << 20, "{most}");
    }
}
