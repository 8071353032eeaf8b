//! The contract of `engine::ports::Timers`, run through the real SDK against every Scheduler there is: our own, whose
//! answers are modelled on the service's, and ministack, which shares no code with it. Only our own can show that timers
//! fire to the second of a manual clock.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::future::Future;
use std::pin::Pin;

mod cases;
mod fires;
mod worlds;

use nightshift_tests::ministack::Ministack;
use worlds::World;

/// What ministack 1.5.33 is known to do otherwise, each with the reason.
const MINISTACK_EXCEPTIONS: &[(&str, &str)] = &[
    ("an_expression_the_service_cannot_read_is_told_apart", "it accepts every expression"),
    ("an_unknown_zone_is_told_apart", "it accepts every zone"),
    (
        "every_timer_is_listed_once_however_many_pages_it_takes",
        "it cuts a list at MaxResults and gives no token for the rest",
    ),
];

type Case = for<'a> fn(&'a World) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

macro_rules! contract {
    ($($case:ident),+ $(,)?) => {
        const CASES: &[(&str, Case)] = &[$((stringify!($case), |world| Box::pin(cases::$case(world)))),+];

        mod on_our_scheduler {
            $(#[tokio::test]
            async fn $case() {
                super::cases::$case(&super::World::ours().await).await;
            })+
        }
    };
}

contract![
    a_timer_that_is_set_again_is_replaced_whole,
    a_timer_set_back_and_forth_stands_as_it_was_set_last,
    a_disabled_timer_is_there_and_disabled,
    a_job_of_one_occurrence_deletes_its_timer_after_it,
    a_timer_armed_twice_is_one_timer,
    a_timer_is_never_armed_in_the_past,
    a_timer_is_removed_once_and_a_repeat_is_content,
    a_removed_timer_can_be_set_again,
    an_expression_the_service_cannot_read_is_told_apart,
    an_unknown_zone_is_told_apart,
    another_refusal_is_no_refusal_of_the_expression,
    the_longest_names_are_accepted,
    a_list_tells_names_by_prefix_and_which_are_disabled,
    every_timer_is_listed_once_however_many_pages_it_takes,
    a_timer_reads_back_as_it_was_set,
];

/// One test for all cases, because the emulator is a process to start; a group of its own for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ministack_keeps_the_contract_but_for_the_named_exceptions() {
    let given = std::env::var("NIGHTSHIFT_MINISTACK_URL").ok();
    let started = if given.is_none() { Ministack::available() } else { None };
    let Some(url) = given.or_else(|| started.as_ref().map(|ministack| ministack.url().to_owned())) else { return };
    let mut failed = Vec::new();
    for (index, (name, case)) in CASES.iter().enumerate() {
        let world = World::on_endpoint(&url, &format!("contract-{}-{index}", std::process::id())).await;
        let outcome = tokio::spawn(async move { case(&world).await }).await;
        if outcome.is_err() {
            failed.push(*name);
        }
    }
    let expected: Vec<&str> = MINISTACK_EXCEPTIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(failed, expected, "the cases that ministack fails are not the named exceptions");
}
