//! Markdown for channels that take it as it is: only code fences and list items are looked for, to cut around them.

use super::{Document, Piece, Style};

/// Reads `markdown` line by line. A fence whose own lines would fill a message is left as text.
pub(crate) fn parse_raw(markdown: &str, limit: usize) -> Document {
    let mut out = Document::default();
    let mut fence: Option<Fence> = None;
    let mut blank_before = true;
    let mut in_list = false;
    let room = (limit / 2).max(40).min(limit.saturating_sub(4));
    for line in markdown.split_inclusive('\n') {
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
        let opened = Fence::opened_by(bare).filter(|fence| fence.line.len() + fence.close.len() + 2 <= room);
        let item = list_indent(bare);
        if bare.trim().is_empty() {
            blank_before = true;
        } else {
            let continues = in_list && line.starts_with([' ', '\t']);
            let depth = match item {
                _ if opened.is_some() => Some(0),
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
            None => out.push(line, &[]),
        }
    }
    if let Some(Fence { line, has_text: false, .. }) = fence {
        out.push(&line, &[]);
    }
    out
}

/// The pieces as Markdown again: what is inside a fence gets the fence's first and last line.
pub(crate) fn render_raw(pieces: &[Piece<'_>]) -> String {
    let mut out = String::new();
    let mut fence: Option<(&str, &str)> = None;
    for piece in pieces {
        let inside = piece.styles.iter().find_map(fence_lines);
        if inside != fence {
            end_fence(&mut out, fence);
            if let Some((open, _)) = inside {
                out.push_str(open);
                out.push('\n');
            }
            fence = inside;
        }
        out.push_str(piece.text);
    }
    end_fence(&mut out, fence);
    out
}

fn end_fence(out: &mut String, fence: Option<(&str, &str)>) {
    if let Some((_, close)) = fence {
        if !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(close);
    }
}

fn fence_lines(style: &Style) -> Option<(&str, &str)> {
    if let Style::Fence { open, close } = style { Some((open, close)) } else { None }
}

struct Fence {
    line: String,
    close: String,
    style: Style,
    has_text: bool,
}

impl Fence {
    /// `CommonMark` 0.31.2, section 4.5: three or more of one mark, indented by at most three spaces.
    fn opened_by(line: &str) -> Option<Self> {
        let text = line.trim_start_matches(' ');
        let indent = line.len() - text.len();
        let mark = text.chars().next().filter(|mark| *mark == '`' || *mark == '~')?;
        let info = text.trim_start_matches(mark);
        let length = text.len() - info.len();
        if indent > 3 || length < 3 || (mark == '`' && info.contains('`')) {
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
