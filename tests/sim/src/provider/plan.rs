//! What comes of the next things the provider is asked: queues that the operations of a case fill.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// Something the provider is to do from now on. What is planned for rows, batches and answers is used up in order; without
/// a plan everything works: a batch takes five minutes, an answer five seconds, and each is the end of its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Plan {
    /// What becomes of the next row that is put in a batch.
    Row(RowPlan),
    /// How the next batch that is created behaves.
    Batch(BatchPlan),
    /// The next answer in realtime.
    Answer(AnswerPlan),
    /// The next calls are refused, without an effect.
    Refuse {
        /// How.
        how: Refusal,
        /// How many.
        calls: u32,
    },
    /// Whether the account has reached its spend limit: no answer can be bought.
    SpendLimit(bool),
    /// Whether our key is refused before anything is asked.
    KeyGone(bool),
    /// Somebody else of the same workspace creates a batch.
    Foreign {
        /// Its rows.
        rows: u32,
        /// How long it takes, seconds.
        seconds: u32,
    },
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RowPlan {
    /// It is answered, and paid.
    Answered(Say),
    /// It is answered, but the results break off before it when they are read for the first time.
    BreaksOnce(Say),
    /// It fails for a reason that passes; nothing is paid.
    Errored,
    /// Its request is wrong; nothing is paid.
    Invalid,
    /// Nobody comes to it: it expires with the batch, or is canceled with it.
    Never,
    /// Somebody stops it who is not us.
    Stopped,
    /// The results have no line for it; nothing is paid.
    Missing,
}

/// What a model answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Say {
    /// A short text; the turn ends.
    Done,
    /// A text of several messages; the turn ends.
    Long,
    /// That there is nothing to say.
    Silent,
    /// A text that was cut off.
    CutOff,
    /// A refusal.
    Refuses,
    /// It pauses within its own loop.
    Pauses,
    /// It writes a note with the memory tool.
    Notes,
    /// It looks at its notes.
    Looks,
    /// It sends a text with the message tool.
    Sends,
}

/// How a batch behaves, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchPlan {
    /// How long its rows take.
    pub takes: u32,
    /// How long after its creation the list shows it.
    pub listed_after: u32,
    /// How long after its creation it is "not found".
    pub hidden: u32,
    /// How long after its end its results are "not found".
    pub results_after: u32,
    /// How long it takes to stop.
    pub stops_after: u32,
}

impl Default for BatchPlan {
    fn default() -> Self {
        Self { takes: 300, listed_after: 0, hidden: 0, results_after: 0, stops_after: 30 }
    }
}

/// An answer in realtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerPlan {
    /// How long it takes, seconds.
    pub takes: u32,
    /// What it is.
    pub say: Say,
}

impl Default for AnswerPlan {
    fn default() -> Self {
        Self { takes: 5, say: Say::Done }
    }
}

/// How a call is refused. None of these has an effect, and whoever asked can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Refusal {
    /// Too many requests, with a time to come back.
    RateLimited,
    /// Overloaded.
    Overloaded,
    /// No connection.
    NotSent,
    /// Said to be wrong.
    Invalid,
}

/// Seconds as a span of time.
pub(super) fn seconds(count: u32) -> TimeDelta {
    TimeDelta::seconds(i64::from(count))
}
