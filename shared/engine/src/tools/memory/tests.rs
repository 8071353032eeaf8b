//! The memory tool on a table that fails and a table that others write.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use nightshift_domain::config::Config;
use nightshift_domain::run::Text;
use nightshift_domain::shelf::{Draft, ShelfId};
use serde_json::{Value, json};

use super::*;
use crate::Deps;
use crate::jobs::tests::{World, world};
use crate::runs::Scene;
use crate::testing::{Faulty, Mishap};

/// Somebody else writes `draft` first.
fn rival(draft: Draft) -> Mishap {
    Mishap::First(Box::new(move |store| {
        Box::pin(async move { assert!(shelves::write(store.as_ref(), &draft).await.unwrap()) })
    }))
}

struct Notes {
    world: World,
    table: Arc<Faulty>,
    deps: Deps,
    config: Config,
}

fn notes() -> Notes {
    let world = world();
    let table = Arc::new(Faulty::new(world.deps.store.clone()));
    let deps = Deps { store: table.clone(), ..world.deps.clone() };
    let config = json!({ "agents": { "entries": { "main": { "default": true }, "scout": {} } } });
    Notes { world, table, deps, config: serde_json::from_value(config).unwrap() }
}

impl Notes {
    async fn call(&self, agent: &str, key: &str, input: Value) -> Result<Answer, EngineError> {
        let run = crate::tools::tests::bare(agent);
        let scene = Scene { deps: &self.deps, invocation: &self.world.invocation, config: &self.config };
        let call = Call { scene, run: &run, key, deadline: self.world.invocation.deadline };
        super::run(call, input).await
    }

    async fn ok(&self, key: &str, input: Value) -> String {
        let answer = self.call("main", key, input).await.unwrap();
        assert!(!answer.is_error, "{}", answer.text);
        answer.text
    }

    fn now(&self) -> DateTime<Utc> {
        self.deps.clock.now()
    }

    fn next(&self, mishaps: impl IntoIterator<Item = Mishap>) {
        self.table.next(mishaps);
    }

    async fn text(&self, agent: &str, path: &str) -> Option<String> {
        let sheet = self.deps.store.sheet(&ShelfId::Memory(agent.into()), path).await.unwrap()?;
        Some(shelves::load(&self.deps, &sheet).await.unwrap())
    }
}

fn create(path: &str, text: &str) -> Value {
    json!({ "command": "create", "path": path, "file_text": text })
}

fn insert(path: &str, text: &str) -> Value {
    json!({ "command": "insert", "path": path, "insert_line": 0, "insert_text": text })
}

#[tokio::test]
async fn what_one_run_notes_another_reads_and_another_agent_does_not() {
    let notes = notes();
    assert_eq!(notes.ok("1-a", create("/memories/a", "x")).await, "The file /memories/a has been created.");
    notes.world.clock.advance(chrono::TimeDelta::days(400));
    assert!(notes.ok("1-b", json!({ "command": "view", "path": "/memories/a" })).await.ends_with("     1\tx"));
    let other = notes.call("scout", "1-b", json!({ "command": "view", "path": "/memories/a" })).await.unwrap();
    assert!(other.is_error && other.text.contains("does not exist"), "{}", other.text);
    // An agent nobody configured is the default one, as everywhere.
    let unknown = notes.call("nobody", "1-c", json!({ "command": "view", "path": "/memories/a" })).await.unwrap();
    assert!(!unknown.is_error);
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_is_carried_out_once() {
    let notes = notes();
    notes.ok("1-a", create("/memories/a", "one\n")).await;
    notes.next([Mishap::After]);
    assert!(notes.ok("1-b", insert("/memories/a", "zero")).await.contains("carried out before"));
    assert_eq!(notes.text("main", "/memories/a").await.as_deref(), Some("zero\none\n"));
    notes.next([Mishap::Before]);
    notes.ok("1-c", insert("/memories/a", "-1")).await;
    assert_eq!(notes.text("main", "/memories/a").await.as_deref(), Some("-1\nzero\none\n"));
    // The same call, taken up again after a crash.
    for (key, input) in [
        ("1-b", insert("/memories/a", "zero")),
        ("1-c", insert("/memories/a", "-1")),
        ("1-a", create("/memories/a", "one\n")),
    ] {
        assert!(notes.ok(key, input).await.contains("carried out before"));
    }
    assert_eq!(notes.text("main", "/memories/a").await.as_deref(), Some("-1\nzero\none\n"));
    // The same words in a call of their own are another change.
    notes.ok("2-c", insert("/memories/a", "-1")).await;
    assert_eq!(notes.text("main", "/memories/a").await.as_deref(), Some("-1\n-1\nzero\none\n"));
}

#[tokio::test]
async fn a_repeat_is_recognised_by_the_text_it_wrote_however_much_was_noted_since() {
    let notes = notes();
    notes.ok("1-a", create("/memories/a", "one\n")).await;
    notes.ok("1-b", insert("/memories/a", "zero")).await;
    for n in 0..70 {
        notes.ok(&format!("2-{n}"), create("/memories/other", "x")).await;
    }
    assert!(notes.ok("1-b", insert("/memories/a", "zero")).await.contains("carried out before"));
    assert_eq!(notes.text("main", "/memories/a").await.as_deref(), Some("zero\none\n"));
}

#[tokio::test]
async fn a_repeated_removal_and_renaming_are_done_and_no_error() {
    let notes = notes();
    notes.ok("1-a", create("/memories/a", "x")).await;
    for _ in 0..2 {
        notes.ok("1-b", json!({ "command": "rename", "old_path": "/memories/a", "new_path": "/memories/b" })).await;
    }
    for _ in 0..2 {
        notes.ok("1-c", json!({ "command": "delete", "path": "/memories/b" })).await;
    }
    let anew = notes.call("main", "1-d", json!({ "command": "delete", "path": "/memories/b" })).await.unwrap();
    assert!(anew.is_error, "another call is told that nothing is there");
}

#[tokio::test]
async fn a_change_that_lost_a_race_is_made_from_what_is_there_by_then() {
    let notes = notes();
    notes.ok("1-a", create("/memories/a", "one\n")).await;
    let id = ShelfId::Memory("main".into());
    let mut draft = Draft::new(&notes.deps.store.shelf(&id).await.unwrap(), Some("other/1"), notes.now());
    draft.put("/memories/a", Text::Inline("two\n".into()), 4);
    notes.next([rival(draft)]);
    notes.ok("1-b", insert("/memories/a", "new")).await;
    assert_eq!(notes.text("main", "/memories/a").await.as_deref(), Some("new\ntwo\n"));

    let mut draft = Draft::new(&notes.deps.store.shelf(&id).await.unwrap(), Some("other/2"), notes.now());
    draft.remove("/memories/a");
    notes.next([rival(draft)]);
    let lost = notes.call("main", "1-c", insert("/memories/a", "new")).await.unwrap();
    assert!(lost.is_error && lost.text.contains("does not exist"), "{}", lost.text);
}

#[tokio::test]
async fn runs_at_the_same_time_do_not_note_more_than_fits() {
    let notes = notes();
    let long = "x".repeat(32 * 1024);
    let id = ShelfId::Memory("main".into());
    for n in 0..7 {
        notes.ok(&format!("1-{n}"), create(&format!("/memories/{n}"), &long)).await;
    }
    let mut draft = Draft::new(&notes.deps.store.shelf(&id).await.unwrap(), Some("other/1"), notes.now());
    draft.put("/memories/r", Text::Inline(long.clone()), long.len() as u64);
    notes.next([rival(draft)]);
    let lost = notes.call("main", "2-a", create("/memories/b", &long)).await.unwrap();
    assert!(lost.is_error && lost.text.contains("the most is 262144"), "{}", lost.text);
    assert_eq!(notes.text("main", "/memories/b").await, None);
}

#[tokio::test]
async fn a_table_out_of_reach_is_an_error_and_no_lost_note() {
    let notes = notes();
    notes.next([Mishap::Before, Mishap::Before, Mishap::Before, Mishap::Before]);
    assert!(matches!(notes.call("main", "1-a", create("/memories/a", "x")).await, Err(EngineError::Store(_))));
    assert_eq!(notes.text("main", "/memories/a").await, None);
    notes.ok("1-a", create("/memories/a", "x")).await;
}
