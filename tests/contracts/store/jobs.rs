//! Jobs and their declaration keys.

use nightshift_domain::job::JobRecord;
use nightshift_engine::ports::{Outcome, RunFilter, Write};

use super::fixtures::{declared, first, job, job_id, live, run, write};
use super::worlds::World;

pub(crate) async fn a_job_is_removed_as_it_stood_or_not_at_all(world: &World) {
    let mut record = job("a", "a");
    write(&*world.store, &[Write::Job(&record)]).await;
    let seen = record.clone();
    record.rev += 1;
    record.sequence += 1;
    write(&*world.store, &[Write::Job(&record)]).await;
    assert_eq!(world.store.commit(&[Write::RemoveJob(&seen)]).await.unwrap(), Outcome::Lost(0));
    assert_eq!(world.store.job(&job_id("a")).await.unwrap(), Some(record.clone()));
    write(&*world.store, &[Write::RemoveJob(&record)]).await;
    assert_eq!(world.store.job(&job_id("a")).await.unwrap(), None);
    assert_eq!(world.store.jobs(&first(10)).await.unwrap().items, []);
}

pub(crate) async fn removing_a_job_twice_is_applied(world: &World) {
    for record in [job("a", "a"), declared("b", "key")] {
        write(&*world.store, &[Write::Job(&record)]).await;
        write(&*world.store, &[Write::RemoveJob(&record)]).await;
        write(&*world.store, &[Write::RemoveJob(&record)]).await;
    }
}

/// Whoever read the job that was removed finds another one at the same `rev`, and must not take it for it.
pub(crate) async fn a_job_of_the_same_id_is_another_one(world: &World) {
    let born = |born: &str| JobRecord { born: born.to_owned(), ..job("a", born) };
    let (first, second) = (born("first"), born("second"));
    write(&*world.store, &[Write::Job(&first)]).await;
    write(&*world.store, &[Write::RemoveJob(&first)]).await;
    write(&*world.store, &[Write::Job(&second)]).await;
    let late = JobRecord { rev: 2, ..first.clone() };
    let event = run("a", 0);
    for writes in [vec![Write::Job(&late)], vec![Write::RemoveJob(&first)], vec![Write::Job(&late), live(&event)]] {
        assert_eq!(world.store.commit(&writes).await.unwrap(), Outcome::Lost(0));
    }
    assert_eq!(world.store.job(&job_id("a")).await.unwrap(), Some(second.clone()));
    let own = JobRecord { rev: 2, ..second };
    write(&*world.store, &[Write::Job(&own)]).await;
    // A release that knows nothing of this goes by `rev` alone.
    let older = JobRecord { rev: 3, born: String::new(), ..own };
    write(&*world.store, &[Write::Job(&older)]).await;
    write(&*world.store, &[Write::RemoveJob(&older)]).await;
}

pub(crate) async fn a_removed_job_leaves_its_runs(world: &World) {
    let (record, past) = (job("a", "a"), run("a", 0));
    write(&*world.store, &[Write::Job(&record), live(&past)]).await;
    write(&*world.store, &[Write::RemoveJob(&record)]).await;
    assert_eq!(world.store.run(&past.key).await.unwrap(), Some(past.clone()));
    let listed = world.store.runs(&RunFilter::OfJob(job_id("a")), &first(10)).await.unwrap();
    assert_eq!(listed.items, [past]);
}

pub(crate) async fn a_declaration_key_leads_to_its_job_until_it_is_removed(world: &World) {
    let key = "team/nightly: report #1";
    assert_eq!(world.store.job_by_declaration(key).await.unwrap(), None);
    let mut record = declared("a", key);
    write(&*world.store, &[Write::Job(&record)]).await;
    assert_eq!(world.store.job_by_declaration(key).await.unwrap(), Some(job_id("a")));
    record.rev += 1;
    write(&*world.store, &[Write::Job(&record)]).await;
    write(&*world.store, &[Write::RemoveJob(&record)]).await;
    assert_eq!(world.store.job_by_declaration(key).await.unwrap(), None);
    let again = declared("b", key);
    write(&*world.store, &[Write::Job(&again)]).await;
    assert_eq!(world.store.job_by_declaration(key).await.unwrap(), Some(job_id("b")));
}

pub(crate) async fn a_declaration_key_is_given_once(world: &World) {
    write(&*world.store, &[Write::Job(&declared("a", "key"))]).await;
    let (other, event) = (declared("b", "key"), run("b", 0));
    assert_eq!(world.store.commit(&[live(&event), Write::Job(&other)]).await.unwrap(), Outcome::Lost(1));
    assert_eq!(world.store.job(&job_id("b")).await.unwrap(), None);
    assert_eq!(world.store.job_by_declaration("key").await.unwrap(), Some(job_id("a")));
}

pub(crate) async fn a_declared_job_can_be_added_twice_by_the_same_request(world: &World) {
    let record = declared("a", "key");
    write(&*world.store, &[Write::Job(&record)]).await;
    write(&*world.store, &[Write::Job(&record)]).await;
}
