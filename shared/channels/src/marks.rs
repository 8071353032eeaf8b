//! Markup made of marks around words, as chat programs have it: `*bold*`, `_italic_`, backticks around code, `>` before
//! quotes.
//!
//! A mark reaches to the end of its line at most, so it is closed there and opened again. What the marks are, and how text
//! between them is written, is each channel's [`Syntax`].

use crate::markdown::{Piece, Style, is_label_of, link_of};

/// Stands between two marks that would be read as one; it is not seen.
const NOTHING: char = '\u{200b}';

/// A channel's marks. An empty one is none.
pub(crate) struct Syntax {
    pub(crate) bold: &'static str,
    pub(crate) italic: &'static str,
    pub(crate) strike: &'static str,
    pub(crate) spoiler: &'static str,
    pub(crate) code: &'static str,
    pub(crate) block: Code,
    /// Writes text so that it is no markup.
    pub(crate) text: fn(&mut String, &str),
    /// Writes code.
    pub(crate) literal: fn(&mut String, &str),
    /// Writes a link: its address, its label, and whether the label says no more than the address. Without it, links have to
    /// be text already.
    pub(crate) link: Option<fn(&mut String, &str, &str, bool)>,
    /// A mark behind a character like it, or behind a backslash, is told apart by nothing but [`NOTHING`].
    pub(crate) guard: bool,
}

/// What a code block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Lines between lines of three backticks.
    Fenced,
    /// Lines that are code each.
    Lines,
    /// Lines like others.
    Text,
}

/// The pieces in that markup.
pub(crate) fn write(pieces: &[Piece<'_>], syntax: &Syntax) -> String {
    let mut writer = Writer::new(syntax);
    for (index, piece) in pieces.iter().enumerate() {
        let quoted = piece.styles.contains(&Style::Quote);
        let in_block = piece.styles.iter().any(Style::is_block_code);
        let fenced = in_block && syntax.block == Code::Fenced;
        let address = link_of(piece).filter(|(_, bare)| !bare && syntax.link.is_some()).map(|(url, _)| url);
        writer.set_code(fenced, quoted);
        let marks =
            if in_block && syntax.block == Code::Lines { vec![syntax.code] } else { marks(piece.styles, syntax) };
        // An address as its own label needs no label; a label in several styles is one link each.
        let alone = address.is_some_and(|url| is_label_of(piece.text, url) && !continues(pieces, index, url));
        for (number, line) in piece.text.split('\n').enumerate() {
            if number > 0 {
                writer.end_line();
            }
            if line.is_empty() {
                continue;
            }
            if fenced {
                writer.code(line, quoted);
            } else {
                writer.line(line, &marks, quoted, address.map(|url| (url, alone)));
            }
        }
    }
    writer.finish()
}

fn continues(pieces: &[Piece<'_>], index: usize, url: &str) -> bool {
    let same = |piece: &Piece<'_>| link_of(piece).is_some_and(|(other, _)| other == url);
    pieces.get(index + 1).is_some_and(same) || index.checked_sub(1).and_then(|at| pieces.get(at)).is_some_and(same)
}

/// The marks of a stretch, outermost first. A link's label takes no code.
fn marks(styles: &[Style], syntax: &Syntax) -> Vec<&'static str> {
    let in_link = styles.iter().any(|style| matches!(style, Style::Link { .. }));
    styles
        .iter()
        .map(|style| match style {
            Style::Bold => syntax.bold,
            Style::Italic => syntax.italic,
            Style::Strike => syntax.strike,
            Style::Spoiler => syntax.spoiler,
            Style::Code if !in_link => syntax.code,
            Style::Code
            | Style::Underline
            | Style::Pre(_)
            | Style::Quote
            | Style::Link { .. }
            | Style::Fence { .. }
            | Style::Rows { .. }
            | Style::Marked { .. }
            | Style::Whole
            | Style::Continued => "",
        })
        .filter(|mark| !mark.is_empty())
        .collect()
}

struct Writer<'a> {
    syntax: &'a Syntax,
    out: String,
    open: Vec<&'static str>,
    in_code: bool,
    /// A code block ended and its line has not.
    after_code: bool,
    /// Whether the line has its `> ` already.
    line_begun: bool,
}

impl<'a> Writer<'a> {
    fn new(syntax: &'a Syntax) -> Self {
        Self { syntax, out: String::new(), open: Vec::new(), in_code: false, after_code: false, line_begun: false }
    }

    fn set_code(&mut self, code: bool, quoted: bool) {
        if code == self.in_code {
            return;
        }
        self.in_code = code;
        if code {
            self.close_to(0);
            self.begin_line(quoted);
            self.out.push_str("```\n");
            self.line_begun = false;
        } else {
            self.end_code(quoted);
        }
    }

    fn end_code(&mut self, quoted: bool) {
        if !self.out.ends_with('\n') {
            self.out.push('\n');
            self.line_begun = false;
        }
        self.begin_line(quoted);
        self.out.push_str("```");
        self.after_code = true;
    }

    fn end_line(&mut self) {
        self.close_to(0);
        self.out.push('\n');
        self.line_begun = false;
        self.after_code = false;
    }

    fn begin_line(&mut self, quoted: bool) {
        if std::mem::take(&mut self.after_code) {
            self.end_line();
        }
        if quoted && !self.line_begun {
            self.out.push_str("> ");
        }
        self.line_begun = true;
    }

    fn code(&mut self, line: &str, quoted: bool) {
        self.begin_line(quoted);
        // Three backticks would end the block.
        (self.syntax.literal)(&mut self.out, &line.replace("```", "`\u{200b}``"));
    }

    fn line(&mut self, line: &str, marks: &[&'static str], quoted: bool, address: Option<(&str, bool)>) {
        self.begin_line(quoted);
        let shared = self.open.iter().zip(marks).take_while(|(left, right)| left == right).count();
        self.close_to(shared);
        // A mark before white space is not one.
        let text = line.trim_start();
        self.out.push_str(&line[..line.len() - text.len()]);
        if text.is_empty() {
            return;
        }
        for mark in &marks[shared..] {
            self.mark(mark);
            self.open.push(mark);
        }
        match (address, self.syntax.link) {
            (Some((url, alone)), Some(write)) => write(&mut self.out, url, text, alone),
            (Some(_), None) | (None, _) if marks.contains(&self.syntax.code) => {
                (self.syntax.literal)(&mut self.out, text);
            }
            (Some(_), None) | (None, _) => (self.syntax.text)(&mut self.out, text),
        }
    }

    fn mark(&mut self, mark: &str) {
        let joins = self.out.ends_with('\\') || mark.chars().next().is_some_and(|first| self.out.ends_with(first));
        if self.syntax.guard && joins {
            self.out.push(NOTHING);
        }
        self.out.push_str(mark);
    }

    /// Closes marks until `keep` are open. White space before a closing mark goes behind it.
    fn close_to(&mut self, keep: usize) {
        if self.open.len() <= keep {
            return;
        }
        let text = self.out.trim_end_matches([' ', '\t']).len();
        let space = self.out.split_off(text);
        while self.open.len() > keep {
            if let Some(mark) = self.open.pop() {
                self.mark(mark);
            }
        }
        self.out.push_str(&space);
    }

    fn finish(mut self) -> String {
        if self.in_code {
            self.end_code(false);
        }
        self.close_to(0);
        if self.syntax.block != Code::Fenced {
            self.out.truncate(self.out.trim_end().len());
        }
        self.out
    }
}
