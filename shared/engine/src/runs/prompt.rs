//! What a run's system prompt is made of.

use futures::future::try_join_all;
use nightshift_domain::config::Agent;
use nightshift_domain::prompt;
use nightshift_domain::run::Run;
use nightshift_domain::shelf::ShelfId;

use crate::deps::Deps;
use crate::error::EngineError;
use crate::shelves;

/// The system prompt of `run`, and remarks: a document that is named and not stored fails no run. Nothing with
/// `lightContext`. Reads only.
pub(super) async fn system_prompt(
    deps: &Deps,
    run: &Run,
    agent: &Agent,
    defaults: &Agent,
    client_tools: &[String],
) -> Result<(Option<String>, Vec<String>), EngineError> {
    if run.turn.light_context {
        return Ok((None, Vec::new()));
    }
    let names = if agent.documents.is_empty() { &defaults.documents } else { &agent.documents };
    let found = try_join_all(names.iter().map(|name| document(deps, name))).await?;
    let (mut documents, mut notes) = (Vec::with_capacity(names.len()), Vec::new());
    for (name, text) in names.iter().zip(found) {
        match text {
            Some(text) => documents.push((name.clone(), text)),
            None => {
                notes.push(format!("the document \"{}\" is not stored; the run goes without it", name.escape_debug()));
            }
        }
    }
    let instructions = agent.instructions.as_deref().or(defaults.instructions.as_deref());
    let memory = client_tools.iter().any(|name| name == "memory");
    Ok((prompt::system(instructions, &documents, memory), notes))
}

async fn document(deps: &Deps, name: &str) -> Result<Option<String>, EngineError> {
    match deps.store.sheet(&ShelfId::Documents, name).await? {
        Some(sheet) => shelves::load(deps, &sheet).await.map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::jobs::documents_put;
    use crate::jobs::tests::{World, world};

    fn agent(fields: Value) -> Agent {
        serde_json::from_value(fields).unwrap()
    }

    async fn put(world: &World, name: &str, text: &str) {
        documents_put(&world.request(), &json!({ "name": name, "text": text })).await.unwrap();
    }

    async fn told(world: &World, run: &Run, own: &Agent, defaults: &Agent) -> (Option<String>, Vec<String>) {
        system_prompt(&world.deps, run, own, defaults, &["cron".to_owned()]).await.unwrap()
    }

    #[tokio::test]
    async fn documents_are_those_the_agent_names_in_its_order_and_a_missing_one_is_a_remark() {
        let world = world();
        let long = "x".repeat(40_000);
        put(&world, "long", &long).await;
        put(&world, "AGENTS.md", "Be brief.").await;
        put(&world, "unnamed", "Never seen.").await;
        let run = crate::tools::tests::bare("main");
        let own = agent(json!({ "instructions": "Own.", "documents": ["long", "gone", "AGENTS.md"] }));
        let defaults = agent(json!({ "instructions": "All.", "documents": ["unnamed"] }));
        let (prompt, notes) = told(&world, &run, &own, &defaults).await;
        assert_eq!(prompt, Some(format!("Own.\n\n# long\n\n{long}\n\n# AGENTS.md\n\nBe brief.")));
        assert_eq!(notes, ["the document \"gone\" is not stored; the run goes without it"]);
        let (prompt, _) = told(&world, &run, &agent(json!({})), &defaults).await;
        assert_eq!(prompt.as_deref(), Some("All.\n\n# unnamed\n\nNever seen."));
    }

    #[tokio::test]
    async fn a_run_days_later_has_the_same_bytes_until_a_source_changes() {
        let world = world();
        put(&world, "AGENTS.md", "Be brief.").await;
        let (run, own) = (crate::tools::tests::bare("main"), agent(json!({ "documents": ["AGENTS.md"] })));
        let first = told(&world, &run, &own, &Agent::default()).await;
        world.clock.advance(chrono::TimeDelta::days(9));
        put(&world, "other", "x").await;
        assert_eq!(told(&world, &run, &own, &Agent::default()).await, first);
        put(&world, "AGENTS.md", "Be kind.").await;
        assert_ne!(told(&world, &run, &own, &Agent::default()).await, first);
    }

    #[tokio::test]
    async fn a_light_run_has_no_prompt_and_one_with_memory_is_told_of_it() {
        let world = world();
        put(&world, "AGENTS.md", "Be brief.").await;
        let (mut run, own) = (crate::tools::tests::bare("main"), agent(json!({ "documents": ["AGENTS.md", "gone"] })));
        let tools = ["memory".to_owned()];
        let (prompt, _) = system_prompt(&world.deps, &run, &own, &own, &tools).await.unwrap();
        assert!(prompt.unwrap().contains("/memories"));
        run.turn.light_context = true;
        assert_eq!(system_prompt(&world.deps, &run, &own, &own, &tools).await.unwrap(), (None, vec![]));
    }
}
