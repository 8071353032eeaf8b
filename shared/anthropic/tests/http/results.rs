//! Results are streamed: the reader never waits for the end of the file, and never holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::routing::get;
use futures::StreamExt;
use nightshift_domain::model::ModelErrorKind;
use nightshift_domain::run::RowResult;
use nightshift_engine::ManualClock;
use nightshift_engine::ports::Batches;
use tokio::sync::{mpsc, oneshot};

use crate::server::{Act, HastyClock, Server, answer, anthropic, start};

const LINES: usize = 50_000;

fn line(index: usize) -> String {
    let text = "x".repeat(1000);
    format!(
        r#"{{"custom_id":"r{index}","result":{{"type":"succeeded","message":{{"id":"m","model":"m","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","usage":{{}}}}}}}}"#
    ) + "\n"
}

async fn serve(body: mpsc::Receiver<Bytes>) -> String {
    let body = std::sync::Mutex::new(Some(body));
    let handle = move |Path(id): Path<String>| {
        assert_eq!(id, "b");
        let body = body.lock().unwrap().take().unwrap();
        let pieces = futures::stream::unfold(body, |mut body| async move {
            body.recv().await.map(|piece| (Ok::<_, std::io::Error>(piece), body))
        });
        std::future::ready(Body::from_stream(pieces))
    };
    let handle = Arc::new(handle);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router =
        axum::Router::new().route("/v1/messages/batches/{id}/results", get(move |path: Path<String>| handle(path)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn fifty_thousand_lines_are_read_while_the_server_still_writes() {
    let (sender, body) = mpsc::channel(1);
    let (half_read, go_on) = oneshot::channel::<()>();
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    tokio::spawn(async move {
        let mut go_on = Some(go_on);
        for index in 0..LINES {
            // The second half is written only when the reader has taken most of the first.
            if index == LINES / 2 {
                go_on.take().unwrap().await.unwrap();
            }
            sender.send(Bytes::from(line(index))).await.unwrap();
            counter.store(index + 1, Ordering::SeqCst);
        }
    });
    let url = serve(body).await;
    let mut lines = anthropic(&url, HastyClock::new()).results("b").await.unwrap();

    lines.next().await.unwrap().unwrap();
    assert!(written.load(Ordering::SeqCst) <= LINES / 2);
    let mut half_read = Some(half_read);
    let mut read = 1;
    while let Some(line) = lines.next().await {
        assert_eq!(line.unwrap().custom_id, format!("r{read}"));
        read += 1;
        if read == LINES / 2 - 1000 {
            half_read.take().unwrap().send(()).unwrap();
        }
    }
    assert_eq!(read, LINES);
}

#[tokio::test]
async fn a_reader_that_stops_stops_the_server_too() {
    let (sender, body) = mpsc::channel(1);
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    let writer = tokio::spawn(async move {
        for index in 0..LINES {
            if sender.send(Bytes::from(line(index))).await.is_err() {
                return;
            }
            counter.store(index + 1, Ordering::SeqCst);
        }
    });
    let url = serve(body).await;
    let mut lines = anthropic(&url, HastyClock::new()).results("b").await.unwrap();
    lines.next().await.unwrap().unwrap();
    drop(lines);
    writer.await.unwrap();
    assert!(written.load(Ordering::SeqCst) < LINES);
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_an_error() {
    let server = Server::start(&[Act::BreakOff(200)]).await;
    let api = anthropic(&server.url, HastyClock::new());
    let items: Vec<_> = api.results("b").await.unwrap().collect().await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].as_ref().unwrap_err().kind, ModelErrorKind::Unanswered);
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_given_up_after_a_minute() {
    let (sender, body) = mpsc::channel(1);
    sender.send(Bytes::from(line(0))).await.unwrap();
    let url = serve(body).await;
    let clock = ManualClock::new(start());
    let mut lines = anthropic(&url, Arc::new(clock.clone())).results("b").await.unwrap();
    lines.next().await.unwrap().unwrap();
    let waiting = tokio::spawn(async move { lines.next().await });
    while clock.next_wake().is_none() {
        tokio::task::yield_now().await;
    }
    clock.advance(chrono::TimeDelta::seconds(60));
    assert_eq!(waiting.await.unwrap().unwrap().unwrap_err().kind, ModelErrorKind::Timeout);
    drop(sender);
}

#[tokio::test]
async fn results_come_from_our_own_base_url_with_the_sdks_accept_header() {
    let server = Server::start(&[answer(200, "{\"custom_id\":\"a\",\"result\":{\"type\":\"expired\"}}\n")]).await;
    let api = anthropic(&server.url, HastyClock::new());
    let lines: Vec<_> = api.results("b/../c").await.unwrap().collect().await;
    assert_eq!(lines[0].as_ref().unwrap().result, RowResult::Expired);
    assert_eq!(server.lines(), ["GET /v1/messages/batches/b%2F..%2Fc/results"]);
    assert!(server.seen()[0].contains("accept: application/binary"));
}
