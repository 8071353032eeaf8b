//! Images that a message is made of: `![what it shows](https://…)`, alone in its paragraph.
//!
//! Guarantee: every image is in exactly one message, after the text before it and before the text behind it. The text before
//! it is its caption where that is one message that fits; else its description is.

use std::ops::Range;

use nightshift_domain::delivery::Media;
use nightshift_engine::ports::Rendered;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::chunk::utf16_len;

/// Longest address that is sent as media, bytes: refused, it has to fit into a text. Telegram, Slack (3,000) and Discord
/// (2,048) take longer ones.
const LONGEST_URL: usize = 1000;

/// What a channel can caption.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Captions {
    /// Longest caption, UTF-16 units.
    pub(crate) caption: usize,
    /// Longest text message, UTF-16 units: caption and address together fit into one.
    pub(crate) text: usize,
}

enum Part<'a> {
    Text(&'a str),
    Image { media: Media, description: &'a str },
}

/// The messages of `markdown`, in which `text` renders what is no image.
pub(crate) fn messages(markdown: &str, captions: Captions, text: impl Fn(&str) -> Vec<Rendered>) -> Vec<Rendered> {
    let mut messages: Vec<Rendered> = Vec::new();
    let mut caption_free = false;
    for part in split(markdown) {
        match part {
            Part::Text(part) => {
                let rendered = text(part);
                caption_free = rendered.len() == 1;
                messages.extend(rendered);
            }
            Part::Image { media, description } => {
                let fits = |body: &Rendered| captions.fits(body, &media);
                if let Some(caption) = messages.last_mut().filter(|body| caption_free && fits(body)) {
                    caption.media = Some(media);
                } else {
                    let mut described = text(description);
                    described.retain(fits);
                    described.truncate(1);
                    let body = described.pop().unwrap_or(Rendered { text: String::new(), plain: None, media: None });
                    messages.push(Rendered { media: Some(media), ..body });
                }
                caption_free = false;
            }
        }
    }
    messages
}

impl Captions {
    fn fits(self, body: &Rendered, media: &Media) -> bool {
        let longest = body.plain.as_deref().map_or(0, utf16_len).max(utf16_len(&body.text));
        longest <= self.caption && longest + utf16_len(&media.url) + 2 <= self.text
    }
}

/// What is sent where the image is refused: the caption with the address below it, as `escape` writes it.
pub(crate) fn as_text(body: &Rendered, escape: fn(&mut String, &str)) -> Rendered {
    let Some(media) = &body.media else { return body.clone() };
    let below = |text: &str, url: &str| if text.is_empty() { url.to_owned() } else { format!("{text}\n\n{url}") };
    let mut url = String::new();
    escape(&mut url, &media.url);
    Rendered {
        text: below(&body.text, &url),
        plain: body.plain.as_deref().map(|plain| below(plain, &media.url)),
        media: None,
    }
}

/// The images alone in their paragraphs, outside lists and quotes, and the text between them.
fn split(markdown: &str) -> Vec<Part<'_>> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let parser = Parser::new_ext(markdown, options);
    // Definitions of addresses belong to the whole text: cut apart, their links would be none.
    if parser.reference_definitions().iter().next().is_some() {
        return vec![Part::Text(markdown)];
    }
    let mut parts = Vec::new();
    let mut written = 0;
    let mut depth = 0_usize;
    let mut alone = Alone::Outside;
    for (event, range) in parser.into_offset_iter() {
        match event {
            Event::Start(Tag::Paragraph) if depth == 0 => alone = Alone::Nothing,
            Event::End(TagEnd::Paragraph) => {
                if let Alone::One(media, description) = std::mem::replace(&mut alone, Alone::Outside) {
                    parts.push(Part::Text(markdown.get(written..range.start).unwrap_or_default()));
                    parts.push(Part::Image { media, description });
                    written = range.end;
                }
            }
            Event::Start(Tag::Image { dest_url, .. }) => {
                alone = match alone {
                    Alone::Nothing if is_fetched(&dest_url) => {
                        let media = Media { url: dest_url.to_string(), alt: String::new() };
                        Alone::Inside(media, range.start..range.start)
                    }
                    Alone::Nothing | Alone::Inside(..) | Alone::One(..) | Alone::Other => Alone::Other,
                    Alone::Outside => Alone::Outside,
                };
            }
            Event::End(TagEnd::Image) => {
                if let Alone::Inside(media, described) = alone {
                    alone = Alone::One(media, markdown.get(described).unwrap_or_default());
                }
            }
            Event::SoftBreak | Event::HardBreak => {}
            Event::Start(Tag::List(_) | Tag::BlockQuote(_)) => depth += 1,
            Event::End(TagEnd::List(_) | TagEnd::BlockQuote(_)) => depth = depth.saturating_sub(1),
            Event::Text(text) | Event::Code(text) => match &mut alone {
                Alone::Inside(media, described) => {
                    media.alt.push_str(&text);
                    extend(described, &range);
                }
                Alone::Nothing | Alone::One(..) if text.trim().is_empty() => {}
                Alone::Outside | Alone::Nothing | Alone::One(..) | Alone::Other => alone = alone.with_text(),
            },
            Event::Start(_)
            | Event::End(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::Html(_)
            | Event::InlineHtml(_)
            | Event::FootnoteReference(_)
            | Event::Rule
            | Event::TaskListMarker(_) => match &mut alone {
                Alone::Inside(_, described) => extend(described, &range),
                Alone::Outside | Alone::Nothing | Alone::One(..) | Alone::Other => alone = alone.with_text(),
            },
        }
    }
    parts.push(Part::Text(markdown.get(written..).unwrap_or_default()));
    parts
}

/// Lets `described` reach over `range` too.
fn extend(described: &mut Range<usize>, range: &Range<usize>) {
    let start = if described.end > described.start { described.start } else { range.start };
    *described = start..range.end.max(described.end);
}

/// What a paragraph holds so far.
enum Alone<'a> {
    Outside,
    Nothing,
    /// An image that has not ended, and where its description is.
    Inside(Media, Range<usize>),
    One(Media, &'a str),
    Other,
}

impl<'a> Alone<'a> {
    fn with_text(&self) -> Alone<'a> {
        if matches!(self, Self::Outside) { Alone::Outside } else { Alone::Other }
    }
}

fn is_fetched(url: &str) -> bool {
    let scheme = ["https://", "http://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
    scheme && url.len() <= LONGEST_URL && !url.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTIONS: Captions = Captions { caption: 20, text: 60 };

    fn sent(markdown: &str) -> Vec<(String, Option<String>)> {
        let text = |part: &str| {
            let lines = part.split("\n\n").map(str::trim).filter(|line| !line.is_empty());
            lines.map(|line| Rendered { text: line.to_owned(), plain: None, media: None }).collect()
        };
        let messages = messages(markdown, CAPTIONS, text).into_iter();
        messages.map(|body| (body.text, body.media.map(|media| media.url))).collect()
    }

    fn text(text: &str) -> (String, Option<String>) {
        (text.to_owned(), None)
    }

    fn image(caption: &str) -> (String, Option<String>) {
        (caption.to_owned(), Some("https://e.io/a.png".to_owned()))
    }

    #[test]
    fn an_image_alone_in_its_paragraph_goes_with_the_text_before_it_where_that_fits() {
        let picture = "![a *chart*](https://e.io/a.png \"title\")";
        assert_eq!(sent(picture), [image("a *chart*")]);
        assert_eq!(sent(&format!("Look:\n\n{picture}\n\nEnd.")), [image("Look:"), text("End.")]);
        assert_eq!(sent(&format!("One.\n\nTwo.\n\n{picture}")), [text("One."), text("Two."), image("a *chart*")]);
        let long = "Longer than a caption.";
        assert_eq!(sent(&format!("{long}\n\n{picture}")), [text(long), image("a *chart*")]);
        assert_eq!(sent(&format!("Hi\n\n{picture}\n\n{picture}")), [image("Hi"), image("a *chart*")]);
        assert_eq!(sent("![](https://e.io/a.png)"), [image("")]);
    }

    #[test]
    fn an_image_among_words_in_a_list_or_without_an_address_of_the_web_stays_text() {
        for markdown in [
            "see ![a](https://e.io/a.png)",
            "![a](https://e.io/a.png) and",
            "![a](https://e.io/a.png)![b](https://e.io/b.png)",
            "- ![a](https://e.io/a.png)",
            "> ![a](https://e.io/a.png)",
            "![a](file:///etc/passwd)",
            "![a](a.png)",
            "[![a](https://e.io/a.png)](https://e.io)",
            "```\n![a](https://e.io/a.png)\n```",
        ] {
            assert_eq!(sent(markdown), [text(markdown)], "{markdown}");
        }
    }

    #[test]
    fn refused_the_image_is_its_caption_with_the_address_below() {
        let media = Some(Media { url: "https://e.io/?a&b".to_owned(), alt: String::new() });
        let body = Rendered { text: "<b>x</b>".to_owned(), plain: Some("x".to_owned()), media };
        let sent = as_text(&body, crate::telegram::markup::escape);
        assert_eq!(sent.text, "<b>x</b>\n\nhttps://e.io/?a&amp;b");
        assert_eq!(sent.plain.as_deref(), Some("x\n\nhttps://e.io/?a&b"));
        assert_eq!(sent.media, None);
    }
}
