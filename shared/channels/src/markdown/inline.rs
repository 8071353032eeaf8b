//! What Markdown itself does not know, inside one block of text: spoilers, addresses without markup, file names.

use super::{Dialect, Style};

/// A stretch of text with one list of styles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) text: String,
    pub(super) styles: Vec<Style>,
}

/// Extensions that are also top-level domains and far more often mean a file: a client would link them.
const FILE_EXTENSIONS: [&str; 9] = ["md", "go", "py", "pl", "sh", "am", "at", "be", "cc"];

/// Applies what `dialect` asks for.
pub(super) fn finish(mut fragments: Vec<Fragment>, dialect: Dialect) -> Vec<Fragment> {
    trim_lines(&mut fragments);
    if dialect.spoilers {
        fragments = spoilers(fragments);
    }
    if dialect.linkify {
        fragments = each_text(fragments, addresses);
    }
    if dialect.file_names {
        fragments = each_text(fragments, file_names);
    }
    fragments
}

/// Takes the white space off both ends of the block.
fn trim_lines(fragments: &mut Vec<Fragment>) {
    while let Some(first) = fragments.first_mut() {
        first.text = first.text.trim_start().to_owned();
        if !first.text.is_empty() {
            break;
        }
        fragments.remove(0);
    }
    while let Some(last) = fragments.last_mut() {
        last.text.truncate(last.text.trim_end().len());
        if !last.text.is_empty() {
            break;
        }
        fragments.pop();
    }
}

fn is_text(fragment: &Fragment) -> bool {
    !fragment.styles.iter().any(|style| matches!(style, Style::Code | Style::Pre(_) | Style::Link { .. }))
}

/// Hides what stands between pairs of `||` that hug their text.
fn spoilers(fragments: Vec<Fragment>) -> Vec<Fragment> {
    let may_open = |index: usize, at: usize| {
        let rest = &fragments[index].text[at + 2..];
        let next = rest.chars().next().or_else(|| fragments.get(index + 1)?.text.chars().next());
        next.is_some_and(|char| !char.is_whitespace() && char != '|')
    };
    let may_close = |index: usize, at: usize| {
        let before = fragments[index].text[..at].chars().next_back();
        let previous = || fragments[index.checked_sub(1)?].text.chars().next_back();
        before.or_else(previous).is_some_and(|char| !char.is_whitespace() && char != '|')
    };
    let mut pairs = Vec::new();
    let mut open = None;
    for (index, fragment) in fragments.iter().enumerate().filter(|(_, fragment)| is_text(fragment)) {
        for (at, _) in fragment.text.match_indices("||") {
            match open {
                None if may_open(index, at) => open = Some((index, at)),
                Some(start) if may_close(index, at) => {
                    pairs.push((start, (index, at)));
                    open = None;
                }
                None | Some(_) => {}
            }
        }
    }
    if pairs.is_empty() {
        return fragments;
    }
    let marks: Vec<(usize, usize)> = pairs.into_iter().flat_map(|(from, to)| [from, to]).collect();
    let mut marks = marks.into_iter().peekable();
    let mut hidden = false;
    let mut out = Vec::new();
    for (index, fragment) in fragments.iter().enumerate() {
        let mut at = 0;
        loop {
            let mark = marks.next_if(|(in_fragment, _)| *in_fragment == index);
            let end = mark.map_or(fragment.text.len(), |(_, mark)| mark);
            let mut styles = fragment.styles.clone();
            if hidden {
                let after_blocks = usize::from(styles.first() == Some(&Style::Quote));
                styles.insert(after_blocks, Style::Spoiler);
            }
            push(&mut out, &fragment.text[at..end], styles);
            if mark.is_none() {
                break;
            }
            hidden = !hidden;
            at = end + 2;
        }
    }
    out
}

/// Splits every fragment of ordinary text by `parts`, which adds a style to some of them.
fn each_text(fragments: Vec<Fragment>, parts: impl Fn(&str) -> Vec<(usize, usize, Style)>) -> Vec<Fragment> {
    let mut out = Vec::new();
    for fragment in fragments {
        if !is_text(&fragment) {
            out.push(fragment);
            continue;
        }
        let mut at = 0;
        for (start, end, style) in parts(&fragment.text) {
            push(&mut out, &fragment.text[at..start], fragment.styles.clone());
            let mut styles = fragment.styles.clone();
            styles.push(style);
            push(&mut out, &fragment.text[start..end], styles);
            at = end;
        }
        push(&mut out, &fragment.text[at..], fragment.styles);
    }
    out
}

fn push(out: &mut Vec<Fragment>, text: &str, styles: Vec<Style>) {
    if !text.is_empty() {
        out.push(Fragment { text: text.to_owned(), styles });
    }
}

fn addresses(text: &str) -> Vec<(usize, usize, Style)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = next_address(text, from) {
        let rest = &text[start..];
        let mut end = rest.find(|char: char| char.is_whitespace() || "<>\"".contains(char)).unwrap_or(rest.len());
        while let Some(last) = rest[..end].chars().next_back() {
            let unbalanced = |open: char| rest[..end].matches(last).count() > rest[..end].matches(open).count();
            let belongs = match last {
                ')' => !unbalanced('('),
                ']' => !unbalanced('['),
                _ => !".,;:!?'*_~|".contains(last),
            };
            if belongs {
                break;
            }
            end -= last.len_utf8();
        }
        let url = &rest[..end];
        if url.find("://").is_some_and(|scheme| scheme + 3 < url.len()) {
            found.push((start, start + end, Style::Link { url: url.to_owned(), bare: true }));
        }
        from = start + end.max("http".len());
    }
    found
}

fn next_address(text: &str, from: usize) -> Option<usize> {
    let starts = ["http://", "https://"].iter().flat_map(|scheme| text[from..].match_indices(scheme));
    starts
        .map(|(at, _)| from + at)
        .filter(|at| !text[..*at].chars().next_back().is_some_and(char::is_alphanumeric))
        .min()
}

fn file_names(text: &str) -> Vec<(usize, usize, Style)> {
    let belongs = |char: char| char.is_ascii_alphanumeric() || "_-./".contains(char);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(belongs).map(|found| at + found) {
        let length = text[start..].find(|char| !belongs(char)).unwrap_or(text.len() - start);
        let word = text[start..start + length].trim_end_matches(['.', '/', '-']);
        let in_email = text[..start].ends_with('@') || text[start + length..].starts_with('@');
        if !in_email && is_file_name(word) {
            found.push((start, start + word.len(), Style::Code));
        }
        at = start + length;
    }
    found
}

fn is_file_name(word: &str) -> bool {
    let Some((stem, extension)) = word.rsplit_once('.') else { return false };
    let known = FILE_EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension));
    let named = stem.chars().next_back().is_some_and(|char| char.is_ascii_alphanumeric() || char == '_');
    known && named && !word.starts_with("//")
}
