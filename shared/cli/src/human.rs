//! Numbers, times and schedules in words.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::job::{BatchMode, BatchPolicy, Delivery, DeliveryMode, Job, OnTimeout, Payload};
use nightshift_domain::schedule::{Schedule, format_duration};

/// `in 3h`, `2m ago`, `now`.
pub(crate) fn relative(at_ms: i64, now: DateTime<Utc>) -> String {
    let distance = at_ms - now.timestamp_millis();
    match (distance.abs(), distance > 0) {
        (..1_000, _) => "now".to_owned(),
        (length, true) => format!("in {}", coarse(length)),
        (length, false) => format!("{} ago", coarse(length)),
    }
}

/// One unit: `40s`, `12m`, `3h`, `9d`.
fn coarse(ms: i64) -> String {
    match ms {
        ..60_000 => format!("{}s", ms / 1_000),
        60_000..3_600_000 => format!("{}m", ms / 60_000),
        3_600_000..172_800_000 => format!("{}h", ms / 3_600_000),
        _ => format!("{}d", ms / 86_400_000),
    }
}

/// How long something took: `<1s`, `12s`, `2m10s`, `3h5m`.
pub(crate) fn took(ms: i64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        ..1 => "<1s".to_owned(),
        1..60 => format!("{seconds}s"),
        60..3_600 => pair(seconds / 60, 'm', seconds % 60, 's'),
        _ => pair(seconds / 3_600, 'h', seconds % 3_600 / 60, 'm'),
    }
}

fn pair(large: i64, large_unit: char, small: i64, small_unit: char) -> String {
    if small == 0 { format!("{large}{large_unit}") } else { format!("{large}{large_unit}{small}{small_unit}") }
}

/// A duration in milliseconds as people write it.
pub(crate) fn duration(ms: u64) -> String {
    format_duration(TimeDelta::milliseconds(i64::try_from(ms).unwrap_or(i64::MAX)))
}

/// Dollars: `$0`, `$0.0042`, `$1.23`.
pub(crate) fn dollars(usd: f64) -> String {
    let sign = if usd < 0.0 { "-" } else { "" };
    let size = usd.abs();
    if size < 0.000_000_000_5 {
        "$0".to_owned()
    } else if size < 0.000_1 {
        format!("{sign}<$0.0001")
    } else if size < 0.995 {
        format!("{sign}${size:.4}")
    } else {
        format!("{sign}${size:.2}")
    }
}

/// `2026-12-24 18:00Z`.
pub(crate) fn minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%MZ").to_string()
}

/// A schedule as people say it, or its expression where that is shorter than the truth.
pub(crate) fn schedule(schedule: &Schedule) -> String {
    match schedule {
        Schedule::At { at, .. } => match DateTime::parse_from_rfc3339(at) {
            Ok(instant) => format!("at {}", minute(instant.to_utc())),
            Err(_) => format!("at {at}"),
        },
        Schedule::Every { every_ms, .. } => format!("every {}", duration(*every_ms)),
        Schedule::Cron { expr, tz, .. } => {
            let words = cron(expr).unwrap_or_else(|| expr.clone());
            match tz.as_deref() {
                None | Some("UTC") => words,
                Some(zone) => format!("{words} {}", zone.rsplit('/').next().unwrap_or(zone).replace('_', " ")),
            }
        }
    }
}

/// The common expressions in words.
fn cron(expr: &str) -> Option<String> {
    let expr = match expr.trim().to_ascii_lowercase().as_str() {
        "@daily" | "@midnight" => "0 0 * * *".to_owned(),
        "@hourly" => "0 * * * *".to_owned(),
        "@weekly" => "0 0 * * 0".to_owned(),
        "@monthly" => "0 0 1 * *".to_owned(),
        other => other.to_owned(),
    };
    let fields: Vec<&str> = expr.split_whitespace().collect();
    let [minute, hour, day, "*", weekday] = fields[..] else { return None };
    let number = |text: &str| text.parse::<u8>().ok();
    let clock = || Some(format!("{:02}:{:02}", number(hour)?, number(minute)?));
    let steps = |text: &str, whole: u8| {
        number(text.strip_prefix("*/")?).filter(|step| *step > 0 && whole.is_multiple_of(*step))
    };
    match (hour, day, weekday) {
        ("*", "*", "*") => match (number(minute), steps(minute, 60)) {
            (Some(minute), _) => Some(format!("hourly at :{minute:02}")),
            (None, Some(step)) => Some(format!("every {step}m")),
            (None, None) => (minute == "*").then(|| "every 1m".to_owned()),
        },
        (_, "*", "*") if steps(hour, 24).is_some() => {
            let (step, minute) = (steps(hour, 24)?, number(minute)?);
            Some(format!("every {step}h at :{minute:02}"))
        }
        (_, "*", "*") => Some(format!("daily {}", clock()?)),
        (_, "*", "1-5" | "mon-fri") => Some(format!("weekdays {}", clock()?)),
        (_, "*", weekday) => Some(format!("{} {}", weekday_name(weekday)?, clock()?)),
        (_, day, "*") => Some(format!("monthly on {} {}", number(day)?, clock()?)),
        (_, _, _) => None,
    }
}

fn weekday_name(text: &str) -> Option<&'static str> {
    Some(match text {
        "0" | "7" | "sun" => "Sundays",
        "1" | "mon" => "Mondays",
        "2" | "tue" => "Tuesdays",
        "3" | "wed" => "Wednesdays",
        "4" | "thu" => "Thursdays",
        "5" | "fri" => "Fridays",
        "6" | "sat" => "Saturdays",
        _ => return None,
    })
}

/// A job's batch policy in a word.
pub(crate) fn batch_word(job: &Job) -> &'static str {
    match batch_of(job) {
        Some(BatchPolicy { enabled: false, .. }) => "off",
        Some(BatchPolicy { mode: Some(BatchMode::Auto), .. }) => "auto",
        Some(_) => "yes",
        None => "-",
    }
}

/// A job's batch policy in a sentence; `None` where it has none.
pub(crate) fn batch(job: &Job) -> Option<String> {
    let policy = batch_of(job)?;
    let mut text = batch_word(job).to_owned();
    if let Some(wait) = policy.max_wait_ms {
        text = format!("{text}, waits up to {}", duration(wait));
    }
    match policy.on_timeout {
        Some(OnTimeout::Realtime) => Some(format!("{text}, then realtime")),
        Some(OnTimeout::Fail) => Some(format!("{text}, then fails")),
        None => Some(text),
    }
}

fn batch_of(job: &Job) -> Option<&BatchPolicy> {
    match &job.payload {
        Payload::AgentTurn(turn) => turn.batch.as_ref(),
        Payload::SystemEvent { .. } => None,
    }
}

/// Where an answer goes.
pub(crate) fn delivery(delivery: &Delivery) -> String {
    let to = delivery.to.as_deref();
    let thread = delivery.thread_id.as_deref().map(|thread| format!(" thread {thread}")).unwrap_or_default();
    match delivery.mode {
        DeliveryMode::None => "none".to_owned(),
        DeliveryMode::Webhook => format!("webhook {}", to.unwrap_or("-")),
        DeliveryMode::Announce => match (delivery.channel.as_deref(), to) {
            (Some(channel), Some(to)) => format!("{channel} {to}{thread}"),
            (Some(channel), None) => format!("{channel}{thread}"),
            (None, Some(to)) => format!("{to}{thread}"),
            (None, None) => "the agent's route".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_schedules_have_words_and_others_show_their_expression() {
        let cases = [
            ("0 7 * * *", "daily 07:00"),
            ("30 18 * * 1-5", "weekdays 18:30"),
            ("0 6 * * 1", "Mondays 06:00"),
            ("0 3 * * 0", "Sundays 03:00"),
            ("15 * * * *", "hourly at :15"),
            ("*/15 * * * *", "every 15m"),
            ("*/7 * * * *", "*/7 * * * *"),
            ("0 */6 * * *", "every 6h at :00"),
            ("0 9 1 * *", "monthly on 1 09:00"),
            ("@daily", "daily 00:00"),
            ("0 9 1 * 1", "0 9 1 * 1"),
            ("0 9,17 * * *", "0 9,17 * * *"),
            ("30 0 7 * * *", "30 0 7 * * *"),
        ];
        for (expr, words) in cases {
            let cron = |tz: Option<&str>| {
                schedule(&Schedule::Cron { expr: expr.to_owned(), tz: tz.map(str::to_owned), stagger_ms: None })
            };
            assert_eq!(cron(None), words);
            assert_eq!(cron(Some("America/Los_Angeles")), format!("{words} Los Angeles"));
        }
        assert_eq!(schedule(&Schedule::Every { every_ms: 1_200_000, anchor_ms: 0 }), "every 20m");
        assert_eq!(schedule(&Schedule::At { at: "2026-02-01T16:00:00.000Z".into(), tz: None }), "at 2026-02-01 16:00Z");
    }

    #[test]
    fn times_are_told_in_one_unit_and_durations_in_two() {
        let now = DateTime::from_timestamp_millis(1_000_000_000_000).unwrap();
        let cases =
            [(0, "now"), (-2_500, "2s ago"), (59_999, "in 59s"), (10_800_000, "in 3h"), (-259_200_000, "3d ago")];
        for (distance, words) in cases {
            assert_eq!(relative(1_000_000_000_000 + distance, now), words);
        }
        let lengths = [(999, "<1s"), (12_000, "12s"), (130_000, "2m10s"), (120_000, "2m"), (11_100_000, "3h5m")];
        for (ms, words) in lengths {
            assert_eq!(took(ms), words);
        }
    }

    #[test]
    fn small_amounts_of_money_keep_four_decimals() {
        let cases = [(0.0, "$0"), (0.00001, "<$0.0001"), (0.0042, "$0.0042"), (1.234, "$1.23"), (-0.01, "-$0.0100")];
        for (usd, words) in cases {
            assert_eq!(dollars(usd), words);
        }
    }
}
