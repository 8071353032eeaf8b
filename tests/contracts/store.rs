//! The contract of `engine::ports::Store`, run against every table there is.
//!
//! The simulation and the engine's own tests believe the in-memory table because it passes this; the DynamoDB one passes
//! it on dynoxide and, where that is installed, on ministack: two emulators that share no code. What they cannot show
//! (consistency lag, `TransactionConflict`) is tested beside the store with scripted answers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::future::Future;
use std::pin::Pin;

mod batches;
mod commits;
mod due;
mod endpoint_calls;
mod expiry;
mod fixtures;
mod jobs;
mod lists;
mod overview;
mod places;
mod sessions;
mod shelves;
mod small;
mod stops;
mod sweeping;
mod windows;
mod worlds;

use worlds::World;

/// What ministack 1.5.33 is known to do otherwise, each with the reason.
const MINISTACK_EXCEPTIONS: &[(&str, &str)] = &[];

type Case = for<'a> fn(&'a World) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

macro_rules! contract {
    ($($module:ident::$case:ident),+ $(,)?) => {
        const CASES: &[(&str, Case)] = &[$((stringify!($case), |world| Box::pin($module::$case(world)))),+];

        mod in_memory {
            $(#[tokio::test]
            async fn $case() {
                super::$module::$case(&super::World::in_memory()).await;
            })+
        }

        mod on_dynoxide {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$module::$case(&super::World::on_dynoxide().await).await;
            })+
        }
    };
}

contract![
    commits::a_created_run_is_read_back_whole,
    commits::a_second_create_is_lost_and_changes_nothing,
    commits::an_update_from_an_older_revision_is_lost_and_changes_nothing,
    commits::a_repeat_after_a_lost_answer_is_applied,
    commits::a_repeated_transaction_is_applied_and_counts_once,
    commits::half_a_repeat_is_lost,
    commits::a_transaction_writes_all_or_nothing_and_names_the_write_that_lost,
    commits::of_24_concurrent_creates_exactly_one_wins,
    commits::of_24_concurrent_transactions_exactly_one_wins,
    commits::raw_json_survives_byte_for_byte,
    commits::a_row_too_large_is_refused,
    commits::more_than_100_rows_are_refused_and_100_are_not,
    commits::an_empty_commit_is_applied,
    jobs::a_job_is_removed_as_it_stood_or_not_at_all,
    jobs::removing_a_job_twice_is_applied,
    jobs::a_job_of_the_same_id_is_another_one,
    jobs::a_removed_job_leaves_its_runs,
    jobs::a_declaration_key_leads_to_its_job_until_it_is_removed,
    jobs::a_declaration_key_is_given_once,
    jobs::a_declared_job_can_be_added_twice_by_the_same_request,
    batches::a_batch_is_found_by_its_remote_id_once_that_is_known,
    batches::a_batch_that_adopted_a_remote_id_yields_to_the_one_that_created_it,
    batches::a_lost_batch_write_leaves_the_pointer_alone,
    batches::a_rejected_remote_id_is_free_for_its_owner_to_adopt,
    lists::jobs_are_listed_by_name_without_case_in_pages,
    lists::runs_of_a_job_are_listed_newest_first_in_pages,
    lists::runs_of_a_day_are_listed_newest_first,
    lists::the_last_full_page_has_no_cursor,
    lists::a_page_goes_on_where_the_last_one_ended_whatever_was_written_since,
    lists::a_cursor_of_another_list_is_refused,
    lists::a_page_is_full_although_rows_between_have_expired,
    due::what_is_due_comes_oldest_first_and_strictly_before_the_instant,
    due::a_leased_run_is_due_when_its_lease_ends,
    due::a_run_that_ended_and_a_batch_that_settled_are_due_no_more,
    due::a_job_is_due_from_its_next_run_until_that_moves,
    due::a_flood_of_one_kind_does_not_hide_the_others,
    endpoint_calls::a_call_is_begun_once_and_keeps_its_result,
    endpoint_calls::of_24_that_begin_a_call_at_once_exactly_one_wins,
    endpoint_calls::a_call_belongs_to_its_run_and_is_no_row_of_its_history,
    endpoint_calls::a_call_goes_when_it_has_expired,
    expiry::ended_runs_before_the_slot_expire_and_no_others,
    expiry::every_state_but_the_ended_ones_is_live,
    expiry::a_run_that_goes_earlier_keeps_its_time,
    expiry::runs_by_hand_expire_by_when_they_were_asked_for,
    expiry::a_long_history_is_gone_through_to_its_end,
    overview::a_job_is_counted_from_when_it_is_added_until_it_is_removed,
    overview::a_job_that_is_added_switched_off_is_counted_so,
    overview::a_removal_that_misjudges_the_switch_counts_right,
    overview::a_commit_that_is_lost_leaves_the_counts_alone,
    overview::half_a_repeat_of_an_add_does_not_count,
    overview::jobs_written_at_the_same_moment_are_all_counted,
    overview::of_24_that_turn_the_switch_one_is_counted,
    overview::a_job_of_before_jobs_were_counted_is_counted_with_its_next_write,
    overview::the_next_run_is_the_earliest_of_the_jobs_that_are_switched_on,
    overview::the_configuration_is_shown_as_it_was_written_last,
    overview::a_counter_cannot_pass_for_another_row,
    places::a_place_is_held_by_one_run_at_a_time,
    places::freeing_the_place_of_another_does_nothing_and_the_commit_goes_through,
    places::a_repeat_finds_its_place_taken_or_given_back,
    places::of_24_concurrent_holders_exactly_one_gets_the_place,
    places::the_queue_is_in_order_of_since_and_as_long_as_asked_for,
    places::the_most_places_do_not_hide_the_queue_nor_it_them,
    places::a_place_or_waiter_is_named_once_in_a_commit,
    sessions::a_session_and_its_exchanges_change_together_or_not_at_all,
    sessions::exchanges_come_and_go_with_their_session,
    sessions::a_repeat_of_a_sessions_change_is_applied_once,
    sessions::sessions_of_an_agent_are_listed_by_name_and_no_others,
    sessions::a_removed_session_leaves_nothing_and_may_begin_anew,
    sessions::of_24_concurrent_takers_exactly_one_gets_the_session,
    sessions::the_longest_session_is_written_off_in_one_commit,
    shelves::a_text_and_its_index_are_written_read_back_and_removed_as_one,
    shelves::shelves_do_not_see_each_other,
    shelves::a_change_from_an_older_index_is_lost_and_changes_nothing,
    shelves::a_repeated_change_is_applied_once,
    shelves::of_24_concurrent_writers_each_gets_its_turn_and_the_limit_holds,
    shelves::the_largest_texts_and_names_fit,
    shelves::memory_does_not_expire,
    small::expired_rows_are_hidden_at_once_and_may_be_created_anew,
    small::chunks_are_listed_in_order_and_by_origin,
    small::counters_add_up,
    small::totals_grow_with_their_runs,
    small::a_purse_is_filled_to_its_limit,
    small::an_event_is_queued_once_and_consumed_once,
    small::an_event_that_stands_is_not_changed_by_a_transaction,
    small::an_event_that_is_over_is_not_queued_again_until_it_expires,
    small::of_two_writers_of_the_configuration_one_loses,
    small::the_first_answer_is_remembered_until_it_expires,
    stops::a_stop_is_written_once_renewed_and_ended_by_whoever_knows_how_it_stands,
    stops::a_stop_that_nobody_probes_is_forgotten_after_a_week,
    sweeping::what_is_put_back_is_due_again_later_and_otherwise_unchanged,
    sweeping::what_has_moved_or_is_over_is_not_put_back,
    sweeping::of_two_writers_of_a_note_one_loses_and_it_expires,
    windows::a_window_is_opened_by_one_and_due_until_it_is_closed,
    windows::of_24_that_open_a_window_at_once_exactly_one_wins,
    windows::a_run_comes_to_and_leaves_its_window_with_its_own_write_or_not_at_all,
    windows::the_runs_in_a_window_are_listed_by_key_in_pages_and_no_others,
];

/// One test for all cases, because the emulator is a process to start; a table of its own for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ministack_keeps_the_contract_but_for_the_named_exceptions() {
    let Some(ministack) = worlds::second_emulator() else { return };
    let mut failed = Vec::new();
    for (index, (name, case)) in CASES.iter().enumerate() {
        let world = World::on_endpoint(ministack.url(), &format!("contract-{}-{index}", std::process::id())).await;
        let outcome = tokio::spawn(async move { case(&world).await }).await;
        if outcome.is_err() {
            failed.push(*name);
        }
    }
    let expected: Vec<&str> = MINISTACK_EXCEPTIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(failed, expected, "the cases that ministack fails are not the named exceptions");
}
