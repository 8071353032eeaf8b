//! Opening channels from the configuration.

use std::sync::Arc;

use nightshift_domain::config::Config;
use nightshift_engine::SystemClock;
use nightshift_engine::ports::{Channels, OpenChannelError};

use crate::{TOKEN, config, opener};

#[tokio::test]
async fn a_channel_that_cannot_be_opened_says_why_without_its_secret() {
    let open = opener(Arc::new(SystemClock), None);
    let config = config("http://127.0.0.1:1");
    for (name, account, secret, part) in [
        ("telegram", Some("other"), false, "has no account \"other\""),
        ("telegram", Some("bad"), true, "does not look like a bot token"),
        ("telegram", Some("none"), true, "botToken is missing"),
        ("telegram", Some("empty"), true, "it is empty"),
        ("telegram", Some("missing"), true, "no such variable"),
        ("console", None, false, "local stack"),
        ("matrix", None, false, "there is no channel \"matrix\"; there are telegram, slack, discord, whatsapp"),
        ("whatsapp", Some("none"), false, "channels.whatsapp.accounts.none.phoneNumberId is missing"),
        ("mattermost", Some("none"), false, "channels.mattermost.accounts.none.baseUrl is missing"),
        ("signal", Some("none"), false, "channels.signal.accounts.none.number is missing"),
        ("signal", Some("bad"), true, "no such variable"),
        ("imessage", Some("none"), true, "password is missing"),
    ] {
        let error = open.open(&config, name, account).await.unwrap_err();
        assert_eq!(matches!(error, OpenChannelError::Secret { .. }), secret, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!error.to_string().contains("signing-secret"), "{error}");
    }
    let error = open.open(&Config::default(), "slack", None).await.unwrap_err();
    assert!(error.to_string().contains("add channels.slack.accounts.default"), "{error}");
}

#[tokio::test]
async fn what_is_configured_is_what_could_be_chosen_for_a_job_that_names_no_channel() {
    let config = config("http://127.0.0.1:1");
    assert_eq!(
        opener(Arc::new(SystemClock), None).configured(&config),
        ["telegram", "slack", "discord", "whatsapp", "mattermost", "signal", "imessage"]
    );
    let local = opener(Arc::new(SystemClock), Some("http://127.0.0.1:1".to_owned()));
    assert_eq!(local.configured(&Config::default()), ["console"]);
    assert!(local.open(&Config::default(), "webhook", None).await.is_ok());
}

#[tokio::test]
async fn debug_output_of_a_channel_holds_no_token() {
    let open = opener(Arc::new(SystemClock), None);
    let config = config("http://127.0.0.1:1");
    for name in ["telegram", "slack", "discord", "whatsapp", "mattermost", "signal", "imessage", "webhook"] {
        let shown = format!("{:?}", open.open(&config, name, None).await.unwrap());
        assert!(!shown.contains(TOKEN) && !shown.contains("signing-secret") && !shown.contains("shut"), "{shown}");
        assert!(shown.contains("[redacted]"), "{shown}");
    }
}
