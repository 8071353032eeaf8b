//! Mattermost's targets: `channel:<id>`, `user:<id>`, `@username`, `#name`, and ids and names alone, which are channels.

use crate::prefix::strip_word;

/// A place on a Mattermost server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A channel by id.
    Channel(String),
    /// A channel by name, which is looked up in the bot's teams.
    Named(String),
    /// A direct message to a user, by id.
    User(String),
    /// A direct message to a user, by name.
    Username(String),
}

impl Place {
    /// As it is kept: reads back to the same place.
    pub(crate) fn canonical(&self) -> String {
        match self {
            Self::Channel(id) => format!("channel:{id}"),
            Self::Named(name) => format!("#{name}"),
            Self::User(id) => format!("user:{id}"),
            Self::Username(name) => format!("@{name}"),
        }
    }
}

/// Reads the grammar.
pub(crate) fn parse(to: &str) -> Result<Place, String> {
    let to = to.trim();
    let needs = |what: &str| format!("{what} is required for Mattermost sends");
    if to.is_empty() {
        return Err(needs("Recipient"));
    }
    if let Some(rest) = strip_word(to, "channel:").or_else(|| strip_word(to, "group:")) {
        return channel(rest.trim()).ok_or_else(|| needs("Channel id"));
    }
    if let Some(rest) = strip_word(to, "user:") {
        return user(rest.trim()).ok_or_else(|| needs("User id"));
    }
    if let Some(rest) = strip_word(to, "mattermost:").map(str::trim) {
        // A word alone is a user's after the channel's name, and a channel's without it.
        let alone = !rest.contains([':', '#']);
        return if alone { user(rest).ok_or_else(|| needs("User id")) } else { parse(rest) };
    }
    if let Some(name) = to.strip_prefix('@') {
        return word(name).map(|name| Place::Username(name.to_owned())).ok_or_else(|| needs("Username"));
    }
    channel(to).ok_or_else(|| needs("Channel name"))
}

fn channel(text: &str) -> Option<Place> {
    match text.strip_prefix('#') {
        Some(name) => word(name).map(|name| Place::Named(name.to_owned())),
        None if is_id(text) => Some(Place::Channel(text.to_owned())),
        None => word(text).map(|name| Place::Named(name.to_owned())),
    }
}

fn user(text: &str) -> Option<Place> {
    let name = text.strip_prefix('@').unwrap_or(text);
    word(name).map(|id| if is_id(id) { Place::User(id.to_owned()) } else { Place::Username(id.to_owned()) })
}

/// A name as it may stand in a path.
fn word(text: &str) -> Option<&str> {
    let text = text.trim();
    (!text.is_empty() && !text.contains(['/', ':', '#', '@']) && !text.contains(char::is_whitespace)).then_some(text)
}

/// 26 lower-case letters and digits (Mattermost API reference, "Schema").
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}
