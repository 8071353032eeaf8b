//! Names of channels in front of a target: `telegram:-100…` is Telegram's, and must not be read by Slack.

/// Every channel's prefixes: this product's, and those of channels that targets brought along may name.
const PREFIXES: [(&str, &str); 12] = [
    ("telegram", "telegram"),
    ("tg", "telegram"),
    ("slack", "slack"),
    ("discord", "discord"),
    ("whatsapp", "whatsapp"),
    ("mattermost", "mattermost"),
    ("signal", "signal"),
    ("imessage", "imessage"),
    ("bluebubbles", "imessage"),
    ("matrix", "matrix"),
    ("googlechat", "googlechat"),
    ("msteams", "msteams"),
];

/// The channel that a target names in front of itself, in any case; `None` when it names none.
pub fn channel_of(to: &str) -> Option<&'static str> {
    let (prefix, _) = to.trim().split_once(':')?;
    PREFIXES.iter().find(|(known, _)| known.eq_ignore_ascii_case(prefix)).map(|(_, channel)| *channel)
}

#[cfg(test)]
mod tests {
    use super::channel_of;

    #[test]
    fn a_target_names_its_channel_by_its_prefix_and_by_nothing_else() {
        assert_eq!(channel_of(" TG:-100:topic:7"), Some("telegram"));
        assert_eq!(channel_of("discord:channel:1"), Some("discord"));
        assert_eq!(channel_of("bluebubbles:chat_id:4"), Some("imessage"));
        for other in ["channel:C1", "user:U1", "group:x", "-1001:7", "telegram", "", "https://e.io/telegram:1"] {
            assert_eq!(channel_of(other), None, "{other}");
        }
    }
}
