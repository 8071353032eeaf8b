//! How logs are written.
//!
//! Guarantee: whatever level the host asks for, the libraries below keep to warnings, because at their lower levels they log
//! whole requests: keys, prompts, answers and the inputs of tools. What our own crates log holds none of these at any level.
//! Only `RUST_LOG`, which a person sets who looks into a library, is taken as it stands.

use std::panic::PanicHookInfo;

use tracing::error;
use tracing_subscriber::EnvFilter;

/// At its lower levels the MCP library logs whole messages: the inputs and results of tools, and headers.
const QUIET: &str = "rmcp=warn";

/// Writes logs as the host wants them: JSON lines where Lambda asks for them, text otherwise.
///
/// A JSON line has `timestamp` (RFC 3339), `level` and `message` beside the fields, as Lambda's own lines have them, so that
/// Lambda files and filters ours by them (Lambda, "Configuring JSON and plain text log formats" and "Log-level filtering",
/// 2026-10); the span of `lambda_runtime` around it has the `requestId`.
pub fn init_tracing() {
    let get = |name| std::env::var(name).ok();
    let filter = directives(get("AWS_LAMBDA_LOG_LEVEL").as_deref(), get("RUST_LOG").as_deref());
    let builder = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_target(false).with_ansi(false);
    let json = get("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json"));
    // A second call in the same process (tests) keeps the first subscriber.
    let begun = if json {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        builder.without_time().try_init()
    };
    if begun.is_ok() {
        std::panic::set_hook(Box::new(|info| error!("{}", told(info))));
    }
}

/// What is logged, in the words of [`EnvFilter`]: as the host says, or else as a person says, or else what is worth a line.
fn directives(host: Option<&str>, person: Option<&str>) -> String {
    let host = host.and_then(level);
    if let (None, Some(own)) = (host, person.filter(|own| !own.trim().is_empty())) {
        return format!("{own},{QUIET}");
    }
    let ours = host.unwrap_or("info");
    let (theirs, runtime) = match ours {
        "error" => ("error", "error"),
        "warn" => ("warn", "warn"),
        // Its span is one of `info`; it has no line there.
        _ => ("warn", "info"),
    };
    // Every crate of ours is `nightshift_…`; `function` is what the local stack passes on of a function's own output.
    format!("{theirs},lambda_runtime={runtime},nightshift={ours},function={ours}")
}

/// The level that Lambda calls so. It has one more above errors, where nothing of ours belongs.
fn level(word: &str) -> Option<&'static str> {
    ["trace", "debug", "info", "warn", "error"]
        .into_iter()
        .find(|level| word.eq_ignore_ascii_case(level))
        .or_else(|| word.eq_ignore_ascii_case("fatal").then_some("error"))
}

/// A panic, without the values in its message: that of a string cut in the wrong place, say, holds the string.
fn told(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    // What was put together when it panicked is a `String`; this is as it stands in the source.
    match info.payload().downcast_ref::<&'static str>() {
        Some(message) => format!("panicked at {place}: {message}"),
        None => {
            format!("panicked at {place}; what it said is left out, because it may hold what the program worked on")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_keep_to_warnings_however_much_the_host_wants_to_hear_of_us() {
        for (level, theirs, runtime, ours) in [
            ("TRACE", "warn", "info", "trace"),
            ("Debug", "warn", "info", "debug"),
            ("INFO", "warn", "info", "info"),
            ("WARN", "warn", "warn", "warn"),
            ("ERROR", "error", "error", "error"),
            ("FATAL", "error", "error", "error"),
        ] {
            let wanted = format!("{theirs},lambda_runtime={runtime},nightshift={ours},function={ours}");
            assert_eq!(directives(Some(level), Some("trace")), wanted);
            assert!(wanted.parse::<EnvFilter>().is_ok(), "{wanted}");
        }
    }

    #[test]
    fn a_panic_tells_its_place_and_only_words_of_the_source() {
        let (said, heard) = std::sync::mpsc::channel();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| drop(said.send(told(info)))));
        let text = "a prompt of two wörds";
        let cut = std::panic::catch_unwind(|| text[..18].len());
        let plain = std::panic::catch_unwind(|| panic!("a plan without a path"));
        std::panic::set_hook(before);
        assert!(cut.is_err() && plain.is_err());
        let told: Vec<String> = heard.iter().take(2).collect();
        assert!(told[0].contains("logs.rs:") && !told[0].contains("prompt"), "{}", told[0]);
        assert!(told[1].contains("logs.rs:") && told[1].ends_with(": a plan without a path"), "{}", told[1]);
    }

    #[test]
    fn a_persons_own_words_count_where_the_host_says_nothing_of_sense() {
        assert_eq!(directives(None, Some("hyper=debug")), "hyper=debug,rmcp=warn");
        assert_eq!(directives(Some("hyper=trace"), Some("error")), "error,rmcp=warn");
        assert_eq!(directives(None, Some("")), directives(Some("info"), None));
        assert_eq!(directives(None, None), directives(Some("info"), None));
    }
}
