//! Showing and editing one file's text.

/// How many lines before and after a change are shown.
const AROUND: usize = 4;
/// Most characters shown of a text that was not found.
const SHOWN: usize = 200;

/// The file with line numbers, or the lines of `range`.
pub(super) fn view(path: &str, text: &str, range: Option<(i64, i64)>) -> Result<String, String> {
    let lines = lines(text);
    let (first, last) = match range {
        None => (1, lines.len()),
        Some((first, last)) => {
            let count = lines.len();
            let line = |n: i64| usize::try_from(n).ok().filter(|n| (1..=count).contains(n));
            let last = if last == -1 { Some(count) } else { line(last) };
            let ends = line(first).zip(last).filter(|(first, last)| first <= last);
            ends.ok_or_else(|| {
                format!("view_range does not lie within the file, whose lines are 1 to {count}; -1 stands for the last")
            })?
        }
    };
    Ok(format!("The content of {path} with line numbers:\n{}", numbered(&lines, first, last)))
}

/// The text with `new` in place of `old`, and what it then reads there.
pub(super) fn replace(path: &str, text: &str, old: &str, new: &str) -> Result<(String, String), String> {
    let shown = || old.chars().take(SHOWN).collect::<String>();
    if old.is_empty() {
        return Err("old_str is empty; insert puts text between lines".to_owned());
    }
    // Each place where it stands, those that overlap too: replacing one of them would be a guess.
    let found: Vec<usize> = text.char_indices().map(|(at, _)| at).filter(|at| text[*at..].starts_with(old)).collect();
    let at = match found.as_slice() {
        [] => return Err(format!("nothing was replaced: `{}` is not in {path} word for word", shown())),
        [at] => *at,
        many => {
            let mut numbers: Vec<String> = many.iter().map(|at| line_of(text, *at).to_string()).collect();
            numbers.dedup();
            return Err(format!(
                "nothing was replaced: `{}` is in {path} more than once, in lines {}; give more of the text around it",
                shown(),
                numbers.join(", ")
            ));
        }
    };
    let edited = format!("{}{new}{}", &text[..at], &text[at + old.len()..]);
    let (first, last) = (line_of(&edited, at), line_of(&edited, at + new.len()));
    let around = around(&edited, first, last);
    Ok((edited, around))
}

/// The text with `inserted` as lines of its own after line number `line`, and what it then reads there.
pub(super) fn insert(text: &str, line: i64, inserted: &str) -> Result<(String, String), String> {
    let before = lines(text);
    let after = usize::try_from(line).ok().filter(|line| *line <= before.len()).ok_or_else(|| {
        format!("insert_line {line} is not in the file, which has {} lines; 0 is before the first", before.len())
    })?;
    let new = lines(inserted);
    let mut all: Vec<&str> = Vec::with_capacity(before.len() + new.len());
    all.extend(&before[..after]);
    all.extend(&new);
    all.extend(&before[after..]);
    let mut edited = all.join("\n");
    // A file that ended with a line break still does; so does one whose new end does.
    let ends = if after == before.len() && !before.is_empty() { [text, inserted] } else { [text, text] };
    if !edited.is_empty() && ends.iter().any(|text| text.ends_with('\n'))
        || (text.is_empty() && inserted.ends_with('\n'))
    {
        edited.push('\n');
    }
    let around = around(&edited, after + 1, after + new.len().max(1));
    Ok((edited, around))
}

/// The lines of a text. A line break at its end ends the last line and does not begin another.
fn lines(text: &str) -> Vec<&str> {
    match text.strip_suffix('\n').unwrap_or(text) {
        "" if text.is_empty() => Vec::new(),
        body => body.split('\n').collect(),
    }
}

/// The number of the line that the byte at `at` is in, from 1.
fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn around(text: &str, first: usize, last: usize) -> String {
    let lines = lines(text);
    numbered(&lines, first.saturating_sub(AROUND).max(1), (last + AROUND).min(lines.len()))
}

fn numbered(lines: &[&str], first: usize, last: usize) -> String {
    if lines.is_empty() {
        return "(the file is empty)".to_owned();
    }
    let shown = lines.iter().enumerate().skip(first - 1).take((last + 1).saturating_sub(first));
    shown.map(|(at, line)| format!("{:>6}\t{line}", at + 1)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_from_one_and_a_range_is_cut_out() {
        let text = "one\ntwo\n\nfour\n";
        let whole = "The content of /memories/a with line numbers:\n     1\tone\n     2\ttwo\n     3\t\n     4\tfour";
        assert_eq!(view("/memories/a", text, None).unwrap(), whole);
        assert!(view("a", text, Some((2, 3))).unwrap().ends_with(":\n     2\ttwo\n     3\t"));
        assert_eq!(view("a", text, Some((2, -1))), view("a", text, Some((2, 4))));
        for bad in [(0, 2), (3, 2), (2, 5), (5, -1), (1, -2), (i64::MIN, i64::MAX)] {
            assert!(view("a", text, Some(bad)).unwrap_err().contains("1 to 4"), "{bad:?}");
        }
        assert!(view("a", "", None).unwrap().ends_with("(the file is empty)"));
        assert!(view("a", "\n", None).unwrap().ends_with("     1\t"));
    }

    #[test]
    fn a_text_is_replaced_only_where_it_stands_once() {
        let (text, around) = replace("a", "one\ntwo\nthree", "two", "2\n2½").unwrap();
        assert_eq!(text, "one\n2\n2½\nthree");
        assert_eq!(around, "     1\tone\n     2\t2\n     3\t2½\n     4\tthree");
        assert_eq!(replace("a", "one two", " two", "").unwrap().0, "one");
        let fault = replace("a", "x\nx x\n", "x", "y").unwrap_err();
        assert!(fault.contains("in lines 1, 2;"), "{fault}");
        assert!(replace("a", "aaa", "aa", "b").unwrap_err().contains("more than once"), "places that overlap");
        assert!(replace("a", "one", "One", "b").unwrap_err().contains("not in a"));
        assert!(replace("a", "one", "", "b").is_err());
        assert_eq!(replace("a", "one", "one", "").unwrap(), (String::new(), "(the file is empty)".to_owned()));
    }

    #[test]
    fn lines_are_inserted_after_the_line_that_is_named() {
        for (text, line, inserted, edited) in [
            ("a\nb\n", 0, "x\n", "x\na\nb\n"),
            ("a\nb\n", 1, "x", "a\nx\nb\n"),
            ("a\nb\n", 2, "x\ny\n", "a\nb\nx\ny\n"),
            ("a\nb", 2, "x\n", "a\nb\nx\n"),
            ("a\nb", 2, "x", "a\nb\nx"),
            ("", 0, "x\n", "x\n"),
            ("", 0, "x", "x"),
            ("a", 1, "\n", "a\n\n"),
        ] {
            assert_eq!(insert(text, line, inserted).unwrap().0, edited, "{text:?} {line} {inserted:?}");
        }
        for bad in [-1, 3, i64::MAX] {
            assert!(insert("a\nb\n", bad, "x").unwrap_err().contains("2 lines"), "{bad}");
        }
    }

    #[test]
    fn a_long_file_is_shown_around_the_change_only() {
        let lines: Vec<String> = (1..=50).map(|n| format!("line {n}\n")).collect();
        let text = lines.concat();
        let (_, around) = replace("a", &text, "line 25\n", "new\n").unwrap();
        assert!(around.starts_with("    21\tline 21\n") && around.ends_with("\tline 30"), "{around}");
    }
}
