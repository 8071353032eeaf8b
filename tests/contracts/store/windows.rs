//! Windows, and the runs that wait in them.

use std::sync::Arc;

use chrono::TimeDelta;
use nightshift_domain::RunKey;
use nightshift_domain::batch::{Collected, Window, WindowId};
use nightshift_domain::run::State;
use nightshift_engine::ports::{DueItem, Outcome, StoreErrorKind, Write};
use tokio::task::JoinSet;

use super::fixtures::{after, first, live, next, run, write};
use super::worlds::{World, start};

fn id(name: &str) -> WindowId {
    WindowId::new(format!("20261120T070100Z-{name}-11-f"))
}

fn kept(window: &Window) -> Write<'_> {
    Write::Window { window, expires_at: None }
}

fn opened(name: &str) -> Window {
    Window::opened(&id(name), None, start()).unwrap()
}

async fn waiting(world: &World, window: &WindowId) -> Vec<RunKey> {
    let page = world.store.collected(window, &first(200)).await.unwrap();
    assert_eq!(page.next, None);
    page.items.into_iter().map(|one| one.run).collect()
}

pub(crate) async fn a_window_is_opened_by_one_and_due_until_it_is_closed(world: &World) {
    let open = opened("a");
    assert_eq!(world.store.window(&open.id).await.unwrap(), None);
    write(&*world.store, &[kept(&open)]).await;
    write(&*world.store, &[kept(&open)]).await;
    let rival = Window { seal_at: open.seal_at + TimeDelta::seconds(1), ..open.clone() };
    assert_eq!(world.store.commit(&[kept(&rival)]).await.unwrap(), Outcome::Lost(0));
    assert_eq!(world.store.window(&open.id).await.unwrap(), Some(open.clone()));

    let later = start() + TimeDelta::days(1);
    assert_eq!(world.store.due(open.seal_at, 10).await.unwrap(), []);
    assert_eq!(world.store.due(later, 10).await.unwrap(), [DueItem::Window(open.id.clone())]);
    let taken = open.taken("me", start() + TimeDelta::minutes(1)).unwrap();
    write(&*world.store, &[kept(&taken)]).await;
    assert_eq!(world.store.due(open.seal_at + TimeDelta::minutes(1), 10).await.unwrap(), []);
    assert_eq!(world.store.due(later, 10).await.unwrap(), [DueItem::Window(open.id.clone())]);
    let closed = taken.left(true);
    write(&*world.store, &[Write::Window { window: &closed, expires_at: Some(later) }]).await;
    assert_eq!(world.store.due(later, 10).await.unwrap(), []);
    let again = Window::opened(&open.id, Some(&closed), start() + TimeDelta::minutes(2)).unwrap();
    write(&*world.store, &[kept(&again)]).await;
    assert_eq!(world.store.due(later, 10).await.unwrap(), [DueItem::Window(open.id)]);
}

pub(crate) async fn of_24_that_open_a_window_at_once_exactly_one_wins(world: &World) {
    let mut openers = JoinSet::new();
    for second in 0..24 {
        let store = Arc::clone(&world.store);
        let window = Window { seal_at: start() + TimeDelta::seconds(second), ..opened("a") };
        openers.spawn(async move { store.commit(&[kept(&window)]).await });
    }
    let outcomes: Vec<Outcome> = openers.join_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Applied).count(), 1, "{outcomes:?}");
}

pub(crate) async fn a_run_comes_to_and_leaves_its_window_with_its_own_write_or_not_at_all(world: &World) {
    let (here, there) = (id("a"), id("b"));
    let mine = run("a", 0);
    let collect = |window| Write::Collect { window, run: &mine.key, bytes: 1_234 };
    let uncollect = |window| Write::Uncollect { window, run: &mine.key };
    write(&*world.store, &[live(&mine), collect(&here)]).await;
    write(&*world.store, &[live(&mine), collect(&here)]).await;
    let page = world.store.collected(&here, &first(10)).await.unwrap();
    assert_eq!(page.items, [Collected { run: mine.key.clone(), bytes: 1_234 }]);
    assert_eq!(waiting(world, &there).await, []);

    let stale = after(&after(&mine, State::Due), State::Canceled);
    assert_eq!(world.store.commit(&[live(&stale), uncollect(&here)]).await.unwrap(), Outcome::Lost(0));
    assert_eq!(waiting(world, &here).await, std::slice::from_ref(&mine.key));

    // From one window to another, and out.
    let moved = after(&mine, State::Delivering);
    write(&*world.store, &[live(&moved), uncollect(&here), collect(&there)]).await;
    assert_eq!((waiting(world, &here).await, waiting(world, &there).await), (vec![], vec![mine.key.clone()]));
    let ended = after(&moved, State::Succeeded);
    for _ in 0..2 {
        write(&*world.store, &[live(&ended), uncollect(&there)]).await;
    }
    assert_eq!(waiting(world, &there).await, []);
    let twice = world.store.commit(&[collect(&here), uncollect(&here)]).await;
    assert_eq!(twice.unwrap_err().kind, StoreErrorKind::Refused);
}

pub(crate) async fn the_runs_in_a_window_are_listed_by_key_in_pages_and_no_others(world: &World) {
    let (window, other) = (id("a"), id("b"));
    let keys: Vec<RunKey> = (0..450).map(|minute| run("a", minute).key).collect();
    for some in keys.chunks(90) {
        let writes: Vec<Write<'_>> = some.iter().map(|run| Write::Collect { window: &window, run, bytes: 1 }).collect();
        write(&*world.store, &writes).await;
    }
    let elsewhere = run("b", 0).key;
    write(&*world.store, &[kept(&opened("a")), Write::Collect { window: &other, run: &elsewhere, bytes: 1 }]).await;
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let request = cursor.as_deref().map_or_else(|| first(200), |cursor| next(200, Some(cursor)));
        let page = world.store.collected(&window, &request).await.unwrap();
        seen.push(page.items.len());
        // Whoever was read may leave before the next page is.
        for one in &page.items {
            assert!(keys.contains(&one.run));
            write(&*world.store, &[Write::Uncollect { window: &window, run: &one.run }]).await;
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [200, 200, 50]);
    assert_eq!((waiting(world, &window).await, waiting(world, &other).await), (vec![], vec![elsewhere]));
}
