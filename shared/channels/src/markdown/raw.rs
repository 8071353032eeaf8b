//! Markdown for channels that take it as it is: what must be whole is looked for, to cut around it.
//!
//! Guarantee: uncut, the text is what it was. What a cut goes through is closed before it and opened again behind it: code
//! fences, the heads of tables, and the marks of bold, italic and struck text; links and code are cut last.

use super::raw_spans::{self, Span};
use super::{Document, Piece, Style};

/// An item is indented by this much at least where it stands inside another.
const NESTED: usize = 2;
/// From here on an indented line is code (`CommonMark` 0.31.2, section 4.4).
const INDENTED_CODE: usize = 4;

/// Reads `markdown` line by line. A fence, or a table's head, whose own lines would fill a message is left as text.
pub(crate) fn parse_raw(markdown: &str, limit: usize) -> Document {
    let mut out = Document { raw: true, ..Document::default() };
    let mut fence: Option<Fence> = None;
    let mut blank_before = true;
    let mut in_list = false;
    let room = (limit / 2).max(40).min(limit.saturating_sub(4));
    let (spans, tables) = raw_spans::find(markdown);
    let mut inline = Inline { markdown, spans: spans.into_iter().peekable(), open: Vec::new() };
    let mut tables = tables.into_iter().filter(|table| table.head_end - table.start <= room).peekable();
    let mut at = 0;
    for line in markdown.split_inclusive('\n') {
        let range = at..at + line.len();
        at = range.end;
        let bare = line.trim_end_matches(['\n', '\r']);
        if let Some(open) = &mut fence {
            if open.is_closed_by(bare) {
                if !open.has_text {
                    out.push(&format!("{}\n{}", open.line, open.close), &[]);
                }
                out.push(&line[bare.len()..], &[]);
                fence = None;
                blank_before = true;
            } else {
                open.has_text = true;
                out.push(line, std::slice::from_ref(&open.style));
            }
            continue;
        }
        while tables.next_if(|table| table.end <= range.start).is_some() {}
        if let Some(table) = tables.peek().filter(|table| table.start <= range.start) {
            if range.start == table.start {
                out.push_break(0);
            }
            if range.start >= table.head_end {
                let head = markdown[table.start..table.head_end].trim_end().to_owned();
                out.push(line, &[Style::Rows { head }]);
            }
            (blank_before, in_list) = (false, false);
            continue;
        }
        let opened = Fence::opened_by(bare, in_list).filter(|fence| fence.line.len() + fence.close.len() + 2 <= room);
        let item = list_indent(bare);
        if bare.trim().is_empty() {
            blank_before = true;
        } else {
            let continues = in_list && line.starts_with([' ', '\t']);
            let depth = match item {
                _ if opened.is_some() => Some(if continues { 2 } else { 0 }),
                Some(indent) if in_list => Some(if indent == 0 { 1 } else { 2 }),
                Some(_) => Some(0),
                None if blank_before => Some(u8::from(continues) * 2),
                None => None,
            };
            if let Some(depth) = depth {
                out.push_break(depth);
            }
            in_list = item.is_some() || (in_list && (continues || !blank_before));
            blank_before = false;
        }
        match opened {
            Some(opened) => fence = Some(opened),
            None => inline.push(&mut out, range),
        }
    }
    if let Some(Fence { line, has_text: false, .. }) = fence {
        out.push(&line, &[]);
    }
    out
}

/// What is inside the lines, read along with them.
struct Inline<'a> {
    markdown: &'a str,
    spans: std::iter::Peekable<std::vec::IntoIter<Span>>,
    open: Vec<Span>,
}

impl Inline<'_> {
    /// Writes `range` of the source without the marks, which the styles stand for.
    fn push(&mut self, out: &mut Document, range: std::ops::Range<usize>) {
        let mut at = range.start;
        // What began in lines that were written otherwise is none of ours.
        while self.spans.next_if(|span| span.range.start < at).is_some() {}
        loop {
            let opens = self.spans.peek().map(|span| span.range.start).filter(|start| *start < range.end);
            let closes = self.open.last().map(|span| span.range.end).filter(|end| *end <= range.end);
            let (next, is_end) = match (opens, closes) {
                (Some(start), Some(end)) if end <= start => (end, true),
                (Some(start), _) => (start, false),
                (None, Some(end)) => (end, true),
                (None, None) => break,
            };
            if is_end {
                let close = self.open.last().map_or(0, |span| span.close);
                self.write(out, at..next - close);
                self.open.pop();
                at = next;
            } else if let Some(span) = self.spans.next() {
                self.write(out, at..next);
                at = next + span.open;
                self.open.push(span);
            }
        }
        self.write(out, at..range.end);
    }

    fn write(&self, out: &mut Document, range: std::ops::Range<usize>) {
        let styles: Vec<Style> = self.open.iter().map(|span| span.style.clone()).collect();
        out.push(self.markdown.get(range).unwrap_or_default(), &styles);
    }
}

/// The pieces as Markdown again.
pub(crate) fn render_raw(pieces: &[Piece<'_>]) -> String {
    let mut out = Writer::default();
    for piece in pieces {
        if piece.styles == [Style::Continued] {
            out.shift = Shift::ByFirst;
            continue;
        }
        out.piece(piece);
    }
    out.set_block(None);
    out.set_marks(&[]);
    out.text
}

#[derive(Default)]
struct Writer<'a> {
    text: String,
    /// The fence or table that is open.
    block: Option<&'a Style>,
    /// The marks that are open, outermost first.
    marks: Vec<(&'a str, &'a str)>,
    shift: Shift,
}

/// Whether lines move to the left: the list they stood in is not in this message.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Shift {
    /// They do not.
    #[default]
    None,
    /// As far as the first of them stands from it.
    ByFirst,
    /// By so much.
    By(usize),
}

impl<'a> Writer<'a> {
    fn piece(&mut self, piece: &Piece<'a>) {
        self.set_block(piece.styles.iter().find(|style| matches!(style, Style::Fence { .. } | Style::Rows { .. })));
        let marks: Vec<(&str, &str)> = piece
            .styles
            .iter()
            .filter_map(
                |style| if let Style::Marked { open, close } = style { Some((&**open, &**close)) } else { None },
            )
            .collect();
        self.set_marks(&marks);
        if self.shift == Shift::None {
            self.text.push_str(piece.text);
            return;
        }
        for line in piece.text.split_inclusive('\n') {
            let indent = if self.text.is_empty() || self.text.ends_with('\n') { self.shift(line) } else { 0 };
            self.text.push_str(&line[indent..]);
        }
    }

    /// By how much this line moves; the first that stands further left than the first of all ends the moving.
    fn shift(&mut self, line: &str) -> usize {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let wanted = match self.shift {
            Shift::None => return 0,
            Shift::By(wanted) => wanted,
            Shift::ByFirst => {
                let nested = indent >= INDENTED_CODE || (indent >= NESTED && list_indent(line).is_some());
                let wanted = if nested { indent } else { 0 };
                self.shift = Shift::By(wanted);
                wanted
            }
        };
        if line.trim().is_empty() {
            return 0;
        }
        if indent < wanted {
            self.shift = Shift::None;
            return 0;
        }
        wanted
    }

    fn set_block(&mut self, block: Option<&'a Style>) {
        if self.block == block {
            return;
        }
        if let Some(Style::Fence { close, .. }) = self.block {
            if !self.text.ends_with('\n') {
                self.text.push('\n');
            }
            let shift = self.shift(close);
            self.text.push_str(&close[shift..]);
        }
        if let Some(Style::Fence { open: line, .. } | Style::Rows { head: line }) = block {
            let shift = self.shift(line);
            self.text.push_str(&line[shift..]);
            self.text.push('\n');
        }
        self.block = block;
    }

    /// Closes the marks that end here, and opens those that begin. White space at the end of marked text goes behind the mark.
    fn set_marks(&mut self, marks: &[(&'a str, &'a str)]) {
        let shared = self.marks.iter().zip(marks).take_while(|(left, right)| left == right).count();
        if self.marks.len() > shared {
            let space = self.text.split_off(self.text.trim_end().len());
            while self.marks.len() > shared {
                if let Some((_, close)) = self.marks.pop() {
                    self.text.push_str(close);
                }
            }
            self.text.push_str(&space);
        }
        for mark in &marks[shared..] {
            self.text.push_str(mark.0);
            self.marks.push(*mark);
        }
    }
}

struct Fence {
    line: String,
    close: String,
    style: Style,
    has_text: bool,
}

impl Fence {
    /// `CommonMark` 0.31.2, section 4.5: three or more of one mark, indented by at most three spaces, or further in a list.
    fn opened_by(line: &str, in_list: bool) -> Option<Self> {
        let text = line.trim_start_matches(' ');
        let indent = line.len() - text.len();
        let mark = text.chars().next().filter(|mark| *mark == '`' || *mark == '~')?;
        let info = text.trim_start_matches(mark);
        let length = text.len() - info.len();
        if (indent > 3 && !in_list) || length < 3 || (mark == '`' && info.contains('`')) {
            return None;
        }
        let close = line[..indent + length].to_owned();
        let style = Style::Fence { open: line.to_owned(), close: close.clone() };
        Some(Self { line: line.to_owned(), close, style, has_text: false })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let mark = self.close.trim_start();
        let text = line.trim();
        let one_mark = mark.chars().next().is_some_and(|char| text.chars().all(|other| other == char));
        text.len() >= mark.len() && one_mark
    }
}

/// How far a list item is indented; `None` for another line.
fn list_indent(line: &str) -> Option<usize> {
    let text = line.trim_start();
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let after =
        if digits > 0 { text[digits..].strip_prefix(['.', ')']) } else { text.strip_prefix(['-', '*', '+', '•']) };
    after.is_some_and(|rest| rest.starts_with(' ')).then_some(line.len() - text.len())
}
