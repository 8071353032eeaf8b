//! Providers to which nothing is sent: one stop each, whoever writes it first.

use chrono::TimeDelta;
use nightshift_domain::model::ModelErrorKind;
use nightshift_domain::stop::Stop;
use nightshift_engine::ports::{Outcome, Write};

use super::fixtures::write;
use super::worlds::{World, start};

fn stop(provider: &str, standing: Option<&Stop>) -> Stop {
    let now = standing.map_or(start(), |standing| standing.until);
    Stop::after(standing, provider, ModelErrorKind::SpendLimit, "HTTP 429", None, now)
}

pub(crate) async fn a_stop_is_written_once_renewed_and_ended_by_whoever_knows_how_it_stands(world: &World) {
    let store = &*world.store;
    assert_eq!(store.stop("anthropic").await.unwrap(), None);
    let (first, other) = (stop("anthropic", None), stop("vllm", None));
    write(store, &[Write::Stop(&first)]).await;
    write(store, &[Write::Stop(&other)]).await;
    let mut second = first.clone();
    second.since += TimeDelta::seconds(1);
    assert_eq!(store.commit(&[Write::Stop(&second)]).await.unwrap(), Outcome::Lost(0));
    write(store, &[Write::Stop(&first)]).await;
    assert_eq!(store.stop("anthropic").await.unwrap(), Some(first.clone()));
    let overview = store.overview().await.unwrap();
    assert_eq!((overview.stops, overview.counters), (vec![first.clone(), other.clone()], vec![]));

    let renewed = stop("anthropic", Some(&first));
    write(store, &[Write::Stop(&renewed)]).await;
    assert_eq!(store.commit(&[Write::EndStop(&first)]).await.unwrap(), Outcome::Lost(0));
    write(store, &[Write::EndStop(&renewed)]).await;
    assert_eq!(store.stop("anthropic").await.unwrap(), None);
    assert_eq!(store.overview().await.unwrap().stops, [other]);
}

pub(crate) async fn a_stop_that_nobody_probes_is_forgotten_after_a_week(world: &World) {
    let store = &*world.store;
    let left = stop("removed", None);
    write(store, &[Write::Stop(&left)]).await;
    world.clock.advance_to(left.until + TimeDelta::days(7));
    assert_eq!(store.overview().await.unwrap().stops.len(), 1);
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!((store.stop("removed").await.unwrap(), store.overview().await.unwrap().stops), (None, vec![]));
    let (since, until) = (left.until + TimeDelta::days(8), left.until + TimeDelta::days(9));
    let anew = Stop { since, until, ..left };
    write(store, &[Write::Stop(&anew)]).await;
    assert_eq!(store.stop("removed").await.unwrap(), Some(anew));
}
