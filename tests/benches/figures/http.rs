//! The API on the local stack: requests a second over one, eight and thirty-two connections.
//!
//! The stack is a process of its own; this one asks, on the same machine, so both share its cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nightshift_local::Ready;
use serde_json::{Value, json};

use crate::stopwatch::{Stopwatch, median, rate};
use crate::table::{Table, count, millis, ratio};

/// Connections, each asking again as soon as it is answered.
const CONNECTIONS: [usize; 3] = [1, 8, 32];
/// How long each figure is measured.
const LONG: Duration = Duration::from_secs(2);

/// A request that can be sent again and again.
#[derive(Debug, Clone)]
struct Ask {
    name: &'static str,
    url: String,
    token: String,
    /// `None` is a GET.
    body: Option<Value>,
}

impl Ask {
    async fn send(&self, http: &reqwest::Client) -> anyhow::Result<Value> {
        let request = match &self.body {
            None => http.get(&self.url),
            Some(body) => http.post(&self.url).json(body),
        };
        let answer = request.bearer_auth(&self.token).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{} answered {status}: {text}", self.name);
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}

/// What one figure came to.
struct Figure {
    per_second: f64,
    median: Duration,
}

/// Asks over `connections` for [`LONG`].
async fn load(ask: &Ask, connections: usize) -> anyhow::Result<Figure> {
    let (watch, answered) = (Stopwatch::start(), Arc::new(AtomicU64::new(0)));
    let askers = (0..connections).map(|_| {
        let (ask, answered) = (ask.clone(), answered.clone());
        tokio::spawn(async move {
            // A client of its own, so that it has a connection of its own.
            let http = reqwest::Client::new();
            let mut taken = Vec::new();
            while watch.elapsed() < LONG {
                let one = Stopwatch::start();
                ask.send(&http).await?;
                taken.push(one.elapsed());
                answered.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(taken)
        })
    });
    let mut taken = Vec::new();
    for asker in askers.collect::<Vec<_>>() {
        taken.extend(asker.await??);
    }
    let per_second = rate(answered.load(Ordering::Relaxed), watch.elapsed());
    taken.sort_unstable();
    Ok(Figure { per_second, median: median(&taken) })
}

/// Measures and prints.
pub(crate) async fn measure(ready: &Ready) -> anyhow::Result<()> {
    let post = |name: &'static str, body: Value| Ask {
        name,
        url: format!("{}/v1/{name}", ready.url),
        token: ready.token.clone(),
        body: Some(body),
    };
    let job = json!({
        "name": "Bench", "schedule": { "kind": "cron", "expr": "0 7 1 1 *" },
        "payload": { "kind": "agentTurn", "message": "Summarize the year." }, "delivery": { "mode": "announce" },
    });
    let add = post("cron.add", job);
    let added = add.send(&reqwest::Client::new()).await?;
    let id = added["jobId"].as_str().context("a new job has an id")?;
    let asks = [
        Ask { name: "GET /healthz", url: format!("{}/healthz", ready.url), token: ready.token.clone(), body: None },
        post("cron.get", json!({ "jobId": id })),
        post("cron.list", json!({ "limit": 20 })),
        add,
    ];
    let title =
        format!("API on the local stack: requests a second, {} s each; cron.list has 20 jobs a page", LONG.as_secs());
    let mut table =
        Table::new(title, &["connections", "1", "8", "32", "median at 1", "median at 32", "to /healthz at 8"]);
    let mut bare = 0.0;
    for ask in asks {
        let mut figures = Vec::new();
        for connections in CONNECTIONS {
            figures.push(load(&ask, connections).await?);
        }
        let [one, eight, many] = figures.as_slice() else { continue };
        if bare == 0.0 {
            bare = eight.per_second;
        }
        table.row(vec![
            ask.name.to_owned(),
            count(one.per_second),
            count(eight.per_second),
            count(many.per_second),
            millis(one.median),
            millis(many.median),
            ratio(eight.per_second, bare),
        ]);
    }
    table.print();
    Ok(())
}
