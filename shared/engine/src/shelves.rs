//! Reading and changing shelves: agents' memories and the workspace's documents.
//!
//! Guarantee: a change is one transaction of the shelf's index and the texts it touches, under the index's `rev`. A change
//! that lost a race is made anew from what is there by then.

use bytes::Bytes;
use futures::future::try_join_all;
use nightshift_domain::memory::{Command, Outcome as Decided};
use nightshift_domain::run::Text;
use nightshift_domain::shelf::{Draft, Sheet, Shelf, ShelfId};
use tracing::debug;

use crate::deps::Deps;
use crate::error::EngineError;
use crate::ports::{BlobError, Outcome, Store, StoreError, StoreErrorKind, Write};
use crate::runs::{INLINE_MAX, digest};

/// How often a change may find that somebody was faster. Of those that meet at least one goes through each time, and a turn
/// may change its memory in a few dozen calls at once.
pub(crate) const MAX_RACES: u32 = 50;
/// How often the table may be out of reach meanwhile.
const MAX_FAULTS: u32 = 3;

/// Writes a change; `false` where somebody else was first.
///
/// # Crash safety
/// One commit: all or nothing. A repeat of the same draft answers `true`.
pub(crate) async fn write(store: &dyn Store, draft: &Draft) -> Result<bool, StoreError> {
    let mut writes = Vec::with_capacity(1 + draft.puts.len() + draft.gone.len());
    writes.push(Write::Shelf(&draft.shelf));
    writes.extend(draft.puts.iter().map(Write::Sheet));
    let shelf = &draft.shelf.id;
    writes.extend(draft.gone.iter().map(|(name, rev)| Write::RemoveSheet { shelf, name, rev: *rev }));
    Ok(store.commit(&writes).await? == Outcome::Applied)
}

/// The texts called `names` as the index knows them; `None` where one was changed since.
pub(crate) async fn sheets(
    store: &dyn Store,
    shelf: &Shelf,
    names: &[String],
) -> Result<Option<Vec<Sheet>>, StoreError> {
    let found = try_join_all(names.iter().map(|name| store.sheet(&shelf.id, name))).await?;
    let known = |sheet: &Sheet| shelf.entry(&sheet.name).is_some_and(|entry| entry.rev == sheet.rev);
    Ok(found.into_iter().map(|sheet| sheet.filter(known)).collect())
}

/// A text as it is kept: in its row while it is short, else in a blob named by what it holds, so that a repeat writes the
/// same one. A blob stays when its document goes, because a run that was planned before may still read it.
pub(crate) async fn keep(deps: &Deps, text: String) -> Result<Text, EngineError> {
    if text.len() <= INLINE_MAX {
        return Ok(Text::Inline(text));
    }
    let key = format!("config/documents/{}", digest(text.as_bytes()));
    let bytes = text.len() as u64;
    deps.blobs.put(&key, Bytes::from(text)).await?;
    Ok(Text::Blob { key, bytes })
}

/// The text of a sheet.
pub(crate) async fn load(deps: &Deps, sheet: &Sheet) -> Result<String, EngineError> {
    let key = match &sheet.text {
        Text::Inline(text) => return Ok(text.clone()),
        Text::Blob { key, .. } => key,
    };
    let fault = |why: std::io::Error| BlobError { key: key.clone(), source: std::sync::Arc::new(why) };
    let body = deps.blobs.get(key).await?;
    let body = body.ok_or_else(|| fault(std::io::Error::new(std::io::ErrorKind::NotFound, "it is not there")))?;
    let text = String::from_utf8(body.to_vec());
    Ok(text.map_err(|error| fault(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?)
}

/// What a call that was carried out before is answered.
const DONE_BEFORE: &str = "Done: this very call was carried out before.";

/// Carries out a command on the memory of `agent` for the call `by`, which is `<run key>/<call key>`. `Err` inside is a
/// sentence for the model, and nothing changed.
///
/// # Crash safety
/// The change and the call that made it are one commit, so a repeat of the call finds itself done. That is how an answer of
/// the table that got lost is dealt with, too.
pub(crate) async fn command(
    deps: &Deps,
    agent: &str,
    command: &Command,
    by: &str,
) -> Result<Result<String, String>, EngineError> {
    let store = deps.store.as_ref();
    let id = ShelfId::Memory(agent.to_owned());
    let mut faults = 0;
    for _ in 0..MAX_RACES {
        let shelf = store.shelf(&id).await?;
        if shelf.remembers(by) {
            return Ok(Ok(DONE_BEFORE.to_owned()));
        }
        let Some(sheets) = sheets(store, &shelf, &command.reads(&shelf)).await? else { continue };
        // The index remembers the last calls; a text its own last one.
        if sheets.iter().any(|sheet| sheet.by.as_deref() == Some(by)) {
            return Ok(Ok(DONE_BEFORE.to_owned()));
        }
        let (draft, answer) = match command.carry_out(&shelf, &sheets, Some(by), deps.clock.now()) {
            Err(refused) => return Ok(Err(refused)),
            Ok(Decided::Told(text)) => return Ok(Ok(text)),
            Ok(Decided::Changes(draft, answer)) => (draft, answer),
        };
        match write(store, &draft).await {
            Ok(true) => return Ok(Ok(answer)),
            Ok(false) => debug!(agent.id = agent, "the memory of {agent} was changed by another call; once more"),
            Err(error) if error.kind == StoreErrorKind::Unavailable && faults < MAX_FAULTS => faults += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Err(EngineError::Contended { subject: id.to_string(), times: MAX_RACES })
}
