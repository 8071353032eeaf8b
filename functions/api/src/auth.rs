//! Who may ask.
//!
//! With AWS IAM the front has checked the caller already and no token is configured. A token is compared by its digest, in
//! a time that does not depend on where it differs.

use lambda_http::http::{HeaderMap, header};
use nightshift_engine::Deps;
use sha2::{Digest, Sha256};

use crate::error::Fault;

/// Refuses a request without the right token, where there is one.
pub(crate) fn check(deps: &Deps, headers: &HeaderMap) -> Result<(), Fault> {
    let Some(expected) = &deps.settings.api_token_sha256 else { return Ok(()) };
    let given = headers.get(header::AUTHORIZATION).ok_or(Fault::NoToken)?;
    let token = given.to_str().ok().and_then(bearer).ok_or(Fault::NoToken)?;
    if same(digest(token).as_bytes(), expected.trim().to_ascii_lowercase().as_bytes()) {
        Ok(())
    } else {
        Err(Fault::WrongToken)
    }
}

pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

/// Whether two secrets are one, in a time that depends on neither's length nor letters.
pub(crate) fn is_same_secret(one: &str, other: &str) -> bool {
    !other.is_empty() && same(digest(one).as_bytes(), digest(other).as_bytes())
}

fn digest(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// Looks at every byte, whatever the first ones say.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

/// Bytes in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
