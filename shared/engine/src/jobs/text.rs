//! A job's text: in its row while it is short, in the blob store when it is not.
//!
//! Guarantee: a row that names a blob is written after the blob. Blobs are named by what they hold, so a repeat writes
//! the same one; an edit leaves the old one behind, because a run that was claimed before may still read it.

use std::sync::Arc;

use bytes::Bytes;
use nightshift_domain::JobId;
use nightshift_domain::job::JobRecord;

use crate::deps::Deps;
use crate::error::EngineError;
use crate::ports::BlobError;
use crate::runs::{INLINE_MAX, digest};

/// What of a long text stays in the row, in characters, so that a person who looks at it knows what it is.
const KEPT_CHARS: usize = 1000;

/// `record` as it is written: a long text is put in the blob store, and the row keeps its beginning.
pub async fn store_form(deps: &Deps, record: &JobRecord) -> Result<JobRecord, EngineError> {
    let mut stored = record.clone();
    let text = stored.job.payload.text_mut();
    if text.len() <= INLINE_MAX {
        stored.message_blob = None;
        return Ok(stored);
    }
    let key = format!("jobs/{}/{}", record.job.job_id, digest(text.as_bytes()));
    let beginning: String = text.chars().take(KEPT_CHARS).collect();
    let whole = std::mem::replace(text, beginning);
    deps.blobs.put(&key, Bytes::from(whole)).await?;
    stored.message_blob = Some(key);
    Ok(stored)
}

/// `stored` as it was before it was written. Goes through [`store_form`] again before it is written again.
pub async fn load(deps: &Deps, stored: JobRecord) -> Result<JobRecord, EngineError> {
    let whole = load_message(deps, &stored).await?;
    let mut record = stored;
    *record.job.payload.text_mut() = whole;
    record.message_blob = None;
    Ok(record)
}

/// The job `id` with its whole text.
pub async fn load_job(deps: &Deps, id: &JobId) -> Result<Option<JobRecord>, EngineError> {
    match deps.store.job(id).await? {
        Some(stored) => load(deps, stored).await.map(Some),
        None => Ok(None),
    }
}

/// What a job says to its agent.
pub async fn load_message(deps: &Deps, stored: &JobRecord) -> Result<String, EngineError> {
    let Some(key) = &stored.message_blob else { return Ok(stored.job.payload.text().to_owned()) };
    let missing = |why: std::io::Error| BlobError { key: key.clone(), source: Arc::new(why) };
    let body = deps.blobs.get(key).await?;
    let body = body.ok_or_else(|| missing(std::io::Error::new(std::io::ErrorKind::NotFound, "it is not there")))?;
    let text = String::from_utf8(body.to_vec());
    Ok(text.map_err(|error| missing(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?)
}
