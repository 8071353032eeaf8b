//! The delivery channels: Telegram, Slack, webhooks and the local console.
//!
//! Guarantee: one call of [`Channel::send`](nightshift_engine::ports::Channel::send) makes at most one message on the far
//! side, and says truthfully whether it was taken, refused, provably not taken, or nobody knows. Nothing is repeated here,
//! except that a message whose markup Telegram refuses is sent once more without it. A channel knows nothing of runs,
//! ledgers or retries. Neither texts, tokens nor webhook addresses are logged or shown by `Debug`.

mod chunk;
mod console;
mod http;
mod markdown;
mod open;
mod prefix;
mod slack;
mod telegram;
mod webhook;

pub use open::Open;

#[cfg(test)]
mod vectors;
