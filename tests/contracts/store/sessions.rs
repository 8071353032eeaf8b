//! Named sessions and their exchanges.

use std::sync::Arc;

use nightshift_domain::RunKey;
use nightshift_domain::model::Role;
use nightshift_domain::run::{Said, State, Text};
use nightshift_domain::session::{Change, Cut, Exchange, MOST_EXCHANGES, Session, Summary};
use nightshift_engine::ports::{Outcome, Write};
use tokio::task::JoinSet;

use super::fixtures::{after, event, first, job, live, next, run, write};
use super::worlds::{World, start};

fn exchange(n: u64) -> Exchange {
    let said = |role, text: &str| Said { role, content: Text::Inline(format!("\"{text} {n} \u{1f319}\"")) };
    let said = vec![said(Role::User, "asked"), said(Role::Assistant, "said")];
    Exchange { n, run: run("a", 0).key, at: start(), said, bytes: 10 }
}

fn taken(session: &Session, run: &RunKey) -> Change {
    session.taken(run, &[])
}

fn left(session: &Session, put: Option<Exchange>) -> Change {
    session.released(None, put, start())
}

/// A session with this many exchanges, written.
async fn session(world: &World, name: &str, exchanges: u64) -> Session {
    let mut session = Session::new("main", name, start());
    for n in 0..exchanges.max(1) {
        let change = left(&session, (exchanges > 0).then(|| exchange(n)));
        write(&*world.store, &[Write::Session(&change)]).await;
        session = change.session;
    }
    session
}

async fn stored(world: &World, name: &str) -> (Option<Session>, Vec<Exchange>) {
    let session = world.store.session("main", name).await.unwrap();
    (session, world.store.exchanges("main", name).await.unwrap())
}

pub(crate) async fn a_session_and_its_exchanges_change_together_or_not_at_all(world: &World) {
    assert_eq!(stored(world, "work").await, (None, vec![]));
    let (mine, theirs) = (run("a", 0), run("b", 0));
    let change = taken(&Session::new("main", "work", start()), &mine.key);
    write(&*world.store, &[live(&mine), Write::Session(&change)]).await;
    assert_eq!(stored(world, "work").await, (Some(change.session.clone()), vec![]));

    // Who read it before is late, and so is all they wrote with it.
    let late = taken(&Session::new("main", "work", start()), &theirs.key);
    let record = job("b", "b");
    let commit = [live(&theirs), Write::Job(&record), Write::Session(&late)];
    assert_eq!(world.store.commit(&commit).await.unwrap(), Outcome::Lost(2));
    assert_eq!(world.store.run(&theirs.key).await.unwrap(), None);

    let ended = after(&mine, State::Delivering);
    let release = left(&change.session, Some(exchange(0)));
    write(&*world.store, &[live(&ended), Write::Session(&release)]).await;
    assert_eq!(stored(world, "work").await, (Some(release.session), vec![exchange(0)]));
    let stale = left(&change.session, Some(exchange(7)));
    assert_eq!(world.store.commit(&[Write::Session(&stale)]).await.unwrap(), Outcome::Lost(0));
    assert_eq!(stored(world, "work").await.1, [exchange(0)]);
}

pub(crate) async fn exchanges_come_and_go_with_their_session(world: &World) {
    let session = session(world, "work", 12).await;
    let all: Vec<Exchange> = (0..12).map(exchange).collect();
    assert_eq!(stored(world, "work").await, (Some(session.clone()), all));
    let summary = Summary { content: Text::Inline("\"so far\"".into()), bytes: 8 };
    let cut = Cut { from: 9, messages: 6, again: false, done: true, summary: Some(summary.clone()) };
    let change = session.released(Some(&cut), Some(exchange(12)), start());
    write(&*world.store, &[Write::Session(&change)]).await;
    let (found, exchanges) = stored(world, "work").await;
    assert_eq!(exchanges.iter().map(|one| one.n).collect::<Vec<_>>(), [9, 10, 11, 12]);
    assert_eq!(found.unwrap().summary, Some(summary));
}

pub(crate) async fn a_repeat_of_a_sessions_change_is_applied_once(world: &World) {
    let before = session(world, "work", 2).await;
    let (mine, ended) = (run("a", 0), after(&run("a", 0), State::Delivering));
    write(&*world.store, &[live(&mine)]).await;
    let cut = Cut { from: 1, messages: 2, again: false, done: true, summary: None };
    let change = before.released(Some(&cut), Some(exchange(2)), start());
    for _ in 0..2 {
        write(&*world.store, &[live(&ended), Write::Session(&change)]).await;
        write(&*world.store, &[Write::Session(&change)]).await;
    }
    assert_eq!(stored(world, "work").await, (Some(change.session.clone()), vec![exchange(1), exchange(2)]));
    // Somebody has it by now: half of the repeat would be news.
    let next = taken(&change.session, &run("b", 0).key);
    write(&*world.store, &[Write::Session(&next)]).await;
    let repeat = [live(&ended), Write::Session(&change)];
    assert_eq!(world.store.commit(&repeat).await.unwrap(), Outcome::Lost(1));
    assert_eq!(stored(world, "work").await.0, Some(next.session));
}

pub(crate) async fn sessions_of_an_agent_are_listed_by_name_and_no_others(world: &World) {
    for name in ["b", "ä", "B", "a"] {
        session(world, name, 1).await;
    }
    let theirs = Session { agent: "ops".into(), ..Session::new("ops", "theirs", start()) };
    write(&*world.store, &[Write::Session(&left(&theirs, None)), Write::Event(&event("main", "e"))]).await;
    let page = world.store.sessions("main", &first(3)).await.unwrap();
    let names = |sessions: &[Session]| sessions.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&page.items), ["B", "a", "b"]);
    let rest = world.store.sessions("main", &next(3, page.next.as_deref())).await.unwrap();
    assert_eq!((names(&rest.items), rest.next), (vec!["ä".to_owned()], None));
    assert_eq!(names(&world.store.sessions("ops", &first(9)).await.unwrap().items), ["theirs"]);
    assert_eq!(names(&world.store.sessions("nobody", &first(9)).await.unwrap().items), [""; 0]);
    // A name that begins with another one has exchanges of its own.
    session(world, "a.b", 2).await;
    assert_eq!(stored(world, "a").await.1.len(), 1);
}

pub(crate) async fn a_removed_session_leaves_nothing_and_may_begin_anew(world: &World) {
    let session = session(world, "work", 3).await;
    let older = Session { rev: session.rev - 1, ..session.clone() };
    assert_eq!(world.store.commit(&[Write::RemoveSession(&older)]).await.unwrap(), Outcome::Lost(0));
    assert_eq!(stored(world, "work").await.1.len(), 3);
    for _ in 0..2 {
        write(&*world.store, &[Write::RemoveSession(&session)]).await;
        assert_eq!(stored(world, "work").await, (None, vec![]));
    }
    let late = left(&session, Some(exchange(3)));
    assert_eq!(world.store.commit(&[Write::Session(&late)]).await.unwrap(), Outcome::Lost(0));
    let anew = taken(&Session::new("main", "work", start()), &run("a", 0).key);
    write(&*world.store, &[Write::Session(&anew)]).await;
    assert_eq!(stored(world, "work").await, (Some(anew.session), vec![]));
}

pub(crate) async fn of_24_concurrent_takers_exactly_one_gets_the_session(world: &World) {
    let session = session(world, "work", 1).await;
    let mut takers = JoinSet::new();
    for minute in 0..24 {
        let (store, mine) = (Arc::clone(&world.store), run("a", minute));
        let change = taken(&session, &mine.key);
        takers.spawn(async move { store.commit(&[live(&mine), Write::Session(&change)]).await });
    }
    let outcomes: Vec<Outcome> = takers.join_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Applied).count(), 1, "{outcomes:?}");
    let holder = stored(world, "work").await.0.unwrap().holder.unwrap();
    assert!(world.store.run(&holder).await.unwrap().is_some(), "the holder's run is the one that was written");
}

pub(crate) async fn the_longest_session_is_written_off_in_one_commit(world: &World) {
    let most = MOST_EXCHANGES as u64;
    let session = session(world, "work", most).await;
    let cut = Cut { from: most, messages: 0, again: false, done: true, summary: None };
    let change = session.released(Some(&cut), Some(exchange(most)), start());
    let (ended, record) = (run("a", 0), job("a", "a"));
    write(&*world.store, &[live(&ended), Write::Job(&record), Write::Session(&change)]).await;
    assert_eq!(stored(world, "work").await.1, [exchange(most)]);
}
