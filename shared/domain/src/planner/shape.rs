//! How turns go: what one had, what a job's usually have, and what is guessed of those that had none.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::money::Tokens;
use crate::run::{Run, Via, best_realtime};

/// How many turns of a job are remembered.
const TURNS: usize = 10;
/// How many waits for a batch are remembered.
const WAITS: usize = 40;
/// With fewer, what is known of others counts.
const FEWEST_WAITS: usize = 5;
/// What a batch takes at most, nearly always, where the job's own are not known.
const PRIOR: TimeDelta = TimeDelta::hours(1);
/// What a step adds to the conversation, tokens: an answer that calls a tool and what the tool says. A guess.
const GROWTH: u64 = 2_000;
/// What a step writes, tokens. A guess.
const OUTPUT: u64 = 800;
/// The steps of turns nobody knows yet, where tools may be called.
const STEPS: [u32; 4] = [1, 2, 3, 5];

/// How a turn may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// What it begins with: system prompt, tools, history and prompt, tokens.
    pub prefix: u64,
    /// What each step adds to that, tokens.
    pub growth: u64,
    /// What each step writes, tokens.
    pub output: u64,
    /// How many steps it has.
    pub steps: u32,
    /// How many web searches.
    pub searches: u64,
}

impl Shape {
    /// Its steps, each with all its input as such; the searches are the first one's.
    pub fn steps(&self) -> impl Iterator<Item = Tokens> + use<> {
        let Self { prefix, growth, output, steps, searches } = *self;
        (0..u64::from(steps.max(1))).map(move |step| Tokens {
            input: prefix + growth * step,
            output,
            searches: if step == 0 { searches } else { 0 },
            ..Tokens::default()
        })
    }
}

/// How the turns of a job went lately.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Habits {
    /// Its last turns that succeeded, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Went>,
    /// How long its last batches took, seconds, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<u32>,
    /// How long its last turns that went through batches waited for all of those, seconds, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub turnarounds: Vec<u32>,
    /// How many of our tools the provider called within each hop of the last turn in which it could.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_calls: Option<Vec<u32>>,
}

/// How one turn went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Went {
    /// How many steps it had, those of the provider's own loop over our tools among them.
    pub steps: u32,
    /// What they wrote, tokens.
    pub output: u64,
    /// What a step added to the prompt, tokens, where that could be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth: Option<u64>,
    /// How many web searches there were.
    #[serde(default, skip_serializing_if = "is_none")]
    pub searches: u64,
    /// What it cost, billionths of a dollar, with all that was of no use.
    #[serde(default)]
    pub paid: u64,
    /// The best that it would have cost in realtime.
    #[serde(default)]
    pub realtime: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(number: &u64) -> bool {
    *number == 0
}

impl Habits {
    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Remembers `run`, which has succeeded.
    pub fn learn(&mut self, run: &Run) {
        if run.plan.as_ref().is_some_and(|plan| plan.endpoint.is_some()) {
            let hops = run.used().map(|hop| hop.n);
            self.last_calls = Some(hops.map(|hop| run.talk.called_within(hop)).collect());
        }
        if let Some(went) = went(run) {
            keep(&mut self.turns, went, TURNS);
        }
        self.learn_waits(run);
    }

    /// Remembers how long `run`, which has failed, waited for a batch that it gave up.
    pub fn learn_in_vain(&mut self, run: &Run) {
        if waits_in_vain(run).next().is_some() {
            self.learn_waits(run);
        }
    }

    fn learn_waits(&mut self, run: &Run) {
        let vain: Vec<u32> = waits_in_vain(run).map(|seconds| seconds.saturating_mul(2)).collect();
        let waits: Vec<u32> = run.used().filter_map(|hop| hop.waited_seconds).chain(vain).collect();
        if waits.is_empty() {
            return;
        }
        let all = waits.iter().fold(collected_for(run), |sum, wait| sum.saturating_add(*wait));
        keep(&mut self.turnarounds, all, WAITS);
        for seconds in waits {
            keep(&mut self.waits, seconds, WAITS);
        }
    }

    /// What a batch of the job takes at most, but for one in twenty: from its last ones, and an hour where there are few,
    /// because 90 of 100 batches take less than that (`OpenRouter`'s figures over 230,000 batches, a third party).
    pub fn wait(&self) -> TimeDelta {
        nearly_all(&self.waits)
    }

    /// What all batches of a turn take at most together, by the same rule.
    pub fn turnaround(&self) -> TimeDelta {
        nearly_all(&self.turnarounds)
    }

    /// How many steps the longest of its last turns had.
    pub fn most_steps(&self) -> u32 {
        self.turns.iter().map(|went| went.steps).max().unwrap_or(1)
    }

    /// How turns that begin with so many tokens go, as far as it knows; empty where it knows nothing.
    pub fn shapes(&self, prefix: u64) -> Vec<Shape> {
        let shape = |went: &Went| Shape {
            prefix,
            growth: went.growth.unwrap_or(GROWTH),
            output: went.output / u64::from(went.steps.max(1)),
            steps: went.steps,
            searches: went.searches,
        };
        self.turns.iter().map(shape).collect()
    }
}

/// What 19 of 20 of `seconds` were within.
fn nearly_all(seconds: &[u32]) -> TimeDelta {
    if seconds.len() < FEWEST_WAITS {
        return PRIOR;
    }
    let mut sorted = seconds.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * 95).div_ceil(100).saturating_sub(1);
    TimeDelta::seconds(sorted.get(at).copied().map_or(PRIOR.num_seconds(), i64::from))
}

/// How long the run was in batches that it gave up because its time was over, seconds. How long those would have taken
/// nobody knows: they are taken for twice as long, so that what is learned is not only of the quick ones.
fn waits_in_vain(run: &Run) -> impl Iterator<Item = u32> {
    let mut since = None;
    run.events.iter().filter_map(move |line| match line.event.as_str() {
        "submitted" => {
            since = Some(line.at_ms);
            None
        }
        "canceling" => since.take().and_then(|since| u32::try_from((line.at_ms - since) / 1000).ok()),
        _ => None,
    })
}

/// How long its hops were ready before they were in their batches, seconds.
fn collected_for(run: &Run) -> u32 {
    let (mut since, mut sum) = (None, 0);
    for line in &run.events {
        match line.event.as_str() {
            "ready" => since = since.or(Some(line.at_ms)),
            "submitted" => sum += since.take().map_or(0, |since| line.at_ms - since),
            _ => {}
        }
    }
    u32::try_from(sum / 1000).unwrap_or(0)
}

fn keep<T>(all: &mut Vec<T>, one: T, most: usize) {
    all.push(one);
    let over = all.len().saturating_sub(most);
    all.drain(..over);
}

/// What is to be remembered of a run; nothing of one that called no model.
fn went(run: &Run) -> Option<Went> {
    let hops: Vec<Tokens> = run.used().filter(|hop| !hop.compaction).map(|hop| Tokens::of(&hop.usage)).collect();
    let inner = run.talk.calls.iter().filter(|call| call.via == Via::Endpoint).count();
    let (first, last) = (hops.first()?, hops.last()?);
    let between = hops.len() as u64 - 1;
    // A prompt of the provider's own loop is the sum of all it sent there.
    let seen = between > 0 && inner == 0;
    Some(Went {
        steps: u32::try_from(hops.len() + inner).unwrap_or(u32::MAX),
        output: hops.iter().map(|hop| hop.output).sum(),
        growth: seen.then(|| last.prompt().saturating_sub(first.prompt()) / between),
        searches: hops.iter().map(|hop| hop.searches).sum(),
        paid: run.cost.paid_nano_usd,
        realtime: best_realtime(&run.hops),
    })
}

/// How turns may go that nobody knows yet: those without tools of ours have one step.
pub fn guesses(prefix: u64, has_tools: bool) -> Vec<Shape> {
    let shape = |steps| Shape { prefix, growth: GROWTH, output: OUTPUT, steps, searches: 0 };
    if has_tools { STEPS.map(shape).to_vec() } else { vec![shape(1)] }
}
