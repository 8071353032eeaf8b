//! Bugs that are planted in the product to see whether the simulation notices. `make mutants` plants them.
//!
//! Guarantee: a bug that is not noticed fails that target, and one that can no longer be planted, because the product's text
//! has changed, fails an ordinary test here.

/// A bug.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    /// Its name.
    pub name: &'static str,
    /// The file it is planted in, from the workspace's root.
    pub file: &'static str,
    /// The text it takes the place of; once in the file.
    pub before: &'static str,
    /// The bug. All are planted in one copy, which is built once; [`PLANTED`] stands for "this one is awake".
    pub after: &'static str,
    /// What it would do to somebody.
    pub why: &'static str,
}

/// The word for "this bug is awake" in a bug's text.
pub const PLANTED: &str = "PLANTED";
/// The variable that says which bug is awake.
pub const AWAKE: &str = "NIGHTSHIFT_BUG";

impl Mutant {
    /// `text` with the bug in it, asleep unless the environment says so; `None` where it cannot be planted in one place.
    pub fn plant(&self, text: &str) -> Option<String> {
        let awake = format!("std::env::var_os(\"{AWAKE}\").is_some_and(|bug| bug == \"{}\")", self.name);
        let bug = self.after.replace(PLANTED, &awake);
        (text.matches(self.before).count() == 1).then(|| text.replacen(self.before, &bug, 1))
    }
}

/// All of them.
pub const LIST: &[Mutant] = &[
    Mutant {
        name: "no-intent",
        file: "shared/engine/src/runs/submit.rs",
        before: "let along = Along { batch: Some(&batch), ..Along::default() };\n    let Some(sealed)",
        after: "let along = Along { batch: if PLANTED { None } else { Some(&batch) }, ..Along::default() };\n    let Some(sealed)",
        why: "a batch is created that no row knows of: it is paid and nobody ever looks at it",
    },
    Mutant {
        name: "create-repeated",
        file: "shared/engine/src/batches/create.rs",
        before: "let created = batches.create(rows).await;",
        after: "let mut created = batches.create(rows).await;\n    if PLANTED && matches!(created, Err(CreateError::Unanswered(_))) {\n        created = batches.create(rows).await;\n    }",
        why: "the first create may have worked: the hop is paid twice",
    },
    Mutant {
        name: "create-sent-late",
        file: "shared/engine/src/batches/create.rs",
        before: "if scene.deps.clock.now() > batch.started_at + CREATE_SENT_WITHIN {",
        after: "if !PLANTED && scene.deps.clock.now() > batch.started_at + CREATE_SENT_WITHIN {",
        why: "somebody has looked for the batch by then, or looks where it is not, and the hop is paid again",
    },
    Mutant {
        name: "waiting-left-behind",
        file: "shared/engine/src/jobs/edit.rs",
        before: "end_waiting(deps, &record).await;",
        after: "if !PLANTED {\n                end_waiting(deps, &record).await;\n            }",
        why: "a run that waits for its turn stays after its job until the sweep comes by",
    },
    Mutant {
        name: "unanswered-is-refused",
        file: "shared/engine/src/runs/submit.rs",
        before: "Err(CreateError::Refused(error)) => refused(",
        after: "Err(CreateError::Unanswered(error)) if PLANTED => refused(scene, run, batch, error).await,\n        Err(CreateError::Refused(error)) => refused(",
        why: "a lost answer is taken for a refusal, and the hop is sent and paid again",
    },
    Mutant {
        name: "search-gives-up-at-once",
        file: "shared/domain/src/batch.rs",
        before: "[] if now >= batch.started_at + CREATE_SETTLES_AFTER",
        after: "[] if (PLANTED || now >= batch.started_at + CREATE_SETTLES_AFTER)",
        why: "a batch the list does not show yet is created a second time",
    },
    Mutant {
        name: "search-never-gives-up",
        file: "shared/domain/src/batch.rs",
        before: "&& !contested => Search::NotThere,",
        after: "&& !contested && !PLANTED => Search::NotThere,",
        why: "a run whose create never arrived waits for ever",
    },
    Mutant {
        name: "adopts-what-is-known",
        file: "shared/domain/src/batch.rs",
        before: ".filter(|one| !one.known && !one.tentative)",
        after: ".filter(|one| (PLANTED || !one.known) && !one.tentative)",
        why: "a lost create takes the batch of another run for its own",
    },
    Mutant {
        name: "not-found-is-believed",
        file: "shared/engine/src/batches.rs",
        before: "if now < (batch.started_at + BELIEVED_GONE_AFTER).max(batch.deadline).max(since + NOT_FOUND_FOR) {",
        after: "if !PLANTED && now < (batch.started_at + BELIEVED_GONE_AFTER).max(batch.deadline).max(since + NOT_FOUND_FOR) {",
        why: "a passing 404 costs a paid batch, and the hop is paid again",
    },
    Mutant {
        name: "missing-rows-forgotten",
        file: "shared/engine/src/batches/settle.rs",
        before: "} else if now >= waited_for {",
        after: "} else if !PLANTED && now >= waited_for {",
        why: "a run whose row is not among the results waits for ever",
    },
    Mutant {
        name: "marked-before-it-is-told",
        file: "shared/engine/src/batches/settle/hand_out.rs",
        before: "Err(error) => {\n                        failures += 1;",
        after: "Err(error) => {\n                        if PLANTED {\n                            progress.mark(place);\n                        }\n                        failures += 1;",
        why: "a row whose run could not be written is never handed out again: its answer is paid and lost",
    },
    Mutant {
        name: "late-row-counted-again",
        file: "shared/domain/src/run/booking.rs",
        before: "self.hops.iter().any(|known| {",
        after: "!PLANTED && self.hops.iter().any(|known| {",
        why: "results that are read again are booked again: the books show money nobody paid",
    },
    Mutant {
        name: "stopped-although-one-stays",
        file: "shared/engine/src/batches.rs",
        before: ".await.all()?.contains(&true) {",
        after: ".await.all()?.contains(&true) && !PLANTED {",
        why: "one member's wish to leave stops the batch of all",
    },
    Mutant {
        name: "loser-creates-too",
        file: "shared/engine/src/batches/launch.rs",
        before: "if save(scene, &next, now).await? {",
        after: "if save(scene, &next, now).await? || PLANTED {",
        why: "two that seal the same batch both send its create: every row is paid twice",
    },
    Mutant {
        name: "told-and-taken-again",
        file: "shared/engine/src/batches/launch.rs",
        before: "(Some(again), Ok(_)) if (&again.state, again.state_since) == (&stood, since) => row.run = again,",
        after: "(Some(again), Ok(_)) if PLANTED || (&again.state, again.state_since) == (&stood, since) => row.run = again,",
        why: "who stood still while others sealed a batch puts a run back into it that was told of its refusal: nothing comes",
    },
    Mutant {
        name: "next-poll-not-armed",
        file: "shared/engine/src/batches.rs",
        before: "arm_poll(scene, &next).await?;",
        after: "if !PLANTED {\n        arm_poll(scene, &next).await?;\n    }",
        why: "nobody looks at a batch a second time until the sweep finds it",
    },
    Mutant {
        name: "wrong-row-sent-again",
        file: "shared/domain/src/run/next.rs",
        before: "Event::BatchEnded(RowResult::Errored { kind: ModelErrorKind::Invalid, message }) => {",
        after: "Event::BatchEnded(RowResult::Errored { kind: ModelErrorKind::Invalid, message }) if attempt > 1 || !PLANTED => {",
        why: "a request that is wrong is sent again as it is",
    },
    Mutant {
        name: "realtime-started-again-and-again",
        file: "shared/domain/src/run/next.rs",
        before: "Event::HolderDied if starts >= MAX_STARTS => {",
        after: "Event::HolderDied if starts >= MAX_STARTS && !PLANTED => {",
        why: "a hop whose invocation keeps dying is paid each time",
    },
    Mutant {
        name: "lease-not-looked-at",
        file: "shared/domain/src/run/lease.rs",
        before: "lease.until > now && lease.owner != owner",
        after: "lease.until > now && lease.owner != owner && !PLANTED",
        why: "two invocations work on one run: the model is asked twice",
    },
    Mutant {
        name: "place-not-given-back",
        file: "shared/engine/src/runs/commit.rs",
        before: "(Some(place), None) => writes.push(Write::FreePlace { place, run: &after.key }),",
        after: "(Some(_), None) if PLANTED => {}\n        (Some(place), None) => writes.push(Write::FreePlace { place, run: &after.key }),",
        why: "after a few turns no realtime turn runs any more",
    },
    Mutant {
        name: "session-not-given-back",
        file: "shared/engine/src/runs/commit.rs",
        before: "writes.push(Write::Session(change));",
        after: "if !PLANTED || after.ended_at.is_none() {\n            writes.push(Write::Session(change));\n        }",
        why: "a session stays with a run that is over: nothing that goes on with it runs any more",
    },
    Mutant {
        name: "claim-over-a-claim",
        file: "shared/engine/src/testing/rows.rs",
        before: "None if row.rev <= 1 => Fate::Fits,",
        after: "None | Some(_) if row.rev <= 1 && PLANTED => Fate::Fits,\n                None if row.rev <= 1 => Fate::Fits,",
        why: "what is written once only is written over: an occurrence that is claimed already runs twice",
    },
    Mutant {
        name: "sent-before-it-is-written",
        file: "shared/engine/src/deliver/ledger.rs",
        before: "chunk.attempts += 1;\n                chunk.rev += 1;\n                if !written(",
        after: "chunk.attempts += 1;\n                chunk.rev += 1;\n                if PLANTED {\n                    chunk.rev -= 1;\n                } else if !written(",
        why: "a crash after a send leaves no trace of it: the message is sent twice",
    },
    Mutant {
        name: "sent-after-standing-still",
        file: "shared/domain/src/delivery.rs",
        before: "Some(at) if !repeat_is_safe(at, now, dedupes) => Some(ChunkState::Unknown { at, error }),",
        after: "_ if PLANTED => None,\n        Some(at) if !repeat_is_safe(at, now, dedupes) => Some(ChunkState::Unknown { at, error }),",
        why: "a repeat that was safe when it was decided is sent minutes later, when nobody drops it any more",
    },
    Mutant {
        name: "cut-off-send-repeated",
        file: "shared/domain/src/delivery.rs",
        before: "dedupes.is_some_and(|window| now + SEND_TIMEOUT <= at + window)",
        after: "PLANTED || dedupes.is_some_and(|window| now + SEND_TIMEOUT <= at + window)",
        why: "a send that was cut off is repeated where nobody drops the repeat",
    },
    Mutant {
        name: "doubt-forgotten",
        file: "shared/engine/src/deliver/ledger.rs",
        before: "unsure_since: unsure }",
        after: "unsure_since: unsure.filter(|_| !PLANTED) }",
        why: "a send that may have worked is forgotten when a later one fails, and is repeated when nobody drops it any more",
    },
    Mutant {
        name: "alerts-not-handed-over",
        file: "shared/engine/src/runs/commit.rs",
        before: "if !along.sends_alerts {",
        after: "if !along.sends_alerts && !PLANTED {",
        why: "whoever is to be told of a failure waits for the sweep",
    },
    Mutant {
        name: "answer-not-on-the-books",
        file: "shared/engine/src/runs/absorb.rs",
        before: "run.cost = run.cost.plus(hop.cost);",
        after: "if !PLANTED || path == Path::Realtime {\n        run.cost = run.cost.plus(hop.cost);\n    }",
        why: "money is paid that no run shows",
    },
    Mutant {
        name: "limit-not-kept",
        file: "shared/domain/src/budget.rs",
        before: "None => changes.push(Change { purse: limit.purse.clone(), by: signed(nano), most: Some(limit.most) }),",
        after: "None => changes.push(Change { purse: limit.purse.clone(), by: signed(nano), most: Some(if PLANTED { 9_000_000_000 } else { limit.most }) }),",
        why: "runs that race for the last cent all get it",
    },
    Mutant {
        name: "reserve-not-given-back",
        file: "shared/domain/src/budget.rs",
        before: "} else if old.nano > 0 && after.books.given_up > before.books.given_up {",
        after: "} else if old.nano > 0 && (PLANTED || after.books.given_up > before.books.given_up) {",
        why: "money stays set aside for calls that are over",
    },
    Mutant {
        name: "late-answers-not-in-totals",
        file: "shared/engine/src/runs/booking.rs",
        before: "writes.extend(spent.iter().map(Write::Spend));",
        after: "writes.extend(spent.iter().filter(|_| !PLANTED).map(Write::Spend));",
        why: "money is paid that cron cost does not show",
    },
    Mutant {
        name: "stop-not-looked-at",
        file: "shared/engine/src/stops.rs",
        before: ".filter(|stop| stop.holds(now))?;",
        after: ".filter(|stop| stop.holds(now) && !PLANTED)?;",
        why: "requests go on being sent to a provider that refuses them for want of money",
    },
    Mutant {
        name: "answered-event-stays",
        file: "shared/domain/src/heartbeat.rs",
        before: "State::Delivering => events.iter().map(|event| event.over(&run.key, true, now)).collect(),",
        after: "State::Delivering if PLANTED => Vec::new(),\n        State::Delivering => events.iter().map(|event| event.over(&run.key, true, now)).collect(),",
        why: "every heartbeat answers the same event again",
    },
    Mutant {
        name: "failed-turn-takes-events",
        file: "shared/domain/src/heartbeat.rs",
        before: "State::Failed { .. } if !is_paid => Vec::new(),",
        after: "State::Failed { .. } if PLANTED => events.iter().map(|event| event.over(&run.key, true, now)).collect(),\n        State::Failed { .. } if !is_paid => Vec::new(),",
        why: "a reminder is lost with the turn that failed before it could pass it on",
    },
    Mutant {
        name: "events-not-looked-at-again",
        file: "shared/engine/src/runs/sessions.rs",
        before: "let Some(seen) = seen.filter(|seen| !seen.events.is_empty()) else { return Ok(true) };",
        after: "let Some(seen) = seen.filter(|seen| !PLANTED && !seen.events.is_empty()) else { return Ok(true) };",
        why: "two heartbeats at the same time pass the same reminder on",
    },
    Mutant {
        name: "waiting-run-not-told",
        file: "shared/engine/src/runs/commit.rs",
        before: "for waiter in woken.into_iter().chain(told) {",
        after: "for waiter in woken.into_iter().chain(told.into_iter().filter(|_| !PLANTED)) {",
        why: "a reminder's run stays open until the sweep comes by",
    },
    Mutant {
        name: "session-not-woken-again",
        file: "shared/engine/src/heartbeat/waiting.rs",
        before: "scene.deps.timers.arm(&run.key.wake_timer(), at, &wake).await.map_err(EngineError::from)",
        after: "if PLANTED { Ok(()) } else { scene.deps.timers.arm(&run.key.wake_timer(), at, &wake).await.map_err(EngineError::from) }",
        why: "what was to wake the session waits for the sweep after a turn that failed",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::*;

    #[test]
    fn every_bug_can_still_be_planted_in_one_place_beside_the_others() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut texts: BTreeMap<&str, String> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for mutant in LIST {
            let Mutant { name, file, before, after, why } = mutant;
            let read = || std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let text = texts.entry(file).or_insert_with(read);
            *text = mutant.plant(text).unwrap_or_else(|| panic!("{name}: {before:?} is not once in {file}"));
            assert!(after.contains(PLANTED), "{name} is never asleep");
            assert!(!why.is_empty() && names.insert(name), "{name}");
        }
        assert!(LIST.len() >= 10, "{} bugs", LIST.len());
    }
}
