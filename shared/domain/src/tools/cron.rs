//! `cron`: the agent's own jobs.

use serde_json::{Value, json};

/// Actions that only read.
const READS: [&str; 4] = ["status", "list", "get", "runs"];

pub(super) fn definition() -> Value {
    json!({
        "name": "cron",
        "description": "Your own scheduled jobs. `status`, `list`, `get` and `runs` look; `add` takes a job, `update` a jobId and a patch, `remove` and `run` a jobId. A job has a schedule ({\"kind\":\"at\",\"at\":…}, {\"kind\":\"every\",\"everyMs\":…} or {\"kind\":\"cron\",\"expr\":…,\"tz\":…}) and a payload ({\"kind\":\"agentTurn\",\"message\":…}). A job you add, or whose words you change, has at most the tools you have now, and answers where you answer now unless its delivery is {\"mode\":\"none\"}. `next_check` moves the next run of the job you are run by, once, to `in` from now: what its schedule says before that is skipped, what it says later stays. You may change, disable or remove the job you are run by; when you remove it, this run's answer is not sent.",
        "input_schema": {
            "type": "object",
            "properties": {
                "action": { "type": "string", "enum": ["status", "list", "get", "add", "update", "remove", "run", "runs", "next_check"] },
                "jobId": { "type": "string", "description": "For get, update, remove, run and runs; `status` says the id of the job you are run by." },
                "job": { "type": "object", "description": "For add." },
                "patch": { "type": "object", "description": "For update: only what is to change, such as {\"enabled\":false}." },
                "in": { "type": "string", "description": "For next_check: from 60s to 30d, such as 20m or 2h." }
            },
            "required": ["action"],
            "additionalProperties": false
        }
    })
}

pub(super) fn acts(input: &Value) -> bool {
    input["action"].as_str().is_none_or(|action| !READS.contains(&action))
}
