//! Named texts that last: an agent's memory, and the workspace's documents.
//!
//! Guarantee: pure. A shelf is one index and one row per text. Every change writes the index, whose `rev` is its condition,
//! so that changes of a shelf follow one another and its limits hold whoever writes at the same time. The index says how
//! each text's row stands, so that a change names every row it touches with its `rev`.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::run::Text;

/// How many of the calls that changed a shelf are remembered, so that a repeat of one is told from a new one. A turn makes
/// its calls one after the other or a few at once; a repeat comes within minutes.
const REMEMBERED: usize = 64;

/// Which shelf.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ShelfId {
    /// The memory of this agent.
    Memory(String),
    /// The workspace's documents.
    Documents,
}

/// How much a shelf takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest text, bytes.
    pub text_bytes: u64,
    /// Most texts.
    pub texts: usize,
    /// Most bytes of all texts together.
    pub total_bytes: u64,
}

impl fmt::Display for ShelfId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(agent) => write!(out, "the memory of {agent}"),
            Self::Documents => out.write_str("the documents"),
        }
    }
}

impl ShelfId {
    /// How much it takes.
    pub fn limits(&self) -> Limits {
        match self {
            Self::Memory(_) => Limits { text_bytes: 32 * 1024, texts: 100, total_bytes: 256 * 1024 },
            // A request has 256 KB at most, in which quotes and line ends of a text take two.
            Self::Documents => Limits { text_bytes: 128 * 1024, texts: 100, total_bytes: 100 * 128 * 1024 },
        }
    }
}

/// A shelf's index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shelf {
    /// Which one.
    pub id: ShelfId,
    /// Rises with every change; 0 while nothing was ever put there.
    pub rev: u64,
    /// What is there, by name.
    #[serde(default)]
    pub entries: Vec<Entry>,
    /// The calls that changed it last, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<String>,
}

/// What a shelf's index says of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// The `rev` of its row.
    pub rev: u64,
    /// The shelf's `rev` when it was written: never given twice, also not to a text that took a removed one's name.
    pub revision: u64,
    /// When it was written.
    pub changed_at: DateTime<Utc>,
}

/// A text of a shelf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sheet {
    /// Where it is.
    pub shelf: ShelfId,
    /// Its name there.
    pub name: String,
    /// Rises with every write; 1 anew where it was removed before.
    pub rev: u64,
    /// The text.
    pub text: Text,
    /// When it was written.
    pub changed_at: DateTime<Utc>,
    /// The call that wrote it, where a run did: `<run key>/<call key>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Why a shelf does not take a text. A sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShelfFull {
    /// The text is too long.
    #[error("the text of {name} has {bytes} bytes, the most is {most}")]
    Text {
        /// Whose.
        name: String,
        /// How long it is.
        bytes: u64,
        /// How long it may be.
        most: u64,
    },
    /// There are too many.
    #[error("there are {most} texts already, the most there may be")]
    Count {
        /// How many there may be.
        most: usize,
    },
    /// All together are too long.
    #[error("all texts together would have {bytes} bytes, the most is {most}")]
    Total {
        /// How long they would be.
        bytes: u64,
        /// How long they may be.
        most: u64,
    },
}

impl Shelf {
    /// One with nothing on it.
    pub fn empty(id: ShelfId) -> Self {
        Self { id, rev: 0, entries: Vec::new(), recent: Vec::new() }
    }

    /// What the index says of the text called `name`.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.binary_search_by(|entry| entry.name.as_str().cmp(name)).ok().map(|at| &self.entries[at])
    }

    /// How long all texts are together.
    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.bytes).sum()
    }

    /// Whether `call` was among the last that changed it.
    pub fn remembers(&self, call: &str) -> bool {
        self.recent.iter().any(|each| each == call)
    }
}

/// A change of a shelf, to be written as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The index as it is to be, with its `rev` raised by one.
    pub shelf: Shelf,
    /// Texts to be written.
    pub puts: Vec<Sheet>,
    /// Texts to be removed, with the `rev` they stand at.
    pub gone: Vec<(String, u64)>,
    by: Option<String>,
    now: DateTime<Utc>,
}

impl Draft {
    /// A change of `shelf` that changes nothing yet, made by the call `by`.
    pub fn new(shelf: &Shelf, by: Option<&str>, now: DateTime<Utc>) -> Self {
        let mut shelf = shelf.clone();
        shelf.rev += 1;
        if let Some(call) = by {
            shelf.recent.push(call.to_owned());
            let old = shelf.recent.len().saturating_sub(REMEMBERED);
            shelf.recent.drain(..old);
        }
        Self { shelf, puts: Vec::new(), gone: Vec::new(), by: by.map(str::to_owned), now }
    }

    /// Puts a text of `bytes` bytes there, in place of one of the same name. Each name once in a draft.
    pub fn put(&mut self, name: &str, text: Text, bytes: u64) {
        let found = self.shelf.entries.binary_search_by(|entry| entry.name.as_str().cmp(name));
        let rev = found.map_or(0, |at| self.shelf.entries[at].rev) + 1;
        let (revision, changed_at) = (self.shelf.rev, self.now);
        let entry = Entry { name: name.to_owned(), bytes, rev, revision, changed_at };
        match found {
            Ok(at) => self.shelf.entries[at] = entry,
            Err(at) => self.shelf.entries.insert(at, entry),
        }
        let (id, by) = (self.shelf.id.clone(), self.by.clone());
        self.puts.push(Sheet { shelf: id, name: name.to_owned(), rev, text, changed_at, by });
    }

    /// Takes a text away; one that is not there is gone already.
    pub fn remove(&mut self, name: &str) {
        if let Ok(at) = self.shelf.entries.binary_search_by(|entry| entry.name.as_str().cmp(name)) {
            let entry = self.shelf.entries.remove(at);
            self.gone.push((entry.name, entry.rev));
        }
    }

    /// The change, if the shelf takes it. What only takes away is always taken.
    pub fn checked(self) -> Result<Self, ShelfFull> {
        let limits = self.shelf.id.limits();
        let put = |entry: &&Entry| entry.revision == self.shelf.rev;
        if let Some(entry) = self.shelf.entries.iter().filter(put).find(|entry| entry.bytes > limits.text_bytes) {
            let (name, bytes, most) = (entry.name.clone(), entry.bytes, limits.text_bytes);
            return Err(ShelfFull::Text { name, bytes, most });
        }
        if !self.puts.is_empty() && self.shelf.entries.len() > limits.texts {
            return Err(ShelfFull::Count { most: limits.texts });
        }
        let bytes = self.shelf.bytes();
        if !self.puts.is_empty() && bytes > limits.total_bytes {
            return Err(ShelfFull::Total { bytes, most: limits.total_bytes });
        }
        Ok(self)
    }
}

/// Longest name of a document, characters: a sort key holds 1,024 bytes (`DynamoDB` quotas), a character has four at most.
const DOCUMENT_NAME_MOST: usize = 200;

/// Whether a document may be called so: 1 to 200 characters, none of them a control character, no blank at either end.
pub fn is_document_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().count() <= DOCUMENT_NAME_MOST
        && name.trim() == name
        && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_219_200, 0).unwrap()
    }

    fn put(shelf: &Shelf, name: &str, bytes: u64) -> Result<Shelf, ShelfFull> {
        let mut draft = Draft::new(shelf, None, now());
        draft.put(name, Text::Inline(String::new()), bytes);
        draft.checked().map(|draft| draft.shelf)
    }

    #[test]
    fn a_change_names_every_row_it_touches_with_its_revision() {
        let shelf = Shelf::empty(ShelfId::Documents);
        let shelf = put(&put(&put(&shelf, "b", 1).unwrap(), "a", 2).unwrap(), "b", 3).unwrap();
        let seen: Vec<_> = shelf.entries.iter().map(|it| (it.name.as_str(), it.bytes, it.rev, it.revision)).collect();
        assert_eq!((shelf.rev, seen), (3, vec![("a", 2, 1, 2), ("b", 3, 2, 3)]));
        let mut draft = Draft::new(&shelf, Some("run/1"), now());
        draft.remove("b");
        draft.remove("not there");
        draft.put("c", Text::Inline("x".into()), 1);
        assert_eq!(draft.gone, [("b".to_owned(), 2)]);
        assert_eq!((draft.puts[0].rev, draft.puts[0].by.as_deref()), (1, Some("run/1")));
        assert!(draft.shelf.remembers("run/1") && !shelf.remembers("run/1"));
        let again = put(&draft.shelf, "b", 1).unwrap();
        assert_eq!(
            again.entry("b").map(|it| (it.rev, it.revision)),
            Some((1, 5)),
            "a new row, and a revision of its own"
        );
    }

    #[test]
    fn a_shelf_takes_so_many_texts_of_such_a_length_and_no_more() {
        let mut shelf = Shelf::empty(ShelfId::Memory("main".into()));
        let limits = shelf.id.limits();
        assert!(matches!(put(&shelf, "a", limits.text_bytes + 1), Err(ShelfFull::Text { .. })));
        for n in 0..8 {
            shelf = put(&shelf, &n.to_string(), limits.text_bytes).unwrap();
        }
        assert_eq!(shelf.bytes(), limits.total_bytes);
        assert!(matches!(put(&shelf, "more", 1), Err(ShelfFull::Total { .. })));
        assert!(put(&shelf, "7", 1).is_ok(), "a shorter text in place of a longer one");
        let mut many = Shelf::empty(ShelfId::Memory("main".into()));
        for n in 0..limits.texts {
            many = put(&many, &format!("{n:03}"), 1).unwrap();
        }
        assert_eq!(put(&many, "more", 1), Err(ShelfFull::Count { most: 100 }));
        assert!(put(&many, "050", 2).is_ok());
    }

    #[test]
    fn what_only_takes_away_is_taken_from_a_shelf_that_is_too_full() {
        let entry = |n: u32| Entry { name: format!("{n:03}"), bytes: 1 << 20, rev: 1, revision: 1, changed_at: now() };
        let entries = (0..200).map(entry).collect();
        let shelf = Shelf { entries, rev: 1, ..Shelf::empty(ShelfId::Documents) };
        let mut draft = Draft::new(&shelf, None, now());
        draft.remove("007");
        assert_eq!(draft.checked().unwrap().shelf.entries.len(), 199);
        assert!(put(&shelf, "007", 1).is_err());
    }

    #[test]
    fn only_the_last_calls_are_remembered() {
        let mut shelf = Shelf::empty(ShelfId::Memory("main".into()));
        for n in 0..72 {
            shelf = Draft::new(&shelf, Some(&format!("run/{n}")), now()).shelf;
        }
        assert_eq!(shelf.recent.len(), REMEMBERED);
        assert!(shelf.remembers("run/71") && shelf.remembers("run/8") && !shelf.remembers("run/7"));
    }

    #[test]
    fn a_document_has_a_plain_name() {
        for name in ["AGENTS.md", "docs/über uns.md", &"é".repeat(200)] {
            assert!(is_document_name(name), "{name}");
        }
        for name in ["", " a", "a ", "a\nb", &"e".repeat(201)] {
            assert!(!is_document_name(name), "{name:?}");
        }
    }
}
