//! `cron cost`.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use nightshift_domain::schedule::parse_duration;
use nightshift_wire::{CostAnswer, CostRow, CostSum};
use serde_json::json;

use super::{Session, read};
use crate::args::CostArgs;
use crate::error::ExpectedError;
use crate::human;
use crate::table::{Grid, Surface, Tone};

/// The width from which there is room for bars.
const WIDE: u16 = 100;
/// The longest bar, columns.
const BAR: usize = 16;

pub(super) async fn cost(session: &mut Session<'_>, args: &CostArgs) -> anyhow::Result<()> {
    if args.csv && session.connection.json {
        return Err(ExpectedError::usage("--csv and --json are two forms of the same").into());
    }
    if [&args.from, &args.to].into_iter().flatten().any(|text| parse_duration(text).is_ok()) {
        session.meet().await;
    }
    let mut request = json!({"by": args.by.word()});
    let from = args.from.as_deref().map(|text| instant(text, session.now, false)).transpose()?;
    let to = args.to.as_deref().map(|text| instant(text, session.now, true)).transpose()?;
    let fields = [
        ("jobId", args.job.as_ref().map(|id| json!(id))),
        ("agentId", args.agent.as_ref().map(|id| json!(id))),
        ("fromMs", from.map(|at| json!(at.timestamp_millis()))),
        ("toMs", to.map(|at| json!(at.timestamp_millis()))),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            request[name] = value;
        }
    }
    let answer = session.call("cron.cost", &request).await?;
    if session.json_wanted(&answer) {
        return Ok(());
    }
    let cost: CostAnswer = read(&answer)?;
    if args.csv {
        session.output.data(&csv(&cost));
    } else if cost.rows.is_empty() {
        session.output.say("no runs that called a model");
    } else {
        session.output.data(&table(&cost, Surface::of(session.output)));
    }
    let at = |ms: i64| DateTime::from_timestamp_millis(ms).map(human::minute).unwrap_or_default();
    session.output.aside(&format!("{} to {}", at(cost.from_ms), at(cost.to_ms)));
    if cost.total.unused_usd > 0.0 {
        let unused = human::dollars(cost.total.unused_usd);
        session.output.note(&format!("{unused} of what was paid was for answers that came too late to be used"));
    }
    if cost.total.aws_usd > 0.0 {
        let aws = human::dollars(cost.total.aws_usd);
        session.output.aside(&format!("on AWS {aws} beside it, reckoned from the calls such runs make"));
    }
    for note in &cost.notes {
        session.output.note(note);
    }
    Ok(())
}

/// A date, an ISO time or a duration back. A date as the `end` of a range is the end of its day.
fn instant(text: &str, now: DateTime<Utc>, end: bool) -> Result<DateTime<Utc>, ExpectedError> {
    let text = text.trim();
    let none = || {
        let message = format!("\"{}\" is no time", text.escape_debug());
        ExpectedError::usage_hint(message, "write 2026-11-01, 2026-11-01T07:00:00Z, or 7d for a week back")
    };
    if let Ok(day) = text.parse::<NaiveDate>() {
        let day = if end { day.checked_add_days(Days::new(1)) } else { Some(day) };
        return day.map(|day| day.and_time(NaiveTime::MIN).and_utc()).ok_or_else(none);
    }
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(instant.to_utc());
    }
    let back = parse_duration(text).ok().filter(|back| *back > TimeDelta::zero());
    back.and_then(|back| now.checked_sub_signed(back)).ok_or_else(none)
}

fn table(cost: &CostAnswer, surface: Surface) -> String {
    // A pipe has no width, and whoever reads it no use for bars.
    let wide = (WIDE..u16::MAX).contains(&surface.width);
    let titles = [title(&cost.by), "runs", "hops", "paid", "realtime", "saved", ""];
    let mut grid = Grid::new(if wide { &titles } else { &titles[..6] }, &["job", "agent", "model"]);
    let most = cost.rows.iter().map(|row| row.paid_usd).fold(0.0, f64::max);
    for row in &cost.rows {
        let sum = CostSum {
            runs: row.runs,
            hops: row.hops,
            paid_usd: row.paid_usd,
            realtime_usd: row.realtime_usd,
            saved_usd: row.saved_usd,
            unused_usd: row.unused_usd,
            aws_usd: row.aws_usd,
        };
        let mut cells = cells(label(row, &cost.rows), &sum);
        if wide {
            cells.push((bar(row.paid_usd, most), Tone::Plain));
        }
        grid.row(cells);
    }
    let mut total = cells("total".to_owned(), &cost.total);
    if wide {
        total.push((String::new(), Tone::Plain));
    }
    grid.row(total);
    grid.render(surface)
}

/// The API's word, as a title that lives as long as the program.
fn title(by: &str) -> &'static str {
    ["agent", "model", "path", "day", "month"].into_iter().find(|word| *word == by).unwrap_or("job")
}

fn cells(label: String, sum: &CostSum) -> Vec<(String, Tone)> {
    let saved = match percent(sum) {
        Some(percent) => format!("{} ({percent}%)", human::dollars(sum.saved_usd)),
        None => human::dollars(sum.saved_usd),
    };
    let tone = if sum.saved_usd < 0.0 { Tone::Bad } else { Tone::Plain };
    vec![
        (label, Tone::Plain),
        (sum.runs.to_string(), Tone::Plain),
        (sum.hops.to_string(), Tone::Plain),
        (human::dollars(sum.paid_usd), Tone::Plain),
        (human::dollars(sum.realtime_usd), Tone::Plain),
        (saved, tone),
    ]
}

/// How much of the realtime price was saved; nothing where there is nothing to tell.
fn percent(sum: &CostSum) -> Option<String> {
    let share = sum.saved_usd / sum.realtime_usd * 100.0;
    (share.is_finite() && share.abs() >= 0.5).then(|| format!("{share:.0}"))
}

/// A job by its name, and by the beginning of its id too where the name is not its own.
fn label(row: &CostRow, rows: &[CostRow]) -> String {
    match &row.name {
        None => row.key.clone(),
        Some(name) if rows.iter().filter(|other| other.name == row.name).count() > 1 => {
            let id: String = row.key.chars().take(8).collect();
            format!("{id} {name}")
        }
        Some(name) => name.clone(),
    }
}

/// As long as its share of the dearest row, by eighths of a column; something where there is something.
fn bar(paid: f64, most: f64) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    if paid <= 0.0 || most <= 0.0 {
        return String::new();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 8 times the longest bar")]
    #[expect(clippy::cast_precision_loss, reason = "the longest bar is short")]
    let eighths = ((paid / most * (BAR * 8) as f64).round() as usize).clamp(1, BAR * 8);
    let mut bar = "█".repeat(eighths / 8);
    bar.extend(EIGHTHS.get(eighths % 8).filter(|_| !eighths.is_multiple_of(8)));
    bar
}

/// Comma-separated values (RFC 4180), amounts in dollars.
fn csv(cost: &CostAnswer) -> String {
    let mut lines = vec![format!("{},name,runs,hops,paidUsd,realtimeUsd,savedUsd", cost.by)];
    for row in &cost.rows {
        let name = row.name.as_deref().unwrap_or_default();
        let (key, name) = (field(&row.key), field(name));
        let CostRow { runs, hops, paid_usd, realtime_usd, saved_usd, .. } = row;
        lines.push(format!("{key},{name},{runs},{hops},{paid_usd},{realtime_usd},{saved_usd}"));
    }
    lines.join("\r\n")
}

fn field(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, name: Option<&str>, paid: f64, realtime: f64) -> CostRow {
        CostRow {
            key: key.to_owned(),
            name: name.map(str::to_owned),
            runs: 12_345,
            hops: 23_456,
            paid_usd: paid,
            realtime_usd: realtime,
            saved_usd: realtime - paid,
            unused_usd: 0.0,
            aws_usd: 0.0,
        }
    }

    fn answer(rows: Vec<CostRow>) -> CostAnswer {
        let sum = CostSum {
            runs: 12_345,
            hops: 46_912,
            paid_usd: 4.5,
            realtime_usd: 8.0,
            saved_usd: 3.5,
            unused_usd: 0.0,
            aws_usd: 0.0,
        };
        CostAnswer { by: "job".into(), from_ms: 0, to_ms: 1, rows, total: sum, truncated: false, notes: vec![] }
    }

    #[test]
    fn the_table_fits_80_columns_and_has_bars_where_there_is_room() {
        let long = "A job with a name that is far longer than anybody would want to read in a table";
        let rows = vec![
            row("01KAHJ5Z3M7Q2W4E6R8T0YABCD", Some(long), 1234.0, 2468.0),
            row("b", Some("Digest"), 308.5, 308.5),
            row("c", Some("Digest"), 0.000_000_1, 0.000_000_05),
        ];
        let text = table(&answer(rows.clone()), Surface { width: 80, colour: false });
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(lines.len(), 5, "{text}");
        assert!(lines[0].starts_with("job") && lines[0].contains("realtime"), "{text}");
        assert!(lines[1].starts_with("A job with") && lines[1].contains("$1234.00 (50%)"), "{text}");
        assert!(lines[2].starts_with("b Digest") && lines[2].ends_with("$0"), "{text}");
        assert!(lines[3].ends_with("-<$0.0001 (-100%)"), "{text}");
        assert!(lines[4].starts_with("total") && lines[4].ends_with("$3.50 (44%)"), "{text}");
        let text = table(&answer(rows), Surface { width: 120, colour: false });
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].ends_with(&"█".repeat(16)) && lines[2].ends_with(&format!(" {}", "█".repeat(4))), "{text}");
        assert!(lines[3].ends_with('▏') && lines[4].ends_with("(44%)"), "{text}");
    }

    #[test]
    fn times_are_dates_instants_and_durations_back() {
        let now: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
        let read =
            |text: &str, end| instant(text, now, end).map(|at| at.to_rfc3339()).map_err(|error| error.to_string());
        assert_eq!(read("2026-11-01", false).unwrap(), "2026-11-01T00:00:00+00:00");
        assert_eq!(read("2026-10-31", true).unwrap(), "2026-11-01T00:00:00+00:00", "a date includes its day");
        assert_eq!(read("2026-11-01T07:00:00+02:00", true).unwrap(), "2026-11-01T05:00:00+00:00");
        assert_eq!(read("7d", false).unwrap(), "2026-11-13T12:00:00+00:00");
        for text in ["", "yesterday", "2026-13-01", "-1d", "0d"] {
            assert!(read(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn values_with_commas_are_quoted_and_amounts_have_no_exponent() {
        let text = csv(&answer(vec![row("a", Some("One, \"two\""), 0.000_000_007, 0.000_000_014)]));
        let expected = "job,name,runs,hops,paidUsd,realtimeUsd,savedUsd\r\n\
            a,\"One, \"\"two\"\"\",12345,23456,0.000000007,0.000000014,0.000000007";
        assert_eq!(text, expected);
    }
}
