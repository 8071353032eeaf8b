//! The marks of the signal-cli REST API's styled texts (its documentation, `text_mode`; escapes: its text style parser).

use crate::markdown::{Dialect, Piece, Tables};
use crate::marks::{self, Code, Syntax};

/// How Markdown is read for Signal.
pub(crate) const DIALECT: Dialect = Dialect {
    bold_headings: true,
    html: false,
    spoilers: true,
    linkify: false,
    file_names: false,
    tables: Tables::Bullets,
};

const STYLED: Syntax = Syntax {
    bold: "**",
    italic: "*",
    strike: "~",
    spoiler: "||",
    code: "`",
    block: Code::Lines,
    text: escape,
    literal: escape,
    link: None,
    guard: true,
};

/// Without marks: what is shown where there are none.
pub(crate) const PLAIN: Syntax = Syntax {
    bold: "",
    italic: "",
    strike: "",
    spoiler: "",
    code: "",
    block: Code::Text,
    text: String::push_str,
    literal: String::push_str,
    link: None,
    guard: false,
};

/// The pieces with marks; their links are text already.
pub(crate) fn styled(pieces: &[Piece<'_>]) -> String {
    marks::write(pieces, &STYLED)
}

/// The pieces without marks.
pub(crate) fn plain(pieces: &[Piece<'_>]) -> String {
    marks::write(pieces, &PLAIN)
}

/// Writes text with a backslash before each mark. Two stars or bars are one mark, escaped once.
fn escape(out: &mut String, text: &str) {
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        if "*|~`".contains(char) {
            out.push('\\');
        }
        out.push(char);
        if "*|".contains(char) && rest.next_if_eq(&char).is_some() {
            out.push(char);
        }
    }
}
