//! Telegram's HTML (Telegram Bot API, "Formatting options", HTML style).

use std::fmt::Write as _;

use crate::markdown::{Dialect, Piece, Style, Tables};

/// How Markdown is read for Telegram.
pub(crate) const DIALECT: Dialect = Dialect {
    bold_headings: false,
    html: true,
    spoilers: true,
    linkify: true,
    file_names: true,
    tables: Tables::Aligned,
};

/// The pieces as well-formed HTML: tags close in the order in which they were opened.
pub(crate) fn html(pieces: &[Piece<'_>]) -> String {
    let mut out = String::new();
    let mut open: &[Style] = &[];
    for piece in pieces {
        let shared = open.iter().zip(piece.styles).take_while(|(left, right)| left == right).count();
        open[shared..].iter().rev().for_each(|style| close_tag(&mut out, style));
        piece.styles[shared..].iter().for_each(|style| open_tag(&mut out, style));
        open = piece.styles;
        escape(&mut out, piece.text);
    }
    open.iter().rev().for_each(|style| close_tag(&mut out, style));
    out
}

fn open_tag(out: &mut String, style: &Style) {
    match style {
        Style::Bold => out.push_str("<b>"),
        Style::Italic => out.push_str("<i>"),
        Style::Underline => out.push_str("<u>"),
        Style::Strike => out.push_str("<s>"),
        Style::Spoiler => out.push_str("<tg-spoiler>"),
        Style::Code => out.push_str("<code>"),
        Style::Pre(None) | Style::Fence { .. } => out.push_str("<pre><code>"),
        Style::Pre(Some(language)) => {
            // Writing to a string cannot fail.
            let _ = write!(out, "<pre><code class=\"language-{language}\">");
        }
        Style::Quote => out.push_str("<blockquote>"),
        Style::Link { url, .. } => {
            out.push_str("<a href=\"");
            escape(out, url);
            out.push_str("\">");
        }
        Style::Rows { .. } | Style::Marked { .. } | Style::Whole | Style::Continued => {}
    }
}

fn close_tag(out: &mut String, style: &Style) {
    out.push_str(match style {
        Style::Bold => "</b>",
        Style::Italic => "</i>",
        Style::Underline => "</u>",
        Style::Strike => "</s>",
        Style::Spoiler => "</tg-spoiler>",
        Style::Code => "</code>",
        Style::Pre(_) | Style::Fence { .. } => "</code></pre>",
        Style::Quote => "</blockquote>",
        Style::Link { .. } => "</a>",
        Style::Rows { .. } | Style::Marked { .. } | Style::Whole | Style::Continued => "",
    });
}

pub(crate) fn escape(out: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(char),
        }
    }
}
