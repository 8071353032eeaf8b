//! `documents` and `memory`: `list`, `get`, `put`, `rm`.

use chrono::{DateTime, Utc};
use nightshift_wire::{DocumentAnswer, DocumentList, DocumentPut, MemoryAnswer, MemoryList, MemoryPut};
use serde_json::{Value, json};

use super::{Session, read, read_text};
use crate::args::{Documents, Memory, MemoryArgs, MemoryFileArgs, RemovalFlags, TextFlags};
use crate::error::ExpectedError;
use crate::human;
use crate::table::{Grid, Surface, Tone};

pub(super) async fn documents(session: &mut Session<'_>, command: &Documents) -> anyhow::Result<()> {
    match command {
        Documents::List => {
            let answer = session.call("documents.list", &json!({})).await?;
            if session.json_wanted(&answer) {
                return Ok(());
            }
            let DocumentList { documents } = read(&answer)?;
            let rows = documents.iter().map(|it| (it.name.as_str(), it.bytes, it.revision, it.updated_at_ms));
            list(session, "name", rows.collect(), "no documents");
            Ok(())
        }
        Documents::Get(args) => {
            let answer = session.call("documents.get", &json!({"name": args.name})).await?;
            if session.json_wanted(&answer) {
                return Ok(());
            }
            let DocumentAnswer { text, revision, .. } = read(&answer)?;
            print(session, &text, revision);
            Ok(())
        }
        Documents::Put(args) => {
            let answer = put(session, "documents.put", json!({"name": args.name}), &args.text).await?;
            let Some(answer) = answer else { return Ok(()) };
            let DocumentPut { name, bytes, revision, changed, .. } = read(&answer)?;
            written(session, &name, bytes, revision, changed);
            Ok(())
        }
        Documents::Rm(args) => {
            let request = json!({"name": args.name});
            remove(session, "documents.remove", request, &args.name, &args.removal).await
        }
    }
}

pub(super) async fn memory(session: &mut Session<'_>, command: &Memory) -> anyhow::Result<()> {
    match command {
        Memory::List(args) => {
            let answer = session.call("memory.list", &of_agent(args)).await?;
            if session.json_wanted(&answer) {
                return Ok(());
            }
            let MemoryList { agent_id, files, bytes, max_bytes } = read(&answer)?;
            let rows = files.iter().map(|it| (it.path.as_str(), it.bytes, it.revision, it.updated_at_ms));
            list(session, "path", rows.collect(), &format!("{agent_id} remembers nothing"));
            if !files.is_empty() {
                session.output.aside(&format!("{agent_id}: {bytes} of {max_bytes} bytes"));
            }
            Ok(())
        }
        Memory::Get(args) => {
            let answer = session.call("memory.get", &of_file(args)).await?;
            if session.json_wanted(&answer) {
                return Ok(());
            }
            let MemoryAnswer { text, revision, .. } = read(&answer)?;
            print(session, &text, revision);
            Ok(())
        }
        Memory::Put(args) => {
            let answer = put(session, "memory.put", of_file(&args.file), &args.text).await?;
            let Some(answer) = answer else { return Ok(()) };
            let MemoryPut { path, bytes, revision, changed, .. } = read(&answer)?;
            written(session, &path, bytes, revision, changed);
            Ok(())
        }
        Memory::Rm(args) => remove(session, "memory.remove", of_file(&args.file), &args.file.path, &args.removal).await,
    }
}

fn of_agent(args: &MemoryArgs) -> Value {
    args.agent.as_ref().map_or_else(|| json!({}), |agent| json!({"agentId": agent}))
}

fn of_file(args: &MemoryFileArgs) -> Value {
    let mut request = of_agent(&args.memory);
    request["path"] = json!(args.path);
    request
}

fn list(session: &mut Session<'_>, title: &'static str, rows: Vec<(&str, u64, u64, i64)>, nothing: &str) {
    if rows.is_empty() {
        session.output.say(nothing);
        return;
    }
    let mut grid = Grid::new(&[title, "bytes", "revision", "changed"], &["name", "path"]);
    for (name, bytes, revision, at_ms) in rows {
        let at = DateTime::<Utc>::from_timestamp_millis(at_ms).map(human::minute).unwrap_or_default();
        let cells = [name.to_owned(), bytes.to_string(), revision.to_string(), at];
        grid.row(cells.map(|cell| (cell, Tone::Plain)).into());
    }
    session.output.data(&grid.render(Surface::of(session.output)));
}

/// The text alone goes to stdout, byte for byte, so that it can be edited and put back.
fn print(session: &mut Session<'_>, text: &str, revision: u64) {
    session.output.exact(text);
    session.output.aside(&format!("revision {revision}"));
}

/// The answer, where it is still to be shown.
async fn put(
    session: &mut Session<'_>,
    method: &str,
    request: Value,
    flags: &TextFlags,
) -> anyhow::Result<Option<Value>> {
    let mut request = request;
    request["text"] = json!(read_text(&flags.file)?);
    if let Some(revision) = flags.expected_revision {
        request["expectedRevision"] = json!(revision);
    }
    let answer = session.call(method, &request).await?;
    Ok((!session.json_wanted(&answer)).then_some(answer))
}

fn written(session: &mut Session<'_>, name: &str, bytes: u64, revision: u64, changed: bool) {
    session.output.data(&format!("{name}: {bytes} bytes, revision {revision}"));
    if !changed {
        session.output.note("nothing changed: it was so already");
    }
}

async fn remove(
    session: &mut Session<'_>,
    method: &str,
    request: Value,
    name: &str,
    flags: &RemovalFlags,
) -> anyhow::Result<()> {
    if !flags.yes && session.output.ask(&format!("remove {name}?")) == Some(false) {
        return Err(ExpectedError::NotConfirmed.into());
    }
    let mut request = request;
    if let Some(revision) = flags.expected_revision {
        request["expectedRevision"] = json!(revision);
    }
    let answer = session.call(method, &request).await?;
    if !session.json_wanted(&answer) {
        session.output.data(&format!("removed {name}"));
    }
    Ok(())
}
