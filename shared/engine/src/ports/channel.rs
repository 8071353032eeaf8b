//! Delivery channels.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::config::Config;
use nightshift_domain::delivery::{Media, Target};

/// One message, ready for its channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// In the channel's format.
    pub text: String,
    /// Without markup, for a formatting refusal; `None` where `text` is plain already.
    pub plain: Option<String>,
    /// An image to fetch and show, with `text` as its caption (which may be empty then). Only channels that fetch images by
    /// their address render it; refused, it is sent once more as text with the address.
    pub media: Option<Media>,
}

/// One chunk on its way out.
#[derive(Debug, Clone)]
pub struct Outgoing<'a> {
    /// Where to.
    pub target: &'a Target,
    /// What.
    pub body: &'a Rendered,
    /// Makes a repeat recognisable, where the channel can tell.
    pub idempotency_key: &'a str,
}

/// The far side took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its id there.
    pub message_id: String,
}

/// So many bytes in a row that stand in what was sent as well are a quotation.
const QUOTED: usize = 16;

/// What a failed send means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendErrorKind {
    /// Provably not taken (never sent, or told to come back): may be tried again.
    NotTaken,
    /// Refused for good.
    Refused,
    /// It may have been taken.
    Unknown,
}

/// A send failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// What that means.
    pub kind: SendErrorKind,
    /// One sentence; never holds the text, an address's secret part or a token.
    pub message: String,
    /// When the far side wants to be asked again.
    pub retry_after: Option<TimeDelta>,
}

impl SendError {
    /// The same without what was said where that quotes what was sent: platforms name the place in a text that they cannot
    /// read, and the sentence goes to places where the text must not go.
    #[must_use]
    pub fn hiding(mut self, sent: &Rendered) -> Self {
        let media = sent.media.as_ref().map(|media| media.url.as_str());
        let sent = [Some(sent.text.as_str()), sent.plain.as_deref(), media];
        let quotes = |piece: &[u8]| {
            std::str::from_utf8(piece).is_ok_and(|piece| sent.iter().flatten().any(|text| text.contains(piece)))
        };
        if self.message.as_bytes().windows(QUOTED).any(quotes) {
            let what = match self.kind {
                SendErrorKind::NotTaken => "the message was not taken",
                SendErrorKind::Refused => "the message was refused",
                SendErrorKind::Unknown => "the message may have been taken",
            };
            self.message = format!("{what}; what was said of it is left out, since it repeats a part of the message");
        }
        self
    }
}

/// A target cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ChannelError(pub String);

/// A channel with one account.
#[async_trait]
pub trait Channel: Send + Sync + std::fmt::Debug {
    /// Reads a target in the channel's grammar, with a thread that wins over one inside `to`; no network.
    fn target(&self, to: &str, thread: Option<&str>) -> Result<Target, ChannelError>;
    /// Turns Markdown into messages of the channel's format and size, in order.
    fn render(&self, markdown: &str) -> Vec<Rendered>;
    /// How long the far side drops repeats of an idempotency key; `None` when it does not.
    fn dedupes(&self) -> Option<TimeDelta>;
    /// Sends one message, giving up at `deadline`.
    async fn send(&self, message: &Outgoing<'_>, deadline: DateTime<Utc>) -> Result<Sent, SendError>;
}

/// Opens channels from the configuration.
#[async_trait]
pub trait Channels: Send + Sync + std::fmt::Debug {
    /// The channel called `name` with `account` (`default` otherwise). `webhook` is always there; `console` on the local
    /// stack.
    async fn open(
        &self,
        config: &Config,
        name: &str,
        account: Option<&str>,
    ) -> Result<Arc<dyn Channel>, OpenChannelError>;
    /// The channels that could be opened, by name: to choose one where a job names none.
    fn configured(&self, config: &Config) -> Vec<String>;
}

/// A channel cannot be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenChannelError {
    /// There is no such channel, or it has no such account.
    #[error("{0}")]
    NotConfigured(String),
    /// Its secret cannot be had.
    #[error("the secret of channel \"{channel}\" cannot be used: {reason}")]
    Secret {
        /// The channel.
        channel: String,
        /// Why, without the secret.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_platform_says_is_kept_unless_it_quotes_the_message() {
        let media = Some(Media { url: "https://img.example/private/harbour.png".into(), alt: String::new() });
        let sent = Rendered { text: "<b>The vault opens at seven.</b>".into(), plain: None, media };
        let said = |message: &str| {
            let error = SendError { kind: SendErrorKind::Refused, message: message.into(), retry_after: None };
            error.hiding(&sent).message
        };
        assert_eq!(said("Telegram refused it: chat not found"), "Telegram refused it: chat not found");
        for quoting in ["can't parse \"<b>The vault opens\"", "cannot fetch img.example/private/harbour.png"] {
            assert!(said(quoting).starts_with("the message was refused; "), "{quoting}");
        }
    }
}
