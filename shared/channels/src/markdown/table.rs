//! Tables, which few chat programs show, as aligned text.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// What becomes of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tables {
    /// A code block with columns of one width each.
    Aligned,
    /// A bold line per row, with its other cells as a list: for narrow screens without code blocks.
    Bullets,
}

/// Narrowest column, as wide as the dashes below a heading.
const NARROWEST: usize = 3;

/// The rows, the first of them the heading, as lines with columns of one width each.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(NARROWEST)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        line(&mut out, &widths, |column| row.get(column).cloned().unwrap_or_default());
        if index == 0 {
            line(&mut out, &widths, |column| "-".repeat(widths[column]));
        }
    }
    out
}

fn line(out: &mut String, widths: &[usize], cell: impl Fn(usize) -> String) {
    for (column, width) in widths.iter().enumerate() {
        let text = cell(column);
        let padding = width - text.chars().count().min(*width);
        out.push_str("| ");
        out.push_str(&text);
        out.push_str(&" ".repeat(padding + 1));
    }
    out.push_str("|\n");
}

/// `markdown` with its tables, where they stand by themselves, as code blocks.
pub(crate) fn as_code(markdown: &str) -> String {
    let mut out = String::new();
    let mut written = 0;
    let mut depth = 0_usize;
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (event, range) in Parser::new_ext(markdown, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::Table(_)) => rows.clear(),
            Event::Start(Tag::TableHead | Tag::TableRow) => rows.push(Vec::new()),
            Event::Start(Tag::TableCell) => {
                // The cell's own Markdown would be shown as it is in a code block, and is shown as it is.
                let cell = markdown.get(range).unwrap_or_default().trim().replace("\\|", "|");
                if let Some(row) = rows.last_mut() {
                    row.push(cell);
                }
            }
            Event::End(TagEnd::Table) if depth == 0 => {
                let source = markdown.get(range.clone()).unwrap_or_default();
                let end = range.start + source.trim_end().len();
                out.push_str(markdown.get(written..range.start).unwrap_or_default());
                out.push_str("```\n");
                out.push_str(&aligned(&rows).replace("```", "`\u{200b}``"));
                out.push_str("```");
                written = end;
            }
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
    out.push_str(markdown.get(written..).unwrap_or_default());
    out
}
