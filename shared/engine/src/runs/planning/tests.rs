//! Plans, against providers that answer, do not know, or are not there.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::RunKey;
use nightshift_domain::config::Config;
use nightshift_domain::job::{JobRecord, on_run_moved};
use nightshift_domain::model::{CacheFor, HopRequest, ModelErrorKind, ModelInfo, Reply, ThinkingMode, built_in};
use nightshift_domain::planner::{Way, Went};
use nightshift_domain::run::{CallState, Credential, Event, Hop, Origin, Path, Plan, Run, State, Text, ToolCall, Via};
use serde_json::{Value, json};

use super::plan;
use crate::clock::{Clock, ManualClock};
use crate::deps::{Deps, Invocation, Settings};
use crate::jobs::tests::outside::Outside;
use crate::ports::{Batches, Model, ModelError, Models, OpenModelError, OpenedModel, Outcome, Write};
use crate::runs::realtime::hop_request;
use crate::runs::{Scene, new_run};
use crate::testing::{MemoryBlobs, MemoryStore, NoMetrics, NoSecrets, NoWeb};

/// What providers say when they are asked, by `provider/model`; one that is not named here has no key.
#[derive(Debug, Clone, Default)]
struct Places(BTreeMap<&'static str, Result<ModelInfo, ModelErrorKind>>);

#[derive(Debug)]
struct Place(String, Places);

#[async_trait]
impl Models for Places {
    async fn open(&self, _: &Config, name: &str) -> Result<OpenedModel, OpenModelError> {
        if !self.0.keys().any(|reference| reference.split_once('/').is_some_and(|(provider, _)| provider == name)) {
            return Err(OpenModelError::Key { provider: name.to_owned(), reason: "none is configured".to_owned() });
        }
        let model = Arc::new(Place(name.to_owned(), self.clone()));
        Ok(OpenedModel { model, credential: Credential::ApiKey })
    }
}

#[async_trait]
impl Model for Place {
    async fn message(&self, _: &HopRequest, _: DateTime<Utc>) -> Result<Reply, ModelError> {
        unreachable!("a plan sends nothing")
    }

    async fn info(&self, model: &str) -> Result<ModelInfo, ModelError> {
        let told = self.1.0.get(format!("{}/{model}", self.0).as_str()).cloned();
        told.unwrap_or(Err(ModelErrorKind::NotFound)).map_err(|kind| ModelError {
            kind,
            message: format!("{} of {model}", kind.code()),
            retry_after: None,
            request_id: None,
        })
    }

    fn batches(&self) -> Option<&dyn Batches> {
        None
    }
}

struct World {
    deps: Deps,
    invocation: Invocation,
    config: Config,
}

/// `config` over two providers: Anthropic, and one that speaks `OpenAI`'s API.
fn world(places: &[(&'static str, Result<ModelInfo, ModelErrorKind>)], mut config: Value) -> World {
    let clock = ManualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
    let outside = Arc::new(Outside::default());
    let deps = Deps {
        clock: Arc::new(clock.clone()),
        entropy: outside.clone(),
        store: Arc::new(MemoryStore::new(Arc::new(clock.clone()))),
        blobs: Arc::new(MemoryBlobs::new()),
        timers: outside.clone(),
        invoker: outside.clone(),
        models: Arc::new(Places(places.iter().cloned().collect())),
        channels: outside,
        secrets: Arc::new(NoSecrets),
        web: Arc::new(NoWeb),
        attempts: Arc::default(),
        metrics: Arc::new(NoMetrics),
        settings: Settings::default(),
    };
    config["providers"] = json!({ "vllm": { "kind": "openai", "baseUrl": "http://127.0.0.1:1/v1" } });
    let invocation = Invocation { id: "inv-1".to_owned(), deadline: clock.now() + TimeDelta::minutes(15) };
    World { deps, invocation, config: Config::parse(&config).unwrap() }
}

fn job(turn: &Value) -> JobRecord {
    let mut payload = json!({ "kind": "agentTurn", "message": "Summarize." });
    payload.as_object_mut().unwrap().extend(turn.as_object().unwrap().clone());
    let job = json!({
        "jobId": "a", "name": "a", "enabled": true, "deleteAfterRun": false, "createdAtMs": 0, "updatedAtMs": 0,
        "schedule": { "kind": "every", "everyMs": 60_000, "anchorMs": 0 }, "sessionTarget": "isolated",
        "wakeMode": "now", "payload": payload, "missed": "once", "overlap": "skip",
    });
    JobRecord::new(serde_json::from_value(job).unwrap())
}

impl World {
    fn scene(&self) -> Scene<'_> {
        Scene { deps: &self.deps, invocation: &self.invocation, config: &self.config }
    }

    /// A run of a job with this turn, whose last run had so many hops.
    async fn run(&self, turn: Value, last_hops: Option<u32>) -> Run {
        self.run_of(&JobRecord { last_hops, ..job(&turn) }).await
    }

    async fn run_of(&self, record: &JobRecord) -> Run {
        let now = self.deps.clock.now();
        let key = RunKey::of_slot(&record.job.job_id, now);
        new_run(&self.deps, record, key, Origin::Schedule, now).await.unwrap()
    }

    async fn event(&self, run: &Run) -> Event {
        plan(self.scene(), run).await.unwrap().event
    }

    async fn plan(&self, run: &Run) -> Plan {
        let event = self.event(run).await;
        let Event::Planned(plan) = event else { panic!("{event:?}") };
        *plan
    }
}

const OPUS: &str = "anthropic/claude-opus-4-8";

fn opus() -> (&'static str, Result<ModelInfo, ModelErrorKind>) {
    (OPUS, Ok(built_in("claude-opus-4-8").unwrap()))
}

fn qwen() -> (&'static str, Result<ModelInfo, ModelErrorKind>) {
    ("vllm/qwen", Ok(ModelInfo { id: "qwen".into(), max_tokens: 8192, ..ModelInfo::default() }))
}

#[tokio::test]
async fn a_thinking_level_is_planned_in_the_models_words_and_within_its_hop() {
    let haiku = built_in("claude-haiku-4-5").unwrap();
    let world = world(&[opus(), ("anthropic/claude-haiku-4-5", Ok(haiku))], json!({}));
    let run = world.run(json!({ "model": OPUS, "thinking": "high" }), None).await;
    let plan = world.plan(&run).await;
    assert_eq!((plan.effort.as_deref(), plan.thinking), (Some("high"), Some(ThinkingMode::Adaptive)));
    assert_eq!(plan.notes, [""; 0]);

    let turn = json!({ "model": "claude-haiku-4-5", "thinking": "high", "batch": { "enabled": true } });
    let run = world.run(turn, None).await;
    let mut plan = world.plan(&run).await;
    assert_eq!((plan.path, plan.thinking), (Path::Batch, Some(ThinkingMode::Enabled { budget_tokens: 16_384 })));
    (plan.path, plan.max_tokens) = (Path::Realtime, 16_000);
    let request = hop_request(world.scene(), &run, &plan).await.unwrap();
    assert_eq!(request.thinking, Some(ThinkingMode::Enabled { budget_tokens: 11_904 }), "it goes on in realtime");
}

#[tokio::test]
async fn a_provider_that_cannot_be_asked_does_not_hold_up_a_model_of_the_list_and_does_any_other() {
    let sonnet = "anthropic/claude-sonnet-4-5";
    let world =
        world(&[(sonnet, Err(ModelErrorKind::NotSent)), ("anthropic/mine", Err(ModelErrorKind::NotSent))], json!({}));
    let plan = world.plan(&world.run(json!({ "model": sonnet }), None).await).await;
    assert_eq!(plan.max_tokens, 32_000);
    let [unknown, retires] = plan.notes.as_slice() else { panic!("{:?}", plan.notes) };
    assert!(unknown.contains("model_unreachable"), "{unknown}");
    assert_eq!(retires, "model claude-sonnet-4-5 retires on 2026-11-30");
    let event = world.event(&world.run(json!({ "model": "anthropic/mine" }), None).await).await;
    assert!(matches!(event, Event::ModelFailed { kind: ModelErrorKind::NotSent, .. }), "{event:?}");
}

#[tokio::test]
async fn the_configuration_says_what_a_model_of_another_provider_can_do() {
    let config = json!({ "models": { "capabilities": [{ "model": "vllm/qwen", "maxTokens": 4000, "efforts": ["low", "high"] }] } });
    let run = json!({ "model": "vllm/qwen", "thinking": "medium" });
    let bare = world(&[qwen()], json!({}));
    let plan = bare.plan(&bare.run(run.clone(), None).await).await;
    assert_eq!((plan.max_tokens, plan.effort, plan.thinking), (8192, None, None));
    assert_eq!(plan.notes, ["thinking medium is not sent: nothing is known of how qwen thinks"]);
    let told = world(&[qwen()], config);
    let plan = told.plan(&told.run(run, None).await).await;
    assert_eq!((plan.max_tokens, plan.effort.as_deref(), plan.thinking), (4000, Some("low"), None));
}

#[tokio::test]
async fn a_run_is_planned_for_the_model_it_stands_at_and_knows_how_many_are_left() {
    let world = world(&[opus(), qwen()], json!({ "agents": { "defaults": { "fallbacks": ["haiku"] } } }));
    let turn = json!({ "model": OPUS, "fallbacks": ["nowhere/x", "vllm/qwen", "claude-opus-4-8-20260401"] });
    let mut run = world.run(turn, None).await;
    let mut seen = Vec::new();
    for fallback in 0..=9 {
        run.talk.fallback = fallback;
        let plan = world.plan(&run).await;
        assert!(plan.notes[0].starts_with("fallback \"nowhere/x\" is left out"), "{:?}", plan.notes);
        seen.push((plan.model, plan.fallback, plan.fallbacks_left));
    }
    let expect = |model: &str, which, left| (model.to_owned(), which, left);
    let dated = expect("claude-opus-4-8-20260401", 2, 0);
    assert_eq!(seen[..3], [expect("claude-opus-4-8", 0, 2), expect("qwen", 1, 1), dated.clone()]);
    assert!(seen[3..].iter().all(|each| *each == dated), "with fewer than there were, the last one answers");
}

#[tokio::test]
async fn a_model_whose_provider_is_not_there_is_passed_over_and_a_mistake_is_not() {
    let down = ("anthropic/mine", Err(ModelErrorKind::Overloaded));
    let world = world(&[down, qwen()], json!({}));
    let turn = |model: &str, fallbacks: &[&str]| json!({ "model": model, "fallbacks": fallbacks });
    let plan = world.plan(&world.run(turn("anthropic/mine", &["vllm/qwen"]), None).await).await;
    assert_eq!((plan.model.as_str(), plan.fallback, plan.fallbacks_left), ("qwen", 1, 0));
    let expected =
        ["anthropic/mine is passed over: model_overloaded of mine", "vllm/qwen answers, a fallback of anthropic/mine"];
    assert_eq!(plan.notes, expected);

    let event = world.event(&world.run(turn("anthropic/mine", &["anthropic/yours"]), None).await).await;
    let Event::ModelFailed { kind, .. } = event else { panic!("{event:?}") };
    assert_eq!(kind, ModelErrorKind::Overloaded, "the first failure decides, so that it is tried again");

    #[expect(clippy::wildcard_enum_match_arm, reason = "only two events end a plan")]
    for (model, code) in [("gpt/5", "unknown_provider"), ("anthropic/none", "model_not_found")] {
        let event = world.event(&world.run(turn(model, &["vllm/qwen"]), None).await).await;
        let found = match &event {
            Event::Refused { code, .. } => Some(code.as_str()),
            Event::ModelFailed { kind, .. } => Some(kind.code()),
            _ => None,
        };
        assert_eq!(found, Some(code), "{event:?}");
    }
}

#[tokio::test]
async fn a_fallback_without_a_key_is_passed_over_for_the_next_one() {
    let world = world(&[qwen()], json!({}));
    let mut run = world.run(json!({ "model": "vllm/gone", "fallbacks": ["haiku", "vllm/qwen"] }), None).await;
    run.talk.fallback = 1;
    let plan = world.plan(&run).await;
    assert_eq!((plan.model.as_str(), plan.fallback, plan.fallbacks_left), ("qwen", 2, 0));
    assert!(
        plan.notes[0].contains("passed over: the key of provider \"anthropic\" cannot be used"),
        "{:?}",
        plan.notes
    );
}

fn answered(n: u32) -> Hop {
    Hop {
        n,
        path: Path::Realtime,
        model: "m".into(),
        message_id: "msg".into(),
        request_id: None,
        batch: None,
        stop_reason: "tool_use".into(),
        usage: Value::Null,
        cost: nightshift_domain::money::Cost::default(),
        in_realtime: None,
        at: DateTime::UNIX_EPOCH,
        compaction: false,
        unused: false,
        attempt: 1,
        waited_seconds: None,
    }
}

#[tokio::test]
async fn a_run_is_expected_to_have_as_many_hops_as_the_last_one_that_succeeded() {
    let world = world(&[], json!({}));
    let record = job(&json!({}));
    let now = world.deps.clock.now();
    let ended = async |record: &JobRecord, state: State, hops: u32| {
        let mut run = world.run_of(record).await;
        run.hops.extend((1..=hops).map(answered));
        run.state = state;
        on_run_moved(record, &State::Delivering, &run, now).unwrap().record
    };
    assert_eq!(world.run_of(&record).await.talk.expected_hops, None);
    let after = ended(&record, State::Succeeded, 3).await;
    assert_eq!((after.last_hops, world.run_of(&after).await.talk.expected_hops), (Some(3), Some(3)));
    let failed = State::Failed { code: "hop_cap".to_owned(), message: String::new() };
    let after = ended(&after, failed, 25).await;
    assert_eq!(after.last_hops, Some(3), "one that failed says nothing");
    assert_eq!(ended(&after, State::Succeeded, 0).await.last_hops, Some(3), "nor does one that asked no model");
    assert_eq!(ended(&after, State::DeliveryFailed, 1).await.last_hops, Some(1), "the turn itself went well");
}

#[tokio::test]
async fn a_turn_that_may_choose_goes_the_cheapest_way_and_says_why() {
    let long = "word ".repeat(16_000);
    let agents = json!({ "defaults": { "instructions": long } });
    let public = world(&[opus()], json!({ "agents": agents, "api": { "publicUrl": "https://night.example" } }));
    let private = world(&[opus()], json!({ "agents": agents }));
    let went =
        |steps| Went { steps, output: 500 * u64::from(steps), growth: Some(2_000), searches: 0, paid: 0, realtime: 0 };
    let planned = async |world: &World, tools: Value, steps: &[u32], wait: Option<u64>| {
        let turn = json!({ "model": OPUS, "toolsAllow": tools,
            "batch": { "enabled": true, "mode": "auto", "maxWaitMs": wait.unwrap_or(86_400_000) } });
        let mut record = job(&turn);
        record.habits.turns = steps.iter().map(|steps| went(*steps)).collect();
        let write = Write::Job(&record);
        assert_eq!(world.deps.store.commit(&[write]).await.unwrap(), Outcome::Applied);
        let run = world.run_of(&record).await;
        let plan = world.plan(&run).await;
        let cache = hop_request(world.scene(), &run, &plan).await.unwrap().cache;
        world.deps.store.commit(&[Write::RemoveJob(&record)]).await.unwrap();
        (plan.way, plan.path, plan.endpoint.is_some(), cache, plan.reason.unwrap())
    };
    let (way, path, endpoint, cache, reason) = planned(&public, json!([]), &[5], None).await;
    assert_eq!((way, path, endpoint, cache), (Some(Way::Batch), Path::Batch, false, None));
    assert!(
        reason.starts_with("a batch: one step has nothing to gain") && reason.ends_with("no tools to run"),
        "{reason}"
    );
    let (way, path, endpoint, cache, reason) = planned(&public, json!(["memory"]), &[5, 6], None).await;
    assert_eq!(
        (way, path, endpoint, cache),
        (Some(Way::OneCall), Path::Batch, true, Some(CacheFor::FiveMinutes)),
        "{reason}"
    );
    assert!(reason.ends_with("as its last 2 turns went"), "{reason}");
    let (way, path, endpoint, cache, reason) = planned(&private, json!(["memory"]), &[5, 6], None).await;
    assert_eq!(
        (way, path, endpoint, cache),
        (Some(Way::BatchHour), Path::Batch, false, Some(CacheFor::Hour)),
        "{reason}"
    );
    let (way, path, _, cache, reason) = planned(&private, json!(["memory"]), &[], None).await;
    assert_eq!((path, cache.is_some()), (Path::Batch, way == Some(Way::BatchHour)), "{reason}");
    assert!(reason.contains("a guess"), "{reason}");
    let (way, path, endpoint, _, reason) = planned(&private, json!(["memory"]), &[5, 6], Some(3_600_000)).await;
    assert_eq!((way, path, endpoint), (Some(Way::Realtime), Path::Realtime, false));
    assert!(reason.contains("6 batches one after the other may take 6h"), "{reason}");
}

#[tokio::test]
async fn a_call_in_which_the_provider_calls_tools_is_cached_for_its_own_loop_where_the_last_one_had_some() {
    let long = "word ".repeat(10_000);
    let agents = json!({ "defaults": { "instructions": long } });
    let world = world(&[opus()], json!({ "agents": agents, "api": { "publicUrl": "https://night.example" } }));
    let record = job(&json!({ "model": OPUS, "toolsAllow": ["memory"], "batch": { "enabled": true } }));
    let now = world.deps.clock.now();
    let ended = async |record: &JobRecord, calls: usize| {
        let mut run = world.run_of(record).await;
        run.plan = Some(world.plan(&run).await);
        run.hops.push(answered(1));
        let call = ToolCall {
            id: "toolu_1".to_owned(),
            hop: 1,
            name: "memory_view".to_owned(),
            input: Text::Inline("{}".to_owned()),
            via: Via::Endpoint,
            state: CallState::Asked,
        };
        run.talk.calls = vec![call; calls];
        run.state = State::Succeeded;
        on_run_moved(record, &State::Delivering, &run, now).unwrap().record
    };
    let cache = async |record: &JobRecord| {
        let run = world.run_of(record).await;
        let plan = world.plan(&run).await;
        assert!(plan.endpoint.is_some());
        hop_request(world.scene(), &run, &plan).await.unwrap().cache
    };
    let (with, without) = (ended(&record, 2).await, ended(&record, 0).await);
    assert_eq!((with.habits.last_calls.clone(), without.habits.last_calls.clone()), (Some(vec![2]), Some(vec![0])));
    let caches = [cache(&record).await, cache(&without).await, cache(&with).await];
    assert_eq!(caches, [None, None, Some(CacheFor::FiveMinutes)]);
}

#[tokio::test]
async fn a_hop_is_cached_by_what_the_jobs_last_run_had() {
    let long = "word ".repeat(10_000);
    let config = json!({ "agents": { "defaults": { "instructions": long } } });
    let world = world(&[opus()], config);
    let cache = async |turn: Value, last: Option<u32>, hops: u32| {
        let mut run = world.run(turn, last).await;
        let plan = world.plan(&run).await;
        run.hops.extend((1..=hops).map(answered));
        hop_request(world.scene(), &run, &plan).await.unwrap().cache
    };
    let live = json!({ "model": OPUS });
    let batch = json!({ "model": OPUS, "batch": { "enabled": true } });
    assert_eq!(cache(live.clone(), None, 0).await, None);
    assert_eq!(cache(live.clone(), Some(1), 0).await, None);
    assert_eq!(cache(live.clone(), Some(2), 0).await, Some(CacheFor::FiveMinutes));
    assert_eq!(cache(live.clone(), None, 1).await, Some(CacheFor::FiveMinutes));
    assert_eq!(cache(batch.clone(), Some(2), 1).await, None);
    assert_eq!(cache(batch.clone(), Some(3), 0).await, Some(CacheFor::Hour));
    for turn in [live, batch] {
        let mut brief = turn.clone();
        brief["lightContext"] = json!(true);
        assert_eq!(cache(brief, Some(9), 0).await, None, "a short prefix");
        let mut without = turn;
        without["toolsAllow"] = json!([]);
        assert_eq!(cache(without, Some(9), 0).await, None, "one hop, whatever it had last time");
    }
}
