//! Reads Markdown (`CommonMark` with tables, strikethrough and task lists) into a [`Document`].

use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};

use super::html::{self, Mark};
use super::inline::{self, Fragment};
use super::{Dialect, Document, Style, Tables, table};

/// Deepest structure that is told apart; what is nested deeper is cut like this.
const DEEPEST: u8 = 8;

/// Reads `markdown`. What shows nothing (a lone link definition) is kept as the text it is.
pub(crate) fn parse(markdown: &str, dialect: Dialect) -> Document {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut reader = Reader::new(dialect);
    for (event, range) in Parser::new_ext(markdown, options).into_offset_iter() {
        reader.read(event, markdown.get(range).unwrap_or_default());
    }
    reader.flush();
    if reader.out.text.trim().is_empty() {
        let mut literal = Document::default();
        literal.push(markdown.trim(), &[]);
        return literal;
    }
    reader.out
}

/// What stands between what was written and what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Line,
    Blank,
}

struct Reader {
    dialect: Dialect,
    out: Document,
    gap: Gap,
    /// How deep the next part stands: every list, item and quote adds one.
    depth: u8,
    /// Whether a heading was just written, which stays with what follows.
    after_heading: bool,
    /// Open lists: the next number, or none.
    lists: Vec<Option<u64>>,
    quotes: usize,
    /// Open inline styles, and whether a tag of the author's opened them.
    styles: Vec<(Style, bool)>,
    inline: Vec<Fragment>,
    code: Option<(Option<String>, String)>,
    html_block: Option<String>,
    table: Option<Vec<Vec<String>>>,
    image: Option<(String, bool)>,
}

impl Reader {
    fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            out: Document::default(),
            gap: Gap::None,
            depth: 0,
            after_heading: false,
            lists: Vec::new(),
            quotes: 0,
            styles: Vec::new(),
            inline: Vec::new(),
            code: None,
            html_block: None,
            table: None,
            image: None,
        }
    }

    fn read(&mut self, event: Event<'_>, source: &str) {
        match event {
            Event::Start(tag) => self.start(tag, source),
            Event::End(end) => self.end(end, source),
            // The parser is not asked for mathematics and footnotes; their text would be shown as it is.
            Event::Text(text) | Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                self.text(&text);
            }
            Event::Code(text) => {
                self.styles.push((Style::Code, false));
                self.text(&text);
                self.styles.pop();
            }
            Event::InlineHtml(tag) => self.tag(&tag),
            Event::Html(text) => match &mut self.html_block {
                Some(block) => block.push_str(&text),
                None => self.text(&text),
            },
            Event::SoftBreak | Event::HardBreak => self.text("\n"),
            Event::Rule => {
                self.flush();
                self.text("───");
                self.flush();
            }
            Event::TaskListMarker(done) => self.text(if done { "[x] " } else { "[ ] " }),
        }
    }

    fn start(&mut self, tag: Tag<'_>, source: &str) {
        match tag {
            Tag::Paragraph => self.flush(),
            Tag::Heading { .. } => {
                self.flush();
                if self.dialect.bold_headings {
                    self.styles.push((Style::Bold, false));
                }
            }
            Tag::BlockQuote(_) => {
                self.flush();
                self.write_gap();
                self.quotes += 1;
                self.depth += 1;
            }
            Tag::CodeBlock(kind) => {
                self.flush();
                let language = match kind {
                    CodeBlockKind::Fenced(info) => language(&info),
                    CodeBlockKind::Indented => None,
                };
                self.code = Some((language, String::new()));
            }
            Tag::HtmlBlock => {
                self.flush();
                self.html_block = Some(String::new());
            }
            Tag::List(first) => {
                self.flush();
                if !self.lists.is_empty() {
                    self.gap = self.gap.min(Gap::Line);
                }
                self.write_gap();
                self.lists.push(first);
                self.depth += 1;
            }
            Tag::Item => {
                self.write_gap();
                let indent = "  ".repeat(self.lists.len().saturating_sub(1));
                let bullet = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{indent}{}. ", *number - 1)
                    }
                    Some(None) | None => format!("{indent}• "),
                };
                self.write(&bullet);
                self.depth += 1;
            }
            Tag::Table(_) => {
                self.flush();
                self.table = Some(Vec::new());
            }
            Tag::TableHead | Tag::TableRow => self.table.get_or_insert_default().push(Vec::new()),
            Tag::Emphasis => self.styles.push((Style::Italic, false)),
            Tag::Strong => self.styles.push((Style::Bold, false)),
            // A single tilde is a tilde ("~5 to ~10"), whatever the parser takes it for.
            Tag::Strikethrough if source.starts_with("~~") => self.styles.push((Style::Strike, false)),
            Tag::Strikethrough => self.text("~"),
            Tag::Link { link_type, dest_url, .. } => {
                let url = if matches!(link_type, LinkType::Email) {
                    format!("mailto:{dest_url}")
                } else {
                    dest_url.to_string()
                };
                self.styles.push((Style::Link { url, bare: false }, false));
            }
            // In the middle of text an image is a link to it.
            Tag::Image { dest_url, .. } => {
                self.styles.push((Style::Link { url: dest_url.to_string(), bare: false }, false));
                self.image = Some((dest_url.to_string(), false));
            }
            Tag::TableCell
            | Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => {}
        }
    }

    fn end(&mut self, end: TagEnd, source: &str) {
        match end {
            TagEnd::Paragraph => self.flush(),
            TagEnd::Heading(_) => {
                self.flush();
                self.after_heading = true;
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.quotes = self.quotes.saturating_sub(1);
                self.depth = self.depth.saturating_sub(1);
                self.gap = Gap::Blank;
            }
            TagEnd::CodeBlock => {
                if let Some((language, text)) = self.code.take() {
                    self.write_code(&text, language);
                }
            }
            TagEnd::HtmlBlock => {
                let block = self.html_block.take().unwrap_or_default();
                for (index, part) in html::split(block.trim_end()).enumerate() {
                    if index % 2 == 0 { self.text(&html::unescape(part)) } else { self.tag(part) }
                }
                self.flush();
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.depth = self.depth.saturating_sub(1);
                self.gap = if self.lists.is_empty() { Gap::Blank } else { Gap::Line };
            }
            TagEnd::Item => {
                self.flush();
                self.depth = self.depth.saturating_sub(1);
                self.gap = Gap::Line;
            }
            TagEnd::Table => {
                let rows = self.table.take().unwrap_or_default();
                match self.dialect.tables {
                    Tables::Aligned => self.write_code(&table::aligned(&rows), None),
                    Tables::Bullets => self.write_bullets(&rows),
                }
            }
            TagEnd::TableCell => {
                let cell: String = self.inline.drain(..).map(|fragment| fragment.text).collect();
                self.styles.retain(|(_, from_html)| !from_html);
                if let Some(row) = self.table.as_mut().and_then(|rows| rows.last_mut()) {
                    row.push(cell.replace('\n', " "));
                }
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Link => self.close_markdown(),
            TagEnd::Strikethrough if source.starts_with("~~") => self.close_markdown(),
            TagEnd::Strikethrough => self.text("~"),
            TagEnd::Image => {
                if let Some((url, false)) = self.image.take() {
                    // Without a description the address is all there is to show.
                    self.text(&url);
                }
                self.close_markdown();
            }
            TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::FootnoteDefinition
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::MetadataBlock(_) => {}
        }
    }

    fn close_markdown(&mut self) {
        if let Some(at) = self.styles.iter().rposition(|(_, from_html)| !from_html) {
            self.styles.remove(at);
        }
    }

    fn text(&mut self, text: &str) {
        if let Some((_, code)) = &mut self.code {
            code.push_str(text);
            return;
        }
        if let Some((_, described)) = &mut self.image {
            *described |= !text.trim().is_empty();
        }
        let styles = self.open_styles();
        match self.inline.last_mut() {
            Some(last) if last.styles == styles => last.text.push_str(text),
            Some(_) | None => self.inline.push(Fragment { text: text.to_owned(), styles }),
        }
    }

    /// A tag of the author's: markup where the channel knows it, text otherwise.
    fn tag(&mut self, tag: &str) {
        match html::mark(tag).filter(|_| self.dialect.html && self.code.is_none()) {
            Some(Mark::Open(style)) => self.styles.push((style, true)),
            Some(Mark::Close(style)) => {
                match self.styles.iter().rposition(|(open, from_html)| *from_html && open.same_kind(&style)) {
                    Some(at) => drop(self.styles.remove(at)),
                    None => self.text(tag),
                }
            }
            None => self.text(tag),
        }
    }

    /// The styles of text written now, each kind once, outermost first.
    fn open_styles(&self) -> Vec<Style> {
        let mut styles = self.block_styles();
        for (style, _) in &self.styles {
            let useless = matches!(style, Style::Link { url, .. } if !is_linkable(url))
                || (*style == Style::Code && styles.iter().any(Style::is_block_code));
            if !useless && !styles.iter().any(|open| open.same_kind(style)) {
                styles.push(style.clone());
            }
        }
        styles
    }

    fn block_styles(&self) -> Vec<Style> {
        if self.quotes > 0 { vec![Style::Quote] } else { Vec::new() }
    }

    /// Writes the inline text collected so far, as a block of its own.
    fn flush(&mut self) {
        let fragments = inline::finish(std::mem::take(&mut self.inline), self.dialect);
        // No inline style outlives its block; a tag left open ends here.
        self.styles.clear();
        if fragments.iter().all(|fragment| fragment.text.trim().is_empty()) {
            return;
        }
        self.write_gap();
        for fragment in &fragments {
            self.out.push(&fragment.text, &fragment.styles);
        }
        self.gap = Gap::Blank;
    }

    fn write_code(&mut self, text: &str, language: Option<String>) {
        if text.trim().is_empty() {
            return;
        }
        self.write_gap();
        let mut styles = self.block_styles();
        styles.push(Style::Pre(language));
        self.out.push(text, &styles);
        self.gap = Gap::Blank;
    }

    /// Writes each row as a bold line of its first cell, with the others below it under the names of their columns.
    fn write_bullets(&mut self, rows: &[Vec<String>]) {
        let Some((heading, rows)) = rows.split_first() else { return };
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                self.gap = Gap::Blank;
            }
            self.write_gap();
            let mut bold = self.block_styles();
            bold.push(Style::Bold);
            self.out.push(row.first().map_or("", |cell| cell.trim()), &bold);
            for (name, cell) in heading.iter().zip(row).skip(1).filter(|(_, cell)| !cell.trim().is_empty()) {
                let name = name.trim();
                let named = if name.is_empty() { String::new() } else { format!("{name}: ") };
                self.write(&format!("\n• {named}{}", cell.trim()));
            }
        }
        self.gap = Gap::Blank;
    }

    fn write(&mut self, text: &str) {
        let styles = self.block_styles();
        self.out.push(text, &styles);
    }

    /// Writes what separates the next part from the last, and notes that the text may be cut there.
    fn write_gap(&mut self) {
        let wanted = match self.gap {
            Gap::None => return,
            Gap::Line => 1,
            Gap::Blank => 2,
        };
        let present = self.out.text.len() - self.out.text.trim_end_matches('\n').len();
        self.write(&"\n".repeat(wanted - present.min(wanted)));
        let depth = if std::mem::take(&mut self.after_heading) { self.depth + 1 } else { self.depth };
        self.out.push_break(depth.min(DEEPEST));
        self.gap = Gap::None;
    }
}

/// The language of a code block: the first word of its info string, if it is one.
fn language(info: &str) -> Option<String> {
    let word = info.split_whitespace().next()?;
    let fits = word.len() <= 40 && word.chars().all(|char| char.is_ascii_alphanumeric() || "_+#.-".contains(char));
    fits.then(|| word.to_owned())
}

/// Whether chat programs open such an address.
fn is_linkable(url: &str) -> bool {
    ["http://", "https://", "tg://", "mailto:", "tel:"].iter().any(|scheme| {
        url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)) && url.len() > scheme.len()
    })
}
