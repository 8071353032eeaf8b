//! A message as the events of a stream (docs page "streaming", Python SDK 2.11.0 `RawMessageStreamEvent`).
//!
//! Put together again, the events are the message that a plain answer holds. Text, thinking and the JSON of tool inputs
//! come in pieces cut anywhere between characters; blocks without deltas come whole. The bytes are cut without regard
//! to events or characters, as a network may.

use std::io;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};

use crate::ids::{hash, mix};
use crate::reply::Spoken;
use crate::script::StreamError;

/// Longest piece of a short text, in characters; of a long one a two-hundredth.
const PIECE: usize = 24;
/// Most bytes that are sent at a time.
const CHUNK: u64 = 2_048;

/// An answer as a stream.
#[derive(Debug)]
pub(crate) struct Events {
    frames: Vec<Bytes>,
    seed: u64,
    /// Whether the connection breaks in the middle.
    broken: bool,
}

impl Events {
    pub(crate) fn of(spoken: &Spoken, request_id: &str) -> Self {
        let mut events = Writer { seed: hash(request_id.as_bytes()), events: Vec::new() };
        events.message(&spoken.message, &spoken.first_usage);
        let Writer { seed, mut events } = events;
        if let Some(error) = &spoken.stream_error {
            // The end never comes.
            events.truncate(error.after.min(events.len() - 1));
            events.push(("error", error_event(error, request_id)));
        }
        Self { frames: events.iter().map(|(name, data)| frame(name, data)).collect(), seed, broken: false }
    }

    /// Breaks the connection half-way through: some events, and the beginning of one.
    pub(crate) fn cut(mut self) -> Self {
        let half = self.frames.len() / 2;
        self.frames.truncate(half + 1);
        if let Some(last) = self.frames.last_mut() {
            *last = last.slice(..last.len() / 2);
        }
        self.broken = true;
        self
    }

    /// The bytes, in chunks that are flushed one by one.
    pub(crate) fn into_bytes(self) -> impl Stream<Item = Result<Bytes, io::Error>> {
        let mut whole: Bytes = self
            .frames
            .iter()
            .fold(BytesMut::new(), |mut all, frame| {
                all.extend_from_slice(frame);
                all
            })
            .freeze();
        let (mut chunks, mut seed) = (Vec::new(), self.seed);
        while !whole.is_empty() {
            seed = mix(seed);
            let most = usize::try_from(1 + seed % CHUNK).unwrap_or(1);
            chunks.push(Ok(whole.split_to(most.min(whole.len()))));
        }
        if self.broken {
            chunks.push(Err(crate::answer::broken()));
        }
        stream::iter(chunks).then(async |chunk| {
            tokio::task::yield_now().await;
            chunk
        })
    }
}

fn frame(name: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

fn error_event(error: &StreamError, request_id: &str) -> Value {
    let message = error.message.clone().unwrap_or_else(|| format!("scripted {}", error.kind));
    json!({"type": "error", "error": {"type": error.kind, "message": message}, "request_id": request_id})
}

type Event = (&'static str, Value);

struct Writer {
    seed: u64,
    events: Vec<Event>,
}

impl Writer {
    fn message(&mut self, message: &Value, first_usage: &Value) {
        let usage = &message["usage"];
        let mut start = message.clone();
        start["content"] = json!([]);
        for field in ["stop_reason", "stop_sequence", "stop_details", "container"] {
            start[field] = Value::Null;
        }
        if let Some(map) = start["usage"].as_object_mut() {
            map.remove("iterations");
        }
        for field in ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"] {
            start["usage"][field] = first_usage[field].clone();
        }
        // The first token is out when the stream begins; what servers did is known at its end.
        start["usage"]["output_tokens"] = json!(usage["output_tokens"].as_u64().unwrap_or(0).min(1));
        for field in ["server_tool_use", "output_tokens_details"] {
            start["usage"][field] = Value::Null;
        }
        self.push("message_start", json!({"type": "message_start", "message": start}));
        let blocks = message["content"].as_array().map_or(&[][..], Vec::as_slice);
        if blocks.is_empty() {
            self.ping();
        }
        for (index, block) in blocks.iter().enumerate() {
            self.block(index, block);
        }
        let mut cumulative = json!({});
        for field in [
            "input_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
            "output_tokens",
            "output_tokens_details",
            "server_tool_use",
            "iterations",
        ] {
            if let Some(value) = usage.get(field) {
                cumulative[field] = value.clone();
            }
        }
        let delta = json!({
            "stop_reason": message["stop_reason"],
            "stop_sequence": message["stop_sequence"],
            "stop_details": message["stop_details"],
            "container": message["container"],
        });
        self.push("message_delta", json!({"type": "message_delta", "delta": delta, "usage": cumulative}));
        self.push("message_stop", json!({"type": "message_stop"}));
    }

    fn block(&mut self, index: usize, block: &Value) {
        let (start, deltas) = self.split(block);
        self.push(
            "content_block_start",
            json!({"type": "content_block_start", "index": index, "content_block": start}),
        );
        if index == 0 {
            self.ping();
        }
        for delta in deltas {
            self.push("content_block_delta", json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        self.push("content_block_stop", json!({"type": "content_block_stop", "index": index}));
    }

    /// What a block starts as, and the deltas that make it whole.
    fn split(&mut self, block: &Value) -> (Value, Vec<Value>) {
        let mut start = block.clone();
        let mut deltas = Vec::new();
        match block["type"].as_str().unwrap_or_default() {
            "text" => {
                deltas.extend(self.pieces(&block["text"]).map(|text| json!({"type": "text_delta", "text": text})));
                start["text"] = json!("");
                if let Some(citations) = block["citations"].as_array() {
                    start["citations"] = json!([]);
                    let cite = |citation| json!({"type": "citations_delta", "citation": citation});
                    deltas.extend(citations.iter().map(cite));
                }
            }
            "thinking" => {
                let thoughts = self.pieces(&block["thinking"]);
                deltas.extend(thoughts.map(|text| json!({"type": "thinking_delta", "thinking": text})));
                deltas.push(json!({"type": "signature_delta", "signature": block["signature"]}));
                start["thinking"] = json!("");
                start["signature"] = json!("");
            }
            "tool_use" | "server_tool_use" | "mcp_tool_use" if block["input"].is_object() => {
                let input = json!(block["input"].to_string());
                deltas.push(json!({"type": "input_json_delta", "partial_json": ""}));
                let pieces = self.pieces(&input);
                deltas.extend(pieces.map(|text| json!({"type": "input_json_delta", "partial_json": text})));
                start["input"] = json!({});
            }
            // One delta, and only of what it can carry (Python SDK 2.11.0, `BetaCompactionContentBlockDelta`).
            "compaction" => {
                deltas.push(json!({
                    "type": "compaction_delta",
                    "content": block["content"],
                    "encrypted_content": block["encrypted_content"],
                }));
                start["content"] = Value::Null;
                if block.get("encrypted_content").is_some() {
                    start["encrypted_content"] = Value::Null;
                }
            }
            _ => {}
        }
        (start, deltas)
    }

    /// A text in at least two pieces, where it has two characters.
    fn pieces<'a>(&mut self, text: &'a Value) -> std::vec::IntoIter<&'a str> {
        let mut rest = text.as_str().unwrap_or_default();
        let chars = rest.chars().count();
        let most = PIECE.max(chars / 200).min(chars.div_ceil(2)).max(1);
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            self.seed = mix(self.seed);
            let wanted = 1 + usize::try_from(self.seed % most as u64).unwrap_or(0);
            let at = rest.char_indices().nth(wanted).map_or(rest.len(), |found| found.0);
            let (piece, left) = rest.split_at(at);
            pieces.push(piece);
            rest = left;
        }
        pieces.into_iter()
    }

    fn ping(&mut self) {
        self.push("ping", json!({"type": "ping"}));
    }

    fn push(&mut self, name: &'static str, data: Value) {
        self.events.push((name, data));
    }
}
