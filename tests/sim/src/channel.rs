//! Chats and addresses that keep what was sent to them.
//!
//! Guarantee: whatever arrives is kept in order with its key, also when whoever sent it never learns of it. Two kinds: one
//! that shows whatever it is sent, and one that drops a repeat of a key within its window.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::config::Config;
use nightshift_domain::delivery::Target;
use nightshift_engine::ports::{
    Channel, ChannelError, Channels, OpenChannelError, Outgoing, Rendered, SendError, SendErrorKind, Sent,
};
use nightshift_engine::{Clock, ManualClock};
use serde::{Deserialize, Serialize};

use crate::gate::{Broken, Call, Gate, Port, through};

/// The channels there are, and how long each drops repeats (channels' own pages, 2026-10): a chat that shows everything, one
/// that drops repeats for two minutes, and a webhook whose receiver keeps keys for a day.
const KINDS: [(&str, Option<TimeDelta>); 4] = [
    ("console", None),
    ("telegram", None),
    ("discord", Some(TimeDelta::minutes(2))),
    ("webhook", Some(TimeDelta::hours(24))),
];
/// Most characters of one message: few, so that a long answer is several.
const LIMIT: usize = 300;

/// All channels.
#[derive(Debug)]
pub struct SimChannel {
    clock: ManualClock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    arrived: Vec<Arrival>,
    plans: VecDeque<SendPlan>,
    failed: u64,
}

/// What comes of the next send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SendPlan {
    /// It is refused for good.
    Refused,
    /// It is told to come back after so many seconds.
    Later(u32),
    /// It takes so many seconds.
    Slow(u32),
}

/// A message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Where.
    pub target: Target,
    /// Its key.
    pub key: String,
    /// Its text.
    pub text: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The invocation that sent it.
    pub invocation: u64,
    /// Whether the far side knew the key and showed nothing.
    pub dropped: bool,
    /// Its id there.
    pub message_id: String,
}

impl SimChannel {
    /// Without messages.
    pub fn new(clock: ManualClock) -> Arc<Self> {
        Arc::new(Self { clock, state: Mutex::default() })
    }

    /// The way to them for one invocation.
    pub fn channels(self: &Arc<Self>, gate: Arc<dyn Gate>, invocation: u64) -> Arc<dyn Channels> {
        Arc::new(Post { channels: self.clone(), gate, invocation })
    }

    /// Says what comes of the next send that has no plan yet.
    pub fn plan(&self, plan: SendPlan) {
        self.state().plans.push_back(plan);
    }

    /// Forgets every plan that has not come true.
    pub fn heal(&self) {
        self.state().plans.clear();
    }

    /// All that arrived, in order, dropped repeats among them.
    pub fn sent(&self) -> Vec<Arrival> {
        self.state().arrived.clone()
    }

    /// Chunks that a reader saw more than once, each as a sentence: a repeat was sent where nobody drops it.
    pub fn seen_twice(&self) -> Vec<String> {
        let state = self.state();
        let mut seen: BTreeMap<(&str, &str, &str), u32> = BTreeMap::new();
        for one in state.arrived.iter().filter(|one| !one.dropped) {
            *seen.entry((&one.target.channel, &one.target.to, &one.key)).or_default() += 1;
        }
        let twice = seen.into_iter().filter(|(_, times)| *times > 1);
        twice.map(|((channel, to, key), times)| format!("{key} arrived {times} times at {channel} {to}")).collect()
    }

    fn arrive(&self, message: &Outgoing<'_>, dedupes: Option<TimeDelta>, invocation: u64) -> Sent {
        let at = self.clock.now();
        let mut state = self.state();
        let same = |one: &&Arrival| {
            one.target == *message.target
                && one.key == message.idempotency_key
                && dedupes.is_some_and(|window| at - one.at < window)
        };
        let before = state.arrived.iter().rev().filter(|one| !one.dropped).find(same);
        let known = before.map(|one| one.message_id.clone());
        let message_id = known.clone().unwrap_or_else(|| format!("m{:06}", state.arrived.len() + 1));
        state.arrived.push(Arrival {
            target: message.target.clone(),
            key: message.idempotency_key.to_owned(),
            text: message.body.text.clone(),
            at,
            invocation,
            dropped: known.is_some(),
            message_id: message_id.clone(),
        });
        Sent { message_id }
    }

    /// The error of a send that had no effect; whether the sender can know that takes turns.
    fn untaken(&self) -> SendError {
        let mut state = self.state();
        state.failed += 1;
        let kind = if state.failed.is_multiple_of(3) { SendErrorKind::Unknown } else { SendErrorKind::NotTaken };
        SendError { kind, message: "the send was broken".to_owned(), retry_after: None }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One invocation's way to the channels.
#[derive(Debug, Clone)]
struct Post {
    channels: Arc<SimChannel>,
    gate: Arc<dyn Gate>,
    invocation: u64,
}

#[async_trait]
impl Channels for Post {
    async fn open(&self, _: &Config, name: &str, account: Option<&str>) -> Result<Arc<dyn Channel>, OpenChannelError> {
        let kind = KINDS.iter().find(|(known, _)| *known == name);
        let Some((name, dedupes)) = kind else {
            return Err(OpenChannelError::NotConfigured(format!("there is no channel \"{name}\"")));
        };
        let account = account.unwrap_or("default").to_owned();
        Ok(Arc::new(OneChannel { post: self.clone(), name, account, dedupes: *dedupes }))
    }

    fn configured(&self, config: &Config) -> Vec<String> {
        config.channels.keys().cloned().collect()
    }
}

#[derive(Debug)]
struct OneChannel {
    post: Post,
    name: &'static str,
    account: String,
    dedupes: Option<TimeDelta>,
}

#[async_trait]
impl Channel for OneChannel {
    fn target(&self, to: &str, thread: Option<&str>) -> Result<Target, ChannelError> {
        if to.is_empty() {
            return Err(ChannelError("the target is empty".to_owned()));
        }
        Ok(Target {
            channel: self.name.to_owned(),
            account: self.account.clone(),
            to: to.to_owned(),
            thread: thread.map(str::to_owned),
        })
    }

    fn render(&self, markdown: &str) -> Vec<Rendered> {
        if self.name == "webhook" {
            // A webhook's body is one document.
            return vec![Rendered { text: markdown.to_owned(), plain: None, media: None }];
        }
        let letters: Vec<char> = markdown.chars().collect();
        letters.chunks(LIMIT).map(|part| Rendered { text: part.iter().collect(), plain: None, media: None }).collect()
    }

    fn dedupes(&self) -> Option<TimeDelta> {
        self.dedupes
    }

    async fn send(&self, message: &Outgoing<'_>, deadline: DateTime<Utc>) -> Result<Sent, SendError> {
        let Post { channels, gate, invocation } = &self.post;
        let name = format!("send {}", self.name);
        let call = Call { invocation: *invocation, port: Port::Channel, name, effect: true };
        let taken = async {
            let failed =
                |kind, message: &str, retry_after| SendError { kind, message: message.to_owned(), retry_after };
            let plan = channels.state().plans.pop_front();
            match plan {
                Some(SendPlan::Refused) => return Err(failed(SendErrorKind::Refused, "refused", None)),
                Some(SendPlan::Later(seconds)) => {
                    let wait = TimeDelta::seconds(i64::from(seconds));
                    return Err(failed(SendErrorKind::NotTaken, "come back later", Some(wait)));
                }
                Some(SendPlan::Slow(seconds)) => {
                    let done = channels.clock.now() + TimeDelta::seconds(i64::from(seconds));
                    channels.clock.sleep_until(done.min(deadline)).await;
                    if done > deadline {
                        // It arrives all the same, after whoever sent it has hung up.
                        channels.arrive(message, self.dedupes, *invocation);
                        return Err(failed(SendErrorKind::Unknown, "no answer in time", None));
                    }
                }
                None => {}
            }
            Ok(channels.arrive(message, self.dedupes, *invocation))
        };
        let broken = |how| match how {
            Broken::Before => channels.untaken(),
            Broken::After => SendError {
                kind: SendErrorKind::Unknown,
                message: "the connection was lost".to_owned(),
                retry_after: None,
            },
            Broken::Throttled => SendError {
                kind: SendErrorKind::NotTaken,
                message: "too many messages".to_owned(),
                retry_after: Some(TimeDelta::seconds(30)),
            },
        };
        through(&**gate, call, taken, broken).await
    }
}

#[cfg(test)]
mod tests;
