//! Somebody else writes while the sweep makes up for what was missed.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::run::{Origin, Run};
use nightshift_domain::{JobId, RunKey};
use serde_json::json;

use super::site::{Site, daily, site};
use crate::ports::{Outcome, PageRequest, RunFilter, Write};
use crate::runs::new_run;
use crate::testing::{Faulty, First, Mishap};

fn job() -> JobId {
    JobId::parse("h").unwrap()
}

/// A site with an hourly job, on a table whose writes can be disturbed.
async fn hourly(every_minutes: i64) -> (Site, Arc<Faulty>) {
    let mut site = site();
    let faulty = Arc::new(Faulty::new(site.store.clone()));
    site.deps.store = faulty.clone();
    let mut hourly = daily("h", false);
    hourly["schedule"] = json!({ "kind": "every", "everyMs": every_minutes * 60_000, "anchorMs": 0 });
    site.add(&hourly).await;
    (site, faulty)
}

impl Site {
    /// The job's occurrences, oldest first: the time of each and how it stands, with the reason of one that was skipped.
    async fn told(&self) -> Vec<(String, String)> {
        let page = PageRequest { limit: 200, cursor: None };
        let runs = self.deps.store.runs(&RunFilter::OfJob(job()), &page).await.unwrap().items;
        let word = |run: &Run| run.state.failure().map_or(run.state.name().to_owned(), |(code, _)| code);
        runs.iter().rev().map(|run| (run.slot.format("%H:%M").to_string(), word(run))).collect()
    }
}

/// Another writer begins a run of the job by hand.
fn begins_another() -> First {
    Box::new(|store| {
        Box::pin(async move {
            let mut record = store.job(&job()).await.unwrap().unwrap();
            record.rev += 1;
            record.active.push(RunKey::parse("h_m01KAHJ5Z3MW4E6R8T0YA").unwrap());
            assert_eq!(store.commit(&[Write::Job(&record)]).await.unwrap(), Outcome::Applied);
        })
    })
}

#[tokio::test]
async fn a_run_that_began_meanwhile_is_taken_into_account() {
    let (site, faulty) = Box::pin(hourly(60)).await;
    site.clock.advance_to("2026-11-20T15:40:00Z".parse().unwrap());
    faulty.next([Mishap::First(begins_another())]);
    site.sweep().await;
    let told = [("13:00", "missed"), ("14:00", "missed"), ("15:00", "overlap")];
    assert_eq!(site.told().await, told.map(|(at, word)| (at.to_owned(), word.to_owned())));
    assert_eq!(site.counted().await, [("repaired.missed_fire".to_owned(), 1)]);
}

#[tokio::test]
async fn rows_of_an_earlier_job_of_the_same_name_stay_and_cost_no_write_each() {
    let (mut site, faulty) = Box::pin(hourly(1)).await;
    let record = site.deps.store.job(&job()).await.unwrap().unwrap();
    let begin: DateTime<Utc> = "2026-11-20T12:02:00Z".parse().unwrap();
    for minute in 0..80 {
        let slot = begin + TimeDelta::minutes(minute);
        let mut run =
            new_run(&site.deps, &record, RunKey::of_slot(&job(), slot), Origin::Schedule, slot).await.unwrap();
        run.log(slot, "of an earlier job", None);
        run.state = nightshift_domain::run::State::Canceled;
        let write = Write::Run { run: &run, expires_at: None };
        assert_eq!(site.deps.store.commit(&[write]).await.unwrap(), Outcome::Applied);
    }
    site.clock.advance_to("2026-11-20T14:00:00Z".parse().unwrap());
    // Were there a write for each of the eighty, this one would fail.
    faulty.fail(12, Mishap::Before);
    site.sweep().await;
    assert!(faulty.heal(), "a dozen writes were not needed");
    let told = site.told().await;
    assert_eq!(told.iter().filter(|(_, word)| word == "canceled").count(), 80, "they are as they were");
    assert_eq!(told.len(), 105, "every minute up to a quarter of an hour ago has its record, and this one: {told:?}");
    site.deps.store = site.store.clone();
    site.settle().await;
    assert_eq!(site.counted().await, [("repaired.missed_fire".to_owned(), 1)]);
}
