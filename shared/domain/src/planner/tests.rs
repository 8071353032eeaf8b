//! The planner against what each way really costs.

use proptest::prelude::*;

use super::*;

/// Output five times the input, as most models have it, at a dollar per million tokens of input.
fn unit() -> PriceRow {
    PriceRow {
        model: "anthropic/x".to_owned(),
        from: chrono::NaiveDate::MIN,
        input: 1.0,
        output: 5.0,
        cache_write_5m: 1.25,
        cache_write_1h: 2.0,
        cache_read: 0.1,
        threshold: None,
        factor_above: None,
    }
}

fn shape(prefix: u64, output: u64, steps: u32) -> Shape {
    Shape { prefix, growth: 2_000, output, steps, searches: 0 }
}

fn outlook<'a>(price: &'a PriceRow, shapes: &'a [Shape]) -> Outlook<'a> {
    Outlook { price, shapes, learned: true, one_call: false, wait: TimeDelta::hours(1), time: TimeDelta::days(1) }
}

/// The table of C3: prefix, output of a step, and what a batch costs of the best in realtime, in hundredths, for turns of 1,
/// 2, 3, 4, 5 and 10 steps.
const C3: [(u64, u64, Way, [u64; 6]); 6] = [
    (20_000, 500, Way::Batch, [50, 68, 88, 104, 117, 161]),
    (20_000, 500, Way::BatchHour, [94, 75, 73, 72, 72, 69]),
    (20_000, 2_000, Way::Batch, [50, 63, 75, 83, 90, 113]),
    (20_000, 2_000, Way::BatchHour, [83, 67, 65, 64, 63, 61]),
    (60_000, 800, Way::Batch, [50, 71, 95, 114, 131, 184]),
    (60_000, 800, Way::BatchHour, [97, 77, 75, 74, 73, 71]),
];
const STEPS: [u32; 6] = [1, 2, 3, 4, 5, 10];

#[test]
fn each_way_costs_what_the_table_says() {
    for (prefix, output, way, hundredths) in C3 {
        for (steps, expected) in STEPS.into_iter().zip(hundredths) {
            let turn = shape(prefix, output, steps);
            let waits = u64::from(steps) * WAIT_NANO;
            let share = (cost(way, &turn, &unit()) - waits) * 1000 / cost(Way::Realtime, &turn, &unit());
            let found = share.div_ceil(5) / 2;
            assert!(found.abs_diff(expected) <= 1, "{way:?} {prefix}/{output} {steps}: {found} and not {expected}");
            let one = (cost(Way::OneCall, &turn, &unit()) - WAIT_NANO) * 1000 / cost(Way::Realtime, &turn, &unit());
            assert!((499..=500).contains(&one), "one call is half of realtime at any depth: {one}");
        }
    }
}

/// Every scripted case, with every list price: the way that is picked is the cheapest, and the sentence says why.
#[test]
fn no_way_is_picked_that_costs_more_than_a_twentieth_above_the_best() {
    let prices = ["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-haiku-4-5", "claude-fable-5-1"];
    let now = "2026-11-20T12:00:00Z".parse().unwrap();
    let mut rows = vec![unit()];
    rows.extend(prices.iter().map(|name| crate::money::price(&format!("anthropic/{name}"), now, &[]).unwrap()));
    let mut picked = std::collections::BTreeMap::new();
    for price in &rows {
        for (prefix, output) in
            [(20_000, 500), (20_000, 2_000), (3_000, 1_500), (60_000, 800), (150_000, 4_000), (100, 20)]
        {
            for steps in STEPS {
                for one_call in [false, true] {
                    let shapes = [shape(prefix, output, steps)];
                    let outlook = Outlook { one_call, ..outlook(price, &shapes) };
                    let choice = choose(&outlook);
                    let best = expected(&outlook).into_iter().map(|(_, cost)| cost).min().unwrap();
                    assert!(choice.expected * 100 <= best * 105, "{choice:?}");
                    assert_eq!(choice.expected, cost(choice.way, &shapes[0], price));
                    let named = match choice.way {
                        Way::OneCall => "the provider calls the tools",
                        Way::Batch if steps == 1 => "one step has nothing to gain from a cache",
                        Way::Batch => "worth more than a cache",
                        Way::BatchHour => "kept for an hour",
                        Way::Realtime => "with the wait for them",
                    };
                    assert!(choice.reason.contains(named), "{choice:?}");
                    *picked.entry(format!("{:?}", choice.way)).or_insert(0) += 1;
                }
            }
        }
    }
    assert_eq!(picked.len(), 4, "each of the four is the best somewhere: {picked:?}");
}

#[test]
fn a_batch_that_would_be_late_is_not_picked_and_the_sentence_says_so() {
    let (price, shapes) = (unit(), [shape(20_000, 500, 3)]);
    let of = |hours, one_call| {
        let choice = choose(&Outlook { time: TimeDelta::hours(hours), one_call, ..outlook(&price, &shapes) });
        (choice.way, choice.reason)
    };
    assert_eq!(of(3, false).0, Way::BatchHour);
    let (way, reason) = of(2, false);
    assert_eq!(way, Way::Realtime);
    assert_eq!(
        reason,
        "realtime: 3 batches one after the other may take 3h, and the answer is wanted within 2h; as its last turn went"
    );
    assert_eq!(of(2, true).0, Way::OneCall, "one batch is one wait");
    let (way, reason) = of(0, true);
    assert_eq!((way, reason.starts_with("realtime: a batch may take 1h")), (Way::Realtime, true), "{reason}");
}

#[test]
fn what_saves_less_than_waiting_costs_goes_in_realtime() {
    let haiku =
        crate::money::price("anthropic/claude-haiku-5-5", "2026-11-20T12:00:00Z".parse().unwrap(), &[]).unwrap();
    let shapes = [shape(100, 20, 1)];
    let choice = choose(&outlook(&haiku, &shapes));
    assert_eq!(choice.way, Way::Realtime, "{choice:?}");
}

#[test]
fn turns_of_several_lengths_are_weighed_together() {
    let price = unit();
    // Four of five have one step: the fifth does not make the cache pay.
    let mut shapes = [shape(20_000, 500, 1); 5];
    assert_eq!(choose(&outlook(&price, &shapes)).way, Way::Batch);
    shapes[4].steps = 2;
    assert_eq!(choose(&outlook(&price, &shapes)).way, Way::Batch);
    let longer = [shape(20_000, 500, 1), shape(20_000, 500, 5), shape(20_000, 500, 6)];
    let choice = choose(&outlook(&price, &longer));
    assert_eq!(choice.way, Way::BatchHour);
    assert!(choice.reason.ends_with("as its last 3 turns went"), "{}", choice.reason);
    let guessed = Outlook { learned: false, ..outlook(&price, &longer) };
    assert!(choose(&guessed).reason.ends_with("a guess, because none of its turns is known"));
}

#[test]
fn what_is_learned_of_a_job_is_its_last_turns() {
    let mut habits = Habits::default();
    assert_eq!(habits.wait(), TimeDelta::hours(1), "nothing is known");
    habits.waits = (1..=40).collect();
    assert_eq!(habits.wait(), TimeDelta::seconds(38));
    habits.turns = vec![Went { steps: 3, output: 900, growth: None, searches: 2, paid: 7, realtime: 9 }];
    assert_eq!(habits.shapes(5_000), [Shape { prefix: 5_000, growth: 2_000, output: 300, steps: 3, searches: 2 }]);
    assert_eq!(guesses(10, false).iter().map(|shape| shape.steps).collect::<Vec<_>>(), [1]);
    assert_eq!(guesses(10, true).len(), 4);
}

#[test]
fn a_forecast_is_a_range_of_what_turns_cost_or_would_cost() {
    let went = |paid, realtime| Went { steps: 1, output: 1, growth: None, searches: 0, paid, realtime };
    let habits = Habits { turns: vec![went(10, 22), went(30, 58), went(20, 40)], ..Habits::default() };
    let learned = Forecast::learned(&habits, 31).unwrap();
    assert_eq!(learned, Forecast { runs: 31, least: 10, mean: 20, most: 30, saved: 20, learned: 3, counted: false });
    assert_eq!(Forecast::learned(&Habits::default(), 31), None);
    let shapes = [shape(20_000, 500, 1), shape(20_000, 500, 4)];
    let guessed = Forecast::guessed(&shapes, Way::Batch, &unit(), 4).unwrap();
    assert_eq!((guessed.least, guessed.learned), (cost(Way::Batch, &shapes[0], &unit()), 0));
    assert!(guessed.least < guessed.mean && guessed.mean < guessed.most);
}

proptest! {
    /// Whatever the shapes: nothing that is in time costs less than what is picked.
    #[test]
    fn nothing_in_time_is_cheaper(
        shapes in prop::collection::vec((0_u64..300_000, 0_u64..5_000, 0_u64..8_000, 1_u32..12, 0_u64..5), 1..10),
        hours in 0_i64..30,
        one_call in any::<bool>(),
    ) {
        let price = unit();
        let shapes: Vec<Shape> = shapes
            .into_iter()
            .map(|(prefix, growth, output, steps, searches)| Shape { prefix, growth, output, steps, searches })
            .collect();
        let outlook = Outlook { one_call, time: TimeDelta::hours(hours), ..outlook(&price, &shapes) };
        let choice = choose(&outlook);
        let waits = i64::from(choice.way.waits(steps(&shapes)));
        prop_assert!(waits <= hours || choice.way == Way::Realtime);
        for (way, cost) in expected(&outlook) {
            if i64::from(way.waits(steps(&shapes))) <= hours {
                prop_assert!(choice.expected <= cost, "{:?} costs {} and {:?} {}", choice.way, choice.expected, way, cost);
            }
        }
    }
}
