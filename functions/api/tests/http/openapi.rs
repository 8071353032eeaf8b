//! The API's description: what it says of requests is what the server takes, and what it says of answers is what it gives.

use std::collections::{BTreeMap, BTreeSet};

use boon::{Compiler, Schemas};
use nightshift_domain::RunKey;
use nightshift_domain::model::Role;
use nightshift_domain::run::{Said, Text};
use nightshift_domain::session::{Exchange, Hold, InSession, Session};
use nightshift_engine::Clock as _;
use nightshift_engine::ports::{Outcome, Write};
use serde_json::{Value, json};

use super::{Answer, Api, api, hooks, job, refused};

/// Where the document is while it is tested.
const HOME: &str = "http://127.0.0.1/openapi.json";

async fn document(api: &Api) -> Value {
    let answer = api.send("GET", "/openapi.json", &[], String::new()).await;
    assert_eq!(answer.status, 200);
    answer.body
}

/// A schema behind its reference.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

fn names(schema: &Value) -> BTreeSet<String> {
    schema["properties"].as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

/// The names the server says it takes, from the hint of the fault about `field`.
fn taken(answer: &Answer, field: &str) -> BTreeSet<String> {
    assert_eq!(answer.status, 400, "{field}: {}", answer.body);
    let fields = answer.body["error"]["fields"].as_array().unwrap();
    let fault =
        fields.iter().find(|fault| fault["field"] == field).unwrap_or_else(|| panic!("{field}: {}", answer.body));
    let hint = fault["hint"].as_str().unwrap();
    if hint == "there are no fields here" {
        return BTreeSet::new();
    }
    let (_, list) = hint.split_once("fields are ").or_else(|| hint.split_once("fields here are ")).unwrap();
    list.split(", ").map(str::to_owned).collect()
}

/// Every name the server takes is a property of the schema, or stands between backticks in `said`; and nothing else is one.
fn same_names(case: &str, server: &BTreeSet<String>, schema: &Value, said: &str) {
    assert_eq!(schema["additionalProperties"], false, "{case} refuses other fields");
    let described = names(schema);
    let invented: Vec<_> = described.difference(server).filter(|name| *name != "kind").collect();
    assert!(invented.is_empty(), "{case}: described, but refused: {invented:?}");
    let silent: Vec<_> = server.difference(&described).filter(|name| !said.contains(&format!("`{name}`"))).collect();
    assert!(silent.is_empty(), "{case}: taken, but not described: {silent:?}");
}

#[tokio::test]
async fn the_parameters_described_are_those_the_server_takes() {
    let api = api();
    let document = document(&api).await;
    let paths = document["paths"].as_object().unwrap();
    let methods: Vec<_> = paths.iter().filter_map(|(path, item)| Some((path.strip_prefix("/v1/")?, item))).collect();
    assert!(methods.len() >= 13);
    for (method, item) in methods {
        let operation = &item["post"];
        let schema = resolved(&document, &operation["requestBody"]["content"]["application/json"]["schema"]);
        let server = taken(&api.call(method, &json!({ "colour": "blue" })).await, "colour");
        same_names(method, &server, schema, &format!("{} {}", operation["description"], schema["description"]));
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} has no summary");
    }
}

#[tokio::test]
async fn the_parts_of_a_job_described_are_those_the_server_takes() {
    let api = api();
    let document = document(&api).await;
    let turn = |more: &Value| {
        let mut payload = json!({ "kind": "agentTurn", "message": "x" });
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "payload": payload })
    };
    let blue = || json!({ "colour": "blue" });
    let cases = [
        ("AgentTurnPayload", turn(&blue()), "payload.colour"),
        ("BatchInput", turn(&json!({ "batch": blue() })), "payload.batch.colour"),
        ("SystemEventPayload", json!({ "payload": { "text": "x", "colour": 1 } }), "payload.colour"),
        ("DeliveryInput", json!({ "delivery": blue() }), "delivery.colour"),
        (
            "DestinationInput",
            json!({ "delivery": { "failureDestination": blue() } }),
            "delivery.failureDestination.colour",
        ),
        ("AlertRuleInput", json!({ "failureAlert": blue() }), "failureAlert.colour"),
        ("StateInput", json!({ "state": blue() }), "state.colour"),
        // A field of another kind of schedule is told what the fields of this one are.
        ("AtSchedule", json!({ "schedule": { "at": "2027-01-01", "expr": "x" } }), "schedule"),
        ("EverySchedule", json!({ "schedule": { "everyMs": 60_000, "expr": "x" , "kind": "every"} }), "schedule"),
        ("CronSchedule", json!({ "schedule": { "expr": "0 7 * * *", "everyMs": 1, "kind": "cron" } }), "schedule"),
    ];
    for (component, extra, field) in cases {
        let schema = &document["components"]["schemas"][component];
        let server = taken(&api.call("cron.add", &job(&extra)).await, field);
        let said = schema.to_string();
        same_names(component, &server, schema, &said);
    }
    api.call("cron.add", &job(&json!({ "jobId": "a" }))).await;
    let patches = [("JobPatch", blue(), "colour"), ("SchedulePatch", json!({ "schedule": blue() }), "schedule.colour")];
    for (component, patch, field) in patches {
        let schema = &document["components"]["schemas"][component];
        let server = taken(&api.call("cron.update", &json!({ "jobId": "a", "patch": patch })).await, field);
        same_names(component, &server, schema, &schema["description"].to_string());
    }
    let payload = taken(
        &api.call("cron.update", &json!({ "jobId": "a", "patch": { "payload": blue() } })).await,
        "payload.colour",
    );
    let described = names(&document["components"]["schemas"]["PayloadPatch"]);
    assert!(payload.is_subset(&described), "{payload:?} {described:?}");
}

/// What the description says of answers, compiled on demand.
struct Described {
    document: Value,
    compiler: Compiler,
    schemas: Schemas,
    seen: BTreeMap<String, BTreeSet<u16>>,
}

impl Described {
    async fn by(api: &Api) -> Self {
        let document = document(api).await;
        let mut compiler = Compiler::new();
        compiler.add_resource(HOME, document.clone()).unwrap();
        Self { document, compiler, schemas: Schemas::new(), seen: BTreeMap::new() }
    }

    /// The status is one of the method's, and the body is as it says.
    fn check(&mut self, method: &str, answer: &Answer) {
        self.check_path(&format!("/v1/{method}"), answer);
    }

    fn check_path(&mut self, path: &str, answer: &Answer) {
        let method = path.trim_start_matches("/v1/");
        let at = format!("/paths/{}/post/responses/{}", path.replace('/', "~1"), answer.status);
        let described = self.document.pointer(&at).unwrap_or_else(|| panic!("{method} does not say {}", answer.status));
        let schema = resolved(&self.document, &described["content"]["application/json"]["schema"]);
        let silent: Vec<_> =
            answer.body.as_object().unwrap().keys().filter(|name| !names(schema).contains(*name)).collect();
        assert!(silent.is_empty(), "{method} {} does not say {silent:?}", answer.status);
        let at = at.replace('{', "%7B").replace('}', "%7D");
        let place = format!("{HOME}#{at}/content/application~1json/schema");
        let index = self.compiler.compile(&place, &mut self.schemas).unwrap();
        if let Err(error) = self.schemas.validate(&answer.body, index) {
            panic!("{method} {}: {error:#}\n{}", answer.status, answer.body);
        }
        self.seen.entry(method.to_owned()).or_default().insert(answer.status);
    }
}

/// A session with a history, and one that the run is using.
async fn with_sessions(api: &Api, run_id: &Value) {
    let store = &api.deps.store;
    let now = api.clock.now();
    let key = RunKey::parse(run_id.as_str().unwrap()).unwrap();
    let mut run = store.run(&key).await.unwrap().unwrap();
    run.rev += 1;
    run.session =
        Some(InSession { agent: "main".into(), name: "busy".into(), alone: false, hold: Hold::Held, cut: None });
    let said = |role, text: &str| Said { role, content: Text::Inline(json!(text).to_string()) };
    let said = vec![said(Role::User, "Well?"), said(Role::Assistant, "All is well.")];
    let exchange = Exchange { n: 0, run: key.clone(), at: now, said, bytes: 20 };
    let free = Session::new("main", "standup", now).released(None, Some(exchange), now);
    let busy = Session::new("main", "busy", now).taken(&key, &[]);
    let writes = [Write::Run { run: &run, expires_at: None }, Write::Session(&free), Write::Session(&busy)];
    assert_eq!(store.commit(&writes).await.unwrap(), Outcome::Applied);
}

#[tokio::test]
async fn every_method_answers_and_refuses_as_described() {
    let api = api();
    let mut described = Described::by(&api).await;
    let run = api.call("cron.add", &job(&json!({ "jobId": "a" }))).await;
    described.check("cron.add", &run);
    let ran = api.call("cron.run", &json!({ "jobId": "a" })).await;
    let run_id = ran.body["runId"].clone();
    let config = json!({ "cron": { "timezone": "Europe/Vienna" } });
    with_sessions(&api, &run_id).await;
    let calls = [
        (
            "cron.add",
            job(&json!({ "jobId": "b", "failureAlert": false, "schedule": { "everyMs": 3_600_000 },
            "delivery": { "mode": "webhook", "to": "https://x.example/", "threadId": 1 } })),
        ),
        (
            "cron.add",
            job(&json!({ "jobId": "c", "schedule": { "at": "2027-01-01" }, "payload": { "text": "x" },
            "failureAlert": { "after": 1 } })),
        ),
        ("cron.add", job(&json!({ "jobId": "b" }))),
        ("cron.get", json!({ "jobId": "a" })),
        ("cron.get", json!({ "jobId": "nobody" })),
        ("cron.list", json!({ "limit": 1 })),
        ("cron.list", json!({ "includeDisabled": true })),
        ("cron.list", json!({ "limit": 0, "cursor": 1 })),
        ("cron.update", json!({ "jobId": "a", "patch": { "enabled": false } })),
        ("cron.update", json!({ "jobId": "nobody", "patch": {} })),
        ("cron.run", json!({ "jobId": "a", "mode": "if-enabled" })),
        ("cron.run", json!({ "jobId": "nobody" })),
        ("cron.runs", json!({ "jobId": "a" })),
        ("cron.runs", json!({ "cursor": "nonsense" })),
        ("cron.runGet", json!({ "runId": run_id })),
        ("cron.runGet", json!({ "runId": "a_20200101T000000Z" })),
        ("cron.cancel", json!({ "runId": run_id })),
        ("cron.cancel", json!({ "runId": run_id })),
        ("cron.cancel", json!({ "runId": "a_20200101T000000Z" })),
        ("cron.status", json!({})),
        ("system.event", json!({ "text": "Hello." })),
        ("system.event", json!({ "text": "" })),
        ("config.get", json!({})),
        ("config.apply", json!({ "config": config })),
        ("config.get", json!({})),
        ("config.apply", json!({ "config": {}, "expectedRevision": 7 })),
        ("config.set", json!({ "path": "cron.maxConcurrentRuns", "value": 8 })),
        ("config.set", json!({ "path": "cron.colour", "value": 8 })),
        ("config.unset", json!({ "path": "cron.maxConcurrentRuns" })),
        ("config.unset", json!({ "path": "cron.maxConcurrentRuns" })),
        ("config.validate", json!({ "config": { "cron": { "enabled": 7, "colour": "blue" } } })),
        ("config.validate", json!({ "config": {} })),
        ("cron.plan", json!({ "jobId": "a" })),
        ("cron.plan", json!({ "schedule": { "kind": "every", "everyMs": 5_400_000 }, "count": 2 })),
        ("cron.plan", json!({ "schedule": { "kind": "cron", "expr": "61 * * * *" } })),
        ("cron.plan", json!({ "jobId": "nobody" })),
        ("cron.doctor", json!({ "deep": true })),
        ("cron.doctor", json!({ "repair": true })),
        ("cron.doctor", json!({ "cursor": "nonsense" })),
        (
            "cron.import",
            json!({ "jobs": [job(&json!({ "id": "old" })), { "payload": { "kind": "command" } }], "runs": [{}] }),
        ),
        ("cron.import", json!({ "jobs": 7 })),
        ("cron.cost", json!({ "by": "day" })),
        ("cron.cost", json!({ "by": "weather" })),
        ("heartbeat.last", json!({})),
        ("heartbeat.last", json!({ "agentId": "main" })),
        ("heartbeat.last", json!({ "agentId": "no agent" })),
        ("heartbeat.notes", json!({})),
        ("heartbeat.notes", json!({ "text": "Is the door shut?" })),
        ("heartbeat.notes", json!({ "text": "Is it?", "expectedRevision": 7 })),
        ("heartbeat.notes", json!({ "text": 7 })),
        ("heartbeat.notes", json!({})),
        ("heartbeat.last", json!({})),
        ("sessions.list", json!({})),
        ("sessions.list", json!({ "limit": 0 })),
        ("sessions.get", json!({ "name": "standup" })),
        ("sessions.get", json!({ "name": "nobody" })),
        ("sessions.get", json!({ "name": "no name" })),
        ("sessions.remove", json!({ "name": "busy" })),
        ("sessions.remove", json!({ "name": "standup" })),
        ("sessions.remove", json!({ "name": "standup" })),
        ("config.apply", json!({ "config": { "cron": { "retention": { "runsDays": 4_000_000_000_u64 } } } })),
        ("documents.put", json!({ "name": "AGENTS.md", "text": "Be brief." })),
        ("documents.put", json!({ "name": "AGENTS.md", "text": "Be kind.", "expectedRevision": 7 })),
        ("documents.put", json!({ "name": " ", "text": 7 })),
        ("documents.get", json!({ "name": "AGENTS.md" })),
        ("documents.get", json!({ "name": "nothing" })),
        ("documents.list", json!({})),
        ("documents.remove", json!({ "name": "AGENTS.md", "expectedRevision": 7 })),
        ("documents.remove", json!({ "name": "AGENTS.md" })),
        ("documents.remove", json!({ "name": "AGENTS.md" })),
        ("memory.put", json!({ "path": "/memories/a", "text": "x" })),
        ("memory.put", json!({ "path": "/memories/a", "text": "y", "expectedRevision": 7 })),
        ("memory.put", json!({ "path": "/etc/passwd", "text": "x" })),
        ("memory.get", json!({ "agentId": "main", "path": "/memories/a" })),
        ("memory.get", json!({ "agentId": "other", "path": "/memories/a" })),
        ("memory.list", json!({})),
        ("memory.remove", json!({ "path": "/memories/a", "expectedRevision": 7 })),
        ("memory.remove", json!({ "path": "/memories/a" })),
        ("memory.remove", json!({ "path": "/memories/a" })),
        ("cron.remove", json!({ "jobId": "a" })),
        ("cron.remove", json!({ "jobId": "a" })),
    ];
    for (method, body) in &calls {
        described.check(method, &api.call(method, body).await);
    }
    let methods: Vec<String> = described.document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .filter_map(|path| path.strip_prefix("/v1/"))
        .map(str::to_owned)
        .collect();
    for method in &methods {
        assert!(described.seen.get(method).is_some_and(|seen| seen.contains(&200)), "{method} is not tried here");
        let path = format!("/v1/{method}");
        let authorized = [("Authorization", "Bearer secret")];
        described.check(method, &api.send("POST", &path, &[], String::new()).await);
        described.check(method, &api.send("POST", &path, &authorized, "{".to_owned()).await);
        described.check(method, &api.send("POST", &path, &authorized, " ".repeat(300 * 1024)).await);
        let get = api.send("GET", &path, &authorized, String::new()).await;
        refused(&get, 405, "method_not_allowed", None);
    }
}

#[tokio::test]
async fn hooks_take_answer_and_refuse_as_described() {
    let off = api();
    let mut described = Described::by(&off).await;
    let api = hooks::with(&hooks::on()).await;
    let hooks = [("/hooks/wake", "wake"), ("/hooks/agent", "agent"), ("/hooks/{name}", "gmail")];
    let blue = json!({ "message": "x", "colour": "blue" });
    for (path, name) in hooks {
        let operation = described.document["paths"][path]["post"].clone();
        let schema = operation["requestBody"]["content"]["application/json"]["schema"].clone();
        let schema = resolved(&described.document, &schema).clone();
        let refusal = hooks::knock(&api, name, &hooks::TOKEN, &blue).await;
        described.check_path(path, &refusal);
        let agents = described.document["components"]["schemas"]["AgentHook"].clone();
        let fields = if name == "gmail" { &agents } else { &schema };
        same_names(path, &taken(&refusal, "colour"), fields, &schema.to_string());
        let examples = schema["examples"].as_array().unwrap();
        assert!(!examples.is_empty());
        for example in examples {
            let answer = hooks::knock(&api, name, &hooks::TOKEN, example).await;
            assert_eq!(answer.status, 200, "{path} {example}: {}", answer.body);
            described.check_path(path, &answer);
        }
        described.check_path(path, &hooks::knock(&off, name, &hooks::TOKEN, &blue).await);
        described.check_path(path, &hooks::knock(&api, name, &[], &blue).await);
        let keyed = [hooks::TOKEN[0], ("idempotency-key", "k")];
        for body in [&examples[0], &json!({ "text": "y", "message": "y" })] {
            described.check_path(path, &hooks::knock(&api, name, &keyed, body).await);
        }
        assert_eq!(described.seen[path], BTreeSet::from([200, 400, 401, 404, 409]), "{path}");
    }
    described.check_path("/hooks/{name}", &hooks::knock(&api, "nobody", &hooks::TOKEN, &json!({})).await);
}

#[tokio::test]
async fn the_examples_of_the_description_are_accepted() {
    let api = api();
    let document = document(&api).await;
    for id in ["brief", "old-brief"] {
        assert_eq!(api.call("cron.add", &job(&json!({ "jobId": id }))).await.status, 200);
    }
    api.call("documents.put", &json!({ "name": "AGENTS.md", "text": "Be long." })).await;
    api.call("memory.put", &json!({ "path": "/memories/people.md", "text": "Ada likes it long." })).await;
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(method) = path.strip_prefix("/v1/") else { continue };
        let schema = resolved(&document, &item["post"]["requestBody"]["content"]["application/json"]["schema"]);
        for example in schema["examples"].as_array().into_iter().flatten() {
            let answer = api.call(method, example).await;
            // A run or a revision of that number is not there; nothing else is wrong.
            let missing = matches!(answer.body["error"]["code"].as_str(), Some("run_not_found" | "config_conflict"));
            assert!(answer.status == 200 || missing, "{method} {example}: {}", answer.body);
            tried += 1;
        }
    }
    assert!(tried >= 11, "{tried}");
    for patch in document["components"]["schemas"]["JobPatch"]["examples"].as_array().unwrap() {
        let answer = api.call("cron.update", &json!({ "jobId": "brief", "patch": patch })).await;
        assert_eq!(answer.status, 200, "{patch}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_configuration_that_fits_its_schema_is_accepted_and_one_that_does_not_is_refused() {
    let api = api();
    let mut compiler = Compiler::new();
    compiler.add_resource(HOME, nightshift_wire::schema::config()).unwrap();
    let mut schemas = Schemas::new();
    let index = compiler.compile(HOME, &mut schemas).unwrap();
    let good = [
        json!({}),
        json!({
            "cron": { "enabled": true, "timezone": "Europe/Vienna", "missed": "all", "overlap": "queue",
                "batch": { "default": true, "onTimeout": "realtime" }, "budget": { "dayUsd": 20 },
                "failureAlert": { "enabled": true, "after": 2, "mode": "announce", "channel": "telegram", "to": "1" },
                "webhookSecret": "ssm:/nightshift/webhook", "webhookSsrfPolicy": { "allowedHostnames": ["hook"] } },
            "agents": { "defaults": { "model": "sonnet", "thinking": "medium", "maxHops": 25 },
                "entries": { "main": { "default": true, "defaultRoute": { "channel": "telegram", "to": "1" } } } },
            "providers": { "anthropic": { "apiKey": "ssm:/key" } },
            "models": { "aliases": { "o": "anthropic/claude-opus-5-5" }, "allow": ["*"],
                "prices": [{ "model": "anthropic/x", "from": "2026-10-07", "input": 2.0, "output": 10.0, "cacheWrite5m": 1 }] },
            "channels": { "telegram": { "accounts": { "default": { "botToken": "ssm:/bot" } } } },
        }),
    ];
    for config in good {
        assert!(schemas.validate(&config, index).is_ok(), "{config}");
        let answer = api.call("config.apply", &json!({ "config": config })).await;
        assert_eq!(answer.status, 200, "{config}: {}", answer.body);
    }
    let bad = [
        json!([]),
        json!({ "colour": "blue" }),
        json!({ "cron": { "missed": "some" } }),
        json!({ "cron": { "retention": { "eventsDays": 3_651 } } }),
        json!({ "cron": { "batch": { "maxWaitMs": 1 } } }),
        json!({ "agents": { "defaults": { "timeoutSeconds": 604_801 } } }),
        json!({ "models": { "prices": [{ "model": "anthropic/x" }] } }),
    ];
    for config in bad {
        assert!(schemas.validate(&config, index).is_err(), "{config}");
        let answer = api.call("config.apply", &json!({ "config": config })).await;
        assert_eq!(answer.status, 400, "{config}: {}", answer.body);
    }
}

#[tokio::test]
async fn the_description_and_health_are_read_by_get_and_head_without_a_token() {
    let api = api();
    let text = document(&api).await.to_string();
    assert!(text.len() < 300_000, "{} bytes", text.len());
    for path in ["/openapi.json", "/healthz"] {
        assert_eq!(api.send("HEAD", path, &[], String::new()).await.status, 200);
        let posted = api.send("POST", path, &[], String::new()).await;
        refused(&posted, 405, "method_not_allowed", None);
        assert_eq!(posted.allow.as_deref(), Some("GET, HEAD"));
    }
}

#[tokio::test]
async fn a_body_is_read_as_json_whatever_its_content_type() {
    let api = api();
    for kind in
        ["application/json", "application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded"]
    {
        let headers = [("Authorization", "Bearer secret"), ("Content-Type", kind)];
        let answer = api.send("POST", "/v1/cron.list", &headers, "{\"limit\": 1}".to_owned()).await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_key_is_printable_text() {
    let api = api();
    for (key, status) in
        [("8f14 e45f", 200), ("a\tb", 400), ("\u{e9}", 400), (&"x".repeat(256), 400), (&"x".repeat(255), 200)]
    {
        let answer = api.keyed("system.event", key, &json!({ "text": "x" })).await;
        assert_eq!(answer.status, status, "{key:?}: {}", answer.body);
    }
}

#[tokio::test]
async fn an_empty_id_is_a_mistake_and_not_the_wish_for_everything() {
    let api = api();
    api.call("cron.add", &job(&json!({ "jobId": "a" }))).await;
    api.call("cron.run", &json!({ "jobId": "a" })).await;
    refused(&api.call("cron.runs", &json!({ "jobId": "" })).await, 400, "invalid_job_id", Some("jobId"));
    refused(&api.call("cron.runs", &json!({ "runId": " " })).await, 400, "invalid_run_id", Some("runId"));
    refused(&api.call("cron.remove", &json!({ "jobId": "" })).await, 400, "invalid_job_id", Some("jobId"));
    refused(&api.call("cron.add", &job(&json!({ "jobId": "" }))).await, 400, "invalid_job_id", Some("jobId"));
}

#[tokio::test]
async fn a_cursor_of_the_far_future_does_not_walk_through_every_day_until_then() {
    let api = api();
    let page = api.call("cron.runs", &json!({ "cursor": "+262142-12-31~" })).await;
    assert_eq!((page.status, &page.body["nextCursor"]), (200, &Value::Null), "{}", page.body);
}

#[tokio::test]
async fn a_page_of_long_kept_history_ends_with_a_cursor_instead_of_reading_ten_years() {
    let api = api();
    let kept = json!({ "config": { "cron": { "retention": { "runsDays": 3_650 } } } });
    assert_eq!(api.call("config.apply", &kept).await.status, 200);
    let (mut pages, mut cursor) = (0, Value::Null);
    loop {
        let page = api.call("cron.runs", &json!({ "cursor": cursor })).await;
        assert_eq!(page.status, 200, "{}", page.body);
        pages += 1;
        cursor = page.body["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(pages, 37, "3,651 days, a hundred at a time");
}
