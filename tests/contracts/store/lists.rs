//! Pages and cursors. Emulators do not lag behind, so what was written is listed at once.

use chrono::TimeDelta;
use nightshift_domain::run::Run;
use nightshift_engine::ports::{RunFilter, StoreErrorKind, Write};

use super::fixtures::{first, job, job_id, live, next, run, write};
use super::worlds::{World, start};

async fn with_runs(world: &World, job: &str, minutes: impl IntoIterator<Item = i64>) {
    for minute in minutes {
        write(&*world.store, &[live(&run(job, minute))]).await;
    }
}

fn keys(runs: &[Run]) -> Vec<&str> {
    runs.iter().map(|run| run.key.as_str()).collect()
}

pub(crate) async fn jobs_are_listed_by_name_without_case_in_pages(world: &World) {
    for (id, name) in [("1", "banana"), ("2", "Apple"), ("3", "cherry"), ("4", "apple"), ("5", "Äpfel")] {
        write(&*world.store, &[Write::Job(&job(id, name))]).await;
    }
    let mut names = Vec::new();
    let mut page = world.store.jobs(&first(2)).await.unwrap();
    loop {
        assert!(page.items.len() <= 2);
        names.extend(page.items.into_iter().map(|record| record.job.name));
        if page.next.is_none() {
            break;
        }
        page = world.store.jobs(&next(2, page.next.as_deref())).await.unwrap();
    }
    assert_eq!(names, ["Apple", "apple", "banana", "cherry", "Äpfel"]);

    let mut renamed = job("1", "zebra");
    renamed.rev = 2;
    write(&*world.store, &[Write::Job(&renamed)]).await;
    let names: Vec<String> =
        world.store.jobs(&first(50)).await.unwrap().items.into_iter().map(|r| r.job.name).collect();
    assert_eq!(names, ["Apple", "apple", "cherry", "zebra", "Äpfel"]);
}

pub(crate) async fn runs_of_a_job_are_listed_newest_first_in_pages(world: &World) {
    with_runs(world, "a", [2, 0, 4, 1, 3]).await;
    with_runs(world, "a-b", [9]).await;
    let filter = RunFilter::OfJob(job_id("a"));
    let one = world.store.runs(&filter, &first(2)).await.unwrap();
    let two = world.store.runs(&filter, &next(2, one.next.as_deref())).await.unwrap();
    let three = world.store.runs(&filter, &next(2, two.next.as_deref())).await.unwrap();
    let listed: Vec<Run> = [one.items, two.items, three.items].concat();
    assert_eq!(listed, [4, 3, 2, 1, 0].map(|minute| run("a", minute)));
    assert_eq!(three.next, None);
}

pub(crate) async fn runs_of_a_day_are_listed_newest_first(world: &World) {
    with_runs(world, "a", [0, 20]).await;
    with_runs(world, "b", [10]).await;
    with_runs(world, "c", [24 * 60]).await;
    let today = RunFilter::OfDay(start().date_naive());
    let one = world.store.runs(&today, &first(2)).await.unwrap();
    assert_eq!(keys(&one.items), [run("a", 20), run("b", 10)].each_ref().map(|run| run.key.as_str()));
    let two = world.store.runs(&today, &next(2, one.next.as_deref())).await.unwrap();
    assert_eq!(two.items, [run("a", 0)]);
    let tomorrow = RunFilter::OfDay(start().date_naive().succ_opt().unwrap());
    assert_eq!(world.store.runs(&tomorrow, &first(9)).await.unwrap().items, [run("c", 24 * 60)]);
}

pub(crate) async fn the_last_full_page_has_no_cursor(world: &World) {
    with_runs(world, "a", 0..4).await;
    let filter = RunFilter::OfJob(job_id("a"));
    let one = world.store.runs(&filter, &first(2)).await.unwrap();
    let two = world.store.runs(&filter, &next(2, one.next.as_deref())).await.unwrap();
    assert_eq!((two.items.len(), two.next), (2, None));
    let all = world.store.runs(&filter, &first(200)).await.unwrap();
    assert_eq!((all.items.len(), all.next), (4, None));
    let none = world.store.runs(&RunFilter::OfJob(job_id("b")), &first(2)).await.unwrap();
    assert_eq!((none.items, none.next), (vec![], None));
}

pub(crate) async fn a_page_goes_on_where_the_last_one_ended_whatever_was_written_since(world: &World) {
    with_runs(world, "a", 0..4).await;
    let filter = RunFilter::OfJob(job_id("a"));
    let one = world.store.runs(&filter, &first(2)).await.unwrap();
    with_runs(world, "a", [7]).await;
    let two = world.store.runs(&filter, &next(9, one.next.as_deref())).await.unwrap();
    assert_eq!(two.items, [run("a", 1), run("a", 0)]);
}

pub(crate) async fn a_cursor_of_another_list_is_refused(world: &World) {
    with_runs(world, "a", 0..3).await;
    with_runs(world, "b", 0..3).await;
    for id in ["a", "b", "c"] {
        write(&*world.store, &[Write::Job(&job(id, id))]).await;
    }
    let of_a = world.store.runs(&RunFilter::OfJob(job_id("a")), &first(1)).await.unwrap().next;
    let of_day = world.store.runs(&RunFilter::OfDay(start().date_naive()), &first(1)).await.unwrap().next;
    let of_jobs = world.store.jobs(&first(1)).await.unwrap().next;
    let page = |cursor: &Option<String>| next(1, cursor.as_deref());
    let garbage = Some("no cursor of ours".to_owned());
    for cursor in [&of_day, &of_jobs, &garbage, &Some(String::new()), &Some("e30".to_owned())] {
        let refused = world.store.runs(&RunFilter::OfJob(job_id("b")), &page(cursor)).await.unwrap_err();
        assert_eq!(refused.kind, StoreErrorKind::BadCursor, "{cursor:?}");
    }
    let refused = world.store.runs(&RunFilter::OfJob(job_id("b")), &page(&of_a)).await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::BadCursor);
    let refused = world.store.jobs(&page(&of_a)).await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::BadCursor);
}

pub(crate) async fn a_page_is_full_although_rows_between_have_expired(world: &World) {
    for minute in 0..8 {
        let ended = run("a", minute);
        let expires_at = start() + TimeDelta::hours(if (2..7).contains(&minute) { 1 } else { 3 });
        write(&*world.store, &[Write::Run { run: &ended, expires_at: Some(expires_at) }]).await;
    }
    world.clock.advance(TimeDelta::hours(2));
    let filter = RunFilter::OfJob(job_id("a"));
    let one = world.store.runs(&filter, &first(2)).await.unwrap();
    assert_eq!(one.items, [run("a", 7), run("a", 1)]);
    let two = world.store.runs(&filter, &next(2, one.next.as_deref())).await.unwrap();
    assert_eq!((two.items, two.next), (vec![run("a", 0)], None));
    let day = world.store.runs(&RunFilter::OfDay(start().date_naive()), &first(9)).await.unwrap();
    assert_eq!(day.items.len(), 3);
}
