//! Has the planner choose how a turn is sent.

use chrono::TimeDelta;
use nightshift_domain::money;
use nightshift_domain::planner::{Choice, Outlook, Way, choose as decide, guesses};
use nightshift_domain::run::Run;

use crate::error::EngineError;
use crate::runs::Scene;

/// What is known of a turn before it is sent.
pub(super) struct Turn<'a> {
    /// `provider/model`.
    pub(super) reference: &'a str,
    /// What it begins with, tokens.
    pub(super) prefix: u64,
    /// Whether it may call tools that Nightshift runs.
    pub(super) has_tools: bool,
    /// Whether the provider can call some of those itself.
    pub(super) one_call: bool,
    /// How long it may take.
    pub(super) time: TimeDelta,
}

/// The cheapest way that is in time, by what the job's turns were like. Reads the job.
pub(super) async fn choose(scene: Scene<'_>, run: &Run, turn: &Turn<'_>) -> Result<Choice, EngineError> {
    let now = scene.deps.clock.now();
    let Some(price) = money::price(turn.reference, now, &scene.config.models.prices) else {
        let reason = format!("a batch for each step: no price is known for {}, and a batch costs half", turn.reference);
        return Ok(Choice { way: Way::Batch, expected: 0, reason });
    };
    let habits = scene.deps.store.job(&run.job_id).await?.map(|record| record.habits).unwrap_or_default();
    let learned = habits.shapes(turn.prefix);
    let shapes = if learned.is_empty() || !turn.has_tools { guesses(turn.prefix, turn.has_tools) } else { learned };
    Ok(decide(&Outlook {
        price: &price,
        shapes: &shapes,
        learned: !habits.turns.is_empty() && turn.has_tools,
        one_call: turn.one_call,
        wait: habits.wait(),
        time: turn.time,
    }))
}
