//! Markdown as text with styles: what every channel renders from, and what the chunker cuts.
//!
//! A [`Document`] is the visible text, a list of spans over it that each carry their styles from the outside in, and the
//! places where it may be cut. Markup is made from a slice of it, so a cut inside bold text, a link or a code block closes
//! what is open in one message and opens it again in the next. It knows no channel; what differs between channels when
//! reading is in [`Dialect`].

mod html;
mod inline;
mod parse;
mod raw;
mod raw_spans;
mod table;

use std::ops::Range;

pub(crate) use parse::parse;
pub(crate) use raw::{parse_raw, render_raw};
pub(crate) use table::{Tables, as_code};

/// What a stretch of text is shown as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Style {
    Bold,
    Italic,
    Underline,
    Strike,
    Spoiler,
    Code,
    /// A code block, with its language.
    Pre(Option<String>),
    Quote,
    Link {
        url: String,
        /// The text is the address itself, written without any markup.
        bare: bool,
    },
    /// A code block that keeps its own first and last line.
    Fence {
        open: String,
        close: String,
    },
    /// Rows of a table, with the lines of its head, which each message with some of them begins with.
    Rows {
        head: String,
    },
    /// Text between marks of Markdown that stays Markdown.
    Marked {
        open: String,
        close: String,
    },
    /// A link or code within Markdown that stays Markdown; better not cut.
    Whole,
    /// In front of Markdown that is not the beginning of its document.
    Continued,
}

impl Style {
    /// Whether it is the same kind, whatever it carries.
    pub(crate) fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Whether white space counts inside it.
    pub(crate) fn is_block_code(&self) -> bool {
        matches!(self, Self::Pre(_) | Self::Fence { .. })
    }
}

/// What a channel wants read, and how.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a feature of a markup, independent of the others")]
pub(crate) struct Dialect {
    /// Headings become bold lines; plain ones otherwise.
    pub bold_headings: bool,
    /// Tags that Telegram knows are markup; text otherwise.
    pub html: bool,
    /// `||text||` hides the text.
    pub spoilers: bool,
    /// Addresses without markup become links.
    pub linkify: bool,
    /// File names that look like domains (`README.md`) become code, so that no client links them.
    pub file_names: bool,
    /// What becomes of tables.
    pub tables: Tables,
}

/// Text with styles, and where it may be cut.
#[derive(Debug, Clone, Default)]
pub(crate) struct Document {
    text: String,
    spans: Vec<Span>,
    breaks: Vec<Break>,
    /// It is Markdown still: what stands in the middle of it must be told so.
    raw: bool,
}

/// A stretch up to `end` with one list of styles, outermost first.
#[derive(Debug, Clone)]
struct Span {
    end: usize,
    styles: Vec<Style>,
}

/// A place between two parts of the structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Break {
    /// Where the next part begins.
    pub at: usize,
    /// How deep inside other parts: 0 between blocks, 1 between the items of a list, and so on.
    pub depth: u8,
}

/// A part of a slice with one list of styles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub text: &'a str,
    pub styles: &'a [Style],
}

impl Document {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn breaks(&self) -> &[Break] {
        &self.breaks
    }

    /// Adds text; what has the styles of the text before it becomes one span with it.
    fn push(&mut self, text: &str, styles: &[Style]) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        let end = self.text.len();
        match self.spans.last_mut() {
            Some(last) if last.styles == styles => last.end = end,
            Some(_) | None => self.spans.push(Span { end, styles: styles.to_vec() }),
        }
    }

    fn push_break(&mut self, depth: u8) {
        let at = self.text.len();
        match self.breaks.last_mut() {
            _ if at == 0 => {}
            Some(last) if last.at == at => last.depth = last.depth.min(depth),
            Some(_) | None => self.breaks.push(Break { at, depth }),
        }
    }

    /// The styles of the character that begins at `at`.
    pub(crate) fn styles_at(&self, at: usize) -> &[Style] {
        let index = self.spans.partition_point(|span| span.end <= at);
        self.spans.get(index).map_or(&[], |span| &span.styles)
    }

    /// The pieces of `range`, in order.
    pub(crate) fn slice(&self, range: Range<usize>) -> Vec<Piece<'_>> {
        let first = self.spans.partition_point(|span| span.end <= range.start);
        let mut pieces = Vec::new();
        if self.raw && range.start > 0 {
            pieces.push(Piece { text: "", styles: &[Style::Continued] });
        }
        let mut at = range.start;
        for span in &self.spans[first..] {
            if at >= range.end {
                break;
            }
            let end = span.end.min(range.end);
            pieces.push(Piece { text: &self.text[at..end], styles: &span.styles });
            at = end;
        }
        pieces
    }

    /// `range` without the white space at its end, which no message needs; inside a code block it stays.
    pub(crate) fn trim_end(&self, range: Range<usize>) -> Range<usize> {
        let mut end = range.end;
        while let Some(last) = self.text[range.start..end].chars().next_back() {
            let at = end - last.len_utf8();
            if !last.is_whitespace() || self.styles_at(at).iter().any(Style::is_block_code) {
                break;
            }
            end = at;
        }
        range.start..end
    }

    /// Turns links whose address takes more than half of `limit` into text: cut into messages, each would repeat it.
    pub(crate) fn without_long_links(self, limit: usize) -> Self {
        self.without_links(|url| url.len() + 16 > limit / 2)
    }

    /// Turns all links into text, with the address behind the label.
    pub(crate) fn links_as_text(self) -> Self {
        self.without_links(|_| true)
    }

    fn without_links(self, goes: impl Fn(&str) -> bool) -> Self {
        let is_long = |style: &Style| matches!(style, Style::Link { url, .. } if goes(url));
        if !self.spans.iter().any(|span| span.styles.iter().any(is_long)) {
            return self;
        }
        let mut plain = Self::default();
        let mut breaks = self.breaks.iter().peekable();
        let mut start = 0;
        let mut label_start = 0;
        for (index, span) in self.spans.iter().enumerate() {
            while let Some(found) = breaks.next_if(|found| found.at <= start) {
                plain.push_break(found.depth);
            }
            let kept: Vec<Style> = span.styles.iter().filter(|style| !is_long(style)).cloned().collect();
            let long = span.styles.iter().find(|style| is_long(style));
            let went_on = index.checked_sub(1).and_then(|before| self.spans.get(before));
            if !went_on.is_some_and(|before| long.is_some_and(|long| before.styles.contains(long))) {
                label_start = start;
            }
            let mut at = start;
            while let Some(found) = breaks.next_if(|found| found.at < span.end) {
                plain.push(&self.text[at..found.at], &kept);
                plain.push_break(found.depth);
                at = found.at;
            }
            plain.push(&self.text[at..span.end], &kept);
            start = span.end;
            let goes_on =
                self.spans.get(index + 1).is_some_and(|next| long.is_some_and(|long| next.styles.contains(long)));
            if let Some(Style::Link { url, bare: false }) = long
                && !goes_on
                && !is_label_of(&self.text[label_start..span.end], url)
            {
                // What stands around the link's block stays around the address; its label's own styles do not.
                let around = |style: &&Style| style.is_block_code() || **style == Style::Quote;
                let around: Vec<Style> = kept.iter().filter(around).cloned().collect();
                plain.push(&format!(" ({url})"), &around);
            }
        }
        plain
    }
}

/// Text without markup, with the address of a link behind its label: what is sent where markup is refused.
pub(crate) fn plain(pieces: &[Piece<'_>]) -> String {
    let mut out = String::new();
    let mut label_start = 0;
    for (index, piece) in pieces.iter().enumerate() {
        let link = link_of(piece);
        let before = index.checked_sub(1).and_then(|before| link_of(&pieces[before]));
        if link != before {
            label_start = out.len();
        }
        out.push_str(piece.text);
        let next = pieces.get(index + 1).and_then(link_of);
        if let Some((url, false)) = link
            && next != link
            && !is_label_of(&out[label_start..], url)
        {
            out.push_str(" (");
            out.push_str(url);
            out.push(')');
        }
    }
    out
}

/// The address a piece leads to, and whether it is written bare.
pub(crate) fn link_of<'a>(piece: &Piece<'a>) -> Option<(&'a str, bool)> {
    piece.styles.iter().find_map(|style| match style {
        Style::Link { url, bare } => Some((url.as_str(), *bare)),
        Style::Bold
        | Style::Italic
        | Style::Underline
        | Style::Strike
        | Style::Spoiler
        | Style::Code
        | Style::Pre(_)
        | Style::Quote
        | Style::Fence { .. }
        | Style::Rows { .. }
        | Style::Marked { .. }
        | Style::Whole
        | Style::Continued => None,
    })
}

/// Whether `label` says the same as `url`.
pub(crate) fn is_label_of(label: &str, url: &str) -> bool {
    let label = label.trim();
    label == url || url.strip_prefix("mailto:") == Some(label)
}
