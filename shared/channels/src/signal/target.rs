//! Signal's targets: numbers, `uuid:…`, `username:…`, and `group:<id>`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::prefix::strip_word;
use crate::whatsapp::target::number;

const NEEDS_TARGET: &str = "Signal recipient is required";

/// A place in Signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A group, by its id as Signal writes it.
    Group(String),
    /// A person, by username.
    Username(String),
    /// A person, by number or id; or a word that is neither.
    Recipient(String),
}

/// Reads the grammar; a recipient may still be nobody.
pub(crate) fn parse(to: &str) -> Result<Place, String> {
    let to = to.trim();
    let rest = strip_word(to, "signal:").map_or(to, str::trim);
    let named = |text: &str| {
        let text = text.trim();
        if text.is_empty() { Err(NEEDS_TARGET.to_owned()) } else { Ok(text.to_owned()) }
    };
    if let Some(id) = strip_word(rest, "group:") {
        return named(id).map(Place::Group);
    }
    if let Some(name) = strip_word(rest, "username:").or_else(|| strip_word(rest, "u:")) {
        return named(name).map(|name| Place::Username(name.to_lowercase()));
    }
    named(strip_word(rest, "uuid:").unwrap_or(rest)).map(|recipient| Place::Recipient(recipient.to_lowercase()))
}

impl Place {
    /// As it is kept: reads back to the same place. An error for what is nobody.
    pub(crate) fn canonical(&self) -> Result<String, String> {
        match self {
            Self::Group(id) => Ok(format!("group:{id}")),
            Self::Username(name) => Ok(format!("username:{name}")),
            Self::Recipient(id) if is_uuid(id) => Ok(format!("uuid:{id}")),
            Self::Recipient(text) => number(text).ok_or_else(|| {
                format!(
                    "Unknown Signal alias or target \"{text}\": use E.164, uuid:<id>, username:<name>, or group:<id>."
                )
            }),
        }
    }

    /// As the server takes it (signal-cli REST API, `/v2/send`).
    pub(crate) fn wire(&self) -> String {
        match self {
            Self::Group(id) => format!("group.{}", STANDARD.encode(id)),
            Self::Username(name) => name.clone(),
            Self::Recipient(text) => number(text).unwrap_or_else(|| text.clone()),
        }
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}
