//! A stand-in for the chats' and a receiver's HTTP APIs: takes everything, and remembers it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

/// The bot token the stand-in's Telegram is asked with.
pub const TELEGRAM_TOKEN: &str = "123456:stand-in";

/// A message that arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// `telegram`, `slack`, `whatsapp` or `webhook`.
    pub channel: &'static str,
    /// What was posted.
    pub body: Value,
    /// Its idempotency key, where it came with one.
    pub key: Option<String>,
}

/// The stand-in. Clones share what arrived.
#[derive(Debug, Clone, Default)]
pub struct Chats {
    /// Its address: the base URL of Telegram, of Slack and of WhatsApp; a receiver is at `/hook`.
    pub url: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    gone: Arc<AtomicBool>,
}

impl Chats {
    /// Starts it on a free port.
    pub async fn serve() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port is free");
        let url = format!("http://{}", listener.local_addr().expect("a bound port has an address"));
        let chats = Self { url, arrived: Arc::default(), gone: Arc::default() };
        let router = Router::new()
            .route("/{bot}/sendMessage", post(telegram))
            .route("/chat.postMessage", post(slack))
            .route("/{version}/{number}/messages", post(whatsapp))
            .route("/hook", post(hook))
            .with_state(chats.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        chats
    }

    /// Whether Telegram's chats are gone from now on.
    pub fn set_gone(&self, gone: bool) {
        self.gone.store(gone, Ordering::Relaxed);
    }

    /// What arrived so far, in order.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `channels` of a configuration that sends to the stand-in. The tokens are written into `folder`.
    pub fn config(&self, folder: &std::path::Path) -> Value {
        let account = |name: &str, token: &str| {
            let file = folder.join(format!("{name}-token"));
            std::fs::write(&file, token).expect("a token can be written");
            json!({ "accounts": { "default": { "botToken": format!("file:{}", file.display()), "baseUrl": self.url } } })
        };
        let token = folder.join("whatsapp-token");
        std::fs::write(&token, "stand-in").expect("a token can be written");
        let whatsapp = json!({
            "accessToken": format!("file:{}", token.display()), "phoneNumberId": "1001", "baseUrl": self.url,
        });
        json!({
            "telegram": account("telegram", TELEGRAM_TOKEN),
            "slack": account("slack", "xoxb-stand-in"),
            "whatsapp": { "accounts": { "default": whatsapp } },
        })
    }

    fn keep(&self, channel: &'static str, body: Value, headers: &HeaderMap) -> usize {
        let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.push(Arrived { channel, body, key });
        arrived.len()
    }
}

async fn telegram(
    State(chats): State<Chats>,
    Path(bot): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    if bot != format!("bot{TELEGRAM_TOKEN}") {
        return (
            StatusCode::UNAUTHORIZED,
            Json(json!({ "ok": false, "error_code": 401, "description": "Unauthorized" })),
        );
    }
    if chats.gone.load(Ordering::Relaxed) {
        let gone = json!({ "ok": false, "error_code": 400, "description": "Bad Request: chat not found" });
        return (StatusCode::BAD_REQUEST, Json(gone));
    }
    let topic = body["message_thread_id"].clone();
    let n = chats.keep("telegram", body, &headers);
    let is_topic = !topic.is_null();
    let chat = json!({ "id": 1, "type": "supergroup", "is_forum": is_topic });
    let taken = json!({ "ok": true, "result": {
        "message_id": n, "date": 0, "chat": chat, "message_thread_id": topic, "is_topic_message": is_topic,
    } });
    (StatusCode::OK, Json(taken))
}

async fn slack(State(chats): State<Chats>, headers: HeaderMap, Json(body): Json<Value>) -> Json<Value> {
    let n = chats.keep("slack", body, &headers);
    Json(json!({ "ok": true, "channel": "C1", "ts": format!("1700000000.{n:06}") }))
}

async fn whatsapp(State(chats): State<Chats>, headers: HeaderMap, Json(body): Json<Value>) -> Json<Value> {
    let n = chats.keep("whatsapp", body, &headers);
    Json(json!({ "messaging_product": "whatsapp", "messages": [{ "id": format!("wamid.{n}") }] }))
}

async fn hook(State(chats): State<Chats>, headers: HeaderMap, Json(body): Json<Value>) -> Json<Value> {
    chats.keep("webhook", body, &headers);
    Json(json!({}))
}
