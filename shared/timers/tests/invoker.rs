//! What a call between functions looks like on the wire, and what Lambda's answers mean.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region};
use nightshift_domain::RunKey;
use nightshift_domain::event::{Envelope, Function, Wake};
use nightshift_engine::ports::{Invoker, TimerError};
use nightshift_timers::{Functions, LambdaInvoker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Invokes `deliver` against an endpoint that gives `answer`, and tells what it was sent.
async fn invoke(answer: &'static str) -> (Result<(), TimerError>, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(format!("http://{}", listener.local_addr().unwrap()))
        .build();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = String::new();
        let mut chunk = [0; 4096];
        while !request.ends_with('}') {
            let read = stream.read(&mut chunk).await.unwrap();
            request.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        request
    });
    let functions = Functions::new("arn:aws:lambda:us-east-1:000000000000:function:nightshift-");
    let invoker = LambdaInvoker::new(aws_sdk_lambda::Client::from_conf(config), functions);
    let run = RunKey::parse("a_20261120T070000Z").unwrap();
    let outcome = invoker.invoke(Function::Deliver, &Envelope::new(Wake::Deliver { r: run })).await;
    (outcome, served.await.unwrap())
}

#[tokio::test]
async fn an_envelope_goes_to_the_functions_queue() {
    let (outcome, request) = invoke("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    outcome.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.contains("function%3anightshift-deliver/invocations"), "{head}");
    assert!(head.contains("x-amz-invocation-type: event"), "{head}");
    assert_eq!(body, r#"{"v":1,"k":"deliver","r":"a_20261120T070000Z"}"#);
}

#[tokio::test]
async fn a_refused_call_names_the_function() {
    let answer = "HTTP/1.1 404 X\r\nx-amzn-errortype: ResourceNotFoundException\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    let error = invoke(answer).await.0.unwrap_err();
    assert_eq!(error.to_string(), "failed to invoke deliver");
    assert!(error.source.is_some());
}
