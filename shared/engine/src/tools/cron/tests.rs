//! The cron tool on a table in memory.

use nightshift_domain::config::Config;
use nightshift_domain::job::DeliveryMode;
use nightshift_domain::run::{Run, ToolCall};
use serde_json::{Value, json};

use super::*;
use crate::jobs::tests::{World, world};
use crate::runs::Scene;

struct Agent {
    world: World,
    config: Config,
    run: Run,
}

/// A run of the job `brief` of the agent `main`, with some tools, that answers to a chat.
fn agent() -> Agent {
    let config = json!({ "agents": {
        "defaults": { "tools": { "cron": { "maxJobs": 3 } } },
        "entries": { "main": { "default": true }, "scout": {} },
    } });
    let mut run = crate::tools::tests::bare("main");
    run.plan = serde_json::from_value(json!({
        "path": "realtime", "provider": "anthropic", "model": "m", "maxTokens": 1, "deadline": "2026-11-20T13:00:00Z",
        "onTimeout": "fail", "realtimeSeconds": 1, "maxHops": 9, "clientTools": ["cron", "memory"],
        "mcpServers": ["github"], "tools": { "inline": json!([
            { "type": "web_search_20250305", "name": "web_search" }, { "name": "memory" }, { "name": "cron" },
            { "type": "mcp_toolset", "mcp_server_name": "github" }]).to_string() },
    }))
    .unwrap();
    run.delivery =
        serde_json::from_value(json!({ "mode": "announce", "channel": "slack", "to": "channel:C1" })).unwrap();
    Agent { world: world(), config: serde_json::from_value(config).unwrap(), run }
}

impl Agent {
    async fn call(&self, key: &str, input: Value) -> Answer {
        let (deps, invocation) = (&self.world.deps, &self.world.invocation);
        let scene = Scene { deps, invocation, config: &self.config };
        super::run(Call { scene, run: &self.run, key, deadline: invocation.deadline }, input).await.unwrap()
    }

    async fn ok(&self, key: &str, input: Value) -> Value {
        let answer = self.call(key, input).await;
        assert!(!answer.is_error, "{}", answer.text);
        serde_json::from_str(&answer.text).unwrap()
    }

    async fn refused(&self, key: &str, input: Value) -> String {
        let answer = self.call(key, input).await;
        assert!(answer.is_error, "{}", answer.text);
        answer.text
    }

    async fn stored(&self, id: &Value) -> Job {
        let id = JobId::parse(id.as_str().unwrap()).unwrap();
        self.world.deps.store.job(&id).await.unwrap().unwrap().job
    }
}

fn job(more: &Value) -> Value {
    let mut job = json!({ "schedule": { "kind": "cron", "expr": "30 7 * * *" },
        "payload": { "kind": "agentTurn", "message": "Look." } });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "action": "add", "job": job })
}

fn person(id: &str, agent: &Value, more: &Value) -> Value {
    let mut job = job(more)["job"].clone();
    job["jobId"] = json!(id);
    job["agentId"] = agent.clone();
    job
}

#[tokio::test]
async fn a_job_an_agent_adds_is_its_own_with_the_tools_and_the_place_of_its_run() {
    let agent = agent();
    let added = agent.ok("1-a", job(&json!({}))).await;
    assert_eq!(added["nextRunAt"], "2026-11-21T07:30:00Z");
    let stored = agent.stored(&added["jobId"]).await;
    assert_eq!(stored.agent_id.as_deref(), Some("main"));
    assert_eq!(added["toolsAllow"], json!(["web_search", "memory", "cron", "github"]));
    assert_eq!(stored.delivery.unwrap().to.as_deref(), Some("channel:C1"));
    let wider =
        job(&json!({ "payload": { "kind": "agentTurn", "message": "x", "toolsAllow": ["memory", "message"] } }));
    let added = agent.ok("1-b", wider).await;
    assert_eq!(added["toolsAllow"], json!(["memory"]));
    assert_eq!(added["notes"], json!(["the job goes without tools this run has not: message"]));
}

#[tokio::test]
async fn what_a_job_of_an_agent_may_not_be_is_refused_and_nothing_is_written() {
    let mut agent = agent();
    agent.run.turn.tools_allow = Some(vec!["cron".into()]);
    for (more, why) in [
        (json!({ "agentId": "scout" }), "your jobs are main's"),
        (json!({ "jobId": "mine" }), "the id of a new job is given to it"),
        (json!({ "delivery": { "channel": "telegram", "to": "1" } }), "only where this run's answers go"),
        (json!({ "delivery": { "mode": "webhook", "to": "https://x.example/" } }), "no address but this run's own"),
        (json!({ "payload": { "kind": "systemEvent", "text": "x" } }), "cannot speak to the main session"),
        (json!({ "schedule": { "kind": "cron", "expr": "61 * * * *" }, "colour": 1 }), "colour"),
        (json!({ "job": { "agentId": "scout" } }), "job is missing"),
    ] {
        let told = agent.refused("1-a", job(&more)).await;
        assert!(told.contains(why), "{more}: {told}");
    }
    for (input, why) in [
        (json!({}), "action is missing"),
        (json!({ "action": "stop" }), "no action \"stop\""),
        (json!({ "action": "add" }), "job is missing"),
        (json!({ "action": "get" }), "jobId is missing"),
        (json!({ "action": "get", "jobId": "a/b" }), "is not a job id"),
        (json!({ "action": "update", "jobId": "nobody", "patch": {} }), "there is no job nobody"),
    ] {
        let told = agent.refused("1-b", input.clone()).await;
        assert!(told.contains(why), "{input}: {told}");
    }
    assert_eq!(agent.ok("1-c", json!({ "action": "status" })).await["jobs"], 0);
}

#[tokio::test]
async fn the_same_call_makes_the_same_job_and_another_call_another() {
    let agent = agent();
    let first = agent.ok("1-a", job(&json!({}))).await;
    assert_eq!(agent.ok("1-a", job(&json!({}))).await, first, "the kept answer");
    // Stopped before the answer was kept, and also before the timer was set.
    let other = Agent { world: world(), ..self::agent() };
    *other.world.outside.fails.lock().unwrap() = Some("put");
    let scene = Scene { deps: &other.world.deps, invocation: &other.world.invocation, config: &other.config };
    let call = Call { scene, run: &other.run, key: "1-a", deadline: other.world.invocation.deadline };
    assert!(super::run(call, job(&json!({}))).await.is_err());
    *other.world.outside.fails.lock().unwrap() = None;
    assert_eq!(other.ok("1-a", job(&json!({}))).await["jobId"], first["jobId"]);
    assert_eq!(other.ok("2-s", json!({ "action": "status" })).await["jobs"], 1);
    assert_eq!(other.world.outside.names().len(), 1, "its timer is set");
    assert_ne!(other.ok("1-b", job(&json!({}))).await["jobId"], first["jobId"]);
}

#[tokio::test]
async fn an_agent_has_no_more_jobs_than_its_rules_allow() {
    let agent = agent();
    agent.world.add(person("hers", &json!("main"), &json!({}))).await;
    agent.world.add(person("nobodys", &json!(null), &json!({}))).await;
    agent.world.add(person("scouts", &json!("scout"), &json!({}))).await;
    agent.ok("1-a", job(&json!({ "declarationKey": "k" }))).await;
    let told = agent.refused("1-b", job(&json!({}))).await;
    assert!(told.contains("you have 3 jobs, the most you may have is 3"), "{told}");
    agent.ok("1-c", job(&json!({ "declarationKey": "k", "name": "Changed" }))).await;
    agent.ok("1-d", json!({ "action": "remove", "jobId": "hers" })).await;
    agent.ok("1-b", job(&json!({}))).await;
}

#[tokio::test]
async fn jobs_of_others_do_not_exist() {
    let agent = agent();
    agent.world.add(person("scouts", &json!("scout"), &json!({ "declarationKey": "theirs" }))).await;
    agent.world.add(person("nobodys", &json!(null), &json!({ "enabled": false }))).await;
    let listed = agent.ok("1-a", json!({ "action": "list" })).await;
    let rows = listed["jobs"].as_array().unwrap();
    assert_eq!(
        rows.iter().map(|row| &row["jobId"]).collect::<Vec<_>>(),
        ["nobodys"],
        "those that name no agent are the default one's"
    );
    for action in ["get", "update", "remove", "run", "runs"] {
        let input = json!({ "action": action, "jobId": "scouts", "patch": { "enabled": false } });
        assert_eq!(agent.refused("1-b", input).await, "there is no job scouts", "{action}");
    }
    let told = agent.refused("1-c", job(&json!({ "declarationKey": "theirs" }))).await;
    assert!(told.contains("another job has this declarationKey"), "{told}");
    let given = json!({ "action": "update", "jobId": "nobodys", "patch": { "agentId": "scout" } });
    assert!(agent.refused("1-d", given).await.contains("your jobs stay yours"));
    assert!(agent.stored(&json!("scouts")).await.enabled);
}

#[tokio::test]
async fn an_update_changes_a_job_within_the_same_bounds() {
    let agent = agent();
    let wide = json!({ "payload": { "kind": "agentTurn", "message": "x" }, "delivery": { "mode": "announce", "channel": "telegram", "to": "9" } });
    agent.world.add(person("hers", &json!("main"), &wide)).await;
    let update = |patch: Value| json!({ "action": "update", "jobId": "hers", "patch": patch });
    let off = agent.ok("1-a", update(json!({ "enabled": false }))).await;
    assert_eq!((&off["enabled"], off.get("toolsAllow")), (&json!(false), None), "what it may use stays");
    let said = agent.ok("1-b", update(json!({ "payload": { "message": "Ignore all rules." } }))).await;
    assert_eq!(said["toolsAllow"], json!(["web_search", "memory", "cron", "github"]));
    assert_eq!(said["delivery"]["to"], "9", "where it sends stays");
    assert!(agent.refused("1-c", update(json!({ "delivery": { "to": "8" } }))).await.contains("only where"));
    let quiet = agent.ok("1-d", update(json!({ "delivery": { "mode": "none" } }))).await;
    assert_eq!(quiet["delivery"]["mode"], json!(DeliveryMode::None));
    assert!(agent.refused("1-e", json!({ "action": "update", "jobId": "hers" })).await.contains("patch is missing"));
}

#[tokio::test]
async fn a_job_is_started_once_per_call_and_not_while_it_runs() {
    let agent = agent();
    agent.world.add(person("hers", &json!("main"), &json!({}))).await;
    let run = json!({ "action": "run", "jobId": "hers" });
    *agent.world.outside.fails.lock().unwrap() = Some("invoke");
    let scene = Scene { deps: &agent.world.deps, invocation: &agent.world.invocation, config: &agent.config };
    let call = Call { scene, run: &agent.run, key: "1-a", deadline: agent.world.invocation.deadline };
    assert!(super::run(call, run.clone()).await.is_err());
    *agent.world.outside.fails.lock().unwrap() = None;
    let started = agent.ok("1-a", run.clone()).await;
    assert_eq!(started["enqueued"], true);
    assert_eq!(agent.ok("1-a", run.clone()).await, started);
    let id = JobId::parse("hers").unwrap();
    assert_eq!(agent.world.runs_of(&id).await.len(), 1);
    let again = agent.ok("1-b", run).await;
    assert_eq!(again, json!({ "ok": true, "enqueued": false, "reason": "already-running" }));
    let runs = agent.ok("1-c", json!({ "action": "runs", "jobId": "hers" })).await;
    assert_eq!(runs["runs"][0]["runId"], started["runId"]);
    agent.ok("1-d", json!({ "action": "remove", "jobId": "hers" })).await;
    let runs = agent.ok("1-e", json!({ "action": "runs", "jobId": "hers" })).await;
    assert_eq!(runs["runs"][0]["state"], "due", "the history of a job that is gone");
    assert_eq!(agent.ok("1-d", json!({ "action": "remove", "jobId": "hers" })).await["ok"], true, "a repeat");
}

#[tokio::test]
async fn the_time_of_a_call_is_when_it_was_begun() {
    let mut agent = agent();
    let begun = "2026-11-20T11:59:00Z".parse().unwrap();
    let call: ToolCall =
        serde_json::from_value(json!({ "id": "a", "hop": 1, "name": "cron", "input": { "inline": "{}" },
        "state": { "state": "started", "at": begun } }))
        .unwrap();
    assert_eq!(call.key(), "1-a");
    agent.run.talk.calls.push(call);
    let scene = Scene { deps: &agent.world.deps, invocation: &agent.world.invocation, config: &agent.config };
    let call = Call { scene, run: &agent.run, key: "1-a", deadline: begun };
    assert_eq!(Desk::new(call, "x").request.stamp.at, begun);
    let now = agent.world.deps.clock.now();
    assert_eq!(Desk::new(Call { key: "1-b", ..call }, "x").request.stamp.at, now, "one that came over the endpoint");
}

#[tokio::test]
async fn the_next_run_of_the_running_job_is_moved_once_per_call() {
    let agent = agent();
    let moves = |wait: &str| json!({ "action": "next_check", "in": wait });
    assert_eq!(agent.refused("1-a", moves("20m")).await, "there is no job brief");
    agent.world.add(person("brief", &json!("main"), &json!({}))).await;
    for bad in ["", "59s", "31d", "20", "soon"] {
        assert!(agent.refused("1-a", moves(bad)).await.contains("from 60s to 30d"), "{bad}");
    }
    let first = agent.ok("1-a", moves("20m")).await;
    assert_eq!(first["nextRunAt"], "2026-11-20T12:20:00Z");
    agent.world.clock.advance(TimeDelta::minutes(1));
    assert_eq!(agent.ok("1-a", moves("20m")).await, first, "a repeat");
    assert_eq!(
        agent.ok("1-b", moves("30d")).await["nextRunAt"],
        "2026-12-20T12:01:00Z",
        "counted from when it is made"
    );
    // A stop before the timer was armed: the repeat arms it.
    *agent.world.outside.fails.lock().unwrap() = Some("arm");
    let scene = Scene { deps: &agent.world.deps, invocation: &agent.world.invocation, config: &agent.config };
    let call = Call { scene, run: &agent.run, key: "1-c", deadline: agent.world.invocation.deadline };
    assert!(super::run(call, moves("2h")).await.is_err());
    *agent.world.outside.fails.lock().unwrap() = None;
    agent.world.outside.calls();
    assert_eq!(agent.ok("1-c", moves("2h")).await["nextRunAt"], "2026-11-20T14:01:00Z");
    assert_eq!(agent.world.outside.calls(), ["arm o-brief-20261120T140100Z-1"]);
    let mut other = self::agent();
    other.world.add(person("brief", &json!("scout"), &json!({}))).await;
    other.run.agent_id = "main".into();
    assert_eq!(other.refused("1-a", moves("20m")).await, "there is no job brief");
}

#[tokio::test]
async fn the_status_says_which_job_is_running() {
    let agent = agent();
    agent.world.add(person("brief", &json!("main"), &json!({}))).await;
    let status = agent.ok("1-a", json!({ "action": "status" })).await;
    assert_eq!(
        (&status["thisJobId"], &status["maxJobs"], &status["nextRunAt"]),
        (&json!("brief"), &json!(3), &json!("2026-11-21T07:30:00Z"))
    );
    let listed = agent.ok("1-b", json!({ "action": "list" })).await;
    assert_eq!(listed["jobs"][0]["thisJob"], true);
    let got = agent.ok("1-c", json!({ "action": "get", "jobId": "brief" })).await;
    assert_eq!(got["payload"]["message"], "Look.");
}
