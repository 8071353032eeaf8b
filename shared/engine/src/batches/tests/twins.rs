//! Two invocations of one request: Lambda's second delivery of an event, or its retry after a crash.

use chrono::TimeDelta;
use nightshift_domain::run::Lease;

use super::{World, running, world};
use crate::EngineError;
use crate::clock::Clock;
use crate::deliver::{Delivered, deliver};
use crate::deps::Invocation;
use crate::runs::{Resumed, resume};

fn of(world: &World, request: &str, nonce: u128) -> Invocation {
    Invocation::new(request, nonce, world.clock.now() + TimeDelta::minutes(15))
}

#[tokio::test]
async fn a_second_delivery_does_not_work_beside_the_first_and_a_retry_comes_to_work_when_the_lease_is_over() {
    let world = world();
    let (first, second, stranger) = (of(&world, "req-1", 1), of(&world, "req-1", 2), of(&world, "req-2", 3));
    let mut run = running("a");
    run.lease = Some(Lease { owner: first.id.clone(), until: world.clock.now() + TimeDelta::seconds(90) });
    world.write(&run).await;
    world.provider.answers.add_permits(9);
    let error = Box::pin(resume(world.scene(&second), &run.key)).await.unwrap_err();
    assert!(matches!(error, EngineError::Twin { .. }), "{error}: it has to be tried again");
    let held = Box::pin(resume(world.scene(&stranger), &run.key)).await.unwrap();
    assert!(matches!(held, Resumed::Held { .. }), "somebody else's work is no failure");
    assert_eq!((world.run(&run.key).await, world.provider.with(|inner| inner.sent)), (run.clone(), 0));
    world.clock.advance(TimeDelta::seconds(90));
    let taken = Box::pin(resume(world.scene(&second), &run.key)).await.unwrap();
    assert_eq!((taken, world.state(&run.key).await), (Resumed::Driven, "succeeded"));
}

#[tokio::test]
async fn a_delivery_is_not_made_twice_by_two_invocations_of_one_request() {
    let world = world();
    let (first, second) = (of(&world, "req-1", 1), of(&world, "req-1", 2));
    let mut run = running("a");
    run.state = nightshift_domain::run::State::Delivering;
    run.lease = Some(Lease { owner: first.id.clone(), until: world.clock.now() + TimeDelta::seconds(90) });
    world.write(&run).await;
    let error = deliver(world.scene(&second), &run.key).await.unwrap_err();
    assert!(matches!(error, EngineError::Twin { .. }), "{error}");
    world.clock.advance(TimeDelta::seconds(90));
    assert!(matches!(deliver(world.scene(&second), &run.key).await.unwrap(), Delivered::Closed(_)));
}
