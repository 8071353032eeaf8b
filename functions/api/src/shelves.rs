//! Documents and memory: use cases mapped to answers.

use nightshift_domain::shelf::Entry;
use nightshift_engine::jobs::{self, Kept, Put, Refusal, Remembered, Request};
use nightshift_wire::{
    DocumentAnswer, DocumentList, DocumentPut, DocumentView, MemoryAnswer, MemoryFileView, MemoryList, MemoryPut,
};
use serde_json::Value;

use crate::methods::shown;

pub(crate) async fn documents_list(request: &Request<'_>, input: &Value) -> Result<Value, Refusal> {
    let documents = jobs::documents_list(request, input).await?;
    Ok(shown(&DocumentList { documents: documents.iter().map(document_view).collect() }))
}

pub(crate) async fn documents_get(request: &Request<'_>, input: &Value) -> Result<Value, Refusal> {
    let Kept { entry, text } = jobs::documents_get(request, input).await?;
    let DocumentView { name, bytes, revision, updated_at_ms } = document_view(&entry);
    Ok(shown(&DocumentAnswer { name, bytes, revision, updated_at_ms, text }))
}

pub(crate) async fn documents_put(request: &Request<'_>, input: &Value) -> Result<Value, Refusal> {
    let Put { entry, changed } = jobs::documents_put(request, input).await?;
    let DocumentView { name, bytes, revision, updated_at_ms } = document_view(&entry);
    Ok(shown(&DocumentPut { ok: true, changed, name, bytes, revision, updated_at_ms }))
}

pub(crate) async fn memory_list(request: &Request<'_>, input: &Value) -> Result<Value, Refusal> {
    let Remembered { agent, files, bytes, most } = jobs::memory_list(request, input).await?;
    let files = files.iter().map(file_view).collect();
    Ok(shown(&MemoryList { agent_id: agent, files, bytes, max_bytes: most }))
}

pub(crate) async fn memory_get(request: &Request<'_>, input: &Value) -> Result<Value, Refusal> {
    let Kept { entry, text } = jobs::memory_get(request, input).await?;
    let MemoryFileView { path, bytes, revision, updated_at_ms } = file_view(&entry);
    Ok(shown(&MemoryAnswer { path, bytes, revision, updated_at_ms, text }))
}

pub(crate) async fn memory_put(request: &Request<'_>, input: &Value) -> Result<Value, Refusal> {
    let Put { entry, changed } = jobs::memory_put(request, input).await?;
    let MemoryFileView { path, bytes, revision, updated_at_ms } = file_view(&entry);
    Ok(shown(&MemoryPut { ok: true, changed, path, bytes, revision, updated_at_ms }))
}

fn document_view(entry: &Entry) -> DocumentView {
    DocumentView {
        name: entry.name.clone(),
        bytes: entry.bytes,
        revision: entry.revision,
        updated_at_ms: entry.changed_at.timestamp_millis(),
    }
}

fn file_view(entry: &Entry) -> MemoryFileView {
    MemoryFileView {
        path: entry.name.clone(),
        bytes: entry.bytes,
        revision: entry.revision,
        updated_at_ms: entry.changed_at.timestamp_millis(),
    }
}
