//! Discord's targets: `channel:<id>`, `user:<id>`, `<@id>`, `#name`, and ids alone, which are channels.

use crate::prefix::strip_word;

const NEEDS_TARGET: &str = "Discord recipient is required. Use \"channel:<id>\" for channels or \"user:<id>\" for DMs.";
const NEEDS_USER: &str = "Discord DMs require a user id (use user:<id> or a <@id> mention)";

/// A place in Discord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A direct message to a user, by id.
    User(String),
    /// A channel or thread, by id.
    Channel(String),
    /// A channel by name, which is looked up in the bot's servers.
    Named(String),
}

impl Place {
    /// As it is kept: reads back to the same place.
    pub(crate) fn canonical(&self) -> String {
        match self {
            Self::User(id) => format!("user:{id}"),
            Self::Channel(id) => format!("channel:{id}"),
            Self::Named(name) => format!("channel:{name}"),
        }
    }
}

/// Reads the grammar.
pub(crate) fn parse(to: &str) -> Result<Place, String> {
    let to = to.trim();
    if let Some(rest) = strip_word(to, "discord:").map(str::trim) {
        // An id alone is a user's after the channel's name, and a channel's without it.
        return if is_id(rest) { Ok(Place::User(rest.to_owned())) } else { parse(rest) };
    }
    let mention = to.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    if let Some(inner) = mention {
        if let Some(id) = inner.strip_prefix("@!").or_else(|| inner.strip_prefix('@')) {
            return user(id);
        }
        return inner.strip_prefix('#').filter(|id| is_id(id)).map(channel).ok_or_else(|| NEEDS_TARGET.to_owned())?;
    }
    if let Some(id) = strip_word(to, "user:").or_else(|| to.strip_prefix('@')) {
        return user(id.trim());
    }
    channel(strip_word(to, "channel:").unwrap_or(to))
}

fn user(id: &str) -> Result<Place, String> {
    if is_id(id) { Ok(Place::User(id.to_owned())) } else { Err(NEEDS_USER.to_owned()) }
}

fn channel(text: &str) -> Result<Place, String> {
    let text = text.trim();
    let name = text.strip_prefix('#').unwrap_or(text).trim();
    // Names of channels have no colons and no spaces (Discord documentation, "Channel Resource").
    if name.is_empty() || name.contains([':', '/', '<', '>', '@']) || name.contains(char::is_whitespace) {
        return Err(NEEDS_TARGET.to_owned());
    }
    Ok(if is_id(text) { Place::Channel(text.to_owned()) } else { Place::Named(name.to_owned()) })
}

/// A snowflake (Discord documentation, "Snowflakes").
pub(crate) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit())
}
