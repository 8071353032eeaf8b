use super::*;
use lambda_http::RequestExt;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_795_219_200_250).unwrap()
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

#[test]
fn lambda_http_reads_from_the_event_the_request_that_came() {
    let headers = headers(&[
        ("host", "127.0.0.1:9000"),
        ("content-type", "application/json; charset=utf-8"),
        ("cookie", "a=1; b=2"),
        ("authorization", "Bearer t"),
    ]);
    let body = r#"{"name":"Grüße"}"#;
    let event = http_event(&Method::POST, "/v1/jobs/a%20b", Some("q=x%20y&q=2&flag"), &headers, body.as_bytes(), now());
    assert_eq!(event["requestContext"]["time"], "21/Nov/2026:00:00:00 +0000");
    assert_eq!(event["queryStringParameters"], json!({ "q": "x y,2", "flag": "" }));
    assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
    assert_eq!(event["isBase64Encoded"], false);

    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.raw_http_path(), "/v1/jobs/a%20b");
    assert_eq!(request.uri().query(), Some("q=x%20y&q=2&flag"));
    assert_eq!(request.query_string_parameters().all("q"), Some(vec!["x y", "2"]));
    assert_eq!(request.headers()["authorization"], "Bearer t");
    assert_eq!(request.headers()["cookie"], "a=1; b=2");
    assert_eq!(request.body().as_ref(), body.as_bytes());
}

#[test]
fn a_body_that_is_no_text_survives_as_base64() {
    let bytes = [0, 159, 146, 150];
    for headers in [headers(&[]), headers(&[("content-type", "application/json")])] {
        let event = http_event(&Method::PUT, "/", None, &headers, &bytes, now());
        assert_eq!(event["isBase64Encoded"], true);
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        assert_eq!(request.body().as_ref(), bytes);
    }
    let empty = http_event(&Method::GET, "/", None, &HeaderMap::new(), &[], now());
    assert_eq!(empty.get("body"), None);
    assert_eq!(empty.get("queryStringParameters"), None);
}

#[test]
fn a_percent_sign_that_escapes_nothing_stays() {
    assert_eq!(unescaped("100%+a%2Bb%zz%e2%82%ac%"), "100% a+b%zz€%");
}

async fn decoded(answer: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
    let response = http_response(Bytes::copy_from_slice(answer.as_bytes())).unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec())
}

#[tokio::test]
async fn an_answer_with_a_status_code_is_a_response() {
    let (status, headers, body) = decoded(
        r#"{"statusCode":201,"headers":{"content-type":"text/plain","x-n":3},"multiValueHeaders":{},
            "cookies":["a=1","b=2"],"body":"aGk=","isBase64Encoded":true}"#,
    )
    .await;
    assert_eq!((status, body.as_slice()), (StatusCode::CREATED, b"hi".as_slice()));
    assert_eq!([&headers["content-type"], &headers["x-n"]], ["text/plain", "3"]);
    assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
    let (status, _, body) = decoded(r#"{"statusCode":204,"body":null}"#).await;
    assert_eq!((status, body.len()), (StatusCode::NO_CONTENT, 0));
}

#[tokio::test]
async fn an_answer_without_a_status_code_is_the_body_of_a_200() {
    let (status, headers, body) = decoded(r#"{"ok":true}"#).await;
    assert_eq!((status, body.as_slice()), (StatusCode::OK, br#"{"ok":true}"#.as_slice()));
    assert_eq!(headers["content-type"], "application/json");
}

#[test]
fn an_answer_that_is_no_response_is_refused() {
    assert_eq!(http_response(Bytes::from_static(b"oops")).unwrap_err(), BadResponse::NotJson);
    for answer in [r#"{"statusCode":"x"}"#, r#"{"statusCode":9}"#, r#"{"statusCode":200,"headers":{"a b":"c"}}"#] {
        let error = http_response(Bytes::from_static(answer.as_bytes())).unwrap_err();
        assert!(matches!(error, BadResponse::Invalid(_)), "{error}");
    }
}
