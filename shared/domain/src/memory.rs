//! An agent's memory: what a command of the `memory` tool reads, and what it makes of the agent's notes.
//!
//! Guarantee: pure. Paths are confined to [`ROOT`]; no command leaves a file where a folder is or the other way round; what
//! is refused changes nothing and says so in words for the model. The answers tell the same as those of Anthropic's tool of
//! that name, whose words models know (Memory tool page), in words of our own.

mod edit;
mod listing;
mod path;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::run::Text;
use crate::shelf::{Draft, Sheet, Shelf};

pub use path::{MemoryPath, ROOT};

/// Most files that are renamed at once: each is two rows of a transaction of 100 (`TransactWriteItems` page, 2026-10), the
/// index one more.
const RENAMED_MOST: usize = 49;
/// Most files that are removed at once.
const REMOVED_MOST: usize = 99;

/// A command of the tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Lists a folder or shows a file.
    View {
        /// Which.
        path: MemoryPath,
        /// First and last line to show, from 1; -1 is the end.
        range: Option<(i64, i64)>,
    },
    /// Writes a whole file.
    Create {
        /// Which.
        path: MemoryPath,
        /// What.
        text: String,
    },
    /// Replaces a text that is in the file exactly once.
    Replace {
        /// Which file.
        path: MemoryPath,
        /// The text.
        old: String,
        /// What takes its place.
        new: String,
    },
    /// Inserts lines.
    Insert {
        /// Which file.
        path: MemoryPath,
        /// After this line; 0 is the beginning.
        line: i64,
        /// What.
        text: String,
    },
    /// Removes a file, or a folder with all that is in it.
    Delete {
        /// Which.
        path: MemoryPath,
    },
    /// Gives a file or folder another path.
    Rename {
        /// From.
        from: MemoryPath,
        /// To.
        to: MemoryPath,
    },
}

/// What a command comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It only looked.
    Told(String),
    /// It changes the memory so, and this is the answer once that is written.
    Changes(Box<Draft>, String),
}

impl Command {
    /// Reads a call's input; the error is a sentence for the model that names every bad field.
    pub fn parse(input: &Value) -> Result<Self, String> {
        let mut fields = Fields { input, faults: Vec::new() };
        let command = match input.get("command").and_then(Value::as_str) {
            Some("view") => fields.path("path").map(|path| Self::View { path, range: fields.range() }),
            Some("create") => {
                fields.path("path").zip(fields.text("file_text")).map(|(path, text)| Self::Create { path, text })
            }
            Some("str_replace") => {
                let (path, old) = (fields.path("path"), fields.text("old_str"));
                // Left out, it takes the old text away.
                let new = if input.get("new_str").is_none() { Some(String::new()) } else { fields.text("new_str") };
                path.zip(old).zip(new).map(|((path, old), new)| Self::Replace { path, old, new })
            }
            Some("insert") => {
                let (path, line, text) = (fields.path("path"), fields.line(), fields.text("insert_text"));
                path.zip(line).zip(text).map(|((path, line), text)| Self::Insert { path, line, text })
            }
            Some("delete") => fields.path("path").map(|path| Self::Delete { path }),
            Some("rename") => {
                fields.path("old_path").zip(fields.path("new_path")).map(|(from, to)| Self::Rename { from, to })
            }
            Some(other) => return Err(format!("there is no command \"{}\"; {COMMANDS}", other.escape_debug())),
            None => return Err(format!("command is missing; {COMMANDS}")),
        };
        match command {
            Some(command) if fields.faults.is_empty() => Ok(command),
            Some(_) | None => Err(fields.faults.join("; ")),
        }
    }

    /// Names of the texts that [`Command::carry_out`] is to be given.
    pub fn reads(&self, index: &Shelf) -> Vec<String> {
        let under = |path: &MemoryPath| -> Vec<String> {
            index.entries.iter().filter(|it| path.holds(&it.name)).map(|it| it.name.clone()).collect()
        };
        match self {
            Self::View { path, .. }
            | Self::Create { path, .. }
            | Self::Replace { path, .. }
            | Self::Insert { path, .. } => index.entry(path.as_str()).map(|it| it.name.clone()).into_iter().collect(),
            Self::Rename { from, .. } => under(from),
            Self::Delete { .. } => Vec::new(),
        }
    }

    /// What it comes to on `index`, with the texts it [reads](Command::reads); the error is a sentence for the model, and
    /// nothing changes. `by` is the call, where a call makes it.
    pub fn carry_out(
        &self,
        index: &Shelf,
        sheets: &[Sheet],
        by: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Outcome, String> {
        let draft = || Draft::new(index, by, now);
        match self {
            Self::View { path, range } => match text_of(sheets, path.as_str()) {
                Some(text) => edit::view(path.as_str(), text, *range).map(Outcome::Told),
                None if path.is_root() || is_folder(index, path) => match range {
                    Some(_) => Err(format!("{path} is a folder; view_range is for files")),
                    None => Ok(Outcome::Told(listing::listing(path, &index.entries))),
                },
                None => Err(missing(path)),
            },
            Self::Create { path, text } => {
                vacant(index, path)?;
                let before = index.entry(path.as_str());
                let mut draft = draft();
                draft.put(path.as_str(), Text::Inline(text.clone()), text.len() as u64);
                let answer = match before {
                    None => format!("The file {path} has been created."),
                    Some(old) => format!("The file {path} has been written in place of one of {} bytes.", old.bytes),
                };
                changes(draft, answer)
            }
            Self::Replace { path, old, new } => {
                let text = file(index, sheets, path)?;
                let (text, around) = edit::replace(path.as_str(), text, old, new)?;
                written(draft(), path, text, &around)
            }
            Self::Insert { path, line, text } => {
                let before = file(index, sheets, path)?;
                let (text, around) = edit::insert(before, *line, text)?;
                written(draft(), path, text, &around)
            }
            Self::Delete { path } => {
                if path.is_root() {
                    return Err(format!("{ROOT} itself cannot be deleted; delete what is in it"));
                }
                let names = affected(index, path, REMOVED_MOST)?;
                let mut draft = draft();
                for name in &names {
                    draft.remove(name);
                }
                changes(draft, format!("{path} has been deleted.{}", in_all(&names)))
            }
            Self::Rename { from, to } => rename(index, sheets, draft(), from, to),
        }
    }
}

const COMMANDS: &str = "the commands are view, create, str_replace, insert, delete and rename";

fn rename(
    shelf: &Shelf,
    sheets: &[Sheet],
    mut draft: Draft,
    from: &MemoryPath,
    to: &MemoryPath,
) -> Result<Outcome, String> {
    if from.is_root() || to.is_root() {
        return Err(format!("{ROOT} itself cannot be renamed"));
    }
    let names = affected(shelf, from, RENAMED_MOST)?;
    if from.holds(to.as_str()) {
        return Err(format!("{from} cannot be moved to {to}, which is the same or inside it"));
    }
    if shelf.entry(to.as_str()).is_some() || is_folder(shelf, to) {
        return Err(format!("{to} exists already; nothing was renamed"));
    }
    vacant(shelf, to)?;
    for name in &names {
        let text = text_of(sheets, name).ok_or_else(|| missing(from))?;
        let moved = MemoryPath::parse(&format!("{to}{}", &name[from.as_str().len()..]))?;
        draft.remove(name);
        draft.put(moved.as_str(), Text::Inline(text.to_owned()), text.len() as u64);
    }
    changes(draft, format!("{from} has been renamed to {to}.{}", in_all(&names)))
}

fn written(mut draft: Draft, path: &MemoryPath, text: String, around: &str) -> Result<Outcome, String> {
    let bytes = text.len() as u64;
    draft.put(path.as_str(), Text::Inline(text), bytes);
    changes(draft, format!("The file {path} has been edited. It now reads, around the change:\n{around}"))
}

fn changes(draft: Draft, answer: String) -> Result<Outcome, String> {
    match draft.checked() {
        Ok(draft) => Ok(Outcome::Changes(Box::new(draft), answer)),
        Err(full) => Err(format!("{full}; shorten or delete notes that are no longer needed")),
    }
}

fn missing(path: &MemoryPath) -> String {
    format!("the path {path} does not exist; view {ROOT} shows what does")
}

fn in_all(names: &[String]) -> String {
    if names.len() > 1 { format!(" It held {} files.", names.len()) } else { String::new() }
}

fn text_of<'a>(sheets: &'a [Sheet], name: &str) -> Option<&'a str> {
    sheets.iter().find(|sheet| sheet.name == name).and_then(|sheet| match &sheet.text {
        Text::Inline(text) => Some(text.as_str()),
        Text::Blob { .. } => None,
    })
}

fn file<'a>(shelf: &Shelf, sheets: &'a [Sheet], path: &MemoryPath) -> Result<&'a str, String> {
    text_of(sheets, path.as_str()).ok_or_else(|| {
        let folder = path.is_root() || is_folder(shelf, path);
        if folder { format!("{path} is a folder, not a file") } else { missing(path) }
    })
}

fn is_folder(shelf: &Shelf, path: &MemoryPath) -> bool {
    shelf.entries.iter().any(|entry| entry.name != path.as_str() && path.holds(&entry.name))
}

/// The files that are at or under `path`.
fn affected(shelf: &Shelf, path: &MemoryPath, most: usize) -> Result<Vec<String>, String> {
    let names: Vec<String> = shelf.entries.iter().filter(|it| path.holds(&it.name)).map(|it| it.name.clone()).collect();
    match names.len() {
        0 => Err(missing(path)),
        many if many > most => {
            Err(format!("{path} holds {many} files, at most {most} are taken at once; take parts of it"))
        }
        _ => Ok(names),
    }
}

/// Whether a file may be at `path`: no folder is there, and no file is on the way. The error is a sentence.
pub fn vacant(shelf: &Shelf, path: &MemoryPath) -> Result<(), String> {
    if path.is_root() || is_folder(shelf, path) {
        return Err(format!("{path} is a folder; give a file's path"));
    }
    match path.above().find(|above| shelf.entry(above).is_some()) {
        Some(above) => Err(format!("{above} is a file, so that nothing can be inside it")),
        None => Ok(()),
    }
}

/// A call's fields, every bad one named.
struct Fields<'a> {
    input: &'a Value,
    faults: Vec<String>,
}

impl Fields<'_> {
    fn text(&mut self, name: &str) -> Option<String> {
        let text = self.input.get(name).and_then(Value::as_str).map(str::to_owned);
        if text.is_none() {
            self.faults.push(format!("{name} must be a text"));
        }
        text
    }

    fn path(&mut self, name: &str) -> Option<MemoryPath> {
        let text = self.text(name)?;
        MemoryPath::parse(&text).map_err(|fault| self.faults.push(format!("{name}: {fault}"))).ok()
    }

    fn line(&mut self) -> Option<i64> {
        let line = self.input.get("insert_line").and_then(Value::as_i64);
        if line.is_none() {
            self.faults.push("insert_line must be a whole number".to_owned());
        }
        line
    }

    fn range(&mut self) -> Option<(i64, i64)> {
        let given = self.input.get("view_range").filter(|value| !value.is_null())?;
        let ends: Vec<i64> = given.as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
        if let ([first, last], Some(2)) = (ends.as_slice(), given.as_array().map(Vec::len)) {
            return Some((*first, *last));
        }
        self.faults.push("view_range must be two whole numbers: the first and the last line".to_owned());
        None
    }
}

#[cfg(test)]
mod tests;
