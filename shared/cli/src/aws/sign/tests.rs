use aws_sdk_lambda::config::SharedCredentialsProvider;
use std::time::SystemTime;

use super::*;
use crate::tests::signature::{self, Parts};

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

#[test]
fn only_the_address_of_a_function_names_its_region() {
    let cases = [
        ("https://abc123.lambda-url.eu-central-1.on.aws/", Some("eu-central-1")),
        ("https://abc123.lambda-url.eu-central-1.on.aws:443/x", Some("eu-central-1")),
        ("http://abc123.lambda-url.eu-central-1.on.aws/", None),
        ("https://lambda-url.eu-central-1.on.aws/", None),
        ("https://abc123.lambda-url.eu-central-1.on.aws.example/", None),
        ("https://x.abc123.lambda-url.eu-central-1.on.aws/", None),
        ("http://127.0.0.1:4710/", None),
    ];
    for (text, region) in cases {
        assert_eq!(region_of(&url(text)), region, "{text}");
    }
}

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn credentials(key: &str, ends: Option<DateTime<Utc>>) -> Credentials {
    Credentials::new(key, "secret", Some("session".to_owned()), ends.map(SystemTime::from), "tests")
}

fn signer(first: Credentials, later: Credentials) -> Signer {
    Signer::new(SharedCredentialsProvider::new(later), first, "eu-central-1")
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

#[tokio::test]
async fn a_signature_is_the_one_that_the_published_algorithm_gives() {
    let own = credentials("AKIDEXAMPLE", None);
    let signer = signer(own.clone(), own);
    let body = r#"{"limit":200}"#;
    let own_headers = [("content-type", "application/json"), ("idempotency-key", "01KAHJ5Z3M7Q2W4E6R8T0YABCD")];
    let address = "https://abc.lambda-url.eu-central-1.on.aws/v1/cron.list";
    let unsigned = Unsigned { method: "POST", url: address, headers: &own_headers, body };
    let headers = signer.sign(unsigned, at("2026-11-20T12:00:00Z")).await.unwrap();
    assert_eq!(header(&headers, "x-amz-date"), "20261120T120000Z");
    assert_eq!(header(&headers, "x-amz-security-token"), "session");
    let parts = Parts {
        method: "POST",
        path: "/v1/cron.list",
        headers: &[
            ("content-type", "application/json"),
            ("host", "abc.lambda-url.eu-central-1.on.aws"),
            ("idempotency-key", "01KAHJ5Z3M7Q2W4E6R8T0YABCD"),
            ("x-amz-date", "20261120T120000Z"),
            ("x-amz-security-token", "session"),
        ],
        body,
        region: "eu-central-1",
        service: "lambda",
        key: "AKIDEXAMPLE",
        secret: "secret",
    };
    assert_eq!(header(&headers, "authorization"), signature::authorization(&parts));
}

#[tokio::test]
async fn credentials_that_end_are_asked_for_again_a_minute_before() {
    let first = credentials("FIRST", Some(at("2026-11-20T12:00:00Z")));
    let signer = signer(first, credentials("LATER", None));
    let unsigned = Unsigned { method: "GET", url: "https://a.lambda-url.x.on.aws/healthz", headers: &[], body: "" };
    for (now, key) in [("11:58:59", "FIRST"), ("11:59:01", "LATER"), ("13:00:00", "LATER")] {
        let headers = signer.sign(unsigned, at(&format!("2026-11-20T{now}Z"))).await.unwrap();
        assert!(header(&headers, "authorization").contains(&format!("Credential={key}/20261120/")), "{now}");
    }
}

#[test]
fn what_is_printed_of_a_signer_holds_no_secret() {
    let own = Credentials::new("AKIDEXAMPLE", "s3cret", Some("t0ken".to_owned()), None, "tests");
    let shown = format!("{:?}", signer(own.clone(), own));
    assert!(!shown.contains("s3cret") && !shown.contains("t0ken"), "{shown}");
}
