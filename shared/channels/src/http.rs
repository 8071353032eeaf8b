//! One HTTP call, and what its failure says about the message.

use std::fmt::Display;

use ::http::{HeaderMap, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use nightshift_engine::Clock;
use nightshift_engine::clock::timeout;
use nightshift_engine::ports::{SendError, SendErrorKind};

/// How much of an answer is read; the platforms answer a few kilobytes.
const LONGEST_ANSWER: usize = 1 << 20;

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Provably not taken.
pub(crate) fn not_taken(message: impl Display, retry_after: Option<TimeDelta>) -> SendError {
    SendError { kind: SendErrorKind::NotTaken, message: message.to_string(), retry_after }
}

/// Refused for good.
pub(crate) fn refused(message: impl Display) -> SendError {
    SendError { kind: SendErrorKind::Refused, message: message.to_string(), retry_after: None }
}

/// Nobody knows.
pub(crate) fn unknown(message: impl Display) -> SendError {
    SendError { kind: SendErrorKind::Unknown, message: message.to_string(), retry_after: None }
}

/// Sends `request` to the place people know as `name`, once, and reads the answer until `deadline`.
///
/// A request that never left (no name, no connection, no time) is [`SendErrorKind::NotTaken`]; after that a lost or late
/// answer is [`SendErrorKind::Unknown`]. The library's own error texts hold the address, which may hold a token, and are
/// not passed on.
pub(crate) async fn call(
    clock: &dyn Clock,
    deadline: DateTime<Utc>,
    name: &str,
    request: reqwest::RequestBuilder,
) -> Result<Answer, SendError> {
    if clock.now() >= deadline {
        return Err(not_taken(format!("there was no time left to send to {name}"), None));
    }
    timeout(clock, deadline, exchange(name, request))
        .await
        .unwrap_or_else(|| Err(unknown(format!("{name} did not answer in time; it may have taken the message"))))
}

/// The same failure where only a place was looked up: asking again does no harm, so nothing is unknown.
pub(crate) fn looked_up(name: &str, error: SendError) -> SendError {
    match error.kind {
        SendErrorKind::Unknown => {
            not_taken(format!("{name} could not be asked where the place is, so nothing was sent"), error.retry_after)
        }
        SendErrorKind::NotTaken | SendErrorKind::Refused => error,
    }
}

/// What the far side said, short enough for a sentence.
pub(crate) fn said(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(200).collect()
}

/// `path` with every character that is not a name's own percent-encoded (RFC 3986, section 2.3).
pub(crate) fn segment(path: &str) -> String {
    use std::fmt::Write as _;
    path.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

async fn exchange(name: &str, request: reqwest::RequestBuilder) -> Result<Answer, SendError> {
    let mut response = request.send().await.map_err(|error| {
        if error.is_builder() {
            refused(format!("the request to {name} could not be built; check the channel's baseUrl"))
        } else if error.is_connect() {
            not_taken(format!("no connection to {name} could be made"), None)
        } else {
            unknown(format!("the connection to {name} was lost; it may have taken the message"))
        }
    })?;
    let mut body = Vec::new();
    // An answer that is cut off cannot be read as one, and its status decides alone.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ANSWER {
            break;
        }
    }
    Ok(Answer { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
}
