//! The configuration on the command line.

use nightshift_wire::ExitCode;
use serde_json::{Value, json};

use super::refusal;
use super::server::{Answer, run};

fn stored(config: &Value) -> Answer {
    Answer::Json(200, json!({"revision": 7, "config": config}))
}

fn applied(changes: &Value) -> Vec<Answer> {
    vec![Answer::Json(200, json!({"ok": true, "revision": 8, "jobsMoved": 0, "changes": changes}))]
}

#[tokio::test]
async fn one_field_is_printed_so_that_a_script_can_use_it() {
    let config = json!({"cron": {"timezone": "Europe/Vienna", "maxConcurrentRuns": 4}, "models": {"aliases": {"gpt-4.1": "x/y"}}});
    let cases = [
        (&["cron.timezone"][..], "Europe/Vienna\n", "revision 7\n"),
        (&["cron.timezone", "--json"], "\"Europe/Vienna\"\n", ""),
        (&["cron.maxConcurrentRuns"], "4\n", "revision 7\n"),
        (&["models.aliases.\"gpt-4.1\""], "x/y\n", "revision 7\n"),
    ];
    for (words, out, err) in cases {
        let ran = run(&[&["config", "get"], words].concat(), vec![stored(&config)]).await;
        assert_eq!((ran.exit, ran.out.as_str(), ran.err.as_str()), (ExitCode::Ok, out, err), "{words:?}");
        assert_eq!(ran.requests[0].path, "/v1/config.get");
    }
    let ran = run(&["config", "get", "cron.timezon"], vec![stored(&config)]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (ExitCode::NotFound, ""));
    assert!(ran.err.starts_with("error: cron.timezon is not set\nhint: did you mean \"timezone\"?"), "{}", ran.err);
    let ran = run(&["config", "get", "cron.enabled"], vec![stored(&config)]).await;
    assert_eq!((ran.exit, ran.err.as_str()), (ExitCode::NotFound, "error: cron.enabled is not set\n"));
    let ran = run(&["config", "get", "cron."], vec![]).await;
    assert_eq!((ran.exit, ran.requests.len()), (ExitCode::Usage, 0));
}

#[tokio::test]
async fn a_field_is_set_or_taken_away_and_the_change_is_shown() {
    let ran = run(
        &["config", "set", "cron.timezone", "Europe/Vienna", "--expected-revision", "7"],
        applied(&json!([{"path": "cron.timezone", "new": "Europe/Vienna"}])),
    )
    .await;
    assert_eq!(ran.requests[0].path, "/v1/config.set");
    assert_eq!(ran.requests[0].body, json!({"path": "cron.timezone", "value": "Europe/Vienna", "expectedRevision": 7}));
    assert_eq!(ran.out, "cron.timezone: (not set) → \"Europe/Vienna\"\nrevision 8\n");
    assert_eq!((ran.exit, ran.err.as_str()), (ExitCode::Ok, ""));

    let ran = run(
        &["config", "set", "providers.anthropic.apiKey", "ssm:/new"],
        applied(&json!([{"path": "providers.anthropic.apiKey", "old": "ssm:/old", "new": "ssm:/new"}])),
    )
    .await;
    assert!(ran.out.starts_with("providers.anthropic.apiKey: \"ssm:/old\" → \"ssm:/new\"\n"), "{}", ran.out);

    let ran =
        run(&["config", "set", "cron.maxConcurrentRuns", "-1"], vec![Answer::Json(400, refusal("x", &json!({})))])
            .await;
    assert_eq!((ran.exit, &ran.requests[0].body["value"]), (ExitCode::Refused, &json!(-1)));
    let ran = run(&["config", "set", "cron.enabled", "fals", "--json-value"], vec![]).await;
    assert_eq!((ran.exit, ran.requests.len()), (ExitCode::Usage, 0), "{}", ran.err);

    let ran = run(&["config", "unset", "cron.timezone"], applied(&json!([]))).await;
    assert_eq!(
        (ran.requests[0].path.as_str(), &ran.requests[0].body),
        ("/v1/config.unset", &json!({"path": "cron.timezone"}))
    );
    assert_eq!(
        (ran.out.as_str(), ran.err.as_str()),
        ("revision 8\n", "note: nothing changed: cron.timezone was not set\n")
    );
    let ran = run(&["config", "unset", "cron.timezone", "--json"], applied(&json!([]))).await;
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["revision"], 8);
}

#[tokio::test]
async fn a_file_is_judged_by_the_servers_rules_and_every_bad_field_is_told_with_its_hint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    std::fs::write(&path, r#"{"cron": {}}"#).unwrap();
    let file = path.to_str().unwrap();
    let good = || vec![Answer::Json(200, json!({"ok": true, "faults": [], "notes": ["cron.store is not used"]}))];
    let ran = run(&["config", "validate", file], good()).await;
    assert_eq!(
        (ran.requests[0].path.as_str(), &ran.requests[0].body),
        ("/v1/config.validate", &json!({"config": {"cron": {}}}))
    );
    assert_eq!((ran.exit, ran.out.as_str()), (ExitCode::Ok, "the document is good\n"));
    assert_eq!(ran.err, "note: cron.store is not used\n");
    let ran =
        run(&["config", "validate"], [vec![stored(&json!({"api": {}}))], good()].into_iter().flatten().collect()).await;
    assert_eq!(ran.requests[1].body, json!({"config": {"api": {}}}), "what is stored");

    let fault = |field: &str, hint: &str| json!({"code": "c", "field": field, "message": "it is wrong", "hint": hint});
    let faults = json!([fault("config.a", "one"), fault("config.b", "two"), fault("config.c", "two")]);
    let answer = json!({"ok": false, "faults": faults});
    let ran = run(&["config", "validate", file], vec![Answer::Json(200, answer.clone())]).await;
    let told = "error: config.a: it is wrong\nhint: one\nerror: config.b: it is wrong\nerror: config.c: it is wrong\nhint: two\n";
    assert_eq!((ran.exit, ran.out.as_str(), ran.err.as_str()), (ExitCode::Refused, "", told));
    let ran = run(&["config", "validate", file, "--json"], vec![Answer::Json(200, answer.clone())]).await;
    assert_eq!((ran.exit, serde_json::from_str::<Value>(&ran.out).unwrap()), (ExitCode::Refused, answer));
    let refused = refusal("c", &json!({"field": "config.a", "hint": "one", "fields": faults}));
    let ran = run(&["config", "apply", file, "--expected-revision", "1"], vec![Answer::Json(400, refused)]).await;
    assert_eq!((ran.exit, ran.err.as_str()), (ExitCode::Refused, told), "apply tells the same");
    std::fs::write(&path, "{").unwrap();
    assert_eq!(run(&["config", "validate", file], vec![]).await.exit, ExitCode::Usage);
}
