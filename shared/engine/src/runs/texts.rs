//! Texts of a run: in its row while they are short, in the blob store when they are not.

use bytes::Bytes;
use nightshift_domain::RunKey;
use nightshift_domain::run::{Run, Text};
use sha2::{Digest, Sha256};

use crate::deps::Deps;
use crate::error::EngineError;

/// Longest text kept in a row: far below DynamoDB's 400 KB item, and cheaper to read (DESIGN §3).
pub const INLINE_MAX: usize = 32 * 1024;

/// Longest part of a plan kept in the run's row.
const PLAN_INLINE_MAX: usize = 8 * 1024;
/// Longest piece of a conversation kept in the run's row, which is read whole by every list.
pub(crate) const TALK_INLINE_MAX: usize = 1024;
/// How many pieces a row may hold: the most calls of a turn and their keys must fit an item with them (DynamoDB: 400 KB).
const TALK_INLINE_PIECES: usize = 60;

/// Keeps a piece of the run's conversation. A blob's key is its digest, so a repeat writes the same blob.
pub(crate) async fn talk_text(deps: &Deps, run: &Run, text: String) -> Result<Text, EngineError> {
    let pieces = run.talk.said.len() + 2 * run.talk.calls.len();
    let most = if pieces < TALK_INLINE_PIECES { TALK_INLINE_MAX } else { 0 };
    keep(deps, &run.key, text, most).await
}

/// Keeps a part of the run's plan, which every write of its row carries.
pub(crate) async fn plan_text(deps: &Deps, run: &RunKey, text: String) -> Result<Text, EngineError> {
    keep(deps, run, text, PLAN_INLINE_MAX).await
}

/// Keeps `text` for `run`. A blob's key is its digest, so a repeat writes the same blob.
pub async fn run_text(deps: &Deps, run: &RunKey, text: String) -> Result<Text, EngineError> {
    keep(deps, run, text, INLINE_MAX).await
}

async fn keep(deps: &Deps, run: &RunKey, text: String, inline_max: usize) -> Result<Text, EngineError> {
    keep_under(deps, &format!("runs/{run}"), text, inline_max).await
}

/// Keeps `text`, as a blob under `prefix` where it is longer than `inline_max`. A blob's key is its digest, so a repeat writes
/// the same blob.
pub(crate) async fn keep_under(
    deps: &Deps,
    prefix: &str,
    text: String,
    inline_max: usize,
) -> Result<Text, EngineError> {
    if text.len() <= inline_max {
        return Ok(Text::Inline(text));
    }
    let key = format!("{prefix}/{}", digest(text.as_bytes()));
    let bytes = text.len() as u64;
    deps.blobs.put(&key, Bytes::from(text)).await?;
    Ok(Text::Blob { key, bytes })
}

/// Reads a text back.
pub async fn load_text(deps: &Deps, run: &RunKey, text: &Text) -> Result<String, EngineError> {
    match text {
        Text::Inline(text) => Ok(text.clone()),
        Text::Blob { key, .. } => {
            let missing = || EngineError::TextMissing { run: run.clone(), key: key.clone() };
            let body = deps.blobs.get(key).await?.ok_or_else(missing)?;
            String::from_utf8(body.to_vec()).map_err(|_| missing())
        }
    }
}

/// SHA-256 in hex.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
