//! Failures that reach a person: what a month of good and bad days brings to a chat, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use nightshift_tests::chats::{Arrived, Chats};
use nightshift_tests::local::Local;
use serde_json::{Value, json};

/// A stack with chats, and this `cron` configuration besides.
async fn stage(cron: &Value) -> (Local, Chats) {
    let local = Local::start().await;
    let chats = Chats::serve().await;
    let mut cron = cron.clone();
    cron["webhookSsrfPolicy"] = json!({ "allowedHostnames": ["127.0.0.1"] });
    local.configure(&json!({ "cron": cron, "channels": chats.config(local.dir.path()) })).await;
    (local, chats)
}

/// A job that runs at seven and sends to a topic in Telegram.
fn report(more: &Value) -> Value {
    let mut job = json!({
        "name": "Report", "schedule": { "kind": "cron", "expr": "0 7 * * *", "tz": "UTC", "staggerMs": 0 },
        "payload": { "kind": "agentTurn", "message": "What is the secret question?" },
        "delivery": { "mode": "announce", "channel": "telegram", "to": "-1001234567890:topic:9" },
    });
    for (name, value) in more.as_object().unwrap() {
        job[name] = value.clone();
    }
    job
}

/// What the model does from now on.
fn model(local: &Local, word: &str) {
    let reply = match word {
        "auth" => json!({ "error": { "status": 401, "type": "authentication_error" } }),
        "refusal" => json!({ "text": "No.", "stopReason": "refusal" }),
        _ => json!({ "text": "All is well." }),
    };
    local.script(json!({ "replies": [reply] }));
}

fn texts(arrived: &[Arrived], channel: &str) -> Vec<String> {
    let of = arrived.iter().filter(|one| one.channel == channel);
    of.map(|one| one.body["text"].as_str().unwrap_or_default().to_owned()).collect()
}

/// What came to `channel` since `seen` messages were there.
fn news(chats: &Chats, seen: &mut usize, channel: &str) -> Vec<String> {
    let arrived = chats.arrived();
    let news = texts(&arrived[*seen..], channel);
    *seen = arrived.len();
    news
}

/// Where nothing is lost nothing is to be swept, 96 times a day.
async fn unswept(local: &Local) {
    if local.stack.scheduler.schedules().iter().any(|timer| timer.name == "sweep") {
        local.drop_timer("sweep").await;
    }
}

/// A day of a job that tells its failures to a Slack channel: after two in a row, at most every 47 hours, skips included.
struct Day(u32, &'static str, &'static [&'static str]);

/// What happens on the day, and the first line of what the channel is told.
///
/// `ok`; `auth` and `refusal`, of which the run fails; `late`, its timer is lost and it is skipped; `chat gone`, its answer
/// does not arrive; `by hand, auth`, its own run is well and one that somebody starts fails; `off`, it is switched off;
/// `on, ok`, somebody switches it on again.
const MONTH: [Day; 34] = [
    Day(1, "ok", &[]),
    // One failure between two successes is nobody's business.
    Day(2, "auth", &[]),
    Day(3, "ok", &[]),
    // Two in a row are; and while it goes on the cause is told once.
    Day(4, "auth", &[]),
    Day(5, "auth", &["Automation \"Report\" failed 2 times"]),
    Day(6, "auth", &[]),
    // Another cause is told, once the last alert is 47 hours old; the first one is not told again.
    Day(7, "refusal", &["Automation \"Report\" failed 4 times"]),
    Day(8, "refusal", &[]),
    Day(9, "auth", &[]),
    Day(10, "ok", &["Automation \"Report\" recovered"]),
    Day(11, "ok", &[]),
    // What did not run counts too, because the job says so.
    Day(12, "late", &[]),
    Day(13, "late", &["Automation \"Report\" was skipped 2 times"]),
    // Another incident within the cooldown waits for its end.
    Day(14, "ok", &["Automation \"Report\" recovered"]),
    Day(15, "late", &[]),
    Day(16, "auth", &[]),
    Day(17, "auth", &["Automation \"Report\" failed 2 times"]),
    Day(18, "ok", &["Automation \"Report\" recovered"]),
    // An answer that does not arrive is told at once, elsewhere, and is no failure of the run.
    Day(19, "chat gone", &["The answer of automation \"Report\" was not delivered"]),
    Day(20, "chat gone", &[]),
    Day(21, "ok", &["Automation \"Report\" recovered"]),
    // A run by hand counts among the failures in a row, and not among the ten.
    Day(22, "by hand, auth", &[]),
    Day(23, "auth", &["Automation \"Report\" failed 2 times"]),
    Day(24, "auth", &[]),
    Day(25, "auth", &[]),
    Day(26, "auth", &[]),
    Day(27, "auth", &[]),
    Day(28, "auth", &[]),
    Day(29, "auth", &[]),
    Day(30, "auth", &[]),
    Day(31, "auth", &[]),
    Day(32, "auth", &["⚠️ Automation \"Report\" was auto-disabled after 10 consecutive run failures."]),
    Day(33, "off", &[]),
    // Whoever switches it on begins anew, and needs no telling that it is well.
    Day(34, "on, ok", &[]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_of_successes_failures_skips_and_recoveries_brings_exactly_these_alerts() {
    let (local, chats) = stage(&json!({})).await;
    let rule =
        json!({ "channel": "slack", "to": "channel:C0ALERTS01", "cooldownMs": 47 * 3_600_000, "includeSkipped": true });
    let id = local.add(&report(&json!({ "failureAlert": rule, "maxLatenessMs": 300_000 }))).await;
    unswept(&local).await;
    let (mut seen, mut answers) = (0, 0);
    for Day(day, word, wanted) in MONTH {
        model(&local, word);
        chats.set_gone(word == "chat gone");
        match word {
            "late" => local.drop_timer(&format!("j-{id}")).await,
            "on, ok" => drop(local.ok("cron.update", &json!({ "jobId": id, "patch": { "enabled": true } })).await),
            _ => {}
        }
        local.advance(12 * 60).await;
        if word == "late" {
            local.invoke("poll", &json!({ "v": 1, "k": "sweep" })).await;
            unswept(&local).await;
        }
        if word == "by hand, auth" {
            model(&local, "auth");
            local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
        }
        local.advance(12 * 60).await;
        let last = local.last_run(&id).await;
        let runs = match word {
            "ok" | "on, ok" | "chat gone" => "ok",
            "late" => "skipped",
            _ => "error",
        };
        assert_eq!(last["status"], runs, "day {day}, {word}: {last:#}");
        answers += usize::from(matches!(word, "ok" | "on, ok" | "by hand, auth"));
        let told = news(&chats, &mut seen, "slack");
        let first: Vec<&str> = told.iter().filter_map(|text| text.lines().next()).collect();
        assert_eq!(first, wanted, "day {day}, {word}: {told:?}");
    }
    let job = local.ok("cron.get", &json!({ "jobId": id })).await;
    assert_eq!((&job["enabled"], &job["state"]["autoDisabled"]), (&json!(true), &Value::Null));
    let arrived = chats.arrived();
    let failed = &texts(&arrived, "slack")[0];
    let lines: Vec<&str> = failed.lines().collect();
    assert!(lines[1].starts_with("Cause: ") && lines[1].contains("authentication_error"), "{failed}");
    assert_eq!(lines[2..], ["Run started: 2026-11-24 07:00 UTC"]);
    // Of all that was said to the model nothing is told, and every answer arrived once.
    assert!(
        texts(&arrived, "slack").iter().all(|text| !text.contains("secret question") && !text.contains("All is well"))
    );
    assert_eq!(texts(&arrived, "telegram").len(), answers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_word_about_alerts_they_go_where_the_answers_go_after_two_failures() {
    let (local, chats) = stage(&json!({})).await;
    let mut hourly = report(&json!({}));
    hourly["schedule"]["expr"] = json!("0 * * * *");
    let id = local.add(&hourly).await;
    let mut silent = hourly.clone();
    silent["failureAlert"] = json!(false);
    let quiet = local.add(&silent).await;
    model(&local, "auth");
    local.advance(4 * 60 + 30).await;
    model(&local, "ok");
    local.advance(60).await;
    let arrived = chats.arrived();
    let told = texts(&arrived, "telegram");
    let told: Vec<&str> = told.iter().map(|text| text.lines().next().unwrap()).collect();
    // Both jobs answer in the end; one of them said before that it would, and one never says more than its answers.
    let alerts = ["Automation &quot;Report&quot; failed 2 times", "Automation &quot;Report&quot; recovered"];
    let plain = |text: &str| text.replace("&quot;", "\"");
    let mut wanted: Vec<String> = alerts.iter().map(|text| plain(text)).collect();
    wanted.extend(["All is well.".to_owned(), "All is well.".to_owned()]);
    let mut told: Vec<String> = told.into_iter().map(plain).collect();
    told.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(told, wanted);
    assert!(arrived.iter().all(|one| one.body["message_thread_id"] == 9), "in its topic: {arrived:?}");
    let state = |job: &Value| job["state"]["lastFailureNotificationDelivered"].clone();
    assert_eq!(state(&local.ok("cron.get", &json!({ "jobId": id })).await), true);
    assert_eq!(state(&local.ok("cron.get", &json!({ "jobId": quiet })).await), Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_to_an_address_is_an_event_with_its_facts_and_a_key_of_its_own() {
    let (local, chats) = stage(&json!({})).await;
    let hook = format!("{}/hook", chats.url);
    let at = json!({ "kind": "at", "at": "2026-11-20T07:00:00Z" });
    let rule = json!({ "mode": "webhook", "to": hook });
    let id = local.add(&report(&json!({ "schedule": at, "failureAlert": rule }))).await;
    model(&local, "refusal");
    local.advance(70).await;
    let arrived = chats.arrived();
    let [one] = arrived.as_slice() else { panic!("{arrived:#?}") };
    let run = format!("{id}_20261120T070000Z");
    assert_eq!(one.key.as_deref(), Some(format!("{run}-alert-failed-0").as_str()));
    let event = &one.body;
    assert_eq!(
        (&event["action"], &event["alert"], &event["status"]),
        (&json!("alert"), &json!("failed"), &json!("error"))
    );
    assert_eq!((&event["runId"], &event["jobId"], &event["jobName"]), (&json!(run), &json!(id), &json!("Report")));
    assert_eq!((&event["error"]["code"], &event["count"]), (&json!("refusal"), &json!(1)));
    let text = format!(
        "Automation \"Report\" failed\nCause: the model refused\nRun started: 2026-11-20 07:00 UTC\n\
         It has no other run to come. To run it now: nightshift cron run {id}"
    );
    assert_eq!(event["text"], text, "a reminder that fails has nobody else to say so");
    let job = local.ok("cron.get", &json!({ "jobId": id })).await;
    assert_eq!(
        (&job["enabled"], &job["state"]["lastFailureNotificationDeliveryStatus"]),
        (&json!(false), &json!("delivered"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_are_refused_in_a_row_are_told_of_once() {
    let place = json!({ "enabled": true, "channel": "slack", "to": "channel:C0ALERTS01" });
    let (local, chats) = stage(&json!({ "failureAlert": place, "batch": { "unexpectedFallbackAlertAfter": 2 } })).await;
    let refused = json!({ "on": "create", "do": "status", "status": 400, "times": 3 });
    local.script(json!({ "replies": [{ "text": "All is well." }], "faults": [refused] }));
    let mut job = report(&json!({}));
    job["schedule"]["expr"] = json!("0 7,8,9,10 * * *");
    job["payload"]["batch"] = json!({ "enabled": true });
    let id = local.add(&job).await;
    local.advance(5 * 60).await;
    let last = local.last_run(&id).await;
    assert_eq!((&last["status"], &last["path"]), (&json!("ok"), &json!("batch")), "{last:#}");
    let told = texts(&chats.arrived(), "slack");
    let [one] = told.as_slice() else { panic!("{told:#?}") };
    let lines: Vec<&str> = one.lines().collect();
    let wanted = [
        "Automation \"Report\" runs without the batch discount",
        "Cause: its batches were refused 2 times in a row, and its runs went in realtime",
        "Run started: 2026-11-20 08:00 UTC",
    ];
    assert_eq!(lines, wanted);
}
