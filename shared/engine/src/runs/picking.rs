//! Which of a turn's models answers, and what is known of it.
//!
//! Guarantee: a model whose provider cannot be reached now is passed over for the next fallback; a mistake in the turn's own
//! one never is. What was passed over, and why, stands in the notes.

use nightshift_domain::config::Agent;
use nightshift_domain::model::{Known, ModelInfo, known};
use nightshift_domain::run::{Candidate, Credential, Event, Lineup, Run, lineup};

use crate::ports::{ModelError, OpenModelError, OpenedModel};

use super::Scene;
use super::planning::refused;

/// The model a run is planned for.
#[derive(Debug)]
pub(super) struct Picked {
    /// Its number: 0 the turn's own, n the nth fallback that can be used.
    pub which: u32,
    /// How many there are after it.
    pub left: u32,
    /// Where it is.
    pub candidate: Candidate,
    /// The kind of key it is used with.
    pub credential: Credential,
    /// What it can do.
    pub info: ModelInfo,
}

/// Picks for `run`, from the model on that it stands at.
///
/// # Errors
/// What ends or puts off the run, where no model is left: the first failure of those that were looked at.
pub(super) async fn pick(
    scene: Scene<'_>,
    run: &Run,
    agent: &Agent,
    notes: &mut Vec<String>,
) -> Result<Picked, Box<Event>> {
    let Lineup { own, fallbacks, notes: left_out } =
        lineup(scene.config, &run.turn, agent).map_err(|fault| Box::new(refused(&fault.code, fault.message)))?;
    notes.extend(left_out);
    let own_reference = own.reference();
    let models: Vec<Candidate> = std::iter::once(own).chain(fallbacks).collect();
    let last = models.len() - 1;
    // With fewer fallbacks than there were, the last one is the best that is left.
    let from = usize::try_from(run.talk.fallback).unwrap_or(last).min(last);
    let mut failed: Option<Box<Event>> = None;
    for (at, candidate) in models.into_iter().enumerate().skip(from) {
        let name = candidate.reference();
        match look(scene, &candidate).await {
            Ok((credential, Known { info, notes: remarks })) => {
                notes.extend(remarks);
                if at > 0 {
                    notes.push(format!("{name} answers, a fallback of {own_reference}"));
                }
                let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
                return Ok(Picked { which: number(at), left: number(last - at), candidate, credential, info });
            }
            Err(event) => {
                let passing = matches!(&*event, Event::ModelFailed { kind, .. } if kind.is_transient());
                if at == 0 && !passing {
                    return Err(event);
                }
                notes.push(format!("{name} is passed over: {}", words(&event)));
                failed.get_or_insert(event);
            }
        }
    }
    Err(failed.unwrap_or_else(|| Box::new(refused("model_not_found", "no model is left".to_owned()))))
}

/// Opens the candidate's place and asks what it can do.
async fn look(scene: Scene<'_>, candidate: &Candidate) -> Result<(Credential, Known), Box<Event>> {
    let Candidate { provider_name, provider, model } = candidate;
    let OpenedModel { model: place, credential } = match scene.deps.models.open(scene.config, provider_name).await {
        Ok(opened) => opened,
        Err(error @ OpenModelError::Unknown(_)) => {
            return Err(Box::new(refused("unknown_provider", error.to_string())));
        }
        Err(error @ OpenModelError::Key { .. }) => return Err(Box::new(refused("model_auth", error.to_string()))),
    };
    let asked = place.info(model).await;
    let told = asked.clone().map_err(|error| error.kind);
    let rows = &scene.config.models.capabilities;
    let now = scene.deps.clock.now();
    match (known(provider_name, model, provider.is_anthropic(), told, rows, now), asked) {
        (Ok(known), _) if known.info.retired => {
            Err(Box::new(refused("model_not_found", format!("model \"{model}\" is retired"))))
        }
        (Ok(known), _) => Ok((credential, known)),
        (Err(_), Err(ModelError { kind, message, retry_after, .. })) => {
            Err(Box::new(Event::ModelFailed { kind, message, retry_after }))
        }
        (Err(kind), Ok(_)) => {
            let message = "what the model can do is not known".to_owned();
            Err(Box::new(Event::ModelFailed { kind, message, retry_after: None }))
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only two events come from looking at a model")]
fn words(event: &Event) -> &str {
    match event {
        Event::Refused { message, .. } | Event::ModelFailed { message, .. } => message,
        other => other.name(),
    }
}
