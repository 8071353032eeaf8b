use super::*;

async fn refused(name: &str, body: &Value) -> String {
    let world = World::at("2026-11-20T12:00:00Z");
    let (status, error, answer) = world.call("POST", &format!("/schedules/{name}"), body).await;
    assert_eq!((status, error.as_str()), (400, "ValidationException"), "{answer}");
    assert!(world.names().is_empty());
    answer["Message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_rule_of_the_service_has_a_request_that_breaks_it() {
    let good = schedule("rate(1 day)", "x");
    let set = |members: Value| with(good.clone(), &members);
    let target = |member: &str, value: Value| {
        let mut body = good.clone();
        body["Target"][member] = value;
        body
    };
    let table = [
        (set(json!({"ScheduleExpression": "cron(0 1 * * * *)"})), "Invalid Schedule Expression cron(0 1 * * * *)."),
        (
            set(json!({"ScheduleExpression": "at(2026-12-01T00:00:00Z)"})),
            "Invalid Schedule Expression at(2026-12-01T00:00:00Z).",
        ),
        (set(json!({"ScheduleExpression": "x".repeat(257)})), "length less than or equal to 256"),
        (
            set(json!({"ScheduleExpression": null})),
            "Value at 'scheduleExpression' failed to satisfy constraint: Member must not be null",
        ),
        (
            set(json!({"ScheduleExpressionTimezone": "Mars/Olympus"})),
            "Invalid Schedule Expression Timezone Mars/Olympus.",
        ),
        (
            set(json!({"FlexibleTimeWindow": null})),
            "Value at 'flexibleTimeWindow' failed to satisfy constraint: Member must not be null",
        ),
        (
            set(json!({"FlexibleTimeWindow": {}})),
            "'flexibleTimeWindow.mode' failed to satisfy constraint: Member must not be null",
        ),
        (set(json!({"FlexibleTimeWindow": {"Mode": "ON"}})), "enum value set: [OFF, FLEXIBLE]"),
        (set(json!({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}})), "MaximumWindowInMinutes must be provided"),
        (set(json!({"FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 5}})), "must not be provided"),
        (
            set(json!({"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 0}})),
            "greater than or equal to 1",
        ),
        (
            set(json!({"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1441}})),
            "less than or equal to 1440",
        ),
        (
            set(json!({"State": "ON"})),
            "Value 'ON' at 'state' failed to satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED]",
        ),
        (set(json!({"ActionAfterCompletion": "STOP"})), "enum value set: [NONE, DELETE]"),
        (set(json!({"ActionAfterCompletion": "DELETE"})), "EndDate"),
        (
            set(json!({"StartDate": 1_795_176_000 - 301})),
            "The StartDate you specify cannot be earlier than 5 minutes ago.",
        ),
        (set(json!({"StartDate": 1_800_000_000, "EndDate": 1_800_000_000})), "must come before the EndDate"),
        (set(json!({"Description": "d".repeat(513)})), "less than or equal to 512"),
        (
            set(json!({"GroupName": "a b"})),
            "Value 'a b' at 'groupName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[0-9a-zA-Z-_.]+$",
        ),
        (set(json!({"ClientToken": "a.b"})), "'clientToken'"),
        (set(json!({"Target": null})), "Value at 'target' failed to satisfy constraint: Member must not be null"),
        (target("Arn", json!("")), "'target.arn' failed to satisfy constraint: Member must not be null"),
        (target("RoleArn", json!("")), "'target.roleArn' failed to satisfy constraint: Member must not be null"),
        (target("Arn", json!("trigger")), "Provided Arn is not in correct format."),
        (target("RoleArn", json!("arn:aws:iam::1:role/x")), "'target.roleArn'"),
        (target("Input", json!("{not json")), "JSON"),
        (target("Input", json!("")), "greater than or equal to 1"),
        (target("Input", json!(json!("x".repeat(256 * 1024)).to_string())), "256 KB"),
        (target("RetryPolicy", json!({"MaximumRetryAttempts": 186})), "less than or equal to 185"),
        (target("RetryPolicy", json!({"MaximumRetryAttempts": -1})), "greater than or equal to 0"),
        (target("RetryPolicy", json!({"MaximumEventAgeInSeconds": 59})), "greater than or equal to 60"),
        (target("RetryPolicy", json!({"MaximumEventAgeInSeconds": 86_401})), "less than or equal to 86400"),
        (
            target("DeadLetterConfig", json!({"Arn": "arn:aws:sqs:us-east-1:000000000000:q.fifo"})),
            "standard Amazon SQS queue",
        ),
    ];
    for (body, expected) in table {
        let message = refused("j", &body).await;
        assert!(message.contains(expected), "{message:?} does not say {expected:?}");
    }
    assert!(refused("a%20b", &good).await.contains("Value 'a b' at 'name'"));
    assert!(refused(&"n".repeat(65), &good).await.contains("less than or equal to 64"));
}

#[tokio::test]
async fn several_violations_are_reported_together() {
    let body = with(schedule("rate(1 day)", "x"), &json!({"State": "ON", "Target": null}));
    assert!(refused("j", &body).await.starts_with("2 validation errors detected: Value 'ON' at 'state'"));
}

#[tokio::test]
async fn a_group_that_does_not_exist_and_a_body_that_is_no_request_are_other_errors() {
    let world = World::at("2026-11-20T12:00:00Z");
    let body = with(schedule("rate(1 day)", "x"), &json!({"GroupName": "g"}));
    let (status, error, answer) = world.call("POST", "/schedules/j", &body).await;
    assert_eq!((status, error.as_str()), (404, "ResourceNotFoundException"));
    assert_eq!(answer["Message"], "Schedule group g does not exist.");
    let body = with(schedule("rate(1 day)", "x"), &json!({"State": 7}));
    assert_eq!(world.call("POST", "/schedules/j", &body).await.1, "SerializationException");
}

#[tokio::test]
async fn only_a_lambda_target_s_input_must_be_json() {
    let world = World::at("2026-11-20T12:00:00Z");
    let mut body = schedule("rate(1 day)", "x");
    body["Target"]["Arn"] = "arn:aws:scheduler:::aws-sdk:sqs:sendMessage".into();
    body["Target"]["Input"] = "plain text".into();
    body["Target"]["SqsParameters"] = json!({"MessageGroupId": "m"});
    world.create("j", &body).await;
    let got = world.ok("GET", "/schedules/j", &Value::Null).await;
    assert_eq!(got["Target"]["SqsParameters"], json!({"MessageGroupId": "m"}));
}
