//! A server that does what it is told, one act per request, and notes what it was asked.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What to do with a request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Answer with this status, these header lines and this body.
    Answer(u16, &'static str, String),
    /// Read the request and close the connection.
    Drop,
    /// Read the request and keep the connection open.
    Hang,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Lower-case names.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Starts a server that acts like this, in order; the last act is repeated.
    pub(crate) async fn new(acts: Vec<Act>) -> Self {
        Self::routing(move |index, _| acts[index.min(acts.len() - 1)].clone()).await
    }

    /// Starts a server that decides by the request, and how many came before it.
    pub(crate) async fn routing(decide: impl Fn(usize, &Asked) -> Act + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        tokio::spawn(async move {
            let mut hanging = Vec::new();
            for index in 0.. {
                let (mut socket, _) = listener.accept().await.unwrap();
                let request = read(&mut socket).await;
                let act = decide(index, &request);
                log.lock().unwrap().push(request);
                match act {
                    Act::Answer(status, headers, body) => {
                        let length = body.len();
                        let answer = format!(
                            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
                        );
                        socket.write_all(answer.as_bytes()).await.unwrap();
                        let _ = socket.shutdown().await;
                    }
                    Act::Drop => drop(socket),
                    Act::Hang => hanging.push(socket),
                }
            }
        });
        Self { url, asked }
    }

    /// A server that gives one JSON answer to everything.
    pub(crate) async fn answering(status: u16, body: &Value) -> Self {
        Self::new(vec![Act::Answer(status, "", body.to_string())]).await
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap())
}

async fn read(socket: &mut TcpStream) -> Asked {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let head_end = loop {
        let read = socket.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..read]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, path) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, length)| length.parse().unwrap());
    while bytes.len() < head_end + 4 + length {
        let read = socket.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..read]);
    }
    Asked { method, path, headers, text: String::from_utf8(bytes[head_end + 4..].to_vec()).unwrap() }
}
