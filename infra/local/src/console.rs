//! The console channel's far side: prints what is delivered, once per key, and remembers it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use nightshift_engine::Clock;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::state::StateDb;

const ROOM: &str = "console";

/// One delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The chunk's idempotency key.
    pub key: String,
    /// The target.
    pub to: String,
    /// The thread.
    #[serde(default)]
    pub thread: Option<String>,
    /// What was sent.
    pub text: String,
    /// When, epoch ms.
    #[serde(default)]
    pub at_ms: i64,
    /// How often it arrived: repeats are counted, not printed.
    #[serde(default)]
    pub arrivals: u64,
}

/// The console. Clones share one memory.
#[derive(Clone)]
pub struct Console {
    state: StateDb,
    clock: Arc<dyn Clock>,
    print: bool,
}

impl Console {
    pub(crate) fn new(state: StateDb, clock: Arc<dyn Clock>, print: bool) -> Self {
        Self { state, clock, print }
    }

    pub(crate) fn router(&self) -> Router {
        Router::new().route("/deliver", post(deliver)).with_state(self.clone())
    }

    /// What was delivered, by time.
    pub fn deliveries(&self) -> anyhow::Result<Vec<Delivery>> {
        let mut all = Vec::new();
        for (_, body) in self.state.list(ROOM)? {
            all.push(serde_json::from_value::<Delivery>(body)?);
        }
        all.sort_by(|a, b| (a.at_ms, &a.key).cmp(&(b.at_ms, &b.key)));
        Ok(all)
    }

    fn take(&self, mut delivery: Delivery) -> anyhow::Result<String> {
        let id = format!("console-{}", delivery.key);
        if let Some(known) = self.state.get(ROOM, &delivery.key)? {
            let mut known: Delivery = serde_json::from_value(known)?;
            known.arrivals += 1;
            self.state.put(ROOM, &delivery.key, &serde_json::to_value(&known)?)?;
            return Ok(id);
        }
        delivery.at_ms = self.clock.now().timestamp_millis();
        delivery.arrivals = 1;
        self.state.put(ROOM, &delivery.key, &serde_json::to_value(&delivery)?)?;
        if self.print {
            print(&delivery);
        }
        Ok(id)
    }
}

#[expect(clippy::print_stdout, reason = "showing deliveries is what this channel is for")]
fn print(delivery: &Delivery) {
    println!("\n── delivered to {} ──\n{}\n──", delivery.to, delivery.text.trim_end());
}

async fn deliver(State(console): State<Console>, Json(delivery): Json<Delivery>) -> (StatusCode, Json<Value>) {
    match console.take(delivery) {
        Ok(id) => (StatusCode::OK, Json(json!({ "messageId": id }))),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": format!("{error:#}") }))),
    }
}
