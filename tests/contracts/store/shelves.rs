//! Shelves: agents' memories and the workspace's documents.

use chrono::TimeDelta;
use futures::future::join_all;
use nightshift_domain::run::Text;
use nightshift_domain::shelf::{Draft, Shelf, ShelfId};
use nightshift_engine::ports::{Outcome, Store, Write};

use super::fixtures::write;
use super::worlds::{World, start};

fn memory(agent: &str) -> ShelfId {
    ShelfId::Memory(agent.to_owned())
}

fn put(shelf: &Shelf, name: &str, text: &str, by: &str) -> Draft {
    let mut draft = Draft::new(shelf, Some(by), start());
    draft.put(name, Text::Inline(text.to_owned()), text.len() as u64);
    draft
}

fn writes(draft: &Draft) -> Vec<Write<'_>> {
    let mut writes = vec![Write::Shelf(&draft.shelf)];
    writes.extend(draft.puts.iter().map(Write::Sheet));
    let shelf = &draft.shelf.id;
    writes.extend(draft.gone.iter().map(|(name, rev)| Write::RemoveSheet { shelf, name, rev: *rev }));
    writes
}

async fn text(store: &dyn Store, id: &ShelfId, name: &str) -> Option<String> {
    store.sheet(id, name).await.unwrap().map(|sheet| match sheet.text {
        Text::Inline(text) => text,
        Text::Blob { key, .. } => key,
    })
}

pub(crate) async fn a_text_and_its_index_are_written_read_back_and_removed_as_one(world: &World) {
    let (store, id) = (&*world.store, memory("main"));
    assert_eq!(store.shelf(&id).await.unwrap(), Shelf::empty(id.clone()));
    assert_eq!(store.sheet(&id, "/memories/a").await.unwrap(), None);
    let first = put(&Shelf::empty(id.clone()), "/memories/a", "one\n\u{0}\u{1F319}", "run/1");
    write(store, &writes(&first)).await;
    assert_eq!(store.shelf(&id).await.unwrap(), first.shelf);
    assert_eq!(store.sheet(&id, "/memories/a").await.unwrap().as_ref(), first.puts.first());
    // As a rename does: one goes, another comes.
    let mut second = put(&first.shelf, "/memories/b", "two", "run/2");
    second.remove("/memories/a");
    write(store, &writes(&second)).await;
    assert_eq!(text(store, &id, "/memories/a").await, None);
    assert_eq!(text(store, &id, "/memories/b").await.as_deref(), Some("two"));
    let third = put(&second.shelf, "/memories/a", "anew", "run/3");
    write(store, &writes(&third)).await;
    assert_eq!(store.shelf(&id).await.unwrap(), third.shelf);
    assert_eq!(text(store, &id, "/memories/a").await.as_deref(), Some("anew"));
}

pub(crate) async fn shelves_do_not_see_each_other(world: &World) {
    let store = &*world.store;
    let ids = [memory("main"), memory("main2"), ShelfId::Documents];
    for (at, id) in ids.iter().enumerate() {
        let draft = put(&Shelf::empty(id.clone()), "name", &at.to_string(), "run/1");
        write(store, &writes(&draft)).await;
    }
    for (at, id) in ids.iter().enumerate() {
        assert_eq!(text(store, id, "name").await, Some(at.to_string()));
        assert_eq!(store.shelf(id).await.unwrap().id, *id);
    }
}

pub(crate) async fn a_change_from_an_older_index_is_lost_and_changes_nothing(world: &World) {
    let (store, id) = (&*world.store, ShelfId::Documents);
    let empty = Shelf::empty(id.clone());
    let (one, two) = (put(&empty, "a", "one", "run/1"), put(&empty, "b", "two", "run/2"));
    write(store, &writes(&one)).await;
    assert_eq!(store.commit(&writes(&two)).await.unwrap(), Outcome::Lost(0));
    assert_eq!(store.shelf(&id).await.unwrap(), one.shelf);
    assert_eq!(text(store, &id, "b").await, None);
    let mut gone = Draft::new(&empty, None, start());
    gone.gone.push(("a".to_owned(), 1));
    assert_eq!(store.commit(&writes(&gone)).await.unwrap(), Outcome::Lost(0));
    assert_eq!(text(store, &id, "a").await.as_deref(), Some("one"));
}

pub(crate) async fn a_repeated_change_is_applied_once(world: &World) {
    let (store, id) = (&*world.store, memory("main"));
    let first = put(&Shelf::empty(id.clone()), "a", "one", "run/1");
    let mut second = put(&first.shelf, "b", "two", "run/2");
    second.remove("a");
    for draft in [&first, &second] {
        write(store, &writes(draft)).await;
        assert_eq!(store.commit(&writes(draft)).await.unwrap(), Outcome::Applied, "a repeat");
    }
    assert_eq!(store.commit(&writes(&first)).await.unwrap(), Outcome::Lost(0), "a repeat that comes too late");
    assert_eq!(store.shelf(&id).await.unwrap(), second.shelf);
}

/// Adds a text, as often as somebody else is first. Answers whether the shelf took it.
async fn add(store: &dyn Store, id: &ShelfId, name: &str, text: &str) -> bool {
    loop {
        let shelf = store.shelf(id).await.unwrap();
        let Ok(draft) = put(&shelf, name, text, name).checked() else { return false };
        match store.commit(&writes(&draft)).await {
            Ok(Outcome::Applied) => return true,
            // DynamoDB lets nobody by while two transactions want the same row; the caller comes again.
            Ok(Outcome::Lost(_)) | Err(_) => tokio::task::yield_now().await,
        }
    }
}

pub(crate) async fn of_24_concurrent_writers_each_gets_its_turn_and_the_limit_holds(world: &World) {
    let (store, id) = (&*world.store, memory("main"));
    let long = "x".repeat(32 * 1024);
    let names: Vec<String> = (0..24).map(|n| format!("/memories/{n:02}")).collect();
    let took = join_all(names.iter().map(|name| add(store, &id, name, &long))).await;
    assert_eq!(took.iter().filter(|took| **took).count(), 8, "as many as fit");
    let shelf = store.shelf(&id).await.unwrap();
    assert_eq!((shelf.rev, shelf.entries.len(), shelf.bytes()), (8, 8, id.limits().total_bytes));
    for (name, took) in names.iter().zip(took) {
        assert_eq!(text(store, &id, name).await.is_some(), took, "{name}");
    }
}

pub(crate) async fn the_largest_texts_and_names_fit(world: &World) {
    let (store, id) = (&*world.store, memory("main"));
    // Control characters are the longest in JSON, and other planes' the longest in UTF-8.
    let (name, text) = (format!("/memories/{}", "\u{1F319}".repeat(190)), "\u{1}".repeat(32 * 1024));
    let mut draft = put(&Shelf::empty(id.clone()), &name, &text, "run/1");
    for n in 0..99 {
        draft.put(&format!("/memories/{}{n:02}", "\u{1F319}".repeat(188)), Text::Inline("x".to_owned()), 1);
        if n % 40 == 39 || n == 98 {
            draft = draft.checked().unwrap();
            write(store, &writes(&draft)).await;
            draft = Draft::new(&draft.shelf, None, start());
        }
    }
    let shelf = store.shelf(&id).await.unwrap();
    assert_eq!(shelf.entries.len(), 100);
    assert_eq!(store.sheet(&id, &name).await.unwrap().map(|sheet| sheet.text), Some(Text::Inline(text)));
}

pub(crate) async fn memory_does_not_expire(world: &World) {
    let (store, id) = (&*world.store, memory("main"));
    write(store, &writes(&put(&Shelf::empty(id.clone()), "a", "one", "run/1"))).await;
    world.clock.advance(TimeDelta::days(3650));
    assert_eq!(store.shelf(&id).await.unwrap().entries.len(), 1);
    assert_eq!(text(store, &id, "a").await.as_deref(), Some("one"));
}
