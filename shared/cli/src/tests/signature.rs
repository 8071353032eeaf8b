//! Signature Version 4, written from its description alone (IAM User Guide, "Create a signed AWS API request"), so that what
//! the command line signs is judged by something else than what signed it.

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

/// A request without a query, and who signs it for what.
pub(crate) struct Parts<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The signed ones: names in lower case and in order, values without space around them.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) key: &'a str,
    pub(crate) secret: &'a str,
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|half| char::from(b"0123456789abcdef"[usize::from(half)]))
        .collect()
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The value of the header `Authorization`.
pub(crate) fn authorization(parts: &Parts<'_>) -> String {
    let Parts { method, path, headers, body, region, service, key, secret } = parts;
    let time = headers.iter().find(|(name, _)| *name == "x-amz-date").map(|(_, value)| *value).unwrap();
    let day = &time[..8];
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect::<Vec<_>>().concat();
    let canonical = format!("{method}\n{path}\n\n{lines}\n{names}\n{}", digest(body));
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", digest(&canonical));
    let mut signing_key = format!("AWS4{secret}").into_bytes();
    for part in [day, region, service, "aws4_request"] {
        signing_key = hmac(&signing_key, part);
    }
    let signature = hex(&hmac(&signing_key, &to_sign));
    format!("AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}")
}

/// The case `get-vanilla` of AWS's test suite for Signature Version 4.
#[test]
fn the_algorithm_here_is_the_published_one() {
    let parts = Parts {
        method: "GET",
        path: "/",
        headers: &[("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")],
        body: "",
        region: "us-east-1",
        service: "service",
        key: "AKIDEXAMPLE",
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    };
    let published = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
        SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    assert_eq!(authorization(&parts), published);
}
