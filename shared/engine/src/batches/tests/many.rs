//! Many in one batch: what a refusal of all of them costs, and how often anybody looks at them.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use nightshift_domain::RunKey;
use nightshift_domain::batch::{BatchState, Member};
use nightshift_domain::config::Config;
use nightshift_domain::job::OnTimeout;
use nightshift_domain::model::ModelErrorKind;
use nightshift_domain::run::attention_at;
use serde_json::json;

use super::provider::Create;
use super::rows::together;
use super::{World, ready, run, world};
use crate::batches::launch::{Prepared, intend, launch, may_join};
use crate::clock::Clock;
use crate::deps::Invocation;
use crate::ports::{Models, OpenModelError, OpenedModel};
use crate::runs::hop_request;
use crate::sweep::judge::{self, About, Verdict};

/// Sends a batch of `count`, with so much time to do it.
async fn send(world: &World, count: usize, time: TimeDelta) -> Vec<RunKey> {
    let invocation = Invocation { id: "inv-many".to_owned(), deadline: world.clock.now() + time };
    let scene = world.scene(&invocation);
    let (mut rows, mut keys) = (Vec::new(), Vec::new());
    for n in 0..count {
        let run = ready(&format!("j{n:03}"));
        world.write(&run).await;
        let request = hop_request(scene, &run, run.plan.as_ref().unwrap()).await.unwrap();
        keys.push(run.key.clone());
        rows.push(Prepared { member: Member { run: run.key.clone(), hop: 1, attempt: 1 }, run, request });
    }
    let intent = intend(scene, rows).await.unwrap().unwrap();
    Box::pin(launch(scene, intent)).await.unwrap();
    keys
}

fn refuse(world: &World, kind: ModelErrorKind) {
    world.provider.with(|inner| inner.creates.extend(std::iter::repeat_n(Create::Refused(kind, None), 1000)));
    world.provider.answers.add_permits(1000);
}

#[tokio::test]
async fn a_batch_whose_rows_are_all_refused_is_not_halved_down_to_each() {
    for (kind, most) in [(ModelErrorKind::Permission, 1), (ModelErrorKind::NotFound, 1), (ModelErrorKind::Invalid, 49)]
    {
        let world = world();
        refuse(&world, kind);
        let keys = send(&world, 64, TimeDelta::minutes(15)).await;
        assert!((1..=most).contains(&world.created()), "{kind:?}: {} creates", world.created());
        for key in &keys {
            let reason = world.run(key).await.plan.unwrap().fallback_reason;
            assert_eq!(reason.as_deref(), Some("batch_refused"), "{kind:?}: {key}");
        }
    }
}

#[tokio::test]
async fn what_there_is_no_time_to_create_is_left_to_its_poll() {
    let world = world();
    let keys = send(&world, 3, TimeDelta::minutes(1)).await;
    assert_eq!((world.created(), world.state(&keys[0]).await), (0, "ready"));
    let open = world.open().await;
    assert!(matches!(open[0].state, BatchState::Sealing { .. }));
    world.poll(&open[0].id).await;
    assert_eq!((world.created(), world.state(&keys[0]).await), (1, "submitted"));
}

#[tokio::test]
async fn a_run_that_was_planned_anew_does_not_join_a_batch_of_another_kind() {
    let world = world();
    let (id, _) = together(&world, &["a"]).await;
    let (batch, run) = (world.batch(&id).await, ready("b"));
    let member = Member { run: run.key.clone(), hop: 1, attempt: 1 };
    assert!(may_join(&run, &batch, &member));
    let (mut elsewhere, mut otherwise) = (run.clone(), run);
    elsewhere.plan.as_mut().unwrap().provider = "vllm".to_owned();
    otherwise.plan.as_mut().unwrap().on_timeout = OnTimeout::Realtime;
    assert!(!may_join(&elsewhere, &batch, &member) && !may_join(&otherwise, &batch, &member));
}

#[tokio::test]
async fn members_whose_batch_looks_after_them_leave_the_sweep_to_others() {
    let world = world();
    let (id, _) = together(&world, &["a"]).await;
    let state = |why: &str| json!({ "state": "canceling", "hop": 1, "attempt": 1, "batch": id, "why": why });
    let (late, asked) = (run("a", "batch", &state("timeout")), run("b", "batch", &state("requested")));
    assert_eq!(attention_at(&late), Some(late.state_since + TimeDelta::hours(26)));
    assert_eq!(attention_at(&asked), Some(asked.state_since + TimeDelta::minutes(5)));
    let now = asked.state_since + TimeDelta::minutes(20);
    let about = About { batch: Some(world.batch(&id).await), ..About::default() };
    assert_eq!(judge::run(&asked, &about, now), Verdict::Well(now + TimeDelta::hours(1)));
}

#[derive(Debug)]
pub(super) struct Throttled;

#[async_trait]
impl Models for Throttled {
    async fn open(&self, _: &Config, name: &str) -> Result<OpenedModel, OpenModelError> {
        Err(OpenModelError::Key { provider: name.to_owned(), reason: "throttled".to_owned() })
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_had_now_fails_nobody() {
    let mut world = world();
    let sound = std::mem::replace(&mut world.deps.models, Arc::new(Throttled));
    let key = world.submit(ready("a")).await;
    assert_eq!((world.state(&key).await, world.created()), ("paused", 0));
    world.deps.models = sound;
    world.live(TimeDelta::hours(1)).await;
    assert_eq!((world.state(&key).await, world.created()), ("submitted", 1));
}
