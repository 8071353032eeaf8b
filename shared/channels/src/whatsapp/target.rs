//! WhatsApp's targets: numbers as people write them, and ids of chats as other programs keep them.

use crate::prefix::strip_word;

const NEEDS_TARGET: &str = "Delivering to WhatsApp requires target <E.164|group JID|newsletter JID>";
/// Longest number, digits (ITU-T E.164).
const LONGEST: usize = 15;

/// A place in WhatsApp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A person, by number with `+`.
    Person(String),
    /// A group or newsletter, by its id.
    Group(String),
}

/// Reads the grammar.
pub(crate) fn parse(to: &str) -> Result<Place, String> {
    let mut rest = to.trim();
    while let Some(inner) = strip_word(rest, "whatsapp:") {
        rest = inner.trim();
    }
    let refused = || NEEDS_TARGET.to_owned();
    if let Some(group) = strip_word(rest, "group:").map(str::trim) {
        return if is_group(group) { Ok(Place::Group(group.to_owned())) } else { Err(refused()) };
    }
    let Some((name, server)) = rest.split_once('@') else {
        return number(rest).map(Place::Person).ok_or_else(refused);
    };
    match server.to_ascii_lowercase().as_str() {
        "g.us" if is_group(rest) => Ok(Place::Group(rest.to_owned())),
        "newsletter" if is_digits(name) => Ok(Place::Group(rest.to_owned())),
        "s.whatsapp.net" | "c.us" => {
            let (name, device) = name.split_once(':').unwrap_or((name, "0"));
            let fits = is_digits(name) && is_digits(device) && name.len() <= LONGEST;
            fits.then(|| Place::Person(format!("+{name}"))).ok_or_else(refused)
        }
        "lid" => Err("a WhatsApp id ending in @lid is no phone number; use the person's number".to_owned()),
        _ => Err(refused()),
    }
}

fn is_group(text: &str) -> bool {
    let Some((name, server)) = text.split_once('@') else { return false };
    server.eq_ignore_ascii_case("g.us") && name.split('-').all(is_digits)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number as people write it: digits, and between them spaces, hyphens, dots and parentheses.
pub(crate) fn number(text: &str) -> Option<String> {
    let text = text.trim();
    let inner = text.strip_prefix('+').unwrap_or(text);
    if !inner.chars().all(|char| char.is_ascii_digit() || " -.()\u{a0}".contains(char)) {
        return None;
    }
    let digits: String = inner.chars().filter(char::is_ascii_digit).collect();
    (!digits.is_empty() && digits.len() <= LONGEST).then(|| format!("+{digits}"))
}
