//! Which way a turn is cheapest, and why.
//!
//! Guarantee: of the ways that are in time, the one with the least expected cost, by the model's own prices. What it does not
//! know: how many steps a turn will have. It takes the job's last turns for it, each with the same weight, and a guess where
//! there are none.
//!
//! A batch costs half of every token, but a turn whose tools Nightshift runs sends its prompt again with each step, and in a
//! batch without the cache that makes it cheap in realtime; so a batch is half the price of one step, and from about the
//! fourth on may be the dearer way.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::money::{InRealtime, NanoUsd, PriceRow, Tokens, usd};
use crate::schedule::format_duration;

mod forecast;
mod shape;

pub use forecast::Forecast;
pub use shape::{Habits, Shape, Went, guesses};

/// How many reads of a prefix kept for an hour find it, of a hundred: an assumption, as nothing is documented but "30 to 98 %"
/// within one batch (Batch processing page, 2026-10). What really was read is in the ledger.
const HITS: u64 = 98;
/// What AWS charges for waiting for one batch, billionths of a dollar: four looks (half of all batches have ended by the fourth,
/// after some seven minutes) of what [`crate::aws::look`] reckons.
pub const WAIT_NANO: NanoUsd = 25_000;

/// A way to have a turn answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// In realtime, with the cache where that pays.
    Realtime,
    /// Each step in a batch, without a cache.
    Batch,
    /// Each step in a batch, with the prompt kept for an hour.
    BatchHour,
    /// One batch, in which the provider calls our tools over MCP.
    OneCall,
}

impl Way {
    /// Every one, the simplest first: of two that cost the same the first is taken.
    pub const ALL: [Self; 4] = [Self::OneCall, Self::Batch, Self::BatchHour, Self::Realtime];

    /// For a person.
    pub fn words(self) -> &'static str {
        match self {
            Self::Realtime => "realtime",
            Self::Batch => "a batch for each step",
            Self::BatchHour => "a batch for each step, with the prompt kept for an hour",
            Self::OneCall => "one batch in which the provider calls the tools",
        }
    }

    /// How many batches, one after the other, a turn of so many steps waits for.
    fn waits(self, steps: u32) -> u32 {
        match self {
            Self::Realtime => 0,
            Self::OneCall => 1,
            Self::Batch | Self::BatchHour => steps,
        }
    }
}

/// What is known before a turn begins.
#[derive(Debug, Clone, Copy)]
pub struct Outlook<'a> {
    /// What the model costs.
    pub price: &'a PriceRow,
    /// How the turn may go, each as likely as the others; at least one.
    pub shapes: &'a [Shape],
    /// Whether that is the job's own history.
    pub learned: bool,
    /// Whether the provider can call our tools itself.
    pub one_call: bool,
    /// What a batch takes at most, nearly always.
    pub wait: TimeDelta,
    /// How long the answer may take.
    pub time: TimeDelta,
}

/// The way that was chosen, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The way.
    pub way: Way,
    /// What the turn is expected to cost so.
    pub expected: NanoUsd,
    /// One sentence.
    pub reason: String,
}

/// Chooses.
pub fn choose(outlook: &Outlook<'_>) -> Choice {
    let (costs, steps) = (expected(outlook), steps(outlook.shapes));
    let of = |way: Way| costs.iter().find(|(known, _)| *known == way).map_or(NanoUsd::MAX, |(_, cost)| *cost);
    let in_time = |way: Way| outlook.wait * i32::try_from(way.waits(steps)).unwrap_or(i32::MAX) <= outlook.time;
    let cheapest = costs.iter().min_by_key(|(_, cost)| *cost).map_or(Way::Realtime, |(way, _)| *way);
    let (way, expected) = costs
        .iter()
        .filter(|(way, _)| in_time(*way))
        .min_by_key(|(_, cost)| *cost)
        .map_or((Way::Realtime, of(Way::Realtime)), |(way, cost)| (*way, *cost));
    let reason = if way == cheapest {
        because(outlook, way, steps, &of)
    } else {
        let waits = cheapest.waits(steps);
        format!(
            "{}: {} may take {}, and the answer is wanted within {}",
            way.words(),
            counted(waits, "batch", "batches one after the other"),
            format_duration(outlook.wait * i32::try_from(waits).unwrap_or(i32::MAX)),
            format_duration(outlook.time),
        )
    };
    Choice { way, expected, reason: format!("{reason}; {}", source(outlook)) }
}

/// What a turn costs each way, on the average of its shapes, in the order of [`Way::ALL`].
pub fn expected(outlook: &Outlook<'_>) -> Vec<(Way, NanoUsd)> {
    let ways = Way::ALL.into_iter().filter(|way| *way != Way::OneCall || outlook.one_call);
    let count = outlook.shapes.len().max(1) as u64;
    let mean = |way| outlook.shapes.iter().map(|shape| cost(way, shape, outlook.price)).sum::<NanoUsd>() / count;
    ways.map(|way| (way, mean(way))).collect()
}

/// What a turn of this shape costs this way.
pub fn cost(way: Way, shape: &Shape, price: &PriceRow) -> NanoUsd {
    let steps: Vec<Tokens> = shape.steps().collect();
    let waits = NanoUsd::from(way.waits(shape.steps)) * WAIT_NANO;
    let cost = match way {
        Way::Realtime => realtime(&steps, price).0,
        Way::Batch => steps.iter().map(|step| step.batch(price)).sum(),
        Way::BatchHour => kept_for_an_hour(&steps, price),
        // The provider's loop has the same tokens in a batch as in realtime, its own use of the cache included.
        Way::OneCall => {
            let fees = Tokens { searches: shape.searches, ..Tokens::default() }.realtime(price);
            (realtime(&steps, price).0 - fees) / 2 + fees
        }
    };
    cost + waits
}

/// What steps cost in realtime at the best, and whether that is with the cache.
fn realtime(steps: &[Tokens], price: &PriceRow) -> (NanoUsd, bool) {
    let (mut before, mut uncached, mut cached) = (0, 0, 0);
    for step in steps {
        let both = InRealtime::of(step, price, before);
        (uncached, cached) = (uncached + both.uncached_nano_usd, cached + both.cached_nano_usd);
        before = step.prompt();
    }
    (uncached.min(cached), cached < uncached)
}

/// Steps in batches that write their prompt for an hour and read what the last one wrote, [`HITS`] times of a hundred.
fn kept_for_an_hour(steps: &[Tokens], price: &PriceRow) -> NanoUsd {
    let (mut before, mut sum) = (0, 0);
    for step in steps {
        let prompt = step.prompt();
        let written = Tokens { input: 0, write_1h: prompt, ..*step };
        let read = Tokens { write_1h: prompt - before, read: before, ..written };
        sum += if before == 0 {
            written.batch(price)
        } else {
            (read.batch(price) * HITS + written.batch(price) * (100 - HITS)) / 100
        };
        before = prompt;
    }
    sum
}

/// How many steps to reckon with: as many as the longest but one in ten has.
fn steps(shapes: &[Shape]) -> u32 {
    let mut steps: Vec<u32> = shapes.iter().map(|shape| shape.steps).collect();
    steps.sort_unstable();
    let last = steps.len().saturating_sub(1);
    steps.get(last - last / 10).copied().unwrap_or(1)
}

fn because(outlook: &Outlook<'_>, way: Way, steps: u32, of: &impl Fn(Way) -> NanoUsd) -> String {
    let (words, cost) = (way.words(), dollars(of(way)));
    let prefix = outlook.shapes.iter().map(|shape| shape.prefix).max().unwrap_or(0);
    let expected = counted(steps, "step", "steps");
    match way {
        Way::OneCall => format!(
            "{words}: {expected} wait for one batch and cost half, about {cost} instead of {}",
            dollars(of(Way::Realtime))
        ),
        Way::Batch if steps == 1 => format!(
            "a batch: one step has nothing to gain from a cache and costs half, about {cost} instead of {}",
            dollars(of(Way::Realtime))
        ),
        Way::Batch => format!(
            "{words}: with {expected} and {prefix} tokens before them half of the price is worth more than a cache, about \
             {cost} instead of {}",
            dollars(of(Way::Realtime))
        ),
        Way::BatchHour => format!(
            "{words}: {expected} send the same {prefix} tokens, about {cost} instead of {} without the cache and {} in realtime",
            dollars(of(Way::Batch)),
            dollars(of(Way::Realtime))
        ),
        Way::Realtime => format!(
            "{words}: {expected} with {prefix} tokens before them cost about {cost}, and {} in batches with the wait for them",
            dollars(of(Way::Batch).min(of(Way::BatchHour)))
        ),
    }
}

fn source(outlook: &Outlook<'_>) -> String {
    match (outlook.learned, outlook.shapes.len()) {
        (true, 1) => "as its last turn went".to_owned(),
        (true, many) => format!("as its last {many} turns went"),
        (false, 1) => "it has no tools to run".to_owned(),
        (false, _) => "a guess, because none of its turns is known".to_owned(),
    }
}

fn counted(number: u32, one: &str, many: &str) -> String {
    if number == 1 { format!("a {one}") } else { format!("{number} {many}") }
}

/// To a hundredth of a cent, or as little as there is.
fn dollars(nano: NanoUsd) -> String {
    if nano < 100_000 { "<$0.0001".to_owned() } else { format!("${:.4}", usd(nano)) }
}

#[cfg(test)]
mod tests;
