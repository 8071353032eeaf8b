//! The configuration through its use cases: what is written, what is told, and what a stop in between leaves.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::config::{Change, SecretsPath};
use serde_json::{Value, json};

use super::{World, daily, world};
use crate::deps::{Deps, Settings};
use crate::jobs::settings::{Applied, Validated};
use crate::jobs::{Refusal, config_apply, config_get, config_set, config_unset, config_validate, get};
use crate::ports::TimerSpec;
use crate::runs::load_config;

impl World {
    async fn stored(&self) -> (u64, Value) {
        config_get(&self.request(), &Value::Null).await.unwrap()
    }

    async fn set(&self, path: &str, value: Value) -> Result<Applied, Refusal> {
        config_set(&self.request(), &json!({ "path": path, "value": value })).await
    }

    /// The zones of the recurring timers.
    fn zones(&self) -> Vec<String> {
        let timers = self.outside.timers.lock().unwrap();
        let zone = |spec: &TimerSpec| match spec {
            TimerSpec::Recurring { timezone, .. } => timezone.clone(),
            TimerSpec::Once(at) => at.to_string(),
        };
        timers.iter().map(|timer| zone(&timer.spec)).collect()
    }

    async fn unset(&self, path: &str) -> Result<Applied, Refusal> {
        config_unset(&self.request(), &json!({ "path": path })).await
    }
}

/// The fields a refusal names.
fn named<T: std::fmt::Debug>(refused: Result<T, Refusal>) -> Vec<String> {
    match refused {
        Err(Refusal::Invalid(faults)) => faults.into_iter().map(|fault| fault.field).collect(),
        other => panic!("{other:?}"),
    }
}

fn change(path: &str, old: Option<Value>, new: Option<Value>) -> Change {
    Change { path: path.to_owned(), old, new }
}

fn local(world: World) -> World {
    let settings = Settings { local: true, ..Settings::default() };
    World { deps: Deps { settings, ..world.deps.clone() }, ..world }
}

#[tokio::test]
async fn the_example_that_shows_every_field_is_applied_and_comes_back_as_it_was() {
    let world = local(world());
    let text = include_str!("../../../../domain/tests/config-example.json");
    let example: Value = serde_json::from_str(text).unwrap();
    let applied = config_apply(&world.request(), &json!({ "config": example })).await.unwrap();
    assert_eq!((applied.revision, applied.notes.len()), (1, 0), "{:?}", applied.notes);
    assert_eq!(world.stored().await, (1, example.clone()));
    assert!(load_config(&world.deps).await.is_ok());
    let same = config_apply(&world.request(), &json!({ "config": example, "expectedRevision": 0 })).await.unwrap();
    assert_eq!((same.revision, same.changes), (1, vec![]), "a repeat finds its own document");
}

#[tokio::test]
async fn a_field_is_set_and_taken_away_and_each_time_the_change_is_told() {
    let world = world();
    let set = world.set("models.aliases['gpt-4.1']", json!("anthropic/claude-opus-5-5")).await.unwrap();
    let path = "models.aliases.\"gpt-4.1\"";
    assert_eq!(set.changes, [change(path, None, Some(json!("anthropic/claude-opus-5-5")))]);
    assert_eq!(set.revision, 1);
    let set = world.set(path, json!("anthropic/claude-haiku-5-5")).await.unwrap();
    let told = change(path, Some(json!("anthropic/claude-opus-5-5")), Some(json!("anthropic/claude-haiku-5-5")));
    assert_eq!((set.revision, set.changes), (2, vec![told]));
    let again = world.set(path, json!("anthropic/claude-haiku-5-5")).await.unwrap();
    assert_eq!((again.revision, again.changes), (2, vec![]), "nothing is written");
    assert_eq!(world.unset(path).await.unwrap().revision, 3);
    let absent = world.unset(path).await.unwrap();
    assert_eq!((absent.revision, absent.changes), (3, vec![]), "what is not there is left so");
    assert_eq!(world.stored().await, (3, json!({ "models": { "aliases": {} } })));

    let other = world.set("cron.defaultBatch", json!(true)).await.unwrap();
    assert_eq!(other.changes, [change("cron.batch.default", None, Some(json!(true)))], "under its name of today");
    let noted = world.set("cron.store", json!("~/.openclaw/cron/jobs.json")).await.unwrap();
    assert!(noted.notes[0].contains("cron.store is accepted"), "{:?}", noted.notes);
}

#[tokio::test]
async fn a_refused_change_names_every_bad_field_and_changes_nothing() {
    let world = world();
    world.set("cron.timezone", json!("Europe/Vienna")).await.unwrap();
    let before = world.stored().await;
    assert_eq!(named(world.set("cron.timezon", json!("UTC")).await), ["config.cron.timezon"]);
    assert_eq!(named(world.set("cron..timezone", json!("UTC")).await), ["path"]);
    assert_eq!(named(world.set("cron.timezone.x", json!(1)).await), ["config.cron.timezone"]);
    assert_eq!(named(world.set("models.prices[1]", json!({})).await), ["path"]);
    let bad = json!({ "maxConcurrentRuns": 1001, "retention": { "runsDays": 0 }, "webhookSecret": "plain" });
    let fields = ["config.cron.maxConcurrentRuns", "config.cron.retention.runsDays", "config.cron.webhookSecret"];
    assert_eq!(named(world.set("cron", bad.clone()).await), fields);
    assert_eq!(named(config_apply(&world.request(), &json!({ "config": { "cron": bad } })).await), fields);
    assert_eq!(named(world.unset("cron.timezon").await), ["config.cron.timezon"]);
    assert_eq!(named(world.unset("cron.nothing.at.all").await), ["config.cron.nothing"]);
    assert_eq!(
        named(config_set(&world.request(), &json!({ "expectedRevision": "1" })).await),
        ["expectedRevision", "path", "value"]
    );
    assert_eq!(named(config_unset(&world.request(), &json!({ "path": 7 })).await), ["path"]);
    for input in [json!({ "path": "cron.enabled", "value": false, "expectedRevision": 0 })] {
        assert!(matches!(
            config_set(&world.request(), &input).await,
            Err(Refusal::ConfigChanged { expected: 0, found: 1 })
        ));
    }
    assert_eq!(world.stored().await, before);
}

#[tokio::test]
async fn validation_says_everything_and_does_nothing() {
    let world = world();
    let asked = |config: Value| config_validate(&world.request(), &json!({ "config": config }));
    let Validated { faults, notes } =
        asked(json!({ "cron": { "enabled": 1, "timezone": "X/Y", "store": 1 } })).unwrap();
    let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["config.cron.enabled", "config.cron.timezone"]);
    assert_eq!(notes.len(), 1);
    assert_eq!(asked(json!({ "cron": { "timezone": "UTC" } })).unwrap(), Validated { faults: vec![], notes: vec![] });
    assert_eq!(asked(Value::Null).unwrap().faults[0].field, "config", "null is no document");
    assert_eq!(named(config_validate(&world.request(), &json!({}))), ["config"]);
    assert_eq!(world.stored().await, (0, json!({})));
}

#[tokio::test]
async fn a_change_of_another_field_made_meanwhile_stays() {
    let world = world();
    let (one, two) = (world.set("cron.timezone", json!("UTC")), world.set("cron.enabled", json!(false)));
    let (one, two) = tokio::join!(one, two);
    assert_eq!(one.unwrap().revision + two.unwrap().revision, 3);
    assert_eq!(world.stored().await.1, json!({ "cron": { "timezone": "UTC", "enabled": false } }));
}

#[tokio::test]
async fn jobs_follow_a_zone_that_is_set_and_a_repeat_moves_those_that_a_stop_left_behind() {
    let world = world();
    world.add(daily()).await;
    let mut other = daily();
    other["jobId"] = json!("other");
    world.add(other).await;
    *world.outside.fails.lock().unwrap() = Some("put j-other");
    assert!(matches!(world.set("cron.timezone", json!("Asia/Tokyo")).await, Err(Refusal::Failed(_))));
    assert_eq!(world.stored().await.0, 1, "the document is written first");
    *world.outside.fails.lock().unwrap() = None;
    let again = world.set("cron.timezone", json!("Asia/Tokyo")).await.unwrap();
    assert_eq!((again.revision, again.changes), (1, vec![]));
    let half_past_seven: DateTime<Utc> = "2026-11-20T22:30:00Z".parse().unwrap();
    for id in ["daily", "other"] {
        let job = get(&world.request(), &json!({ "jobId": id })).await.unwrap();
        assert_eq!(job.state.next_run_at_ms, Some(half_past_seven.timestamp_millis()), "{id}");
    }
    assert_eq!(world.zones(), ["Asia/Tokyo", "Asia/Tokyo"]);
    assert_eq!(world.unset("cron.timezone").await.unwrap().jobs_moved, 2);
    assert_eq!(world.zones(), ["UTC", "UTC"]);
}

#[tokio::test]
async fn a_zone_that_leaves_the_next_run_where_it_is_still_moves_the_timer() {
    let world = world();
    let mut job = daily();
    // At a quarter to one the next run is at 13:30 UTC, which is 14:30 in Vienna.
    world.clock.advance(TimeDelta::minutes(45));
    job["schedule"]["expr"] = json!("30 13,14 * * *");
    world.add(job).await;
    let set = world.set("agents.defaults.timezone", json!("Europe/Vienna")).await.unwrap();
    assert_eq!((set.jobs_moved, world.zones()), (0, vec!["Europe/Vienna".to_owned()]));
    world.outside.calls();
    world.set("cron.maxConcurrentRuns", json!(2)).await.unwrap();
    assert!(world.outside.calls().is_empty(), "another field moves nothing");
}

#[tokio::test]
async fn a_document_of_a_later_version_runs_jobs_and_is_repaired_before_it_is_changed() {
    let world = world();
    let later = json!({ "cron": { "timezone": "UTC", "moon": true } });
    world.deps.store.put_config(&later, 0).await.unwrap();
    assert_eq!(load_config(&world.deps).await.unwrap().cron.timezone.as_deref(), Some("UTC"));
    assert_eq!(named(world.set("cron.enabled", json!(false)).await), ["config.cron.moon"]);
    let repaired =
        config_apply(&world.request(), &json!({ "config": { "cron": { "timezone": "UTC" } } })).await.unwrap();
    assert_eq!(repaired.changes, [change("cron.moon", Some(json!(true)), None)]);
}

#[tokio::test]
async fn a_secret_that_the_functions_may_not_read_is_noted() {
    let world = world();
    let settings = Settings { secrets: Some(SecretsPath::new("/night")), ..Settings::default() };
    let world = World { deps: Deps { settings, ..world.deps.clone() }, ..world };
    let key = json!({ "apiKey": "ssm:/other/key" });
    let note =
        ["providers.anthropic.apiKey refers to a parameter outside /night/, which is all that the functions may read"];
    let document = json!({ "config": { "providers": { "anthropic": key } } });
    assert_eq!(config_validate(&world.request(), &document).unwrap().notes, note);
    assert_eq!(config_apply(&world.request(), &document).await.unwrap().notes, note);
    assert_eq!(world.set("cron.timezone", json!("UTC")).await.unwrap().notes, note, "for as long as it stands there");
    for reference in ["ssm:key", "ssm:/night/key"] {
        let set = world.set("providers.anthropic.apiKey", json!(reference)).await.unwrap();
        assert_eq!(set.notes, [""; 0], "{reference}");
    }
}
