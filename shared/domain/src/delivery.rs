//! The delivery ledger: a row per chunk, and which rows may be sent.
//!
//! Guarantee: at most once per chunk, visibly. A chunk whose outcome is unknown is sent again only inside the window in
//! which its channel drops repeats.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::RunKey;
use crate::job::DeliveryStatus;

/// Attempts at a chunk that was provably not taken.
pub const MAX_SEND_ATTEMPTS: u32 = 6;

/// A resolved place to send to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The channel's name.
    pub channel: String,
    /// The account of the channel.
    pub account: String,
    /// The chat, user or address, in the channel's own form.
    pub to: String,
    /// The thread or topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
}

/// One chunk of one delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chunk {
    /// The run it belongs to.
    pub run: RunKey,
    /// What it is part of: `final`, later a tool call or an alert.
    pub origin: String,
    /// Its place, from 0.
    pub index: u32,
    /// How many there are.
    pub of: u32,
    /// Where it goes.
    pub target: Target,
    /// What is sent, in the channel's format.
    pub text: String,
    /// The same without markup, for a channel that refuses the format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain: Option<String>,
    /// How it stands.
    pub state: ChunkState,
    /// How often it was begun.
    pub attempts: u32,
    /// Rises with every write.
    pub rev: u64,
}

impl Chunk {
    /// The key that makes a repeat of this chunk recognisable to the far side.
    pub fn idempotency_key(&self) -> String {
        format!("{}-{}-{}", self.run, self.origin, self.index)
    }
}

/// How a chunk stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ChunkState {
    /// Not begun.
    Planned,
    /// Begun; found so after a crash, its outcome is unknown.
    Sending {
        /// When it was begun.
        at: DateTime<Utc>,
    },
    /// Taken by the far side.
    Sent {
        /// Its id there.
        message_id: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// Provably not taken; may be tried again.
    Failed {
        /// When to try again.
        retry_at: DateTime<Utc>,
        /// What was said.
        error: String,
    },
    /// Refused for good.
    Refused {
        /// What was said.
        error: String,
    },
    /// Nobody knows.
    Unknown {
        /// When it was begun.
        at: DateTime<Utc>,
        /// What was seen.
        error: String,
    },
}

/// What to do with a chunk now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send it.
    Send,
    /// Come back at that instant.
    Wait(DateTime<Utc>),
    /// Write down that its outcome is unknown.
    GiveUpUnknown,
    /// Leave it.
    Done,
}

/// What to do with `chunk` now, on a channel that drops repeats within `dedupes` (if it does).
pub fn step(chunk: &Chunk, now: DateTime<Utc>, dedupes: Option<TimeDelta>) -> Step {
    let repeat_is_safe = |at: DateTime<Utc>| dedupes.is_some_and(|window| now - at < window);
    match &chunk.state {
        ChunkState::Planned => Step::Send,
        ChunkState::Failed { retry_at, .. } if *retry_at <= now => Step::Send,
        ChunkState::Failed { retry_at, .. } => Step::Wait(*retry_at),
        ChunkState::Sending { at } if repeat_is_safe(*at) => Step::Send,
        ChunkState::Sending { .. } => Step::GiveUpUnknown,
        ChunkState::Unknown { at, .. } if repeat_is_safe(*at) && chunk.attempts < MAX_SEND_ATTEMPTS => Step::Send,
        ChunkState::Unknown { .. } | ChunkState::Sent { .. } | ChunkState::Refused { .. } => Step::Done,
    }
}

/// What became of the whole delivery, once no chunk has anything left to do.
pub fn verdict(chunks: &[Chunk]) -> DeliveryStatus {
    if chunks.iter().any(|chunk| matches!(chunk.state, ChunkState::Refused { .. })) {
        DeliveryStatus::Failed
    } else if chunks.iter().all(|chunk| matches!(chunk.state, ChunkState::Sent { .. })) {
        DeliveryStatus::Delivered
    } else {
        DeliveryStatus::Unknown
    }
}

/// The answer as it is delivered: `None` where it holds nothing but a token that says so.
pub fn deliverable(text: &str) -> Result<&str, &'static str> {
    let trimmed = text.trim();
    match trimmed {
        "" => Err("empty"),
        "NO_REPLY" => Err("silent"),
        "HEARTBEAT_OK" => Err("heartbeat"),
        _ => Ok(trimmed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(state: ChunkState) -> Chunk {
        Chunk {
            run: RunKey::parse("a_20261120T070000Z").unwrap(),
            origin: "final".into(),
            index: 0,
            of: 1,
            target: Target { channel: "console".into(), account: "default".into(), to: "x".into(), thread: None },
            text: "hi".into(),
            plain: None,
            state,
            attempts: 1,
            rev: 1,
        }
    }

    #[test]
    fn an_unknown_chunk_is_resent_only_inside_the_window_in_which_its_channel_drops_repeats() {
        let now = DateTime::from_timestamp(1_795_219_200, 0).unwrap();
        let begun = now - TimeDelta::seconds(90);
        let window = Some(TimeDelta::seconds(120));
        for state in [ChunkState::Sending { at: begun }, ChunkState::Unknown { at: begun, error: String::new() }] {
            assert_eq!(step(&chunk(state.clone()), now, window), Step::Send);
            assert_ne!(step(&chunk(state.clone()), now, None), Step::Send);
            assert_ne!(step(&chunk(state), now + TimeDelta::seconds(30), window), Step::Send);
        }
        let sent = ChunkState::Sent { message_id: "1".into(), at: begun };
        assert_eq!(step(&chunk(sent), now, window), Step::Done);
    }

    #[test]
    fn the_worst_chunk_names_the_delivery() {
        let now = DateTime::from_timestamp(1_795_219_200, 0).unwrap();
        let sent = chunk(ChunkState::Sent { message_id: "1".into(), at: now });
        let unknown = chunk(ChunkState::Unknown { at: now, error: String::new() });
        let refused = chunk(ChunkState::Refused { error: String::new() });
        assert_eq!(verdict(&[sent.clone(), sent.clone()]), DeliveryStatus::Delivered);
        assert_eq!(verdict(&[sent.clone(), unknown.clone()]), DeliveryStatus::Unknown);
        assert_eq!(verdict(&[sent, unknown, refused]), DeliveryStatus::Failed);
    }

    #[test]
    fn an_answer_of_nothing_but_a_token_is_not_delivered() {
        assert_eq!(deliverable("  NO_REPLY \n"), Err("silent"));
        assert_eq!(deliverable("HEARTBEAT_OK"), Err("heartbeat"));
        assert_eq!(deliverable("\n"), Err("empty"));
        assert_eq!(deliverable(" NO_REPLY needed "), Ok("NO_REPLY needed"));
    }
}
