//! Tables, which no chat program shows, as aligned text.

/// Narrowest column, as wide as the dashes below a heading.
const NARROWEST: usize = 3;

/// The rows, the first of them the heading, as lines with columns of one width each.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(NARROWEST)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        line(&mut out, &widths, |column| row.get(column).cloned().unwrap_or_default());
        if index == 0 {
            line(&mut out, &widths, |column| "-".repeat(widths[column]));
        }
    }
    out
}

fn line(out: &mut String, widths: &[usize], cell: impl Fn(usize) -> String) {
    for (column, width) in widths.iter().enumerate() {
        let text = cell(column);
        let padding = width - text.chars().count().min(*width);
        out.push_str("| ");
        out.push_str(&text);
        out.push_str(&" ".repeat(padding + 1));
    }
    out.push_str("|\n");
}
