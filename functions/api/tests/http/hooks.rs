//! Inbound hooks: who may knock, and what comes of it.

use nightshift_domain::run::{Run, Text};

use super::*;

pub(super) const TOKEN: [(&str, &str); 1] = [("authorization", "Bearer knock knock")];

/// An API whose hooks are configured as `hooks` says, beside an agent with a route.
pub(super) async fn with(hooks: &Value) -> Api {
    let api = api();
    let route = json!({ "channel": "telegram", "to": "42" });
    let entries = json!({ "main": { "defaultRoute": route }, "ops": {} });
    let config = json!({ "hooks": hooks, "agents": { "entries": entries } });
    assert_eq!(api.deps.store.put_config(&config, 0).await.unwrap(), Outcome::Applied);
    api
}

pub(super) fn on() -> Value {
    let gmail = json!({ "agentId": "ops", "name": "Mail", "model": "haiku", "thinking": "low", "deliver": false });
    json!({ "enabled": true, "token": "ssm:hook-token", "named": { "gmail": gmail } })
}

pub(super) async fn knock(api: &Api, name: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    api.send("POST", &format!("/hooks/{name}"), headers, body.to_string()).await
}

async fn run_of(api: &Api, answer: &Answer) -> Run {
    assert_eq!((answer.status, &answer.body["ok"]), (200, &json!(true)), "{}", answer.body);
    let key = RunKey::parse(answer.body["runId"].as_str().unwrap()).unwrap();
    api.deps.store.run(&key).await.unwrap().unwrap()
}

fn prompt(run: &Run) -> &str {
    let Text::Inline(prompt) = &run.prompt else { panic!("{:?}", run.prompt) };
    prompt
}

#[tokio::test]
async fn nobody_learns_of_hooks_that_are_off_and_nobody_passes_without_their_own_token() {
    let body = json!({ "text": "hello" });
    let off = with(&json!({ "enabled": false, "token": "ssm:hook-token" })).await;
    refused(&knock(&off, "wake", &TOKEN, &body).await, 404, "unknown_path", None);
    let api = with(&on()).await;
    for headers in [&[][..], &[("authorization", "Bearer ")], &[("authorization", "Basic knock knock")]] {
        refused(&knock(&api, "wake", headers, &body).await, 401, "unauthorized", None);
    }
    // Neither another secret, nor the API's, nor one in the address.
    for headers in
        [[("authorization", "Bearer knock")], [("authorization", "Bearer secret")], [("x-openclaw-token", "x")]]
    {
        refused(&knock(&api, "wake", &headers, &body).await, 401, "unauthorized", None);
    }
    let asked = api.send("POST", "/hooks/wake?token=knock%20knock", &[], body.to_string()).await;
    refused(&asked, 401, "unauthorized", None);
    refused(&knock(&api, "nothing", &[], &body).await, 401, "unauthorized", None);
    refused(&knock(&api, "nothing", &TOKEN, &body).await, 404, "unknown_hook", None);
    refused(&api.send("GET", "/hooks/wake", &TOKEN, String::new()).await, 405, "method_not_allowed", None);
    assert!(api.deps.store.events("main").await.unwrap().is_empty());
    assert_eq!(knock(&api, "wake", &[("x-openclaw-token", "knock knock")], &body).await.status, 200);
    assert_eq!(knock(&api, "wake", &TOKEN, &body).await.status, 200);
    assert_eq!(api.deps.store.events("main").await.unwrap().len(), 2);
    let lost = with(&json!({ "enabled": true, "token": "ssm:elsewhere" })).await;
    refused(&knock(&lost, "wake", &TOKEN, &body).await, 503, "unavailable", None);
}

#[tokio::test]
async fn a_text_waits_or_wakes_the_session() {
    let api = with(&on()).await;
    let queued = knock(&api, "wake", &TOKEN, &json!({ "text": "The door is open.", "mode": "now" })).await;
    assert_eq!(queued.status, 200, "{}", queued.body);
    let calls = api.outside.calls.lock().unwrap().clone();
    assert_eq!(calls, ["put j-hb-main", "invoke heartbeat"]);
    // Left out, and `null`, which is the same, it is looked at now.
    for body in [json!({ "text": "It is shut." }), json!({ "text": "It is locked.", "mode": null })] {
        assert_eq!(knock(&api, "wake", &TOKEN, &body).await.status, 200);
        assert_eq!(api.outside.calls.lock().unwrap().last().unwrap(), "invoke heartbeat", "{body}");
        api.outside.calls.lock().unwrap().clear();
    }
    refused(&knock(&api, "wake", &TOKEN, &json!({ "text": " " })).await, 400, "missing_field", Some("text"));
}

#[tokio::test]
async fn a_turn_is_begun_once_for_a_key_as_the_request_says() {
    let api = with(&on()).await;
    let body = json!({ "message": "Summarize.", "name": "Digest", "model": "opus", "thinking": "high", "timeoutSeconds": 60,
        "channel": "slack", "to": "channel:C1", "batch": true });
    let keyed = [TOKEN[0], ("idempotency-key", "k1")];
    let first = knock(&api, "agent", &keyed, &body).await;
    let again = knock(&api, "agent", &keyed, &body).await;
    assert_eq!((first.body.clone(), again.replayed), (again.body.clone(), true));
    refused(&knock(&api, "agent", &keyed, &json!({ "message": "Other." })).await, 409, "idempotency_key_reused", None);
    let run = run_of(&api, &first).await;
    assert_eq!(
        (run.job_id.as_str(), run.job_name.as_str(), prompt(&run)),
        ("hk-main", "Digest", "[hook Digest] Summarize.")
    );
    assert_eq!((run.turn.model.as_deref(), run.turn.timeout_seconds), (Some("opus"), Some(60)));
    assert!(run.turn.batch.as_ref().is_some_and(|batch| batch.enabled));
    let delivery = run.delivery.unwrap();
    assert_eq!((delivery.channel.as_deref(), delivery.to.as_deref()), (Some("slack"), Some("channel:C1")));
    assert_eq!(api.outside.calls.lock().unwrap().last().unwrap(), "invoke trigger");
    // The next one is a run of the same job.
    let next = run_of(&api, &knock(&api, "agent", &TOKEN, &json!({ "message": "And now?" })).await).await;
    assert_eq!((next.job_id.as_str(), prompt(&next)), ("hk-main", "[hook hook] And now?"));
    let job = api.call("cron.get", &json!({ "jobId": "hk-main" })).await;
    assert_eq!((&job.body["name"], &job.body["enabled"]), (&json!("Hooks of main"), &json!(false)));
}

#[tokio::test]
async fn every_bad_field_is_named_as_it_was_sent() {
    let api = with(&on()).await;
    let bad = json!({ "message": " ", "thinking": "hard", "colour": "blue", "timeoutSeconds": -1 });
    let answer = knock(&api, "agent", &TOKEN, &bad).await;
    assert_eq!(answer.status, 400);
    let said = answer.body.to_string();
    for field in ["\"message\"", "\"thinking\"", "\"colour\"", "\"timeoutSeconds\""] {
        assert!(said.contains(field), "{field} is not in {said}");
    }
    assert!(!said.contains("payload."), "{said}");
    refused(&knock(&api, "agent", &TOKEN, &json!([1])).await, 400, "invalid_request", Some("body"));
    assert_eq!(api.call("cron.get", &json!({ "jobId": "hk-main" })).await.status, 404, "nothing was changed");
}

#[tokio::test]
async fn a_named_hook_fills_in_what_is_left_out_and_hands_on_what_has_no_message() {
    let api = with(&on()).await;
    let run =
        run_of(&api, &knock(&api, "gmail", &TOKEN, &json!({ "message": "New mail.", "thinking": "max" })).await).await;
    assert_eq!((run.job_id.as_str(), prompt(&run)), ("hk-ops", "[hook Mail] New mail."));
    assert_eq!(run.turn.model.as_deref(), Some("haiku"));
    assert_eq!(run.turn.thinking, nightshift_domain::job::Thinking::parse("max"));
    assert_eq!(run.delivery.unwrap().mode, nightshift_domain::job::DeliveryMode::None);
    let sent = json!({ "emailAddress": "a@b.example", "historyId": 7 });
    let run = run_of(&api, &knock(&api, "gmail", &TOKEN, &sent).await).await;
    assert!(
        prompt(&run).contains("is data from elsewhere") && prompt(&run).contains("\"historyId\": 7"),
        "{}",
        prompt(&run)
    );
}
