//! What the same hundred turns cost each way, by the planner's own reckoning and list prices. No time is measured here.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::money::{InRealtime, NanoUsd, PriceRow, price, usd};
use nightshift_domain::planner::{Outlook, Shape, Way, choose, cost};

use crate::table::{Table, ratio, say};

/// Prompts from a bare question to a workspace with tools, short answers and long ones, and mostly few steps, tokens.
pub(crate) const PREFIXES: [u64; 5] = [1_500, 3_000, 8_000, 20_000, 60_000];
pub(crate) const OUTPUTS: [u64; 4] = [300, 500, 800, 2_000];
pub(crate) const STEPS: [u32; 5] = [1, 1, 2, 3, 6];
/// What a step adds to the prompt.
pub(crate) const GROWTH: u64 = 2_000;
const MODELS: [&str; 4] = ["claude-fable-5-2", "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"];

/// Each prompt with each answer and each number of steps once: a hundred.
fn turns() -> Vec<Shape> {
    let mut turns = Vec::new();
    for prefix in PREFIXES {
        for output in OUTPUTS {
            turns.extend(STEPS.map(|steps| Shape { prefix, growth: GROWTH, output, steps, searches: 0 }));
        }
    }
    turns
}

/// Every step in realtime with the whole prompt at full price, or all of it cached.
fn in_realtime(turn: &Shape, row: &PriceRow) -> InRealtime {
    let mut sum = InRealtime::default();
    let mut before = 0;
    for step in turn.steps() {
        let one = InRealtime::of(&step, row, before);
        sum.uncached_nano_usd += one.uncached_nano_usd;
        sum.cached_nano_usd += one.cached_nano_usd;
        before = step.prompt();
    }
    sum
}

fn chosen(turn: &Shape, row: &PriceRow, one_call: bool) -> NanoUsd {
    let shapes = std::slice::from_ref(turn);
    let (wait, time) = (TimeDelta::hours(1), TimeDelta::days(1));
    choose(&Outlook { price: row, shapes, learned: true, one_call, wait, time }).expected
}

/// Reckons and prints.
pub(crate) fn reckon(now: DateTime<Utc>) {
    let turns = turns();
    let heads = [
        "",
        "realtime",
        "cached",
        "batch",
        "batch, 1 h cache",
        "auto",
        "one call",
        "auto with it",
        "auto to the best of realtime",
    ];
    let mut table = Table::new(
        format!("What {} turns of one to six steps cost, reckoned at list prices, US dollars", turns.len()),
        &heads,
    );
    for name in MODELS {
        let Some(row) = price(&format!("anthropic/{name}"), now, &[]) else {
            say(&format!("no price is known for {name}"));
            continue;
        };
        let sum = |of: &dyn Fn(&Shape) -> NanoUsd| turns.iter().map(of).sum::<NanoUsd>();
        let best = sum(&|turn| cost(Way::Realtime, turn, &row));
        let auto = sum(&|turn| chosen(turn, &row, false));
        let sums = [
            sum(&|turn| in_realtime(turn, &row).uncached_nano_usd),
            sum(&|turn| in_realtime(turn, &row).cached_nano_usd),
            sum(&|turn| cost(Way::Batch, turn, &row)),
            sum(&|turn| cost(Way::BatchHour, turn, &row)),
            auto,
            sum(&|turn| cost(Way::OneCall, turn, &row)),
            sum(&|turn| chosen(turn, &row, true)),
        ];
        let mut cells = vec![name.to_owned()];
        cells.extend(sums.map(|nano| format!("{:.2}", usd(nano))));
        cells.push(ratio(usd(auto), usd(best)));
        table.row(cells);
    }
    table.print();
}
