//! Keys that are the same for every try of a chunk, from whichever process.

use std::fmt::Write as _;

use nightshift_engine::ports::Outgoing;
use sha2::{Digest, Sha256};

/// The first `length` hexadecimal digits of a digest of the chunk's key and of where it goes.
pub(crate) fn hex(message: &Outgoing<'_>, length: usize) -> String {
    let target = message.target;
    let thread = target.thread.as_deref().unwrap_or_default();
    let mut digest = Sha256::new();
    for part in [message.idempotency_key, &target.channel, &target.account, &target.to, thread] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let mut out = String::new();
    for byte in digest.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out.truncate(length);
    out
}
