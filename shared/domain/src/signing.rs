//! Signatures on what Nightshift sends out: HMAC-SHA256 (RFC 2104) over `<unix time>.<body>`.
//!
//! Guarantee: a receiver that knows the secret and calls [`verify`] accepts a body only as it was sent, and only near the
//! time it was sent. Pure: the time is a parameter.

use std::fmt::Write as _;

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The header that carries a signature: `t=<unix seconds>,v1=<hex>`.
pub const SIGNATURE_HEADER: &str = "Nightshift-Signature";

/// Seconds by which a receiver should let its clock and the sender's differ.
pub const TOLERANCE_SECONDS: i64 = 300;

/// A signature was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header is not `t=<unix seconds>,v1=<hex>`.
    #[error("the signature header is not t=<unix seconds>,v1=<hex>")]
    Malformed,
    /// It was signed too long ago, or in the future.
    #[error("the signature's time is outside the tolerance")]
    Stale,
    /// The body or the secret is another one.
    #[error("the signature does not match")]
    Mismatch,
}

/// The value of [`SIGNATURE_HEADER`] for `body` sent at `unix_seconds`.
pub fn sign(secret: &[u8], unix_seconds: i64, body: &[u8]) -> String {
    let mut header = format!("t={unix_seconds},v1=");
    for byte in mac(secret, unix_seconds, body).finalize().into_bytes() {
        // Writing to a string cannot fail.
        let _ = write!(header, "{byte:02x}");
    }
    header
}

/// Whether `header` was made by [`sign`] for this secret and body, within `tolerance_seconds` of `now_unix_seconds`.
/// Of several `v1` parts one has to match, so that a secret can be replaced without a gap.
pub fn verify(
    secret: &[u8],
    header: &str,
    body: &[u8],
    now_unix_seconds: i64,
    tolerance_seconds: i64,
) -> Result<(), SignatureError> {
    let mut time = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => time = value.parse::<i64>().ok(),
            Some(("v1", value)) => signatures.extend(unhex(value)),
            Some(_) | None => {}
        }
    }
    let time = time.ok_or(SignatureError::Malformed)?;
    if signatures.is_empty() {
        return Err(SignatureError::Malformed);
    }
    let matches = signatures.iter().any(|signature| mac(secret, time, body).verify_slice(signature).is_ok());
    if !matches {
        return Err(SignatureError::Mismatch);
    }
    let age = now_unix_seconds.saturating_sub(time).saturating_abs();
    if age > tolerance_seconds { Err(SignatureError::Stale) } else { Ok(()) }
}

fn mac(secret: &[u8], unix_seconds: i64, body: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104, section 3)")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
    mac.update(unix_seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_hmac_of_time_dot_body() {
        // Checked with: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        assert_eq!(
            sign(b"secret", 1_700_000_000, br#"{"a":1}"#),
            "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"
        );
    }

    #[test]
    fn a_signature_is_accepted_only_for_its_body_its_secret_and_its_time() {
        let header = sign(b"secret", 1_000, b"body");
        assert_eq!(verify(b"secret", &header, b"body", 1_300, 300), Ok(()));
        assert_eq!(verify(b"secret", &header, b"other", 1_000, 300), Err(SignatureError::Mismatch));
        assert_eq!(verify(b"other", &header, b"body", 1_000, 300), Err(SignatureError::Mismatch));
        assert_eq!(verify(b"secret", &header, b"body", 1_301, 300), Err(SignatureError::Stale));
        assert_eq!(verify(b"secret", &header, b"body", 699, 300), Err(SignatureError::Stale));
        let moved = header.replace("t=1000", "t=1200");
        assert_eq!(verify(b"secret", &moved, b"body", 1_200, 300), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_header_without_a_time_or_a_signature_is_malformed() {
        for header in ["", "t=1", "v1=00", "t=x,v1=00", "t=1,v1=0", "t=1,v1=zz", "t=1,v1=é0"] {
            assert_eq!(verify(b"s", header, b"", 1, 300), Err(SignatureError::Malformed), "{header}");
        }
    }

    #[test]
    fn one_matching_signature_of_several_is_enough() {
        let old = sign(b"old", 5, b"x");
        let new = sign(b"new", 5, b"x");
        let both = format!("{old},{}", new.split_once(',').unwrap().1);
        assert_eq!(verify(b"new", &both, b"x", 5, 0), Ok(()));
        assert_eq!(verify(b"old", &both, b"x", 5, 0), Ok(()));
    }
}
