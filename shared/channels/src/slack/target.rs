//! Slack's targets: `channel:C…`, `#name`, `user:U…`, `<@U…>`, `@U…`, and ids alone.

use crate::prefix::strip_word;

const NEEDS_TEAM: &str =
    "Slack workspace targets require team:<team-id>:channel:<channel-id> or team:<team-id>:user:<user-id>";
const NEEDS_TARGET: &str = "Delivering to Slack requires target <channelId|user:ID|channel:ID>";

/// Whom a target means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Channel,
}

/// Reads the grammar: the kind, and the id or name as `chat.postMessage` takes it.
pub(crate) fn parse(to: &str) -> Result<(Kind, String), String> {
    let to = to.trim();
    if let Some(rest) = strip_word(to, "team:") {
        let (team, rest) = rest.split_once(':').unwrap_or((rest, ""));
        let named = strip_word(rest, "channel:").map(|id| (Kind::Channel, id));
        let named = named.or_else(|| strip_word(rest, "user:").map(|id| (Kind::User, id)));
        let (kind, id) = named.filter(|(_, id)| !team.is_empty() && !id.is_empty()).ok_or(NEEDS_TEAM)?;
        return Ok((kind, canonical(id)));
    }
    if let Some(id) = to.strip_prefix("<@").and_then(|rest| rest.strip_suffix('>')) {
        return named(Kind::User, id.split('|').next().unwrap_or(id));
    }
    if let Some(id) = strip_word(to, "user:") {
        return named(Kind::User, id);
    }
    if let Some(id) = strip_word(to, "channel:") {
        return named(Kind::Channel, id);
    }
    if let Some(rest) = strip_word(to, "slack:") {
        let rest = rest.trim();
        let plain = !rest.contains(':') && !rest.starts_with(['#', '@', '<']);
        // A bare id after `slack:` is a user's, unless it looks like a channel's.
        return if plain && !is_channel_id(rest) { named(Kind::User, rest) } else { parse(rest) };
    }
    if let Some(id) = to.strip_prefix('@') {
        if !id.chars().all(|char| char.is_ascii_alphanumeric()) {
            return Err("Slack DMs require a user id (use user:<id> or <@id>)".to_owned());
        }
        return named(Kind::User, id);
    }
    if let Some(id) = to.strip_prefix('#') {
        let allowed = |char: char| char.is_alphanumeric() || char == '-' || char == '_';
        if !id.chars().all(allowed) {
            return Err("Slack channels require a channel id (use channel:<id>)".to_owned());
        }
        return named(Kind::Channel, id);
    }
    let id = canonical(to);
    let kind = if id.starts_with(['U', 'W']) && is_user_id(&id) { Kind::User } else { Kind::Channel };
    named(kind, &id)
}

fn named(kind: Kind, id: &str) -> Result<(Kind, String), String> {
    let id = id.trim();
    if id.is_empty() || id.chars().any(char::is_whitespace) {
        return Err(NEEDS_TARGET.to_owned());
    }
    Ok((kind, canonical(id)))
}

/// An id in upper case, as Slack writes it; a name as it is.
fn canonical(id: &str) -> String {
    let upper = id.to_ascii_uppercase();
    // A name in lower case ("buildstatus") may have the letters of a user's id; an id has digits too.
    let sure = id == upper || id.contains(|char: char| char.is_ascii_digit());
    if is_channel_id(&upper) || (sure && is_user_id(&upper)) { upper } else { id.to_owned() }
}

fn is_channel_id(id: &str) -> bool {
    let mut chars = id.chars();
    let kind = chars.next().is_some_and(|char| "CDG".contains(char));
    kind && chars.next().is_some_and(|char| char.is_ascii_digit())
        && chars.clone().count() >= 7
        && chars.all(is_id_char)
}

fn is_user_id(id: &str) -> bool {
    let mut chars = id.chars();
    chars.next().is_some_and(|char| "BUW".contains(char)) && chars.clone().count() >= 8 && chars.all(is_id_char)
}

fn is_id_char(char: char) -> bool {
    char.is_ascii_uppercase() || char.is_ascii_digit()
}
