//! What a fetched body says, as text for a model.
//!
//! Guarantee: pure; answers for any bytes. Text is decoded as the far side declares it, or by its byte order mark; HTML is
//! turned into plain text; what is neither is refused by its type and size. It knows nothing of where the bytes came from.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

mod tangle;

use tangle::is_tangled;

/// Columns of a page's text. Wide, because no person reads it in a terminal; bounded, because tables are padded to it.
const WIDTH: usize = 160;
/// How far into a page its own declaration of its characters is looked for (HTML standard, "prescan a byte stream").
const PRESCAN: usize = 1024;

/// What kind of text a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Html,
    Plain,
}

/// The body as text; `Err` names what it is where it is none.
pub(super) fn text_of(content_type: Option<&str>, body: &[u8], truncated: bool) -> Result<String, String> {
    let declared = content_type.map(str::trim).filter(|text| !text.is_empty());
    let kind = match declared {
        Some(declared) => kind_of(declared),
        None => sniffed(body),
    };
    let Some(kind) = kind else {
        let size = if truncated { format!("more than {} bytes", body.len()) } else { format!("{} bytes", body.len()) };
        return Err(format!("it is {}, {size}, which is no text", declared.unwrap_or("of no declared type")));
    };
    let decoded = decoded(declared, body, truncated);
    Ok(match kind {
        Kind::Plain => decoded.into_owned(),
        Kind::Html => readable(&decoded),
    })
}

/// The media type without its parameters, in lower case.
fn essence(declared: &str) -> String {
    declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn kind_of(declared: &str) -> Option<Kind> {
    let essence = essence(declared);
    match essence.as_str() {
        "text/html" | "application/xhtml+xml" => Some(Kind::Html),
        "application/json"
        | "application/ld+json"
        | "application/x-ndjson"
        | "application/jsonl"
        | "application/xml"
        | "application/javascript"
        | "application/x-javascript"
        | "application/yaml"
        | "application/x-yaml"
        | "application/toml"
        | "application/sql"
        | "application/graphql"
        | "application/x-sh"
        | "application/x-www-form-urlencoded" => Some(Kind::Plain),
        other if other.starts_with("text/") => Some(Kind::Plain),
        // Structured suffixes (RFC 6839).
        other
            if ["+json", "+xml", "+yaml"].iter().any(|suffix| other.ends_with(suffix))
                && !other.starts_with("image/") =>
        {
            Some(Kind::Plain)
        }
        // SVG is an image that is text.
        "image/svg+xml" => Some(Kind::Plain),
        _ => None,
    }
}

/// The kind of a body that declares none: text where nothing in it speaks against it.
fn sniffed(body: &[u8]) -> Option<Kind> {
    let head = &body[..body.len().min(PRESCAN)];
    if Encoding::for_bom(head).is_none() && (head.contains(&0) || unreadable(head)) {
        return None;
    }
    let head = String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    let html = ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| head.starts_with(tag));
    Some(if html { Kind::Html } else { Kind::Plain })
}

/// Whether the bytes are no UTF-8, but for a character that the end cut.
fn unreadable(head: &[u8]) -> bool {
    std::str::from_utf8(head).is_err_and(|error| error.error_len().is_some())
}

/// The text of the bytes. A byte order mark wins, then what the header declares, then what the page itself does, then UTF-8.
fn decoded<'a>(declared: Option<&str>, body: &'a [u8], truncated: bool) -> Cow<'a, str> {
    let encoding = declared.and_then(charset).or_else(|| prescanned(body)).unwrap_or(UTF_8);
    let (text, ..) = encoding.decode(body);
    // A body that was cut may end in half a character.
    match text.strip_suffix('\u{fffd}') {
        Some(whole) if truncated => Cow::Owned(whole.to_owned()),
        Some(_) | None => text,
    }
}

/// The `charset` of a content type.
fn charset(declared: &str) -> Option<&'static Encoding> {
    let parameters = declared.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let charset = parameters.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?.1;
    Encoding::for_label(charset.trim().trim_matches(['"', '\'']).as_bytes())
}

/// What the beginning of a page (`<meta charset=…>`) or of an XML document (`encoding="…"`) declares.
fn prescanned(body: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&body[..body.len().min(PRESCAN)]).to_ascii_lowercase();
    let after_meta = head.find("<meta").map(|at| &head[at..]).and_then(|rest| label_after(rest, "charset"));
    let after_xml = || head.starts_with("<?xml").then(|| head.split("?>").next()).flatten();
    let label = after_meta.or_else(|| label_after(after_xml()?, "encoding"))?;
    let found = Encoding::for_label(label.as_bytes())?;
    // A declaration that can be read byte by byte is not in UTF-16, whatever it says (HTML standard, same place).
    Some(if found == UTF_16LE || found == UTF_16BE { UTF_8 } else { found })
}

fn label_after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text[text.find(word)? + word.len()..].trim_start().strip_prefix('=')?;
    let rest = rest.trim_start().trim_start_matches(['"', '\'']);
    let end = rest.find(|char: char| !(char.is_ascii_alphanumeric() || "-_:.".contains(char))).unwrap_or(rest.len());
    Some(&rest[..end]).filter(|label| !label.is_empty())
}

/// The readable text of a page. Links are numbered, and their addresses listed at its end.
fn readable(html: &str) -> String {
    if is_tangled(html) {
        return html.to_owned();
    }
    let config = html2text::config::plain().allow_width_overflow().no_table_borders();
    match config.string_from_read(html.as_bytes(), WIDTH) {
        Ok(text) => squeezed(&text),
        // The page as it is, where the library finds no way to lay it out.
        Err(_) => html.to_owned(),
    }
}

/// Without the spaces that lines end in, and with one empty line where there are several.
fn squeezed(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.lines().map(str::trim_end) {
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            squeezed.push_str(line);
            squeezed.push('\n');
        }
    }
    squeezed.truncate(squeezed.trim_end().len());
    squeezed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(content_type: Option<&str>, body: &[u8]) -> Result<String, String> {
        text_of(content_type, body, false)
    }

    #[test]
    fn a_page_reads_like_a_text_with_its_links_at_the_end() {
        let html = r#"<!doctype html><html><head><title>T</title><style>p{color:red}</style><script>alert("<p>")</script></head>
            <body><nav><a href="/a">A</a></nav><h1>Head <em>line</em></h1><p>Some <b>bold</b> and a <a
            href="https://x.example/y?z=1">link</a>. &amp; &eacute;</p><ul><li>one<li>two<ul><li>nested</ul></ul>
            <table><tr><th>Name<th>Price<tr><td>Apple<td>1.20</table><pre>  code\n    more</pre><img src=x alt="An image">"#;
        let expected = "[A][1]\n\n# Head *line*\n\nSome **bold** and a [link][2]. & é\n* one\n* two\n  * nested\n\nName  Price\nApple 1.20\n\n  code\\n    more\n\n[An image]\n\n[1]: /a\n[2]: https://x.example/y?z=1";
        assert_eq!(shown(Some("text/html; charset=utf-8"), html.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn text_and_json_stay_as_they_are_and_files_are_refused_by_type_and_size() {
        for kind in
            ["application/json", "TEXT/plain ; charset=UTF-8", "application/atom+xml", "text/csv", "image/svg+xml"]
        {
            assert_eq!(shown(Some(kind), b"{\"a\":  1}\n").unwrap(), "{\"a\":  1}\n", "{kind}");
        }
        for kind in
            ["image/png", "application/pdf", "application/octet-stream", "application/zip", "nonsense", "image/x+xml"]
        {
            assert_eq!(shown(Some(kind), b"1234").unwrap_err(), format!("it is {kind}, 4 bytes, which is no text"));
        }
        let cut = text_of(Some("video/mp4"), b"1234", true).unwrap_err();
        assert_eq!(cut, "it is video/mp4, more than 4 bytes, which is no text");
    }

    #[test]
    fn a_body_of_no_declared_type_is_judged_by_what_it_begins_with() {
        assert_eq!(shown(None, b"\n <!DOCTYPE HTML><p>a<p>b").unwrap(), "a\n\nb");
        assert_eq!(shown(Some(" "), b"plain <p>").unwrap(), "plain <p>");
        assert_eq!(shown(None, "é".repeat(PRESCAN).as_bytes()).unwrap(), "é".repeat(PRESCAN));
        assert_eq!(shown(None, b"\xff\xfea\0").unwrap(), "a", "UTF-16 by its byte order mark");
        for bytes in [&b"\x89PNG\r\n"[..], b"%PDF\0", b"GIF89a\xff\xff"] {
            let told = shown(None, bytes).unwrap_err();
            assert_eq!(told, format!("it is of no declared type, {} bytes, which is no text", bytes.len()));
        }
    }

    #[test]
    fn characters_are_read_as_they_are_declared() {
        let latin = b"caf\xe9";
        for (kind, body, expected) in [
            ("text/plain; charset=iso-8859-1", &latin[..], "café"),
            ("text/plain; Charset=\"windows-1252\"", latin, "café"),
            ("text/plain", "café".as_bytes(), "café"),
            ("text/plain; charset=nonsense", "café".as_bytes(), "café"),
            ("text/plain; charset=latin1", b"\xef\xbb\xbfcaf\xc3\xa9", "café"),
            ("text/html", b"<meta charset='latin1'>caf\xe9", "café"),
            ("text/html", b"<meta http-equiv=Content-Type content=\"text/html; charset = latin1\">caf\xe9", "café"),
            ("text/html", "<meta charset=utf-16>café".as_bytes(), "café"),
            ("text/html; charset=utf-8", "<meta charset=latin1>café".as_bytes(), "café"),
            ("text/plain; charset=shift_jis", b"\x83n", "ハ"),
            ("text/plain", latin, "caf\u{fffd}"),
        ] {
            assert_eq!(shown(Some(kind), body).unwrap(), expected, "{kind}");
        }
        let xml = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xe9</a>";
        assert!(shown(Some("application/xml"), xml).unwrap().ends_with("<a>é</a>"));
        assert_eq!(text_of(Some("text/plain"), &"é".as_bytes()[..1], true).unwrap(), "", "cut within a character");
    }

    #[test]
    fn a_hostile_page_is_shown_as_it_is() {
        let deep = "<div>".repeat(200_000);
        assert_eq!(shown(Some("text/html"), deep.as_bytes()).unwrap(), deep);
        for html in ["", "<", "<table><td colspan=999999999>x", "<ol start=-9999999999999999999><li>x", "\0<p>\u{202e}"]
        {
            assert!(shown(Some("text/html"), html.as_bytes()).is_ok(), "{html}");
        }
    }
}
