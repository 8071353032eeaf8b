//! Makes up cases, plays them, and cuts one that fails down to what it needs to fail.
//!
//! Guarantee: case `n` of a seed is the same case on every machine and in every order.

use std::fmt;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::case::{Case, Failure, Played, Watch, play};
use crate::generate;

/// How often a smaller case is tried.
const SMALLER_TRIES: u32 = 3_000;

/// What a case is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Jobs, and their batches.
    Jobs,
    /// A main session.
    MainSession,
}

/// A case that fails.
#[derive(Debug)]
pub struct Found {
    /// What it is about.
    pub kind: Kind,
    /// The seed it was made up from.
    pub seed: u64,
    /// Its number.
    pub number: u64,
    /// As small as it could be made.
    pub case: Case,
    /// How it fails.
    pub failure: Box<Failure>,
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "case {} ({:?}) of seed {} fails {}", self.number, self.kind, self.seed, self.failure)?;
        for line in &self.failure.trace {
            writeln!(formatter, "    {line}")?;
        }
        writeln!(formatter, "as a regression, for tests/sim/src/regressions.rs:")?;
        writeln!(formatter, "{}", serde_json::to_string(&self.case).unwrap_or_default())
    }
}

/// A tree of the case numbered `number` of `seed`, which knows how to grow smaller.
fn tree(kind: Kind, seed: u64, number: u64) -> Option<Box<dyn ValueTree<Value = Case>>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    match kind {
        Kind::Jobs => generate::case().boxed().new_tree(&mut runner).ok(),
        Kind::MainSession => generate::main_session().boxed().new_tree(&mut runner).ok(),
    }
}

/// The case numbered `number` of `seed`.
pub fn made_up(kind: Kind, seed: u64, number: u64) -> Option<Case> {
    tree(kind, seed, number).map(|tree| tree.current())
}

/// Plays the case numbered `number` of `seed`.
pub fn try_one(kind: Kind, seed: u64, number: u64) -> Result<Played, Box<Found>> {
    let Some(mut tree) = tree(kind, seed, number) else {
        return Ok(Played { tally: crate::tally::Tally::default(), digest: 0 });
    };
    let case = tree.current();
    let failure = match play(&case, Watch::Rules) {
        Ok(played) => return Ok(played),
        Err(failure) => failure,
    };
    // What it breaks first names it: a smaller case that breaks another rule is another case.
    let rule = failure.violations.first().map(|violation| violation.rule);
    let mut smallest = case;
    let mut tries = 0;
    let mut smaller = tree.simplify();
    while smaller && tries < SMALLER_TRIES {
        tries += 1;
        let case = tree.current();
        let same = play(&case, Watch::Rules)
            .err()
            .is_some_and(|failure| failure.violations.first().map(|violation| violation.rule) == rule);
        smaller = if same {
            smallest = case;
            tree.simplify()
        } else {
            tree.complicate()
        };
    }
    let failure = play(&smallest, Watch::Lines).err().unwrap_or(failure);
    Err(Box::new(Found { kind, seed, number, case: smallest, failure }))
}
