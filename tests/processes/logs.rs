//! Nothing that is secret, or that somebody wrote, reaches a log line or a metric: the real functions say all they ever say
//! while every place where such a thing can stand holds one that is recognised.
//!
//! The same lines show that logs can be read by a machine and that the metrics in them come to what the ledger says.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod captured;
mod needles;
mod outside;

use std::path::Path;
use std::time::Duration;

use nightshift_tests::process::{Process, pause};
use serde_json::{Value, json};

use captured::{Line, captured, metrics};
use needles::{Needles, planted};
use outside::Outside;

const FUNCTIONS: [&str; 6] = ["api", "trigger", "poll", "deliver", "heartbeat", "tools"];
/// How often something is looked for, a tenth of a second apart.
const TRIES: u32 = 600;

/// A stack that says all it ever says.
struct Stage<'a> {
    process: Process,
    outside: Outside,
    folder: &'a Path,
    log: std::path::PathBuf,
}

impl<'a> Stage<'a> {
    async fn open(folder: &'a Path) -> Self {
        let log = folder.join("log");
        let loud = [
            ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("NIGHTSHIFT_METRICS", "Nightshift"),
            ("RUST_BACKTRACE", "1"),
        ];
        let args = ["--functions", "binaries"];
        let process = Process::start_logged(&folder.join("state"), &args, &loud, &log).await;
        Self { process, outside: Outside::serve().await, folder, log }
    }

    /// A reference to a file that holds `secret`.
    fn secret(&self, name: &str, secret: &str) -> String {
        let file = self.folder.join(name);
        std::fs::write(&file, secret).unwrap();
        format!("file:{}", file.display())
    }

    async fn ok(&self, method: &str, body: &Value) -> Value {
        let answer = self.process.post(&format!("/v1/{method}"), body).await.unwrap();
        // A run that failed has an error of its own, and no request.
        assert!(answer["requestId"].is_null(), "{method}: {answer:#}");
        answer
    }

    /// Knocks as somebody with the API's token, and is refused.
    async fn refused(&self, path: &str, body: String, status: u16) {
        let token = format!("Bearer {}", self.process.ready.token);
        let (answered, said) = self.process.knock(path, &[("authorization", &token)], body).await;
        assert_eq!(answered, status, "{path}: {said}");
    }

    async fn configure(&self) {
        let tool = json!({
            "description": planted("description"), "url": self.outside.at("tool"),
            "secret": self.secret("tool-secret", &planted("tool-secret")),
            "inputSchema": { "type": "object", "properties": { "title": { "type": "string" } } },
        });
        let telegram = json!({
            "botToken": self.secret("bot-token", &format!("123456:{}", planted("bot"))), "baseUrl": self.outside.url,
        });
        let config = json!({
            "api": { "publicUrl": "https://nightshift.example" },
            "cron": {
                "webhookSecret": self.secret("webhook-secret", &planted("webhook-secret")),
                "webhookSsrfPolicy": { "allowedHostnames": ["127.0.0.1"] },
            },
            "hooks": { "enabled": true, "token": self.secret("hook-token", &planted("hook-token")) },
            "channels": { "telegram": { "accounts": { "default": telegram } } },
            "webhookTools": { "ticket": tool },
            "providers": {
                "anthropic": { "apiKey": self.secret("key", &format!("sk-ant-api03-{}", planted("key"))) },
                "other": {
                    "kind": "openai", "baseUrl": format!("{}/v1", self.outside.url),
                    "apiKey": self.secret("other-key", &format!("sk-{}", planted("other-key"))),
                },
            },
            "agents": { "defaults": {
                "heartbeat": { "target": "none" }, "tools": { "endpoint": { "allow": ["memory"] } },
            } },
        });
        let current = self.ok("config.get", &json!({})).await["revision"].clone();
        self.ok("config.apply", &json!({ "config": config, "expectedRevision": current })).await;
    }

    async fn script(&self, more: &Value) {
        let create = json!({ "command": "create", "path": "/memories/a.md", "file_text": planted("memory") });
        let ask =
            |id: &str, name: &str, input: &Value| json!({ "type": "tool_use", "id": id, "name": name, "input": input });
        let over = json!({ "type": "mcp_tool_use", "id": "mcptoolu_1", "name": "memory", "server_name": "nightshift", "input": create });
        let says = |kind: &str| json!({ "type": kind, "message": format!("{kind}: sk-ant-api03-{} {}", planted("key"), planted("prompt")) });
        let mut script = json!({
            "batchDurationMs": 300,
            "mcpOrigins": { "https://nightshift.example": self.process.ready.url },
            "replies": [
                { "match": "[tools]", "hop": 0, "content": [
                    ask("toolu_1", "memory", &create), ask("toolu_2", "ticket", &json!({ "title": planted("input") })),
                ] },
                { "match": "[loop]", "hop": 0, "content": [over] },
                { "afterTool": "ticket", "text": planted("answer") },
                { "afterTool": "memory", "text": planted("answer") },
                { "match": "[auth]", "error": says("authentication_error") },
                { "match": "[invalid]", "error": says("invalid_request_error") },
                { "match": "[row]", "row": "errored", "error": says("invalid_request_error") },
                { "match": "*", "text": planted("answer") },
            ],
        });
        for (name, value) in more.as_object().unwrap() {
            script[name] = value.clone();
        }
        let answer = self.process.post("/_local/anthropic/script", &script).await.unwrap();
        assert!(answer["error"].is_null(), "{answer}");
    }

    /// Runs a job that asks `what`, with `more` of its own; its run.
    async fn asked(&self, what: &str, batch: bool, more: &Value) -> String {
        let mut job = json!({
            "name": planted("name"), "schedule": { "kind": "cron", "expr": "0 0 1 1 *" },
            "payload": {
                "kind": "agentTurn", "message": format!("[{what}] {}", planted("prompt")), "batch": { "enabled": batch },
                "toolsAllow": ["memory", "ticket"],
            },
            "delivery": { "mode": "none" },
        });
        for (name, value) in more.as_object().unwrap() {
            job[name] = value.clone();
        }
        let id = self.ok("cron.add", &job).await["jobId"].clone();
        let asked = self.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
        asked["runId"].as_str().unwrap().to_owned()
    }

    /// The run, once `is` is true of it.
    async fn once(&self, run: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut seen = Value::Null;
        for _ in 0..TRIES {
            seen = self.ok("cron.runGet", &json!({ "runId": run })).await;
            if is(&seen) {
                return seen;
            }
            pause(Duration::from_millis(100)).await;
        }
        panic!("{seen:#}");
    }

    async fn over(&self, run: &str) -> Value {
        self.once(run, |run| !run["status"].is_null()).await
    }

    /// The run of a batch, whose poll comes at once instead of two minutes later.
    async fn polled(&self, run: &str) -> Value {
        let submitted = self.once(run, |run| run["state"] == "submitted").await;
        pause(Duration::from_millis(500)).await;
        let polls = submitted["batch"]["polls"].clone();
        let envelope = json!({ "v": 1, "k": "poll", "b": submitted["batch"]["attemptId"], "n": polls });
        assert_eq!(self.invoked("poll", &envelope).await, None);
        self.once(run, |seen| {
            !seen["status"].is_null() || seen["batch"]["attemptId"] != submitted["batch"]["attemptId"]
        })
        .await
    }

    /// Calls a function; its error.
    async fn invoked(&self, function: &str, payload: &Value) -> Option<String> {
        let lambda = nightshift_local::endpoints::lambda_client(&self.process.ready.lambda_url);
        let name = format!("arn:aws:lambda:us-east-1:000000000000:function:nightshift-{function}");
        let call = lambda.invoke().function_name(name).payload(payload.to_string().into_bytes().into());
        call.send().await.unwrap().function_error().map(str::to_owned)
    }
}

/// All that is refused at the door.
async fn knocks(stage: &Stage<'_>) {
    let process = &stage.process;
    let bearer = |secret: &str| format!("Bearer {secret}");
    for path in ["/v1/cron.list", "/mcp", "/hooks/agent", "/_local/console"] {
        let wrong = bearer(&planted("bearer"));
        let (status, _) = process.knock(path, &[("authorization", &wrong)], "{}".to_owned()).await;
        assert!(status == 401 || status == 405, "{path}: {status}");
    }
    let unreadable = format!("{{ \"text\": {}", planted("body"));
    stage.refused("/v1/system.event", unreadable, 400).await;
    stage.refused(&format!("/v1/{}", planted("method")), "{}".to_owned(), 404).await;
    stage.refused(&format!("/{}?token={}", planted("page"), planted("query")), "{}".to_owned(), 404).await;
    let strange =
        json!({ "name": planted("name"), planted("field"): planted("value"), "schedule": planted("schedule") });
    stage.refused("/v1/cron.add", strange.to_string(), 400).await;
    let plain = json!({ "config": { "cron": { "webhookSecret": planted("webhook-secret"), planted("field"): 1 } }, "expectedRevision": 1 });
    stage.refused("/v1/config.apply", plain.to_string(), 400).await;
    let hook = [("authorization", bearer(&planted("hook-token"))), ("idempotency-key", planted("idempotency-key"))];
    let hook = hook.each_ref().map(|(name, value)| (*name, value.as_str()));
    let (status, said) = process.knock(&format!("/hooks/{}", planted("hook")), &hook, "{}".to_owned()).await;
    assert_eq!(status, 404, "{said}");
    for (name, body) in [
        ("agent", json!({ "message": planted("prompt"), "name": planted("name"), "deliver": false })),
        ("wake", json!({ "text": planted("event"), "mode": "now" })),
    ] {
        let (status, said) = process.knock(&format!("/hooks/{name}"), &hook, body.to_string()).await;
        assert_eq!(status, 200, "{name}: {said}");
    }
    stage.ok("documents.put", &json!({ "name": "SOUL.md", "text": planted("document") })).await;
    stage.ok("memory.put", &json!({ "path": "/memories/b.md", "text": planted("memory") })).await;
}

/// Runs of all kinds, well and unwell; those that are over, and those that are not yet.
async fn nights(stage: &Stage<'_>) -> (Vec<Value>, Vec<String>) {
    let to = |mode: &str, to: String| json!({ "delivery": { "mode": mode, "channel": "telegram", "to": to } });
    let hook = |what: &str| json!({ "delivery": { "mode": "webhook", "to": stage.outside.at(what) } });
    let mut over = Vec::new();
    for (what, more, status) in [
        ("tools", hook("hook"), "ok"),
        ("blocked", to("announce", "-1001234567890".to_owned()), "ok"),
        ("auth", json!({}), "error"),
        ("invalid", json!({}), "error"),
        ("session", json!({ "sessionTarget": "session:standup" }), "ok"),
        ("session", json!({ "sessionTarget": "session:standup" }), "ok"),
    ] {
        let run = stage.over(&stage.asked(what, false, &more).await).await;
        assert_eq!(run["status"], status, "{what}: {run:#}");
        over.push(run);
    }
    assert_eq!((stage.outside.arrived("/tool/"), stage.outside.arrived("/hook/")), (1, 1));
    assert_eq!(over[1]["deliveryStatus"], "failed", "{:#}", over[1]);

    let other =
        json!({ "kind": "agentTurn", "message": planted("prompt"), "model": "other/m", "batch": { "enabled": true } });
    let run = stage.over(&stage.asked("other", true, &json!({ "payload": other })).await).await;
    assert_eq!((&run["status"], stage.outside.arrived("chat/completions")), (&json!("error"), 1), "{run:#}");
    over.push(run);

    let run = stage.polled(&stage.asked("loop", true, &json!({})).await).await;
    assert_eq!((&run["status"], &run["tools"][0]["state"]), (&json!("ok"), &json!("ok")), "{run:#}");
    over.push(run);
    // Its row comes back with an error that is no transient one.
    let row = stage.asked("row", true, &json!({})).await;
    let run = stage.polled(&row).await;
    let run = if run["status"].is_null() { stage.polled(&row).await } else { run };
    assert_eq!(run["status"], "error", "{run:#}");
    over.push(run);

    let refusal = json!({ "on": "create", "do": "status", "status": 400, "error_type": "invalid_request_error",
        "message": format!("requests.0: {}", planted("prompt")) });
    stage.script(&json!({ "faults": [refusal] })).await;
    let run = stage.over(&stage.asked("refused", true, &json!({})).await).await;
    assert_eq!((&run["status"], &run["path"]), (&json!("ok"), &json!("realtime")), "{run:#}");
    over.push(run);

    // A receiver that breaks is tried again for longer than a test takes.
    let broken = stage.asked("broken", false, &hook("broken")).await;
    stage.once(&broken, |_| stage.outside.arrived("/broken/") > 0).await;
    (over, vec![broken])
}

/// The runs that nobody here asked for by name: a hook's and a heartbeat's.
async fn others(stage: &Stage<'_>, known: &[Value]) -> Vec<Value> {
    for _ in 0..TRIES {
        let runs = stage.ok("cron.runs", &json!({ "limit": 100 })).await["runs"].as_array().unwrap().clone();
        let is_of = |prefix: &str| {
            runs.iter().any(|run| run["runId"].as_str().unwrap().starts_with(prefix) && !run["status"].is_null())
        };
        if is_of("hk-") && is_of("hb-") {
            assert!(runs.len() > known.len() + 2, "{runs:#?}");
            return runs;
        }
        pause(Duration::from_millis(100)).await;
    }
    panic!("no hook and no heartbeat ended");
}

/// What the ledger says, in the names of metrics.
async fn ledger(stage: &Stage<'_>, runs: &[Value]) -> Vec<(&'static str, f64)> {
    let of = |status: &str| runs.iter().filter(|run| run["status"] == status).count();
    let (mut read, mut written) = (0, 0);
    for run in runs {
        let run = stage.ok("cron.runGet", &json!({ "runId": run["runId"] })).await;
        for hop in run["hops"].as_array().into_iter().flatten() {
            let of = |name: &str| hop["usage"][name].as_u64().unwrap_or(0);
            read += of("input_tokens") + of("cache_read_input_tokens") + of("cache_creation_input_tokens");
            written += of("output_tokens");
        }
    }
    let total = stage.ok("cron.cost", &json!({})).await["total"].clone();
    let dollars = |name: &str| total[name].as_f64().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a few of each")]
    let (count, tokens) = (|count: usize| count as f64, |tokens: u64| tokens as f64);
    assert!(read > 0 && written > 0 && dollars("paidUsd") > 0.0 && dollars("savedUsd") > 0.0, "{total:#}");
    vec![
        ("RunsBegun", count(runs.len())),
        ("RunsSucceeded", count(of("ok"))),
        ("RunsFailed", count(of("error"))),
        ("InputTokens", tokens(read)),
        ("OutputTokens", tokens(written)),
        ("CostUsd", dollars("paidUsd")),
        ("SavingsUsd", dollars("savedUsd")),
        ("FallbacksExpected", 1.0),
        ("FallbacksUnexpected", 1.0),
        ("DeliveriesFailed", 1.0),
        ("BatchesSucceeded", 1.0),
        ("BatchPolls", 2.0),
    ]
}

fn agrees(lines: &[Line], ledger: &[(&str, f64)]) -> Result<(), String> {
    let metrics = metrics(lines);
    let wrong = ledger.iter().filter(|(name, value)| (metrics.get(*name).unwrap_or(&0.0) - value).abs() > 1e-9);
    let wrong: Vec<_> = wrong.collect();
    if wrong.is_empty() { Ok(()) } else { Err(format!("the ledger says {wrong:?}, the metrics {metrics:?}")) }
}

/// Waits until the log has what the functions said until now.
async fn settled(stage: &Stage<'_>, runs: &[Value], ledger: &[(&str, f64)]) -> (String, Vec<Line>) {
    let mut why = String::new();
    for _ in 0..TRIES / 4 {
        let (text, lines) = captured(&stage.log);
        let ended = |run: &Value| {
            lines.iter().any(|line| line.json["run.id"] == run["runId"] && line.json["duration_ms"].is_number())
        };
        let missing = runs.iter().filter(|run| !run["status"].is_null()).find(|run| !ended(run));
        match (missing, agrees(&lines, ledger)) {
            (None, Ok(())) => return (text, lines),
            (missing, agreed) => why = format!("no end of {missing:?}; {agreed:?}"),
        }
        pause(Duration::from_millis(100)).await;
    }
    panic!("{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_and_no_text_reaches_a_line_of_a_log_or_a_metric() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::open(folder.path()).await;
    stage.configure().await;
    stage.script(&json!({})).await;
    knocks(&stage).await;
    let (over, open) = nights(&stage).await;
    let all = others(&stage, &over).await;
    for function in ["trigger", "poll", "deliver", "heartbeat"] {
        let nonsense = json!({ "v": 1, "k": "job", "text": planted("envelope") });
        assert!(stage.invoked(function, &nonsense).await.is_some(), "{function} took it");
    }
    let books = ledger(&stage, &all).await;
    let (text, lines) = settled(&stage, &all, &books).await;

    let needles = Needles::new(&[&stage.process.ready.token]);
    let leaks: Vec<&str> = text.lines().filter(|line| needles.found(line).is_some()).collect();
    assert!(leaks.is_empty(), "{} lines show what they must not:\n{}", leaks.len(), leaks.join("\n"));

    for function in FUNCTIONS.map(|name| format!("nightshift-{name}")) {
        let of: Vec<&Value> =
            lines.iter().filter(|line| line.function.as_deref() == Some(&function)).map(|line| &line.json).collect();
        let logged: Vec<&&Value> = of.iter().filter(|line| line["_aws"].is_null()).collect();
        assert!(!logged.is_empty(), "{function} said nothing");
        for line in logged {
            assert!(line["message"].is_string() && line["level"].is_string(), "{line}");
            let at = line["timestamp"].as_str().unwrap_or_default();
            assert!(chrono::DateTime::parse_from_rfc3339(at).is_ok(), "{line}");
        }
    }
    let levels = |level: &str| lines.iter().any(|line| line.function.is_some() && line.json["level"] == level);
    assert!(levels("DEBUG") && levels("WARN") && levels("INFO"), "the functions were to say all they have");
    for run in over.iter().map(|run| run["runId"].as_str().unwrap()).chain(open.iter().map(String::as_str)) {
        let named = |function: &str| {
            let function = format!("nightshift-{function}");
            lines.iter().any(|line| line.function.as_ref() == Some(&function) && line.json["run.id"] == run)
        };
        assert!(named("trigger"), "trigger says nothing of {run}");
        let delivered = run == open[0] || run == over[0]["runId"] || run == over[1]["runId"];
        assert!(!delivered || named("deliver"), "deliver says nothing of {run}");
    }
}
