//! Chats, addresses and secrets that follow a script; everything else is not there.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::config::{Config, SsrfPolicy};
use nightshift_domain::delivery::{Media, Target};

use crate::ports::{
    Channel, ChannelError, Channels, OpenChannelError, Outgoing, Rendered, Secret, Secrets, SendError, SendErrorKind,
    Sent, Web, WebAnswer, WebFault, WebRequest,
};

/// Knows `env:KEY`.
#[derive(Debug)]
pub(super) struct Keys;

#[async_trait]
impl Secrets for Keys {
    async fn resolve(&self, reference: &str) -> Result<Secret, String> {
        match reference {
            "env:KEY" => Ok(Secret::new("k3y")),
            "env:EMPTY" => Ok(Secret::new("")),
            _ => Err(format!("{reference} is not set")),
        }
    }
}

/// One send that a chat saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) target: Target,
    pub(super) text: String,
    pub(super) image: Option<String>,
    pub(super) key: String,
}

/// The chats, `telegram` and `slack`; `locked` has a secret that cannot be had.
#[derive(Debug, Default)]
pub(super) struct Chats {
    /// What they saw, in order.
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
    /// What they answer next; they take what comes after.
    pub(super) answers: Arc<Mutex<VecDeque<SendErrorKind>>>,
    /// How long they drop repeats of a key.
    pub(super) dedupes: Mutex<Option<TimeDelta>>,
    /// Whether only one channel is configured.
    pub(super) single: Mutex<bool>,
}

impl Chats {
    pub(super) fn texts(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|seen| seen.text.clone()).collect()
    }

    pub(super) fn targets(&self) -> Vec<Target> {
        self.seen.lock().unwrap().iter().map(|seen| seen.target.clone()).collect()
    }

    pub(super) fn answers(&self, kinds: &[Option<SendErrorKind>]) {
        assert!(kinds.iter().take(kinds.len().saturating_sub(1)).all(Option::is_some), "only the last may be taken");
        *self.answers.lock().unwrap() = kinds.iter().flatten().copied().collect();
    }
}

#[async_trait]
impl Channels for Chats {
    async fn open(&self, _: &Config, name: &str, account: Option<&str>) -> Result<Arc<dyn Channel>, OpenChannelError> {
        match (name, account.unwrap_or("default")) {
            ("telegram" | "slack", account @ ("default" | "ops")) => Ok(Arc::new(Chat {
                name: name.to_owned(),
                account: account.to_owned(),
                seen: self.seen.clone(),
                answers: self.answers.clone(),
                dedupes: *self.dedupes.lock().unwrap(),
            })),
            ("telegram" | "slack", account) => {
                Err(OpenChannelError::NotConfigured(format!("channel \"{name}\" has no account \"{account}\"")))
            }
            ("locked", _) => {
                Err(OpenChannelError::Secret { channel: name.to_owned(), reason: "it is not set".to_owned() })
            }
            _ => Err(OpenChannelError::NotConfigured(format!("there is no channel \"{name}\""))),
        }
    }

    fn configured(&self, _: &Config) -> Vec<String> {
        if *self.single.lock().unwrap() {
            vec!["telegram".to_owned()]
        } else {
            vec!["slack".to_owned(), "telegram".to_owned()]
        }
    }
}

#[derive(Debug)]
struct Chat {
    name: String,
    account: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Arc<Mutex<VecDeque<SendErrorKind>>>,
    dedupes: Option<TimeDelta>,
}

#[async_trait]
impl Channel for Chat {
    fn target(&self, to: &str, thread: Option<&str>) -> Result<Target, ChannelError> {
        if to.contains(' ') {
            return Err(ChannelError(format!("{} has no place like that", self.name)));
        }
        let thread = thread.map(str::to_owned);
        Ok(Target { channel: self.name.clone(), account: self.account.clone(), to: to.to_owned(), thread })
    }

    /// A message per line; one that is an address of an image in brackets is that image.
    fn render(&self, markdown: &str) -> Vec<Rendered> {
        let lines = markdown.lines().filter(|line| !line.starts_with("[hidden]"));
        let image = |line: &str| {
            let url = line.strip_prefix("![](").and_then(|rest| rest.strip_suffix(')'));
            url.map(|url| Media { url: url.to_owned(), alt: String::new() })
        };
        lines
            .map(|line| Rendered { text: format!("<b>{line}</b>"), plain: Some(line.to_owned()), media: image(line) })
            .collect()
    }

    fn dedupes(&self) -> Option<TimeDelta> {
        self.dedupes
    }

    async fn send(&self, message: &Outgoing<'_>, _: DateTime<Utc>) -> Result<Sent, SendError> {
        let mut seen = self.seen.lock().unwrap();
        let key = message.idempotency_key.to_owned();
        let repeated = self.dedupes.and_then(|_| seen.iter().position(|seen| seen.key == key));
        let answer = self.answers.lock().unwrap().pop_front();
        let id = |at: usize| Ok(Sent { message_id: format!("id-{}", at + 1) });
        let failed =
            |kind, message: &str, retry_after| Err(SendError { kind, message: message.to_owned(), retry_after });
        match answer {
            Some(kind @ SendErrorKind::NotTaken) => failed(kind, "told to come back", Some(TimeDelta::seconds(90))),
            Some(kind @ SendErrorKind::Refused) => failed(kind, "chat not found", None),
            unknown_or_taken => {
                if repeated.is_none() {
                    let text = message.body.text.clone();
                    let image = message.body.media.as_ref().map(|media| media.url.clone());
                    seen.push(Seen { target: message.target.clone(), text, image, key });
                }
                match unknown_or_taken {
                    Some(kind) => failed(kind, "the answer was lost", None),
                    None => id(repeated.unwrap_or(seen.len() - 1)),
                }
            }
        }
    }
}

/// The web: answers what it is told to, and keeps what it was asked.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pub(super) asked: Mutex<Vec<(SsrfPolicy, WebRequest, DateTime<Utc>)>>,
    pub(super) answers: Mutex<VecDeque<Result<WebAnswer, WebFault>>>,
    /// Never answers at all.
    pub(super) hangs: Mutex<bool>,
}

impl Pages {
    pub(super) fn answers(&self, answer: Result<WebAnswer, WebFault>) {
        self.answers.lock().unwrap().push_back(answer);
    }
}

#[async_trait]
impl Web for Pages {
    async fn send(
        &self,
        policy: &SsrfPolicy,
        request: &WebRequest,
        deadline: DateTime<Utc>,
    ) -> Result<WebAnswer, WebFault> {
        self.asked.lock().unwrap().push((policy.clone(), request.clone(), deadline));
        if *self.hangs.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        self.answers.lock().unwrap().pop_front().expect("an answer for every request")
    }
}
