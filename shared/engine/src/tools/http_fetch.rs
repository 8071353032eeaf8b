//! `http_fetch`: one GET of an address the model names, through the guard against internal ones.
//!
//! It reads only, so a repeat is harmless.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::Value;

use crate::error::EngineError;
use crate::ports::{WebAnswer, WebFault, WebFaultKind, WebMethod, WebRequest};

use super::fields::Fields;
use super::page::text_of;
use super::{Answer, Call};

/// How much of a body is read, bytes.
const MOST_BYTES: usize = 2 * 1024 * 1024;
/// Most characters of an error page that the model is shown.
const ERROR_MAX: usize = 2_000;
/// What is asked for: text, best as the far side has it.
const ACCEPT: &str = "text/html, application/xhtml+xml, application/json, text/plain, application/xml;q=0.9, */*;q=0.5";

/// Fetches.
pub(super) async fn run(call: Call<'_>, input: Value) -> Result<Answer, EngineError> {
    let mut fields = Fields::of(&input);
    let url = fields.text("url").to_owned();
    if let Err(told) = fields.end() {
        return Ok(Answer::error(told));
    }
    let request = WebRequest {
        method: WebMethod::Get,
        url,
        headers: vec![("accept".to_owned(), ACCEPT.to_owned())],
        body: Bytes::new(),
        most_bytes: MOST_BYTES,
    };
    let policy = &call.scene.config.cron.webhook_ssrf_policy;
    let answer = match call.scene.deps.web.send(policy, &request, call.deadline).await {
        Ok(answer) => answer,
        Err(WebFault { kind: WebFaultKind::Refused, message }) => {
            return Ok(Answer::error(format!("url was not fetched: {message}")));
        }
        Err(WebFault { kind: WebFaultKind::NotSent | WebFaultKind::Unknown, message }) => {
            return Ok(Answer::error(format!("url could not be fetched: {message}")));
        }
    };
    // A large page takes a while to lay out, and a library's panic over one must not take the run with it.
    let told = tokio::task::spawn_blocking(move || told(&answer)).await;
    Ok(told.unwrap_or_else(|_| Answer::error("the page was fetched, but cannot be turned into text")))
}

/// What the model is told of an answer.
fn told(answer: &WebAnswer) -> Answer {
    let WebAnswer { status, content_type, url, body, truncated, .. } = answer;
    let mut head = format!("URL: {url}\nStatus: {status}\n");
    if let Some(content_type) = content_type {
        let _ = writeln!(head, "Content-Type: {content_type}");
    }
    let text = text_of(content_type.as_deref(), body, *truncated);
    if !(200..300).contains(status) {
        if (300..400).contains(status) {
            head.push_str("It leads on to another address once too often, or to none.\n");
        }
        let Ok(text) = text else { return Answer::error(head) };
        let beginning: String = text.trim().chars().take(ERROR_MAX).collect();
        return Answer::error(format!("{head}\n{beginning}"));
    }
    match text {
        Err(what) => Answer::error(format!("{head}\nthe body cannot be shown: {what}")),
        Ok(text) => {
            if *truncated {
                let _ = writeln!(head, "Only the first {} bytes were read.", body.len());
            }
            Answer::ok(format!("{head}\n{text}"))
        }
    }
}
