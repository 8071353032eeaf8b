//! Tables for people, within the terminal's width; one that goes to a file or another program is as wide as it needs to be.
//!
//! Widths are columns of the terminal: a wide character takes two. No line ends with spaces.

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Row, Table};
use unicode_width::UnicodeWidthStr as _;

use crate::output::Output;

/// The width of a terminal that does not say how wide it is.
const UNSIZED: u16 = 80;

/// What a cell says about the state of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing in particular.
    Plain,
    /// All is well.
    Good,
    /// Something failed.
    Bad,
    /// Something is going on, or is worth a look.
    Busy,
}

/// What a table is shown on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surface {
    pub(crate) width: u16,
    pub(crate) colour: bool,
}

impl Surface {
    /// The surface of `output`'s data.
    pub(crate) fn of(output: &Output) -> Self {
        // A terminal that nobody gave a size says 0.
        let told = || Table::new().width().filter(|width| *width > 0).unwrap_or(UNSIZED);
        let asked = || output.out_is_terminal().then(told);
        Self { width: output.width().or_else(asked).unwrap_or(u16::MAX), colour: output.out_has_colour() }
    }
}

/// A table. Texts are shown on one line each, whatever they hold.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    titles: Vec<&'static str>,
    /// Columns that are cut when there is too little room.
    flexible: &'static [&'static str],
    /// Stands under the titles.
    subtitle: Option<String>,
    rows: Vec<GridRow>,
}

#[derive(Debug, Clone)]
struct GridRow {
    cells: Vec<(String, Tone)>,
    /// Lines under the row, set in.
    below: Vec<(String, Tone)>,
}

impl Grid {
    pub(crate) fn new(titles: &[&'static str], flexible: &'static [&'static str]) -> Self {
        Self { titles: titles.to_vec(), flexible, subtitle: None, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<(String, Tone)>) {
        self.row_above(cells, Vec::new());
    }

    /// A row with lines under it, which are wrapped where they are too long.
    pub(crate) fn row_above(&mut self, cells: Vec<(String, Tone)>, below: Vec<(String, Tone)>) {
        let tidy = |texts: Vec<(String, Tone)>| texts.into_iter().map(|(text, tone)| (one_line(&text), tone)).collect();
        self.rows.push(GridRow { cells: tidy(cells), below: tidy(below) });
    }

    /// What the lines under the rows hold.
    pub(crate) fn subtitle(&mut self, text: String) {
        self.subtitle = Some(text);
    }

    /// Whether it fits without a cut.
    pub(crate) fn fits(&self, surface: Surface) -> bool {
        self.natural_width(1) <= usize::from(surface.width)
    }

    /// The table as text, without spaces at the ends of lines; the first line is the header, then comes a line per row and
    /// those under it.
    pub(crate) fn render(&self, surface: Surface) -> String {
        let gap = if self.least_width(2) > usize::from(surface.width) { 1 } else { 2 };
        let table = self.table(surface, gap);
        let mut lines = table.lines().map(|line| trim_line(&line));
        let mut shown: Vec<String> = lines.next().into_iter().collect();
        shown.extend(self.subtitle.iter().map(|text| styled(&format!("  {text}"), surface, TITLE)));
        for (line, row) in lines.zip(&self.rows) {
            shown.push(line);
            for (text, tone) in &row.below {
                let wrapped = wrap(text, usize::from(surface.width).saturating_sub(2));
                shown.extend(wrapped.iter().map(|part| format!("  {}", styled(part, surface, tone.ink()))));
            }
        }
        shown.join("\n")
    }

    fn natural_width(&self, gap: u16) -> usize {
        self.widths().map(|(_, width)| width).sum::<usize>() + self.gaps(gap)
    }

    /// The same with flexible columns cut to what is still of use.
    fn least_width(&self, gap: u16) -> usize {
        let least = |(title, width)| if self.flexible.contains(title) { FLEXIBLE_LEAST.min(width) } else { width };
        self.widths().map(least).sum::<usize>() + self.gaps(gap)
    }

    /// What the others leave to the flexible column, where there is one; several share it as the table sees fit.
    fn room(&self, surface: Surface, gap: u16) -> Option<usize> {
        let (flexible, fixed): (Vec<_>, Vec<_>) = self.widths().partition(|(title, _)| self.flexible.contains(title));
        // The table counts a gap after the last column too.
        let taken = fixed.iter().map(|(_, width)| width).sum::<usize>() + self.gaps(gap) + usize::from(gap);
        let left = usize::from(surface.width).saturating_sub(taken);
        (flexible.len() == 1 && left > 0).then_some(left)
    }

    fn gaps(&self, gap: u16) -> usize {
        usize::from(gap) * self.titles.len().saturating_sub(1)
    }

    /// How wide each column is where nothing is cut.
    fn widths(&self) -> impl Iterator<Item = (&&'static str, usize)> {
        self.titles.iter().enumerate().map(|(column, title)| {
            let cells = self.rows.iter().filter_map(move |row| row.cells.get(column));
            (title, cells.map(|(text, _)| text.width()).max().unwrap_or(0).max(title.width()))
        })
    }

    fn table(&self, surface: Surface, gap: u16) -> Table {
        let mut table = Table::new();
        table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(surface.width);
        table.set_truncation_indicator("…").force_no_tty();
        if surface.colour {
            table.enforce_styling();
        }
        table.set_header(
            self.titles.iter().map(|title| Cell::new(title).add_attribute(Attribute::Dim)).collect::<Vec<_>>(),
        );
        let room = self.room(surface, gap);
        for GridRow { cells, .. } in &self.rows {
            let fitted = cells.iter().zip(&self.titles).map(|((text, tone), title)| match room {
                Some(room) if self.flexible.contains(title) => cell(&cut(text, room), *tone),
                Some(_) | None => cell(text, *tone),
            });
            let mut row = Row::from(fitted.collect::<Vec<_>>());
            row.max_height(1);
            table.add_row(row);
        }
        for (column, title) in table.column_iter_mut().zip(&self.titles) {
            column.set_padding((0, gap));
            if !self.flexible.contains(title) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        table
    }
}

/// A column that is cut shorter than this says nothing.
const FLEXIBLE_LEAST: usize = 24;

/// Set back, as titles are.
const TITLE: Option<&str> = Some("2");

impl Tone {
    /// The terminal's code for it.
    fn ink(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
            Self::Busy => Some("33"),
        }
    }
}

fn styled(text: &str, surface: Surface, ink: Option<&str>) -> String {
    match ink.filter(|_| surface.colour) {
        Some(code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        None => text.to_owned(),
    }
}

/// Without spaces at the end, those that a style encloses among them.
fn trim_line(line: &str) -> String {
    let is_style = |text: &str| {
        let inner = text.strip_prefix("\u{1b}[").and_then(|text| text.strip_suffix('m'));
        inner.is_some_and(|inner| inner.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'))
    };
    let (mut rest, mut styles) = (line.trim_end(), String::new());
    while let Some(start) = rest.rfind('\u{1b}').filter(|start| is_style(&rest[*start..])) {
        styles.insert_str(0, &rest[start..]);
        rest = rest[..start].trim_end();
    }
    format!("{rest}{styles}")
}

/// The text without anything that would move the cursor: a name with a line end must not break the table.
pub(crate) fn one_line(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.trim_end().to_owned();
    }
    text.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ").trim_end().to_owned()
}

/// The text in lines of at most `width` columns, broken between words; a longer word stays whole, so that it can be copied.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// The beginning of a text within `width` columns.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for character in text.chars() {
        let longer = format!("{short}{character}");
        if longer.width() + 1 > width {
            break;
        }
        short = longer;
    }
    format!("{}…", short.trim_end())
}

/// The text, filled with spaces to `width` columns.
pub(crate) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

fn cell(text: &str, tone: Tone) -> Cell {
    let cell = Cell::new(text);
    match tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(Color::DarkGreen),
        Tone::Bad => cell.fg(Color::DarkRed),
        Tone::Busy => cell.fg(Color::DarkYellow),
    }
}

/// Names and values, one pair a line; pairs without a value are left out.
pub(crate) fn pairs(pairs: &[(&str, Option<String>)]) -> String {
    pairs_within(pairs, usize::MAX)
}

/// The same within `width` columns: longer values go on under themselves.
pub(crate) fn pairs_within(pairs: &[(&str, Option<String>)], width: usize) -> String {
    let known = || pairs.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let names = known().map(|(name, _)| name.width()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (name, value) in known() {
        let wrapped = wrap(&one_line(value), width.saturating_sub(names + 2));
        let heads = std::iter::once(name).chain(std::iter::repeat(""));
        lines.extend(
            heads.zip(wrapped).map(|(head, part)| format!("{}  {part}", pad(head, names)).trim_end().to_owned()),
        );
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> (String, Tone) {
        (text.to_owned(), Tone::Plain)
    }

    #[test]
    fn a_wide_table_cuts_its_flexible_column_and_never_the_others() {
        let mut grid = Grid::new(&["id", "name"], &["name"]);
        grid.row(vec![plain("01KAHJ5Z3M7Q2W4E6R8T0YABCD"), plain("a name that is far too long for what is left")]);
        let text = grid.render(Surface { width: 40, colour: false });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[1].starts_with("01KAHJ5Z3M7Q2W4E6R8T0YABCD a name"), "{text}");
        assert!(lines[1].ends_with('…') && lines[1].width() <= 40, "{text}");
    }

    #[test]
    fn colour_is_only_there_when_asked_for_and_changes_nothing_else() {
        let mut grid = Grid::new(&["name", "status"], &["name"]);
        grid.row_above(vec![plain("a"), ("error".to_owned(), Tone::Bad)], vec![("why".to_owned(), Tone::Bad)]);
        grid.row(vec![plain("a longer name"), ("ok".to_owned(), Tone::Good)]);
        let bare = grid.render(Surface { width: 80, colour: false });
        assert_eq!(bare, "name           status\na              error\n  why\na longer name  ok");
        let coloured = grid.render(Surface { width: 80, colour: true });
        let mut stripped = coloured.clone();
        while let Some(start) = stripped.find('\u{1b}') {
            let end = start + stripped[start..].find('m').unwrap();
            stripped.replace_range(start..=end, "");
        }
        assert_eq!(stripped, bare);
        assert_ne!(coloured, bare);
    }

    #[test]
    fn wide_characters_take_two_columns_and_control_characters_none() {
        let mut grid = Grid::new(&["name", "next"], &["name"]);
        grid.row(vec![plain("会議の要約"), plain("in 3h")]);
        grid.row(vec![plain("a\nb\u{1b}[31m"), plain("in 4h")]);
        assert_eq!(
            grid.render(Surface { width: 80, colour: false }),
            "name        next\n会議の要約  in 3h\na b [31m    in 4h"
        );
        let cut = grid.render(Surface { width: 14, colour: false });
        assert!(cut.lines().all(|line| line.width() <= 14 && line == line.trim_end()), "{cut}");
    }

    #[test]
    fn texts_are_wrapped_between_words_and_cut_between_characters() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("https://long.example/x y", 7), ["https://long.example/x", "y"]);
        assert_eq!(cut("会議の要約", 5), "会議…");
        assert_eq!(
            pairs_within(&[("a", Some("one two".into())), ("bcd", None), ("ef", Some("x".into()))], 8),
            "a   one\n    two\nef  x"
        );
    }
}
