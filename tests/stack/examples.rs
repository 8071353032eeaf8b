//! Every command line and every JSON people know from `OpenClaw`'s cron documentation does here what it says.
//!
//! `tests/data/commands.txt` and `requests.txt` hold them as they stand, and below each what must be true afterwards. Each
//! runs on a stack of its own: the commands through the real `nightshift`, the JSON over HTTP, the chats through a
//! stand-in. Indented lines are carried out in order; `Scene::check` says what each word means.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::sync::Arc;

use chrono::{DateTime, Utc};
use nightshift_engine::ManualClock;
use nightshift_engine::ports::Store as _;
use nightshift_local::endpoints::dynamodb;
use nightshift_local::gate::tally;
use nightshift_store::DynamoStore;
use nightshift_tests::chats::Chats;
use nightshift_tests::local::{Answer, Local};
use nightshift_tests::process::{Said, nightshift};
use serde_json::{Value, json};

/// The job that is there before.
const JOB: &str = "job-123";
/// Stands for `<future ISO>`: an hour after every test's clock starts.
const FUTURE: &str = "2026-11-20T07:00:00";

/// An example and what must be true after it.
struct Example {
    line: String,
    then: Vec<String>,
}

fn examples(text: &str) -> Vec<Example> {
    let mut all: Vec<Example> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        match line.strip_prefix("  ") {
            Some(then) => all.last_mut().unwrap().then.push(then.to_owned()),
            None => all.push(Example { line: line.to_owned(), then: Vec::new() }),
        }
    }
    all
}

/// Splits as a shell does, for double quotes only.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// Whether `whole` says all that `part` says; `null` is what is not there.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (_, Value::Object(fields)) => fields.iter().all(|(name, value)| holds(&whole[name], value)),
        (Value::Array(items), Value::Array(wanted)) => {
            items.len() == wanted.len() && items.iter().zip(wanted).all(|(item, wanted)| holds(item, wanted))
        }
        _ => whole == part,
    }
}

/// Lays `more` over `value`.
fn lay(value: &mut Value, more: &Value) {
    match (value, more) {
        (Value::Object(fields), Value::Object(more)) => {
            for (name, more) in more {
                lay(fields.entry(name.clone()).or_insert(Value::Null), more);
            }
        }
        (value, more) => *value = more.clone(),
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// One example on its stack.
struct Scene {
    local: Local,
    chats: Chats,
    example: String,
    /// The job the example is about.
    job: String,
    request: Value,
    said: Said,
    answer: Value,
    exit: i32,
    notes: Vec<String>,
}

impl Scene {
    async fn new(example: &str) -> Self {
        let local = Local::start().await;
        let chats = Chats::serve().await;
        local.script(json!({ "batchDurationMs": 60_000, "replies": [{ "match": "*", "text": "Done." }] }));
        let config = json!({
            "cron": { "webhookSsrfPolicy": { "allowedHostnames": ["127.0.0.1"] } },
            "agents": { "entries": { "main": { "default": true }, "ops": { "instructions": "You keep the servers." } } },
            "channels": chats.config(local.dir.path()),
        });
        local.ok("config.apply", &json!({ "config": config, "expectedRevision": 0 })).await;
        let said = Said { code: 0, out: String::new(), err: String::new() };
        let example = example.to_owned();
        let (job, request, answer) = (JOB.to_owned(), Value::Null, Value::Null);
        Self { local, chats, example, job, request, said, answer, exit: 0, notes: Vec::new() }
    }

    /// Adds the job that is there before.
    async fn given(&self, more: &Value) {
        let mut job = json!({
            "jobId": JOB, "name": "Job 123", "schedule": { "kind": "every", "everyMs": 21_600_000 },
            "payload": { "kind": "agentTurn", "message": "Do it." },
            "delivery": { "mode": "announce", "channel": "slack", "to": "channel:C0BASE0001" },
        });
        if let Some(schedule) = more.get("schedule") {
            job["schedule"] = schedule.clone();
        }
        lay(&mut job, more);
        self.local.add(&job).await;
    }

    async fn command(&mut self) {
        let line = self.example.replace("<future ISO>", FUTURE).replace("<job-id>", JOB).replace("<jobId>", JOB);
        let (ready, words) = (self.local.stack.ready.clone(), words(&line));
        self.said = tokio::task::block_in_place(|| nightshift(&ready, &words));
        assert_eq!(self.said.code, self.exit, "{line}: {:#?}", self.said);
        self.notes = self.said.err.lines().filter_map(|line| line.strip_prefix("note: ")).map(str::to_owned).collect();
        if line.starts_with("cron add") || line.starts_with("cron create") {
            let jobs = self.local.ok("cron.list", &json!({})).await;
            assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1, "{line}");
            jobs["jobs"][0]["jobId"].as_str().unwrap().clone_into(&mut self.job);
            assert!(self.said.out.contains(&self.job), "the new job's id is printed: {}", self.said.out);
        }
    }

    async fn send(&mut self, method: &str) {
        let answer = self.local.ok(method, &self.request).await;
        if let ("cron.add", Some(id)) = (method, answer["jobId"].as_str()) {
            id.clone_into(&mut self.job);
        }
        self.notes = serde_json::from_value(answer["notes"].clone()).unwrap_or_default();
        self.answer = answer;
    }

    async fn stored(&self) -> Answer {
        self.local.call("cron.get", &json!({ "jobId": self.job })).await
    }

    async fn history(&self) -> usize {
        let runs = self.local.ok("cron.runs", &json!({ "jobId": self.job })).await;
        runs["runs"].as_array().unwrap().len()
    }

    /// The texts that wait for the main session.
    async fn queued(&self) -> Vec<String> {
        let ready = &self.local.stack.ready;
        let clock = Arc::new(ManualClock::new(self.local.stack.now()));
        let store = DynamoStore::new(dynamodb(&ready.dynamodb_url), "nightshift", clock);
        store.events("main").await.unwrap().into_iter().map(|event| event.text).collect()
    }

    /// What arrived anywhere: channel and message.
    fn arrived(&self) -> Vec<(String, Value)> {
        let chats = self.chats.arrived().into_iter().map(|message| (message.channel.to_owned(), message.body));
        let console = self.local.delivered().into_iter().map(|text| ("console".to_owned(), json!({ "text": text })));
        chats.chain(console).collect()
    }

    /// Bodies of what the model was asked, batches included.
    fn asked(&self) -> Vec<Value> {
        let requests = self.local.fake().requests();
        requests.into_iter().filter(|one| one["method"] == "POST").map(|one| one["body"].clone()).collect()
    }

    /// Carries out one line below an example. `what` says where it stands, for whoever reads a failure.
    async fn check(&mut self, word: &str, rest: &str) {
        let rest = rest.replace("<loopback>", &self.chats.url);
        let what = format!("{}\n  {word} {rest}", self.example);
        match word {
            // The job as it is stored says this.
            "stored" => {
                let job = self.stored().await;
                assert!(job.status == 200 && holds(&job.body, &parse(&rest)), "{what}\n{:#}", job.body);
            }
            // The job runs next at this instant.
            "next" => {
                let at: DateTime<Utc> = rest.parse().unwrap();
                let job = self.stored().await.body;
                assert_eq!(job["state"]["nextRunAtMs"], at.timestamp_millis(), "{what}");
                let timers = self.local.stack.scheduler.schedules();
                assert!(timers.iter().any(|timer| timer.name.contains(&self.job)), "{what}: it has no timer");
            }
            // The one remark says this; an example without the word has no remark.
            "notes" => {
                assert!(self.notes.len() == 1 && self.notes[0].contains(&rest), "{what}\n{:?}", self.notes);
                self.notes.clear();
            }
            "prints" => assert!(self.said.out.contains(&rest), "{what}\n{}", self.said.out),
            "says" => assert!(self.said.err.contains(&rest), "{what}\n{}", self.said.err),
            "lines" => assert_eq!(self.said.out.lines().count().to_string(), rest, "{what}\n{}", self.said.out),
            // The request is sent to this method.
            "to" => self.send(&rest).await,
            "answers" => assert!(holds(&self.answer, &parse(&rest)), "{what}\n{:#}", self.answer),
            // The clock goes on to the job's next run and a quarter of an hour further.
            "fires" => {
                let at = self.stored().await.body["state"]["nextRunAtMs"].as_i64().unwrap();
                let wait = at - self.local.stack.now().timestamp_millis();
                self.local.advance(wait.div_euclid(60_000) + 15).await;
            }
            "after" => self.local.advance(rest.parse().unwrap()).await,
            // Somebody runs the job by hand.
            "ran" => {
                self.local.ok("cron.run", &json!({ "jobId": self.job, "mode": "force" })).await;
                self.local.advance(10).await;
            }
            // The newest run says this.
            "run" => {
                self.local.stack.settle().await;
                let run = self.local.last_run(&self.job).await;
                assert!(holds(&run, &parse(&rest)), "{what}\n{run:#}");
            }
            "history" => assert_eq!(self.history().await.to_string(), rest, "{what}"),
            // The job is not there any more, nor is its timer.
            "gone" => {
                assert_eq!(self.stored().await.status, 404, "{what}");
                let timers = self.local.stack.scheduler.schedules();
                assert!(timers.iter().all(|timer| !timer.name.contains(&self.job)), "{what}\n{timers:#?}");
            }
            // These texts, and no others, wait for the main session.
            "queued" => assert_eq!(json!(self.queued().await), parse(&rest), "{what}"),
            // The main session was woken so often.
            "woken" => {
                let calls = tally(&self.local.stack.gate.calls(0));
                let woken = calls.get("lambda Invoke heartbeat").copied().unwrap_or(0);
                assert_eq!(woken.to_string(), rest, "{what}");
            }
            // One message arrived in all, on this channel, and says this.
            "sent" => {
                let (channel, message) = rest.split_once(' ').unwrap();
                let arrived = self.arrived();
                let [(to, body)] = arrived.as_slice() else { panic!("{what}\n{arrived:#?}") };
                assert!(to == channel && holds(body, &parse(message)), "{what}\n{arrived:#?}");
            }
            // The model was asked something with this in it; a text may stand anywhere. Or it was asked nothing.
            "asked" if rest == "nothing" => assert!(self.asked().is_empty(), "{what}\n{:#?}", self.asked()),
            "asked" => {
                let (asked, wanted) = (self.asked(), parse(&rest));
                let found = |body: &Value| match wanted.as_str() {
                    Some(text) => body.to_string().contains(text),
                    None => holds(body, &wanted),
                };
                assert!(asked.iter().any(found), "{what}\n{asked:#?}");
            }
            "batches" => assert_eq!(self.local.fake().batches().len().to_string(), rest, "{what}"),
            // The job is changed by hand.
            "changed" => {
                self.local.ok("cron.update", &json!({ "jobId": self.job, "patch": parse(&rest) })).await;
            }
            _ => panic!("{what}: there is no such word"),
        }
    }
}

fn word_of(line: &str) -> (&str, &str) {
    line.split_once(' ').unwrap_or((line, ""))
}

/// Runs the lines that speak of the time before, then the example, then what must be true.
async fn play(example: &Example, is_command: bool) {
    let mut scene = Scene::new(&example.line).await;
    let before = ["given", "earlier", "exits", "with", "patch"];
    let (before, after): (Vec<_>, Vec<_>) =
        example.then.iter().map(|line| word_of(line)).partition(|(word, _)| before.contains(word));
    assert!(!after.is_empty(), "{}: nothing must be true afterwards", example.line);
    scene.request =
        if is_command { Value::Null } else { parse(&example.line.replace("<future ISO>", &format!("{FUTURE}Z"))) };
    let patch = before.iter().any(|(word, _)| *word == "patch");
    let given = before.iter().find(|(word, _)| *word == "given").map(|(_, more)| parse(more));
    if given.is_some() || patch || ["<job-id>", "<jobId>", JOB].iter().any(|name| example.line.contains(name)) {
        scene.given(&given.unwrap_or(json!({}))).await;
    }
    for (word, rest) in before {
        match word {
            // The command ends with this code.
            "exits" => scene.exit = rest.parse().unwrap(),
            // The request is only a part, and this is the rest of it.
            "with" => lay(&mut scene.request, &parse(rest)),
            // Somebody ran the job by hand before.
            "earlier" => scene.check("ran", "").await,
            // The request is a patch of the job.
            "patch" => scene.request = json!({ "jobId": JOB, "patch": scene.request }),
            _ => {}
        }
    }
    if is_command {
        scene.command().await;
    }
    for (word, rest) in after {
        scene.check(word, rest).await;
    }
    assert!(scene.notes.is_empty(), "{}: {:?}", example.line, scene.notes);
}

/// Plays all of a file, a few at a time; every one that fails says so before the test does.
async fn play_all(text: &str, is_command: bool) -> usize {
    const AT_ONCE: usize = 4;
    let examples = examples(text);
    let (count, mut failed) = (examples.len(), 0);
    let mut waiting = examples.into_iter();
    let mut playing = tokio::task::JoinSet::new();
    loop {
        while playing.len() < AT_ONCE
            && let Some(example) = waiting.next()
        {
            playing.spawn(async move { play(&example, is_command).await });
        }
        let Some(played) = playing.join_next().await else { break };
        failed += usize::from(played.is_err());
    }
    assert_eq!(failed, 0, "so many of {count} examples failed");
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_command_line_does_what_it_says() {
    assert_eq!(play_all(include_str!("../data/commands.txt"), true).await, 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_json_does_what_it_says() {
    assert_eq!(play_all(include_str!("../data/requests.txt"), false).await, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batch_mode_is_another_word_for_an_enabled_batch() {
    let local = Local::start().await;
    let mut payloads = Vec::new();
    for batch in [json!({ "batchMode": true }), json!({ "batch": { "enabled": true } })] {
        let mut job = json!({ "schedule": { "kind": "cron", "expr": "0 7 * * *" },
            "payload": { "kind": "agentTurn", "message": "…" } });
        lay(&mut job["payload"], &batch);
        payloads.push(local.ok("cron.add", &job).await["payload"].clone());
    }
    assert_eq!(payloads[0], payloads[1]);
    assert_eq!(payloads[0]["batch"], json!({ "enabled": true }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_spellings_of_a_telegram_topic_reach_the_same_chat_and_topic() {
    let mut scene = Scene::new("").await;
    let spellings = ["-1001234567890:topic:123", "-1001234567890:123", "telegram:group:-1001234567890:topic:123"];
    for to in spellings {
        scene.example =
            format!(r#"cron add --name "{to}" --at 20m --message "Say it." --announce --channel telegram --to "{to}""#);
        let (ready, words) = (scene.local.stack.ready.clone(), words(&scene.example));
        let said = tokio::task::block_in_place(|| nightshift(&ready, &words));
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{to}: {said:#?}");
    }
    scene.local.advance(30).await;
    let arrived = scene.arrived();
    assert_eq!(arrived.len(), 3, "{arrived:#?}");
    for (channel, body) in &arrived {
        let same = json!({ "chat_id": "-1001234567890", "message_thread_id": 123, "text": "Done." });
        assert!(channel == "telegram" && holds(body, &same), "{body:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_may_be_left_out_where_the_payload_decides_it() {
    let mut checked = 0;
    for example in examples(include_str!("../data/commands.txt")) {
        let Some((before, rest)) = example.line.split_once(" --session ") else { continue };
        let (session, rest) = rest.split_once(' ').unwrap();
        let local = Local::start().await;
        let mut jobs = Vec::new();
        for line in [&example.line, &format!("{before} {rest}")] {
            let words = words(&line.replace("<future ISO>", FUTURE));
            let words: Vec<String> = words.into_iter().chain(["--json".to_owned()]).collect();
            let said = tokio::task::block_in_place(|| nightshift(&local.stack.ready, &words));
            let mut job: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{line}: {said:#?}"));
            assert_eq!(job["sessionTarget"], session, "{line}");
            job.as_object_mut().unwrap().remove("jobId");
            jobs.push(job);
        }
        assert_eq!(jobs[0], jobs[1], "{}", example.line);
        checked += 1;
    }
    assert_eq!(checked, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runs_of_a_job_are_listed_with_and_without_the_flag() {
    let scene = Scene::new("").await;
    for other in [json!({}), json!({ "jobId": "another" })] {
        scene.given(&other).await;
    }
    scene.local.ok("cron.run", &json!({ "jobId": JOB, "mode": "force" })).await;
    scene.local.ok("cron.run", &json!({ "jobId": "another", "mode": "force" })).await;
    scene.local.advance(5).await;
    let ready = scene.local.stack.ready.clone();
    let list = |words: &[&str]| tokio::task::block_in_place(|| nightshift(&ready, words));
    let (bare, flagged) = (list(&["cron", "runs", JOB, "--json"]), list(&["cron", "runs", "--id", JOB, "--json"]));
    assert_eq!((bare.code, &bare.out, &bare.err), (0, &flagged.out, &flagged.err));
    let runs = parse(&bare.out);
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "{runs:#}");
    assert_eq!(runs["runs"][0]["jobId"], JOB);
    assert_eq!(list(&["cron", "runs", JOB]).out, list(&["cron", "runs", "--id", JOB]).out);
}
