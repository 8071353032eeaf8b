//! Sessions whose rows name runs that are over or gone, which no write of ours leaves behind.

use nightshift_domain::RunKey;
use nightshift_domain::run::{Event, Lease, Run, State, WaitReason, next};
use nightshift_domain::session::{Change, Hold, InSession, Session};

use super::*;
use crate::jobs::{session_get, session_remove, sessions_list};
use crate::ports::{Outcome, Write};
use crate::runs::Scene;
use crate::runs::sessions::{Stepped, step};

fn key(n: u32) -> RunKey {
    RunKey::parse(&format!("daily_2026112{n}T073000Z")).unwrap()
}

/// A run of session `work`, standing so.
#[expect(clippy::needless_pass_by_value, reason = "a state is written where it is used")]
fn standing(n: u32, state: State, hold: Hold) -> Run {
    let at: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
    let run = json!({
        "key": key(n), "jobId": "daily", "jobName": "Daily", "agentId": "main", "origin": "schedule", "slot": at,
        "sequence": 1, "task": { "task": "turn" }, "createdAt": at, "startedAt": null, "endedAt": null, "state": state,
        "stateSince": at, "rev": 1, "turn": { "message": "" }, "prompt": { "inline": "p" }, "delivery": null,
        "session": InSession { agent: "main".into(), name: "work".into(), alone: false, hold, cut: None },
    });
    serde_json::from_value(run).unwrap()
}

fn waiting(n: u32) -> Run {
    standing(n, State::Waiting { reason: WaitReason::Session }, Hold::Queued)
}

fn running(n: u32) -> Run {
    standing(n, State::Running { hop: 1, starts: 1, tries: 0 }, Hold::Held)
}

impl World {
    async fn store(&self, run: &Run) {
        let write = Write::Run { run, expires_at: None };
        assert_eq!(self.deps.store.commit(&[write]).await.unwrap(), Outcome::Applied);
    }

    /// Writes a session with this holder and line.
    async fn session(&self, holder: u32, line: &[u32]) {
        let session = Session::new("main", "work", self.clock.now());
        let session =
            Session { rev: 1, holder: Some(key(holder)), waiting: line.iter().map(|n| key(*n)).collect(), ..session };
        let change = Change { session, put: None, drop: Vec::new() };
        assert_eq!(self.deps.store.commit(&[Write::Session(&change)]).await.unwrap(), Outcome::Applied);
    }

    /// What planning `run` means for its session.
    async fn planned(&self, run: &Run) -> Stepped {
        let plan = json!({
            "path": "realtime", "provider": "anthropic", "model": "m", "maxTokens": 10, "deadline": self.clock.now(),
            "onTimeout": "fail", "realtimeSeconds": 60, "maxHops": 3,
        });
        let event = Event::Planned(Box::new(serde_json::from_value(plan).unwrap()));
        let transition = next(run, event, self.clock.now()).unwrap();
        let config = Config::default();
        let scene = Scene { deps: &self.deps, invocation: &self.invocation, config: &config };
        step(scene, run, transition, None, None, self.clock.now()).await.unwrap()
    }
}

#[tokio::test]
async fn a_holder_that_works_keeps_its_session_and_one_that_is_over_or_gone_is_replaced() {
    let mine = standing(9, State::Due, Hold::None);
    let over = [
        None,
        Some(standing(1, State::Succeeded, Hold::Held)),
        Some(standing(1, State::Delivering, Hold::Held)),
        Some(standing(1, State::Running { hop: 1, starts: 1, tries: 0 }, Hold::None)),
        // Written by a release that knows no sessions.
        Some(Run { session: None, ..running(1) }),
    ];
    for there in over {
        let world = world();
        if let Some(there) = &there {
            world.store(there).await;
        }
        world.session(1, &[]).await;
        let Stepped { transition, change, .. } = world.planned(&mine).await;
        assert!(matches!(transition.run.state, State::Running { .. }), "{there:?}");
        assert_eq!(transition.run.session.unwrap().hold, Hold::Held);
        assert_eq!(change.unwrap().session.holder, Some(mine.key.clone()));
    }
    let held = [
        running(1),
        standing(1, State::Waiting { reason: WaitReason::Place { hop: 1, tries: 0 } }, Hold::Held),
        Run { lease: Some(Lease { owner: "dead".into(), until: DateTime::UNIX_EPOCH }), ..running(1) },
    ];
    for there in held {
        let world = world();
        world.store(&there).await;
        world.session(1, &[]).await;
        let Stepped { transition, change, wake, .. } = world.planned(&mine).await;
        assert_eq!(transition.run.state, State::Waiting { reason: WaitReason::Session }, "{there:?}");
        assert_eq!((transition.run.plan, transition.run.lease, wake), (None, None, None));
        assert_eq!(change.unwrap().session.waiting, std::slice::from_ref(&mine.key));
    }
}

#[tokio::test]
async fn the_first_that_lives_is_next_and_the_dead_are_passed() {
    let world = world();
    // 2 is gone, 3 was canceled, 4 is paused because it could not be planned; 5 waits.
    world.store(&standing(3, State::Canceled, Hold::Queued)).await;
    let at = world.clock.now();
    world.store(&standing(4, State::Paused { hop: 0, resume_at: at, tries: 1, attempt: 1 }, Hold::Queued)).await;
    world.store(&waiting(5)).await;
    world.session(1, &[2, 3, 4, 5, 6]).await;

    let mine = Run { state: State::Due, ..waiting(6) };
    let Stepped { transition, change, wake, .. } = world.planned(&mine).await;
    assert_eq!(transition.run.state, State::Waiting { reason: WaitReason::Session });
    assert_eq!((change, wake), (None, Some(key(5))), "it stands in line already, and the one before it is woken");

    let first = Run { state: State::Due, ..waiting(5) };
    let change = world.planned(&first).await.change.unwrap();
    assert_eq!((change.session.holder, change.session.waiting), (Some(key(5)), vec![key(6)]));
}

#[tokio::test]
async fn a_session_is_removed_unless_its_holder_works() {
    let world = world();
    world.store(&running(1)).await;
    world.session(1, &[]).await;
    let named = json!({ "name": "work" });
    let busy = session_remove(&world.request(), &named).await;
    assert!(matches!(busy, Err(Refusal::SessionBusy { run, .. }) if run == key(1)));
    world.store(&Run { rev: 2, ..standing(1, State::Canceled, Hold::None) }).await;
    assert_eq!(sessions_list(&world.request(), &json!({ "agentId": "main" })).await.unwrap().rows.len(), 1);
    session_remove(&world.request(), &named).await.unwrap();
    assert!(matches!(session_get(&world.request(), &named).await, Err(Refusal::NoSession { .. })));
    assert!(matches!(session_remove(&world.request(), &json!({ "name": "a b" })).await, Err(Refusal::Invalid(_))));
    assert!(matches!(session_remove(&world.request(), &json!({})).await, Err(Refusal::Invalid(_))));
}
