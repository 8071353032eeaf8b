//! What a model said goes back to it byte for byte.

use chrono::TimeDelta;
use nightshift_local::Options;
use nightshift_tests::local::{Local, start};
use serde_json::{Value, json};

use super::{PATHS, job};

/// Blocks of every kind, known and unknown, the last of which asks for a tool.
fn blocks(hop: u32) -> Value {
    json!([
        { "type": "thinking", "thinking": format!("Step {hop}: \u{e9} \u{1f319} \"quoted\" \\ back"), "signature": format!("EqQB/{hop}+==") },
        { "type": "redacted_thinking", "data": format!("b3BhcXVl{hop}") },
        { "type": "text", "text": format!("Looking, round {hop}.\n") },
        { "type": "from_2031", "zeta": hop, "alpha": { "z": [1.5, null, "\u{7f}"], "a": {} } },
        { "type": "tool_use", "id": format!("toolu_{hop}"), "name": "memory",
          "input": { "command": "view", "path": "/memories", "view_range": [1, hop] } },
    ])
}

fn script() -> Value {
    let asked = |hop| json!({ "match": "*", "times": 1, "content": blocks(hop) });
    let mut replies: Vec<Value> = (1..5).map(asked).collect();
    replies.push(json!({ "match": "*", "times": 1, "text": "Done looking." }));
    // Long enough that every realtime hop needs an invocation of its own, and the turn can be stopped between them.
    let slow = json!([{ "on": "messages", "do": "delay", "times": 100, "delayMs": 360_000 }]);
    json!({ "batchDurationMs": 60_000, "replies": replies, "faults": slow })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thinking_redacted_and_unknown_blocks_go_back_unchanged_over_five_hops_and_a_restart() {
    for path in PATHS {
        let local = Local::start().await;
        local.script(script());
        let id = local.add(&job(path, "Look around.")).await;
        local.ok("cron.run", &json!({ "jobId": id, "mode": "force" })).await;
        local.advance(6).await;
        let before = local.last_run(&id).await;
        assert!(before["status"].is_null(), "{path:?}: it is stopped half way: {before:#}");
        let (state, folder) = (local.dir.path().join("state"), local.dir.clone());
        let now = start() + TimeDelta::minutes(6);
        drop(local);

        let local = Local::with(Options::new(state).manual(now), folder).await;
        local.advance(60).await;
        let run = local.last_run(&id).await;
        assert_eq!((&run["status"], &run["text"]), (&json!("ok"), &json!("Done looking.")), "{path:?}: {run:#}");
        assert_eq!(run["hops"].as_array().unwrap().len(), 5);
        let sent = local.asked_of_model().await;
        for hop in 1..5 {
            let said = format!(r#"{{"role":"assistant","content":{}}}"#, blocks(hop));
            // Hop n is in every request after it.
            assert_eq!(
                sent.matches(&said).count(),
                5 - hop as usize,
                "{path:?}: hop {hop} was changed:\n{said}\n{sent}"
            );
        }
        let prefixes: Vec<&str> = sent.match_indices(r#""messages":["#).map(|(at, _)| &sent[at..at + 60]).collect();
        assert_eq!(prefixes.len(), 5, "five requests and no more");
        assert!(prefixes.windows(2).all(|pair| pair[0] == pair[1]), "{prefixes:?}");
    }
}
