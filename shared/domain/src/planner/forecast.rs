//! What a job will cost in a month.

use super::shape::{Habits, Shape};
use super::{Way, cost};
use crate::money::{NanoUsd, PriceRow};

/// Expected costs; a month is the next 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// How many runs there will be.
    pub runs: u64,
    /// What the cheapest of the turns it is made from cost, or would cost.
    pub least: NanoUsd,
    /// What they cost on the average.
    pub mean: NanoUsd,
    /// What the dearest one cost.
    pub most: NanoUsd,
    /// What the average one saves against the best of realtime.
    pub saved: i64,
    /// How many turns of the job it is made from; 0 for a guess.
    pub learned: u32,
    /// Whether its prompt was counted for that guess.
    pub counted: bool,
}

impl Forecast {
    /// From what the last turns of the job cost; `None` where there are none.
    pub fn learned(habits: &Habits, runs: u64) -> Option<Self> {
        let costs: Vec<(NanoUsd, NanoUsd)> = habits.turns.iter().map(|went| (went.paid, went.realtime)).collect();
        let learned = u32::try_from(costs.len()).unwrap_or(u32::MAX);
        Self::of(&costs, runs).map(|forecast| Self { learned, ..forecast })
    }

    /// From how turns may go that all go one way.
    pub fn guessed(shapes: &[Shape], way: Way, price: &PriceRow, runs: u64) -> Option<Self> {
        let both = |shape: &Shape| (cost(way, shape, price), cost(Way::Realtime, shape, price));
        Self::of(&shapes.iter().map(both).collect::<Vec<_>>(), runs)
    }

    fn of(costs: &[(NanoUsd, NanoUsd)], runs: u64) -> Option<Self> {
        let count = costs.len() as u64;
        let paid = || costs.iter().map(|(paid, _)| *paid);
        let mean = paid().sum::<NanoUsd>().checked_div(count)?;
        let realtime = costs.iter().map(|(_, realtime)| *realtime).sum::<NanoUsd>() / count;
        let signed = |nano: NanoUsd| i64::try_from(nano).unwrap_or(i64::MAX);
        let (least, most) = (paid().min()?, paid().max()?);
        Some(Self { runs, least, mean, most, saved: signed(realtime) - signed(mean), learned: 0, counted: false })
    }
}
