//! Who may ask.
//!
//! At the private address AWS IAM has checked the caller already and no token is configured; on the local stack one is. At the
//! public address methods are there only where `api.bearer` is switched on. A token is compared by its digest, in a time that
//! does not depend on where it differs, and whoever shows wrong ones is not listened to for a while ([`crate::attempts`]).

use lambda_http::http::{HeaderMap, header};
use nightshift_engine::{Deps, jobs, runs};
use sha2::{Digest, Sha256};

use crate::error::Fault;

/// Which of the two addresses a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// The function URL with AWS IAM, or the local stack.
    Private,
    /// The function URL that anybody can reach.
    Public,
}

/// Refuses a request without the right token, where there is one.
pub(crate) async fn check(deps: &Deps, front: Front, headers: &HeaderMap) -> Result<(), Fault> {
    let expected = match front {
        Front::Private => deps.settings.api_token_sha256.clone(),
        Front::Public => Some(public_digest(deps).await?),
    };
    let Some(expected) = expected else { return Ok(()) };
    let given = headers.get(header::AUTHORIZATION).ok_or(Fault::NoToken)?;
    let token = given.to_str().ok().and_then(bearer).ok_or(Fault::NoToken)?;
    if same(digest(token).as_bytes(), expected.trim().to_ascii_lowercase().as_bytes()) {
        Ok(())
    } else {
        Err(Fault::WrongToken)
    }
}

/// The digest of the public API's token; where it is switched off, there is nothing at its paths.
async fn public_digest(deps: &Deps) -> Result<String, Fault> {
    let config = runs::load_config(deps).await.map_err(jobs::Refusal::from)?;
    let bearer = &config.api.bearer;
    let reference = bearer.token_sha256.as_deref().filter(|_| bearer.enabled).ok_or(Fault::NoPath)?;
    let digest = deps.secrets.resolve(reference).await.map_err(Fault::NoSecret)?;
    // An empty digest would be nobody's, but a wrong setting is told as what it is.
    if is_digest(digest.expose()) { Ok(digest.expose().to_owned()) } else { Err(Fault::NoSecret(NO_DIGEST.to_owned())) }
}

const NO_DIGEST: &str = "api.bearer.tokenSha256 does not lead to the 64 hex digits of a SHA-256";

fn is_digest(text: &str) -> bool {
    let text = text.trim();
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
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
