//! The endpoint on a table in memory: who is let in, and that an acting call is made once whatever breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use futures::future::{pending, poll_immediate};
use nightshift_domain::config::Config;
use nightshift_domain::run::{Endpoint, State, Text, Via};
use nightshift_domain::run_token::{Claims, TokenKey, render};
use nightshift_domain::tools::Offer;
use nightshift_domain::{AttemptId, RunKey};
use serde_json::json;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::deps::Settings;
use crate::runs::endpoint::{endpoint, record};
use crate::testing::{Faulty, MemoryBlobs, MemoryStore, Mishap, NoMetrics, NoSecrets, NoWeb, Nothing};

struct World {
    deps: Deps,
    store: Arc<Faulty>,
    blobs: Arc<MemoryBlobs>,
    clock: ManualClock,
    config: Config,
    acted: AtomicU32,
}

fn world() -> World {
    let clock = ManualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
    let store = Arc::new(Faulty::new(Arc::new(MemoryStore::new(Arc::new(clock.clone())))));
    let blobs = Arc::new(MemoryBlobs::new());
    let nothing = Arc::new(Nothing);
    let deps = Deps {
        clock: Arc::new(clock.clone()),
        entropy: nothing.clone(),
        store: store.clone(),
        blobs: blobs.clone(),
        timers: nothing.clone(),
        invoker: nothing.clone(),
        models: nothing.clone(),
        channels: nothing,
        secrets: Arc::new(NoSecrets),
        web: Arc::new(NoWeb),
        attempts: Arc::default(),
        metrics: Arc::new(NoMetrics),
        settings: Settings::default(),
    };
    World { deps, store, blobs, clock, config: Config::default(), acted: AtomicU32::new(0) }
}

const TOOLS: [&str; 3] = ["message", "http_fetch", "memory_view"];

/// A run of which a hop is in a batch.
fn run(job: &str) -> Run {
    let at: DateTime<Utc> = "2026-11-20T11:00:00Z".parse().unwrap();
    let run = json!({
        "key": format!("{job}_20261120T110000Z"), "jobId": job, "jobName": "morning", "agentId": "main", "origin": "schedule",
        "slot": at, "sequence": 1, "task": { "task": "turn" }, "createdAt": at, "startedAt": at, "endedAt": null,
        "state": { "state": "submitted", "hop": 1, "attempt": 1, "batch": "01A" }, "stateSince": at, "rev": 1,
        "turn": { "message": "" }, "prompt": { "inline": "hello" }, "delivery": null,
        "plan": { "path": "batch", "provider": "anthropic", "model": "claude-haiku-5-5", "maxTokens": 1000,
            "deadline": "2026-11-21T11:00:00Z", "onTimeout": "fail", "realtimeSeconds": 60, "maxHops": 5,
            "endpoint": { "url": "https://example.com/mcp", "tools": TOOLS, "expires": "2026-11-21T13:00:00Z",
                "key": TokenKey::new(1, 2) } },
    });
    serde_json::from_value(run).unwrap()
}

fn endpoint_of(run: &Run) -> &Endpoint {
    run.plan.as_ref().unwrap().endpoint.as_ref().unwrap()
}

fn token(run: &Run) -> String {
    endpoint_of(run).connection(&run.key).token.unwrap()
}

impl World {
    async fn with(self, run: &Run) -> Self {
        self.deps.store.commit(&[Write::Run { run, expires_at: None }]).await.unwrap();
        self
    }

    async fn lets_in(&self, token: &str) -> bool {
        authorize(&self.deps, token).await.unwrap().is_some()
    }

    fn invocation(&self, id: &str) -> Invocation {
        Invocation { id: id.to_owned(), deadline: self.clock.now() + TimeDelta::minutes(15) }
    }

    /// Calls `message` once as invocation `id`, whose act takes `text` back.
    async fn once(&self, id: &str, text: &str) -> Result<Answer, EngineError> {
        let invocation = self.invocation(id);
        let scene = Scene { deps: &self.deps, invocation: &invocation, config: &self.config };
        let act = async {
            self.acted.fetch_add(1, Ordering::Relaxed);
            Answer::ok(text)
        };
        once(scene, &run("a"), "message", "once-1", act).await
    }

    fn acted(&self) -> u32 {
        self.acted.load(Ordering::Relaxed)
    }
}

fn is_unknown(answer: &Answer) -> bool {
    answer.is_error && answer.text == UNKNOWN
}

#[tokio::test]
async fn a_token_opens_its_run_while_a_hop_of_it_is_out_and_no_longer() {
    let of = run("a");
    let world = world().with(&of).await;
    let granted = authorize(&world.deps, &token(&of)).await.unwrap().unwrap();
    assert_eq!((granted.run.key.as_str(), granted.tools.as_slice()), (of.key.as_str(), &TOOLS.map(str::to_owned)[..]));

    let batch = || AttemptId::new("01A");
    let why = nightshift_domain::run::CancelReason::Timeout;
    let states = [
        (State::Running { hop: 2, starts: 1, tries: 0 }, true),
        (State::Submitting { hop: 1, attempt: 1, tries: 0, batch: batch() }, true),
        (State::Canceling { hop: 1, attempt: 1, batch: batch(), why }, true),
        (State::Tools { hop: 1, starts: 1 }, false),
        (State::Ready { hop: 2, attempt: 1, tries: 0, window: None }, false),
        (State::Delivering, false),
        (State::Succeeded, false),
        (State::Canceled, false),
    ];
    let mut of = of;
    for (state, open) in states {
        of = Run { rev: of.rev + 1, state, ..of };
        world.deps.store.commit(&[Write::Run { run: &of, expires_at: None }]).await.unwrap();
        assert_eq!(world.lets_in(&token(&of)).await, open, "{:?}", of.state);
    }
}

#[tokio::test]
async fn a_token_that_expired_was_made_up_or_is_of_another_run_opens_nothing() {
    let (mine, mut theirs) = (run("a"), run("b"));
    theirs.plan.as_mut().unwrap().endpoint.as_mut().unwrap().key = TokenKey::new(3, 4);
    let world = world().with(&mine).await.with(&theirs).await;
    assert!(world.lets_in(&token(&theirs)).await);
    let claims = Claims {
        run: mine.key.clone(),
        tools: vec!["*".to_owned(), "message".to_owned()],
        expires: endpoint_of(&mine).expires + TimeDelta::days(9),
    };
    let forged = render(&endpoint_of(&theirs).key, &claims);
    let nobody =
        render(&endpoint_of(&mine).key, &Claims { run: RunKey::parse("x_20261120T110000Z").unwrap(), ..claims });
    for token in [forged.as_str(), nobody.as_str(), "", "nst1.e30.AA", &token(&mine)[1..]] {
        assert!(!world.lets_in(token).await, "{token}");
    }
    let mut without = Run { rev: 2, ..mine.clone() };
    world.clock.advance(TimeDelta::hours(25));
    assert!(!world.lets_in(&token(&mine)).await, "it has expired");
    world.clock.advance_to(mine.slot);
    without.plan.as_mut().unwrap().endpoint = None;
    world.deps.store.commit(&[Write::Run { run: &without, expires_at: None }]).await.unwrap();
    assert!(!world.lets_in(&token(&mine)).await, "the run has no endpoint");
}

#[tokio::test]
async fn a_repeat_of_an_acting_call_gets_the_first_result_hours_later() {
    let world = world();
    assert_eq!(world.once("inv-1", "first").await.unwrap(), Answer::ok("first"));
    world.clock.advance(TimeDelta::hours(20));
    assert_eq!(world.once("inv-2", "second").await.unwrap(), Answer::ok("first"));
    assert_eq!(world.acted(), 1);
}

#[tokio::test]
async fn an_acting_call_is_made_at_most_once_whichever_write_breaks() {
    for (write, how, answered, acted, repeat) in [
        // The call as begun.
        (0, "before", false, 0, Some("repeat")),
        (0, "after", false, 0, None),
        // Its result: the model is told in any case, and a repeat only what the table knows.
        (1, "before", true, 1, None),
        (1, "after", true, 1, Some("first")),
    ] {
        let world = world();
        world.store.fail(write, if how == "before" { Mishap::Before } else { Mishap::After });
        let first = world.once("inv-1", "first").await;
        assert_eq!(first.as_ref().ok(), answered.then(|| Answer::ok("first")).as_ref(), "write {write}, {how}");
        assert_eq!(world.acted(), acted, "write {write}, {how}");
        for _ in 0..2 {
            let again = world.once("inv-2", "repeat").await.unwrap();
            match repeat {
                Some(text) => assert_eq!(again, Answer::ok(text), "write {write}, {how}"),
                None => assert!(is_unknown(&again), "write {write}, {how}: {again:?}"),
            }
        }
        assert!(world.acted() <= 1, "write {write}, {how}");
    }
}

#[tokio::test]
async fn a_call_whose_invocation_died_while_it_acted_is_not_made_again() {
    let world = world();
    let invocation = world.invocation("inv-1");
    let scene = Scene { deps: &world.deps, invocation: &invocation, config: &world.config };
    let of = run("a");
    // Polled once, it is written as begun and waits for the far side; then it is gone.
    assert!(poll_immediate(Box::pin(once(scene, &of, "message", "once-1", pending()))).await.is_none());
    assert!(is_unknown(&world.once("inv-2", "second").await.unwrap()));
    assert_eq!(world.acted(), 0);
}

#[tokio::test]
async fn a_second_call_that_meets_the_first_at_work_is_not_made() {
    let world = world();
    let invocation = world.invocation("inv-1");
    let scene = Scene { deps: &world.deps, invocation: &invocation, config: &world.config };
    let of = run("a");
    let (done, wait) = futures::channel::oneshot::channel();
    let mut first = Box::pin(once(scene, &of, "message", "once-1", async { wait.await.unwrap() }));
    assert!(poll_immediate(&mut first).await.is_none());
    assert!(is_unknown(&world.once("inv-2", "second").await.unwrap()));
    done.send(Answer::error("it is full")).unwrap();
    assert_eq!(first.await.unwrap(), Answer::error("it is full"));
    assert_eq!(world.once("inv-3", "third").await.unwrap(), Answer::error("it is full"));
    assert_eq!(world.acted(), 0);
}

#[tokio::test]
async fn a_long_result_is_kept_as_a_blob_and_cut_where_a_model_is_told_no_more() {
    let world = world();
    let long = "é".repeat(200_000);
    let first = world.once("inv-1", &long).await.unwrap();
    assert!(first.text.contains("[cut here"), "{}", &first.text[first.text.len() - 80..]);
    assert_eq!(world.blobs.keys().len(), 1);
    assert!(world.blobs.keys()[0].starts_with("runs/a_20261120T110000Z/"));
    assert_eq!(world.once("inv-2", "second").await.unwrap(), first);
}

#[tokio::test]
async fn a_call_that_reads_leaves_no_row_and_one_that_acts_leaves_one() {
    let of = run("a");
    let world = world().with(&of).await;
    let granted = authorize(&world.deps, &token(&of)).await.unwrap().unwrap();
    let invocation = world.invocation("inv-1");
    for (tool, arguments, kept) in [
        ("http_fetch", json!({ "url": "https://example.com" }), false),
        ("memory_view", json!({ "command": "view", "path": "/memories" }), false),
        ("message", json!({ "text": "hello" }), true),
    ] {
        Box::pin(call(&world.deps, &invocation, &granted, tool, arguments.clone())).await.unwrap();
        let found = world.store_row(&of, tool, &arguments).await;
        assert_eq!(found.is_some(), kept, "{tool}");
    }
    let writing = Box::pin(call(&world.deps, &invocation, &granted, "memory_view", json!({ "command": "delete" })));
    assert_eq!(writing.await.unwrap(), Answer::error("memory_view only looks; it changes nothing"));
    let other = Box::pin(call(&world.deps, &invocation, &granted, "memory", json!({ "command": "view" })));
    assert_eq!(other.await.unwrap(), Answer::error("there is no tool \"memory\""), "the token does not name it");
}

impl World {
    async fn store_row(&self, run: &Run, tool: &str, arguments: &Value) -> Option<EndpointCall> {
        self.deps.store.endpoint_call(&run.key, &call_id(tool, arguments)).await.unwrap()
    }
}

#[tokio::test]
async fn the_tools_of_a_token_are_described_and_those_that_are_gone_left_out() {
    let of = run("a");
    let world = world().with(&of).await;
    let mut granted = authorize(&world.deps, &token(&of)).await.unwrap().unwrap();
    let names = |all: Vec<Value>| all.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(definitions(&world.deps, &granted).await.unwrap()), TOOLS);
    granted.tools = ["ticket_create", "gone", "http_fetch"].map(str::to_owned).to_vec();
    let document =
        json!({ "webhookTools": { "ticket_create": { "description": "Opens one.", "url": "https://a.example" } } });
    world.deps.store.put_config(&document, 0).await.unwrap();
    assert_eq!(names(definitions(&world.deps, &granted).await.unwrap()), ["ticket_create", "http_fetch"]);
}

#[test]
fn the_key_and_the_token_are_in_no_debug_output_of_a_run() {
    let of = run("a");
    let shown = format!("{of:?} {of:#?}");
    let (key, token) = (serde_json::to_string(&endpoint_of(&of).key).unwrap(), token(&of));
    assert!(shown.contains("https://example.com/mcp"), "the plan is shown: {shown}");
    assert!(!shown.contains(key.trim_matches('"')) && !shown.contains(&token), "{shown}");
}

fn planned(world: &World, document: &Value, local: bool) -> Option<(Endpoint, Offer)> {
    let config = Config::parse(document).unwrap();
    let deps = Deps { settings: Settings { local, ..Settings::default() }, ..world.deps.clone() };
    let invocation = world.invocation("inv-1");
    let scene = Scene { deps: &deps, invocation: &invocation, config: &config };
    let mut offer = Offer { client: vec!["http_fetch".to_owned(), "memory".to_owned()], ..Offer::default() };
    let (_, agent, _) = config.agent(None);
    let deadline = world.clock.now() + TimeDelta::minutes(30);
    endpoint(scene, &agent, &mut offer, deadline, 60).map(|endpoint| (endpoint, offer))
}

#[test]
fn a_batch_turn_has_an_endpoint_where_there_is_an_address_that_its_provider_can_call() {
    let world = world();
    let at = |url: &str| json!({ "api": { "publicUrl": url } });
    let (endpoint, offer) = planned(&world, &at("https://example.com/"), false).unwrap();
    assert_eq!(endpoint.url, "https://example.com/mcp");
    assert_eq!(endpoint.tools, ["http_fetch", "memory_view"]);
    assert_eq!(offer.client, ["http_fetch", "memory", "memory_view"]);
    assert_eq!(
        endpoint.expires,
        world.clock.now() + TimeDelta::hours(25),
        "a batch lives longer than this turn's deadline"
    );

    assert_eq!(planned(&world, &json!({}), true), None);
    assert_eq!(planned(&world, &at("http://127.0.0.1:1"), false), None, "the connector takes https only");
    assert_eq!(planned(&world, &at("http://127.0.0.1:1"), true), None, "on the local stack too");
    let off = json!({ "api": { "publicUrl": "https://example.com" },
        "agents": { "defaults": { "tools": { "endpoint": { "enabled": false } } } } });
    assert_eq!(planned(&world, &off, false), None);
}

#[tokio::test]
async fn what_the_providers_loop_called_is_recorded_also_when_a_pause_lies_between_call_and_result() {
    let world = world();
    let invocation = world.invocation("inv-1");
    let scene = Scene { deps: &world.deps, invocation: &invocation, config: &world.config };
    let mut of = run("a");
    let paused = json!([
        { "type": "mcp_tool_use", "id": "m1", "name": "http_fetch", "server_name": "nightshift", "input": { "url": "u" } },
        { "type": "mcp_tool_result", "tool_use_id": "m1", "is_error": false, "content": [{ "type": "text", "text": "page" }] },
        { "type": "mcp_tool_use", "id": "m2", "name": "memory_view", "server_name": "nightshift", "input": {} },
        { "type": "mcp_tool_use", "id": "g1", "name": "search", "server_name": "github", "input": {} },
    ]);
    record(scene, &mut of, 1, &paused.to_string(), world.clock.now()).await.unwrap();
    let states = |of: &Run| of.talk.calls.iter().map(|call| (call.name.clone(), call.is_done())).collect::<Vec<_>>();
    assert_eq!(states(&of), [("http_fetch".to_owned(), true), ("memory_view".to_owned(), false)]);
    let rest = json!([
        { "type": "mcp_tool_result", "tool_use_id": "m2", "is_error": true, "content": "no" },
        { "type": "mcp_tool_result", "tool_use_id": "g1", "is_error": false, "content": "theirs" },
    ]);
    record(scene, &mut of, 2, &rest.to_string(), world.clock.now()).await.unwrap();
    let done = |text: &str, is_error| CallState::Done {
        at: world.clock.now(),
        is_error,
        result: Text::Inline(text.to_owned()),
        cut_from: None,
        sent_to: None,
    };
    let told: Vec<_> = of.talk.calls.iter().map(|call| (call.hop, call.via, call.state.clone())).collect();
    assert_eq!(told, [(1, Via::Endpoint, done("page", false)), (1, Via::Endpoint, done("no", true))]);
    assert!(!of.talk.asks_for_tools(1), "nothing is left for us to run");
}
