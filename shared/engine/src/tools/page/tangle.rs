//! Whether a page is built so that laying it out would cost more than it is worth.
//!
//! An HTML parser looks at all open elements for many a tag, opens formatting elements that nobody closed again in every
//! paragraph, and compares a tag's attributes with each other (HTML standard, "tree construction"): a hostile page of a
//! megabyte costs minutes or gigabytes that way. This is an estimate from the tags alone, in one pass; it need not be exact,
//! because ordinary pages stay far below the bounds.

/// Deepest nesting; Chromium's own bound.
const DEEPEST: usize = 512;
/// Most formatting elements left open, times the tags that might open them again.
const MOST_REOPENED: usize = 2_000_000;
/// Most attributes of a tag.
const MOST_ATTRIBUTES: usize = 1_000;

/// Elements without an end, or whose end may be left out so that one more of them ends the last.
const ENDLESS: [&str; 34] = [
    "area", "base", "body", "br", "caption", "col", "colgroup", "dd", "dt", "embed", "head", "hr", "html", "img",
    "input", "li", "link", "meta", "optgroup", "option", "p", "param", "rp", "rt", "source", "tbody", "td", "tfoot",
    "th", "thead", "tr", "track", "wbr", "a",
];
/// Elements that are opened again where they were left open (HTML standard, "formatting"), less `a`, which ends the last one.
const FORMATTING: [&str; 13] =
    ["b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];
/// Elements that end a drawing or formula they are found in, besides those above (HTML standard, "foreign content"). Only
/// inside one does `<x/>` end itself.
const NO_DRAWING: [&str; 24] = [
    "blockquote",
    "center",
    "div",
    "dl",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "listing",
    "menu",
    "nav",
    "ol",
    "pre",
    "ruby",
    "section",
    "span",
    "sub",
    "sup",
    "table",
    "ul",
    "var",
    "main",
];
/// Elements whose content holds no tags.
const RAW: [&str; 7] = ["script", "style", "textarea", "title", "xmp", "iframe", "noembed"];

pub(super) fn is_tangled(html: &str) -> bool {
    let (mut depth, mut open, mut most_open, mut tags) = (0_usize, 0_usize, 0_usize, 0_usize);
    let mut drawing = false;
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let (ends, named) = rest.strip_prefix('/').map_or((false, rest), |named| (true, named));
        let length = named.bytes().take_while(u8::is_ascii_alphanumeric).count();
        if length == 0 || !named.starts_with(|first: char| first.is_ascii_alphabetic()) {
            continue;
        }
        let name = named[..length].to_ascii_lowercase();
        let tag = Tag::read(&named[length..]);
        rest = tag.rest;
        tags += 1;
        if tag.attributes > MOST_ATTRIBUTES {
            return true;
        }
        let formats = FORMATTING.contains(&name.as_str());
        let endless = ENDLESS.contains(&name.as_str());
        if name == "svg" || name == "math" {
            drawing = !ends;
        } else if formats || endless || NO_DRAWING.contains(&name.as_str()) {
            drawing = false;
        }
        if ends {
            depth = depth.saturating_sub(usize::from(!endless));
            open = open.saturating_sub(usize::from(formats));
            continue;
        }
        if RAW.contains(&name.as_str()) {
            rest = after_raw(rest, &name);
            continue;
        }
        open += usize::from(formats);
        most_open = most_open.max(open);
        depth += usize::from(!endless && (!drawing || !tag.closed));
        if depth > DEEPEST {
            return true;
        }
    }
    most_open.saturating_mul(tags) > MOST_REOPENED
}

/// What follows a tag's name.
struct Tag<'a> {
    attributes: usize,
    /// `<x/>`.
    closed: bool,
    rest: &'a str,
}

impl<'a> Tag<'a> {
    fn read(text: &'a str) -> Self {
        let (mut attributes, mut quote, mut last) = (0, None, b' ');
        for (at, byte) in text.bytes().enumerate() {
            match quote {
                Some(open) if byte == open => quote = None,
                None if byte == b'>' => return Self { attributes, closed: last == b'/', rest: &text[at + 1..] },
                None if last == b'=' && matches!(byte, b'"' | b'\'') => quote = Some(byte),
                None if (last.is_ascii_whitespace() || last == b'/') && !byte.is_ascii_whitespace() => attributes += 1,
                Some(_) | None => {}
            }
            last = byte;
        }
        Self { attributes, closed: false, rest: "" }
    }
}

/// What follows the end of an element that holds no tags.
fn after_raw<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        if rest.get(..name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name)) {
            return rest;
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(count: usize, piece: fn(usize) -> String) -> String {
        (0..count).map(piece).collect()
    }

    #[test]
    fn a_page_of_tags_that_cost_more_and_more_is_tangled() {
        for html in [
            "<div>".repeat(513),
            "<ul><li>".repeat(513),
            "<div/>".repeat(513),
            "<path/>".repeat(513),
            "<svg><p>".to_owned() + &"<path/>".repeat(513),
            "<!-- </div> --><div>".repeat(513),
            "<script></div></script><div>".repeat(513),
            many(100, |n| format!("<font size={n}>")) + &"<p>x".repeat(20_001),
            format!("<p {}>", many(1001, |n| format!("a{n} "))),
            format!("<p {}", many(1001, |n| format!("a{n}=1 "))),
        ] {
            assert!(is_tangled(&html), "{}", &html[..60]);
        }
    }

    #[test]
    fn an_ordinary_page_is_not_however_long_it_is() {
        for html in [
            "<div>".repeat(100) + &"</div>".repeat(100),
            "<div><p>a<p>b</div>".repeat(50_000),
            format!("<ul>{}</ul>", "<li>one".repeat(50_000)),
            format!("<table>{}</table>", "<tr><td>a<td>b<br>".repeat(50_000)),
            "<p><b>a</b> <i>b</i> <a name=x>c".repeat(20_000),
            format!("<div data-x='{}'>", "a b > c ".repeat(5_000)),
            "<svg><path/><path/></svg>".repeat(20_000),
            format!("<script>{}</script>", "if (a <b) document.write('<div>');".repeat(1_000)),
            "1 < 2 <3 <- <é".repeat(1_000),
        ] {
            assert!(!is_tangled(&html), "{}", &html[..30]);
        }
    }
}
