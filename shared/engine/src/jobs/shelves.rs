//! The workspace's documents, and what agents remember: for people to see and to correct.

use nightshift_domain::FieldError;
use nightshift_domain::memory::{MemoryPath, ROOT, vacant};
use nightshift_domain::shelf::{Draft, Entry, Shelf, ShelfFull, ShelfId, is_document_name};
use serde_json::Value;
use tracing::info;

use crate::runs::load_config;
use crate::shelves::{MAX_RACES, keep, load, sheets, write};

use super::params::Params;
use super::{Refusal, Request};

/// A text and what the index says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What the index says.
    pub entry: Entry,
    /// The text.
    pub text: String,
}

/// What came of writing a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// What the index says now.
    pub entry: Entry,
    /// Whether it was another text before, or none.
    pub changed: bool,
}

/// What an agent remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The agent.
    pub agent: String,
    /// Its files.
    pub files: Vec<Entry>,
    /// How long all are together.
    pub bytes: u64,
    /// How long they may be.
    pub most: u64,
}

/// The documents there are, by name: `{}`.
pub async fn documents_list(request: &Request<'_>, input: &Value) -> Result<Vec<Entry>, Refusal> {
    Params::new(input, &[]).done(())?;
    Ok(request.deps.store.shelf(&ShelfId::Documents).await?.entries)
}

/// A document: `{name}`.
pub async fn documents_get(request: &Request<'_>, input: &Value) -> Result<Kept, Refusal> {
    let mut params = Params::new(input, &["name"]);
    let name = document_name(&mut params);
    let name = params.needed(name)?;
    get(request, &ShelfId::Documents, &name).await
}

/// Writes a document: `{name, text, expectedRevision?}`.
///
/// # Crash safety
/// A long text's blob first, then one commit. A repeat finds the text there and changes nothing.
pub async fn documents_put(request: &Request<'_>, input: &Value) -> Result<Put, Refusal> {
    let mut params = Params::new(input, &["name", "text", "expectedRevision"]);
    let (name, text, expected) =
        (document_name(&mut params), whole_text(&mut params), params.whole("expectedRevision"));
    let (name, text) = params.needed(name.zip(text))?;
    put(request, &ShelfId::Documents, &name, text, expected, |_| Ok(())).await
}

/// Removes a document: `{name, expectedRevision?}`.
///
/// # Crash safety
/// One commit. A repeat with the same stamp finds it gone.
pub async fn documents_remove(request: &Request<'_>, input: &Value) -> Result<(), Refusal> {
    let mut params = Params::new(input, &["name", "expectedRevision"]);
    let (name, expected) = (document_name(&mut params), params.whole("expectedRevision"));
    let name = params.needed(name)?;
    remove(request, &ShelfId::Documents, &name, expected).await
}

/// What an agent remembers: `{agentId?}`. One that is not configured any more is shown too.
pub async fn memory_list(request: &Request<'_>, input: &Value) -> Result<Remembered, Refusal> {
    let mut params = Params::new(input, &["agentId"]);
    let agent = agent(&mut params);
    params.done(())?;
    let id = memory_of(request, agent).await?;
    let shelf = request.deps.store.shelf(&id).await?;
    let agent = if let ShelfId::Memory(agent) = &id { agent.clone() } else { String::new() };
    Ok(Remembered { agent, bytes: shelf.bytes(), most: id.limits().total_bytes, files: shelf.entries })
}

/// A file of an agent's memory: `{agentId?, path}`.
pub async fn memory_get(request: &Request<'_>, input: &Value) -> Result<Kept, Refusal> {
    let mut params = Params::new(input, &["agentId", "path"]);
    let (agent, path) = (agent(&mut params), path(&mut params));
    let path = params.needed(path)?;
    get(request, &memory_of(request, agent).await?, path.as_str()).await
}

/// Writes a file of an agent's memory: `{agentId?, path, text, expectedRevision?}`.
///
/// # Crash safety
/// As [`documents_put`].
pub async fn memory_put(request: &Request<'_>, input: &Value) -> Result<Put, Refusal> {
    let mut params = Params::new(input, &["agentId", "path", "text", "expectedRevision"]);
    let (agent, path) = (agent(&mut params), path(&mut params));
    let (text, expected) = (whole_text(&mut params), params.whole("expectedRevision"));
    let (path, text) = params.needed(path.zip(text))?;
    let id = memory_of(request, agent).await?;
    put(request, &id, path.as_str(), text, expected, |shelf| vacant(shelf, &path)).await
}

/// Removes a file of an agent's memory: `{agentId?, path, expectedRevision?}`.
///
/// # Crash safety
/// As [`documents_remove`].
pub async fn memory_remove(request: &Request<'_>, input: &Value) -> Result<(), Refusal> {
    let mut params = Params::new(input, &["agentId", "path", "expectedRevision"]);
    let (agent, path, expected) = (agent(&mut params), path(&mut params), params.whole("expectedRevision"));
    let path = params.needed(path)?;
    remove(request, &memory_of(request, agent).await?, path.as_str(), expected).await
}

fn document_name(params: &mut Params<'_>) -> Option<String> {
    let Some(name) = params.get("name") else {
        params.fault(FieldError::new("missing_field", "name", "name is missing").hint("such as AGENTS.md"));
        return None;
    };
    let good = name.as_str().filter(|name| is_document_name(name)).map(str::to_owned);
    if good.is_none() {
        let fault = FieldError::new("invalid_field", "name", "this is not a document's name");
        params.fault(fault.hint("1 to 200 characters without control characters, no blank at either end"));
    }
    good
}

fn path(params: &mut Params<'_>) -> Option<MemoryPath> {
    let Some(path) = params.get("path") else {
        let fault = FieldError::new("missing_field", "path", "path is missing");
        params.fault(fault.hint(format!("such as {ROOT}/people.md")));
        return None;
    };
    let read = path.as_str().ok_or_else(|| "path is not a text".to_owned()).and_then(MemoryPath::parse);
    let fault = |message| FieldError::new("invalid_field", "path", message).hint(format!("such as {ROOT}/people.md"));
    read.map_err(|message| params.fault(fault(message))).ok()
}

/// The field `text` as it is, blanks at its ends too.
pub(super) fn whole_text(params: &mut Params<'_>) -> Option<String> {
    let Some(text) = params.get("text") else {
        params.fault(FieldError::new("missing_field", "text", "text is missing"));
        return None;
    };
    let read = text.as_str().map(str::to_owned);
    if read.is_none() {
        params.fault(FieldError::new("invalid_field", "text", "text is not a text"));
    }
    read
}

pub(super) fn agent(params: &mut Params<'_>) -> Option<String> {
    // One that is left out is the default agent's; an empty one is somebody's mistake.
    let id = params.text("agentId").or_else(|| params.get("agentId").and_then(Value::as_str).map(str::trim))?;
    let good = (1..=33).contains(&id.len()) && id.chars().all(|each| each.is_ascii_alphanumeric() || each == '-');
    if !good {
        let fault = FieldError::new("invalid_field", "agentId", "this is not an agent's id");
        params.fault(fault.hint("1 to 33 letters, digits and hyphens"));
    }
    good.then(|| id.to_owned())
}

/// The memory of `agent`, the default one where none is named.
pub(super) async fn memory_of(request: &Request<'_>, agent: Option<String>) -> Result<ShelfId, Refusal> {
    Ok(ShelfId::Memory(match agent {
        Some(agent) => agent,
        None => load_config(request.deps).await?.agent(None).0,
    }))
}

fn missing(id: &ShelfId, name: &str) -> Refusal {
    match id {
        ShelfId::Documents => Refusal::NoDocument(name.to_owned()),
        ShelfId::Memory(agent) => Refusal::NoMemory { agent: agent.clone(), path: name.to_owned() },
    }
}

fn changed(id: &ShelfId) -> Refusal {
    Refusal::Changed(id.to_string())
}

/// Whether the text stands where the request thinks; 0 is one that is not there.
fn check(name: &str, expected: Option<u64>, entry: Option<&Entry>) -> Result<(), Refusal> {
    let found = entry.map_or(0, |entry| entry.revision);
    match expected.filter(|expected| *expected != found) {
        None => Ok(()),
        Some(expected) => Err(Refusal::TextChanged { name: name.to_owned(), expected, found }),
    }
}

pub(super) async fn get(request: &Request<'_>, id: &ShelfId, name: &str) -> Result<Kept, Refusal> {
    let store = request.deps.store.as_ref();
    for _ in 0..MAX_RACES {
        let shelf = store.shelf(id).await?;
        let entry = shelf.entry(name).ok_or_else(|| missing(id, name))?;
        if let Some([sheet]) = sheets(store, &shelf, &[name.to_owned()]).await?.as_deref() {
            return Ok(Kept { entry: entry.clone(), text: load(request.deps, sheet).await? });
        }
    }
    Err(changed(id))
}

pub(super) async fn put(
    request: &Request<'_>,
    id: &ShelfId,
    name: &str,
    text: String,
    expected: Option<u64>,
    fits: impl Fn(&Shelf) -> Result<(), String>,
) -> Result<Put, Refusal> {
    let (deps, store) = (request.deps, request.deps.store.as_ref());
    let bytes = text.len() as u64;
    let full = |full: ShelfFull| FieldError::new("too_much_text", "text", full.to_string());
    // Before a blob is written that nothing would ever name.
    let most = id.limits().text_bytes;
    if bytes > most {
        return Err(full(ShelfFull::Text { name: name.to_owned(), bytes, most }).into());
    }
    let text = keep(deps, text).await?;
    for _ in 0..MAX_RACES {
        let shelf = store.shelf(id).await?;
        let known: Vec<String> = shelf.entry(name).map(|entry| entry.name.clone()).into_iter().collect();
        let Some(there) = sheets(store, &shelf, &known).await? else { continue };
        if let (Some(entry), [sheet]) = (shelf.entry(name), there.as_slice())
            && sheet.text == text
        {
            // A repeat, or a change of nothing: told before a revision that moved on, which may be the repeat's own doing.
            return Ok(Put { entry: entry.clone(), changed: false });
        }
        check(name, expected, shelf.entry(name))?;
        fits(&shelf).map_err(|message| FieldError::new("invalid_field", "path", message))?;
        let mut draft = Draft::new(&shelf, None, request.now);
        draft.put(name, text.clone(), bytes);
        let draft = draft.checked().map_err(full)?;
        if write(store, &draft).await? {
            info!("a text of {id} is written, {bytes} bytes");
            let entry = draft.shelf.entry(name).cloned().ok_or_else(|| missing(id, name))?;
            return Ok(Put { entry, changed: true });
        }
    }
    Err(changed(id))
}

async fn remove(request: &Request<'_>, id: &ShelfId, name: &str, expected: Option<u64>) -> Result<(), Refusal> {
    let store = request.deps.store.as_ref();
    for attempt in 0..MAX_RACES {
        let shelf = store.shelf(id).await?;
        let Some(entry) = shelf.entry(name) else {
            let ours = request.stamp.repeated || attempt > 0;
            return if ours { Ok(()) } else { Err(missing(id, name)) };
        };
        check(name, expected, Some(entry))?;
        let mut draft = Draft::new(&shelf, None, request.now);
        draft.remove(name);
        if write(store, &draft).await? {
            info!("a text of {id} is removed");
            return Ok(());
        }
    }
    Err(changed(id))
}
