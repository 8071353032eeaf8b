use super::super::fixture::start;
use super::*;
use tower::ServiceExt;

async fn send(instances: &Arc<Instances>, method: &str, path: &str, body: impl Into<Body>) -> Response {
    let uri = format!("/.rt/nightshift-echo/{path}");
    let request = http::Request::builder().method(method).uri(uri).body(body.into()).unwrap();
    router(instances.clone()).oneshot(request).await.unwrap()
}

fn invocation(id: &str) -> Invocation {
    Invocation { request_id: id.to_owned(), payload: Bytes::from_static(b"[1]"), deadline: start() }
}

#[tokio::test]
async fn a_process_fetches_its_invocation_and_answers_it_once() {
    let instances = Arc::new(Instances::default());
    let instance = instances.add("one", "nightshift-echo");
    // The poll is there first, as with a warm process.
    let poll = tokio::spawn({
        let instances = instances.clone();
        async move { send(&instances, "GET", "one/2018-06-01/runtime/invocation/next", "").await }
    });
    tokio::task::yield_now().await;
    let answered = instance.hand_over(invocation("r-1"));
    let next = poll.await.unwrap();
    let header = |name: &str| next.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("lambda-runtime-aws-request-id"), "r-1");
    assert_eq!(header("lambda-runtime-deadline-ms"), start().timestamp_millis().to_string());
    assert_eq!(header("lambda-runtime-invoked-function-arn"), arn("nightshift-echo"));
    assert_eq!(to_bytes(next.into_body(), 10).await.unwrap().as_ref(), b"[1]");

    let stranger = send(&instances, "POST", "one/2018-06-01/runtime/invocation/r-2/response", "2").await;
    assert_eq!(stranger.status(), StatusCode::BAD_REQUEST);
    let response = send(&instances, "POST", "one/2018-06-01/runtime/invocation/r-1/response", "2").await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let again = send(&instances, "POST", "one/2018-06-01/runtime/invocation/r-1/response", "3").await;
    assert_eq!(again.status(), StatusCode::BAD_REQUEST);
    assert_eq!(answered.await.unwrap(), Ok(Bytes::from_static(b"2")));
}

#[tokio::test]
async fn errors_of_a_process_reach_the_caller() {
    let instances = Arc::new(Instances::default());
    let instance = instances.add("one", "nightshift-echo");
    for (path, body, error) in [
        ("invocation/r-1/error", r#"{"errorType":"Boom","errorMessage":"no"}"#, FunctionError::new("Boom", "no")),
        ("invocation/r-1/error", "?", FunctionError::new("Unhandled", "")),
        ("init/error", r#"{"errorMessage":"no table"}"#, FunctionError::new("Runtime.InitError", "no table")),
    ] {
        let answered = instance.hand_over(invocation("r-1"));
        let response = send(&instances, "POST", &format!("one/2018-06-01/runtime/{path}"), body).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(answered.await.unwrap(), Err(error));
    }
    let answered = instance.hand_over(invocation("r-2"));
    let large = vec![b' '; SYNC_PAYLOAD_BYTES + 1];
    let response = send(&instances, "POST", "one/2018-06-01/runtime/invocation/r-2/response", large).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answered.await.unwrap().unwrap_err().error_type, "Function.ResponseSizeTooLarge");
}

#[tokio::test]
async fn a_process_nobody_started_is_sent_away() {
    let instances = Arc::new(Instances::default());
    instances.add("one", "nightshift-other");
    instances.add("two", "nightshift-echo");
    instances.remove("two");
    for id in ["one", "two"] {
        let response = send(&instances, "GET", &format!("{id}/2018-06-01/runtime/invocation/next"), "").await;
        assert_eq!(response.status(), StatusCode::GONE, "{id}");
    }
}
