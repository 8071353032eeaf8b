//! The delivery ledger: a row per chunk, and which rows may be sent.
//!
//! Guarantee: at most once per chunk, visibly. A chunk whose outcome is unknown is sent again only inside the window in
//! which its channel drops repeats, counted from the first attempt that may have been taken, whatever became of later ones.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::RunKey;
use crate::job::DeliveryStatus;

mod media;
mod prefix;
mod token;

pub use media::Media;
pub use prefix::channel_of;
pub use token::{acknowledges, deliverable};

/// Attempts at a chunk that was provably not taken.
pub const MAX_SEND_ATTEMPTS: u32 = 6;
/// How long a send may take: a repeat must still be dropped when it arrives as late as that.
pub const SEND_TIMEOUT: TimeDelta = TimeDelta::seconds(30);
/// How long after it was begun, as its row says, a chunk may still be sent: shorter than a lease, so that nobody else has taken
/// it over by then.
pub const SENT_WITHIN: TimeDelta = TimeDelta::seconds(30);

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
    /// An image that goes with it, where the channel fetches images by itself; `text` is its caption then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Media>,
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

    /// When the first attempt was begun of which nobody knows whether it was taken; `None` while there is none.
    pub fn unsure_since(&self) -> Option<DateTime<Utc>> {
        match &self.state {
            ChunkState::Sending { at } | ChunkState::Unknown { at, .. } => Some(*at),
            ChunkState::Failed { unsure_since, .. } => *unsure_since,
            ChunkState::Planned | ChunkState::Sent { .. } | ChunkState::Refused { .. } => None,
        }
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
        /// When it was begun, or an attempt before it that may have been taken.
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
        /// When an attempt before was begun that may have been taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unsure_since: Option<DateTime<Utc>>,
    },
    /// Refused for good.
    Refused {
        /// What was said.
        error: String,
    },
    /// Nobody knows.
    Unknown {
        /// When it was begun, or the first of several such attempts.
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
    let repeat_is_safe = |at: DateTime<Utc>| repeat_is_safe(at, now, dedupes);
    match &chunk.state {
        ChunkState::Failed { retry_at, .. } if *retry_at > now => Step::Wait(*retry_at),
        ChunkState::Failed { unsure_since: Some(at), .. } if !repeat_is_safe(*at) => Step::GiveUpUnknown,
        ChunkState::Planned | ChunkState::Failed { .. } => Step::Send,
        ChunkState::Sending { at } if repeat_is_safe(*at) => Step::Send,
        ChunkState::Sending { .. } => Step::GiveUpUnknown,
        ChunkState::Unknown { at, .. } if repeat_is_safe(*at) && chunk.attempts < MAX_SEND_ATTEMPTS => Step::Send,
        ChunkState::Unknown { .. } | ChunkState::Sent { .. } | ChunkState::Refused { .. } => Step::Done,
    }
}

/// Whether a repeat sent at `now` is dropped by a channel that was sent the same at `at`, if it was, also where the repeat
/// takes as long as it may.
pub fn repeat_is_safe(at: DateTime<Utc>, now: DateTime<Utc>, dedupes: Option<TimeDelta>) -> bool {
    dedupes.is_some_and(|window| now + SEND_TIMEOUT <= at + window)
}

/// What becomes of a chunk that was to be sent at `begun`, where its row could be written no sooner than `now`; `None` where it
/// may be sent. `unsure` is when an attempt was begun before that may have been taken.
pub fn overtaken(
    begun: DateTime<Utc>,
    now: DateTime<Utc>,
    unsure: Option<DateTime<Utc>>,
    dedupes: Option<TimeDelta>,
) -> Option<ChunkState> {
    let error = "it could not be written down in time that it is sent".to_owned();
    match unsure {
        Some(at) if !repeat_is_safe(at, now, dedupes) => Some(ChunkState::Unknown { at, error }),
        Some(_) | None if now > begun + SENT_WITHIN => {
            Some(ChunkState::Failed { retry_at: now, error, unsure_since: unsure })
        }
        Some(_) | None => None,
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

/// Why not all of a delivery arrived, for a person: `error`, and how much did, where that is not nothing.
pub fn told_in_part(error: String, chunks: &[Chunk]) -> String {
    match chunks.iter().filter(|chunk| matches!(chunk.state, ChunkState::Sent { .. })).count() {
        0 => error,
        arrived => format!("{error}; {arrived} of its {} parts arrived", chunks.len()),
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
            media: None,
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
    fn an_attempt_that_provably_failed_does_not_make_an_earlier_unknown_one_safe_to_repeat() {
        let now = DateTime::from_timestamp(1_795_219_200, 0).unwrap();
        let failed = |unsure_since| chunk(ChunkState::Failed { retry_at: now, error: String::new(), unsure_since });
        let window = Some(TimeDelta::seconds(120));
        let told = |since: i64| step(&failed(Some(now - TimeDelta::seconds(since))), now, window);
        assert_eq!(step(&failed(None), now, None), Step::Send, "nothing was ever taken");
        assert_eq!(told(90), Step::Send);
        assert_eq!(told(91), Step::GiveUpUnknown, "it might arrive when the window is over");
    }

    #[test]
    fn a_failed_chunk_of_an_earlier_release_reads_as_one_that_was_never_taken() {
        let old = r#"{"state":"failed","retryAt":"2026-11-20T07:00:00Z","error":"busy"}"#;
        let state: ChunkState = serde_json::from_str(old).unwrap();
        assert_eq!(chunk(state.clone()).unsure_since(), None);
        assert_eq!(serde_json::to_value(&state).unwrap(), serde_json::from_str::<serde_json::Value>(old).unwrap());
    }

    #[test]
    fn a_chunk_of_an_earlier_release_has_no_image_and_one_without_an_image_is_written_as_before() {
        let row = serde_json::to_value(chunk(ChunkState::Planned)).unwrap();
        assert!(row.get("media").is_none());
        assert_eq!(serde_json::from_value::<Chunk>(row).unwrap().media, None);
        let media = Media { url: "https://e.io/a.png".into(), alt: "a".into() };
        let with = Chunk { media: Some(media), ..chunk(ChunkState::Planned) };
        assert_eq!(serde_json::from_value::<Chunk>(serde_json::to_value(&with).unwrap()).unwrap(), with);
    }

    #[test]
    fn whoever_stood_still_before_a_send_lets_it_be_where_others_may_have_come_by_or_nobody_drops_a_repeat() {
        let begun = DateTime::from_timestamp(1_795_219_200, 0).unwrap();
        let after = |seconds| begun + TimeDelta::seconds(seconds);
        let window = Some(TimeDelta::seconds(120));
        let (soon, late) = (after(30), after(31));
        assert_eq!(overtaken(begun, soon, None, None), None);
        let put_off = |state| matches!(state, Some(ChunkState::Failed { retry_at, .. }) if retry_at == late);
        assert!(put_off(overtaken(begun, late, None, None)));
        assert!(put_off(overtaken(begun, late, Some(after(-1)), window)), "still unsure, and still dropped");
        let first = after(-70);
        assert_eq!(overtaken(begun, after(20), Some(first), window), None);
        let unknown = overtaken(begun, after(21), Some(first), window);
        assert!(matches!(unknown, Some(ChunkState::Unknown { at, .. }) if at == first), "{unknown:?}");
    }

    #[test]
    fn what_did_arrive_is_told_with_the_error() {
        let at = DateTime::from_timestamp(1_795_219_200, 0).unwrap();
        let refused = chunk(ChunkState::Refused { error: String::new() });
        let sent = chunk(ChunkState::Sent { message_id: "1".into(), at });
        let told = |chunks: &[Chunk]| told_in_part("Telegram refused it".to_owned(), chunks);
        assert_eq!(told(std::slice::from_ref(&refused)), "Telegram refused it");
        assert_eq!(told(&[sent.clone(), sent, refused]), "Telegram refused it; 2 of its 3 parts arrived");
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
}
