//! What must not be found, in all the ways it may be written.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Part of everything that is planted. No word of the product's, and the same in every way JSON may write it.
pub(crate) const MARK: &str = "zqplantedqz";

/// The secret that stands at `place`: as long as the shortest quotation by which our own code knows one.
pub(crate) fn planted(place: &str) -> String {
    format!("{MARK}-{place}-{MARK}-{MARK}")
}

/// Strings that show the mark, or `secrets`, which are no plants of ours.
pub(crate) struct Needles(Vec<String>);

impl Needles {
    /// The mark as it is, in hex, and in Base64 wherever in a longer text it stood; the `secrets` too.
    pub(crate) fn new(secrets: &[&str]) -> Self {
        let ways = std::iter::once(&MARK).chain(secrets).flat_map(|secret| {
            // Six bits to a letter: where the secret begins within three bytes decides how it reads, and the letters at its
            // ends hold bits of what stands beside it.
            let shifted = (0..3).map(|shift| STANDARD.encode([&b"   "[..shift], secret.as_bytes()].concat()));
            let inside = shifted.map(|text| {
                let text = text.trim_end_matches('=');
                text[4..text.len() - 1].to_owned()
            });
            let hex = hex(secret);
            let reversed = secret.chars().rev().collect();
            inside.chain([hex, reversed, (*secret).to_owned()]).collect::<Vec<String>>()
        });
        Self(ways.collect())
    }

    /// The first needle in `line`.
    pub(crate) fn found(&self, line: &str) -> Option<&str> {
        let small = line.to_ascii_lowercase();
        // Base64 of an address is written with two other letters.
        let other = line.replace('-', "+").replace('_', "/");
        let holds = |needle: &&String| line.contains(*needle) || small.contains(*needle) || other.contains(*needle);
        self.0.iter().find(holds).map(String::as_str)
    }
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

#[test]
fn a_secret_is_found_however_it_is_written() {
    let needles = Needles::new(&["sk-token/other+one"]);
    for secret in [planted("key"), "sk-token/other+one".to_owned()] {
        let bytes = format!("user:{secret}, and more");
        let mut ways = vec![secret.clone(), format!("a{secret}b"), hex(&bytes), hex(&bytes).to_uppercase()];
        for before in ["", "a", "ab", "abc"] {
            ways.push(STANDARD.encode(format!("{before}{bytes}")));
            ways.push(URL_SAFE.encode(format!("{before}{bytes}")));
        }
        for way in ways {
            assert!(needles.found(&format!("INFO a line with {way} in it")).is_some(), "{way}");
        }
    }
    assert_eq!(needles.found(r#"{"level":"INFO","message":"run a_20261120T070000Z is delivering (replied)"}"#), None);
}
