use std::sync::Arc;

use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use nightshift_engine::SystemClock;
use tower::ServiceExt;

use super::super::FunctionError;
use super::super::fixture::{handler, open};
use super::*;
use crate::state::StateDb;

/// Answers what it is given; fails when that is `"fail"`.
async fn echo() -> Lambda {
    let function = handler(|payload, _| {
        Box::pin(async move {
            if payload.as_ref() == b"\"fail\"" { Err(FunctionError::new("Boom", "no luck")) } else { Ok(payload) }
        })
    });
    open(&StateDb::memory().unwrap(), Arc::new(SystemClock), function).await
}

async fn post_to(lambda: &Lambda, function: &str, kind: Option<&str>, body: impl Into<Body>) -> Response {
    let mut request = http::Request::post(format!("/2015-03-31/functions/{function}/invocations"));
    if let Some(kind) = kind {
        request = request.header("X-Amz-Invocation-Type", kind);
    }
    lambda.router().oneshot(request.body(body.into()).unwrap()).await.unwrap()
}

async fn text_of(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

fn header_of<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_synchronous_call_answers_what_the_function_answered() {
    let lambda = echo().await;
    for name in [
        "nightshift-echo",
        "nightshift-echo:live",
        "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Anightshift-echo",
    ] {
        let response = post_to(&lambda, name, None, r#"{"a":1}"#).await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        assert_eq!(header_of(&response, "x-amz-executed-version"), "$LATEST");
        assert_eq!(header_of(&response, "x-amzn-requestid").len(), 36);
        assert_eq!(header_of(&response, "x-amz-function-error"), "");
        assert_eq!(text_of(response).await, r#"{"a":1}"#);
    }
}

#[tokio::test]
async fn a_function_error_is_a_200_that_no_sdk_retries() {
    let response = post_to(&echo().await, "nightshift-echo", Some("RequestResponse"), "\"fail\"").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header_of(&response, "x-amz-function-error"), "Unhandled");
    assert_eq!(text_of(response).await, r#"{"errorType":"Boom","errorMessage":"no luck"}"#);
}

#[tokio::test]
async fn an_event_is_accepted_with_an_empty_body_and_a_dry_run_runs_nothing() {
    let lambda = echo().await;
    let event = post_to(&lambda, "nightshift-echo", Some("Event"), "{}").await;
    assert_eq!(event.status(), StatusCode::ACCEPTED);
    assert_eq!(text_of(event).await, "");
    let dry = post_to(&lambda, "nightshift-echo", Some("DryRun"), "\"fail\"").await;
    assert_eq!(dry.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn what_lambda_refuses_is_refused_with_its_status_and_type() {
    let lambda = echo().await;
    let large = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
    let mib = 1024 * 1024;
    for (function, kind, body, status, error) in [
        ("nope", "RequestResponse", "{}".to_owned(), 404, "ResourceNotFoundException"),
        ("nightshift-echo", "RequestResponse", "{".to_owned(), 400, "InvalidRequestContentException"),
        ("nightshift-echo", "Event", "{".to_owned(), 400, "InvalidRequestContentException"),
        ("nightshift-echo", "Event", large(mib), 413, "RequestTooLargeException"),
        ("nightshift-echo", "RequestResponse", large(6 * mib), 413, "RequestTooLargeException"),
        ("nightshift-echo", "RequestResponse", large(8 * mib), 413, "RequestTooLargeException"),
        ("nightshift-echo", "Sometimes", "{}".to_owned(), 400, "InvalidParameterValueException"),
    ] {
        let response = post_to(&lambda, function, Some(kind), body).await;
        assert_eq!(response.status().as_u16(), status, "{error}");
        assert_eq!(header_of(&response, "x-amzn-errortype"), error);
    }
    assert_eq!(post_to(&lambda, "nightshift-echo", None, large(6 * mib - 2)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_unmodified_sdk_invokes_by_arn_and_decodes_errors() {
    let lambda = echo().await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn({
        let router = lambda.router();
        async move { axum::serve(listener, router).await.unwrap() }
    });
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
        .endpoint_url(endpoint)
        .build();
    let sdk = aws_sdk_lambda::Client::from_conf(config);
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:nightshift-echo";

    let answered = sdk.invoke().function_name(arn).payload(Blob::new("[1]")).send().await.unwrap();
    assert_eq!(answered.payload().unwrap().as_ref(), b"[1]");
    assert_eq!((answered.status_code(), answered.function_error()), (200, None));

    let failed = sdk.invoke().function_name(arn).payload(Blob::new("\"fail\"")).send().await.unwrap();
    assert_eq!(failed.function_error(), Some("Unhandled"));

    let queued = sdk.invoke().function_name(arn).invocation_type(InvocationType::Event).send().await.unwrap();
    assert_eq!(queued.status_code(), 202);

    let missing = sdk.invoke().function_name("nope").send().await.unwrap_err().into_service_error();
    assert!(missing.is_resource_not_found_exception(), "{missing:?}");
    assert_eq!(
        missing.meta().message(),
        Some("Function not found: arn:aws:lambda:us-east-1:000000000000:function:nope")
    );
    server.abort();
}
