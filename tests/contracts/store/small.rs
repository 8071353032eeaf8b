//! Expiry, deliveries, counters, events, configuration and remembered answers.

use chrono::TimeDelta;
use nightshift_domain::JobId;
use nightshift_domain::batch::BatchState;
use nightshift_domain::budget::{Change as PurseChange, Period, Purse, Scope};
use nightshift_domain::cost::{Spend, SpendOf, Totals};
use nightshift_domain::delivery::ChunkState;
use nightshift_domain::run::State;
use nightshift_engine::ports::{Outcome, PageRequest, SystemEvent, Write};
use serde_json::{Value, json};

use super::fixtures::{after, attempt, batch, chunk, event, leased, live, run, write};
use super::worlds::{World, start};

pub(crate) async fn expired_rows_are_hidden_at_once_and_may_be_created_anew(world: &World) {
    let store = &*world.store;
    let expires_at = start() + TimeDelta::hours(1);
    let (ended, part) = (run("a", 0), chunk(&run("a", 0), "final", 0));
    let settled = batch("01A", &BatchState::Settled { remote: Some("msgbatch_1".into()) });
    let commit = [
        Write::Run { run: &ended, expires_at: Some(expires_at) },
        Write::Chunk { chunk: &part, expires_at },
        Write::Batch { batch: &settled, expires_at: Some(expires_at) },
        Write::Event(&event("main", "1")),
    ];
    write(store, &commit).await;
    world.clock.advance_to(expires_at);
    assert!(store.run(&ended.key).await.unwrap().is_some(), "it lasts through the second it expires in");
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(store.run(&ended.key).await.unwrap(), None);
    assert_eq!(store.chunks(&ended.key, "final").await.unwrap(), []);
    assert_eq!(store.batch(&attempt("01A")).await.unwrap(), None);
    assert_eq!(store.batch_by_remote("msgbatch_1").await.unwrap(), None);
    assert_eq!(store.events("main").await.unwrap(), []);

    let anew = leased(&run("a", 0), "other", start());
    write(store, &[live(&anew)]).await;
    assert_eq!(store.run(&ended.key).await.unwrap(), Some(anew));
}

pub(crate) async fn chunks_are_listed_in_order_and_by_origin(world: &World) {
    let of = run("a", 0);
    let expires_at = start() + TimeDelta::days(30);
    for (origin, index) in [("final", 10), ("final", 2), ("final", 0), ("final#2", 1), ("alert", 0)] {
        let part = chunk(&of, origin, index);
        write(&*world.store, &[Write::Chunk { chunk: &part, expires_at }]).await;
    }
    let other = chunk(&run("a", 1), "final", 0);
    write(&*world.store, &[Write::Chunk { chunk: &other, expires_at }]).await;
    let listed = world.store.chunks(&of.key, "final").await.unwrap();
    assert_eq!(listed, [0, 2, 10].map(|index| chunk(&of, "final", index)));

    let mut sending = chunk(&of, "final", 2);
    (sending.rev, sending.state) = (2, ChunkState::Sending { at: start() });
    write(&*world.store, &[Write::Chunk { chunk: &sending, expires_at }]).await;
    let mut stale = sending.clone();
    stale.attempts = 9;
    let lost = world.store.commit(&[Write::Chunk { chunk: &stale, expires_at }]).await.unwrap();
    assert_eq!(lost, Outcome::Lost(0));
    assert_eq!(world.store.chunks(&of.key, "final").await.unwrap()[1], sending);
}

pub(crate) async fn counters_add_up(world: &World) {
    assert_eq!(world.store.overview().await.unwrap().counters, []);
    let count = |name, by| Write::Count { name, by };
    write(&*world.store, &[count("runs", 2)]).await;
    write(&*world.store, &[count("runs", 1), count("failed", 1), count("runs", 4)]).await;
    write(&*world.store, &[count("failed", -1)]).await;
    assert_eq!(world.store.overview().await.unwrap().counters, [("failed".to_owned(), 0), ("runs".to_owned(), 7)]);
}

/// A purse takes no more than fits, in the write of its run or not at all, and a repeat of a write that filled it is one.
pub(crate) async fn a_purse_is_filled_to_its_limit(world: &World) {
    let store = &*world.store;
    let day = start().date_naive();
    let purse = |scope| Purse { scope, period: Period::Day(day) };
    let (all, month) = (purse(Scope::All), Purse { scope: Scope::Agent("ops".into()), period: Period::Month(day) });
    let put = |by, most: Option<u64>| PurseChange { purse: all.clone(), by, most };
    let created = run("a", 0);
    assert_eq!(store.purse(&all).await.unwrap(), None);
    let first = store.commit(&[live(&created), Write::Purse(&put(5, Some(100)))]).await.unwrap();
    assert_eq!(first, Outcome::Lost(1), "it is not there yet");
    assert_eq!(store.run(&created.key).await.unwrap(), None);
    write(store, &[live(&created), Write::BeginPurse { purse: &all, nano: 60 }]).await;
    let begun = Write::BeginPurse { purse: &all, nano: 1 };
    assert_eq!(store.commit(&[live(&run("b", 0)), begun]).await.unwrap(), Outcome::Lost(1));

    let grown = after(&created, State::Delivering);
    let over = store.commit(&[live(&grown), Write::Purse(&put(41, Some(100)))]).await.unwrap();
    assert_eq!((over, store.purse(&all).await.unwrap()), (Outcome::Lost(1), Some(60)));
    let last_cent = put(40, Some(100));
    let filled = [live(&grown), Write::Purse(&last_cent)];
    write(store, &filled).await;
    assert_eq!(store.commit(&filled).await.unwrap(), Outcome::Applied, "the answer to the first was lost");
    assert_eq!(store.purse(&all).await.unwrap(), Some(100));
    let ended = after(&grown, State::Succeeded);
    write(store, &[live(&ended), Write::Purse(&put(-70, None)), Write::BeginPurse { purse: &month, nano: -3 }]).await;
    assert_eq!((store.purse(&all).await.unwrap(), store.purse(&month).await.unwrap()), (Some(30), Some(-3)));
}

/// Totals grow with the write of their run or not at all, and are listed by day and by job.
pub(crate) async fn totals_grow_with_their_runs(world: &World) {
    let store = &*world.store;
    let (first, next) = (start().date_naive(), (start() + TimeDelta::days(1)).date_naive());
    let spend = |day, job: &str, agent: &str, name: &str, paid| Spend {
        of: SpendOf {
            day,
            job_id: job.to_owned(),
            agent_id: agent.to_owned(),
            model: "anthropic/claude-opus-5-5".to_owned(),
            path: "batch".to_owned(),
        },
        job_name: name.to_owned(),
        totals: Totals { runs: 1, hops: 2, paid, realtime: -3, ..Totals::default() },
    };
    let created = run("a", 0);
    let grown = [spend(first, "a", "main", "Before", 70), spend(first, "a", "ops#1", "Before", 1)];
    write(store, &[live(&created), Write::Spend(&grown[0]), Write::Spend(&grown[1])]).await;
    // A twin that comes too late adds nothing; its job was renamed in between.
    let (mut twin, renamed) = (created.clone(), spend(first, "a", "main", "After", 30));
    "another".clone_into(&mut twin.job_name);
    assert_eq!(store.commit(&[live(&twin), Write::Spend(&renamed)]).await.unwrap(), Outcome::Lost(0));
    let ended = after(&created, State::Succeeded);
    write(store, &[live(&ended), Write::Spend(&renamed), Write::Spend(&spend(first, "a-b", "main", "Other", 5))]).await;
    write(store, &[Write::Spend(&spend(next, "a", "main", "After", 9))]).await;

    let mut twice = spend(first, "a", "main", "After", 100);
    twice.totals = Totals { runs: 2, hops: 4, realtime: -6, ..twice.totals };
    let whole = [twice, grown[1].clone(), spend(first, "a-b", "main", "Other", 5)];
    let (job, page) = (JobId::parse("a").unwrap(), PageRequest { limit: 200, cursor: None });
    assert_eq!(store.spending(first, None, &page).await.unwrap().items, whole);
    assert_eq!(store.spending(first, Some(&job), &page).await.unwrap().items, whole[..2]);
    assert_eq!(store.spending(next, None, &page).await.unwrap().items.len(), 1);
    let (mut paged, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.spending(first, None, &PageRequest { limit: 1, cursor }).await.unwrap();
        paged.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(paged, whole);
}

pub(crate) async fn an_event_is_queued_once_and_consumed_once(world: &World) {
    let store = &*world.store;
    for id in ["2", "1", "2", "3"] {
        write(store, &[Write::Event(&event("main", id))]).await;
    }
    write(store, &[Write::Event(&event("other", "1"))]).await;
    assert_eq!(store.events("main").await.unwrap(), ["1", "2", "3"].map(|id| event("main", id)));
    let taken = ["1".to_owned(), "3".to_owned(), "1".to_owned(), "9".to_owned()];
    store.consume_events("main", &taken).await.unwrap();
    store.consume_events("main", &taken).await.unwrap();
    assert_eq!(store.events("main").await.unwrap(), [event("main", "2")]);
    assert_eq!(store.events("other").await.unwrap().len(), 1);
}

pub(crate) async fn an_event_that_stands_is_not_changed_by_a_transaction(world: &World) {
    let first = event("main", "1");
    write(&*world.store, &[Write::Event(&first)]).await;
    let second = SystemEvent { text: "another text".into(), at: start() + TimeDelta::seconds(1), ..first.clone() };
    let ended = after(&run("a", 0), State::Succeeded);
    write(&*world.store, &[live(&run("a", 0))]).await;
    write(&*world.store, &[live(&ended), Write::Event(&second)]).await;
    assert_eq!(world.store.events("main").await.unwrap(), [first]);
}

pub(crate) async fn an_event_that_is_over_is_not_queued_again_until_it_expires(world: &World) {
    let store = &*world.store;
    let (queued, by) = (event("main", "1"), run("hb-main", 0));
    write(store, &[Write::Event(&queued), Write::Event(&event("main", "2"))]).await;
    assert_eq!(store.event("main", "1").await.unwrap(), Some(queued.clone()));
    assert_eq!(store.event("other", "1").await.unwrap(), None);
    let (tried, over) = (queued.tried(&by.key, start()), queued.over(&by.key, true, start()));
    write(store, &[live(&by), Write::EventMoved(&tried)]).await;
    assert_eq!(store.events("main").await.unwrap(), [tried, event("main", "2")]);
    let ended = after(&by, State::Succeeded);
    write(store, &[live(&ended), Write::EventMoved(&over)]).await;
    assert_eq!(store.events("main").await.unwrap(), [event("main", "2")]);
    // A repeat of what queued it.
    write(store, &[Write::Event(&queued)]).await;
    assert_eq!(store.event("main", "1").await.unwrap(), Some(over.clone()));
    assert_eq!(store.events("main").await.unwrap(), [event("main", "2")]);
    world.clock.advance(over.expires_at - start() + TimeDelta::seconds(1));
    assert_eq!(store.event("main", "1").await.unwrap(), None);
}

pub(crate) async fn of_two_writers_of_the_configuration_one_loses(world: &World) {
    let store = &*world.store;
    assert_eq!(store.config().await.unwrap(), (0, Value::Null));
    let (one, two) = (json!({ "b": 1, "a": [1.5, "x"] }), json!({ "a": 2 }));
    assert_eq!(store.put_config(&one, 0).await.unwrap(), Outcome::Applied);
    assert_eq!(store.put_config(&one, 0).await.unwrap(), Outcome::Applied, "a repeat");
    assert_eq!(store.put_config(&two, 0).await.unwrap(), Outcome::Lost(0));
    let (revision, document) = store.config().await.unwrap();
    assert_eq!((revision, document.to_string()), (1, one.to_string()));
    assert_eq!(store.put_config(&two, 1).await.unwrap(), Outcome::Applied);
    assert_eq!(store.put_config(&one, 1).await.unwrap(), Outcome::Lost(0));
    assert_eq!(store.put_config(&one, 7).await.unwrap(), Outcome::Lost(0));
    assert_eq!(store.config().await.unwrap(), (2, two));
}

pub(crate) async fn the_first_answer_is_remembered_until_it_expires(world: &World) {
    let store = &*world.store;
    let (one, two) = (json!({ "jobId": "a" }), json!({ "jobId": "b" }));
    let expires_at = start() + TimeDelta::hours(24);
    assert_eq!(store.recall("key").await.unwrap(), None);
    store.remember("key", "digest 1", &one, expires_at).await.unwrap();
    store.remember("key", "digest 2", &two, expires_at).await.unwrap();
    assert_eq!(store.recall("key").await.unwrap(), Some(("digest 1".to_owned(), one)));
    world.clock.advance(TimeDelta::hours(25));
    assert_eq!(store.recall("key").await.unwrap(), None);
    store.remember("key", "digest 2", &two, expires_at + TimeDelta::hours(24)).await.unwrap();
    assert_eq!(store.recall("key").await.unwrap(), Some(("digest 2".to_owned(), two)));
}
