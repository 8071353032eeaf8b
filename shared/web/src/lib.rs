//! HTTPS to addresses users supply: webhooks, fetched pages, tools over HTTP.
//!
//! Guarantee: a connection goes only to an address that was looked at first. Loopback, private, link-local, shared,
//! multicast and metadata addresses are refused unless the exact host name is allow-listed; the name is resolved once and
//! the connection pinned to what was found, so that a second answer of the name server cannot move it. Redirects are not
//! followed unless asked for, and then each hop is looked at again. It knows nothing of what is sent.

mod address;
mod client;
mod error;
mod lookup;
mod port;
mod retry_after;

pub use address::refusal;
pub use client::{GuardedClient, Limits, Request, Response};
pub use error::{WebError, WebErrorKind};
pub use lookup::{Lookup, SystemLookup};
pub use port::Guarded;
pub use retry_after::retry_after;
