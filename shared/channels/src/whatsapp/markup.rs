//! WhatsApp's marks (WhatsApp help centre, "How to format your messages").

use crate::markdown::{Dialect, Piece, Tables};
use crate::marks::{self, Code, Syntax};

/// How Markdown is read for WhatsApp.
pub(crate) const DIALECT: Dialect = Dialect {
    bold_headings: true,
    html: false,
    spoilers: true,
    linkify: false,
    file_names: false,
    tables: Tables::Bullets,
};

const SYNTAX: Syntax = Syntax {
    bold: "*",
    italic: "_",
    strike: "~",
    spoiler: "",
    code: "```",
    block: Code::Fenced,
    text: String::push_str,
    literal: String::push_str,
    link: None,
    guard: false,
};

/// The pieces with WhatsApp's marks; their links are text already.
pub(crate) fn marked(pieces: &[Piece<'_>]) -> String {
    marks::write(pieces, &SYNTAX)
}
