//! iMessage's targets: numbers and addresses, and chats by `chat_id:`, `chat_guid:` and `chat_identifier:`.

use crate::prefix::strip_word;
use crate::whatsapp::target::number;

const NEEDS_TARGET: &str = "iMessage target is required";
/// Words before a chat's number, its guid and its identifier.
const CHAT_ID: [&str; 3] = ["chat_id:", "chatid:", "chat:"];
const CHAT_GUID: [&str; 3] = ["chat_guid:", "chatguid:", "guid:"];
const CHAT_IDENTIFIER: [&str; 3] = ["chat_identifier:", "chatidentifier:", "chatident:"];

/// How a person is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// As the Mac does it.
    Auto,
    IMessage,
    Sms,
}

/// A place in Messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A person, by number or address as it was written.
    Handle(Service, String),
    /// A chat by its row in the Mac's database.
    ChatId(i64),
    /// A chat by its whole name: `iMessage;+;chat123`.
    ChatGuid(String),
    /// A chat by the last part of its name.
    ChatIdentifier(String),
}

/// Reads the grammar; a handle may still be nobody.
pub(crate) fn parse(to: &str) -> Result<Place, String> {
    let to = to.trim();
    if to.is_empty() {
        return Err(NEEDS_TARGET.to_owned());
    }
    if let Some(rest) = strip_word(to, "bluebubbles:") {
        return parse(rest);
    }
    let services = [("imessage:", Service::IMessage), ("sms:", Service::Sms), ("auto:", Service::Auto)];
    for (word, service) in services {
        let Some(rest) = strip_word(to, word).map(str::trim) else { continue };
        if rest.is_empty() {
            return Err(format!("{word} target is required"));
        }
        return Ok(match parse(rest)? {
            Place::Handle(Service::Auto, handle) => Place::Handle(service, handle),
            place @ (Place::Handle(..) | Place::ChatId(_) | Place::ChatGuid(_) | Place::ChatIdentifier(_)) => place,
        });
    }
    chat(to).unwrap_or_else(|| Ok(Place::Handle(Service::Auto, to.to_owned())))
}

/// A target that names a chat, or fails to.
fn chat(to: &str) -> Option<Result<Place, String>> {
    let after = |words: &[&str]| words.iter().find_map(|word| strip_word(to, word)).map(str::trim);
    let filled = |text: &str, what: &str| {
        if text.is_empty() { Err(format!("{what} is required")) } else { Ok(text.to_owned()) }
    };
    if let Some(text) = after(&CHAT_ID) {
        return Some(text.parse().map(Place::ChatId).map_err(|_| format!("Invalid chat_id: {text}")));
    }
    if let Some(text) = after(&CHAT_GUID) {
        return Some(filled(text, "chat_guid").map(Place::ChatGuid));
    }
    if let Some(text) = after(&CHAT_IDENTIFIER) {
        return Some(filled(text, "chat_identifier").map(Place::ChatIdentifier));
    }
    if let Some(text) = after(&["group:"]) {
        return Some(match (text.parse(), guid(text)) {
            (Ok(number), _) => Ok(Place::ChatId(number)),
            (Err(_), Some(place)) => Ok(place),
            (Err(_), None) => filled(text, "group target").map(Place::ChatIdentifier),
        });
    }
    guid(to).or_else(|| is_identifier(to).then(|| Place::ChatIdentifier(to.to_owned()))).map(Ok)
}

/// `service;+;chat` is a chat, `service;-;handle` a person.
fn guid(text: &str) -> Option<Place> {
    let (service, rest) = text.split_once(';')?;
    let (kind, id) = rest.split_once(';')?;
    let known = match service.to_ascii_lowercase().as_str() {
        "imessage" => Service::IMessage,
        "sms" => Service::Sms,
        _ => Service::Auto,
    };
    match kind {
        "-" if !id.is_empty() => Some(Place::Handle(known, id.to_owned())),
        "+" if !id.is_empty() => Some(Place::ChatGuid(text.to_owned())),
        _ => None,
    }
}

/// `chat<digits>`, 32 hexadecimal digits, or a uuid.
fn is_identifier(text: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = strip_word(text, "chat").is_some_and(|rest| rest.parse::<u128>().is_ok());
    let uuid = text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.split('-').all(hex);
    digits || uuid || (text.len() == 32 && hex(text))
}

/// A handle as Messages keeps it: an address in lower case, or a number with `+`; `None` for what is neither.
pub(crate) fn address(handle: &str) -> Option<String> {
    let handle = handle.trim();
    if let Some((name, host)) = handle.split_once('@') {
        let fits = !name.is_empty() && host.contains('.') && !handle.contains([';', ':', '/']);
        return (fits && !handle.contains(char::is_whitespace)).then(|| handle.to_lowercase());
    }
    number(handle)
}

impl Place {
    /// As it is kept: reads back to the same place. An error for what is nobody.
    pub(crate) fn canonical(&self) -> Result<String, String> {
        match self {
            Self::Handle(service, handle) => {
                let address = address(handle).ok_or_else(|| {
                    format!("iMessage target \"{handle}\" is neither a phone number nor an email address nor a chat")
                })?;
                Ok(match service {
                    Service::Auto => address,
                    Service::IMessage => format!("imessage:{address}"),
                    Service::Sms => format!("sms:{address}"),
                })
            }
            Self::ChatId(id) => Ok(format!("chat_id:{id}")),
            Self::ChatGuid(guid) => Ok(format!("chat_guid:{guid}")),
            Self::ChatIdentifier(id) => Ok(format!("chat_identifier:{id}")),
        }
    }
}
