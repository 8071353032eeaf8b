//! A raw TCP server that plays a script, and a clock that does not keep anyone waiting.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_anthropic::{Anthropic, Settings, http_client};
use nightshift_domain::model::{HopRequest, Role, TurnMessage};
use nightshift_engine::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a request it has read.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Answers with a status, extra header lines and a body, and keeps the connection.
    Answer(u16, &'static str, String),
    /// Closes without a word.
    Close,
    /// Promises a longer body than it sends.
    BreakOff(u16),
    /// Never answers.
    Hang,
    /// Streams an answer, each piece in a chunk of its own, and then does the last thing.
    Stream(Vec<Vec<u8>>, Last),
}

/// What comes after the pieces of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Last {
    /// The end.
    End,
    /// A closed connection.
    Close,
    /// Nothing, on a connection that stands.
    Silence,
}

pub(crate) fn answer(status: u16, body: &str) -> Act {
    Act::Answer(status, "", body.to_owned())
}

pub(crate) fn error(status: u16, kind: &str) -> Act {
    answer(status, &format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"said"}},"request_id":"req_1"}}"#))
}

/// A server on a free port; the script's last act is repeated.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<u32>>,
}

impl Server {
    pub(crate) async fn start(script: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { url, seen: Arc::default(), connections: Arc::default() };
        let (shared, script) = (server.clone(), script.to_vec());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *shared.connections.lock().unwrap() += 1;
                tokio::spawn(serve(shared.clone(), stream, script.clone()));
            }
        });
        server
    }

    /// Every request so far: head and body as they came.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// The request lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.lines().next().unwrap().replace(" HTTP/1.1", "")).collect()
    }

    pub(crate) fn connections(&self) -> u32 {
        *self.connections.lock().unwrap()
    }

    pub(crate) async fn wait_for_requests(&self, count: usize) {
        while self.seen().len() < count {
            tokio::task::yield_now().await;
        }
    }
}

async fn serve(server: Server, mut stream: TcpStream, script: Vec<Act>) {
    while let Some(request) = read_request(&mut stream).await {
        let number = {
            let mut seen = server.seen.lock().unwrap();
            seen.push(request);
            seen.len()
        };
        match &script[(number - 1).min(script.len() - 1)] {
            Act::Answer(status, headers, body) => {
                let head = format!("HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(head.as_bytes()).await.unwrap();
            }
            Act::Close => return,
            Act::BreakOff(status) => {
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: 100\r\n\r\n{{\"id\"");
                stream.write_all(head.as_bytes()).await.unwrap();
                return;
            }
            Act::Hang => std::future::pending().await,
            Act::Stream(pieces, last) => {
                let head = "HTTP/1.1 200 x\r\ncontent-type: text/event-stream; charset=utf-8\r\nrequest-id: req_s\r\n\
                    transfer-encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes()).await.unwrap();
                for piece in pieces {
                    let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                    // The client hangs up once it has seen the end.
                    if stream.write_all(&chunk).await.is_err() {
                        return;
                    }
                }
                match last {
                    Last::End => drop(stream.write_all(b"0\r\n\r\n").await),
                    Last::Close => return,
                    Last::Silence => std::future::pending().await,
                }
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if read.len() >= end + 4 + length.unwrap_or(0) {
                return Some(String::from_utf8_lossy(&read).into_owned());
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => read.extend_from_slice(&piece[..count]),
        }
    }
}

/// A clock on which short waits are over at once and long ones never: back-offs pass, time-outs do not strike.
#[derive(Debug)]
pub(crate) struct HastyClock {
    now: Mutex<DateTime<Utc>>,
    pub(crate) waits: Mutex<Vec<TimeDelta>>,
}

impl HastyClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { now: Mutex::new(start()), waits: Mutex::default() })
    }

    pub(crate) fn waits(&self) -> Vec<i64> {
        self.waits.lock().unwrap().iter().map(TimeDelta::num_milliseconds).collect()
    }
}

#[async_trait]
impl Clock for HastyClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap()
    }

    async fn sleep_until(&self, instant: DateTime<Utc>) {
        self.waits.lock().unwrap().push(instant - self.now());
        *self.now.lock().unwrap() = instant;
    }

    async fn alarm(&self, instant: DateTime<Utc>) {
        let wait = instant - self.now();
        if wait > TimeDelta::seconds(10) {
            std::future::pending::<()>().await;
        }
        self.waits.lock().unwrap().push(wait);
        *self.now.lock().unwrap() = instant;
    }
}

pub(crate) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_219_200, 0).unwrap()
}

pub(crate) fn anthropic(url: &str, clock: Arc<dyn Clock>) -> Anthropic {
    let settings = Settings { base_url: format!("{url}/"), key: "sk-ant-api03-hush".into(), ..Settings::default() };
    Anthropic::new(settings, http_client(), clock)
}

pub(crate) fn hop() -> HopRequest {
    let content = r#"[ {"type":"from_2031","n":1.0} ]"#.to_owned();
    HopRequest {
        model: "claude-x".into(),
        max_tokens: 16,
        system: None,
        messages: vec![TurnMessage { role: Role::User, content }],
        ..HopRequest::default()
    }
}
