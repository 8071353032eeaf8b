//! What tests of tools have in common.

use nightshift_domain::run::Run;
use serde_json::json;

/// A run that a tool is called for.
pub(crate) fn run(agent: &str) -> Run {
    let at = "2026-11-20T12:00:00Z";
    let run = json!({
        "key": "brief_20261120T120000Z", "jobId": "brief", "jobName": "Brief", "agentId": agent, "origin": "schedule",
        "slot": at, "sequence": 1, "task": { "task": "turn" }, "createdAt": at, "startedAt": at, "endedAt": null,
        "state": { "state": "due" }, "stateSince": at, "rev": 1, "turn": { "message": "" },
        "prompt": { "inline": "hello" }, "delivery": null,
    });
    serde_json::from_value(run).unwrap()
}
