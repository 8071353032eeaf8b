//! The simulation: made-up cases, each a world with faults that has to come to rest with nothing lost and nothing twice.
//!
//! `SIM_SEED=` and `SIM_CASES=` choose other cases, `SIM=long` many more of them, `SIM_CASE=` a single one, which is traced;
//! `SIM_ALL=1` goes on after a failure and lists them all, uncut.

#![expect(clippy::print_stderr, reason = "figures, and cases to paste")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use nightshift_sim::case::{Case, Watch, play};
use nightshift_sim::hunt::{Kind, made_up, try_one};
use nightshift_sim::tally::Tally;

/// The seed of the cases that belong to every run of the tests.
const SEED: u64 = 20_261_121;
/// Cases of a run of the tests: with those of main sessions more than 200,000 operations.
const CASES: u64 = 4_800;
/// Cases of a long run: millions of operations.
const LONG: u64 = 60_000;
/// The same of main sessions.
const SESSIONS: u64 = 1_000;
const SESSIONS_LONG: u64 = 20_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_same_case_is_the_same_world_to_the_last_call() {
    let mut digests = std::collections::BTreeSet::new();
    for number in 0..12 {
        let case = made_up(Kind::Jobs, SEED, number).unwrap_or_else(|| panic!("case {number} cannot be made up"));
        let once = play(&case, Watch::Digest).unwrap_or_else(|failure| panic!("case {number} fails {failure}"));
        let again = play(&case, Watch::Digest).unwrap_or_else(|failure| panic!("case {number} fails {failure}"));
        assert_eq!(once, again, "case {number}");
        let other = Case { seed: case.seed ^ 1, ..case };
        let other = play(&other, Watch::Digest).unwrap_or_else(|failure| panic!("case {number} fails {failure}"));
        digests.extend([once.digest, other.digest]);
    }
    assert_eq!(digests.len(), 24, "another seed is another world");
}

#[test]
fn every_world_comes_to_rest_with_nothing_lost_and_nothing_twice() {
    every_world(Kind::Jobs, CASES, LONG);
}

#[test]
fn every_main_session_answers_each_event_once() {
    every_world(Kind::MainSession, SESSIONS, SESSIONS_LONG);
}

fn every_world(kind: Kind, short: u64, most: u64) {
    #[expect(clippy::disallowed_methods, reason = "how long the machine took is no part of the simulation")]
    let started = Instant::now();
    let long = std::env::var("SIM").is_ok_and(|word| word == "long");
    let seed = number("SIM_SEED").unwrap_or(SEED);
    let (first, cases) = match number("SIM_CASE") {
        Some(one) => (one, 1),
        None => (0, number("SIM_CASES").unwrap_or(if long { most } else { short })),
    };
    let threads = 2;
    let all = std::env::var("SIM_ALL").is_ok();
    let failures = AtomicU64::new(0);
    let share = |thread: u64| {
        let mut tally = Tally::default();
        for number in (first..first + cases).filter(|number| number % threads == thread) {
            if all {
                let played = made_up(kind, seed, number)
                    .map(|case| play(&case, if cases == 1 { Watch::Lines } else { Watch::Rules }));
                match played {
                    Some(Ok(played)) => tally += played.tally,
                    Some(Err(failure)) => {
                        failures.fetch_add(1, Ordering::Relaxed);
                        eprintln!("case {number} fails {failure}{}", failure.trace.join("\n"));
                    }
                    None => {}
                }
                continue;
            }
            match try_one(kind, seed, number) {
                Ok(played) => tally += played.tally,
                Err(found) => return Err(found),
            }
        }
        Ok(tally)
    };
    let shares: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|thread| scope.spawn(move || share(thread))).collect();
        all.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let mut tally = Tally::default();
    for share in shares {
        match share {
            Ok(Ok(part)) => tally += part,
            Ok(Err(found)) => panic!("{found}"),
            Err(panicked) => std::panic::resume_unwind(panicked),
        }
    }
    eprintln!("sim: {kind:?}, seed {seed}: {tally}, {:.1} s on {threads} threads", started.elapsed().as_secs_f64());
    let failures = failures.into_inner();
    assert_eq!(failures, 0, "cases that fail");
}
