//! The address that anybody can reach: what is there, for whom, and how long wrong tokens are listened to.

use chrono::TimeDelta;
use nightshift_api::Front;

use super::*;

/// The public API switched on, with the digest of `public secret`.
const ON: &str = r#"{ "api": { "bearer": { "enabled": true, "tokenSha256": "ssm:digest" } } }"#;

async fn configured(config: &str) -> Api {
    let api = api();
    let config: Value = serde_json::from_str(config).unwrap();
    assert_eq!(api.deps.store.put_config(&config, 0).await.unwrap(), Outcome::Applied);
    api
}

/// Sends a request as the function URL hands it on, from `address`.
async fn from(api: &Api, address: &str, verb: &str, path: &str, token: Option<&str>) -> (u16, Value, Option<String>) {
    let mut headers = json!({ "content-type": "application/json", "x-forwarded-for": "198.51.100.7" });
    if let Some(token) = token {
        headers["authorization"] = json!(format!("Bearer {token}"));
    }
    let event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": headers,
        "requestContext": {
            "accountId": "anonymous", "apiId": "x", "domainName": "x.lambda-url.eu-central-1.on.aws", "domainPrefix": "x",
            "http": { "method": verb, "path": path, "protocol": "HTTP/1.1", "sourceIp": address, "userAgent": "t" },
            "requestId": "r", "routeKey": "$default", "stage": "$default", "time": "20/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1_795_176_000_000_i64,
        },
        "body": "{}", "isBase64Encoded": false,
    });
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    let response = Box::pin(nightshift_api::handle_at(&api.deps, Front::Public, request)).await.unwrap();
    let retry = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), serde_json::from_slice(response.body().as_ref()).unwrap(), retry)
}

const HOME: &str = "203.0.113.9";

#[tokio::test]
async fn methods_are_not_there_unless_they_are_switched_on_and_what_needs_no_token_always_is() {
    for config in ["{}", r#"{ "api": { "bearer": { "enabled": false, "tokenSha256": "ssm:digest" } } }"#] {
        let api = configured(config).await;
        for token in [None, Some("secret"), Some("wrong")] {
            let (status, body, _) = from(&api, HOME, "POST", "/v1/cron.list", token).await;
            assert_eq!((status, &body["error"]["code"]), (404, &json!("unknown_path")), "{config} {token:?}");
        }
        assert_eq!(from(&api, HOME, "GET", "/healthz", None).await.0, 200);
        assert_eq!(from(&api, HOME, "GET", "//healthz", None).await.0, 200, "a URL with a slash at its end");
        assert_eq!(from(&api, HOME, "GET", "/openapi.json", None).await.0, 200);
        assert_eq!(from(&api, HOME, "POST", "/hooks/wake", Some("secret")).await.0, 404);
    }
}

#[tokio::test]
async fn the_private_tokens_digest_opens_nothing_here_and_the_configured_one_does() {
    let api = configured(ON).await;
    assert_eq!(from(&api, HOME, "POST", "/v1/cron.list", Some("public secret")).await.0, 200);
    assert_eq!(from(&api, HOME, "POST", "/v1/cron.list", None).await.0, 401);
    assert_eq!(from(&api, HOME, "POST", "/v1/cron.list", Some("secret")).await.0, 401, "it is the private one's");
    // A reference to something else than a digest lets nobody in.
    let api = configured(&ON.replace("ssm:digest", "ssm:hook-token")).await;
    assert_eq!(from(&api, HOME, "POST", "/v1/cron.list", Some("knock knock")).await.0, 503);
}

#[tokio::test]
async fn after_ten_wrong_tokens_nothing_of_their_source_is_compared_for_a_minute() {
    let api = configured(ON).await;
    for _ in 0..10 {
        assert_eq!(from(&api, HOME, "POST", "/v1/cron.list", Some("guess")).await.0, 401);
    }
    let (status, body, retry) = from(&api, HOME, "POST", "/v1/cron.list", Some("public secret")).await;
    assert_eq!((status, &body["error"]["code"]), (429, &json!("too_many_attempts")), "{body}");
    assert_eq!(retry.as_deref(), Some("60"));
    // Nobody else suffers, whatever the guesser writes into headers, and no token is no guess.
    assert_eq!(from(&api, "203.0.113.10", "POST", "/v1/cron.list", Some("public secret")).await.0, 200);
    for _ in 0..20 {
        assert_eq!(from(&api, "203.0.113.10", "POST", "/v1/cron.list", None).await.0, 401);
    }
    assert_eq!(from(&api, "203.0.113.10", "POST", "/v1/cron.list", Some("public secret")).await.0, 200);
    api.clock.advance(TimeDelta::seconds(60));
    assert_eq!(from(&api, HOME, "POST", "/v1/cron.list", Some("public secret")).await.0, 200);
}

#[tokio::test]
async fn hooks_count_wrong_tokens_too() {
    let api = configured(r#"{ "hooks": { "enabled": true, "token": "ssm:hook-token" } }"#).await;
    for _ in 0..10 {
        assert_eq!(from(&api, HOME, "POST", "/hooks/wake", Some("guess")).await.0, 401);
    }
    assert_eq!(from(&api, HOME, "POST", "/hooks/wake", Some("knock knock")).await.0, 429);
    api.clock.advance(TimeDelta::seconds(60));
    assert_eq!(from(&api, HOME, "POST", "/hooks/wake", Some("knock knock")).await.0, 400, "only its text is missing");
}
