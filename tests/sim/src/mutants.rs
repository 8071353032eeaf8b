//! Bugs that are planted in the product to see whether the simulation notices. `make mutants` plants them one by one.
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
    /// The bug.
    pub after: &'static str,
    /// What it would do to somebody.
    pub why: &'static str,
}

/// All of them.
pub const LIST: &[Mutant] = &[
    Mutant {
        name: "no-intent",
        file: "shared/engine/src/runs/submit.rs",
        before: "let along = Along { batch: Some(&batch), ..Along::default() };\n    let Some(sealed)",
        after: "let along = Along::default();\n    let Some(sealed)",
        why: "a batch is created that no row knows of: it is paid and nobody ever looks at it",
    },
    Mutant {
        name: "create-repeated",
        file: "shared/engine/src/runs/submit.rs",
        before: "match batches.create(&rows).await {",
        after: "let mut made = batches.create(&rows).await;\n    if matches!(made, Err(CreateError::Unanswered(_))) {\n        made = batches.create(&rows).await;\n    }\n    match made {",
        why: "the first create may have worked: the hop is paid twice",
    },
    Mutant {
        name: "unanswered-is-refused",
        file: "shared/engine/src/runs/submit.rs",
        before: "Err(CreateError::Refused(error)) => refused(",
        after: "Err(CreateError::Refused(error) | CreateError::Unanswered(error)) => refused(",
        why: "a lost answer is taken for a refusal, and the hop is sent and paid again",
    },
    Mutant {
        name: "search-gives-up-at-once",
        file: "shared/domain/src/batch.rs",
        before: "[] if now >= batch.started_at + CREATE_SETTLES_AFTER && !contested",
        after: "[] if !contested",
        why: "a batch the list does not show yet is created a second time",
    },
    Mutant {
        name: "search-never-gives-up",
        file: "shared/domain/src/batch.rs",
        before: "[] if now >= batch.started_at + CREATE_SETTLES_AFTER && !contested",
        after: "[] if now < batch.started_at && !contested",
        why: "a run whose create never arrived waits for ever",
    },
    Mutant {
        name: "adopts-what-is-known",
        file: "shared/domain/src/batch.rs",
        before: ".filter(|one| !one.known && !one.tentative)",
        after: ".filter(|one| !one.tentative)",
        why: "a lost create takes the batch of another run for its own",
    },
    Mutant {
        name: "not-found-is-believed",
        file: "shared/engine/src/batches.rs",
        before: "if now < (batch.started_at + BELIEVED_GONE_AFTER).max(batch.deadline) {",
        after: "if now < batch.started_at {",
        why: "a passing 404 costs a paid batch, and the hop is paid again",
    },
    Mutant {
        name: "missing-rows-forgotten",
        file: "shared/engine/src/batches/settle.rs",
        before: "hand_out(scene, &batch, member, RowResult::Missing, now).await?;",
        after: "",
        why: "a run whose row is not among the results waits for ever",
    },
    Mutant {
        name: "wrong-row-sent-again",
        file: "shared/domain/src/run/next.rs",
        before: "Event::BatchEnded(RowResult::Errored { kind: ModelErrorKind::Invalid, message }) => {",
        after: "Event::BatchEnded(RowResult::Errored { kind: ModelErrorKind::Invalid, message }) if attempt > 1 => {",
        why: "a request that is wrong is sent again as it is",
    },
    Mutant {
        name: "realtime-started-again-and-again",
        file: "shared/domain/src/run/next.rs",
        before: "Event::HolderDied if starts >= MAX_STARTS => {",
        after: "Event::HolderDied if starts >= 9 * MAX_STARTS => {",
        why: "a hop whose invocation keeps dying is paid each time",
    },
    Mutant {
        name: "lease-not-looked-at",
        file: "shared/domain/src/run/lease.rs",
        before: "lease.until > now && lease.owner != owner",
        after: "lease.until > now && lease.owner == owner && lease.until < now",
        why: "two invocations work on one run: the model is asked twice",
    },
    Mutant {
        name: "lost-race-taken-for-won",
        file: "shared/engine/src/runs/commit.rs",
        before: "Outcome::Lost(_) => Written::RunMoved,",
        after: "Outcome::Lost(_) => Written::All,",
        why: "whoever was too late goes on as if he had written, and does what another does already",
    },
    Mutant {
        name: "place-not-given-back",
        file: "shared/engine/src/runs/commit.rs",
        before: "(Some(place), None) => writes.push(Write::FreePlace { place, run: &after.key }),",
        after: "(Some(_), None) => {}",
        why: "after a few turns no realtime turn runs any more",
    },
    Mutant {
        name: "claim-over-a-claim",
        file: "shared/engine/src/testing/rows.rs",
        before: "None if row.rev <= 1 => Fate::Fits,",
        after: "_ if row.rev <= 1 => Fate::Fits,",
        why: "an occurrence that is claimed already is claimed again over its row, and runs twice",
    },
    Mutant {
        name: "sent-before-it-is-written",
        file: "shared/engine/src/deliver/ledger.rs",
        before: "if !written(scene, chunk, expires_at).await? {\n                    return Ok(Sending::Taken);\n                }\n                chunk.state = send(",
        after: "chunk.rev -= 1;\n                chunk.state = send(",
        why: "a crash after a send leaves no trace of it: the message is sent twice",
    },
    Mutant {
        name: "unknown-chunk-sent-again",
        file: "shared/domain/src/delivery.rs",
        before: "ChunkState::Sending { at } if repeat_is_safe(*at) => Step::Send,",
        after: "ChunkState::Sending { .. } => Step::Send,",
        why: "a send that was cut off is repeated where nobody drops the repeat",
    },
    Mutant {
        name: "answer-not-on-the-books",
        file: "shared/engine/src/runs/absorb.rs",
        before: "run.cost = run.cost.plus(cost);",
        after: "if path == Path::Batch {\n        run.cost = run.cost.plus(cost);\n    }",
        why: "money is paid that no run shows",
    },
    Mutant {
        name: "session-not-given-back",
        file: "shared/engine/src/runs/commit.rs",
        before: "writes.push(Write::Session(change));",
        after: "if after.ended_at.is_none() {\n            writes.push(Write::Session(change));\n        }",
        why: "a session stays with a run that is over: nothing that goes on with it runs any more",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_bug_can_still_be_planted_in_one_place_only() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut names = BTreeSet::new();
        for Mutant { name, file, before, after, why } in LIST {
            let text = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(text.matches(before).count(), 1, "{name}: {before:?} in {file}");
            assert_ne!(before, after, "{name}");
            assert!(!why.is_empty() && names.insert(name), "{name}");
        }
        assert!(LIST.len() >= 10, "{} bugs", LIST.len());
    }
}
