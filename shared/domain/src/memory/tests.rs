//! Commands from their input to what they change.

use serde_json::{Value, json};

use super::*;
use crate::shelf::ShelfId;

/// A memory, with the texts a store would keep.
struct Notes {
    shelf: Shelf,
    sheets: Vec<Sheet>,
}

impl Notes {
    fn with(files: &[(&str, &str)]) -> Self {
        let mut notes = Self { shelf: Shelf::empty(ShelfId::Memory("main".into())), sheets: Vec::new() };
        for (path, text) in files {
            notes.run(&json!({ "command": "create", "path": path, "file_text": text })).unwrap();
        }
        notes
    }

    fn run(&mut self, input: &Value) -> Result<String, String> {
        let command = Command::parse(input)?;
        let wanted = command.reads(&self.shelf);
        let sheets: Vec<Sheet> = self.sheets.iter().filter(|it| wanted.contains(&it.name)).cloned().collect();
        assert_eq!(sheets.len(), wanted.len());
        match command.carry_out(&self.shelf, &sheets, Some("run/call"), DateTime::UNIX_EPOCH)? {
            Outcome::Told(text) => Ok(text),
            Outcome::Changes(draft, answer) => {
                for (name, rev) in &draft.gone {
                    let at = self.sheets.iter().position(|it| it.name == *name && it.rev == *rev).unwrap();
                    self.sheets.remove(at);
                }
                for put in draft.puts {
                    let there = self.sheets.iter().position(|it| it.name == put.name);
                    assert_eq!(there.map_or(0, |at| self.sheets[at].rev) + 1, put.rev, "{}", put.name);
                    if let Some(at) = there {
                        self.sheets.remove(at);
                    }
                    self.sheets.push(put);
                }
                assert_eq!(draft.shelf.rev, self.shelf.rev + 1);
                self.shelf = draft.shelf;
                assert_eq!(self.shelf.entries.len(), self.sheets.len());
                Ok(answer)
            }
        }
    }

    fn paths(&self) -> Vec<&str> {
        self.shelf.entries.iter().map(|entry| entry.name.trim_start_matches("/memories/")).collect()
    }
}

#[test]
fn a_file_is_created_viewed_edited_renamed_and_deleted() {
    let mut notes = Notes::with(&[]);
    let told =
        notes.run(&json!({ "command": "create", "path": "/memories/p/a.md", "file_text": "one\ntwo\n" })).unwrap();
    assert_eq!(told, "The file /memories/p/a.md has been created.");
    let told = notes.run(&json!({ "command": "view", "path": "/memories/p/a.md" })).unwrap();
    assert!(told.ends_with("     1\tone\n     2\ttwo"), "{told}");
    let edit = json!({ "command": "str_replace", "path": "/memories/p/a.md", "old_str": "two", "new_str": "2" });
    assert!(notes.run(&edit).unwrap().ends_with("     1\tone\n     2\t2"));
    let edit = json!({ "command": "insert", "path": "/memories/p/a.md", "insert_line": 1, "insert_text": "1.5\n" });
    assert!(notes.run(&edit).unwrap().contains("     2\t1.5"));
    let told =
        notes.run(&json!({ "command": "rename", "old_path": "/memories/p", "new_path": "/memories/q/r" })).unwrap();
    assert_eq!(told, "/memories/p has been renamed to /memories/q/r.");
    assert_eq!(notes.paths(), ["q/r/a.md"]);
    let told = notes.run(&json!({ "command": "view", "path": "/memories" })).unwrap();
    assert!(told.contains("10B\t/memories/q/r/"), "{told}");
    notes.run(&json!({ "command": "delete", "path": "/memories/q" })).unwrap();
    assert!(notes.paths().is_empty() && notes.shelf.rev == 5);
    assert!(notes.run(&json!({ "command": "view", "path": "/memories" })).is_ok(), "an empty memory can be looked at");
}

#[test]
fn what_cannot_be_done_changes_nothing_and_says_why() {
    let mut notes = Notes::with(&[("/memories/a", "x"), ("/memories/d/b", "y")]);
    let rev = notes.shelf.rev;
    for (input, why) in [
        (json!({ "command": "view", "path": "/memories/none" }), "does not exist"),
        (json!({ "command": "view", "path": "/memories/d", "view_range": [1, 2] }), "is a folder"),
        (json!({ "command": "create", "path": "/memories/d", "file_text": "" }), "is a folder"),
        (json!({ "command": "create", "path": "/memories", "file_text": "" }), "is a folder"),
        (json!({ "command": "create", "path": "/memories/a/b", "file_text": "" }), "/memories/a is a file"),
        (json!({ "command": "str_replace", "path": "/memories/d", "old_str": "x", "new_str": "" }), "is a folder"),
        (json!({ "command": "insert", "path": "/memories/n", "insert_line": 0, "insert_text": "" }), "does not exist"),
        (json!({ "command": "delete", "path": "/memories" }), "cannot be deleted"),
        (json!({ "command": "delete", "path": "/memories/none" }), "does not exist"),
        (json!({ "command": "rename", "old_path": "/memories/a", "new_path": "/memories/d" }), "exists already"),
        (json!({ "command": "rename", "old_path": "/memories/d", "new_path": "/memories/d/e" }), "inside it"),
        (
            json!({ "command": "rename", "old_path": "/memories/d", "new_path": "/memories/a/e" }),
            "/memories/a is a file",
        ),
        (json!({ "command": "rename", "old_path": "/memories", "new_path": "/memories/e" }), "cannot be renamed"),
        (json!({ "command": "rename", "old_path": "/memories/n", "new_path": "/memories/e" }), "does not exist"),
        (
            json!({ "command": "create", "path": "/memories/b", "file_text": "x".repeat(32 * 1024 + 1) }),
            "the most is 32768",
        ),
        (json!({ "command": "create", "path": "/memories/../b" }), "path: the path"),
        (json!({ "command": "create", "path": "/memories/../b" }), "file_text must be a text"),
        (json!({ "command": "view", "path": "/memories", "view_range": [1] }), "view_range must be"),
        (json!({ "command": "undo", "path": "/memories" }), "no command \"undo\""),
        (json!({ "path": "/memories" }), "command is missing"),
        (json!(7), "command is missing"),
    ] {
        let told = notes.run(&input).unwrap_err();
        assert!(told.contains(why), "{input}: {told}");
    }
    assert_eq!(notes.shelf.rev, rev);
}

#[test]
fn a_file_that_is_written_anew_says_what_it_took_the_place_of() {
    let mut notes = Notes::with(&[("/memories/a", "12345")]);
    let told = notes.run(&json!({ "command": "create", "path": "/memories/a", "file_text": "new" })).unwrap();
    assert_eq!(told, "The file /memories/a has been written in place of one of 5 bytes.");
    assert_eq!(notes.sheets[0].text, Text::Inline("new".into()));
    assert_eq!(notes.sheets[0].by.as_deref(), Some("run/call"));
}

#[test]
fn a_folder_with_more_files_than_a_commit_takes_is_moved_in_parts() {
    let files: Vec<String> = (0..50).map(|n| format!("/memories/d/{n:02}")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|path| (path.as_str(), "x")).collect();
    let mut notes = Notes::with(&files);
    let rename = json!({ "command": "rename", "old_path": "/memories/d", "new_path": "/memories/e" });
    assert!(notes.run(&rename).unwrap_err().contains("take parts of it"));
    notes.run(&json!({ "command": "delete", "path": "/memories/d/00" })).unwrap();
    assert!(notes.run(&rename).unwrap().ends_with("It held 49 files."));
    assert!(notes.paths().iter().all(|path| path.starts_with("e/")));
}
