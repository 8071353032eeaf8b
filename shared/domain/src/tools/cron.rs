//! `cron`: the agent's own jobs.

use serde_json::{Value, json};

/// Actions that only read.
const READS: [&str; 4] = ["status", "list", "get", "runs"];

pub(super) fn definition() -> Value {
    json!({
        "name": "cron",
        "description": "Your own scheduled jobs. `status`, `list`, `get` and `runs` look; `add` takes a job, `update` a jobId and a patch, `remove` and `run` a jobId. `next_check` moves this recurring job's next run once, to `in` from now. A job has a schedule ({\"kind\":\"at\",\"at\":…}, {\"kind\":\"every\",\"everyMs\":…} or {\"kind\":\"cron\",\"expr\":…,\"tz\":…}) and a payload ({\"kind\":\"agentTurn\",\"message\":…}).",
        "input_schema": {
            "type": "object",
            "properties": {
                "action": { "type": "string", "enum": ["status", "list", "get", "add", "update", "remove", "run", "runs", "next_check"] },
                "jobId": { "type": "string" },
                "job": { "type": "object", "description": "For add." },
                "patch": { "type": "object", "description": "For update." },
                "in": { "type": "string", "description": "For next_check: a duration such as 20m or 2h." }
            },
            "required": ["action"],
            "additionalProperties": false
        }
    })
}

pub(super) fn acts(input: &Value) -> bool {
    input["action"].as_str().is_none_or(|action| !READS.contains(&action))
}
