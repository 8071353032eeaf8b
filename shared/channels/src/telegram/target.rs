//! Telegram's targets: `-1001234567890`, `-100…:topic:123`, `telegram:group:-100…:123`, `@channel`, `t.me/channel`.

use crate::prefix::strip_word;

/// A place in Telegram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// A number, or `@name`; anything else is no recipient.
    pub(crate) chat: String,
    pub(crate) topic: Option<Topic>,
}

/// A part of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// A forum topic: `message_thread_id`.
    Thread(i64),
    /// A topic of a channel's direct messages: `direct_messages_topic_id`.
    Direct(i64),
}

/// Reads the grammar; the chat may still be no recipient.
pub(crate) fn parse(to: &str) -> Place {
    let mut rest = to.trim();
    let mut prefixed = false;
    loop {
        let stripped = strip_word(rest, "telegram:").or_else(|| strip_word(rest, "tg:"));
        let stripped = stripped.or_else(|| prefixed.then(|| strip_word(rest, "group:")).flatten());
        let Some(inner) = stripped else { break };
        prefixed = true;
        rest = inner.trim();
    }
    // `group:<id>` alone is what older jobs were stored with.
    if !prefixed {
        rest = strip_word(rest, "group:").unwrap_or(rest);
    }
    let (chat, topic) = split_topic(rest).unwrap_or((rest, None));
    Place { chat: chat.to_owned(), topic }
}

/// The chat as `sendMessage` takes it: a number, or `@name` of a public chat; `None` when it is neither.
pub(crate) fn recipient(chat: &str) -> Option<String> {
    let digits = chat.strip_prefix('-').unwrap_or(chat);
    if !digits.is_empty() && digits.chars().all(|char| char.is_ascii_digit()) {
        return Some(chat.to_owned());
    }
    let link = ["https://", "http://"].iter().find_map(|scheme| strip_word(chat, scheme)).unwrap_or(chat);
    let name = strip_word(link, "t.me/").or_else(|| chat.strip_prefix('@')).unwrap_or(chat);
    let fits = name.len() >= 5 && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    fits.then(|| format!("@{name}"))
}

/// `<chat>:<n>`, `<chat>:topic:<n>` or `<chat>:direct-topic:<n>`.
fn split_topic(text: &str) -> Option<(&str, Option<Topic>)> {
    let (before, number) = text.rsplit_once(':')?;
    if number.is_empty() || !number.chars().all(|char| char.is_ascii_digit()) {
        return None;
    }
    let number: i64 = number.parse().ok()?;
    let direct = before.strip_suffix(":direct-topic").filter(|_| number > 0);
    let (chat, topic) = match (direct, before.strip_suffix(":topic")) {
        (Some(chat), _) => (chat, Topic::Direct(number)),
        (None, Some(chat)) => (chat, Topic::Thread(number)),
        (None, None) => (before, Topic::Thread(number)),
    };
    (!chat.is_empty()).then_some((chat, Some(topic)))
}
