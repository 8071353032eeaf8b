//! Cuts a document into messages of a channel's size.
//!
//! Guarantee: every message is within the limit as it is rendered, none is empty, and only white space at the cuts is lost.
//! What fits into one message is not cut: first whole blocks are packed, then, inside a block that is too long by itself,
//! list items, then lines, then words outside parentheses and links, then words. Only a word longer than a message is cut,
//! between characters as a reader sees them. A code block that is cut is closed and opened again, because markup is made
//! for each message. Sizes are UTF-16 code units, as Telegram counts them.

use std::ops::Range;

use crate::markdown::{Document, Piece, Style};

/// Ranks of places to cut below those of the structure.
const LINE: u8 = 20;
const WORD: u8 = 21;
const INNER_WORD: u8 = 22;

/// Makes a channel's text of the pieces of one message.
pub(crate) type Render = fn(&[Piece<'_>]) -> String;

/// The size of `text` in UTF-16 code units.
pub(crate) fn utf16_len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// The messages of `document`, each at most `limit` as `render` makes it.
pub(crate) fn chunk(document: &Document, limit: usize, render: Render) -> Vec<Vec<Piece<'_>>> {
    let cutter = Cutter { document, limit: limit.max(1), render };
    let mut messages = Vec::new();
    let mut start = 0;
    while start < document.text().len() {
        let (end, bare) = cutter.next(start);
        let range = document.trim_end(start..end);
        if !document.text()[range.clone()].trim().is_empty() {
            let mut pieces = document.slice(range);
            if bare {
                strip(&mut pieces);
            }
            messages.push(pieces);
        }
        start = end;
    }
    messages
}

struct Cutter<'a> {
    document: &'a Document,
    limit: usize,
    render: Render,
}

impl Cutter<'_> {
    /// Where the message that begins at `start` ends, and whether it must do without markup to fit.
    fn next(&self, start: usize) -> (usize, bool) {
        let text = self.document.text();
        if self.fits(start..text.len(), false) {
            return (text.len(), false);
        }
        let (furthest, bare) = match self.furthest(start, false) {
            Some(end) => (end, false),
            None => match self.furthest(start, true) {
                Some(end) => (end, true),
                // Not even one character fits: it is sent alone.
                None => return (next_cluster(text, start), true),
            },
        };
        let places = self.places(start, furthest);
        let mut end = start;
        let mut ranks: Vec<u8> = places.iter().map(|(_, rank)| *rank).collect();
        ranks.sort_unstable();
        ranks.dedup();
        for rank in ranks {
            let latest = places.iter().rev().find(|(at, other)| *other <= rank && *at <= furthest && *at > end);
            end = latest.map_or(end, |(at, _)| *at);
            let unit_end = places.iter().find(|(at, other)| *other <= rank && *at > furthest).map(|(at, _)| *at);
            let unit = end..unit_end.unwrap_or(text.len());
            // What would be cut here fits into a message of its own, so it is left whole.
            if end > start && self.holds_text(start..end) && self.fits(unit, bare) {
                return (end, bare);
            }
        }
        // A word too long for any message comes next: it fills this one up.
        (whole_clusters(text, start, furthest), bare)
    }

    fn holds_text(&self, range: Range<usize>) -> bool {
        !self.document.text()[range].trim().is_empty()
    }

    fn size(&self, range: Range<usize>, bare: bool) -> usize {
        let mut pieces = self.document.slice(self.document.trim_end(range));
        if bare {
            strip(&mut pieces);
        }
        utf16_len(&(self.render)(&pieces))
    }

    fn fits(&self, range: Range<usize>, bare: bool) -> bool {
        // Rendered text is never shorter, and UTF-8 has at most three bytes for a unit of UTF-16.
        let trimmed = self.document.trim_end(range.clone());
        trimmed.len() / 3 <= self.limit && self.size(range, bare) <= self.limit
    }

    /// The last place up to which a message from `start` fits.
    fn furthest(&self, start: usize, bare: bool) -> Option<usize> {
        let text = &self.document.text()[start..];
        let ends: Vec<usize> = text
            .char_indices()
            .scan(0, |units, (at, char)| {
                // White space at the end is not sent, so it does not count.
                *units += if char.is_whitespace() { 0 } else { char.len_utf16() };
                (*units <= self.limit).then_some(start + at + char.len_utf8())
            })
            .collect();
        let fitting = ends.partition_point(|end| self.fits(start..*end, bare));
        let end = *ends.get(fitting.checked_sub(1)?)?;
        self.holds_text(start..end).then_some(end)
    }

    /// Places to cut between `start` and a message's length past `furthest`, in order, with their rank.
    fn places(&self, start: usize, furthest: usize) -> Vec<(usize, u8)> {
        let text = self.document.text();
        let mut places: Vec<(usize, u8)> = self
            .document
            .breaks()
            .iter()
            .filter(|place| place.at > start)
            .map(|place| (place.at, place.depth))
            .collect();
        let mut parentheses = 0_u32;
        let mut before = ' ';
        for (offset, char) in text[start..].char_indices() {
            let at = start + offset;
            if before == '\n' && offset > 0 {
                parentheses = 0;
                places.push((at, LINE));
            } else if before.is_whitespace() && !char.is_whitespace() && offset > 0 {
                let inside = parentheses > 0 || self.is_inside_span(at);
                places.push((at, if inside { INNER_WORD } else { WORD }));
            }
            match char {
                '(' => parentheses += 1,
                ')' => parentheses = parentheses.saturating_sub(1),
                _ => {}
            }
            before = char;
            if at > furthest + 4 * self.limit {
                break;
            }
        }
        places.sort_unstable();
        places.dedup_by_key(|(at, _)| *at);
        places
    }

    /// Whether a link or a stretch of code goes on across `at`.
    fn is_inside_span(&self, at: usize) -> bool {
        let holds =
            |style: &Style| matches!(style, Style::Link { .. } | Style::Code | Style::Whole | Style::Marked { .. });
        let after = self.document.styles_at(at);
        after.iter().any(|style| holds(style) && self.document.styles_at(at - 1).contains(style))
    }
}

/// Takes the styles off: what does not fit with markup is sent without.
fn strip(pieces: &mut [Piece<'_>]) {
    for piece in pieces.iter_mut().filter(|piece| !piece.text.is_empty()) {
        piece.styles = &[];
    }
}

/// The last boundary between clusters after `start` and up to `furthest`; `furthest` where one cluster fills it all.
fn whole_clusters(text: &str, start: usize, furthest: usize) -> usize {
    let boundary = text[start..furthest].char_indices().map(|(at, _)| start + at).rev();
    let mut ends = std::iter::once(furthest).chain(boundary);
    ends.find(|at| *at > start && is_boundary(text, *at)).unwrap_or(furthest)
}

fn next_cluster(text: &str, start: usize) -> usize {
    let mut ends = text[start..].char_indices().map(|(at, _)| start + at).skip(1);
    ends.find(|at| is_boundary(text, *at)).unwrap_or(text.len())
}

/// Whether a reader sees two characters at `at`, and not parts of one.
///
/// The rules of UAX #29, "Grapheme Cluster Boundaries", for what occurs in messages: combining marks, variation
/// selectors, emoji joined or coloured, flags, and conjoining Hangul; not the conjuncts of Indic scripts.
fn is_boundary(text: &str, at: usize) -> bool {
    let (Some(before), Some(after)) = (text[..at].chars().next_back(), text[at..].chars().next()) else { return true };
    let flags = text[..at].chars().rev().take_while(|char| is_regional(*char)).count();
    let in_flag = is_regional(after) && flags % 2 == 1;
    let joined = before == '\u{200d}' || (before == '\r' && after == '\n');
    !(joined || in_flag || extends(after))
}

fn is_regional(char: char) -> bool {
    matches!(char, '\u{1f1e6}'..='\u{1f1ff}')
}

fn extends(char: char) -> bool {
    let code = u32::from(char);
    match char {
        '\u{0300}'..='\u{036f}'
        | '\u{0483}'..='\u{0489}'
        | '\u{0591}'..='\u{05bd}'
        | '\u{05bf}'
        | '\u{05c1}'..='\u{05c2}'
        | '\u{05c4}'..='\u{05c5}'
        | '\u{0610}'..='\u{061a}'
        | '\u{064b}'..='\u{065f}'
        | '\u{0670}'
        | '\u{06d6}'..='\u{06dc}'
        | '\u{06df}'..='\u{06e4}'
        | '\u{0e31}'
        | '\u{0e33}'..='\u{0e3a}'
        | '\u{0e47}'..='\u{0e4e}'
        | '\u{1160}'..='\u{11ff}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}'
        | '\u{200d}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{3099}'..='\u{309a}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{fe20}'..='\u{fe2f}'
        | '\u{1f3fb}'..='\u{1f3ff}'
        | '\u{e0020}'..='\u{e007f}'
        | '\u{e0100}'..='\u{e01ef}' => true,
        // The Indic blocks keep their signs at the same places.
        '\u{0900}'..='\u{0dff}' => matches!(code & 0x7f, 0x00..=0x03 | 0x3a..=0x3c | 0x3e..=0x4f),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::markdown::{parse_raw, render_raw};

    fn cut(text: &str, limit: usize) -> Vec<String> {
        let document = parse_raw(text, limit);
        chunk(&document, limit, render_raw).iter().map(|pieces| render_raw(pieces)).collect()
    }

    #[test]
    fn blocks_are_packed_whole_and_only_what_is_too_long_by_itself_is_cut() {
        assert_eq!(cut("aaa\n\nbbb\n\nccc\n\nddd", 12), ["aaa\n\nbbb", "ccc\n\nddd"]);
        assert_eq!(cut("intro\n\n- one one\n- two two", 20), ["intro", "- one one\n- two two"]);
        assert_eq!(cut("intro\n\n- one one\n- two two", 18), ["intro\n\n- one one", "- two two"]);
        assert_eq!(cut("see (alpha beta) gamma", 14), ["see", "(alpha beta)", "gamma"]);
    }

    #[test]
    fn a_character_of_several_code_points_is_not_cut() {
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        let flag = "\u{1f1e6}\u{1f1f9}";
        assert_eq!(cut(&family.repeat(3), 17), [family.repeat(2), family.to_owned()]);
        assert_eq!(cut(&flag.repeat(3), 10), [flag.repeat(2), flag.to_owned()]);
        assert_eq!(cut(&"e\u{301}".repeat(3), 5), ["e\u{301}".repeat(2), "e\u{301}".to_owned()]);
    }

    #[test]
    fn a_character_larger_than_the_limit_is_sent_alone() {
        assert_eq!(cut("a😀b", 1), ["a", "😀", "b"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_cut_into_messages_that_fit_and_lose_only_white_space(
            text in "[ab(é😀]{0,30}(([ \n]|\n\n|\n- )[ab)é😀]{1,30}){0,20}", limit in 2_usize..60,
        ) {
            let messages = cut(&text, limit);
            for message in &messages {
                prop_assert!(utf16_len(message) <= limit, "{message:?}");
                prop_assert!(!message.trim().is_empty());
            }
            let squeeze = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(squeeze(&messages.concat()), squeeze(&text));
        }
    }
}
