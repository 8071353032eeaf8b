//! Where an answer goes whose job names no place: the agent's route, from its configured default to its last answer.

use nightshift_tests::chats::Chats;
use nightshift_tests::local::Local;
use serde_json::{Value, json};

/// The stack with its chats, and what was seen of these.
struct Stage {
    local: Local,
    chats: Chats,
    seen: usize,
}

impl Stage {
    async fn start() -> Self {
        let (local, chats) = (Local::start().await, Chats::serve().await);
        local.script(json!({ "replies": [{ "text": "All is well." }] }));
        let stage = Self { local, chats, seen: 0 };
        stage.default_route(&json!({ "channel": "telegram", "to": "-1001:topic:9" })).await;
        stage
    }

    /// Configures the route of agent `main`; there is another agent, `other`, without one.
    async fn default_route(&self, route: &Value) {
        let entries = json!({ "main": { "default": true, "defaultRoute": route }, "other": {} });
        let channels = self.chats.config(self.local.dir.path());
        self.local.configure(&json!({ "agents": { "entries": entries }, "channels": channels })).await;
    }

    /// Adds a job, runs it, and tells where what it sent arrived, and how its run ended.
    async fn ran(&mut self, agent: &str, delivery: &Value) -> (Vec<String>, Value) {
        let job = json!({
            "agentId": agent, "schedule": { "kind": "every", "everyMs": 86_400_000 }, "delivery": delivery,
            "payload": { "kind": "agentTurn", "message": "How is it?", "toolsAllow": ["message"] },
        });
        let id = self.local.add(&job).await;
        self.local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
        self.local.advance(3).await;
        let run = self.local.last_run(&id).await;
        let arrived = self.chats.arrived();
        let news = arrived[self.seen..].iter().map(|one| match one.channel {
            "telegram" => format!("telegram {} {}", one.body["chat_id"], one.body["message_thread_id"]),
            channel => format!("{channel} {}", one.body["channel"]),
        });
        let news = news.map(|place| place.replace('"', "")).collect();
        self.seen = arrived.len();
        (news, run)
    }

    async fn went(&mut self, agent: &str, delivery: &Value, place: &str) {
        let (places, run) = self.ran(agent, delivery).await;
        assert_eq!((places, &run["deliveryStatus"]), (vec![place.to_owned()], &json!("delivered")), "{run:#}");
    }
}

fn nowhere_named() -> Value {
    json!({ "mode": "announce" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_names_no_place_follows_the_last_one_of_its_agent_and_at_first_the_default() {
    let mut stage = Stage::start().await;
    stage.went("main", &nowhere_named(), "telegram -1001 9").await;
    stage.went("main", &json!({ "mode": "announce", "channel": "slack", "to": "channel:C1" }), "slack C1").await;
    stage.went("main", &nowhere_named(), "slack C1").await;
    stage.went("main", &json!({ "mode": "announce", "channel": "last" }), "slack C1").await;
    // Who names a channel means his route there: here the default one.
    let telegram = json!({ "mode": "announce", "channel": "telegram" });
    stage.went("main", &telegram, "telegram -1001 9").await;
    stage.went("main", &nowhere_named(), "telegram -1001 9").await;
    // And who names a place without a channel means one of the channel he is on.
    stage.went("main", &json!({ "mode": "announce", "to": "-1002" }), "telegram -1002 null").await;
    stage.went("main", &nowhere_named(), "telegram -1002 null").await;
    // Whoever sets another default wants it to hold.
    stage.default_route(&json!({ "channel": "slack", "to": "C7" })).await;
    stage.went("main", &nowhere_named(), "slack C7").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_answer_that_arrived_moves_a_route_and_only_its_agents() {
    let mut stage = Stage::start().await;
    stage.went("other", &json!({ "mode": "announce", "channel": "slack", "to": "C5" }), "slack C5").await;
    stage.went("main", &nowhere_named(), "telegram -1001 9").await;
    stage.went("other", &nowhere_named(), "slack C5").await;

    // One that did not arrive.
    stage.went("main", &json!({ "mode": "announce", "channel": "slack", "to": "C1" }), "slack C1").await;
    stage.chats.set_gone(true);
    let (places, run) = stage.ran("main", &json!({ "mode": "announce", "channel": "telegram", "to": "-1" })).await;
    assert_eq!((places.len(), &run["deliveryStatus"]), (0, &json!("failed")), "{run:#}");
    stage.chats.set_gone(false);
    stage.went("main", &nowhere_named(), "slack C1").await;

    // One to an address.
    let hook = json!({ "mode": "webhook", "to": format!("{}/hook", stage.chats.url) });
    stage.ran("main", &hook).await;
    stage.went("main", &nowhere_named(), "slack C1").await;

    // One that the model chose.
    let input = json!({ "channel": "slack", "to": "C666", "text": "psst" });
    let call = json!({ "times": 1, "content": [{ "type": "tool_use", "name": "message", "input": input }] });
    stage.local.script(json!({ "replies": [call, { "text": "All is well." }] }));
    let (places, run) = stage.ran("main", &nowhere_named()).await;
    assert_eq!(places, ["slack C666", "slack C1"], "{run:#}");
    stage.local.script(json!({ "replies": [{ "text": "All is well." }] }));
    stage.went("main", &nowhere_named(), "slack C1").await;
}
