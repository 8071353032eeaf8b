//! Slack's mrkdwn (Slack documentation, "Formatting text for app surfaces").

use crate::markdown::{Dialect, Piece, Style, is_label_of, link_of};

/// How Markdown is read for Slack.
pub(crate) const DIALECT: Dialect =
    Dialect { bold_headings: true, html: false, spoilers: false, linkify: false, file_names: false };

/// The pieces as mrkdwn. A mark reaches to the end of its line at most, so it is closed there and opened again.
pub(crate) fn mrkdwn(pieces: &[Piece<'_>]) -> String {
    let mut writer = Writer::default();
    for (index, piece) in pieces.iter().enumerate() {
        let quoted = piece.styles.contains(&Style::Quote);
        let code = piece.styles.iter().any(Style::is_block_code);
        let address = link_of(piece).filter(|(_, bare)| !bare).map(|(url, _)| url);
        writer.set_code(code, quoted);
        let marks = marks(piece.styles);
        // An address as its own label needs no label; a label in several styles is one link each.
        let alone = address.is_some_and(|url| is_label_of(piece.text, url) && !continues(pieces, index, url));
        for (number, line) in piece.text.split('\n').enumerate() {
            if number > 0 {
                writer.end_line();
            }
            if line.is_empty() {
                continue;
            }
            if code {
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
fn marks(styles: &[Style]) -> Vec<char> {
    let in_link = styles.iter().any(|style| matches!(style, Style::Link { .. }));
    styles
        .iter()
        .filter_map(|style| match style {
            Style::Bold => Some('*'),
            Style::Italic => Some('_'),
            Style::Strike => Some('~'),
            Style::Code => (!in_link).then_some('`'),
            Style::Underline
            | Style::Spoiler
            | Style::Pre(_)
            | Style::Quote
            | Style::Link { .. }
            | Style::Fence { .. } => None,
        })
        .collect()
}

#[derive(Default)]
struct Writer {
    out: String,
    open: Vec<char>,
    in_code: bool,
    /// A code block ended and its line has not.
    after_code: bool,
    /// Whether the line has its `> ` already.
    line_begun: bool,
}

impl Writer {
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
        escape(&mut self.out, &line.replace("```", "`\u{200b}``"));
    }

    fn line(&mut self, line: &str, marks: &[char], quoted: bool, address: Option<(&str, bool)>) {
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
            self.out.push(*mark);
            self.open.push(*mark);
        }
        match address {
            Some((url, alone)) => self.link(url, text, alone),
            None if marks.contains(&'`') => escape(&mut self.out, text),
            None => escape_text(&mut self.out, text),
        }
    }

    fn link(&mut self, url: &str, label: &str, alone: bool) {
        self.out.push('<');
        if alone {
            // Slack's own `<url|label>` may stand in the text as it is.
            escape(&mut self.out, url);
        } else {
            escape(&mut self.out, &url.replace('|', "%7C"));
            self.out.push('|');
            escape(&mut self.out, label);
        }
        self.out.push('>');
    }

    /// Closes marks until `keep` are open. White space before a closing mark goes behind it.
    fn close_to(&mut self, keep: usize) {
        if self.open.len() <= keep {
            return;
        }
        let text = self.out.trim_end_matches([' ', '\t']).len();
        let space = self.out.split_off(text);
        while self.open.len() > keep {
            self.out.extend(self.open.pop());
        }
        self.out.push_str(&space);
    }

    fn finish(mut self) -> String {
        if self.in_code {
            self.end_code(false);
        }
        self.close_to(0);
        self.out
    }
}

fn escape(out: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(char),
        }
    }
}

/// Escapes text, keeping Slack's own `<@U…>`, `<#C…>`, `<!here>` and `<https://…|label>`.
fn escape_text(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let (before, from) = rest.split_at(start);
        escape(out, before);
        let token = from.find('>').map(|end| &from[..=end]).filter(|token| is_token(token));
        let length = if let Some(token) = token {
            out.push_str(token);
            token.len()
        } else {
            out.push_str("&lt;");
            1
        };
        rest = &from[length..];
    }
    escape(out, rest);
}

fn is_token(token: &str) -> bool {
    let inner = &token[1..token.len() - 1];
    let starts = ["@", "#", "!", "http://", "https://", "mailto:", "tel:", "slack://"];
    starts.iter().any(|start| inner.starts_with(start) && inner.len() > start.len()) && !inner.contains('<')
}
