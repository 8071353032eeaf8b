//! What must hold of main sessions: no event is lost, and none is answered twice.

use std::collections::BTreeMap;

use nightshift_domain::heartbeat::MOST_TRIES;
use nightshift_domain::ids::slot_text;
use nightshift_domain::run::{Run, State, Task};

use crate::invariants::Seen;
use crate::world::World;

/// Whether the run's turn ended well, whatever became of its answer.
fn answered(run: &Run) -> bool {
    matches!(run.state, State::Delivering | State::Succeeded | State::DeliveryFailed | State::DeliveryUnknown)
}

/// By event, the heartbeats that had it in hand.
fn hands(runs: &[Run]) -> BTreeMap<&str, Vec<&Run>> {
    let mut hands: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        for id in run.beat.iter().flat_map(|beat| &beat.events) {
            hands.entry(id).or_default().push(run);
        }
    }
    hands
}

/// Events that two turns answered.
pub fn answered_twice(runs: &[Run]) -> Vec<String> {
    let twice = hands(runs).into_iter().filter_map(|(id, runs)| {
        let answers: Vec<&str> = runs.iter().filter(|run| answered(run)).map(|run| run.key.as_str()).collect();
        (answers.len() > 1).then(|| format!("event {id} is answered by {}", answers.join(" and by ")))
    });
    twice.collect()
}

/// Events that were queued, and that neither a turn answered nor several that were paid failed for, or were stopped.
pub fn lost(world: &World, seen: &Seen) -> Vec<String> {
    let hands = hands(&seen.runs);
    let is_settled = |id: &str| {
        let runs = hands.get(id).map_or(&[][..], |runs| runs);
        let paid = |run: &&&Run| {
            let is_asked = !run.hops.is_empty() || run.books.unanswered() > 0;
            run.state == State::Canceled || (matches!(run.state, State::Failed { .. }) && is_asked)
        };
        runs.iter().any(|run| answered(run)) || runs.iter().filter(paid).count() >= MOST_TRIES as usize
    };
    let queued = seen.runs.iter().filter(|run| {
        let queues = matches!(run.task, Task::QueueEvent { .. });
        queues && matches!(run.state, State::Succeeded | State::Failed { .. })
    });
    // One that failed before it queued anything has no event.
    let queued = queued.filter(|run| run.events.iter().any(|line| line.event == "queued for the main session"));
    let queued = queued.map(|run| format!("{}-{}", slot_text(run.slot), run.key));
    let lost = queued.chain(world.told.iter().cloned()).filter(|id| !is_settled(id));
    let mut said: Vec<String> = lost.map(|id| format!("event {id} was queued, and nobody answers it")).collect();
    let loud = seen.events.iter().filter(|event| !event.quiet);
    said.extend(loud.map(|event| format!("event {} is still queued after {} tries", event.id, event.tries)));
    said
}
