//! Names of channels in front of a target: `telegram:-100…` must not be read by Slack.

use nightshift_domain::delivery::channel_of;

/// Refuses a target that names another channel than `channel`.
pub(crate) fn refuse_foreign(to: &str, channel: &str) -> Result<(), String> {
    match channel_of(to) {
        Some(owner) if owner != channel => {
            let prefix = to.trim().split(':').next().unwrap_or_default().to_ascii_lowercase();
            Err(format!("Target prefix \"{prefix}:\" belongs to {owner}, not {channel}."))
        }
        Some(_) | None => Ok(()),
    }
}

/// `text` without `word` in front of it, in any case.
pub(crate) fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let start = text.get(..word.len())?;
    start.eq_ignore_ascii_case(word).then(|| &text[word.len()..])
}

/// What a job gave as thread; `None` where it is blank.
pub(crate) fn thread_of(thread: Option<&str>) -> Option<&str> {
    thread.map(str::trim).filter(|thread| !thread.is_empty())
}
