//! The command line against AWS on loopback: what is asked of it, signed how, and what is made of the answers.

use nightshift_wire::ExitCode;
use serde_json::{Value, json};

use super::refusal;
use super::server::{AWS_KEY, AWS_REGION, AWS_SECRET, Answer, Request, run, run_on_aws};
use super::signature::{self, Parts};

/// Whether a request carries the signature that belongs to it, over body and idempotency key.
fn is_signed(request: &Request, service: &str) -> bool {
    let given = request.header("authorization").unwrap();
    let names = given.split("SignedHeaders=").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    let headers: Vec<(&str, &str)> =
        names.split(';').map(|name| (name, request.header(name).unwrap_or_default())).collect();
    let parts = Parts {
        method: request.method(),
        path: &request.path,
        headers: &headers,
        body: &request.text,
        region: AWS_REGION,
        service,
        key: AWS_KEY,
        secret: AWS_SECRET,
    };
    given == signature::authorization(&parts)
}

fn status() -> Value {
    json!({"enabled": true, "jobs": 2, "enabledJobs": 1, "runningTurns": 0, "nextWakeAtMs": null, "configRevision": 3,
        "counters": {}, "nowMs": 0})
}

fn address(url: &str, auth: &str) -> Answer {
    Answer::Json(
        200,
        json!({"FunctionUrl": url, "AuthType": auth, "CreationTime": "2026-11-20T12:00:00Z", "InvokeMode": "BUFFERED",
            "FunctionArn": "arn:aws:lambda:eu-central-1:111122223333:function:night-api"}),
    )
}

fn missing() -> Answer {
    Answer::Json(404, json!({"__type": "ResourceNotFoundException", "Message": "it is not there"}))
}

#[tokio::test]
async fn a_signed_call_covers_body_and_key_and_a_repeat_is_signed_anew() {
    let line = ["cron", "get", "job-1", "--url", "{url}", "--iam"];
    let ran = run_on_aws(&line, |_| vec![Answer::Hangup, Answer::Json(404, refusal("not_found", &json!({})))]).await;
    assert_eq!((ran.exit, ran.requests.len()), (ExitCode::NotFound, 2), "{}", ran.err);
    for request in &ran.requests {
        assert!(is_signed(request, "lambda"), "{:?}", request.header("authorization"));
        for name in ["content-type", "host", "idempotency-key", "x-amz-date", "x-amz-security-token"] {
            assert!(request.header("authorization").unwrap().contains(name), "{name} is not signed");
        }
    }
    let keys: Vec<_> = ran.requests.iter().map(|request| request.header("idempotency-key").unwrap()).collect();
    assert_eq!(keys[0], keys[1]);
    let mut forged = ran.requests[0].clone();
    forged.text = forged.text.replace("job-1", "job-2");
    assert!(!is_signed(&forged, "lambda"), "the body is not covered");
}

#[tokio::test]
async fn a_stack_is_found_by_its_name_and_its_address_called_with_a_signature() {
    let line = ["cron", "status", "--stack", "night"];
    let ran = run_on_aws(&line, |url| vec![address(url, "AWS_IAM"), Answer::Json(200, status())]).await;
    assert_eq!(ran.exit, ExitCode::Ok, "{}", ran.err);
    assert_eq!(ran.requests[0].path, "/2021-10-31/functions/night-api/url");
    assert_eq!(ran.requests[1].path, "/v1/cron.status");
    assert!(is_signed(&ran.requests[1], "lambda"));
    let ran = run_on_aws(&line, |_| vec![missing()]).await;
    let told = "error: there is no stack night with an address in eu-central-1\nhint: check --stack, --region and AWS_PROFILE\n";
    assert_eq!((ran.exit, ran.err.as_str()), (ExitCode::Unreachable, told));
    let denied =
        json!({"__type": "AccessDeniedException", "Message": "not authorized to perform: lambda:GetFunctionUrlConfig"});
    let ran = run_on_aws(&line, |_| vec![Answer::Json(403, denied)]).await;
    assert_eq!(ran.exit, ExitCode::Unauthorized);
    assert!(
        ran.err.contains("AWS did not show the address of night-api: AccessDeniedException: not auth"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn the_clock_of_the_api_is_asked_with_a_signature_too() {
    let line = ["cron", "edit", "job-1", "--at", "20m", "--url", "{url}", "--iam"];
    let ran = run_on_aws(&line, |_| vec![Answer::Json(404, refusal("not_found", &json!({})))]).await;
    assert_eq!(ran.exit, ExitCode::NotFound, "{}", ran.err);
    assert_eq!(ran.healthz.len(), 1, "it was not asked");
    for asked in &ran.healthz {
        assert!(is_signed(asked, "lambda"));
    }
}

#[tokio::test]
async fn a_refusal_of_aws_says_what_to_do() {
    let cases = [
        ("Forbidden", "hint: your AWS identity needs lambda:InvokeFunctionUrl and lambda:InvokeFunction"),
        ("Signature expired: 20261120T110000Z is now earlier than 20261120T115500Z", "hint: the clock of this machine"),
        ("The security token included in the request is expired", "hint: run `aws configure` or `aws sso login`"),
    ];
    for (said, hint) in cases {
        let line = ["cron", "status", "--url", "{url}", "--iam"];
        let ran = run_on_aws(&line, |_| vec![Answer::Json(403, json!({"Message": said}))]).await;
        assert_eq!(ran.exit, ExitCode::Unauthorized, "{}", ran.err);
        assert!(ran.err.starts_with(&format!("error: AWS refused the call of {}: ", ran.url)), "{}", ran.err);
        assert!(ran.err.contains(said) && ran.err.contains(hint), "{}", ran.err);
    }
}

fn written(name: &str, value: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, value).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

#[tokio::test]
async fn a_secret_is_stored_encrypted_and_its_reference_printed_but_never_its_value() {
    let (_dir, file) = written("value", "xoxb-1\n");
    let line = ["config", "secret", "set", "slack/token", "--stack", "night", "--file", &file];
    let ran = run_on_aws(&line, |_| vec![Answer::Json(200, json!({"Version": 2, "Tier": "Standard"}))]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (ExitCode::Ok, "ssm:slack/token\n"), "{}", ran.err);
    assert_eq!(ran.err, "version 2 of /night/slack/token\n");
    assert_eq!(ran.requests[0].header("x-amz-target"), Some("AmazonSSM.PutParameter"));
    let sent = json!({"Name": "/night/slack/token", "Value": "xoxb-1", "Type": "SecureString", "Overwrite": true,
        "Tier": "Standard"});
    assert_eq!(ran.requests[0].body, sent);
    let line = [&line[..], &["--json"]].concat();
    let ran = run_on_aws(&line, |_| vec![Answer::Json(200, json!({"Version": 3}))]).await;
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told, json!({"reference": "ssm:slack/token", "version": 3}));
}

#[tokio::test]
async fn an_empty_or_too_large_value_and_a_bad_name_are_refused_before_aws_is_asked() {
    for value in ["", "\n", " \r\n", &"x".repeat(4097)] {
        let (_dir, file) = written("value", value);
        let line = ["config", "secret", "set", "key", "--stack", "night", "--file", &file];
        let ran = run_on_aws(&line, |_| vec![]).await;
        assert_eq!((ran.exit, ran.requests.len()), (ExitCode::Usage, 0), "{}", ran.err);
    }
    for name in ["/key", "key/", "a//b", "a b", "schlüssel", "..", "ssm:key"] {
        let ran = run_on_aws(&["config", "secret", "rm", name, "--stack", "night"], |_| vec![]).await;
        assert_eq!((ran.exit, ran.requests.len()), (ExitCode::Usage, 0), "{name}: {}", ran.err);
    }
}

#[tokio::test]
async fn without_a_stack_a_secret_has_no_place_and_the_hint_says_where_else() {
    let ran = run(&["config", "secret", "list"], vec![]).await;
    assert_eq!(ran.exit, ExitCode::Usage);
    assert!(
        ran.err.contains("hint: name it with --stack; on the local stack write env:NAME or file:/path"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn secrets_are_listed_without_their_values_to_the_last_page() {
    let described = |name: &str, version: i64| json!({"Name": name, "Version": version, "LastModifiedDate": 0.5});
    let pages = || {
        vec![
            Answer::Json(200, json!({"Parameters": [described("/night/slack/token", 2)], "NextToken": "n"})),
            Answer::Json(200, json!({"Parameters": [described("/night/anthropic", 1)]})),
        ]
    };
    let line = ["config", "secret", "list", "--stack", "night"];
    let ran = run_on_aws(&line, |_| pages()).await;
    assert_eq!(ran.exit, ExitCode::Ok, "{}", ran.err);
    assert_eq!(ran.requests[0].header("x-amz-target"), Some("AmazonSSM.DescribeParameters"));
    let filter = json!([{"Key": "Path", "Option": "Recursive", "Values": ["/night"]}]);
    assert_eq!(ran.requests[0].body["ParameterFilters"], filter);
    let names: Vec<&str> = ran.out.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["anthropic", "slack/token"], "{}", ran.out);
    let ran = run_on_aws(&[&line[..], &["--json"]].concat(), |_| pages()).await;
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let first = json!({"name": "anthropic", "reference": "ssm:anthropic", "version": 1, "changedAtMs": 500});
    assert_eq!(told["secrets"][0], first);
    let ran = run_on_aws(&line, |_| vec![Answer::Json(200, json!({"Parameters": []}))]).await;
    assert_eq!((ran.exit, ran.out.as_str(), ran.err.as_str()), (ExitCode::Ok, "", "the stack night has no secrets\n"));
}

#[tokio::test]
async fn a_secret_is_removed_and_one_that_is_not_there_told() {
    let line = ["config", "secret", "rm", "anthropic", "--stack", "night"];
    let ran = run_on_aws(&line, |_| vec![Answer::Json(200, json!({}))]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (ExitCode::Ok, "removed anthropic\n"), "{}", ran.err);
    assert_eq!(ran.requests[0].body, json!({"Name": "/night/anthropic"}));
    let gone = json!({"__type": "ParameterNotFound", "message": "not there"});
    let ran = run_on_aws(&line, |_| vec![Answer::Json(400, gone)]).await;
    let told =
        "error: the stack night has no secret anthropic\nhint: `nightshift config secret list` shows the names\n";
    assert_eq!((ran.exit, ran.err.as_str()), (ExitCode::NotFound, told));
}

fn function(name: &str) -> Answer {
    let variables = json!({"NIGHTSHIFT_TABLE": "night", "NIGHTSHIFT_BLOBS": "s3://night-blobs", "NIGHTSHIFT_GROUP": "night",
        "NIGHTSHIFT_SCHEDULER_ROLE_ARN": "arn:aws:iam::111122223333:role/night-scheduler",
        "NIGHTSHIFT_FUNCTION_ARN_PREFIX": "arn:aws:lambda:eu-central-1:111122223333:function:night-",
        "NIGHTSHIFT_DEAD_LETTER_ARN": "arn:aws:sqs:eu-central-1:111122223333:night-dead"});
    Answer::Json(
        200,
        json!({"FunctionName": name, "State": "Active", "LastUpdateStatus": "Successful",
        "Environment": {"Variables": variables}}),
    )
}

/// The configuration, with a key by its name and this secret.
fn with_hook(token: &str) -> Answer {
    let config = json!({"providers": {"anthropic": {"apiKey": "ssm:anthropic"}}, "hooks": {"token": token}});
    Answer::Json(200, json!({"revision": 3, "config": config}))
}

/// A stack as it should be, in the order it is looked at; without the function `tools`, which may be missing.
fn healthy(url: &str) -> Vec<Answer> {
    let caller = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
        <Arn>arn:aws:iam::111122223333:user/me</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>";
    let mut answers = vec![Answer::Text(200, caller)];
    answers.extend(["api", "trigger", "poll", "deliver", "heartbeat"].map(function));
    answers.push(missing());
    let kept = json!({"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:eu-central-1:111122223333:night-failed"}}});
    answers.extend((0..4).map(|_| Answer::Json(200, kept.clone())));
    let indexes =
        json!([{"IndexName": "GSI1", "IndexStatus": "ACTIVE"}, {"IndexName": "GSI2", "IndexStatus": "ACTIVE"}]);
    let table = json!({"Table": {"TableName": "night", "TableStatus": "ACTIVE", "GlobalSecondaryIndexes": indexes}});
    let expiry = json!({"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}});
    let backups = json!({"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}});
    let timers = [json!({"Name": "night", "State": "ACTIVE"}), json!({"Name": "sweep", "State": "ENABLED"})];
    answers.extend([table, expiry, backups].into_iter().chain(timers).map(|answer| Answer::Json(200, answer)));
    answers.extend([address(url, "AWS_IAM"), Answer::Json(200, status())]);
    answers.push(with_hook("ssm:/night/hook"));
    answers.push(Answer::Json(200, json!({"Parameters": [], "InvalidParameters": []})));
    answers
}

const DOCTOR: [&str; 4] = ["doctor", "--aws", "--stack", "night"];

#[tokio::test]
async fn a_stack_as_it_should_be_is_told_line_by_line() {
    let ran = run_on_aws(&DOCTOR, healthy).await;
    assert_eq!((ran.exit, ran.err.as_str()), (ExitCode::Ok, ""), "{}", ran.out);
    let told = ran.out.replace(&ran.url, "{url}");
    insta::assert_snapshot!("the_doctor_of_a_healthy_stack", told);
    let asked = ran.requests.last().unwrap();
    assert_eq!(asked.header("x-amz-target"), Some("AmazonSSM.GetParameters"));
    let names = json!(["/night/anthropic", "/night/hook"]);
    assert_eq!((&asked.body["Names"], &asked.body["WithDecryption"]), (&names, &json!(false)));
}

#[tokio::test]
async fn every_check_goes_on_after_a_failure_and_says_what_to_do() {
    let broken = |url: &str| {
        let mut answers = healthy(url);
        answers[1] = missing();
        answers[2] = Answer::Json(
            200,
            json!({"State": "Failed", "StateReason": "the role is gone", "Environment": {"Variables":
                {"NIGHTSHIFT_TABLE": "other", "NIGHTSHIFT_GROUP": "night", "ANTHROPIC_API_KEY": "sk-1"}}}),
        );
        // With two tables told, neither is looked at.
        answers.drain(11..14);
        let last = answers.len() - 1;
        answers[12] = Answer::Json(200, json!({"Name": "sweep", "State": "DISABLED"}));
        answers[13] = address(url, "NONE");
        answers[last - 1] = with_hook("ssm:/shared/hook");
        answers[last] = Answer::Json(200, json!({"InvalidParameters": ["/night/anthropic"]}));
        answers
    };
    let ran = run_on_aws(&DOCTOR, broken).await;
    assert_eq!(ran.exit, ExitCode::Unwell, "{}", ran.err);
    insta::assert_snapshot!(
        "the_doctor_of_a_broken_stack",
        format!("{}\n---\n{}", ran.out.replace(&ran.url, "{url}"), ran.err)
    );
    let ran = run_on_aws(&[&DOCTOR[..], &["--json"]].concat(), broken).await;
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&told["ok"], &told["stack"], &told["region"]), (&json!(false), &json!("night"), &json!(AWS_REGION)));
    let found = told["checks"].as_array().unwrap().iter().filter(|check| check["verdict"] == "found").count();
    assert_eq!(ran.err, format!("error: {found} findings are left to be repaired\n"));
    assert!(!ran.out.contains("sk-1"), "{}", ran.out);
    let looked_up = &ran.requests.last().unwrap().body["Names"];
    assert_eq!(looked_up, &json!(["/night/anthropic"]), "another path may be closed to whoever asks");
}

#[tokio::test]
async fn an_account_without_the_stack_is_one_finding() {
    let nothing = |_: &str| {
        let caller = healthy("").swap_remove(0);
        // Six functions, then the address.
        std::iter::once(caller).chain((0..7).map(|_| missing())).collect()
    };
    let ran = run_on_aws(&DOCTOR, nothing).await;
    assert_eq!((ran.exit, ran.requests.len()), (ExitCode::Unwell, 8), "{}", ran.err);
    assert_eq!(ran.err, "error: 1 finding is left to be repaired\n", "{}", ran.out);
    assert!(ran.out.contains("the stack night has no function in eu-central-1"), "{}", ran.out);
}
