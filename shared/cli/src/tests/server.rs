//! A server that answers what it is told, and a command line run against it.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Mutex};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_lambda::config::{Credentials, SharedCredentialsProvider};
use nightshift_wire::{ExitCode, NOW_HEADER};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::aws::Surroundings;
use crate::output::Output;

/// The time at the server: noon of 2026-11-20, UTC.
pub(super) const NOW_MS: i64 = 1_795_176_000_000;

/// Whom AWS on loopback knows, and where it says it is.
pub(super) const AWS_KEY: &str = "AKIDEXAMPLE";
pub(super) const AWS_SECRET: &str = "s3cret";
pub(super) const AWS_REGION: &str = "eu-central-1";

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) path: String,
    head: String,
    pub(super) text: String,
    /// The text, where it is JSON.
    pub(super) body: Value,
}

impl Request {
    pub(super) fn method(&self) -> &str {
        self.head.split(' ').next().unwrap()
    }

    /// The value of a header, its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }
}

/// What the server says.
pub(super) enum Answer {
    Json(u16, Value),
    Text(u16, &'static str),
    /// The connection is closed without one.
    Hangup,
}

/// What a command line did.
pub(super) struct Ran {
    pub(super) exit: ExitCode,
    pub(super) out: String,
    pub(super) err: String,
    pub(super) requests: Vec<Request>,
    /// Those for the time, which are answered by themselves.
    pub(super) healthz: Vec<Request>,
    /// The server's address.
    pub(super) url: String,
}

impl Ran {
    fn takes(&mut self, seen: &Mutex<Vec<Request>>) {
        let all = seen.lock().unwrap().clone();
        (self.healthz, self.requests) = all.into_iter().partition(|request| request.path == "/healthz");
    }
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

async fn read_request(stream: &mut TcpStream) -> Request {
    let mut bytes = Vec::new();
    let head_length = loop {
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).await.unwrap();
        bytes.extend_from_slice(&chunk[..length]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        assert!(length > 0, "the request ended inside its head");
    };
    let head = String::from_utf8(bytes[..head_length].to_vec()).unwrap();
    let mut request =
        Request { path: head.split(' ').nth(1).unwrap().to_owned(), head, text: String::new(), body: Value::Null };
    let length: usize = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = bytes[head_length + 4..].to_vec();
    while body.len() < length {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        body.extend_from_slice(&chunk[..read]);
    }
    request.body = serde_json::from_slice(&body).unwrap_or_default();
    request.text = String::from_utf8(body).unwrap();
    request
}

async fn serve(listener: TcpListener, answers: Vec<Answer>, seen: Arc<Mutex<Vec<Request>>>) {
    let mut answers: VecDeque<Answer> = answers.into();
    while let Ok((mut stream, _)) = listener.accept().await {
        let request = read_request(&mut stream).await;
        if request.path == "/healthz" {
            seen.lock().unwrap().push(request);
            // Asked for the time, as an API of before that header would be.
            stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").await.unwrap();
            continue;
        }
        seen.lock().unwrap().push(request);
        let (status, body) = match answers.pop_front().expect("a request nobody expected") {
            Answer::Json(status, body) => (status, body.to_string()),
            Answer::Text(status, body) => (status, body.to_owned()),
            Answer::Hangup => continue,
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\n{NOW_HEADER}: {NOW_MS}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }
}

/// Runs a command line against a server that gives these answers, one per request.
pub(super) async fn run(arguments: &[&str], answers: Vec<Answer>) -> Ran {
    run_within(None, arguments, answers).await
}

/// The same in so many columns.
pub(super) async fn run_within(columns: Option<u16>, arguments: &[&str], answers: Vec<Answer>) -> Ran {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let server = tokio::spawn(serve(listener, answers, Arc::clone(&seen)));
    let mut ran = run_at(&url, columns, arguments).await;
    server.abort();
    ran.takes(&seen);
    ran
}

/// The same without an address and a token, where all of AWS is one server, and `{url}` stands for it.
pub(super) async fn run_on_aws(arguments: &[&str], answers: impl FnOnce(&str) -> Vec<Answer>) -> Ran {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let server = tokio::spawn(serve(listener, answers(&url), Arc::clone(&seen)));
    let credentials = Credentials::new(AWS_KEY, AWS_SECRET, Some("session".to_owned()), None, "tests");
    let aws = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(AWS_REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(url.trim_end_matches('/'))
        .retry_config(RetryConfig::disabled())
        .build();
    let (out, err) = (Buffer::default(), Buffer::default());
    let mut output = Output::plain(out.clone(), err.clone());
    let line: Vec<String> = std::iter::once("nightshift")
        .chain(arguments.iter().copied())
        .map(|word| word.replace("{url}", &url))
        .collect();
    let exit = crate::run_within(line, &mut output, Surroundings { aws: Some(aws) }).await;
    server.abort();
    let mut ran = Ran { exit, out: out.text(), err: err.text(), requests: Vec::new(), healthz: Vec::new(), url };
    ran.takes(&seen);
    ran
}

/// The same where nobody listens; the address is told as one of port 1.
pub(super) async fn run_nowhere(arguments: &[&str]) -> Ran {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut ran = run_at(&format!("http://{address}"), None, arguments).await;
    ran.err = ran.err.replace(&address, "127.0.0.1:1");
    ran
}

async fn run_at(url: &str, columns: Option<u16>, arguments: &[&str]) -> Ran {
    let (out, err) = (Buffer::default(), Buffer::default());
    let plain = Output::plain(out.clone(), err.clone());
    let mut output = match columns {
        Some(columns) => plain.within(columns),
        None => plain,
    };
    let line = [&["nightshift"], arguments, &["--url", url, "--token", "t0ken"]].concat();
    let exit = crate::run(line, &mut output).await;
    Ran { exit, out: out.text(), err: err.text(), requests: Vec::new(), healthz: Vec::new(), url: url.to_owned() }
}
