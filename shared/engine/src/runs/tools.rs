//! Runs the tools a hop asked for, and puts what they say into the conversation.
//!
//! Guarantee: an acting call is written down as begun before it is made, so that no crash makes it twice: one that is found
//! begun is answered as an error whose outcome is not known. Reading calls may be repeated. Calls run side by side, those of
//! one tool that keeps something one after the other; the model
//! gets one message with a result for every one of them, in the order it asked.

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use futures::stream::{self, BoxStream, SelectAll};
use nightshift_domain::model::Role;
use nightshift_domain::run::{CallState, Event, Run, Said, State, ToolCall, Via};
use nightshift_domain::tools::{RESULT_MAX, acts};
use serde::Serialize;
use serde_json::Value;
use tracing::{info, warn};

use crate::error::EngineError;
use crate::tools::{Answer, Call, execute, timeout_of};

use super::Scene;
use super::commit::{Along, Moved, apply, save};
use super::realtime::{Renewed, renewing};
use super::texts::{load_text, talk_text};

/// What an invocation keeps for itself after the tools have run.
const RESERVE: TimeDelta = TimeDelta::seconds(30);
/// More than this is asked of no invocation: the longest that `trigger` has is 15 minutes, and it wants its reserve.
const MOST_ASKED: TimeDelta = TimeDelta::minutes(13);
/// Tools whose calls of one hop are made in the order they were asked for; all others run side by side.
const IN_LINE: [&str; 3] = ["message", "memory", "cron"];
/// What the model is told of a call that a crash interrupted.
const UNKNOWN: &str = "the call was interrupted; whether it took effect is not known, so it was not repeated";

/// Runs the open calls of the run's hop, whose lease we hold. `None` when the run is somebody else's by now.
///
/// # Crash safety
/// Stopped before the calls are written as begun, nothing happened; after it, acting calls are not made again. Every acting
/// call's result is written as it comes, so that a stop costs at most what was under way.
pub(super) async fn run_tools(scene: Scene<'_>, run: Run) -> Result<Option<Moved>, EngineError> {
    let State::Tools { hop, .. } = run.state else { return Ok(None) };
    let now = scene.deps.clock.now();
    if run.plan.as_ref().is_some_and(|plan| now >= plan.deadline) {
        return apply(scene, &run, Event::DeadlinePassed, Along::default()).await;
    }
    let longest = run.talk.asked_of(hop).map(|call| timeout_of(&call.name, scene.config)).max().unwrap_or_default();
    let bound = scene.invocation.deadline - RESERVE;
    if bound < now + longest.min(MOST_ASKED) {
        return apply(scene, &run, Event::TimeRanOut, Along::default()).await;
    }
    let Some(run) = begun(scene, run, hop, now).await? else { return Ok(None) };
    let Some(run) = Box::pin(finished(scene, run, hop, bound)).await? else { return Ok(None) };
    let run = told(scene, run, hop).await?;
    apply(scene, &run, Event::ToolsRan, Along::default()).await
}

/// The run with its acting calls written as begun. Those that were begun before are given up.
async fn begun(scene: Scene<'_>, run: Run, hop: u32, now: DateTime<Utc>) -> Result<Option<Run>, EngineError> {
    let mut next = run.clone();
    for at in open(&run, hop) {
        let call = &mut next.talk.calls[at];
        let acting = acts(&call.name, &input(scene, &run, call).await?.unwrap_or_default());
        call.state = match call.state {
            CallState::Asked if acting => CallState::Started { at: now },
            CallState::Started { .. } if acting => {
                warn!(run.id = %run.key, "{} of run {} was interrupted", call.name, run.key);
                done(scene, &run, Answer::error(UNKNOWN), now).await?
            }
            CallState::Asked | CallState::Started { .. } | CallState::Done { .. } => continue,
        };
    }
    if next == run {
        return Ok(Some(run));
    }
    next.rev += 1;
    Ok(save(scene, &next).await?.then_some(next))
}

/// The run with all calls of the hop over.
async fn finished(scene: Scene<'_>, mut run: Run, hop: u32, bound: DateTime<Utc>) -> Result<Option<Run>, EngineError> {
    let snapshot = run.clone();
    let mut left = open(&run, hop).len();
    let lines = in_line(&run, open(&run, hop));
    let mut under_way: SelectAll<BoxStream<'_, Result<(usize, Answer), EngineError>>> = lines
        .into_iter()
        .map(|line| {
            let run = &snapshot;
            stream::iter(line)
                .then(move |at| async move { Ok((at, made(scene, run, &run.talk.calls[at], bound).await?)) })
                .boxed()
        })
        .collect();
    loop {
        let Renewed::Held(held, next) = renewing(scene, run, under_way.next()).await? else { return Ok(None) };
        run = *held;
        let Some(next) = next else { return Ok(Some(run)) };
        let (at, answer) = next?;
        let now = scene.deps.clock.now();
        let acted = matches!(run.talk.calls[at].state, CallState::Started { .. });
        run.talk.calls[at].state = done(scene, &run, answer, now).await?;
        info!(run.id = %run.key, "{} of run {} came back", run.talk.calls[at].name, run.key);
        // The last one is written with the message that tells the model of all of them.
        left -= 1;
        if acted && left > 0 {
            run.rev += 1;
            if !save(scene, &run).await? {
                return Ok(None);
            }
        }
    }
}

/// The calls, those of one tool that keeps something in one line: a model that writes two messages, or a file and then a
/// change of it, means them in that order.
fn in_line(run: &Run, calls: Vec<usize>) -> Vec<Vec<usize>> {
    let mut lines: Vec<Vec<usize>> = Vec::new();
    for at in calls {
        let name = &run.talk.calls[at].name;
        let line =
            lines.iter_mut().find(|line| IN_LINE.contains(&name.as_str()) && run.talk.calls[line[0]].name == *name);
        match line {
            Some(line) => line.push(at),
            None => lines.push(vec![at]),
        }
    }
    lines
}

async fn made(scene: Scene<'_>, run: &Run, call: &ToolCall, bound: DateTime<Utc>) -> Result<Answer, EngineError> {
    let offered = run.plan.as_ref().is_some_and(|plan| plan.client_tools.contains(&call.name));
    if !offered {
        return Ok(Answer::error(format!("there is no tool \"{}\"", call.name)));
    }
    let Some(input) = input(scene, run, call).await? else {
        return Ok(Answer::error("the input is not a JSON object"));
    };
    let deadline = bound.min(scene.deps.clock.now() + timeout_of(&call.name, scene.config));
    let key = call.key();
    Ok(execute(Call { scene, run, key: &key, deadline }, &call.name, input).await)
}

/// The call's input; `None` where the model wrote something else than a JSON object.
async fn input(scene: Scene<'_>, run: &Run, call: &ToolCall) -> Result<Option<Value>, EngineError> {
    let input: Option<Value> = serde_json::from_str(&load_text(scene.deps, &run.key, &call.input).await?).ok();
    Ok(input.filter(Value::is_object))
}

/// The places of the hop's calls that are not over.
fn open(run: &Run, hop: u32) -> Vec<usize> {
    let calls = run.talk.calls.iter().enumerate();
    calls.filter(|(_, call)| call.hop == hop && call.via == Via::Hop && !call.is_done()).map(|(at, _)| at).collect()
}

/// What is kept of an answer: cut to what a model is told of a tool at most.
async fn done(scene: Scene<'_>, run: &Run, answer: Answer, now: DateTime<Utc>) -> Result<CallState, EngineError> {
    let Answer { text, is_error, sent_to } = answer;
    let (text, cut_from) = cut(text);
    let result = talk_text(scene.deps, run, text).await?;
    Ok(CallState::Done { at: now, is_error, result, cut_from, sent_to })
}

/// The text, or as much of it as a model is told, and how long it was.
pub(crate) fn cut(text: String) -> (String, Option<u64>) {
    match text.char_indices().nth(RESULT_MAX) {
        None => (text, None),
        Some((at, _)) => {
            let was = text.len();
            let short = format!("{}\n\n[cut here: {at} of {was} bytes are shown]", &text[..at]);
            (short, Some(was as u64))
        }
    }
}

#[derive(Serialize)]
struct ToolResult<'a> {
    r#type: &'static str,
    tool_use_id: &'a str,
    content: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_error: bool,
}

/// The run with one message that holds the result of every call of the hop, results only: text after them teaches a model to
/// end its turns empty (Messages API, "handling stop reasons").
async fn told(scene: Scene<'_>, mut run: Run, hop: u32) -> Result<Run, EngineError> {
    let mut results = Vec::new();
    for call in run.talk.asked_of(hop) {
        let CallState::Done { is_error, result, .. } = &call.state else { continue };
        let content = load_text(scene.deps, &run.key, result).await?;
        results.push(ToolResult { r#type: "tool_result", tool_use_id: &call.id, content, is_error: *is_error });
    }
    let content = serde_json::to_string(&results).unwrap_or_default();
    let content = talk_text(scene.deps, &run, content).await?;
    run.talk.said.push(Said { role: Role::User, content });
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_result_is_cut_between_characters_and_says_so() {
        let (text, cut_from) = cut("é".repeat(RESULT_MAX + 1));
        assert!(text.starts_with(&"é".repeat(RESULT_MAX)));
        assert!(text.ends_with(&format!("[cut here: {} of {} bytes are shown]", 2 * RESULT_MAX, 2 * RESULT_MAX + 2)));
        assert_eq!(cut_from, Some(2 * RESULT_MAX as u64 + 2));
        assert_eq!(cut("short".into()), ("short".into(), None));
    }
}
