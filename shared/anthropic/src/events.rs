//! Server-sent events: the body of a streamed answer, read until the answer is complete.
//!
//! Guarantee: it ends, whatever the other side does: in an answer, or in an error that says what was missing. Memory holds
//! the answer so far and the event at hand, and both together stay below [`LARGEST_ANSWER`] bytes as they came.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use nightshift_domain::model::{HopRequest, ModelErrorKind, Reply};
use nightshift_engine::Clock;
use nightshift_engine::clock::timeout;
use sse_stream::SseByteStream;

use crate::assembly::{Assembly, Step};
use crate::errors::{Failure, broken, interruption};
use crate::transport::LARGEST_ANSWER;

/// How long the next piece may take. While a model thinks or a tool works the API sends pings ("Streaming" page,
/// 2026-10-01).
pub(crate) const SILENCE: TimeDelta = TimeDelta::seconds(60);

/// How long to read.
pub(crate) struct Patience {
    pub(crate) clock: Arc<dyn Clock>,
    /// When to give up in any case.
    pub(crate) deadline: DateTime<Utc>,
    /// Most bytes of the whole.
    pub(crate) longest: usize,
}

impl Patience {
    pub(crate) fn until(deadline: DateTime<Utc>, clock: &Arc<dyn Clock>) -> Self {
        Self { clock: Arc::clone(clock), deadline, longest: LARGEST_ANSWER }
    }
}

/// Why a body gave no more, as the parser hands it on.
#[derive(Debug)]
struct Cut(Box<Failure>);

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.error.message)
    }
}

impl std::error::Error for Cut {}

/// Reads the answer to `request`. What comes after its end is not waited for.
pub(crate) async fn read(
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    patience: Patience,
    request: &HopRequest,
    request_id: Option<String>,
    key: &str,
) -> Result<Reply, Failure> {
    let unreadable = || Failure::new(ModelErrorKind::Unanswered, "the answer is not a message that could be read");
    let mut events = SseByteStream::new(pieces(body, patience));
    let mut answer = Assembly::default();
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(sse_stream::Error::Body(cut)) => {
                return Err(cut.downcast::<Cut>().map_or_else(|_| unreadable(), |cut| *cut.0));
            }
            Err(_) => return Err(unreadable()),
        };
        let Some(data) = event.data else { continue };
        let name = event.event.as_deref().filter(|name| !name.is_empty());
        match answer.take(name, &data).map_err(|_| unreadable())? {
            Step::Going => {}
            Step::Complete => return answer.finish(request_id).map_err(|_| unreadable()),
            Step::Failed(said) => return Err(interruption(&said, key).hiding([request])),
        }
    }
    Err(Failure::new(ModelErrorKind::Unanswered, "the answer ended before it was complete"))
}

/// The pieces of a body, for as long as patience lasts.
fn pieces(
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    patience: Patience,
) -> BoxStream<'static, Result<Bytes, Cut>> {
    let cut = |kind, message: &str| Some(Err(Cut(Box::new(Failure::new(kind, message)))));
    stream::unfold((body, patience, 0), move |(mut body, patience, read)| async move {
        let Patience { clock, deadline, longest } = &patience;
        let now = clock.now();
        let item = if now >= *deadline {
            cut(ModelErrorKind::Timeout, "the answer was not complete before the deadline")
        } else {
            match timeout(&**clock, (now + SILENCE).min(*deadline), body.next()).await {
                Some(Some(Ok(piece))) if read + piece.len() <= *longest => Some(Ok(piece)),
                Some(Some(Ok(_))) => {
                    let message = format!("the answer is longer than {longest} bytes");
                    cut(ModelErrorKind::Unanswered, &message)
                }
                Some(Some(Err(error))) => Some(Err(Cut(Box::new(broken(&error))))),
                Some(None) => None,
                None if clock.now() >= *deadline => {
                    cut(ModelErrorKind::Timeout, "the answer was not complete before the deadline")
                }
                None => cut(ModelErrorKind::Unanswered, "the answer stopped coming for 60 seconds"),
            }
        };
        let item = item?;
        let read = read + item.as_ref().map_or(0, Bytes::len);
        Some((item, (body, patience, read)))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use futures::channel::mpsc::{self, UnboundedSender};
    use nightshift_engine::ManualClock;
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = concat!(
        "\u{feff}event: message_start\r\n",
        r#"data: {"type":"message_start","message":{"id":"msg_é","model":"claude-x","content":[],"usage":{"input_tokens":2}}}"#,
        "\r\n\r\n: note\n\nevent: content_block_start\r",
        r#"data: {"index":0,"content_block":{"type":"text","text":""}}"#,
        "\r\revent: content_block_delta\n",
        r#"data: {"index":0,"delta":{"type":"text_delta","text":"für 𝄞 \u00fc"}}"#,
        "\n\nevent: content_block_delta\ndata: {\"index\":0,\ndata:",
        r#""delta":{"type":"text_delta","text":"x"}}"#,
        "\n\n",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}"#,
        "\n\nevent:message_stop\ndata:{}\n\n",
    );
    const PING: &str = "event: ping\ndata: {}\n\n";

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_219_200, 0).unwrap()
    }

    fn patience(clock: &ManualClock, deadline: TimeDelta, longest: usize) -> Patience {
        Patience { clock: Arc::new(clock.clone()), deadline: start() + deadline, longest }
    }

    /// What becomes of a body that is there at once.
    fn at_once(pieces: Vec<Vec<u8>>, longest: usize) -> Result<Reply, ModelErrorKind> {
        let body = stream::iter(pieces.into_iter().map(|piece| Ok(Bytes::from(piece)))).boxed();
        let patience = patience(&ManualClock::new(start()), TimeDelta::minutes(5), longest);
        let read = futures::executor::block_on(read(body, patience, &HopRequest::default(), Some("req_1".into()), ""));
        read.map_err(|failure| failure.error.kind)
    }

    fn check(pieces: Vec<Vec<u8>>) {
        let reply = at_once(pieces, STREAM.len()).unwrap();
        assert_eq!(reply.content, r#"[{"type":"text","text":"für 𝄞 üx"}]"#);
        assert_eq!((reply.message_id.as_str(), reply.text.as_str()), ("msg_é", "für 𝄞 üx"));
        assert_eq!(reply.usage, serde_json::json!({"input_tokens": 2, "output_tokens": 3}));
        assert_eq!(reply.request_id.as_deref(), Some("req_1"));
    }

    #[test]
    fn a_stream_may_be_cut_between_any_two_bytes() {
        let bytes = STREAM.as_bytes();
        check(vec![bytes.to_vec()]);
        check(bytes.iter().map(|byte| vec![*byte]).collect());
        for at in 0..bytes.len() {
            check(vec![bytes[..at].to_vec(), bytes[at..].to_vec()]);
        }
    }

    #[test]
    fn a_stream_that_ends_at_any_byte_before_the_last_line_end_is_unanswered() {
        // The last event counts once an empty line ends it.
        for end in 0..STREAM.len() {
            let begun = STREAM.as_bytes()[..end].to_vec();
            assert_eq!(at_once(vec![begun], STREAM.len()), Err(ModelErrorKind::Unanswered), "{end}");
        }
    }

    #[test]
    fn a_stream_longer_than_is_borne_is_given_up_before_it_fills_the_memory() {
        assert_eq!(at_once(vec![STREAM.into()], STREAM.len() - 1), Err(ModelErrorKind::Unanswered));
        let endless = stream::repeat(b"data: x".to_vec()).map(|piece| Ok(Bytes::from(piece))).boxed();
        let patience = patience(&ManualClock::new(start()), TimeDelta::minutes(5), 1000);
        let failure =
            futures::executor::block_on(read(endless, patience, &HopRequest::default(), None, "")).unwrap_err();
        assert_eq!(failure.error.message, "the answer is longer than 1000 bytes");
    }

    proptest! {
        #[test]
        fn how_a_stream_is_cut_makes_no_difference(sizes in prop::collection::vec(1..40_usize, 1..80)) {
            let mut rest = STREAM.as_bytes();
            let mut pieces = Vec::new();
            for size in sizes {
                let (piece, left) = rest.split_at(size.min(rest.len()));
                pieces.push(piece.to_vec());
                rest = left;
            }
            pieces.push(rest.to_vec());
            check(pieces);
        }
    }

    /// A body that is fed by hand, and what becomes of it.
    fn fed(
        clock: &ManualClock,
        deadline: TimeDelta,
    ) -> (UnboundedSender<reqwest::Result<Bytes>>, tokio::task::JoinHandle<Result<Reply, Failure>>) {
        let (feed, body) = mpsc::unbounded();
        let patience = patience(clock, deadline, LARGEST_ANSWER);
        (feed, tokio::spawn(async move { read(body.boxed(), patience, &HopRequest::default(), None, "").await }))
    }

    /// Waits until the reader waits for its next piece, at most until `wake`.
    async fn settled(clock: &ManualClock, wake: TimeDelta) {
        while clock.next_wake() != Some(start() + wake) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn each_piece_buys_another_minute() {
        let clock = ManualClock::new(start());
        let (feed, reading) = fed(&clock, TimeDelta::hours(1));
        for minute in 0..9 {
            settled(&clock, TimeDelta::seconds(minute * 59 + 60)).await;
            clock.advance(TimeDelta::seconds(59));
            feed.unbounded_send(Ok(PING.into())).unwrap();
        }
        settled(&clock, TimeDelta::seconds(9 * 59 + 60)).await;
        clock.advance(TimeDelta::seconds(60));
        let failure = reading.await.unwrap().unwrap_err();
        assert_eq!(failure.error.kind, ModelErrorKind::Unanswered);
        assert_eq!(failure.error.message, "the answer stopped coming for 60 seconds");
    }

    #[tokio::test]
    async fn a_stream_is_given_up_at_the_deadline_however_lively_it_is() {
        let clock = ManualClock::new(start());
        let (feed, reading) = fed(&clock, TimeDelta::seconds(100));
        for wake in [60, 100, 100] {
            settled(&clock, TimeDelta::seconds(wake)).await;
            clock.advance(TimeDelta::seconds(40).min(start() + TimeDelta::seconds(100) - clock.now()));
            feed.unbounded_send(Ok(PING.into())).unwrap();
        }
        assert_eq!(reading.await.unwrap().unwrap_err().error.kind, ModelErrorKind::Timeout);
        assert_eq!(clock.now() - start(), TimeDelta::seconds(100));
    }

    #[tokio::test]
    async fn an_answer_is_complete_with_its_last_event_though_the_connection_stands() {
        let clock = ManualClock::new(start());
        let (feed, reading) = fed(&clock, TimeDelta::minutes(5));
        feed.unbounded_send(Ok(STREAM.into())).unwrap();
        assert_eq!(reading.await.unwrap().unwrap().message_id, "msg_é");
        assert!(feed.is_closed());
    }
}
