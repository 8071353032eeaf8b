//! Tables for people: one line per row, within 80 columns or the terminal's width.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, Color, ColumnConstraint, ContentArrangement, Row, Table};

use crate::output::Output;

/// The width where there is no terminal to ask.
const WIDTH: u16 = 80;

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
        let width = if output.out_is_terminal() { Table::new().width() } else { None };
        Self { width: width.unwrap_or(WIDTH), colour: output.out_has_colour() }
    }
}

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    titles: Vec<&'static str>,
    /// Columns that are cut when there is too little room.
    flexible: &'static [&'static str],
    rows: Vec<Vec<(String, Tone)>>,
}

impl Grid {
    pub(crate) fn new(titles: &[&'static str], flexible: &'static [&'static str]) -> Self {
        Self { titles: titles.to_vec(), flexible, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<(String, Tone)>) {
        self.rows.push(cells);
    }

    /// Whether it fits without a cut.
    pub(crate) fn fits(&self, surface: Surface) -> bool {
        self.natural_width(1) <= usize::from(surface.width)
    }

    /// The table as text, without spaces at the ends of lines; the first line is the header, then comes a line per row.
    pub(crate) fn render(&self, surface: Surface) -> String {
        let gap = if self.natural_width(2) > usize::from(surface.width) { 1 } else { 2 };
        let table = self.table(surface, gap);
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n")
    }

    fn natural_width(&self, gap: u16) -> usize {
        let table = self.table(Surface { width: u16::MAX, colour: false }, gap);
        table.lines().map(|line| line.trim_end().chars().count()).max().unwrap_or(0)
    }

    fn table(&self, surface: Surface, gap: u16) -> Table {
        let mut table = Table::new();
        table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(surface.width);
        table.set_truncation_indicator("…").force_no_tty();
        if surface.colour {
            table.enforce_styling();
        }
        table.set_header(self.titles.iter().map(Cell::new).collect::<Vec<_>>());
        for cells in &self.rows {
            let mut row = Row::from(cells.iter().map(|(text, tone)| cell(text, *tone)).collect::<Vec<_>>());
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

fn cell(text: &str, tone: Tone) -> Cell {
    let cell = Cell::new(text);
    match tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(Color::Green),
        Tone::Bad => cell.fg(Color::Red),
        Tone::Busy => cell.fg(Color::Yellow),
    }
}

/// Names and values, one pair a line; pairs without a value are left out.
pub(crate) fn pairs(pairs: &[(&str, Option<String>)]) -> String {
    let known = || pairs.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let width = known().map(|(name, _)| name.len()).max().unwrap_or(0);
    known().map(|(name, value)| format!("{name:width$}  {value}")).collect::<Vec<_>>().join("\n")
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
        assert!(lines[1].ends_with('…') && lines[1].chars().count() <= 40, "{text}");
    }

    #[test]
    fn colour_is_only_there_when_asked_for() {
        let mut grid = Grid::new(&["status"], &[]);
        grid.row(vec![("error".to_owned(), Tone::Bad)]);
        assert_eq!(grid.render(Surface { width: 80, colour: false }), "status\nerror");
        assert!(grid.render(Surface { width: 80, colour: true }).contains("\u{1b}["));
    }
}
