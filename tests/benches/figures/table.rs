//! Prints tables of plain text: words to the left, figures to the right.

use std::time::Duration;

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table under `title`, with these column heads.
    pub(crate) fn new(title: impl Into<String>, heads: &[&str]) -> Self {
        Self { title: title.into(), rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Prints it.
    pub(crate) fn print(&self) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        say("");
        say(&self.title);
        for row in &self.rows {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                if column == 0 { format!("  {cell:<width$}") } else { format!("  {cell:>width$}") }
            });
            say(cells.collect::<String>().trim_end());
        }
    }
}

/// Prints a line.
#[expect(clippy::print_stdout, reason = "figures are what this program is for")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// `4.3 ms`.
pub(crate) fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// `1.8x`.
pub(crate) fn ratio(one: f64, other: f64) -> String {
    if other > 0.0 { format!("{:.2}x", one / other) } else { "-".to_owned() }
}

/// `1,234,567`, rounded to three figures: more would be noise.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures here are far below 2^53 and not negative"
)]
pub(crate) fn count(figure: f64) -> String {
    let scale = 10_f64.powi((figure.abs().max(1.0).log10().floor() as i32 - 2).max(0));
    let digits = ((figure / scale).round() * scale).round().max(0.0) as u64;
    let digits = digits.to_string();
    let head = digits.len() % 3;
    let groups = (0..digits.len()).filter(|at| *at > 0 && at % 3 == head).collect::<Vec<_>>();
    let mut text = digits;
    for at in groups.into_iter().rev() {
        text.insert(at, ',');
    }
    text
}
