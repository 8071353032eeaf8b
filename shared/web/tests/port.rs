//! The guarded client as the engine's tools know it, against a server on loopback.

#![expect(clippy::unwrap_used, reason = "a test stops where its set-up fails")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::IntoResponse;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::config::SsrfPolicy;
use nightshift_engine::ports::{Web, WebAnswer, WebFault, WebFaultKind, WebMethod, WebRequest};
use nightshift_engine::{Clock, SystemClock};
use nightshift_web::Guarded;

type Log = Arc<Mutex<Vec<(Method, String, HeaderMap, Bytes)>>>;

/// Answers `/to?<url>` with a redirect there, `/long` with 5,000 bytes, `/busy` with 429, `/hang` never, the rest with `ok`.
async fn server() -> (SocketAddr, Log) {
    let log = Log::default();
    let seen = log.clone();
    let app = Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| async move {
        seen.lock().unwrap().push((method, uri.to_string(), headers, body));
        match uri.path() {
            "/to" => (StatusCode::FOUND, [("location", uri.query().unwrap_or_default().to_owned())]).into_response(),
            "/long" => "x".repeat(5000).into_response(),
            "/busy" => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")], "later").into_response(),
            "/hang" => std::future::pending().await,
            _ => ([("content-type", "text/plain; charset=latin1")], "ok").into_response(),
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, log)
}

fn request(method: WebMethod, url: String) -> WebRequest {
    let headers = vec![("idempotency-key".to_owned(), "k-1".to_owned())];
    WebRequest { method, url, headers, body: Bytes::from_static(b"secret body"), most_bytes: 1024 }
}

fn soon() -> DateTime<Utc> {
    SystemClock.now() + TimeDelta::seconds(20)
}

async fn send(allowed: &[&str], request: &WebRequest, deadline: DateTime<Utc>) -> Result<WebAnswer, WebFault> {
    let policy = SsrfPolicy { allowed_hostnames: allowed.iter().map(|name| (*name).to_owned()).collect() };
    Guarded::new(Arc::new(SystemClock)).send(&policy, request, deadline).await
}

#[tokio::test]
async fn a_read_follows_redirects_and_tells_where_its_answer_came_from() {
    let (address, log) = server().await;
    let url = format!("http://{address}/to?http://{address}/page");
    let answer = send(&["127.0.0.1"], &request(WebMethod::Get, url), soon()).await.unwrap();
    assert_eq!((answer.status, answer.url), (200, format!("http://{address}/page")));
    assert_eq!(answer.content_type.as_deref(), Some("text/plain; charset=latin1"));
    assert_eq!((&answer.body[..], answer.truncated, answer.retry_after), (&b"ok"[..], false, None));
    let paths: Vec<String> = log.lock().unwrap().iter().map(|(method, path, ..)| format!("{method} {path}")).collect();
    assert_eq!(paths, [format!("GET /to?http://{address}/page"), "GET /page".to_owned()]);
}

#[tokio::test]
async fn a_read_that_is_led_on_and_on_ends_with_the_redirect_it_stopped_at() {
    let (address, log) = server().await;
    let url = format!("http://{address}/to?/to?/to");
    let answer = send(&["127.0.0.1"], &request(WebMethod::Get, url), soon()).await.unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!(log.lock().unwrap().len(), 6, "five redirects, and no more");
}

#[tokio::test]
async fn a_redirect_inside_is_refused_and_nothing_is_sent_there() {
    let (address, log) = server().await;
    for inside in [format!("https://localhost:{}/page", address.port()), "https://169.254.169.254/latest".to_owned()] {
        log.lock().unwrap().clear();
        let url = format!("http://{address}/to?{inside}");
        let fault = send(&["127.0.0.1"], &request(WebMethod::Get, url), soon()).await.unwrap_err();
        assert_eq!(fault.kind, WebFaultKind::Refused, "{inside}: {fault}");
        assert!(!fault.message.contains("/latest") && !fault.message.contains("/page"), "{fault}");
        assert_eq!(log.lock().unwrap().len(), 1);
    }
    let fault = send(&[], &request(WebMethod::Get, format!("https://{address}/")), soon()).await.unwrap_err();
    assert_eq!(fault.kind, WebFaultKind::Refused);
}

#[tokio::test]
async fn an_acting_request_arrives_once_as_it_is_and_follows_no_redirect() {
    let (address, log) = server().await;
    let url = format!("http://{address}/to?http://{address}/page");
    let answer = send(&["127.0.0.1"], &request(WebMethod::Post, url), soon()).await.unwrap();
    assert_eq!(answer.status, 302);
    let seen = log.lock().unwrap();
    let [(method, _, headers, body)] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!((method, &body[..]), (&Method::POST, &b"secret body"[..]));
    assert_eq!(headers["idempotency-key"], "k-1");
}

#[tokio::test]
async fn a_long_body_is_cut_and_a_wish_to_wait_is_told() {
    let (address, _) = server().await;
    let long = request(WebMethod::Get, format!("http://{address}/long"));
    let answer = send(&["127.0.0.1"], &long, soon()).await.unwrap();
    assert_eq!((answer.body.len(), answer.truncated), (1024, true));
    let busy = request(WebMethod::Post, format!("http://{address}/busy"));
    let answer = send(&["127.0.0.1"], &busy, soon()).await.unwrap();
    assert_eq!((answer.status, answer.retry_after), (429, Some(TimeDelta::seconds(7))));
}

#[tokio::test]
async fn what_never_left_is_told_from_what_may_have_arrived() {
    let (address, log) = server().await;
    let allowed = &["127.0.0.1"];
    let late = send(allowed, &request(WebMethod::Post, format!("http://{address}/")), SystemClock.now()).await;
    assert_eq!(late.unwrap_err().kind, WebFaultKind::NotSent);
    let closed = { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() };
    let unconnected = send(allowed, &request(WebMethod::Post, format!("http://{closed}/")), soon()).await;
    assert_eq!(unconnected.unwrap_err().kind, WebFaultKind::NotSent);
    assert!(log.lock().unwrap().is_empty());
    let deadline = SystemClock.now() + TimeDelta::milliseconds(300);
    let hung = send(allowed, &request(WebMethod::Post, format!("http://{address}/hang")), deadline).await;
    assert_eq!(hung.unwrap_err().kind, WebFaultKind::Unknown);
    assert_eq!(log.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_header_that_cannot_be_one_is_refused_without_being_repeated() {
    let (address, log) = server().await;
    for (name, value) in [("x-secret", "hunter2\r\nx: y"), ("x secret", "hunter2")] {
        let mut bad = request(WebMethod::Post, format!("http://{address}/"));
        bad.headers.push((name.to_owned(), value.to_owned()));
        let fault = send(&["127.0.0.1"], &bad, soon()).await.unwrap_err();
        assert_eq!(fault.kind, WebFaultKind::Refused);
        assert!(!format!("{fault:?} {bad:?}").contains("hunter2"), "{fault:?} {bad:?}");
    }
    assert!(log.lock().unwrap().is_empty());
}
