//! Names of channels in front of a target: `telegram:-100…` must not be read by Slack.

/// Every channel's prefixes, this product's and those it will have.
const PREFIXES: [(&str, &str); 12] = [
    ("telegram", "telegram"),
    ("tg", "telegram"),
    ("slack", "slack"),
    ("discord", "discord"),
    ("whatsapp", "whatsapp"),
    ("mattermost", "mattermost"),
    ("signal", "signal"),
    ("imessage", "imessage"),
    ("matrix", "matrix"),
    ("googlechat", "googlechat"),
    ("msteams", "msteams"),
    ("bluebubbles", "imessage"),
];

/// Refuses a target that names another channel than `channel`.
pub(crate) fn refuse_foreign(to: &str, channel: &str) -> Result<(), String> {
    let Some((prefix, _)) = to.trim().split_once(':') else { return Ok(()) };
    let owner = PREFIXES.iter().find(|(known, _)| known.eq_ignore_ascii_case(prefix));
    match owner {
        Some((_, owner)) if *owner != channel => {
            Err(format!("Target prefix \"{}:\" belongs to {owner}, not {channel}.", prefix.to_ascii_lowercase()))
        }
        Some(_) | None => Ok(()),
    }
}
