//! A provider that is out of money.

use chrono::TimeDelta;
use nightshift_domain::model::ModelErrorKind;
use nightshift_domain::run::{Effect, Run, State};
use nightshift_domain::stop::{PROBE_AFTER, Stop};
use serde_json::json;

use super::provider::Create;
use super::{World, ready, running, world, world_of};
use crate::clock::Clock;
use crate::runs::drive;

fn refuse(world: &World, kind: ModelErrorKind, after: Option<TimeDelta>, times: usize) {
    world.provider.with(|inner| inner.creates.extend(std::iter::repeat_n(Create::Refused(kind, after), times)));
}

async fn stops(world: &World) -> Vec<Stop> {
    world.deps.store.overview().await.unwrap().stops
}

fn failed(run: &Run) -> (&str, &str) {
    let State::Failed { code, message } = &run.state else { panic!("{:?}", run.state) };
    (code, message)
}

#[tokio::test]
async fn a_spend_limit_stops_the_provider_until_a_probe_goes_through() {
    for kind in [ModelErrorKind::SpendLimit, ModelErrorKind::Billing] {
        let world = world();
        refuse(&world, kind, None, 1);
        let first = world.submit(ready("first")).await;
        assert_eq!(failed(&world.run(&first).await).0, kind.code());
        let stop = stops(&world).await.remove(0);
        assert_eq!((stop.code.as_str(), stop.since), (kind.code(), world.clock.now()));
        assert_eq!(world.deps.store.stop("anthropic").await.unwrap().as_ref(), Some(&stop));

        world.clock.advance(TimeDelta::minutes(59));
        let second = world.submit(ready("second")).await;
        let run = world.run(&second).await;
        assert_eq!(failed(&run), (kind.code(), stop.sentence().as_str()));
        assert!(
            stop.sentence().contains("since 2026-11-20 12:00 UTC")
                && stop.sentence().contains("before 2026-11-20 13:00 UTC")
        );
        assert!(world.created() == 1 && world.open().await.is_empty(), "nothing is sent, and nothing intended");

        world.clock.advance(TimeDelta::minutes(1));
        refuse(&world, kind, None, 1);
        world.submit(ready("third")).await;
        let renewed = stops(&world).await.remove(0);
        assert_eq!((renewed.since, renewed.until), (stop.since, world.clock.now() + PROBE_AFTER));

        world.clock.advance(PROBE_AFTER);
        let fourth = world.submit(ready("fourth")).await;
        assert_eq!(world.state(&fourth).await, "submitted");
        assert_eq!((stops(&world).await, world.created()), (vec![], 3));
    }
}

#[tokio::test]
async fn the_provider_may_say_how_long() {
    let world = world();
    refuse(&world, ModelErrorKind::SpendLimit, Some(TimeDelta::hours(7)), 1);
    world.submit(ready("a")).await;
    assert_eq!(stops(&world).await[0].until, world.clock.now() + TimeDelta::hours(7));
}

#[tokio::test]
async fn other_refusals_stop_nothing() {
    for kind in [ModelErrorKind::RateLimited, ModelErrorKind::Auth, ModelErrorKind::Overloaded] {
        let world = world();
        refuse(&world, kind, None, 1);
        world.submit(ready("a")).await;
        assert_eq!(stops(&world).await, []);
    }
}

#[tokio::test]
async fn many_that_meet_the_limit_at_once_write_one_stop() {
    let world = world();
    // Each looks at the gate before the first is refused.
    let invocation = world.invocation("inv");
    let scene = world.scene(&invocation);
    let mut gates = Vec::new();
    for _ in 0..20 {
        gates.push(crate::stops::Gate::of(scene, "anthropic").await.unwrap());
    }
    for gate in &gates {
        gate.refused(scene, &super::provider::failure(ModelErrorKind::SpendLimit)).await;
        world.clock.advance(TimeDelta::seconds(1));
    }
    let stop = stops(&world).await.remove(0);
    assert_eq!((stop.rev, stop.until), (1, stop.since + PROBE_AFTER));
    // One that went through before the limit was met does not end what was written since.
    gates[0].passed(scene).await;
    assert_eq!(stops(&world).await, [stop]);
}

#[tokio::test]
async fn a_limit_met_in_realtime_stops_batches_too_and_the_other_way_round() {
    let world = world();
    let run = running("a");
    world.write(&run).await;
    world.provider.with(|inner| inner.messages.push_back(Err((ModelErrorKind::SpendLimit, None))));
    world.provider.answers.add_permits(9);
    let invocation = world.invocation("inv");
    let key = run.key.clone();
    Box::pin(drive(world.scene(&invocation), run, vec![Effect::CallModel])).await.unwrap();
    assert_eq!(failed(&world.run(&key).await).0, "spend_limit");
    let batched = world.submit(ready("b")).await;
    assert_eq!((failed(&world.run(&batched).await).0, world.created()), ("spend_limit", 0));
    let run = running("c");
    world.write(&run).await;
    let key = run.key.clone();
    Box::pin(drive(world.scene(&invocation), run, vec![Effect::CallModel])).await.unwrap();
    assert_eq!((failed(&world.run(&key).await).0, world.provider.with(|inner| inner.sent)), ("spend_limit", 1));
}

#[tokio::test]
async fn a_run_goes_on_with_another_providers_model_where_it_has_one() {
    let world = world_of(&json!({ "providers": { "vllm": { "kind": "openai", "baseUrl": "http://127.0.0.1:1/v1" } } }));
    world.provider.answers.add_permits(9);
    let with_fallback = |job: &str| {
        let mut run = ready(job);
        run.turn.model = Some("anthropic/claude-haiku-4-5".to_owned());
        run.turn.fallbacks = Some(vec!["vllm/any".to_owned()]);
        run.plan.as_mut().unwrap().fallbacks_left = 1;
        run
    };
    refuse(&world, ModelErrorKind::SpendLimit, None, 1);
    for (job, why) in [("meets", "it meets the limit"), ("finds", "it finds the stop")] {
        let key = world.submit(with_fallback(job)).await;
        let run = world.run(&key).await;
        assert_eq!(run.state.name(), "succeeded", "{why}: {:#?}", run.events);
        assert_eq!(run.plan.unwrap().provider, "vllm", "{why}");
    }
    assert_eq!(world.created(), 1);
}
