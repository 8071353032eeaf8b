//! The guarded client against servers on loopback, with a name server of our own.

#![expect(clippy::unwrap_used, reason = "a test stops where its set-up fails")]

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::IntoResponse;
use bytes::Bytes;
use chrono::TimeDelta;
use nightshift_domain::config::SsrfPolicy;
use nightshift_engine::{Clock, ManualClock, SystemClock};
use nightshift_web::{GuardedClient, Limits, Lookup, Request, Response, WebError, WebErrorKind};

const LIMITS: Limits = Limits { response_bytes: 1024, redirects: 0 };

#[derive(Debug, Default)]
struct Names {
    addresses: BTreeMap<String, Vec<IpAddr>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Lookup for Names {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.addresses.get(host).cloned().ok_or_else(|| io::Error::other("no such name"))
    }
}

fn names(entries: &[(&str, &[&str])]) -> Arc<Names> {
    let addresses = entries
        .iter()
        .map(|(name, list)| ((*name).to_owned(), list.iter().map(|text| text.parse().unwrap()).collect()))
        .collect();
    Arc::new(Names { addresses, asked: AtomicUsize::new(0) })
}

fn client(allowed: &[&str], names: &Arc<Names>) -> GuardedClient {
    let policy = SsrfPolicy { allowed_hostnames: allowed.iter().map(|name| (*name).to_owned()).collect() };
    GuardedClient::with_lookup(Arc::new(SystemClock), &policy, names.clone())
}

fn request(method: Method, url: &str) -> Request {
    Request { method, url: url.parse().unwrap(), headers: HeaderMap::new(), body: Bytes::from_static(b"secret body") }
}

async fn ask(client: &GuardedClient, method: Method, url: &str, limits: Limits) -> Result<Response, WebError> {
    client.send(&request(method, url), limits, SystemClock.now() + TimeDelta::seconds(20)).await
}

type Log = Arc<Mutex<Vec<(Method, String, HeaderMap)>>>;

/// Answers `/to?<url>` with a redirect there, `/long` with 5,000 bytes and anything else with `ok`.
async fn server() -> (SocketAddr, Log) {
    let log = Log::default();
    let seen = log.clone();
    let app = Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap| async move {
        seen.lock().unwrap().push((method, uri.to_string(), headers));
        match uri.path() {
            "/to" => (StatusCode::FOUND, [("location", uri.query().unwrap_or_default().to_owned())]).into_response(),
            "/long" => "x".repeat(5000).into_response(),
            _ => "ok".into_response(),
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, log)
}

#[tokio::test]
async fn an_internal_address_is_refused_before_anything_is_sent() {
    let (address, log) = server().await;
    let names = names(&[
        ("inside.test", &["10.0.0.7"]),
        ("mixed.test", &["1.1.1.1", "127.0.0.1"]),
        ("mapped.test", &["::ffff:169.254.169.254"]),
    ]);
    let client = client(&["allowed.test"], &names);
    let port = address.port();
    for url in [
        format!("https://127.0.0.1:{port}/hook"),
        format!("https://2130706433:{port}/hook"),
        format!("https://0x7f.1:{port}/hook"),
        format!("https://[::1]:{port}/hook"),
        format!("https://[::ffff:7f00:1]:{port}/hook"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://[fd00:ec2::254]/".to_owned(),
        format!("https://inside.test:{port}/hook"),
        format!("https://mixed.test:{port}/hook"),
        "https://mapped.test/hook".to_owned(),
        "https://sub.allowed.test.inside.test/".to_owned(),
    ] {
        let error = ask(&client, Method::POST, &url, LIMITS).await.unwrap_err();
        let expected = if url.contains("sub.") { WebErrorKind::NotSent } else { WebErrorKind::Refused };
        assert_eq!(error.kind, expected, "{url}: {error}");
        assert!(!error.message.contains("/hook"), "{error}");
    }
    assert!(log.lock().unwrap().is_empty());
}

/// Every spelling of an inside address, and every way to come by one, gets the same sentence and no connection.
#[tokio::test]
async fn however_an_inside_address_is_written_or_reached_one_sentence_says_why_it_is_not_asked() {
    let (address, log) = server().await;
    let port = address.port();
    let names = names(&[
        ("start.test", &["127.0.0.1"]),
        ("local.test", &["127.0.0.1"]),
        ("local6.test", &["::1"]),
        ("cloud.test", &["169.254.169.254"]),
        ("inner.test.", &["10.1.2.3"]),
    ]);
    let client = client(&["start.test"], &names);
    let follow = Limits { redirects: 5, ..LIMITS };
    let by_way_of = |url: &str| format!("http://start.test:{port}/to?{url}");
    for (url, host, reason) in [
        // As a number, in octal, in hexadecimal, with parts left out.
        (format!("https://2130706433:{port}/"), "127.0.0.1", "a loopback address"),
        (format!("https://017700000001:{port}/"), "127.0.0.1", "a loopback address"),
        (format!("https://0x7f000001:{port}/"), "127.0.0.1", "a loopback address"),
        (format!("https://0177.0.0.1:{port}/"), "127.0.0.1", "a loopback address"),
        (format!("https://127.1:{port}/"), "127.0.0.1", "a loopback address"),
        (format!("https://127。0。0。1:{port}/"), "127.0.0.1", "a loopback address"),
        ("https://2852039166/latest/meta-data".to_owned(), "169.254.169.254", "a metadata address"),
        // Within an IPv6 address.
        (format!("https://[::ffff:127.0.0.1]:{port}/"), "::ffff:127.0.0.1", "a loopback address"),
        ("https://[::ffff:a9fe:a9fe]/".to_owned(), "::ffff:169.254.169.254", "a metadata address"),
        ("https://[64:ff9b::a9fe:a9fe]/".to_owned(), "64:ff9b::a9fe:a9fe", "a metadata address"),
        ("https://[::127.0.0.1]/".to_owned(), "::7f00:1", "a reserved address"),
        // By name.
        (format!("https://local.test:{port}/"), "local.test", "a loopback address"),
        (format!("https://LOCAL6.test:{port}/"), "local6.test", "a loopback address"),
        ("https://inner.test./".to_owned(), "inner.test.", "a private address"),
        // By a redirect from a host that may be asked.
        (by_way_of("https://169.254.169.254/latest/meta-data"), "169.254.169.254", "a metadata address"),
        (by_way_of("https://cloud.test/latest/meta-data"), "cloud.test", "a metadata address"),
        (by_way_of("//2130706433/"), "127.0.0.1", "http is for hosts"),
        (by_way_of(&format!("http://start.test:{port}/to?https://127.1/")), "127.0.0.1", "a loopback address"),
    ] {
        let error = ask(&client, Method::GET, &url, follow).await.unwrap_err();
        assert_eq!(error.kind, WebErrorKind::Refused, "{url}: {error}");
        let sentence = format!(
            "{host} is {reason}, which is not asked for users; cron.webhookSsrfPolicy.allowedHostnames can allow the \
             exact host"
        );
        if reason.starts_with("a ") {
            assert_eq!(error.message, sentence, "{url}");
        } else {
            assert!(error.message.starts_with(host) && error.message.contains(reason), "{url}: {error}");
        }
    }
    let asked: Vec<String> = log.lock().unwrap().iter().map(|(_, path, _)| path.clone()).collect();
    assert!(asked.iter().all(|path| path.starts_with("/to?")), "only redirects were asked for: {asked:?}");
    assert_eq!(asked.len(), 5);
}

/// A name server that says something else every time it is asked.
#[derive(Debug)]
struct Rebinding(Mutex<Vec<IpAddr>>);

#[async_trait]
impl Lookup for Rebinding {
    async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![self.0.lock().unwrap().remove(0)])
    }
}

#[tokio::test]
async fn a_name_that_is_bound_anew_after_the_check_is_still_asked_where_it_was_checked() {
    let (address, log) = server().await;
    let elsewhere = ["127.0.0.1", "127.0.0.77", "127.0.0.78"];
    let lookup = Arc::new(Rebinding(Mutex::new(elsewhere.iter().map(|text| text.parse().unwrap()).collect())));
    // A dot at the end is the same name to a name server, and another key to whoever looks it up in a table.
    let policy = SsrfPolicy { allowed_hostnames: vec!["rebind.test".to_owned(), "rebind.test.".to_owned()] };
    let client = GuardedClient::with_lookup(Arc::new(SystemClock), &policy, lookup.clone());
    let url = format!("http://rebind.test:{}/", address.port());
    assert_eq!(ask(&client, Method::GET, &url, LIMITS).await.unwrap().status, StatusCode::OK);
    assert_eq!((log.lock().unwrap().len(), lookup.0.lock().unwrap().len()), (1, 2), "one question, one connection");

    lookup.0.lock().unwrap().insert(0, "127.0.0.1".parse().unwrap());
    let url = format!("http://rebind.test.:{}/", address.port());
    assert_eq!(ask(&client, Method::GET, &url, LIMITS).await.unwrap().status, StatusCode::OK);
    assert_eq!(lookup.0.lock().unwrap().len(), 2);
}

#[test]
fn addresses_that_are_wrong_by_their_looks_are_refused_without_the_network() {
    let names = names(&[]);
    let client = client(&["allowed.test", "127.0.0.1"], &names);
    for address in [
        "",
        "not a url",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://example.com/",
        "https://user@example.com/",
        "https://user:pw@example.com/",
        "https://10.1.2.3/",
        "http://[::1]/",
        "javascript:alert(1)",
        "https://",
        "http://localhost/",
        "http://allowed.test.example.com/",
    ] {
        assert_eq!(client.check(address).unwrap_err().kind, WebErrorKind::Refused, "{address}");
    }
    for address in
        ["https://example.com/x?y=1", " https://EXAMPLE.com ", "http://allowed.test/", "http://127.0.0.1:9/x"]
    {
        assert!(client.check(address).is_ok(), "{address}");
    }
    assert_eq!(names.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_allow_listed_name_is_resolved_once_and_the_connection_pinned_to_the_answer() {
    let (address, log) = server().await;
    let names = names(&[("hooks.test", &["127.0.0.1"])]);
    let client = client(&["hooks.test"], &names);
    let url = format!("http://hooks.test:{}/hook?x=1", address.port());
    let response = ask(&client, Method::POST, &url, LIMITS).await.unwrap();
    assert_eq!((response.status, &response.body[..], response.truncated), (StatusCode::OK, &b"ok"[..], false));
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    let log = log.lock().unwrap();
    assert_eq!((&log[0].0, log[0].1.as_str()), (&Method::POST, "/hook?x=1"));
    assert_eq!(log[0].2["host"], format!("hooks.test:{}", address.port()));
}

#[tokio::test]
async fn a_redirect_is_followed_only_when_asked_for_never_for_a_post_and_only_to_an_address_that_may_be_asked() {
    let (address, log) = server().await;
    let port = address.port();
    let names = names(&[("one.test", &["127.0.0.1"]), ("two.test", &["127.0.0.1"])]);
    let client = client(&["one.test", "two.test"], &names);
    let follow = Limits { redirects: 2, ..LIMITS };
    let inside = format!("http://one.test:{port}/to?http://127.0.0.1:{port}/x");
    let across = format!("http://one.test:{port}/to?http://two.test:{port}/there");

    let answer = ask(&client, Method::GET, &across, LIMITS).await.unwrap();
    assert_eq!(answer.status, StatusCode::FOUND);
    let answer = ask(&client, Method::POST, &across, follow).await.unwrap();
    assert_eq!(answer.status, StatusCode::FOUND);
    let refused = ask(&client, Method::GET, &inside, follow).await.unwrap_err();
    assert_eq!(refused.kind, WebErrorKind::Refused);
    let looped = format!("http://one.test:{port}/to?/to?/to");
    assert_eq!(ask(&client, Method::GET, &looped, follow).await.unwrap().status, StatusCode::FOUND);
    log.lock().unwrap().clear();

    let mut signed = request(Method::GET, &across);
    signed.headers.insert("authorization", "Bearer x".parse().unwrap());
    let answer = client.send(&signed, follow, SystemClock.now() + TimeDelta::seconds(20)).await.unwrap();
    assert_eq!((answer.status, answer.url.path()), (StatusCode::OK, "/there"));
    let log = log.lock().unwrap();
    assert!(log[0].2.contains_key("authorization"));
    assert!(!log[1].2.contains_key("authorization"));
}

#[tokio::test]
async fn no_more_of_a_body_is_kept_than_the_limit() {
    let (address, _) = server().await;
    let client = client(&["127.0.0.1"], &names(&[]));
    let answer = ask(&client, Method::GET, &format!("http://{address}/long"), LIMITS).await.unwrap();
    assert_eq!((answer.body.len(), answer.truncated), (1024, true));
}

#[tokio::test]
async fn what_failed_before_the_request_left_is_told_from_what_may_have_arrived() {
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dropping = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 64];
            let _ = tokio::io::AsyncReadExt::read(&mut socket, &mut buffer).await;
        }
    });
    let client = client(&["127.0.0.1"], &names(&[]));
    let kind = |url: String| {
        let client = client.clone();
        async move { ask(&client, Method::POST, &url, LIMITS).await.unwrap_err().kind }
    };
    assert_eq!(kind(format!("http://{closed}/")).await, WebErrorKind::NotSent);
    assert_eq!(kind("https://nowhere.test/".to_owned()).await, WebErrorKind::NotSent);
    assert_eq!(kind(format!("http://{dropping}/")).await, WebErrorKind::Unknown);
    let late = client.send(&request(Method::POST, &format!("http://{dropping}/")), LIMITS, SystemClock.now()).await;
    assert_eq!(late.unwrap_err().kind, WebErrorKind::NotSent);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_left_at_the_deadline() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let clock = ManualClock::new(SystemClock.now());
    let deadline = clock.now() + TimeDelta::seconds(10);
    let policy = SsrfPolicy { allowed_hostnames: vec!["127.0.0.1".to_owned()] };
    let client = GuardedClient::with_lookup(Arc::new(clock.clone()), &policy, names(&[]));
    let asking = tokio::spawn(async move {
        client.send(&request(Method::POST, &format!("http://{address}/")), LIMITS, deadline).await
    });
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut buffer = [0; 64];
    tokio::io::AsyncReadExt::read(&mut socket, &mut buffer).await.unwrap();
    clock.advance_to(deadline);
    assert_eq!(asking.await.unwrap().unwrap_err().kind, WebErrorKind::Unknown);
}

#[test]
fn debug_output_of_a_request_holds_no_address_and_no_body() {
    let shown = format!("{:?}", request(Method::POST, "https://example.com/hooks/T0KEN"));
    assert_eq!(shown, "Request { method: POST, .. }");
}
