//! Slack's mrkdwn (Slack documentation, "Formatting text for app surfaces").

use crate::markdown::{Dialect, Piece, Tables};
use crate::marks::{self, Code, Syntax};

/// How Markdown is read for Slack.
pub(crate) const DIALECT: Dialect = Dialect {
    bold_headings: true,
    html: false,
    spoilers: false,
    linkify: false,
    file_names: false,
    tables: Tables::Aligned,
};

const SYNTAX: Syntax = Syntax {
    bold: "*",
    italic: "_",
    strike: "~",
    spoiler: "",
    code: "`",
    block: Code::Fenced,
    text: escape_text,
    literal: escape,
    link: Some(link),
    guard: false,
};

/// The pieces as mrkdwn.
pub(crate) fn mrkdwn(pieces: &[Piece<'_>]) -> String {
    marks::write(pieces, &SYNTAX)
}

fn link(out: &mut String, url: &str, label: &str, alone: bool) {
    out.push('<');
    if alone {
        // Slack's own `<url|label>` may stand in the text as it is.
        escape(out, url);
    } else {
        escape(out, &url.replace('|', "%7C"));
        out.push('|');
        escape(out, label);
    }
    out.push('>');
}

pub(crate) fn escape(out: &mut String, text: &str) {
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
