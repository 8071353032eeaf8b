//! Acting calls over the MCP endpoint: each is begun once.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::run::{CallState, EndpointCall, Run, Text};
use nightshift_engine::ports::{Outcome, RunFilter, Write};
use tokio::task::JoinSet;

use super::fixtures::{first, job_id, live, run, write};
use super::worlds::{World, start};

fn call(run: &Run, id: &str, by: &str) -> EndpointCall {
    EndpointCall {
        run: run.key.clone(),
        id: id.to_owned(),
        tool: "message".to_owned(),
        by: by.to_owned(),
        state: CallState::Started { at: start() },
        rev: 1,
    }
}

fn done(call: &EndpointCall, result: &str) -> EndpointCall {
    let result = Text::Inline(result.to_owned());
    let state = CallState::Done { at: start(), is_error: false, result, cut_from: Some(7), sent_to: None };
    EndpointCall { state, rev: call.rev + 1, ..call.clone() }
}

fn expires_at() -> DateTime<Utc> {
    start() + TimeDelta::hours(1)
}

fn kept(call: &EndpointCall) -> Write<'_> {
    Write::EndpointCall { call, expires_at: expires_at() }
}

pub(crate) async fn a_call_is_begun_once_and_keeps_its_result(world: &World) {
    let of = run("a", 0);
    let (mine, theirs) = (call(&of, "once-1", "inv-1"), call(&of, "once-1", "inv-2"));
    assert_eq!(world.store.endpoint_call(&of.key, "once-1").await.unwrap(), None);
    write(&*world.store, &[kept(&mine)]).await;
    assert_eq!(world.store.commit(&[kept(&theirs)]).await.unwrap(), Outcome::Lost(0));
    assert_eq!(world.store.endpoint_call(&of.key, "once-1").await.unwrap(), Some(mine.clone()));
    assert_eq!(world.store.commit(&[kept(&mine)]).await.unwrap(), Outcome::Applied, "a repeat after a lost answer");

    let result = done(&mine, "{\"a\": 1.0}\u{0}é");
    write(&*world.store, &[kept(&result)]).await;
    for late in [&mine, &theirs, &done(&theirs, "another")] {
        assert_eq!(world.store.commit(&[kept(late)]).await.unwrap(), Outcome::Lost(0));
    }
    assert_eq!(world.store.endpoint_call(&of.key, "once-1").await.unwrap(), Some(result));
}

pub(crate) async fn of_24_that_begin_a_call_at_once_exactly_one_wins(world: &World) {
    let mut writers = JoinSet::new();
    for writer in 0..24 {
        let (store, mine) = (Arc::clone(&world.store), call(&run("a", 0), "once-1", &format!("inv-{writer}")));
        writers.spawn(async move { (store.commit(&[kept(&mine)]).await.unwrap(), mine) });
    }
    let outcomes = writers.join_all().await;
    let won: Vec<&EndpointCall> =
        outcomes.iter().filter(|(outcome, _)| *outcome == Outcome::Applied).map(|(_, mine)| mine).collect();
    let found = world.store.endpoint_call(&run("a", 0).key, "once-1").await.unwrap().unwrap();
    assert_eq!(won, [&found]);
}

pub(crate) async fn a_call_belongs_to_its_run_and_is_no_row_of_its_history(world: &World) {
    let (one, other) = (run("a", 0), run("a", 1));
    write(&*world.store, &[live(&one), live(&other)]).await;
    write(&*world.store, &[kept(&call(&one, "once-1", "inv-1")), kept(&call(&one, "once-2", "inv-1"))]).await;
    assert_eq!(world.store.endpoint_call(&other.key, "once-1").await.unwrap(), None);
    assert_eq!(world.store.endpoint_call(&one.key, "once").await.unwrap(), None);
    write(&*world.store, &[kept(&call(&other, "once-1", "inv-2"))]).await;
    let listed = world.store.runs(&RunFilter::OfJob(job_id("a")), &first(10)).await.unwrap().items;
    assert_eq!(listed, [other.clone(), one.clone()]);
    assert_eq!(world.store.chunks(&one.key, "once-1").await.unwrap(), []);
}

pub(crate) async fn a_call_goes_when_it_has_expired(world: &World) {
    let of = run("a", 0);
    write(&*world.store, &[kept(&call(&of, "once-1", "inv-1"))]).await;
    world.clock.advance_to(expires_at());
    assert!(world.store.endpoint_call(&of.key, "once-1").await.unwrap().is_some(), "it lasts through that second");
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(world.store.endpoint_call(&of.key, "once-1").await.unwrap(), None);
}
