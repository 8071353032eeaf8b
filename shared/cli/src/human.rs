//! Numbers, times and schedules in words.

use chrono::{DateTime, TimeDelta, Utc};
use nightshift_domain::job::{BatchMode, BatchPolicy, Delivery, DeliveryMode, Job, OnTimeout, Payload};
use nightshift_domain::schedule::{Schedule, coarse_duration, format_duration};

/// `in 3h`, `2m ago`, `now`.
pub(crate) fn relative(at_ms: i64, now: DateTime<Utc>) -> String {
    let distance = at_ms - now.timestamp_millis();
    match (distance.abs(), distance > 0) {
        (..1_000, _) => "now".to_owned(),
        (_, true) => format!("in {}", coarse_duration(TimeDelta::milliseconds(distance))),
        (_, false) => format!("{} ago", coarse_duration(TimeDelta::milliseconds(distance))),
    }
}

/// `2h ago (2026-12-24 18:00Z)`.
pub(crate) fn relative_and_exact(at_ms: i64, now: DateTime<Utc>) -> String {
    let exact = DateTime::from_timestamp_millis(at_ms).map(|at| format!(" ({})", minute(at)));
    format!("{}{}", relative(at_ms, now), exact.unwrap_or_default())
}

/// How long something took: `<1s`, `12s`, `2m10s`, `3h5m`, `2d4h`.
pub(crate) fn took(ms: i64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        ..1 => "<1s".to_owned(),
        1..60 => format!("{seconds}s"),
        60..3_600 => pair(seconds / 60, 'm', seconds % 60, 's'),
        3_600..86_400 => pair(seconds / 3_600, 'h', seconds % 3_600 / 60, 'm'),
        _ => pair(seconds / 86_400, 'd', seconds % 86_400 / 3_600, 'h'),
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

/// A schedule as `OpenClaw` writes it: `at 2026-12-24 18:00Z`, `every 20m`, `cron 0 7 * * * @ Europe/Berlin`.
pub(crate) fn schedule(schedule: &Schedule) -> String {
    match schedule {
        Schedule::At { at, .. } => match DateTime::parse_from_rfc3339(at) {
            Ok(instant) => format!("at {}", minute(instant.to_utc())),
            Err(_) => format!("at {at}"),
        },
        Schedule::Every { every_ms, .. } => format!("every {}", duration(*every_ms)),
        Schedule::Cron { expr, tz, .. } => match tz {
            Some(zone) => format!("cron {expr} @ {zone}"),
            None => format!("cron {expr}"),
        },
    }
}

/// The same with what a single job's page has room for: common expressions in words, the stagger, the wall time of `at`.
pub(crate) fn schedule_in_full(schedule: &Schedule) -> String {
    let mut text = self::schedule(schedule);
    match schedule {
        Schedule::Cron { expr, stagger_ms, .. } => {
            if let Some(words) = cron(expr) {
                text = format!("{text} ({words})");
            }
            match stagger_ms {
                Some(0) => text.push_str(", exactly"),
                Some(window) => text = format!("{text}, spread over {}", duration(*window)),
                None => {}
            }
        }
        Schedule::At { tz: Some(zone), .. } => text = format!("{text}, given in {zone}"),
        Schedule::At { tz: None, .. } | Schedule::Every { .. } => {}
    }
    text
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
        (_, day, "*") => Some(format!("monthly on day {}, {}", number(day)?, clock()?)),
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
    if let Some(by) = policy.deliver_by {
        let earliest = policy.earliest.map(|earliest| format!(", from {earliest} on")).unwrap_or_default();
        text = format!("{text}, answered by {by}{earliest}");
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
    let thread = delivery.thread_id.as_deref();
    let mut text = place(delivery.mode, delivery.channel.as_deref(), delivery.to.as_deref(), thread);
    if let Some(account) = &delivery.account_id {
        text = format!("{text}, account {account}");
    }
    if delivery.best_effort {
        text.push_str(", best effort");
    }
    text
}

/// A mode with its channel and target.
pub(crate) fn place(mode: DeliveryMode, channel: Option<&str>, to: Option<&str>, thread: Option<&str>) -> String {
    let thread = thread.map(|thread| format!(" thread {thread}")).unwrap_or_default();
    match mode {
        DeliveryMode::None => "none".to_owned(),
        DeliveryMode::Webhook => format!("webhook {}", to.unwrap_or("-")),
        DeliveryMode::Announce => match (channel, to) {
            (Some(channel), Some(to)) => format!("{channel} {to}{thread}"),
            (Some(channel), None) => format!("{channel}{thread}"),
            (None, Some(to)) => format!("{to}{thread}"),
            (None, None) => format!("the agent's route{thread}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_expressions_have_words_and_others_do_not() {
        let cases = [
            ("0 7 * * *", Some("daily 07:00")),
            ("30 18 * * 1-5", Some("weekdays 18:30")),
            ("0 6 * * 1", Some("Mondays 06:00")),
            ("0 3 * * 0", Some("Sundays 03:00")),
            ("15 * * * *", Some("hourly at :15")),
            ("*/15 * * * *", Some("every 15m")),
            ("*/7 * * * *", None),
            ("0 */6 * * *", Some("every 6h at :00")),
            ("0 9 1 * *", Some("monthly on day 1, 09:00")),
            ("@daily", Some("daily 00:00")),
            ("0 9 1 * 1", None),
            ("0 9,17 * * *", None),
            ("30 0 7 * * *", None),
        ];
        for (expr, words) in cases {
            assert_eq!(cron(expr).as_deref(), words, "{expr}");
        }
    }

    #[test]
    fn schedules_are_written_as_openclaw_writes_them() {
        let daily = |tz: Option<&str>, stagger_ms| Schedule::Cron {
            expr: "0 7 * * *".to_owned(),
            tz: tz.map(str::to_owned),
            stagger_ms,
        };
        assert_eq!(schedule(&daily(Some("America/Los_Angeles"), None)), "cron 0 7 * * * @ America/Los_Angeles");
        assert_eq!(schedule(&daily(None, Some(0))), "cron 0 7 * * *");
        assert_eq!(schedule_in_full(&daily(None, Some(0))), "cron 0 7 * * * (daily 07:00), exactly");
        assert_eq!(schedule_in_full(&daily(None, Some(30_000))), "cron 0 7 * * * (daily 07:00), spread over 30s");
        assert_eq!(schedule(&Schedule::Every { every_ms: 1_200_000, anchor_ms: 0 }), "every 20m");
        let at = |tz: Option<&str>| Schedule::At { at: "2026-02-01T16:00:00.000Z".into(), tz: tz.map(str::to_owned) };
        assert_eq!(schedule(&at(Some("Europe/Berlin"))), "at 2026-02-01 16:00Z");
        assert_eq!(schedule_in_full(&at(Some("Europe/Berlin"))), "at 2026-02-01 16:00Z, given in Europe/Berlin");
    }

    #[test]
    fn times_are_told_in_one_unit_and_durations_in_two() {
        let now = DateTime::from_timestamp_millis(1_000_000_000_000).unwrap();
        let cases =
            [(0, "now"), (-2_500, "2s ago"), (59_999, "in 59s"), (10_800_000, "in 3h"), (-259_200_000, "3d ago")];
        for (distance, words) in cases {
            assert_eq!(relative(1_000_000_000_000 + distance, now), words);
        }
        let lengths = [
            (999, "<1s"),
            (12_000, "12s"),
            (130_000, "2m10s"),
            (120_000, "2m"),
            (11_100_000, "3h5m"),
            (187_200_000, "2d4h"),
        ];
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
