//! Command lines that clap would read as something else than what was meant.

use std::ffi::OsString;

/// What `--batch` is often given as a separate word.
const SWITCHES: [(&[&str], &str); 3] = [
    (&["always", "auto"], "write --batch={word}"),
    (&["true", "on", "yes"], "write --batch alone"),
    (&["false", "off", "no", "never"], "write --no-batch"),
];

/// The complaint and the hint about a mode that stands beside `--batch` instead of behind its equals sign. There it would
/// silently become the schedule, the name or the id of a job.
pub fn slip(arguments: &[OsString]) -> Option<(String, String)> {
    let before_end = || arguments.iter().take_while(|argument| *argument != "--");
    let word = before_end().zip(before_end().skip(1)).find_map(|(flag, word)| (flag == "--batch").then_some(word))?;
    let word = word.to_str()?.to_ascii_lowercase();
    let (_, hint) = SWITCHES.iter().find(|(words, _)| words.contains(&word.as_str()))?;
    Some((format!("\"{word}\" does not belong to --batch"), hint.replace("{word}", &word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(line: &str) -> Option<String> {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        slip(&arguments).map(|(_, hint)| hint)
    }

    #[test]
    fn a_mode_beside_batch_is_told_where_it_belongs() {
        assert_eq!(hint("cron add --batch auto 20m x").as_deref(), Some("write --batch=auto"));
        assert_eq!(hint("cron edit --batch Always job-1").as_deref(), Some("write --batch=always"));
        assert_eq!(hint("cron edit job-1 --batch true").as_deref(), Some("write --batch alone"));
        assert_eq!(hint("cron edit job-1 --batch off").as_deref(), Some("write --no-batch"));
    }

    #[test]
    fn other_words_after_batch_are_left_alone() {
        for line in [
            "cron add --batch 20m x",
            "cron add auto x --every 1h --batch",
            "cron add --batch=auto 20m x",
            "x -- --batch auto",
        ] {
            assert_eq!(hint(line), None, "{line}");
        }
    }
}
