//! Tools the user declares: a signed POST of the call as JSON, to an address the configuration names.
//!
//! A call is made once. The receiver can tell a repeat by its `Idempotency-Key`, `<runId>-<call>`, and a forgery by the
//! signature of [`nightshift_domain::signing`]. The address goes through the guard against internal ones; redirects are not
//! followed.

use std::fmt::Write as _;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use nightshift_domain::config::WebhookTool;
use nightshift_domain::signing::{SIGNATURE_HEADER, sign};
use nightshift_domain::tools::schema::faults;
use serde::Serialize;
use serde_json::Value;
use tracing::warn;

use crate::error::EngineError;
use crate::ports::{WebAnswer, WebFaultKind, WebMethod, WebRequest};

use super::page::text_of;
use super::{Answer, Call};

/// How much of an answer is read, bytes.
const MOST_BYTES: usize = 1024 * 1024;
/// Most characters of a refusal that the model is shown.
const ERROR_MAX: usize = 2_000;

/// What the receiver gets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    tool: &'a str,
    input: &'a Value,
    run_id: &'a str,
    job_id: &'a str,
    agent_id: &'a str,
    call: &'a str,
}

/// Calls.
pub(super) async fn run(call: Call<'_>, name: &str, tool: &WebhookTool, input: Value) -> Result<Answer, EngineError> {
    match faults(&tool.input_schema, &input) {
        Ok(faults) if faults.is_empty() => {}
        Ok(faults) => {
            let told = faults.join("; ");
            return Ok(Answer::error(format!("nothing was sent: the input does not fit the tool's schema: {told}")));
        }
        Err(reason) => {
            warn!(run.id = %call.run.key, "webhookTools.{name}.inputSchema cannot be used: {reason}");
            return Ok(Answer::error("nothing was sent: the schema this tool is configured with cannot be used"));
        }
    }
    let Call { scene, run, key, deadline } = call;
    let now = scene.deps.clock.now();
    let body = Body {
        tool: name,
        input: &input,
        run_id: run.key.as_str(),
        job_id: run.job_id.as_str(),
        agent_id: &run.agent_id,
        call: key,
    };
    let Ok(body) = serde_json::to_vec(&body) else {
        return Ok(Answer::error("nothing was sent: the input cannot be written as JSON"));
    };
    let mut headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("accept".to_owned(), "application/json, text/plain;q=0.9, */*;q=0.5".to_owned()),
        ("idempotency-key".to_owned(), format!("{}-{key}", run.key)),
    ];
    if let Some(reference) = &tool.secret {
        match scene.deps.secrets.resolve(reference).await {
            Ok(secret) if !secret.expose().is_empty() => {
                let signature = sign(secret.expose().as_bytes(), now.timestamp(), &body);
                headers.push((SIGNATURE_HEADER.to_owned(), signature));
            }
            empty_or_not => {
                let reason = empty_or_not.err().unwrap_or_else(|| "it is empty".to_owned());
                warn!(run.id = %run.key, "the secret of webhookTools.{name} cannot be used: {reason}");
                return Ok(Answer::error("nothing was sent: the secret that signs this tool's calls cannot be had"));
            }
        }
    }
    let request = WebRequest {
        method: WebMethod::Post,
        url: tool.url.clone(),
        headers,
        body: Bytes::from(body),
        most_bytes: MOST_BYTES,
    };
    Ok(match scene.deps.web.send(&scene.config.cron.webhook_ssrf_policy, &request, deadline).await {
        Ok(answer) => told(name, &answer, scene.deps.clock.now()),
        Err(fault) => {
            let effect = match fault.kind {
                WebFaultKind::Refused | WebFaultKind::NotSent => Effect::None,
                WebFaultKind::Unknown => Effect::NotKnown,
            };
            Answer::error(format!("{name} could not be called: {}; {}", fault.message, effect.sentence()))
        }
    })
}

/// Whether a call that went wrong may have done something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    None,
    NotKnown,
}

impl Effect {
    /// What a status other than 2xx says. "Too Early" (RFC 8470) and "Too Many Requests" (RFC 6585) say that nothing was
    /// done, as other refusals do; 408 says that the request was not seen whole, which a proxy may say of one that went on.
    fn of(status: u16) -> Self {
        match status {
            408 => Self::NotKnown,
            400..=499 => Self::None,
            _ => Self::NotKnown,
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::None => "it did not take effect",
            Self::NotKnown => "whether it took effect is not known, so do not simply repeat it",
        }
    }
}

/// What the model is told of an answer.
fn told(name: &str, answer: &WebAnswer, now: DateTime<Utc>) -> Answer {
    let WebAnswer { status, content_type, body, truncated, retry_after, .. } = answer;
    let text = text_of(content_type.as_deref(), body, *truncated);
    if (200..300).contains(status) {
        return Answer::ok(match text {
            _ if body.is_empty() => format!("{name} answered {status} without a body"),
            Err(what) => format!("{name} answered {status}; its body cannot be shown: {what}"),
            Ok(text) if *truncated => format!("{text}\n\n[only the first {} bytes were read]", body.len()),
            Ok(text) => text,
        });
    }
    let mut said = format!("{name} answered {status}; {}", Effect::of(*status).sentence());
    if (300..400).contains(status) {
        said.push_str("; redirects are not followed");
    }
    if let (425 | 429 | 503, Some(wait)) = (status, retry_after) {
        let _ = write!(said, "; it asks not to be called again before {}", instant(now, *wait));
    }
    let shown: String = text.unwrap_or_default().trim().chars().take(ERROR_MAX).collect();
    if !shown.is_empty() {
        said.push_str("\n\n");
        said.push_str(&shown);
    }
    Answer::error(said)
}

fn instant(now: DateTime<Utc>, wait: TimeDelta) -> String {
    (now + wait).to_rfc3339_opts(SecondsFormat::Secs, true)
}
