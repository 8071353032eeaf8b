//! Whether a document may become the configuration: every bad field by its whole path, a sentence and a hint.
//!
//! Guarantee: a document without faults is read by [`Config`]. No message holds a value that may be a secret: values are
//! shown only where a short word, name or number was expected, and never where they look like a key.

use std::collections::BTreeSet;

use serde_json::Value;

use super::path::ConfigPath;
use super::shape::{DOCUMENT, MOVED};
use super::walk::Walk;
use super::{Config, rules};
use crate::FieldError;

/// Most faults that are named; an answer has to stay below Lambda's 6 MB.
const MOST_FAULTS: usize = 100;
/// Longest document, bytes of JSON: it is one row, and DynamoDB's limit of an item is 400 KB (DynamoDB quotas page).
const DOCUMENT_MOST: usize = 256 * 1024;

/// What is to be said about a document.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The document, every field under its name of today.
    pub document: Value,
    /// The same, read; `None` where there are faults.
    pub config: Option<Config>,
    /// Every bad field.
    pub faults: Vec<FieldError>,
    /// What is accepted and worth knowing.
    pub notes: Vec<String>,
}

/// Looks at the whole of `document`. `local` says that it is for the stack on one machine, which may do more.
pub fn check(document: &Value, local: bool) -> Checked {
    let mut walk = Walk::new(document, local);
    walk.visit(&DOCUMENT, false, document);
    let mut notes = walk.notes;
    let mut bad: Vec<ConfigPath> = walk.found.iter().map(|found| found.at.clone()).collect();
    let mut faults: Vec<FieldError> = walk.found.into_iter().map(|found| found.fault).collect();
    if document.to_string().len() > DOCUMENT_MOST {
        let message = format!("the document is longer than {} KB", DOCUMENT_MOST / 1024);
        faults.push(FieldError::new("invalid_config", "config", message).hint("shorten the agents' instructions"));
    }
    let renamed = renamed(document);
    notes.extend(renamed.moved.iter().map(|(old, new)| format!("{old} is stored as {new}, its name of today")));
    faults.extend(renamed.twice);

    // What fields mean together is told as far as the others can be read; from the end, so that elements keep their number.
    let whole = bad.is_empty();
    let mut rest = renamed.document.clone();
    bad.reverse();
    for path in bad {
        let rows = [ConfigPath::of(&["models", "prices"]), ConfigPath::of(&["models", "capabilities"])];
        // A row without one of the fields it needs cannot be read at all.
        let gone = rows.iter().find(|row| path.steps().starts_with(row.steps())).unwrap_or(&path);
        gone.unset(&mut rest);
    }
    let config = match Config::parse(&rest) {
        Ok(config) => {
            let mut more = Vec::new();
            rules::together(&config, whole, &mut more, &mut notes);
            more.extend(config.out_of_range());
            let named: BTreeSet<String> = faults.iter().map(|fault| fault.field.clone()).collect();
            faults.extend(more.into_iter().filter(|fault| !named.contains(&fault.field)));
            Some(config)
        }
        Err(fault) => {
            if faults.is_empty() {
                faults.push(fault);
            }
            None
        }
    };
    let config = config.filter(|_| faults.is_empty());
    if faults.len() > MOST_FAULTS {
        let more = faults.len() - MOST_FAULTS;
        faults.truncate(MOST_FAULTS);
        faults.push(FieldError::new("invalid_config", "config", format!("{more} more fields are not valid")));
    }
    Checked { document: renamed.document, config, faults, notes }
}

/// A document under the names of today.
pub(super) struct Renamed {
    pub(super) document: Value,
    /// Which fields were called otherwise, and what they are called.
    moved: Vec<(ConfigPath, ConfigPath)>,
    /// Fields that are there under both names and differ.
    twice: Vec<FieldError>,
}

/// Gives every field its name of today.
pub(super) fn renamed(document: &Value) -> Renamed {
    let mut renamed = Renamed { document: document.clone(), moved: Vec::new(), twice: Vec::new() };
    for (old, new) in MOVED {
        let (old, new) = (ConfigPath::of(old), ConfigPath::of(new));
        let Some(value) = old.unset(&mut renamed.document) else { continue };
        match new.get(&renamed.document) {
            Some(other) if *other != value => {
                let message = format!("it is another name of {new}, which is there too and says something else");
                renamed
                    .twice
                    .push(FieldError::new("invalid_config", old.field(), message).hint("leave one of them out"));
            }
            // Fails only below something that is no object, which is a fault of its own.
            Some(_) | None => drop(new.set(&mut renamed.document, value)),
        }
        renamed.moved.push((old, new));
    }
    renamed
}

/// A path under the names of today.
pub fn current_path(path: &ConfigPath) -> ConfigPath {
    for (old, new) in MOVED {
        let (old, new) = (ConfigPath::of(old), ConfigPath::of(new));
        if let Some(rest) = path.steps().strip_prefix(old.steps()) {
            return new.join(rest);
        }
    }
    path.clone()
}

/// What is wrong with a path that is to be changed: a field there is not. The document's own names are not judged.
pub fn unknown_field(path: &ConfigPath) -> Option<FieldError> {
    super::walk::unknown_step(path)
}
