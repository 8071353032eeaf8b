//! Where Markdown that stays Markdown must not be cut as text: its links, its code, and what stands between marks.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::Style;

/// A stretch of the source. Its marks are not part of the document's text: they are written again around each part of it.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) range: Range<usize>,
    /// Bytes of the mark at its beginning.
    pub(super) open: usize,
    /// Bytes of the mark at its end.
    pub(super) close: usize,
    pub(super) style: Style,
}

/// The head of a table: its two lines, up to which byte they reach, and where the table ends.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) start: usize,
    pub(super) head_end: usize,
    pub(super) end: usize,
}

/// The stretches of `markdown` in order of their beginnings, outer ones first, and its tables outside lists and quotes.
pub(super) fn find(markdown: &str) -> (Vec<Span>, Vec<Table>) {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut spans = Vec::new();
    let mut tables = Vec::new();
    let mut depth = 0_usize;
    let mut in_table = false;
    for (event, range) in Parser::new_ext(markdown, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Strong | Tag::Emphasis | Tag::Strikethrough) if !in_table => {
                spans.extend(marked(markdown, range));
            }
            Event::Start(Tag::Link { .. } | Tag::Image { .. }) | Event::Code(_) if !in_table => {
                spans.push(Span { range, open: 0, close: 0, style: Style::Whole });
            }
            Event::Start(Tag::Table(_)) => {
                in_table = true;
                if depth == 0 {
                    tables.extend(table(markdown, &range));
                }
            }
            Event::End(TagEnd::Table) => in_table = false,
            Event::Start(Tag::List(_) | Tag::BlockQuote(_)) => depth += 1,
            Event::End(TagEnd::List(_) | TagEnd::BlockQuote(_)) => depth = depth.saturating_sub(1),
            Event::Start(_)
            | Event::End(_)
            | Event::Text(_)
            | Event::Code(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::Html(_)
            | Event::InlineHtml(_)
            | Event::FootnoteReference(_)
            | Event::SoftBreak
            | Event::HardBreak
            | Event::Rule
            | Event::TaskListMarker(_) => {}
        }
    }
    spans.sort_by_key(|span| (span.range.start, std::cmp::Reverse(span.range.end)));
    (spans, tables)
}

/// `**text**`, `_text_` or `~~text~~`: the same mark on both sides.
fn marked(markdown: &str, range: Range<usize>) -> Option<Span> {
    let source = markdown.get(range.clone())?;
    let mark = ["**", "__", "~~", "*", "_", "~"].into_iter().find(|mark| source.starts_with(*mark))?;
    if source.len() <= 2 * mark.len() || !source.ends_with(mark) {
        return None;
    }
    let style = Style::Marked { open: mark.to_owned(), close: mark.to_owned() };
    Some(Span { range, open: mark.len(), close: mark.len(), style })
}

fn table(markdown: &str, range: &Range<usize>) -> Option<Table> {
    let before = markdown.get(..range.start)?;
    if !(before.is_empty() || before.ends_with('\n')) {
        return None;
    }
    let source = markdown.get(range.clone())?;
    let head: usize = source.split_inclusive('\n').take(2).map(str::len).sum();
    (head < source.len()).then_some(Table { start: range.start, head_end: range.start + head, end: range.end })
}
