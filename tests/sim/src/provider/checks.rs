//! What the provider refuses by its own rules.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use nightshift_domain::model::ModelErrorKind;
use nightshift_engine::ports::{BatchRow, ModelError};

use super::State;
use super::plan::Refusal;

/// Most rows of a batch, and most bytes (batch-processing page, 2026-10).
const MOST_ROWS: usize = 100_000;
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// Why something is refused. None of these has an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The request is.
    Invalid(&'static str),
    /// It is too large.
    TooLarge,
    /// There is no such batch, or it cannot be seen now.
    NotFound,
    /// The account's spend limit is reached.
    SpendLimit,
    /// As it was planned.
    Planned(Refusal),
}

impl From<Wrong> for ModelError {
    fn from(wrong: Wrong) -> Self {
        let (kind, message) = match wrong {
            Wrong::Invalid(why) => (ModelErrorKind::Invalid, why),
            Wrong::TooLarge => (ModelErrorKind::TooLarge, "the request is too large"),
            Wrong::NotFound => (ModelErrorKind::NotFound, "not found"),
            Wrong::SpendLimit => (ModelErrorKind::SpendLimit, "the spend limit is reached"),
            Wrong::Planned(Refusal::RateLimited) => (ModelErrorKind::RateLimited, "too many requests"),
            Wrong::Planned(Refusal::Overloaded) => (ModelErrorKind::Overloaded, "overloaded"),
            Wrong::Planned(Refusal::NotSent) => (ModelErrorKind::NotSent, "connection refused"),
            Wrong::Planned(Refusal::Invalid) => (ModelErrorKind::Invalid, "it is said to be wrong"),
        };
        let retry_after = (kind == ModelErrorKind::RateLimited).then(|| TimeDelta::seconds(30));
        Self { kind, message: message.to_owned(), retry_after, request_id: None }
    }
}

/// Whether the envelope of a create is as it has to be.
pub(super) fn rows(rows: &[BatchRow]) -> Result<(), Wrong> {
    if rows.is_empty() {
        return Err(Wrong::Invalid("a batch needs a row"));
    }
    let bytes = |row: &BatchRow| {
        let said = row.request.messages.iter().map(|message| message.content.len()).sum::<usize>();
        let frozen = [&row.request.system, &row.request.tools].map(|text| text.as_ref().map_or(0, String::len));
        row.custom_id.len() + said + frozen.iter().sum::<usize>()
    };
    if rows.len() > MOST_ROWS || rows.iter().map(bytes).sum::<usize>() > MOST_BYTES {
        return Err(Wrong::TooLarge);
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let mut names = BTreeSet::new();
    for row in rows {
        if !(1..=64).contains(&row.custom_id.len()) || !row.custom_id.bytes().all(fits) {
            return Err(Wrong::Invalid("a custom_id is not one"));
        }
        if !names.insert(&row.custom_id) {
            return Err(Wrong::Invalid("a custom_id is there twice"));
        }
    }
    Ok(())
}

/// Whether the account may buy anything now.
pub(super) fn account(state: &mut State) -> Result<(), Wrong> {
    if let Some(how) = state.refusals.pop_front() {
        return Err(Wrong::Planned(how));
    }
    if state.spend_limit { Err(Wrong::SpendLimit) } else { Ok(()) }
}
