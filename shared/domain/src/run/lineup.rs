//! The models a turn may be answered by, in order: its own, then its fallbacks.

use crate::FieldError;
use crate::config::{Agent, Config, Provider};
use crate::job::AgentTurn;

/// The model of jobs, agents and configurations that name none.
const DEFAULT_MODEL: &str = "sonnet";

/// A model that may be used, by its place in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The provider's name.
    pub provider_name: String,
    /// The provider.
    pub provider: Provider,
    /// The provider's name for the model.
    pub model: String,
}

impl Candidate {
    /// `provider/model`.
    pub fn reference(&self) -> String {
        format!("{}/{}", self.provider_name, self.model)
    }
}

/// The models of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineup {
    /// Its own.
    pub own: Candidate,
    /// Those that can be used in its place, in order.
    pub fallbacks: Vec<Candidate>,
    /// Remarks: fallbacks that cannot be used.
    pub notes: Vec<String>,
}

/// The reference of a turn's own model: what the job says, else its agent, else all agents.
pub fn own_model<'a>(config: &'a Config, turn: &'a AgentTurn, agent: &'a Agent) -> &'a str {
    let choices = [&turn.model, &agent.model, &config.agents.defaults.model];
    choices.into_iter().flatten().map(String::as_str).next().unwrap_or(DEFAULT_MODEL)
}

/// The models of `turn` of `agent`. The fallbacks are the job's, else the agent's, else those of all agents; an empty list of
/// the job means none. One that is unknown or not allowed is left out, as is one that is there already.
///
/// # Errors
/// Where the turn's own model is unknown or not allowed: nothing stands in for a mistake.
pub fn lineup(config: &Config, turn: &AgentTurn, agent: &Agent) -> Result<Lineup, FieldError> {
    let own = candidate(config, own_model(config, turn, agent))?;
    let inherited = if agent.fallbacks.is_empty() { &config.agents.defaults.fallbacks } else { &agent.fallbacks };
    let mut lineup = Lineup { own, fallbacks: Vec::new(), notes: Vec::new() };
    for reference in turn.fallbacks.as_ref().unwrap_or(inherited) {
        match candidate(config, reference) {
            Ok(found) if found == lineup.own || lineup.fallbacks.contains(&found) => {}
            Ok(found) => lineup.fallbacks.push(found),
            Err(fault) => lineup.notes.push(format!("fallback \"{reference}\" is left out: {}", fault.message)),
        }
    }
    Ok(lineup)
}

fn candidate(config: &Config, reference: &str) -> Result<Candidate, FieldError> {
    let (provider_name, model) = config.model_ref(reference)?;
    let provider = config.provider(&provider_name).ok_or_else(|| {
        let message = format!("there is no provider \"{provider_name}\"");
        FieldError::new("unknown_provider", "payload.model", message)
    })?;
    Ok(Candidate { provider_name, provider, model })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config() -> Config {
        let document = json!({
            "agents": { "defaults": { "model": "haiku", "fallbacks": ["fable"] },
                "entries": { "ops": { "model": "opus", "fallbacks": ["vllm/qwen", "haiku"] }, "main": {} } },
            "providers": { "vllm": { "kind": "openai", "baseUrl": "http://127.0.0.1:1/v1" } },
            "models": { "allow": ["anthropic/*", "vllm/qwen", "nowhere/*"] },
        });
        Config::parse(&document).unwrap()
    }

    fn names(agent: &str, turn: &AgentTurn) -> (String, Vec<String>, Vec<String>) {
        let config = config();
        let (_, agent, _) = config.agent(Some(agent));
        let Lineup { own, fallbacks, notes } = lineup(&config, turn, &agent).unwrap();
        (own.reference(), fallbacks.iter().map(Candidate::reference).collect(), notes)
    }

    fn turn(model: Option<&str>, fallbacks: Option<&[&str]>) -> AgentTurn {
        let fallbacks = fallbacks.map(|each| each.iter().map(|name| (*name).to_owned()).collect());
        AgentTurn { model: model.map(str::to_owned), fallbacks, ..AgentTurn::default() }
    }

    #[test]
    fn fallbacks_are_the_jobs_else_the_agents_else_those_of_all_agents() {
        let (own, fallbacks, _) = names("ops", &turn(None, None));
        assert_eq!(own, "anthropic/claude-opus-5-5");
        assert_eq!(fallbacks, ["vllm/qwen", "anthropic/claude-haiku-5-5"]);
        let (own, fallbacks, _) = names("main", &turn(None, None));
        assert_eq!(
            (own.as_str(), fallbacks),
            ("anthropic/claude-haiku-5-5", vec!["anthropic/claude-fable-5-2".to_owned()])
        );
        assert_eq!(names("ops", &turn(Some("sonnet"), Some(&[]))).1, [""; 0], "none by the job's wish");
        assert_eq!(names("ops", &turn(None, Some(&["fable"]))).1, ["anthropic/claude-fable-5-2"]);
    }

    #[test]
    fn a_fallback_that_cannot_be_used_is_left_out_with_a_note_and_one_that_is_there_already_without() {
        let list = ["opus", "gpt/5", "vllm/llama", "nowhere/x", "haiku", "anthropic/claude-haiku-5-5"];
        let (_, fallbacks, notes) = names("ops", &turn(None, Some(&list)));
        assert_eq!(fallbacks, ["anthropic/claude-haiku-5-5"]);
        let expected = [
            "fallback \"gpt/5\" is left out: model \"gpt/5\" is not allowed",
            "fallback \"vllm/llama\" is left out: model \"vllm/llama\" is not allowed",
            "fallback \"nowhere/x\" is left out: there is no provider \"nowhere\"",
        ];
        assert_eq!(notes, expected);
    }

    #[test]
    fn nothing_stands_in_for_an_own_model_that_is_a_mistake() {
        let code = |model| {
            let config = config();
            lineup(&config, &turn(Some(model), None), &Agent::default()).unwrap_err().code
        };
        assert_eq!((code("gpt/5").as_str(), code("nowhere/x").as_str()), ("model_not_allowed", "unknown_provider"));
    }

    #[test]
    fn without_any_name_it_is_sonnet() {
        let (config, turn) = (Config::default(), AgentTurn::default());
        let lineup = lineup(&config, &turn, &Agent::default()).unwrap();
        assert_eq!((lineup.own.model.as_str(), lineup.fallbacks.len()), ("claude-sonnet-5-5", 0));
    }
}
