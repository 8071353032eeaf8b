//! The delivery channels: Telegram, Slack, Discord, WhatsApp, Mattermost, Signal, iMessage, webhooks and the local console.
//!
//! Guarantee: one call of [`Channel::send`](nightshift_engine::ports::Channel::send) makes at most one message on the far
//! side, and says truthfully whether it was taken, refused, provably not taken, or nobody knows. Nothing is repeated here,
//! except what was refused and therefore not sent (markup is sent once more as plain text, an image as its address), and a
//! post whose answer Mattermost lost, which the server tells from a second one. Where a target has to be looked up first, a
//! failure to do so is never unknown: nothing was sent. A channel knows nothing of runs,
//! ledgers or retries. Neither texts, tokens nor webhook addresses are logged or shown by `Debug`.

mod chunk;
mod console;
mod discord;
mod http;
mod imessage;
mod key;
mod markdown;
mod marks;
mod mattermost;
mod media;
mod open;
mod places;
mod prefix;
mod signal;
mod slack;
mod telegram;
mod webhook;
mod whatsapp;

pub use open::Open;

#[cfg(test)]
mod vectors;
