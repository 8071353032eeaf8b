use super::*;

#[tokio::test]
async fn get_answers_what_create_was_given_with_the_defaults_filled_in() {
    let world = World::at("2026-11-20T12:00:00.5Z");
    let answer = world.ok("POST", "/schedules/j.1_a-b", &schedule("rate(5 minutes)", "x")).await;
    let arn = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/j.1_a-b";
    assert_eq!(answer, json!({"ScheduleArn": arn}));
    let got = world.ok("GET", "/schedules/j.1_a-b?groupName=default", &Value::Null).await;
    let expected = json!({
        "Name": "j.1_a-b",
        "GroupName": "default",
        "ScheduleExpression": "rate(5 minutes)",
        "ScheduleExpressionTimezone": "UTC",
        "State": "ENABLED",
        "Target": {
            "Arn": "arn:aws:lambda:us-east-1:000000000000:function:trigger",
            "RoleArn": "arn:aws:iam::000000000000:role/scheduler",
            "Input": "\"x\"",
            "RetryPolicy": {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185},
        },
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "NONE",
        "Arn": arn,
        "CreationDate": 1_795_176_000.5,
        "LastModificationDate": 1_795_176_000.5,
    });
    assert_eq!(got, expected);
}

#[tokio::test]
async fn update_resets_what_it_does_not_name_and_keeps_the_creation_date() {
    let world = World::at("2026-11-20T12:00:00Z");
    let full = json!({
        "Description": "daily", "State": "DISABLED", "ScheduleExpressionTimezone": "Asia/Tokyo",
        "EndDate": 1_900_000_000.25, "KmsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k", "ActionAfterCompletion": "DELETE",
    });
    world.create("j", &with(schedule("cron(0 9 * * ? *)", "x"), &full)).await;
    let got = world.ok("GET", "/schedules/j", &Value::Null).await;
    assert_eq!(got["EndDate"], 1_900_000_000.25);
    assert_eq!(got["Description"], "daily");
    world.clock.advance(minutes(1));
    world.ok("PUT", "/schedules/j", &schedule("cron(0 9 * * ? *)", "x")).await;
    let got = world.ok("GET", "/schedules/j", &Value::Null).await;
    for member in ["Description", "EndDate", "KmsKeyArn"] {
        assert!(got.get(member).is_none(), "{member}");
    }
    assert_eq!((&got["State"], &got["ScheduleExpressionTimezone"]), (&json!("ENABLED"), &json!("UTC")));
    assert_eq!(got["LastModificationDate"].as_i64().unwrap() - got["CreationDate"].as_i64().unwrap(), 60);
}

#[tokio::test]
async fn errors_carry_the_service_s_name_status_and_message() {
    let world = World::at("2026-11-20T12:00:00Z");
    let body = schedule("rate(1 day)", "x");
    world.create("j", &body).await;
    let cases = [
        ("POST", "/schedules/j", body.clone(), 409, "ConflictException", "Schedule j already exists."),
        ("PUT", "/schedules/k", body.clone(), 404, "ResourceNotFoundException", "Schedule k does not exist."),
        ("GET", "/schedules/k", Value::Null, 404, "ResourceNotFoundException", "Schedule k does not exist."),
        (
            "DELETE",
            "/schedules/j?groupName=g",
            Value::Null,
            404,
            "ResourceNotFoundException",
            "Schedule j does not exist.",
        ),
        (
            "GET",
            "/schedules?ScheduleGroup=g",
            Value::Null,
            404,
            "ResourceNotFoundException",
            "Schedule group g does not exist.",
        ),
        (
            "DELETE",
            "/schedule-groups/g",
            Value::Null,
            404,
            "ResourceNotFoundException",
            "Schedule group g does not exist.",
        ),
        (
            "POST",
            "/schedule-groups/default",
            json!({}),
            409,
            "ConflictException",
            "Schedule group default already exists.",
        ),
        (
            "DELETE",
            "/schedule-groups/default",
            Value::Null,
            400,
            "ValidationException",
            "The default schedule group cannot be deleted.",
        ),
    ];
    for (method, path, body, status, error, message) in cases {
        let answer = world.call(method, path, &body).await;
        assert_eq!(answer, (status, error.to_owned(), json!({"Message": message})), "{method} {path}");
    }
    assert_eq!(world.call("PATCH", "/schedules/j", &Value::Null).await.1, "UnknownOperationException");
    assert_eq!(world.call("GET", "/nothing", &Value::Null).await.1, "UnknownOperationException");
}

#[tokio::test]
async fn a_repeated_token_gets_the_first_answer_and_a_reused_one_a_conflict() {
    let world = World::at("2026-11-20T12:00:00Z");
    let body = with(schedule("rate(1 day)", "x"), &json!({"ClientToken": "abc"}));
    let first = world.ok("POST", "/schedules/j", &body).await;
    assert_eq!(world.ok("POST", "/schedules/j", &body).await, first);
    let other = with(schedule("rate(2 days)", "x"), &json!({"ClientToken": "abc"}));
    assert_eq!(world.call("POST", "/schedules/j", &other).await.1, "ConflictException");
    assert_eq!(world.call("POST", "/schedules/j", &schedule("rate(1 day)", "x")).await.1, "ConflictException");
    // The same token is another one to another operation.
    world.ok("PUT", "/schedules/j", &other).await;
    world.ok("DELETE", "/schedules/j?clientToken=abc", &Value::Null).await;
    world.ok("DELETE", "/schedules/j?clientToken=abc", &Value::Null).await;
    let group = json!({"ClientToken": "abc", "Tags": [{"Key": "a", "Value": "b"}]});
    let first = world.ok("POST", "/schedule-groups/g", &group).await;
    assert_eq!(world.ok("POST", "/schedule-groups/g", &group).await, first);
}

#[tokio::test]
async fn listing_pages_through_everything_once() {
    let world = World::at("2026-11-20T12:00:00Z");
    world.ok("POST", "/schedule-groups/g", &json!({})).await;
    for number in 0..7 {
        let group = if number % 2 == 0 { "g" } else { "default" };
        let state = if number == 3 { "DISABLED" } else { "ENABLED" };
        let body = with(schedule("rate(1 day)", "x"), &json!({"GroupName": group, "State": state}));
        world.create(&format!("j-{number}"), &body).await;
    }
    let list = async |query: &str| -> Vec<String> {
        let (mut names, mut token) = (Vec::new(), String::new());
        loop {
            let page = world.ok("GET", &format!("/schedules?{query}{token}"), &Value::Null).await;
            names.extend(
                page["Schedules"].as_array().unwrap().iter().map(|item| item["Name"].as_str().unwrap().to_owned()),
            );
            match page["NextToken"].as_str() {
                Some(next) => token = format!("&NextToken={next}"),
                None => return names,
            }
        }
    };
    assert_eq!(list("MaxResults=2").await, ["j-1", "j-3", "j-5", "j-0", "j-2", "j-4", "j-6"]);
    assert_eq!(list("MaxResults=2&ScheduleGroup=g").await, ["j-0", "j-2", "j-4", "j-6"]);
    assert_eq!(list("State=DISABLED").await, ["j-3"]);
    assert_eq!(list("NamePrefix=j-5").await, ["j-5"]);
    assert!(list("NamePrefix=x").await.is_empty());
    let page = world.ok("GET", "/schedules?MaxResults=1", &Value::Null).await;
    let target = "arn:aws:lambda:us-east-1:000000000000:function:trigger";
    assert_eq!(page["Schedules"][0]["Target"], json!({"Arn": target}));
    for bad in ["MaxResults=0", "MaxResults=101", "MaxResults=x", "NextToken=zz", "State=ON", "NamePrefix=a%20b"] {
        assert_eq!(
            world.call("GET", &format!("/schedules?{bad}"), &Value::Null).await.1,
            "ValidationException",
            "{bad}"
        );
    }
}

#[tokio::test]
async fn a_group_lists_carries_tags_and_takes_its_schedules_with_it() {
    let world = World::at("2026-11-20T12:00:00Z");
    let made = world.ok("POST", "/schedule-groups/g", &json!({"Tags": [{"Key": "app", "Value": "x"}]})).await;
    let arn = made["ScheduleGroupArn"].as_str().unwrap();
    assert_eq!(arn, "arn:aws:scheduler:us-east-1:000000000000:schedule-group/g");
    let tags = format!("/tags/{}", arn.replace(':', "%3A").replace('/', "%2F"));
    world
        .ok(
            "POST",
            &tags,
            &json!({"Tags": [{"Key": "app", "Value": "y"}, {"Key": "b", "Value": "1"}, {"Key": "c", "Value": "2"}]}),
        )
        .await;
    world.ok("DELETE", &format!("{tags}?TagKeys=b&TagKeys=c"), &Value::Null).await;
    let listed = world.ok("GET", &tags, &Value::Null).await;
    assert_eq!(listed, json!({"Tags": [{"Key": "app", "Value": "y"}]}));
    let unescaped = world.ok("GET", &format!("/tags/{arn}"), &Value::Null).await;
    assert_eq!(unescaped, listed);
    let wrong = "/tags/arn%3Aaws%3Ascheduler%3Aus-east-1%3A000000000000%3Aschedule%2Fdefault%2Fj";
    assert_eq!(world.call("GET", wrong, &Value::Null).await.1, "ValidationException");
    let group = world.ok("GET", "/schedule-groups/g", &Value::Null).await;
    assert_eq!((&group["State"], &group["Name"]), (&json!("ACTIVE"), &json!("g")));
    let page = world.ok("GET", "/schedule-groups?MaxResults=1", &Value::Null).await;
    assert_eq!(page["ScheduleGroups"][0]["Name"], "default");
    let rest = format!("/schedule-groups?NextToken={}", page["NextToken"].as_str().unwrap());
    assert_eq!(world.ok("GET", &rest, &Value::Null).await["ScheduleGroups"][0]["Name"], "g");
    world.create("j", &with(schedule("rate(1 day)", "x"), &json!({"GroupName": "g"}))).await;
    world.create("j", &schedule("rate(1 day)", "x")).await;
    world.ok("DELETE", "/schedule-groups/g", &Value::Null).await;
    let left = world.scheduler.schedules();
    assert_eq!(left.iter().map(|view| view.group.as_str()).collect::<Vec<_>>(), ["default"]);
    assert_eq!(world.call("GET", "/schedule-groups/g", &Value::Null).await.0, 404);
}
