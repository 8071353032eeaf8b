//! Every effect of every function: failed before, failed after, run twice, crashed after. The table is made of what the
//! functions do: an effect that is new appears in it by itself.
//!
//! A play leads up to one invocation and is played once undisturbed, to see its effects and its end. Then it is played again
//! for every effect and every fault; afterwards the world goes on for hours without faults, and has to come to the same end.
//!
//! `EFFECTS=word` plays those alone that have the word in their name.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]
#![expect(clippy::print_stdout, reason = "the table is for people")]

#[path = "effects/deliveries.rs"]
mod deliveries;
#[path = "effects/judge.rs"]
mod judge;
#[path = "effects/repairs.rs"]
mod repairs;
#[path = "effects/scenarios.rs"]
mod scenarios;
#[path = "effects/stage.rs"]
mod stage;
#[path = "effects/windows.rs"]
mod windows;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use nightshift_sim::gate::Call;

use judge::{Outcome, differs, outcome, wrong};
use scenarios::Scenario;
use stage::{FAULTS, Fault, Stage};

/// How long the world goes on after the disturbed invocation: longer than every retry, lease, search and sweep takes, and
/// short of the next day's occurrence.
const AFTERWARDS: TimeDelta = TimeDelta::hours(12);

struct Clean {
    effects: Vec<Call>,
    /// The first of them that is disturbed.
    from: usize,
    outcome: Outcome,
}

fn clean(scenario: &Scenario) -> Result<Clean, String> {
    let mut stage = Stage::new();
    let queued = (scenario.prepare)(&mut stage);
    let meanwhile = stage.meanwhile;
    let effects = stage.effects_of(&queued);
    // What comes before somebody else steps in is as in the plays in which nobody does.
    let from = meanwhile.and_then(|(name, _)| effects.iter().position(|call| call.name == name)).map_or(0, |at| at + 1);
    stage.go_on(AFTERWARDS);
    let mut found = wrong(&stage, None);
    found.extend(stage.dead.iter().chain(&stage.refused).cloned());
    if effects.is_empty() {
        found.push("it has no effect".to_owned());
    }
    let place = || format!("{}: {}, undisturbed: {found:#?}", scenario.function, scenario.name);
    if found.is_empty() { Ok(Clean { effects, from, outcome: outcome(&stage) }) } else { Err(place()) }
}

/// Plays `scenario` with `fault` at its `nth` effect; what is wrong with the end.
fn disturbed(scenario: &Scenario, clean: &Clean, nth: usize, fault: Fault) -> Vec<String> {
    let mut stage = Stage::new();
    let queued = (scenario.prepare)(&mut stage);
    if !stage.disturb(&queued, nth, fault) {
        return vec!["the effect is not reached".to_owned()];
    }
    stage.go_on(AFTERWARDS);
    let mut found = wrong(&stage, Some(fault));
    found.extend(stage.dead.iter().map(|dead| format!("given up: {dead}")));
    found.extend(differs(scenario.function, &clean.outcome, &outcome(&stage), &clean.effects[nth], fault));
    found
}

/// What a line of the table tells: an effect of a function, over all plays.
#[derive(Default)]
struct Line {
    /// How many plays had it, and in how many it went wrong.
    cells: [(u32, u32); FAULTS.len()],
}

impl Line {
    fn row(&self) -> String {
        let cell = |(all, wrong): &(u32, u32)| match wrong {
            0 => format!("ok {all}"),
            wrong => format!("WRONG {wrong} of {all}"),
        };
        self.cells.iter().map(|each| format!(" {:<14}", cell(each))).collect::<Vec<_>>().concat()
    }
}

#[test]
fn every_effect_may_fail_before_and_after_be_repeated_and_be_the_last_of_its_invocation() {
    let (mut failures, mut plays, mut effects) = (Vec::new(), 0, 0);
    let mut table: BTreeMap<(&str, String), Line> = BTreeMap::new();
    let only = std::env::var("EFFECTS").unwrap_or_default();
    let chosen: Vec<_> = scenarios::all().filter(|scenario| scenario.name.contains(&only)).collect();
    assert!(!chosen.is_empty(), "no play is called {only:?}");
    for scenario in &chosen {
        let clean = match clean(scenario) {
            Ok(clean) => clean,
            Err(found) => {
                failures.push(found);
                continue;
            }
        };
        effects += clean.effects.len() - clean.from;
        for (nth, call) in clean.effects.iter().enumerate().skip(clean.from) {
            let line = table.entry((scenario.function, format!("{:?}: {}", call.port, call.name))).or_default();
            for (fault, (all, wrong)) in FAULTS.into_iter().zip(&mut line.cells) {
                plays += 1;
                *all += 1;
                let found = disturbed(scenario, &clean, nth, fault);
                if !found.is_empty() {
                    *wrong += 1;
                    let place = format!("{}: {}, {} ({nth})", scenario.function, scenario.name, call.name);
                    failures.push(format!("{place}, {}: {found:#?}", fault.name()));
                }
            }
        }
    }
    let head = FAULTS.iter().map(|fault| format!(" {:<14}", fault.name())).collect::<Vec<_>>().concat();
    println!("{:<10} {:<42}{head}", "function", "effect, in so many plays");
    for ((function, effect), line) in &table {
        println!("{function:<10} {effect:<42}{}", line.row());
    }
    println!("\n{plays} plays: {effects} effects in {} situations, {} faults each", chosen.len(), FAULTS.len());
    assert!(failures.is_empty(), "{} of {plays} plays went wrong:\n{}", failures.len(), failures.join("\n"));
}
