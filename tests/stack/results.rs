//! A batch of 2,000 rows on the whole stack, whose table goes away in the middle.

#[path = "../benches/results/seed.rs"]
mod seed;

use chrono::TimeDelta;
use nightshift_domain::batch::BatchState;
use nightshift_local::gate::{Action, Fault, When, tally};
use nightshift_tests::local::Local;

use seed::seed;

const ROWS: usize = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_settling_breaks_off_in_the_middle_is_settled_by_a_later_poll_and_every_row_counts_once() {
    let local = Local::start().await;
    let clock = local.stack.clock();
    let poll_at = clock.now() + TimeDelta::minutes(2);
    let stack = (&local.stack.ready, local.dir.path().join("state"), clock);
    let seeded = seed((stack.0, &stack.1, stack.2), (ROWS, 200), poll_at).await.unwrap();
    // From somewhere in the second half on, nothing can be read or written.
    local.stack.gate.set_faults(vec![Fault {
        service: Some("dynamodb".to_owned()),
        operation: None,
        nth: 8_000,
        times: None,
        when: When::Before,
        action: Action::Fail,
    }]);
    local.advance(2).await;
    local.stack.gate.set_faults(Vec::new());
    let marked = seeded.batch().await.unwrap().settled.count() as usize;
    assert!((1_000..ROWS).contains(&marked), "{marked}");
    let before = local.stack.gate.calls(0).len() as u64;
    local.advance(10).await;
    assert!(matches!(seeded.batch().await.unwrap().state, BatchState::Settled { .. }));
    // What is marked is not looked at again.
    let reads = tally(&local.stack.gate.calls(before)).get("dynamodb GetItem").copied().unwrap_or(0);
    assert!(reads <= 4 * (ROWS - marked) as u64 + 100, "{reads} reads for {} rows", ROWS - marked);
    // Answers that were booked and could not be closed any more were closed when their rows were read again.
    assert!(seeded.check().await.unwrap() > (ROWS * 200) as u64);
}
