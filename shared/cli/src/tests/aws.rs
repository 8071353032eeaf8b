//! The command line against AWS on loopback: what is asked of it, signed how, and what is made of the answers.

use nightshift_wire::ExitCode;
use serde_json::{Value, json};

use super::refusal;
use super::server::{AWS_KEY, AWS_REGION, AWS_SECRET, Answer, Request, run_on_aws};
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
