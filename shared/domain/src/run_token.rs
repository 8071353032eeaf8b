//! Run tokens: what a provider's own loop shows to Nightshift's MCP endpoint when it calls a tool for a run.
//!
//! A token is `nst1.<claims>.<mac>`: base64url of a JSON object (the run, the tools, the expiry) and of its HMAC-SHA256
//! (RFC 2104), which covers the prefix and the claims as they are written. Guarantee: [`verify`] accepts exactly the text
//! that [`render`] made under the same key, up to its expiry, in a time that does not depend on where a forgery differs. The
//! same claims under the same key are the same bytes, so that every hop of a run shows the provider the same token.
//!
//! The key is one of the run's own, 256 random bits drawn when the run is planned and kept in its plan. So there is nothing
//! to configure, to share between functions or to rotate; whoever learns a key, or a token, has the tools of one run, and
//! has them only until that run ends. The price is a read of the run before a token can be judged, which the endpoint has to
//! make anyway.
//!
//! Pure: the time is a parameter.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;

use crate::RunKey;

/// What every token of this form begins with.
const PREFIX: &str = "nst1";
/// Longest token that is looked at, bytes: a run key, a hundred names of tools, and room.
const LONGEST: usize = 16 * 1024;

/// What signs the tokens of one run. It shows itself to nobody: neither `Debug` nor any view of the run holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenKey([u8; 32]);

impl TokenKey {
    /// A key of 256 random bits.
    pub fn new(high: u128, low: u128) -> Self {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&high.to_be_bytes());
        bytes[16..].copy_from_slice(&low.to_be_bytes());
        Self(bytes)
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104, section 3)")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length");
        mac.update(text.as_bytes());
        mac
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// For the run's row only.
impl Serialize for TokenKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for TokenKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        // The text is the secret, so the error does not show it.
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("a run's token key is not 32 bytes of base64url"))
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The run.
    #[serde(rename = "r")]
    pub run: RunKey,
    /// The tools it may call, by the names they have over the endpoint.
    #[serde(rename = "t")]
    pub tools: Vec<String>,
    /// When it ends, to the second.
    #[serde(rename = "e", with = "chrono::serde::ts_seconds")]
    pub expires: DateTime<Utc>,
}

/// A token was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is not `nst1.<claims>.<mac>`.
    #[error("the token has not the form of one")]
    Malformed,
    /// It was not made under this key.
    #[error("the token was not made for this run")]
    Forged,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
}

/// The token for `claims` under `key`.
pub fn render(key: &TokenKey, claims: &Claims) -> String {
    // Three plain fields: they always serialize.
    let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims).unwrap_or_default());
    let signed = format!("{PREFIX}.{claims}");
    let mac = URL_SAFE_NO_PAD.encode(key.mac(&signed).finalize().into_bytes());
    format!("{signed}.{mac}")
}

/// The run that `token` says it is for. Nobody has checked that yet: it only tells whose key to check it with.
pub fn claimed_run(token: &str) -> Result<RunKey, TokenError> {
    parts(token).map(|(_, claims, _)| claims.run)
}

/// What `token` says, if it was made under `key` and `now` is before its expiry.
pub fn verify(key: &TokenKey, token: &str, now: DateTime<Utc>) -> Result<Claims, TokenError> {
    let (signed, claims, mac) = parts(token)?;
    key.mac(signed).verify_slice(&mac).map_err(|_| TokenError::Forged)?;
    if now < claims.expires { Ok(claims) } else { Err(TokenError::Expired) }
}

/// The signed text, what it says, and the signature.
fn parts(token: &str) -> Result<(&str, Claims, Vec<u8>), TokenError> {
    let split = || {
        let token = (token.len() <= LONGEST).then_some(token)?;
        let (signed, mac) = token.rsplit_once('.')?;
        let claims = signed.strip_prefix(PREFIX)?.strip_prefix('.')?;
        let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        Some((signed, claims, URL_SAFE_NO_PAD.decode(mac).ok()?))
    };
    split().ok_or(TokenError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use proptest::prelude::*;

    fn claims() -> Claims {
        let tools = ["http_fetch", "memory_view"].map(str::to_owned).to_vec();
        let expires = "2026-11-21T08:00:00Z".parse().unwrap();
        Claims { run: RunKey::parse("a-1_20261120T070000Z").unwrap(), tools, expires }
    }

    fn key() -> TokenKey {
        TokenKey::new(7, 11)
    }

    fn before() -> DateTime<Utc> {
        claims().expires - TimeDelta::seconds(1)
    }

    #[test]
    fn the_mac_is_the_hmac_of_everything_before_it() {
        // Checked with Python: hmac.new(bytes(15) + b"\x07" + bytes(15) + b"\x0b", signed, "sha256").
        let token = render(&key(), &claims());
        assert_eq!(
            token,
            "nst1.eyJyIjoiYS0xXzIwMjYxMTIwVDA3MDAwMFoiLCJ0IjpbImh0dHBfZmV0Y2giLCJtZW1vcnlfdmlldyJdLCJlIjoxNzk1MjQ4MDAwfQ.wgm5KxE844rMLSezSjeMR0CfMaULyyPTEkJpb6PV5Ew"
        );
        assert_eq!(render(&key(), &claims()), token, "the same bytes for every hop");
    }

    #[test]
    fn a_token_is_accepted_under_its_key_and_before_its_expiry_only() {
        let token = render(&key(), &claims());
        assert_eq!(claimed_run(&token), Ok(claims().run));
        assert_eq!(verify(&key(), &token, before()), Ok(claims()));
        assert_eq!(verify(&key(), &token, claims().expires), Err(TokenError::Expired));
        assert_eq!(verify(&TokenKey::new(11, 7), &token, before()), Err(TokenError::Forged));
        let later = Claims { expires: claims().expires + TimeDelta::days(1), ..claims() };
        let mac = token.rsplit_once('.').unwrap().1;
        let moved = format!("{}.{mac}", render(&key(), &later).rsplit_once('.').unwrap().0);
        assert_eq!(verify(&key(), &moved, before()), Err(TokenError::Forged));
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let token = render(&key(), &claims());
        let long = format!("nst1.{}.AA", "A".repeat(LONGEST));
        for text in ["", "nst1", "nst1..", "nst1.e30.AA", "nst1.%%.AA", "é", &token.replace("nst1", "nst2"), &long] {
            assert_eq!(verify(&key(), text, before()), Err(TokenError::Malformed), "{text}");
            assert_eq!(claimed_run(text), Err(TokenError::Malformed));
        }
    }

    #[test]
    fn a_key_survives_its_row_and_shows_itself_in_no_debug_output() {
        let text = serde_json::to_string(&key()).unwrap();
        assert_eq!(serde_json::from_str::<TokenKey>(&text).unwrap(), key());
        assert_eq!(format!("{:?}", key()), "[redacted]");
        let error = serde_json::from_str::<TokenKey>("\"c2VjcmV0\"").unwrap_err().to_string();
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }

    proptest! {
        #[test]
        fn a_token_with_any_byte_changed_is_refused(at in any::<prop::sample::Index>(), byte in 0_u8..128) {
            let token = render(&key(), &claims());
            let mut bytes = token.clone().into_bytes();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != byte);
            bytes[at] = byte;
            let changed = String::from_utf8(bytes).unwrap();
            prop_assert!(verify(&key(), &changed, before()).is_err(), "{changed}");
        }

        #[test]
        fn a_token_that_lost_or_won_anything_is_refused(cut in any::<prop::sample::Index>(), more in "[A-Za-z0-9_.-]{1,8}") {
            let token = render(&key(), &claims());
            prop_assert!(verify(&key(), &token[..cut.index(token.len())], before()).is_err());
            let longer = format!("{token}{more}");
            prop_assert!(verify(&key(), &longer, before()).is_err());
        }

        #[test]
        fn any_claims_come_back_as_they_were(tools in prop::collection::vec("[a-z_]{1,20}", 0..8), high: u128, low: u128) {
            let claims = Claims { tools, ..claims() };
            let key = TokenKey::new(high, low);
            prop_assert_eq!(verify(&key, &render(&key, &claims), before()), Ok(claims));
        }
    }
}
