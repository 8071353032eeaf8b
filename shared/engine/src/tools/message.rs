//! `message`: sends a text to a chat.
//!
//! Guarantee: at most once per chunk and call. The chunks are rows of the delivery ledger under the call's key, so that the
//! same call never sends one twice; nothing waits for a later try, and what could not be sent is told.

use std::fmt::Write as _;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use nightshift_domain::delivery::{Chunk, ChunkState, Target, channel_of, deliverable};
use nightshift_domain::job::DeliveryMode;
use nightshift_domain::run::Run;
use serde_json::Value;

use crate::deliver::ledger::{Part, Patience, Sending, planned, send_all};
use crate::error::EngineError;
use crate::ports::Channel;
use crate::runs::target::{NoTarget, Resolved, Wish, resolve};

use super::fields::Fields;
use super::{Answer, Call};

/// What a call keeps of its time to write down what came of the last send.
const RESERVE: TimeDelta = TimeDelta::seconds(5);
/// Most characters of a text that was not sent that the model is reminded of.
const REMINDER_MAX: usize = 80;

/// What the model asks for.
#[derive(Debug)]
struct Wanted {
    text: String,
    channel: Option<String>,
    to: Option<String>,
    thread: Option<String>,
    account: Option<String>,
}

impl Wanted {
    fn read(input: &Value) -> Result<Self, String> {
        let mut fields = Fields::of(input);
        let wanted = Self {
            text: fields.text("text").to_owned(),
            channel: fields.optional("channel").filter(|name| name != "last"),
            to: fields.optional("to"),
            thread: fields.optional("threadId"),
            account: fields.optional("accountId"),
        };
        fields.end()?;
        if deliverable(&wanted.text).is_err() {
            return Err("nothing was sent: text is only the token that says there is nothing to send".to_owned());
        }
        if wanted.channel.as_deref() == Some("webhook") {
            return Err("nothing was sent: channel names a webhook, which is no chat".to_owned());
        }
        Ok(wanted)
    }
}

/// Sends.
///
/// # Crash safety
/// Rows before sends: a repeat of the call goes on where the rows say it stopped, to the place they name.
pub(super) async fn run(call: Call<'_>, input: Value) -> Result<Answer, EngineError> {
    let wanted = match Wanted::read(&input) {
        Ok(wanted) => wanted,
        Err(told) => return Ok(Answer::error(told)),
    };
    let Call { scene, run, key, deadline } = call;
    let begun = scene.deps.store.chunks(&run.key, key).await?;
    let place = match begun.first() {
        Some(first) => reopened(call, &first.target).await,
        None => place(call, &wanted).await?.map_err(|why| format!("nothing was sent: {why}")),
    };
    let Resolved { target, channel } = match place {
        Ok(place) => place,
        Err(told) => return Ok(Answer::error(told)),
    };
    let part = Part { run: &run.key, origin: key, target: &target };
    let chunks = planned(scene, part, begun, channel.as_ref(), &wanted.text).await?;
    if chunks.is_empty() {
        let what = format!("nothing was sent: nothing is left of text in the format of {}", target.channel);
        return Ok(Answer::error(what));
    }
    Ok(match send_all(scene, channel.as_ref(), chunks, Patience::Until(deadline - RESERVE)).await? {
        Sending::Over(chunks) => told(&target, &chunks, None),
        Sending::Later(at, chunks) => told(&target, &chunks, Some(at)),
        Sending::Taken => Answer::error(format!(
            "another attempt at the same call is under way; whether the message reaches {} is not known, so do not send it again",
            named(&target)
        )),
    })
}

/// The place an earlier attempt at the same call was made for, whatever the configuration says by now.
async fn reopened(call: Call<'_>, target: &Target) -> Result<Resolved, String> {
    let opened: Result<Arc<dyn Channel>, _> =
        call.scene.deps.channels.open(call.scene.config, &target.channel, Some(&target.account)).await;
    match opened {
        Ok(channel) => Ok(Resolved { target: target.clone(), channel }),
        Err(error) => {
            Err(format!("an earlier attempt was cut off, and how much of it was sent is not known; now {error}"))
        }
    }
}

/// Where the message goes: as asked, else where the run's answer goes, else the agent's route.
async fn place(call: Call<'_>, wanted: &Wanted) -> Result<Result<Resolved, String>, EngineError> {
    let Call { scene, run, .. } = call;
    let own = own_target(run);
    let (channel, account) = (wanted.channel.as_deref(), wanted.account.as_deref());
    let is_own = |own: &&Target| {
        channel.is_none_or(|name| name == own.channel) && account.is_none_or(|name| name == own.account)
    };
    if let Some(own) = own.filter(|own| wanted.to.is_none() && is_own(own)) {
        return Ok(own_place(call, own, wanted.thread.as_deref()).await);
    }
    // A target may name its channel in front of itself.
    let prefixed = || wanted.to.as_deref().and_then(channel_of);
    let channel = channel.or_else(prefixed).or_else(|| own.map(|own| own.channel.as_str()));
    let own = own.filter(|own| Some(own.channel.as_str()) == channel);
    let wish = Wish {
        channel,
        to: wanted.to.as_deref(),
        thread: wanted.thread.as_deref(),
        account: account.or_else(|| own.map(|own| own.account.as_str())),
    };
    Ok(resolve(scene.deps, scene.config, wish, &run.agent_id).await?.map_err(|why| {
        let channels = matches!(why, NoTarget::Channel(_)).then(|| scene.deps.channels.configured(scene.config));
        let mut sentence = why.sentence("the message", "to");
        if let Some(channels) = channels.filter(|channels| !channels.is_empty()) {
            let _ = write!(sentence, "; say channel and to, for one of {}", channels.join(", "));
        }
        sentence
    }))
}

/// Where the run's answer goes, in `thread` where one is named.
async fn own_place(call: Call<'_>, own: &Target, thread: Option<&str>) -> Result<Resolved, String> {
    let opened = call.scene.deps.channels.open(call.scene.config, &own.channel, Some(&own.account)).await;
    let channel = opened.map_err(|error| error.to_string())?;
    let mut target = own.clone();
    if let Some(thread) = thread {
        target.thread = channel.target(&own.to, Some(thread)).map_err(|error| error.to_string())?.thread;
    }
    Ok(Resolved { target, channel })
}

/// The chat the run's answer goes to; a webhook is none.
fn own_target(run: &Run) -> Option<&Target> {
    let announced = run.delivery.as_ref().is_some_and(|delivery| delivery.mode == DeliveryMode::Announce);
    run.plan.as_ref().filter(|_| announced)?.target.as_ref()
}

/// A place, for the model.
fn named(target: &Target) -> String {
    let mut name = format!("{} {}", target.channel, target.to);
    if let Some(thread) = &target.thread {
        let _ = write!(name, ", thread {thread}");
    }
    if target.account != "default" {
        let _ = write!(name, ", from account {}", target.account);
    }
    name
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What the model is told of a message that was sent as `chunks`; `later` is when what is left might be taken.
fn told(target: &Target, chunks: &[Chunk], later: Option<DateTime<Utc>>) -> Answer {
    let ids: Vec<&str> = chunks
        .iter()
        .filter_map(|chunk| match &chunk.state {
            ChunkState::Sent { message_id, .. } => Some(message_id.as_str()),
            ChunkState::Planned
            | ChunkState::Sending { .. }
            | ChunkState::Failed { .. }
            | ChunkState::Refused { .. }
            | ChunkState::Unknown { .. } => None,
        })
        .collect();
    if ids.len() == chunks.len() {
        let sent = match ids.as_slice() {
            [id] => format!("sent to {}: message id {id}", named(target)),
            ids => format!("sent to {} in {} messages: ids {}", named(target), ids.len(), ids.join(", ")),
        };
        return Answer { sent_to: Some(target.clone()), ..Answer::ok(sent) };
    }
    if let [only] = chunks {
        return Answer::error(format!("to {}: {}", named(target), fate(only, later)));
    }
    let mut text =
        format!("the text takes {} messages to {}, and not all of them were sent:", chunks.len(), named(target));
    for chunk in chunks {
        let _ = write!(text, "\n- message {}: {}", chunk.index + 1, fate(chunk, later));
    }
    if let Some(first) = chunks.iter().find(|chunk| !may_have_arrived(chunk)) {
        let body = first.plain.as_ref().unwrap_or(&first.text);
        let beginning: String = body.trim().chars().take(REMINDER_MAX).collect();
        let _ = write!(
            text,
            "\nDo not send again what was sent or may have been. What was not sent begins with \"{beginning}\""
        );
    }
    Answer::error(text)
}

fn may_have_arrived(chunk: &Chunk) -> bool {
    match &chunk.state {
        ChunkState::Sent { .. } | ChunkState::Sending { .. } | ChunkState::Unknown { .. } => true,
        ChunkState::Failed { unsure_since, .. } => unsure_since.is_some(),
        ChunkState::Planned | ChunkState::Refused { .. } => false,
    }
}

/// What became of one message.
fn fate(chunk: &Chunk, later: Option<DateTime<Utc>>) -> String {
    match &chunk.state {
        ChunkState::Sent { message_id, .. } => format!("sent, message id {message_id}"),
        ChunkState::Refused { error } => format!("not sent, refused for good: {error}"),
        ChunkState::Failed { retry_at, error, unsure_since: None } => {
            format!("not sent: {error}; a new call may send it from {} on, not earlier", time(*retry_at))
        }
        ChunkState::Failed { error, unsure_since: Some(_), .. } | ChunkState::Unknown { error, .. } => {
            format!("whether it was sent is not known, so do not send it again: {error}")
        }
        ChunkState::Sending { .. } => "whether it was sent is not known, so do not send it again".to_owned(),
        ChunkState::Planned => match later {
            Some(at) => format!("not sent; a new call may send it from {} on", time(at)),
            None => "not sent".to_owned(),
        },
    }
}
