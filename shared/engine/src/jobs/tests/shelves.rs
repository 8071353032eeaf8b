//! Documents and memory as people write them.

use nightshift_domain::run::Text;
use nightshift_domain::shelf::ShelfId;
use serde_json::{Value, json};

use super::super::{
    documents_get, documents_list, documents_put, documents_remove, memory_get, memory_list, memory_put, memory_remove,
};
use super::{Refusal, Request, Stamp, World, world};

async fn put(world: &World, name: &str, text: &str) -> u64 {
    let put = documents_put(&world.request(), &json!({ "name": name, "text": text })).await.unwrap();
    put.entry.revision
}

fn repeated(world: &World) -> Request<'_> {
    let request = world.request();
    Request { stamp: Stamp { repeated: true, ..request.stamp }, ..request }
}

#[tokio::test]
async fn a_document_is_written_read_listed_and_removed() {
    let world = world();
    let text = "  Be brief.\n\n";
    assert_eq!(put(&world, "AGENTS.md", text).await, 1);
    let found = documents_get(&world.request(), &json!({ "name": "AGENTS.md" })).await.unwrap();
    assert_eq!((found.text.as_str(), found.entry.bytes, found.entry.revision), (text, 13, 1));
    put(&world, "A first.md", "x").await;
    let names = documents_list(&world.request(), &Value::Null).await.unwrap();
    assert_eq!(names.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["A first.md", "AGENTS.md"]);
    documents_remove(&world.request(), &json!({ "name": "AGENTS.md" })).await.unwrap();
    let gone = documents_get(&world.request(), &json!({ "name": "AGENTS.md" })).await;
    assert!(matches!(gone, Err(Refusal::NoDocument(name)) if name == "AGENTS.md"));
    let again = documents_remove(&world.request(), &json!({ "name": "AGENTS.md" })).await;
    assert!(matches!(again, Err(Refusal::NoDocument(_))));
    assert!(documents_remove(&repeated(&world), &json!({ "name": "AGENTS.md" })).await.is_ok());
}

#[tokio::test]
async fn a_long_document_is_a_blob_named_by_what_it_holds() {
    let world = world();
    let text = "é".repeat(20_000);
    put(&world, "long", &text).await;
    let sheet = world.deps.store.sheet(&ShelfId::Documents, "long").await.unwrap().unwrap();
    let Text::Blob { key, bytes: 40_000 } = sheet.text else { panic!("{sheet:?}") };
    assert!(key.starts_with("config/documents/") && key.len() == 17 + 64, "{key}");
    assert_eq!(documents_get(&world.request(), &json!({ "name": "long" })).await.unwrap().text, text);
    let most = json!({ "name": "most", "text": "x".repeat(128 * 1024) });
    assert!(documents_put(&world.request(), &most).await.is_ok());
    let more = json!({ "name": "more", "text": "x".repeat(128 * 1024 + 1) });
    let Err(Refusal::Invalid(faults)) = documents_put(&world.request(), &more).await else { panic!() };
    assert_eq!((faults[0].code.as_str(), faults[0].field.as_str()), ("too_much_text", "text"));
}

#[tokio::test]
async fn of_two_people_who_edit_the_same_document_one_is_told() {
    let world = world();
    let edit = async |text: &str, expected: u64| {
        let body = json!({ "name": "a", "text": text, "expectedRevision": expected });
        documents_put(&world.request(), &body).await
    };
    assert!(edit("one", 0).await.unwrap().changed);
    assert!(edit("two", 1).await.unwrap().changed);
    let lost = edit("three", 1).await;
    assert!(matches!(lost, Err(Refusal::TextChanged { expected: 1, found: 2, .. })), "{lost:?}");
    // The repeat of the one that won: its text is there, and nothing changes.
    let again = edit("two", 1).await.unwrap();
    assert!(!again.changed && again.entry.revision == 2);
    let lost = documents_remove(&world.request(), &json!({ "name": "a", "expectedRevision": 1 })).await;
    assert!(matches!(lost, Err(Refusal::TextChanged { .. })));
    documents_remove(&world.request(), &json!({ "name": "a", "expectedRevision": 2 })).await.unwrap();
    // A revision is never given twice, so that what took the name since is not mistaken for the old one.
    assert_eq!(edit("anew", 0).await.unwrap().entry.revision, 4);
    assert!(matches!(edit("x", 2).await, Err(Refusal::TextChanged { expected: 2, found: 4, .. })));
}

#[tokio::test]
async fn bad_fields_are_all_named_and_nothing_is_written() {
    let world = world();
    for (body, fields) in [
        (json!({}), vec!["name", "text"]),
        (json!({ "name": " a", "text": 7, "colour": 1 }), vec!["colour", "name", "text"]),
        (json!({ "name": "a\nb", "text": "", "expectedRevision": -1 }), vec!["name", "expectedRevision"]),
    ] {
        let Err(Refusal::Invalid(faults)) = documents_put(&world.request(), &body).await else { panic!("{body}") };
        assert_eq!(faults.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), fields, "{body}");
    }
    let body = json!({ "agentId": "a/b", "path": "/etc/passwd", "text": "x" });
    let Err(Refusal::Invalid(faults)) = memory_put(&world.request(), &body).await else { panic!() };
    assert_eq!(faults.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), ["agentId", "path"]);
    assert!(documents_list(&world.request(), &Value::Null).await.unwrap().is_empty());
}

#[tokio::test]
async fn people_see_and_correct_what_an_agent_remembers() {
    let world = world();
    let file = |path: &str, text: &str| json!({ "agentId": "scout", "path": path, "text": text });
    memory_put(&world.request(), &file("/memories//people.md", "Ada\n")).await.unwrap();
    let listed = memory_list(&world.request(), &json!({ "agentId": "scout" })).await.unwrap();
    assert_eq!((listed.agent.as_str(), listed.bytes, listed.most), ("scout", 4, 262_144));
    assert_eq!(listed.files[0].name, "/memories/people.md");
    let found = memory_get(&world.request(), &json!({ "agentId": "scout", "path": "/memories/people.md" })).await;
    assert_eq!(found.unwrap().text, "Ada\n");
    let inside = memory_put(&world.request(), &file("/memories/people.md/x", "")).await;
    assert!(matches!(inside, Err(Refusal::Invalid(_))), "a file is no folder");
    let other = memory_get(&world.request(), &json!({ "path": "/memories/people.md" })).await;
    assert!(matches!(other, Err(Refusal::NoMemory { agent, .. }) if agent == "main"), "the default agent's");
    memory_remove(&world.request(), &json!({ "agentId": "scout", "path": "/memories/people.md" })).await.unwrap();
    assert!(memory_list(&world.request(), &json!({ "agentId": "scout" })).await.unwrap().files.is_empty());
}
