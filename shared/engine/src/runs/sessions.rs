//! Named sessions: who has one, who waits for it, and what a run takes from it and leaves in it.
//!
//! Guarantee: one run at a time has a session, from the write that plans it to the write that ends its turn; these two are
//! the only ones that change it for the run, so a crash leaves neither a session without a run nor a turn that is in it twice.
//! Whoever gives a session back wakes the first in line; the sweeper does where that wake was lost. A holder that is over or
//! gone, which no write of ours leaves behind, is found by looking at its row and replaced.
//!
//! A session is taken before a place for a realtime turn, and kept while its run waits for one: a run that has a place never
//! waits for a session, so the two cannot wait for each other.

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use nightshift_domain::RunKey;
use nightshift_domain::delivery::acknowledges;
use nightshift_domain::model::{HopRequest, Reply, Role, TurnMessage};
use nightshift_domain::run::{Run, Said, State, Text, Transition};
use nightshift_domain::session::{
    self, Change, Exchange, Hold, INSTRUCTION, Session, Summary, answer_kept, holds, keeps, lines_up, stands_in_line,
};
use serde::Deserialize;
use serde_json::Value;
use tracing::{info, warn};

use crate::deps::Deps;
use crate::error::EngineError;
use crate::heartbeat::{Seen, events_after};
use crate::ports::SystemEvent;

use super::Scene;
use super::texts::{TALK_INLINE_MAX, digest, keep_under, load_text};

/// How many blobs are read or removed at a time.
const AT_ONCE: usize = 8;

/// A transition, and what becomes of its run's session with it.
#[derive(Debug)]
pub(crate) struct Stepped {
    /// The transition; another one where the run has to wait.
    pub transition: Transition,
    /// What is written with it.
    pub change: Option<Change>,
    /// Who is to be woken after it.
    pub wake: Option<RunKey>,
    /// Events of the main session that its turn leaves otherwise than it found them.
    pub events: Vec<SystemEvent>,
    /// Whether events are left that are to wake the session.
    pub more: bool,
    /// Blobs that nothing names any more after it.
    pub litter: Vec<String>,
}

impl From<Transition> for Stepped {
    fn from(transition: Transition) -> Self {
        Self { transition, change: None, wake: None, events: Vec::new(), more: false, litter: Vec::new() }
    }
}

/// What `transition` of `before` means for its session. `room` is what is known of the model's context, in tokens.
pub(crate) async fn step(
    scene: Scene<'_>,
    before: &Run,
    transition: Transition,
    room: Option<u64>,
    seen: Option<&Seen>,
    now: DateTime<Utc>,
) -> Result<Stepped, EngineError> {
    let Some(mine) = &before.session else { return Ok(transition.into()) };
    let after = &transition.run.state;
    match mine.hold {
        Hold::None | Hold::Queued if before.plan.is_none() && transition.run.plan.is_some() && !after.is_terminal() => {
            take(scene, before, transition, (room, seen), now).await
        }
        Hold::Queued if !lines_up(after) => leave(scene, transition).await,
        Hold::Held if !keeps(after) => release(scene, transition, now).await,
        // Planned anew for another model, which may take in less.
        Hold::Held if before.plan.is_some() && before.used().next().is_none() && matches!(before.state, State::Due) => {
            recut(scene, transition, room).await
        }
        Hold::None | Hold::Queued | Hold::Held => Ok(transition.into()),
    }
}

/// The run keeps its session, cut for the model that answers now.
async fn recut(scene: Scene<'_>, mut transition: Transition, room: Option<u64>) -> Result<Stepped, EngineError> {
    let Some(mine) = transition.run.session.as_mut().filter(|mine| mine.cut.as_ref().is_none_or(|cut| !cut.done))
    else {
        return Ok(transition.into());
    };
    if let Some(session) = scene.deps.store.session(&mine.agent, &mine.name).await? {
        mine.cut = session.cut(room, &exchanges(scene.deps, &session).await?);
    }
    Ok(transition.into())
}

/// What stands between a run and its session.
enum Line {
    /// Nothing; these stand in line and are over or gone.
    Free(Vec<RunKey>),
    /// Another run has it.
    Held(RunKey),
    /// It is free, and another run's turn.
    Ahead(RunKey),
}

/// Looks at the rows of those before `run`: a session's own row may name runs that are over or gone.
async fn line(scene: Scene<'_>, session: &Session, run: &RunKey) -> Result<Line, EngineError> {
    let (agent, name) = (&session.agent, &session.name);
    if let Some(holder) = session.holder.as_ref().filter(|holder| *holder != run) {
        if scene.deps.store.run(holder).await?.is_some_and(|holder| holds(&holder, agent, name)) {
            return Ok(Line::Held(holder.clone()));
        }
        warn!(run.id = %run, "a session is held by run {holder}, which is over or gone: it is replaced");
    }
    let mut gone = Vec::new();
    for ahead in session.waiting.iter().take_while(|waiting| *waiting != run) {
        if scene.deps.store.run(ahead).await?.is_some_and(|ahead| stands_in_line(&ahead, agent, name)) {
            return Ok(Line::Ahead(ahead.clone()));
        }
        gone.push(ahead.clone());
    }
    Ok(Line::Free(gone))
}

/// The run takes its session with its plan, or waits for it without one.
async fn take(
    scene: Scene<'_>,
    before: &Run,
    mut transition: Transition,
    (room, seen): (Option<u64>, Option<&Seen>),
    now: DateTime<Utc>,
) -> Result<Stepped, EngineError> {
    let run = &before.key;
    let Some(mine) = &mut transition.run.session else { return Ok(transition.into()) };
    if mine.hold == Hold::None {
        let agent = before.job_id.heartbeat_agent().map(str::to_owned);
        mine.agent = agent.unwrap_or_else(|| scene.config.agent(Some(&before.agent_id)).0);
    }
    let stored = scene.deps.store.session(&mine.agent, &mine.name).await?;
    let session = stored.unwrap_or_else(|| Session::new(&mine.agent, &mine.name, now));
    let (why, wake) = match line(scene, &session, run).await? {
        // After the session's row was read, whose write is the condition: no other turn has them in hand.
        Line::Free(_) if !are_queued(scene, &session.agent, seen).await? => {
            let waits = Transition::behind(before, "what it was to see was taken up by another".to_owned(), now);
            return Ok(Stepped { wake: Some(run.clone()), ..waits.into() });
        }
        Line::Free(gone) => {
            mine.hold = Hold::Held;
            let alone = mine.alone;
            if let Some(seen) = seen {
                seen.put_into(&mut transition.run);
            }
            if alone {
                let change = Some(session.taken(run, &gone));
                return Ok(Stepped { change, ..transition.into() });
            }
            let exchanges = exchanges(scene.deps, &session).await?;
            let Some(mine) = &mut transition.run.session else { return Ok(transition.into()) };
            mine.cut = session.cut(room, &exchanges);
            if mine.cut.is_some() {
                let detail = format!("session {} is long, about {} tokens", session.name, session.tokens());
                transition.run.log(now, "compacting", Some(detail));
            }
            transition.run.talk.opening = session.opening(&exchanges);
            let change = Some(session.taken(run, &gone));
            return Ok(Stepped { change, ..transition.into() });
        }
        Line::Held(holder) => (format!("session {} is used by run {holder}", session.name), None),
        // Its wake may have been lost.
        Line::Ahead(next) => (format!("session {} is run {next}'s next", session.name), Some(next)),
    };
    let change = session.queued(run);
    let mut waits = Transition::behind(before, why, now);
    if let Some(its) = &mut waits.run.session {
        its.agent.clone_from(&session.agent);
        its.hold = if change.is_some() || session.waiting.contains(run) { Hold::Queued } else { Hold::None };
    }
    Ok(Stepped { change, wake, ..waits.into() })
}

/// Whether nobody took up what a heartbeat saw when it was planned.
async fn are_queued(scene: Scene<'_>, agent: &str, seen: Option<&Seen>) -> Result<bool, EngineError> {
    let Some(seen) = seen.filter(|seen| !seen.events.is_empty()) else { return Ok(true) };
    let queue = scene.deps.store.events(agent).await?;
    Ok(seen.events.iter().all(|id| queue.iter().any(|event| event.id == *id)))
}

/// The run leaves the line.
async fn leave(scene: Scene<'_>, mut transition: Transition) -> Result<Stepped, EngineError> {
    let Some(mine) = &mut transition.run.session else { return Ok(transition.into()) };
    mine.hold = Hold::None;
    let session = scene.deps.store.session(&mine.agent, &mine.name).await?;
    let change = session.and_then(|session| session.left(&transition.run.key));
    let wake = change.as_ref().and_then(|change| next_in_line(&change.session));
    Ok(Stepped { change, wake, ..transition.into() })
}

/// The run gives its session back. Only a turn that succeeded leaves something in it; a summary that was paid for stays
/// in any case.
async fn release(scene: Scene<'_>, mut transition: Transition, now: DateTime<Utc>) -> Result<Stepped, EngineError> {
    let Some(mine) = &mut transition.run.session else { return Ok(transition.into()) };
    mine.hold = Hold::None;
    let mine = mine.clone();
    let key = &transition.run.key;
    let stored = scene.deps.store.session(&mine.agent, &mine.name).await?;
    let Some(session) = stored.filter(|session| session.holder.as_ref() == Some(key)) else {
        warn!(run.id = %key, "run {key} ends and its session is not its own any more");
        return Ok(transition.into());
    };
    let (mut events, mut prompt, mut more) = (Vec::new(), None, false);
    if transition.run.beat.is_some() {
        let after = events_after(scene, &transition.run, &mine.agent, now).await?;
        (events, prompt, more) = (after.moved, Some(after.kept), after.more);
    }
    let put = match transition.run.state {
        State::Delivering if mine.alone => None,
        State::Delivering => exchange(scene.deps, &transition.run, &session, prompt, now).await?,
        State::Due
        | State::Waiting { .. }
        | State::Running { .. }
        | State::Tools { .. }
        | State::Paused { .. }
        | State::Ready { .. }
        | State::Submitting { .. }
        | State::Submitted { .. }
        | State::Canceling { .. }
        | State::Succeeded
        | State::DeliveryFailed
        | State::DeliveryUnknown
        | State::Failed { .. }
        | State::Skipped { .. }
        | State::Canceled => None,
    };
    let change = session.released(mine.cut.as_ref(), put, now);
    let mut litter = Vec::new();
    if change.session.summary != session.summary {
        litter.extend(session.summary.iter().filter_map(|summary| blob(&summary.content)));
    }
    if !change.drop.is_empty() {
        let dropped = exchanges(scene.deps, &session).await?.into_iter().filter(|one| change.drop.contains(&one.n));
        litter.extend(dropped.flat_map(|one| blobs(&one)));
    }
    let wake = next_in_line(&change.session);
    Ok(Stepped { transition, change: Some(change), wake, events, more, litter })
}

fn next_in_line(session: &Session) -> Option<RunKey> {
    session.waiting.first().filter(|_| session.holder.is_none()).cloned()
}

/// Whether it is the turn of a run that waits for its session.
pub(super) async fn is_free(scene: Scene<'_>, run: &Run) -> Result<bool, EngineError> {
    let Some(mine) = &run.session else { return Ok(true) };
    let Some(session) = scene.deps.store.session(&mine.agent, &mine.name).await? else { return Ok(true) };
    Ok(match line(scene, &session, &run.key).await? {
        Line::Free(_) => true,
        Line::Held(_) | Line::Ahead(_) => false,
    })
}

/// Removes blobs that nothing names any more.
///
/// # Crash safety
/// One that is left behind costs its storage and is never read: a blob of a session is named by one exchange or summary. No
/// pass looks for it, because blobs cannot be listed here; whoever lists those of a session may remove what neither an
/// exchange that its row names nor its summary names, once it is older than the longest invocation.
pub(crate) async fn clear(deps: &Deps, litter: Vec<String>) {
    stream::iter(litter)
        .for_each_concurrent(AT_ONCE, |key| async move {
            if let Err(error) = deps.blobs.remove(&key).await {
                warn!("a blob that is not needed any more could not be removed: {error}");
            }
        })
        .await;
}

/// The exchanges that the session's row names.
pub(crate) async fn exchanges(deps: &Deps, session: &Session) -> Result<Vec<Exchange>, EngineError> {
    if session.kept.is_empty() {
        return Ok(Vec::new());
    }
    let mut exchanges = deps.store.exchanges(&session.agent, &session.name).await?;
    exchanges.retain(|one| session.kept.iter().any(|kept| kept.n == one.n));
    Ok(exchanges)
}

/// The blobs that an exchange names.
pub(crate) fn blobs(exchange: &Exchange) -> Vec<String> {
    exchange.said.iter().filter_map(|said| blob(&said.content)).collect()
}

/// The blob a text is in.
pub(crate) fn blob(text: &Text) -> Option<String> {
    match text {
        Text::Inline(_) => None,
        Text::Blob { key, .. } => Some(key.clone()),
    }
}

/// What `run` leaves in its session, where it leaves anything. `prompt` stands for its own there.
async fn exchange(
    deps: &Deps,
    run: &Run,
    session: &Session,
    prompt: Option<String>,
    now: DateTime<Utc>,
) -> Result<Option<Exchange>, EngineError> {
    let prompt = match prompt {
        Some(prompt) => prompt,
        None => load_text(deps, &run.key, &run.prompt).await?,
    };
    let (mut texts, mut tools) = (Vec::new(), Vec::new());
    for said in run.talk.said.iter().filter(|said| said.role == Role::Assistant) {
        let content = load_text(deps, &run.key, &said.content).await?;
        for block in serde_json::from_str::<Vec<Block>>(&content).unwrap_or_default() {
            match block {
                Block { kind, text: Some(text), .. } if kind == "text" => texts.push(text),
                Block { kind, name: Some(name), .. } if kind.ends_with("tool_use") => tools.push(name),
                Block { .. } => {}
            }
        }
    }
    // The last hop's content is not kept, but what it used of the provider's own tools is on its bill.
    for hop in run.used() {
        let used = hop.usage.get("server_tool_use").and_then(Value::as_object);
        let used = used.into_iter().flatten().filter(|(_, count)| count.as_u64().is_some_and(|count| count > 0));
        tools.extend(used.map(|(name, _)| name.trim_end_matches("_requests").to_owned()));
    }
    let mut named: Vec<String> = Vec::new();
    for tool in tools {
        if !named.contains(&tool) {
            named.push(tool);
        }
    }
    if let Some(answer) = &run.answer {
        let answer = load_text(deps, &run.key, answer).await?;
        // A heartbeat that saw nothing and did nothing is not worth remembering, and there are many of them.
        let is_idle = run.beat.as_ref().is_some_and(|beat| beat.events.is_empty()) && named.is_empty();
        if is_idle && texts.is_empty() && acknowledges(&answer) {
            return Ok(None);
        }
        texts.push(answer);
    }
    let answer = answer_kept(texts.iter().map(String::as_str), &named);
    let (mut said, mut bytes) = (Vec::new(), 0);
    for (role, text) in [(Role::User, prompt), (Role::Assistant, answer)] {
        let (content, length) = session_text(deps, run, session, &text).await?;
        bytes += length;
        said.push(Said { role, content });
    }
    Ok(Some(Exchange { n: session.next, run: run.key.clone(), at: now, said, bytes }))
}

/// A block of any kind; only the type is sure to be what it seems.
#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

/// A text as a session keeps it, and its length. Long ones are blobs of this run's own, so that what one exchange names no
/// other does.
async fn session_text(deps: &Deps, run: &Run, session: &Session, text: &str) -> Result<(Text, u64), EngineError> {
    let raw = Value::from(text).to_string();
    let bytes = raw.len() as u64;
    // Names may hold what no key can.
    let whose = digest(format!("{}\n{}", session.agent, session.name).as_bytes());
    let prefix = format!("sessions/{}/{}", &whose[..32], run.key);
    Ok((keep_under(deps, &prefix, raw, TALK_INLINE_MAX).await?, bytes))
}

/// The run with what its summarising hop brought.
pub(super) async fn absorb_summary(deps: &Deps, mut run: Run, reply: &Reply) -> Result<Run, EngineError> {
    let (Some(text), Some(mine)) = (session::summary_in(reply), run.session.clone()) else { return Ok(run) };
    let session = Session::new(&mine.agent, &mine.name, run.created_at);
    let (content, bytes) = session_text(deps, &run, &session, &text).await?;
    if let Some(cut) = run.session.as_mut().and_then(|session| session.cut.as_mut()) {
        cut.summary = Some(Summary { content, bytes });
    }
    info!(run.id = %run.key, "run {} has a summary of its session", run.key);
    Ok(run)
}

/// Makes `request`, which holds a session's history, one for a summary of it: to the same model, without tools and without the
/// agent's instructions, which are for its work.
pub(super) fn ask_for_summary(request: &mut HopRequest) {
    request.system = None;
    request.tools = None;
    request.cache = None;
    request.mcp_servers = Vec::new();
    request.container = None;
    request.messages.push(TurnMessage { role: Role::User, content: Value::from(INSTRUCTION).to_string() });
}

/// Messages with their texts, read side by side.
pub(super) async fn spoken(scene: Scene<'_>, run: &RunKey, said: &[Said]) -> Result<Vec<TurnMessage>, EngineError> {
    let read = |said: Said| async move {
        let content = load_text(scene.deps, run, &said.content).await?;
        Ok(TurnMessage { role: said.role, content })
    };
    stream::iter(said.to_vec()).map(read).buffered(AT_ONCE).try_collect().await
}
