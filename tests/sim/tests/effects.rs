//! Every effect of every function: failed before, failed after, run twice, crashed after. The table is made of what the
//! functions do: an effect that is new appears in it by itself.
//!
//! A play leads up to one invocation and is played once undisturbed, to see its effects and its end. Then it is played again
//! for every effect and every fault; afterwards the world goes on for hours without faults, and has to come to the same end.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]
#![expect(clippy::print_stdout, reason = "the table is for people")]

#[path = "effects/judge.rs"]
mod judge;
#[path = "effects/scenarios.rs"]
mod scenarios;
#[path = "effects/stage.rs"]
mod stage;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use chrono::TimeDelta;
use nightshift_sim::gate::Call;

use judge::{Outcome, differs, outcome, wrong};
use scenarios::{SCENARIOS, Scenario};
use stage::{FAULTS, Fault, Stage};

/// How long the world goes on after the disturbed invocation: longer than every retry, lease, search and sweep takes, and
/// short of the next day's occurrence.
const AFTERWARDS: TimeDelta = TimeDelta::hours(12);

/// What is known to be wrong with the product: a cell that is not counted, and why. An entry goes when its cells are mended;
/// the table says so.
struct Known {
    name: &'static str,
    effect: &'static str,
    fault: Option<Fault>,
    why: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        name: "a missed fire",
        effect: "",
        fault: None,
        why: "the job's timer is set last: cut off before, the job has none until its next occurrence is overdue",
    },
    Known {
        name: "resume after a pause",
        effect: "message",
        fault: Some(Fault::After),
        why: "a refusal that cost nothing counts as one of the two starts of a hop",
    },
];

fn known(scenario: &Scenario, call: &Call, fault: Fault) -> Option<&'static Known> {
    KNOWN.iter().find(|known| {
        known.name == scenario.name
            && call.name.starts_with(known.effect)
            && known.fault.is_none_or(|only| only == fault)
    })
}

struct Clean {
    effects: Vec<Call>,
    outcome: Outcome,
}

fn clean(scenario: &Scenario) -> Clean {
    let mut stage = Stage::new();
    let queued = (scenario.prepare)(&mut stage);
    let effects = stage.effects_of(&queued);
    stage.go_on(AFTERWARDS);
    let wrong = wrong(&stage);
    assert!(wrong.is_empty(), "{}: {}, undisturbed: {wrong:#?}", scenario.function, scenario.name);
    assert!(stage.dead.is_empty() && stage.refused.is_empty(), "{:?} {:?}", stage.dead, stage.refused);
    Clean { effects, outcome: outcome(&stage) }
}

/// Plays `scenario` with `fault` at its `nth` effect; what is wrong with the end.
fn disturbed(scenario: &Scenario, clean: &Clean, nth: usize, fault: Fault) -> Vec<String> {
    let mut stage = Stage::new();
    let queued = (scenario.prepare)(&mut stage);
    if !stage.disturb(&queued, nth, fault) {
        return vec!["the effect is not reached".to_owned()];
    }
    stage.go_on(AFTERWARDS);
    let mut found = wrong(&stage);
    found.extend(stage.dead.iter().map(|dead| format!("given up: {dead}")));
    found.extend(differs(scenario.function, &clean.outcome, &outcome(&stage), &clean.effects[nth], fault));
    found
}

#[test]
fn every_effect_may_fail_before_and_after_be_repeated_and_be_the_last_of_its_invocation() {
    let (mut table, mut failures, mut cells) = (String::new(), Vec::new(), 0);
    let mut met = BTreeSet::new();
    for scenario in SCENARIOS {
        let clean = clean(scenario);
        assert!(!clean.effects.is_empty(), "{}: {} has no effect", scenario.function, scenario.name);
        let _ = writeln!(table, "\n{}: {}", scenario.function, scenario.name);
        for (nth, call) in clean.effects.iter().enumerate() {
            let _ = write!(table, "  {:<44}", format!("{:?} {}", call.port, call.name));
            for fault in FAULTS {
                let found = disturbed(scenario, &clean, nth, fault);
                let known = known(scenario, call, fault);
                let word = match (found.is_empty(), known) {
                    (true, _) => "ok",
                    (false, Some(_)) => "known",
                    (false, None) => "WRONG",
                };
                let _ = write!(table, " {word:<14}");
                cells += 1;
                if let Some(known) = known.filter(|_| !found.is_empty()) {
                    met.insert(known.why);
                } else if !found.is_empty() {
                    let place = format!("{}: {}, {} ({nth})", scenario.function, scenario.name, call.name);
                    failures.push(format!("{place}, {}: {found:#?}", fault.name()));
                }
            }
            table.push('\n');
        }
    }
    for known in KNOWN {
        let still = if met.contains(known.why) { "known" } else { "mended: take it off the list" };
        let _ = writeln!(table, "\n{still}: {}: {}", known.name, known.why);
    }
    let head: Vec<String> = FAULTS.iter().map(|fault| format!("{:<14}", fault.name())).collect();
    println!("{:<46} {}{table}\n{cells} plays", "effect", head.join(" "));
    assert!(failures.is_empty(), "{} of {cells} plays went wrong:\n{}", failures.len(), failures.join("\n"));
}
